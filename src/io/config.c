/* handsoff/config.h: life of a config, its getters, its dump and its documentation. The table is in config_table.c. */
#include "handsoff/config.h"

#include <stdlib.h>
#include <string.h>

#include "config_values.h"

/* Every key at its default; the table's own defaults pass through the checks that a file passes. */
static ho_status set_defaults(ho_config *config) {
    for (int i = 0; i < HO_N_CONFIG_KEYS; ++i) {
        HO_TRY(ho_config_set(config, i, HO_CONFIG_KEYS[i].value, HO_WRITTEN_PLAIN, config->path));
    }
    return HO_OK;
}

static void forget_given(ho_config *config) {
    for (int i = 0; i < HO_N_CONFIG_KEYS; ++i) {
        config->value[i].given = false;
    }
}

static ho_status set_override(ho_config *config, const char *argument) {
    char where[256], key[128];
    snprintf(where, sizeof where, "argument '%.200s'", argument);
    const char *equals = strchr(argument, '=');
    if (equals == NULL || equals == argument) {
        HO_FAIL(HO_EUSAGE, "%s: expected key=value", where);
    }
    snprintf(key, sizeof key, "%.*s", (int)(equals - argument), argument);
    const int index = (size_t)(equals - argument) < sizeof key ? ho_config_find(key) : -1;
    if (index < 0 && ho_config_is_group(key)) {
        HO_FAIL(HO_ECONFIG, "%s: %s is a group of keys: expected a key of it, such as %s=...", where, key,
                ho_config_first_of(key));
    }
    if (index < 0) {
        return ho_config_unknown(where, key);
    }
    return ho_config_set(config, index, equals + 1, HO_WRITTEN_PLAIN, where);
}

static ho_status fill(ho_config *config, const char *path, int n_overrides, const char *const *overrides) {
    HO_TRY(set_defaults(config));
    forget_given(config);
    HO_TRY(ho_config_read_yaml(config, path));
    forget_given(config);
    for (int i = 0; i < n_overrides; ++i) {
        HO_TRY(set_override(config, overrides[i]));
    }
    return HO_OK;
}

ho_status ho_config_load(const char *path, int n_overrides, const char *const *overrides, ho_config **config) {
    *config = NULL;
    ho_config *made = calloc(1, sizeof *made);
    if (made != NULL) {
        made->path = strdup(path);
        made->value = calloc((size_t)HO_N_CONFIG_KEYS, sizeof *made->value);
    }
    if (made == NULL || made->path == NULL || made->value == NULL) {
        ho_config_free(made);
        HO_FAIL(HO_EMEMORY, "no memory for the config %s", path);
    }
    const ho_status status = fill(made, path, n_overrides, overrides);
    if (status != HO_OK) {
        ho_config_free(made);
        return status;
    }
    *config = made;
    return HO_OK;
}

void ho_config_free(ho_config *config) {
    if (config == NULL) {
        return;
    }
    for (int i = 0; config->value != NULL && i < HO_N_CONFIG_KEYS; ++i) {
        free(config->value[i].text);
        free(config->value[i].ints);
        free(config->value[i].where);
    }
    free(config->value);
    free(config->path);
    free(config);
}

const char *ho_config_path(const ho_config *config) {
    return config->path;
}

/* A key that the table lacks, or asked for by another type, is a mistake in this program: it stops at once. */
static const ho_config_value *get(const ho_config *config, const char *key, ho_key_type type) {
    const int index = ho_config_find(key);
    if (index < 0 || HO_CONFIG_KEYS[index].type != type) {
        fprintf(stderr, "handsoff: bug: config key '%s' is %s\n", key,
                index < 0 ? "not in the table" : "of another type");
        abort();
    }
    return &config->value[index];
}

int64_t ho_config_int(const ho_config *config, const char *key) {
    return get(config, key, HO_KEY_INT)->integer;
}

double ho_config_real(const ho_config *config, const char *key) {
    return get(config, key, HO_KEY_REAL)->real;
}

bool ho_config_bool(const ho_config *config, const char *key) {
    return get(config, key, HO_KEY_BOOL)->flag;
}

const char *ho_config_text(const ho_config *config, const char *key) {
    return get(config, key, HO_KEY_TEXT)->text;
}

int ho_config_ints(const ho_config *config, const char *key, const int64_t **values) {
    const ho_config_value *value = get(config, key, HO_KEY_INTS);
    *values = value->ints;
    return value->n_ints;
}

const char *ho_config_where(const ho_config *config, const char *key) {
    const int index = ho_config_find(key);
    return index < 0 ? config->path : config->value[index].where;
}

static bool has_prefix(const char *key, int n_prefixes, const char *const *prefixes) {
    for (int i = 0; i < n_prefixes; ++i) {
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return n_prefixes == 0;
}

ho_status ho_config_dump(const ho_config *config, int n_prefixes, const char *const *prefixes, char **text) {
    *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(text, &size);
    bool failed = out == NULL;
    for (int i = 0; i < HO_N_CONFIG_KEYS && !failed; ++i) {
        if (has_prefix(HO_CONFIG_KEYS[i].key, n_prefixes, prefixes)) {
            char *value = ho_config_value_text(&HO_CONFIG_KEYS[i], &config->value[i]);
            failed = value == NULL || fprintf(out, "%s: %s\n", HO_CONFIG_KEYS[i].key, value) < 0;
            free(value);
        }
    }
    if (out != NULL && fclose(out) != 0) {
        failed = true;
    }
    if (failed) {
        free(*text);
        *text = NULL;
        HO_FAIL(HO_EMEMORY, "no memory for the text of the config");
    }
    return HO_OK;
}

/* "integer, 1 to 4096", "a|b|c" ... */
static void describe(const ho_config_key *key, char *text, size_t size) {
    switch (key->type) {
    case HO_KEY_INT:
        if (key->choices != NULL) {
            snprintf(text, size, "integer, %s", key->choices);
            return;
        }
        snprintf(text, size, "integer, %.16g to %.16g", key->low, key->high);
        return;
    case HO_KEY_REAL:
        snprintf(text, size, "number, %.16g to %.16g", key->low, key->high);
        return;
    case HO_KEY_BOOL:
        snprintf(text, size, "true|false");
        return;
    case HO_KEY_INTS:
        snprintf(text, size, "list of integers, %.16g to %.16g", key->low, key->high);
        return;
    case HO_KEY_TEXT:
        break;
    }
    snprintf(text, size, "%s", key->choices != NULL ? key->choices : "text");
}

void ho_config_print_help(FILE *out) {
    fprintf(out,
            "A config is a YAML file that says what differs from these defaults. Nested maps are dotted keys:\n"
            "'gan: {lr: 0.002}' sets gan.lr; on the command line it is gan.lr=0.002.\n\n"
            "%-26s %-38s %-24s %s\n",
            "key", "type and range", "default", "meaning");
    for (int i = 0; i < HO_N_CONFIG_KEYS; ++i) {
        const ho_config_key *key = &HO_CONFIG_KEYS[i];
        char type[160];
        describe(key, type, sizeof type);
        fprintf(out, "%-26s %-38s %-24s %s\n", key->key, type, key->value[0] != '\0' ? key->value : "(empty)",
                key->help);
    }
}
