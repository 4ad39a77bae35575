/* handsoff import-data --format NAME DIR OUT.h5; with a config in their place it is the pipeline's stage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "handsoff/formats.h"

void ho_print_formats(void) {
    const char *reads = NULL, *from = NULL;
    printf("\nFormats: what DIR holds, and where to get it\n");
    for (int i = 0; ho_format_name(i, &reads, &from) != NULL; ++i) {
        printf("  %-24s%s\n", ho_format_name(i, NULL, NULL), reads);
        if (from != NULL) {
            printf("  %-24s%s\n", "", from);
        }
    }
    printf("More on each set, its licence, checksums, disk and time: data/README.md. Merge tables: data/merges/.\n");
}

typedef struct {
    ho_progress_line line;
    const char *format;
} progress;

static bool show_progress(void *user, int64_t first, int64_t done, int64_t total) {
    progress *p = user;
    if (first > 0 && done == first) {
        fprintf(stderr, "import-data: goes on behind image %lld of %lld\n", (long long)first, (long long)total);
        p->line.said = ho_seconds();
    }
    p->line.first = first;
    return ho_progress_line_show(&p->line, done, total);
}

/* A whole number in the range; HO_EUSAGE naming the option otherwise. */
static ho_status parse_whole(const char *option, const char *text, long long low, long long high, long long *value) {
    char *end = NULL;
    *value = text != NULL ? strtoll(text, &end, 10) : 0;
    if (text != NULL && (end == text || *end != '\0' || *value < low || *value > high)) {
        HO_FAIL(HO_EUSAGE, "%s: expected a whole number from %lld to %lld, found '%.40s'", option, low, high, text);
    }
    return HO_OK;
}

static ho_status one_of(const char *option, const char *text, const char *const *choices, int *which) {
    for (*which = 0; choices[*which] != NULL; ++*which) {
        if (strcmp(text, choices[*which]) == 0) {
            return HO_OK;
        }
    }
    HO_FAIL(HO_EUSAGE, "%s: '%.40s'; %s, %s%s%s are possible", option, text, choices[0], choices[1],
            choices[2] != NULL ? ", " : "", choices[2] != NULL ? choices[2] : "");
}

static ho_status describe_file(void *user, ho_store *store) {
    const progress *p = user;
    HO_TRY(ho_store_set_text(store, "kind", "dataset"));
    HO_TRY(ho_store_set_text(store, "format", p->format));
    return ho_store_set_number(store, "schema", HO_STORE_SCHEMA);
}

static ho_status import_file(const ho_import_request *request, const char *path) {
    ho_import_counts counts;
    HO_TRY(ho_import_data(request, path, &counts));
    printf("%s: %d labelled, %d test and %d unlabelled images of %d x %d, %d classes, %d key points\n", path,
           counts.n[HO_PART_TRAIN], counts.n[HO_PART_TEST], counts.n[HO_PART_UNLABELLED], request->size, request->size,
           counts.n_classes, counts.n_keypoints);
    if (counts.n_missing > 0) {
        printf("%s: %d names in it are none of the set's\n", request->split, counts.n_missing);
    }
    return HO_OK;
}

static ho_status import_folder(const char *name, int argc, char **argv) {
    static const char *const ASPECTS[] = {"squash", "crop", "pad", NULL}, *const RULES[] = {"sound", "handsoff", NULL};
    const char *format = NULL, *size = NULL, *limit = NULL, *aspect = "squash", *rule = "sound";
    const char *given_aspect = NULL, *given_rule = NULL;
    ho_import_request request = {0};
    const ho_option options[] = {{"--format", &format, NULL, true},        {"--size", &size, NULL, false},
                                 {"--merge", &request.merge, NULL, false}, {"--split", &request.split, NULL, false},
                                 {"--limit", &limit, NULL, false},         {"--aspect", &given_aspect, NULL, false},
                                 {"--resize", &given_rule, NULL, false}};
    int n_words = 0, which_aspect = 0, which_rule = 0;
    long long pixels = 512, most = 0;
    HO_TRY(ho_options_parse(name, argc, argv, (int)(sizeof options / sizeof options[0]), options, &n_words));
    if (n_words != 2) {
        HO_FAIL(HO_EUSAGE,
                "%s: expected a folder to read and a file to write, found %d words; usage: handsoff "
                "import-data --format NAME DIR OUT.h5",
                name, n_words);
    }
    const size_t length = strlen(argv[1]);
    if (length < 4 || strcmp(argv[1] + length - 3, ".h5") != 0) {
        HO_FAIL(HO_EUSAGE, "%s: the file to write comes last and ends in .h5, found '%.200s'", name, argv[1]);
    }
    if (size != NULL) {
        HO_TRY(parse_whole("--size", size, 8, 4096, &pixels));
    }
    HO_TRY(parse_whole("--limit", limit, 1, INT32_MAX, &most));
    HO_TRY(one_of("--aspect", given_aspect != NULL ? given_aspect : aspect, ASPECTS, &which_aspect));
    HO_TRY(one_of("--resize", given_rule != NULL ? given_rule : rule, RULES, &which_rule));
    const ho_import_folder folder = {format, argv[0], HO_PART_AS_PUBLISHED, (ho_aspect)which_aspect};
    progress p = {ho_progress_line_begin(name), format};
    request.n_folders = 1;
    request.folders = &folder;
    request.size = (int)pixels;
    request.limit = most;
    request.rule = (ho_resize_rule)which_rule;
    request.progress = show_progress;
    request.finish = describe_file;
    request.user = &p;
    ho_run_catch_signals();
    return import_file(&request, argv[1]);
}

ho_status ho_cmd_import_data(const char *name, int argc, char **argv) {
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "--format", 8) == 0) {
            return import_folder(name, argc, argv);
        }
    }
    return ho_cmd_stage(name, argc, argv);
}
