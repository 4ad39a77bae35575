/* Augmentation: against a double loop over the definitions, adjoint, gradient, the meaning and the law of the draws. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handsoff/augment.h"
#include "handsoff/ops.h"
#include "handsoff/random.h"

#ifdef HO_REAL_DOUBLE
#define TOLERANCE 2e-6 /* tensors travel to and from the host as floats */
#else
#define TOLERANCE 2e-5
#endif
enum { SEED = 11 };

static ho_device *device;
static ho_context *context;

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != HO_OK) {                                                                                         \
            fail_msg("%s: %s", #call, ho_error());                                                                     \
        }                                                                                                              \
    } while (0)

static int setup(void **state) {
    (void)state;
    return ho_device_open(2, 0, &device) == HO_OK && ho_context_create(device, &context) == HO_OK ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    ho_context_free(context);
    ho_device_close(device);
    return 0;
}

static float *noise_image(int64_t n, uint64_t stream) {
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; ++i) {
        x[i] = (float)ho_normal(SEED, stream, (uint64_t)i);
    }
    return x;
}

/* y = aug(x), through the operation. */
static void apply(const float *x, int64_t N, int64_t H, int64_t W, const ho_augmentation *a, bool tangent, float *y) {
    ho_tensor *tx, *ty;
    ho_context_reset(context);
    OK(ho_tensor_from_host(context, x, HO_SHAPE(N, H, W, 3), &tx));
    OK(tangent ? ho_augment_tangent(context, tx, a, &ty) : ho_augment(context, tx, a, &ty));
    OK(ho_tensor_to_host(context, ty, y));
}

/* g_x = adjoint of aug at g, through the tape. */
static void adjoint(const float *x, const float *g, int64_t N, int64_t H, int64_t W, const ho_augmentation *a,
                    bool tangent, float *g_x) {
    ho_tensor *tx, *ty, *tg;
    ho_context_reset(context);
    ho_context_record(context, true);
    OK(ho_tensor_from_host(context, x, HO_SHAPE(N, H, W, 3), &tx));
    OK(ho_tensor_from_host(context, g, HO_SHAPE(N, H, W, 3), &tg));
    tx->needs_grad = true;
    OK(tangent ? ho_augment_tangent(context, tx, a, &ty) : ho_augment(context, tx, a, &ty));
    OK(ho_backward_seed(context, ty, tg));
    OK(ho_tensor_grad_to_host(context, tx, g_x));
    ho_context_record(context, false);
}

/* ---- truth ----------------------------------------------------------------------------------------------- */

/* sym6 decomposition low-pass as published (sum sqrt 2). */
static const double SYM6[12] = {0.015404109327027373, 0.0034907120842174702, -0.11799011114819057,
                                -0.048311742585633,   0.4910559419267466,    0.787641141030194,
                                0.3379294217276218,   -0.07263752278646252,  -0.021060292512300564,
                                0.04472490177066578,  0.0017677118642428036, -0.007800708325034148};
static double tap_or_zero(int64_t k) {
    return k >= 0 && k < 12 ? SYM6[k] / sqrt(2.0) : 0.0;
}
static int64_t mirrored(int64_t i, int64_t n) {
    while (i < 0 || i >= n) {
        i = i < 0 ? -i : 2 * (n - 1) - i;
    }
    return i;
}

/* The whole chain for one image with the largest border, straight from the definitions: upsampled image around centre
 * coordinates, sampled where the affine map says, filtered and decimated. */
static void truth(const float *x, int64_t H, int64_t W, const ho_augmentation *a, double *y) {
    const int64_t py = H - 1, px = W - 1, Hu = 2 * (H + 2 * py), Wu = 2 * (W + 2 * px), Hs = 2 * H + 12,
                  Ws = 2 * W + 12;
    double *up = calloc((size_t)(Hu * Wu), sizeof *up), *sampled = calloc((size_t)(Hs * Ws), sizeof *sampled);
    double *down = calloc((size_t)(H * W * 3), sizeof *down);
    for (int c = 0; a->geometry && c < 3; ++c) {
        memset(up, 0, (size_t)(Hu * Wu) * sizeof *up);
        for (int64_t j = 0; j < Hu * Wu; ++j) {
            for (int64_t i = 0; i < (H + 2 * py) * (W + 2 * px); ++i) {
                const int64_t iy = i / (W + 2 * px), ix = i % (W + 2 * px);
                const double w = 4.0 * tap_or_zero(j / Wu + 5 - 2 * iy) * tap_or_zero(j % Wu + 5 - 2 * ix);
                up[j] += w * x[(mirrored(iy - py, H) * W + mirrored(ix - px, W)) * 3 + c];
            }
        }
        for (int64_t t = 0; t < Hs; ++t) {
            for (int64_t s = 0; s < Ws; ++s) {
                /* Half-pixel coordinates from the centre; the filter delays by half a sample. */
                const double p = ((double)s + 0.5 - 0.5 * (double)Ws + 0.5) / 2,
                             q = ((double)t + 0.5 - 0.5 * (double)Hs + 0.5) / 2;
                const double u =
                    2 * (a->inverse[0][0] * p + a->inverse[0][1] * q + a->inverse[0][2]) - 0.5 + 0.5 * (double)Wu - 0.5;
                const double v =
                    2 * (a->inverse[1][0] * p + a->inverse[1][1] * q + a->inverse[1][2]) - 0.5 + 0.5 * (double)Hu - 0.5;
                double sum = 0.0;
                for (int64_t jy = (int64_t)floor(v); jy <= (int64_t)floor(v) + 1; ++jy) {
                    for (int64_t jx = (int64_t)floor(u); jx <= (int64_t)floor(u) + 1; ++jx) {
                        if (jy >= 0 && jy < Hu && jx >= 0 && jx < Wu) {
                            sum += (1 - fabs(u - (double)jx)) * (1 - fabs(v - (double)jy)) * up[jy * Wu + jx];
                        }
                    }
                }
                sampled[t * Ws + s] = sum;
            }
        }
        for (int64_t i = 0; i < H * W; ++i) {
            for (int k = 0; k < 144; ++k) {
                down[3 * i + c] += tap_or_zero(k / 12) * tap_or_zero(k % 12) *
                                   sampled[(2 * (i / W) + k / 12 + 1) * Ws + 2 * (i % W) + k % 12 + 1];
            }
        }
    }
    for (int64_t i = 0; !a->geometry && i < H * W * 3; ++i) {
        down[i] = x[i];
    }
    for (int64_t i = 0; i < H * W; ++i) {
        for (int c = 0; c < 3; ++c) {
            const double *m = a->matrix[c], *v = down + 3 * i;
            y[3 * i + c] = m[0] * v[0] + m[1] * v[1] + m[2] * v[2] + m[3];
        }
    }
    free(up), free(sampled), free(down);
}

static void test_matches_definition(void **state) {
    (void)state;
    static const int64_t SIZES[][2] = {{8, 8}, {9, 7}, {2, 3}, {5, 12}};
    for (size_t k = 0; k < sizeof SIZES / sizeof SIZES[0]; ++k) {
        enum { N = 7 };
        const int64_t H = SIZES[k][0], W = SIZES[k][1], count = H * W * 3;
        ho_augmentation a[N];
        for (int n = 0; n < N; ++n) {
            ho_augment_draw(n == 3 ? 0.0 : 1.0, H, W, SEED, 5, (uint64_t)n + 100 * k, &a[n]);
        }
        float *x = noise_image(N * count, k), *y = malloc((size_t)(N * count) * sizeof *y);
        double *want = malloc((size_t)count * sizeof *want);
        apply(x, N, H, W, a, false, y);
        for (int n = 0; n < N; ++n) {
            truth(x + n * count, H, W, &a[n], want);
            for (int64_t i = 0; i < count; ++i) {
                const double error = fabs((double)y[n * count + i] - want[i]), size = 1.0 + fabs(want[i]);
                if (!(error <= TOLERANCE * size)) {
                    fail_msg("%dx%d image %d at %d: %g, not %g", (int)H, (int)W, n, (int)i, (double)y[n * count + i],
                             want[i]);
                }
            }
        }
        free(x), free(y), free(want);
    }
}

static void test_identity_is_exact(void **state) {
    (void)state;
    enum { N = 3, H = 16, W = 16, COUNT = N * H * W * 3 };
    ho_augmentation a[N];
    for (int n = 0; n < N; ++n) {
        ho_augment_draw(0.0, H, W, SEED, 1, (uint64_t)n, &a[n]);
        assert_false(a[n].geometry);
    }
    float *x = noise_image(COUNT, 1), *y = malloc(COUNT * sizeof *y);
    apply(x, N, H, W, a, false, y);
    assert_memory_equal(x, y, COUNT * sizeof *x);
    adjoint(x, x, N, H, W, a, false, y);
    assert_memory_equal(x, y, COUNT * sizeof *x);
    free(x), free(y);
}

/* The resampling with an identity map is a perfect reconstruction, and a shift moves pixels and nothing else. */
static void test_meaning_of_maps(void **state) {
    (void)state;
    enum { H = 16, W = 16, COUNT = H * W * 3, N = 3 };
    float *x = malloc(N * COUNT * sizeof *x), *y = malloc(N * COUNT * sizeof *y);
    for (int i = 0; i < H * W; ++i) { /* smooth, with no symmetry */
        for (int c = 0; c < 3; ++c) {
            x[3 * i + c] =
                (float)(sin(0.21 * (i % W) + c) + 0.5 * cos(0.17 * (i / W)) + 0.01 * (i % W) * (i / W) / 16.0);
        }
    }
    memcpy(x + COUNT, x, COUNT * sizeof *x);
    memcpy(x + 2 * COUNT, x, COUNT * sizeof *x);
    ho_augmentation a[N];
    for (int n = 0; n < N; ++n) {
        ho_augment_identity(&a[n]);
        a[n].geometry = true;
    }
    a[0].inverse[0][2] = 2.0; /* comes from two pixels further right, three higher up */
    a[0].inverse[1][2] = -3.0;
    a[1].inverse[0][0] = -1.0;                     /* mirror image */
    a[2].inverse[0][0] = a[2].inverse[1][1] = 0.0; /* quarter turn: (x, y) comes from (y, -x) */
    a[2].inverse[0][1] = 1.0;
    a[2].inverse[1][0] = -1.0;
    apply(x, N, H, W, a, false, y);
    for (int h = 3; h < H - 3; ++h) {
        for (int w = 3; w < W - 3; ++w) {
            assert_float_equal(y[(h * W + w) * 3], x[((h - 3) * W + w + 2) * 3], 1e-5);
            assert_float_equal(y[COUNT + (h * W + w) * 3], x[(h * W + W - 1 - w) * 3], 0.02);
            assert_float_equal(y[2 * COUNT + (h * W + w) * 3], x[((W - 1 - w) * W + h) * 3], 0.02);
        }
    }
    free(x), free(y);
}

static void test_adjoint_and_gradient(void **state) {
    (void)state;
    enum { N = 4, H = 12, W = 12, COUNT = N * H * W * 3 };
    ho_augmentation a[N];
    for (int n = 0; n < N; ++n) {
        ho_augment_draw(n == 2 ? 0.0 : 0.8, H, W, SEED, 9, (uint64_t)n, &a[n]);
    }
    ho_augment_identity(&a[3]); /* axis-parallel rows: the other branch of the transposed sampling */
    a[3].geometry = true;
    a[3].inverse[0][0] = 0.7;
    a[3].inverse[1][2] = 0.4;
    float *x = noise_image(COUNT, 21), *g = noise_image(COUNT, 22), *y = malloc(COUNT * sizeof *y),
          *g_x = malloc(COUNT * sizeof *g_x);
    apply(x, N, H, W, a, true, y);
    for (int tangent = 0; tangent < 2; ++tangent) {
        adjoint(x, g, N, H, W, a, tangent == 1, g_x);
        double left = 0.0, right = 0.0, size = 0.0;
        for (int i = 0; i < COUNT; ++i) {
            left += (double)y[i] * g[i];
            right += (double)x[i] * g_x[i];
            size += fabs((double)y[i] * g[i]);
        }
        assert_true(fabs(left - right) <= TOLERANCE * 0.1 * size);
    }
    /* One coordinate at a time: d (g . aug(x)) / dx[i] by a difference of outputs (exact for a linear map). */
    float *moved = malloc(COUNT * sizeof *moved), *z = malloc(COUNT * sizeof *z);
    apply(x, N, H, W, a, false, y);
    for (int probe = 0; probe < 40; ++probe) {
        const int i = (int)ho_uniform_int(SEED, 77, (uint64_t)probe, COUNT);
        memcpy(moved, x, COUNT * sizeof *x);
        moved[i] += 1.0F;
        apply(moved, N, H, W, a, false, z);
        double slope = 0.0;
        for (int e = 0; e < COUNT; ++e) {
            slope += (double)g[e] * ((double)z[e] - (double)y[e]);
        }
        assert_float_equal(slope / ((double)moved[i] - (double)x[i]), g_x[i], 50 * TOLERANCE);
    }
    free(x), free(g), free(y), free(g_x), free(moved), free(z);
}

static void test_images_are_independent(void **state) {
    (void)state;
    enum { N = 3, H = 10, W = 10, COUNT = H * W * 3 };
    ho_augmentation a[N];
    float *x = noise_image(N * COUNT, 3), *y = malloc(N * COUNT * sizeof *y), *alone = malloc(COUNT * sizeof *alone);
    for (int n = 0; n < N; ++n) {
        ho_augment_draw(1.0, H, W, SEED, 2, (uint64_t)n, &a[n]);
    }
    apply(x, N, H, W, a, false, y);
    for (int n = 0; n < N; ++n) {
        apply(x + n * COUNT, 1, H, W, &a[n], false, alone);
        assert_memory_equal(alone, y + n * COUNT, COUNT * sizeof *alone);
    }
    free(x), free(y), free(alone);
}

/* Gradients add up when a tensor is used twice. */
static void test_accumulates(void **state) {
    (void)state;
    enum { N = 2, H = 8, W = 8, COUNT = N * H * W * 3 };
    ho_augmentation a[N], b[N];
    for (int n = 0; n < N; ++n) {
        ho_augment_draw(1.0, H, W, SEED, 4, (uint64_t)n, &a[n]);
        ho_augment_draw(n == 0 ? 0.0 : 1.0, H, W, SEED, 6, (uint64_t)n, &b[n]);
    }
    float *x = noise_image(COUNT, 31), *g_a = malloc(COUNT * sizeof *g_a), *g_b = malloc(COUNT * sizeof *g_b),
          *g_x = malloc(COUNT * sizeof *g_x);
    float ones[COUNT];
    for (int i = 0; i < COUNT; ++i) {
        ones[i] = 1.0F;
    }
    adjoint(x, ones, N, H, W, a, false, g_a);
    adjoint(x, ones, N, H, W, b, false, g_b);
    ho_tensor *tx, *ya, *yb, *y, *loss;
    ho_context_reset(context);
    ho_context_record(context, true);
    OK(ho_tensor_from_host(context, x, HO_SHAPE(N, H, W, 3), &tx));
    tx->needs_grad = true;
    OK(ho_augment(context, tx, a, &ya));
    OK(ho_augment(context, tx, b, &yb));
    OK(ho_add(context, ya, 1.0, yb, 1.0, &y));
    OK(ho_sum(context, y, 1.0, &loss));
    OK(ho_backward(context, loss));
    OK(ho_tensor_grad_to_host(context, tx, g_x));
    ho_context_record(context, false);
    for (int i = 0; i < COUNT; ++i) {
        assert_float_equal(g_x[i], g_a[i] + g_b[i], 20 * TOLERANCE);
    }
    free(x), free(g_a), free(g_b), free(g_x);
}

/* Recovers each drawn strength from the matrices and compares its spread with the published one. */
static void test_law_of_draws(void **state) {
    (void)state;
    enum { DRAWN = 4000 };
    double scale = 0, brightness = 0, contrast = 0, saturation = 0, flips = 0, mirrors = 0;
    for (uint64_t i = 0; i < DRAWN; ++i) {
        ho_augmentation a, again;
        ho_augment_draw(1.0, 64, 64, SEED, 8, i, &a);
        ho_augment_draw(1.0, 64, 64, SEED, 8, i, &again);
        assert_memory_equal(&a, &again, sizeof a);
        const double area = a.inverse[0][0] * a.inverse[1][1] - a.inverse[0][1] * a.inverse[1][0];
        scale += pow(0.5 * log2(fabs(area)), 2.0) / DRAWN;
        mirrors += area < 0 ? 1.0 / DRAWN : 0.0;
        double(*m)[4] = a.matrix;
        const double grey = m[0][0] + m[0][1] + m[0][2];
        for (int c = 0; c < 3; ++c) { /* greys stay grey, and the offset is grey */
            assert_true(fabs(m[c][0] + m[c][1] + m[c][2] - grey) <= 1e-9 * fabs(grey));
            assert_true(fabs(m[c][3] - m[0][3]) <= 1e-9 * fabs(grey));
        }
        const double volume = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                              m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                              m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
        contrast += pow(log2(fabs(grey)), 2.0) / DRAWN;
        brightness += pow(m[0][3] / grey, 2.0) / DRAWN;
        saturation += pow(0.5 * log2(fabs(volume / (grey * grey * grey))), 2.0) / DRAWN;
        flips += grey < 0 ? 1.0 / DRAWN : 0.0;
    }
    /* A standard deviation estimated from 4000 draws is off by 1.1 % (one sigma). */
    assert_float_equal(sqrt(scale), 0.2, 0.01);
    assert_float_equal(sqrt(brightness), 0.2, 0.01);
    assert_float_equal(sqrt(contrast), 0.5, 0.025);
    assert_float_equal(sqrt(saturation), 1.0, 0.05);
    assert_float_equal(flips, 0.5, 0.04);
    assert_float_equal(mirrors, 0.5, 0.04);
    int plain = 0;
    for (uint64_t i = 0; i < DRAWN; ++i) { /* one of the five colour changes with probability 0.3 each */
        ho_augmentation a;
        ho_augment_draw(0.3, 64, 64, SEED, 12, i, &a);
        plain += a.matrix[0][0] == 1.0 && a.matrix[0][1] == 0.0 && a.matrix[0][3] == 0.0;
    }
    assert_float_equal((double)plain / DRAWN, pow(0.7, 4.0) * 0.85, 0.04); /* the luma flip tosses a coin as well */
}

static void test_refuses_shapes(void **state) {
    (void)state;
    ho_tensor *x, *y;
    ho_augmentation a[2];
    ho_augment_identity(&a[0]);
    ho_context_reset(context);
    OK(ho_tensor_new(context, HO_SHAPE(1, 8, 8, 4), &x));
    assert_int_equal(ho_augment(context, x, a, &y), HO_ESHAPE);
    assert_non_null(strstr(ho_error(), "(1, 8, 8, 4)"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_definition),     cmocka_unit_test(test_identity_is_exact),
        cmocka_unit_test(test_meaning_of_maps),        cmocka_unit_test(test_adjoint_and_gradient),
        cmocka_unit_test(test_images_are_independent), cmocka_unit_test(test_accumulates),
        cmocka_unit_test(test_law_of_draws),           cmocka_unit_test(test_refuses_shapes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
