/* Tensors in a pickle's graph: what PyTorch, NumPy and NVIDIA's persistence would build. Every other call is passed
 * over. Module code inside NVIDIA's files is a text like any other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_internal.h"

enum { DEPTH_MOST = 64 };
static const int64_t VISITS_MOST = 1 << 22;

/* ---- storages ---------------------------------------------------------------------------------------------------- */

static bool storage_type(const ho_node *global, ho_weight_type *type) {
    static const struct {
        const char *name;
        ho_weight_type type;
    } KNOWN[] = {{"torch FloatStorage", HO_WEIGHT_F32}, {"torch DoubleStorage", HO_WEIGHT_F64},
                 {"torch HalfStorage", HO_WEIGHT_F16},  {"torch BFloat16Storage", HO_WEIGHT_BF16},
                 {"torch ByteStorage", HO_WEIGHT_U8},   {"torch CharStorage", HO_WEIGHT_I8},
                 {"torch ShortStorage", HO_WEIGHT_I16}, {"torch IntStorage", HO_WEIGHT_I32},
                 {"torch LongStorage", HO_WEIGHT_I64},  {"torch BoolStorage", HO_WEIGHT_BOOL}};
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; ++i) {
        if (ho_node_is_global(global, KNOWN[i].name)) {
            *type = KNOWN[i].type;
            return true;
        }
    }
    return false;
}

bool ho_storage_id(const ho_node *node, ho_weight_type *type, const char **key) {
    const ho_node *name = ho_node_argument(node, 2);
    if (!ho_node_is(node, HO_NODE_PERSISTENT) || !ho_node_is_text(ho_node_argument(node, 0), "storage") ||
        !storage_type(ho_node_argument(node, 1), type) || !ho_node_is(name, HO_NODE_TEXT)) {
        return false;
    }
    *key = name->text;
    return true;
}

/* A storage within the pickle: bytes that are a file of torch.save's older form with nothing but one storage. */
static ho_status embedded(ho_tensor_walk *walk, const ho_node *bytes, ho_weight_type *type, ho_storage *storage) {
    ho_legacy *legacy = NULL;
    ho_source part;
    const char *key = "";
    HO_TRY(ho_source_part(walk->source, bytes->first, bytes->n_bytes, &part));
    if (!ho_is_torch_legacy(&part, 0)) {
        HO_FAIL(HO_EFORMAT, "%s: a storage at byte %lld is not what torch.save writes", walk->weights->path,
                (long long)bytes->first);
    }
    HO_TRY(ho_legacy_read(&part, 0, walk->member, &legacy));
    ho_status status = HO_OK;
    if (!ho_storage_id(ho_legacy_root(legacy), type, &key)) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: the bytes at %lld are no storage", walk->weights->path,
                         (long long)bytes->first);
    } else {
        status = ho_legacy_locate(legacy, key, *type, storage);
    }
    ho_legacy_free(legacy);
    return status;
}

/* False in *known for a storage of another kind: its tensor is passed over. */
static ho_status find_storage(ho_tensor_walk *walk, const ho_node *node, ho_weight_type *type, ho_storage *storage,
                              bool *known) {
    const char *key = "";
    *known = true;
    if (ho_storage_id(node, type, &key)) {
        return walk->locate(walk->user, key, *type, storage);
    }
    const ho_node *bytes = ho_node_argument(node, 0);
    if (ho_node_is_call(node, "torch.storage _load_from_bytes") && ho_node_is(bytes, HO_NODE_BYTES)) {
        return embedded(walk, bytes, type, storage);
    }
    *known = false;
    return HO_OK;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

static bool is_row(const ho_node *node) {
    return ho_node_is(node, HO_NODE_TUPLE) || ho_node_is(node, HO_NODE_LIST);
}

/* A tuple of whole numbers; -1 for anything else. */
static int numbers(const ho_node *node, int64_t values[HO_WEIGHT_RANK]) {
    if (!is_row(node) || node->n_items > HO_WEIGHT_RANK) {
        return -1;
    }
    for (int64_t i = 0; i < node->n_items; ++i) {
        if (!ho_node_integer(node->item[i], &values[i])) {
            return -1;
        }
    }
    return (int)node->n_items;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, ...), and its forerunner without the rest. */
static ho_status add_tensor(ho_tensor_walk *walk, const ho_node *call, const char *name) {
    ho_weight t = {0};
    ho_storage storage = {0};
    bool known = false;
    t.rank = numbers(ho_node_argument(call, 2), t.dim);
    if (t.rank < 0 || numbers(ho_node_argument(call, 3), t.stride) != t.rank ||
        !ho_node_integer(ho_node_argument(call, 1), &t.offset)) {
        HO_FAIL(HO_EFORMAT, "%s: size and strides of '%.200s' are not what PyTorch writes", walk->weights->path, name);
    }
    HO_TRY(find_storage(walk, ho_node_argument(call, 0), &t.type, &storage, &known));
    if (!known) {
        return HO_OK;
    }
    t.member = storage.member;
    t.first = storage.first;
    t.n_bytes = storage.n_bytes;
    t.swap = storage.swap;
    return ho_weights_add(walk->weights, name, &t);
}

bool ho_numpy_type(const char *descr, ho_weight_type *type, bool *swap) {
    static const struct {
        const char *name;
        ho_weight_type type;
    } KNOWN[] = {{"f4", HO_WEIGHT_F32}, {"f8", HO_WEIGHT_F64}, {"f2", HO_WEIGHT_F16},
                 {"u1", HO_WEIGHT_U8},  {"i1", HO_WEIGHT_I8},  {"i2", HO_WEIGHT_I16},
                 {"i4", HO_WEIGHT_I32}, {"i8", HO_WEIGHT_I64}, {"b1", HO_WEIGHT_BOOL}};
    *swap = descr[0] == '>';
    descr += descr[0] != '\0' && strchr("<>|=", descr[0]) != NULL ? 1 : 0;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; ++i) {
        if (strcmp(descr, KNOWN[i].name) == 0) {
            *type = KNOWN[i].type;
            return true;
        }
    }
    return false;
}

/* dtype("f4") with the state (3, "<", ...). */
static bool array_type(const ho_node *dtype, ho_weight_type *type, bool *swap) {
    const ho_node *name = ho_node_argument(dtype, 0);
    if (!ho_node_is_call(dtype, "numpy dtype") || !ho_node_is(name, HO_NODE_TEXT) ||
        !ho_numpy_type(name->text, type, swap)) {
        return false;
    }
    const ho_node *state = dtype->state;
    *swap = ho_node_is(state, HO_NODE_TUPLE) && state->n_items > 1 && ho_node_is_text(state->item[1], ">");
    return true;
}

/* An ndarray: its state is (1, shape, dtype, in Fortran order, bytes). Arrays of objects are passed over. */
static ho_status add_array(ho_tensor_walk *walk, const ho_node *call, const char *name) {
    const ho_node *state = call->state;
    ho_weight t = {0};
    int64_t fortran = 0;
    if (!ho_node_is(state, HO_NODE_TUPLE) || state->n_items != 5 || !ho_node_is(state->item[4], HO_NODE_BYTES) ||
        !array_type(state->item[2], &t.type, &t.swap) || !ho_node_integer(state->item[3], &fortran)) {
        return HO_OK;
    }
    t.rank = numbers(state->item[1], t.dim);
    if (t.rank < 0 || fortran != 0) {
        return HO_OK;
    }
    ho_weight_contiguous(&t);
    t.member = walk->member;
    t.first = state->item[4]->first + walk->source->first;
    t.n_bytes = state->item[4]->n_bytes;
    return ho_weights_add(walk->weights, name, &t);
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */

static ho_status walk_node(ho_tensor_walk *walk, const ho_node *node, const char *name, int depth);

static ho_status walk_named(ho_tensor_walk *walk, const ho_node *node, const char *name, const char *part, int depth) {
    char full[HO_WEIGHT_NAME];
    if (snprintf(full, sizeof full, "%s%s%s", name, name[0] != '\0' ? "." : "", part) >= (int)sizeof full) {
        HO_FAIL(HO_EFORMAT, "%s: a name within it is longer than %d characters: '%.80s...'", walk->weights->path,
                HO_WEIGHT_NAME - 1, full);
    }
    return walk_node(walk, node, full, depth + 1);
}

static ho_status walk_key(ho_tensor_walk *walk, const ho_node *key, const ho_node *value, const char *name, int depth) {
    char number[32];
    if (ho_node_is(key, HO_NODE_TEXT)) {
        return walk_named(walk, value, name, key->text, depth);
    }
    if (ho_node_is(key, HO_NODE_INT)) {
        (void)snprintf(number, sizeof number, "%lld", (long long)key->integer);
        return walk_named(walk, value, name, number, depth);
    }
    return HO_OK;
}

static ho_status walk_pairs(ho_tensor_walk *walk, const ho_node *node, const char *name, int depth) {
    for (int64_t i = 0; i + 1 < node->n_items; i += 2) {
        HO_TRY(walk_key(walk, node->item[i], node->item[i + 1], name, depth));
    }
    return HO_OK;
}

static ho_status walk_row(ho_tensor_walk *walk, const ho_node *node, const char *name, int depth) {
    char number[32];
    for (int64_t i = 0; i < node->n_items; ++i) {
        (void)snprintf(number, sizeof number, "%lld", (long long)i);
        HO_TRY(walk_named(walk, node->item[i], name, number, depth));
    }
    return HO_OK;
}

/* A module: a dict with _parameters, _buffers and _modules, whose names follow the module's. */
static ho_status walk_module(ho_tensor_walk *walk, const ho_node *state, const char *name, int depth) {
    static const char *const PARTS[] = {"_parameters", "_buffers", "_modules"};
    walk->visits += state->n_items; /* the look-ups below pass over them */
    for (int i = 0; i < 3; ++i) {
        const ho_node *part = ho_node_get(state, PARTS[i]);
        if (part != NULL) {
            HO_TRY(walk_node(walk, part, name, depth + 1));
        }
    }
    return HO_OK;
}

/* OrderedDict([(key, value), ...]), as Python 2 wrote it. */
static ho_status walk_list_of_pairs(ho_tensor_walk *walk, const ho_node *list, const char *name, int depth) {
    for (int64_t i = 0; list != NULL && i < list->n_items; ++i) {
        const ho_node *pair = list->item[i];
        if (is_row(pair) && pair->n_items == 2) {
            HO_TRY(walk_key(walk, pair->item[0], pair->item[1], name, depth));
        }
    }
    return HO_OK;
}

static ho_status walk_call(ho_tensor_walk *walk, const ho_node *call, const char *name, int depth) {
    const ho_node *first = ho_node_argument(call, 0);
    if (ho_node_is_call(call, "torch._utils _rebuild_tensor_v2") ||
        ho_node_is_call(call, "torch._utils _rebuild_tensor")) {
        return add_tensor(walk, call, name);
    }
    if ((ho_node_is_call(call, "torch._utils _rebuild_parameter") ||
         ho_node_is_call(call, "torch._utils _rebuild_parameter_with_state")) &&
        first != NULL) {
        return walk_node(walk, first, name, depth + 1);
    }
    if (ho_node_is_call(call, "numpy.core.multiarray _reconstruct") ||
        ho_node_is_call(call, "numpy._core.multiarray _reconstruct")) {
        return add_array(walk, call, name);
    }
    if (ho_node_is_call(call, "torch_utils.persistence _reconstruct_persistent_obj")) {
        const ho_node *state = ho_node_get(first, "state");
        return state == NULL ? HO_OK : walk_module(walk, state, name, depth);
    }
    if (ho_node_is(call->state, HO_NODE_DICT)) {
        HO_TRY(walk_module(walk, call->state, name, depth));
    }
    if (ho_node_is_call(call, "collections OrderedDict") && ho_node_is(first, HO_NODE_LIST)) {
        HO_TRY(walk_list_of_pairs(walk, first, name, depth));
    }
    return walk_pairs(walk, call, name, depth); /* OrderedDict, EasyDict and their like */
}

static ho_status walk_node(ho_tensor_walk *walk, const ho_node *node, const char *name, int depth) {
    if (depth > DEPTH_MOST || ++walk->visits > VISITS_MOST) {
        HO_FAIL(HO_EFORMAT, "%s: what its pickle describes is nested more than %d deep, or never ends, at '%.200s'",
                walk->weights->path, DEPTH_MOST, name);
    }
    switch (node->kind) {
    case HO_NODE_DICT:
        return walk_pairs(walk, node, name, depth);
    case HO_NODE_LIST:
    case HO_NODE_TUPLE:
        return walk_row(walk, node, name, depth);
    case HO_NODE_CALL:
        return walk_call(walk, node, name, depth);
    default:
        return HO_OK;
    }
}

ho_status ho_walk_tensors(ho_tensor_walk *walk, const ho_node *root) {
    HO_TRY(ho_walk_options(walk->weights, root));
    return walk_node(walk, root, "", 0);
}
