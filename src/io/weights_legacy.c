/* What torch.save wrote before version 1.6: five pickles (a magic number, the protocol, the writing system, the object,
 * the keys of its storages), then every storage in the order of the keys: its number of elements and the elements. */
#include <stdlib.h>
#include <string.h>

#include "weights_internal.h"

typedef struct {
    const char *key;
    int type; /* -1: no tensor that we know has it */
    ho_storage storage;
} entry;

struct ho_legacy {
    ho_pickle *object, *keys;
    entry *entry; /* by key */
    int64_t n;
    const char *path;
};

bool ho_is_torch_legacy(const ho_source *source, int64_t first) {
    /* PROTO 2, LONG1 of 10 bytes, STOP */
    static const uint8_t MAGIC[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
    uint8_t found[sizeof MAGIC];
    /* The protocol may be another. */
    if (source->size - first < (int64_t)sizeof MAGIC || ho_source_read(source, first, sizeof found, found) != HO_OK) {
        return false;
    }
    return found[0] == MAGIC[0] && memcmp(found + 2, MAGIC + 2, sizeof MAGIC - 2) == 0;
}

static int compare(const void *a, const void *b) {
    return strcmp(((const entry *)a)->key, ((const entry *)b)->key);
}

static entry *find(const ho_legacy *legacy, const char *key) {
    const entry wanted = {key, -1, {0}};
    return legacy->n == 0 ? NULL : bsearch(&wanted, legacy->entry, (size_t)legacy->n, sizeof wanted, compare);
}

/* The keys in the file's order; the table has room for as many. */
static ho_status list_keys(ho_legacy *legacy, const ho_source *source) {
    const ho_node *keys = ho_pickle_root(legacy->keys);
    if (!ho_node_is(keys, HO_NODE_LIST)) {
        HO_FAIL(HO_EFORMAT, "%s: the list of its storages is none: the file is damaged", source->name);
    }
    legacy->entry = calloc((size_t)keys->n_items + 1, sizeof *legacy->entry);
    if (legacy->entry == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for the list of its storages", source->name);
    }
    for (int64_t i = 0; i < keys->n_items; ++i) {
        if (!ho_node_is(keys->item[i], HO_NODE_TEXT)) {
            HO_FAIL(HO_EFORMAT, "%s: the list of its storages is none: the file is damaged", source->name);
        }
        legacy->entry[i] = (entry){keys->item[i]->text, -1, {0}};
    }
    legacy->n = keys->n_items;
    qsort(legacy->entry, (size_t)legacy->n, sizeof *legacy->entry, compare);
    return HO_OK;
}

/* The element type of each storage: the tensors in the object say it. */
static void note_types(ho_legacy *legacy) {
    const ho_node *node = NULL;
    for (int64_t i = 0; (node = ho_pickle_persistent(legacy->object, i)) != NULL; ++i) {
        ho_weight_type type = HO_WEIGHT_F32;
        const char *key = "";
        if (ho_storage_id(node, &type, &key)) {
            entry *found = find(legacy, key);
            if (found != NULL) {
                found->type = (int)type;
            }
        }
    }
}

/* Where each storage's elements are. */
static ho_status note_places(ho_legacy *legacy, const ho_source *source, int64_t at, int64_t member, bool swap) {
    const ho_node *keys = ho_pickle_root(legacy->keys);
    for (int64_t i = 0; i < keys->n_items; ++i) {
        uint8_t bytes[8];
        entry *found = find(legacy, keys->item[i]->text);
        if (found == NULL || found->type < 0) {
            HO_FAIL(HO_EFORMAT, "%s: storage '%.80s' has no known type of elements", source->name, keys->item[i]->text);
        }
        const int size = ho_weight_type_size((ho_weight_type)found->type);
        HO_TRY(ho_source_read(source, at, 8, bytes));
        const uint64_t n = ho_little(bytes, 8);
        if (n > (uint64_t)(source->size - at - 8) / (uint64_t)size) {
            HO_FAIL(HO_EFORMAT, "%s: ends at byte %lld within a storage of %llu elements: the file is cut off",
                    source->name, (long long)(source->first + source->size), (unsigned long long)n);
        }
        found->storage = (ho_storage){member, source->first + at + 8, (int64_t)n * size, swap};
        at += 8 + (int64_t)n * size;
    }
    return HO_OK;
}

/* Steps over one pickle; *big is set where the system's dict says that it is big-endian. */
static ho_status skip_pickle(const ho_source *source, int64_t *at, bool *big) {
    ho_pickle *pickle = NULL;
    HO_TRY(ho_pickle_read(source, *at, &pickle));
    const ho_node *little = ho_node_get(ho_pickle_root(pickle), "little_endian");
    *big = *big || (ho_node_is(little, HO_NODE_BOOL) && little->integer == 0);
    *at = ho_pickle_end_of(pickle);
    ho_pickle_free(pickle);
    return HO_OK;
}

static ho_status read_all(ho_legacy *legacy, const ho_source *source, int64_t at, int64_t member) {
    bool big = false;
    for (int i = 0; i < 3; ++i) { /* magic number, protocol, system */
        HO_TRY(skip_pickle(source, &at, &big));
    }
    HO_TRY(ho_pickle_read(source, at, &legacy->object));
    HO_TRY(ho_pickle_read(source, ho_pickle_end_of(legacy->object), &legacy->keys));
    HO_TRY(list_keys(legacy, source));
    note_types(legacy);
    return note_places(legacy, source, ho_pickle_end_of(legacy->keys), member, big);
}

ho_status ho_legacy_read(const ho_source *source, int64_t first, int64_t member, ho_legacy **legacy) {
    *legacy = NULL;
    ho_legacy *made = calloc(1, sizeof *made);
    if (made == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to read it", source->name);
    }
    made->path = source->name;
    const ho_status status = read_all(made, source, first, member);
    if (status != HO_OK) {
        ho_legacy_free(made);
        return status;
    }
    *legacy = made;
    return HO_OK;
}

void ho_legacy_free(ho_legacy *legacy) {
    if (legacy != NULL) {
        ho_pickle_free(legacy->object);
        ho_pickle_free(legacy->keys);
        free(legacy->entry);
        free(legacy);
    }
}

const ho_node *ho_legacy_root(const ho_legacy *legacy) {
    return ho_pickle_root(legacy->object);
}

ho_status ho_legacy_locate(void *legacy, const char *key, ho_weight_type type, ho_storage *storage) {
    const ho_legacy *l = legacy;
    const entry *found = find(l, key);
    if (found == NULL || found->type != (int)type) {
        HO_FAIL(HO_EFORMAT, "%s: storage '%.80s' is not among those of the file", l->path, key);
    }
    *storage = found->storage;
    return HO_OK;
}
