/* Winograd's convolution, forward and gradient of the input; see winograd.h. The gradient of the input is the same
 * convolution with the filters turned by 180 degrees and the channel roles exchanged.
 *
 * Work is cut into blocks of tiles. A thread transforms the tiles of its block, multiplies them with the 36 transformed
 * weight matrices, and transforms the results back, so that both intermediate arrays stay in its cache. */
#include "winograd.h"

#ifndef HO_REAL_DOUBLE

#include <omp.h>

#include "winograd_product.h"

typedef struct {
    const ho_conv_shape *s;
    int64_t C, O; /* channels of what is read and what is written: exchanged for the gradient of the input */
    int64_t tiles_down, tiles_across, tiles, block;
} plan;

bool ho_winograd_fits(const ho_conv_shape *s) {
    const int64_t tiles = s->N * ((s->H + OUT - 1) / OUT) * ((s->W + OUT - 1) / OUT);
    return s->kernel == 3 && s->stride == 1 && s->pad == 1 && s->dilation == 1 && s->C % LANES == 0 &&
           s->O % LANES == 0 && tiles >= 32 && s->C * s->O <= 4096 * tiles;
}

bool ho_winograd_fits_weights(const ho_conv_shape *s) {
    return ho_winograd_fits(s) && s->C >= 64 && s->O >= 64;
}

/* Tiles a block: both intermediates within about 2 MB, in multiples of what the inner product takes at once. */
static int64_t block_tiles(int64_t tiles, int64_t channels) {
    const int64_t bytes_per_tile = POSITIONS * channels * (int64_t)sizeof(float);
    int64_t block = ((int64_t)2 << 20) / bytes_per_tile / 24 * 24;
    block = block < 24 ? 24 : block > 120 ? 120 : block;
    const int64_t half = (tiles + 1) / 2; /* at least two blocks: a function of the shape, not of the thread count */
    return block < half ? block : half;
}

/* Sixteen outputs of 3x3 taps for input i: each tap a vector over outputs. */
typedef vec taps[9];

/* w (O,3,3,C), outputs o..o+15, inputs c..c+15, as taps over outputs for each input; reads along c, as w lies in
 * memory. */
static void load_taps(const ho_conv_shape *s, const float *w, int64_t o, int64_t c, taps *of_input) {
    for (int lane = 0; lane < LANES; ++lane) {
        for (int tap = 0; tap < 9; ++tap) {
            const float *from = w + ((o + lane) * 9 + tap) * s->C + c;
            for (int i = 0; i < LANES; ++i) {
                of_input[i][tap][lane] = from[i];
            }
        }
    }
}

/* The same for the gradient of the input: the inputs are w's outputs, the outputs w's inputs, taps turned by 180
 * degrees. */
static void load_taps_turned(const ho_conv_shape *s, const float *w, int64_t c, int64_t o, taps *of_input) {
    for (int i = 0; i < LANES; ++i) {
        for (int tap = 0; tap < 9; ++tap) {
            of_input[i][tap] = vec_load(w + ((o + i) * 9 + 8 - tap) * s->C + c);
        }
    }
}

/* w -> V[position][panel of at most 64 outputs][input][width of the panel], each panel contiguous. */
static void transform_weights(const ho_conv_shape *s, const float *w, bool turned, float *V) {
    const int64_t in = turned ? s->O : s->C, out = turned ? s->C : s->O, step = position_step(in * out);
    const int64_t in_blocks = in / LANES, out_blocks = out / LANES;
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < in_blocks * out_blocks; ++block) {
        const int64_t i0 = block % in_blocks * LANES, o = block / in_blocks * LANES;
        taps of_input[LANES];
        if (turned) {
            load_taps_turned(s, w, o, i0, of_input);
        } else {
            load_taps(s, w, o, i0, of_input);
        }
        for (int i = 0; i < LANES; ++i) {
            vec half[TILE * 3], full[POSITIONS];
            for (int column = 0; column < 3; ++column) {
                transform_filter(of_input[i] + column, 3, half + column, 3);
            }
            for (int row = 0; row < TILE; ++row) {
                transform_filter(half + row * 3, 1, full + row * TILE, 1);
            }
            for (int position = 0; position < POSITIONS; ++position) {
                vec_store(V + position * step + panel_offset(in, out, i0 + i, o), full[position]);
            }
        }
    }
}

/* The 6x6 pixels under tile (n, down, across), 16 channels, zero outside the image. */
static inline void load_tile(const plan *p, const float *x, int64_t tile, int64_t c, vec *d) {
    const int64_t H = p->s->H, W = p->s->W;
    const int64_t n = tile / (p->tiles_down * p->tiles_across), at = tile % (p->tiles_down * p->tiles_across);
    const int64_t h0 = at / p->tiles_across * OUT - 1, w0 = at % p->tiles_across * OUT - 1;
    const float *origin = x + ((n * H + h0) * W + w0) * p->C + c;
    if (h0 >= 0 && w0 >= 0 && h0 + TILE <= H && w0 + TILE <= W) {
        for (int i = 0; i < POSITIONS; ++i) {
            d[i] = vec_load(origin + (i / TILE * W + i % TILE) * p->C);
        }
        return;
    }
    for (int i = 0; i < POSITIONS; ++i) {
        const int64_t h = h0 + i / TILE, v = w0 + i % TILE;
        d[i] = h >= 0 && h < H && v >= 0 && v < W ? vec_load(origin + (i / TILE * W + i % TILE) * p->C) : (vec){0};
    }
}

/* U[position][row][C] for the tiles first..first+n of x. */
static void gather(const plan *p, const float *x, int64_t first, int64_t n, float *U) {
    for (int64_t row = 0; row < n; ++row) {
        for (int64_t c = 0; c < p->C; c += LANES) {
            vec d[POSITIONS], half[POSITIONS], full[POSITIONS];
            load_tile(p, x, first + row, c, d);
            for (int column = 0; column < TILE; ++column) {
                transform_input(d + column, TILE, half + column, TILE);
            }
            for (int line = 0; line < TILE; ++line) {
                transform_input(half + line * TILE, 1, full + line * TILE, 1);
            }
            for (int position = 0; position < POSITIONS; ++position) {
                vec_store(U + position * position_step(n * p->C) + row * p->C + c, full[position]);
            }
        }
    }
}

/* Outputs of the tiles from M[position][row][O]. */
static void scatter(const plan *p, const float *M, int64_t first, int64_t n, float *y) {
    const int64_t H = p->s->H, W = p->s->W;
    for (int64_t row = 0; row < n; ++row) {
        const int64_t per_image = p->tiles_down * p->tiles_across, at = (first + row) % per_image;
        const int64_t h0 = at / p->tiles_across * OUT, w0 = at % p->tiles_across * OUT;
        const int64_t rows = H - h0 < OUT ? H - h0 : OUT, columns = W - w0 < OUT ? W - w0 : OUT;
        float *origin = y + (((first + row) / per_image * H + h0) * W + w0) * p->O;
        for (int64_t o = 0; o < p->O; o += LANES) {
            vec m[POSITIONS], half[OUT * TILE], full[OUT * OUT];
            for (int position = 0; position < POSITIONS; ++position) {
                m[position] = vec_load(M + position * position_step(n * p->O) + row * p->O + o);
            }
            for (int column = 0; column < TILE; ++column) {
                transform_output(m + column, TILE, half + column, TILE);
            }
            for (int line = 0; line < OUT; ++line) {
                transform_output(half + line * TILE, 1, full + line * OUT, 1);
            }
            for (int64_t h = 0; h < rows; ++h) {
                for (int64_t v = 0; v < columns; ++v) {
                    vec_store(origin + (h * W + v) * p->O + o, full[h * OUT + v]);
                }
            }
        }
    }
}

static void run_block(const plan *p, const float *x, const float *V, int64_t first, float *U, float *y) {
    const int64_t n = p->tiles - first < p->block ? p->tiles - first : p->block;
    float *M = U + POSITIONS * position_step(p->block * p->C);
    gather(p, x, first, n, U);
    for (int64_t position = 0; position < POSITIONS; ++position) {
        const float *U_at = U + position * position_step(n * p->C);
        const float *V_at = V + position * position_step(p->C * p->O);
        float *M_at = M + position * position_step(n * p->O);
        for (int64_t o = 0; o < p->O; o += PANEL) {
            const int64_t width = p->O - o < PANEL ? p->O - o : PANEL;
            const product all = {U_at, V_at + o * p->C, M_at + o, p->C, 1, width, p->O, p->C, 0};
            ho_winograd_product(&all, n, width);
        }
    }
    scatter(p, M, first, n, y);
}

/* y = conv(x, w) with the weights transformed for this direction. */
static ho_status convolve(ho_device *device, const ho_conv_shape *s, const float *x, const float *w, bool turned,
                          float *y) {
    plan p = {.s = s, .C = turned ? s->O : s->C, .O = turned ? s->C : s->O};
    p.tiles_down = (s->H + OUT - 1) / OUT;
    p.tiles_across = (s->W + OUT - 1) / OUT;
    p.tiles = s->N * p.tiles_down * p.tiles_across;
    p.block = block_tiles(p.tiles, s->C + s->O);
    const int64_t n_weights = POSITIONS * position_step(s->C * s->O);
    const int64_t per_thread = POSITIONS * (position_step(p.block * s->C) + position_step(p.block * s->O));
    void *workspace = NULL;
    HO_TRY(
        ho_cpu_workspace(device, (size_t)(n_weights + per_thread * omp_get_max_threads()) * sizeof(float), &workspace));
    float *V = workspace;
    transform_weights(s, w, turned, V);
    const int64_t blocks = (p.tiles + p.block - 1) / p.block;
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < blocks; ++i) {
        run_block(&p, x, V, i * p.block, V + n_weights + per_thread * omp_get_thread_num(), y);
    }
    return HO_OK;
}

ho_status ho_winograd_forward(ho_device *device, const ho_conv_shape *s, const float *x, const float *w, float *y) {
    return convolve(device, s, x, w, false, y);
}

ho_status ho_winograd_backward_data(ho_device *device, const ho_conv_shape *s, const float *g_y, const float *w,
                                    float *g_x) {
    return convolve(device, s, g_y, w, true, g_x);
}

#endif
