/* One value of a config: from text, with all checks, and back. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_values.h"
#include "suggest.h"

enum { MAX_INTS = 4096, MAX_TEXT = 4096 };

int ho_config_find(const char *key) {
    for (int i = 0; i < HO_N_CONFIG_KEYS; ++i) {
        if (strcmp(HO_CONFIG_KEYS[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

const char *ho_config_first_of(const char *group) {
    const size_t length = strlen(group);
    for (int i = 0; i < HO_N_CONFIG_KEYS; ++i) {
        if (strncmp(HO_CONFIG_KEYS[i].key, group, length) == 0 && HO_CONFIG_KEYS[i].key[length] == '.') {
            return HO_CONFIG_KEYS[i].key;
        }
    }
    return NULL;
}

bool ho_config_is_group(const char *group) {
    return ho_config_first_of(group) != NULL;
}

/* All words that may stand in a config: dotted keys and the groups before their dots. Groups come in `groups`, the list
 * points into both. */
static int known_words(const char **words, char (*groups)[64]) {
    int n = 0;
    for (int i = 0; i < HO_N_CONFIG_KEYS; ++i) {
        const char *key = HO_CONFIG_KEYS[i].key;
        words[n++] = key;
        const size_t length = strcspn(key, ".");
        memcpy(groups[i], key, length < sizeof groups[i] ? length : sizeof groups[i] - 1);
        if (strchr(key, '.') != NULL && (i == 0 || strcmp(groups[i], groups[i - 1]) != 0)) {
            words[n++] = groups[i];
        }
    }
    return n;
}

ho_status ho_config_unknown(const char *where, const char *key) {
    const char **words = malloc(2 * (size_t)HO_N_CONFIG_KEYS * sizeof *words);
    char(*groups)[64] = calloc((size_t)HO_N_CONFIG_KEYS, sizeof *groups);
    char nearest[128] = "";
    if (words != NULL && groups != NULL) {
        const char *word = ho_nearest(key, known_words(words, groups), words);
        if (word != NULL && strcmp(word, key) != 0) {
            snprintf(nearest, sizeof nearest, ", did you mean '%s'?", word);
        }
    }
    free(words);
    free(groups);
    HO_FAIL(HO_ECONFIG, "%s: unknown key '%.80s'%s", where, key,
            nearest[0] != '\0' ? nearest : " ('handsoff help config' lists all keys)");
}

/* An integer at *at, which moves behind it; errno ERANGE marks one that has too many digits. */
static bool take_int(const char **at, int64_t *value) {
    const char *digits = *at + (**at == '-' || **at == '+');
    if (!isdigit((unsigned char)*digits)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    *value = strtoll(*at, &end, 10);
    *at = end;
    return true;
}

static ho_status out_of_range(const ho_config_key *key, const char *text, const char *where) {
    HO_FAIL(HO_ECONFIG, "%s: %s: %.80s is out of range, allowed is %.16g to %.16g", where, key->key, text, key->low,
            key->high);
}

/* True when `text` is one of "a|b|c". */
static bool is_choice(const char *choices, const char *text) {
    const size_t length = strlen(text);
    for (const char *at = choices; *at != '\0'; at += *at == '|') {
        const size_t n = strcspn(at, "|");
        if (n == length && strncmp(at, text, n) == 0) {
            return true;
        }
        at += n;
    }
    return false;
}

static ho_status set_int(const ho_config_key *key, ho_config_value *value, const char *text, const char *where) {
    const char *end = text;
    int64_t number = 0;
    if (!take_int(&end, &number)) {
        HO_FAIL(HO_ECONFIG, "%s: %s: expected an integer, found '%.80s'", where, key->key, text);
    }
    if (*end != '\0') {
        HO_FAIL(HO_ECONFIG, "%s: %s: '%.40s' follows the integer in '%.80s'", where, key->key, end, text);
    }
    if (errno == ERANGE || (double)number < key->low || (double)number > key->high) {
        return out_of_range(key, text, where);
    }
    char plain[32];
    snprintf(plain, sizeof plain, "%lld", (long long)number);
    if (key->choices != NULL && !is_choice(key->choices, plain)) {
        HO_FAIL(HO_ECONFIG, "%s: %s: %s is not one of %s", where, key->key, plain, key->choices);
    }
    value->integer = number;
    return HO_OK;
}

static ho_status set_real(const ho_config_key *key, ho_config_value *value, const char *text, const char *where) {
    /* strtod alone would also take "nan", "inf" and hexadecimal. */
    const char *digits = text + (*text == '-' || *text == '+');
    digits += *digits == '.';
    char *end = NULL;
    const double number = strtod(text, &end);
    if (!isdigit((unsigned char)*digits)) {
        HO_FAIL(HO_ECONFIG, "%s: %s: expected a number, found '%.80s'", where, key->key, text);
    }
    if (*end != '\0' || strpbrk(text, "xX") != NULL) {
        HO_FAIL(HO_ECONFIG, "%s: %s: '%.40s' follows the number in '%.80s'", where, key->key,
                strpbrk(text, "xX") != NULL ? strpbrk(text, "xX") : end, text);
    }
    if (!isfinite(number) || number < key->low || number > key->high) {
        return out_of_range(key, text, where);
    }
    value->real = number;
    return HO_OK;
}

static ho_status set_bool(const ho_config_key *key, ho_config_value *value, const char *text, const char *where) {
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        HO_FAIL(HO_ECONFIG, "%s: %s: expected true or false, found '%.80s'", where, key->key, text);
    }
    value->flag = text[0] == 't';
    return HO_OK;
}

static ho_status set_text(const ho_config_key *key, ho_config_value *value, const char *text, const char *where) {
    if (key->choices != NULL && !is_choice(key->choices, text)) {
        HO_FAIL(HO_ECONFIG, "%s: %s: '%.80s' is not one of %s", where, key->key, text, key->choices);
    }
    if (strlen(text) > MAX_TEXT) {
        HO_FAIL(HO_ECONFIG, "%s: %s: text of %zu characters, at most %d are allowed", where, key->key, strlen(text),
                MAX_TEXT);
    }
    for (const char *at = text; *at != '\0'; ++at) {
        if ((unsigned char)*at < 32 || *at == 127) {
            HO_FAIL(HO_ECONFIG, "%s: %s: control character %d in the text", where, key->key, *at);
        }
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the value of %s", key->key);
    }
    free(value->text);
    value->text = copy;
    return HO_OK;
}

/* "1,2,3" or "[1, 2, 3]": checks it and, with `ints`, stores the numbers there. */
static ho_status parse_ints(const ho_config_key *key, const char *text, const char *where, int64_t *ints, int *n) {
    const char *at = text + strspn(text, " ");
    const bool bracket = *at == '[';
    at += bracket;
    at += strspn(at, " ");
    *n = 0;
    while (*at != '\0' && !(bracket && *at == ']')) {
        int64_t number = 0;
        const char *start = at;
        if (!take_int(&at, &number)) {
            HO_FAIL(HO_ECONFIG, "%s: %s: expected integers such as 16,50, found '%.40s' in '%.80s'", where, key->key,
                    start, text);
        }
        if (errno == ERANGE || (double)number < key->low || (double)number > key->high) {
            char digits[32];
            snprintf(digits, sizeof digits, "%.*s", (int)(at - start), start);
            return out_of_range(key, digits, where);
        }
        if (*n == MAX_INTS) {
            HO_FAIL(HO_ECONFIG, "%s: %s: more than %d numbers", where, key->key, MAX_INTS);
        }
        if (ints != NULL) {
            ints[*n] = number;
        }
        ++*n;
        at += strspn(at, " ");
        if (*at == ',' && at[1 + strspn(at + 1, " ")] != '\0' && at[1 + strspn(at + 1, " ")] != ']') {
            ++at;
            at += strspn(at, " ");
        } else if (*at != '\0' && !(bracket && *at == ']')) {
            HO_FAIL(HO_ECONFIG, "%s: %s: '%.40s' follows an integer in '%.80s'", where, key->key, at, text);
        }
    }
    if (bracket && (*at != ']' || at[1 + strspn(at + 1, " ")] != '\0')) {
        HO_FAIL(HO_ECONFIG, "%s: %s: the list '%.80s' does not end with ']'", where, key->key, text);
    }
    return HO_OK;
}

static ho_status set_ints(const ho_config_key *key, ho_config_value *value, const char *text, const char *where) {
    int n = 0;
    HO_TRY(parse_ints(key, text, where, NULL, &n));
    if (n == 0 && key->value[0] != '\0') {
        HO_FAIL(HO_ECONFIG, "%s: %s: expected at least one integer, found an empty list", where, key->key);
    }
    int64_t *ints = malloc((size_t)(n > 0 ? n : 1) * sizeof *ints);
    if (ints == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the value of %s", key->key);
    }
    const ho_status status = parse_ints(key, text, where, ints, &n);
    free(value->ints);
    value->ints = ints;
    value->n_ints = n;
    return status;
}

static ho_status set_by_type(const ho_config_key *key, ho_config_value *value, const char *text, const char *where) {
    switch (key->type) {
    case HO_KEY_INT:
        return set_int(key, value, text, where);
    case HO_KEY_REAL:
        return set_real(key, value, text, where);
    case HO_KEY_BOOL:
        return set_bool(key, value, text, where);
    case HO_KEY_INTS:
        return set_ints(key, value, text, where);
    case HO_KEY_TEXT:
        break;
    }
    return set_text(key, value, text, where);
}

ho_status ho_config_set(ho_config *config, int index, const char *text, ho_written written, const char *where) {
    static const char *const EXPECTED[] = {"an integer", "a number", "true or false", "a text", "a list of integers"};
    const ho_config_key *key = &HO_CONFIG_KEYS[index];
    ho_config_value *value = &config->value[index];
    if (value->given) {
        HO_FAIL(HO_ECONFIG, "%s: %s is given a second time", where, key->key);
    }
    value->given = true;
    if (written == HO_WRITTEN_LIST && key->type != HO_KEY_INTS) {
        HO_FAIL(HO_ECONFIG, "%s: %s: expected %s, found a list", where, key->key, EXPECTED[key->type]);
    }
    if (written == HO_WRITTEN_QUOTED && key->type != HO_KEY_TEXT) {
        HO_FAIL(HO_ECONFIG, "%s: %s: expected %s, found the quoted text '%.80s'", where, key->key, EXPECTED[key->type],
                text);
    }
    HO_TRY(set_by_type(key, value, text, where));
    char *place = strdup(where);
    if (place == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the value of %s", key->key);
    }
    free(value->where);
    value->where = place;
    return HO_OK;
}

/* The fewest digits that read back as the same number. */
static void real_text(double number, char *text, size_t size) {
    for (int digits = 6; digits <= 17; ++digits) {
        snprintf(text, size, "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            return;
        }
    }
}

char *ho_config_value_text(const ho_config_key *key, const ho_config_value *value) {
    char text[64] = "";
    if (key->type == HO_KEY_TEXT) {
        return strdup(value->text);
    }
    if (key->type == HO_KEY_INTS) {
        char *list = malloc((size_t)value->n_ints * 21 + 1);
        if (list != NULL) {
            size_t used = 0;
            list[0] = '\0';
            for (int i = 0; i < value->n_ints; ++i) {
                used += (size_t)sprintf(list + used, "%s%lld", i > 0 ? "," : "", (long long)value->ints[i]);
            }
        }
        return list;
    }
    if (key->type == HO_KEY_INT) {
        snprintf(text, sizeof text, "%lld", (long long)value->integer);
    } else if (key->type == HO_KEY_REAL) {
        real_text(value->real, text, sizeof text);
    } else {
        snprintf(text, sizeof text, "%s", value->flag ? "true" : "false");
    }
    return strdup(text);
}
