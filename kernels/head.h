/* Kernels of the label head: see head.cu for the mathematics. */
#ifndef HANDSOFF_KERNELS_HEAD_H
#define HANDSOFF_KERNELS_HEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "handsoff/status.h"
#include "handsoff/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __CUDACC__
#define HO_HEAD_INLINE static __host__ __device__ __forceinline__
#else
#define HO_HEAD_INLINE static inline
#endif

/* The two source positions that bilinear resampling (pixel centres at .5) mixes for position `at` of
 * `n_out`, and the weight of the second, in exact integers: src = ((2 at + 1) n_in - n_out) / (2 n_out), clamped below
 * at 0. */
typedef struct {
    int64_t low, high;
    ho_real weight;
} ho_head_tap;
HO_HEAD_INLINE ho_head_tap ho_head_tap_at(int64_t at, int64_t n_in, int64_t n_out) {
    const int64_t above = (2 * at + 1) * n_in - n_out;
    const int64_t numerator = above > 0 ? above : 0;
    ho_head_tap tap;
    /* Small numbers, the usual ones, divide several times as fast in 32 bits. */
    tap.low = numerator <= UINT32_MAX && n_out <= INT32_MAX ? (int64_t)((uint32_t)numerator / (2 * (uint32_t)n_out))
                                                            : numerator / (2 * n_out);
    const int64_t rest = numerator - tap.low * 2 * n_out;
    tap.high =
        rest > 0 && tap.low + 1 < n_in ? tap.low + 1 : tap.low; /* not read needlessly: it costs a row of products */
    tap.weight = (ho_real)rest / (ho_real)(2 * n_out);
    return tap;
}

enum { HO_HEAD_MAX_BLOCKS = 18, HO_HEAD_MAX_CLASSES = 255 };

/* ---- training: hypercolumn rows of drawn pixels ---------------------------------------------------------- */

/* Cached feature maps: block l is (images, height, width, channels) in IEEE half precision (its bits as uint16_t). */
typedef struct {
    const uint16_t *map;
    int64_t height, width, channels;
} ho_k_head_block;
typedef struct {
    int n;
    int64_t H, W; /* of the labels: pixel number = (image * H + h) * W + w */
    ho_k_head_block block[HO_HEAD_MAX_BLOCKS];
} ho_k_head_blocks;

/* to[i] = half(from[i]), rounded to nearest, values beyond +-65504 clamped to them. */
ho_status ho_k_head_pack(const ho_real *from, int64_t count, uint16_t *to, ho_stream stream);
/* rows (count, C_total): the hypercolumn of pixel[r], C_total the sum of the blocks' channels. */
ho_status ho_k_head_gather(const ho_k_head_blocks *blocks, const int64_t *pixel, int64_t count, ho_real *rows,
                           ho_stream stream);

/* ---- inference: whole images ----------------------------------------------------------------------------- */

/* How whole images are cut for this target: tiles of pixels (at most H, W) that go through the rest of the network at
 * once, for some of the members at a time. On cpu a tile's hidden units, weights and the products that it reads fit
 * into a core's second-level cache (square tiles read fewer products); on cuda they fill a GPU. */
typedef struct {
    int64_t height, width, members;
} ho_k_head_cut;
ho_k_head_cut ho_k_head_cut_for(int64_t H, int64_t W, int64_t members, int64_t h1);

/* Batch norm folded into the linear layer that follows it. With scale a = weight / sqrt(var + eps), shift b = bias -
 * mean a (all (members * I)): folded[m,o,i] = w[m,o,i] a[m,i], folded_bias[m,o] = bias_out[m,o] + sum_i w[m,o,i]
 * b[m,i]. */
typedef struct {
    const ho_real *weight, *bias, *mean, *var; /* of the batch norm, (members * I) */
    const ho_real *w, *bias_out;               /* (members * O, I), (members * O)  */
    ho_real *folded, *folded_bias;             /* as the line above                */
    int64_t members, O, I;
} ho_k_head_fold_args;
ho_status ho_k_head_fold(const ho_k_head_fold_args *args, ho_stream stream);

/* to[i] (cols, rows) = from[i] (rows, cols) transposed, for `count` matrices one after another. */
ho_status ho_k_head_transpose(const ho_real *from, int64_t count, int64_t rows, int64_t cols, ho_real *to,
                              ho_stream stream);

/* A rectangle of label pixels; pixel t of it is (y + t / width, x + t % width). */
typedef struct {
    int64_t y, x, height, width;
} ho_k_head_tile;

/* Maps (height, width, channels) of one image. */
typedef struct {
    const ho_real *map;
    int64_t height, width, channels;
} ho_k_head_map;
typedef struct {
    int n;
    int64_t H, W; /* of the labels */
    ho_k_head_map map[HO_HEAD_MAX_BLOCKS];
} ho_k_head_maps;
/* rows (pixels of the tile, C): the maps resampled to the tile's pixels, side by side, C the sum of their channels. */
ho_status ho_k_head_resample(const ho_k_head_maps *maps, const ho_k_head_tile *tile, ho_real *rows, ho_stream stream);

/* Neighbouring label pixels of one line share columns of a coarser level: what HO_HEAD_GROUP of them take from `count`
 * columns from `first` on; weight[j][i] is that of column j for pixel i. */
enum { HO_HEAD_GROUP = 4 };
typedef struct {
    int32_t first, count;
    ho_real weight[HO_HEAD_GROUP + 1][HO_HEAD_GROUP];
} ho_k_head_columns;
/* Of group `at` of a line of n_out pixels, n_in <= n_out columns; weights of pixels beyond the line are 0. */
static inline ho_k_head_columns ho_head_columns_at(int64_t at, int64_t n_in, int64_t n_out) {
    ho_k_head_columns c;
    memset(&c, 0, sizeof c);
    for (int i = 0; i < HO_HEAD_GROUP && at * HO_HEAD_GROUP + i < n_out; ++i) {
        const ho_head_tap tap = ho_head_tap_at(at * HO_HEAD_GROUP + i, n_in, n_out);
        c.first = i == 0 ? (int32_t)tap.low : c.first;
        c.count = (int32_t)tap.high - c.first + 1;
        c.weight[tap.low - c.first][i] += 1 - tap.weight;
        c.weight[tap.high - c.first][i] += tap.weight;
    }
    return c;
}

/* Products F_l W_l of the blocks of one resolution: rows row0, row0+1, ... of (height, width, units), and how they are
 * resampled: a tap for each line of the labels, columns for each group of a line. */
typedef struct {
    const ho_real *map;
    int64_t width, row0;
    const ho_head_tap *rows;
    const ho_k_head_columns *columns;
} ho_k_head_level;
typedef struct {
    int n;
    int64_t units; /* hidden units of all members */
    ho_k_head_level level[HO_HEAD_MAX_BLOCKS];
} ho_k_head_levels;
/* Hidden units first .. first + units - 1 of a tile's pixels, tile.x a multiple of HO_HEAD_GROUP; add: `hidden` holds a
 * part of the sum. */
typedef struct {
    ho_k_head_tile tile;
    int64_t first, units;
    bool add;
} ho_k_head_part;
/* hidden[t, u] = relu([add] hidden[t, u] + bias[first + u] + sum_l (R_l G_l)[t, first + u]); bias (units of all). */
ho_status ho_k_head_hidden(const ho_k_head_levels *levels, const ho_k_head_part *part, const ho_real *bias,
                           ho_real *hidden, ho_stream stream);
/* x[t, u] = relu(x[t, u] + bias[u]), in place. */
ho_status ho_k_head_bias_relu(ho_real *x, const ho_real *bias, int64_t count, int64_t units, ho_stream stream);
/* From logits (count, members, classes) + bias (members, classes): the vote and the Jensen-Shannon divergence a pixel.
 */
ho_status ho_k_head_vote(const ho_real *logits, const ho_real *bias, int64_t count, int64_t members, int64_t classes,
                         uint8_t *label, ho_real *js, ho_stream stream);

#ifdef __cplusplus
}
#endif
#endif
