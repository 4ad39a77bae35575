/* Differentiable augmentation: an affine resampling and a colour matrix per image (Karras et al. 2020, "Training GANs
 * with limited data"; REFERENCE 2.4).
 *
 * Images (count, H, W, 3). With f the sym6 low-pass filter scaled to sum 1 (12 taps), one axis of an image x of n
 * pixels: padded   P[i] = x[reflect(i - pad)],        i < n + 2 pad      reflect(-1) = 1, reflect(n) = n - 2 up U[j] =
 * 2 sum_i f[j + 5 - 2 i] P[i], j < 2 (n + 2 pad) sampled  S[t] = bilinear(U at map(s, t)), zero outside of U;   s < 2 W
 * + 12, t < 2 H + 12 down     y[i] = sum_k f[k] S[2 i + k + 1],  i < n colour   z = M y + m (3x3 matrix, and the offset
 * m unless the tangent is wanted). f is a wavelet filter: up followed by down is the identity when map is the identity,
 * and images without geometry skip both. Everything but the offset is linear in x: the backward applies the transposes
 * in reverse order. The transposed sampling gives each row of g_U to one thread, which visits the S pixels that touched
 * the row in a fixed order, so the result depends on neither threads nor target. Memory-bound: about 40 numbers moved a
 * pixel. Test: tests/ops/test_augment.c against a double loop over the definitions above. */
#include "augment.h"

#include "handsoff/kernel.h"

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

HO_DEVICE int64_t reflect(int64_t i, int64_t n) {
    const int64_t positive = i < 0 ? -i : i;
    return positive < n ? positive : 2 * (n - 1) - positive;
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

/* ---- forward -------------------------------------------------------------------------------------------------------
 */

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

/* ---- backward: the transposes, last step first
 * ------------------------------------------------------------------------ */

/* Gradient before the colour matrix: into `plain` for images with geometry, else straight into g_x. */
HO_KERNEL color_transposed_kernel(ho_k_augment a, const ho_real *g_y, ho_real *g_x, ho_real keep) {
    HO_GRID_BLOCKS (r, a.count * a.H) {
        const ho_k_augment_image *im = a.images + r / a.H;
        const ho_real *HO_RESTRICT m = im->color;
        const ho_real *HO_RESTRICT g = g_y + r * a.W * 3;
        const bool geometry = im->geometry != 0;
        ho_real *HO_RESTRICT to = (geometry ? a.plain : g_x) + r * a.W * 3;
        const bool add = !geometry && keep != 0;
        HO_BLOCK_LOOP (i, a.W) {
            for (int c = 0; c < 3; ++c) {
                const ho_real v = m[c] * g[3 * i] + m[4 + c] * g[3 * i + 1] + m[8 + c] * g[3 * i + 2];
                to[3 * i + c] = add ? to[3 * i + c] + v : v;
            }
        }
    }
}

HO_KERNEL down_x_transposed_kernel(ho_k_augment a) {
    const int64_t columns = 2 * a.W + BORDER;
    HO_GRID_BLOCKS (r, a.count * a.H) {
        if (a.images[r / a.H].geometry == 0) {
            continue;
        }
        const ho_real *HO_RESTRICT g = a.plain + r * a.W * 3;
        ho_real *HO_RESTRICT to = a.down_y + r * columns * 3;
        HO_BLOCK_LOOP (s, columns) {
            ho_real v[3] = {0, 0, 0};
            for (int64_t i = (s - 1) / 2; i >= 0 && s - 1 - 2 * i < TAPS; --i) {
                if (i < a.W && s > 0) {
                    const ho_real w = tap(s - 1 - 2 * i);
                    for (int c = 0; c < 3; ++c) {
                        v[c] += w * g[3 * i + c];
                    }
                }
            }
            for (int c = 0; c < 3; ++c) {
                to[3 * s + c] = v[c];
            }
        }
    }
}

HO_KERNEL down_y_transposed_kernel(ho_k_augment a) {
    const int64_t rows = 2 * a.H + BORDER, width = 3 * (2 * a.W + BORDER);
    HO_GRID_BLOCKS (r, a.count * rows) {
        const int64_t n = r / rows, t = r % rows;
        if (a.images[n].geometry == 0) {
            continue;
        }
        const ho_real *row[HALF_TAPS];
        ho_real weight[HALF_TAPS];
        for (int64_t k = 0; k < HALF_TAPS; ++k) {
            const int64_t i = (t + 1) / 2 - 1 - k; /* floor((t - 1) / 2) - k */
            const bool inside = i >= 0 && i < a.H;
            weight[k] = inside ? tap(t - 1 - 2 * i) : 0;
            row[k] = a.down_y + (n * a.H + (inside ? i : 0)) * width;
        }
        combine_rows(a.sampled + r * width, row, weight, width, false);
    }
}

/* The part of a row of `sampled`, columns [*first, *end), whose samples can touch row j of `up`: |v0 + slope s - j|
 * < 1. */
HO_DEVICE void touching(ho_real slope, ho_real v0, int64_t j, int64_t columns, int64_t *first, int64_t *end) {
    const ho_real distance = (ho_real)j - v0, size = fabs(slope);
    *first = 0;
    *end = columns;
    if (size * (ho_real)columns < HO_R(0.25)) { /* parallel rows */
        if (fabs(distance) > HO_R(1.5)) {
            *end = 0;
        }
        return;
    }
    const ho_real middle = distance / slope, reach = 1 / size + 2;
    const ho_real low = middle - reach, high = middle + reach;
    if (high < 0 || low > (ho_real)columns) {
        *end = 0;
        return;
    }
    *first = low > 0 ? (int64_t)low : 0;
    *end = high < (ho_real)(columns - 1) ? (int64_t)high + 1 : columns;
}

HO_KERNEL sample_transposed_kernel(ho_k_augment a) {
    const int64_t rows = 2 * a.H + BORDER, columns = 2 * a.W + BORDER;
    HO_GRID_LOOP (r, a.count * a.max_rows) {
        const int64_t n = r / a.max_rows, j = r % a.max_rows;
        const ho_k_augment_image *im = a.images + n;
        const int64_t Wu = 2 * (a.W + 2 * im->pad_x);
        if (im->geometry == 0 || j >= 2 * (a.H + 2 * im->pad_y)) {
            continue;
        }
        const ho_real *HO_RESTRICT map = im->map;
        ho_real *HO_RESTRICT to = a.up + im->at_up + j * Wu * 3;
        for (int64_t e = 0; e < 3 * Wu; ++e) {
            to[e] = 0;
        }
        for (int64_t t = 0; t < rows; ++t) {
            const ho_real *HO_RESTRICT g = a.sampled + (n * rows + t) * columns * 3;
            const ho_real u0 = map[1] * (ho_real)t + map[2], v0 = map[4] * (ho_real)t + map[5];
            int64_t first, end;
            touching(map[3], v0, j, columns, &first, &end);
            for (int64_t s = first; s < end; ++s) {
                const ho_real u = map[0] * (ho_real)s + u0, v = map[3] * (ho_real)s + v0;
                const ho_real fv = floor(v), wy = v - fv;
                const int64_t below = j - (int64_t)fv;
                if (below < 0 || below > 1 || u <= -1 || u >= (ho_real)Wu) {
                    continue;
                }
                const ho_real fu = floor(u), wx = u - fu, row_weight = below == 0 ? 1 - wy : wy;
                const int64_t x0 = (int64_t)fu;
                for (int64_t c = 0; c < 3; ++c) {
                    const ho_real gc = row_weight * g[3 * s + c];
                    if (x0 >= 0) {
                        to[3 * x0 + c] += (1 - wx) * gc;
                    }
                    if (x0 + 1 < Wu) {
                        to[3 * (x0 + 1) + c] += wx * gc;
                    }
                }
            }
        }
    }
}

/* The padded positions that show pixel i of n under a border of `pad`: itself and its mirror images. Returns how many.
 */
HO_DEVICE int shown_at(int64_t i, int64_t n, int64_t pad, int64_t at[3]) {
    int count = 0;
    at[count++] = pad + i;
    if (i >= 1 && i <= pad) {
        at[count++] = pad - i;
    }
    if (i <= n - 2 && i >= n - 1 - pad) {
        at[count++] = pad + 2 * (n - 1) - i;
    }
    return count;
}

HO_KERNEL up_x_transposed_kernel(ho_k_augment a) {
    ho_real f[TAPS];
    for (int k = 0; k < TAPS; ++k) {
        f[k] = 2 * tap(k);
    }
    HO_GRID_BLOCKS (r, a.count * a.max_rows) {
        const int64_t n = r / a.max_rows, j = r % a.max_rows;
        const ho_k_augment_image *im = a.images + n;
        const int64_t Wu = 2 * (a.W + 2 * im->pad_x);
        if (im->geometry == 0 || j >= 2 * (a.H + 2 * im->pad_y)) {
            continue;
        }
        const ho_real *HO_RESTRICT g = a.up + im->at_up + j * Wu * 3;
        ho_real *HO_RESTRICT to = a.up_y + im->at_up_y + j * a.W * 3;
        HO_BLOCK_LOOP (i, a.W) {
            int64_t at[3];
            const int places = shown_at(i, a.W, im->pad_x, at);
            ho_real v[3] = {0, 0, 0};
            for (int m = 0; m < places; ++m) {
                const int64_t first = 2 * at[m] - 5;
                for (int64_t k = first < 0 ? -first : 0; k < TAPS && first + k < Wu; ++k) {
                    for (int c = 0; c < 3; ++c) {
                        v[c] += f[k] * g[3 * (first + k) + c];
                    }
                }
            }
            for (int c = 0; c < 3; ++c) {
                to[3 * i + c] = v[c];
            }
        }
    }
}

HO_KERNEL up_y_transposed_kernel(ho_k_augment a, ho_real *g_x, ho_real keep) {
    HO_GRID_BLOCKS (r, a.count * a.H) {
        const int64_t n = r / a.H, width = 3 * a.W;
        const ho_k_augment_image *im = a.images + n;
        const int64_t Hu = 2 * (a.H + 2 * im->pad_y);
        if (im->geometry == 0) {
            continue;
        }
        int64_t at[3];
        const int places = shown_at(r % a.H, a.H, im->pad_y, at);
        for (int part = 0; part < 2 * places; ++part) {
            const ho_real *row[HALF_TAPS];
            ho_real weight[HALF_TAPS];
            for (int64_t k = 0; k < HALF_TAPS; ++k) {
                const int64_t t = (part % 2) * HALF_TAPS + k, j = 2 * at[part / 2] - 5 + t;
                const bool inside = j >= 0 && j < Hu;
                weight[k] = inside ? 2 * tap(t) : 0;
                row[k] = a.up_y + im->at_up_y + (inside ? j : 0) * width;
            }
            combine_rows(g_x + r * width, row, weight, width, keep != 0 || part > 0);
        }
    }
}

/* ---- launchers
 * -------------------------------------------------------------------------------------------------------- */

static bool any_geometry(const ho_k_augment *a) {
    return a->max_rows > 0;
}

ho_status ho_k_augment_forward(const ho_k_augment *a, const ho_real *x, ho_real *y, bool offset, ho_stream stream) {
    if (any_geometry(a)) {
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

ho_status ho_k_augment_backward(const ho_k_augment *a, const ho_real *g_y, ho_real *g_x, bool accumulate,
                                ho_stream stream) {
    const ho_real keep = (ho_real)(accumulate ? 1 : 0);
    HO_LAUNCH(color_transposed_kernel, ho_grid_blocks(a->count * a->H, 12 * a->W), BLOCK, 0, stream, *a, g_y, g_x,
              keep);
    if (any_geometry(a)) {
        const int64_t all_rows = a->count * a->max_rows, rows = a->count * (2 * a->H + BORDER);
        HO_LAUNCH(down_x_transposed_kernel, ho_grid_blocks(a->count * a->H, 72 * a->W), BLOCK, 0, stream, *a);
        HO_LAUNCH(down_y_transposed_kernel, ho_grid_blocks(rows, 36 * a->W), BLOCK, 0, stream, *a);
        HO_LAUNCH(sample_transposed_kernel, ho_grid(all_rows * 64 * a->W, BLOCK), BLOCK, 0, stream, *a);
        HO_LAUNCH(up_x_transposed_kernel, ho_grid_blocks(all_rows, 72 * a->W), BLOCK, 0, stream, *a);
        HO_LAUNCH(up_y_transposed_kernel, ho_grid_blocks(a->count * a->H, 108 * a->W), BLOCK, 0, stream, *a, g_x, keep);
    }
    return HO_LAUNCH_STATUS("augment_backward");
}
