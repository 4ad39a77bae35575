/* Split files: which samples are used, and as what. Either lines of "NAME [train|test|unlabelled]", or HandsOff's JSON,
 * {"train": {"NAME": ...}, "test": {...}}, lists in place of the objects allowed. NAME is a sample's whole name, or its
 * last part, with or without ending. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

static const char *const PARTS[HO_N_PARTS] = {"train", "test", "unlabelled"};

typedef struct {
    const char *stem;
    int length, listing, sample;
} entry;

typedef struct {
    const char *path;
    ho_listing *listings;
    int n, n_used, n_missing;
    entry *index; /* by stem */
    bool *used;   /* of index[i] */
} splitter;

static int compare_stems(const char *a, int n, const char *b, int m) {
    const int order = strncmp(a, b, (size_t)(n < m ? n : m));
    return order != 0 ? order : (n > m) - (n < m);
}

static int by_stem(const void *a, const void *b) {
    const entry *x = a, *y = b;
    const int order = compare_stems(x->stem, x->length, y->stem, y->length);
    return order != 0 ? order : (x->listing != y->listing ? x->listing - y->listing : x->sample - y->sample);
}

static entry entry_of(const char *name) {
    const char *slash = strrchr(name, '/');
    entry e = {slash != NULL ? slash + 1 : name, 0, 0, 0};
    e.length = ho_stem_length(e.stem);
    return e;
}

static ho_status make_index(splitter *s, int n_listings) {
    for (int l = 0; l < n_listings; l++) {
        s->n += s->listings[l].n;
    }
    s->index = calloc((size_t)s->n + 1, sizeof *s->index);
    s->used = calloc((size_t)s->n + 1, sizeof *s->used);
    if (s->index == NULL || s->used == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d names", s->path, s->n);
    }
    for (int l = 0, at = 0; l < n_listings; l++) {
        for (int i = 0; i < s->listings[l].n; i++, at++) {
            s->index[at] = entry_of(s->listings[l].samples[i].name);
            s->index[at].listing = l;
            s->index[at].sample = i;
        }
    }
    qsort(s->index, (size_t)s->n, sizeof *s->index, by_stem);
    return HO_OK;
}

/* Takes every sample of that name; a name that is the whole one of some sample means that one alone. */
static void take_name(splitter *s, const char *name, ho_part part) {
    const entry key = entry_of(name);
    int low = 0, high = s->n, whole = 0, taken = 0;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        const entry *e = &s->index[middle];
        if (compare_stems(e->stem, e->length, key.stem, key.length) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = low; i < s->n; i++) {
            const entry *e = &s->index[i];
            ho_sample *sample = &s->listings[e->listing].samples[e->sample];
            if (compare_stems(e->stem, e->length, key.stem, key.length) != 0) {
                break;
            }
            const bool equal = strcmp(sample->name, name) == 0;
            whole += pass == 0 && equal;
            if (pass == 1 && (whole == 0 || equal)) {
                sample->part = part == HO_PART_AS_PUBLISHED ? sample->part : part;
                s->n_used += !s->used[i];
                s->used[i] = true;
                taken++;
            }
        }
    }
    s->n_missing += taken == 0;
}

static ho_part part_of(const char *word) {
    for (int p = 0; p < HO_N_PARTS; p++) {
        if (strcmp(word, PARTS[p]) == 0) {
            return (ho_part)p;
        }
    }
    return HO_PART_AS_PUBLISHED;
}

static ho_status take_lines(splitter *s, char *text) {
    int number = 0;
    for (char *line = text, *next = NULL; line != NULL; line = next) {
        char *words = NULL;
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        number++;
        const char *name = strtok_r(line, " \t\r", &words), *word = strtok_r(NULL, " \t\r", &words);
        if (name == NULL || name[0] == '#') {
            continue;
        }
        const ho_part part = word != NULL ? part_of(word) : HO_PART_AS_PUBLISHED;
        if (word != NULL && part == HO_PART_AS_PUBLISHED) {
            HO_FAIL(HO_EFORMAT, "%s:%d: '%.40s' behind the name; train, test, unlabelled or nothing is expected",
                    s->path, number, word);
        }
        take_name(s, name, part);
    }
    return HO_OK;
}

static ho_status take_json(splitter *s, const char *text) {
    json_error_t error;
    json_t *root = json_loads(text, 0, &error), *names = NULL, *value = NULL;
    const char *key = NULL, *name = NULL;
    size_t i;
    if (root == NULL || !json_is_object(root)) {
        json_decref(root);
        HO_FAIL(HO_EFORMAT, "%s:%d: not a JSON object: %s", s->path, error.line, error.text);
    }
    ho_status status = HO_OK;
    json_object_foreach(root, key, names) {
        const ho_part part = part_of(key);
        if (part == HO_PART_AS_PUBLISHED) {
            status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: key '%.40s'; train, test and unlabelled are known",
                             s->path, key);
            break;
        }
        json_object_foreach(names, name, value) {
            take_name(s, name, part);
        }
        json_array_foreach(names, i, value) {
            char number[32];
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
            take_name(s, json_is_string(value) ? json_string_value(value) : number, part);
        }
    }
    json_decref(root);
    return status;
}

/* Samples that no line names are dropped: those kept move to the front. */
static void drop_others(splitter *s, int n_listings) {
    for (int i = 0; i < s->n; i++) {
        if (!s->used[i]) {
            ho_listing_drop(&s->listings[s->index[i].listing], s->index[i].sample);
        }
    }
    for (int l = 0; l < n_listings; l++) {
        ho_listing_pack(&s->listings[l]);
    }
}

ho_status ho_split_apply(const char *path, int n, ho_listing *listings, int *n_missing) {
    splitter s = {.path = path, .listings = listings};
    char *text = NULL;
    ho_status status = ho_text_read(path, INT64_C(256) << 20, &text);
    status = status == HO_OK ? make_index(&s, n) : status;
    if (status == HO_OK && text[strspn(text, " \t\r\n")] == '{') {
        status = take_json(&s, text);
    } else if (status == HO_OK) {
        status = take_lines(&s, text);
    }
    if (status == HO_OK && s.n_used == 0) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                         "%s: none of its %d names is one of the %d images, which have names such as '%s'", path,
                         s.n_missing, s.n, s.n > 0 ? listings[s.index[0].listing].samples[s.index[0].sample].name : "");
    }
    if (status == HO_OK) {
        drop_others(&s, n);
        *n_missing = s.n_missing;
    }
    free(s.index);
    free(s.used);
    free(text);
    return status;
}
