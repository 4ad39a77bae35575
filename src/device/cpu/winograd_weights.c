/* Winograd's gradient of the weights, by the chain rule on y = A^T [(G g G^T) . (B^T d B)] A:
 *
 *   g_w = G^T ( sum over tiles (B^T d B) . (A g_y A^T) ) G.
 *
 * The sum over tiles is, for each of the 36 positions, a matrix product (O x tiles)(tiles x C). Tiles are taken in
 * blocks; within a block the threads share first the tiles to transform, then the positions, so that each sum has one
 * owner and a fixed order: the result does not depend on the number of threads. */
#include "winograd.h"

#ifndef HO_REAL_DOUBLE

#include <string.h>

#include "winograd_filters.h"
#include "winograd_product.h"
#include "winograd_tiles.h"

bool ho_winograd_fits_weights(const winograd_shape *s) {
    return ho_winograd_fits(s) && s->C >= 32 && s->O >= 32;
}

typedef struct {
    tiling t;
    view in, out;
    int64_t C, O;
    const float *x, *x_scale, *g_y, *zeros;
    float *U, *D, *S; /* S[position][O][C] */
} plan;

/* Group g of the block from tile `first` on: both sides transformed. */
static void transform_group(const plan *p, int64_t first, int64_t g) {
    const int64_t tile = first + g * WEIGHT_TILES, left = p->t.count - tile, R = WEIGHT_TILES;
    const int64_t n = left < R ? left : R;
    ho_winograd_gather(&p->t, &p->in, p->x, p->x_scale, p->zeros, tile, n, R, p->U + g * group_size(R, p->C));
    ho_winograd_gather_outputs(&p->t, &p->out, p->g_y, p->zeros, tile, n, R, p->D + g * group_size(R, p->O));
}

/* S[position] (O, C) (+)= D[position]^T U[position] over the groups of a block. */
static void add_products(const plan *p, int64_t position, int64_t groups, int add) {
    const int64_t R = WEIGHT_TILES, C = p->C, O = p->O;
    const int64_t panel = C % 48 == 0 ? 48 : 32;
    float *S = p->S + position * position_step(C * O);
    for (int64_t c = 0; c < C; c += panel) {
        const int64_t width = C - c < panel ? C - c : panel;
        for (int64_t o = 0; o < O; o += WEIGHT_ROWS) {
            const weight_product all = {
                p->D + group_size(R, o / LANES * LANES) + position * R * LANES + o % LANES,
                p->U + group_size(R, c) + position * R * LANES,
                group_size(R, O),
                group_size(R, C),
                groups,
                S + o * C + c,
                C,
                add,
            };
            ho_winograd_weight_product(&all, (int)(width / LANES));
        }
    }
}

ho_status ho_winograd_backward_weights(ho_device *device, const winograd_shape *s, const float *x, const float *x_scale,
                                       const float *g_y, float *g_w) {
    const filter_case f = {false, s->C, s->O};
    const int64_t R = WEIGHT_TILES;
    plan p = {.t = tiling_of(s), .C = s->C, .O = s->O, .x = x, .x_scale = x_scale, .g_y = g_y};
    p.in = view_of(&p.t, s->C);
    p.out = view_of(&p.t, s->O);
    const int64_t all = (p.t.count + R - 1) / R, wanted = ((int64_t)2 << 20) / (group_size(R, p.C + p.O) * 4);
    const int64_t block = wanted < 4 ? 4 : wanted > 32 ? 32 : wanted;
    const int64_t n_sums = POSITIONS * position_step(p.C * p.O), widest = p.C > p.O ? p.C : p.O;
    void *workspace = NULL;
    HO_TRY(ho_cpu_workspace(device, (size_t)(n_sums + widest + block * group_size(R, p.C + p.O)) * sizeof(float),
                            &workspace));
    if (device->dry != NULL) {
        return HO_OK;
    }
    p.S = workspace;
    float *zeros = p.S + n_sums;
    memset(zeros, 0, (size_t)widest * sizeof *zeros);
    p.zeros = zeros;
    p.U = zeros + widest;
    p.D = p.U + block * group_size(R, p.C);
    for (int64_t first = 0; first < all; first += block) {
        const int64_t n = all - first < block ? all - first : block;
#pragma omp parallel for schedule(static)
        for (int64_t g = 0; g < n; ++g) {
            transform_group(&p, first * R, g);
        }
#pragma omp parallel for schedule(static)
        for (int64_t position = 0; position < POSITIONS; ++position) {
            add_products(&p, position, n, first > 0);
        }
    }
    ho_winograd_transform_filters_back(&f, p.S, g_w);
    return HO_OK;
}

#endif
