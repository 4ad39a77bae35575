/* Minibatch standard deviation and its tangent: see kernels/minibatch_std.cu. */
#include "handsoff/ops.h"

#include "minibatch_std.h"
#include "pointwise.h"

typedef struct {
    ho_tensor *x, *x_dot, *y; /* x_dot NULL: the statistic itself */
    ho_mbstd_shape shape;
} mbstd_saved;

/* The channels that were passed through: g (+)= g_y[..., :C]; 0 for a tensor that was not. */
static ho_status pass_gradient(ho_context *context, const mbstd_saved *s, bool passed, bool accumulate, ho_real *g) {
    const int64_t rows = s->shape.N * s->shape.pixels, C = s->shape.C;
    if (passed) {
        return ho_k_copy_columns(ho_context_stream(context), rows, C, s->y->grad, C + 1, accumulate, g, C);
    }
    return accumulate ? HO_OK : ho_device_zero(ho_context_device(context), g, (size_t)(rows * C) * sizeof *g);
}

static ho_status mbstd_backward(ho_context *context, void *saved) {
    const mbstd_saved *s = saved;
    ho_stream stream = ho_context_stream(context);
    ho_real *g_stat, *g;
    bool accumulate;
    HO_TRY(ho_scratch(context, s->shape.N / s->shape.G, &g_stat));
    HO_TRY(ho_k_mbstd_gather(stream, &s->shape, s->y->grad, g_stat));
    HO_TRY(ho_grad_target(context, s->x, &g, &accumulate));
    if (g != NULL) {
        HO_TRY(pass_gradient(context, s, s->x_dot == NULL, accumulate, g));
        HO_TRY(ho_k_mbstd_backward(stream, &s->shape, s->x->data, s->x_dot != NULL ? s->x_dot->data : NULL, g_stat, g));
    }
    HO_TRY(ho_grad_target(context, s->x_dot, &g, &accumulate));
    if (g != NULL) {
        HO_TRY(pass_gradient(context, s, true, accumulate, g));
        HO_TRY(ho_k_mbstd_backward(stream, &s->shape, s->x->data, NULL, g_stat, g));
    }
    ho_scratch_free(context, g_stat);
    return HO_OK;
}

static ho_status mbstd(ho_context *context, ho_tensor *x, ho_tensor *x_dot, int64_t group, ho_tensor **y) {
    const char *op = x_dot != NULL ? "minibatch_std_tangent" : "minibatch_std";
    HO_REQUIRE(x->rank == 4 && x->dim[0] >= 1 && group >= 1,
               "%s: x %s must be (N, H, W, C) with at least one sample, and the group size %lld positive", op,
               ho_tensor_shape_text(x), (long long)group);
    const int64_t N = x->dim[0], G = group < N ? group : N;
    HO_REQUIRE(N % G == 0, "%s: the batch of x %s is not a multiple of the group size %lld", op,
               ho_tensor_shape_text(x), (long long)G);
    const ho_mbstd_shape shape = {N, x->dim[1] * x->dim[2], x->dim[3], G};
    ho_stream stream = ho_context_stream(context);
    ho_real *stat;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(N, x->dim[1], x->dim[2], shape.C + 1), y));
    HO_TRY(ho_scratch(context, N / G, &stat));
    HO_TRY(ho_k_mbstd(stream, &shape, x->data, x_dot != NULL ? x_dot->data : NULL, stat));
    HO_TRY(ho_k_copy_columns(stream, N * shape.pixels, shape.C, x_dot != NULL ? x_dot->data : x->data, shape.C, false,
                             (*y)->data, shape.C + 1));
    HO_TRY(ho_k_mbstd_spread(stream, &shape, stat, (*y)->data));
    ho_scratch_free(context, stat);
    if (HO_WANTS_GRAD(context, x, x_dot)) {
        mbstd_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (mbstd_saved){x, x_dot, *y, shape};
        HO_TRY(ho_tape_push(context, op, *y, mbstd_backward, saved));
    }
    return HO_OK;
}

ho_status ho_minibatch_std(ho_context *context, ho_tensor *x, int64_t group, ho_tensor **y) {
    return mbstd(context, x, NULL, group, y);
}

ho_status ho_minibatch_std_tangent(ho_context *context, ho_tensor *x, ho_tensor *x_dot, int64_t group,
                                   ho_tensor **y_dot) {
    HO_REQUIRE(ho_tensor_same_shape(x, x_dot), "minibatch_std_tangent: x %s and x_dot %s must have one shape",
               ho_tensor_shape_text(x), ho_tensor_shape_text(x_dot));
    return mbstd(context, x, x_dot, group, y_dot);
}
