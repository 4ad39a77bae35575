/* What augment.cu and augment_backward.cu share: the filter, and sums of rows. */
#ifndef HANDSOFF_KERNELS_AUGMENT_PARTS_H
#define HANDSOFF_KERNELS_AUGMENT_PARTS_H

#include "augment.h"
#include "handsoff/kernel.h"

/* BORDER: by how many samples the twice enlarged result is larger than twice its size, on both sides together. */
enum { BLOCK = 128, TAPS = 12, HALF_TAPS = 6, BORDER = 12 };

/* sym6 low-pass (Daubechies' least asymmetric wavelet with 6 vanishing moments; coefficients as in PyWavelets), over
 * sqrt 2. */
HO_DEVICE ho_real tap(int64_t k) {
    static const ho_real f[TAPS] = {HO_R(0.01089235016328),  HO_R(0.00246830618592), HO_R(-0.08343160770584),
                                    HO_R(-0.03416156079324), HO_R(0.34722898647835), HO_R(0.55694639196396),
                                    HO_R(0.23895218566605),  HO_R(-0.0513624849309), HO_R(-0.01489187564922),
                                    HO_R(0.03162528132994),  HO_R(0.00124996104639), HO_R(-0.00551593375469)};
    return f[k];
}

/* out (+)= sum_k weight[k] * row[k], elementwise over `width` numbers. */
HO_DEVICE void combine_rows(ho_real *HO_RESTRICT out, const ho_real *const *row, const ho_real *weight, int64_t width,
                            bool accumulate) {
    const ho_real *HO_RESTRICT r0 = row[0], *HO_RESTRICT r1 = row[1], *HO_RESTRICT r2 = row[2];
    const ho_real *HO_RESTRICT r3 = row[3], *HO_RESTRICT r4 = row[4], *HO_RESTRICT r5 = row[5];
    const ho_real w0 = weight[0], w1 = weight[1], w2 = weight[2], w3 = weight[3], w4 = weight[4], w5 = weight[5];
    if (accumulate) {
        HO_BLOCK_LOOP (e, width) {
            out[e] += w0 * r0[e] + w1 * r1[e] + w2 * r2[e] + w3 * r3[e] + w4 * r4[e] + w5 * r5[e];
        }
    } else {
        HO_BLOCK_LOOP (e, width) {
            out[e] = w0 * r0[e] + w1 * r1[e] + w2 * r2[e] + w3 * r3[e] + w4 * r4[e] + w5 * r5[e];
        }
    }
}

#endif
