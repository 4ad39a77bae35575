/* The up-sampling form in one kernel: transposed convolution with stride 2, filter, epilogue.
 *   t[n,2h+k,2w+l,o] += sum_c s[n,c] x[n,h,w,c] w[o,k,l,c]       t (N,2H+1,2W+1,O), never in memory
 *   c[n,p,q,o] = sum_{i,j<4} f[i] f[j] t[n,p+i-1,q+j-1,o],       f = [1,3,3,1]/4, t = 0 outside
 *   y = epilogue(c)                                              y (N,2H,2W,O)
 * Two ways have no intermediate in memory. Folding f into the weights gives four 3x3 convolutions, one for each parity
 * of (p, q): 9 products an output pixel and channel pair instead of the 9/4 of the transposed convolution, which puts
 * every layer from 64 to 1024 pixels at 78 us on an H100 (38.7 GFLOP, 494.7 TFLOP/s), where memory takes 61 us at 1024
 * pixels and 16 us at 256. Here a block computes its part of t with a halo, keeps it in shared memory and filters it
 * there: 8 x 16 grid pixels give 16 x 32 of t and 12 x 28 outputs, so that 9/4 becomes 3.4, 30 us, below or near the
 * memory's time from 256 pixels up.
 *
 * Outputs 12 i .. 12 i + 11 need t from 12 i - 1 to 12 i + 13: the grid tile begins at 6 i - 1 (columns: 14 j - 1).
 * What lies outside the image is 0 because x is. A thread has four channels of one output row and slides along it: one
 * vertical sum of four lines a column, the last four columns in registers.
 *
 * Lines of t in shared memory are 36 floats for 32 channels: a warp stores pairs of 4 (t) channels of 8 pixels two
 * lines apart, and 72 g + 2 t mod 32 = 8 g + 2 t hits each bank once a half warp; reading, 8 threads take 128 bytes of
 * one line. */
#include "fused_conv.h"

#include <stddef.h>

#include "fused_epilogue.h"
#include "fused_tile.h"

enum { MF = 2, NF = 4, LINE = 36, T_ROWS = 16, T_COLUMNS = 32, OUT_ROWS = 12, OUT_COLUMNS = 28 };
enum { T_BYTES = T_ROWS * T_COLUMNS * LINE * 4, QUADS = 8 * NF / 4 };

HO_DEVICE float4 filter_sum(float4 a, float4 b, float4 c, float4 d) {
    return make_float4(0.25F * (a.x + d.x) + 0.75F * (b.x + c.x), 0.25F * (a.y + d.y) + 0.75F * (b.y + c.y),
                       0.25F * (a.z + d.z) + 0.75F * (b.z + c.z), 0.25F * (a.w + d.w) + 0.75F * (b.w + c.w));
}

/* The vertical sum of lines row .. row + 3 of one column; t points to this thread's channels. */
HO_DEVICE float4 filter_column(const float *t, int row, int column) {
    const float4 *from = (const float4 *)(t + (row * T_COLUMNS + column) * LINE);
    const int step = T_COLUMNS * LINE / 4;
    return filter_sum(from[0], from[step], from[2 * step], from[3 * step]);
}

typedef struct {
    ho_conv_epilogue e;
    float *y;
    bool quads; /* O is a multiple of 4, y aligned to 16 bytes */
} up_result;

HO_DEVICE void store_quad(const up_result &to, float *y, float4 v, int count) {
    if (to.quads) {
        *(float4 *)y = v;
        return;
    }
    const float each[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        if (i < count) {
            y[i] = each[i];
        }
    }
}

/* One output row of the block: row r, channels o .. o + 3, columns w .. w + 27. */
HO_DEVICE void filter_row(const ho_product &p, const up_result &to, const float *t, int64_t n, int h, int w, int r,
                          int o) {
    const int P = 2 * p.H, Q = 2 * p.W;
    float d[4], b[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        d[i] = ho_fused_demodulation(to.e, n, o + i, p.O);
        b[i] = ho_fused_bias(to.e, o + i, p.O);
    }
    const int64_t line = (int64_t)h * Q + w;
    float *y = to.y + (n * P * Q + line) * p.O + o;
    float4 v0 = filter_column(t, r + 1, 1), v1 = filter_column(t, r + 1, 2), v2 = filter_column(t, r + 1, 3);
    for (int q = 0; q < OUT_COLUMNS && w + q < Q; ++q) {
        const float4 v3 = filter_column(t, r + 1, q + 4), c = filter_sum(v0, v1, v2, v3);
        const float plane = ho_fused_plane(to.e, n, line + q);
        store_quad(
            to, y + (int64_t)q * p.O,
            make_float4(ho_fused_value(to.e, c.x, d[0], plane, b[0]), ho_fused_value(to.e, c.y, d[1], plane, b[1]),
                        ho_fused_value(to.e, c.z, d[2], plane, b[2]), ho_fused_value(to.e, c.w, d[3], plane, b[3])),
            p.O - o);
        v0 = v1;
        v1 = v2;
        v2 = v3;
    }
}

template <class T> __global__ void __launch_bounds__(HO_TILE_THREADS, 2) fused_up_forward(ho_product p, up_result to) {
    extern __shared__ float4 shared[];
    float acc[4][MF][NF][4], *t = (float *)shared;
    ho_place at = ho_place_of(&p, blockIdx.x, OUT_ROWS / 2, OUT_COLUMNS / 2, 8 * NF);
    at.h -= 1;
    at.w -= 1;
    ho_tile_multiply<T, HO_SPREAD, MF, NF>(p, at, t, acc);
    __syncthreads(); /* the operands are done with: t takes their place */
    const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, pair = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 4 * MF * 2; ++i) { /* phase, row, half */
        const int phase = i / (MF * 2), m = i / 2 % MF, half = i % 2;
        const int row = 2 * (warp * MF + m) + phase / 2, column = 2 * (g + 8 * half) + phase % 2;
#pragma unroll
        for (int f = 0; f < NF; ++f) {
            *(float2 *)(t + (row * T_COLUMNS + column) * LINE + 8 * f + 2 * pair) =
                make_float2(acc[phase][m][f][2 * half], acc[phase][m][f][2 * half + 1]);
        }
    }
    __syncthreads();
    const int r = threadIdx.x / QUADS, quad = 4 * (threadIdx.x % QUADS), h = 2 * (at.h + 1) + r;
    if (r < OUT_ROWS && h < 2 * p.H && at.o + quad < p.O) {
        filter_row(p, to, t + quad, at.n, h, 2 * (at.w + 1), r, at.o + quad);
    }
}

template <class T>
static ho_status up_launch(ho_stream stream, const ho_fused_shape *s, ho_product p, const up_result *to) {
    typedef ho_tile<HO_SPREAD, MF, NF> TILE;
    const int size[3] = {OUT_ROWS / 2, OUT_COLUMNS / 2, TILE::CHANNELS};
    const int operands = ho_tile_bytes<T, TILE>(), bytes = operands > T_BYTES ? operands : T_BYTES;
    const int64_t blocks = ho_product_blocks(&p, s->N, s->H, s->W, size);
    HO_LAUNCH_SHARED(fused_up_forward<T>, blocks, bytes, stream, p, *to);
    return HO_LAUNCH_STATUS("fused_up_forward");
}

ho_status ho_k_fused_up_forward(ho_stream stream, const ho_fused_shape *s, bool bf16, ho_product p,
                                const ho_conv_epilogue *e, float *y) {
    const up_result to = {*e, y, s->O % 4 == 0 && ((uintptr_t)y & 15) == 0};
    return bf16 ? up_launch<ho_bf16>(stream, s, p, &to) : up_launch<ho_tf32>(stream, s, p, &to);
}
