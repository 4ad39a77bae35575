/* Options of the tools. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "src/io/suggest.h"

enum { MAX_OPTIONS = 16, MAX_SEEDS = 1000000 };

/* The option that `word` ("--name" or "--name=value") names, or -1. */
static int find_option(const char *word, int n_options, const ho_option *options) {
    const size_t length = strcspn(word, "=");
    for (int i = 0; i < n_options; ++i) {
        if (strlen(options[i].name) == length && strncmp(options[i].name, word, length) == 0) {
            return i;
        }
    }
    return -1;
}

static ho_status unknown_option(const char *command, const char *word, int n_options, const ho_option *options) {
    const char *names[MAX_OPTIONS];
    char name[64];
    for (int i = 0; i < n_options; ++i) {
        names[i] = options[i].name;
    }
    const size_t length = strcspn(word, "=");
    const size_t kept = length < sizeof name ? length : sizeof name - 1;
    memcpy(name, word, kept);
    name[kept] = '\0';
    const char *nearest = ho_nearest(name, n_options, names);
    if (nearest != NULL) {
        HO_FAIL(HO_EUSAGE, "%s: unknown option '%s', did you mean '%s'?", command, name, nearest);
    }
    HO_FAIL(HO_EUSAGE, "%s: unknown option '%s'; 'handsoff help %s' lists them", command, name, command);
}

/* Takes the option at argv[*at] and, where it stands apart, its value behind it. */
static ho_status take_option(const char *command, const ho_option *option, int argc, char **argv, int *at) {
    const char *equals = strchr(argv[*at], '=');
    if (option->flag != NULL) {
        if (equals != NULL) {
            HO_FAIL(HO_EUSAGE, "%s: %s takes no value, found '%.80s'", command, option->name, equals + 1);
        }
        *option->flag = true;
        return HO_OK;
    }
    if (*option->value != NULL) {
        HO_FAIL(HO_EUSAGE, "%s: %s is given a second time", command, option->name);
    }
    if (equals == NULL && *at + 1 >= argc) {
        HO_FAIL(HO_EUSAGE, "%s: %s needs a value", command, option->name);
    }
    *option->value = equals != NULL ? equals + 1 : argv[++*at];
    if ((*option->value)[0] == '\0') {
        HO_FAIL(HO_EUSAGE, "%s: %s needs a value, found an empty one", command, option->name);
    }
    return HO_OK;
}

ho_status ho_options_parse(const char *command, int argc, char **argv, int n_options, const ho_option *options,
                           int *n_words) {
    *n_words = 0;
    bool open = true;
    for (int i = 0; i < argc; ++i) {
        if (open && strcmp(argv[i], "--") == 0) {
            open = false;
        } else if (!open || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[(*n_words)++] = argv[i];
        } else {
            const int found = find_option(argv[i], n_options, options);
            if (found < 0) {
                return unknown_option(command, argv[i], n_options, options);
            }
            HO_TRY(take_option(command, &options[found], argc, argv, &i));
        }
    }
    for (int i = 0; i < n_options; ++i) {
        if (options[i].required && *options[i].value == NULL) {
            ho_command about;
            HO_TRY(ho_command_find(command, &about));
            HO_FAIL(HO_EUSAGE, "%s: %s is missing; usage: handsoff %s %s", command, options[i].name, command,
                    about.usage);
        }
    }
    return HO_OK;
}

ho_status ho_option_real(const char *option, const char *text, double low, double high, double *value) {
    char *end = NULL;
    *value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(*value)) {
        HO_FAIL(HO_EUSAGE, "%s: expected a number, found '%.80s'", option, text);
    }
    if (*value < low || *value > high) {
        HO_FAIL(HO_EUSAGE, "%s: %.80s is out of range, allowed is %g to %g", option, text, low, high);
    }
    return HO_OK;
}

/* A seed at *at, which moves behind it. */
static ho_status take_seed(const char *option, const char *text, const char **at, int64_t *seed) {
    if (!isdigit((unsigned char)**at)) {
        HO_FAIL(HO_EUSAGE, "%s: expected numbers and ranges such as 0-3,7, found '%.40s' in '%.80s'", option, *at,
                text);
    }
    char *end = NULL;
    errno = 0;
    *seed = strtoll(*at, &end, 10);
    if (errno == ERANGE || *seed > UINT32_MAX) {
        HO_FAIL(HO_EUSAGE, "%s: a seed of '%.80s' is out of range, allowed is 0 to %u", option, text, UINT32_MAX);
    }
    *at = end;
    return HO_OK;
}

/* Counts the seeds of the text and, with `seeds`, stores them. */
static ho_status list_seeds(const char *option, const char *text, int64_t *n_seeds, uint32_t *seeds) {
    *n_seeds = 0;
    for (const char *at = text;; ++at) {
        int64_t first = 0;
        HO_TRY(take_seed(option, text, &at, &first));
        int64_t last = first;
        if (*at == '-') {
            ++at;
            HO_TRY(take_seed(option, text, &at, &last));
        }
        if (last < first || *n_seeds + last - first >= MAX_SEEDS) {
            HO_FAIL(HO_EUSAGE, "%s: the range %lld-%lld %s", option, (long long)first, (long long)last,
                    last < first ? "runs backwards" : "makes more than 1000000 seeds");
        }
        for (int64_t seed = first; seed <= last; ++seed, ++*n_seeds) {
            if (seeds != NULL) {
                seeds[*n_seeds] = (uint32_t)seed;
            }
        }
        if (*at == '\0') {
            return HO_OK;
        }
        if (*at != ',') {
            HO_FAIL(HO_EUSAGE, "%s: '%.40s' follows a seed in '%.80s'", option, at, text);
        }
    }
}

ho_status ho_option_seeds(const char *option, const char *text, int64_t *n_seeds, uint32_t **seeds) {
    *seeds = NULL;
    HO_TRY(list_seeds(option, text, n_seeds, NULL));
    *seeds = calloc((size_t)*n_seeds + 1, sizeof **seeds);
    if (*seeds == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %lld seeds", (long long)*n_seeds);
    }
    return list_seeds(option, text, n_seeds, *seeds);
}
