/* NumPy's .npy (numpy/lib/format.py: magic, version, length of the header, a Python dict as text, the elements). An
 * array of objects is a pickle instead, as ReStyle's latents.npy is. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "weights_internal.h"

enum { HEADER_MOST = 65535 };

static ho_status broken(const ho_source *source, const char *what) {
    HO_FAIL(HO_EFORMAT, "%s: not a sound NumPy array: %s", source->name, what);
}

/* Behind "'key':" and the blanks that follow; NULL when the header has no such key. */
static const char *value_of(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(key);
    while (*at == ' ' || *at == ':') {
        ++at;
    }
    return at;
}

static bool read_shape(const char *at, ho_weight *t) {
    if (at == NULL || *at != '(') {
        return false;
    }
    for (++at; *at != ')';) {
        char *end = NULL;
        if (!isdigit((unsigned char)*at) || t->rank == HO_WEIGHT_RANK) {
            return false;
        }
        t->dim[t->rank++] = strtoll(at, &end, 10);
        at = end;
        while (*at == ',' || *at == ' ' || *at == 'L') {
            ++at;
        }
    }
    return true;
}

static void fortran_strides(ho_weight *t) {
    int64_t stride = 1;
    for (int i = 0; i < t->rank; ++i) {
        t->stride[i] = stride;
        stride = t->dim[i] > 0 && stride > INT64_MAX / 16 / t->dim[i] ? INT64_MAX / 16 : stride * t->dim[i];
    }
}

static ho_status no_storages(void *user, const char *key, ho_weight_type type, ho_storage *storage) {
    (void)type;
    (void)storage;
    HO_FAIL(HO_EFORMAT, "%s: its pickle refers to a storage '%.80s' outside of it", (const char *)user, key);
}

/* The state of an array of objects is (version, shape, dtype, Fortran order, list of objects). */
static ho_status open_objects(ho_weights *w, int64_t member, const ho_source *source, int64_t first) {
    ho_pickle *pickle = NULL;
    HO_TRY(ho_pickle_read(source, first, &pickle));
    const ho_node *root = ho_pickle_root(pickle);
    const ho_node *state = ho_node_is(root, HO_NODE_CALL) ? root->state : NULL;
    ho_tensor_walk walk = {w, source, member, no_storages, w->path, 0};
    ho_status status = HO_OK;
    if (state != NULL && state->kind == HO_NODE_TUPLE && state->n_items == 5 &&
        ho_node_is(state->item[4], HO_NODE_LIST)) {
        const ho_node *objects = state->item[4];
        status = ho_walk_tensors(&walk, objects->n_items == 1 ? objects->item[0] : objects);
    }
    ho_pickle_free(pickle);
    return status;
}

static ho_status add_array(ho_weights *w, const char *name, int64_t member, const ho_source *source, int64_t first,
                           const char *header) {
    const char *descr = value_of(header, "'descr'"), *order = value_of(header, "'fortran_order'");
    ho_weight t = {0};
    char type[8] = "";
    if (descr == NULL || *descr != '\'' || order == NULL || !read_shape(value_of(header, "'shape'"), &t)) {
        return broken(source, "its header lacks descr, fortran_order or shape, or has fields");
    }
    const size_t n = strcspn(++descr, "'");
    memcpy(type, descr, n < sizeof type ? n : sizeof type - 1);
    if (strcmp(type, "|O") == 0) {
        return open_objects(w, member, source, first);
    }
    if (!ho_numpy_type(type, &t.type, &t.swap)) {
        HO_FAIL(HO_EFORMAT, "%s: the array '%.200s' has elements of type '%s', which no weights have", source->name,
                name, type);
    }
    if (strncmp(order, "True", 4) == 0) {
        fortran_strides(&t);
    } else {
        ho_weight_contiguous(&t);
    }
    t.member = member;
    t.first = first;
    int64_t size = w->file.size;
    if (member >= 0) {
        HO_TRY(ho_zip_size(w, member, &size));
    }
    t.n_bytes = size - first;
    return ho_weights_add(w, name, &t);
}

ho_status ho_weights_open_npy(ho_weights *weights, const char *name, int64_t member, const ho_source *source) {
    uint8_t head[12];
    HO_TRY(ho_source_read(source, 0, 10, head));
    if (memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3) {
        return broken(source, "it does not begin as one of version 1 to 3");
    }
    const int wide = head[6] == 1 ? 2 : 4;
    HO_TRY(ho_source_read(source, 8, wide, head + 8));
    const int64_t n = (int64_t)ho_little(head + 8, wide), first = 8 + wide;
    if (n > HEADER_MOST) {
        return broken(source, "its header has more than 65535 characters");
    }
    char *header = calloc((size_t)n + 1, 1);
    if (header == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for its header", source->name);
    }
    ho_status status = ho_source_read(source, first, n, header);
    status = status == HO_OK ? add_array(weights, name, member, source, first + n, header) : status;
    free(header);
    return status;
}
