/* Sums over the rows of a matrix, column by column; formulas in columns.cu. */
#ifndef HANDSOFF_KERNELS_COLUMNS_H
#define HANDSOFF_KERNELS_COLUMNS_H

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* N matrices of `rows` x C. */
typedef struct {
    int64_t N, rows, C;
} ho_columns_shape;

/* Elements of scratch that one call needs. */
int64_t ho_k_column_scratch(const ho_columns_shape *s);

/* y[n,c] = gain * sum_r a[n,r,c]. */
ho_status ho_k_column_sums(ho_stream stream, const ho_columns_shape *s, const ho_real *a, ho_real gain,
                           ho_real *scratch, ho_real *y);
/* y[n,c] = gain * sum_r a[n,r,c] (b[n,r,c] - m[c]). */
ho_status ho_k_column_products(ho_stream stream, const ho_columns_shape *s, const ho_real *a, const ho_real *b,
                               const ho_real *m, ho_real gain, ho_real *scratch, ho_real *y);
/* y[n,c] = gain * sum_r (a[n,r,c] - m[c])^2. */
ho_status ho_k_column_squares(ho_stream stream, const ho_columns_shape *s, const ho_real *a, const ho_real *m,
                              ho_real gain, ho_real *scratch, ho_real *y);

#ifdef __cplusplus
}
#endif
#endif
