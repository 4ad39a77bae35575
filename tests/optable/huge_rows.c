/* Huge cases of kernels that take a matrix row by row (a block a row) or element by element (a thread an element). */
#include "huge.h"

#include <math.h>

#include "fill.h"
#include "handsoff/random.h"
#include "norm.h"
#include "pointwise.h"
#include "reduce.h"
#include "style.h"
#include "update.h"

enum { A = 1, B, C, D };
static const int64_t ROWS = 65537, WIDTH = 32771, N = (INT64_C(1) << 31) + 12345;
static const ho_k_act ACT = {false, 0.25F, 0.5F, 2.0F, 1.5F};

static double leaky(double v) {
    return 1.5 * (v > 0.0 ? v : 0.25 * v);
}

static double at(int id, int64_t i) {
    return ot_huge_value(id, i);
}

static ot_places rows(void) {
    return ot_units(ROWS * WIDTH, WIDTH, 0);
}

static ot_places whole(int64_t n) {
    return ot_ends(n, n);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------
 */

static double bias_truth(const void *about, int64_t i) {
    (void)about;
    return leaky(0.5 * at(A, i) + 2.0 * at(B, i % WIDTH));
}

static ho_status bias(ot_huge *h) {
    ho_real *x, *b, *y;
    HO_TRY(ot_huge_input(h, A, rows(), &x));
    HO_TRY(ot_huge_input(h, B, whole(WIDTH), &b));
    HO_TRY(ot_huge_new(h, ROWS * WIDTH, &y));
    HO_TRY(ho_k_bias_act(h->stream, ROWS, WIDTH, &ACT, x, b, y));
    HO_TRY(ot_huge_check(h, "y", y, rows(), bias_truth));
    HO_TRY(ho_k_bias_act_in_place(h->stream, ROWS, WIDTH, &ACT, b, x));
    return ot_huge_check(h, "y in place", x, rows(), bias_truth);
}

/* Rectified with slopes; the backward's row segments are covered by their few rows. */
static double prelu_truth(const void *about, int64_t i) {
    (void)about;
    return fmax(at(A, i), 0.0) + at(B, i % WIDTH) * fmin(at(A, i), 0.0);
}

static ho_status rectify(ot_huge *h) {
    ho_real *x, *a, *y;
    HO_TRY(ot_huge_input(h, A, rows(), &x));
    HO_TRY(ot_huge_input(h, B, whole(WIDTH), &a));
    HO_TRY(ot_huge_new(h, ROWS * WIDTH, &y));
    HO_TRY(ho_k_prelu(h->stream, ROWS, WIDTH, x, a, y));
    return ot_huge_check(h, "y", y, rows(), prelu_truth);
}

static double copy_truth(const void *about, int64_t i) {
    (void)about;
    return at(A, i / WIDTH * (WIDTH + 4) + i % WIDTH);
}

static ho_status copy(ot_huge *h) {
    ho_real *x, *y;
    HO_TRY(ot_huge_input(h, A, ot_units(ROWS * (WIDTH + 4), WIDTH + 4, 0), &x));
    HO_TRY(ot_huge_new(h, ROWS * WIDTH, &y));
    HO_TRY(ho_k_copy_columns(h->stream, ROWS, WIDTH, x, WIDTH + 4, false, y, WIDTH));
    return ot_huge_check(h, "y", y, rows(), copy_truth);
}

/* 21846 matrices of WIDTH rows and 3 columns. */
static double transpose_truth(const void *about, int64_t i) {
    (void)about;
    return at(A, (i / WIDTH / 3 * WIDTH + i % WIDTH) * 3 + i / WIDTH % 3);
}

static ho_status turn(ot_huge *h) {
    const int64_t matrix = 3 * WIDTH, n = 21846 * matrix;
    ho_real *x, *y;
    HO_TRY(ot_huge_input(h, A, (ot_places){n, OT_BLOCKS / 3 * matrix, matrix}, &x));
    HO_TRY(ot_huge_new(h, n, &y));
    HO_TRY(ho_k_transpose(h->stream, 21846, WIDTH, 3, x, false, y));
    return ot_huge_check(h, "y", y, ot_units(n, WIDTH, 0), transpose_truth);
}

static double repeat_truth(const void *about, int64_t i) {
    (void)about;
    return at(A, i / WIDTH / 3 * WIDTH + i % WIDTH);
}

static ho_status repeat(ot_huge *h) {
    const int64_t dim[3] = {21846, 3, WIDTH}, n = 21846 * 3 * WIDTH;
    ho_real *x, *y;
    HO_TRY(ot_huge_input(h, A, (ot_places){21846 * WIDTH, OT_BLOCKS / 3 * WIDTH, WIDTH}, &x));
    HO_TRY(ot_huge_new(h, n, &y));
    HO_TRY(ho_k_repeat_middle(h->stream, dim, x, y));
    return ot_huge_check(h, "y", y, ot_units(n, WIDTH, 0), repeat_truth);
}

static double norm_truth(const void *about, int64_t i) {
    (void)about;
    const int64_t c = i % WIDTH;
    return (at(A, i) - at(B, c)) * at(C, c) * at(D, c) + at(B, c);
}

static double norm_gradient_truth(const void *about, int64_t i) {
    (void)about;
    const int64_t c = i % WIDTH;
    const double along = (at(A, i) - at(B, c)) * at(C, c) * at(C, c) * at(D, c);
    return at(D, c) * at(C, c) * (at(A, i) - (at(B, c) + along) / (double)ROWS);
}

static ho_status norm(ot_huge *h) {
    ho_real *x, *y, *b, *c, *d;
    HO_TRY(ot_huge_input(h, A, rows(), &x));
    HO_TRY(ot_huge_input(h, B, whole(WIDTH), &b));
    HO_TRY(ot_huge_input(h, C, whole(WIDTH), &c));
    HO_TRY(ot_huge_input(h, D, whole(WIDTH), &d));
    HO_TRY(ot_huge_new(h, ROWS * WIDTH, &y));
    const ho_norm_args args = {ROWS, WIDTH, b, c, d, b};
    HO_TRY(ho_k_norm(h->stream, &args, x, y));
    HO_TRY(ot_huge_check(h, "y", y, rows(), norm_truth));
    const ho_norm_backward_args backward = {x, x, b, d};
    HO_TRY(ho_k_norm_backward(h->stream, &args, &backward, y, false));
    return ot_huge_check(h, "g_x", y, rows(), norm_gradient_truth);
}

/* Lengths of the rows that are looked at, found once. */
typedef struct {
    int64_t row;
    double length, dot;
} length;

static const length *length_of(const void *about, int64_t row) {
    static length known;
    (void)about;
    if (known.length == 0.0 || known.row != row) {
        known = (length){row, 0.0, 0.0};
        for (int64_t i = row * WIDTH; i < (row + 1) * WIDTH; ++i) {
            known.length += at(A, i) * at(A, i) / (double)WIDTH;
            known.dot += at(A, i) * at(B, i);
        }
        known.length = sqrt(known.length + 1e-8);
    }
    return &known;
}

static double unit_truth(const void *about, int64_t i) {
    return at(A, i) / length_of(about, i / WIDTH)->length;
}

static double unit_gradient_truth(const void *about, int64_t i) {
    const length *l = length_of(about, i / WIDTH);
    return at(B, i) / l->length - at(A, i) * l->dot / (l->length * l->length * l->length * (double)WIDTH);
}

static ho_status unit(ot_huge *h) {
    ho_real *z, *g_y, *y;
    HO_TRY(ot_huge_input(h, A, rows(), &z));
    HO_TRY(ot_huge_input(h, B, rows(), &g_y));
    HO_TRY(ot_huge_new(h, ROWS * WIDTH, &y));
    HO_TRY(ho_k_normalize(h->stream, ROWS, WIDTH, z, y));
    HO_TRY(ot_huge_check(h, "y", y, rows(), unit_truth));
    HO_TRY(ho_k_normalize_backward(h->stream, ROWS, WIDTH, z, g_y, false, y));
    return ot_huge_check(h, "g_z", y, rows(), unit_gradient_truth);
}

/* 21846 samples of 3 rows; from row 1 on the second. */
static double mix_truth(const void *about, int64_t i) {
    (void)about;
    return at(i / WIDTH % 3 >= 1 ? B : A, i);
}

static double mix_gradient_truth(const void *about, int64_t i) {
    (void)about;
    return i / WIDTH % 3 >= 1 ? at(A, i) : 0.0;
}

static ho_status mix(ot_huge *h) {
    static int64_t cut[21846];
    const int64_t dim[3] = {21846, 3, WIDTH}, n = 21846 * 3 * WIDTH;
    int64_t *device_cut;
    ho_real *a, *b, *y;
    for (int64_t i = 0; i < 21846; ++i) {
        cut[i] = 1;
    }
    HO_TRY(ot_huge_bytes(h, 21846, sizeof *cut, &device_cut));
    HO_TRY(ho_device_upload(h->device, device_cut, cut, sizeof cut));
    HO_TRY(ot_huge_input(h, A, ot_units(n, WIDTH, 0), &a));
    HO_TRY(ot_huge_input(h, B, ot_units(n, WIDTH, 0), &b));
    HO_TRY(ot_huge_new(h, n, &y));
    HO_TRY(ho_k_mix_rows(h->stream, dim, device_cut, a, b, y));
    HO_TRY(ot_huge_check(h, "y", y, ot_units(n, WIDTH, 0), mix_truth));
    HO_TRY(ho_k_mix_rows_backward(h->stream, dim, device_cut, true, a, false, y));
    return ot_huge_check(h, "g", y, ot_units(n, WIDTH, 0), mix_gradient_truth);
}

/* ---- elements
 * -------------------------------------------------------------------------------------------------------- */

static double add_truth(const void *about, int64_t i) {
    (void)about;
    return 0.75 * at(A, i) - 1.25 * at(B, i);
}

static double scale_truth(const void *about, int64_t i) {
    return add_truth(about, i) + 0.5 * at(A, i);
}

static ho_status sum(ot_huge *h) {
    ho_real *a, *b, *y;
    HO_TRY(ot_huge_input(h, A, ot_loop(N), &a));
    HO_TRY(ot_huge_input(h, B, ot_loop(N), &b));
    HO_TRY(ot_huge_new(h, N, &y));
    HO_TRY(ho_k_add(h->stream, N, 0.75F, a, -1.25F, b, y));
    HO_TRY(ot_huge_check(h, "y", y, ot_loop(N), add_truth));
    HO_TRY(ho_k_scale(h->stream, N, 0.5F, a, true, y));
    return ot_huge_check(h, "y scaled", y, ot_loop(N), scale_truth);
}

static double act_truth(const void *about, int64_t i) {
    (void)about;
    return leaky(0.5 * at(A, i));
}

static double act_gradient_truth(const void *about, int64_t i) {
    (void)about;
    return 0.5 * 1.5 * (at(A, i) > 0.0 ? 1.0 : 0.25) * at(B, i);
}

static ho_status act(ot_huge *h) {
    ho_real *x, *g_y, *y;
    HO_TRY(ot_huge_input(h, A, ot_loop(N), &x));
    HO_TRY(ot_huge_input(h, B, ot_loop(N), &g_y));
    HO_TRY(ot_huge_new(h, N, &y));
    HO_TRY(ho_k_bias_act(h->stream, 1, N, &ACT, x, NULL, y));
    HO_TRY(ot_huge_check(h, "y", y, ot_loop(N), act_truth));
    HO_TRY(ho_k_act_backward(h->stream, N, &ACT, x, g_y, false, y));
    return ot_huge_check(h, "g_x", y, ot_loop(N), act_gradient_truth);
}

static double constant_truth(const void *about, int64_t i) {
    (void)about, (void)i;
    return 0.375;
}

static double normal_truth(const void *about, int64_t i) {
    uint32_t w[4];
    (void)about;
    ho_philox(17, 23, (uint64_t)(i + 4) / 2, w);
    const double u = ((double)(w[0] >> 5) * 0x1p26 + (double)(w[1] >> 6)) * 0x1p-53;
    const double v = ((double)(w[2] >> 5) * 0x1p26 + (double)(w[3] >> 6)) * 0x1p-53 * 6.283185307179586;
    return 2.0 * sqrt(-2.0 * log(1.0 - u)) * (i % 2 == 0 ? cos(v) : sin(v));
}

/* Its threads take two elements each, and few of them: the normals cost much. */
static ho_status fill(ot_huge *h) {
    const ot_places pairs = {N, 2 * OT_THREADS, 512};
    ho_real *y;
    HO_TRY(ot_huge_new(h, N, &y));
    HO_TRY(ho_k_fill(y, N, 0.375F, h->stream));
    HO_TRY(ot_huge_check(h, "y", y, ot_loop(N), constant_truth));
    HO_TRY(ho_k_fill_normal(y, N, 17, 23, 4, 0.0, 2.0, h->stream));
    return ot_huge_check(h, "normals", y, pairs, normal_truth);
}

static double dropout_truth(const void *about, int64_t i) {
    uint32_t w[4];
    (void)about;
    ho_philox(17, 23, (uint64_t)(i + 7), w);
    return w[0] >= 0x40000000U ? at(A, i) / 0.75 : 0.0;
}

static ho_status dropout(ot_huge *h) {
    const ho_dropout_mask mask = {17, 23, 7, 0.25};
    ho_real *x, *y;
    HO_TRY(ot_huge_input(h, A, ot_loop(N), &x));
    HO_TRY(ot_huge_new(h, N, &y));
    HO_TRY(ho_k_dropout(h->stream, N, &mask, x, y, false));
    return ot_huge_check(h, "y", y, ot_loop(N), dropout_truth);
}

static double lerp_truth(const void *about, int64_t i) {
    (void)about;
    return 0.75 * at(A, i) + 0.25 * at(B, i);
}

static double adam_truth(const void *about, int64_t i) {
    (void)about;
    const double m = 0.5 * at(C, i) + 0.5 * at(B, i), v = 0.25 * at(B, i) * at(B, i);
    return at(A, i) - 0.01 * m / (sqrt(v) + 0.125);
}

static ho_status update(ot_huge *h) {
    static const ho_adam_step_args step = {0.01F, 0.5F, 0.75F, 1.0F, 0.125F, 0.0F, 1.0F};
    ho_real *value, *g, *m, *v;
    HO_TRY(ot_huge_input(h, A, ot_loop(N), &value));
    HO_TRY(ot_huge_input(h, B, ot_loop(N), &g));
    HO_TRY(ot_huge_input(h, C, ot_loop(N), &m));
    HO_TRY(ot_huge_new(h, N, &v));
    HO_TRY(ot_huge_zero(h, v, ot_loop(N)));
    HO_TRY(ho_k_lerp(value, g, N, 0.25F, h->stream));
    HO_TRY(ot_huge_check(h, "lerp", value, ot_loop(N), lerp_truth));
    HO_TRY(ot_huge_define(h, A, value, ot_loop(N)));
    HO_TRY(ho_k_adam(value, g, m, v, N, &step, h->stream));
    return ot_huge_check(h, "adam", value, ot_loop(N), adam_truth);
}

const ot_huge_case ot_huge_rows[] = {
    {"bias_act", "bias_act_forward bias_act_in_place", bias, 0},
    {"prelu", "prelu_forward", rectify, 0},
    {"copy_columns", "copy_columns", copy, 0},
    {"transpose", "transpose", turn, 0},
    {"repeat_middle", "repeat_middle", repeat, 0},
    {"norm", "norm_kernel norm_backward_kernel", norm, 0},
    {"normalize", "normalize normalize_backward", unit, 2e-5},
    {"mix_rows", "mix_rows mix_rows_backward", mix, 0},
    {"add", "add scale", sum, 0},
    {"act", "act_forward act_backward", act, 0},
    {"fill", "fill_kernel fill_normal_kernel", fill, 0},
    {"dropout", "dropout_kernel", dropout, 0},
    {"update", "lerp_kernel adam_kernel", update, 0},
    {0},
};
