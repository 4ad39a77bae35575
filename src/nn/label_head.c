/* The ensemble's tensors, its files, and the differentiable evaluation on hypercolumns. */
#include "label_head_parts.h"

#include <stdlib.h>

#include "handsoff/grouped.h"
#include "head.h"

int64_t ho_label_head_channels(const ho_label_head_shape *shape) {
    int64_t C = 0;
    for (int l = 0; l < shape->n_blocks; ++l) {
        C += shape->channels[l];
    }
    return C;
}

static ho_status check_shape(const ho_label_head_shape *s) {
    HO_REQUIRE(
        s->members >= 1 && s->h1 >= 1 && s->h2 >= 1 && s->K >= 1 && s->K <= HO_HEAD_MAX_CLASSES && s->H >= 1 &&
            s->W >= 1,
        "label head: %lld members, hidden widths %lld and %lld, %lld classes, labels %lld x %lld; right are at least 1 "
        "of each and at most %d classes",
        (long long)s->members, (long long)s->h1, (long long)s->h2, (long long)s->K, (long long)s->H, (long long)s->W,
        (int)HO_HEAD_MAX_CLASSES);
    HO_REQUIRE(s->n_blocks >= 1 && s->n_blocks <= HO_HEAD_MAX_BLOCKS, "label head: %d style blocks; right are 1 to %d",
               s->n_blocks, (int)HO_HEAD_MAX_BLOCKS);
    for (int l = 0; l < s->n_blocks; ++l) {
        HO_REQUIRE(
            s->channels[l] >= 1 && s->block[l] >= 0 && s->block[l] < HO_HEAD_MAX_BLOCKS &&
                (l == 0 || s->block[l] > s->block[l - 1]),
            "label head: style block number %lld of %lld channels as entry %d; right are ascending numbers below %d",
            (long long)s->block[l], (long long)s->channels[l], l, (int)HO_HEAD_MAX_BLOCKS);
    }
    return HO_OK;
}

static ho_status add_linear(ho_params *params, int layer, int64_t out, int64_t in, ho_tensor **w, ho_tensor **b) {
    HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_NORMAL(0.02), HO_FILE_SAME, HO_SHAPE(out, in), w, "layers.%d.weight",
                         layer));
    return ho_params_add(params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(out), b, "layers.%d.bias", layer);
}

static ho_status add_norm(ho_params *params, int layer, int64_t units, ho_batch_norm_params *norm) {
    HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_ONE, HO_FILE_SAME, HO_SHAPE(units), &norm->weight,
                         "layers.%d.weight", layer));
    HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(units), &norm->bias, "layers.%d.bias",
                         layer));
    HO_TRY(ho_params_add(params, HO_BUFFER, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(units), &norm->running_mean,
                         "layers.%d.running_mean", layer));
    return ho_params_add(params, HO_BUFFER, HO_INIT_ONE, HO_FILE_SAME, HO_SHAPE(units), &norm->running_var,
                         "layers.%d.running_var", layer);
}

static ho_status declare(ho_label_head *head, uint64_t seed) {
    const ho_label_head_shape *s = &head->shape;
    HO_TRY(ho_params_create(head->device, &head->params));
    HO_TRY(add_linear(head->params, 0, s->members * s->h1, ho_label_head_channels(s), &head->w1, &head->b1));
    HO_TRY(add_norm(head->params, 2, s->members * s->h1, &head->norm1));
    HO_TRY(add_linear(head->params, 3, s->members * s->h2, s->h1, &head->w2, &head->b2));
    HO_TRY(add_norm(head->params, 5, s->members * s->h2, &head->norm2));
    HO_TRY(add_linear(head->params, 6, s->members * s->K, s->h2, &head->w3, &head->b3));
    return ho_params_commit(head->params, seed);
}

ho_status ho_label_head_create(ho_device *device, const ho_label_head_shape *shape, uint64_t seed,
                               ho_label_head **head) {
    HO_TRY(check_shape(shape));
    ho_label_head *made = calloc(1, sizeof *made);
    if (made == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a label head");
    }
    made->shape = *shape;
    made->device = device;
    const ho_status status = declare(made, seed);
    if (status != HO_OK) {
        ho_label_head_free(made);
        return status;
    }
    *head = made;
    return HO_OK;
}

void ho_label_head_free(ho_label_head *head) {
    if (head != NULL) {
        ho_params_free(head->params);
        free(head);
    }
}

ho_params *ho_label_head_params(ho_label_head *head) {
    return head->params;
}

const ho_label_head_shape *ho_label_head_shape_of(const ho_label_head *head) {
    return &head->shape;
}

/* ---- files ----------------------------------------------------------------------------------------------- */

ho_status ho_label_head_write(ho_label_head *head, ho_store *store) {
    const ho_label_head_shape *s = &head->shape;
    const int64_t blocks[1] = {s->n_blocks};
    HO_TRY(ho_store_set_number(store, "members", (double)s->members));
    HO_TRY(ho_store_set_number(store, "h1", (double)s->h1));
    HO_TRY(ho_store_set_number(store, "h2", (double)s->h2));
    HO_TRY(ho_store_set_number(store, "classes", (double)s->K));
    HO_TRY(ho_store_set_number(store, "height", (double)s->H));
    HO_TRY(ho_store_set_number(store, "width", (double)s->W));
    HO_TRY(ho_store_write(store, "blocks/number", HO_I64, 1, blocks, s->block));
    HO_TRY(ho_store_write(store, "blocks/channels", HO_I64, 1, blocks, s->channels));
    return ho_store_write_params(store, "", head->params);
}

static ho_status read_count(ho_store *store, const char *key, int64_t *value) {
    double number = 0;
    HO_TRY(ho_store_get_number(store, key, &number));
    if (!(number >= 0 && number <= 1e9)) {
        HO_FAIL(HO_EFORMAT, "%s: attribute %s is %g; right is a count", ho_store_path(store), key, number);
    }
    *value = (int64_t)number;
    return HO_OK;
}

static ho_status read_shape(ho_store *store, ho_label_head_shape *s) {
    ho_store_info info;
    HO_TRY(ho_store_check_schema(store));
    HO_TRY(read_count(store, "members", &s->members));
    HO_TRY(read_count(store, "h1", &s->h1));
    HO_TRY(read_count(store, "h2", &s->h2));
    HO_TRY(read_count(store, "classes", &s->K));
    HO_TRY(read_count(store, "height", &s->H));
    HO_TRY(read_count(store, "width", &s->W));
    HO_TRY(ho_store_info_of(store, "blocks/number", &info));
    if (info.rank != 1 || info.dim[0] < 1 || info.dim[0] > HO_HEAD_MAX_BLOCKS) {
        HO_FAIL(HO_EFORMAT, "%s: blocks/number lists the style blocks used: right are 1 to %d numbers",
                ho_store_path(store), (int)HO_HEAD_MAX_BLOCKS);
    }
    s->n_blocks = (int)info.dim[0];
    HO_TRY(ho_store_read(store, "blocks/number", HO_I64, 1, info.dim, s->block));
    return ho_store_read(store, "blocks/channels", HO_I64, 1, info.dim, s->channels);
}

ho_status ho_label_head_load(ho_device *device, const char *path, ho_label_head **head) {
    ho_store *store = NULL;
    ho_label_head *made = NULL;
    ho_label_head_shape shape = {0};
    HO_TRY(ho_store_open(path, &store));
    ho_status status = HO_OK;
    HO_TRY_DONE(read_shape(store, &shape));
    HO_TRY_DONE(ho_label_head_create(device, &shape, 0, &made));
    if (made != NULL) {
        status = ho_store_read_params(store, "", made->params);
    }
done:
    ho_store_close(store);
    if (status != HO_OK) {
        ho_label_head_free(made);
        return ho_fail_context(status, "%s", path);
    }
    *head = made;
    return HO_OK;
}

/* ---- hypercolumns -> logits ------------------------------------------------------------------------------ */

ho_status ho_label_head_logits(ho_context *context, ho_label_head *head, ho_tensor *x, bool training,
                               ho_tensor **logits) {
    const ho_label_head_shape *s = &head->shape;
    const int64_t C = ho_label_head_channels(s);
    const ho_act relu = HO_ACT_RELU, linear = HO_ACT_LINEAR;
    ho_tensor *h = NULL;
    HO_REQUIRE(C >= 1 && x->rank == 2 && (x->dim[1] == C || x->dim[1] == s->members * C),
               "label head: hypercolumns %s; right is (B, %lld) or, for %lld members, (B, %lld)",
               ho_tensor_shape_text(x), (long long)C, (long long)s->members, (long long)(s->members * C));
    HO_TRY(ho_grouped_dense(context, x, head->w1, x->dim[1] / C, &h));
    HO_TRY(ho_bias_act(context, h, head->b1, &relu, &h));
    HO_TRY(ho_batch_norm(context, h, &head->norm1, training, &h));
    HO_TRY(ho_grouped_dense(context, h, head->w2, s->members, &h));
    HO_TRY(ho_bias_act(context, h, head->b2, &relu, &h));
    HO_TRY(ho_batch_norm(context, h, &head->norm2, training, &h));
    HO_TRY(ho_grouped_dense(context, h, head->w3, s->members, &h));
    return ho_bias_act(context, h, head->b3, &linear, logits);
}
