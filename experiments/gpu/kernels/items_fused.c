/* The 3x3 convolutions on tensor cores (kernels/cuda), C -> C channels: of the cuda target alone. */
#ifdef HO_TARGET_CUDA
#include <stdio.h>

#include "cuda/fused_conv.h"
#include "kernel_bench.h"

typedef enum { FORWARD, INPUT, WEIGHTS } direction;

/* up: from half the side, so that the larger map is as large as in the plain form. */
static ho_fused_shape shape_of(const kernel_bench *b, bool up) {
    const int64_t r = up ? b->side / 2 : b->side;
    return (ho_fused_shape){b->N, r, r, b->C, b->C, up};
}
/* An up-sampling convolution has 9 taps an input pixel; its filter is 16 multiply-adds an output. */
static double flop_of(const ho_fused_shape *s, direction way) {
    const double inputs = (double)(s->N * s->H * s->W), filter = s->up != 0 && way == FORWARD ? 128.0 : 0.0;
    return inputs * (18.0 * (double)s->C + filter) * (double)s->O;
}
static void forward(kernel_bench *b, bool up, bool bf16) {
    const ho_fused_shape s = shape_of(b, up);
    const int64_t inputs = s.N * s.H * s.W * s.C;
    const ho_conv_epilogue e = {.d = bench_reals(b, s.N * s.O),
                                .b = bench_reals(b, s.O),
                                .noise = bench_reals(b, b->pixels),
                                .strength = bench_reals(b, 1),
                                .gain = HO_R(1.4),
                                .slope = HO_R(0.2)};
    ho_real *x = bench_reals(b, inputs), *style = bench_reals(b, s.N * s.C), *w = bench_reals(b, 9 * s.C * s.O);
    ho_real *y = bench_reals(b, b->n);
    MEASURE(b, 4 * (inputs + b->n + 9 * s.C * s.O), flop_of(&s, FORWARD),
            ho_k_fused_forward(b->stream, &s, bf16, x, style, w, &e, y));
}
/* Numbers of g: of the transposed convolution's own output when up. */
static int64_t gradient_numbers(const ho_fused_shape *s) {
    return s->N * s->O * (s->up != 0 ? (2 * s->H + 1) * (2 * s->W + 1) : s->H * s->W);
}
static void input(kernel_bench *b, bool up, bool bf16) {
    const ho_fused_shape s = shape_of(b, up);
    const int64_t inputs = s.N * s.H * s.W * s.C, g = gradient_numbers(&s);
    const ho_fused_gradients gradients = {.x = bench_reals(b, inputs),
                                          .x_scale = bench_reals(b, s.N * s.C),
                                          .w = bench_reals(b, 9 * s.C * s.O),
                                          .g_y = bench_reals(b, g),
                                          .g_x = bench_reals(b, inputs),
                                          .g_scale = bench_reals(b, s.N * s.C)};
    ho_real *scratch = bench_reals(b, ho_k_fused_input_scratch(&s));
    MEASURE(b, 4 * (2 * inputs + g + 9 * s.C * s.O), flop_of(&s, INPUT),
            ho_k_fused_input_gradient(b->stream, &s, bf16, &gradients, scratch));
}
static void weights(kernel_bench *b, bool up, bool bf16) {
    const ho_fused_shape s = shape_of(b, up);
    const int64_t inputs = s.N * s.H * s.W * s.C, g = gradient_numbers(&s);
    ho_real *x = bench_reals(b, inputs), *style = bench_reals(b, s.N * s.C), *g_y = bench_reals(b, g);
    ho_real *g_w = bench_reals(b, 9 * s.C * s.O), *scratch = bench_reals(b, ho_k_fused_weights_scratch(&s));
    MEASURE(b, 4 * (inputs + g + 9 * s.C * s.O), flop_of(&s, WEIGHTS),
            ho_k_fused_weight_gradient(b->stream, &s, bf16, x, style, g_y, scratch, g_w));
}

static void forward_tf32(kernel_bench *b) {
    forward(b, false, false);
}
static void forward_bf16(kernel_bench *b) {
    forward(b, false, true);
}
static void up_tf32(kernel_bench *b) {
    forward(b, true, false);
}
static void up_bf16(kernel_bench *b) {
    forward(b, true, true);
}
static void input_tf32(kernel_bench *b) {
    input(b, false, false);
}
static void input_bf16(kernel_bench *b) {
    input(b, false, true);
}
static void input_up_tf32(kernel_bench *b) {
    input(b, true, false);
}
static void weights_tf32(kernel_bench *b) {
    weights(b, false, false);
}
static void weights_bf16(kernel_bench *b) {
    weights(b, false, true);
}
static void weights_up_tf32(kernel_bench *b) {
    weights(b, true, false);
}

const kernel_item BENCH_FUSED[] = {
    {"ho_k_fused_forward:tf32", forward_tf32},
    {"ho_k_fused_forward:bf16", forward_bf16},
    {"ho_k_fused_forward:up tf32", up_tf32},
    {"ho_k_fused_forward:up bf16", up_bf16},
    {"ho_k_fused_input_gradient:tf32", input_tf32},
    {"ho_k_fused_input_gradient:bf16", input_bf16},
    {"ho_k_fused_input_gradient:up tf32", input_up_tf32},
    {"ho_k_fused_weight_gradient:tf32", weights_tf32},
    {"ho_k_fused_weight_gradient:bf16", weights_bf16},
    {"ho_k_fused_weight_gradient:up tf32", weights_up_tf32},
    {NULL, NULL},
};
#endif
