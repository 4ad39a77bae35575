/* Questions about the nodes of a pickle. */
#include <string.h>

#include "pickle_read.h"

bool ho_node_is(const ho_node *node, ho_node_kind kind) {
    return node != NULL && node->kind == kind;
}

bool ho_node_is_text(const ho_node *node, const char *text) {
    return ho_node_is(node, HO_NODE_TEXT) && strcmp(node->text, text) == 0;
}

bool ho_node_is_global(const ho_node *node, const char *name) {
    return ho_node_is(node, HO_NODE_GLOBAL) && strcmp(node->text, name) == 0;
}

bool ho_node_is_call(const ho_node *node, const char *name) {
    return ho_node_is(node, HO_NODE_CALL) && ho_node_is_global(node->function, name);
}

const ho_node *ho_node_get(const ho_node *node, const char *key) {
    if (!ho_node_is(node, HO_NODE_DICT) && !ho_node_is(node, HO_NODE_CALL)) {
        return NULL;
    }
    for (int64_t i = 0; i + 1 < node->n_items; i += 2) {
        if (ho_node_is_text(node->item[i], key)) {
            return node->item[i + 1];
        }
    }
    return NULL;
}

const ho_node *ho_node_argument(const ho_node *node, int64_t i) {
    const ho_node *arguments =
        ho_node_is(node, HO_NODE_CALL) || ho_node_is(node, HO_NODE_PERSISTENT) ? node->arguments : NULL;
    const bool row = ho_node_is(arguments, HO_NODE_TUPLE) || ho_node_is(arguments, HO_NODE_LIST);
    return row && i >= 0 && i < arguments->n_items ? arguments->item[i] : NULL;
}

bool ho_node_integer(const ho_node *node, int64_t *value) {
    if (!ho_node_is(node, HO_NODE_INT) && !ho_node_is(node, HO_NODE_BOOL)) {
        return false;
    }
    *value = node->integer;
    return true;
}
