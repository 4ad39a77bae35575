/* Losses and the LPIPS tap. */
#include "table.h"

#include <math.h>

static const ot_case COUNTS[] = {{{1}, NULL},   {{3}, NULL},    {{31}, NULL},   {{33}, NULL},   {{255}, NULL},
                                 {{257}, NULL}, {{1023}, NULL}, {{1025}, NULL}, {{9973}, NULL}, {{127}, NULL}};

/* Segments have 16384 numbers. */
static const ot_case SUMS[] = {{{1}, NULL},    {{33}, NULL},    {{255}, NULL},
                               {{1025}, NULL}, {{50000}, NULL}, {{600001}, NULL}};

/* ---- sum, dot, softplus, mean of squares: n ------------------------------------------------------------------------
 */

static void one_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_out(p, (double)p->n[0], HO_SHAPE(1));
}

static void two_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    one_shape(p);
}

static ho_status sum_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_sum(context, x[0], 0.7, y);
}

static void sum_truth(const ot_problem *p, const double *const *x, double *y) {
    y[0] = 0.0;
    for (int64_t i = 0; i < p->n[0]; ++i) {
        y[0] += 0.7 * x[0][i];
    }
}

static ho_status dot_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_dot(context, x[0], x[1], -0.7, y);
}

static void dot_truth(const ot_problem *p, const double *const *x, double *y) {
    y[0] = 0.0;
    for (int64_t i = 0; i < p->n[0]; ++i) {
        y[0] -= 0.7 * x[0][i] * x[1][i];
    }
}

static ho_status softplus_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_softplus_mean(context, x[0], -1.0, y);
}

static void softplus_truth(const ot_problem *p, const double *const *x, double *y) {
    y[0] = 0.0;
    for (int64_t i = 0; i < p->n[0]; ++i) {
        y[0] += log1p(exp(-x[0][i])) / (double)p->n[0];
    }
}

static ho_status mse_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_mse(context, x[0], x[1], y);
}

static void mse_truth(const ot_problem *p, const double *const *x, double *y) {
    y[0] = 0.0;
    for (int64_t i = 0; i < p->n[0]; ++i) {
        y[0] += (x[0][i] - x[1][i]) * (x[0][i] - x[1][i]) / (double)p->n[0];
    }
}

/* Cases: N, M. */
static void each_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_out(p, (double)p->n[1], HO_SHAPE(p->n[0]));
}

static ho_status each_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_mse_per_sample(context, x[0], x[1], y);
}

static void each_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t n = 0; n < p->n[0]; ++n) {
        const ot_problem one = {.n = p->n + 1};
        mse_truth(&one, (const double *const[]){x[0] + n * p->n[1], x[1] + n * p->n[1]}, y + n);
    }
}

static const ot_case EACH[] = {{{1, 1}, NULL}, {{3, 31}, NULL}, {{5, 257}, NULL}, {{31, 3}, NULL}, {{7, 1025}, NULL}};

/* ---- cross entropy: rows, K; every fifth row is not counted -------------------------------------------------------
 */

static int label_of(const ot_problem *p, int64_t row) {
    return row % 5 == 3 ? 255 : (int)((7 * row + 1) % p->n[1]);
}

static void entropy_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_out(p, (double)(p->n[0] + p->n[1]), HO_SHAPE(1));
}

/* Logits whose exponentials no float holds. */
static void entropy_large_shape(ot_problem *p) {
    entropy_shape(p);
    p->input[0].values = OT_LARGE;
}

static ho_status entropy_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    uint8_t label[4096];
    for (int64_t r = 0; r < p->n[0]; ++r) {
        label[r] = (uint8_t)label_of(p, r);
    }
    return ho_cross_entropy(context, x[0], label, y);
}

static void entropy_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t K = p->n[1];
    int64_t counted = 0;
    y[0] = 0.0;
    for (int64_t r = 0; r < p->n[0]; ++r) {
        double sum = 0.0;
        for (int64_t k = 0; k < K; ++k) {
            sum += exp(x[0][r * K + k]);
        }
        if (label_of(p, r) != 255) {
            y[0] += log(sum) - x[0][r * K + label_of(p, r)];
            ++counted;
        }
    }
    y[0] /= (double)counted;
}

static const ot_case ENTROPY[] = {{{1, 1}, NULL},    {{31, 1}, NULL},  {{1, 2}, NULL},  {{1, 3}, NULL},
                                  {{31, 5}, NULL},   {{33, 31}, NULL}, {{7, 33}, NULL}, {{257, 3}, NULL},
                                  {{1025, 7}, NULL}, {{5, 254}, NULL}, {{19, 4}, NULL}, {{127, 8}, NULL}};

/* ---- LPIPS tap: N, pixels, C --------------------------------------------------------------------------------------
 */

static void lpips_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], 1, p->n[2]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], 1, p->n[2]));
    ot_in_constant(p, OT_POSITIVE, HO_SHAPE(p->n[2]));
    ot_out(p, (double)(p->n[1] * p->n[2]), HO_SHAPE(p->n[0]));
}

/* n[3]: without weights. */
static ho_status lpips_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_lpips_tap(context, x[0], x[1], p->n[3] != 0 ? NULL : x[2], y);
}

static double lpips_weight(const ot_problem *p, const double *w, int64_t c) {
    return p->n[3] != 0 ? 1.0 : w[c];
}

static double length(const double *f, int64_t C) {
    double sum = 0.0;
    for (int64_t c = 0; c < C; ++c) {
        sum += f[c] * f[c];
    }
    return sqrt(sum) + 1e-10;
}

static void lpips_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t pixels = p->n[1], C = p->n[2];
    for (int64_t n = 0; n < p->n[0]; ++n) {
        y[n] = 0.0;
        for (int64_t i = n * pixels * C; i < (n + 1) * pixels * C; i += C) {
            const double a = length(x[0] + i, C), b = length(x[1] + i, C);
            for (int64_t c = 0; c < C; ++c) {
                const double d = x[0][i + c] / a - x[1][i + c] / b;
                y[n] += lpips_weight(p, x[2], c) * d * d / (double)pixels;
            }
        }
    }
}

static const ot_case LPIPS[] = {{{1, 1, 2}, NULL},    {{2, 5, 3}, NULL},     {{3, 7, 31}, NULL},
                                {{1, 31, 33}, NULL},  {{2, 3, 257}, NULL},   {{1, 257, 5}, NULL},
                                {{2, 5, 3, 1}, NULL}, {{1, 9, 33, 1}, NULL}, {{2, 3, 257, 1}, NULL}};

/* The gradients of both features where some pixels are all 0: there they are 0. */
static void lpips_zero_shape(ot_problem *p) {
    ot_in(p, OT_STEPS, HO_SHAPE(p->n[0], p->n[1], 1, p->n[2]));
    ot_in(p, OT_STEPS, HO_SHAPE(p->n[0], p->n[1], 1, p->n[2]));
    ot_in(p, OT_POSITIVE, HO_SHAPE(p->n[2]));
    ot_out(p, (double)p->n[2], HO_SHAPE(2, p->input[0].count));
}

static ho_status lpips_zero_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    float host[2048], ones[64];
    ho_tensor *d, *seed;
    const int64_t count = p->input[0].count;
    HO_REQUIRE(2 * count <= 2048 && p->n[0] <= 64, "too many numbers for this entry");
    for (int64_t n = 0; n < p->n[0]; ++n) {
        ones[n] = 1.0F;
    }
    x[0]->needs_grad = x[1]->needs_grad = true;
    ho_context_record(context, true);
    HO_TRY(lpips_run(context, p, x, &d));
    HO_TRY(ho_tensor_new(context, d->rank, d->dim, &seed));
    HO_TRY(ho_tensor_set_host(context, seed, ones));
    HO_TRY(ho_backward_seed(context, d, seed));
    HO_TRY(ho_tensor_grad_to_host(context, x[0], host));
    HO_TRY(ho_tensor_grad_to_host(context, x[1], host + count));
    HO_TRY(ho_tensor_new(context, 2, p->output.dim, y));
    return ho_tensor_set_host(context, *y, host);
}

/* One pixel: 2 / (pixels |f|) (w (u - v) - u sum w (u - v) u), u and v the directions of f and other. */
static void lpips_side(const ot_problem *p, const double *f, const double *other, const double *w, double *g) {
    const int64_t C = p->n[2];
    const double a = length(f, C), b = length(other, C);
    double along = 0.0;
    for (int64_t c = 0; c < C; ++c) {
        along += lpips_weight(p, w, c) * (f[c] / a - other[c] / b) * f[c] / a;
    }
    for (int64_t c = 0; c < C; ++c) {
        const double e = lpips_weight(p, w, c) * (f[c] / a - other[c] / b);
        g[c] = a > 1e-6 ? 2.0 / ((double)p->n[1] * a) * (e - along * f[c] / a) : 0.0;
    }
}

static void lpips_zero_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t C = p->n[2], count = p->input[0].count;
    for (int64_t i = 0; i < count; i += C) {
        lpips_side(p, x[0] + i, x[1] + i, x[2], y + i);
        lpips_side(p, x[1] + i, x[0] + i, x[2], y + count + i);
    }
}

static const ot_case LPIPS_ZERO[] = {{{2, 40, 2}, NULL}, {{2, 40, 2, 1}, NULL}, {{3, 17, 3}, NULL}};

const ot_entry ot_loss[] = {
    {"sum", "partial_sums total_sum scale", one_shape, sum_run, sum_truth, OT_CASES(SUMS)},
    {"dot", "partial_sums total_sum scale", two_shape, dot_run, dot_truth, OT_CASES(SUMS)},
    {"softplus_mean", "softplus_partials group_totals_kernel softplus_backward_kernel", one_shape, softplus_run,
     softplus_truth, OT_CASES(COUNTS)},
    {"mse", "mse_partials group_totals_kernel mse_backward_kernel", two_shape, mse_run, mse_truth, OT_CASES(COUNTS)},
    {"mse_per_sample", "mse_partials group_totals_kernel mse_backward_kernel", each_shape, each_run, each_truth,
     OT_CASES(EACH)},
    {"cross_entropy", "cross_entropy_partials cross_entropy_backward_kernel group_totals_kernel", entropy_shape,
     entropy_run, entropy_truth, OT_CASES(ENTROPY)},
    {"cross_entropy_large", "cross_entropy_partials", entropy_large_shape, entropy_run, entropy_truth,
     OT_CASES(ENTROPY), .forward_only = true},
    {"lpips_tap", "lpips_partials lpips_backward_kernel group_totals_kernel", lpips_shape, lpips_run, lpips_truth,
     OT_CASES(LPIPS), .gain = 2},
    {"lpips_tap_zero", "lpips_partials lpips_backward_kernel", lpips_zero_shape, lpips_zero_run, lpips_zero_truth,
     OT_CASES(LPIPS_ZERO), .forward_only = true, .gain = 2},
    {0},
};
