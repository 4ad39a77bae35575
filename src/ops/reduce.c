/* Sums of all elements, as one-element losses. */
#include "handsoff/ops.h"

#include "pointwise.h"
#include "reduce.h"

typedef struct {
    ho_tensor *a, *b, *loss; /* b NULL: the sum of a */
    ho_real gain;
} sum_saved;

/* g of `to` (+)= gain g_loss other. */
static ho_status sum_gradient(ho_context *context, const sum_saved *s, ho_tensor *to, const ho_tensor *other) {
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, to, &g, &accumulate));
    if (g == NULL) {
        return HO_OK;
    }
    return ho_k_scale_by(ho_context_stream(context), ho_tensor_count(to), s->gain, s->loss->grad,
                         other != NULL ? other->data : NULL, accumulate, g);
}

static ho_status sum_backward(ho_context *context, void *saved) {
    const sum_saved *s = saved;
    HO_TRY(sum_gradient(context, s, s->a, s->b));
    return s->b != NULL ? sum_gradient(context, s, s->b, s->a) : HO_OK;
}

static ho_status sum_of(ho_context *context, ho_tensor *a, ho_tensor *b, double gain, ho_tensor **loss) {
    const int64_t n = ho_tensor_count(a);
    ho_real *scratch;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(1), loss));
    HO_TRY(ho_scratch(context, ho_k_sum_scratch(n), &scratch));
    HO_TRY(ho_k_dot(ho_context_stream(context), n, (ho_real)gain, a->data, b != NULL ? b->data : NULL, scratch,
                    (*loss)->data));
    ho_scratch_free(context, scratch);
    if (HO_WANTS_GRAD(context, a, b)) {
        sum_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (sum_saved){a, b, *loss, (ho_real)gain};
        HO_TRY(ho_tape_push(context, b != NULL ? "dot" : "sum", *loss, sum_backward, saved));
    }
    return HO_OK;
}

ho_status ho_sum(ho_context *context, ho_tensor *x, double gain, ho_tensor **loss) {
    return sum_of(context, x, NULL, gain, loss);
}

ho_status ho_dot(ho_context *context, ho_tensor *a, ho_tensor *b, double gain, ho_tensor **loss) {
    HO_REQUIRE(ho_tensor_same_shape(a, b), "dot: %s and %s must have one shape", ho_tensor_shape_text(a),
               ho_tensor_shape_text(b));
    return sum_of(context, a, b, gain, loss);
}
