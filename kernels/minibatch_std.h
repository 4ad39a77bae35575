/* Minibatch standard deviation and its tangent; formulas in minibatch_std.cu. */
#ifndef HANDSOFF_KERNELS_MINIBATCH_STD_H
#define HANDSOFF_KERNELS_MINIBATCH_STD_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* N samples of F = pixels * C values, in groups of G: members n, n + N/G, ... */
typedef struct {
    int64_t N, pixels, C, G;
} ho_mbstd_shape;

/* stat[m], m < N/G. With x_dot not NULL the derivative of stat along x_dot instead. */
ho_status ho_k_mbstd(ho_stream stream, const ho_mbstd_shape *s, const ho_real *x, const ho_real *x_dot, ho_real *stat);
/* y[n,pixel,C] = stat[n mod N/G]: the last of C+1 channels. */
ho_status ho_k_mbstd_spread(ho_stream stream, const ho_mbstd_shape *s, const ho_real *stat, ho_real *y);
/* g_stat[m] = sum over the members and pixels of g_y[n,pixel,C]. */
ho_status ho_k_mbstd_gather(ho_stream stream, const ho_mbstd_shape *s, const ho_real *g_y, ho_real *g_stat);
/* g_x += g_stat * d stat / d x; with x_dot, of the tangent (its derivative to x_dot is that of stat to x). */
ho_status ho_k_mbstd_backward(ho_stream stream, const ho_mbstd_shape *s, const ho_real *x, const ho_real *x_dot,
                              const ho_real *g_stat, ho_real *g_x);

#ifdef __cplusplus
}
#endif
#endif
