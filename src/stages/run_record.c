/* What an artefact was made from, and whether that is still what would be used. A record is these attributes:
 *   schema 1, kind, stage, version, seed, config (lines "key: value"), inputs (lines "name sha256").
 * An input's name is relative to the run's folder, or begins with {data}; names are for readers, digests are compared.
 * A file made by another version of the program is out of date, but not a checkpoint, whose work may be days, nor the
 * data set, whose digest the checkpoints hold: for these the schema alone tells whether they can be used. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run_internal.h"

enum { RECORD_SIZE = 1 << 16 };

/* Which stage makes a file of the run, by the beginning of the file's name; the first match counts. */
static const struct {
    const char *name, *stage;
} MAKERS[] = {
    {"dataset", "import-data"},
    {"generator", "train-gan"},
    {"encoder_finetuned", "finetune-encoder"},
    {"finetuned", "finetune-encoder"},
    {"encoder", "train-encoder"},
    {"latents", "invert"},
    {"head", "train-head"},
    {"synthetic", "generate"},
    {"downstream", "train-downstream"},
    {"metrics", "evaluate"},
    {"evaluation", "evaluate"},
};

/* The part of `path` behind "folder/", or NULL. */
static const char *below(const char *path, const char *folder) {
    const size_t length = strlen(folder);
    return length > 0 && strncmp(path, folder, length) == 0 && path[length] == '/' ? path + length + 1 : NULL;
}

void ho_run_missing_text(const ho_run *run, const char *path, char *text, size_t size) {
    const char *name = below(path, run->dir);
    for (size_t i = 0; name != NULL && i < sizeof MAKERS / sizeof MAKERS[0]; ++i) {
        if (strncmp(name, MAKERS[i].name, strlen(MAKERS[i].name)) == 0) {
            snprintf(text, size, "%.1000s is missing: run %s first", path, MAKERS[i].stage);
            return;
        }
    }
    const bool hidden = access(path, F_OK) != 0 && errno == EACCES;
    const char *data = getenv("HANDSOFF_DATA");
    const bool in_data = below(path, data != NULL && data[0] != '\0' ? data : "data") != NULL;
    snprintf(text, size, "%.1000s is missing%s%s", path, hidden ? " (no permission to look there)" : "",
             in_data && !hidden ? "; {data} in a config is the folder that HANDSOFF_DATA names, data/ without it" : "");
}

ho_status ho_run_need(ho_run *run, const char *path) {
    if (access(path, F_OK) != 0) {
        char text[sizeof run->missing];
        ho_run_missing_text(run, path, text, sizeof text);
        HO_FAIL(HO_EIO, "%s", text);
    }
    return HO_OK;
}

/* The name under which a record shows an input. */
static void input_name(ho_run *run, const char *path, char *name, size_t size) {
    const char *in_run = below(path, run->dir);
    const char *in_data = below(path, ho_run_data_path(run, "{data}"));
    if (in_run != NULL) {
        snprintf(name, size, "%s", in_run);
    } else {
        snprintf(name, size, "%s%s", in_data != NULL ? "{data}/" : "", in_data != NULL ? in_data : path);
    }
}

/* Lines "name sha256"; malloc'd. */
static ho_status inputs_text(ho_run *run, int n_inputs, const char *const *inputs, char **text) {
    *text = calloc((size_t)n_inputs + 1, HO_PATH_SIZE + 80);
    if (*text == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the list of inputs");
    }
    size_t used = 0;
    for (int i = 0; i < n_inputs; ++i) {
        char name[HO_PATH_SIZE], hex[65];
        const ho_status status = ho_run_digest(run, inputs[i], hex);
        if (status != HO_OK) {
            free(*text);
            *text = NULL;
            return status;
        }
        input_name(run, inputs[i], name, sizeof name);
        used += (size_t)sprintf(*text + used, "%s %s\n", name, hex);
    }
    return HO_OK;
}

ho_status ho_run_record(ho_run *run, ho_store *store, const char *stage, const char *kind, int n_prefixes,
                        const char *const *config_prefixes, int n_inputs, const char *const *inputs) {
    char *config = NULL, *list = NULL;
    ho_status status = n_prefixes > 0 ? ho_config_dump(run->config, n_prefixes, config_prefixes, &config) : HO_OK;
    if (status == HO_OK) {
        status = inputs_text(run, n_inputs, inputs, &list);
    }
    if (status == HO_OK) {
        const struct {
            const char *key, *text;
        } TEXTS[] = {{"kind", kind},
                     {"stage", stage},
                     {"version", HO_VERSION},
                     {"config", config != NULL ? config : ""},
                     {"inputs", list}};
        status = ho_store_set_number(store, "schema", HO_STORE_SCHEMA);
        for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0] && status == HO_OK; ++i) {
            status = ho_store_set_text(store, TEXTS[i].key, TEXTS[i].text);
        }
        if (status == HO_OK) {
            status = ho_store_set_number(store, "seed", (double)ho_run_seed(run));
        }
    }
    free(config);
    free(list);
    return status;
}

/* Takes the next line of *text (without its end) into `line`; false at the end. */
static bool next_line(const char **text, char *line, size_t size) {
    if (**text == '\0') {
        return false;
    }
    const size_t length = strcspn(*text, "\n");
    snprintf(line, size, "%.*s", (int)length, *text);
    *text += length + ((*text)[length] == '\n');
    return true;
}

/* Compares two texts of lines "name<separator>value" and says into `why` what the first difference is. */
static bool same_lines(const char *then, const char *now, const char *separator, const char *what, char *why,
                       size_t size) {
    char a[HO_PATH_SIZE + 80], b[HO_PATH_SIZE + 80];
    for (;;) {
        const bool more_a = next_line(&then, a, sizeof a), more_b = next_line(&now, b, sizeof b);
        if (!more_a && !more_b) {
            return true;
        }
        /* A key has no ": " and a digest no space; values and file names may. */
        const bool is_config = separator[0] == ':';
        char *value_a = !more_a ? NULL : is_config ? strstr(a, separator) : strrchr(a, ' ');
        char *value_b = !more_b ? NULL : is_config ? strstr(b, separator) : strrchr(b, ' ');
        if (value_a == NULL || value_b == NULL) {
            char *value = value_b != NULL ? value_b : value_a, *name = more_b ? b : a;
            if (value != NULL) {
                *value = '\0';
            }
            snprintf(why, size, "%s changed: %.200s is %s", what, name, more_b ? "new" : "gone");
            return false;
        }
        *value_a = *value_b = '\0';
        value_a += strlen(separator);
        value_b += strlen(separator);
        if (is_config && strcmp(a, b) != 0) {
            snprintf(why, size, "%s changed: the keys are not those of then (%.200s, %.200s)", what, a, b);
            return false;
        }
        if (strcmp(value_a, value_b) != 0) {
            if (is_config) {
                snprintf(why, size, "%s changed: %.200s was '%.200s', is '%.200s'", what, b, value_a, value_b);
            } else {
                snprintf(why, size, "%s %.200s changed", what, b);
            }
            return false;
        }
    }
}

/* Whether a file of this kind must be of this version of the program. "gan checkpoint" and its like need not. */
static bool needs_version(const char *kind) {
    static const char CHECKPOINT[] = "checkpoint";
    const size_t length = strlen(kind), end = sizeof CHECKPOINT - 1;
    return strcmp(kind, "dataset") != 0 && (length < end || strcmp(kind + length - end, CHECKPOINT) != 0);
}

/* Compares the texts "stage" and, where it counts, "version". */
static bool maker_is_current(ho_run *run, ho_store *store, const char *stage, char *then) {
    char *why = run->why;
    const size_t size = sizeof run->why;
    const bool any_version = ho_store_get_text(store, "kind", then, RECORD_SIZE) == HO_OK && !needs_version(then);
    const struct { const char *key, *now; } TEXTS[] = {{"stage", stage}, {"version", HO_VERSION}};
    for (size_t i = 0; i < (any_version ? 1 : 2); ++i) {
        if (ho_store_get_text(store, TEXTS[i].key, then, RECORD_SIZE) != HO_OK) {
            snprintf(why, size, "%.1000s", ho_error());
            return false;
        }
        if (strcmp(then, TEXTS[i].now) != 0) {
            snprintf(why, size, "%s changed: was '%.200s', is '%.200s'", TEXTS[i].key, then, TEXTS[i].now);
            return false;
        }
    }
    return true;
}

/* Compares the record in `store` with what would be written now. */
static bool record_is_current(ho_run *run, ho_store *store, const char *stage, const char *config, const char *inputs,
                              char *then) {
    char *why = run->why;
    const size_t size = sizeof run->why;
    double schema = 0.0, seed = 0.0;
    if (ho_store_get_number(store, "schema", &schema) != HO_OK || ho_store_get_number(store, "seed", &seed) != HO_OK) {
        snprintf(why, size, "no record of how it was made: %.1000s", ho_error());
        return false;
    }
    if (schema != HO_STORE_SCHEMA) {
        snprintf(why, size, "%.1000s has schema %g, this program writes %d", ho_store_path(store), schema,
                 (int)HO_STORE_SCHEMA);
        return false;
    }
    if (!maker_is_current(run, store, stage, then)) {
        return false;
    }
    if (seed != (double)ho_run_seed(run)) {
        snprintf(why, size, "seed changed: was %.0f, is %.0f", seed, (double)ho_run_seed(run));
        return false;
    }
    if (ho_store_get_text(store, "config", then, RECORD_SIZE) != HO_OK) {
        snprintf(why, size, "%.1000s", ho_error());
        return false;
    }
    if (!same_lines(then, config, ": ", "config", why, size)) {
        return false;
    }
    if (ho_store_get_text(store, "inputs", then, RECORD_SIZE) != HO_OK) {
        snprintf(why, size, "%.1000s", ho_error());
        return false;
    }
    return same_lines(then, inputs, " ", "input", why, size);
}

bool ho_run_is_current(ho_run *run, const char *artefact, const char *stage, int n_prefixes,
                       const char *const *config_prefixes, int n_inputs, const char *const *inputs, const char **why) {
    run->why[0] = '\0';
    if (why != NULL) {
        *why = run->why;
    }
    for (int i = 0; i < n_inputs; ++i) {
        if (access(inputs[i], F_OK) != 0) {
            ho_run_missing_text(run, inputs[i], run->missing, sizeof run->missing);
            snprintf(run->why, sizeof run->why, "%s", run->missing);
            return false;
        }
    }
    if (access(artefact, F_OK) != 0) {
        snprintf(run->why, sizeof run->why, "%.1000s does not exist yet", artefact);
        return false;
    }
    char *config = NULL, *list = NULL, *then = malloc(RECORD_SIZE);
    ho_store *store = NULL;
    ho_status status = then == NULL ? HO_EMEMORY : HO_OK;
    if (status == HO_OK && n_prefixes > 0) {
        status = ho_config_dump(run->config, n_prefixes, config_prefixes, &config);
    }
    if (status == HO_OK) {
        status = inputs_text(run, n_inputs, inputs, &list);
    }
    if (status == HO_OK) {
        status = ho_store_open(artefact, &store);
    }
    bool current = false;
    if (status == HO_OK) {
        current = record_is_current(run, store, stage, config != NULL ? config : "", list, then);
    } else {
        snprintf(run->why, sizeof run->why, "%s", then == NULL ? "no memory to compare records" : ho_error());
    }
    ho_store_close(store);
    free(config);
    free(list);
    free(then);
    return current;
}
