/* handsoff import-weights FILE... OUT.h5 and handsoff export-weights IN.h5 OUT.pt */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "handsoff/weights.h"

static void print_tensor(const ho_weight *weight) {
    printf("%-10s (", ho_weight_type_name(weight->type));
    for (int i = 0; i < weight->rank; ++i) {
        printf("%s%lld", i > 0 ? ", " : "", (long long)weight->dim[i]);
    }
    printf(")  %s\n", weight->name);
}

static ho_status list(const char *path) {
    ho_weights *weights = NULL;
    HO_TRY(ho_weights_open(path, &weights));
    const char *kind = ho_weights_kind(weights);
    printf("%s: %s, %lld tensors, kind %s\n", path, ho_weights_container(weights), (long long)ho_weights_n(weights),
           kind != NULL ? kind : "unknown");
    for (int64_t i = 0; i < ho_weights_n(weights); ++i) {
        print_tensor(ho_weights_at(weights, i));
    }
    ho_weights_close(weights);
    return HO_OK;
}

/* The file to write is told from those to read by its ending: none of them is written over by mistake. */
static ho_status check_ending(const char *name, const char *path, const char *ending, const char *other) {
    const size_t n = strlen(path), m = strlen(ending), k = strlen(other);
    if ((n > m && strcmp(path + n - m, ending) == 0) || (n > k && strcmp(path + n - k, other) == 0)) {
        return HO_OK;
    }
    HO_FAIL(HO_EUSAGE, "%s: the file to write comes last and ends in %s or %s, found '%.200s'", name, ending, other,
            path);
}

/* "384x512": height and width. */
static ho_status parse_size(const char *text, ho_import_options *options) {
    char *end = NULL;
    const long long height = strtoll(text, &end, 10);
    const long long width = *end == 'x' ? strtoll(end + 1, &end, 10) : height;
    if (*end != '\0' || height < 1 || width < 1 || height > 8192 || width > 8192) {
        HO_FAIL(HO_EUSAGE, "--size: expected HEIGHTxWIDTH, such as 384x512, each 1 to 8192, found '%.40s'", text);
    }
    options->height = height;
    options->width = width;
    return HO_OK;
}

ho_status ho_cmd_import_weights(const char *name, int argc, char **argv) {
    ho_import_options o = {0};
    bool only_list = false;
    const char *size = NULL;
    char report[4096];
    const ho_option options[] = {{"--kind", &o.kind, NULL, false},
                                 {"--list", NULL, &only_list, false},
                                 {"--lpips", &o.lpips, NULL, false},
                                 {"--generator", &o.generator, NULL, false},
                                 {"--size", &size, NULL, false}};
    int n_words = 0;
    HO_TRY(ho_options_parse(name, argc, argv, 5, options, &n_words));
    if (only_list) {
        if (n_words < 1) {
            HO_FAIL(HO_EUSAGE, "%s: --list needs a file", name);
        }
        return list(argv[0]);
    }
    if (n_words < 2) {
        HO_FAIL(HO_EUSAGE,
                "%s: expected a file to read and one to write, found %d; usage: handsoff import-weights FILE "
                "OUT.h5",
                name, n_words);
    }
    HO_TRY(check_ending(name, argv[n_words - 1], ".h5", ".hdf5"));
    if (size != NULL) {
        HO_TRY(parse_size(size, &o));
    }
    o.n_files = n_words - 1;
    o.files = (const char *const *)argv;
    HO_TRY(ho_weights_import(&o, argv[n_words - 1], report, sizeof report));
    printf("%s%s written\n", report, argv[n_words - 1]);
    return HO_OK;
}

ho_status ho_cmd_export_weights(const char *name, int argc, char **argv) {
    int n_words = 0;
    HO_TRY(ho_options_parse(name, argc, argv, 0, NULL, &n_words));
    if (n_words != 2) {
        HO_FAIL(HO_EUSAGE,
                "%s: expected a generator and a file to write, found %d; usage: handsoff export-weights IN.h5 "
                "OUT.pt",
                name, n_words);
    }
    HO_TRY(check_ending(name, argv[1], ".pt", ".pth"));
    HO_TRY(ho_weights_export(argv[0], argv[1]));
    printf("%s written\n", argv[1]);
    return HO_OK;
}
