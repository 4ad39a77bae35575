/* The gradient of the weights of the 3x3 modulated convolution, for all nine taps at once:
 *   plain        g_w[o,k,l,c] = sum_{n,p} g[n,p,o] s[n,c] x[n,p + (k,l) - 1,c]
 *   up-sampling  g_w[o,k,l,c] = sum_{n,p} g_t[n,2p + (k,l),o] s[n,c] x[n,p,c],       g_t (N,2H+1,2W+1,O)
 * A matrix product whose inner index is the pixel p: `fixed` (g; x s) has one line a pixel, `moved` (x s; g_t) nine,
 * shifted. A block computes 32 channels of `fixed` x 32 of `moved` x 9 taps, a warp 32 x 8 x 9 in 72 registers; pixels
 * come in tiles of ROWS x 16 with the halo of `moved`, as in fused_tile.h: cp.async -> raw -> scaled, rounded `ready`
 * -> product. Pixels are split among blocks by a number that follows from the shape; each writes its part (split, O, 9,
 * C), a second kernel adds the parts in order, so that two runs agree bit for bit.
 *
 * In `ready` a word is one channel of one pixel (TF32) or of two (bf16: the same column, ROWS / 2 grid rows apart, so
 * that shifting by a tap shifts both). A fragment's lane (g, t) reads channel g of pixel t: lines of 40 words put that
 * into bank 8 t + g, each bank once. STRIDED keeps even and odd columns apart, so that lines stay consecutive. */
#include "fused_conv.h"

#include <stddef.h>

#include "fused_tile.h"

enum { SIDE = 32, LINE = 40, ENOUGH = 512, WIDTH = 256 };

template <class T, int MODE> struct weights_tile {
    enum {
        ROWS = MODE == HO_STRIDED ? 2 : 4,
        STEP = MODE == HO_STRIDED ? 2 : 1,
        GROUP_ROWS = ROWS / T::PER_WORD, /* rows of words */
        MOVED_COLUMNS = STEP * (HO_TILE_COLUMNS - 1) + 3,
        MOVED_ROWS = STEP * (ROWS - 1) + 3,
        READY_ROWS = STEP * (GROUP_ROWS - 1) + 3,
        FIXED_LINES = ROWS * HO_TILE_COLUMNS,
        RAW_LINES = FIXED_LINES + MOVED_ROWS * MOVED_COLUMNS,
        READY_FIXED = GROUP_ROWS * HO_TILE_COLUMNS,
        READY_LINES = READY_FIXED + READY_ROWS * MOVED_COLUMNS,
        BYTES = (RAW_LINES * SIDE + READY_LINES * LINE) * 4,
        ODD = (MOVED_COLUMNS + 1) / 2,
        ORIGIN = MODE == HO_STRIDED ? 0 : -1
    };
    static __device__ __forceinline__ constexpr int place(int column) {
        return MODE == HO_STRIDED ? (column & 1) * ODD + column / 2 : column;
    }
};

typedef struct {
    const float *x, *scale; /* (N,H,W,C), (N,C) or NULL */
    int H, W, C;
    bool vector;
} image;

typedef struct {
    image fixed, moved;
    int64_t tiles; /* of all samples */
    int tiles_h, tiles_w, blocks_fixed, blocks_moved, splits;
    float *part;                           /* (splits, O, 9, C) */
    int64_t fixed_step, moved_step, count; /* of a channel in part, and of a split */
    int tap_step;
} weights_problem;

/* Starts the copies of rows x columns pixels from (h, w) on, 32 channels from c on. */
template <class TILE, int COLUMNS, int LINES, bool MOVED>
static __device__ __forceinline__ void fetch(const image &im, int64_t n, int h, int w, int c, float *raw) {
    const int quad = threadIdx.x % 8, count = im.C - c - 4 * quad;
    for (int i = threadIdx.x / 8; i < LINES; i += HO_TILE_THREADS / 8) {
        const int row = i / COLUMNS, column = i % COLUMNS, y = h + row, x = w + column;
        const bool inside = y >= 0 && y < im.H && x >= 0 && x < im.W;
        const int line = row * COLUMNS + (MOVED ? TILE::place(column) : column);
        ho_copy_quad(raw + line * SIDE + 4 * quad, im.x + ((n * im.H + y) * im.W + x) * im.C + c + 4 * quad,
                     inside ? count : 0, im.vector, im.x);
    }
}

template <class T, int MODE>
static __device__ __forceinline__ void fetch_tile(const weights_problem &p, int64_t tile, int c_fixed, int c_moved,
                                                  float *raw) {
    typedef weights_tile<T, MODE> TILE;
    const int64_t n = tile / (p.tiles_h * p.tiles_w), in = tile % (p.tiles_h * p.tiles_w);
    const int h = (int)(in / p.tiles_w) * TILE::ROWS, w = (int)(in % p.tiles_w) * HO_TILE_COLUMNS;
    fetch<TILE, HO_TILE_COLUMNS, TILE::FIXED_LINES, false>(p.fixed, n, h, w, c_fixed, raw);
    fetch<TILE, TILE::MOVED_COLUMNS, TILE::MOVED_ROWS * TILE::MOVED_COLUMNS, true>(
        p.moved, n, TILE::STEP * h + TILE::ORIGIN, TILE::STEP * w + TILE::ORIGIN, c_moved,
        raw + TILE::FIXED_LINES * SIDE);
}

/* The scales of this thread's four channels. */
HO_DEVICE float4 scale_of(const image &im, int64_t n, int c) {
    float s[4] = {1.0F, 1.0F, 1.0F, 1.0F};
    if (im.scale != NULL) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            s[e] = c + e < im.C ? im.scale[n * im.C + c + e] : 0.0F;
        }
    }
    return make_float4(s[0], s[1], s[2], s[3]);
}

HO_DEVICE float4 scaled(const float *raw, int at, float4 s) {
    const float4 v = ((const float4 *)raw)[at];
    return make_float4(v.x * s.x, v.y * s.y, v.z * s.z, v.w * s.w);
}

/* `lines` lines of words: word = (line, line + apart) in bf16. */
template <class T>
static __device__ __forceinline__ void round_lines(const float *raw, int lines, int apart, float4 s, uint32_t *ready) {
    for (int i = threadIdx.x; i < lines * (SIDE / 4); i += HO_TILE_THREADS) {
        const float4 v = scaled(raw, i, s);
        uint4 words;
        if (T::PER_WORD == 1) {
            words = make_uint4(ho_round_tf32(v.x), ho_round_tf32(v.y), ho_round_tf32(v.z), ho_round_tf32(v.w));
        } else {
            const float4 u = scaled(raw, i + apart * (SIDE / 4), s);
            words = make_uint4(ho_round_bf16(v.x, u.x), ho_round_bf16(v.y, u.y), ho_round_bf16(v.z, u.z),
                               ho_round_bf16(v.w, u.w));
        }
        *(uint4 *)(ready + i / (SIDE / 4) * LINE + i % (SIDE / 4) * 4) = words;
    }
}

/* One tile of pixels: all nine taps of the warp's 32 x 8 channels. */
template <class T, int MODE>
static __device__ __forceinline__ void multiply_tile(const uint32_t *ready, float acc[HO_TAPS][2][4]) {
    typedef weights_tile<T, MODE> TILE;
    const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const uint32_t *fixed = ready + t * LINE + g;
    const uint32_t *moved = ready + (TILE::READY_FIXED + t) * LINE + 8 * warp + g;
#pragma unroll 1
    for (int i = 0; i < TILE::GROUP_ROWS * 2; ++i) { /* half a row: 8 words of pixels */
        const uint32_t *from = fixed + i * 8 * LINE;
        const uint32_t *row = moved + (TILE::STEP * (i / 2) * TILE::MOVED_COLUMNS + i % 2 * 8) * LINE;
        uint32_t a[2][4];
#pragma unroll
        for (int m = 0; m < 2; ++m) {
            a[m][0] = from[16 * m];
            a[m][1] = from[16 * m + 8];
            a[m][2] = from[4 * LINE + 16 * m];
            a[m][3] = from[4 * LINE + 16 * m + 8];
        }
#pragma unroll
        for (int tap = 0; tap < HO_TAPS; ++tap) {
            const uint32_t *b = row + (tap / 3 * TILE::MOVED_COLUMNS + TILE::place(tap % 3)) * LINE;
            const uint32_t b0 = b[0], b1 = b[4 * LINE];
            T::multiply_words(acc[tap][0], a[0], b0, b1);
            T::multiply_words(acc[tap][1], a[1], b0, b1);
        }
    }
}

/* acc[tap][m][i]: channel 16 m + g + 8 (i / 2) of fixed, 8 warp + 2 t + i % 2 of moved. */
HO_DEVICE void store_part(const weights_problem &p, int split, int c_fixed, int c_moved,
                          const float acc[HO_TAPS][2][4]) {
    const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    float *part = p.part + split * p.count;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int f = c_fixed + 16 * (i / 4) + g + 8 * (i % 4 / 2), m = c_moved + 8 * warp + 2 * t + i % 2;
        if (f >= p.fixed.C || m >= p.moved.C) {
            continue;
        }
#pragma unroll
        for (int tap = 0; tap < HO_TAPS; ++tap) {
            part[f * p.fixed_step + m * p.moved_step + (int64_t)tap * p.tap_step] = acc[tap][i / 4][i % 4];
        }
    }
}

template <class T, int MODE> __global__ void __launch_bounds__(HO_TILE_THREADS, 2) fused_weights(weights_problem p) {
    typedef weights_tile<T, MODE> TILE;
    extern __shared__ float4 shared[];
    float *raw = (float *)shared, acc[HO_TAPS][2][4];
    uint32_t *ready = (uint32_t *)(raw + TILE::RAW_LINES * SIDE);
    const int c_fixed = (int)(blockIdx.x % p.blocks_fixed) * SIDE, quad = 4 * (int)(threadIdx.x % 8);
    const int c_moved = (int)(blockIdx.x / p.blocks_fixed % p.blocks_moved) * SIDE;
    const int split = (int)(blockIdx.x / p.blocks_fixed / p.blocks_moved);
    const int64_t first = p.tiles * split / p.splits, end = p.tiles * (split + 1) / p.splits;
#pragma unroll
    for (int i = 0; i < HO_TAPS * 8; ++i) {
        (&acc[0][0][0])[i] = 0.0F;
    }
    fetch_tile<T, MODE>(p, first, c_fixed, c_moved, raw);
    for (int64_t tile = first; tile < end; ++tile) {
        const int64_t n = tile / (p.tiles_h * p.tiles_w);
        const float4 s_fixed = scale_of(p.fixed, n, c_fixed + quad), s_moved = scale_of(p.moved, n, c_moved + quad);
        ho_copies_wait();
        __syncthreads();
        round_lines<T>(raw, TILE::READY_FIXED, TILE::READY_FIXED, s_fixed, ready);
        round_lines<T>(raw + TILE::FIXED_LINES * SIDE, TILE::READY_ROWS * TILE::MOVED_COLUMNS,
                       TILE::STEP * TILE::GROUP_ROWS * TILE::MOVED_COLUMNS, s_moved, ready + TILE::READY_FIXED * LINE);
        __syncthreads();
        if (tile + 1 < end) {
            fetch_tile<T, MODE>(p, tile + 1, c_fixed, c_moved, raw);
        }
        multiply_tile<T, MODE>(ready, acc);
    }
    store_part(p, split, c_fixed, c_moved, acc);
}

HO_KERNEL fused_weights_total(int64_t count, int splits, const float *part, float *g_w) {
    HO_GRID_LOOP (j, count) {
        float sum = part[j];
        for (int k = 1; k < splits; ++k) {
            sum += part[k * count + j];
        }
        g_w[j] = sum;
    }
}

static int64_t part_count(const ho_fused_shape *s) {
    return s->O * HO_TAPS * s->C;
}

static int64_t tiles_of(const ho_fused_shape *s) {
    const int64_t rows = s->up ? 2 : 4;
    return s->N * ((s->H + rows - 1) / rows) * ((s->W + HO_TILE_COLUMNS - 1) / HO_TILE_COLUMNS);
}

static int64_t splits_of(const ho_fused_shape *s) {
    const int64_t blocks = (s->O + SIDE - 1) / SIDE * ((s->C + SIDE - 1) / SIDE), tiles = tiles_of(s);
    const int64_t splits = blocks < ENOUGH ? ENOUGH / blocks : 1;
    return splits < tiles ? splits : tiles;
}

int64_t ho_k_fused_weights_scratch(const ho_fused_shape *s) {
    return splits_of(s) * part_count(s);
}

template <class T, int MODE> static ho_status weights_launch(ho_stream stream, const weights_problem *p) {
    const int bytes = weights_tile<T, MODE>::BYTES;
    const int64_t blocks = (int64_t)p->blocks_fixed * p->blocks_moved * p->splits;
    HO_LAUNCH_SHARED((fused_weights<T, MODE>), blocks, bytes, stream, *p);
    return HO_LAUNCH_STATUS("fused_weights");
}

ho_status ho_k_fused_weight_gradient(ho_stream stream, const ho_fused_shape *s, bool bf16, const ho_real *x,
                                     const ho_real *x_scale, const ho_real *g, ho_real *scratch, ho_real *g_w) {
    const int H = (int)s->H, W = (int)s->W, C = (int)s->C, O = (int)s->O, rows = s->up ? 2 : 4;
    const image in = {x, x_scale, H, W, C, C % 4 == 0 && ho_aligned16(x, x)};
    const image out = {g, NULL, s->up ? 2 * H + 1 : H, s->up ? 2 * W + 1 : W, O, O % 4 == 0 && ho_aligned16(g, g)};
    weights_problem p;
    p.fixed = s->up ? in : out;
    p.moved = s->up ? out : in;
    p.tiles = tiles_of(s);
    p.tiles_h = (H + rows - 1) / rows;
    p.tiles_w = (W + HO_TILE_COLUMNS - 1) / HO_TILE_COLUMNS;
    p.blocks_fixed = (p.fixed.C + SIDE - 1) / SIDE;
    p.blocks_moved = (p.moved.C + SIDE - 1) / SIDE;
    p.splits = (int)splits_of(s);
    p.part = scratch;
    p.count = part_count(s);
    p.fixed_step = s->up ? 1 : (int64_t)HO_TAPS * C;
    p.moved_step = s->up ? (int64_t)HO_TAPS * C : 1;
    p.tap_step = C;
    const ho_status status =
        s->up ? bf16 ? weights_launch<ho_bf16, HO_STRIDED>(stream, &p) : weights_launch<ho_tf32, HO_STRIDED>(stream, &p)
        : bf16 ? weights_launch<ho_bf16, HO_PLAIN>(stream, &p)
               : weights_launch<ho_tf32, HO_PLAIN>(stream, &p);
    HO_TRY(status);
    fused_weights_total<<<(unsigned)ho_grid(p.count, WIDTH), WIDTH, 0, stream>>>(p.count, p.splits, scratch, g_w);
    return HO_LAUNCH_STATUS("fused_weights_total");
}
