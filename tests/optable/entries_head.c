/* The label head's kernels. */
#include "table.h"

#include <math.h>
#include <string.h>

#include "head.h"

/* ---- pack and gather: H, W of the labels, h, w, C of the map, rows ------------------------------------------------
 */

static void gather_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(2, p->n[2], p->n[3], p->n[4]));
    ot_out(p, 4, HO_SHAPE(p->n[5], p->n[4]));
}

static int64_t pixel_of(const ot_problem *p, int64_t row) {
    return (row * 31 + 2 * p->n[0] * p->n[1] - 1) % (2 * p->n[0] * p->n[1]);
}

static ho_status gather_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    ho_stream stream = ho_context_stream(context);
    int64_t pixel[1024];
    void *half, *pixels;
    for (int64_t r = 0; r < p->n[5]; ++r) {
        pixel[r] = pixel_of(p, r);
    }
    HO_TRY(ho_scratch_bytes(context, (size_t)ho_tensor_count(x[0]) * sizeof(uint16_t), &half));
    HO_TRY(ho_scratch_bytes(context, (size_t)p->n[5] * sizeof(int64_t), &pixels));
    HO_TRY(ho_device_upload(ho_context_device(context), pixels, pixel, (size_t)p->n[5] * sizeof(int64_t)));
    HO_TRY(ho_tensor_new(context, HO_SHAPE(p->n[5], p->n[4]), y));
    HO_TRY(ho_k_head_pack(x[0]->data, ho_tensor_count(x[0]), half, stream));
    ho_k_head_blocks blocks = {1, p->n[0], p->n[1], {{half, p->n[2], p->n[3], p->n[4]}}};
    return ho_k_head_gather(&blocks, pixels, p->n[5], (*y)->data, stream);
}

/* To the nearest half, ties to even (values of normal size). */
static double to_half(double v) {
    const double unit = ldexp(1.0, (v == 0.0 ? 0 : fmax(ilogb(v), -14)) - 10);
    return nearbyint(v / unit) * unit;
}

static double hat(int64_t from, int64_t at, int64_t n_in, int64_t n_out) {
    const double src = ((double)at + 0.5) * (double)n_in / (double)n_out - 0.5;
    return fmax(0.0, 1.0 - fabs(fmin(fmax(src, 0.0), (double)(n_in - 1)) - (double)from));
}

static void gather_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t h = p->n[2], w = p->n[3], C = p->n[4];
    for (int64_t i = 0; i < p->n[5] * C; ++i) {
        const int64_t pixel = pixel_of(p, i / C), column = pixel % p->n[1], row = pixel / p->n[1] % p->n[0];
        y[i] = 0.0;
        for (int64_t t = 0; t < h * w; ++t) {
            y[i] += hat(t / w, row, h, p->n[0]) * hat(t % w, column, w, p->n[1]) *
                    to_half(x[0][(pixel / p->n[0] / p->n[1] * h * w + t) * C + i % C]);
        }
    }
}

static const ot_case GATHER[] = {{{1, 1, 1, 1, 1, 1}, NULL},
                                 {{8, 8, 4, 4, 31, 33}, NULL},
                                 {{7, 13, 3, 5, 33, 127}, NULL},
                                 {{4, 4, 8, 8, 129, 31}, NULL},
                                 {{16, 8, 16, 8, 3, 255}, NULL}};

/* ---- fold: members, O, I ------------------------------------------------------------------------------------------
 */

static void fold_shape(ot_problem *p) {
    const int64_t M = p->n[0], O = p->n[1], I = p->n[2];
    ot_in(p, OT_NORMAL, HO_SHAPE(M * I));
    ot_in(p, OT_NORMAL, HO_SHAPE(M * I));
    ot_in(p, OT_NORMAL, HO_SHAPE(M * I));
    ot_in(p, OT_POSITIVE, HO_SHAPE(M * I));
    ot_in(p, OT_NORMAL, HO_SHAPE(M * O, I));
    ot_in(p, OT_NORMAL, HO_SHAPE(M * O));
    ot_out(p, (double)I, HO_SHAPE(M * O * (I + 1)));
}

static ho_status fold_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const int64_t M = p->n[0], O = p->n[1], I = p->n[2];
    HO_TRY(ho_tensor_new(context, HO_SHAPE(M * O * (I + 1)), y));
    const ho_k_head_fold_args args = {x[0]->data, x[1]->data, x[2]->data, x[3]->data,
                                      x[4]->data, x[5]->data, (*y)->data, (*y)->data + M * O * I,
                                      M,          O,          I};
    return ho_k_head_fold(&args, ho_context_stream(context));
}

static void fold_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t M = p->n[0], O = p->n[1], I = p->n[2];
    for (int64_t r = 0; r < M * O; ++r) {
        double *sum = y + M * O * I + r;
        *sum = x[5][r];
        for (int64_t i = 0; i < I; ++i) {
            const int64_t at = r / O * I + i;
            const double scale = x[0][at] / sqrt(x[3][at] + 1e-5);
            y[r * I + i] = x[4][r * I + i] * scale;
            *sum += x[4][r * I + i] * (x[1][at] - x[2][at] * scale);
        }
    }
}

static const ot_case FOLD[] = {{{1, 1, 1}, NULL}, {{3, 5, 31}, NULL}, {{2, 7, 129}, NULL}, {{5, 31, 33}, NULL}};

/* ---- transpose: matrices, rows, columns ----------------------------------------------------------------------------
 */

static void transpose_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2]));
    ot_out(p, 1, HO_SHAPE(p->n[0], p->n[2], p->n[1]));
}

static ho_status transpose_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    HO_TRY(ho_tensor_new(context, HO_SHAPE(p->n[0], p->n[2], p->n[1]), y));
    return ho_k_head_transpose(x[0]->data, p->n[0], p->n[1], p->n[2], (*y)->data, ho_context_stream(context));
}

static void transpose_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t R = p->n[1], C = p->n[2];
    for (int64_t i = 0; i < p->n[0] * R * C; ++i) {
        y[i / (R * C) * R * C + i % C * R + i / C % R] = x[0][i];
    }
}

static const ot_case TRANSPOSE[] = {
    {{1, 1, 1}, NULL}, {{3, 5, 16}, NULL}, {{2, 31, 17}, NULL}, {{1, 129, 33}, NULL}, {{5, 2, 257}, NULL}};

/* ---- resampled maps: H, W of the labels, h, w, C of the first map; the second has the labels' size and 3 channels
 * ------- A tile that leaves out the first line and column, where there are two. */

enum { SECOND = 3 };

static ho_k_head_tile inner_tile(const ot_problem *p, int64_t step) {
    const int64_t y = p->n[0] > 1 ? 1 : 0, x = p->n[1] > step ? step : 0;
    return (ho_k_head_tile){y, x, p->n[0] - y, p->n[1] - x};
}

static void resample_shape(ot_problem *p) {
    const ho_k_head_tile tile = inner_tile(p, 1);
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[2], p->n[3], p->n[4]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], SECOND));
    ot_out(p, 4, HO_SHAPE(tile.height * tile.width, p->n[4] + SECOND));
}

static ho_status resample_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const int64_t *n = p->n;
    const ho_k_head_tile tile = inner_tile(p, 1);
    const ho_k_head_maps maps = {2, n[0], n[1], {{x[0]->data, n[2], n[3], n[4]}, {x[1]->data, n[0], n[1], SECOND}}};
    HO_TRY(ho_tensor_new(context, HO_SHAPE(tile.height * tile.width, n[4] + SECOND), y));
    return ho_k_head_resample(&maps, &tile, (*y)->data, ho_context_stream(context));
}

static void resample_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t *n = p->n, all = n[4] + SECOND;
    const ho_k_head_tile tile = inner_tile(p, 1);
    for (int64_t i = 0; i < tile.height * tile.width * all; ++i) {
        const int64_t h = tile.y + i / all / tile.width, w = tile.x + i / all % tile.width, c = i % all;
        y[i] = c < n[4] ? 0.0 : x[1][(h * n[1] + w) * SECOND + c - n[4]];
        for (int64_t t = 0; c < n[4] && t < n[2] * n[3]; ++t) {
            y[i] += hat(t / n[3], h, n[2], n[0]) * hat(t % n[3], w, n[3], n[1]) * x[0][t * n[4] + c];
        }
    }
}

static const ot_case RESAMPLE[] = {{{1, 1, 1, 1, 1}, NULL},
                                   {{4, 4, 8, 8, 31}, NULL},
                                   {{5, 7, 10, 14, 33}, NULL},
                                   {{7, 3, 9, 2, 255}, NULL},
                                   {{3, 5, 3, 5, 257}, NULL}};

/* ---- hidden units: H, W, h, w, units, add -------------------------------------------------------------------------
 * All units but the first, of a tile as above; a second level has the labels' size. */

static ho_k_head_part inner_part(const ot_problem *p) {
    const int64_t first = p->n[4] > 1 ? 1 : 0;
    return (ho_k_head_part){inner_tile(p, HO_HEAD_GROUP), first, p->n[4] - first, p->n[5] != 0};
}

static void hidden_shape(ot_problem *p) {
    const ho_k_head_part part = inner_part(p);
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[2], p->n[3], p->n[4]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[4]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[4]));
    ot_in(p, OT_NORMAL, HO_SHAPE(part.tile.height * part.tile.width, part.units));
    ot_out(p, 6, HO_SHAPE(part.tile.height * part.tile.width, part.units));
}

/* A level of h x w for labels of H x W. */
static ho_status make_level(ho_context *context, const ho_real *map, const int64_t *n, int64_t h, int64_t w,
                            ho_k_head_level *level) {
    enum { MOST = 64 };
    ho_head_tap rows[MOST];
    ho_k_head_columns columns[MOST];
    const int64_t groups = (n[1] + HO_HEAD_GROUP - 1) / HO_HEAD_GROUP;
    void *to_rows, *to_columns;
    for (int64_t i = 0; i < n[0]; ++i) {
        rows[i] = ho_head_tap_at(i, h, n[0]);
    }
    for (int64_t i = 0; i < groups; ++i) {
        columns[i] = ho_head_columns_at(i, w, n[1]);
    }
    HO_TRY(ho_scratch_bytes(context, (size_t)n[0] * sizeof *rows, &to_rows));
    HO_TRY(ho_scratch_bytes(context, (size_t)groups * sizeof *columns, &to_columns));
    HO_TRY(ho_device_upload(ho_context_device(context), to_rows, rows, (size_t)n[0] * sizeof *rows));
    HO_TRY(ho_device_upload(ho_context_device(context), to_columns, columns, (size_t)groups * sizeof *columns));
    *level = (ho_k_head_level){map, w, 0, to_rows, to_columns};
    return HO_OK;
}

static ho_status hidden_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const int64_t *n = p->n;
    const ho_k_head_part part = inner_part(p);
    ho_k_head_levels levels = {.n = 2, .units = n[4]};
    HO_TRY(make_level(context, x[0]->data, n, n[2], n[3], &levels.level[0]));
    HO_TRY(make_level(context, x[1]->data, n, n[0], n[1], &levels.level[1]));
    *y = x[3];
    return ho_k_head_hidden(&levels, &part, x[2]->data, x[3]->data, ho_context_stream(context));
}

static void hidden_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t *n = p->n, U = n[4];
    const ho_k_head_part part = inner_part(p);
    for (int64_t i = 0; i < part.tile.height * part.tile.width * part.units; ++i) {
        const int64_t u = part.first + i % part.units, pixel = i / part.units;
        const int64_t h = part.tile.y + pixel / part.tile.width, w = part.tile.x + pixel % part.tile.width;
        double sum = x[1][(h * n[1] + w) * U + u] + x[2][u] + (part.add ? x[3][i] : 0.0);
        for (int64_t t = 0; t < n[2] * n[3]; ++t) {
            sum += hat(t / n[3], h, n[2], n[0]) * hat(t % n[3], w, n[3], n[1]) * x[0][t * U + u];
        }
        y[i] = fmax(sum, 0.0);
    }
}

static const ot_case HIDDEN[] = {{{1, 1, 1, 1, 1, 0}, NULL},
                                 {{8, 8, 4, 4, 31, 1}, NULL},
                                 {{5, 7, 3, 2, 257, 0}, NULL},
                                 {{3, 9, 2, 8, 33, 1}, NULL},
                                 {{2, 13, 2, 4, 16, 1}, NULL}};

/* ---- bias and ReLU: rows, units -----------------------------------------------------------------------------------
 */

static void relu_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[1]));
    ot_out(p, 1, HO_SHAPE(p->n[0], p->n[1]));
}

static ho_status relu_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    *y = x[0];
    return ho_k_head_bias_relu(x[0]->data, x[1]->data, p->n[0], p->n[1], ho_context_stream(context));
}

static void relu_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->n[0] * p->n[1]; ++i) {
        y[i] = fmax(x[0][i] + x[1][i % p->n[1]], 0.0);
    }
}

static const ot_case RELU[] = {{{1, 1}, NULL}, {{7, 31}, NULL}, {{33, 33}, NULL}, {{3, 255}, NULL}, {{2, 257}, NULL}};

/* ---- vote: pixels, members, classes -> (2, pixels): label, divergence ---------------------------------------------
 */

static void vote_shape(ot_problem *p) {
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[0], p->n[1], p->n[2]));
    ot_in(p, OT_NORMAL, HO_SHAPE(p->n[1], p->n[2]));
    ot_out(p, (double)(p->n[1] * p->n[2]), HO_SHAPE(2, p->n[0]));
}

static ho_status vote_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const int64_t n = p->n[0];
    ho_device *device = ho_context_device(context);
    uint8_t label[2048];
    float value[2048];
    void *labels;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(2, n), y));
    HO_TRY(ho_scratch_bytes(context, (size_t)n, &labels));
    HO_TRY(ho_k_head_vote(x[0]->data, x[1]->data, n, p->n[1], p->n[2], labels, (*y)->data + n,
                          ho_context_stream(context)));
    HO_TRY(ho_device_download(device, label, labels, (size_t)n));
    for (int64_t i = 0; i < n; ++i) {
        value[i] = (float)label[i] / 256.0F;
    }
    return ho_device_upload(device, (*y)->data, value, (size_t)n * sizeof(float));
}

static void vote_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t n = p->n[0], M = p->n[1], K = p->n[2];
    for (int64_t t = 0; t < n; ++t) {
        double mean[256] = {0}, inner = 0.0, outer = 0.0;
        int votes[256] = {0}, mode = 0;
        for (int64_t m = 0; m < M; ++m) {
            double e[256], sum = 0.0;
            int best = 0;
            for (int64_t k = 0; k < K; ++k) {
                const double v = x[0][(t * M + m) * K + k] + x[1][m * K + k];
                sum += e[k] = exp(v);
                best = e[k] > e[best] ? (int)k : best;
            }
            for (int64_t k = 0; k < K; ++k) {
                mean[k] += e[k] / sum / (double)M;
                inner -= e[k] / sum * log(e[k] / sum) / (double)M;
            }
            ++votes[best];
        }
        for (int k = 0; k < K; ++k) {
            outer -= mean[k] * log(mean[k]);
            mode = votes[k] > votes[mode] ? k : mode;
        }
        y[t] = mode / 256.0;
        y[n + t] = outer - inner;
    }
}

static const ot_case VOTE[] = {{{1, 1, 1}, NULL},   {{31, 3, 5}, NULL}, {{127, 10, 2}, NULL}, {{129, 5, 33}, NULL},
                               {{7, 2, 255}, NULL}, {{9, 7, 4}, NULL},  {{5, 4, 8}, NULL}};

const ot_entry ot_head[] = {
    {"head_pack_gather", "pack_kernel gather_kernel", gather_shape, gather_run, gather_truth, OT_CASES(GATHER),
     .forward_only = true},
    {"head_fold", "fold_kernel", fold_shape, fold_run, fold_truth, OT_CASES(FOLD), .forward_only = true},
    {"head_transpose", "transpose_kernel", transpose_shape, transpose_run, transpose_truth, OT_CASES(TRANSPOSE),
     .forward_only = true},
    {"head_resample", "resample_tile_kernel", resample_shape, resample_run, resample_truth, OT_CASES(RESAMPLE),
     .forward_only = true},
    {"head_hidden", "hidden_kernel", hidden_shape, hidden_run, hidden_truth, OT_CASES(HIDDEN), .forward_only = true},
    {"head_bias_relu", "bias_relu_kernel", relu_shape, relu_run, relu_truth, OT_CASES(RELU), .forward_only = true},
    {"head_vote", "vote_kernel", vote_shape, vote_run, vote_truth, OT_CASES(VOTE), .gain = 4, .forward_only = true},
    {0},
};
