/* Kernels around convolutions (modconv) and of the label head (head). */
#include "head.h"
#include "kernel_bench.h"
#include "modconv.h"

static void modulate(kernel_bench *b) {
    const int64_t dim[3] = {b->N, b->pixels, b->C};
    ho_real *x = bench_reals(b, b->n), *s = bench_reals(b, b->N * b->C), *xs = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, b->n, ho_k_modulate(b->stream, dim, x, s, xs));
}
/* toRGB: three outputs a sample. */
static void modulate_weights(kernel_bench *b) {
    const int64_t dim[3] = {b->n / (4 * b->C), 3, b->C}, numbers = dim[0] * 3 * b->C;
    ho_real *w = bench_reals(b, 3 * b->C), *s = bench_reals(b, dim[0] * b->C), *ws = bench_reals(b, numbers);
    MEASURE(b, 4 * (numbers + dim[0] * b->C), numbers, ho_k_modulate_weights(b->stream, dim, w, s, ws));
}
static void modulate_backward(kernel_bench *b) {
    const ho_k_modulate_gradients g = {.N = b->N,
                                       .pixels = b->pixels,
                                       .I = b->C,
                                       .x = bench_reals(b, b->n),
                                       .s = bench_reals(b, b->N * b->C),
                                       .g_xs = bench_reals(b, b->n),
                                       .g_x = bench_reals(b, b->n),
                                       .g_s = bench_reals(b, b->N * b->C),
                                       .scratch = bench_reals(b, ho_k_modulate_scratch(b->N, b->pixels, b->C))};
    MEASURE(b, 12 * b->n, 3 * b->n, ho_k_modulate_backward(b->stream, &g));
}
/* Weights (O, 9, I) of as many numbers as a feature map: more than a network has, so that bandwidth shows. */
static void weight_squares(kernel_bench *b) {
    const int64_t dim[3] = {b->n / (9 * b->C), 9, b->C};
    ho_real *w = bench_reals(b, b->n), *wsq = bench_reals(b, dim[0] * dim[2]);
    MEASURE(b, 40 * dim[0] * dim[2], 18 * dim[0] * dim[2], ho_k_weight_squares(b->stream, dim, w, wsq));
}
static void square(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, b->n, ho_k_square(b->stream, b->n, x, y));
}
/* In place, so repeated: values go to a fixed point, the work stays. */
static void demodulation(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *d = bench_reals(b, b->n);
    if (b->status == HO_OK) {
        b->status = ho_k_square(b->stream, b->n, x, d);
    }
    MEASURE(b, 8 * b->n, 3 * b->n, ho_k_demodulation(b->stream, b->n, d));
}
static void add_product(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *z = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    MEASURE(b, 16 * b->n, 2 * b->n, ho_k_add_product(b->stream, b->n, x, z, y));
}
static void weight_squares_backward(kernel_bench *b) {
    const int64_t dim[3] = {b->n / (9 * b->C), 9, b->C};
    ho_real *w = bench_reals(b, b->n), *g = bench_reals(b, dim[0] * dim[2]), *g_w = bench_reals(b, b->n);
    MEASURE(b, (12 * 9 + 4) * dim[0] * dim[2], 18 * dim[0] * dim[2],
            ho_k_weight_squares_backward(b->stream, dim, w, g, g_w));
}
static void swap_channels(kernel_bench *b) {
    const int64_t dim[3] = {b->n / (9 * b->C), 9, b->C};
    ho_real *w = bench_reals(b, b->n), *swapped = bench_reals(b, b->n);
    MEASURE(b, 72 * dim[0] * dim[2], 0, ho_k_swap_channels(b->stream, dim, w, false, swapped));
}

static ho_k_epilogue epilogue(kernel_bench *b) {
    return (ho_k_epilogue){.N = b->N,
                           .P = b->side,
                           .Q = b->side,
                           .O = b->C,
                           .gain = HO_R(1.4),
                           .slope = HO_R(0.2),
                           .d = bench_reals(b, b->N * b->C),
                           .b = bench_reals(b, b->C),
                           .noise = bench_reals(b, b->pixels),
                           .strength = bench_reals(b, 1)};
}
static void epilogue_forward(kernel_bench *b) {
    const ho_k_epilogue e = epilogue(b);
    ho_real *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 6 * b->n, ho_k_epilogue_forward(b->stream, &e, y));
}
static void epilogue_fir_forward(kernel_bench *b) {
    const ho_k_epilogue e = epilogue(b);
    const int64_t r = b->side + 1;
    ho_real *t = bench_reals(b, b->N * r * r * b->C), *y = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 22 * b->n, ho_k_epilogue_fir_forward(b->stream, &e, t, y));
}
static void epilogue_backward(kernel_bench *b) {
    const ho_k_epilogue e = epilogue(b);
    ho_real *y = bench_reals(b, b->n), *g_y = bench_reals(b, b->n), *g_c = bench_reals(b, b->n);
    ho_real *scratch = bench_reals(b, ho_k_epilogue_scratch(&e)), *sums = bench_reals(b, 3 * b->N * b->C);
    MEASURE(b, 12 * b->n, 10 * b->n, ho_k_epilogue_backward(b->stream, &e, y, g_y, g_c, scratch, sums));
}
/* As many channels as a map has numbers: the real launches are too small to measure. */
static void epilogue_totals(kernel_bench *b) {
    const int64_t O = b->n / (b->N * 4);
    const ho_k_epilogue e = {.N = b->N,
                             .P = 1,
                             .Q = 1,
                             .O = O,
                             .gain = HO_R(1.4),
                             .slope = HO_R(0.2),
                             .d = bench_reals(b, b->N * O),
                             .b = bench_reals(b, O),
                             .noise = bench_reals(b, 1),
                             .strength = bench_reals(b, 1)};
    ho_real *sums = bench_reals(b, 3 * b->N * O);
    const ho_k_epilogue_gradients g = {bench_reals(b, O), bench_reals(b, 1), bench_reals(b, b->N * O), false, false};
    MEASURE(b, 4 * (5 * b->N * O + 2 * O), 8 * b->N * O, ho_k_epilogue_totals(b->stream, &e, sums, &g));
}

/* ---- label head: 10 members of 256 and 32 hidden units, 19 classes ------------------------------------------------
 */

enum { MEMBERS = 10, HIDDEN = 256, NARROW = 32, CLASSES = 19 };

static void head_pack(kernel_bench *b) {
    ho_real *from = bench_reals(b, b->n), *to = bench_reals(b, b->n / 2);
    MEASURE(b, 6 * b->n, b->n, ho_k_head_pack(from, b->n, (uint16_t *)to, b->stream));
}
/* Rows of a hypercolumn of three maps, pixels drawn all over the images. */
static void head_gather(kernel_bench *b) {
    enum { ROWS = 4096, PIXELS = 61 };
    int64_t pixel[ROWS];
    ho_k_head_blocks blocks = {.n = 3, .H = b->side, .W = b->side};
    for (int64_t i = 0; i < ROWS; ++i) {
        pixel[i] = i * PIXELS * PIXELS % (b->N * b->pixels);
    }
    for (int l = 0; l < blocks.n; ++l) {
        const int64_t r = b->side >> l;
        blocks.block[l] = (ho_k_head_block){(uint16_t *)bench_reals(b, (b->N * r * r * b->C + 1) / 2), r, r, b->C};
        if (b->status == HO_OK) { /* any bits but those of NaN */
            b->status = ho_device_zero(b->device, (void *)(uintptr_t)blocks.block[l].map,
                                       (size_t)(b->N * r * r * b->C) * sizeof(uint16_t));
        }
    }
    const int64_t *drawn = bench_copy(b, pixel, sizeof pixel);
    ho_real *rows = bench_reals(b, ROWS * 3 * b->C);
    MEASURE(b, (double)ROWS * (double)b->C * (2.0 + 4.0 + 8.0 * 2.0), 14.0 * ROWS * (double)b->C,
            ho_k_head_gather(&blocks, drawn, ROWS, rows, b->stream));
}
static void head_fold(kernel_bench *b) {
    const int64_t rows = MEMBERS * NARROW;
    const ho_k_head_fold_args args = {.weight = bench_reals(b, MEMBERS * HIDDEN),
                                      .bias = bench_reals(b, MEMBERS * HIDDEN),
                                      .mean = bench_reals(b, MEMBERS * HIDDEN),
                                      .var = bench_reals(b, MEMBERS * HIDDEN),
                                      .w = bench_reals(b, rows * HIDDEN),
                                      .bias_out = bench_reals(b, rows),
                                      .folded = bench_reals(b, rows * HIDDEN),
                                      .folded_bias = bench_reals(b, rows),
                                      .members = MEMBERS,
                                      .O = NARROW,
                                      .I = HIDDEN};
    MEASURE(b, 8 * rows * HIDDEN, 3 * rows * HIDDEN, ho_k_head_fold(&args, b->stream));
}
static void head_transpose(kernel_bench *b) {
    ho_real *from = bench_reals(b, b->n), *to = bench_reals(b, b->n);
    MEASURE(b, 8 * b->n, 0, ho_k_head_transpose(from, 1, b->N * b->pixels, b->C, to, b->stream));
}
static void head_resample(kernel_bench *b) {
    const ho_k_head_tile tile = {0, 0, b->side, b->side};
    ho_k_head_maps maps = {.n = 2, .H = b->side, .W = b->side};
    maps.map[0] = (ho_k_head_map){bench_reals(b, b->pixels * b->C), b->side, b->side, b->C};
    maps.map[1] = (ho_k_head_map){bench_reals(b, 4 * b->pixels * b->C), 2 * b->side, 2 * b->side, b->C};
    ho_real *rows = bench_reals(b, 2 * b->pixels * b->C);
    MEASURE(b, 4 * 7 * b->pixels * b->C, 7 * b->pixels * b->C, ho_k_head_resample(&maps, &tile, rows, b->stream));
}
/* A level of half the labels' size, for labels of 1024 pixels at most. */
static void head_hidden(kernel_bench *b) {
    enum { MOST = 1024 };
    static ho_head_tap rows[MOST];
    static ho_k_head_columns columns[MOST / HO_HEAD_GROUP];
    const int64_t units = b->C * 4, side = b->side < MOST ? b->side : MOST, count = side * side, half = (side + 1) / 2;
    const ho_k_head_part part = {{0, 0, side, side}, 0, units, true};
    for (int64_t i = 0; i < side; ++i) {
        rows[i] = ho_head_tap_at(i, half, side);
        columns[i / HO_HEAD_GROUP] = ho_head_columns_at(i / HO_HEAD_GROUP, half, side);
    }
    ho_k_head_levels levels = {.n = 1, .units = units};
    levels.level[0] = (ho_k_head_level){bench_reals(b, half * half * units), half, 0, bench_copy(b, rows, sizeof rows),
                                        bench_copy(b, columns, sizeof columns)};
    ho_real *bias = bench_reals(b, units), *hidden = bench_reals(b, count * units);
    MEASURE(b, 9 * count * units, 8 * count * units, ho_k_head_hidden(&levels, &part, bias, hidden, b->stream));
}
static void head_bias_relu(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *bias = bench_reals(b, b->C);
    MEASURE(b, 8 * b->n, 2 * b->n, ho_k_head_bias_relu(x, bias, b->N * b->pixels, b->C, b->stream));
}
static void head_vote(kernel_bench *b) {
    const int64_t count = b->pixels, logits = count * MEMBERS * CLASSES;
    ho_real *x = bench_reals(b, logits), *bias = bench_reals(b, MEMBERS * CLASSES), *js = bench_reals(b, count);
    uint8_t *label = bench_bytes(b, count, CLASSES);
    MEASURE(b, 4 * logits + 5 * count, 8 * logits,
            ho_k_head_vote(x, bias, count, MEMBERS, CLASSES, label, js, b->stream));
}

const kernel_item BENCH_NETWORKS[] = {
    {"ho_k_modulate", modulate},
    {"ho_k_modulate_weights", modulate_weights},
    {"ho_k_modulate_backward", modulate_backward},
    {"ho_k_weight_squares", weight_squares},
    {"ho_k_square", square},
    {"ho_k_demodulation", demodulation},
    {"ho_k_add_product", add_product},
    {"ho_k_weight_squares_backward", weight_squares_backward},
    {"ho_k_swap_channels", swap_channels},
    {"ho_k_epilogue_forward", epilogue_forward},
    {"ho_k_epilogue_fir_forward", epilogue_fir_forward},
    {"ho_k_epilogue_backward", epilogue_backward},
    {"ho_k_epilogue_totals", epilogue_totals},
    {"ho_k_head_pack", head_pack},
    {"ho_k_head_gather", head_gather},
    {"ho_k_head_fold", head_fold},
    {"ho_k_head_transpose", head_transpose},
    {"ho_k_head_resample", head_resample},
    {"ho_k_head_hidden", head_hidden},
    {"ho_k_head_bias_relu", head_bias_relu},
    {"ho_k_head_vote", head_vote},
    {NULL, NULL},
};
