/* Huge cases of kernels over images, NHWC: a block has one pixel or one line of pixels. */
#include "huge.h"

#include <math.h>

#include "fir.h"
#include "modconv.h"
#include "pool.h"
#include "resample.h"

enum { A = 1, B, C, D };

static double at(int id, int64_t i) {
    return ot_huge_value(id, i);
}

static ot_places whole(int64_t n) {
    return ot_ends(n, n);
}

/* Blocks come back after 65535 pixels of the result. Places of an image where `per` of its units are for one of those;
 * some units more on both sides. */
static ot_places around(int64_t n, int64_t unit, double per, int64_t more) {
    const ot_places p = {n, (int64_t)(OT_BLOCKS * per) * unit, (2 + more) * unit};
    return p;
}

/* ---- the pixels between two lines: shapes of all that follow
 * -------------------------------------------------------------- */

typedef struct {
    int64_t N, H, W, C, P, Q;
} shape;
/* Twice as large with a large result, and half as large with a large input. */
static const shape LARGER = {1, 128, 129, 32600, 256, 258}, SMALLER = {1, 512, 516, 8200, 256, 258};

static int64_t size_x(const shape *s) {
    return s->N * s->H * s->W * s->C;
}

static int64_t size_y(const shape *s) {
    return s->N * s->P * s->Q * s->C;
}

static double pixel(const shape *s, int64_t h, int64_t w, int64_t c) {
    return at(A, (h * s->W + w) * s->C + c);
}

/* ---- bilinear resampling
 * -------------------------------------------------------------------------------------------------- */

static double resample_truth(const void *about, int64_t i) {
    const shape *s = about;
    const int64_t c = i % s->C, q = i / s->C % s->Q, p = i / s->C / s->Q;
    const double v = fmax(0.0, ((double)p + 0.5) * (double)s->H / (double)s->P - 0.5);
    const double u = fmax(0.0, ((double)q + 0.5) * (double)s->W / (double)s->Q - 0.5);
    const int64_t h = (int64_t)v, w = (int64_t)u, h1 = h + 1 < s->H ? h + 1 : h, w1 = w + 1 < s->W ? w + 1 : w;
    const double a = v - (double)h, b = u - (double)w;
    return (1.0 - a) * ((1.0 - b) * pixel(s, h, w, c) + b * pixel(s, h, w1, c)) +
           a * ((1.0 - b) * pixel(s, h1, w, c) + b * pixel(s, h1, w1, c));
}

static ho_status resample(ot_huge *h, const shape *s) {
    const ho_resample_shape k = {s->N, s->H, s->W, s->C, s->P, s->Q, false};
    const int64_t row = s->W * s->C;
    ho_real *x, *y;
    h->about = s;
    HO_TRY(ot_huge_input(h, A, (ot_places){size_x(s), OT_BLOCKS / s->Q * s->H / s->P * row, 2 * row}, &x));
    HO_TRY(ot_huge_new(h, size_y(s), &y));
    HO_TRY(ho_k_resample(h->stream, &k, x, y));
    return ot_huge_check(h, "y", y, ot_units(size_y(s), s->C, 0), resample_truth);
}

static ho_status resample_larger(ot_huge *h) {
    return resample(h, &LARGER);
}

static ho_status resample_smaller(ot_huge *h) {
    return resample(h, &SMALLER);
}

/* ---- pooling
 * ---------------------------------------------------------------------------------------------------------------- */

static double mean_truth(const void *about, int64_t i) {
    const shape *s = about;
    const int64_t c = i % s->C, q = i / s->C % s->Q, p = i / s->C / s->Q;
    return 0.25 * (pixel(s, 2 * p, 2 * q, c) + pixel(s, 2 * p, 2 * q + 1, c) + pixel(s, 2 * p + 1, 2 * q, c) +
                   pixel(s, 2 * p + 1, 2 * q + 1, c));
}

static double most_truth(const void *about, int64_t i) {
    const shape *s = about;
    const int64_t c = i % s->C, q = i / s->C % s->Q, p = i / s->C / s->Q;
    return fmax(fmax(pixel(s, 2 * p, 2 * q, c), pixel(s, 2 * p, 2 * q + 1, c)),
                fmax(pixel(s, 2 * p + 1, 2 * q, c), pixel(s, 2 * p + 1, 2 * q + 1, c)));
}

static ho_status pool(ot_huge *h) {
    const shape *s = &SMALLER;
    const ho_pool_shape k = {s->N, s->H, s->W, s->C, s->P, s->Q, 2, 2, 0};
    const int64_t row = s->W * s->C;
    ho_real *x, *y;
    h->about = s;
    HO_TRY(ot_huge_input(h, A, (ot_places){size_x(s), OT_BLOCKS / s->Q * 2 * row, 4 * row}, &x));
    HO_TRY(ot_huge_new(h, size_y(s), &y));
    HO_TRY(ho_k_avg_pool(h->stream, &k, x, y));
    HO_TRY(ot_huge_check(h, "means", y, ot_units(size_y(s), s->C, 0), mean_truth));
    HO_TRY(ho_k_max_pool(h->stream, &k, x, y, NULL));
    return ot_huge_check(h, "maxima", y, ot_units(size_y(s), s->C, 0), most_truth);
}

static double spread_truth(const void *about, int64_t i) {
    const shape *s = about;
    const int64_t c = i % s->C, w = i / s->C % s->W, h = i / s->C / s->W;
    return 0.25 * at(A, (h / 2 * s->Q + w / 2) * s->C + c);
}

static ho_status pool_gradient(ot_huge *h) {
    const shape *s = &SMALLER;
    const ho_pool_shape k = {s->N, s->H, s->W, s->C, s->P, s->Q, 2, 2, 0};
    ho_real *g_y, *g_x;
    h->about = s;
    HO_TRY(ot_huge_input(h, A, around(size_y(s), s->C, 0.25, 2 * s->Q), &g_y));
    HO_TRY(ot_huge_new(h, size_x(s), &g_x));
    HO_TRY(ho_k_avg_pool_backward(h->stream, &k, g_y, g_x, false));
    return ot_huge_check(h, "g_x", g_x, ot_units(size_x(s), s->C, 0), spread_truth);
}

/* ---- FIR: lines of four pixels
 * ------------------------------------------------------------------------------------------------ */

static const shape TALL = {1, 32769, 4, 8200, 65538, 8}, FLAT = {1, 65538, 4, 8200, 65538, 4};

/* Zeros between the pixels, 16 taps. */
static double fir_truth(const void *about, int64_t i) {
    static const double TAP[4] = {0.125, 0.375, 0.375, 0.125};
    const shape *s = about;
    const int64_t up = s->P / s->H, before = up == 2 ? 2 : 1;
    const int64_t c = i % s->C, q = i / s->C % s->Q, p = i / s->C / s->Q;
    double sum = 0.0;
    for (int64_t t = 0; t < 16; ++t) {
        const int64_t h = p + t / 4 - before, w = q + t % 4 - before;
        if (h >= 0 && w >= 0 && h % up == 0 && w % up == 0 && h / up < s->H && w / up < s->W) {
            sum += 1.5 * TAP[t / 4] * TAP[t % 4] * pixel(s, h / up, w / up, c);
        }
    }
    return sum;
}

static ho_status fir(ot_huge *h, const shape *s) {
    const int64_t up = s->P / s->H;
    const ho_fir_shape k = {s->N, s->H, s->W, s->C, s->P, s->Q, up, 1, up == 2 ? 2 : 1, 1.5F};
    ho_real *x, *y;
    h->about = s;
    HO_TRY(ot_huge_input(h, A, around(size_x(s), s->W * s->C, 1.0 / (double)up, 4), &x));
    HO_TRY(ot_huge_new(h, size_y(s), &y));
    HO_TRY(ho_k_fir(h->stream, &k, x, false, y));
    return ot_huge_check(h, "y", y, ot_units(size_y(s), s->Q * s->C, 0), fir_truth);
}

static ho_status fir_pairs(ot_huge *h) {
    return fir(h, &TALL);
}

static ho_status fir_window(ot_huge *h) {
    return fir(h, &FLAT);
}

/* ---- modulation and epilogue: 65 samples of 1024 segments
 * ----------------------------------------------------------------------- */

static const int64_t SAMPLES = 65, PIXELS = 65536, CHANNELS = 505;

static double modulated_truth(const void *about, int64_t i) {
    (void)about;
    return at(A, i) * at(B, i / CHANNELS / PIXELS * CHANNELS + i % CHANNELS);
}

static ho_status modulation(ot_huge *h) {
    const int64_t dim[3] = {SAMPLES, PIXELS, CHANNELS}, n = SAMPLES * PIXELS * CHANNELS;
    const ot_places places = ot_units(n, 64 * CHANNELS, 0);
    ho_k_modulate_gradients g = {.N = SAMPLES, .pixels = PIXELS, .I = CHANNELS};
    ho_real *x, *s, *y;
    HO_TRY(ot_huge_input(h, A, places, &x));
    HO_TRY(ot_huge_input(h, B, whole(SAMPLES * CHANNELS), &s));
    HO_TRY(ot_huge_new(h, n, &y));
    HO_TRY(ho_k_modulate(h->stream, dim, x, s, y));
    HO_TRY(ot_huge_check(h, "xs", y, places, modulated_truth));
    HO_TRY(ot_huge_new(h, n, &g.g_x));
    HO_TRY(ot_huge_new(h, SAMPLES * 1024 * CHANNELS, &g.scratch));
    g.x = y;
    g.s = s;
    g.g_xs = x;
    HO_TRY(ho_k_modulate_backward(h->stream, &g));
    return ot_huge_check(h, "g_x", g.g_x, places, modulated_truth);
}

/* Lines (n, h) of 65538 with Q pixels and O channels. */
static const int64_t P = 21846, Q = 4, O = 8200;

static double epilogue(double convolved, int64_t i) {
    const int64_t o = i % O, at_pixel = i / O % (P * Q), n = i / O / P / Q;
    const double v = at(B, n * O + o) * convolved + 0.5 * at(D, at_pixel) + at(C, o);
    return 1.5 * (v > 0.0 ? v : 0.25 * v);
}

static double epilogue_truth(const void *about, int64_t i) {
    (void)about;
    return epilogue(at(A, i), i);
}

/* t (3, P + 1, Q + 1, O), taps [1, 3, 3, 1] / 4 with a border of 1. */
static double filtered_truth(const void *about, int64_t i) {
    static const double TAP[4] = {0.25, 0.75, 0.75, 0.25};
    const int64_t o = i % O, q = i / O % Q, p = i / O / Q % P, n = i / O / Q / P;
    double sum = 0.0;
    (void)about;
    for (int64_t k = 0; k < 16; ++k) {
        const int64_t h = p + k / 4 - 1, w = q + k % 4 - 1;
        if (h >= 0 && w >= 0 && h <= P && w <= Q) {
            sum += TAP[k / 4] * TAP[k % 4] * at(A, ((n * (P + 1) + h) * (Q + 1) + w) * O + o);
        }
    }
    return epilogue(sum, i);
}

static ho_status epilogues(ot_huge *h) {
    const ot_places places = ot_units(3 * P * Q * O, Q * O, 0);
    const int64_t t_line = (Q + 1) * O, t_size = 3 * (P + 1) * t_line;
    ho_k_epilogue e = {.N = 3, .P = P, .Q = Q, .O = O, .gain = 1.5F, .slope = 0.25F};
    ho_real *y, *t, *d, *b, *noise, *strength;
    HO_TRY(ot_huge_input(h, A, places, &y));
    HO_TRY(ot_huge_input(h, A, (ot_places){t_size, 65537 * t_line, 5 * t_line}, &t));
    HO_TRY(ot_huge_input(h, B, whole(3 * O), &d));
    HO_TRY(ot_huge_input(h, C, whole(O), &b));
    HO_TRY(ot_huge_input(h, D, whole(P * Q), &noise));
    HO_TRY(ot_huge_new(h, 1, &strength));
    const ho_real half = 0.5F;
    HO_TRY(ho_device_upload(h->device, strength, &half, sizeof half));
    e.d = d;
    e.b = b;
    e.noise = noise;
    e.strength = strength;
    HO_TRY(ho_k_epilogue_forward(h->stream, &e, y));
    HO_TRY(ot_huge_check(h, "y", y, places, epilogue_truth));
    HO_TRY(ho_k_epilogue_fir_forward(h->stream, &e, t, y));
    return ot_huge_check(h, "y filtered", y, places, filtered_truth);
}

const ot_huge_case ot_huge_images[] = {
    {"resample_larger", "resample_kernel", resample_larger, 0},
    {"resample_smaller", "resample_kernel", resample_smaller, 0},
    {"pool", "avg_pool_kernel max_pool_kernel", pool, 0},
    {"avg_pool_backward", "avg_pool_backward_kernel", pool_gradient, 0},
    {"fir_pairs", "fir_pairs", fir_pairs, 0},
    {"fir_window", "fir_window", fir_window, 0},
    {"modulate", "modulate modulate_backward", modulation, 0},
    {"epilogue", "epilogue_forward epilogue_fir_forward", epilogues, 0},
    {0},
};
