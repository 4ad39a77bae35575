/* Differentiable augmentation: an affine resampling and a colour matrix per image (Karras et al. 2020, "Training GANs
 * with limited data", appendix B; stylegan2-ada-pytorch, training/augment.py).
 *
 * Images (count, H, W, 3). With f the sym6 low-pass filter scaled to sum 1 (12 taps), along each axis of n pixels:
 *
 * - padded:  P[i] = x[reflect(i - pad)] for i < n + 2 pad, with reflect(-1) = 1 and reflect(n) = n - 2
 * - up:      U[j] = 2 sum_i f[j + 5 - 2 i] P[i] for j < 2 (n + 2 pad)
 * - sampled: S[t] = bilinear(U at map(s, t)), zero outside of U, for s < 2 W + 12, t < 2 H + 12
 * - down:    y[i] = sum_k f[k] S[2 i + k + 1] for i < n
 * - colour:  z = M y + m, a 3x3 matrix, and the offset m unless the tangent is wanted
 *
 * f is a wavelet filter: up followed by down is the identity when map is the identity; images without geometry skip
 * both. Memory-bound: about 40 numbers moved a pixel. The transpose is in augment_backward.cu.
 * Test: tests/ops/test_augment.c against a double loop over the definitions above. */
#include "augment_parts.h"

HO_DEVICE int64_t reflect(int64_t i, int64_t n) {
    const int64_t positive = i < 0 ? -i : i;
    return positive < n ? positive : 2 * (n - 1) - positive;
}

HO_KERNEL up_y_kernel(ho_k_augment a, const ho_real *x) {
    HO_GRID_BLOCKS (r, a.count * a.max_rows) {
        const int64_t n = r / a.max_rows, j = r % a.max_rows;
        const ho_k_augment_image *im = a.images + n;
        const int64_t padded = a.H + 2 * im->pad_y, width = 3 * a.W;
        if (im->geometry == 0 || j >= 2 * padded) {
            continue;
        }
        const ho_real *row[HALF_TAPS];
        ho_real weight[HALF_TAPS];
        const int64_t last = (j + 5) / 2;
        for (int64_t k = 0; k < HALF_TAPS; ++k) {
            const int64_t i = last - k;
            const bool inside = i >= 0 && i < padded;
            weight[k] = inside ? 2 * tap(j + 5 - 2 * i) : 0;
            row[k] = x + (n * a.H + (inside ? reflect(i - im->pad_y, a.H) : 0)) * width;
        }
        combine_rows(a.up_y + im->at_up_y + j * width, row, weight, width, false);
    }
}

HO_KERNEL up_x_kernel(ho_k_augment a) {
    ho_real even[HALF_TAPS], odd[HALF_TAPS];
    for (int k = 0; k < HALF_TAPS; ++k) {
        odd[k] = 2 * tap(10 - 2 * k);
        even[k] = 2 * tap(11 - 2 * k);
    }
    HO_GRID_BLOCKS (r, a.count * a.max_rows) {
        const int64_t n = r / a.max_rows, j = r % a.max_rows;
        const ho_k_augment_image *im = a.images + n;
        const int64_t padded = a.W + 2 * im->pad_x;
        if (im->geometry == 0 || j >= 2 * (a.H + 2 * im->pad_y)) {
            continue;
        }
        const ho_real *HO_RESTRICT from = a.up_y + im->at_up_y + j * 3 * a.W;
        ho_real *HO_RESTRICT to = a.up + im->at_up + j * 6 * padded;
        /* Pixels i - 3 .. i + 3 make the outputs 2 i and 2 i + 1. */
        HO_BLOCK_LOOP (i, padded) {
            ho_real y[6] = {0, 0, 0, 0, 0, 0};
            for (int64_t k = 0; k < HALF_TAPS + 1; ++k) {
                const int64_t p = i + k - 3;
                if (p < 0 || p >= padded) {
                    continue;
                }
                const ho_real *pixel = from + 3 * reflect(p - im->pad_x, a.W);
                const ho_real w_even = k < HALF_TAPS ? even[k] : 0, w_odd = k > 0 ? odd[k - 1] : 0;
                for (int c = 0; c < 3; ++c) {
                    y[c] += w_even * pixel[c];
                    y[3 + c] += w_odd * pixel[c];
                }
            }
            for (int c = 0; c < 6; ++c) {
                to[6 * i + c] = y[c];
            }
        }
    }
}

HO_KERNEL sample_kernel(ho_k_augment a) {
    const int64_t rows = 2 * a.H + BORDER, columns = 2 * a.W + BORDER;
    HO_GRID_BLOCKS (r, a.count * rows) {
        const int64_t n = r / rows, t = r % rows;
        const ho_k_augment_image *im = a.images + n;
        if (im->geometry == 0) {
            continue;
        }
        const int64_t Hu = 2 * (a.H + 2 * im->pad_y), Wu = 2 * (a.W + 2 * im->pad_x);
        const ho_real *HO_RESTRICT up = a.up + im->at_up;
        ho_real *HO_RESTRICT to = a.sampled + r * columns * 3;
        const ho_real u0 = im->map[1] * (ho_real)t + im->map[2], v0 = im->map[4] * (ho_real)t + im->map[5];
        HO_BLOCK_LOOP (s, columns) {
            const ho_real u = im->map[0] * (ho_real)s + u0, v = im->map[3] * (ho_real)s + v0;
            ho_real y[3] = {0, 0, 0};
            if (u > -1 && v > -1 && u < (ho_real)Wu && v < (ho_real)Hu) {
                const ho_real fu = floor(u), fv = floor(v);
                const int64_t x0 = (int64_t)fu, y0 = (int64_t)fv;
                const ho_real wx = u - fu, wy = v - fv;
                for (int k = 0; k < 4; ++k) {
                    const int64_t px = x0 + (k & 1), py = y0 + (k >> 1);
                    if (px >= 0 && px < Wu && py >= 0 && py < Hu) {
                        const ho_real w = ((k & 1) != 0 ? wx : 1 - wx) * ((k >> 1) != 0 ? wy : 1 - wy);
                        const ho_real *pixel = up + (py * Wu + px) * 3;
                        y[0] += w * pixel[0];
                        y[1] += w * pixel[1];
                        y[2] += w * pixel[2];
                    }
                }
            }
            for (int c = 0; c < 3; ++c) {
                to[3 * s + c] = y[c];
            }
        }
    }
}

HO_KERNEL down_y_kernel(ho_k_augment a) {
    const int64_t width = 3 * (2 * a.W + BORDER);
    HO_GRID_BLOCKS (r, a.count * a.H) {
        const int64_t n = r / a.H, i = r % a.H;
        if (a.images[n].geometry == 0) {
            continue;
        }
        const ho_real *from = a.sampled + (n * (2 * a.H + BORDER) + 2 * i + 1) * width;
        for (int half = 0; half < 2; ++half) {
            const ho_real *row[HALF_TAPS];
            ho_real weight[HALF_TAPS];
            for (int k = 0; k < HALF_TAPS; ++k) {
                row[k] = from + (half * HALF_TAPS + k) * width;
                weight[k] = tap(half * HALF_TAPS + k);
            }
            combine_rows(a.down_y + r * width, row, weight, width, half == 1);
        }
    }
}

HO_KERNEL down_x_color_kernel(ho_k_augment a, const ho_real *x, ho_real *y, ho_real offset) {
    ho_real f[TAPS];
    for (int k = 0; k < TAPS; ++k) {
        f[k] = tap(k);
    }
    HO_GRID_BLOCKS (r, a.count * a.H) {
        const ho_k_augment_image *im = a.images + r / a.H;
        const ho_real *HO_RESTRICT m = im->color;
        const ho_real *HO_RESTRICT down = a.down_y + r * (2 * a.W + BORDER) * 3;
        const ho_real *HO_RESTRICT from = x + r * a.W * 3;
        ho_real *HO_RESTRICT to = y + r * a.W * 3;
        HO_BLOCK_LOOP (i, a.W) {
            ho_real v[3] = {0, 0, 0};
            if (im->geometry != 0) {
                for (int k = 0; k < TAPS; ++k) {
                    for (int c = 0; c < 3; ++c) {
                        v[c] += f[k] * down[3 * (2 * i + k + 1) + c];
                    }
                }
            } else {
                for (int c = 0; c < 3; ++c) {
                    v[c] = from[3 * i + c];
                }
            }
            for (int c = 0; c < 3; ++c) {
                to[3 * i + c] = m[4 * c] * v[0] + m[4 * c + 1] * v[1] + m[4 * c + 2] * v[2] + offset * m[4 * c + 3];
            }
        }
    }
}

/* ---- launcher -------------------------------------------------------------------------------------------- */

ho_status ho_k_augment_forward(const ho_k_augment *a, const ho_real *x, ho_real *y, bool offset, ho_stream stream) {
    if (a->max_rows > 0) {
        const int64_t all_rows = a->count * a->max_rows, rows = a->count * (2 * a->H + BORDER);
        HO_LAUNCH(up_y_kernel, ho_grid_blocks(all_rows, 18 * a->W), BLOCK, 0, stream, *a, x);
        HO_LAUNCH(up_x_kernel, ho_grid_blocks(all_rows, 72 * a->W), BLOCK, 0, stream, *a);
        HO_LAUNCH(sample_kernel, ho_grid_blocks(rows, 48 * a->W), BLOCK, 0, stream, *a);
        HO_LAUNCH(down_y_kernel, ho_grid_blocks(a->count * a->H, 72 * a->W), BLOCK, 0, stream, *a);
    }
    HO_LAUNCH(down_x_color_kernel, ho_grid_blocks(a->count * a->H, 12 * a->W), BLOCK, 0, stream, *a, x, y,
              (ho_real)(offset ? 1 : 0));
    return HO_LAUNCH_STATUS("augment_forward");
}
