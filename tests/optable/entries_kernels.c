/* Kernels that no operation reaches: fills, Adam, the moving average of weights. */
#include "table.h"

#include <math.h>
#include <string.h>

#include "fill.h"
#include "handsoff/random.h"
#include "update.h"

static const ot_case COUNTS[] = {{{1, 0}, NULL},    {{31, 3}, NULL},   {{33, 4}, NULL},
                                 {{255, 1}, NULL},  {{257, 7}, NULL},  {{1023, 0}, NULL},
                                 {{1025, 5}, NULL}, {{9973, 3}, NULL}, {{127, 1}, NULL}};
enum { SEED = 17, STREAM = 23 };

/* ---- fills: n, first ----------------------------------------------------------------------------------------------
 */

static void fill_shape(ot_problem *p) {
    ot_out(p, 1, HO_SHAPE(p->n[0]));
}

static ho_status normal_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)x;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(p->n[0]), y));
    return ho_k_fill_normal((*y)->data, p->n[0], SEED, STREAM, (uint64_t)p->n[1], 0.5, 2.0, ho_context_stream(context));
}

/* Box and Muller's formula on the four words of block i / 2. */
static void normal_truth(const ot_problem *p, const double *const *x, double *y) {
    (void)x;
    for (int64_t i = 0; i < p->n[0]; ++i) {
        const uint64_t at = (uint64_t)(p->n[1] + i);
        uint32_t w[4];
        ho_philox(SEED, STREAM, at / 2, w);
        const double u = ((double)(w[0] >> 5) * 0x1p26 + (double)(w[1] >> 6)) * 0x1p-53;
        const double v = ((double)(w[2] >> 5) * 0x1p26 + (double)(w[3] >> 6)) * 0x1p-53 * 6.283185307179586;
        y[i] = 0.5 + 2.0 * sqrt(-2.0 * log(1.0 - u)) * (at % 2 == 0 ? cos(v) : sin(v));
    }
}

static ho_status fill_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)x;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(p->n[0]), y));
    return ho_k_fill((*y)->data, p->n[0], 0.375F, ho_context_stream(context));
}

static void fill_truth(const ot_problem *p, const double *const *x, double *y) {
    (void)x;
    for (int64_t i = 0; i < p->n[0]; ++i) {
        y[i] = 0.375;
    }
}

/* ---- Adam: value, gradient, m, v -> (3, n): the new value, m, v ---------------------------------------------------
 */

static const ho_adam_step_args STEP = {0.01F, 0.5F, 0.75F, 1.25F, 1e-4F, 0.125F, 0.5F};

static void adam_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_in(p, OT_POSITIVE, HO_SHAPE(p->n[0]));
    ot_out(p, 1, HO_SHAPE(3, p->n[0]));
}

static ho_status adam_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const int64_t n = p->n[0];
    HO_TRY(ho_tensor_new(context, HO_SHAPE(3, n), y));
    HO_TRY(ho_k_adam(x[0]->data, x[1]->data, x[2]->data, x[3]->data, n, &STEP, ho_context_stream(context)));
    for (int64_t i = 0; i < 3; ++i) {
        const ho_tensor *from = x[i == 0 ? 0 : i + 1];
        HO_TRY(ho_device_copy(ho_context_device(context), (*y)->data + i * n, from->data, (size_t)n * sizeof(ho_real)));
    }
    return HO_OK;
}

static void adam_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t n = p->n[0];
    for (int64_t i = 0; i < n; ++i) {
        const double g = (double)STEP.grad_scale * x[1][i] + (double)STEP.weight_decay * x[0][i];
        y[n + i] = (double)STEP.beta1 * x[2][i] + (1.0 - (double)STEP.beta1) * g;
        y[2 * n + i] = (double)STEP.beta2 * x[3][i] + (1.0 - (double)STEP.beta2) * g * g;
        y[i] =
            x[0][i] - (double)STEP.lr * y[n + i] / (sqrt(y[2 * n + i] * (double)STEP.v_correction) + (double)STEP.eps);
    }
}

/* Gradients that are no numbers: NaN counts as 0, infinity as 1e5. The new value alone. */
static const float BROKEN[3] = {NAN, HUGE_VALF, -HUGE_VALF};
static const double CLEAN[3] = {0.0, 1e5, -1e5};

static void clean_shape(ot_problem *p) {
    adam_shape(p);
    ot_out(p, 1, HO_SHAPE(p->n[0]));
}

static ho_status clean_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    for (int64_t i = 0; i < p->n[0]; i += 5) {
        HO_TRY(ho_device_upload(ho_context_device(context), x[1]->data + i, &BROKEN[i % 3], sizeof *BROKEN));
    }
    *y = x[0];
    return ho_k_adam(x[0]->data, x[1]->data, x[2]->data, x[3]->data, p->n[0], &STEP, ho_context_stream(context));
}

static void clean_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->n[0]; ++i) {
        const double g_in = i % 5 == 0 ? CLEAN[i % 3] : (double)STEP.grad_scale * x[1][i];
        const double g = g_in + (double)STEP.weight_decay * x[0][i];
        const double m = (double)STEP.beta1 * x[2][i] + (1.0 - (double)STEP.beta1) * g;
        const double v = (double)STEP.beta2 * x[3][i] + (1.0 - (double)STEP.beta2) * g * g;
        y[i] = x[0][i] - (double)STEP.lr * m / (sqrt(v * (double)STEP.v_correction) + (double)STEP.eps);
    }
}

static void lerp_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_out(p, 1, HO_SHAPE(p->n[0]));
}

static ho_status lerp_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    *y = x[0];
    return ho_k_lerp(x[0]->data, x[1]->data, p->n[0], 0.25F, ho_context_stream(context));
}

static void lerp_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->n[0]; ++i) {
        y[i] = 0.75 * x[0][i] + 0.25 * x[1][i];
    }
}

const ot_entry ot_kernels[] = {
    {"fill_normal", "fill_normal_kernel", fill_shape, normal_run, normal_truth, OT_CASES(COUNTS), .forward_only = true},
    {"fill", "fill_kernel", fill_shape, fill_run, fill_truth, OT_CASES(COUNTS), .forward_only = true},
    {"adam", "adam_kernel", adam_shape, adam_run, adam_truth, OT_CASES(COUNTS), .forward_only = true},
    {"adam_broken_gradient", "adam_kernel", clean_shape, clean_run, clean_truth, OT_CASES(COUNTS),
     .forward_only = true},
    {"lerp", "lerp_kernel", lerp_shape, lerp_run, lerp_truth, OT_CASES(COUNTS), .forward_only = true},
    {0},
};
