/* .safetensors: the length of a JSON header in 8 bytes, the header {name: {dtype, shape, data_offsets}}, the elements.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_internal.h"

enum { HEADER_MOST = 100 << 20 }; /* the format's own limit */

static bool type_of(const char *name, ho_weight_type *type) {
    static const struct {
        const char *name;
        ho_weight_type type;
    } KNOWN[] = {{"F32", HO_WEIGHT_F32}, {"F64", HO_WEIGHT_F64},  {"F16", HO_WEIGHT_F16}, {"BF16", HO_WEIGHT_BF16},
                 {"U8", HO_WEIGHT_U8},   {"I8", HO_WEIGHT_I8},    {"I16", HO_WEIGHT_I16}, {"I32", HO_WEIGHT_I32},
                 {"I64", HO_WEIGHT_I64}, {"BOOL", HO_WEIGHT_BOOL}};
    for (size_t i = 0; name != NULL && i < sizeof KNOWN / sizeof *KNOWN; ++i) {
        if (strcmp(name, KNOWN[i].name) == 0) {
            *type = KNOWN[i].type;
            return true;
        }
    }
    return false;
}

static ho_status add(ho_weights *w, const char *key, const json_t *about, int64_t data) {
    char name[HO_WEIGHT_NAME];
    (void)snprintf(name, sizeof name, "%s", key);
    ho_printable(name);
    const json_t *shape = json_object_get(about, "shape"), *offsets = json_object_get(about, "data_offsets");
    const int64_t first = json_integer_value(json_array_get(offsets, 0));
    const int64_t end = json_integer_value(json_array_get(offsets, 1)), size = w->file.size - data;
    ho_weight t = {0};
    if (!type_of(json_string_value(json_object_get(about, "dtype")), &t.type) || !json_is_array(shape) ||
        json_array_size(shape) > HO_WEIGHT_RANK || json_array_size(offsets) != 2) {
        HO_FAIL(HO_EFORMAT, "%s: the header's entry for '%.200s' has no known dtype, shape and data_offsets", w->path,
                name);
    }
    if (first < 0 || end < first || end > size) {
        HO_FAIL(HO_EFORMAT,
                "%s: '%.200s' should be bytes %lld to %lld of the data, which have %lld: the file is cut off", w->path,
                name, (long long)first, (long long)end, (long long)size);
    }
    for (size_t i = 0; i < json_array_size(shape); ++i) {
        t.dim[t.rank++] = json_integer_value(json_array_get(shape, i));
    }
    ho_weight_contiguous(&t);
    t.member = -1;
    t.first = data + first;
    t.n_bytes = end - first;
    return ho_weights_add(w, name, &t);
}

static ho_status add_all(ho_weights *w, json_t *header, int64_t data) {
    const char *name;
    json_t *about;
    json_object_foreach(header, name, about) {
        if (strcmp(name, "__metadata__") != 0) {
            HO_TRY(add(w, name, about, data));
        }
    }
    return HO_OK;
}

ho_status ho_weights_open_safetensors(ho_weights *weights) {
    uint8_t bytes[8];
    json_error_t error;
    HO_TRY(ho_source_read(&weights->file, 0, 8, bytes));
    const uint64_t n = ho_little(bytes, 8);
    if (n > HEADER_MOST || (int64_t)n > weights->file.size - 8) {
        HO_FAIL(HO_EFORMAT, "%s: its header should have %llu bytes: it is no .safetensors file, or cut off",
                weights->path, (unsigned long long)n);
    }
    char *text = malloc((size_t)n + 1);
    if (text == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for its header", weights->path);
    }
    ho_status status = ho_source_read(&weights->file, 8, (int64_t)n, text);
    if (status == HO_OK) {
        json_t *header = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &error);
        status = !json_is_object(header)
                     ? ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: its header is no JSON object: %s at byte %d",
                               weights->path, error.text, 8 + error.position)
                     : add_all(weights, header, 8 + (int64_t)n);
        json_decref(header);
    }
    free(text);
    return status;
}
