/* handsoff info FILE.h5,  handsoff info --device */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "handsoff/store.h"
#include "target.h"

static const char *const DTYPE_NAMES[] = {"u8", "i32", "i64", "f16", "f32", "f64"};

/* Long texts (config, inputs) go below their name, a line each. */
static ho_status print_attribute(void *user, const char *key, const char *text) {
    (void)user;
    if (strchr(text, '\n') == NULL) {
        printf("  %-16s %s\n", key, text);
        return HO_OK;
    }
    printf("  %s\n", key);
    while (*text != '\0') {
        const int length = (int)strcspn(text, "\n");
        printf("      %.*s\n", length, text);
        text += length + (text[length] == '\n');
    }
    return HO_OK;
}

typedef struct {
    int n_sets, n_others;
    long long n_values;
} totals;

static ho_status print_set(void *user, const char *name, const ho_store_info *info) {
    totals *sum = user;
    long long count = 1;
    printf("  %-48s %-4s (", name, DTYPE_NAMES[info->dtype]);
    for (int i = 0; i < info->rank; ++i) {
        printf("%s%lld", i > 0 ? ", " : "", (long long)info->dim[i]);
        count *= info->dim[i];
    }
    printf(")\n");
    ++sum->n_sets;
    sum->n_values += count;
    return HO_OK;
}

static ho_status print_strings(void *user, const char *name, int64_t n) {
    totals *sum = user;
    printf("  %-48s text (%lld)\n", name, (long long)n);
    ++sum->n_sets;
    sum->n_values += n;
    return HO_OK;
}

static ho_status print_other(void *user, const char *name, const char *what) {
    totals *sum = user;
    printf("  %-48s %s, not read by this program\n", name, what);
    ++sum->n_others;
    return HO_OK;
}

static ho_status print_store(ho_store *store) {
    totals sum = {0, 0, 0};
    printf("%s\n\nattributes\n", ho_store_path(store));
    HO_TRY(ho_store_visit_attributes(store, print_attribute, NULL));
    printf("\ndata sets\n");
    HO_TRY(ho_store_visit(store, print_set, &sum));
    HO_TRY(ho_store_visit_strings(store, print_strings, &sum));
    HO_TRY(ho_store_visit_others(store, print_other, &sum));
    printf("\n%d data sets, %lld values", sum.n_sets, sum.n_values);
    if (sum.n_others > 0) {
        printf("; %d more not read by this program", sum.n_others);
    }
    printf("\n");
    return HO_OK;
}

ho_status ho_cmd_info(const char *name, int argc, char **argv) {
    int n_words = 0;
    bool devices = false;
    const ho_option options[] = {{"--device", NULL, &devices, false}};
    HO_TRY(ho_options_parse(name, argc, argv, 1, options, &n_words));
    if (devices && n_words == 0) {
        return ho_target_print_devices();
    }
    if (n_words != 1 || devices) {
        HO_FAIL(HO_EUSAGE, "%s: expected one file, found %d%s; usage: handsoff info FILE.h5 | --device", name, n_words,
                devices ? " beside --device" : "");
    }
    ho_store *store = NULL;
    HO_TRY(ho_store_open(argv[0], &store));
    const ho_status status = print_store(store);
    ho_store_close(store);
    return status;
}
