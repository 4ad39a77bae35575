/* Bilinear resampling: against triangle weights over an image whose border is repeated. */
#include <math.h>
#include <string.h>

#include "gradcheck.h"
#include "handsoff/ops.h"

static ho_status build(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return c->user != NULL ? ho_resize_corners(context, x[0], c->out_dim[1], c->out_dim[2], y)
                           : ho_resize_bilinear(context, x[0], c->out_dim[1], c->out_dim[2], y);
}

static int64_t clamped(int64_t i, int64_t n) {
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* y[p] = sum_i max(0, 1 - |t - i|) x[i], t = (p + 1/2) n / m - 1/2, with corners p (n - 1) / (m - 1). */
static double source(const gc_case *c, int64_t p, int64_t n, int64_t m) {
    return c->user != NULL ? (double)(p * (n - 1)) / (double)(m - 1) : ((double)p + 0.5) * (double)n / (double)m - 0.5;
}

static void reference(const gc_case *c, const double *const *x, double *y) {
    const int64_t *in = c->input[0].dim, *out = c->out_dim, H = in[1], W = in[2], C = in[3];
    for (int64_t e = 0; e < out[0] * out[1] * out[2] * C; ++e) {
        const int64_t k = e % C, q = e / C % out[2], p = e / C / out[2] % out[1], n = e / C / out[2] / out[1];
        const double th = source(c, p, H, out[1]);
        const double tw = source(c, q, W, out[2]);
        y[e] = 0.0;
        for (int64_t h = -1; h <= H; ++h) {
            for (int64_t w = -1; w <= W; ++w) {
                const double weight = fmax(0.0, 1.0 - fabs(th - (double)h)) * fmax(0.0, 1.0 - fabs(tw - (double)w));
                y[e] += weight * x[0][((n * H + clamped(h, H)) * W + clamped(w, W)) * C + k];
            }
        }
    }
}

#define CASE(text, N, H, W, C, P, Q)                                                                                   \
    {                                                                                                                  \
        .name = (text), .build = build, .reference = reference, .n_inputs = 1, .input = {{4, {N, H, W, C}}},           \
        .out_rank = 4, .out_dim = {N, P, Q, C}, .terms = 4.0 * (1.0 + (double)(P) / (H)) * (1.0 + (double)(Q) / (W)),  \
        .gain = 4.0                                                                                                    \
    }

#define CORNERS(N, H, W, C, P, Q)                                                                                      \
    {                                                                                                                  \
        .name = "corners", .build = build, .reference = reference, .n_inputs = 1, .input = {{4, {N, H, W, C}}},        \
        .out_rank = 4, .out_dim = {N, P, Q, C}, .terms = 4.0 * (1.0 + (double)(P) / (H)) * (1.0 + (double)(Q) / (W)),  \
        .gain = 4.0, .user = ""                                                                                        \
    }

static void test_resize(void **state) {
    (void)state;
    static const gc_case CASES[] = {
        CASE("one pixel", 1, 1, 1, 1, 5, 3),
        CASE("to one pixel", 1, 5, 3, 2, 1, 1),
        CASE("identity", 2, 4, 5, 3, 4, 5),
        CASE("twice as large", 2, 3, 4, 17, 6, 8),
        CASE("half", 1, 6, 8, 3, 3, 4),
        CASE("eight times", 1, 2, 2, 2, 16, 16),
        CASE("up by a fraction", 1, 5, 7, 1, 8, 11),
        CASE("down by a fraction", 2, 11, 7, 2, 4, 5),
        CASE("up and down", 1, 3, 9, 1, 7, 4),
        CASE("twenty times", 1, 2, 2, 1, 3, 40),
        CORNERS(1, 2, 2, 1, 2, 2),
        CORNERS(2, 4, 5, 3, 8, 10),
        CORNERS(1, 7, 6, 2, 3, 2),
        CORNERS(1, 3, 2, 2, 2, 31),
    };
    gc_run("resize", CASES, CHECK_LEN(CASES));
}

/* The row 1, 2, 4, twice as wide. */
static void test_published_row(void **state) {
    (void)state;
    static const double WANT[6] = {1.0, 1.25, 1.75, 2.5, 3.5, 4.0};
    ho_context *context;
    ho_tensor *x, *y;
    float got[6];
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_from_host(context, (const float[]){1, 2, 4}, HO_SHAPE(1, 1, 3, 1), &x));
    CHECK_OK(ho_resize_bilinear(context, x, 1, 6, &y));
    CHECK_OK(ho_tensor_to_host(context, y, got));
    check_close_f32("row", got, 6, WANT, 6, 1e-6);
    ho_context_free(context);
}

static void test_refuses_shapes(void **state) {
    (void)state;
    ho_context *context;
    ho_tensor *flat, *image, *y;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2, 3), &flat));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, 4, 4, 3), &image));
    CHECK_FAILS(ho_resize_bilinear(context, flat, 4, 4, &y), HO_ESHAPE, "resize", "(2, 3)");
    CHECK_FAILS(ho_resize_corners(context, image, 1, 4, &y), HO_ESHAPE, "corners", "(1, 4, 4, 3)", "1 x 4");
    CHECK_FAILS(ho_resize_bilinear(context, image, 0, 4, &y), HO_ESHAPE, "resize", "(1, 4, 4, 3)", "0 x 4");
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_resize), cmocka_unit_test(test_published_row),
                                       cmocka_unit_test(test_refuses_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
