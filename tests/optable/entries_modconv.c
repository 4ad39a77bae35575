/* Modulated convolution by its definition: a weight tensor for each sample. Cases: N, H, W, I, O, k. Inputs: x, style,
 * weight, then as the options say bias, and noise (no gradient) and strength. */
#include "table.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    bool bias, noise, noise_each, up, demodulate;
    double w_gain;
    ho_act act;
    bool fixed_x, tiny_w; /* no gradient for x; weights that the demodulation's epsilon shows in (no gradient) */
} form;

#define LRELU2                                                                                                         \
    { HO_LRELU, 0.2, 1.0, 1.0, 1.4142135623730951 }
static const form PLAIN = {true, true, false, false, true, 0.0, LRELU2};
static const form EACH = {true, true, true, false, true, 0.0, LRELU2};
static const form UP = {true, true, false, true, true, 0.0, LRELU2};
static const form UP_BARE = {false, false, false, true, true, 0.0, {HO_LINEAR, 0.0, 1.0, 1.0, 1.0}};
static const form RGB = {true, false, false, false, false, 0.37, {HO_LINEAR, 0.0, 1.0, 1.0, 1.0}};
static const form BARE = {false, false, false, false, true, 0.0, {HO_LRELU, 0.0, 1.0, 1.0, 2.0}};
static const form FIXED = {true, true, false, false, true, 0.0, LRELU2, .fixed_x = true};
static const form NOISE = {false, true, false, false, true, 0.0, LRELU2};
static const form UP_NOISE = {false, true, true, true, true, 0.0, LRELU2};
static const form TINY = {true, true, false, false, true, 0.0, LRELU2, .tiny_w = true};

/* Rounding to TF32 may turn the sign of a number near 0, and with it the slope: without a kink the budget is tighter.
 */
static const form SMOOTH = {true, true, true, false, true, 0.0, {HO_LINEAR, 0.0, 1.0, 1.0, 1.5}};
static const form SMOOTH_UP = {true, true, false, true, true, 0.0, {HO_LINEAR, 0.0, 1.0, 1.0, 1.5}};

static void shape(ot_problem *p) {
    const int64_t *n = p->n;
    const form *f = p->options;
    const int64_t P = f->up ? 2 * n[1] : n[1], Q = f->up ? 2 * n[2] : n[2];
    (f->fixed_x ? ot_in_constant : ot_in)(p, OT_NORMAL, HO_SHAPE(n[0], n[1], n[2], n[3]));
    ot_in(p, OT_POSITIVE, HO_SHAPE(n[0], n[3]));
    (f->tiny_w ? ot_in_constant : ot_in)(p, f->tiny_w ? OT_TINY : OT_NORMAL, HO_SHAPE(n[4], n[5], n[5], n[3]));
    if (f->bias) {
        ot_in(p, OT_NORMAL, HO_SHAPE(n[4]));
    }
    if (f->noise && f->noise_each) {
        ot_in_constant(p, OT_NORMAL, HO_SHAPE(n[0], P, Q));
    } else if (f->noise) {
        ot_in_constant(p, OT_NORMAL, HO_SHAPE(P, Q));
    }
    if (f->noise) {
        ot_in(p, OT_POSITIVE, HO_SHAPE(1));
    }
    ot_out(p, (double)(n[0] * P * Q + n[5] * n[5] * (n[3] + n[4])), HO_SHAPE(n[0], P, Q, n[4]));
}

static ho_status run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const form *f = p->options;
    const int at = f->bias ? 4 : 3;
    const ho_modconv_args args = {x[1],
                                  x[2],
                                  f->bias ? x[3] : NULL,
                                  f->noise ? x[at] : NULL,
                                  f->noise ? x[at + 1] : NULL,
                                  f->up,
                                  f->demodulate,
                                  f->w_gain,
                                  f->act};
    return ho_modconv(context, x[0], &args, y);
}

/* The weight of one sample: s w d, (O, k, k, I). */
static void sample_weight(const ot_problem *p, const double *style, const double *w, double *out) {
    const form *f = p->options;
    const int64_t I = p->n[3], size = p->n[5] * p->n[5] * I;
    for (int64_t o = 0; o < p->n[4]; ++o) {
        double sum = 0.0;
        for (int64_t i = 0; i < size; ++i) {
            out[o * size + i] = w[o * size + i] * style[i % I];
            sum += out[o * size + i] * out[o * size + i];
        }
        for (int64_t i = 0; i < size; ++i) {
            out[o * size + i] *= f->demodulate ? 1.0 / sqrt(sum + 1e-8) : f->w_gain;
        }
    }
}

static void convolve(const ot_problem *p, const double *x, const double *w, double *y) {
    const int64_t H = p->n[1], W = p->n[2], I = p->n[3], O = p->n[4], k = p->n[5];
    for (int64_t at = 0; at < H * W * O; ++at) {
        y[at] = 0.0;
        for (int64_t t = 0; t < k * k; ++t) {
            const int64_t h = at / O / W + t / k - k / 2, v = at / O % W + t % k - k / 2;
            for (int64_t i = 0; i < I && h >= 0 && h < H && v >= 0 && v < W; ++i) {
                y[at] += x[(h * W + v) * I + i] * w[(at % O * k * k + t) * I + i];
            }
        }
    }
}

/* Every input pixel spreads its footprint over t (2H+1, 2W+1, O); then the 16 taps with padding 1. */
static void convolve_up(const ot_problem *p, const double *x, const double *w, double *y) {
    static const double TAP[4] = {0.25, 0.75, 0.75, 0.25};
    const int64_t H = p->n[1], W = p->n[2], I = p->n[3], O = p->n[4], T = 2 * W + 1;
    double *t = calloc((size_t)((2 * H + 1) * T * O), sizeof *t);
    for (int64_t at = 0; at < H * W * 9 * O; ++at) {
        const int64_t o = at % O, k = at / O % 9, pixel = at / O / 9;
        for (int64_t i = 0; i < I; ++i) {
            t[((2 * (pixel / W) + k / 3) * T + 2 * (pixel % W) + k % 3) * O + o] +=
                x[pixel * I + i] * w[(o * 9 + k) * I + i];
        }
    }
    for (int64_t at = 0; at < 4 * H * W * O; ++at) {
        y[at] = 0.0;
        for (int k = 0; k < 16; ++k) {
            const int64_t h = at / O / (2 * W) + k / 4 - 1, v = at / O % (2 * W) + k % 4 - 1;
            if (h >= 0 && h <= 2 * H && v >= 0 && v <= 2 * W) {
                y[at] += TAP[k / 4] * TAP[k % 4] * t[(h * T + v) * O + at % O];
            }
        }
    }
    free(t);
}

static void truth(const ot_problem *p, const double *const *x, double *y) {
    const form *f = p->options;
    const int64_t *n = p->n, O = n[4], pixels = p->output.count / n[0] / O;
    const int at = f->bias ? 4 : 3;
    double *w = calloc((size_t)(O * n[5] * n[5] * n[3]), sizeof *w);
    for (int64_t s = 0; s < n[0]; ++s) {
        double *out = y + s * pixels * O;
        sample_weight(p, x[1] + s * n[3], x[2], w);
        (f->up ? convolve_up : convolve)(p, x[0] + s * n[1] * n[2] * n[3], w, out);
        for (int64_t i = 0; i < pixels * O; ++i) {
            double pre = out[i] + (f->bias ? x[3][i % O] : 0.0);
            if (f->noise) {
                pre += x[at + 1][0] * x[at][(f->noise_each ? s * pixels : 0) + i / O];
            }
            out[i] = f->act.gain * (f->act.act == HO_LRELU && pre < 0.0 ? f->act.slope * pre : pre);
        }
    }
    free(w);
}

static const ot_case SAME[] = {
    {{1, 1, 1, 1, 1, 3}, &PLAIN},   {{2, 5, 3, 3, 5, 3}, &PLAIN}, {{2, 4, 4, 31, 33, 3}, &PLAIN},
    {{3, 3, 5, 5, 7, 3}, &EACH},    {{2, 3, 5, 7, 3, 3}, &BARE},  {{1, 3, 3, 33, 3, 1}, &BARE},
    {{1, 2, 2, 257, 3, 3}, &PLAIN}, {{5, 3, 2, 3, 4, 3}, &FIXED}, {{4, 2, 3, 5, 9, 1}, &TINY},
    {{2, 23, 29, 2, 3, 1}, &PLAIN}, {{1, 3, 3, 3, 33, 1}, &BARE}, {{2, 3, 5, 7, 3, 3}, &NOISE},
    {{1, 3, 3, 5, 33, 1}, &NOISE}};
static const ot_case TO_RGB[] = {
    {{1, 1, 1, 1, 3, 1}, &RGB}, {{2, 3, 5, 31, 3, 1}, &RGB}, {{3, 7, 5, 33, 3, 1}, &RGB}, {{1, 3, 3, 257, 1, 1}, &RGB}};
static const ot_case UPPER[] = {
    {{1, 1, 1, 1, 1, 3}, &UP},      {{2, 3, 2, 3, 5, 3}, &UP},       {{1, 2, 3, 31, 33, 3}, &UP},
    {{2, 2, 2, 5, 3, 3}, &UP_BARE}, {{1, 2, 1, 2, 257, 3}, &UP},     {{1, 1, 2, 2, 259, 3}, &UP_BARE},
    {{5, 2, 1, 2, 3, 3}, &UP},      {{2, 2, 3, 5, 3, 3}, &UP_NOISE}, {{1, 1, 2, 2, 258, 3}, &UP_NOISE}};
/* Channels as the fused kernels take them. */
static const ot_case FUSED[] = {{{1, 4, 4, 32, 32, 3}, &PLAIN},
                                {{2, 5, 7, 64, 32, 3}, &EACH},
                                {{1, 3, 3, 32, 64, 3}, &BARE},
                                {{1, 4, 4, 32, 32, 3}, &UP},
                                {{2, 3, 5, 32, 64, 3}, &UP}};

static const ot_case FUSED_SMOOTH[] = {{{1, 4, 4, 32, 32, 3}, &SMOOTH},    {{2, 5, 7, 64, 32, 3}, &SMOOTH},
                                       {{1, 1, 1, 32, 96, 3}, &SMOOTH},    {{1, 17, 9, 32, 32, 3}, &SMOOTH},
                                       {{1, 4, 4, 32, 32, 3}, &SMOOTH_UP}, {{2, 3, 5, 32, 64, 3}, &SMOOTH_UP}};

#define FORWARD "modulate weight_squares square demodulation epilogue_forward "
#define BACKWARD                                                                                                       \
    "epilogue_backward epilogue_sums epilogue_through_d epilogue_bias epilogue_strength modulate_backward "            \
    "style_total weight_squares_backward add_product scale "
const ot_entry ot_modconv[] = {
    {"modconv", FORWARD BACKWARD, shape, run, truth, OT_CASES(SAME), .gain = 2},
    {"modconv_rgb", "fill_kernel modulate_weights swap_channels epilogue_forward modulate modulate_backward", shape,
     run, truth, OT_CASES(TO_RGB), .gain = 2},
    {"modconv_up", "swap_channels epilogue_fir_forward fir_window fir_pairs " FORWARD BACKWARD, shape, run, truth,
     OT_CASES(UPPER), .gain = 2},
    {"modconv_fused",
     "fused_forward fused_input_gradient scale_gradient_total fused_swap fused_up_forward fused_weights "
     "fused_weights_total",
     shape, run, truth, OT_CASES(FUSED), .tensor_cores = true},
    {"modconv_fused_smooth", "fused_forward fused_input_gradient fused_up_forward fused_weights", shape, run, truth,
     OT_CASES(FUSED_SMOOTH), .gain = 0.125, .tensor_cores = true},
    {"modconv_fused_bf16", "fused_forward fused_input_gradient fused_up_forward fused_weights", shape, run, truth,
     OT_CASES(FUSED_SMOOTH), .gain = 0.125, .tensor_cores = true, .bf16 = true},
    {0},
};
