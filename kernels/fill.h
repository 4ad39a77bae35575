/* Launchers of kernels/fill.cu. */
#ifndef HANDSOFF_KERNELS_FILL_H
#define HANDSOFF_KERNELS_FILL_H

#include <stdint.h>

#include "handsoff/status.h"
#include "handsoff/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x[i] = mean + std * normal(seed, stream, first + i). */
ho_status ho_k_fill_normal(ho_real *x, int64_t n, uint64_t seed, uint64_t stream, uint64_t first, double mean,
                           double std, ho_stream stream_of_work);
ho_status ho_k_fill(ho_real *x, int64_t n, ho_real value, ho_stream stream_of_work);

#ifdef __cplusplus
}
#endif
#endif
