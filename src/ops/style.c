/* Operations on latents: normalisation, W to W+, rows of W+, style mixing, and the learned constant for a batch. */
#include "handsoff/ops.h"

#include "pointwise.h"
#include "reduce.h"
#include "style.h"

#include <string.h>

typedef struct {
    ho_tensor *a, *b, *y;
    int64_t dim[3], l;
    int64_t *cut; /* device memory */
} style_saved;

static ho_status push(ho_context *context, const char *op, ho_backward_fn backward, const style_saved *values) {
    style_saved *saved;
    HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
    *saved = *values;
    return ho_tape_push(context, op, values->y, backward, saved);
}

/* ---- normalize_z ------------------------------------------------------------------------------------------------- */

static ho_status normalize_backward(ho_context *context, void *saved) {
    const style_saved *s = saved;
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->a, &g, &accumulate));
    return ho_k_normalize_backward(ho_context_stream(context), s->dim[0], s->dim[1], s->a->data, s->y->grad, accumulate,
                                   g);
}

ho_status ho_normalize_z(ho_context *context, ho_tensor *z, ho_tensor **y) {
    HO_REQUIRE(z->rank == 2, "normalize_z: z %s must be (N, D)", ho_tensor_shape_text(z));
    HO_TRY(ho_tensor_like(context, z, y));
    HO_TRY(ho_k_normalize(ho_context_stream(context), z->dim[0], z->dim[1], z->data, (*y)->data));
    if (HO_WANTS_GRAD(context, z)) {
        const style_saved saved = {.a = z, .y = *y, .dim = {z->dim[0], z->dim[1], 1}};
        HO_TRY(push(context, "normalize_z", normalize_backward, &saved));
    }
    return HO_OK;
}

/* ---- repeats: w_to_w_plus, broadcast_batch ----------------------------------------------------------------------- */

static ho_status repeat_backward(ho_context *context, void *saved) {
    const style_saved *s = saved;
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->a, &g, &accumulate));
    return ho_k_sum_middle(ho_context_stream(context), s->dim, 1, s->y->grad, accumulate, g);
}

/* Fills y, seen as (A, R, M), from x (A, M). */
static ho_status repeat(ho_context *context, const char *op, ho_tensor *x, const int64_t dim[3], ho_tensor *y) {
    HO_TRY(ho_k_repeat_middle(ho_context_stream(context), dim, x->data, y->data));
    if (HO_WANTS_GRAD(context, x)) {
        const style_saved saved = {.a = x, .y = y, .dim = {dim[0], dim[1], dim[2]}};
        HO_TRY(push(context, op, repeat_backward, &saved));
    }
    return HO_OK;
}

ho_status ho_w_to_w_plus(ho_context *context, ho_tensor *w, int64_t L, ho_tensor **w_plus) {
    HO_REQUIRE(w->rank == 2 && L >= 1, "w_to_w_plus: w %s must be (N, D) and the number of rows %lld positive",
               ho_tensor_shape_text(w), (long long)L);
    const int64_t dim[3] = {w->dim[0], L, w->dim[1]};
    HO_TRY(ho_tensor_new(context, 3, dim, w_plus));
    return repeat(context, "w_to_w_plus", w, dim, *w_plus);
}

ho_status ho_broadcast_batch(ho_context *context, ho_tensor *x, int64_t N, ho_tensor **y) {
    HO_REQUIRE(x->rank < HO_MAX_RANK && N >= 1, "broadcast_batch: x %s, batch %lld: at most %d dimensions fit",
               ho_tensor_shape_text(x), (long long)N, HO_MAX_RANK - 1);
    int64_t dim[HO_MAX_RANK] = {N};
    memcpy(dim + 1, x->dim, (size_t)x->rank * sizeof *dim);
    HO_TRY(ho_tensor_new(context, x->rank + 1, dim, y));
    return repeat(context, "broadcast_batch", x, (const int64_t[3]){1, N, ho_tensor_count(x)}, *y);
}

/* ---- w_plus_row -------------------------------------------------------------------------------------------------- */

static ho_status row_backward(ho_context *context, void *saved) {
    const style_saved *s = saved;
    const int64_t N = s->dim[0], L = s->dim[1], D = s->dim[2];
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->a, &g, &accumulate));
    if (!accumulate) {
        HO_TRY(ho_device_zero(ho_context_device(context), g, ho_tensor_bytes(s->a)));
    }
    return ho_k_copy_columns(ho_context_stream(context), N, D, s->y->grad, D, true, g + s->l * D, L * D);
}

ho_status ho_w_plus_row(ho_context *context, ho_tensor *w_plus, int64_t l, ho_tensor **w) {
    HO_REQUIRE(w_plus->rank == 3 && l >= 0 && l < w_plus->dim[1],
               "w_plus_row: no row %lld in w_plus %s, want (N, L, D)", (long long)l, ho_tensor_shape_text(w_plus));
    const int64_t N = w_plus->dim[0], L = w_plus->dim[1], D = w_plus->dim[2];
    HO_TRY(ho_tensor_new(context, HO_SHAPE(N, D), w));
    HO_TRY(ho_k_copy_columns(ho_context_stream(context), N, D, w_plus->data + l * D, L * D, false, (*w)->data, D));
    if (HO_WANTS_GRAD(context, w_plus)) {
        const style_saved saved = {.a = w_plus, .y = *w, .dim = {N, L, D}, .l = l};
        HO_TRY(push(context, "w_plus_row", row_backward, &saved));
    }
    return HO_OK;
}

/* ---- mix_rows ---------------------------------------------------------------------------------------------------- */

static ho_status mix_backward(ho_context *context, void *saved) {
    const style_saved *s = saved;
    ho_tensor *const in[2] = {s->a, s->b};
    for (int i = 0; i < 2; ++i) {
        ho_real *g;
        bool accumulate;
        HO_TRY(ho_grad_target(context, in[i], &g, &accumulate));
        if (g != NULL) {
            HO_TRY(
                ho_k_mix_rows_backward(ho_context_stream(context), s->dim, s->cut, i == 1, s->y->grad, accumulate, g));
        }
    }
    return HO_OK;
}

ho_status ho_mix_rows(ho_context *context, ho_tensor *a, ho_tensor *b, const int64_t *cut, ho_tensor **y) {
    HO_REQUIRE(a->rank == 3 && ho_tensor_same_shape(a, b), "mix_rows: %s and %s must both be (N, L, D)",
               ho_tensor_shape_text(a), ho_tensor_shape_text(b));
    style_saved saved = {.a = a, .b = b, .dim = {a->dim[0], a->dim[1], a->dim[2]}};
    const size_t bytes = (size_t)a->dim[0] * sizeof *cut;
    HO_TRY(ho_tensor_like(context, a, y));
    saved.y = *y;
    HO_TRY(ho_scratch_bytes(context, bytes, (void **)&saved.cut));
    HO_TRY(ho_device_upload(ho_context_device(context), saved.cut, cut, bytes));
    HO_TRY(ho_k_mix_rows(ho_context_stream(context), saved.dim, saved.cut, a->data, b->data, (*y)->data));
    if (HO_WANTS_GRAD(context, a, b)) {
        return push(context, "mix_rows", mix_backward, &saved);
    }
    ho_scratch_free(context, saved.cut);
    return HO_OK;
}
