/* Elementwise kernels: pointwise, fill, update, style, norm. */
#include "fill.h"
#include "kernel_bench.h"
#include "norm.h"
#include "pointwise.h"
#include "style.h"
#include "update.h"

static const ho_k_act LEAKY = {false, HO_R(0.2), HO_R(1.0), HO_R(1.0), HO_R(1.4)};

static void fill_normal(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n);
    MEASURE(b, 4 * b->n, 60 * b->n, ho_k_fill_normal(x, b->n, 1, 2, 0, 0.0, 1.0, b->stream));
}
static void fill(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n);
    MEASURE(b, 4 * b->n, 0, ho_k_fill(x, b->n, HO_R(1.0), b->stream));
}
static void bias_act(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n), *bias = bench_reals(b, b->C);
    MEASURE(b, 8 * b->n, 5 * b->n, ho_k_bias_act(b->stream, b->N * b->pixels, b->C, &LEAKY, x, bias, y));
}
static void act_backward(kernel_bench *b) {
    ho_real *y = bench_reals(b, b->n), *g_y = bench_reals(b, b->n), *g_x = bench_reals(b, b->n);
    MEASURE(b, 12 * b->n, 3 * b->n, ho_k_act_backward(b->stream, b->n, &LEAKY, y, g_y, false, g_x));
}
static void bias_act_backward(kernel_bench *b) {
    const int64_t rows = b->N * b->pixels;
    const ho_k_bias_act_gradients g = {.rows = rows,
                                       .C = b->C,
                                       .y = bench_reals(b, b->n),
                                       .g_y = bench_reals(b, b->n),
                                       .g_x = bench_reals(b, b->n),
                                       .g_b = bench_reals(b, b->C),
                                       .scratch = bench_reals(b, ho_k_bias_act_scratch(rows, b->C))};
    MEASURE(b, 12 * b->n, 4 * b->n, ho_k_bias_act_backward(b->stream, &LEAKY, &g));
}
static void bias_act_in_place(kernel_bench *b) {
    ho_real *y = bench_reals(b, b->n), *bias = bench_reals(b, b->C);
    MEASURE(b, 8 * b->n, 5 * b->n, ho_k_bias_act_in_place(b->stream, b->N * b->pixels, b->C, &LEAKY, bias, y));
}
static void bias_act_backward_in_place(kernel_bench *b) {
    const int64_t rows = b->N * b->pixels;
    const ho_k_bias_act_in_place_gradients g = {.rows = rows,
                                                .C = b->C,
                                                .y = bench_reals(b, b->n),
                                                .g = bench_reals(b, b->n),
                                                .g_b = bench_reals(b, b->C),
                                                .scratch = bench_reals(b, ho_k_bias_act_scratch(rows, b->C))};
    MEASURE(b, 12 * b->n, 4 * b->n, ho_k_bias_act_backward_in_place(b->stream, &LEAKY, &g));
}
static void add(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n), *z = bench_reals(b, b->n);
    MEASURE(b, 12 * b->n, 3 * b->n, ho_k_add(b->stream, b->n, HO_R(0.5), x, HO_R(0.5), y, z));
}
static void scale(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, b->n, ho_k_scale(b->stream, b->n, HO_R(0.5), x, false, y));
}
static void scale_by(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n), *factor = bench_reals(b, 1);
    MEASURE(b, 8 * b->n, b->n, ho_k_scale_by(b->stream, b->n, HO_R(0.5), factor, x, false, y));
}
static void copy_columns(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    const int64_t rows = b->N * b->pixels / 2;
    MEASURE(b, 8 * rows * b->C, 0, ho_k_copy_columns(b->stream, rows, b->C, x, 2 * b->C, false, y, b->C));
}
static void transpose(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 0, ho_k_transpose(b->stream, b->N, b->pixels, b->C, x, false, y));
}
static void adam(kernel_bench *b) {
    ho_real *value = bench_reals(b, b->n), *grad = bench_reals(b, b->n), *m = bench_reals(b, b->n), *v = NULL;
    static const ho_adam_step_args ARGS = {HO_R(1e-3), HO_R(0.9),  HO_R(0.99), HO_R(1.0),
                                           HO_R(1e-8), HO_R(0.01), HO_R(1.0)};
    v = bench_reals(b, b->n);
    if (b->status == HO_OK) { /* a variance is not negative */
        b->status = ho_k_fill(v, b->n, HO_R(1.0), b->stream);
    }
    MEASURE(b, 28 * b->n, 14 * b->n, ho_k_adam(value, grad, m, v, b->n, &ARGS, b->stream));
}
static void lerp(kernel_bench *b) {
    ho_real *to = bench_reals(b, b->n), *from = bench_reals(b, b->n);
    MEASURE(b, 12 * b->n, 3 * b->n, ho_k_lerp(to, from, b->n, HO_R(0.1), b->stream));
}

/* Latents: as many rows of 512 as fit. */
static void normalize(kernel_bench *b) {
    ho_real *z = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 3 * b->n, ho_k_normalize(b->stream, b->n / 512, 512, z, y));
}
static void normalize_backward(kernel_bench *b) {
    ho_real *z = bench_reals(b, b->n), *g_y = bench_reals(b, b->n), *g_z = bench_reals(b, b->n);
    MEASURE(b, 12 * b->n, 8 * b->n, ho_k_normalize_backward(b->stream, b->n / 512, 512, z, g_y, false, g_z));
}
/* (rows, 2, 512); every sample changes style at row 1. */
static int64_t *cuts(kernel_bench *b, int64_t rows) {
    enum { MOST = 1 << 20 };
    static int64_t cut[MOST];
    for (int64_t i = 0; i < MOST; ++i) {
        cut[i] = 1;
    }
    if (rows > MOST) {
        b->status = ho_fail(HO_ESHAPE, __FILE__, __LINE__, "more rows than %d", (int)MOST);
    }
    return bench_copy(b, cut, (size_t)rows * sizeof *cut);
}
static void mix_rows(kernel_bench *b) {
    const int64_t dim[3] = {b->n / 1024, 2, 512}, *cut = cuts(b, dim[0]);
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n), *z = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 0, ho_k_mix_rows(b->stream, dim, cut, x, y, z));
}
static void mix_rows_backward(kernel_bench *b) {
    const int64_t dim[3] = {b->n / 1024, 2, 512}, *cut = cuts(b, dim[0]);
    ho_real *g_y = bench_reals(b, b->n), *g = bench_reals(b, b->n);
    MEASURE(b, 6 * b->n, 0, ho_k_mix_rows_backward(b->stream, dim, cut, true, g_y, false, g));
}

/* Vectors are long here, so that a launch is more than its own cost. */
static void inverse_std(kernel_bench *b) {
    ho_real *var = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    if (b->status == HO_OK) {
        b->status = ho_k_fill(var, b->n, HO_R(1.0), b->stream);
    }
    MEASURE(b, 8 * b->n, 3 * b->n, ho_k_inverse_std(b->stream, b->n, var, HO_R(1e-5), y));
}
static void running(kernel_bench *b) {
    ho_real *value = bench_reals(b, b->n), *mean = bench_reals(b, b->n);
    MEASURE(b, 12 * b->n, 4 * b->n, ho_k_running(b->stream, b->n, HO_R(0.1), HO_R(1.0), value, mean));
}
static ho_norm_args norm_args(kernel_bench *b) {
    return (ho_norm_args){b->N * b->pixels,    b->C, bench_reals(b, b->C), bench_reals(b, b->C), bench_reals(b, b->C),
                          bench_reals(b, b->C)};
}
static void norm(kernel_bench *b) {
    const ho_norm_args args = norm_args(b);
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 4 * b->n, ho_k_norm(b->stream, &args, x, y));
}
static void norm_backward(kernel_bench *b) {
    const ho_norm_args args = norm_args(b);
    const ho_norm_backward_args backward = {bench_reals(b, b->n), bench_reals(b, b->n), bench_reals(b, b->C),
                                            bench_reals(b, b->C)};
    ho_real *g_x = bench_reals(b, b->n);
    MEASURE(b, 12 * b->n, 8 * b->n, ho_k_norm_backward(b->stream, &args, &backward, g_x, false));
}
static void norm_vector(kernel_bench *b) {
    ho_real *value = bench_reals(b, b->n), *by = bench_reals(b, b->n), *out = bench_reals(b, b->n);
    MEASURE(b, 12 * b->n, b->n, ho_k_norm_vector(b->stream, b->n, value, by, out, false));
}
static void dropout(kernel_bench *b) {
    static const ho_dropout_mask MASK = {1, 2, 0, 0.5};
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 40 * b->n, ho_k_dropout(b->stream, b->n, &MASK, x, y, false));
}
static void prelu(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *a = bench_reals(b, b->C), *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 2 * b->n, ho_k_prelu(b->stream, b->N * b->pixels, b->C, x, a, y));
}
static void prelu_backward(kernel_bench *b) {
    const int64_t rows = b->N * b->pixels;
    const ho_k_prelu_gradients g = {.rows = rows,
                                    .C = b->C,
                                    .x = bench_reals(b, b->n),
                                    .a = bench_reals(b, b->C),
                                    .g_y = bench_reals(b, b->n),
                                    .g_x = bench_reals(b, b->n),
                                    .g_a = bench_reals(b, b->C),
                                    .scratch = bench_reals(b, ho_k_prelu_scratch(rows, b->C))};
    MEASURE(b, 12 * b->n, 4 * b->n, ho_k_prelu_backward(b->stream, &g));
}

const kernel_item BENCH_POINTWISE[] = {
    {"ho_k_fill_normal", fill_normal},
    {"ho_k_fill", fill},
    {"ho_k_bias_act", bias_act},
    {"ho_k_act_backward", act_backward},
    {"ho_k_bias_act_backward", bias_act_backward},
    {"ho_k_prelu", prelu},
    {"ho_k_prelu_backward", prelu_backward},
    {"ho_k_bias_act_in_place", bias_act_in_place},
    {"ho_k_bias_act_backward_in_place", bias_act_backward_in_place},
    {"ho_k_add", add},
    {"ho_k_scale", scale},
    {"ho_k_scale_by", scale_by},
    {"ho_k_copy_columns", copy_columns},
    {"ho_k_transpose", transpose},
    {"ho_k_adam", adam},
    {"ho_k_lerp", lerp},
    {"ho_k_normalize", normalize},
    {"ho_k_normalize_backward", normalize_backward},
    {"ho_k_mix_rows", mix_rows},
    {"ho_k_mix_rows_backward", mix_rows_backward},
    {"ho_k_inverse_std", inverse_std},
    {"ho_k_running", running},
    {"ho_k_norm", norm},
    {"ho_k_norm_backward", norm_backward},
    {"ho_k_norm_vector", norm_vector},
    {"ho_k_dropout", dropout},
    {NULL, NULL},
};
