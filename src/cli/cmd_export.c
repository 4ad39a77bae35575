/* handsoff export-data IN.h5 DIR --format NAME */
#include <stdio.h>

#include "cli.h"
#include "handsoff/export.h"

void ho_print_export_formats(void) {
    const char *writes = NULL;
    printf("\nFormats, and what DIR holds then:\n");
    for (int i = 0; ho_export_format_name(i, &writes) != NULL; ++i) {
        printf("  %-12s%s\n", ho_export_format_name(i, NULL), writes);
    }
    printf(
        "classes.yml has the names and colours of the classes: import-data --merge DIR/classes.yml takes them over.\n");
}

static void print_counts(const ho_export_request *request, const ho_export_counts *counts) {
    const int64_t *n = counts->n, *out = counts->left_out;
    printf("%s: %lld labelled, %lld test and %lld unlabelled images as %s\n", request->folder,
           (long long)n[HO_PART_TRAIN], (long long)n[HO_PART_TEST], (long long)n[HO_PART_UNLABELLED], request->format);
    if (out[HO_PART_TRAIN] + out[HO_PART_TEST] + out[HO_PART_UNLABELLED] > 0) {
        printf("left out, for want of labels: %lld train, %lld test and %lld unlabelled images\n",
               (long long)out[HO_PART_TRAIN], (long long)out[HO_PART_TEST], (long long)out[HO_PART_UNLABELLED]);
    }
    if (counts->points || counts->depth) {
        printf("not kept by this format: %s%s%s\n", counts->points ? "key points" : "",
               counts->points && counts->depth ? ", " : "", counts->depth ? "depth" : "");
    }
}

ho_status ho_cmd_export_data(const char *name, int argc, char **argv) {
    ho_export_request request = {0};
    ho_export_counts counts;
    const ho_option options[] = {{"--format", &request.format, NULL, true}};
    int n_words = 0;
    HO_TRY(ho_options_parse(name, argc, argv, 1, options, &n_words));
    if (n_words != 2) {
        HO_FAIL(HO_EUSAGE,
                "%s: expected a file to read and a folder to write, found %d words; usage: handsoff export-data IN.h5 "
                "DIR --format NAME",
                name, n_words);
    }
    ho_progress_line progress = ho_progress_line_begin(name);
    request.path = argv[0];
    request.folder = argv[1];
    request.progress = ho_progress_line_show;
    request.user = &progress;
    ho_run_catch_signals();
    HO_TRY(ho_export_data(&request, &counts));
    print_counts(&request, &counts);
    return HO_OK;
}
