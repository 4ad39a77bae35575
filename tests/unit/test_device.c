/* A device: memory, matrix products and convolutions against double-precision loops. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handsoff/device.h"
#include "handsoff/random.h"

static ho_device *device;

static int open_device(void **state) {
    (void)state;
    return ho_device_open(0, 0, &device) == HO_OK && ho_device_set_precision(device, HO_PRECISION_FP32, false) == HO_OK
               ? 0
               : -1;
}

static int close_device(void **state) {
    (void)state;
    ho_device_close(device);
    return 0;
}

static float *random_floats(int64_t n, const char *stream) {
    float *values = malloc((size_t)(n + 1) * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < n; ++i) {
        values[i] = (float)ho_normal(7, ho_stream_id(stream), (uint64_t)i);
    }
    return values;
}

/* ---- device memory, until forget() ------------------------------------------------------------------------------- */

static float *held[32];
static int n_held;

static float *room_for(int64_t n) {
    void *memory = NULL;
    assert_true(n_held < (int)(sizeof held / sizeof held[0]));
    assert_int_equal(ho_device_alloc(device, (size_t)n * sizeof(float), &memory), HO_OK);
    return held[n_held++] = memory;
}

static float *on_device(const float *host, int64_t n) {
    float *memory = room_for(n);
    assert_int_equal(ho_device_upload(device, memory, host, (size_t)n * sizeof *host), HO_OK);
    return memory;
}

static void fetch(float *host, const float *from, int64_t n) {
    assert_int_equal(ho_device_download(device, host, from, (size_t)n * sizeof *host), HO_OK);
}

static void forget(void) {
    while (n_held > 0) {
        ho_device_free(device, held[--n_held]);
    }
}

/* got differs from want by at most tolerance times the largest |want|; NaN fails. */
static void assert_close(const float *got, const double *want, int64_t n, double tolerance) {
    double scale = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        scale = fmax(scale, fabs(want[i]));
    }
    assert_true(n > 0 && scale > 0.0);
    for (int64_t i = 0; i < n; ++i) {
        if (!(fabs(got[i] - want[i]) <= tolerance * scale)) {
            fail_msg("element %ld: %.9g, should be %.9g (tolerance %.3g)", (long)i, got[i], want[i], tolerance * scale);
        }
    }
}

static void gemm_case(bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, float beta) {
    float *a = random_floats(m * k, "a"), *b = random_floats(k * n, "b"), *c = random_floats(m * n, "c");
    double *want = malloc((size_t)(m * n) * sizeof *want);
    for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
            double sum = 0.0;
            for (int64_t l = 0; l < k; ++l) {
                sum += (double)(trans_a ? a[l * m + i] : a[i * k + l]) * (trans_b ? b[j * k + l] : b[l * n + j]);
            }
            want[i * n + j] = 0.5 * sum + (beta == 0 ? 0.0 : (double)beta * c[i * n + j]);
        }
    }
    if (beta == 0) {
        for (int64_t i = 0; i < m * n; ++i) {
            c[i] = NAN; /* must not be read */
        }
    }
    float *result = on_device(c, m * n);
    assert_int_equal(ho_gemm(device, trans_a, trans_b, m, n, k, 0.5F, on_device(a, m * k), trans_a ? m : k,
                             on_device(b, k * n), trans_b ? k : n, beta, result, n),
                     HO_OK);
    fetch(c, result, m * n);
    forget();
    assert_close(c, want, m * n, 1e-6 * sqrt((double)k));
    free(a);
    free(b);
    free(c);
    free(want);
}

static void test_gemm(void **state) {
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {64, 33, 129}, {1, 512, 512}, {257, 31, 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        for (int mode = 0; mode < 8; ++mode) {
            gemm_case((mode & 1) != 0, (mode & 2) != 0, sizes[i][0], sizes[i][1], sizes[i][2],
                      (mode & 4) != 0 ? 2.0F : 0);
        }
    }
}

/* The three directions as one double loop over the pixels that a tap joins. */
static void conv_truth(const ho_conv_shape *s, const float *x, const float *w, const float *g, double *y, double *g_x,
                       double *g_w) {
    const int64_t P = ho_conv_out(s, s->H), Q = ho_conv_out(s, s->W), taps = s->kernel * s->kernel;
    for (int64_t n = 0; n < s->N; ++n) {
        for (int64_t pq = 0; pq < P * Q; ++pq) {
            for (int64_t tap = 0; tap < taps; ++tap) {
                const int64_t h = pq / Q * s->stride + tap / s->kernel * s->dilation - s->pad;
                const int64_t v = pq % Q * s->stride + tap % s->kernel * s->dilation - s->pad;
                if (h < 0 || h >= s->H || v < 0 || v >= s->W) {
                    continue;
                }
                const int64_t x_at = ((n * s->H + h) * s->W + v) * s->C, y_at = (n * P * Q + pq) * s->O;
                for (int64_t o = 0; o < s->O; ++o) {
                    for (int64_t c = 0; c < s->C; ++c) {
                        const int64_t w_at = s->swapped ? (c * taps + tap) * s->O + o : (o * taps + tap) * s->C + c;
                        y[y_at + o] += (double)x[x_at + c] * w[w_at];
                        g_x[x_at + c] += (double)g[y_at + o] * w[w_at];
                        g_w[w_at] += (double)g[y_at + o] * x[x_at + c];
                    }
                }
            }
        }
    }
}

static void conv_case(ho_conv_shape s) {
    const int64_t P = ho_conv_out(&s, s.H), Q = ho_conv_out(&s, s.W);
    const int64_t n_x = s.N * s.H * s.W * s.C, n_y = s.N * P * Q * s.O, n_w = s.O * s.kernel * s.kernel * s.C;
    float *x = random_floats(n_x, "x"), *w = random_floats(n_w, "w"), *g = random_floats(n_y, "g");
    double *y = calloc((size_t)n_y, sizeof *y), *g_x = calloc((size_t)n_x, sizeof *g_x);
    double *g_w = calloc((size_t)n_w, sizeof *g_w);
    conv_truth(&s, x, w, g, y, g_x, g_w);
    const int64_t most = n_x > n_y ? n_x : n_y;
    float *got = malloc((size_t)(most > n_w ? most : n_w) * sizeof *got);
    float *dx = on_device(x, n_x), *dw = on_device(w, n_w), *dg = on_device(g, n_y);
    float *result = room_for(most > n_w ? most : n_w);
    /* Winograd's transforms cost about two digits: its budget is 1e-5 of the largest value, direct sums need 2e-6. */
    assert_int_equal(ho_conv_forward(device, &s, dx, dw, result), HO_OK);
    fetch(got, result, n_y);
    assert_close(got, y, n_y, 1e-5);
    assert_int_equal(ho_conv_backward_data(device, &s, dg, dw, result), HO_OK);
    fetch(got, result, n_x);
    assert_close(got, g_x, n_x, 1e-5);
    assert_int_equal(ho_conv_backward_weights(device, &s, dx, dg, result), HO_OK);
    fetch(got, result, n_w);
    assert_close(got, g_w, n_w, 1e-5);
    forget();
    free(x);
    free(w);
    free(g);
    free(y);
    free(g_x);
    free(g_w);
    free(got);
}

static void test_conv(void **state) {
    (void)state;
    /* N H W C O kernel stride pad dilation swapped */
    static const ho_conv_shape shapes[] = {
        {1, 1, 1, 1, 1, 1, 1, 0, 1, 0},
        {2, 5, 7, 3, 4, 1, 1, 0, 1, 0},
        {2, 5, 7, 3, 4, 3, 1, 1, 1, 0},
        {3, 9, 8, 5, 2, 3, 2, 0, 1, 0},
        {1, 8, 8, 16, 32, 3, 1, 1, 1, 0},
        {2, 17, 17, 32, 16, 3, 2, 0, 1, 0},
        {1, 16, 16, 8, 8, 3, 1, 12, 12, 0},
        {2, 13, 11, 3, 8, 7, 2, 3, 1, 0},
        {1, 4, 4, 64, 64, 3, 1, 1, 1, 0},
        {4, 9, 10, 16, 3, 1, 2, 0, 1, 0},
        {2, 16, 16, 64, 48, 3, 1, 1, 1, 0},
        {3, 31, 33, 32, 64, 3, 1, 1, 1, 0},
        {1, 32, 32, 128, 96, 3, 1, 1, 1, 0},
        /* dilated by Winograd: even, with sparse images of unequal sizes, with empty tiles */
        {4, 16, 16, 64, 64, 3, 1, 2, 2, 0},
        {4, 16, 16, 32, 64, 3, 1, 4, 4, 0},
        {3, 19, 14, 32, 48, 3, 1, 2, 2, 0},
        {2, 33, 16, 32, 32, 3, 1, 4, 4, 0},
        /* reaching further than the image */
        {4, 16, 16, 64, 32, 3, 1, 9, 9, 0},
        {3, 6, 11, 5, 7, 3, 1, 5, 4, 0},
        {40, 12, 12, 48, 48, 3, 1, 6, 6, 0},
    };
#ifndef HO_TARGET_CUDA
    assert_true(ho_conv_takes_swapped(device));
#endif
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i) {
        ho_conv_shape s = shapes[i];
        conv_case(s);
        if (ho_conv_takes_swapped(device)) {
            s.swapped = 1;
            conv_case(s);
        }
    }
}

static void test_conv_repeats_bit_for_bit(void **state) {
    (void)state;
    const ho_conv_shape s = {2, 16, 16, 32, 32, 3, 1, 1, 1, 0};
    const int64_t n = 2 * 16 * 16 * 32, n_w = 32 * 9 * 32;
    float *x = random_floats(n, "x"), *w = random_floats(n_w, "w"), *one = malloc((size_t)n * 4),
          *two = malloc((size_t)n * 4);
    const float *dx = on_device(x, n), *dw = on_device(w, n_w);
    float *y[2] = {room_for(n), room_for(n)};
    assert_int_equal(ho_conv_forward(device, &s, dx, dw, y[0]), HO_OK);
    assert_int_equal(ho_conv_forward(device, &s, dx, dw, y[1]), HO_OK);
    fetch(one, y[0], n);
    fetch(two, y[1], n);
    forget();
    assert_memory_equal(one, two, (size_t)n * 4);
    free(x);
    free(w);
    free(one);
    free(two);
}

/* ---- convolutions with their surroundings ------------------------------------------------------------------------ */

/* y of the fused shape in double. */
static double *fused_truth(const ho_fused_shape *s, const double *x, const float *w) {
    const int64_t N = s->N, H = s->H, W = s->W, C = s->C, O = s->O;
    double *y = calloc((size_t)(N * H * W * O), sizeof *y);
    assert_non_null(y);
    for (int64_t i = 0; i < N * H * W * 9; ++i) {
        const int64_t tap = i % 9, v = i / 9 % W, h = i / 9 / W % H, n = i / 9 / W / H;
        const int64_t p = h + 1 - tap / 3, q = v + 1 - tap % 3;
        if (p < 0 || q < 0 || p >= H || q >= W) {
            continue;
        }
        for (int64_t o = 0; o < O; ++o) {
            double sum = 0.0;
            for (int64_t c = 0; c < C; ++c) {
                sum += x[((n * H + h) * W + v) * C + c] * w[(o * 9 + tap) * C + c];
            }
            y[((n * H + p) * W + q) * O + o] += sum;
        }
    }
    return y;
}

/* Sum of a * b, and the root of the product of the sums of squares: what its rounding errors are measured by. */
static double dot(const float *a, const float *b, int64_t n, double *scale) {
    double sum = 0.0, a2 = 0.0, b2 = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        sum += (double)a[i] * b[i];
        a2 += (double)a[i] * a[i];
        b2 += (double)b[i] * b[i];
    }
    *scale = sqrt(a2 * b2);
    return sum;
}

/* Forward with scale and epilogue against double loops; the gradients as adjoints, F being linear in x and in w:
 * <g, F(x, w)> = <F_x'(g), x> = <F_w'(g), w> for random g, x and w. */
static void fused_case(ho_fused_shape s) {
    const int64_t pixels = s.H * s.W, n_x = s.N * pixels * s.C, n_y = s.N * pixels * s.O, n_w = s.O * 9 * s.C;
    float *x = random_floats(n_x, "x"), *w = random_floats(n_w, "w"), *g = random_floats(n_y, "g");
    float *scale = random_floats(s.N * s.C, "s"), *d = random_floats(s.N * s.O, "d"), *b = random_floats(s.O, "b");
    float *noise = random_floats(s.N * pixels, "noise"), strength = 0.7F;
    float *got = malloc((size_t)n_y * sizeof *got), *g_x = malloc((size_t)n_x * sizeof *g_x);
    float *g_w = malloc((size_t)n_w * sizeof *g_w);
    double *xs = malloc((size_t)n_x * sizeof *xs);
    assert_true(ho_conv_fuses(device, &s));
    for (int64_t i = 0; i < n_x; ++i) {
        xs[i] = (double)x[i] * scale[i / (pixels * s.C) * s.C + i % s.C];
    }
    double *y = fused_truth(&s, xs, w);
    assert_int_equal(ho_fused_forward(device, &s, x, scale, w, NULL, got), HO_OK);
    assert_close(got, y, n_y, 1e-5);
    double size, other;
    const double forward = dot(got, g, n_y, &size);
    assert_int_equal(ho_fused_backward_data(device, &s, g, w, g_x), HO_OK);
    for (int64_t i = 0; i < n_x; ++i) {
        g_x[i] *= scale[i / (pixels * s.C) * s.C + i % s.C];
    }
    assert_true(fabs(dot(g_x, x, n_x, &other) - forward) < 1e-5 * size);
    assert_int_equal(ho_fused_backward_weights(device, &s, x, scale, g, g_w), HO_OK);
    assert_true(fabs(dot(g_w, w, n_w, &other) - forward) < 1e-5 * size);
    const ho_conv_epilogue e = {d, b, noise, &strength, pixels, 1.4F, 0.2F};
    for (int64_t i = 0; i < n_y; ++i) {
        const int64_t n = i / (pixels * s.O), o = i % s.O;
        const double v = d[n * s.O + o] * y[i] + strength * noise[i / s.O] + b[o];
        y[i] = e.gain * (v > 0.0 ? v : e.slope * v);
    }
    assert_int_equal(ho_fused_forward(device, &s, x, scale, w, &e, got), HO_OK);
    assert_close(got, y, n_y, 1e-5);
    void *all[] = {x, w, g, scale, d, b, noise, got, g_x, g_w, xs, y};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i) {
        free(all[i]);
    }
}

static void test_fused(void **state) {
    (void)state;
#ifdef HO_TARGET_CUDA
    skip(); /* tests/gpusim/tests/test_fused_conv.c has its shapes and precisions */
#endif
    /* One panel of outputs and several, the last one narrower; tiles cut by the border and not. */
    static const ho_fused_shape shapes[] = {
        {2, 18, 22, 32, 48, 0}, {3, 15, 18, 48, 32, 0}, {2, 16, 16, 32, 112, 0}, {2, 16, 17, 64, 96, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i) {
        fused_case(shapes[i]);
    }
}

static void test_memory(void **state) {
    (void)state;
    void *memory = NULL;
    const size_t before = ho_device_bytes(device);
    assert_int_equal(ho_device_alloc(device, 1000, &memory), HO_OK);
    assert_int_equal((uintptr_t)memory % 256, 0);
    assert_int_equal(ho_device_bytes(device), before + 1000);
    char host[1000], back[1000];
    memset(host, 5, sizeof host);
    assert_int_equal(ho_device_upload(device, memory, host, sizeof host), HO_OK);
    assert_int_equal(ho_device_download(device, back, memory, sizeof back), HO_OK);
    assert_memory_equal(host, back, sizeof host);
    ho_device_free(device, memory);
    assert_int_equal(ho_device_bytes(device), before);
    assert_int_equal(ho_device_alloc(device, (size_t)-1 / 2, &memory), HO_EMEMORY);
    assert_non_null(strstr(ho_error(), "cannot allocate"));
}

enum { PIECES = 37 };
typedef struct {
    int done[PIECES], fails, lanes;
} each_state;

static ho_status one_piece(void *state, int64_t i, int lane) {
    each_state *s = state;
    if (lane < 0 || lane >= s->lanes) {
        HO_FAIL(HO_ESHAPE, "lane %d of %d", lane, s->lanes);
    }
    s->done[i] += 1;
    if ((int)i == s->fails) {
        HO_FAIL(HO_ENUMERIC, "piece %d is bad", (int)i);
    }
    return HO_OK;
}

static void test_each_piece_is_done_once_and_the_failure_is_told(void **state) {
    (void)state;
    each_state s = {.fails = -1, .lanes = ho_device_lanes(device)};
    assert_true(s.lanes >= 1);
    assert_int_equal(ho_device_each(device, PIECES, one_piece, &s), HO_OK);
    for (int i = 0; i < PIECES; ++i) {
        assert_int_equal(s.done[i], 1);
    }
    s.fails = PIECES / 2;
    assert_int_equal(ho_device_each(device, PIECES, one_piece, &s), HO_ENUMERIC);
    assert_string_equal(ho_error(), "piece 18 is bad");
    assert_int_equal(ho_device_each(device, 0, one_piece, &s), HO_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory), cmocka_unit_test(test_each_piece_is_done_once_and_the_failure_is_told),
        cmocka_unit_test(test_gemm),   cmocka_unit_test(test_conv),
        cmocka_unit_test(test_fused),  cmocka_unit_test(test_conv_repeats_bit_for_bit),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
