/* The gradients of the input and of the style of the 3x3 modulated convolution (fused_conv.cu, fused_up.cu), in one
 * kernel: plain        g_xs[n,p,c] = sum_{k,l,o} g[n,p - (k,l) + 1,o] w[o,k,l,c]    the same product, weights swapped
 * and turned up-sampling  g_xs[n,p,c] = sum_{k,l,o} g_t[n,2p + (k,l),o] w[o,k,l,c]     from the gradient of t
 * (N,2H+1,2W+1,O) g_x = g_xs s,  g_s[n,c] = sum_p g_xs x g, w and x are read and g_x is written, each value once from
 * memory. g_s: each block writes the sum over its pixels, a second kernel adds them in order, so that two runs agree
 * bit for bit.
 *
 * Tiles as in fused_conv.cu; up-sampling has an image tile four times as large: 4 x 16 pixels (MF 1), 32 channels. */
#include "fused_conv.h"

#include <stddef.h>

#include "fused_tile.h"

enum { SWAP = 32, WIDTH = 256 };

typedef struct {
    const float *x, *s; /* (N,H,W,C), (N,C) or NULL */
    float *g_x, *part;  /* (N,H,W,C) or NULL; (N, tiles, C) or NULL */
    bool accumulate;
    bool pairs; /* C is even, x and g_x aligned to 8 bytes */
} gradient_result;

/* g_x at channels o, o + 1 of one pixel, which lie at `at`, from v = g_xs; adds to sum what goes into g_s. */
HO_DEVICE void gradient_pair(const gradient_result &to, int64_t at, int count, float2 s, float2 v, float2 *sum) {
    float2 x = make_float2(0.0F, 0.0F), old = x;
    if (to.part != NULL) {
        x = ho_load_pair(to.x + at, count, to.pairs);
    }
    if (to.g_x != NULL) {
        if (to.accumulate) {
            old = ho_load_pair(to.g_x + at, count, to.pairs);
        }
        ho_store_pair(to.g_x + at, make_float2(old.x + v.x * s.x, old.y + v.y * s.y), count, to.pairs);
    }
    sum->x += v.x * x.x;
    sum->y += v.y * x.y;
}

/* The sum over the eight lanes that hold other pixels of the same channels. */
HO_DEVICE float pixel_sum(float v) {
    for (int other = 4; other < 32; other *= 2) {
        v += __shfl_xor_sync(0xffffffffU, v, other);
    }
    return v;
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
    /* `sums` (warp, channel) lies where the raw values did, which nobody reads after the last barrier of the product.
     */
#pragma unroll
    for (int f = 0; f < NF; ++f) {
        const int channel = 8 * f + 2 * (lane % 4), count = p.O - at.o - channel;
        const float *style = to.s + at.n * p.O + at.o + channel;
        const float2 s =
            make_float2(to.s != NULL && count > 0 ? style[0] : 1.0F, to.s != NULL && count > 1 ? style[1] : 1.0F);
        float2 sum = make_float2(0.0F, 0.0F);
#pragma unroll
        for (int i = 0; i < MF * 2; ++i) {
            const int h = row + i / 2, w = column + 8 * (i % 2);
            const float *v = acc[0][i / 2][f] + 2 * (i % 2);
            if (h < P && w < Q) {
                gradient_pair(to, ((at.n * P + h) * Q + w) * p.O + at.o + channel, count, s, make_float2(v[0], v[1]),
                              &sum);
            }
        }
        sum = make_float2(pixel_sum(sum.x), pixel_sum(sum.y));
        if (lane < 4) {
            *(float2 *)(sums + warp * 8 * NF + channel) = sum;
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
    return ho_tile_wide(s->N, s->H, s->W, s->C) ? gradient_launch<T, HO_PLAIN, 2, 8>(stream, s, *p, to)
                                                : gradient_launch<T, HO_PLAIN, 2, 4>(stream, s, *p, to);
}

ho_status ho_k_fused_input_gradient(ho_stream stream, const ho_fused_shape *s, bool bf16, const ho_fused_gradients *g,
                                    ho_real *scratch) {
    float *swapped = scratch, *part = g->g_scale != NULL ? scratch + swapped_size(s) : NULL;
    const dim3 squares((unsigned)((s->C + SWAP - 1) / SWAP), (unsigned)((s->O + SWAP - 1) / SWAP), HO_TAPS);
    const bool vector = s->O % 4 == 0 && ho_aligned16(g->g_y, swapped);
    const int H = (int)(s->up ? 2 * s->H + 1 : s->H), W = (int)(s->up ? 2 * s->W + 1 : s->W);
    const ho_product p = {g->g_y, NULL, swapped, H, W, (int)s->O, (int)s->C, 0, 0, 0, vector};
    const bool pairs = s->C % 2 == 0 && (((uintptr_t)g->x | (uintptr_t)g->g_x) & 7) == 0;
    const gradient_result to = {g->x, g->x_scale, g->g_x, part, g->accumulate_x, pairs};
    fused_swap<<<squares, dim3(SWAP, 8), 0, stream>>>((int)s->O, (int)s->C, !s->up, g->w, swapped);
    HO_TRY(HO_LAUNCH_STATUS("fused_swap"));
    HO_TRY(bf16 ? gradient_any<ho_bf16>(stream, s, &p, &to) : gradient_any<ho_tf32>(stream, s, &p, &to));
    if (part != NULL) {
        scale_gradient_total<<<(unsigned)ho_grid(s->N * s->C, WIDTH), WIDTH, 0, stream>>>(
            s->N, gradient_tiles(s), s->C, part, g->accumulate_scale, g->g_scale);
    }
    return HO_LAUNCH_STATUS("scale_gradient_total");
}
