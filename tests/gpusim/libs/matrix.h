/* Matrix product of the stand-in libraries. */
#ifndef GPUSIM_MATRIX_H
#define GPUSIM_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime.h"

typedef enum { GS_ROUND_NONE, GS_ROUND_TF32, GS_ROUND_BF16, GS_ROUND_F16 } gs_rounding;

/* C = alpha op(A) op(B) + beta C, column-major; op(A) is (m, k), op(B) (k, n). The operands are rounded as tensor cores
 * round them; sums are formed in double, so that what is left of an error is the caller's. C is not read when beta is
 * 0. Plain pointers: the caller has opened the memory. */
typedef struct {
    bool trans_a, trans_b;
    int64_t m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const float *a, *b;
    float *c;
    gs_rounding rounding;
} gs_product;
GS_EXPORT void gs_multiply(const gs_product *p);
/* x as the unit takes it: 10 (TF32, f16) or 7 (bf16) bits of fraction, to the nearest, ties to even. */
GS_EXPORT float gs_round(float x, gs_rounding rounding);

#endif
