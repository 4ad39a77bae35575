/* Winograd's gradient of the weights, by the chain rule on y = A^T [(G g G^T) . (B^T d B)] A:
 *
 *   g_w = G^T ( sum over tiles (B^T d B) . (A g_y A^T) ) G.
 *
 * The sum over tiles is, for each of the 36 positions, a matrix product (C x tiles)(tiles x O). Tiles are taken in
 * blocks; within a block the threads share first the tiles to transform, then the positions, so that each sum has one
 * owner and a fixed order: the result does not depend on the number of threads. */
#include "winograd.h"

#ifndef HO_REAL_DOUBLE

#include "winograd_product.h"

typedef struct {
    const ho_conv_shape *s;
    int64_t tiles_down, tiles_across;
} tiling;

/* The pixels of a tile, `side` squared from (h0, w0), 16 channels of C, zero outside. */
static inline __attribute__((always_inline)) void load_square(const ho_conv_shape *s, const float *image, int64_t C,
                                                              int64_t h0, int64_t w0, const int side, vec *d) {
    const float *origin = image + (h0 * s->W + w0) * C;
    if (h0 >= 0 && w0 >= 0 && h0 + side <= s->H && w0 + side <= s->W) {
        for (int i = 0; i < side * side; ++i) {
            d[i] = vec_load(origin + (i / side * s->W + i % side) * C);
        }
        return;
    }
    for (int i = 0; i < side * side; ++i) {
        const int64_t h = h0 + i / side, v = w0 + i % side;
        const bool inside = h >= 0 && h < s->H && v >= 0 && v < s->W;
        d[i] = inside ? vec_load(origin + (i / side * s->W + i % side) * C) : (vec){0};
    }
}

/* Row `row` of U[position][n][C] and of D[position][n][O] from tile number `tile`. */
static void transform_tile(const tiling *t, const float *x, const float *g_y, int64_t tile, int64_t row, int64_t n,
                           float *U, float *D) {
    const ho_conv_shape *s = t->s;
    const int64_t per_image = t->tiles_down * t->tiles_across, image = tile / per_image, at = tile % per_image;
    const int64_t h0 = at / t->tiles_across * OUT, w0 = at % t->tiles_across * OUT;
    vec d[POSITIONS], half[POSITIONS], full[POSITIONS];
    for (int64_t c = 0; c < s->C; c += LANES) {
        load_square(s, x + image * s->H * s->W * s->C + c, s->C, h0 - 1, w0 - 1, TILE, d);
        for (int column = 0; column < TILE; ++column) {
            transform_input(d + column, TILE, half + column, TILE);
        }
        for (int line = 0; line < TILE; ++line) {
            transform_input(half + line * TILE, 1, full + line * TILE, 1);
        }
        for (int position = 0; position < POSITIONS; ++position) {
            vec_store(U + position * position_step(n * s->C) + row * s->C + c, full[position]);
        }
    }
    for (int64_t o = 0; o < s->O; o += LANES) {
        load_square(s, g_y + image * s->H * s->W * s->O + o, s->O, h0, w0, OUT, d);
        for (int column = 0; column < OUT; ++column) {
            transform_output_adjoint(d + column, OUT, half + column, OUT);
        }
        for (int line = 0; line < TILE; ++line) {
            transform_output_adjoint(half + line * OUT, 1, full + line * TILE, 1);
        }
        for (int position = 0; position < POSITIONS; ++position) {
            vec_store(D + position * position_step(n * s->O) + row * s->O + o, full[position]);
        }
    }
}

/* g_w (O,3,3,C) from S[position][O][C]: 16 input channels at a time. */
static void transform_back(const ho_conv_shape *s, const float *S, float *g_w) {
#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < s->O; ++o) {
        for (int64_t c = 0; c < s->C; c += LANES) {
            vec m[POSITIONS], half[3 * TILE], full[9];
            for (int position = 0; position < POSITIONS; ++position) {
                m[position] = vec_load(S + position * position_step(s->O * s->C) + o * s->C + c);
            }
            for (int column = 0; column < TILE; ++column) {
                transform_filter_adjoint(m + column, TILE, half + column, TILE);
            }
            for (int line = 0; line < 3; ++line) {
                transform_filter_adjoint(half + line * TILE, 1, full + line * 3, 1);
            }
            for (int tap = 0; tap < 9; ++tap) {
                vec_store(g_w + (o * 9 + tap) * s->C + c, full[tap]);
            }
        }
    }
}

/* S[position] (O, C) (+)= D[position]^T U[position] over n tiles. */
static void add_products(const ho_conv_shape *s, const float *U, const float *D, int64_t n, bool add, float *S) {
#pragma omp parallel for schedule(static)
    for (int64_t position = 0; position < POSITIONS; ++position) {
        const float *D_at = D + position * position_step(n * s->O), *U_at = U + position * position_step(n * s->C);
        float *S_at = S + position * position_step(s->O * s->C);
        for (int64_t c = 0; c < s->C; c += PANEL) {
            const int64_t width = s->C - c < PANEL ? s->C - c : PANEL;
            const product all = {D_at, U_at + c, S_at + c, 1, s->O, s->C, s->C, n, add};
            ho_winograd_product(&all, s->O, width);
        }
    }
}

ho_status ho_winograd_backward_weights(ho_device *device, const ho_conv_shape *s, const float *x, const float *g_y,
                                       float *g_w) {
    const tiling t = {s, (s->H + OUT - 1) / OUT, (s->W + OUT - 1) / OUT};
    const int64_t tiles = s->N * t.tiles_down * t.tiles_across;
    const int64_t wanted = ((int64_t)4 << 20) / (POSITIONS * (s->C + s->O) * (int64_t)sizeof(float));
    const int64_t block = wanted < 64 ? 64 : wanted > 512 ? 512 : wanted;
    void *workspace = NULL;
    const int64_t n_sums = POSITIONS * position_step(s->C * s->O);
    const int64_t n_tiles = POSITIONS * (position_step(block * s->C) + position_step(block * s->O));
    HO_TRY(ho_cpu_workspace(device, (size_t)(n_sums + n_tiles) * sizeof(float), &workspace));
    float *S = workspace, *U = S + n_sums;
    for (int64_t first = 0; first < tiles; first += block) {
        const int64_t n = tiles - first < block ? tiles - first : block;
        float *D = U + POSITIONS * position_step(n * s->C);
#pragma omp parallel for schedule(static)
        for (int64_t row = 0; row < n; ++row) {
            transform_tile(&t, x, g_y, first + row, row, n, U, D);
        }
        add_products(s, U, D, n, first > 0, S);
    }
    transform_back(s, S, g_w);
    return HO_OK;
}

#endif
