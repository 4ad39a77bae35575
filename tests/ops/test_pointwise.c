/* Pointwise operations, concatenation, transposition and sums against plain loops. */
#include "gradcheck.h"

#include <math.h>

static int64_t channels(const gc_case *c, int input) {
    return c->input[input].dim[c->input[input].rank - 1];
}

static int64_t count(const gc_input *in) {
    int64_t n = 1;
    for (int i = 0; i < in->rank; ++i) {
        n *= in->dim[i];
    }
    return n;
}

/* ---- bias_act ---------------------------------------------------------------------------------------------------- */

static double activate(const ho_act *a, double v) {
    if (a->act == HO_SIGMOID) {
        return a->gain / (1.0 + exp(-v));
    }
    return a->gain * (a->act == HO_LRELU && v < 0.0 ? a->slope * v : v);
}

static ho_status build_bias_act(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_bias_act(context, x[0], c->n_inputs > 1 ? x[1] : NULL, c->user, y);
}

static void reference_bias_act(const gc_case *c, const double *const *x, double *y) {
    const ho_act *a = c->user;
    const int64_t C = channels(c, 0), n = count(&c->input[0]);
    for (int64_t i = 0; i < n; ++i) {
        y[i] = activate(a, a->x_gain * x[0][i] + (c->n_inputs > 1 ? a->b_gain * x[1][i % C] : 0.0));
    }
}

static const ho_act LINEAR = {HO_LINEAR, 0.0, 0.3, 2.0, 1.5};
static const ho_act LRELU = {HO_LRELU, 0.2, 0.7, 0.01, 1.4142135623730951};
static const ho_act RELU = {HO_LRELU, 0.0, 1.0, 1.0, 1.0};
static const ho_act LOGISTIC = {HO_SIGMOID, 0.0, 1.5, 0.5, 2.0};

#define BIAS_ACT(n, c, act)                                                                                            \
    {                                                                                                                  \
        "bias_act " #act, build_bias_act, reference_bias_act, 2,                                                       \
            {{2, {n, c}, GC_NORMAL, false}, {1, {c}, GC_NORMAL, false}}, 2, {n, c}, n, 0, 0.02, .user = &(act)         \
    }
#define ACT(n, c, act)                                                                                                 \
    {                                                                                                                  \
        "act " #act, build_bias_act, reference_bias_act, 1, {{2, {n, c}, GC_AWAY, false}}, 2, {n, c}, 1, 0, 0.0,       \
            .user = &(act)                                                                                             \
    }

static void bias_act(void **state) {
    (void)state;
    const gc_case cases[] = {
        BIAS_ACT(1, 1, LINEAR), BIAS_ACT(7, 3, LRELU),     BIAS_ACT(131, 17, LRELU),
        BIAS_ACT(5, 64, RELU),  BIAS_ACT(2, 31, LOGISTIC), BIAS_ACT(197, 2, LINEAR),
        ACT(1, 1, RELU),        ACT(13, 29, LRELU),        ACT(3, 5, LOGISTIC),
    };
    gc_run("bias_act", cases, CHECK_LEN(cases));
}

/* ---- PReLU, factors of channels, rows of an image ---------------------------------------------------------------- */

static ho_status build_prelu(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    (void)c;
    return ho_prelu(context, x[0], x[1], y);
}

static void reference_prelu(const gc_case *c, const double *const *x, double *y) {
    const int64_t C = channels(c, 0);
    for (int64_t i = 0; i < count(&c->input[0]); ++i) {
        y[i] = fmax(x[0][i], 0.0) + x[1][i % C] * fmin(x[0][i], 0.0);
    }
}

static ho_status build_factors(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    (void)c;
    return ho_scale_channels(context, x[0], x[1], y);
}

static void reference_factors(const gc_case *c, const double *const *x, double *y) {
    const int64_t *d = c->input[0].dim;
    for (int64_t i = 0; i < count(&c->input[0]); ++i) {
        y[i] = x[0][i] * x[1][i / (d[1] * d[2] * d[3]) * d[3] + i % d[3]];
    }
}

static ho_status build_crop(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_crop_rows(context, x[0], c->input[0].dim[1] - c->out_dim[1] - 1, c->out_dim[1], y);
}

static void reference_crop(const gc_case *c, const double *const *x, double *y) {
    const int64_t *d = c->input[0].dim, row = d[2] * d[3], H = c->out_dim[1], first = d[1] - H - 1;
    for (int64_t i = 0; i < d[0] * H * row; ++i) {
        y[i] = x[0][(i / (H * row) * d[1] + first) * row + i % (H * row)];
    }
}

#define PRELU(n, c)                                                                                                    \
    {                                                                                                                  \
        "prelu", build_prelu, reference_prelu, 2, {{2, {n, c}, GC_AWAY, false}, {1, {c}, GC_NORMAL, false}}, 2,        \
            {n, c}, n, 0, 0.0, .user = NULL                                                                            \
    }
#define FACTORS(n, h, w, c)                                                                                            \
    {                                                                                                                  \
        "scale_channels", build_factors, reference_factors, 2,                                                         \
            {{4, {n, h, w, c}, GC_NORMAL, false}, {2, {n, c}, GC_NORMAL, false}}, 4, {n, h, w, c}, (h) * (w), 0, 0.0,  \
            .user = NULL                                                                                               \
    }
#define CROP(n, h, w, c, rows)                                                                                         \
    {                                                                                                                  \
        "crop_rows", build_crop, reference_crop, 1, {{4, {n, h, w, c}, GC_NORMAL, false}}, 4, {n, rows, w, c}, 1, 0,   \
            0.0, .user = NULL                                                                                          \
    }

static void of_channels(void **state) {
    (void)state;
    const gc_case cases[] = {
        PRELU(1, 1),         PRELU(7, 3),         PRELU(131, 17),      PRELU(5, 64),        PRELU(300, 2),
        FACTORS(1, 1, 1, 1), FACTORS(2, 3, 5, 7), FACTORS(3, 9, 8, 2), CROP(1, 2, 1, 1, 1), CROP(3, 7, 5, 3, 4),
    };
    gc_run("prelu, scale_channels, crop_rows", cases, CHECK_LEN(cases));
}

/* The tangent at y = input 1, whose sign alone matters and which gets no gradient. */
static ho_status build_tangent(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_bias_act_tangent(context, x[1], x[0], c->user, y);
}

static void reference_tangent(const gc_case *c, const double *const *x, double *y) {
    const ho_act *a = c->user;
    for (int64_t i = 0; i < count(&c->input[0]); ++i) {
        const double slope = a->act == HO_LRELU && x[1][i] < 0.0 ? a->slope : 1.0;
        y[i] = a->gain * slope * a->x_gain * x[0][i];
    }
}

#define TANGENT(n, c, act)                                                                                             \
    {                                                                                                                  \
        "bias_act_tangent " #act, build_tangent, reference_tangent, 2,                                                 \
            {{2, {n, c}, GC_NORMAL, false}, {2, {n, c}, GC_AWAY, true}}, 2, {n, c}, 1, 0, 0.0, .user = &(act)          \
    }

static void bias_act_tangent(void **state) {
    (void)state;
    const gc_case cases[] = {TANGENT(1, 1, LRELU), TANGENT(3, 7, RELU), TANGENT(11, 33, LRELU), TANGENT(2, 5, LINEAR)};
    gc_run("bias_act_tangent", cases, CHECK_LEN(cases));
}

/* ---- add, concat, reshape, transpose ----------------------------------------------------------------------------- */

static ho_status build_add(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_add(context, x[0], 1.25, c->n_inputs > 1 ? x[1] : NULL, -0.5, y);
}

static void reference_add(const gc_case *c, const double *const *x, double *y) {
    for (int64_t i = 0; i < count(&c->input[0]); ++i) {
        y[i] = 1.25 * x[0][i] - (c->n_inputs > 1 ? 0.5 * x[1][i] : 0.0);
    }
}

static ho_status build_concat(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return c->n_inputs == 2 ? ho_concat(context, x[0], x[1], y) : ho_concat_all(context, c->n_inputs, x, y);
}

static void reference_concat(const gc_case *c, const double *const *x, double *y) {
    const int64_t rows = count(&c->input[0]) / channels(c, 0);
    for (int64_t r = 0; r < rows; ++r) {
        for (int i = 0; i < c->n_inputs; ++i) {
            for (int64_t k = 0; k < channels(c, i); ++k) {
                *y++ = x[i][r * channels(c, i) + k];
            }
        }
    }
}

static ho_status build_reshape(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_reshape(context, x[0], c->out_rank, c->out_dim, y);
}

static void reference_reshape(const gc_case *c, const double *const *x, double *y) {
    for (int64_t i = 0; i < count(&c->input[0]); ++i) {
        y[i] = x[0][i];
    }
}

static ho_status build_nchw(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    (void)c;
    return ho_nhwc_to_nchw(context, x[0], y);
}

static void reference_nchw(const gc_case *c, const double *const *x, double *y) {
    const int64_t *d = c->input[0].dim, pixels = d[1] * d[2];
    for (int64_t n = 0; n < d[0]; ++n) {
        for (int64_t p = 0; p < pixels; ++p) {
            for (int64_t k = 0; k < d[3]; ++k) {
                y[(n * d[3] + k) * pixels + p] = x[0][(n * pixels + p) * d[3] + k];
            }
        }
    }
}

#define ADD2(n, c)                                                                                                     \
    {                                                                                                                  \
        "add", build_add, reference_add, 2, {{2, {n, c}, GC_NORMAL, false}, {2, {n, c}, GC_NORMAL, false}}, 2, {n, c}, \
            2, 0, 0, .user = NULL                                                                                      \
    }
#define CONCAT(n, h, a, b)                                                                                             \
    {                                                                                                                  \
        "concat", build_concat, reference_concat, 2,                                                                   \
            {{3, {n, h, a}, GC_NORMAL, false}, {3, {n, h, b}, GC_NORMAL, false}}, 3, {n, h, (a) + (b)}, 1, 0, 0,       \
            .user = NULL                                                                                               \
    }
#define NCHW(n, h, w, c)                                                                                               \
    {                                                                                                                  \
        "nhwc_to_nchw", build_nchw, reference_nchw, 1, {{4, {n, h, w, c}, GC_NORMAL, false}}, 4, {n, c, h, w}, 1, 0,   \
            0, .user = NULL                                                                                            \
    }

static void moves(void **state) {
    (void)state;
    const gc_case cases[] = {
        ADD2(1, 1),
        ADD2(3, 17),
        ADD2(2, 64),
        {"add one", build_add, reference_add, 1, {{1, {13}, GC_NORMAL, false}}, 1, {13}, 1, 0, 0, .user = NULL},
        CONCAT(1, 1, 1, 1),
        CONCAT(2, 3, 5, 7),
        CONCAT(3, 2, 16, 1),
        {.name = "concat of four",
         .build = build_concat,
         .reference = reference_concat,
         .n_inputs = 4,
         .input = {{2, {5, 3}}, {2, {5, 1}}, {2, {5, 17}}, {2, {5, 2}}},
         .out_rank = 2,
         .out_dim = {5, 23},
         .terms = 1},
        {.name = "concat of one",
         .build = build_concat,
         .reference = reference_concat,
         .n_inputs = 1,
         .input = {{2, {5, 3}}},
         .out_rank = 2,
         .out_dim = {5, 3},
         .terms = 1},
        {"reshape",
         build_reshape,
         reference_reshape,
         1,
         {{3, {2, 3, 5}, GC_NORMAL, false}},
         2,
         {2, 15},
         1,
         0,
         0,
         .user = NULL},
        {"reshape",
         build_reshape,
         reference_reshape,
         1,
         {{1, {1}, GC_NORMAL, false}},
         4,
         {1, 1, 1, 1},
         1,
         0,
         0,
         .user = NULL},
        {"reshape",
         build_reshape,
         reference_reshape,
         1,
         {{2, {7, 11}, GC_NORMAL, false}},
         1,
         {77},
         1,
         0,
         0,
         .user = NULL},
        NCHW(1, 1, 1, 1),
        NCHW(2, 3, 5, 7),
        NCHW(3, 4, 4, 17),
    };
    gc_run("add, concat, reshape, transpose", cases, CHECK_LEN(cases));
}

/* ---- sum, dot ---------------------------------------------------------------------------------------------------- */

static ho_status build_sum(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return c->n_inputs > 1 ? ho_dot(context, x[0], x[1], 0.7, y) : ho_sum(context, x[0], 0.7, y);
}

static void reference_sum(const gc_case *c, const double *const *x, double *y) {
    y[0] = 0.0;
    for (int64_t i = 0; i < count(&c->input[0]); ++i) {
        y[0] += 0.7 * x[0][i] * (c->n_inputs > 1 ? x[1][i] : 1.0);
    }
}

#define SUM(n)                                                                                                         \
    { "sum", build_sum, reference_sum, 1, {{1, {n}, GC_POSITIVE, false}}, 1, {1}, n, 0, 0, .user = NULL }
#define DOT(n)                                                                                                         \
    {                                                                                                                  \
        "dot", build_sum, reference_sum, 2, {{1, {n}, GC_POSITIVE, false}, {1, {n}, GC_POSITIVE, false}}, 1, {1}, n,   \
            0, 0, .user = NULL                                                                                         \
    }

static void sums(void **state) {
    (void)state;
    const gc_case cases[] = {SUM(1), SUM(17), SUM(641), DOT(1), DOT(31), DOT(257)};
    gc_run("sum, dot", cases, CHECK_LEN(cases));
}

/* A sum long enough for several segments: exact, because every partial sum is a small integer. */
static void long_sum(void **state) {
    (void)state;
    enum { N = 100003 };
    static float host[N];
    for (int i = 0; i < N; ++i) {
        host[i] = (float)(i % 3);
    }
    ho_context *context;
    ho_tensor *x, *y;
    double value = 0.0;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_from_host(context, host, HO_SHAPE(N), &x));
    CHECK_OK(ho_sum(context, x, 1.0, &y));
    CHECK_OK(ho_tensor_scalar(context, y, &value));
    assert_true(value == 100002.0);
    CHECK_OK(ho_dot(context, x, x, 1.0, &y));
    CHECK_OK(ho_tensor_scalar(context, y, &value));
    assert_true(value == 166670.0);
    ho_context_free(context);
}

static void wrong_shapes(void **state) {
    (void)state;
    ho_context *context;
    ho_tensor *a, *b, *y;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2, 3), &a));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2), &b));
    CHECK_FAILS(ho_bias_act(context, a, b, &RELU, &y), HO_ESHAPE, "bias_act", "(2)", "(2, 3)");
    CHECK_FAILS(ho_prelu(context, a, b, &y), HO_ESHAPE, "prelu", "(2)", "(2, 3)");
    CHECK_FAILS(ho_scale_channels(context, a, b, &y), HO_ESHAPE, "scale_channels", "(2)", "(2, 3)");
    CHECK_FAILS(ho_crop_rows(context, a, 0, 1, &y), HO_ESHAPE, "crop_rows", "(2, 3)");
    CHECK_FAILS(ho_add(context, a, 1.0, b, 1.0, &y), HO_ESHAPE, "add", "(2)", "(2, 3)");
    CHECK_FAILS(ho_concat(context, a, b, &y), HO_ESHAPE, "concat", "(2)", "(2, 3)");
    CHECK_FAILS(ho_concat_all(context, 9, (ho_tensor *const[]){a, a, a, a, a, a, a, a, a}, &y), HO_ESHAPE, "9 tensors");
    CHECK_FAILS(ho_reshape(context, a, HO_SHAPE(5), &y), HO_ESHAPE, "reshape", "(5)", "(2, 3)");
    CHECK_FAILS(ho_dot(context, a, b, 1.0, &y), HO_ESHAPE, "dot", "(2)", "(2, 3)");
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bias_act),     cmocka_unit_test(bias_act_tangent),
        cmocka_unit_test(of_channels),  cmocka_unit_test(moves),
        cmocka_unit_test(sums),         cmocka_unit_test(long_sum),
        cmocka_unit_test(wrong_shapes),
    };
    return cmocka_run_group_tests_name("pointwise", tests, NULL, NULL);
}
