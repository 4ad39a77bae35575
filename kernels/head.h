/* Kernels of the label head: see head.cu for the mathematics. */
#ifndef HANDSOFF_KERNELS_HEAD_H
#define HANDSOFF_KERNELS_HEAD_H

#include <stdbool.h>
#include <stdint.h>

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
    tap.low = numerator / (2 * n_out);
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

/* Bytes of hidden units that one tile of pixels should hold: on cpu a share of the last-level cache (measured: 0.25 to
 * 4 MB are equally fast on one core; fewer tiles start fewer parallel regions), on cuda enough to fill a GPU. */
int64_t ho_k_head_tile_bytes(void);

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

/* Products F_l W_l of the blocks of one resolution: rows row0, row0+1, ... of (height, width, units). */
typedef struct {
    const ho_real *map;
    int64_t height, width, row0;
} ho_k_head_level;
typedef struct {
    int n;
    int64_t H, W, units; /* of the labels; hidden units of all members */
    ho_k_head_level level[HO_HEAD_MAX_BLOCKS];
} ho_k_head_levels;
/* hidden[t, u] = relu(bias[u] + sum_l (R_l G_l)[first + t, u]) for count pixels from `first` on, counted row by row. */
ho_status ho_k_head_hidden(const ho_k_head_levels *levels, const ho_real *bias, int64_t first, int64_t count,
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
