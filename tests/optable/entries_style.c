/* Latents, the learned constant, minibatch standard deviation. */
#include "table.h"

#include <math.h>

/* Cases: N, D. */
static void normalize_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_out(p, (double)p->n[1], HO_SHAPE(p->n[0], p->n[1]));
}

static ho_status normalize_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_normalize_z(context, x[0], y);
}

static void normalize_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t D = p->n[1];
    for (int64_t n = 0; n < p->n[0]; ++n) {
        double sum = 0.0;
        for (int64_t i = 0; i < D; ++i) {
            sum += x[0][n * D + i] * x[0][n * D + i];
        }
        for (int64_t i = 0; i < D; ++i) {
            y[n * D + i] = x[0][n * D + i] / sqrt(sum / (double)D + 1e-8);
        }
    }
}

static const ot_case NORMALIZE[] = {{{1, 2}, NULL},   {{3, 31}, NULL},   {{5, 33}, NULL},  {{2, 255}, NULL},
                                    {{7, 257}, NULL}, {{2, 1023}, NULL}, {{2, 1025}, NULL}};

/* Cases: N, L, D, l. */
static void spread_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[2]));
    ot_out(p, (double)p->n[1], HO_SHAPE(p->n[0], p->n[1], p->n[2]));
}

static ho_status spread_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_w_to_w_plus(context, x[0], p->n[1], y);
}

static void spread_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t L = p->n[1], D = p->n[2];
    for (int64_t i = 0; i < p->n[0] * L * D; ++i) {
        y[i] = x[0][i / (L * D) * D + i % D];
    }
}

static void row_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2]));
    ot_out(p, 1, HO_SHAPE(p->n[0], p->n[2]));
}

/* The row's gradient fills one row only: with the whole tensor added, all of it is defined. */
static ho_status row_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_w_plus_row(context, x[0], p->n[3], y);
}

static void row_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->n[0] * p->n[2]; ++i) {
        y[i] = x[0][(i / p->n[2] * p->n[1] + p->n[3]) * p->n[2] + i % p->n[2]];
    }
}

static const ot_case ROWS[] = {
    {{1, 1, 1, 0}, NULL}, {{2, 3, 31, 1}, NULL}, {{3, 5, 33, 4}, NULL}, {{5, 7, 257, 0}, NULL}};

static int64_t cut_of(const ot_problem *p, int64_t n) {
    return (3 * n + 1) % (p->n[1] + 1);
}

static void mix_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2]));
    ot_out(p, 1, HO_SHAPE(p->n[0], p->n[1], p->n[2]));
}

static ho_status mix_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    int64_t cut[16];
    for (int64_t n = 0; n < p->n[0]; ++n) {
        cut[n] = cut_of(p, n);
    }
    return ho_mix_rows(context, x[0], x[1], cut, y);
}

static void mix_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t L = p->n[1], D = p->n[2];
    for (int64_t i = 0; i < p->n[0] * L * D; ++i) {
        y[i] = i / D % L < cut_of(p, i / D / L) ? x[0][i] : x[1][i];
    }
}

/* Cases: N, count. */
static void batch_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[1]));
    ot_out(p, (double)p->n[0], HO_SHAPE(p->n[0], p->n[1]));
}

static ho_status batch_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_broadcast_batch(context, x[0], p->n[0], y);
}

static void batch_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->n[0] * p->n[1]; ++i) {
        y[i] = x[0][i % p->n[1]];
    }
}

static const ot_case BATCH[] = {{{1, 1}, NULL}, {{3, 31}, NULL}, {{5, 257}, NULL}, {{17, 1025}, NULL}};

/* ---- minibatch standard deviation: N, pixels, C, group ------------------------------------------------------------
 */

static void std_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], 1, p->n[2]));
    ot_out(p, (double)(p->n[1] * p->n[2]), HO_SHAPE(p->n[0], p->n[1], 1, p->n[2] + 1));
}

/* Differences as small as the square root of the epsilon. */
static void std_tiny_shape(ot_problem *p) {
    std_shape(p);
    p->input[0].values = OT_TINY;
}

static void std_tangent_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], 1, p->n[2]));
    std_shape(p);
}

static ho_status std_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_minibatch_std(context, x[0], p->n[3], y);
}

static ho_status std_tangent_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_minibatch_std_tangent(context, x[0], x[1], p->n[3], y);
}

/* The statistic of group m: mean over features of sqrt(var over the group + 1e-8); with x_dot its derivative. */
static double statistic(const ot_problem *p, const double *x, const double *x_dot, int64_t m) {
    const int64_t F = p->n[1] * p->n[2], G = p->n[3] < p->n[0] ? p->n[3] : p->n[0], M = p->n[0] / G;
    double total = 0.0;
    for (int64_t f = 0; f < F; ++f) {
        double mean = 0.0, mean_dot = 0.0, var = 0.0, var_dot = 0.0;
        for (int64_t g = 0; g < G; ++g) {
            mean += x[(g * M + m) * F + f] / (double)G;
            mean_dot += x_dot != NULL ? x_dot[(g * M + m) * F + f] / (double)G : 0.0;
        }
        for (int64_t g = 0; g < G; ++g) {
            const double d = x[(g * M + m) * F + f] - mean;
            var += d * d / (double)G;
            var_dot += x_dot != NULL ? 2.0 * d * (x_dot[(g * M + m) * F + f] - mean_dot) / (double)G : 0.0;
        }
        total += x_dot != NULL ? var_dot / (2.0 * sqrt(var + 1e-8)) : sqrt(var + 1e-8);
    }
    return total / (double)F;
}

static void std_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t C = p->n[2], F = p->n[1] * C, G = p->n[3] < p->n[0] ? p->n[3] : p->n[0], M = p->n[0] / G;
    const double *from = p->n_inputs == 2 ? x[1] : x[0];
    for (int64_t n = 0; n < p->n[0]; ++n) {
        const double value = statistic(p, x[0], p->n_inputs == 2 ? x[1] : NULL, n % M);
        for (int64_t i = 0; i < p->n[1] * (C + 1); ++i) {
            y[n * p->n[1] * (C + 1) + i] = i % (C + 1) < C ? from[n * F + i / (C + 1) * C + i % (C + 1)] : value;
        }
    }
}

static const ot_case STD[] = {{{2, 1, 1, 2}, NULL},  {{4, 5, 3, 4}, NULL},    {{6, 7, 31, 3}, NULL},
                              {{8, 3, 33, 4}, NULL}, {{3, 11, 257, 4}, NULL}, {{4, 257, 5, 2}, NULL}};

const ot_entry ot_style[] = {
    {"normalize_z", "normalize normalize_backward", normalize_shape, normalize_run, normalize_truth,
     OT_CASES(NORMALIZE)},
    {"w_to_w_plus", "repeat_middle sum_middle", spread_shape, spread_run, spread_truth, OT_CASES(ROWS)},
    {"w_plus_row", "copy_columns", row_shape, row_run, row_truth, OT_CASES(ROWS)},
    {"mix_rows", "mix_rows mix_rows_backward", mix_shape, mix_run, mix_truth, OT_CASES(ROWS)},
    {"broadcast_batch", "repeat_middle sum_middle", batch_shape, batch_run, batch_truth, OT_CASES(BATCH)},
    {"minibatch_std", "mbstd mbstd_spread mbstd_gather mbstd_backward", std_shape, std_run, std_truth, OT_CASES(STD)},
    {"minibatch_std_tiny", "mbstd", std_tiny_shape, std_run, std_truth, OT_CASES(STD), .forward_only = true},
    {"minibatch_std_tangent", "mbstd mbstd_spread mbstd_gather mbstd_backward", std_tangent_shape, std_tangent_run,
     std_truth, OT_CASES(STD), .gain = 4},
    {0},
};
