/* The matrix products inside Winograd's convolution; layouts in winograd_tiles.h. */
#ifndef HANDSOFF_WINOGRAD_PRODUCT_H
#define HANDSOFF_WINOGRAD_PRODUCT_H

#include "winograd_parts.h"

/* How a product with so many outputs is cut: panels of outputs (the last may be narrower) by groups of rows, so that
 * all sums of a panel's rows stay in registers. */
typedef struct {
    int64_t rows, panel;
} product_cut;

product_cut ho_winograd_cut(int64_t outputs);

/* M[r][o] = sum_k U[r][k] V[k][o] for the rows of one group and one panel at one position. U and M: block of 16
 * channels to block `block` floats, rows LANES floats apart; V contiguous, `width` floats a row. */
void ho_winograd_product(const product_cut *cut, const float *U, const float *V, int64_t blocks_in, int64_t width,
                         int64_t block, float *M);

/* S[o][c] (+)= sum over tiles D[tile][o] U[tile][c] for WEIGHT_ROWS outputs and 16 vectors channels at one position,
 * groups of WEIGHT_TILES tiles. */
enum { WEIGHT_ROWS = 8, WEIGHT_TILES = 16 };
typedef struct {
    const float *D, *U;       /* at the position, first output, first channel          */
    int64_t D_group, U_group; /* floats from group to group                            */
    int64_t groups;
    float *S;
    int64_t S_row; /* floats from output to output                                   */
    int add;
} weight_product;
void ho_winograd_weight_product(const weight_product *p, int vectors);

#endif
