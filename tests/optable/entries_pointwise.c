/* Bias, activation, sums, copies. Cases: rows, channels. */
#include "table.h"

#include <math.h>

static const ho_act LINEAR = {HO_LINEAR, 0.0, 0.3, 2.0, 1.5};
static const ho_act LRELU = {HO_LRELU, 0.2, 0.7, 0.5, 1.4142135623730951};
static const ho_act RELU = {HO_LRELU, 0.0, 1.0, 1.0, 1.0};
static const ho_act LOGISTIC = {HO_SIGMOID, 0.0, 1.5, 0.5, 2.0};

static double activate(const ho_act *a, double v) {
    if (a->act == HO_SIGMOID) {
        return a->gain / (1.0 + exp(-v));
    }
    return a->gain * (a->act == HO_LRELU && v < 0.0 ? a->slope * v : v);
}

#define SIZES(o)                                                                                                       \
    {{1, 1}, &(o)}, {{7, 3}, &(o)}, {{31, 5}, &(o)}, {{33, 31}, &(o)}, {{257, 33}, &(o)}, {{5, 255}, &(o)},            \
        {{3, 257}, &(o)}, {{2, 1023}, &(o)}, {{1025, 1}, &(o)}, {                                                      \
        {2, 1025}, &(o)                                                                                                \
    }

/* ---- bias_act: y = gain act(x_gain x + b_gain b[c]) ---------------------------------------------------------------
 */

static void bias_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[1]));
    ot_out(p, (double)p->n[0], HO_SHAPE(p->n[0], p->n[1]));
}

static ho_status bias_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_bias_act(context, x[0], x[1], p->options, y);
}

static void bias_truth(const ot_problem *p, const double *const *x, double *y) {
    const ho_act *a = p->options;
    for (int64_t i = 0; i < p->n[0] * p->n[1]; ++i) {
        y[i] = activate(a, a->x_gain * x[0][i] + a->b_gain * x[1][i % p->n[1]]);
    }
}

/* Many rows: sums in many parts. */
static const ot_case BIAS[] = {
    SIZES(LRELU), SIZES(LOGISTIC), {{13, 17}, &LINEAR}, {{13, 17}, &RELU}, {{331, 2}, &LRELU}};
static const ot_case FIXED[] = {{{1, 1}, &LRELU}, {{257, 33}, &LRELU}, {{67, 33}, &LOGISTIC}, {{13, 17}, &RELU}};

static void fixed_shape(ot_problem *p) {
    ot_in_constant(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[1]));
    ot_out(p, (double)p->n[0], HO_SHAPE(p->n[0], p->n[1]));
}

static void act_shape(ot_problem *p) {
    ot_in(p, OT_AWAY, HO_SHAPE(p->n[0], p->n[1]));
    ot_out(p, 1, HO_SHAPE(p->n[0], p->n[1]));
}

static ho_status act_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_bias_act(context, x[0], NULL, p->options, y);
}

static void act_truth(const ot_problem *p, const double *const *x, double *y) {
    const ho_act *a = p->options;
    for (int64_t i = 0; i < p->n[0] * p->n[1]; ++i) {
        y[i] = activate(a, a->x_gain * x[0][i]);
    }
}

static const ot_case ACT[] = {
    SIZES(LRELU), {{257, 3}, &LOGISTIC}, {{67, 3}, &LOGISTIC}, {{13, 17}, &RELU}, {{13, 17}, &LINEAR}};

/* The tangent at y = input 1, whose sign alone matters; at 0 it is that below. */
static void tangent_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_in_constant(p, OT_STEPS, HO_SHAPE(p->n[0], p->n[1]));
    ot_out(p, 1, HO_SHAPE(p->n[0], p->n[1]));
}

static ho_status tangent_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_bias_act_tangent(context, x[1], x[0], p->options, y);
}

static void tangent_truth(const ot_problem *p, const double *const *x, double *y) {
    const ho_act *a = p->options;
    for (int64_t i = 0; i < p->n[0] * p->n[1]; ++i) {
        y[i] = a->gain * a->x_gain * x[0][i] * (a->act == HO_LRELU && x[1][i] <= 0.0 ? a->slope : 1.0);
    }
}

static const ot_case TANGENT[] = {SIZES(LRELU), {{13, 17}, &LINEAR}};

/* ---- add, concat, reshape, transpose ------------------------------------------------------------------------------
 */

static void add_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_out(p, 1, HO_SHAPE(p->n[0]));
}

static ho_status add_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_add(context, x[0], 0.7, x[1], -1.3, y);
}

static void add_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->n[0]; ++i) {
        y[i] = 0.7 * x[0][i] - 1.3 * x[1][i];
    }
}

static void scale_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_out(p, 1, HO_SHAPE(p->n[0]));
}

static ho_status scale_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_add(context, x[0], 0.7, NULL, 0.0, y);
}

static void scale_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->n[0]; ++i) {
        y[i] = 0.7 * x[0][i];
    }
}

static const ot_case COUNTS[] = {{{1}, NULL},    {{31}, NULL},   {{33}, NULL},   {{255}, NULL}, {{257}, NULL},
                                 {{1023}, NULL}, {{1025}, NULL}, {{9973}, NULL}, {{127}, NULL}};

/* Rows, channels of a, of b, of c. */
static void concat_shape(ot_problem *p) {
    for (int i = 1; i <= 3; ++i) {
        ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[i]));
    }
    ot_out(p, 1, HO_SHAPE(p->n[0], p->n[1] + p->n[2] + p->n[3]));
}

static ho_status concat_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_concat_all(context, 3, x, y);
}

static void concat_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t r = 0; r < p->n[0]; ++r) {
        for (int i = 0; i < 3; ++i) {
            for (int64_t c = 0; c < p->n[i + 1]; ++c) {
                *y++ = x[i][r * p->n[i + 1] + c];
            }
        }
    }
}

static const ot_case CONCAT[] = {
    {{1, 1, 1, 1}, NULL}, {{5, 3, 31, 33}, NULL}, {{257, 1, 5, 3}, NULL}, {{3, 255, 257, 1}, NULL}};

static void transpose_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2], p->n[3]));
    ot_out(p, 1, HO_SHAPE(p->n[0], p->n[3], p->n[1], p->n[2]));
}

static ho_status transpose_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_nhwc_to_nchw(context, x[0], y);
}

static void transpose_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t pixels = p->n[1] * p->n[2], C = p->n[3];
    for (int64_t i = 0; i < p->n[0] * pixels * C; ++i) {
        y[i / (pixels * C) * pixels * C + i % C * pixels + i / C % pixels] = x[0][i];
    }
}

static const ot_case TRANSPOSE[] = {
    {{1, 1, 1, 1}, NULL}, {{2, 3, 5, 31}, NULL}, {{3, 7, 5, 33}, NULL}, {{1, 17, 61, 3}, NULL}, {{2, 1, 3, 257}, NULL}};

static void reshape_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_out(p, 1, HO_SHAPE(p->n[1], p->n[0]));
}

static ho_status reshape_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_reshape(context, x[0], HO_SHAPE(p->n[1], p->n[0]), y);
}

static void reshape_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->n[0] * p->n[1]; ++i) {
        y[i] = x[0][i];
    }
}

static const ot_case RESHAPE[] = {{{1, 1}, NULL}, {{31, 5}, NULL}, {{257, 3}, NULL}};

/* ---- prelu: rows, channels; scale_channels: N, H, W, C; crop_rows: N, H, W, C, first, rows -------------------------
 */

static void prelu_shape(ot_problem *p) {
    ot_in(p, OT_AWAY, HO_SHAPE(p->n[0], p->n[1]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[1]));
    ot_out(p, (double)p->n[0], HO_SHAPE(p->n[0], p->n[1]));
}

static ho_status prelu_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_prelu(context, x[0], x[1], y);
}

static void prelu_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->n[0] * p->n[1]; ++i) {
        y[i] = fmax(x[0][i], 0.0) + x[1][i % p->n[1]] * fmin(x[0][i], 0.0);
    }
}

static const ot_case PRELU[] = {{{1, 1}, NULL},    {{7, 3}, NULL},   {{31, 5}, NULL},  {{33, 31}, NULL},
                                {{257, 33}, NULL}, {{5, 255}, NULL}, {{3, 257}, NULL}, {{2, 1023}, NULL},
                                {{1025, 1}, NULL}, {{2, 1025}, NULL}};

static void factors_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2], p->n[3]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[3]));
    ot_out(p, (double)(p->n[1] * p->n[2]), HO_SHAPE(p->n[0], p->n[1], p->n[2], p->n[3]));
}

static ho_status factors_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_scale_channels(context, x[0], x[1], y);
}

static void factors_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t C = p->n[3], sample = p->n[1] * p->n[2] * C;
    for (int64_t i = 0; i < p->n[0] * sample; ++i) {
        y[i] = x[0][i] * x[1][i / sample * C + i % C];
    }
}

static const ot_case FACTORS[] = {{{1, 1, 1, 1}, NULL},    {{2, 3, 5, 7}, NULL},   {{3, 5, 7, 31}, NULL},
                                  {{1, 17, 13, 33}, NULL}, {{2, 3, 3, 257}, NULL}, {{1, 33, 31, 2}, NULL}};

static void crop_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2], p->n[3]));
    ot_out(p, 1, HO_SHAPE(p->n[0], p->n[5], p->n[2], p->n[3]));
}

static ho_status crop_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_crop_rows(context, x[0], p->n[4], p->n[5], y);
}

static void crop_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t row = p->n[2] * p->n[3];
    for (int64_t n = 0; n < p->n[0]; ++n) {
        for (int64_t i = 0; i < p->n[5] * row; ++i) {
            y[n * p->n[5] * row + i] = x[0][(n * p->n[1] + p->n[4]) * row + i];
        }
    }
}

static const ot_case CROP[] = {{{1, 1, 1, 1, 0, 1}, NULL},
                               {{2, 7, 5, 3, 2, 4}, NULL},
                               {{3, 33, 11, 3, 32, 1}, NULL},
                               {{1, 31, 37, 3, 5, 22}, NULL}};

const ot_entry ot_pointwise[] = {
    {"bias_act", "bias_act_forward bias_act_backward column_total act_backward", bias_shape, bias_run, bias_truth,
     OT_CASES(BIAS)},
    {"bias_act_fixed", "bias_act_backward", fixed_shape, bias_run, bias_truth, OT_CASES(FIXED)},
    {"act", "act_forward act_backward", act_shape, act_run, act_truth, OT_CASES(ACT)},
    {"prelu", "prelu_forward prelu_backward column_total", prelu_shape, prelu_run, prelu_truth, OT_CASES(PRELU)},
    {"scale_channels", "modulate modulate_backward style_total", factors_shape, factors_run, factors_truth,
     OT_CASES(FACTORS)},
    {"crop_rows", "copy_columns fill_kernel", crop_shape, crop_run, crop_truth, OT_CASES(CROP)},
    {"bias_act_tangent", "act_backward", tangent_shape, tangent_run, tangent_truth, OT_CASES(TANGENT)},
    {"add", "add scale", add_shape, add_run, add_truth, OT_CASES(COUNTS)},
    {"add_one", "scale", scale_shape, scale_run, scale_truth, OT_CASES(COUNTS)},
    {"concat", "copy_columns", concat_shape, concat_run, concat_truth, OT_CASES(CONCAT)},
    {"nhwc_to_nchw", "transpose", transpose_shape, transpose_run, transpose_truth, OT_CASES(TRANSPOSE)},
    {"reshape", "scale", reshape_shape, reshape_run, reshape_truth, OT_CASES(RESHAPE)},
    {0},
};
