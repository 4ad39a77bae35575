/* Filtered convolution with stride 2: in one pass where the target fuses the shape (ho_conv_fuses), else the filter
 * into scratch and a strided convolution of that. */
#include "handsoff/ops.h"

#include "fir.h"
#include "pointwise.h"

typedef struct {
    ho_tensor *x, *w, *y;
    ho_fused_shape fused;
    bool fuses;
    ho_fir_shape blur;  /* x to the filtered image (N, H+1, W+1, C) */
    ho_conv_shape conv; /* of the filtered image                    */
} down_saved;

static down_saved plan(const ho_device *device, ho_tensor *x, ho_tensor *w) {
    const int64_t N = x->dim[0], H = x->dim[1], W = x->dim[2], C = x->dim[3], O = w->dim[0];
    down_saved s = {.x = x, .w = w};
    s.fused = (ho_fused_shape){N, H, W, C, O, HO_GRID_DOWN};
    s.fuses = ho_conv_fuses(device, &s.fused);
    s.blur = (ho_fir_shape){N, H, W, C, H + 1, W + 1, 1, 1, 2, 1};
    s.conv = (ho_conv_shape){N, H + 1, W + 1, C, O, 3, 2, 0, 1};
    return s;
}

static int64_t blurred_count(const down_saved *s) {
    return s->conv.N * s->conv.H * s->conv.W * s->conv.C;
}

static ho_status forward(ho_context *context, const down_saved *s) {
    ho_device *device = ho_context_device(context);
    if (s->fuses) {
        return ho_fused_forward(device, &s->fused, s->x->data, NULL, s->w->data, NULL, s->y->data);
    }
    ho_real *blurred;
    HO_TRY(ho_scratch(context, blurred_count(s), &blurred));
    HO_TRY(ho_k_fir(ho_context_stream(context), &s->blur, s->x->data, false, blurred));
    HO_TRY(ho_conv_forward(device, &s->conv, blurred, s->w->data, s->y->data));
    ho_scratch_free(context, blurred);
    return HO_OK;
}

/* g_x (+)=: the filter is symmetric, its adjoint the same filter with padding 1. */
static ho_status backward_data(ho_context *context, const down_saved *s, bool accumulate, ho_real *g_x) {
    ho_device *device = ho_context_device(context);
    const int64_t count = s->fuses ? ho_tensor_count(s->x) : blurred_count(s);
    if (s->fuses && !accumulate) {
        return ho_fused_backward_data(device, &s->fused, s->y->grad, s->w->data, g_x);
    }
    ho_real *scratch;
    HO_TRY(ho_scratch(context, count, &scratch));
    if (s->fuses) {
        HO_TRY(ho_fused_backward_data(device, &s->fused, s->y->grad, s->w->data, scratch));
        HO_TRY(ho_k_scale(ho_context_stream(context), count, 1, scratch, true, g_x));
    } else {
        const ho_fir_shape *b = &s->blur;
        const ho_fir_shape adjoint = {b->N, b->P, b->Q, b->C, b->H, b->W, 1, 1, 3 - b->before, 1};
        HO_TRY(ho_conv_backward_data(device, &s->conv, s->y->grad, s->w->data, scratch));
        HO_TRY(ho_k_fir(ho_context_stream(context), &adjoint, scratch, accumulate, g_x));
    }
    ho_scratch_free(context, scratch);
    return HO_OK;
}

/* g_w, overwritten. */
static ho_status backward_weights(ho_context *context, const down_saved *s, ho_real *g_w) {
    ho_device *device = ho_context_device(context);
    if (s->fuses) {
        return ho_fused_backward_weights(device, &s->fused, s->x->data, NULL, s->y->grad, g_w);
    }
    ho_real *blurred;
    HO_TRY(ho_scratch(context, blurred_count(s), &blurred));
    HO_TRY(ho_k_fir(ho_context_stream(context), &s->blur, s->x->data, false, blurred));
    HO_TRY(ho_conv_backward_weights(device, &s->conv, blurred, s->y->grad, g_w));
    ho_scratch_free(context, blurred);
    return HO_OK;
}

static ho_status down_backward(ho_context *context, void *saved) {
    const down_saved *s = saved;
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->x, &g, &accumulate));
    if (g != NULL) {
        HO_TRY(backward_data(context, s, accumulate, g));
    }
    HO_TRY(ho_grad_target(context, s->w, &g, &accumulate));
    if (g == NULL || !accumulate) {
        return g == NULL ? HO_OK : backward_weights(context, s, g);
    }
    const int64_t count = ho_tensor_count(s->w);
    ho_real *scratch;
    HO_TRY(ho_scratch(context, count, &scratch));
    HO_TRY(backward_weights(context, s, scratch));
    HO_TRY(ho_k_scale(ho_context_stream(context), count, 1, scratch, true, g));
    ho_scratch_free(context, scratch);
    return HO_OK;
}

ho_status ho_conv2d_down(ho_context *context, ho_tensor *x, ho_tensor *w, ho_tensor **y) {
    HO_REQUIRE(x->rank == 4 && x->dim[1] % 2 == 0 && x->dim[2] % 2 == 0,
               "conv2d_down: x %s must be (N, H, W, C) with H and W even", ho_tensor_shape_text(x));
    HO_REQUIRE(w->rank == 4 && w->dim[1] == 3 && w->dim[2] == 3 && w->dim[3] == x->dim[3],
               "conv2d_down: the weight %s does not fit x %s: want (O, 3, 3, %lld)", ho_tensor_shape_text(w),
               ho_tensor_shape_text(x), (long long)x->dim[3]);
    down_saved s = plan(ho_context_device(context), x, w);
    HO_TRY(ho_tensor_new(context, HO_SHAPE(x->dim[0], x->dim[1] / 2, x->dim[2] / 2, w->dim[0]), y));
    s.y = *y;
    HO_TRY(forward(context, &s));
    if (HO_WANTS_GRAD(context, x, w)) {
        down_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = s;
        HO_TRY(ho_tape_push(context, "conv2d_down", *y, down_backward, saved));
    }
    return HO_OK;
}
