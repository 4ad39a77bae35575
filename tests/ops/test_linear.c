/* Dense layers and convolutions against plain loops. */
#include "gradcheck.h"

static ho_status build_dense(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    (void)c;
    return ho_dense(context, x[0], x[1], y);
}

static void reference_dense(const gc_case *c, const double *const *x, double *y) {
    const int64_t O = c->input[1].dim[0], I = c->input[1].dim[1];
    int64_t rows = 1;
    for (int i = 0; i + 1 < c->input[0].rank; ++i) {
        rows *= c->input[0].dim[i];
    }
    for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = 0; o < O; ++o) {
            double sum = 0.0;
            for (int64_t i = 0; i < I; ++i) {
                sum += x[0][r * I + i] * x[1][o * I + i];
            }
            y[r * O + o] = sum;
        }
    }
}

#define DENSE(n, i, o)                                                                                                 \
    {                                                                                                                  \
        "dense", build_dense, reference_dense, 2, {{2, {n, i}, GC_NORMAL, false}, {2, {o, i}, GC_NORMAL, false}}, 2,   \
            {n, o}, (n) + (i) + (o), 0, 0, .user = NULL                                                                \
    }

static void dense(void **state) {
    (void)state;
    const gc_case cases[] = {
        DENSE(1, 1, 1),
        DENSE(3, 7, 5),
        DENSE(17, 16, 13),
        DENSE(2, 33, 1),
        {"dense rank 4",
         build_dense,
         reference_dense,
         2,
         {{4, {2, 3, 1, 5}, GC_NORMAL, false}, {2, {7, 5}, GC_NORMAL, false}},
         4,
         {2, 3, 1, 7},
         7,
         0,
         0,
         .user = NULL},
    };
    gc_run("dense", cases, CHECK_LEN(cases));
}

static ho_status build_conv(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_conv2d(context, x[0], x[1], c->user, y);
}

static void reference_conv(const gc_case *c, const double *const *x, double *y) {
    const ho_conv_options *v = c->user;
    const int64_t *d = c->input[0].dim, H = d[1], W = d[2], C = d[3], k = c->input[1].dim[1];
    const int64_t P = c->out_dim[1], Q = c->out_dim[2], O = c->out_dim[3];
    for (int64_t at = 0; at < d[0] * P * Q * O; ++at) {
        const int64_t o = at % O, q = at / O % Q, p = at / O / Q % P, n = at / O / Q / P;
        double sum = 0.0;
        for (int64_t t = 0; t < k * k; ++t) {
            const int64_t h = p * v->stride + t / k * v->dilation - v->pad,
                          w = q * v->stride + t % k * v->dilation - v->pad;
            for (int64_t i = 0; i < C && h >= 0 && h < H && w >= 0 && w < W; ++i) {
                sum += x[0][((n * H + h) * W + w) * C + i] * x[1][(o * k * k + t) * C + i];
            }
        }
        y[at] = sum;
    }
}

static const ho_conv_options PLAIN1 = {1, 0, 1}, PLAIN3 = {1, 1, 1}, HALF3 = {2, 0, 1}, HALF1 = {2, 0, 1},
                             WIDE = {1, 2, 2}, HALF7 = {2, 3, 1};

#define CONV(n, h, w, c, o, k, p, q, options)                                                                          \
    {                                                                                                                  \
        "conv2d " #options, build_conv, reference_conv, 2,                                                             \
            {{4, {n, h, w, c}, GC_NORMAL, false}, {4, {o, k, k, c}, GC_NORMAL, false}}, 4, {n, p, q, o},               \
            (n) * (p) * (q) + (k) * (k) * ((c) + (o)), 0, 0, .user = &(options)                                        \
    }

static void conv(void **state) {
    (void)state;
    const gc_case cases[] = {
        CONV(1, 1, 1, 1, 1, 1, 1, 1, PLAIN1),   CONV(2, 3, 5, 7, 5, 1, 3, 5, PLAIN1),
        CONV(1, 1, 1, 1, 1, 3, 1, 1, PLAIN3),   CONV(2, 5, 4, 3, 2, 3, 5, 4, PLAIN3),
        CONV(1, 6, 6, 17, 16, 3, 6, 6, PLAIN3), CONV(2, 5, 7, 3, 4, 3, 2, 3, HALF3),
        CONV(1, 7, 5, 2, 3, 1, 4, 3, HALF1),    CONV(1, 5, 6, 3, 2, 3, 5, 6, WIDE),
        CONV(1, 9, 8, 3, 2, 7, 5, 4, HALF7),
    };
    gc_run("conv2d", cases, CHECK_LEN(cases));
}

/* ---- conv2d_act -------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_conv_options conv;
    ho_act act;
} conv_act;

static ho_status build_conv_act(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    const conv_act *v = c->user;
    return ho_conv2d_act(context, x[0], x[1], x[2], &v->conv, &v->act, y);
}

static double slope_at(const ho_act *act, double v) {
    return act->gain * (act->act == HO_LRELU && v <= 0.0 ? act->slope : 1.0);
}

static int64_t outputs(const gc_case *c) {
    return c->out_dim[0] * c->out_dim[1] * c->out_dim[2] * c->out_dim[3];
}

static void reference_conv_act(const gc_case *c, const double *const *x, double *y) {
    const conv_act *v = c->user;
    reference_conv(c, x, y); /* the options begin with the convolution's */
    for (int64_t i = 0; i < outputs(c); ++i) {
        const double sum = v->act.x_gain * y[i] + x[2][i % c->out_dim[3]];
        y[i] = slope_at(&v->act, sum) * sum;
    }
}

/* The tangent at y = input 2, whose sign alone matters and which gets no gradient. */
static ho_status build_conv_tangent(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    const conv_act *v = c->user;
    return ho_conv2d_act_tangent(context, x[2], x[0], x[1], &v->conv, &v->act, y);
}

static void reference_conv_tangent(const gc_case *c, const double *const *x, double *y) {
    const conv_act *v = c->user;
    reference_conv(c, x, y);
    for (int64_t i = 0; i < outputs(c); ++i) {
        y[i] *= slope_at(&v->act, x[2][i]) * v->act.x_gain;
    }
}

static const conv_act RELU3 = {{1, 1, 1}, {HO_LRELU, 0.0, 1.0, 1.0, 1.0}},
                      LEAKY3 = {{1, 1, 1}, {HO_LRELU, 0.2, 0.7, 1.0, 1.4142135623730951}},
                      LEAKY1 = {{1, 0, 1}, {HO_LRELU, 0.2, 0.3, 1.0, 1.5}},
                      LEAKY_HALF = {{2, 0, 1}, {HO_LRELU, 0.2, 1.0, 1.0, 1.4142135623730951}},
                      LINEAR3 = {{1, 1, 1}, {HO_LINEAR, 0.0, 0.5, 1.0, 2.0}};

#define CONV_ACT(n, h, w, c, o, k, p, q, options)                                                                      \
    {                                                                                                                  \
        "conv2d_act " #options, build_conv_act, reference_conv_act, 3,                                                 \
            {{4, {n, h, w, c}, GC_NORMAL, false}, {4, {o, k, k, c}, GC_NORMAL, false}, {1, {o}, GC_NORMAL, false}}, 4, \
            {n, p, q, o}, (n) * (p) * (q) + (k) * (k) * ((c) + (o)), 0, 0.05, .user = &(options)                       \
    }
#define CONV_TANGENT(n, h, w, c, o, k, p, q, options)                                                                  \
    {                                                                                                                  \
        "conv2d_act_tangent " #options, build_conv_tangent, reference_conv_tangent, 3,                                 \
            {{4, {n, h, w, c}, GC_NORMAL, false},                                                                      \
             {4, {o, k, k, c}, GC_NORMAL, false},                                                                      \
             {4, {n, p, q, o}, GC_AWAY, true}},                                                                        \
            4, {n, p, q, o}, (n) * (p) * (q) + (k) * (k) * ((c) + (o)), 0, 0.0, .user = &(options)                     \
    }

static void conv_with_act(void **state) {
    (void)state;
    const gc_case cases[] = {
        CONV_ACT(1, 1, 1, 1, 1, 1, 1, 1, LEAKY1),         CONV_ACT(2, 3, 5, 7, 5, 1, 3, 5, LEAKY1),
        CONV_ACT(2, 5, 4, 3, 2, 3, 5, 4, RELU3),          CONV_ACT(1, 6, 6, 17, 16, 3, 6, 6, LEAKY3),
        CONV_ACT(2, 5, 7, 3, 4, 3, 2, 3, LEAKY_HALF),     CONV_ACT(1, 4, 3, 2, 3, 3, 4, 3, LINEAR3),
        CONV_TANGENT(2, 3, 5, 7, 5, 1, 3, 5, LEAKY1),     CONV_TANGENT(2, 5, 4, 3, 2, 3, 5, 4, RELU3),
        CONV_TANGENT(2, 5, 7, 3, 4, 3, 2, 3, LEAKY_HALF), CONV_TANGENT(1, 4, 3, 2, 3, 3, 4, 3, LINEAR3),
    };
    gc_run("conv2d_act", cases, CHECK_LEN(cases));
}

static void wrong_shapes(void **state) {
    (void)state;
    ho_context *context;
    ho_tensor *x, *w, *w4, *x4, *y, *b, *wide;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2, 3), &x));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(4, 5), &w));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, 2, 2, 3), &x4));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(4, 3, 3, 3), &w4));
    CHECK_FAILS(ho_dense(context, x, w, &y), HO_ESHAPE, "dense", "(2, 3)", "(4, 5)");
    CHECK_FAILS(ho_conv2d(context, x, w4, &PLAIN3, &y), HO_ESHAPE, "conv2d", "(2, 3)", "(4, 3, 3, 3)");
    CHECK_FAILS(ho_conv2d(context, x4, w4, &PLAIN1, &y), HO_ESHAPE, "conv2d", "(1, 2, 2, 3)", "smaller");
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(3), &b));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, 4, 4, 3), &wide));
    const ho_act relu = HO_ACT_RELU, logistic = {HO_SIGMOID, 0.0, 1.0, 1.0, 1.0};
    CHECK_FAILS(ho_conv2d_act(context, x4, w4, b, &PLAIN3, &relu, &y), HO_ESHAPE, "conv2d_act", "bias (3)", "(4)");
    CHECK_FAILS(ho_conv2d_act(context, x4, w4, b, &PLAIN3, &logistic, &y), HO_ESHAPE, "conv2d_act", "leaky ReLU");
    CHECK_FAILS(ho_conv2d_act_tangent(context, wide, x4, w4, &PLAIN3, &relu, &y), HO_ESHAPE, "conv2d_act_tangent",
                "(1, 4, 4, 3)", "(1, 2, 2, 3)");
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dense), cmocka_unit_test(conv), cmocka_unit_test(conv_with_act),
                                       cmocka_unit_test(wrong_shapes)};
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
