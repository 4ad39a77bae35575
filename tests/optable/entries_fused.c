/* The fused convolutions of the tensor cores by themselves, with operands that rounding to TF32 or bf16 leaves as they
 * are: -1, 0 and 1. Their sums are whole numbers, exact in float, so that the budget is that of the float arithmetic
 * around them and not of the rounding, and any size and any missing part can be asked for. Every element of the results
 * is compared. */
#include "table.h"

#include <stdlib.h>

/* Cases: N, H, W, C, O, up, and which parts there are. */
enum { SCALE = 1, DEMODULATION = 2, BIAS = 4, NOISE = 8, EACH = 16, ADDED = 32, NO_X = 64, NO_SCALE = 128 };
enum { EPILOGUE = DEMODULATION | BIAS | NOISE };

static bool has(const ot_problem *p, int64_t part) {
    return (p->n[6] & part) != 0;
}

static ho_fused_shape fused_shape(const ot_problem *p) {
    return (ho_fused_shape){p->n[0], p->n[1], p->n[2], p->n[3], p->n[4], p->n[5] != 0};
}

/* Rows or columns of what the convolution gives: of t when up. */
static int64_t conv_size(const ot_problem *p, int64_t size) {
    return p->n[5] != 0 ? 2 * size + 1 : size;
}

static double element(const double *image, int64_t n, int64_t h, int64_t w, int64_t c, const int64_t size[3]) {
    return h < 0 || h >= size[0] || w < 0 || w >= size[1] ? 0.0
                                                          : image[((n * size[0] + h) * size[1] + w) * size[2] + c];
}

/* Calls add(about, input pixel, output pixel, tap) for every pair of pixels that tap k of the convolution joins. */
typedef void pair_call(const ot_problem *p, const double *const *x, double *y, int64_t in, int64_t out, int64_t tap);
static void each_pair(const ot_problem *p, const double *const *x, double *y, pair_call *call) {
    const int64_t H = p->n[1], W = p->n[2], P = conv_size(p, H), Q = conv_size(p, W);
    for (int64_t at = 0; at < p->n[0] * H * W * 9; ++at) {
        const int64_t tap = at % 9, in = at / 9, h = in / W % H, w = in % W;
        const int64_t a = p->n[5] != 0 ? 2 * h + tap / 3 : h + 1 - tap / 3;
        const int64_t b = p->n[5] != 0 ? 2 * w + tap % 3 : w + 1 - tap % 3;
        if (a >= 0 && a < P && b >= 0 && b < Q) {
            call(p, x, y, in, (in / (H * W) * P + a) * Q + b, tap);
        }
    }
}

/* ---- forward: x, scale, w, d, b, noise, strength ------------------------------------------------------------------
 */

static void forward_shape(ot_problem *p) {
    const int64_t *n = p->n, P = n[5] != 0 ? 2 * n[1] : n[1], Q = n[5] != 0 ? 2 * n[2] : n[2];
    ot_in(p, OT_STEPS, HO_SHAPE(n[0], n[1], n[2], n[3]));
    ot_in(p, OT_STEPS, HO_SHAPE(n[0], n[3]));
    ot_in(p, OT_STEPS, HO_SHAPE(n[4], 3, 3, n[3]));
    ot_in(p, OT_NORMAL, HO_SHAPE(n[0], n[4]));
    ot_in(p, OT_NORMAL, HO_SHAPE(n[4]));
    ot_in(p, OT_NORMAL, HO_SHAPE(n[0], P, Q));
    ot_in(p, OT_POSITIVE, HO_SHAPE(1));
    ot_out(p, 16, HO_SHAPE(n[0], P, Q, n[4]));
}

static const float GAIN = 1.5F, SLOPE = 0.25F;

static ho_status forward_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const ho_fused_shape s = fused_shape(p);
    const ho_conv_epilogue e = {has(p, DEMODULATION) ? x[3]->data : NULL,
                                has(p, BIAS) ? x[4]->data : NULL,
                                has(p, NOISE) ? x[5]->data : NULL,
                                has(p, NOISE) ? x[6]->data : NULL,
                                has(p, EACH) ? p->output.dim[1] * p->output.dim[2] : 0,
                                GAIN,
                                SLOPE};
    HO_TRY(ho_tensor_new(context, 4, p->output.dim, y));
    return ho_fused_forward(ho_context_device(context), &s, x[0]->data, has(p, SCALE) ? x[1]->data : NULL, x[2]->data,
                            has(p, EPILOGUE) ? &e : NULL, (*y)->data);
}

static void forward_pair(const ot_problem *p, const double *const *x, double *y, int64_t in, int64_t out, int64_t tap) {
    const int64_t C = p->n[3], O = p->n[4], n = in / (p->n[1] * p->n[2]);
    for (int64_t o = 0; o < O; ++o) {
        for (int64_t c = 0; c < C; ++c) {
            const double scale = has(p, SCALE) ? x[1][n * C + c] : 1.0;
            y[out * O + o] += x[0][in * C + c] * scale * x[2][(o * 9 + tap) * C + c];
        }
    }
}

/* [1, 3, 3, 1] / 4 on each axis with a border of 1. */
static double filtered(const ot_problem *p, const double *t, int64_t n, int64_t h, int64_t w, int64_t o) {
    static const double TAP[4] = {0.25, 0.75, 0.75, 0.25};
    const int64_t size[3] = {conv_size(p, p->n[1]), conv_size(p, p->n[2]), p->n[4]};
    double sum = 0.0;
    for (int64_t k = 0; k < 16; ++k) {
        sum += TAP[k / 4] * TAP[k % 4] * element(t, n, h + k / 4 - 1, w + k % 4 - 1, o, size);
    }
    return sum;
}

static void forward_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t *n = p->n, O = n[4], P = p->output.dim[1], Q = p->output.dim[2];
    const int64_t size[3] = {conv_size(p, n[1]), conv_size(p, n[2]), O};
    double *conv = calloc((size_t)(n[0] * size[0] * size[1] * O), sizeof *conv);
    each_pair(p, x, conv, forward_pair);
    for (int64_t i = 0; i < p->output.count; ++i) {
        const int64_t o = i % O, w = i / O % Q, h = i / O / Q % P, s = i / O / Q / P;
        double v = n[5] != 0 ? filtered(p, conv, s, h, w, o) : element(conv, s, h, w, o, size);
        v *= has(p, DEMODULATION) ? x[3][s * O + o] : 1.0;
        v += has(p, BIAS) ? x[4][o] : 0.0;
        v += has(p, NOISE) ? x[6][0] * x[5][((has(p, EACH) ? s : 0) * P + h) * Q + w] : 0.0;
        y[i] = has(p, EPILOGUE) ? (double)GAIN * (v > 0.0 ? v : (double)SLOPE * v) : v;
    }
    free(conv);
}

/* Those with many lines have the blocks of 64 channels. */
#define SIZES(up)                                                                                                      \
    {{1, 1, 1, 1, 1, up, SCALE | EPILOGUE}, NULL}, {{2, 5, 7, 3, 5, up, SCALE | EPILOGUE | EACH}, NULL},               \
        {{1, 9, 17, 5, 31, up, DEMODULATION}, NULL}, {{2, 3, 15, 17, 33, up, SCALE | BIAS}, NULL},                     \
        {{1, 4, 33, 20, 34, up, NOISE | SCALE}, NULL}, {{1, 7, 6, 36, 36, up, 0}, NULL},                               \
        {{3, 13, 2, 16, 2, up, SCALE | EPILOGUE}, NULL}, {                                                             \
        {1, 2, 16, 66, 64, up, EPILOGUE}, NULL                                                                         \
    }
static const ot_case FORWARD[] = {SIZES(0),
                                  SIZES(1),
                                  {{2, 531, 17, 2, 35, 0, SCALE | EPILOGUE | EACH}, NULL},
                                  {{1, 1054, 17, 20, 62, 0, EPILOGUE}, NULL}};

/* ---- gradients of x and scale: g, x, scale, w -> g_x (N, H, W, C) and g_scale (N, C) one behind the other ----------
 */

static void input_shape(ot_problem *p) {
    const int64_t *n = p->n;
    ot_in(p, OT_STEPS, HO_SHAPE(n[0], conv_size(p, n[1]), conv_size(p, n[2]), n[4]));
    ot_in(p, OT_NORMAL, HO_SHAPE(n[0], n[1], n[2], n[3]));
    ot_in(p, OT_NORMAL, HO_SHAPE(n[0], n[3]));
    ot_in(p, OT_STEPS, HO_SHAPE(n[4], 3, 3, n[3]));
    ot_out(p, (double)(n[1] * n[2]),
           HO_SHAPE((has(p, NO_X) ? 0 : n[0] * n[1] * n[2] * n[3]) + (has(p, NO_SCALE) ? 0 : n[0] * n[3])));
}

static ho_status input_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const ho_fused_shape s = fused_shape(p);
    const int64_t pixels = has(p, NO_X) ? 0 : p->input[1].count;
    HO_TRY(ho_tensor_new(context, 1, p->output.dim, y));
    ho_fused_gradients g = {.x = x[1]->data, .x_scale = has(p, SCALE) ? x[2]->data : NULL, .w = x[3]->data};
    g.g_y = x[0]->data;
    g.g_x = has(p, NO_X) ? NULL : (*y)->data;
    g.g_scale = has(p, NO_SCALE) ? NULL : (*y)->data + pixels;
    HO_TRY(ho_fused_backward_input(ho_context_device(context), &s, &g));
    g.accumulate_x = g.accumulate_scale = true;
    return has(p, ADDED) ? ho_fused_backward_input(ho_context_device(context), &s, &g) : HO_OK;
}

static void input_pair(const ot_problem *p, const double *const *x, double *y, int64_t in, int64_t out, int64_t tap) {
    const int64_t C = p->n[3], O = p->n[4];
    for (int64_t o = 0; o < O; ++o) {
        for (int64_t c = 0; c < C; ++c) {
            y[in * C + c] += x[0][out * O + o] * x[3][(o * 9 + tap) * C + c];
        }
    }
}

static void input_truth(const ot_problem *p, const double *const *x, double *y) {
    const int64_t C = p->n[3], count = p->input[1].count, sample = p->n[1] * p->n[2] * C;
    const double times = has(p, ADDED) ? 2.0 : 1.0;
    double *g_xs = calloc((size_t)count, sizeof *g_xs), *g_scale = has(p, NO_X) ? y : y + count;
    each_pair(p, x, g_xs, input_pair);
    for (int64_t i = 0; i < p->n[0] * C && !has(p, NO_SCALE); ++i) {
        g_scale[i] = 0.0;
    }
    for (int64_t i = 0; i < count; ++i) {
        const int64_t at = i / sample * C + i % C;
        if (!has(p, NO_X)) {
            y[i] = times * g_xs[i] * (has(p, SCALE) ? x[2][at] : 1.0);
        }
        if (!has(p, NO_SCALE)) {
            g_scale[at] += times * g_xs[i] * x[1][i];
        }
    }
    free(g_xs);
}

#define INPUT_SIZES(up)                                                                                                \
    {{1, 1, 1, 1, 1, up, SCALE}, NULL}, {{2, 5, 7, 3, 5, up, SCALE | ADDED}, NULL},                                    \
        {{1, 9, 17, 31, 5, up, NO_SCALE}, NULL}, {{2, 3, 15, 33, 17, up, NO_X}, NULL},                                 \
        {{1, 4, 33, 34, 20, up, SCALE | ADDED}, NULL}, {{1, 7, 6, 36, 36, up, SCALE | NO_SCALE | ADDED}, NULL},        \
        {{3, 13, 2, 2, 16, up, 0}, NULL}, {{5, 3, 35, 6, 2, up, SCALE}, NULL}, {                                       \
        {1, 2, 16, 64, 66, up, SCALE}, NULL                                                                            \
    }
static const ot_case INPUT[] = {
    INPUT_SIZES(0), INPUT_SIZES(1), {{1, 41, 19, 3, 2, 0, SCALE}, NULL}, {{2, 531, 17, 35, 2, 0, SCALE | ADDED}, NULL}};

/* ---- gradient of w: x, scale, g -----------------------------------------------------------------------------------
 */

static void weights_shape(ot_problem *p) {
    const int64_t *n = p->n;
    ot_in(p, OT_STEPS, HO_SHAPE(n[0], n[1], n[2], n[3]));
    ot_in(p, OT_STEPS, HO_SHAPE(n[0], n[3]));
    ot_in(p, OT_STEPS, HO_SHAPE(n[0], conv_size(p, n[1]), conv_size(p, n[2]), n[4]));
    ot_out(p, 1, HO_SHAPE(n[4], 3, 3, n[3]));
}

static ho_status weights_run(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y) {
    const ho_fused_shape s = fused_shape(p);
    HO_TRY(ho_tensor_new(context, 4, p->output.dim, y));
    return ho_fused_backward_weights(ho_context_device(context), &s, x[0]->data, has(p, SCALE) ? x[1]->data : NULL,
                                     x[2]->data, (*y)->data);
}

static void weights_pair(const ot_problem *p, const double *const *x, double *y, int64_t in, int64_t out, int64_t tap) {
    const int64_t C = p->n[3], O = p->n[4], n = in / (p->n[1] * p->n[2]);
    for (int64_t o = 0; o < O; ++o) {
        for (int64_t c = 0; c < C; ++c) {
            y[(o * 9 + tap) * C + c] += x[2][out * O + o] * x[0][in * C + c] * (has(p, SCALE) ? x[1][n * C + c] : 1.0);
        }
    }
}

static void weights_truth(const ot_problem *p, const double *const *x, double *y) {
    for (int64_t i = 0; i < p->output.count; ++i) {
        y[i] = 0.0;
    }
    each_pair(p, x, y, weights_pair);
}

/* The last have so many tiles that a block takes several. */
static const ot_case WEIGHTS[] = {SIZES(0),
                                  SIZES(1),
                                  {{1, 4, 11, 40, 7, 0, SCALE}, NULL},
                                  {{1, 33, 97, 70, 70, 0, SCALE}, NULL},
                                  {{1, 33, 97, 76, 92, 0, SCALE}, NULL},
                                  {{1, 17, 97, 92, 76, 1, SCALE}, NULL},
                                  {{1, 17, 97, 70, 66, 1, SCALE}, NULL}};

#define ENTRY(name, kernels, what, cases, half)                                                                        \
    {                                                                                                                  \
        name, kernels, what##_shape, what##_run, what##_truth, OT_CASES(cases),                                        \
            .forward_only = true, .tensor_cores = true, .exact = true, .bf16 = half                                    \
    }
const ot_entry ot_fused[] = {
    ENTRY("fused_forward_exact", "fused_forward fused_up_forward", forward, FORWARD, false),
    ENTRY("fused_forward_exact_bf16", "fused_forward fused_up_forward", forward, FORWARD, true),
    ENTRY("fused_input_exact", "fused_input_gradient fused_swap scale_gradient_total", input, INPUT, false),
    ENTRY("fused_input_exact_bf16", "fused_input_gradient fused_swap scale_gradient_total", input, INPUT, true),
    ENTRY("fused_weights_exact", "fused_weights fused_weights_total", weights, WEIGHTS, false),
    ENTRY("fused_weights_exact_bf16", "fused_weights fused_weights_total", weights, WEIGHTS, true),
    {0},
};
