/* Convolution, alone or with bias and activation. A 1x1 convolution with stride 1 is a matrix product over all pixels
 * and is computed as one.
 *
 * With an activation, y = gain act(x_gain conv + b) is the one tensor that is kept: for the piecewise linear
 * activations act'(.) follows from the sign of y. The backward turns the gradient of y into that of the convolution
 * where it lies, which is right because nothing reads the gradient of an operation's output after its backward. */
#include "handsoff/ops.h"

#include "fill.h"
#include "pointwise.h"

typedef struct {
    ho_tensor *x, *w, *y;
    ho_conv_shape shape;
    const ho_tensor *sign; /* whose sign tells the activation's derivative; NULL: no activation */
    ho_tensor *b;          /* NULL: no bias */
    ho_k_act act;
} conv_saved;

static bool is_product(const ho_conv_shape *s) {
    return s->kernel == 1 && s->stride == 1 && s->pad == 0;
}

/* g (+)= what `compute` writes; through scratch when there is something to add to. */
typedef ho_status (*conv_gradient)(ho_device *device, const conv_saved *s, ho_real *g);

static ho_status data_gradient(ho_device *device, const conv_saved *s, ho_real *g) {
    return ho_conv_backward_data(device, &s->shape, s->y->grad, s->w->data, g);
}

static ho_status weight_gradient(ho_device *device, const conv_saved *s, ho_real *g) {
    return ho_conv_backward_weights(device, &s->shape, s->x->data, s->y->grad, g);
}

static ho_status add_gradient(ho_context *context, const conv_saved *s, ho_tensor *to, conv_gradient compute) {
    ho_device *device = ho_context_device(context);
    ho_real *g, *scratch;
    bool accumulate;
    HO_TRY(ho_grad_target(context, to, &g, &accumulate));
    if (g == NULL) {
        return HO_OK;
    }
    if (!accumulate) {
        return compute(device, s, g);
    }
    const int64_t n = ho_tensor_count(to);
    HO_TRY(ho_scratch(context, n, &scratch));
    HO_TRY(compute(device, s, scratch));
    HO_TRY(ho_k_scale(ho_context_stream(context), n, 1, scratch, true, g));
    ho_scratch_free(context, scratch);
    return HO_OK;
}

static ho_status product_backward(ho_context *context, const conv_saved *s) {
    ho_device *device = ho_context_device(context);
    const int64_t pixels = s->shape.N * s->shape.H * s->shape.W, C = s->shape.C, O = s->shape.O;
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->x, &g, &accumulate));
    if (g != NULL) {
        HO_TRY(ho_gemm(device, false, false, pixels, C, O, 1, s->y->grad, O, s->w->data, C, accumulate ? 1 : 0, g, C));
    }
    HO_TRY(ho_grad_target(context, s->w, &g, &accumulate));
    if (g != NULL) {
        HO_TRY(ho_gemm(device, true, false, O, C, pixels, 1, s->y->grad, O, s->x->data, C, accumulate ? 1 : 0, g, C));
    }
    return HO_OK;
}

/* The gradient of the activation's output becomes that of the convolution's; the bias gets its own. */
static ho_status act_backward(ho_context *context, const conv_saved *s) {
    const int64_t C = s->shape.O;
    ho_k_bias_act_in_place_gradients g = {.rows = ho_tensor_count(s->y) / C, .C = C, .y = s->sign->data};
    g.g = s->y->grad;
    HO_TRY(ho_grad_target(context, s->b, &g.g_b, &g.accumulate_b));
    if (g.g_b != NULL) {
        HO_TRY(ho_scratch(context, ho_k_bias_act_scratch(g.rows, C), &g.scratch));
    }
    HO_TRY(ho_k_bias_act_backward_in_place(ho_context_stream(context), &s->act, &g));
    ho_scratch_free(context, g.scratch);
    return HO_OK;
}

static ho_status conv_backward(ho_context *context, void *saved) {
    const conv_saved *s = saved;
    if (s->sign != NULL) {
        HO_TRY(act_backward(context, s));
    }
    if (is_product(&s->shape)) {
        return product_backward(context, s);
    }
    HO_TRY(add_gradient(context, s, s->x, data_gradient));
    return add_gradient(context, s, s->w, weight_gradient);
}

static ho_status check_shapes(const char *op, const ho_tensor *x, const ho_tensor *w, const ho_conv_options *options) {
    HO_REQUIRE(x->rank == 4 && w->rank == 4, "%s: x %s and the weight %s must have four dimensions", op,
               ho_tensor_shape_text(x), ho_tensor_shape_text(w));
    HO_REQUIRE(w->dim[1] == w->dim[2] && w->dim[3] == x->dim[3],
               "%s: x %s does not fit the weight %s: want (O, k, k, %lld)", op, ho_tensor_shape_text(x),
               ho_tensor_shape_text(w), (long long)x->dim[3]);
    HO_REQUIRE(options->stride >= 1 && options->dilation >= 1 && options->pad >= 0,
               "%s: stride %lld, dilation %lld, padding %lld", op, (long long)options->stride,
               (long long)options->dilation, (long long)options->pad);
    const int64_t span = options->dilation * (w->dim[1] - 1) + 1;
    HO_REQUIRE(x->dim[1] + 2 * options->pad >= span && x->dim[2] + 2 * options->pad >= span,
               "%s: x %s is smaller than the weight %s at padding %lld and dilation %lld", op, ho_tensor_shape_text(x),
               ho_tensor_shape_text(w), (long long)options->pad, (long long)options->dilation);
    return HO_OK;
}

static ho_status check_act(const char *op, const ho_act *act) {
    HO_REQUIRE(act->act != HO_SIGMOID && act->gain > 0.0 && act->b_gain == 1.0 &&
                   (act->act != HO_LRELU || act->slope >= 0.0),
               "%s: the activation must be linear or a leaky ReLU with slope >= 0, gain > 0 and b_gain 1 "
               "(slope %g, gain %g, b_gain %g)",
               op, act->slope, act->gain, act->b_gain);
    return HO_OK;
}

/* The shape and the output of a convolution; its inputs were checked. */
static ho_status prepare(ho_context *context, ho_tensor *x, ho_tensor *w, const ho_conv_options *options,
                         conv_saved *s) {
    *s = (conv_saved){.x = x, .w = w};
    s->shape = (ho_conv_shape){x->dim[0], x->dim[1],       x->dim[2],    x->dim[3],         w->dim[0],
                               w->dim[1], options->stride, options->pad, options->dilation, 0};
    const int64_t P = ho_conv_out(&s->shape, s->shape.H), Q = ho_conv_out(&s->shape, s->shape.W);
    return ho_tensor_new(context, HO_SHAPE(s->shape.N, P, Q, s->shape.O), &s->y);
}

static ho_status convolve(ho_context *context, const conv_saved *s) {
    const ho_conv_shape *shape = &s->shape;
    ho_device *device = ho_context_device(context);
    if (is_product(shape)) {
        return ho_gemm(device, false, true, shape->N * shape->H * shape->W, shape->O, shape->C, 1, s->x->data, shape->C,
                       s->w->data, shape->C, 0, s->y->data, shape->O);
    }
    return ho_conv_forward(device, shape, s->x->data, s->w->data, s->y->data);
}

/* Convolution, bias and activation: in one pass where the target fuses the shape. */
static ho_status convolve_act(ho_context *context, const conv_saved *s) {
    const ho_conv_shape *shape = &s->shape;
    const ho_fused_shape fused = {shape->N, shape->H, shape->W, shape->C, shape->O, 0};
    const bool same = shape->kernel == 3 && shape->stride == 1 && shape->pad == 1 && shape->dilation == 1;
    ho_device *device = ho_context_device(context);
    ho_stream stream = ho_context_stream(context);
    if (!same || !ho_conv_fuses(device, &fused)) {
        HO_TRY(convolve(context, s));
        return ho_k_bias_act_in_place(stream, ho_tensor_count(s->y) / shape->O, shape->O, &s->act, s->b->data,
                                      s->y->data);
    }
    ho_real *d = NULL; /* the factor before the bias, for each sample and channel */
    if (s->act.x_gain != HO_R(1.0)) {
        HO_TRY(ho_scratch(context, shape->N * shape->O, &d));
        HO_TRY(ho_k_fill(d, shape->N * shape->O, s->act.x_gain, stream));
    }
    const ho_conv_epilogue epilogue = {d, s->b->data, NULL, NULL, 0, s->act.gain, s->act.slope};
    HO_TRY(ho_fused_forward(device, &fused, s->x->data, NULL, s->w->data, &epilogue, s->y->data));
    ho_scratch_free(context, d);
    return HO_OK;
}

static ho_status finish(ho_context *context, const char *op, const conv_saved *s) {
    if (HO_WANTS_GRAD(context, s->x, s->w, s->b)) {
        conv_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = *s;
        HO_TRY(ho_tape_push(context, op, s->y, conv_backward, saved));
    }
    return HO_OK;
}

static ho_k_act kernel_act(const ho_act *act) {
    return (ho_k_act){false, (ho_real)(act->act == HO_LINEAR ? 1.0 : act->slope), (ho_real)act->x_gain, HO_R(1.0),
                      (ho_real)act->gain};
}

ho_status ho_conv2d(ho_context *context, ho_tensor *x, ho_tensor *w, const ho_conv_options *options, ho_tensor **y) {
    conv_saved s;
    HO_TRY(check_shapes("conv2d", x, w, options));
    HO_TRY(prepare(context, x, w, options, &s));
    HO_TRY(convolve(context, &s));
    *y = s.y;
    return finish(context, "conv2d", &s);
}

ho_status ho_conv2d_act(ho_context *context, ho_tensor *x, ho_tensor *w, ho_tensor *b, const ho_conv_options *options,
                        const ho_act *act, ho_tensor **y) {
    conv_saved s;
    HO_TRY(check_shapes("conv2d_act", x, w, options));
    HO_TRY(check_act("conv2d_act", act));
    HO_REQUIRE(b->rank == 1 && b->dim[0] == w->dim[0], "conv2d_act: bias %s does not fit the weight %s: want (%lld)",
               ho_tensor_shape_text(b), ho_tensor_shape_text(w), (long long)w->dim[0]);
    HO_TRY(prepare(context, x, w, options, &s));
    s.sign = s.y;
    s.b = b;
    s.act = kernel_act(act);
    HO_TRY(convolve_act(context, &s));
    *y = s.y;
    return finish(context, "conv2d_act", &s);
}

ho_status ho_conv2d_act_tangent(ho_context *context, const ho_tensor *y, ho_tensor *x_dot, ho_tensor *w,
                                const ho_conv_options *options, const ho_act *act, ho_tensor **y_dot) {
    conv_saved s;
    HO_TRY(check_shapes("conv2d_act_tangent", x_dot, w, options));
    HO_TRY(check_act("conv2d_act_tangent", act));
    HO_TRY(prepare(context, x_dot, w, options, &s));
    HO_REQUIRE(ho_tensor_same_shape(y, s.y), "conv2d_act_tangent: y %s is not the output of x_dot %s and the weight %s",
               ho_tensor_shape_text(y), ho_tensor_shape_text(x_dot), ho_tensor_shape_text(w));
    s.sign = y;
    s.act = kernel_act(act);
    HO_TRY(convolve(context, &s));
    const ho_k_bias_act_in_place_gradients g = {
        .rows = ho_tensor_count(s.y) / s.shape.O, .C = s.shape.O, .y = y->data, .g = s.y->data};
    HO_TRY(ho_k_bias_act_backward_in_place(ho_context_stream(context), &s.act, &g));
    *y_dot = s.y;
    return finish(context, "conv2d_act_tangent", &s);
}
