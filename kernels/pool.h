/* Pooling of images; formulas in pool.cu. */
#ifndef HANDSOFF_KERNELS_POOL_H
#define HANDSOFF_KERNELS_POOL_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x (N,H,W,C), y (N,P,Q,C); window (p,q) covers rows p*stride - pad ... + kernel - 1, columns likewise. */
typedef struct {
    int64_t N, H, W, C, P, Q;
    int64_t kernel, stride, pad;
} ho_pool_shape;

/* Mean of windows that tile the image: pad = 0, stride = kernel. */
ho_status ho_k_avg_pool(ho_stream stream, const ho_pool_shape *s, const ho_real *x, ho_real *y);
ho_status ho_k_avg_pool_backward(ho_stream stream, const ho_pool_shape *s, const ho_real *g_y, ho_real *g_x,
                                 bool accumulate);

/* Maximum; choice (N,P,Q,C) receives the position of the first maximum within its window, row * kernel + column
 * (kernel <= 16), NULL = not wanted. */
ho_status ho_k_max_pool(ho_stream stream, const ho_pool_shape *s, const ho_real *x, ho_real *y, uint8_t *choice);
ho_status ho_k_max_pool_backward(ho_stream stream, const ho_pool_shape *s, const ho_real *g_y, const uint8_t *choice,
                                 ho_real *g_x, bool accumulate);

/* g_x[n,h,w,c] = gain * g_y[n,c], `pixels` a sample. */
ho_status ho_k_spread(ho_stream stream, int64_t N, int64_t pixels, int64_t C, ho_real gain, const ho_real *g_y,
                      ho_real *g_x, bool accumulate);

#ifdef __cplusplus
}
#endif
#endif
