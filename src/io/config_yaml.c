/* A YAML file -> values: nested maps become dotted keys. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config_values.h"

enum { MAX_FILE = 1 << 20, MAX_KEY = 128, MAX_DEPTH = 8, MAX_WHERE = 1100 };

typedef struct {
    ho_config *config;
    const char *path;
    yaml_document_t document;
} reader;

/* "file.yml:12" of a node. */
static const char *where_is(const reader *from, const yaml_node_t *node, char where[MAX_WHERE]) {
    snprintf(where, MAX_WHERE, "%.1000s:%zu", from->path, node->start_mark.line + 1);
    return where;
}

/* The whole file in memory; *text is malloc'd and ends with a NUL that *size does not count. */
static ho_status read_file(const char *path, char **text, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "cannot open config file %s: %s", path, strerror(errno));
    }
    ho_status status = HO_OK;
    *text = malloc(MAX_FILE + 2);
    if (*text == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory to read %s", path);
    } else {
        *size = fread(*text, 1, MAX_FILE + 1, file);
        (*text)[*size] = '\0';
        if (ferror(file)) {
            status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot read config file %s: %s", path, strerror(errno));
        } else if (*size > MAX_FILE) {
            status = ho_fail(HO_ECONFIG, __FILE__, __LINE__, "%s: over 1 MB: this is no config file", path);
        }
    }
    fclose(file);
    return status;
}

/* The libyaml error as "file:line:column: not YAML: ..."; a tab in that line is the usual reason and is named. */
static ho_status yaml_error(const yaml_parser_t *parser, const char *path, const char *text) {
    const char *problem = parser->problem != NULL ? parser->problem : "unknown problem";
    if (parser->error == YAML_MEMORY_ERROR) {
        HO_FAIL(HO_EMEMORY, "no memory to parse %s", path);
    }
    if (parser->error == YAML_READER_ERROR) {
        HO_FAIL(HO_ECONFIG, "%s: not YAML: %s at byte %zu", path, problem, parser->problem_offset);
    }
    const size_t wanted = parser->problem_mark.line;
    const char *line = text;
    for (size_t i = 0; i < wanted && line != NULL; ++i) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    const char *tab = line != NULL ? strchr(line, '\t') : NULL;
    const bool has_tab = tab != NULL && tab < line + strcspn(line, "\n");
    HO_FAIL(HO_ECONFIG, "%s:%zu:%zu: not YAML: %s%s", path, wanted + 1, parser->problem_mark.column + 1, problem,
            has_tab ? " (this line has a tab character: YAML indents with spaces)" : "");
}

static const char *node_kind(const yaml_node_t *node) {
    return node->type == YAML_SEQUENCE_NODE ? "a list" : node->type == YAML_MAPPING_NODE ? "a map" : "a value";
}

/* A list of plain scalars as "1,2,3". */
static ho_status set_list(reader *from, int index, const yaml_node_t *list) {
    char where[MAX_WHERE];
    where_is(from, list, where);
    const char *key = HO_CONFIG_KEYS[index].key;
    const size_t n = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
    size_t size = 1;
    for (size_t i = 0; i < n; ++i) {
        const yaml_node_t *item = yaml_document_get_node(&from->document, list->data.sequence.items.start[i]);
        if (item == NULL || item->type != YAML_SCALAR_NODE || item->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
            strpbrk((const char *)item->data.scalar.value, ",[] ") != NULL || item->data.scalar.length == 0) {
            HO_FAIL(HO_ECONFIG, "%s: %s: item %zu of the list is no integer", where, key, i + 1);
        }
        size += item->data.scalar.length + 1;
    }
    char *text = calloc(size, 1);
    if (text == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the list of %s", key);
    }
    size_t used = 0;
    for (size_t i = 0; i < n; ++i) {
        const yaml_node_t *item = yaml_document_get_node(&from->document, list->data.sequence.items.start[i]);
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? "," : "", (const char *)item->data.scalar.value);
    }
    const ho_status status = ho_config_set(from->config, index, text, HO_WRITTEN_LIST, where);
    free(text);
    return status;
}

static ho_status set_scalar(reader *from, int index, const yaml_node_t *node) {
    char where[MAX_WHERE];
    where_is(from, node, where);
    const char *text = (const char *)node->data.scalar.value;
    const bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (node->data.scalar.length != strlen(text)) {
        HO_FAIL(HO_ECONFIG, "%s: %s: a NUL character in the value", where, HO_CONFIG_KEYS[index].key);
    }
    if (plain && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0)) {
        HO_FAIL(HO_ECONFIG, "%s: %s: null is no value; leave the key out for its default", where,
                HO_CONFIG_KEYS[index].key);
    }
    return ho_config_set(from->config, index, text, plain ? HO_WRITTEN_PLAIN : HO_WRITTEN_QUOTED, where);
}

/* The pairs of one map, whose keys stand under `group` ("" for the root). */
static ho_status read_map(reader *from, const yaml_node_t *map, const char *group, int depth) {
    char where[MAX_WHERE];
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; ++pair) {
        const yaml_node_t *name = yaml_document_get_node(&from->document, pair->key);
        const yaml_node_t *node = yaml_document_get_node(&from->document, pair->value);
        if (name == NULL || node == NULL || name->type != YAML_SCALAR_NODE) {
            HO_FAIL(HO_ECONFIG, "%s: a key must be a word", where_is(from, name != NULL ? name : map, where));
        }
        where_is(from, name, where);
        char key[MAX_KEY];
        const int length = snprintf(key, sizeof key, "%s%s%s", group, group[0] != '\0' ? "." : "",
                                    (const char *)name->data.scalar.value);
        if (length >= MAX_KEY) {
            HO_FAIL(HO_ECONFIG, "%s: unknown key '%.80s...'", where, key);
        }
        const int index = ho_config_find(key);
        if (index < 0 && !ho_config_is_group(key)) {
            return ho_config_unknown(where, key);
        }
        if (index < 0 && (node->type != YAML_MAPPING_NODE || depth >= MAX_DEPTH)) {
            HO_FAIL(HO_ECONFIG, "%s: %s is a group: expected keys under it, found %s", where, key, node_kind(node));
        }
        if (index >= 0 && node->type == YAML_MAPPING_NODE) {
            HO_FAIL(HO_ECONFIG, "%s: %s: expected a value, found a map", where, key);
        }
        HO_TRY(index < 0                          ? read_map(from, node, key, depth + 1)
               : node->type == YAML_SEQUENCE_NODE ? set_list(from, index, node)
                                                  : set_scalar(from, index, node));
    }
    return HO_OK;
}

static ho_status read_document(reader *from) {
    const yaml_node_t *root = yaml_document_get_root_node(&from->document);
    if (root == NULL) {
        HO_FAIL(HO_ECONFIG, "%s: the file is empty: expected lines such as 'name: my_run'", from->path);
    }
    if (root->type != YAML_MAPPING_NODE) {
        char where[MAX_WHERE];
        HO_FAIL(HO_ECONFIG, "%s: expected a map of keys such as 'name: my_run', found %s", where_is(from, root, where),
                node_kind(root));
    }
    return read_map(from, root, "", 0);
}

/* Nothing but white space, comments or "---" may follow the first document. */
static ho_status read_end(reader *from, yaml_parser_t *parser, const char *text) {
    yaml_document_t second;
    if (!yaml_parser_load(parser, &second)) {
        return yaml_error(parser, from->path, text);
    }
    const bool more = yaml_document_get_root_node(&second) != NULL;
    const size_t line = second.start_mark.line + 1;
    yaml_document_delete(&second);
    if (more) {
        HO_FAIL(HO_ECONFIG, "%s:%zu: a second YAML document; a config is one", from->path, line);
    }
    return HO_OK;
}

ho_status ho_config_read_yaml(ho_config *config, const char *path) {
    reader from = {.config = config, .path = path};
    char *text = NULL;
    size_t size = 0;
    ho_status status = read_file(path, &text, &size);
    yaml_parser_t parser;
    if (status != HO_OK || !yaml_parser_initialize(&parser)) {
        free(text);
        return status != HO_OK ? status : ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory to parse %s", path);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    if (yaml_parser_load(&parser, &from.document)) {
        status = read_document(&from);
        if (status == HO_OK) {
            status = read_end(&from, &parser, text);
        }
        yaml_document_delete(&from.document);
    } else {
        status = yaml_error(&parser, path, text);
    }
    yaml_parser_delete(&parser);
    free(text);
    return status;
}
