/* Bilinear resampling on the tape: y = R x, g_x = R^T g_y. */
#include "resample.h"
#include "handsoff/ops.h"

typedef struct {
    ho_tensor *x, *y;
    ho_resample_shape shape;
} resize_saved;

static ho_status resize_backward(ho_context *context, void *memory) {
    const resize_saved *saved = memory;
    ho_real *g_x;
    bool accumulate;
    HO_TRY(ho_grad_target(context, saved->x, &g_x, &accumulate));
    if (g_x == NULL) {
        return HO_OK;
    }
    return ho_k_resample_backward(ho_context_stream(context), &saved->shape, saved->y->grad, g_x, accumulate);
}

static ho_status resize(ho_context *context, ho_tensor *x, int64_t H, int64_t W, bool corners, ho_tensor **y) {
    HO_REQUIRE(x->rank == 4 && ho_tensor_count(x) > 0, "resize: the input must be a non-empty (N, H, W, C), not %s",
               ho_tensor_shape_text(x));
    HO_REQUIRE(H > 0 && W > 0, "resize: %s cannot be brought to %lld x %lld pixels", ho_tensor_shape_text(x),
               (long long)H, (long long)W);
    const ho_resample_shape shape = {x->dim[0], x->dim[1], x->dim[2], x->dim[3], H, W, corners};
    HO_TRY(ho_tensor_new(context, HO_SHAPE(shape.N, H, W, shape.C), y));
    HO_TRY(ho_k_resample(ho_context_stream(context), &shape, x->data, (*y)->data));
    if (HO_WANTS_GRAD(context, x)) {
        void *memory;
        HO_TRY(ho_host_scratch(context, sizeof(resize_saved), &memory));
        *(resize_saved *)memory = (resize_saved){x, *y, shape};
        HO_TRY(ho_tape_push(context, "resize", *y, resize_backward, memory));
    }
    return HO_OK;
}

ho_status ho_resize_bilinear(ho_context *context, ho_tensor *x, int64_t H, int64_t W, ho_tensor **y) {
    return resize(context, x, H, W, false, y);
}

ho_status ho_resize_corners(ho_context *context, ho_tensor *x, int64_t H, int64_t W, ho_tensor **y) {
    HO_REQUIRE(x->rank == 4 && x->dim[1] > 1 && x->dim[2] > 1 && H > 1 && W > 1,
               "resize with corners: %s to %lld x %lld pixels: both must have at least 2 x 2", ho_tensor_shape_text(x),
               (long long)H, (long long)W);
    return resize(context, x, H, W, true, y);
}
