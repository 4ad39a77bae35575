/* Differentiable operations for an ensemble whose members are trained at once: the members' features stand side by side
 * in the last dimension, so that bias, activation and batch norm of all members are the plain operations of ops.h. */
#ifndef HANDSOFF_GROUPED_H
#define HANDSOFF_GROUPED_H

#include "handsoff/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Block-diagonal dense layer: x (B, groups * I), w (groups * O, I) -> y (B, groups * O) with
 * y[b, g O + o] = sum_i x[b, g I + i] w[g O + o, i]. With groups == 1 this is ho_dense. */
ho_status ho_grouped_dense(ho_context *context, ho_tensor *x, ho_tensor *w, int64_t groups, ho_tensor **y);

#ifdef __cplusplus
}
#endif
#endif
