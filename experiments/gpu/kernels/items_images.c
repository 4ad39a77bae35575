/* Kernels on images: fir, resample, pool, augment. */
#include "augment.h"
#include "fir.h"
#include "kernel_bench.h"
#include "pool.h"
#include "resample.h"

/* The blur after an up-sampling convolution: (side + 1) -> side. */
static void fir(kernel_bench *b) {
    const int64_t r = b->side;
    const ho_fir_shape s = {b->N, r + 1, r + 1, b->C, r, r, 1, 1, 1, HO_R(4.0)};
    ho_real *x = bench_reals(b, b->N * (r + 1) * (r + 1) * b->C), *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 16 * b->n, ho_k_fir(b->stream, &s, x, false, y));
}
/* A skip image: half the side -> side. */
static void fir_up(kernel_bench *b) {
    const int64_t r = b->side;
    const ho_fir_shape s = {b->N, r / 2, r / 2, b->C, r, r, 2, 1, 2, HO_R(4.0)};
    ho_real *x = bench_reals(b, b->n / 4), *y = bench_reals(b, b->n);
    MEASURE(b, 5 * b->n, 8 * b->n, ho_k_fir(b->stream, &s, x, false, y));
}
static ho_resample_shape twice(const kernel_bench *b) {
    return (ho_resample_shape){b->N, b->side / 2, b->side / 2, b->C, b->side, b->side, false};
}
static void resample(kernel_bench *b) {
    const ho_resample_shape s = twice(b);
    ho_real *x = bench_reals(b, b->n / 4), *y = bench_reals(b, b->n);
    MEASURE(b, 5 * b->n, 7 * b->n, ho_k_resample(b->stream, &s, x, y));
}
static void resample_backward(kernel_bench *b) {
    const ho_resample_shape s = twice(b);
    ho_real *g_y = bench_reals(b, b->n), *g_x = bench_reals(b, b->n / 4);
    MEASURE(b, 5 * b->n, 8 * b->n, ho_k_resample_backward(b->stream, &s, g_y, g_x, false));
}

static ho_pool_shape halves(const kernel_bench *b) {
    const int64_t r = b->side;
    return (ho_pool_shape){b->N, r, r, b->C, r / 2, r / 2, 2, 2, 0};
}
static void avg_pool(kernel_bench *b) {
    const ho_pool_shape s = halves(b);
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n / 4);
    MEASURE(b, 5 * b->n, b->n, ho_k_avg_pool(b->stream, &s, x, y));
}
static void avg_pool_backward(kernel_bench *b) {
    const ho_pool_shape s = halves(b);
    ho_real *g_y = bench_reals(b, b->n / 4), *g_x = bench_reals(b, b->n);
    MEASURE(b, 5 * b->n, b->n, ho_k_avg_pool_backward(b->stream, &s, g_y, g_x, false));
}
static void max_pool(kernel_bench *b) {
    const ho_pool_shape s = halves(b);
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n / 4);
    uint8_t *choice = bench_bytes(b, b->n / 4, 4);
    MEASURE(b, 5.25 * (double)b->n, b->n, ho_k_max_pool(b->stream, &s, x, y, choice));
}
static void max_pool_backward(kernel_bench *b) {
    const ho_pool_shape s = halves(b);
    ho_real *g_y = bench_reals(b, b->n / 4), *g_x = bench_reals(b, b->n);
    uint8_t *choice = bench_bytes(b, b->n / 4, 4);
    MEASURE(b, 5.25 * (double)b->n, b->n, ho_k_max_pool_backward(b->stream, &s, g_y, choice, g_x, false));
}
static void spread(kernel_bench *b) {
    ho_real *g_y = bench_reals(b, b->N * b->C), *g_x = bench_reals(b, b->n);
    MEASURE(b, 4 * b->n, b->n, ho_k_spread(b->stream, b->N, b->pixels, b->C, HO_R(0.5), g_y, g_x, false));
}

/* Every image is turned a little, with a border of an eighth; sizes as the comment in augment.h says. */
enum { MOST_IMAGES = 64, IMAGES_A_SAMPLE = 8 };
static int64_t images_of(const kernel_bench *b) {
    return b->N * IMAGES_A_SAMPLE;
}
static ho_k_augment augment_args(kernel_bench *b, ho_k_augment_image *images) {
    const int64_t count = images_of(b), r = b->side, pad = r / 8, wide = r + 2 * pad, sampled = 2 * r + 12;
    for (int64_t i = 0; i < count; ++i) {
        images[i] = (ho_k_augment_image){
            1,
            pad,
            pad,
            i * 2 * wide * r * 3,
            i * 4 * wide * wide * 3,
            {HO_R(0.98), HO_R(0.17), (ho_real)pad, HO_R(-0.17), HO_R(0.98), (ho_real)(pad + r / 4)},
            {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}};
    }
    return (ho_k_augment){bench_copy(b, images, (size_t)count * sizeof *images),
                          count,
                          r,
                          r,
                          2 * wide,
                          bench_reals(b, count * 2 * wide * r * 3),
                          bench_reals(b, count * 4 * wide * wide * 3),
                          bench_reals(b, count * sampled * sampled * 3),
                          bench_reals(b, count * r * sampled * 3),
                          bench_reals(b, count * r * r * 3)};
}
/* Numbers that the passes write, each read again by the next one: rows, then columns enlarged, sampled, and reduced. */
static double augment_numbers(const kernel_bench *b) {
    const int64_t r = b->side;
    const double wide = 1.25 * (double)r, one = (double)r, sampled = 2.0 * one + 12.0;
    return 3.0 * (double)images_of(b) *
           (2.0 * wide * one + 4.0 * wide * wide + sampled * sampled + one * sampled + 2.0 * one * one);
}
static void augment_forward(kernel_bench *b) {
    ho_k_augment_image images[MOST_IMAGES];
    const int64_t count = images_of(b) * b->pixels * 3;
    const ho_k_augment a = augment_args(b, images);
    ho_real *x = bench_reals(b, count), *y = bench_reals(b, count);
    const double numbers = augment_numbers(b);
    MEASURE(b, 8.0 * numbers, 14.0 * numbers, ho_k_augment_forward(&a, x, y, true, b->stream));
}
static void augment_backward(kernel_bench *b) {
    ho_k_augment_image images[MOST_IMAGES];
    const int64_t count = images_of(b) * b->pixels * 3;
    const ho_k_augment a = augment_args(b, images);
    ho_real *g_y = bench_reals(b, count), *g_x = bench_reals(b, count);
    const double numbers = augment_numbers(b);
    MEASURE(b, 8.0 * numbers, 14.0 * numbers, ho_k_augment_backward(&a, g_y, g_x, false, b->stream));
}

const kernel_item BENCH_IMAGES[] = {
    {"ho_k_fir", fir},
    {"ho_k_fir:up", fir_up},
    {"ho_k_resample", resample},
    {"ho_k_resample_backward", resample_backward},
    {"ho_k_avg_pool", avg_pool},
    {"ho_k_avg_pool_backward", avg_pool_backward},
    {"ho_k_max_pool", max_pool},
    {"ho_k_max_pool_backward", max_pool_backward},
    {"ho_k_spread", spread},
    {"ho_k_augment_forward", augment_forward},
    {"ho_k_augment_backward", augment_backward},
    {NULL, NULL},
};
