/* Small operations on latents; formulas in style.cu. */
#ifndef HANDSOFF_KERNELS_STYLE_H
#define HANDSOFF_KERNELS_STYLE_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = z / sqrt(mean_i z_i^2 + 1e-8) for each row of (N, D). */
ho_status ho_k_normalize(ho_stream stream, int64_t N, int64_t D, const ho_real *z, ho_real *y);
/* g_z (+)= its gradient. */
ho_status ho_k_normalize_backward(ho_stream stream, int64_t N, int64_t D, const ho_real *z, const ho_real *g_y,
                                  bool accumulate, ho_real *g_z);

/* y[n,l,:] = l >= cut[n] ? b[n,l,:] : a[n,l,:] for (N, L, D). */
ho_status ho_k_mix_rows(ho_stream stream, const int64_t dim[3], const int64_t *cut, const ho_real *a, const ho_real *b,
                        ho_real *y);
/* g (+)= g_y on the rows that came from b (from_b) or from a, 0 on the others. */
ho_status ho_k_mix_rows_backward(ho_stream stream, const int64_t dim[3], const int64_t *cut, bool from_b,
                                 const ho_real *g_y, bool accumulate, ho_real *g);

#ifdef __cplusplus
}
#endif
#endif
