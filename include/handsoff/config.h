/* Config files: YAML that says what differs from the defaults. One table (src/io/config_table.c) holds every key with
 * type, range, default and help; parser, `handsoff help config`, and the resolved config in each artefact come from it.
 * An unknown key, a value out of range or trailing text is an error with file, line and the nearest known key. */
#ifndef HANDSOFF_CONFIG_H
#define HANDSOFF_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ho_config ho_config;

/* Reads the file, then applies overrides "key=value" (dotted keys). */
ho_status ho_config_load(const char *path, int n_overrides, const char *const *overrides, ho_config **config);
void ho_config_free(ho_config *config);

/* Values by dotted key, "gan.batch". Asking for a key that the table does not have, or by another type, is a bug in our
 * code: it aborts. */
int64_t ho_config_int(const ho_config *config, const char *key);
double ho_config_real(const ho_config *config, const char *key);
bool ho_config_bool(const ho_config *config, const char *key);
const char *ho_config_text(const ho_config *config, const char *key); /* owned by the config; "" when empty */
/* Lists of integers, "[16, 50]" or "16,50": returns the count and *values (owned by the config). */
int ho_config_ints(const ho_config *config, const char *key, const int64_t **values);

/* The resolved value of every key whose name begins with one of the prefixes ("gan." or "seed"), one "key: value" a
 * line in table order; n_prefixes 0: all keys. malloc'd. Two runs with equal text do the same work. */
ho_status ho_config_dump(const ho_config *config, int n_prefixes, const char *const *prefixes, char **text);
/* Prints the table as documentation. */
void ho_config_print_help(FILE *out);
/* Where the value of a key was given, as messages begin: "file.yml:3", "argument 'a=b'", and the path alone for a
 * default. Owned by the config. */
const char *ho_config_where(const ho_config *config, const char *key);
/* The path the config was read from. */
const char *ho_config_path(const ho_config *config);

#ifdef __cplusplus
}
#endif
#endif
