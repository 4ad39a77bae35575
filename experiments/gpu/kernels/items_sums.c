/* Sums, means and losses: columns, reduce, loss, lpips, minibatch_std. */
#include "columns.h"
#include "kernel_bench.h"
#include "loss.h"
#include "lpips.h"
#include "minibatch_std.h"
#include "reduce.h"

static void column_sums(kernel_bench *b) {
    const ho_columns_shape s = {b->N, b->pixels, b->C};
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->N * b->C);
    ho_real *scratch = bench_reals(b, ho_k_column_scratch(&s));
    MEASURE(b, 4 * b->n, b->n, ho_k_column_sums(b->stream, &s, x, HO_R(1.0), scratch, y));
}
static void column_products(kernel_bench *b) {
    const ho_columns_shape s = {b->N, b->pixels, b->C};
    ho_real *x = bench_reals(b, b->n), *z = bench_reals(b, b->n), *mean = bench_reals(b, b->C);
    ho_real *y = bench_reals(b, b->N * b->C), *scratch = bench_reals(b, ho_k_column_scratch(&s));
    MEASURE(b, 8 * b->n, 3 * b->n, ho_k_column_products(b->stream, &s, x, z, mean, HO_R(1.0), scratch, y));
}
static void column_squares(kernel_bench *b) {
    const ho_columns_shape s = {b->N, b->pixels, b->C};
    ho_real *x = bench_reals(b, b->n), *mean = bench_reals(b, b->C);
    ho_real *y = bench_reals(b, b->N * b->C), *scratch = bench_reals(b, ho_k_column_scratch(&s));
    MEASURE(b, 4 * b->n, 3 * b->n, ho_k_column_squares(b->stream, &s, x, mean, HO_R(1.0), scratch, y));
}
static void dot(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *z = bench_reals(b, b->n), *y = bench_reals(b, 1);
    ho_real *scratch = bench_reals(b, ho_k_sum_scratch(b->n));
    MEASURE(b, 8 * b->n, 2 * b->n, ho_k_dot(b->stream, b->n, HO_R(1.0), x, z, scratch, y));
}
static void sum_middle(kernel_bench *b) {
    const int64_t dim[3] = {b->n / 8192, 16, 512};
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    MEASURE(b, 4 * (dim[0] * 17 * 512), dim[0] * 16 * 512, ho_k_sum_middle(b->stream, dim, HO_R(1.0), x, false, y));
}
static void repeat_middle(kernel_bench *b) {
    const int64_t dim[3] = {b->n / 8192, 16, 512};
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    MEASURE(b, 4 * (dim[0] * 17 * 512), 0, ho_k_repeat_middle(b->stream, dim, x, y));
}
static void group_totals(kernel_bench *b) {
    ho_real *partial = bench_reals(b, b->n), *y = bench_reals(b, b->n / 512);
    MEASURE(b, 4 * b->n, b->n, ho_k_group_totals(b->stream, b->n / 512, 512, HO_R(1.0), partial, y));
}
static void softplus_mean(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, 1);
    ho_real *scratch = bench_reals(b, ho_k_mean_scratch(1, b->n));
    MEASURE(b, 4 * b->n, 5 * b->n, ho_k_softplus_mean(b->stream, b->n, HO_R(-1.0), x, scratch, y));
}
static void softplus_mean_backward(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *g_y = bench_reals(b, 1), *g_x = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 5 * b->n, ho_k_softplus_mean_backward(b->stream, b->n, HO_R(-1.0), x, g_y, g_x, false));
}
static void mse(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *z = bench_reals(b, b->n), *y = bench_reals(b, b->N);
    const int64_t M = b->n / b->N;
    ho_real *scratch = bench_reals(b, ho_k_mean_scratch(b->N, M));
    MEASURE(b, 8 * b->n, 3 * b->n, ho_k_mse(b->stream, b->N, M, x, z, scratch, y));
}
static void mse_backward(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *z = bench_reals(b, b->n), *g_y = bench_reals(b, b->N);
    ho_real *g = bench_reals(b, b->n);
    MEASURE(b, 12 * b->n, 3 * b->n, ho_k_mse_backward(b->stream, b->N, b->n / b->N, HO_R(2.0), x, z, g_y, g, false));
}

enum { CLASSES = 32 };
static ho_cross_entropy_args entropy_args(kernel_bench *b) {
    const int64_t rows = b->n / CLASSES;
    return (ho_cross_entropy_args){rows, CLASSES, rows, bench_reals(b, b->n), bench_bytes(b, rows, CLASSES)};
}
static void cross_entropy(kernel_bench *b) {
    const ho_cross_entropy_args args = entropy_args(b);
    ho_real *log_sum = bench_reals(b, args.rows), *y = bench_reals(b, 1);
    ho_real *scratch = bench_reals(b, ho_k_mean_scratch(1, args.rows));
    MEASURE(b, 4 * b->n + 5 * args.rows, 4 * b->n, ho_k_cross_entropy(b->stream, &args, log_sum, scratch, y));
}
static void cross_entropy_backward(kernel_bench *b) {
    const ho_cross_entropy_args args = entropy_args(b);
    ho_real *log_sum = bench_reals(b, args.rows), *g_y = bench_reals(b, 1), *g = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n + 5 * args.rows, 4 * b->n,
            ho_k_cross_entropy_backward(b->stream, &args, log_sum, g_y, g, false));
}

static ho_lpips_args lpips_args(kernel_bench *b) {
    return (ho_lpips_args){b->N,
                           b->pixels,
                           b->C,
                           bench_reals(b, b->n),
                           bench_reals(b, b->n),
                           bench_reals(b, b->C),
                           bench_reals(b, 2 * b->N * b->pixels)};
}
static void lpips(kernel_bench *b) {
    const ho_lpips_args args = lpips_args(b);
    ho_real *scratch = bench_reals(b, ho_k_lpips_scratch(&args)), *d = bench_reals(b, b->N);
    MEASURE(b, 8 * b->n + 8 * b->N * b->pixels, 10 * b->n, ho_k_lpips(b->stream, &args, scratch, d));
}
static void lpips_backward(kernel_bench *b) {
    const ho_lpips_args args = lpips_args(b);
    ho_real *scratch = bench_reals(b, ho_k_lpips_scratch(&args)), *d = bench_reals(b, b->N);
    const ho_lpips_gradients g = {d, bench_reals(b, b->n), NULL, false, false};
    if (b->status == HO_OK) {
        b->status = ho_k_lpips(b->stream, &args, scratch, d);
    }
    MEASURE(b, 12 * b->n + 8 * b->N * b->pixels, 14 * b->n, ho_k_lpips_backward(b->stream, &args, &g));
}

static ho_mbstd_shape mbstd_shape(const kernel_bench *b) {
    return (ho_mbstd_shape){b->N, b->pixels, b->C, 2};
}
static void mbstd(kernel_bench *b) {
    const ho_mbstd_shape s = mbstd_shape(b);
    ho_real *x = bench_reals(b, b->n), *stat = bench_reals(b, b->N);
    MEASURE(b, 4 * b->n, 4 * b->n, ho_k_mbstd(b->stream, &s, x, NULL, stat));
}
/* One channel of C + 1 is written or read: 32 bytes are the least that memory moves. */
static void mbstd_spread(kernel_bench *b) {
    const ho_mbstd_shape s = mbstd_shape(b);
    ho_real *stat = bench_reals(b, b->N), *y = bench_reals(b, b->n + b->N * b->pixels);
    MEASURE(b, 32 * b->N * b->pixels, 0, ho_k_mbstd_spread(b->stream, &s, stat, y));
}
static void mbstd_gather(kernel_bench *b) {
    const ho_mbstd_shape s = mbstd_shape(b);
    ho_real *g_y = bench_reals(b, b->n + b->N * b->pixels), *g = bench_reals(b, b->N);
    MEASURE(b, 32 * b->N * b->pixels, b->N * b->pixels, ho_k_mbstd_gather(b->stream, &s, g_y, g));
}
static void mbstd_backward(kernel_bench *b) {
    const ho_mbstd_shape s = mbstd_shape(b);
    ho_real *x = bench_reals(b, b->n), *g = bench_reals(b, b->N), *g_x = bench_reals(b, b->n);
    MEASURE(b, 12 * b->n, 8 * b->n, ho_k_mbstd_backward(b->stream, &s, x, NULL, g, g_x));
}

const kernel_item BENCH_SUMS[] = {
    {"ho_k_column_sums", column_sums},
    {"ho_k_column_products", column_products},
    {"ho_k_column_squares", column_squares},
    {"ho_k_dot", dot},
    {"ho_k_sum_middle", sum_middle},
    {"ho_k_repeat_middle", repeat_middle},
    {"ho_k_group_totals", group_totals},
    {"ho_k_softplus_mean", softplus_mean},
    {"ho_k_softplus_mean_backward", softplus_mean_backward},
    {"ho_k_mse", mse},
    {"ho_k_mse_backward", mse_backward},
    {"ho_k_cross_entropy", cross_entropy},
    {"ho_k_cross_entropy_backward", cross_entropy_backward},
    {"ho_k_lpips", lpips},
    {"ho_k_lpips_backward", lpips_backward},
    {"ho_k_mbstd", mbstd},
    {"ho_k_mbstd_spread", mbstd_spread},
    {"ho_k_mbstd_gather", mbstd_gather},
    {"ho_k_mbstd_backward", mbstd_backward},
    {NULL, NULL},
};
