/* Launchers of kernels/update.cu. */
#ifndef HANDSOFF_KERNELS_UPDATE_H
#define HANDSOFF_KERNELS_UPDATE_H

#include <stdint.h>

#include "handsoff/status.h"
#include "handsoff/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What one Adam step needs to know; the bias corrections are computed by the caller. */
typedef struct {
    ho_real lr; /* lr / (1 - beta1^t)                   */
    ho_real beta1, beta2;
    ho_real v_correction; /* 1 / (1 - beta2^t)                    */
    ho_real eps, weight_decay, grad_scale;
} ho_adam_step_args;

ho_status ho_k_adam(ho_real *value, const ho_real *grad, ho_real *m, ho_real *v, int64_t n,
                    const ho_adam_step_args *args, ho_stream stream);
/* to += (from - to) * t */
ho_status ho_k_lerp(ho_real *to, const ho_real *from, int64_t n, ho_real t, ho_stream stream);

#ifdef __cplusplus
}
#endif
#endif
