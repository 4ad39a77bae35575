/* The 3x3 modulated convolution without a weight tensor per sample, in one kernel, and the gradient of its input:
 *   y[n,p,o] = epilogue(sum_{k,l,c} s[n,c] x[n,p + (k,l) - 1,c] w[o,k,l,c])
 *   g_xs[n,p,c] = sum_{k,l,o} g[n,p - (k,l) + 1,o] w[o,k,l,c]          the same product, weights swapped and turned
 *   g_xs[n,p,c] = sum_{k,l,o} g_t[n,2p + (k,l),o] w[o,k,l,c]           up-sampling: from the gradient of t
 * (fused_up.cu) g_x = g_xs s,  g_s[n,c] = sum_p g_xs x Forward reads x and w, writes y; the gradient reads g, w and x,
 * writes g_x: each value once from memory, what blocks share comes from the L2 cache. g_s: each block writes the sum
 * over its pixels, a second kernel adds them in order.
 *
 * Tiles: 8 x 16 pixels (MF 2) and 64 channels (NF 8) or 32, for layers of at most 32 channels and where blocks would be
 * too few to fill the GPU. A warp's 32 pixels x 64 channels take 64 registers of sums; a chunk of 16 channels
 * brings 48 KB and gives 1.2 million multiply-adds, 24 a byte, and two blocks a multiprocessor fit into 227 KB. The
 * gradient of the up-sampling form has an image tile four times as large: 4 x 16 pixels (MF 1), 32 channels. */
#include "fused_conv.h"

#include <limits.h>
#include <stddef.h>

#include "fused_epilogue.h"
#include "fused_tile.h"
#include "handsoff/kernel.h"

enum { SWAP = 32, WIDTH = 256, ENOUGH_BLOCKS = 264 }; /* two blocks for each multiprocessor of an H100 */

typedef struct {
    ho_conv_epilogue e;
    float *y;
    bool pairs; /* O is even and y aligned to 8 bytes */
} forward_result;

typedef struct {
    const float *x, *s; /* (N,H,W,C), (N,C) or NULL */
    float *g_x, *part;  /* (N,H,W,C) or NULL; (N, tiles, C) or NULL */
    bool accumulate;
} gradient_result;

HO_DEVICE void store_pair(float *y, float a, float b, int o, int O, bool pairs) {
    if (pairs) {
        if (o < O) {
            *(float2 *)y = make_float2(a, b);
        }
        return;
    }
    if (o < O) {
        y[0] = a;
    }
    if (o + 1 < O) {
        y[1] = b;
    }
}

/* Fragment c[0..3] of a warp: channels o, o + 1 of pixel g in c[0], c[1], of pixel g + 8 in c[2], c[3]. */
template <class T, int MF, int NF>
__global__ void __launch_bounds__(HO_TILE_THREADS, 2) fused_forward(ho_product p, forward_result to) {
    extern __shared__ float4 shared[];
    float acc[1][MF][NF][4];
    const ho_place at = ho_place_of(&p, blockIdx.x, HO_TILE_WARPS * MF, HO_TILE_COLUMNS, 8 * NF);
    ho_tile_multiply<T, HO_PLAIN, MF, NF>(p, at, (float *)shared, acc);
    const int row = at.h + (int)threadIdx.x / 32 * MF, column = at.w + (int)threadIdx.x % 32 / 4;
#pragma unroll
    for (int i = 0; i < MF * 2; ++i) {
        const int h = row + i / 2, w = column + 8 * (i % 2);
        if (h >= p.H || w >= p.W) {
            continue;
        }
        const int64_t pixel = (int64_t)h * p.W + w;
        const float plane = ho_fused_plane(to.e, at.n, pixel);
        float *y = to.y + (at.n * p.H * p.W + pixel) * p.O;
#pragma unroll
        for (int f = 0; f < NF; ++f) {
            const int o = at.o + 8 * f + 2 * (int)(threadIdx.x % 4);
            const float *c = acc[0][i / 2][f] + 2 * (i % 2);
            store_pair(y + o,
                       ho_fused_value(to.e, c[0], ho_fused_demodulation(to.e, at.n, o, p.O), plane,
                                      ho_fused_bias(to.e, o, p.O)),
                       ho_fused_value(to.e, c[1], ho_fused_demodulation(to.e, at.n, o + 1, p.O), plane,
                                      ho_fused_bias(to.e, o + 1, p.O)),
                       o, p.O, to.pairs);
        }
    }
}

/* g_x at one pixel and channel from v = g_xs; returns what it adds to g_s. */
HO_DEVICE float gradient_value(const gradient_result &to, int64_t at, float s, float v) {
    if (to.g_x != NULL) {
        to.g_x[at] = (to.accumulate ? to.g_x[at] : 0.0F) + v * s;
    }
    return to.part != NULL ? v * to.x[at] : 0.0F;
}

/* p.x is the gradient of y (PLAIN) or t (STRIDED), p.O the channels of x; P x Q the pixels of x. */
template <class T, int MODE, int MF, int NF>
__global__ void __launch_bounds__(HO_TILE_THREADS, 2)
    fused_input_gradient(ho_product p, int P, int Q, gradient_result to) {
    extern __shared__ float4 shared[];
    float acc[1][MF][NF][4], *sums = (float *)shared;
    const ho_place at = ho_place_of(&p, blockIdx.x, HO_TILE_WARPS * MF, HO_TILE_COLUMNS, 8 * NF);
    ho_tile_multiply<T, MODE, MF, NF>(p, at, sums, acc);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = at.h + warp * MF, column = at.w + lane / 4;
    __syncthreads(); /* the operands are done with: `sums` (warp, channel) takes their place */
#pragma unroll
    for (int f = 0; f < NF * 2; ++f) {
        const int o = at.o + 8 * (f / 2) + 2 * (lane % 4) + f % 2;
        const float s = to.s != NULL && o < p.O ? to.s[at.n * p.O + o] : 1.0F;
        float sum = 0.0F;
#pragma unroll
        for (int i = 0; i < MF * 2; ++i) {
            const int h = row + i / 2, w = column + 8 * (i % 2);
            if (h < P && w < Q && o < p.O) {
                const int64_t pixel = (at.n * P + h) * Q + w;
                sum += gradient_value(to, pixel * p.O + o, s, acc[0][i / 2][f / 2][f % 2 + 2 * (i % 2)]);
            }
        }
        for (int other = 4; other < 32; other *= 2) {
            sum += __shfl_xor_sync(0xffffffffU, sum, other);
        }
        if (lane < 4) {
            sums[warp * 8 * NF + 8 * (f / 2) + 2 * lane + f % 2] = sum;
        }
    }
    __syncthreads();
    const int i = threadIdx.x, tiles = p.tiles_h * p.tiles_w;
    if (to.part != NULL && i < 8 * NF && at.o + i < p.O) {
        to.part[(at.n * tiles + at.tile) * p.O + at.o + i] =
            (sums[i] + sums[8 * NF + i]) + (sums[2 * 8 * NF + i] + sums[3 * 8 * NF + i]);
    }
}

HO_KERNEL scale_gradient_total(int64_t N, int64_t tiles, int64_t C, const float *part, bool accumulate, float *g_s) {
    HO_GRID_LOOP (j, N * C) {
        const float *from = part + j / C * tiles * C + j % C;
        float sum = accumulate ? g_s[j] : 0.0F;
        for (int64_t k = 0; k < tiles; ++k) {
            sum += from[k * C];
        }
        g_s[j] = sum;
    }
}

/* (O,9,C) -> (C,9,O); turned: tap 8 - k in the place of tap k. Squares of 32 x 32 through shared memory, lines padded
 * by one so that reading columns has no bank conflict. Block: 32 x 8 threads; blockIdx.z is the tap. */
__global__ void __launch_bounds__(SWAP * 8) fused_swap(int O, int C, bool turned, const float *w, float *swapped) {
    __shared__ float square[SWAP][SWAP + 1];
    const int tap = blockIdx.z, to_tap = turned ? HO_TAPS - 1 - tap : tap;
    const int c0 = blockIdx.x * SWAP, o0 = blockIdx.y * SWAP;
    for (int i = threadIdx.y; i < SWAP; i += 8) {
        const int o = o0 + i, c = c0 + (int)threadIdx.x;
        square[i][threadIdx.x] = o < O && c < C ? w[((int64_t)o * HO_TAPS + tap) * C + c] : 0.0F;
    }
    __syncthreads();
    for (int i = threadIdx.y; i < SWAP; i += 8) {
        const int o = o0 + (int)threadIdx.x, c = c0 + i;
        if (o < O && c < C) {
            swapped[((int64_t)c * HO_TAPS + to_tap) * O + o] = square[threadIdx.x][i];
        }
    }
}

bool ho_k_fused_fits(const ho_fused_shape *s) {
    const int64_t most = (1 << 20) - 64; /* pixels a side, so that 2H + 1 and the tiles of one sample are ints */
    const int64_t tiles = (s->H / 4 + 1) * (s->W / 14 + 1);
    return s->N > 0 && s->H > 0 && s->W > 0 && s->C > 0 && s->O > 0 && s->H < most && s->W < most && s->C < most &&
           s->O < most && s->N <= INT_MAX / tiles / ((s->O > s->C ? s->O : s->C) / 32 + 1);
}

template <class T, int NF>
static ho_status forward_launch(ho_stream stream, const ho_fused_shape *s, ho_product p, const forward_result *to) {
    typedef ho_tile<HO_PLAIN, 2, NF> TILE;
    const int size[3] = {TILE::ROWS, HO_TILE_COLUMNS, TILE::CHANNELS}, bytes = ho_tile_bytes<T, TILE>();
    const int64_t blocks = ho_product_blocks(&p, s->N, s->H, s->W, size);
    HO_LAUNCH_SHARED((fused_forward<T, 2, NF>), blocks, bytes, stream, p, *to);
    return HO_LAUNCH_STATUS("fused_forward");
}

/* Whether blocks of 64 channels are worth it. */
static bool wide(const ho_fused_shape *s, int64_t channels) {
    const int64_t tiles = s->N * ((s->H + 7) / 8) * ((s->W + HO_TILE_COLUMNS - 1) / HO_TILE_COLUMNS);
    return channels > 32 && tiles * ((channels + 63) / 64) >= ENOUGH_BLOCKS;
}

ho_status ho_k_fused_up_forward(ho_stream stream, const ho_fused_shape *s, bool bf16, ho_product p,
                                const ho_conv_epilogue *e, float *y); /* fused_up.cu */

ho_status ho_k_fused_forward(ho_stream stream, const ho_fused_shape *s, bool bf16, const ho_real *x,
                             const ho_real *x_scale, const ho_real *w, const ho_conv_epilogue *epilogue, ho_real *y) {
    const ho_conv_epilogue none = {NULL, NULL, NULL, NULL, 0, 1.0F, 1.0F};
    const bool vector = s->C % 4 == 0 && ho_aligned16(x, w);
    const ho_product p = {x, x_scale, w, (int)s->H, (int)s->W, (int)s->C, (int)s->O, 0, 0, 0, vector};
    if (s->up) {
        return ho_k_fused_up_forward(stream, s, bf16, p, epilogue != NULL ? epilogue : &none, y);
    }
    const forward_result to = {epilogue != NULL ? *epilogue : none, y, s->O % 2 == 0 && ((uintptr_t)y & 7) == 0};
    if (wide(s, s->O)) {
        return bf16 ? forward_launch<ho_bf16, 8>(stream, s, p, &to) : forward_launch<ho_tf32, 8>(stream, s, p, &to);
    }
    return bf16 ? forward_launch<ho_bf16, 4>(stream, s, p, &to) : forward_launch<ho_tf32, 4>(stream, s, p, &to);
}

/* Rows of the grid that one block of the input gradient takes. */
static int64_t gradient_rows(const ho_fused_shape *s) {
    return s->up ? HO_TILE_WARPS : 2 * HO_TILE_WARPS;
}

static int64_t gradient_tiles(const ho_fused_shape *s) {
    const int64_t rows = gradient_rows(s);
    return (s->H + rows - 1) / rows * ((s->W + HO_TILE_COLUMNS - 1) / HO_TILE_COLUMNS);
}

/* Floats of the swapped weights, a multiple of 4, so that what follows is aligned. */
static int64_t swapped_size(const ho_fused_shape *s) {
    return (s->O * HO_TAPS * s->C + 3) / 4 * 4;
}

int64_t ho_k_fused_input_scratch(const ho_fused_shape *s) {
    return swapped_size(s) + s->N * gradient_tiles(s) * s->C;
}

template <class T, int MODE, int MF, int NF>
static ho_status gradient_launch(ho_stream stream, const ho_fused_shape *s, ho_product p, const gradient_result *to) {
    typedef ho_tile<MODE, MF, NF> TILE;
    const int size[3] = {TILE::ROWS, HO_TILE_COLUMNS, TILE::CHANNELS}, bytes = ho_tile_bytes<T, TILE>();
    const int64_t blocks = ho_product_blocks(&p, s->N, s->H, s->W, size);
    HO_LAUNCH_SHARED((fused_input_gradient<T, MODE, MF, NF>), blocks, bytes, stream, p, (int)s->H, (int)s->W, *to);
    return HO_LAUNCH_STATUS("fused_input_gradient");
}

template <class T>
static ho_status gradient_any(ho_stream stream, const ho_fused_shape *s, const ho_product *p,
                              const gradient_result *to) {
    if (s->up) {
        return gradient_launch<T, HO_STRIDED, 1, 4>(stream, s, *p, to);
    }
    return wide(s, s->C) ? gradient_launch<T, HO_PLAIN, 2, 8>(stream, s, *p, to)
                         : gradient_launch<T, HO_PLAIN, 2, 4>(stream, s, *p, to);
}

ho_status ho_k_fused_input_gradient(ho_stream stream, const ho_fused_shape *s, bool bf16, const ho_fused_gradients *g,
                                    ho_real *scratch) {
    float *swapped = scratch, *part = g->g_scale != NULL ? scratch + swapped_size(s) : NULL;
    const dim3 squares((unsigned)((s->C + SWAP - 1) / SWAP), (unsigned)((s->O + SWAP - 1) / SWAP), HO_TAPS);
    const bool vector = s->O % 4 == 0 && ho_aligned16(g->g_y, swapped);
    const int H = (int)(s->up ? 2 * s->H + 1 : s->H), W = (int)(s->up ? 2 * s->W + 1 : s->W);
    const ho_product p = {g->g_y, NULL, swapped, H, W, (int)s->O, (int)s->C, 0, 0, 0, vector};
    const gradient_result to = {g->x, g->x_scale, g->g_x, part, g->accumulate_x};
    fused_swap<<<squares, dim3(SWAP, 8), 0, stream>>>((int)s->O, (int)s->C, !s->up, g->w, swapped);
    HO_TRY(HO_LAUNCH_STATUS("fused_swap"));
    HO_TRY(bf16 ? gradient_any<ho_bf16>(stream, s, &p, &to) : gradient_any<ho_tf32>(stream, s, &p, &to));
    if (part != NULL) {
        scale_gradient_total<<<(unsigned)ho_grid(s->N * s->C, WIDTH), WIDTH, 0, stream>>>(
            s->N, gradient_tiles(s), s->C, part, g->accumulate_scale, g->g_scale);
    }
    return HO_LAUNCH_STATUS("scale_gradient_total");
}
