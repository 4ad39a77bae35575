/* The product itself: op(A) and op(B) are packed as rows of doubles, then blocks of C are dot products. */
#include <stdlib.h>
#include <string.h>

#include "matrix.h"

enum { BLOCK = 4 };

float gs_round(float x, gs_rounding rounding) {
    static const int DROPPED[] = {0, 13, 16, 13};
    uint32_t bits;
    const int drop = DROPPED[rounding];
    memcpy(&bits, &x, sizeof bits);
    if (drop == 0 || (bits & 0x7f800000U) == 0x7f800000U) {
        return x;
    }
    bits += (UINT32_C(1) << (drop - 1)) - 1 + (bits >> drop & 1);
    bits &= ~((UINT32_C(1) << drop) - 1);
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* rows x k, row-major, from a column-major matrix with leading dimension ld; `down`: a row lies down a column. */
static double *pack(const float *from, int64_t rows, int64_t k, int64_t ld, bool down, gs_rounding rounding) {
    double *packed = malloc(sizeof *packed * (size_t)(rows * k + 1));
    if (packed == NULL) {
        gs_fatal("no memory for a product of %lld x %lld", (long long)rows, (long long)k);
    }
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < k; ++j) {
            packed[i * k + j] = gs_round(down ? from[i * ld + j] : from[j * ld + i], rounding);
        }
    }
    return packed;
}

static double dot(const double *a, const double *b, int64_t k) {
    double part[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= k; i += 8) {
        for (int j = 0; j < 8; ++j) {
            part[j] += a[i + j] * b[i + j];
        }
    }
    double sum = 0.0;
    for (; i < k; ++i) {
        sum += a[i] * b[i];
    }
    for (int j = 0; j < 8; ++j) {
        sum += part[j];
    }
    return sum;
}

void gs_multiply(const gs_product *p) {
    double *a = pack(p->a, p->m, p->k, p->lda, p->trans_a, p->rounding);
    double *b = pack(p->b, p->n, p->k, p->ldb, !p->trans_b, p->rounding);
    for (int64_t j0 = 0; j0 < p->n; j0 += BLOCK) {
        const int64_t j1 = j0 + BLOCK < p->n ? j0 + BLOCK : p->n;
        for (int64_t i = 0; i < p->m; ++i) {
            for (int64_t j = j0; j < j1; ++j) {
                float *c = p->c + j * p->ldc + i;
                const double sum = (double)p->alpha * dot(a + i * p->k, b + j * p->k, p->k);
                *c = (float)(p->beta == 0.0F ? sum : sum + (double)p->beta * (double)*c);
            }
        }
    }
    free(a);
    free(b);
}
