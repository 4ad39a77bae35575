/* Modulated convolution with shared weights: scale, convolve the whole batch at once, scale back. The
 * mathematics of the passes around the convolution is in kernels/modconv.cu and kernels/epilogue.cu. Where the target
 * fuses the shape, forward and both convolutions of the backward are one call each. */
#include "handsoff/ops.h"

#include "fill.h"
#include "fir.h"
#include "modconv.h"
#include "pointwise.h"

typedef struct {
    ho_modconv_args args;
    ho_tensor *x, *y;
    ho_conv_shape conv; /* up: of the transposed convolution, whose "input" is the larger image (N, 2H+1, 2W+1, O) */
    ho_fused_shape fused;
    bool fuses; /* the target computes scale, convolution and epilogue in one pass */
    ho_k_epilogue epilogue;
    ho_real *wsq; /* (O, I), NULL when not demodulated */
    ho_real *d;   /* (N, O) */
} modconv_saved;

typedef struct {
    int64_t N, H, W, I, O, taps;
} sizes;

static sizes sizes_of(const modconv_saved *s) {
    const ho_tensor *x = s->x, *w = s->args.weight;
    return (sizes){x->dim[0], x->dim[1], x->dim[2], x->dim[3], w->dim[0], w->dim[1] * w->dim[2]};
}

static ho_status check_shapes(const ho_tensor *x, const ho_modconv_args *a) {
    const ho_tensor *w = a->weight, *s = a->style;
    HO_REQUIRE(x->rank == 4 && w->rank == 4 && w->dim[3] == x->dim[3] && w->dim[1] == w->dim[2] &&
                   (w->dim[1] == 3 || (w->dim[1] == 1 && !a->up)),
               "modconv: x %s does not fit the weight %s: want (O, k, k, %lld), k = 3, or k = 1 without up-sampling",
               ho_tensor_shape_text(x), ho_tensor_shape_text(w), (long long)x->dim[x->rank - 1]);
    HO_REQUIRE(s->rank == 2 && s->dim[0] == x->dim[0] && s->dim[1] == x->dim[3],
               "modconv: style %s does not fit x %s: want (%lld, %lld)", ho_tensor_shape_text(s),
               ho_tensor_shape_text(x), (long long)x->dim[0], (long long)x->dim[3]);
    HO_REQUIRE(a->bias == NULL || (a->bias->rank == 1 && a->bias->dim[0] == w->dim[0]),
               "modconv: bias %s does not fit the weight %s", ho_tensor_shape_text(a->bias), ho_tensor_shape_text(w));
    HO_REQUIRE(a->act.act != HO_SIGMOID && a->act.gain > 0.0 && a->act.x_gain == 1.0 && a->act.b_gain == 1.0,
               "modconv: the activation must be linear or a leaky ReLU with positive gain, and x_gain and b_gain 1");
    const int64_t scale = a->up ? 2 : 1, P = scale * x->dim[1], Q = scale * x->dim[2];
    if (a->noise != NULL) {
        const int rank = a->noise->rank;
        const int64_t *dim = a->noise->dim;
        HO_REQUIRE((rank == 2 || (rank == 3 && dim[0] == x->dim[0])) && dim[rank - 2] == P && dim[rank - 1] == Q,
                   "modconv: noise %s must be (%lld, %lld), or one such plane for each of %lld samples",
                   ho_tensor_shape_text(a->noise), (long long)P, (long long)Q, (long long)x->dim[0]);
        HO_REQUIRE(a->strength != NULL && ho_tensor_count(a->strength) == 1, "modconv: noise needs a strength (1)");
    }
    return HO_OK;
}

/* Shapes of the convolution and of the epilogue, without device memory. */
static void plan(const ho_device *device, modconv_saved *s) {
    const ho_modconv_args *a = &s->args;
    const sizes n = sizes_of(s);
    const int64_t kernel = a->weight->dim[1], scale = a->up ? 2 : 1;
    const bool swapped = ho_conv_takes_swapped(device);
    s->conv = a->up ? (ho_conv_shape){n.N, 2 * n.H + 1, 2 * n.W + 1, n.O, n.I, kernel, 2, 0, 1, swapped}
                    : (ho_conv_shape){n.N, n.H, n.W, n.I, n.O, kernel, 1, kernel / 2, 1, 0};
    s->fused = (ho_fused_shape){n.N, n.H, n.W, n.I, n.O, a->up};
    s->fuses = kernel == 3 && ho_conv_fuses(device, &s->fused);
    ho_k_epilogue *e = &s->epilogue;
    e->N = n.N;
    e->P = scale * n.H;
    e->Q = scale * n.W;
    e->O = n.O;
    e->gain = (ho_real)a->act.gain;
    e->slope = (ho_real)(a->act.act == HO_LINEAR ? 1.0 : a->act.slope);
    e->d = s->d;
    e->b = a->bias != NULL ? a->bias->data : NULL;
    e->noise = a->noise != NULL ? a->noise->data : NULL;
    e->strength = a->noise != NULL ? a->strength->data : NULL;
    e->noise_stride = a->noise != NULL && a->noise->rank == 3 ? e->P * e->Q : 0;
}

/* d (N, O) and wsq (O, I). */
static ho_status demodulate(ho_context *context, modconv_saved *s) {
    const sizes n = sizes_of(s);
    ho_stream stream = ho_context_stream(context);
    HO_TRY(ho_scratch(context, n.N * n.O, &s->d));
    s->epilogue.d = s->d;
    if (!s->args.demodulate) {
        return ho_k_fill(s->d, n.N * n.O, (ho_real)s->args.w_gain, stream);
    }
    ho_real *s2;
    HO_TRY(ho_scratch(context, n.O * n.I, &s->wsq));
    HO_TRY(ho_scratch(context, n.N * n.I, &s2));
    HO_TRY(ho_k_weight_squares(stream, (const int64_t[3]){n.O, n.taps, n.I}, s->args.weight->data, s->wsq));
    HO_TRY(ho_k_square(stream, n.N * n.I, s->args.style->data, s2));
    HO_TRY(ho_gemm(ho_context_device(context), false, true, n.N, n.O, n.I, 1, s2, n.I, s->wsq, n.I, 0, s->d, n.O));
    ho_scratch_free(context, s2);
    return ho_k_demodulation(stream, n.N * n.O, s->d);
}

/* xs = x * s in new scratch. */
static ho_status modulated(ho_context *context, const modconv_saved *s, ho_real **xs) {
    const sizes n = sizes_of(s);
    HO_TRY(ho_scratch(context, ho_tensor_count(s->x), xs));
    return ho_k_modulate(ho_context_stream(context), (const int64_t[3]){n.N, n.H * n.W, n.I}, s->x->data,
                         s->args.style->data, *xs);
}

/* The weight as the transposed convolution wants it, (I, k, k, O), in new scratch; NULL where the target takes it as it
 * is. */
static ho_status swapped_weight(ho_context *context, const modconv_saved *s, ho_real **w) {
    const sizes n = sizes_of(s);
    *w = NULL;
    if (s->conv.swapped) {
        return HO_OK;
    }
    HO_TRY(ho_scratch(context, n.O * n.taps * n.I, w));
    return ho_k_swap_channels(ho_context_stream(context), (const int64_t[3]){n.O, n.taps, n.I}, s->args.weight->data,
                              false, *w);
}

static ho_status forward_fused(ho_context *context, const modconv_saved *s) {
    const ho_k_epilogue *e = &s->epilogue;
    const ho_conv_epilogue epilogue = {e->d, e->b, e->noise, e->strength, e->noise_stride, e->gain, e->slope};
    return ho_fused_forward(ho_context_device(context), &s->fused, s->x->data, s->args.style->data,
                            s->args.weight->data, &epilogue, s->y->data);
}

/* 1x1 with fewer output channels than pixels (toRGB): the style goes into the weights, so that x is read once. */
static ho_status forward_narrow(ho_context *context, const modconv_saved *s) {
    const sizes n = sizes_of(s);
    const int64_t pixels = n.H * n.W;
    ho_stream stream = ho_context_stream(context);
    ho_real *ws;
    HO_TRY(ho_scratch(context, n.N * n.O * n.I, &ws));
    HO_TRY(ho_k_modulate_weights(stream, (const int64_t[3]){n.N, n.O, n.I}, s->args.weight->data, s->args.style->data,
                                 ws));
    HO_TRY(ho_gemm_batched(ho_context_device(context), false, true, pixels, n.O, n.I, 1, s->x->data, n.I, pixels * n.I,
                           ws, n.I, n.O * n.I, 0, s->y->data, n.O, pixels * n.O, n.N));
    ho_scratch_free(context, ws);
    return ho_k_epilogue_forward(stream, &s->epilogue, s->y->data);
}

static ho_status forward_plain(ho_context *context, const modconv_saved *s) {
    const sizes n = sizes_of(s);
    ho_device *device = ho_context_device(context);
    ho_real *xs;
    HO_TRY(modulated(context, s, &xs));
    if (n.taps == 1) {
        HO_TRY(ho_gemm(device, false, true, n.N * n.H * n.W, n.O, n.I, 1, xs, n.I, s->args.weight->data, n.I, 0,
                       s->y->data, n.O));
    } else {
        HO_TRY(ho_conv_forward(device, &s->conv, xs, s->args.weight->data, s->y->data));
    }
    ho_scratch_free(context, xs);
    return ho_k_epilogue_forward(ho_context_stream(context), &s->epilogue, s->y->data);
}

static ho_status forward_up(ho_context *context, const modconv_saved *s) {
    ho_real *xs, *w, *t;
    HO_TRY(swapped_weight(context, s, &w));
    HO_TRY(modulated(context, s, &xs));
    HO_TRY(ho_scratch(context, s->conv.N * s->conv.H * s->conv.W * s->conv.C, &t));
    HO_TRY(ho_conv_backward_data(ho_context_device(context), &s->conv, xs, w != NULL ? w : s->args.weight->data, t));
    ho_scratch_free(context, xs);
    ho_scratch_free(context, w);
    HO_TRY(ho_k_epilogue_fir_forward(ho_context_stream(context), &s->epilogue, t, s->y->data));
    ho_scratch_free(context, t);
    return HO_OK;
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* The gradients of x and of the style through xs, from g_c; up: from g_t and the swapped weight. */
static ho_status backward_input(ho_context *context, const modconv_saved *s, const ho_real *g_c, const ho_real *w,
                                bool *style_has_grad) {
    const sizes n = sizes_of(s);
    ho_device *device = ho_context_device(context);
    ho_k_modulate_gradients g = {.N = n.N, .pixels = n.H * n.W, .I = n.I, .x = s->x->data, .s = s->args.style->data};
    HO_TRY(ho_grad_target(context, s->x, &g.g_x, &g.accumulate_x));
    HO_TRY(ho_grad_target(context, s->args.style, &g.g_s, &g.accumulate_s));
    *style_has_grad = g.g_s != NULL;
    if (g.g_x == NULL && g.g_s == NULL) {
        return HO_OK;
    }
    if (s->fuses && ho_fused_gives_scale_gradient(device)) {
        const ho_fused_gradients fused = {g.x,   g.s,   s->args.weight->data, g_c,
                                          g.g_x, g.g_s, g.accumulate_x,       g.accumulate_s};
        return ho_fused_backward_input(device, &s->fused, &fused);
    }
    ho_real *g_xs;
    HO_TRY(ho_scratch(context, ho_tensor_count(s->x), &g_xs));
    HO_TRY(ho_scratch(context, ho_k_modulate_scratch(n.N, g.pixels, n.I), &g.scratch));
    if (s->fuses) {
        HO_TRY(ho_fused_backward_data(device, &s->fused, g_c, s->args.weight->data, g_xs));
    } else if (s->args.up) {
        HO_TRY(ho_conv_forward(device, &s->conv, g_c, w, g_xs));
    } else if (n.taps == 1) {
        HO_TRY(ho_gemm(device, false, false, n.N * g.pixels, n.I, n.O, 1, g_c, n.O, w, n.I, 0, g_xs, n.I));
    } else {
        HO_TRY(ho_conv_backward_data(device, &s->conv, g_c, w, g_xs));
    }
    g.g_xs = g_xs;
    HO_TRY(ho_k_modulate_backward(ho_context_stream(context), &g));
    ho_scratch_free(context, g.scratch);
    ho_scratch_free(context, g_xs);
    return HO_OK;
}

/* The gradient of the weight from g_c in one pass. */
static ho_status backward_weight_fused(ho_context *context, const modconv_saved *s, const ho_real *g_c, bool accumulate,
                                       ho_real *g_w) {
    const int64_t count = ho_tensor_count(s->args.weight);
    ho_real *to = g_w;
    if (accumulate) {
        HO_TRY(ho_scratch(context, count, &to));
    }
    HO_TRY(ho_fused_backward_weights(ho_context_device(context), &s->fused, s->x->data, s->args.style->data, g_c, to));
    if (accumulate) {
        HO_TRY(ho_k_scale(ho_context_stream(context), count, 1, to, true, g_w));
        ho_scratch_free(context, to);
    }
    return HO_OK;
}

/* The gradient of the weight through the convolution. *g_w is where it lies, NULL when none is wanted. */
static ho_status backward_weight(ho_context *context, const modconv_saved *s, const ho_real *g_c, ho_real **g_w) {
    const sizes n = sizes_of(s);
    const int64_t count = n.O * n.taps * n.I;
    ho_device *device = ho_context_device(context);
    ho_stream stream = ho_context_stream(context);
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->args.weight, g_w, &accumulate));
    if (*g_w == NULL) {
        return HO_OK;
    }
    if (s->fuses) {
        return backward_weight_fused(context, s, g_c, accumulate, *g_w);
    }
    ho_real *xs, *scratch;
    HO_TRY(modulated(context, s, &xs));
    if (n.taps == 1) {
        HO_TRY(ho_gemm(device, true, false, n.O, n.I, n.N * n.H * n.W, 1, g_c, n.O, xs, n.I, accumulate ? 1 : 0, *g_w,
                       n.I));
    } else {
        const ho_real *in = s->args.up ? g_c : xs, *out = s->args.up ? xs : g_c;
        const bool swap = s->args.up && !s->conv.swapped;
        if (!swap && !accumulate) {
            HO_TRY(ho_conv_backward_weights(device, &s->conv, in, out, *g_w));
        } else {
            HO_TRY(ho_scratch(context, count, &scratch));
            HO_TRY(ho_conv_backward_weights(device, &s->conv, in, out, scratch));
            HO_TRY(swap ? ho_k_swap_channels(stream, (const int64_t[3]){n.I, n.taps, n.O}, scratch, accumulate, *g_w)
                        : ho_k_scale(stream, count, 1, scratch, true, *g_w));
            ho_scratch_free(context, scratch);
        }
    }
    ho_scratch_free(context, xs);
    return HO_OK;
}

/* What goes on through d: g_s += s (e wsq), g_w += w (e^T s^2); gradients that already hold a value. */
static ho_status backward_demodulation(ho_context *context, const modconv_saved *s, const ho_real *e, ho_real *g_w) {
    const sizes n = sizes_of(s);
    ho_device *device = ho_context_device(context);
    ho_stream stream = ho_context_stream(context);
    ho_tensor *style = s->args.style;
    ho_real *scratch, *s2;
    if (style->grad != NULL) {
        HO_TRY(ho_scratch(context, n.N * n.I, &scratch));
        HO_TRY(ho_gemm(device, false, false, n.N, n.I, n.O, 1, e, n.O, s->wsq, n.I, 0, scratch, n.I));
        HO_TRY(ho_k_add_product(stream, n.N * n.I, style->data, scratch, style->grad));
        ho_scratch_free(context, scratch);
    }
    if (g_w != NULL) {
        HO_TRY(ho_scratch(context, n.O * n.I, &scratch));
        HO_TRY(ho_scratch(context, n.N * n.I, &s2));
        HO_TRY(ho_k_square(stream, n.N * n.I, style->data, s2));
        HO_TRY(ho_gemm(device, true, false, n.O, n.I, n.N, 1, e, n.O, s2, n.I, 0, scratch, n.I));
        HO_TRY(ho_k_weight_squares_backward(stream, (const int64_t[3]){n.O, n.taps, n.I}, s->args.weight->data, scratch,
                                            g_w));
        ho_scratch_free(context, s2);
        ho_scratch_free(context, scratch);
    }
    return HO_OK;
}

/* g_c and what follows from the sums over pixels: the gradients of bias and strength, and e (N, O). */
static ho_status backward_epilogue(ho_context *context, const modconv_saved *s, ho_real *g_c, ho_real *e) {
    ho_stream stream = ho_context_stream(context);
    ho_k_epilogue_gradients g = {0};
    ho_real *scratch, *sums;
    HO_TRY(ho_scratch(context, ho_k_epilogue_scratch(&s->epilogue), &scratch));
    HO_TRY(ho_scratch(context, 3 * s->epilogue.N * s->epilogue.O, &sums));
    HO_TRY(ho_k_epilogue_backward(stream, &s->epilogue, s->y->data, s->y->grad, g_c, scratch, sums));
    HO_TRY(ho_grad_target(context, s->args.bias, &g.g_b, &g.accumulate_b));
    g.through_d = s->args.demodulate ? e : NULL;
    if (s->args.noise != NULL) {
        HO_TRY(ho_grad_target(context, s->args.strength, &g.g_strength, &g.accumulate_strength));
    }
    HO_TRY(ho_k_epilogue_totals(stream, &s->epilogue, sums, &g));
    ho_scratch_free(context, sums);
    ho_scratch_free(context, scratch);
    return HO_OK;
}

/* g_t, the gradient of the transposed convolution's output, from g_c: the filter transposed. */
static ho_status backward_filter(ho_context *context, const modconv_saved *s, const ho_real *g_c, ho_real *g_t) {
    const ho_k_epilogue *e = &s->epilogue;
    const ho_fir_shape shape = {e->N, e->P, e->Q, e->O, e->P + 1, e->Q + 1, 1, 1, 2, 4};
    return ho_k_fir(ho_context_stream(context), &shape, g_c, false, g_t);
}

static ho_status modconv_backward(ho_context *context, void *saved) {
    const modconv_saved *s = saved;
    const sizes n = sizes_of(s);
    const bool below = s->x->needs_grad || s->args.style->needs_grad || s->args.weight->needs_grad;
    ho_real *e, *g_c = NULL, *g_t = NULL, *w = NULL, *g_w = NULL;
    bool style_has_grad = false;
    HO_TRY(ho_scratch(context, n.N * n.O, &e));
    if (below) {
        HO_TRY(ho_scratch(context, ho_tensor_count(s->y), &g_c));
    }
    HO_TRY(backward_epilogue(context, s, g_c, e));
    if (below && s->args.up) {
        HO_TRY(ho_scratch(context, s->conv.N * s->conv.H * s->conv.W * s->conv.C, &g_t));
        HO_TRY(backward_filter(context, s, g_c, g_t));
        ho_scratch_free(context, g_c);
        g_c = g_t;
        if (!s->fuses) {
            HO_TRY(swapped_weight(context, s, &w));
        }
    }
    if (below) {
        HO_TRY(backward_weight(context, s, g_c, &g_w));
        HO_TRY(backward_input(context, s, g_c, w != NULL ? w : s->args.weight->data, &style_has_grad));
        if (s->args.demodulate && (style_has_grad || g_w != NULL)) {
            HO_TRY(backward_demodulation(context, s, e, g_w));
        }
    }
    ho_scratch_free(context, w);
    ho_scratch_free(context, g_c);
    ho_scratch_free(context, e);
    return HO_OK;
}

ho_status ho_modconv(ho_context *context, ho_tensor *x, const ho_modconv_args *args, ho_tensor **y) {
    modconv_saved s = {.args = *args, .x = x};
    HO_TRY(check_shapes(x, args));
    plan(ho_context_device(context), &s);
    HO_TRY(ho_tensor_new(context, HO_SHAPE(s.epilogue.N, s.epilogue.P, s.epilogue.Q, s.epilogue.O), y));
    s.y = *y;
    HO_TRY(demodulate(context, &s));
    const sizes n = sizes_of(&s);
    HO_TRY(s.fuses                                       ? forward_fused(context, &s)
           : args->up                                    ? forward_up(context, &s)
           : n.taps == 1 && n.O < n.H * n.W && n.O < n.I ? forward_narrow(context, &s)
                                                         : forward_plain(context, &s));
    if (HO_WANTS_GRAD(context, x, args->style, args->weight, args->bias, args->strength)) {
        modconv_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = s;
        return ho_tape_push(context, "modconv", *y, modconv_backward, saved);
    }
    ho_scratch_free(context, s.wsq);
    ho_scratch_free(context, s.d);
    return HO_OK;
}
