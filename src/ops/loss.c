/* Losses on the tape that end in means: softplus, squared error, cross entropy. */
#include "loss.h"
#include "handsoff/ops.h"

typedef struct {
    ho_tensor *x, *y;
    ho_real sign;
} softplus_saved;

static ho_status softplus_backward(ho_context *context, void *memory) {
    const softplus_saved *saved = memory;
    ho_real *g_x;
    bool accumulate;
    HO_TRY(ho_grad_target(context, saved->x, &g_x, &accumulate));
    if (g_x == NULL) {
        return HO_OK;
    }
    return ho_k_softplus_mean_backward(ho_context_stream(context), ho_tensor_count(saved->x), saved->sign,
                                       saved->x->data, saved->y->grad, g_x, accumulate);
}

ho_status ho_softplus_mean(ho_context *context, ho_tensor *x, double sign, ho_tensor **loss) {
    const int64_t n = ho_tensor_count(x);
    ho_real *scratch;
    HO_REQUIRE(n > 0, "softplus mean: the input %s is empty", ho_tensor_shape_text(x));
    HO_TRY(ho_tensor_new(context, HO_SHAPE(1), loss));
    HO_TRY(ho_scratch(context, ho_k_mean_scratch(1, n), &scratch));
    HO_TRY(ho_k_softplus_mean(ho_context_stream(context), n, (ho_real)sign, x->data, scratch, (*loss)->data));
    ho_scratch_free(context, scratch);
    if (HO_WANTS_GRAD(context, x)) {
        void *memory;
        HO_TRY(ho_host_scratch(context, sizeof(softplus_saved), &memory));
        *(softplus_saved *)memory = (softplus_saved){x, *loss, (ho_real)sign};
        HO_TRY(ho_tape_push(context, "softplus mean", *loss, softplus_backward, memory));
    }
    return HO_OK;
}

typedef struct {
    ho_tensor *a, *b, *y;
    int64_t N, M;
} mse_saved;

static ho_status mse_backward(ho_context *context, void *memory) {
    const mse_saved *saved = memory;
    ho_tensor *const side[2] = {saved->a, saved->b};
    for (int i = 0; i < 2; ++i) {
        ho_real *g;
        bool accumulate;
        HO_TRY(ho_grad_target(context, side[i], &g, &accumulate));
        if (g != NULL) {
            HO_TRY(ho_k_mse_backward(ho_context_stream(context), saved->N, saved->M,
                                     (i == 0 ? HO_R(2.0) : HO_R(-2.0)) / (ho_real)saved->M, saved->a->data,
                                     saved->b->data, saved->y->grad, g, accumulate));
        }
    }
    return HO_OK;
}

/* Means over N equal groups of the elements. */
static ho_status mse(ho_context *context, ho_tensor *a, ho_tensor *b, int64_t N, ho_tensor **loss) {
    HO_REQUIRE(ho_tensor_same_shape(a, b) && ho_tensor_count(a) > 0,
               "squared error: both inputs must have the same non-empty shape, not %s and %s", ho_tensor_shape_text(a),
               ho_tensor_shape_text(b));
    const int64_t M = ho_tensor_count(a) / N;
    ho_real *scratch;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(N), loss));
    HO_TRY(ho_scratch(context, ho_k_mean_scratch(N, M), &scratch));
    HO_TRY(ho_k_mse(ho_context_stream(context), N, M, a->data, b->data, scratch, (*loss)->data));
    ho_scratch_free(context, scratch);
    if (HO_WANTS_GRAD(context, a, b)) {
        void *memory;
        HO_TRY(ho_host_scratch(context, sizeof(mse_saved), &memory));
        *(mse_saved *)memory = (mse_saved){a, b, *loss, N, M};
        HO_TRY(ho_tape_push(context, "squared error", *loss, mse_backward, memory));
    }
    return HO_OK;
}

ho_status ho_mse(ho_context *context, ho_tensor *a, ho_tensor *b, ho_tensor **loss) {
    return mse(context, a, b, 1, loss);
}

ho_status ho_mse_per_sample(ho_context *context, ho_tensor *a, ho_tensor *b, ho_tensor **loss) {
    HO_REQUIRE(a->rank >= 1 && a->dim[0] > 0, "squared error per sample: the input %s has no samples",
               ho_tensor_shape_text(a));
    return mse(context, a, b, a->dim[0], loss);
}

typedef struct {
    ho_tensor *logits, *loss;
    ho_cross_entropy_args args;
    ho_real *log_sum; /* (rows) */
} cross_entropy_saved;

static ho_status cross_entropy_backward(ho_context *context, void *memory) {
    const cross_entropy_saved *saved = memory;
    ho_real *g_logits;
    bool accumulate;
    HO_TRY(ho_grad_target(context, saved->logits, &g_logits, &accumulate));
    if (g_logits == NULL) {
        return HO_OK;
    }
    return ho_k_cross_entropy_backward(ho_context_stream(context), &saved->args, saved->log_sum, saved->loss->grad,
                                       g_logits, accumulate);
}

/* How many labels count; an impossible one is an error. */
static ho_status count_labels(const ho_tensor *logits, const uint8_t *labels, int64_t rows, int64_t K,
                              int64_t *counted) {
    *counted = 0;
    for (int64_t r = 0; r < rows; ++r) {
        HO_REQUIRE(labels[r] < K || labels[r] == 255,
                   "cross entropy: label %d at position %lld, but the logits %s know classes 0..%lld (255 = ignored)",
                   labels[r], (long long)r, ho_tensor_shape_text(logits), (long long)K - 1);
        *counted += labels[r] != 255;
    }
    return HO_OK;
}

ho_status ho_cross_entropy(ho_context *context, ho_tensor *logits, const uint8_t *labels, ho_tensor **loss) {
    const int64_t K = logits->rank >= 1 ? logits->dim[logits->rank - 1] : 0;
    HO_REQUIRE(K >= 1 && K <= 255 && ho_tensor_count(logits) > 0,
               "cross entropy: the logits must be a non-empty (..., K) with 1..255 classes, not %s",
               ho_tensor_shape_text(logits));
    cross_entropy_saved saved = {.logits = logits,
                                 .args = {.rows = ho_tensor_count(logits) / K, .K = K, .logits = logits->data}};
    const int64_t rows = saved.args.rows;
    HO_TRY(count_labels(logits, labels, rows, K, &saved.args.counted));
    void *device_labels;
    ho_real *scratch;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(1), loss));
    HO_TRY(ho_scratch_bytes(context, (size_t)rows, &device_labels));
    HO_TRY(ho_device_upload(ho_context_device(context), device_labels, labels, (size_t)rows));
    HO_TRY(ho_scratch(context, rows, &saved.log_sum));
    HO_TRY(ho_scratch(context, ho_k_mean_scratch(1, rows), &scratch));
    saved.args.label = device_labels;
    saved.loss = *loss;
    HO_TRY(ho_k_cross_entropy(ho_context_stream(context), &saved.args, saved.log_sum, scratch, (*loss)->data));
    ho_scratch_free(context, scratch);
    if (HO_WANTS_GRAD(context, logits)) {
        void *memory;
        HO_TRY(ho_host_scratch(context, sizeof saved, &memory));
        *(cross_entropy_saved *)memory = saved;
        return ho_tape_push(context, "cross entropy", *loss, cross_entropy_backward, memory);
    }
    ho_scratch_free(context, saved.log_sum);
    ho_scratch_free(context, device_labels);
    return HO_OK;
}
