/* Modulated convolution against its definition: a weight tensor for each sample (Karras et al. 2020,
 * equations 1 and 3). */
#include "gradcheck.h"

#include <math.h>
#include <stdlib.h>

/* Inputs: x, style, weight, then as the options say bias, and noise (no gradient) and strength. */
typedef struct {
    bool bias, noise, up, demodulate;
    double w_gain;
    ho_act act;
} options;

static ho_status build(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    const options *v = c->user;
    const int at = v->bias ? 4 : 3;
    const ho_modconv_args args = {x[1],
                                  x[2],
                                  v->bias ? x[3] : NULL,
                                  v->noise ? x[at] : NULL,
                                  v->noise ? x[at + 1] : NULL,
                                  v->up,
                                  v->demodulate,
                                  v->w_gain,
                                  v->act};
    return ho_modconv(context, x[0], &args, y);
}

/* The weight of sample n: s w d, (O, k, k, I). */
static void sample_weight(const gc_case *c, const double *style, const double *w, double *out) {
    const options *v = c->user;
    const int64_t *d = c->input[2].dim, size = d[1] * d[2] * d[3];
    for (int64_t o = 0; o < d[0]; ++o) {
        double sum = 0.0;
        for (int64_t i = 0; i < size; ++i) {
            out[o * size + i] = w[o * size + i] * style[i % d[3]];
            sum += out[o * size + i] * out[o * size + i];
        }
        for (int64_t i = 0; i < size; ++i) {
            out[o * size + i] *= v->demodulate ? 1.0 / sqrt(sum + 1e-8) : v->w_gain;
        }
    }
}

/* t (2H+1, 2W+1, O): every input pixel spreads its k x k footprint. */
static void spread(const int64_t *d, int64_t O, const double *x, const double *w, double *t) {
    const int64_t H = d[1], W = d[2], I = d[3], width = 2 * W + 1;
    for (int64_t i = 0; i < (2 * H + 1) * width * O; ++i) {
        t[i] = 0.0;
    }
    for (int64_t p = 0; p < H * W; ++p) {
        for (int64_t k = 0; k < 9; ++k) {
            for (int64_t o = 0; o < O; ++o) {
                double *to = &t[((2 * (p / W) + k / 3) * width + 2 * (p % W) + k % 3) * O + o];
                for (int64_t i = 0; i < I; ++i) {
                    *to += x[p * I + i] * w[(o * 9 + k) * I + i];
                }
            }
        }
    }
}

/* c (2H, 2W, O): the 16 taps [1,3,3,1] (x) [1,3,3,1] / 16 on t with padding 1. */
static void filter(int64_t P, int64_t Q, int64_t O, const double *t, double *c) {
    static const double TAP[4] = {0.25, 0.75, 0.75, 0.25};
    for (int64_t at = 0; at < P * Q * O; ++at) {
        c[at] = 0.0;
        for (int k = 0; k < 16; ++k) {
            const int64_t h = at / O / Q + k / 4 - 1, w = at / O % Q + k % 4 - 1;
            if (h >= 0 && h <= P && w >= 0 && w <= Q) {
                c[at] += TAP[k / 4] * TAP[k % 4] * t[(h * (Q + 1) + w) * O + at % O];
            }
        }
    }
}

static void convolve(const int64_t *d, int64_t O, int64_t k, const double *x, const double *w, double *c) {
    const int64_t H = d[1], W = d[2], I = d[3];
    for (int64_t at = 0; at < H * W * O; ++at) {
        c[at] = 0.0;
        for (int64_t t = 0; t < k * k; ++t) {
            const int64_t h = at / O / W + t / k - k / 2, v = at / O % W + t % k - k / 2;
            for (int64_t i = 0; i < I && h >= 0 && h < H && v >= 0 && v < W; ++i) {
                c[at] += x[(h * W + v) * I + i] * w[(at % O * k * k + t) * I + i];
            }
        }
    }
}

static void reference(const gc_case *c, const double *const *x, double *y) {
    const options *v = c->user;
    const int64_t *d = c->input[0].dim, I = d[3], P = c->out_dim[1], Q = c->out_dim[2], O = c->out_dim[3];
    const int64_t k = c->input[2].dim[1], pixels = P * Q;
    const int at = v->bias ? 4 : 3;
    double *w = calloc((size_t)(O * k * k * I), sizeof *w), *t = calloc((size_t)((P + 1) * (Q + 1) * O), sizeof *t);
    for (int64_t n = 0; n < d[0]; ++n) {
        const double *image = x[0] + n * d[1] * d[2] * I;
        double *out = y + n * pixels * O;
        sample_weight(c, x[1] + n * I, x[2], w);
        if (v->up) {
            spread(d, O, image, w, t);
            filter(P, Q, O, t, out);
        } else {
            convolve(d, O, k, image, w, out);
        }
        for (int64_t i = 0; i < pixels * O; ++i) {
            double pre = out[i] + (v->bias ? x[3][i % O] : 0.0);
            if (v->noise) {
                pre += x[at + 1][0] * x[at][(c->input[at].rank == 3 ? n * pixels : 0) + i / O];
            }
            out[i] = v->act.gain * (v->act.act == HO_LRELU && pre < 0.0 ? v->act.slope * pre : pre);
        }
    }
    free(w);
    free(t);
}

#define LRELU2                                                                                                         \
    { HO_LRELU, 0.2, 1.0, 1.0, 1.4142135623730951 }

#define INPUTS(n, h, w, i, o, k)                                                                                       \
    {4, {n, h, w, i}, GC_NORMAL, false}, {2, {n, i}, GC_POSITIVE, false}, {                                            \
        4, {o, k, k, i}, GC_NORMAL, false                                                                              \
    }
#define TERMS(n, h, w, i, o, k) ((n) * (h) * (w)*4 + (k) * (k) * ((i) + (o)))

static void to_rgb(void **state) {
    (void)state;
    static const options V = {true, false, false, false, 0.37, {HO_LINEAR, 0.0, 1.0, 1.0, 1.0}};
    static const options BARE = {false, false, false, true, 0.0, {HO_LRELU, 0.0, 1.0, 1.0, 2.0}};
#define RGB(n, h, w, i, o)                                                                                             \
    {                                                                                                                  \
        "modconv toRGB", build, reference, 4, {INPUTS(n, h, w, i, o, 1), {1, {o}, GC_NORMAL, false}}, 4, {n, h, w, o}, \
            TERMS(n, h, w, i, o, 1), 0, 0, .user = &V                                                                  \
    }
    const gc_case cases[] = {
        RGB(1, 1, 1, 1, 1),
        RGB(2, 3, 5, 7, 3),
        RGB(3, 4, 4, 17, 3),
        {"modconv 1x1 demodulated, ReLU",
         build,
         reference,
         3,
         {INPUTS(2, 3, 3, 5, 4, 1)},
         4,
         {2, 3, 3, 4},
         100,
         0,
         0.01,
         .user = &BARE},
    };
    gc_run("modconv 1x1", cases, CHECK_LEN(cases));
}

static void plain(void **state) {
    (void)state;
    static const options V = {true, true, false, true, 0.0, LRELU2};
    static const options RAW = {false, false, false, true, 0.0, {HO_LINEAR, 0.0, 1.0, 1.0, 1.0}};
#define PLAIN(n, h, w, i, o)                                                                                           \
    {                                                                                                                  \
        "modconv 3x3, shared noise", build, reference, 6,                                                              \
            {INPUTS(n, h, w, i, o, 3),                                                                                 \
             {1, {o}, GC_NORMAL, false},                                                                               \
             {2, {h, w}, GC_NORMAL, true},                                                                             \
             {1, {1}, GC_POSITIVE, false}},                                                                            \
            4, {n, h, w, o}, TERMS(n, h, w, i, o, 3), 0, 0.01, .user = &V, .cancels = (i) == 1 ? 1.0 : 0.0             \
    }
#define NOISY(n, h, w, i, o)                                                                                           \
    {                                                                                                                  \
        "modconv 3x3, noise a sample", build, reference, 6,                                                            \
            {INPUTS(n, h, w, i, o, 3),                                                                                 \
             {1, {o}, GC_NORMAL, false},                                                                               \
             {3, {n, h, w}, GC_NORMAL, true},                                                                          \
             {1, {1}, GC_POSITIVE, false}},                                                                            \
            4, {n, h, w, o}, TERMS(n, h, w, i, o, 3), 0, 0.01, .user = &V                                              \
    }
    const gc_case cases[] = {
        PLAIN(1, 1, 1, 1, 1),
        PLAIN(2, 5, 3, 3, 2),
        PLAIN(1, 7, 4, 2, 17),
        NOISY(3, 4, 4, 2, 3),
        {"modconv 3x3, bare",
         build,
         reference,
         3,
         {INPUTS(2, 3, 4, 5, 3, 3)},
         4,
         {2, 3, 4, 3},
         120,
         0,
         0,
         .user = &RAW},
    };
    gc_run("modconv 3x3", cases, CHECK_LEN(cases));
}

static void up(void **state) {
    (void)state;
    static const options V = {true, true, true, true, 0.0, LRELU2};
    static const options RAW = {false, false, true, false, 0.5, {HO_LINEAR, 0.0, 1.0, 1.0, 1.0}};
#define UP(n, h, w, i, o)                                                                                              \
    {                                                                                                                  \
        "modconv up", build, reference, 6,                                                                             \
            {INPUTS(n, h, w, i, o, 3),                                                                                 \
             {1, {o}, GC_NORMAL, false},                                                                               \
             {2, {2 * (h), 2 * (w)}, GC_NORMAL, true},                                                                 \
             {1, {1}, GC_POSITIVE, false}},                                                                            \
            4, {n, 2 * (h), 2 * (w), o}, 4 * TERMS(n, h, w, i, o, 3), 0, 0.02, .user = &V,                             \
                                                                               .cancels = (i) == 1 ? 1.0 : 0.0         \
    }
    const gc_case cases[] = {
        UP(1, 1, 1, 1, 1),
        UP(2, 3, 2, 3, 2),
        UP(1, 4, 5, 2, 7),
        {"modconv up, bare", build, reference, 3, {INPUTS(2, 2, 3, 2, 3, 3)}, 4, {2, 4, 6, 3}, 200, 0, 0, .user = &RAW},
    };
    gc_run("modconv up", cases, CHECK_LEN(cases));
}

/* More channels than one pass over a row takes (256): two chunks, forward only. */
static void many_channels(void **state) {
    (void)state;
    static const options V = {false, false, true, true, 0.0, LRELU2};
    const gc_case c = {
        "modconv up, 259 channels",
        build,
        reference,
        3,
        {{4, {1, 2, 2, 1}, GC_NORMAL, true}, {2, {1, 1}, GC_POSITIVE, false}, {4, {259, 3, 3, 1}, GC_NORMAL, true}},
        4,
        {1, 4, 4, 259},
        5000,
        0,
        1.0,
        .user = &V,
        .cancels = 1.0};
    gc_run("modconv, many channels", &c, 1);
}

static void wrong_shapes(void **state) {
    (void)state;
    ho_context *context;
    ho_tensor *x, *s, *w, *narrow, *noise, *y;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2, 4, 4, 3), &x));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2, 3), &s));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(5, 3, 3, 3), &w));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(5, 3, 3, 2), &narrow));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(4, 5), &noise));
    ho_modconv_args args = {s, narrow, NULL, NULL, NULL, false, true, 1.0, LRELU2};
    CHECK_FAILS(ho_modconv(context, x, &args, &y), HO_ESHAPE, "modconv", "(2, 4, 4, 3)", "(5, 3, 3, 2)");
    args.weight = w;
    args.style = noise;
    CHECK_FAILS(ho_modconv(context, x, &args, &y), HO_ESHAPE, "style", "(4, 5)", "(2, 3)");
    args.style = s;
    args.noise = noise;
    CHECK_FAILS(ho_modconv(context, x, &args, &y), HO_ESHAPE, "noise", "(4, 5)", "(4, 4)");
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(to_rgb), cmocka_unit_test(plain), cmocka_unit_test(up),
                                       cmocka_unit_test(many_channels), cmocka_unit_test(wrong_shapes)};
    return cmocka_run_group_tests_name("modconv", tests, NULL, NULL);
}
