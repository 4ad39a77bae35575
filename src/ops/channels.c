/* What works on channels as wholes: a slope for each (PReLU), a factor for each and sample (squeeze and excitation). */
#include "handsoff/ops.h"

#include "modconv.h"
#include "pointwise.h"

/* ---- PReLU ------------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_tensor *x, *slope, *y;
} prelu_saved;

static ho_status prelu_backward(ho_context *context, void *memory) {
    const prelu_saved *s = memory;
    ho_k_prelu_gradients g = {.C = ho_tensor_count(s->slope), .x = s->x->data, .a = s->slope->data};
    HO_TRY(ho_grad_target(context, s->x, &g.g_x, &g.accumulate_x));
    HO_TRY(ho_grad_target(context, s->slope, &g.g_a, &g.accumulate_a));
    g.rows = ho_tensor_count(s->x) / g.C;
    g.g_y = s->y->grad;
    HO_TRY(ho_scratch(context, ho_k_prelu_scratch(g.rows, g.C), &g.scratch));
    HO_TRY(ho_k_prelu_backward(ho_context_stream(context), &g));
    ho_scratch_free(context, g.scratch);
    return HO_OK;
}

ho_status ho_prelu(ho_context *context, ho_tensor *x, ho_tensor *slope, ho_tensor **y) {
    HO_REQUIRE(slope->rank == 1 && x->rank >= 1 && ho_tensor_count(x) > 0 && slope->dim[0] == x->dim[x->rank - 1],
               "prelu: slopes %s do not fit x %s: want one a channel", ho_tensor_shape_text(slope),
               ho_tensor_shape_text(x));
    const int64_t C = slope->dim[0];
    HO_TRY(ho_tensor_like(context, x, y));
    HO_TRY(ho_k_prelu(ho_context_stream(context), ho_tensor_count(x) / C, C, x->data, slope->data, (*y)->data));
    if (HO_WANTS_GRAD(context, x, slope)) {
        prelu_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (prelu_saved){x, slope, *y};
        HO_TRY(ho_tape_push(context, "prelu", *y, prelu_backward, saved));
    }
    return HO_OK;
}

/* ---- a factor a channel ------------------------------------------------------------------------------------------ */

typedef struct {
    ho_tensor *x, *s, *y;
} scale_saved;

static ho_status scale_backward(ho_context *context, void *memory) {
    const scale_saved *saved = memory;
    const ho_tensor *x = saved->x;
    ho_k_modulate_gradients g = {
        .N = x->dim[0], .pixels = x->dim[1] * x->dim[2], .I = x->dim[3], .x = x->data, .s = saved->s->data};
    HO_TRY(ho_grad_target(context, saved->x, &g.g_x, &g.accumulate_x));
    HO_TRY(ho_grad_target(context, saved->s, &g.g_s, &g.accumulate_s));
    g.g_xs = saved->y->grad;
    HO_TRY(ho_scratch(context, ho_k_modulate_scratch(g.N, g.pixels, g.I), &g.scratch));
    HO_TRY(ho_k_modulate_backward(ho_context_stream(context), &g));
    ho_scratch_free(context, g.scratch);
    return HO_OK;
}

ho_status ho_scale_channels(ho_context *context, ho_tensor *x, ho_tensor *s, ho_tensor **y) {
    HO_REQUIRE(x->rank == 4 && ho_tensor_count(x) > 0 && s->rank == 2 && s->dim[0] == x->dim[0] &&
                   s->dim[1] == x->dim[3],
               "scale_channels: factors %s do not fit x %s: want one a sample and channel", ho_tensor_shape_text(s),
               ho_tensor_shape_text(x));
    const int64_t dim[3] = {x->dim[0], x->dim[1] * x->dim[2], x->dim[3]};
    HO_TRY(ho_tensor_like(context, x, y));
    HO_TRY(ho_k_modulate(ho_context_stream(context), dim, x->data, s->data, (*y)->data));
    if (HO_WANTS_GRAD(context, x, s)) {
        scale_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (scale_saved){x, s, *y};
        HO_TRY(ho_tape_push(context, "scale_channels", *y, scale_backward, saved));
    }
    return HO_OK;
}
