/* The fused convolutions of the cuda target against double loops: forward, gradients of input, scale and weights, plain
 * and up-sampling, both operand types, sizes around the tiles of kernels/cuda/.
 * Whole numbers and powers of two small enough to be operands of either type make every product and sum exact: results
 * must then agree bit for bit. For random numbers each result carries the sum of the magnitudes it is made of: rounding
 * both operands changes a product by at most 2 u (u = 2^-11 for TF32, 2^-8 for bf16), and a float sum of K terms by K
 * 2^-23 (tensor cores cut off rather than round). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handsoff/device.h"

static ho_device *device;
static int shift; /* floats by which tensors lie beside their allocation's begin */

/* A result with the magnitudes of its terms. */
typedef struct {
    double *v, *size;
} truth;

typedef struct {
    ho_fused_shape s;
    bool whole; /* whole numbers */
    double unit;
    int64_t n_x, n_w, n_y, n_g, G_H, G_W; /* g: gradient of the convolution's output, (N, G_H, G_W, O) */
    float *x, *scale, *w, *g, *d, *b, *noise;
    float strength;
} problem;

static uint64_t state_of_draws;

static double uniform(void) {
    state_of_draws = state_of_draws * 6364136223846793005U + 1442695040888963407U;
    return (double)(state_of_draws >> 40) / 16777216.0;
}

static void *need(size_t bytes) {
    void *p = calloc(1, bytes + 1);
    assert_non_null(p);
    return p;
}

static float *draw(int64_t n, bool whole, double range) {
    float *v = need((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; ++i) {
        v[i] = (float)(whole ? floor(uniform() * (2.0 * range + 1.0)) - range : (2.0 * uniform() - 1.0) * range);
    }
    return v;
}

static float *powers_of_two(int64_t n) {
    float *v = need((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; ++i) {
        v[i] = (float)ldexp(1.0, (int)(uniform() * 3.0) - 1);
    }
    return v;
}

static truth new_truth(int64_t n) {
    return (truth){need((size_t)n * sizeof(double)), need((size_t)n * sizeof(double))};
}

static void free_truth(truth t) {
    free(t.v);
    free(t.size);
}

static problem make_problem(ho_fused_shape s, ho_precision precision, bool whole) {
    problem p = {.s = s, .whole = whole, .unit = precision == HO_PRECISION_TF32 ? 0x1p-11 : 0x1p-8};
    p.n_x = s.N * s.H * s.W * s.C;
    p.n_w = s.O * 9 * s.C;
    p.n_y = s.N * s.H * s.W * s.O * (s.up ? 4 : 1);
    p.G_H = s.up ? 2 * s.H + 1 : s.H;
    p.G_W = s.up ? 2 * s.W + 1 : s.W;
    p.n_g = s.N * p.G_H * p.G_W * s.O;
    p.x = draw(p.n_x, whole, 2);
    p.w = draw(p.n_w, whole, 2);
    p.g = draw(p.n_g, whole, 2);
    p.scale = whole ? powers_of_two(s.N * s.C) : draw(s.N * s.C, false, 2);
    p.d = whole ? powers_of_two(s.N * s.O) : draw(s.N * s.O, false, 2);
    p.b = draw(s.O, whole, 3);
    p.noise = draw(p.n_y / s.O, whole, 3);
    p.strength = 0.5F;
    return p;
}

static void free_problem(problem *p) {
    float *all[] = {p->x, p->w, p->g, p->scale, p->d, p->b, p->noise};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i) {
        free(all[i]);
    }
}

/* Calls `each` for every product x[n,h,w,:] w[:,tap,:] that goes into pixel (i, j) of the convolution's output g (up:
 * of t); offsets of the first channel in x, and of the pixel in g. */
typedef void visit(const problem *p, int64_t n, int64_t x_at, int64_t g_at, int64_t tap, void *to);
static void for_each_product(const problem *p, visit *each, void *to) {
    const ho_fused_shape *s = &p->s;
    for (int64_t i = 0; i < s->N * s->H * s->W * 9; ++i) {
        const int64_t tap = i % 9, pixel = i / 9, n = pixel / (s->H * s->W), h = pixel / s->W % s->H, w = pixel % s->W;
        const int64_t y = s->up ? 2 * h + tap / 3 : h - tap / 3 + 1, x = s->up ? 2 * w + tap % 3 : w - tap % 3 + 1;
        if (y >= 0 && y < p->G_H && x >= 0 && x < p->G_W) {
            each(p, n, pixel * s->C, ((n * p->G_H + y) * p->G_W + x) * s->O, tap, to);
        }
    }
}

static double scaled(const problem *p, int64_t n, int64_t x_at, int64_t c) {
    return (double)(p->x[x_at + c] * p->scale[n * p->s.C + c]);
}

static void add_forward(const problem *p, int64_t n, int64_t x_at, int64_t g_at, int64_t tap, void *to) {
    const truth *t = to;
    for (int64_t o = 0; o < p->s.O; ++o) {
        const float *w = p->w + (o * 9 + tap) * p->s.C;
        for (int64_t c = 0; c < p->s.C; ++c) {
            const double term = scaled(p, n, x_at, c) * w[c];
            t->v[g_at + o] += term;
            t->size[g_at + o] += fabs(term);
        }
    }
}

static void add_input(const problem *p, int64_t n, int64_t x_at, int64_t g_at, int64_t tap, void *to) {
    const truth *t = to;
    (void)n;
    for (int64_t o = 0; o < p->s.O; ++o) {
        const float *w = p->w + (o * 9 + tap) * p->s.C;
        for (int64_t c = 0; c < p->s.C; ++c) {
            const double term = (double)p->g[g_at + o] * w[c];
            t->v[x_at + c] += term;
            t->size[x_at + c] += fabs(term);
        }
    }
}

static void add_weights(const problem *p, int64_t n, int64_t x_at, int64_t g_at, int64_t tap, void *to) {
    const truth *t = to;
    for (int64_t o = 0; o < p->s.O; ++o) {
        for (int64_t c = 0; c < p->s.C; ++c) {
            const double term = (double)p->g[g_at + o] * scaled(p, n, x_at, c);
            t->v[(o * 9 + tap) * p->s.C + c] += term;
            t->size[(o * 9 + tap) * p->s.C + c] += fabs(term);
        }
    }
}

/* y = filter of t, taps [1,3,3,1]/4 on each axis, padding 1. */
static truth filtered(const problem *p, truth t) {
    static const double TAP[4] = {0.25, 0.75, 0.75, 0.25};
    const int64_t P = 2 * p->s.H, Q = 2 * p->s.W, O = p->s.O;
    const truth y = new_truth(p->n_y);
    for (int64_t i = 0; i < p->n_y; ++i) {
        const int64_t n = i / (P * Q * O), h = i / (Q * O) % P, w = i / O % Q;
        for (int64_t k = 0; k < 16; ++k) {
            const int64_t a = h + k / 4 - 1, b = w + k % 4 - 1, at = ((n * p->G_H + a) * p->G_W + b) * O + i % O;
            if (a >= 0 && a <= P && b >= 0 && b <= Q) {
                y.v[i] += TAP[k / 4] * TAP[k % 4] * t.v[at];
                y.size[i] += TAP[k / 4] * TAP[k % 4] * t.size[at];
            }
        }
    }
    return y;
}

/* In device memory, filled from `from`, or with NaN. */
static void *on_device(const float *from, int64_t n) {
    void *memory;
    float *nan = need((size_t)n * sizeof *nan);
    memset(nan, 0xff, (size_t)n * sizeof *nan);
    assert_int_equal(ho_device_alloc(device, (size_t)(n + shift) * sizeof(float), &memory), HO_OK);
    memory = (float *)memory + shift;
    assert_int_equal(ho_device_upload(device, memory, from != NULL ? from : nan, (size_t)n * sizeof(float)), HO_OK);
    free(nan);
    return memory;
}

static void off_device(void *memory) {
    ho_device_free(device, (float *)memory - shift);
}

/* What is in device memory against the truth, and frees it. terms: how many products and sums a value has. */
static void check(const char *what, const problem *p, void *memory, truth want, int64_t n, double terms) {
    float *got = need((size_t)n * sizeof *got);
    assert_int_equal(ho_device_download(device, got, memory, (size_t)n * sizeof *got), HO_OK);
    off_device(memory);
    for (int64_t i = 0; i < n; ++i) {
        const double allowed = p->whole ? 0.0 : want.size[i] * (2.01 * p->unit + terms * 0x1p-23);
        if (!(fabs((double)got[i] - want.v[i]) <= allowed)) {
            const ho_fused_shape *s = &p->s;
            fail_msg("%s, N %d H %d W %d C %d O %d up %d: element %lld is %.9g, want %.9g, at most %.3g off", what,
                     (int)s->N, (int)s->H, (int)s->W, (int)s->C, (int)s->O, (int)s->up, (long long)i, (double)got[i],
                     want.v[i], allowed);
        }
    }
    free(got);
}

static void check_forward(const problem *p, const float *x, const float *scale, const float *w) {
    const ho_fused_shape *s = &p->s;
    truth t = new_truth(p->n_g), y = t;
    for_each_product(p, add_forward, &t);
    if (s->up) {
        y = filtered(p, t);
    }
    void *out = on_device(NULL, p->n_y);
    assert_int_equal(ho_fused_forward(device, s, x, scale, w, NULL, out), HO_OK);
    check("forward", p, out, y, p->n_y, 9.0 * (double)s->C + 16.0);
    const int64_t pixels = p->n_y / s->N / s->O;
    void *d = on_device(p->d, s->N * s->O), *b = on_device(p->b, s->O), *noise = on_device(p->noise, s->N * pixels);
    void *strength = on_device(&p->strength, 1);
    const bool shared = s->N == 3;
    const ho_conv_epilogue e = {d, b, noise, strength, shared ? 0 : pixels, 2.0F, 0.25F};
    for (int64_t i = 0; i < p->n_y; ++i) {
        const int64_t n = i / (pixels * s->O), o = i % s->O, pixel = i / s->O % pixels;
        const double plane = (double)p->strength * p->noise[(shared ? 0 : n * pixels) + pixel];
        const double v = p->d[n * s->O + o] * y.v[i] + plane + p->b[o];
        y.v[i] = e.gain * (v > 0.0 ? v : e.slope * v);
        y.size[i] = e.gain * (fabs((double)p->d[n * s->O + o]) * y.size[i] + fabs(plane) + fabs((double)p->b[o]));
    }
    out = on_device(NULL, p->n_y);
    assert_int_equal(ho_fused_forward(device, s, x, scale, w, &e, out), HO_OK);
    check("forward with epilogue", p, out, y, p->n_y, 9.0 * (double)s->C + 20.0);
    void *all[] = {d, b, noise, strength};
    for (int i = 0; i < 4; ++i) {
        off_device(all[i]);
    }
    if (s->up) {
        free_truth(y);
    }
    free_truth(t);
}

static void check_input(const problem *p, const float *x, const float *scale, const float *w, const float *g) {
    const ho_fused_shape *s = &p->s;
    const int64_t pixels = s->H * s->W;
    truth g_x = new_truth(p->n_x), g_s = new_truth(s->N * s->C);
    for_each_product(p, add_input, &g_x);
    for (int64_t i = 0; i < p->n_x; ++i) {
        const int64_t at = i / (pixels * s->C) * s->C + i % s->C;
        g_s.v[at] += g_x.v[i] * p->x[i];
        g_s.size[at] += g_x.size[i] * fabs((double)p->x[i]);
        g_x.v[i] *= p->scale[at];
        g_x.size[i] *= fabs((double)p->scale[at]);
    }
    const double terms = 9.0 * (double)s->O + 4.0;
    ho_fused_gradients all = {x, scale, w, g, on_device(NULL, p->n_x), on_device(NULL, s->N * s->C), false, false};
    assert_int_equal(ho_fused_backward_input(device, s, &all), HO_OK);
    check("g_x", p, all.g_x, g_x, p->n_x, terms);
    check("g_scale", p, all.g_scale, g_s, s->N * s->C, terms + (double)pixels);
    for (int64_t i = 0; i < p->n_x; ++i) {
        g_x.v[i] += p->x[i];
        g_x.size[i] += fabs((double)p->x[i]);
    }
    for (int64_t i = 0; i < s->N * s->C; ++i) {
        g_s.v[i] += p->scale[i];
        g_s.size[i] += fabs((double)p->scale[i]);
    }
    all = (ho_fused_gradients){x, scale, w, g, on_device(p->x, p->n_x), NULL, true, false};
    assert_int_equal(ho_fused_backward_input(device, s, &all), HO_OK);
    check("g_x added", p, all.g_x, g_x, p->n_x, terms);
    all = (ho_fused_gradients){x, scale, w, g, NULL, on_device(p->scale, s->N * s->C), false, true};
    assert_int_equal(ho_fused_backward_input(device, s, &all), HO_OK);
    check("g_scale added", p, all.g_scale, g_s, s->N * s->C, terms + (double)pixels);
    free_truth(g_x);
    free_truth(g_s);
}

static void check_weights(const problem *p, const float *x, const float *scale, const float *g) {
    truth g_w = new_truth(p->n_w);
    for_each_product(p, add_weights, &g_w);
    void *out = on_device(NULL, p->n_w);
    assert_int_equal(ho_fused_backward_weights(device, &p->s, x, scale, g, out), HO_OK);
    check("g_w", p, out, g_w, p->n_w, (double)(p->s.N * p->s.H * p->s.W) + 2.0);
    free_truth(g_w);
}

enum { FORWARD = 1, INPUT = 2, WEIGHTS = 4, EVERYTHING = 7 };

/* `parts` of a shape: both operand types with whole numbers, and with random ones when `random`. */
static void check_shape(ho_fused_shape s, int parts, bool random) {
    for (int i = 0; i < (random ? 4 : 2); ++i) {
        const ho_precision precision = i % 2 ? HO_PRECISION_BF16 : HO_PRECISION_TF32;
        problem p = make_problem(s, precision, i < 2);
        assert_int_equal(ho_device_set_precision(device, precision, true), HO_OK);
        assert_true(ho_conv_fuses(device, &s));
        void *x = on_device(p.x, p.n_x), *scale = on_device(p.scale, s.N * s.C), *w = on_device(p.w, p.n_w);
        void *g = on_device(p.g, p.n_g);
        if (parts & FORWARD) {
            check_forward(&p, x, scale, w);
        }
        if (parts & INPUT) {
            check_input(&p, x, scale, w, g);
        }
        if (parts & WEIGHTS) {
            check_weights(&p, x, scale, g);
        }
        void *memory[] = {x, scale, w, g};
        for (int k = 0; k < 4; ++k) {
            off_device(memory[k]);
        }
        free_problem(&p);
    }
}

static void test_plain(void **state) {
    (void)state;
    static const ho_fused_shape SHAPES[] = {
        {2, 9, 17, 33, 31, 0}, {1, 1, 1, 1, 1, 0},     {2, 3, 5, 3, 5, 0},   {1, 7, 15, 31, 33, 0},
        {3, 8, 16, 32, 32, 0}, {1, 17, 13, 64, 20, 0}, {1, 4, 33, 5, 64, 0},
    };
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; ++i) {
        check_shape(SHAPES[i], EVERYTHING, i == 0);
    }
}

static void test_up(void **state) {
    (void)state;
    static const ho_fused_shape SHAPES[] = {
        {2, 7, 15, 33, 31, 1}, {1, 1, 1, 1, 1, 1},     {2, 3, 5, 3, 5, 1},   {1, 5, 13, 31, 33, 1},
        {3, 6, 14, 32, 32, 1}, {1, 13, 17, 20, 64, 1}, {1, 2, 29, 64, 6, 1},
    };
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; ++i) {
        check_shape(SHAPES[i], EVERYTHING, i == 0);
    }
}

/* Enough pixels for blocks of 64 channels: 132 tiles of 8 x 16 and more than 64 channels, of the output or the input.
 */
static void test_many_blocks(void **state) {
    (void)state;
    check_shape((ho_fused_shape){66, 9, 15, 3, 67, 0}, FORWARD, false);
    check_shape((ho_fused_shape){66, 9, 16, 68, 4, 0}, INPUT, false);
}

/* Addresses that 16-byte and 8-byte accesses cannot use: every tensor begins 4 bytes into its allocation. */
static void test_alignment(void **state) {
    (void)state;
    shift = 1;
    check_shape((ho_fused_shape){1, 5, 7, 8, 12, 0}, EVERYTHING, false);
    check_shape((ho_fused_shape){1, 5, 7, 8, 12, 1}, EVERYTHING, false);
    shift = 0;
}

/* What the kernels cannot index is left to the library; so is everything in float, or when asked. */
static void test_refusals(void **state) {
    (void)state;
    const ho_fused_shape small = {1, 8, 8, 8, 8, 0}, tall = {1, 1 << 20, 1, 8, 8, 0}, many = {1 << 30, 64, 64, 8, 8, 1};
    assert_int_equal(ho_device_set_precision(device, HO_PRECISION_TF32, true), HO_OK);
    assert_true(ho_conv_fuses(device, &small));
    assert_false(ho_conv_fuses(device, &tall));
    assert_false(ho_conv_fuses(device, &many));
    assert_int_equal(ho_device_set_precision(device, HO_PRECISION_FP32, true), HO_OK);
    assert_false(ho_conv_fuses(device, &small));
    assert_int_equal(ho_fused_forward(device, &small, NULL, NULL, NULL, NULL, NULL), HO_ESHAPE);
    assert_int_equal(ho_device_set_precision(device, HO_PRECISION_BF16, false), HO_OK);
    assert_false(ho_conv_fuses(device, &small));
}

static int open_device(void **state) {
    (void)state;
    return ho_device_open(0, 0, &device) == HO_OK ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    ho_device_close(device);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),     cmocka_unit_test(test_up),       cmocka_unit_test(test_many_blocks),
        cmocka_unit_test(test_alignment), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
