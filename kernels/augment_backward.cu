/* The adjoint of augment.cu's resampling and colour matrix.
 *
 * Everything there but the colour offset is linear in the image, so the gradient is the chain of transposes, last step
 * first: colour, down along x and y, bilinear sampling, up along x and y, reflection. Buffers then hold gradients. The
 * transposed sampling gives each row of g_U to one thread, which visits the samples that touched the row in a fixed
 * order: the result depends on neither threads nor target. Test: tests/ops/test_augment.c, <A x, g> = <x, A^T g> and
 * differences of outputs. */
#include "augment_parts.h"

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

/* The padded positions that show pixel i of n under a border of `pad`: itself and its mirror images. Named, not an
 * array: an index that varies would put it into a GPU's local memory. */
typedef struct {
    int64_t first, second, third;
    int count;
} shown_places;

HO_DEVICE shown_places shown_at(int64_t i, int64_t n, int64_t pad) {
    const bool low = i >= 1 && i <= pad, high = i <= n - 2 && i >= n - 1 - pad;
    shown_places at;
    at.first = pad + i;
    at.third = pad + 2 * (n - 1) - i;
    at.second = low ? pad - i : at.third;
    at.count = 1 + (low ? 1 : 0) + (high ? 1 : 0);
    return at;
}
HO_DEVICE int64_t shown_place(const shown_places *at, int m) {
    return m == 0 ? at->first : m == 1 ? at->second : at->third;
}

HO_KERNEL up_x_transposed_kernel(ho_k_augment a) {
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
            const shown_places at = shown_at(i, a.W, im->pad_x);
            ho_real v[3] = {0, 0, 0};
            for (int m = 0; m < at.count; ++m) {
                const int64_t first = 2 * shown_place(&at, m) - 5;
                for (int64_t k = first < 0 ? -first : 0; k < TAPS && first + k < Wu; ++k) {
                    const ho_real w = 2 * tap(k);
                    for (int c = 0; c < 3; ++c) {
                        v[c] += w * g[3 * (first + k) + c];
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
        const shown_places at = shown_at(r % a.H, a.H, im->pad_y);
        for (int part = 0; part < 2 * at.count; ++part) {
            const ho_real *row[HALF_TAPS];
            ho_real weight[HALF_TAPS];
            for (int64_t k = 0; k < HALF_TAPS; ++k) {
                const int64_t t = (part % 2) * HALF_TAPS + k, j = 2 * shown_place(&at, part / 2) - 5 + t;
                const bool inside = j >= 0 && j < Hu;
                weight[k] = inside ? 2 * tap(t) : 0;
                row[k] = a.up_y + im->at_up_y + (inside ? j : 0) * width;
            }
            combine_rows(g_x + r * width, row, weight, width, keep != 0 || part > 0);
        }
    }
}

ho_status ho_k_augment_backward(const ho_k_augment *a, const ho_real *g_y, ho_real *g_x, bool accumulate,
                                ho_stream stream) {
    const ho_real keep = (ho_real)(accumulate ? 1 : 0);
    HO_LAUNCH(color_transposed_kernel, ho_grid_blocks(a->count * a->H, 12 * a->W), BLOCK, 0, stream, *a, g_y, g_x,
              keep);
    if (a->max_rows > 0) {
        const int64_t all_rows = a->count * a->max_rows, rows = a->count * (2 * a->H + BORDER);
        HO_LAUNCH(down_x_transposed_kernel, ho_grid_blocks(a->count * a->H, 72 * a->W), BLOCK, 0, stream, *a);
        HO_LAUNCH(down_y_transposed_kernel, ho_grid_blocks(rows, 36 * a->W), BLOCK, 0, stream, *a);
        HO_LAUNCH(sample_transposed_kernel, ho_grid(all_rows * 64 * a->W, BLOCK), BLOCK, 0, stream, *a);
        HO_LAUNCH(up_x_transposed_kernel, ho_grid_blocks(all_rows, 72 * a->W), BLOCK, 0, stream, *a);
        HO_LAUNCH(up_y_transposed_kernel, ho_grid_blocks(a->count * a->H, 108 * a->W), BLOCK, 0, stream, *a, g_x, keep);
    }
    return HO_LAUNCH_STATUS("augment_backward");
}
