/* The implicit matrix product that forward and input gradient share. A block of four warps computes 16 columns and
 * 4 MF rows of the image grid, 8 NF output channels, one sample:
 *   acc[phase(k,l)][h,w][o] += sum_c s[n,c] x[n, h', w', c] w[o,k,l,c]   for the nine taps (k,l).
 *   PLAIN    h' = h + k - 1, w' = w + l - 1, one phase:        the convolution with padding 1
 *   STRIDED  h' = 2h + k,    w' = 2w + l,    one phase:        the transposed convolution's gradient
 *   SPREAD   h' = h - (k==2), w' = w - (l==2), phase (k%2,l%2): the transposed convolution: t[2h+k%2, 2w+l%2]
 * Outside the image x is 0. Warp i has MF rows of 16 pixels: one row is one fragment of 16 lines.
 *
 * Chunks of 16 channels go through shared memory: the image tile with its halo, so that a pixel is fetched once and not
 * nine times, and the weights of nine taps. cp.async brings chunk i + 1 as float into `raw` while the warps multiply
 * chunk i out of `ready`; between them one pass rounds each value once (a fragment would do so nine times over, in each
 * warp that reads it) and multiplies x by the style on the way:
 *   wait for the copies, barrier | raw -> scale, round -> ready | barrier | start the copies of i + 1, multiply i
 * Bank conflicts: lines of `ready` are 64 bytes (TF32) or 32 (bf16), dense. A quarter warp reads 16 bytes each of two
 * consecutive lines, a half warp 8 bytes each of four: 128 consecutive bytes either way, each bank once. This is why a
 * chunk has 16 channels and why STRIDED keeps even and odd columns apart (column 2w + l of all w are consecutive). */
#ifndef HANDSOFF_KERNELS_CUDA_FUSED_TILE_H
#define HANDSOFF_KERNELS_CUDA_FUSED_TILE_H

#include "tensor_core.h"

enum { HO_PLAIN, HO_STRIDED, HO_SPREAD };
enum { HO_TILE_THREADS = 128, HO_TILE_WARPS = 4, HO_TILE_COLUMNS = 16, HO_TILE_K = 16, HO_TAPS = 9 };

/* Sizes of a tile; all follow from the template arguments. */
template <int MODE, int MF, int NF> struct ho_tile {
    enum {
        ROWS = HO_TILE_WARPS * MF, /* of the grid */
        STEP = MODE == HO_STRIDED ? 2 : 1,
        HALO = MODE == HO_SPREAD ? 1 : 2, /* rows and columns beyond STEP times the grid's last */
        IMAGE_ROWS = STEP * (ROWS - 1) + 1 + HALO,
        IMAGE_COLUMNS = STEP * (HO_TILE_COLUMNS - 1) + 1 + HALO,
        ODD = (IMAGE_COLUMNS + 1) / 2, /* STRIDED: where the odd columns begin */
        ORIGIN = MODE == HO_STRIDED ? 0 : -1,
        PHASES = MODE == HO_SPREAD ? 4 : 1,
        CHANNELS = 8 * NF,
        IMAGE_LINES = IMAGE_ROWS * IMAGE_COLUMNS,
        LINES = IMAGE_LINES + HO_TAPS * CHANNELS,
        RAW_BYTES = LINES * HO_TILE_K * 4
    };
    static __device__ __forceinline__ constexpr int place(int column) {
        return MODE == HO_STRIDED ? (column & 1) * ODD + column / 2 : column;
    }
    /* Where tap (k, l) of grid pixel (0, 0) lies; the pixels to its right follow. */
    static __device__ __forceinline__ constexpr int tap_line(int k, int l) {
        return MODE == HO_SPREAD ? (k == 2 ? 0 : IMAGE_COLUMNS) + (l == 2 ? 0 : 1) : k * IMAGE_COLUMNS + place(l);
    }
    static __device__ __forceinline__ constexpr int phase(int k, int l) {
        return MODE == HO_SPREAD ? (k & 1) * 2 + (l & 1) : 0;
    }
};

/* Shared memory of a block in bytes. */
template <class T, class TILE> constexpr int ho_tile_bytes() {
    return TILE::RAW_BYTES + TILE::RAW_BYTES / T::PER_WORD;
}

/* What is multiplied. x (N,H,W,C), scale (N,C) or NULL, w (O,9,C). */
typedef struct {
    const float *x, *scale, *w;
    int H, W, C, O;
    int tiles_h, tiles_w, tiles_o; /* blocks of a sample */
    bool vector;                   /* C is a multiple of 4, x and w are aligned to 16 bytes */
} ho_product;

/* Which part a block computes: sample n, grid pixel (h, w), channel o. Channels go fastest: the blocks that read the
 * same pixels run at the same time, the second finds them in the L2 cache. */
typedef struct {
    int64_t n;
    int h, w, o, tile; /* tile: number among the sample's image tiles */
} ho_place;

HO_DEVICE ho_place ho_place_of(const ho_product *p, int64_t block, int rows, int columns, int channels) {
    const int64_t rest = block / p->tiles_o;
    const int tiles = p->tiles_h * p->tiles_w;
    ho_place at;
    at.o = (int)(block % p->tiles_o) * channels;
    at.n = rest / tiles;
    at.tile = (int)(rest % tiles);
    at.h = at.tile / p->tiles_w * rows;
    at.w = at.tile % p->tiles_w * columns;
    return at;
}

/* Starts the copies of the chunk that begins at channel c0. */
template <class TILE, int MODE>
static __device__ __forceinline__ void ho_tile_fetch(const ho_product &p, const ho_place &at, int c0, float *raw) {
    const float *image = p.x + at.n * p.H * p.W * p.C;
    const int h0 = TILE::STEP * at.h + TILE::ORIGIN, w0 = TILE::STEP * at.w + TILE::ORIGIN;
    const int quad = threadIdx.x % 4, count = p.C - c0 - 4 * quad;
    for (int i = threadIdx.x / 4; i < TILE::IMAGE_LINES; i += HO_TILE_THREADS / 4) {
        const int row = i / TILE::IMAGE_COLUMNS, column = i % TILE::IMAGE_COLUMNS, h = h0 + row, w = w0 + column;
        const bool inside = h >= 0 && h < p.H && w >= 0 && w < p.W;
        float *to = raw + (row * TILE::IMAGE_COLUMNS + TILE::place(column)) * HO_TILE_K + 4 * quad;
        ho_copy_quad(to, image + ((int64_t)h * p.W + w) * p.C + c0 + 4 * quad, inside ? count : 0, p.vector, p.x);
    }
    raw += TILE::IMAGE_LINES * HO_TILE_K;
    for (int i = threadIdx.x / 4; i < HO_TAPS * TILE::CHANNELS; i += HO_TILE_THREADS / 4) {
        const int tap = i / TILE::CHANNELS, o = at.o + i % TILE::CHANNELS;
        ho_copy_quad(raw + i * HO_TILE_K + 4 * quad, p.w + ((int64_t)o * HO_TAPS + tap) * p.C + c0 + 4 * quad,
                     o < p.O ? count : 0, p.vector, p.w);
    }
}

/* The four styles that this thread's channels of a chunk are multiplied by. */
HO_DEVICE float4 ho_tile_scale(const ho_product &p, int64_t n, int c0) {
    float s[4] = {1.0F, 1.0F, 1.0F, 1.0F};
    if (p.scale != NULL) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            const int c = c0 + 4 * (int)(threadIdx.x % 4) + e;
            s[e] = c < p.C ? p.scale[n * p.C + c] : 0.0F;
        }
    }
    return make_float4(s[0], s[1], s[2], s[3]);
}

template <class T, class TILE>
static __device__ __forceinline__ void ho_tile_round(const float *raw, float4 s, typename T::quad *ready) {
    const float4 *from = (const float4 *)raw;
    for (int i = threadIdx.x; i < TILE::IMAGE_LINES * 4; i += HO_TILE_THREADS) {
        const float4 v = from[i];
        ready[i] = T::round(make_float4(v.x * s.x, v.y * s.y, v.z * s.z, v.w * s.w));
    }
    for (int i = TILE::IMAGE_LINES * 4 + threadIdx.x; i < TILE::LINES * 4; i += HO_TILE_THREADS) {
        ready[i] = T::round(from[i]);
    }
}

/* One tap of a chunk: all fragments of the warp. */
template <class T, int MF, int NF>
static __device__ __forceinline__ void ho_tile_tap(const typename T::quad *image, int row_lines,
                                                   const typename T::quad *weights, float (*acc)[NF][4]) {
    typename T::quad b[NF];
#pragma unroll
    for (int f = 0; f < NF; ++f) {
        b[f] = weights[f * 8 * 4];
    }
#pragma unroll
    for (int m = 0; m < MF; ++m) {
        const typename T::quad low = image[m * row_lines * 4], high = image[m * row_lines * 4 + 8 * 4];
#pragma unroll
        for (int f = 0; f < NF; ++f) {
            T::multiply(acc[m][f], low, high, b[f]);
        }
    }
}

/* acc = the product; shared memory may be used for something else after a barrier. */
template <class T, int MODE, int MF, int NF>
static __device__ __forceinline__ void ho_tile_multiply(const ho_product &p, const ho_place &at, float *raw,
                                                        float (*acc)[MF][NF][4]) {
    typedef ho_tile<MODE, MF, NF> TILE;
    typedef typename T::quad quad;
    quad *ready = (quad *)(raw + TILE::LINES * HO_TILE_K);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32; /* lane = 4 g + t: line g, quad t */
    const quad *image = ready + warp * MF * TILE::STEP * TILE::IMAGE_COLUMNS * 4 + lane;
    const quad *weights = ready + TILE::IMAGE_LINES * 4 + lane;
#pragma unroll
    for (int i = 0; i < TILE::PHASES * MF * NF * 4; ++i) {
        (&acc[0][0][0][0])[i] = 0.0F;
    }
    ho_tile_fetch<TILE, MODE>(p, at, 0, raw);
    for (int c0 = 0; c0 < p.C; c0 += HO_TILE_K) {
        const float4 s = ho_tile_scale(p, at.n, c0);
        ho_copies_wait();
        __syncthreads();
        ho_tile_round<T, TILE>(raw, s, ready);
        __syncthreads();
        if (c0 + HO_TILE_K < p.C) {
            ho_tile_fetch<TILE, MODE>(p, at, c0 + HO_TILE_K, raw);
        }
#pragma unroll(MODE == HO_SPREAD ? 3 : 1) /* the phase of a tap must be known to the compiler */
        for (int k = 0; k < 3; ++k) {
#pragma unroll
            for (int l = 0; l < 3; ++l) {
                ho_tile_tap<T, MF, NF>(image + TILE::tap_line(k, l) * 4, TILE::STEP * TILE::IMAGE_COLUMNS,
                                       weights + (3 * k + l) * TILE::CHANNELS * 4, acc[TILE::phase(k, l)]);
            }
        }
    }
}

/* Two neighbouring channels, as a fragment's lane holds them, of which `count` (any number) exist. pairs: all addresses
 * are aligned to 8 bytes, and count is even. */
HO_DEVICE float2 ho_load_pair(const float *from, int count, bool pairs) {
    if (pairs) {
        return count > 0 ? *(const float2 *)from : make_float2(0.0F, 0.0F);
    }
    return make_float2(count > 0 ? from[0] : 0.0F, count > 1 ? from[1] : 0.0F);
}
HO_DEVICE void ho_store_pair(float *to, float2 v, int count, bool pairs) {
    if (pairs) {
        if (count > 0) {
            *(float2 *)to = v;
        }
        return;
    }
    if (count > 0) {
        to[0] = v.x;
    }
    if (count > 1) {
        to[1] = v.y;
    }
}

/* Blocks of the launch, and the rest of p: `rows` x `columns` of the grid and `channels` go to one block. */
static inline int64_t ho_product_blocks(ho_product *p, int64_t N, int64_t P, int64_t Q, const int size[3]) {
    p->tiles_h = (int)((P + size[0] - 1) / size[0]);
    p->tiles_w = (int)((Q + size[1] - 1) / size[1]);
    p->tiles_o = (p->O + size[2] - 1) / size[2];
    return N * p->tiles_h * p->tiles_w * p->tiles_o;
}
static inline bool ho_aligned16(const void *a, const void *b) {
    return (((uintptr_t)a | (uintptr_t)b) & 15) == 0;
}

/* Whether blocks of 64 channels (NF 8, MF 2) leave two for each multiprocessor of an H100. */
static inline bool ho_tile_wide(int64_t N, int64_t P, int64_t Q, int64_t channels) {
    const int64_t tiles = N * ((P + 7) / 8) * ((Q + HO_TILE_COLUMNS - 1) / HO_TILE_COLUMNS);
    return channels > 32 && tiles * ((channels + 63) / 64) >= 2 * 132;
}

/* One launch with dynamic shared memory above 48 KB. */
#define HO_LAUNCH_SHARED(kernel, blocks, bytes, stream, ...)                                                           \
    do {                                                                                                               \
        const cudaError_t limit_ = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);   \
        if (limit_ != cudaSuccess) {                                                                                   \
            HO_FAIL(HO_EDEVICE, "%d bytes of shared memory a block: %s", bytes, cudaGetErrorString(limit_));           \
        }                                                                                                              \
        kernel<<<(unsigned)(blocks), HO_TILE_THREADS, bytes, stream>>>(__VA_ARGS__);                                   \
    } while (0)

#endif
