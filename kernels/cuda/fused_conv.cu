/* The 3x3 modulated convolution without a weight tensor per sample, in one kernel:
 *   y[n,p,o] = epilogue(sum_{k,l,c} s[n,c] x[n,p + (k,l) - 1,c] w[o,k,l,c])
 * x, w and noise are read and y is written, each value once from memory; what blocks share comes from the L2 cache.
 *
 * Tiles: 8 x 16 pixels (MF 2) and 64 channels (NF 8), or 32 for layers of at most 32 channels and where blocks would be
 * too few to fill the GPU. A warp's 32 pixels x 64 channels take 64 registers of sums; a chunk of 16 channels brings 48
 * KB and gives 1.2 million multiply-adds, 24 a byte, and two blocks a multiprocessor fit into 227 KB. */
#include "fused_conv.h"

#include <limits.h>
#include <stddef.h>

#include "fused_epilogue.h"
#include "fused_tile.h"
#include "handsoff/kernel.h"

typedef struct {
    ho_conv_epilogue e;
    float *y;
    bool pairs; /* O is even and y aligned to 8 bytes */
} forward_result;

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
            const float a = ho_fused_value(to.e, c[0], ho_fused_demodulation(to.e, at.n, o, p.O), plane,
                                           ho_fused_bias(to.e, o, p.O));
            const float b = ho_fused_value(to.e, c[1], ho_fused_demodulation(to.e, at.n, o + 1, p.O), plane,
                                           ho_fused_bias(to.e, o + 1, p.O));
            ho_store_pair(y + o, make_float2(a, b), p.O - o, to.pairs);
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
    if (ho_tile_wide(s->N, s->H, s->W, s->O)) {
        return bf16 ? forward_launch<ho_bf16, 8>(stream, s, p, &to) : forward_launch<ho_tf32, 8>(stream, s, p, &to);
    }
    return bf16 ? forward_launch<ho_bf16, 4>(stream, s, p, &to) : forward_launch<ho_tf32, 4>(stream, s, p, &to);
}
