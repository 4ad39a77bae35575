/* Block-diagonal dense layer: one batched matrix product over the groups, in each direction. */
#include "handsoff/grouped.h"

typedef struct {
    ho_tensor *x, *w, *y;
    int64_t B, groups, I, O;
} grouped;

static ho_status grouped_backward(ho_context *context, void *saved) {
    const grouped *s = saved;
    ho_device *device = ho_context_device(context);
    ho_real *g_x = NULL, *g_w = NULL;
    bool accumulate = false;
    HO_TRY(ho_grad_target(context, s->x, &g_x, &accumulate));
    if (g_x != NULL) { /* g_x[:, g] = g_y[:, g] w_g */
        HO_TRY(ho_gemm_batched(device, false, false, s->B, s->I, s->O, 1, s->y->grad, s->groups * s->O, s->O,
                               s->w->data, s->I, s->O * s->I, accumulate ? 1 : 0, g_x, s->groups * s->I, s->I,
                               s->groups));
    }
    HO_TRY(ho_grad_target(context, s->w, &g_w, &accumulate));
    if (g_w != NULL) { /* g_w_g = g_y[:, g]^T x[:, g] */
        HO_TRY(ho_gemm_batched(device, true, false, s->O, s->I, s->B, 1, s->y->grad, s->groups * s->O, s->O, s->x->data,
                               s->groups * s->I, s->I, accumulate ? 1 : 0, g_w, s->I, s->O * s->I, s->groups));
    }
    return HO_OK;
}

ho_status ho_grouped_dense(ho_context *context, ho_tensor *x, ho_tensor *w, int64_t groups, ho_tensor **y) {
    HO_REQUIRE(
        x->rank == 2 && w->rank == 2 && groups >= 1 && x->dim[1] == groups * w->dim[1] && w->dim[0] % groups == 0,
        "grouped_dense: x %s and w %s do not fit together in %lld groups: x is (B, groups * I), w (groups * O, I)",
        ho_tensor_shape_text(x), ho_tensor_shape_text(w), (long long)groups);
    const grouped s = {x, w, NULL, x->dim[0], groups, w->dim[1], w->dim[0] / groups};
    HO_TRY(ho_tensor_new(context, HO_SHAPE(s.B, w->dim[0]), y));
    HO_TRY(ho_gemm_batched(ho_context_device(context), false, true, s.B, s.O, s.I, 1, x->data, groups * s.I, s.I,
                           w->data, s.I, s.O * s.I, 0, (*y)->data, groups * s.O, s.O, groups));
    if (HO_WANTS_GRAD(context, x, w)) {
        void *saved = NULL;
        HO_TRY(ho_host_scratch(context, sizeof s, &saved));
        *(grouped *)saved = s;
        ((grouped *)saved)->y = *y;
        HO_TRY(ho_tape_push(context, "grouped_dense", *y, grouped_backward, saved));
    }
    return HO_OK;
}
