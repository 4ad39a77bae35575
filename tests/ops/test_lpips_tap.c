/* One tap of LPIPS: gradients against differences, and pixels without any activity. */
#include <math.h>
#include <string.h>

#include "gradcheck.h"
#include "handsoff/ops.h"

static ho_status build(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_lpips_tap(context, x[0], x[1], c->n_inputs == 3 ? x[2] : NULL, y);
}

static double length(const double *f, int64_t C) {
    double sum = 0.0;
    for (int64_t c = 0; c < C; ++c) {
        sum += f[c] * f[c];
    }
    return sqrt(sum);
}

static void reference(const gc_case *c, const double *const *x, double *y) {
    const int64_t *dim = c->input[0].dim, pixels = dim[1] * dim[2], C = dim[3];
    for (int64_t n = 0; n < dim[0]; ++n) {
        y[n] = 0.0;
        for (int64_t p = n * pixels; p < (n + 1) * pixels; ++p) {
            const double *f0 = x[0] + p * C, *f1 = x[1] + p * C;
            for (int64_t k = 0; k < C; ++k) {
                const double u0 = f0[k] / (length(f0, C) + 1e-10), u1 = f1[k] / (length(f1, C) + 1e-10);
                y[n] += (c->n_inputs == 3 ? x[2][k] : 1.0) * (u0 - u1) * (u0 - u1) / (double)pixels;
            }
        }
    }
}

#define FEATURES(N, H, W, C)                                                                                           \
    {                                                                                                                  \
        {4, {N, H, W, C}}, {4, {N, H, W, C}}, {                                                                        \
            1, {C}, GC_POSITIVE, true                                                                                  \
        }                                                                                                              \
    }
#define CASE(text, weights, N, H, W, C)                                                                                \
    {                                                                                                                  \
        .name = (text), .build = build, .reference = reference, .n_inputs = 2 + (weights),                             \
        .input = FEATURES(N, H, W, C), .out_rank = 1, .out_dim = {N}, .terms = (double)(H) * (W) * (C), .gain = 4.0    \
    }

static void test_tap(void **state) {
    (void)state;
    static const gc_case CASES[] = {
        CASE("one pixel, two channels", 0, 1, 1, 1, 2),
        CASE("unit weights", 0, 2, 3, 4, 5),
        CASE("weights", 1, 3, 2, 3, 17),
        CASE("several segments", 1, 2, 7, 9, 3),
        CASE("wide", 1, 1, 2, 2, 70),
    };
    gc_run("LPIPS tap", CASES, CHECK_LEN(CASES));
}

/* Pixel 0 is silent on the first side, pixel 1 on both, pixel 2 is short: finite everywhere, zero where silent. */
static void test_silent_pixels(void **state) {
    (void)state;
    static const float F0[8] = {0, 0, 0, 0, 1e-15F, 2e-15F, 3, 4}, F1[8] = {1, 2, 0, 0, 2, 1, 4, 3};
    ho_context *context;
    ho_tensor *f0, *f1, *d, *loss;
    float value, g0[8], g1[8];
    CHECK_OK(ho_context_create(check_device(), &context));
    ho_context_record(context, true);
    CHECK_OK(ho_tensor_from_host(context, F0, HO_SHAPE(1, 2, 2, 2), &f0));
    CHECK_OK(ho_tensor_from_host(context, F1, HO_SHAPE(1, 2, 2, 2), &f1));
    f0->needs_grad = f1->needs_grad = true;
    CHECK_OK(ho_lpips_tap(context, f0, f1, NULL, &d));
    CHECK_OK(ho_reshape(context, d, HO_SHAPE(1), &loss));
    CHECK_OK(ho_tensor_to_host(context, d, &value));
    CHECK_OK(ho_backward(context, loss));
    CHECK_OK(ho_tensor_grad_to_host(context, f0, g0));
    CHECK_OK(ho_tensor_grad_to_host(context, f1, g1));
    /* 1 + 0 + (about 1) + 2 (0.2)^2, over four pixels */
    check_close_f32("distance", &value, 1, (const double[]){(1.0 + 0.0 + 1.0 + 0.08) / 4.0}, 1, 1e-4);
    for (int i = 0; i < 8; ++i) {
        assert_true(check_is_finite((double)g0[i]) && check_is_finite((double)g1[i]));
        assert_true(i >= 4 || g0[i] == 0.0F);
        assert_true(i == 0 || i == 1 || i >= 4 || g1[i] == 0.0F);
    }
    assert_true(g0[6] != 0.0F && g1[6] != 0.0F && g0[4] < 0.0F);
    ho_context_free(context);
}

static void test_refuses_shapes(void **state) {
    (void)state;
    ho_context *context;
    ho_tensor *a, *b, *w, *y;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, 2, 2, 3), &a));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, 2, 2, 4), &b));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(5), &w));
    CHECK_FAILS(ho_lpips_tap(context, a, b, NULL, &y), HO_ESHAPE, "(1, 2, 2, 3)", "(1, 2, 2, 4)");
    CHECK_FAILS(ho_lpips_tap(context, a, a, w, &y), HO_ESHAPE, "(1, 2, 2, 3)", "(5)");
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tap), cmocka_unit_test(test_silent_pixels),
                                       cmocka_unit_test(test_refuses_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
