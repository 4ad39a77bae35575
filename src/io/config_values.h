/* Inside of config.h: the values, and setting one of them from text with all checks. */
#ifndef HANDSOFF_CONFIG_VALUES_H
#define HANDSOFF_CONFIG_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "config_table.h"
#include "handsoff/config.h"

/* The value of one key, in the member of its type. */
typedef struct {
    int64_t integer;
    double real;
    bool flag;
    char *text;
    int64_t *ints;
    int n_ints;
    char *where; /* "file.yml:3" or "argument 'a=b'"; the file alone for a default */
    bool given;  /* by the source that is being read: a second time is an error */
} ho_config_value;

struct ho_config {
    char *path;
    ho_config_value *value; /* parallel to HO_CONFIG_KEYS */
};

/* How a value was written: a quoted scalar is text and nothing else. */
typedef enum { HO_WRITTEN_PLAIN, HO_WRITTEN_QUOTED, HO_WRITTEN_LIST } ho_written;

/* The index of a key in the table, or -1. */
int ho_config_find(const char *key);
/* The first key of the table that begins with "group.", or NULL; and whether there is one. */
const char *ho_config_first_of(const char *group);
bool ho_config_is_group(const char *group);

/* HO_ECONFIG for a key that the table does not have, with the nearest one. */
ho_status ho_config_unknown(const char *where, const char *key);
/* Checks `text` against the key's type, range and choices and stores it. A list comes as "1,2,3". `where` begins the
 * message: "file.yml:3" or "argument 'a=b'". */
ho_status ho_config_set(ho_config *config, int index, const char *text, ho_written written, const char *where);
/* The value as dump and help write it; malloc'd, NULL without memory. */
char *ho_config_value_text(const ho_config_key *key, const ho_config_value *value);

/* Reads a YAML file into the config. */
ho_status ho_config_read_yaml(ho_config *config, const char *path);

#endif
