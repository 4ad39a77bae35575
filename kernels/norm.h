/* Batch normalisation and dropout; formulas in norm.cu. Matrices are (rows, C), vectors (C). */
#ifndef HANDSOFF_KERNELS_NORM_H
#define HANDSOFF_KERNELS_NORM_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* inv_std = 1 / sqrt(var + eps). */
ho_status ho_k_inverse_std(ho_stream stream, int64_t C, const ho_real *var, ho_real eps, ho_real *inv_std);
/* running = (1 - momentum) running + momentum * gain * value. */
ho_status ho_k_running(ho_stream stream, int64_t C, ho_real momentum, ho_real gain, const ho_real *value,
                       ho_real *running);

/* y = (x - mean) inv_std weight + bias. */
typedef struct {
    int64_t rows, C;
    const ho_real *mean, *inv_std, *weight, *bias;
} ho_norm_args;
ho_status ho_k_norm(ho_stream stream, const ho_norm_args *args, const ho_real *x, ho_real *y);

/* Gradient of x. sum_g and sum_gx are column sums of g_y and of g_y (x - mean) when mean and inv_std came from x
 * itself; NULL when they are constants. */
typedef struct {
    const ho_real *x, *g_y, *sum_g, *sum_gx;
} ho_norm_backward_args;
ho_status ho_k_norm_backward(ho_stream stream, const ho_norm_args *args, const ho_norm_backward_args *backward,
                             ho_real *g_x, bool accumulate);
/* out (C) = value * scale, scale NULL = 1; added when accumulate. */
ho_status ho_k_norm_vector(ho_stream stream, int64_t C, const ho_real *value, const ho_real *scale, ho_real *out,
                           bool accumulate);

/* y[i] = x[i] * mask[i], mask[i] = 0 with probability p, else 1 / (1 - p); see norm.cu. */
typedef struct {
    uint64_t seed, stream, first;
    double p;
} ho_dropout_mask;
ho_status ho_k_dropout(ho_stream stream, int64_t n, const ho_dropout_mask *mask, const ho_real *x, ho_real *y,
                       bool accumulate);

#ifdef __cplusplus
}
#endif
#endif
