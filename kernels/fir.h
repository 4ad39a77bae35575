/* Resampling with the separable filter [1,3,3,1]/8; formulas in fir.cu. */
#ifndef HANDSOFF_KERNELS_FIR_H
#define HANDSOFF_KERNELS_FIR_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x (N,H,W,C) -> y (N,P,Q,C). The gradient is the same operation with H W and P Q, up and down swapped, and
 * before' = 3 - before. */
typedef struct {
    int64_t N, H, W, C, P, Q;
    int64_t up, down, before;
    ho_real gain;
} ho_fir_shape;
ho_status ho_k_fir(ho_stream stream, const ho_fir_shape *s, const ho_real *x, bool accumulate, ho_real *y);

#ifdef __cplusplus
}
#endif
#endif
