/* 3x3 modulated convolutions on tensor cores, cuda only (sm_80 and up); formulas in fused_conv.cu, fused_up.cu and
 * fused_weights.cu. Images are NHWC, weights (O,3,3,C). Operands are rounded to TF32 or bf16, sums are float. Nothing
 * has to be aligned and every size may be odd; 16-byte copies are used where channels and addresses allow them. */
#ifndef HANDSOFF_KERNELS_CUDA_FUSED_CONV_H
#define HANDSOFF_KERNELS_CUDA_FUSED_CONV_H

#include <stdbool.h>

#include "handsoff/device.h"
#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* True when grid and index arithmetic of the kernels hold the shape. */
bool ho_k_fused_fits(const ho_fused_shape *s);

/* y (N,H,W,O), or (N,2H,2W,O) when s->up, from x (N,H,W,C): convolution of x * x_scale (N,C) (NULL = 1), when up
 * transposed with stride 2 and filtered by [1,3,3,1]/4 per axis, then the epilogue (NULL = none). */
ho_status ho_k_fused_forward(ho_stream stream, const ho_fused_shape *s, bool bf16, const ho_real *x,
                             const ho_real *x_scale, const ho_real *w, const ho_conv_epilogue *epilogue, ho_real *y);

/* The gradients of x and x_scale; g->scratch holds ho_k_fused_input_scratch elements. */
int64_t ho_k_fused_input_scratch(const ho_fused_shape *s);
ho_status ho_k_fused_input_gradient(ho_stream stream, const ho_fused_shape *s, bool bf16, const ho_fused_gradients *g,
                                    ho_real *scratch);

/* g_w (O,3,3,C), overwritten, from g (N,H,W,O), when up g_t (N,2H+1,2W+1,O). scratch holds ho_k_fused_weights_scratch
 * elements: a number of partial sums that follows from the shape, added in order. */
int64_t ho_k_fused_weights_scratch(const ho_fused_shape *s);
ho_status ho_k_fused_weight_gradient(ho_stream stream, const ho_fused_shape *s, bool bf16, const ho_real *x,
                                     const ho_real *x_scale, const ho_real *g, ho_real *scratch, ho_real *g_w);

#ifdef __cplusplus
}
#endif
#endif
