#include "winograd_product.h"

#ifndef HO_REAL_DOUBLE

enum { MOST_ROWS = 12, MOST_VECTORS = 4 };

/* Up to 24 sums, which leaves room for a row of V and one broadcast: 6x4, 8x3 or 12x2 vectors. */
product_cut ho_winograd_cut(int64_t outputs) {
    if (outputs % 64 != 0 && outputs % 48 == 0) {
        return (product_cut){8, 48};
    }
    return outputs > 32 ? (product_cut){6, 64} : (product_cut){12, 32};
}

/* rows and vectors are compile-time constants where this is inlined, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void group_product(const float *U, const float *V, int64_t blocks_in,
                                                                int64_t block, float *M, const int rows,
                                                                const int vectors) {
    vec sum[MOST_ROWS][MOST_VECTORS];
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            sum[r][v] = (vec){0};
        }
    }
    for (int64_t i = 0; i < blocks_in; ++i, U += block) {
#pragma GCC unroll 12
        for (int r = 0; r < rows; ++r) { /* the next block, or the next group's first: too far for the hardware */
            __builtin_prefetch(U + block + r * LANES);
        }
        for (int k = 0; k < LANES; ++k, V += vectors * LANES) {
            vec b[MOST_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) {
                b[v] = vec_load(V + v * LANES);
                __builtin_prefetch(V + (v + 12 * vectors) * LANES);
            }
#pragma GCC unroll 12
            for (int r = 0; r < rows; ++r) {
                const float a = U[r * LANES + k];
#pragma GCC unroll 4
                for (int v = 0; v < vectors; ++v) {
                    sum[r][v] += a * b[v];
                }
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            vec_store(M + v * block + r * LANES, sum[r][v]);
        }
    }
}

#define CASE(r, v)                                                                                                     \
    case (r)*8 + (v):                                                                                                  \
        group_product(U, V, blocks_in, block, M, r, v);                                                                \
        break

void ho_winograd_product(const product_cut *cut, const float *U, const float *V, int64_t blocks_in, int64_t width,
                         int64_t block, float *M) {
    switch (cut->rows * 8 + width / LANES) {
        CASE(6, 1);
        CASE(6, 2);
        CASE(6, 3);
        CASE(6, 4);
        CASE(8, 3);
        CASE(12, 1);
        CASE(12, 2);
    default:
        break;
    }
}

static inline __attribute__((always_inline)) void weight_rows(const weight_product *p, const int vectors) {
    vec sum[WEIGHT_ROWS][3];
#pragma GCC unroll 8
    for (int r = 0; r < WEIGHT_ROWS; ++r) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; ++v) {
            sum[r][v] = p->add ? vec_load(p->S + r * p->S_row + v * LANES) : (vec){0};
        }
    }
    const float *D = p->D, *U = p->U;
    for (int64_t group = 0; group < p->groups; ++group, D += p->D_group, U += p->U_group) {
        for (int k = 0; k < WEIGHT_TILES; ++k) {
            vec b[3];
#pragma GCC unroll 3
            for (int v = 0; v < vectors; ++v) {
                b[v] = vec_load(U + (v * POSITIONS * WEIGHT_TILES + k) * LANES);
            }
#pragma GCC unroll 8
            for (int r = 0; r < WEIGHT_ROWS; ++r) {
                const float a = D[k * LANES + r];
#pragma GCC unroll 3
                for (int v = 0; v < vectors; ++v) {
                    sum[r][v] += a * b[v];
                }
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < WEIGHT_ROWS; ++r) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; ++v) {
            vec_store(p->S + r * p->S_row + v * LANES, sum[r][v]);
        }
    }
}

void ho_winograd_weight_product(const weight_product *p, int vectors) {
    switch (vectors) {
    case 1:
        weight_rows(p, 1);
        break;
    case 2:
        weight_rows(p, 2);
        break;
    default:
        weight_rows(p, 3);
        break;
    }
}

#endif
