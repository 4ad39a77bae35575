/* Pooling on the tape: means and maxima of windows, and the mean over all pixels. */
#include "pool.h"
#include "columns.h"
#include "handsoff/ops.h"

typedef struct {
    ho_tensor *x, *y;
    ho_pool_shape shape;
    uint8_t *choice; /* of the maximum */
} pool_saved;

static ho_status require_images(const char *op, const ho_tensor *x) {
    HO_REQUIRE(x->rank == 4 && ho_tensor_count(x) > 0, "%s: the input must be a non-empty (N, H, W, C), not %s", op,
               ho_tensor_shape_text(x));
    return HO_OK;
}

static ho_status push(ho_context *context, const char *op, const pool_saved *saved, ho_backward_fn backward) {
    void *memory;
    HO_TRY(ho_host_scratch(context, sizeof *saved, &memory));
    *(pool_saved *)memory = *saved;
    return ho_tape_push(context, op, saved->y, backward, memory);
}

static ho_status avg_pool_backward(ho_context *context, void *memory) {
    const pool_saved *saved = memory;
    ho_real *g_x;
    bool accumulate;
    HO_TRY(ho_grad_target(context, saved->x, &g_x, &accumulate));
    if (g_x == NULL) {
        return HO_OK;
    }
    return ho_k_avg_pool_backward(ho_context_stream(context), &saved->shape, saved->y->grad, g_x, accumulate);
}

ho_status ho_avg_pool(ho_context *context, ho_tensor *x, int64_t k, ho_tensor **y) {
    HO_TRY(require_images("average pool", x));
    HO_REQUIRE(k > 0 && x->dim[1] % k == 0 && x->dim[2] % k == 0,
               "average pool: height and width of %s must be multiples of the window, %lld", ho_tensor_shape_text(x),
               (long long)k);
    pool_saved saved = {.x = x,
                        .shape = {x->dim[0], x->dim[1], x->dim[2], x->dim[3], x->dim[1] / k, x->dim[2] / k, k, k, 0}};
    const ho_pool_shape *s = &saved.shape;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(s->N, s->P, s->Q, s->C), y));
    HO_TRY(ho_k_avg_pool(ho_context_stream(context), s, x->data, (*y)->data));
    saved.y = *y;
    return HO_WANTS_GRAD(context, x) ? push(context, "average pool", &saved, avg_pool_backward) : HO_OK;
}

static ho_status max_pool_backward(ho_context *context, void *memory) {
    const pool_saved *saved = memory;
    ho_real *g_x;
    bool accumulate;
    HO_TRY(ho_grad_target(context, saved->x, &g_x, &accumulate));
    if (g_x != NULL) {
        HO_TRY(ho_k_max_pool_backward(ho_context_stream(context), &saved->shape, saved->y->grad, saved->choice, g_x,
                                      accumulate));
    }
    ho_scratch_free(context, saved->choice);
    return HO_OK;
}

/* Number of windows along an axis. Rounded up, the last window must still start inside the image or its left padding.
 */
static int64_t pool_out(int64_t size, const ho_pool_options *o) {
    const int64_t reach = size + 2 * o->pad - o->kernel;
    const int64_t out = (reach + (o->ceil ? o->stride - 1 : 0)) / o->stride + 1;
    return o->ceil && (out - 1) * o->stride >= size + o->pad ? out - 1 : out;
}

ho_status ho_max_pool(ho_context *context, ho_tensor *x, const ho_pool_options *options, ho_tensor **y) {
    HO_TRY(require_images("max pool", x));
    const ho_pool_options *o = options;
    HO_REQUIRE(
        o->kernel >= 1 && o->kernel <= 16 && o->stride >= 1 && o->pad >= 0 && 2 * o->pad <= o->kernel,
        "max pool: kernel %lld (1..16), stride %lld (>= 1) and padding %lld (at most half the kernel) do not fit",
        (long long)o->kernel, (long long)o->stride, (long long)o->pad);
    const int64_t least = o->kernel - 2 * o->pad - (o->ceil ? o->stride - 1 : 0);
    HO_REQUIRE(x->dim[1] >= least && x->dim[2] >= least,
               "max pool: %s is too small for the %lld x %lld window: height and width must be at least %lld",
               ho_tensor_shape_text(x), (long long)o->kernel, (long long)o->kernel, (long long)least);
    pool_saved saved = {.x = x,
                        .shape = {x->dim[0], x->dim[1], x->dim[2], x->dim[3], pool_out(x->dim[1], o),
                                  pool_out(x->dim[2], o), o->kernel, o->stride, o->pad}};
    const ho_pool_shape *s = &saved.shape;
    const bool wants_grad = HO_WANTS_GRAD(context, x);
    HO_TRY(ho_tensor_new(context, HO_SHAPE(s->N, s->P, s->Q, s->C), y));
    if (wants_grad) {
        void *choice;
        HO_TRY(ho_scratch_bytes(context, (size_t)ho_tensor_count(*y), &choice));
        saved.choice = choice;
    }
    HO_TRY(ho_k_max_pool(ho_context_stream(context), s, x->data, (*y)->data, saved.choice));
    saved.y = *y;
    return wants_grad ? push(context, "max pool", &saved, max_pool_backward) : HO_OK;
}

static ho_status global_mean_backward(ho_context *context, void *memory) {
    const pool_saved *saved = memory;
    const ho_pool_shape *s = &saved->shape;
    ho_real *g_x;
    bool accumulate;
    HO_TRY(ho_grad_target(context, saved->x, &g_x, &accumulate));
    if (g_x == NULL) {
        return HO_OK;
    }
    return ho_k_spread(ho_context_stream(context), s->N, s->H * s->W, s->C, HO_R(1.0) / (ho_real)(s->H * s->W),
                       saved->y->grad, g_x, accumulate);
}

ho_status ho_global_mean(ho_context *context, ho_tensor *x, ho_tensor **y) {
    HO_TRY(require_images("global mean", x));
    pool_saved saved = {.x = x, .shape = {.N = x->dim[0], .H = x->dim[1], .W = x->dim[2], .C = x->dim[3]}};
    const int64_t pixels = x->dim[1] * x->dim[2];
    const ho_columns_shape columns = {x->dim[0], pixels, x->dim[3]};
    ho_real *scratch;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(x->dim[0], x->dim[3]), y));
    HO_TRY(ho_scratch(context, ho_k_column_scratch(&columns), &scratch));
    HO_TRY(ho_k_column_sums(ho_context_stream(context), &columns, x->data, HO_R(1.0) / (ho_real)pixels, scratch,
                            (*y)->data));
    ho_scratch_free(context, scratch);
    saved.y = *y;
    return HO_WANTS_GRAD(context, x) ? push(context, "global mean", &saved, global_mean_backward) : HO_OK;
}
