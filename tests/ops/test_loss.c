/* Losses that end in means: gradients against differences, extreme arguments, ignored and impossible labels. */
#include <math.h>
#include <string.h>

#include "gradcheck.h"
#include "handsoff/ops.h"

static const double PLUS = 1.0, MINUS = -1.0;

static int64_t count_of(const gc_input *input) {
    int64_t count = 1;
    for (int i = 0; i < input->rank; ++i) {
        count *= input->dim[i];
    }
    return count;
}

static ho_status build_softplus(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_softplus_mean(context, x[0], *(const double *)c->user, y);
}
static void reference_softplus(const gc_case *c, const double *const *x, double *y) {
    const int64_t n = count_of(&c->input[0]);
    *y = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        *y += log(1.0 + exp(*(const double *)c->user * x[0][i])) / (double)n;
    }
}

static ho_status build_mse(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return c->user != NULL ? ho_mse_per_sample(context, x[0], x[1], y) : ho_mse(context, x[0], x[1], y);
}
static void reference_mse(const gc_case *c, const double *const *x, double *y) {
    const int64_t N = c->out_dim[0], M = count_of(&c->input[0]) / N;
    for (int64_t n = 0; n < N; ++n) {
        y[n] = 0.0;
        for (int64_t m = n * M; m < (n + 1) * M; ++m) {
            y[n] += pow(x[0][m] - x[1][m], 2.0) / (double)M;
        }
    }
}

static ho_status build_entropy(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_cross_entropy(context, x[0], c->user, y);
}
static void reference_entropy(const gc_case *c, const double *const *x, double *y) {
    const uint8_t *label = c->user;
    const int64_t K = c->input[0].dim[c->input[0].rank - 1], rows = count_of(&c->input[0]) / K;
    double counted = 0.0;
    *y = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
        double sum = 0.0;
        for (int64_t k = 0; k < K; ++k) {
            sum += exp(x[0][r * K + k]);
        }
        if (label[r] != 255) {
            *y -= log(exp(x[0][r * K + label[r]]) / sum);
            counted += 1.0;
        }
    }
    *y = counted > 0.0 ? *y / counted : 0.0;
}

static void test_softplus(void **state) {
    (void)state;
    static const gc_case SOFTPLUS[] = {
        {.name = "one",
         .build = build_softplus,
         .reference = reference_softplus,
         .n_inputs = 1,
         .input = {{1, {1}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 1,
         .user = &PLUS},
        {.name = "minus",
         .build = build_softplus,
         .reference = reference_softplus,
         .n_inputs = 1,
         .input = {{2, {13, 3}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 39,
         .user = &MINUS},
        {.name = "several segments",
         .build = build_softplus,
         .reference = reference_softplus,
         .n_inputs = 1,
         .input = {{1, {2500}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 2500,
         .user = &PLUS},
    };
    gc_run("softplus mean", SOFTPLUS, CHECK_LEN(SOFTPLUS));
}

static void test_squared_error(void **state) {
    (void)state;
    static const gc_case MSE[] = {
        {.name = "one",
         .build = build_mse,
         .reference = reference_mse,
         .n_inputs = 2,
         .input = {{1, {1}}, {1, {1}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 1},
        {.name = "whole",
         .build = build_mse,
         .reference = reference_mse,
         .n_inputs = 2,
         .input = {{3, {3, 5, 7}}, {3, {3, 5, 7}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 105},
        {.name = "per sample",
         .build = build_mse,
         .reference = reference_mse,
         .n_inputs = 2,
         .input = {{4, {3, 5, 7, 2}}, {4, {3, 5, 7, 2}}},
         .out_rank = 1,
         .out_dim = {3},
         .terms = 70,
         .user = &PLUS},
        {.name = "per sample, several segments",
         .build = build_mse,
         .reference = reference_mse,
         .n_inputs = 2,
         .input = {{2, {2, 2100}}, {2, {2, 2100}, GC_NORMAL, true}},
         .out_rank = 1,
         .out_dim = {2},
         .terms = 2100,
         .user = &PLUS},
    };
    gc_run("squared error", MSE, CHECK_LEN(MSE));
}

static void test_cross_entropy(void **state) {
    (void)state;
    static const uint8_t LABEL[12] = {0, 4, 255, 2, 1, 3, 3, 255, 0, 0, 2, 4}, NONE[2] = {255, 255};
    static uint8_t many[1300];
    for (int i = 0; i < CHECK_LEN(many); ++i) {
        many[i] = (uint8_t)(i % 5 == 4 ? 255 : i % 3 % 2);
    }
    static const gc_case ENTROPY[] = {
        {.name = "pixels",
         .build = build_entropy,
         .reference = reference_entropy,
         .n_inputs = 1,
         .input = {{4, {1, 3, 4, 5}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 60,
         .user = LABEL},
        {.name = "many classes",
         .build = build_entropy,
         .reference = reference_entropy,
         .n_inputs = 1,
         .input = {{2, {12, 21}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 252,
         .user = LABEL},
        {.name = "one class",
         .build = build_entropy,
         .reference = reference_entropy,
         .n_inputs = 1,
         .input = {{2, {2, 1}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 60,
         .user = NONE},
        {.name = "all ignored",
         .build = build_entropy,
         .reference = reference_entropy,
         .n_inputs = 1,
         .input = {{2, {2, 3}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 60,
         .user = NONE},
        {.name = "several segments",
         .build = build_entropy,
         .reference = reference_entropy,
         .n_inputs = 1,
         .input = {{2, {1300, 2}}},
         .out_rank = 1,
         .out_dim = {1},
         .terms = 2600,
         .user = many},
    };
    gc_run("cross entropy", ENTROPY, CHECK_LEN(ENTROPY));
}

/* Arguments whose exponentials leave the range of float: the value is the larger term, the gradient 0 or 1. */
static void test_extremes(void **state) {
    (void)state;
    static const float X[4] = {-2000.0F, 2000.0F, 1e30F, -1e30F}, Z[4] = {3000.0F, -3000.0F, -1000.0F, 2000.0F};
    static const uint8_t LABEL[2] = {0, 0};
    ho_context *context;
    ho_tensor *x, *z, *softplus, *entropy;
    float value, gradient[4];
    CHECK_OK(ho_context_create(check_device(), &context));
    ho_context_record(context, true);
    CHECK_OK(ho_tensor_from_host(context, X, HO_SHAPE(4), &x));
    CHECK_OK(ho_tensor_from_host(context, Z, HO_SHAPE(2, 2), &z));
    x->needs_grad = z->needs_grad = true;
    CHECK_OK(ho_softplus_mean(context, x, 1.0, &softplus));
    CHECK_OK(ho_cross_entropy(context, z, LABEL, &entropy));
    CHECK_OK(ho_tensor_to_host(context, softplus, &value));
    check_close_f32("softplus", &value, 1, (const double[]){(2000.0 + 1e30) / 4.0}, 1, 1e24);
    CHECK_OK(ho_tensor_to_host(context, entropy, &value));
    check_close_f32("cross entropy", &value, 1, (const double[]){1500.0}, 1, 1e-3);
    CHECK_OK(ho_backward(context, softplus));
    CHECK_OK(ho_tensor_grad_to_host(context, x, gradient));
    check_close_f32("softplus gradient", gradient, 4, (const double[]){0, 0.25, 0.25, 0}, 4, 1e-7);
    ho_tape_clear(context);
    CHECK_OK(ho_cross_entropy(context, z, LABEL, &entropy));
    CHECK_OK(ho_backward(context, entropy));
    CHECK_OK(ho_tensor_grad_to_host(context, z, gradient));
    check_close_f32("entropy gradient", gradient, 4, (const double[]){0, 0, -0.5, 0.5}, 4, 1e-7);
    ho_context_free(context);
}

static void test_refuses(void **state) {
    (void)state;
    static const uint8_t LABEL[2] = {0, 3};
    ho_context *context;
    ho_tensor *a, *b, *y;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2, 3), &a));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(3, 2), &b));
    CHECK_FAILS(ho_mse(context, a, b, &y), HO_ESHAPE, "squared error", "(2, 3)", "(3, 2)");
    CHECK_FAILS(ho_cross_entropy(context, a, LABEL, &y), HO_ESHAPE, "label 3", "position 1", "0..2");
    ho_context_free(context);
}

/* The gradient of a row is its softmax but for the label: small probabilities must be right, too. */
static void test_small_probabilities(void **state) {
    (void)state;
    enum { K = 21 };
    static const uint8_t LABEL[1] = {0};
    ho_context *context;
    ho_tensor *z, *entropy;
    float host[K], gradient[K];
    double sum = 0.0;
    for (int k = 0; k < K; ++k) {
        host[k] = -4.0F * (float)k;
        sum += exp((double)host[k]);
    }
    CHECK_OK(ho_context_create(check_device(), &context));
    ho_context_record(context, true);
    CHECK_OK(ho_tensor_from_host(context, host, HO_SHAPE(1, K), &z));
    z->needs_grad = true;
    CHECK_OK(ho_cross_entropy(context, z, LABEL, &entropy));
    CHECK_OK(ho_backward(context, entropy));
    CHECK_OK(ho_tensor_grad_to_host(context, z, gradient));
    for (int k = 1; k < K; ++k) { /* the logarithm of the sum is rounded to 1e-8, and 80 minus it to 4e-6 */
        const double want = exp((double)host[k]) / sum;
        assert_true(fabs(gradient[k] - want) <= 1e-5 * want);
    }
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_softplus),
                                       cmocka_unit_test(test_squared_error),
                                       cmocka_unit_test(test_cross_entropy),
                                       cmocka_unit_test(test_extremes),
                                       cmocka_unit_test(test_small_probabilities),
                                       cmocka_unit_test(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
