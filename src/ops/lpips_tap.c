/* One tap of LPIPS on the tape. */
#include "handsoff/ops.h"
#include "lpips.h"

typedef struct {
    ho_tensor *f0, *f1, *d;
    ho_lpips_args args;
} tap_saved;

static ho_status tap_backward(ho_context *context, void *memory) {
    const tap_saved *saved = memory;
    ho_lpips_gradients gradients = {.g_d = saved->d->grad};
    HO_TRY(ho_grad_target(context, saved->f0, &gradients.g_f0, &gradients.accumulate0));
    HO_TRY(ho_grad_target(context, saved->f1, &gradients.g_f1, &gradients.accumulate1));
    if (gradients.g_f0 != NULL || gradients.g_f1 != NULL) {
        HO_TRY(ho_k_lpips_backward(ho_context_stream(context), &saved->args, &gradients));
    }
    ho_scratch_free(context, saved->args.norm);
    return HO_OK;
}

ho_status ho_lpips_tap(ho_context *context, ho_tensor *f0, ho_tensor *f1, ho_tensor *w, ho_tensor **d) {
    HO_REQUIRE(f0->rank == 4 && ho_tensor_same_shape(f0, f1) && ho_tensor_count(f0) > 0,
               "LPIPS tap: the features must be two non-empty (N, H, W, C) of one shape, not %s and %s",
               ho_tensor_shape_text(f0), ho_tensor_shape_text(f1));
    HO_REQUIRE(w == NULL || (w->rank == 1 && w->dim[0] == f0->dim[3]),
               "LPIPS tap: the channel weights must be (%lld) for features %s, not %s", (long long)f0->dim[3],
               ho_tensor_shape_text(f0), ho_tensor_shape_text(w));
    tap_saved saved = {.f0 = f0,
                       .f1 = f1,
                       .args = {.N = f0->dim[0],
                                .pixels = f0->dim[1] * f0->dim[2],
                                .C = f0->dim[3],
                                .f0 = f0->data,
                                .f1 = f1->data,
                                .w = w == NULL ? NULL : w->data}};
    ho_real *scratch;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(f0->dim[0]), d));
    HO_TRY(ho_scratch(context, 2 * saved.args.N * saved.args.pixels, &saved.args.norm));
    HO_TRY(ho_scratch(context, ho_k_lpips_scratch(&saved.args), &scratch));
    HO_TRY(ho_k_lpips(ho_context_stream(context), &saved.args, scratch, (*d)->data));
    ho_scratch_free(context, scratch);
    saved.d = *d;
    if (HO_WANTS_GRAD(context, f0, f1)) {
        void *memory;
        HO_TRY(ho_host_scratch(context, sizeof saved, &memory));
        *(tap_saved *)memory = saved;
        return ho_tape_push(context, "LPIPS tap", *d, tap_backward, memory);
    }
    ho_scratch_free(context, saved.args.norm);
    return HO_OK;
}
