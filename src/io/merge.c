/* Merge tables: which source classes become which of ours. Format: data/merges/README.md. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "handsoff/import.h"

enum { IGNORED = 255 };

typedef struct {
    const char *path;
    yaml_document_t document;
} table;

#define FAIL_AT(t, node, ...) return fail_at((t), (node), __LINE__, __VA_ARGS__)

static ho_status fail_at(const table *t, const yaml_node_t *node, int source_line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static ho_status fail_at(const table *t, const yaml_node_t *node, int source_line, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return ho_fail(HO_EFORMAT, __FILE__, source_line, "%s:%zu: %s", t->path, node->start_mark.line + 1, text);
}

static const char *scalar(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

/* The items of a YAML list as whole numbers from low to high. */
static ho_status read_numbers(table *t, yaml_node_t *node, long low, long high, int most, long *numbers, int *n) {
    *n = 0;
    if (node->type != YAML_SEQUENCE_NODE) {
        FAIL_AT(t, node, "expected a list such as [1, 2]");
    }
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        yaml_node_t *value = yaml_document_get_node(&t->document, *item);
        const char *text = scalar(value);
        char *end = NULL;
        errno = 0;
        const long number = text != NULL ? strtol(text, &end, 10) : 0;
        if (text == NULL || end == text || *end != '\0' || errno != 0 || number < low || number > high) {
            FAIL_AT(t, value, "expected a whole number from %ld to %ld, found '%s'", low, high,
                    text != NULL ? text : "a list or map");
        }
        if (*n == most) {
            FAIL_AT(t, value, "more than %d numbers in this list", most);
        }
        numbers[(*n)++] = number;
    }
    return HO_OK;
}

static ho_status read_ids(table *t, yaml_node_t *node, int class, int16_t *map, const char *key) {
    long ids[HO_MERGE_IDS];
    int n;
    HO_TRY(read_numbers(t, node, 0, HO_MERGE_IDS - 1, HO_MERGE_IDS, ids, &n));
    for (int i = 0; i < n; i++) {
        if (map[ids[i]] >= 0) {
            FAIL_AT(t, node, "%s: source class %ld is listed twice (classes %d and %d, counted from 0; 255: ignored)",
                    key, ids[i], map[ids[i]], class);
        }
        map[ids[i]] = (int16_t) class;
    }
    return HO_OK;
}

static ho_status read_class(table *t, yaml_node_t *node, int class, ho_merge *merge, const char **name) {
    bool coloured = false;
    if (node->type != YAML_MAPPING_NODE) {
        FAIL_AT(t, node, "expected a class: a map with name, colour and ids (or v2 and v1)");
    }
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *key_node = yaml_document_get_node(&t->document, pair->key);
        yaml_node_t *value = yaml_document_get_node(&t->document, pair->value);
        const char *key = scalar(key_node) != NULL ? scalar(key_node) : "";
        if (strcmp(key, "name") == 0) {
            *name = scalar(value);
        } else if (strcmp(key, "colour") == 0) {
            long rgb[3];
            int n;
            HO_TRY(read_numbers(t, value, 0, 255, 3, rgb, &n));
            coloured = n == 3;
            for (int i = 0; i < n; i++) {
                merge->palette[class][i] = (uint8_t)rgb[i];
            }
        } else if (strcmp(key, "v1") == 0) {
            HO_TRY(read_ids(t, value, class, merge->v1, key));
        } else if (strcmp(key, "v2") == 0) {
            HO_TRY(read_ids(t, value, class, merge->v2, key));
        } else if (strcmp(key, "ids") == 0) {
            HO_TRY(read_ids(t, value, class, merge->v1, key));
            HO_TRY(read_ids(t, value, class, merge->v2, key));
        } else {
            FAIL_AT(t, key_node, "unknown key '%s'; a class has name, colour and ids (or v2 and v1)", key);
        }
    }
    if (*name == NULL || **name == '\0') {
        FAIL_AT(t, node, "class %d (counted from 0) has no name", class);
    }
    if (!coloured) {
        FAIL_AT(t, node, "class '%s' needs colour: [red, green, blue], each 0 to 255", *name);
    }
    return HO_OK;
}

static ho_status read_table(table *t, ho_merge *merge) {
    yaml_node_t *root = yaml_document_get_root_node(&t->document), *list = NULL, *ignored = NULL;
    if (root == NULL) {
        HO_FAIL(HO_EFORMAT, "%s: the file is empty; expected classes:", t->path);
    }
    for (yaml_node_pair_t *pair = root->type == YAML_MAPPING_NODE ? root->data.mapping.pairs.start : NULL;
         pair != NULL && pair < root->data.mapping.pairs.top; pair++) {
        yaml_node_t *key_node = yaml_document_get_node(&t->document, pair->key);
        const char *key = scalar(key_node) != NULL ? scalar(key_node) : "";
        if (strcmp(key, "classes") == 0) {
            list = yaml_document_get_node(&t->document, pair->value);
        } else if (strcmp(key, "ignore") == 0) {
            ignored = yaml_document_get_node(&t->document, pair->value);
        } else {
            FAIL_AT(t, key_node, "unknown key '%s'; expected one key, classes:, and perhaps ignore:", key);
        }
    }
    if (list == NULL || list->type != YAML_SEQUENCE_NODE) {
        FAIL_AT(t, root, "expected a key classes: with a list of classes");
    }
    const yaml_node_item_t *items = list->data.sequence.items.start;
    const int n = (int)(list->data.sequence.items.top - items);
    if (n < 2 || n > 255) {
        FAIL_AT(t, list, "%d classes; from 2 to 255 are possible", n);
    }
    const char *names[255] = {NULL};
    merge->n_classes = n;
    merge->palette = calloc((size_t)n, sizeof *merge->palette);
    if (merge->palette == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d classes", t->path, n);
    }
    for (int i = 0; i < n; i++) {
        HO_TRY(read_class(t, yaml_document_get_node(&t->document, items[i]), i, merge, &names[i]));
    }
    if (ignored != NULL) {
        HO_TRY(read_ids(t, ignored, IGNORED, merge->v1, "ignore"));
        HO_TRY(read_ids(t, ignored, IGNORED, merge->v2, "ignore"));
    }
    return ho_strings_copy(n, names, &merge->names);
}

ho_status ho_merge_read(const char *path, ho_merge *merge) {
    memset(merge, 0, sizeof *merge);
    memset(merge->v1, 0xFF, sizeof merge->v1);
    memset(merge->v2, 0xFF, sizeof merge->v2);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "merge table %s: cannot be opened: %s", path, strerror(errno));
    }
    table t = {.path = path};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        HO_FAIL(HO_EMEMORY, "%s: no memory to read it", path);
    }
    yaml_parser_set_input_file(&parser, file);
    ho_status status;
    if (!yaml_parser_load(&parser, &t.document)) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s:%zu: not YAML: %s", path, parser.problem_mark.line + 1,
                         parser.problem != NULL ? parser.problem : "cannot be read");
    } else {
        status = read_table(&t, merge);
        yaml_document_delete(&t.document);
    }
    yaml_parser_delete(&parser);
    fclose(file);
    if (status != HO_OK) {
        ho_merge_free(merge);
    }
    return status;
}

void ho_merge_free(ho_merge *merge) {
    free(merge->names);
    free(merge->palette);
    memset(merge, 0, sizeof *merge);
}
