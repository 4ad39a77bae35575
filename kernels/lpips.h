/* One tap of the LPIPS distance; formulas in lpips.cu. */
#ifndef HANDSOFF_KERNELS_LPIPS_H
#define HANDSOFF_KERNELS_LPIPS_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* f0, f1 (N,pixels,C); w (C) or NULL for unit weights; norm (N,pixels,2): the lengths of f0 and f1. */
typedef struct {
    int64_t N, pixels, C;
    const ho_real *f0, *f1, *w;
    ho_real *norm;
} ho_lpips_args;

/* Elements of scratch of the forward. */
int64_t ho_k_lpips_scratch(const ho_lpips_args *args);
/* d (N); writes args->norm. */
ho_status ho_k_lpips(ho_stream stream, const ho_lpips_args *args, ho_real *scratch, ho_real *d);

/* Gradients of f0 and f1 from g_d (N); reads args->norm. NULL = not wanted. */
typedef struct {
    const ho_real *g_d;
    ho_real *g_f0, *g_f1;
    bool accumulate0, accumulate1;
} ho_lpips_gradients;
ho_status ho_k_lpips_backward(ho_stream stream, const ho_lpips_args *args, const ho_lpips_gradients *gradients);

#ifdef __cplusplus
}
#endif
#endif
