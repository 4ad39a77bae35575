/* Losses that end in means; formulas in loss.cu. */
#ifndef HANDSOFF_KERNELS_LOSS_H
#define HANDSOFF_KERNELS_LOSS_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Elements of scratch for a mean over N groups of M items. */
int64_t ho_k_mean_scratch(int64_t N, int64_t M);
/* y[n] = gain * sum of the group's segments, partial (N,S). */
ho_status ho_k_group_totals(ho_stream stream, int64_t N, int64_t S, ho_real gain, const ho_real *partial, ho_real *y);

/* y[0] = mean_i softplus(sign x_i); scratch: ho_k_mean_scratch(1, n). */
ho_status ho_k_softplus_mean(ho_stream stream, int64_t n, ho_real sign, const ho_real *x, ho_real *scratch, ho_real *y);
ho_status ho_k_softplus_mean_backward(ho_stream stream, int64_t n, ho_real sign, const ho_real *x, const ho_real *g_y,
                                      ho_real *g_x, bool accumulate);

/* y[n] = mean over M elements of (a - b)^2; a, b (N,M). */
ho_status ho_k_mse(ho_stream stream, int64_t N, int64_t M, const ho_real *a, const ho_real *b, ho_real *scratch,
                   ho_real *y);
/* g[n,m] = g_y[n] gain (a - b): gain = 2/M for a, -2/M for b. */
ho_status ho_k_mse_backward(ho_stream stream, int64_t N, int64_t M, ho_real gain, const ho_real *a, const ho_real *b,
                            const ho_real *g_y, ho_real *g, bool accumulate);

/* logits (rows,K), label (rows), 255 = ignored; counted: how many are not. */
typedef struct {
    int64_t rows, K, counted;
    const ho_real *logits;
    const uint8_t *label;
} ho_cross_entropy_args;
/* y[0] = mean over counted rows of log_sum - logits[label]; log_sum (rows) is written for the backward. */
ho_status ho_k_cross_entropy(ho_stream stream, const ho_cross_entropy_args *args, ho_real *log_sum, ho_real *scratch,
                             ho_real *y);
ho_status ho_k_cross_entropy_backward(ho_stream stream, const ho_cross_entropy_args *args, const ho_real *log_sum,
                                      const ho_real *g_y, ho_real *g_logits, bool accumulate);

#ifdef __cplusplus
}
#endif
#endif
