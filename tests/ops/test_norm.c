/* Batch norm and dropout: gradients against differences, running statistics and masks against their definitions. */
#include <math.h>
#include <string.h>

#include "gradcheck.h"
#include "handsoff/ops.h"

#include "handsoff/random.h"

static const bool TRAINING = true, EVALUATION = false;

static ho_status build_norm(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    const ho_batch_norm_params params = {x[1], x[2], x[3], x[4]};
    return ho_batch_norm(context, x[0], &params, *(const bool *)c->user, y);
}

static int64_t rows_of(const gc_input *input) {
    int64_t rows = 1;
    for (int i = 0; i + 1 < input->rank; ++i) {
        rows *= input->dim[i];
    }
    return rows;
}

static void reference_norm(const gc_case *c, const double *const *x, double *y) {
    const int64_t C = c->input[1].dim[0], R = rows_of(&c->input[0]);
    for (int64_t k = 0; k < C; ++k) {
        double mean = 0.0, var = 0.0;
        for (int64_t r = 0; r < R; ++r) {
            mean += x[0][r * C + k] / (double)R;
        }
        for (int64_t r = 0; r < R; ++r) {
            var += pow(x[0][r * C + k] - mean, 2.0) / (double)R;
        }
        if (!*(const bool *)c->user) {
            mean = x[3][k];
            var = x[4][k];
        }
        for (int64_t r = 0; r < R; ++r) {
            y[r * C + k] = (x[0][r * C + k] - mean) / sqrt(var + 1e-5) * x[1][k] + x[2][k];
        }
    }
}

/* With two values a channel the gradient of x is what is left of terms 50 times as large. */
#define NORM(text, R0, R1, K, mode)                                                                                    \
    {                                                                                                                  \
        .name = (text), .build = build_norm, .reference = reference_norm, .n_inputs = 5,                               \
        .input = {{3, {R0, R1, K}}, {1, {K}}, {1, {K}}, {1, {K}, GC_NORMAL, true}, {1, {K}, GC_POSITIVE, true}},       \
        .out_rank = 3, .out_dim = {R0, R1, K}, .terms = (double)(R0) * (R1), .gain = (R0) * (R1) == 2 ? 100.0 : 8.0,   \
        .user = &(mode)                                                                                                \
    }

static void test_batch_norm(void **state) {
    (void)state;
    static const gc_case CASES[] = {
        NORM("two values", 1, 2, 3, TRAINING),           NORM("batch", 3, 5, 17, TRAINING),
        NORM("several segments", 30, 20, 1, TRAINING),   NORM("running", 3, 5, 4, EVALUATION),
        NORM("one value, running", 1, 1, 2, EVALUATION), NORM("several lines of channels", 2, 3, 35, TRAINING),
    };
    gc_run("batch norm", CASES, CHECK_LEN(CASES));
}

/* Two batches: running = 0.9 running + 0.1 batch, with the unbiased variance; then evaluation uses them. */
static void test_running_statistics(void **state) {
    (void)state;
    enum { R = 6, C = 2 };
    static const float ONE[C] = {1, 1}, ZERO[C] = {0, 0};
    double mean[C] = {0, 0}, var[C] = {1, 1}, want[R * C];
    ho_context *context;
    ho_tensor *x, *y;
    float host[R * C], got[R * C];
    ho_batch_norm_params params;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_from_host(context, ONE, HO_SHAPE(C), &params.weight));
    CHECK_OK(ho_tensor_from_host(context, ZERO, HO_SHAPE(C), &params.bias));
    CHECK_OK(ho_tensor_from_host(context, ZERO, HO_SHAPE(C), &params.running_mean));
    CHECK_OK(ho_tensor_from_host(context, ONE, HO_SHAPE(C), &params.running_var));
    for (uint64_t batch = 0; batch < 2; ++batch) {
        for (int c = 0; c < C; ++c) {
            double m = 0.0, v = 0.0;
            for (int r = 0; r < R; ++r) {
                host[r * C + c] = (float)(3.0 + check_normal(batch, (uint64_t)r * C + (uint64_t)c));
                m += (double)host[r * C + c] / R;
            }
            for (int r = 0; r < R; ++r) {
                v += pow((double)host[r * C + c] - m, 2.0) / (R - 1);
            }
            mean[c] = 0.9 * mean[c] + 0.1 * m;
            var[c] = 0.9 * var[c] + 0.1 * v;
        }
        CHECK_OK(ho_tensor_from_host(context, host, HO_SHAPE(R, C), &x));
        CHECK_OK(ho_batch_norm(context, x, &params, true, &y));
    }
    CHECK_OK(ho_tensor_to_host(context, params.running_mean, got));
    check_close_f32("running mean", got, C, mean, C, 1e-6);
    CHECK_OK(ho_tensor_to_host(context, params.running_var, got));
    check_close_f32("running variance", got, C, var, C, 1e-6);
    CHECK_OK(ho_batch_norm(context, x, &params, false, &y));
    CHECK_OK(ho_tensor_to_host(context, y, got));
    for (int i = 0; i < R * C; ++i) {
        want[i] = ((double)host[i] - mean[i % C]) / sqrt(var[i % C] + 1e-5);
    }
    check_close_f32("evaluation", got, (int64_t)R * C, want, (int64_t)R * C, 1e-5);
    ho_context_free(context);
}

typedef struct {
    double p;
    uint64_t seed, stream, first;
} mask;

static ho_status build_dropout(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    const mask *m = c->user;
    return ho_dropout(context, x[0], m->p, m->seed, m->stream, m->first, y);
}

static void reference_dropout(const gc_case *c, const double *const *x, double *y) {
    const mask *m = c->user;
    for (int64_t i = 0; i < c->out_dim[0] * c->out_dim[1]; ++i) {
        uint32_t word[4];
        ho_philox(m->seed, m->stream, m->first + (uint64_t)i, word);
        y[i] = (double)word[0] / 4294967296.0 < m->p ? 0.0 : x[0][i] / (1.0 - m->p);
    }
}

static void test_dropout(void **state) {
    (void)state;
    static const mask HALF = {0.5, 3, 4, 0}, FEW = {0.1, 3, 5, 1ULL << 40}, NONE = {0.0, 3, 6, 0};
    static const gc_case CASES[] = {
        {.name = "half",
         .build = build_dropout,
         .reference = reference_dropout,
         .n_inputs = 1,
         .input = {{2, {7, 11}}},
         .out_rank = 2,
         .out_dim = {7, 11},
         .terms = 1,
         .user = &HALF},
        {.name = "few",
         .build = build_dropout,
         .reference = reference_dropout,
         .n_inputs = 1,
         .input = {{2, {40, 5}}},
         .out_rank = 2,
         .out_dim = {40, 5},
         .terms = 1,
         .user = &FEW},
        {.name = "none",
         .build = build_dropout,
         .reference = reference_dropout,
         .n_inputs = 1,
         .input = {{2, {3, 1}}},
         .out_rank = 2,
         .out_dim = {3, 1},
         .terms = 1,
         .user = &NONE},
    };
    gc_run("dropout", CASES, CHECK_LEN(CASES));
}

/* The share of zeros among 10^4 draws is p within five standard deviations, and a mask is a part of a longer one. */
static void test_dropout_law(void **state) {
    (void)state;
    enum { COUNT = 10000, SKIP = 1234 };
    static float ones[COUNT], all[COUNT], tail[COUNT - SKIP];
    for (int i = 0; i < COUNT; ++i) {
        ones[i] = 1.0F;
    }
    ho_context *context;
    ho_tensor *x, *y;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_from_host(context, ones, HO_SHAPE(COUNT), &x));
    CHECK_OK(ho_dropout(context, x, 0.3, 1, 2, 0, &y));
    CHECK_OK(ho_tensor_to_host(context, y, all));
    CHECK_OK(ho_tensor_from_host(context, ones, HO_SHAPE(COUNT - SKIP), &x));
    CHECK_OK(ho_dropout(context, x, 0.3, 1, 2, SKIP, &y));
    CHECK_OK(ho_tensor_to_host(context, y, tail));
    assert_memory_equal(all + SKIP, tail, sizeof tail);
    int zeros = 0;
    for (int i = 0; i < COUNT; ++i) {
        zeros += all[i] == 0.0F;
    }
    assert_true(fabs(zeros - 0.3 * COUNT) < 5.0 * sqrt(0.3 * 0.7 * COUNT));
    CHECK_FAILS(ho_dropout(context, x, 1.0, 1, 2, 0, &y), HO_ESHAPE, "dropout", "probability is 1");
    ho_context_free(context);
}

static void test_refuses_shapes(void **state) {
    (void)state;
    ho_context *context;
    ho_tensor *x, *one, *C, *wrong, *y;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(4, 3), &x));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, 3), &one));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(3), &C));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(5), &wrong));
    const ho_batch_norm_params bad = {C, C, C, wrong}, missing = {C, NULL, C, C}, good = {C, C, C, C};
    CHECK_FAILS(ho_batch_norm(context, x, &bad, true, &y), HO_ESHAPE, "running_var", "(5)", "(4, 3)");
    CHECK_FAILS(ho_batch_norm(context, x, &missing, true, &y), HO_ESHAPE, "bias", "missing");
    CHECK_FAILS(ho_batch_norm(context, one, &good, true, &y), HO_ESHAPE, "(1, 3)", "at least two");
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_norm),  cmocka_unit_test(test_running_statistics), cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_dropout_law), cmocka_unit_test(test_refuses_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
