/* Plain convolution. A 1x1 convolution with stride 1 is a matrix product over all pixels and is computed as one. */
#include "handsoff/ops.h"

#include "pointwise.h"

typedef struct {
    ho_tensor *x, *w, *y;
    ho_conv_shape shape;
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

static ho_status conv_backward(ho_context *context, void *saved) {
    const conv_saved *s = saved;
    if (is_product(&s->shape)) {
        return product_backward(context, s);
    }
    HO_TRY(add_gradient(context, s, s->x, data_gradient));
    return add_gradient(context, s, s->w, weight_gradient);
}

ho_status ho_conv2d(ho_context *context, ho_tensor *x, ho_tensor *w, const ho_conv_options *options, ho_tensor **y) {
    HO_REQUIRE(x->rank == 4 && w->rank == 4, "conv2d: x %s and the weight %s must have four dimensions",
               ho_tensor_shape_text(x), ho_tensor_shape_text(w));
    HO_REQUIRE(w->dim[1] == w->dim[2] && w->dim[3] == x->dim[3],
               "conv2d: x %s does not fit the weight %s: want (O, k, k, %lld)", ho_tensor_shape_text(x),
               ho_tensor_shape_text(w), (long long)x->dim[3]);
    HO_REQUIRE(options->stride >= 1 && options->dilation >= 1 && options->pad >= 0,
               "conv2d: stride %lld, dilation %lld, padding %lld", (long long)options->stride,
               (long long)options->dilation, (long long)options->pad);
    const ho_conv_shape shape = {x->dim[0], x->dim[1],       x->dim[2],    x->dim[3],        w->dim[0],
                                 w->dim[1], options->stride, options->pad, options->dilation};
    const int64_t P = ho_conv_out(&shape, shape.H), Q = ho_conv_out(&shape, shape.W);
    HO_REQUIRE(shape.H + 2 * shape.pad >= shape.dilation * (shape.kernel - 1) + 1 &&
                   shape.W + 2 * shape.pad >= shape.dilation * (shape.kernel - 1) + 1,
               "conv2d: x %s is smaller than the weight %s at padding %lld and dilation %lld", ho_tensor_shape_text(x),
               ho_tensor_shape_text(w), (long long)shape.pad, (long long)shape.dilation);
    HO_TRY(ho_tensor_new(context, HO_SHAPE(shape.N, P, Q, shape.O), y));
    ho_device *device = ho_context_device(context);
    if (is_product(&shape)) {
        HO_TRY(ho_gemm(device, false, true, shape.N * P * Q, shape.O, shape.C, 1, x->data, shape.C, w->data, shape.C, 0,
                       (*y)->data, shape.O));
    } else {
        HO_TRY(ho_conv_forward(device, &shape, x->data, w->data, (*y)->data));
    }
    if (HO_WANTS_GRAD(context, x, w)) {
        conv_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (conv_saved){x, w, *y, shape};
        HO_TRY(ho_tape_push(context, "conv2d", *y, conv_backward, saved));
    }
    return HO_OK;
}
