/* Dense layers: y = x w^T as one matrix product over all leading dimensions. */
#include "handsoff/ops.h"

#include <string.h>

typedef struct {
    ho_tensor *x, *w, *y;
    int64_t rows, I, O;
} dense_saved;

static ho_status dense_backward(ho_context *context, void *saved) {
    const dense_saved *s = saved;
    ho_device *device = ho_context_device(context);
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->x, &g, &accumulate));
    if (g != NULL) {
        HO_TRY(ho_gemm(device, false, false, s->rows, s->I, s->O, 1, s->y->grad, s->O, s->w->data, s->I,
                       accumulate ? 1 : 0, g, s->I));
    }
    HO_TRY(ho_grad_target(context, s->w, &g, &accumulate));
    if (g != NULL) {
        HO_TRY(ho_gemm(device, true, false, s->O, s->I, s->rows, 1, s->y->grad, s->O, s->x->data, s->I,
                       accumulate ? 1 : 0, g, s->I));
    }
    return HO_OK;
}

ho_status ho_dense(ho_context *context, ho_tensor *x, ho_tensor *w, ho_tensor **y) {
    HO_REQUIRE(x->rank >= 1 && w->rank == 2 && x->dim[x->rank - 1] == w->dim[1],
               "dense: x %s does not fit the weight %s: the last sizes must be equal", ho_tensor_shape_text(x),
               ho_tensor_shape_text(w));
    int64_t dim[HO_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = w->dim[0];
    HO_TRY(ho_tensor_new(context, x->rank, dim, y));
    const int64_t O = w->dim[0], I = w->dim[1], rows = ho_tensor_count(x) / I;
    HO_TRY(ho_gemm(ho_context_device(context), false, true, rows, O, I, 1, x->data, I, w->data, I, 0, (*y)->data, O));
    if (HO_WANTS_GRAD(context, x, w)) {
        dense_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (dense_saved){x, w, *y, rows, I, O};
        HO_TRY(ho_tape_push(context, "dense", *y, dense_backward, saved));
    }
    return HO_OK;
}
