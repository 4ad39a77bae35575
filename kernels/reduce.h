/* Sums of all elements and over rows; formulas in reduce.cu. */
#ifndef HANDSOFF_KERNELS_REDUCE_H
#define HANDSOFF_KERNELS_REDUCE_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Elements of scratch that ho_k_dot needs for n elements. */
int64_t ho_k_sum_scratch(int64_t n);
/* y[0] = gain * sum_i a[i] b[i], or gain * sum_i a[i] where b is NULL. */
ho_status ho_k_dot(ho_stream stream, int64_t n, ho_real gain, const ho_real *a, const ho_real *b, ho_real *scratch,
                   ho_real *y);
/* y[a, m] (+)= gain * sum_r x[a, r, m] for x (A, R, M): one pass, for few rows R. */
ho_status ho_k_sum_middle(ho_stream stream, const int64_t dim[3], ho_real gain, const ho_real *x, bool accumulate,
                          ho_real *y);
/* y[a, r, m] = x[a, m] for y (A, R, M). */
ho_status ho_k_repeat_middle(ho_stream stream, const int64_t dim[3], const ho_real *x, ho_real *y);

#ifdef __cplusplus
}
#endif
#endif
