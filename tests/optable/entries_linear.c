/* Dense layers and convolutions. */
#include "table.h"

#include "handsoff/grouped.h"

/* Cases: rows, groups, I, O. */
static void dense_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1] * p->n[2]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[1] * p->n[3], p->n[2]));
    ot_out(p, (double)(p->n[0] + p->n[2] + p->n[3]), HO_SHAPE(p->n[0], p->n[1] * p->n[3]));
}

static ho_status dense_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_dense(context, x[0], x[1], y);
}

static ho_status grouped_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_grouped_dense(context, x[0], x[1], p->n[1], y);
}

static void dense_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t G = p->n[1], I = p->n[2], O = p->n[3];
    for (int64_t b = 0; b < p->n[0]; ++b) {
        for (int64_t o = 0; o < G * O; ++o) {
            double sum = 0.0;
            for (int64_t i = 0; i < I; ++i) {
                sum += x[0][b * G * I + o / O * I + i] * x[1][o * I + i];
            }
            y[b * G * O + o] = sum;
        }
    }
}

static const ot_case DENSE[] = {{{1, 1, 1, 1}, NULL},   {{3, 1, 5, 7}, NULL},    {{31, 1, 33, 3}, NULL},
                                {{2, 1, 257, 5}, NULL}, {{5, 1, 17, 129}, NULL}, {{67, 1, 31, 61}, NULL}};
static const ot_case GROUPED[] = {
    {{1, 1, 1, 1}, NULL}, {{3, 2, 5, 7}, NULL}, {{31, 3, 33, 3}, NULL}, {{5, 7, 17, 31}, NULL}};

/* Cases: N, H, W, C, O, k, stride, pad, dilation. */
static int64_t out_of(const ot_problem *p, int64_t size) {
    return (size + 2 * p->n[7] - p->n[8] * (p->n[5] - 1) - 1) / p->n[6] + 1;
}

static void conv_shape(ot_problem *p) {
    const int64_t *n = p->n, P = out_of(p, n[1]), Q = out_of(p, n[2]);
    ot_in(p, OT_NORMAL, HO_SHAPE(n[0], n[1], n[2], n[3]));
    ot_in(p, OT_NORMAL, HO_SHAPE(n[4], n[5], n[5], n[3]));
    if (p->options != NULL) {
        ot_in(p, OT_NORMAL, HO_SHAPE(n[4]));
    }
    ot_out(p, (double)(n[5] * n[5] * (n[3] + n[4]) + n[0] * P * Q), HO_SHAPE(n[0], P, Q, n[4]));
}

static ho_status conv_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const ho_conv_options options = {p->n[6], p->n[7], p->n[8]};
    return p->options == NULL ? ho_conv2d(context, x[0], x[1], &options, y)
                              : ho_conv2d_act(context, x[0], x[1], x[2], &options, p->options, y);
}

static void conv_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t *n = p->n, H = n[1], W = n[2], C = n[3], O = n[4], k = n[5], P = out_of(p, H), Q = out_of(p, W);
    const ho_act *a = p->options;
    for (int64_t at = 0; at < n[0] * P * Q * O; ++at) {
        const int64_t o = at % O, q = at / O % Q, r = at / O / Q % P, s = at / O / Q / P;
        double sum = 0.0;
        for (int64_t t = 0; t < k * k; ++t) {
            const int64_t h = r * n[6] + t / k * n[8] - n[7], w = q * n[6] + t % k * n[8] - n[7];
            for (int64_t c = 0; c < C && h >= 0 && h < H && w >= 0 && w < W; ++c) {
                sum += x[0][((s * H + h) * W + w) * C + c] * x[1][(o * k * k + t) * C + c];
            }
        }
        if (a != NULL) {
            sum = a->x_gain * sum + x[2][o];
            sum = a->gain * (a->act == HO_LRELU && sum < 0.0 ? a->slope * sum : sum);
        }
        y[at] = sum;
    }
}

static const ho_act RELU = {HO_LRELU, 0.0, 1.0, 1.0, 1.0};
static const ho_act LRELU = {HO_LRELU, 0.2, 0.7, 1.0, 1.4142135623730951};
static const ho_act LINEAR = {HO_LINEAR, 0.0, 0.5, 1.0, 2.0};
#define CONVS(o)                                                                                                       \
    {{1, 1, 1, 1, 1, 1, 1, 0, 1}, o}, {{2, 5, 7, 3, 5, 1, 1, 0, 1}, o}, {{2, 5, 7, 3, 5, 3, 1, 1, 1}, o},              \
        {{1, 9, 11, 31, 33, 3, 1, 1, 1}, o}, {{3, 7, 5, 5, 3, 3, 2, 1, 1}, o}, {{1, 9, 9, 3, 5, 3, 1, 2, 2}, o},       \
        {{1, 13, 11, 3, 7, 7, 2, 3, 1}, o}, {                                                                          \
        {1, 6, 4, 17, 1, 3, 2, 0, 1}, o                                                                                \
    }
static const ot_case CONV[] = {CONVS(NULL)};
static const ot_case CONV_ACT[] = {CONVS(&LRELU),
                                   {{2, 5, 7, 3, 5, 3, 1, 1, 1}, &LINEAR},
                                   {{2, 9, 11, 2, 3, 1, 1, 0, 1}, &LRELU},
                                   {{1, 4, 5, 2, 3, 3, 1, 1, 1}, &RELU}};

/* The tangent: x_dot, w, and y, whose sign alone matters. */
static void tangent_shape(ot_problem *p) {
    const int64_t *n = p->n, P = out_of(p, n[1]), Q = out_of(p, n[2]);
    ot_in(p, OT_NORMAL, HO_SHAPE(n[0], n[1], n[2], n[3]));
    ot_in(p, OT_NORMAL, HO_SHAPE(n[4], n[5], n[5], n[3]));
    ot_in_constant(p, OT_STEPS, HO_SHAPE(n[0], P, Q, n[4]));
    ot_out(p, (double)(n[5] * n[5] * (n[3] + n[4]) + n[0] * P * Q), HO_SHAPE(n[0], P, Q, n[4]));
}

static ho_status tangent_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const ho_conv_options options = {p->n[6], p->n[7], p->n[8]};
    return ho_conv2d_act_tangent(context, x[2], x[0], x[1], &options, p->options, y);
}

static void tangent_truth(const ot_problem *p, const double *const *x, double *y) {
    const ho_act *a = p->options;
    const ot_problem plain = {.n = p->n};
    conv_truth(&plain, x, y);
    for (int64_t i = 0; i < p->output.count; ++i) {
        y[i] *= a->x_gain * a->gain * (a->act == HO_LRELU && x[2][i] <= 0.0 ? a->slope : 1.0);
    }
}

static const ot_case TANGENT[] = {CONVS(&LRELU)};

const ot_entry ot_linear[] = {
    {"dense", "", dense_shape, dense_run, dense_truth, OT_CASES(DENSE)},
    {"grouped_dense", "", dense_shape, grouped_run, dense_truth, OT_CASES(GROUPED)},
    {"conv2d", "scale", conv_shape, conv_run, conv_truth, OT_CASES(CONV)},
    {"conv2d_act", "bias_act_in_place bias_act_backward_in_place column_total", conv_shape, conv_run, conv_truth,
     OT_CASES(CONV_ACT)},
    {"conv2d_act_tangent", "act_slope_in_place", tangent_shape, tangent_run, tangent_truth, OT_CASES(TANGENT)},
    {0},
};
