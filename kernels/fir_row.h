/* The sliding window of a four-tap separable filter along one output row, for kernels that filter (fir.cu) or filter
 * and go on (modconv.cu). For output row p the vertical sum of image column j is v_j[c] = sum_t f[t] x[p + t - before,
 * j, c],  f = [1, 3, 3, 1] / 8,  0 outside, and output pixel q is sum_t f[t] v_(q + t - before): each v_j is computed
 * once and kept in a ring of four. */
#ifndef HANDSOFF_KERNELS_FIR_ROW_H
#define HANDSOFF_KERNELS_FIR_ROW_H

#include "handsoff/kernel.h"

enum { HO_FIR_TAPS = 4, HO_FIR_CHUNK = 256 }; /* channels that one pass over the row takes */

HO_DEVICE ho_real ho_fir_tap(int64_t t) {
    return t == 0 || t == 3 ? HO_R(0.125) : HO_R(0.375);
}

/* The four source rows of one output row: first channel of the chunk at column 0, and weights (0 where outside). */
typedef struct {
    const ho_real *row[HO_FIR_TAPS];
    ho_real weight[HO_FIR_TAPS];
    int64_t W, C;
} ho_fir_rows;

/* Rows first..first+3 of an image (H, W, C) whose chunk begins at channel c0; outside rows point to a valid row. */
HO_DEVICE ho_fir_rows ho_fir_rows_of(const ho_real *image, int64_t H, int64_t W, int64_t C, int64_t first, int64_t c0) {
    ho_fir_rows rows;
    rows.W = W;
    rows.C = C;
    for (int64_t t = 0; t < HO_FIR_TAPS; ++t) {
        const int64_t h = first + t, inside = h < 0 ? 0 : h < H ? h : H - 1;
        rows.row[t] = image + inside * W * C + c0;
        rows.weight[t] = h == inside ? ho_fir_tap(t) : HO_R(0.0);
    }
    return rows;
}

/* The vertical sum of column j, `count` channels. */
HO_DEVICE void ho_fir_column(const ho_fir_rows *rows, int64_t j, int64_t count, ho_real *HO_RESTRICT v) {
    if (j < 0 || j >= rows->W) {
        HO_BLOCK_LOOP (c, count) {
            v[c] = HO_R(0.0);
        }
        return;
    }
    const ho_real *HO_RESTRICT x0 = rows->row[0] + j * rows->C, *HO_RESTRICT x1 = rows->row[1] + j * rows->C;
    const ho_real *HO_RESTRICT x2 = rows->row[2] + j * rows->C, *HO_RESTRICT x3 = rows->row[3] + j * rows->C;
    const ho_real f0 = rows->weight[0], f1 = rows->weight[1], f2 = rows->weight[2], f3 = rows->weight[3];
    HO_BLOCK_LOOP (c, count) {
        v[c] = f0 * x0[c] + f1 * x1[c] + f2 * x2[c] + f3 * x3[c];
    }
}

/* Fills the ring up to column `last`; *next is the first column not yet computed. Column j lies at ring + (j & 3) *
 * HO_FIR_CHUNK. A thread reads only channels that it wrote itself, so no barrier is needed. */
HO_DEVICE void ho_fir_advance(const ho_fir_rows *rows, int64_t last, int64_t count, int64_t *next, ho_real *ring) {
    for (; *next <= last; ++*next) {
        ho_fir_column(rows, *next, count, ring + (*next & 3) * HO_FIR_CHUNK);
    }
}

#endif
