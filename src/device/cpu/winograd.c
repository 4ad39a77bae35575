/* Winograd's convolution, forward and gradient of the input; see winograd.h. The gradient of the input is the same
 * convolution with the filters turned by 180 degrees and the channel roles exchanged.
 *
 * Work is cut into blocks of groups of tiles. A thread transforms the tiles of its block, multiplies them with the 36
 * transformed weight matrices, and transforms the results back, so that both intermediate arrays stay in its cache. */
#include "winograd.h"

#ifndef HO_REAL_DOUBLE

#include <omp.h>
#include <string.h>

#include "winograd_filters.h"
#include "winograd_product.h"
#include "winograd_tiles.h"

bool ho_winograd_fits(const winograd_shape *s) {
    const int64_t tiles = tiling_of(s).count;
    /* Dilated, a third of the tiles' pixels may lie outside the sparse images; with more the direct sum is as quick. */
    const bool full = s->dilation == 1 || tiles * OUT * OUT * 2 <= s->N * s->H * s->W * 3;
    return s->C % LANES == 0 && s->O % LANES == 0 && tiles >= 32 && s->C * s->O <= 4096 * tiles && full;
}

/* What one call computes: the sides that are read and written. */
typedef struct {
    tiling t;
    view in, out;
    product_cut cut;
    int64_t groups, block; /* groups of tiles: all, and in a block */
    const float *x, *x_scale, *V, *zeros;
    const ho_conv_epilogue *epilogue;
    float *y;
} plan;

/* Groups a block: both intermediates within about 1 MB, but tiles enough that a block's pass over the weights pays. */
static int64_t block_groups(const plan *p) {
    const int64_t bytes = group_size(p->cut.rows, p->in.C + p->cut.panel) * 4;
    const int64_t least = (48 + p->cut.rows - 1) / p->cut.rows, wanted = ((int64_t)1 << 20) / bytes;
    const int64_t block = wanted < least ? least : wanted;
    const int64_t half =
        (p->groups + 1) / 2; /* at least two blocks: a function of the shape, not of the thread count */
    return block < half ? block : half;
}

static void run_block(const plan *p, int64_t block, float *U) {
    const int64_t R = p->cut.rows, C = p->in.C, O = p->out.C;
    const int64_t first = block * p->block, n = p->groups - first < p->block ? p->groups - first : p->block;
    const int64_t U_group = group_size(R, C), M_group = group_size(R, p->cut.panel), last = p->t.count;
    float *M = U + p->block * U_group;
    for (int64_t g = 0; g < n; ++g) {
        const int64_t tile = (first + g) * R, count = last - tile < R ? last - tile : R;
        ho_winograd_gather(&p->t, &p->in, p->x, p->x_scale, p->zeros, tile, count, R, U + g * U_group);
    }
    for (int64_t o = 0; o < O; o += p->cut.panel) {
        const int64_t width = O - o < p->cut.panel ? O - o : p->cut.panel;
        for (int64_t position = 0; position < POSITIONS; ++position) {
            const float *V = p->V + position * position_step(C * O) + panel_offset(C, o);
            for (int64_t g = 0; g < n; ++g) {
                ho_winograd_product(&p->cut, U + g * U_group + position * R * LANES, V, C / LANES, width,
                                    POSITIONS * R * LANES, M + g * M_group + position * R * LANES);
            }
        }
        for (int64_t g = 0; g < n; ++g) {
            const int64_t tile = (first + g) * R, count = last - tile < R ? last - tile : R;
            ho_winograd_scatter(&p->t, &p->out, o, width, M + g * M_group, p->epilogue, tile, count, R, p->y);
        }
    }
}

/* Runs a plan whose images, views and epilogue are set, with the weights transformed for its direction. */
static ho_status convolve(ho_device *device, plan *p, const filter_case *f, const float *w) {
    const int64_t C = p->in.C, O = p->out.C;
    p->cut = ho_winograd_cut(O);
    p->groups = (p->t.count + p->cut.rows - 1) / p->cut.rows;
    p->block = block_groups(p);
    const int64_t n_weights = POSITIONS * position_step(C * O);
    const int64_t per_thread = p->block * group_size(p->cut.rows, C + p->cut.panel);
    void *workspace = NULL;
    HO_TRY(ho_cpu_workspace(device, (size_t)(n_weights + C + per_thread * omp_get_max_threads()) * sizeof(float),
                            &workspace));
    if (device->dry != NULL) {
        return HO_OK;
    }
    float *V = workspace, *zeros = V + n_weights, *intermediates = zeros + C;
    memset(zeros, 0, (size_t)C * sizeof *zeros);
    ho_winograd_transform_filters(f, w, p->cut.panel, V);
    p->V = V;
    p->zeros = zeros;
    const int64_t blocks = (p->groups + p->block - 1) / p->block;
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < blocks; ++i) {
        run_block(p, i, intermediates + per_thread * omp_get_thread_num());
    }
    return HO_OK;
}

ho_status ho_winograd_forward(ho_device *device, const winograd_shape *s, const float *x, const float *x_scale,
                              const float *w, const ho_conv_epilogue *epilogue, float *y) {
    const filter_case f = {false, s->C, s->O};
    plan p = {.t = tiling_of(s), .x = x, .x_scale = x_scale, .epilogue = epilogue};
    p.y = y;
    p.in = view_of(&p.t, s->C);
    p.out = view_of(&p.t, s->O);
    return convolve(device, &p, &f, w);
}

ho_status ho_winograd_backward_data(ho_device *device, const winograd_shape *s, const float *g_y, const float *w,
                                    float *g_x) {
    const filter_case f = {true, s->C, s->O};
    plan p = {.t = tiling_of(s), .x = g_y};
    p.y = g_x;
    p.in = view_of(&p.t, s->O);
    p.out = view_of(&p.t, s->C);
    return convolve(device, &p, &f, w);
}

#endif
