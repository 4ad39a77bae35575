/* Bilinear resampling of images and its adjoint; formulas in resample.cu. */
#ifndef HANDSOFF_KERNELS_RESAMPLE_H
#define HANDSOFF_KERNELS_RESAMPLE_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x (N,H,W,C) and y (N,P,Q,C). corners: the outermost pixel centres of both coincide; H, W, P and Q are at least 2. */
typedef struct {
    int64_t N, H, W, C, P, Q;
    bool corners;
} ho_resample_shape;

/* y = R x; y is overwritten. */
ho_status ho_k_resample(ho_stream stream, const ho_resample_shape *s, const ho_real *x, ho_real *y);
/* g_x = R^T g_y, added to g_x when accumulate. */
ho_status ho_k_resample_backward(ho_stream stream, const ho_resample_shape *s, const ho_real *g_y, ho_real *g_x,
                                 bool accumulate);

#ifdef __cplusplus
}
#endif
#endif
