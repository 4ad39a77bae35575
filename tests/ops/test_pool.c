/* Pooling: gradients against differences, window counts and choices against the definitions. */
#include <math.h>
#include <string.h>

#include "gradcheck.h"
#include "handsoff/ops.h"

typedef struct {
    ho_pool_options pool;
    int64_t mean; /* window of the mean, 0 = maximum, -1 = all pixels */
} options;

static ho_status build(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    const options *o = c->user;
    return o->mean > 0   ? ho_avg_pool(context, x[0], o->mean, y)
           : o->mean < 0 ? ho_global_mean(context, x[0], y)
                         : ho_max_pool(context, x[0], &o->pool, y);
}

static void reference(const gc_case *c, const double *const *x, double *y) {
    const options *o = c->user;
    const int64_t *in = c->input[0].dim, H = in[1], W = in[2], C = in[3];
    const int64_t P = o->mean < 0 ? 1 : c->out_dim[1], Q = o->mean < 0 ? 1 : c->out_dim[2];
    const int64_t kh = o->mean < 0 ? H : o->mean > 0 ? o->mean : o->pool.kernel;
    const int64_t kw = o->mean < 0 ? W : kh, pad = o->mean == 0 ? o->pool.pad : 0;
    const int64_t step = o->mean == 0 ? o->pool.stride : kh;
    for (int64_t e = 0; e < in[0] * P * Q * C; ++e) {
        const int64_t k = e % C, q = e / C % Q, p = e / C / Q % P, n = e / C / Q / P;
        double sum = 0.0, top = -INFINITY;
        for (int64_t h = p * step - pad; h < p * step - pad + kh; ++h) {
            for (int64_t w = q * step - pad; w < q * step - pad + kw; ++w) {
                if (h >= 0 && h < H && w >= 0 && w < W) {
                    const double v = x[0][((n * H + h) * W + w) * C + k];
                    sum += v;
                    top = fmax(top, v);
                }
            }
        }
        y[e] = o->mean == 0 ? top : sum / (double)(kh * kw);
    }
}

static const options MEAN1 = {.mean = 1}, MEAN2 = {.mean = 2}, MEAN3 = {.mean = 3}, ALL = {.mean = -1};
static const options TWO = {{2, 2, 0, false}, 0}, THREE = {{3, 2, 0, false}, 0}, THREE_CEIL = {{3, 2, 0, true}, 0};
static const options PADDED = {{3, 2, 1, false}, 0}, SAME = {{3, 1, 1, false}, 0}, WIDE = {{2, 3, 1, true}, 0};

#define CASE(text, o, N, H, W, C, P, Q)                                                                                \
    {                                                                                                                  \
        .name = (text), .build = build, .reference = reference, .n_inputs = 1, .input = {{4, {N, H, W, C}}},           \
        .out_rank = 4, .out_dim = {N, P, Q, C}, .terms = 9, .kinks = 0.02, .user = &(o)                                \
    }

static void test_pools(void **state) {
    (void)state;
    static const gc_case CASES[] = {
        CASE("mean 1", MEAN1, 2, 3, 4, 5, 3, 4),
        CASE("mean 2", MEAN2, 2, 6, 4, 17, 3, 2),
        CASE("mean 3", MEAN3, 1, 9, 3, 1, 3, 1),
        CASE("maximum 2", TWO, 2, 6, 8, 3, 3, 4),
        CASE("maximum 2, odd size", TWO, 1, 7, 5, 17, 3, 2),
        CASE("maximum 3 stride 2", THREE, 1, 8, 9, 2, 3, 4),
        CASE("maximum 3 stride 2, rounded up", THREE_CEIL, 1, 8, 9, 2, 4, 4),
        CASE("maximum 3 padded", PADDED, 2, 8, 7, 3, 4, 4),
        CASE("maximum 3 everywhere", SAME, 1, 4, 5, 2, 4, 5),
        CASE("image smaller than the window, rounded up", THREE_CEIL, 1, 2, 5, 3, 1, 2),
        CASE("last window would start outside", WIDE, 1, 5, 6, 1, 2, 3),
    };
    gc_run("pool", CASES, CHECK_LEN(CASES));
    static const gc_case MEANS[] = {
        {.name = "small",
         .build = build,
         .reference = reference,
         .n_inputs = 1,
         .input = {{4, {3, 4, 5, 7}}},
         .out_rank = 2,
         .out_dim = {3, 7},
         .terms = 20,
         .gain = 4.0,
         .user = &ALL},
        {.name = "several segments",
         .build = build,
         .reference = reference,
         .n_inputs = 1,
         .input = {{4, {1, 20, 20, 2}}},
         .out_rank = 2,
         .out_dim = {1, 2},
         .terms = 400,
         .gain = 4.0,
         .user = &ALL},
    };
    gc_run("global mean", MEANS, CHECK_LEN(MEANS));
}

/* Of equal values the first wins, as the gradient shows; NaN is passed on. */
static void test_ties_and_nan(void **state) {
    (void)state;
    static const float X[16] = {1, 1, 0, 0, 1, 1, 0, 0, 2, 3, NAN, 9, 3, 2, 9, 1};
    const ho_pool_options two = {2, 2, 0, false};
    ho_context *context;
    ho_tensor *x, *y, *seed;
    float value[4], gradient[16];
    CHECK_OK(ho_context_create(check_device(), &context));
    ho_context_record(context, true);
    CHECK_OK(ho_tensor_from_host(context, X, HO_SHAPE(1, 4, 4, 1), &x));
    x->needs_grad = true;
    CHECK_OK(ho_max_pool(context, x, &two, &y));
    CHECK_OK(ho_tensor_to_host(context, y, value));
    CHECK_OK(ho_tensor_from_host(context, (const float[]){1, 2, 3, 4}, HO_SHAPE(1, 2, 2, 1), &seed));
    CHECK_OK(ho_backward_seed(context, y, seed));
    CHECK_OK(ho_tensor_grad_to_host(context, x, gradient));
    static const double WANT[16] = {1, 0, 2, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0};
    check_close_f32("gradient", gradient, 16, WANT, 16, 0.0);
    assert_true(value[0] == 1.0F && value[1] == 0.0F && value[2] == 3.0F && isnan(value[3]));
    ho_context_free(context);
}

static void test_refuses_shapes(void **state) {
    (void)state;
    const ho_pool_options three = {3, 2, 0, false}, huge = {17, 1, 0, false}, padded = {3, 2, 2, false};
    ho_context *context;
    ho_tensor *flat, *image, *y;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2, 3), &flat));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, 2, 5, 3), &image));
    CHECK_FAILS(ho_avg_pool(context, flat, 2, &y), HO_ESHAPE, "average pool", "(2, 3)");
    CHECK_FAILS(ho_avg_pool(context, image, 2, &y), HO_ESHAPE, "average pool", "(1, 2, 5, 3)", "multiples");
    CHECK_FAILS(ho_global_mean(context, flat, &y), HO_ESHAPE, "global mean", "(2, 3)");
    CHECK_FAILS(ho_max_pool(context, image, &three, &y), HO_ESHAPE, "max pool", "(1, 2, 5, 3)", "3 x 3");
    CHECK_FAILS(ho_max_pool(context, image, &huge, &y), HO_ESHAPE, "max pool", "17");
    CHECK_FAILS(ho_max_pool(context, image, &padded, &y), HO_ESHAPE, "max pool", "padding 2");
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pools), cmocka_unit_test(test_ties_and_nan),
                                       cmocka_unit_test(test_refuses_shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
