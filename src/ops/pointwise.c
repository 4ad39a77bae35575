/* Bias and activation, sums, and operations that only move data. */
#include "handsoff/ops.h"

#include "fill.h"
#include "pointwise.h"

#include <string.h>

static ho_k_act kernel_act(const ho_act *act) {
    return (ho_k_act){act->act == HO_SIGMOID, (ho_real)(act->act == HO_LINEAR ? 1.0 : act->slope), (ho_real)act->x_gain,
                      (ho_real)act->b_gain, (ho_real)act->gain};
}

/* ---- bias_act ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const ho_tensor *y; /* whose sign tells the derivative */
    ho_tensor *x, *b, *out;
    ho_k_act act;
} act_saved;

static ho_status bias_act_backward(ho_context *context, void *saved) {
    const act_saved *s = saved;
    const int64_t n = ho_tensor_count(s->out);
    ho_k_bias_act_gradients g = {0};
    HO_TRY(ho_grad_target(context, s->x, &g.g_x, &g.accumulate_x));
    HO_TRY(ho_grad_target(context, s->b, &g.g_b, &g.accumulate_b));
    if (g.g_b == NULL) {
        return g.g_x == NULL ? HO_OK
                             : ho_k_act_backward(ho_context_stream(context), n, &s->act, s->y->data, s->out->grad,
                                                 g.accumulate_x, g.g_x);
    }
    g.C = ho_tensor_count(s->b);
    g.rows = n / g.C;
    g.y = s->y->data;
    g.g_y = s->out->grad;
    HO_TRY(ho_scratch(context, ho_k_bias_act_scratch(g.rows, g.C), &g.scratch));
    HO_TRY(ho_k_bias_act_backward(ho_context_stream(context), &s->act, &g));
    ho_scratch_free(context, g.scratch);
    return HO_OK;
}

ho_status ho_bias_act(ho_context *context, ho_tensor *x, ho_tensor *b, const ho_act *act, ho_tensor **y) {
    HO_REQUIRE(b == NULL || (b->rank == 1 && x->rank >= 1 && b->dim[0] == x->dim[x->rank - 1]),
               "bias_act: bias %s does not fit x %s: want one value a channel", ho_tensor_shape_text(b),
               ho_tensor_shape_text(x));
    HO_REQUIRE(act->gain > 0.0, "bias_act: gain %g must be positive: the backward reads the sign of y", act->gain);
    HO_REQUIRE(act->act != HO_LRELU || act->slope >= 0.0, "bias_act: slope %g must not be negative", act->slope);
    const ho_k_act kernel = kernel_act(act);
    HO_TRY(ho_tensor_like(context, x, y));
    const int64_t n = ho_tensor_count(x), C = b != NULL ? b->dim[0] : 1;
    HO_TRY(
        ho_k_bias_act(ho_context_stream(context), n / C, C, &kernel, x->data, b != NULL ? b->data : NULL, (*y)->data));
    if (HO_WANTS_GRAD(context, x, b)) {
        act_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (act_saved){*y, x, b, *y, kernel};
        HO_TRY(ho_tape_push(context, "bias_act", *y, bias_act_backward, saved));
    }
    return HO_OK;
}

ho_status ho_bias_act_tangent(ho_context *context, const ho_tensor *y, ho_tensor *x_dot, const ho_act *act,
                              ho_tensor **y_dot) {
    HO_REQUIRE(ho_tensor_same_shape(y, x_dot), "bias_act_tangent: y %s and x_dot %s must have one shape",
               ho_tensor_shape_text(y), ho_tensor_shape_text(x_dot));
    HO_REQUIRE(act->act != HO_SIGMOID && act->gain > 0.0,
               "bias_act_tangent: needs a piecewise linear activation and a positive gain");
    const ho_k_act kernel = kernel_act(act);
    HO_TRY(ho_tensor_like(context, x_dot, y_dot));
    HO_TRY(ho_k_act_backward(ho_context_stream(context), ho_tensor_count(y), &kernel, y->data, x_dot->data, false,
                             (*y_dot)->data));
    if (HO_WANTS_GRAD(context, x_dot)) {
        act_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (act_saved){y, x_dot, NULL, *y_dot, kernel};
        HO_TRY(ho_tape_push(context, "bias_act_tangent", *y_dot, bias_act_backward, saved));
    }
    return HO_OK;
}

/* ---- add --------------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_tensor *in[2], *y;
    ho_real gain[2];
} add_saved;

static ho_status add_backward(ho_context *context, void *saved) {
    const add_saved *s = saved;
    for (int i = 0; i < 2; ++i) {
        ho_real *g;
        bool accumulate;
        HO_TRY(ho_grad_target(context, s->in[i], &g, &accumulate));
        if (g != NULL) {
            HO_TRY(
                ho_k_scale(ho_context_stream(context), ho_tensor_count(s->y), s->gain[i], s->y->grad, accumulate, g));
        }
    }
    return HO_OK;
}

ho_status ho_add(ho_context *context, ho_tensor *a, double a_gain, ho_tensor *b, double b_gain, ho_tensor **y) {
    HO_REQUIRE(b == NULL || ho_tensor_same_shape(a, b), "add: %s and %s must have one shape", ho_tensor_shape_text(a),
               ho_tensor_shape_text(b));
    HO_TRY(ho_tensor_like(context, a, y));
    const int64_t n = ho_tensor_count(a);
    if (b == NULL) {
        HO_TRY(ho_k_scale(ho_context_stream(context), n, (ho_real)a_gain, a->data, false, (*y)->data));
    } else {
        HO_TRY(ho_k_add(ho_context_stream(context), n, (ho_real)a_gain, a->data, (ho_real)b_gain, b->data, (*y)->data));
    }
    if (HO_WANTS_GRAD(context, a, b)) {
        add_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (add_saved){{a, b}, *y, {(ho_real)a_gain, (ho_real)b_gain}};
        HO_TRY(ho_tape_push(context, "add", *y, add_backward, saved));
    }
    return HO_OK;
}

/* ---- concat ------------------------------------------------------------------------------------------------------ */

typedef struct {
    ho_tensor *in[HO_MOST_CONCAT], *y;
    int n;
} concat_saved;

static int64_t last_of(const ho_tensor *x) {
    return x->dim[x->rank - 1];
}

static ho_status concat_backward(ho_context *context, void *saved) {
    const concat_saved *s = saved;
    const int64_t sum = last_of(s->y), rows = ho_tensor_count(s->y) / sum;
    const ho_real *from = s->y->grad;
    for (int i = 0; i < s->n; from += last_of(s->in[i]), ++i) {
        const int64_t C = last_of(s->in[i]);
        ho_real *g;
        bool accumulate;
        HO_TRY(ho_grad_target(context, s->in[i], &g, &accumulate));
        if (g != NULL) {
            HO_TRY(ho_k_copy_columns(ho_context_stream(context), rows, C, from, sum, accumulate, g, C));
        }
    }
    return HO_OK;
}

static ho_status check_concat(int n, ho_tensor *const *x) {
    HO_REQUIRE(n >= 1 && n <= HO_MOST_CONCAT, "concat: %d tensors; right are 1 to %d", n, HO_MOST_CONCAT);
    for (int i = 0; i < n; ++i) {
        HO_REQUIRE(x[0]->rank >= 1 && x[i]->rank == x[0]->rank &&
                       memcmp(x[i]->dim, x[0]->dim, (size_t)(x[0]->rank - 1) * sizeof *x[0]->dim) == 0,
                   "concat: %s and %s must agree in all but the last dimension", ho_tensor_shape_text(x[0]),
                   ho_tensor_shape_text(x[i]));
    }
    return HO_OK;
}

ho_status ho_concat_all(ho_context *context, int n, ho_tensor *const *x, ho_tensor **y) {
    HO_TRY(check_concat(n, x));
    concat_saved saved = {.n = n};
    int64_t dim[HO_MAX_RANK], sum = 0;
    for (int i = 0; i < n; ++i) {
        saved.in[i] = x[i];
        sum += last_of(x[i]);
    }
    memcpy(dim, x[0]->dim, sizeof dim);
    dim[x[0]->rank - 1] = sum;
    HO_TRY(ho_tensor_new(context, x[0]->rank, dim, &saved.y));
    ho_real *to = saved.y->data;
    for (int i = 0; i < n; to += last_of(x[i]), ++i) {
        const int64_t C = last_of(x[i]), rows = ho_tensor_count(x[i]) / C;
        HO_TRY(ho_k_copy_columns(ho_context_stream(context), rows, C, x[i]->data, C, false, to, sum));
    }
    *y = saved.y;
    if (ho_wants_grad(context, n, x)) {
        void *memory;
        HO_TRY(ho_host_scratch(context, sizeof saved, &memory));
        *(concat_saved *)memory = saved;
        HO_TRY(ho_tape_push(context, "concat", *y, concat_backward, memory));
    }
    return HO_OK;
}

ho_status ho_concat(ho_context *context, ho_tensor *a, ho_tensor *b, ho_tensor **y) {
    return ho_concat_all(context, 2, (ho_tensor *const[]){a, b}, y);
}

/* ---- crop -------------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_tensor *x, *y;
    int64_t first; /* element of a sample */
} crop_saved;

static ho_status crop_backward(ho_context *context, void *memory) {
    const crop_saved *s = memory;
    const int64_t N = s->x->dim[0], all = ho_tensor_count(s->x) / N, kept = ho_tensor_count(s->y) / N;
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->x, &g, &accumulate));
    if (g == NULL) {
        return HO_OK;
    }
    if (!accumulate) {
        HO_TRY(ho_k_fill(g, N * all, HO_R(0.0), ho_context_stream(context)));
    }
    return ho_k_copy_columns(ho_context_stream(context), N, kept, s->y->grad, kept, true, g + s->first, all);
}

ho_status ho_crop_rows(ho_context *context, ho_tensor *x, int64_t first, int64_t H, ho_tensor **y) {
    HO_REQUIRE(x->rank == 4 && ho_tensor_count(x) > 0 && first >= 0 && H >= 1 && first + H <= x->dim[1],
               "crop_rows: rows %lld to %lld of %s", (long long)first, (long long)(first + H - 1),
               ho_tensor_shape_text(x));
    const int64_t N = x->dim[0], row = x->dim[2] * x->dim[3];
    HO_TRY(ho_tensor_new(context, HO_SHAPE(N, H, x->dim[2], x->dim[3]), y));
    HO_TRY(ho_k_copy_columns(ho_context_stream(context), N, H * row, x->data + first * row, x->dim[1] * row, false,
                             (*y)->data, H * row));
    if (HO_WANTS_GRAD(context, x)) {
        crop_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (crop_saved){x, *y, first * row};
        HO_TRY(ho_tape_push(context, "crop_rows", *y, crop_backward, saved));
    }
    return HO_OK;
}

/* ---- reshape, transpose ------------------------------------------------------------------------------------------ */

typedef struct {
    ho_tensor *x, *y;
    int64_t N, rows, C; /* y holds N transposed matrices; reshape: N = count, rows = C = 1 */
} move_saved;

static ho_status reshape_backward(ho_context *context, void *saved) {
    const move_saved *s = saved;
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->x, &g, &accumulate));
    return ho_k_scale(ho_context_stream(context), s->N, 1, s->y->grad, accumulate, g);
}

ho_status ho_reshape(ho_context *context, ho_tensor *x, int rank, const int64_t *dim, ho_tensor **y) {
    HO_TRY(ho_tensor_new(context, rank, dim, y));
    HO_REQUIRE(ho_tensor_count(*y) == ho_tensor_count(x), "reshape: %s has another number of elements than %s",
               ho_tensor_shape_text(x), ho_tensor_shape_text(*y));
    HO_TRY(ho_device_copy(ho_context_device(context), (*y)->data, x->data, ho_tensor_bytes(x)));
    if (HO_WANTS_GRAD(context, x)) {
        move_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (move_saved){x, *y, ho_tensor_count(x), 1, 1};
        HO_TRY(ho_tape_push(context, "reshape", *y, reshape_backward, saved));
    }
    return HO_OK;
}

static ho_status transpose_backward(ho_context *context, void *saved) {
    const move_saved *s = saved;
    ho_real *g;
    bool accumulate;
    HO_TRY(ho_grad_target(context, s->x, &g, &accumulate));
    return ho_k_transpose(ho_context_stream(context), s->N, s->C, s->rows, s->y->grad, accumulate, g);
}

ho_status ho_nhwc_to_nchw(ho_context *context, ho_tensor *x, ho_tensor **y) {
    HO_REQUIRE(x->rank == 4, "nhwc_to_nchw: x %s must be (N, H, W, C)", ho_tensor_shape_text(x));
    const int64_t N = x->dim[0], pixels = x->dim[1] * x->dim[2], C = x->dim[3];
    HO_TRY(ho_tensor_new(context, HO_SHAPE(N, C, x->dim[1], x->dim[2]), y));
    HO_TRY(ho_k_transpose(ho_context_stream(context), N, pixels, C, x->data, false, (*y)->data));
    if (HO_WANTS_GRAD(context, x)) {
        move_saved *saved;
        HO_TRY(ho_host_scratch(context, sizeof *saved, (void **)&saved));
        *saved = (move_saved){x, *y, N, pixels, C};
        HO_TRY(ho_tape_push(context, "nhwc_to_nchw", *y, transpose_backward, saved));
    }
    return HO_OK;
}
