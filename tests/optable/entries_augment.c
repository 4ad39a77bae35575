/* Augmentation by its definitions (kernels/augment.cu), with the largest border for every image. Cases: N, H, W. */
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/augment.h"

enum { MOST = 8, SEED = 3 };

/* sym6, low-pass of the decomposition, as published: its sum is sqrt 2. */
static const double SYM6[12] = {0.015404109327027373, 0.0034907120842174702, -0.11799011114819057,
                                -0.048311742585633,   0.4910559419267466,    0.787641141030194,
                                0.3379294217276218,   -0.07263752278646252,  -0.021060292512300564,
                                0.04472490177066578,  0.0017677118642428036, -0.007800708325034148};

static double tap(int64_t k) {
    return k >= 0 && k < 12 ? SYM6[k] * 0.70710678118654752 : 0.0;
}

static int64_t reflected(int64_t i, int64_t n) {
    while (i < 0 || i >= n) {
        i = i < 0 ? -i : 2 * (n - 1) - i;
    }
    return i;
}

static void shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2], 3));
    ot_out(p, 16 * 12 * 12, HO_SHAPE(p->n[0], p->n[1], p->n[2], 3));
}

/* Image 1 keeps its pixels' places. */
static void draw(const ot_problem *p, ho_augmentation *a) {
    for (int64_t n = 0; n < p->n[0]; ++n) {
        ho_augment_draw(1.0, p->n[1], p->n[2], SEED, 5, (uint64_t)(n + 10 * p->n[1]), &a[n]);
        a[n].geometry = a[n].geometry && n != 1;
    }
}

static ho_status run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    ho_augmentation a[MOST];
    draw(p, a);
    return ho_augment(context, x[0], a, y);
}

static ho_status tangent_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    ho_augmentation a[MOST];
    draw(p, a);
    return ho_augment_tangent(context, x[0], a, y);
}

typedef struct {
    int64_t H, W, pad_y, pad_x, up_h, up_w, s_h, s_w;
} sizes;

/* One channel of the image, reflected, twice as large. */
static void enlarge(const sizes *z, const double *x, double *up) {
    for (int64_t j = 0; j < z->up_h * z->up_w; ++j) {
        const int64_t row = j / z->up_w, column = j % z->up_w;
        up[j] = 0.0;
        for (int64_t iy = row / 2 - 3; iy <= row / 2 + 3; ++iy) {
            for (int64_t ix = column / 2 - 3; ix <= column / 2 + 3; ++ix) {
                if (iy >= 0 && ix >= 0 && iy < z->H + 2 * z->pad_y && ix < z->W + 2 * z->pad_x) {
                    up[j] += 4.0 * tap(row + 5 - 2 * iy) * tap(column + 5 - 2 * ix) *
                             x[3 * (reflected(iy - z->pad_y, z->H) * z->W + reflected(ix - z->pad_x, z->W))];
                }
            }
        }
    }
}

/* Where the affine map says, around the centres; the filter delays by half a sample. */
static void sample(const sizes *z, const ho_augmentation *a, const double *up, double *sampled) {
    for (int64_t i = 0; i < z->s_h * z->s_w; ++i) {
        const int64_t row = i / z->s_w, column = i % z->s_w;
        const double p = ((double)column + 1.0 - 0.5 * (double)z->s_w) / 2.0;
        const double q = ((double)row + 1.0 - 0.5 * (double)z->s_h) / 2.0;
        const double u =
            2.0 * (a->inverse[0][0] * p + a->inverse[0][1] * q + a->inverse[0][2]) - 1.0 + 0.5 * (double)z->up_w;
        const double v =
            2.0 * (a->inverse[1][0] * p + a->inverse[1][1] * q + a->inverse[1][2]) - 1.0 + 0.5 * (double)z->up_h;
        sampled[i] = 0.0;
        for (int t = 0; t < 4; ++t) {
            const int64_t jx = (int64_t)floor(u) + t % 2, jy = (int64_t)floor(v) + t / 2;
            if (jy >= 0 && jy < z->up_h && jx >= 0 && jx < z->up_w) {
                sampled[i] += (1.0 - fabs(u - (double)jx)) * (1.0 - fabs(v - (double)jy)) * up[jy * z->up_w + jx];
            }
        }
    }
}

static void shrink(const sizes *z, const double *sampled, double *to) {
    for (int64_t i = 0; i < z->H * z->W; ++i) {
        to[3 * i] = 0.0;
        for (int k = 0; k < 144; ++k) {
            to[3 * i] += tap(k / 12) * tap(k % 12) *
                         sampled[(2 * (i / z->W) + k / 12 + 1) * z->s_w + 2 * (i % z->W) + k % 12 + 1];
        }
    }
}

static void one_image(const sizes *z, const ho_augmentation *a, double offset, const double *x, double *y) {
    double *up = calloc((size_t)(z->up_h * z->up_w), sizeof *up),
           *sampled = calloc((size_t)(z->s_h * z->s_w), sizeof *up);
    double *moved = calloc((size_t)(z->H * z->W * 3), sizeof *moved);
    memcpy(moved, x, (size_t)(z->H * z->W * 3) * sizeof *moved);
    for (int c = 0; c < 3 && a->geometry; ++c) {
        enlarge(z, x + c, up);
        sample(z, a, up, sampled);
        shrink(z, sampled, moved + c);
    }
    for (int64_t i = 0; i < z->H * z->W * 3; ++i) {
        const double *m = a->matrix[i % 3], *v = moved + i / 3 * 3;
        y[i] = m[0] * v[0] + m[1] * v[1] + m[2] * v[2] + offset * m[3];
    }
    free(up);
    free(sampled);
    free(moved);
}

static void augmented(const ot_problem *p, const double *x, double offset, double *y) {
    const int64_t H = p->n[1], W = p->n[2];
    const sizes z = {H, W, H - 1, W - 1, 2 * (3 * H - 2), 2 * (3 * W - 2), 2 * H + 12, 2 * W + 12};
    ho_augmentation a[MOST];
    draw(p, a);
    for (int64_t n = 0; n < p->n[0]; ++n) {
        one_image(&z, &a[n], offset, x + n * H * W * 3, y + n * H * W * 3);
    }
}

static void truth(const ot_problem *p, const double *const *x, double *y) {
    augmented(p, x[0], 1.0, y);
}

static void tangent_truth(const ot_problem *p, const double *const *x, double *y) {
    augmented(p, x[0], 0.0, y);
}

static const ot_case CASES[] = {{{1, 2, 3}, NULL}, {{3, 5, 4}, NULL},  {{2, 7, 8}, NULL},
                                {{4, 6, 5}, NULL}, {{1, 3, 35}, NULL}, {{3, 13, 2}, NULL}};

const ot_entry ot_augment[] = {
    {"augment",
     "up_y_kernel up_x_kernel sample_kernel down_y_kernel down_x_color_kernel color_transposed_kernel "
     "down_x_transposed_kernel down_y_transposed_kernel sample_transposed_kernel up_x_transposed_kernel "
     "up_y_transposed_kernel",
     shape, run, truth, OT_CASES(CASES)},
    {"augment_tangent", "down_x_color_kernel", shape, tangent_run, tangent_truth, OT_CASES(CASES)},
    {0},
};
