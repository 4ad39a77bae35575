/* Batch norm and dropout. */
#include "table.h"

#include <math.h>

#include "handsoff/random.h"

/* Cases: rows, C. Inputs: x, weight, bias, running mean, running variance. */
static void norm_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_in(p, OT_POSITIVE, HO_SHAPE(p->n[1]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[1]));
    ot_in_constant(p, OT_NORMAL, HO_SHAPE(p->n[1]));
    ot_in_constant(p, OT_POSITIVE, HO_SHAPE(p->n[1]));
    ot_out(p, (double)p->n[0], HO_SHAPE(p->n[0], p->n[1]));
}

static ho_status trained_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_batch_norm(context, x[0], &(ho_batch_norm_params){x[1], x[2], x[3], x[4]}, true, y);
}

static ho_status fixed_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_batch_norm(context, x[0], &(ho_batch_norm_params){x[1], x[2], x[3], x[4]}, false, y);
}

static void moments(const ot_problem *p, const double *x, int64_t c, double *mean, double *var) {
    const int64_t rows = p->n[0], C = p->n[1];
    *mean = *var = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
        *mean += x[r * C + c] / (double)rows;
    }
    for (int64_t r = 0; r < rows; ++r) {
        *var += (x[r * C + c] - *mean) * (x[r * C + c] - *mean) / (double)rows;
    }
}

static void norm_truth(const ot_problem *p, const double *const *x, double *y, bool training) {
    const int64_t C = p->n[1];
    for (int64_t c = 0; c < C; ++c) {
        double mean = x[3][c], var = x[4][c];
        if (training) {
            moments(p, x[0], c, &mean, &var);
        }
        for (int64_t r = 0; r < p->n[0]; ++r) {
            y[r * C + c] = (x[0][r * C + c] - mean) / sqrt(var + 1e-5) * x[1][c] + x[2][c];
        }
    }
}

static void trained_truth(const ot_problem *p, const double *const *x, double *y) {
    norm_truth(p, x, y, true);
}

static void fixed_truth(const ot_problem *p, const double *const *x, double *y) {
    norm_truth(p, x, y, false);
}

static const ot_case NORM[] = {{{3, 1}, NULL},   {{7, 3}, NULL},   {{31, 31}, NULL},  {{33, 33}, NULL},
                               {{257, 5}, NULL}, {{5, 257}, NULL}, {{1025, 3}, NULL}, {{4, 1025}, NULL}};

/* The running statistics after one step in training: (2, C), mean and unbiased variance with momentum 0.1. */
static void running_shape(ot_problem *p) {
    norm_shape(p);
    ot_out(p, (double)p->n[0], HO_SHAPE(2, p->n[1]));
}

static ho_status running_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const size_t bytes = (size_t)p->n[1] * sizeof(ho_real);
    HO_TRY(trained_run(context, p, x, y));
    HO_TRY(ho_tensor_new(context, HO_SHAPE(2, p->n[1]), y));
    HO_TRY(ho_device_copy(ho_context_device(context), (*y)->data, x[3]->data, bytes));
    return ho_device_copy(ho_context_device(context), (*y)->data + p->n[1], x[4]->data, bytes);
}

static void running_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t c = 0; c < p->n[1]; ++c) {
        double mean, var;
        moments(p, x[0], c, &mean, &var);
        y[c] = 0.9 * x[3][c] + 0.1 * mean;
        y[p->n[1] + c] = 0.9 * x[4][c] + 0.1 * var * (double)p->n[0] / (double)(p->n[0] - 1);
    }
}

/* ---- dropout: n, first. Number i is dropped when the first word of its block is below p 2^32. ----------------- */

enum { SEED = 5, STREAM = 11 };

static void dropout_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0]));
    ot_out(p, 1, HO_SHAPE(p->n[0]));
}

/* A rate near 0.3 that is exactly the word of one of the numbers: that number stays. */
static double rate_of(const ot_problem *p) {
    for (int64_t i = 0; i < p->n[0]; ++i) {
        uint32_t word[4];
        ho_philox(SEED, STREAM, (uint64_t)(p->n[1] + i), word);
        if (word[0] > UINT32_MAX / 5 && word[0] < UINT32_MAX / 5 * 2) {
            return (double)word[0] * 0x1p-32;
        }
    }
    return 0.3;
}

static ho_status dropout_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_dropout(context, x[0], rate_of(p), SEED, STREAM, (uint64_t)p->n[1], y);
}

static void dropout_truth(const ot_problem *p, const double *const *x, double *y) {
    const double rate = rate_of(p);
    for (int64_t i = 0; i < p->n[0]; ++i) {
        const uint64_t at = (uint64_t)(p->n[1] + i);
        uint32_t word[4];
        ho_philox(SEED, STREAM, at, word);
        y[i] = (double)word[0] < rate * 0x1p32 ? 0.0 : x[0][i] / (1.0 - rate);
    }
}

static const ot_case DROPOUT[] = {{{1, 0}, NULL},    {{31, 3}, NULL},   {{33, 1}, NULL},   {{257, 2}, NULL},
                                  {{1023, 5}, NULL}, {{1025, 0}, NULL}, {{9973, 7}, NULL}, {{127, 4}, NULL}};

const ot_entry ot_norm[] = {
    {"batch_norm",
     "column_partials column_totals inverse_std_kernel norm_kernel norm_backward_kernel norm_vector_kernel", norm_shape,
     trained_run, trained_truth, OT_CASES(NORM), .gain = 2},
    {"batch_norm_fixed", "inverse_std_kernel norm_kernel norm_backward_kernel norm_vector_kernel", norm_shape,
     fixed_run, fixed_truth, OT_CASES(NORM), .gain = 2},
    {"batch_norm_running", "running_kernel", running_shape, running_run, running_truth, OT_CASES(NORM),
     .forward_only = true},
    {"dropout", "dropout_kernel", dropout_shape, dropout_run, dropout_truth, OT_CASES(DROPOUT)},
    {0},
};
