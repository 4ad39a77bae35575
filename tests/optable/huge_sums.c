/* Huge cases of kernels that sum: a block takes a segment of up to 1/1024 of the elements. Of what the blocks in the
 * middle would have written, the cases make 0, so that a total is the sum of what the first and the last block found.
 */
#include "huge.h"

#include <math.h>

#include "columns.h"
#include "loss.h"
#include "minibatch_std.h"
#include "pointwise.h"
#include "reduce.h"

enum { A = 1, B, C };
static const int64_t S = 1024; /* most segments */

static double at(int id, int64_t i) {
    return ot_huge_value(id, i);
}

static ot_places whole(int64_t n) {
    return ot_ends(n, n);
}

/* ---- all elements
 * ---------------------------------------------------------------------------------------------------- */

static const int64_t N = (INT64_C(1) << 31) + 1024 * 77;

static double dot_truth(const void *about, int64_t i) {
    double sum = i;
    (void)about;
    for (int64_t k = 0; k < N / S; ++k) {
        sum += at(A, k) * at(B, k) + at(A, N - 1 - k) * at(B, N - 1 - k);
    }
    return sum;
}

static ho_status dot(ot_huge *h) {
    ho_real *a, *b, *part, *y;
    HO_TRY(ot_huge_input(h, A, ot_ends(N, N / S), &a));
    HO_TRY(ot_huge_input(h, B, ot_ends(N, N / S), &b));
    HO_TRY(ot_huge_new(h, S, &part));
    HO_TRY(ot_huge_zero(h, part, whole(S)));
    HO_TRY(ot_huge_new(h, 1, &y));
    HO_TRY(ho_k_dot(h->stream, N, 1.0F, a, b, part, y));
    return ot_huge_check(h, "y", y, whole(1), dot_truth);
}

static const int64_t MIDDLE = (INT64_C(1) << 30) + 777;
static double middle_truth(const void *about, int64_t i) {
    (void)about;
    return 0.5 * (at(A, i) + at(A, MIDDLE + i) + at(A, 2 * MIDDLE + i));
}

/* (1, 3, MIDDLE): three rows, each of which the threads go along. */
static ho_status middle(ot_huge *h) {
    const int64_t dim[3] = {1, 3, MIDDLE};
    const ot_places row = ot_loop(MIDDLE);
    ho_real *x, *y;
    HO_TRY(ot_huge_new(h, 3 * MIDDLE, &x));
    for (int64_t r = 0; r < 3; ++r) {
        HO_TRY(ot_huge_define_from(h, A, r * MIDDLE, x + r * MIDDLE, row));
    }
    HO_TRY(ot_huge_new(h, MIDDLE, &y));
    HO_TRY(ho_k_sum_middle(h->stream, dim, 0.5F, x, false, y));
    return ot_huge_check(h, "y", y, row, middle_truth);
}

/* ---- columns: 65537 matrices of 2 rows; and one matrix of many rows
 * ---------------------------------------------------- */

static const int64_t WIDTH = 16400, MATRICES = 65537;

static double column_truth(const void *about, int64_t i) {
    const int64_t first = i / WIDTH * 2 * WIDTH + i % WIDTH, second = first + WIDTH;
    (void)about;
    return 0.5 *
           (at(A, first) * (at(B, first) - at(C, i % WIDTH)) + at(A, second) * (at(B, second) - at(C, i % WIDTH)));
}

static ho_status columns(ot_huge *h) {
    const ho_columns_shape s = {MATRICES, 2, WIDTH};
    const ot_places places = ot_units(MATRICES * 2 * WIDTH, 2 * WIDTH, 0);
    ho_real *a, *b, *m, *part, *y;
    HO_TRY(ot_huge_input(h, A, places, &a));
    HO_TRY(ot_huge_input(h, B, places, &b));
    HO_TRY(ot_huge_input(h, C, whole(WIDTH), &m));
    HO_TRY(ot_huge_new(h, ho_k_column_scratch(&s), &part));
    HO_TRY(ot_huge_new(h, MATRICES * WIDTH, &y));
    HO_TRY(ho_k_column_products(h->stream, &s, a, b, m, 0.5F, part, y));
    return ot_huge_check(h, "y", y, ot_units(MATRICES * WIDTH, WIDTH, 0), column_truth);
}

static const int64_t COLUMNS = 256, ROWS = 1024 * 8193;
static const ho_k_act ACT = {false, 0.25F, 0.5F, 2.0F, 1.5F};

static double slope_truth(const void *about, int64_t i) {
    (void)about;
    return 1.5 * (at(A, i) > 0.0 ? 1.0 : 0.25) * at(B, i);
}

static double gradient_truth(const void *about, int64_t i) {
    return 0.5 * slope_truth(about, i);
}

static double bias_truth(const void *about, int64_t c) {
    double sum = 0.0;
    for (int64_t r = 0; r < ROWS / S; ++r) {
        sum += slope_truth(about, r * COLUMNS + c) + slope_truth(about, (ROWS - 1 - r) * COLUMNS + c);
    }
    return 2.0 * sum;
}

static ho_status bias_gradient(ot_huge *h) {
    const ot_places places = ot_ends(ROWS * COLUMNS, ROWS / S * COLUMNS);
    ho_k_bias_act_gradients g = {.rows = ROWS, .C = COLUMNS};
    ho_real *y, *g_y;
    HO_TRY(ot_huge_input(h, A, places, &y));
    HO_TRY(ot_huge_input(h, B, places, &g_y));
    HO_TRY(ot_huge_new(h, places.n, &g.g_x));
    HO_TRY(ot_huge_new(h, COLUMNS, &g.g_b));
    HO_TRY(ot_huge_new(h, S * COLUMNS, &g.scratch));
    HO_TRY(ot_huge_zero(h, g.scratch, whole(S * COLUMNS)));
    g.y = y;
    g.g_y = g_y;
    HO_TRY(ho_k_bias_act_backward(h->stream, &ACT, &g));
    HO_TRY(ot_huge_check(h, "g_x", g.g_x, places, gradient_truth));
    return ot_huge_check(h, "g_b", g.g_b, whole(COLUMNS), bias_truth);
}

/* ---- samples, S segments each
 * ------------------------------------------------------------------------------------------ */

static const int64_t SAMPLES = 65, SIZE = 1024 * 32401;

/* The first block has segments 0 and 65535: of sample 0 the first, of sample 63 the last. The last block, 65534, has
 * the one before; of sample 64 nobody has any. */
static double mse_truth(const void *about, int64_t n) {
    double sum = 0.0;
    (void)about;
    for (int64_t k = 0; k < SIZE / S * (n == 0 ? 1 : n == 63 ? 2 : 0); ++k) {
        const int64_t i = n == 0 ? k : 64 * SIZE - 1 - k;
        sum += (at(A, i) - at(B, i)) * (at(A, i) - at(B, i));
    }
    return sum / (double)SIZE;
}

static double mse_gradient_truth(const void *about, int64_t i) {
    (void)about;
    return 0.5 * at(C, i / SIZE) * (at(A, i) - at(B, i));
}

static ho_status mse(ot_huge *h) {
    const int64_t unit = SIZE / S;
    const ot_places places = ot_units(SAMPLES * SIZE, unit, 0);
    ho_real *a, *b, *part, *y, *g_y, *g;
    HO_TRY(ot_huge_input(h, A, places, &a));
    HO_TRY(ot_huge_input(h, B, places, &b));
    HO_TRY(ot_huge_input(h, C, whole(SAMPLES), &g_y));
    HO_TRY(ot_huge_new(h, SAMPLES * S, &part));
    HO_TRY(ot_huge_zero(h, part, whole(SAMPLES * S)));
    HO_TRY(ot_huge_new(h, SAMPLES, &y));
    HO_TRY(ot_huge_new(h, SAMPLES * SIZE, &g));
    HO_TRY(ho_k_mse(h->stream, SAMPLES, SIZE, a, b, part, y));
    h->tolerance = 1e-8; /* small numbers: means of which most is 0 */
    HO_TRY(ot_huge_check(h, "y of sample 0", y, (ot_places){1, 1, 1}, mse_truth));
    h->tolerance = 1e-5;
    HO_TRY(ho_k_mse_backward(h->stream, SAMPLES, SIZE, 0.5F, a, b, g_y, g, false));
    return ot_huge_check(h, "g", g, places, mse_gradient_truth);
}

/* Minibatch standard deviation: groups of two of 2 GROUPS samples. */
static const int64_t GROUPS = 65537, VALUES = 16400;

static double deviation(int64_t i) {
    const double u = 0.5 * (at(A, i) - at(A, GROUPS * VALUES + i));
    return sqrt(u * u + 1e-8);
}

static double stat_truth(const void *about, int64_t m) {
    double sum = 0.0;
    (void)about;
    for (int64_t f = 0; f < VALUES; ++f) {
        sum += deviation(m * VALUES + f) / (double)VALUES;
    }
    return sum;
}

static double stat_gradient_truth(const void *about, int64_t j) {
    const int64_t first = j % (GROUPS * VALUES), m = first / VALUES;
    const double mean = 0.5 * (at(A, first) + at(A, GROUPS * VALUES + first));
    (void)about;
    return at(B, m) / ((double)VALUES * 2.0 * deviation(first)) * (at(A, j) - mean);
}

static ho_status deviations(ot_huge *h) {
    const ho_mbstd_shape s = {2 * GROUPS, VALUES, 1, 2};
    const int64_t half = GROUPS * VALUES;
    const ot_places places = ot_units(half, VALUES, 0);
    ho_real *x, *stat, *g, *g_x;
    HO_TRY(ot_huge_new(h, 2 * half, &x));
    HO_TRY(ot_huge_new(h, 2 * half, &g_x));
    for (int64_t k = 0; k < 2; ++k) {
        HO_TRY(ot_huge_define_from(h, A, k * half, x + k * half, places));
        HO_TRY(ot_huge_zero(h, g_x + k * half, places));
    }
    HO_TRY(ot_huge_new(h, GROUPS, &stat));
    HO_TRY(ho_k_mbstd(h->stream, &s, x, NULL, stat));
    HO_TRY(ot_huge_check(h, "stat", stat, ot_units(GROUPS, 1, 0), stat_truth));
    HO_TRY(ot_huge_input(h, B, whole(GROUPS), &g));
    HO_TRY(ho_k_mbstd_backward(h->stream, &s, x, NULL, g, g_x));
    h->tolerance = 1e-8; /* small numbers: each is one of many */
    return ot_huge_check(h, "g_x", g_x, places, stat_gradient_truth);
}

const ot_huge_case ot_huge_sums[] = {
    {"dot", "partial_sums total_sum", dot, 1e-4},
    {"sum_middle", "sum_middle", middle, 0},
    {"columns", "column_partials column_totals", columns, 0},
    {"bias_act_backward", "bias_act_backward column_total", bias_gradient, 1e-3},
    {"mse", "mse_partials mse_backward_kernel", mse, 0},
    {"minibatch_std", "mbstd mbstd_backward", deviations, 0},
    {0},
};
