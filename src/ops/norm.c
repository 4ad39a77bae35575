/* Batch normalisation and dropout on the tape. */
#include "norm.h"
#include "columns.h"
#include "handsoff/ops.h"

#define EPS      1e-5
#define MOMENTUM HO_R(0.1)

typedef struct {
    ho_tensor *x, *y;
    ho_batch_norm_params params;
    bool training;
    ho_real *mean, *inv_std; /* (C) each; mean is the running one in evaluation */
} norm_saved;

static ho_columns_shape columns_of(const ho_tensor *x) {
    const int64_t C = x->dim[x->rank - 1];
    return (ho_columns_shape){1, ho_tensor_count(x) / C, C};
}

static ho_norm_args norm_args(const norm_saved *saved) {
    const ho_columns_shape s = columns_of(saved->x);
    return (ho_norm_args){
        s.rows, s.C, saved->mean, saved->inv_std, saved->params.weight->data, saved->params.bias->data};
}

/* g_w and g_b from the column sums. */
static ho_status param_gradients(ho_context *context, const norm_saved *saved, int64_t C, const ho_real *sum_g,
                                 const ho_real *sum_gx) {
    const ho_stream stream = ho_context_stream(context);
    ho_real *g_weight, *g_bias;
    bool accumulate;
    HO_TRY(ho_grad_target(context, saved->params.weight, &g_weight, &accumulate));
    if (g_weight != NULL) {
        HO_TRY(ho_k_norm_vector(stream, C, sum_gx, saved->inv_std, g_weight, accumulate));
    }
    HO_TRY(ho_grad_target(context, saved->params.bias, &g_bias, &accumulate));
    if (g_bias != NULL) {
        HO_TRY(ho_k_norm_vector(stream, C, sum_g, NULL, g_bias, accumulate));
    }
    return HO_OK;
}

static ho_status norm_backward(ho_context *context, void *memory) {
    const norm_saved *saved = memory;
    const ho_stream stream = ho_context_stream(context);
    const ho_columns_shape columns = columns_of(saved->x);
    const ho_real *g_y = saved->y->grad, *x = saved->x->data;
    ho_real *scratch, *g_x;
    bool accumulate;
    HO_TRY(ho_scratch(context, ho_k_column_scratch(&columns) + 2 * columns.C, &scratch));
    ho_real *sum_g = scratch + ho_k_column_scratch(&columns), *sum_gx = sum_g + columns.C;
    HO_TRY(ho_k_column_sums(stream, &columns, g_y, HO_R(1.0), scratch, sum_g));
    HO_TRY(ho_k_column_products(stream, &columns, g_y, x, saved->mean, HO_R(1.0), scratch, sum_gx));
    HO_TRY(param_gradients(context, saved, columns.C, sum_g, sum_gx));
    HO_TRY(ho_grad_target(context, saved->x, &g_x, &accumulate));
    if (g_x != NULL) {
        const ho_norm_args args = norm_args(saved);
        const ho_norm_backward_args backward = {x, g_y, saved->training ? sum_g : NULL,
                                                saved->training ? sum_gx : NULL};
        HO_TRY(ho_k_norm_backward(stream, &args, &backward, g_x, accumulate));
    }
    ho_scratch_free(context, scratch);
    return HO_OK;
}

static ho_status require_vector(const ho_tensor *vector, const char *name, int64_t C, const ho_tensor *x) {
    HO_REQUIRE(vector != NULL && vector->rank == 1 && vector->dim[0] == C,
               "batch norm: %s must be (%lld) for the input %s, not %s", name, (long long)C, ho_tensor_shape_text(x),
               vector == NULL ? "missing" : ho_tensor_shape_text(vector));
    return HO_OK;
}

/* Mean and variance of the batch into saved->mean and saved->inv_std, and the running ones brought forward. */
static ho_status batch_statistics(ho_context *context, const norm_saved *saved, const ho_columns_shape *columns) {
    const ho_stream stream = ho_context_stream(context);
    const int64_t C = columns->C;
    const ho_real share = HO_R(1.0) / (ho_real)columns->rows;
    const ho_real unbiased = (ho_real)columns->rows / (ho_real)(columns->rows - 1);
    ho_real *scratch;
    HO_TRY(ho_scratch(context, ho_k_column_scratch(columns) + C, &scratch));
    ho_real *var = scratch + ho_k_column_scratch(columns);
    HO_TRY(ho_k_column_sums(stream, columns, saved->x->data, share, scratch, saved->mean));
    HO_TRY(ho_k_column_squares(stream, columns, saved->x->data, saved->mean, share, scratch, var));
    HO_TRY(ho_k_inverse_std(stream, C, var, EPS, saved->inv_std));
    HO_TRY(ho_k_running(stream, C, MOMENTUM, HO_R(1.0), saved->mean, saved->params.running_mean->data));
    HO_TRY(ho_k_running(stream, C, MOMENTUM, unbiased, var, saved->params.running_var->data));
    ho_scratch_free(context, scratch);
    return HO_OK;
}

ho_status ho_batch_norm(ho_context *context, ho_tensor *x, const ho_batch_norm_params *params, bool training,
                        ho_tensor **y) {
    HO_REQUIRE(x->rank >= 2 && ho_tensor_count(x) > 0, "batch norm: the input must be a non-empty (..., C), not %s",
               ho_tensor_shape_text(x));
    const ho_columns_shape columns = columns_of(x);
    HO_TRY(require_vector(params->weight, "weight", columns.C, x));
    HO_TRY(require_vector(params->bias, "bias", columns.C, x));
    HO_TRY(require_vector(params->running_mean, "running_mean", columns.C, x));
    HO_TRY(require_vector(params->running_var, "running_var", columns.C, x));
    HO_REQUIRE(!training || columns.rows > 1, "batch norm: %s has one value per channel; training needs at least two",
               ho_tensor_shape_text(x));
    norm_saved saved = {.x = x, .params = *params, .training = training, .mean = params->running_mean->data};
    HO_TRY(ho_tensor_like(context, x, y));
    HO_TRY(ho_scratch(context, columns.C, &saved.inv_std));
    if (training) {
        HO_TRY(ho_scratch(context, columns.C, &saved.mean));
        HO_TRY(batch_statistics(context, &saved, &columns));
    } else {
        HO_TRY(ho_k_inverse_std(ho_context_stream(context), columns.C, params->running_var->data, EPS, saved.inv_std));
    }
    const ho_norm_args args = norm_args(&saved);
    HO_TRY(ho_k_norm(ho_context_stream(context), &args, x->data, (*y)->data));
    saved.y = *y;
    if (HO_WANTS_GRAD(context, x, params->weight, params->bias)) {
        void *memory;
        HO_TRY(ho_host_scratch(context, sizeof saved, &memory));
        *(norm_saved *)memory = saved;
        return ho_tape_push(context, "batch norm", *y, norm_backward, memory);
    }
    ho_scratch_free(context, saved.inv_std);
    if (training) {
        ho_scratch_free(context, saved.mean);
    }
    return HO_OK;
}

typedef struct {
    ho_tensor *x, *y;
    ho_dropout_mask mask;
} dropout_saved;

static ho_status dropout_backward(ho_context *context, void *memory) {
    const dropout_saved *saved = memory;
    ho_real *g_x;
    bool accumulate;
    HO_TRY(ho_grad_target(context, saved->x, &g_x, &accumulate));
    if (g_x == NULL) {
        return HO_OK;
    }
    return ho_k_dropout(ho_context_stream(context), ho_tensor_count(saved->x), &saved->mask, saved->y->grad, g_x,
                        accumulate);
}

ho_status ho_dropout(ho_context *context, ho_tensor *x, double p, uint64_t seed, uint64_t stream, uint64_t first,
                     ho_tensor **y) {
    HO_REQUIRE(p >= 0.0 && p < 1.0, "dropout: the probability is %g; it must be at least 0 and below 1", p);
    const ho_dropout_mask mask = {seed, stream, first, p};
    HO_TRY(ho_tensor_like(context, x, y));
    HO_TRY(ho_k_dropout(ho_context_stream(context), ho_tensor_count(x), &mask, x->data, (*y)->data, false));
    if (HO_WANTS_GRAD(context, x)) {
        void *memory;
        HO_TRY(ho_host_scratch(context, sizeof(dropout_saved), &memory));
        *(dropout_saved *)memory = (dropout_saved){x, *y, mask};
        HO_TRY(ho_tape_push(context, "dropout", *y, dropout_backward, memory));
    }
    return HO_OK;
}
