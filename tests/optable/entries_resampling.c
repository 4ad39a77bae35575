/* FIR resampling, bilinear resampling, pooling. */
#include "table.h"

#include <math.h>

#include "pool.h"

/* ---- fir: N, H, W, C, up, down, before, after ---------------------------------------------------------------------
 */

static int64_t fir_size(const ot_problem *p, int64_t size) {
    return (size * p->n[4] + p->n[6] + p->n[7] - 4) / p->n[5] + 1;
}

static void fir_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2], p->n[3]));
    ot_out(p, 16, HO_SHAPE(p->n[0], fir_size(p, p->n[1]), fir_size(p, p->n[2]), p->n[3]));
}

static ho_status fir_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const ho_fir_options options = {p->n[4], p->n[5], p->n[6], p->n[7], 1.5};
    return ho_fir(context, x[0], &options, y);
}

static void fir_truth(const ot_problem *p, const double *const *x, double *y) {
    static const double TAP[4] = {0.125, 0.375, 0.375, 0.125};
    const int64_t *n = p->n, C = n[3], P = fir_size(p, n[1]), Q = fir_size(p, n[2]);
    for (int64_t at = 0; at < p->output.count; ++at) {
        double sum = 0.0;
        for (int t = 0; t < 16; ++t) {
            const int64_t h = at / C / Q % P * n[5] + t / 4 - n[6], w = at / C % Q * n[5] + t % 4 - n[6];
            if (h >= 0 && w >= 0 && h % n[4] == 0 && w % n[4] == 0 && h / n[4] < n[1] && w / n[4] < n[2]) {
                sum +=
                    TAP[t / 4] * TAP[t % 4] * x[0][((at / C / Q / P * n[1] + h / n[4]) * n[2] + w / n[4]) * C + at % C];
            }
        }
        y[at] = 1.5 * sum;
    }
}

#define FIRS(up, down, before, after)                                                                                  \
    {{1, 2, 2, 1, up, down, before, after}, NULL}, {{2, 5, 7, 3, up, down, before, after}, NULL},                      \
        {{1, 4, 3, 31, up, down, before, after}, NULL}, {{1, 3, 9, 33, up, down, before, after}, NULL}, {              \
        {1, 3, 2, 257, up, down, before, after}, NULL                                                                  \
    }
static const ot_case FIR[] = {FIRS(2, 1, 2, 1), FIRS(1, 2, 1, 1), FIRS(1, 1, 2, 2), FIRS(1, 2, 2, 2),
                              FIRS(2, 1, 3, 3), FIRS(3, 2, 1, 4), FIRS(1, 5, 2, 3)};

/* ---- resize: N, H, W, C, P, Q -------------------------------------------------------------------------------------
 */

static void resize_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2], p->n[3]));
    ot_out(p, 4, HO_SHAPE(p->n[0], p->n[4], p->n[5], p->n[3]));
}

static ho_status resize_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_resize_bilinear(context, x[0], p->n[4], p->n[5], y);
}

static ho_status corners_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_resize_corners(context, x[0], p->n[4], p->n[5], y);
}

/* The weight of input position `from` at output position `at`: a hat around the clamped source position. */
static double hat(int64_t from, int64_t at, int64_t n_in, int64_t n_out, bool corners) {
    const double src = corners ? (double)(at * (n_in - 1)) / (double)(n_out - 1)
                               : ((double)at + 0.5) * (double)n_in / (double)n_out - 0.5;
    return fmax(0.0, 1.0 - fabs(fmin(fmax(src, 0.0), (double)(n_in - 1)) - (double)from));
}

static void sum_of_hats(const ot_problem *p, const double *const *x, double *y, bool corners) {
    const int64_t *n = p->n, H = n[1], W = n[2], C = n[3], P = n[4], Q = n[5];
    for (int64_t at = 0; at < p->output.count; ++at) {
        y[at] = 0.0;
        for (int64_t i = 0; i < H * W; ++i) {
            y[at] += hat(i / W, at / C / Q % P, H, P, corners) * hat(i % W, at / C % Q, W, Q, corners) *
                     x[0][((at / C / Q / P) * H * W + i) * C + at % C];
        }
    }
}

static void resize_truth(const ot_problem *p, const double *const *x, double *y) {
    sum_of_hats(p, x, y, false);
}

static void corners_truth(const ot_problem *p, const double *const *x, double *y) {
    sum_of_hats(p, x, y, true);
}

static const ot_case CORNERS[] = {{{1, 2, 2, 1, 2, 2}, NULL},   {{2, 5, 3, 3, 7, 11}, NULL},
                                  {{1, 7, 11, 31, 3, 5}, NULL}, {{1, 4, 4, 33, 8, 8}, NULL},
                                  {{1, 3, 2, 257, 6, 4}, NULL}, {{1, 9, 2, 2, 2, 31}, NULL}};
static const ot_case RESIZE[] = {
    {{1, 1, 1, 1, 1, 1}, NULL},  {{2, 5, 3, 3, 7, 11}, NULL},  {{1, 7, 11, 31, 3, 5}, NULL},
    {{1, 4, 4, 33, 8, 8}, NULL}, {{2, 8, 6, 5, 4, 3}, NULL},   {{1, 3, 2, 257, 5, 3}, NULL},
    {{1, 1, 5, 3, 4, 5}, NULL},  {{1, 1, 1, 2, 17, 17}, NULL}, {{1, 2, 3, 2, 41, 33}, NULL}};

/* ---- pooling: N, H, W, C, kernel, stride, pad, ceil ---------------------------------------------------------------
 */

static int64_t pool_size(const ot_problem *p, int64_t size) {
    const int64_t room = size + 2 * p->n[6] - p->n[4], up = p->n[7] != 0 ? p->n[5] - 1 : 0;
    int64_t out = (room + up) / p->n[5] + 1;
    return p->n[7] != 0 && (out - 1) * p->n[5] >= size + p->n[6] ? out - 1 : out;
}

static void pool_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2], p->n[3]));
    ot_out(p, (double)(p->n[4] * p->n[4]), HO_SHAPE(p->n[0], pool_size(p, p->n[1]), pool_size(p, p->n[2]), p->n[3]));
}

static ho_status max_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const ho_pool_options options = {p->n[4], p->n[5], p->n[6], p->n[7] != 0};
    return ho_max_pool(context, x[0], &options, y);
}

static ho_status avg_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    return ho_avg_pool(context, x[0], p->n[4], y);
}

static void pool_truth(const ot_problem *p, const double *const *x, double *y, bool mean) {
    const int64_t *n = p->n, C = n[3], k = n[4], P = pool_size(p, n[1]), Q = pool_size(p, n[2]);
    for (int64_t at = 0; at < p->output.count; ++at) {
        double most = -HUGE_VAL, sum = 0.0;
        for (int64_t t = 0; t < k * k; ++t) {
            const int64_t h = at / C / Q % P * n[5] + t / k - n[6], w = at / C % Q * n[5] + t % k - n[6];
            if (h >= 0 && h < n[1] && w >= 0 && w < n[2]) {
                const double v = x[0][((at / C / Q / P * n[1] + h) * n[2] + w) * C + at % C];
                most = fmax(most, v);
                sum += v;
            }
        }
        y[at] = mean ? sum / (double)(k * k) : most;
    }
}

static void max_truth(const ot_problem *p, const double *const *x, double *y) {
    pool_truth(p, x, y, false);
}

static void avg_truth(const ot_problem *p, const double *const *x, double *y) {
    pool_truth(p, x, y, true);
}

static const ot_case MAX[] = {{{1, 1, 1, 1, 1, 1, 0, 0}, NULL},   {{2, 7, 5, 3, 3, 2, 1, 0}, NULL},
                              {{2, 8, 6, 31, 3, 2, 0, 1}, NULL},  {{1, 7, 9, 33, 2, 2, 0, 0}, NULL},
                              {{1, 6, 5, 257, 3, 2, 1, 0}, NULL}, {{3, 11, 13, 5, 3, 1, 1, 0}, NULL},
                              {{1, 6, 10, 1, 3, 1, 0, 0}, NULL},  {{1, 10, 6, 1, 3, 2, 0, 0}, NULL},
                              {{1, 97, 3, 1, 3, 2, 1, 0}, NULL},  {{1, 3, 97, 1, 3, 2, 1, 0}, NULL}};
/* Of equal values in a window the first is chosen. */
static void choice_shape(ot_problem *p) {
    pool_shape(p);
    p->input[0].values = OT_STEPS;
}

static ho_status choice_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const int64_t *n = p->n, *out = p->output.dim, count = p->output.count;
    const ho_pool_shape shape = {n[0], n[1], n[2], n[3], out[1], out[2], n[4], n[5], n[6]};
    ho_tensor *most;
    void *choice;
    uint8_t taps[1024];
    float host[1024];
    HO_REQUIRE(count <= 1024, "too many windows for this entry");
    HO_TRY(ho_tensor_new(context, 4, out, &most));
    HO_TRY(ho_tensor_new(context, 4, out, y));
    HO_TRY(ho_scratch_bytes(context, (size_t)count, &choice));
    HO_TRY(ho_k_max_pool(ho_context_stream(context), &shape, x[0]->data, most->data, choice));
    HO_TRY(ho_device_download(ho_context_device(context), taps, choice, (size_t)count));
    for (int64_t i = 0; i < count; ++i) {
        host[i] = taps[i];
    }
    return ho_tensor_set_host(context, *y, host);
}

static void choice_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t *n = p->n, C = n[3], k = n[4], P = pool_size(p, n[1]), Q = pool_size(p, n[2]);
    for (int64_t at = 0; at < p->output.count; ++at) {
        double most = -HUGE_VAL;
        for (int64_t t = 0; t < k * k; ++t) {
            const int64_t h = at / C / Q % P * n[5] + t / k - n[6], w = at / C % Q * n[5] + t % k - n[6];
            if (h >= 0 && h < n[1] && w >= 0 && w < n[2] &&
                x[0][((at / C / Q / P * n[1] + h) * n[2] + w) * C + at % C] > most) {
                most = x[0][((at / C / Q / P * n[1] + h) * n[2] + w) * C + at % C];
                y[at] = (double)t;
            }
        }
    }
}

static const ot_case CHOICE[] = {
    {{2, 7, 5, 3, 3, 2, 1, 0}, NULL}, {{1, 8, 6, 5, 3, 1, 0, 0}, NULL}, {{1, 6, 5, 33, 2, 2, 0, 0}, NULL}};
static const ot_case AVG[] = {{{1, 1, 1, 1, 1, 1, 0, 0}, NULL},
                              {{2, 6, 4, 3, 2, 2, 0, 0}, NULL},
                              {{1, 9, 6, 31, 3, 3, 0, 0}, NULL},
                              {{3, 10, 5, 33, 5, 5, 0, 0}, NULL},
                              {{1, 2, 2, 257, 2, 2, 0, 0}, NULL}};

static void mean_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2], p->n[3]));
    ot_out(p, (double)(p->n[1] * p->n[2]), HO_SHAPE(p->n[0], p->n[3]));
}

static ho_status mean_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    (void)p;
    return ho_global_mean(context, x[0], y);
}

static void mean_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t C = p->n[3], pixels = p->n[1] * p->n[2];
    for (int64_t i = 0; i < p->n[0] * C; ++i) {
        y[i] = 0.0;
        for (int64_t t = 0; t < pixels; ++t) {
            y[i] += x[0][(i / C * pixels + t) * C + i % C] / (double)pixels;
        }
    }
}

static const ot_case MEAN[] = {
    {{1, 1, 1, 1}, NULL}, {{2, 5, 3, 31}, NULL}, {{3, 31, 33, 3}, NULL}, {{1, 7, 5, 257}, NULL}};

const ot_entry ot_resampling[] = {
    {"fir", "fir_window fir_pairs", fir_shape, fir_run, fir_truth, OT_CASES(FIR)},
    {"resize_corners", "resample_kernel resample_backward_kernel", resize_shape, corners_run, corners_truth,
     OT_CASES(CORNERS), .gain = 2},
    {"resize_bilinear", "resample_kernel resample_backward_kernel", resize_shape, resize_run, resize_truth,
     OT_CASES(RESIZE)},
    {"max_pool", "max_pool_kernel max_pool_backward_kernel", pool_shape, max_run, max_truth, OT_CASES(MAX)},
    {"max_pool_choice", "max_pool_kernel", choice_shape, choice_run, choice_truth, OT_CASES(CHOICE),
     .forward_only = true},
    {"avg_pool", "avg_pool_kernel avg_pool_backward_kernel", pool_shape, avg_run, avg_truth, OT_CASES(AVG)},
    {"global_mean", "column_partials column_totals spread_kernel", mean_shape, mean_run, mean_truth, OT_CASES(MEAN),
     .gain = 2},
    {0},
};
