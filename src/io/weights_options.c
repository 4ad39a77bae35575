/* The options that a training of pSp, e4e or ReStyle keeps beside its tensors: {"opts": {"encoder_type": ...}}, or an
 * argparse.Namespace of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_internal.h"

enum { OPTIONS_MOST = 1024 };

/* False where the value is not one word or number. */
static bool text_of(const ho_node *value, char text[HO_OPTION_TEXT]) {
    switch (value->kind) {
    case HO_NODE_BOOL:
    case HO_NODE_INT:
        return snprintf(text, HO_OPTION_TEXT, "%lld", (long long)value->integer) > 0;
    case HO_NODE_FLOAT:
        return snprintf(text, HO_OPTION_TEXT, "%g", value->real) > 0;
    case HO_NODE_TEXT:
        return snprintf(text, HO_OPTION_TEXT, "%s", value->text) < HO_OPTION_TEXT;
    default:
        return false;
    }
}

ho_status ho_walk_options(ho_weights *weights, const ho_node *root) {
    const ho_node *opts = ho_node_get(root, "opts");
    if (ho_node_is_call(opts, "argparse Namespace") && ho_node_is(opts->state, HO_NODE_DICT)) {
        opts = opts->state;
    }
    if (!ho_node_is(opts, HO_NODE_DICT) || weights->options != NULL) {
        return HO_OK;
    }
    const int64_t n = opts->n_items / 2 < OPTIONS_MOST ? opts->n_items / 2 : OPTIONS_MOST;
    weights->options = calloc((size_t)n + 1, sizeof *weights->options);
    if (weights->options == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for its options", weights->path);
    }
    for (int64_t i = 0; i < n; ++i) {
        const ho_node *key = opts->item[2 * i], *value = opts->item[2 * i + 1];
        ho_weight_option *option = &weights->options[weights->n_options];
        if (ho_node_is(key, HO_NODE_TEXT) &&
            snprintf(option->key, sizeof option->key, "%s", key->text) < (int)sizeof option->key &&
            text_of(value, option->text)) {
            ++weights->n_options;
        }
    }
    return HO_OK;
}

const char *ho_weights_option(const ho_weights *weights, const char *key) {
    for (int64_t i = 0; i < weights->n_options; ++i) {
        if (strcmp(weights->options[i].key, key) == 0) {
            return weights->options[i].text;
        }
    }
    return NULL;
}
