/* Predictions on test images beside the truth. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/store.h"
#include "report_parts.h"

enum { IMAGES = 12, N_METHODS = 3, TRANSFER = 2 };
static const struct {
    const char *name, *heading;
} METHODS[N_METHODS] = {{"handsoff", "HandsOff"}, {"labels_only", "labels\nonly"}, {"transfer", "transfer"}};

/* Row `row` of the predictions, and how many pixels that count are right. */
static ho_status read_prediction(ho_store *store, const ho_split *test, int64_t row, uint8_t *label, double *right) {
    const int64_t HW = (int64_t)test->height * test->width;
    const uint8_t *truth = test->labels + row * HW;
    int64_t n = 0, n_right = 0;
    HO_TRY(ho_store_read_rows(store, "label", row, 1, label));
    for (int64_t p = 0; p < HW; ++p) {
        n += truth[p] != 255;
        n_right += truth[p] != 255 && truth[p] == label[p];
    }
    *right = n > 0 ? (double)n_right / (double)n : 0.0;
    return HO_OK;
}

static ho_status check_predictions(ho_store *store, const ho_split *test) {
    ho_store_info info;
    HO_TRY(ho_store_info_of(store, "label", &info));
    if (info.dtype != HO_U8 || info.rank != 3 || info.dim[0] != test->n || info.dim[1] != test->height ||
        info.dim[2] != test->width) {
        HO_FAIL(HO_EFORMAT, "%s: 'label' does not hold one map of %d x %d bytes for each of the %d test images",
                ho_store_path(store), test->width, test->height, test->n);
    }
    return HO_OK;
}

static ho_status fill_images(const ho_report *report, ho_sheet *sheet, const int64_t *rows) {
    const ho_split *test = &report->dataset.test;
    const int64_t HW = (int64_t)test->height * test->width;
    bool ignored = false;
    for (int i = 0; i < sheet->n_items; ++i) {
        ho_sheet_item *item = &sheet->items[i];
        const uint8_t *truth = test->labels + rows[i] * HW;
        memcpy(item->panel[0].pixels, test->images + rows[i] * HW * 3, (size_t)HW * 3);
        ho_sheet_colours(&report->dataset, HW, truth, NULL, item->panel[1].pixels);
        ignored = ignored || memchr(truth, 255, (size_t)HW) != NULL;
        (void)snprintf(item->under[0], sizeof item->under[0], "test %lld", (long long)rows[i]);
    }
    ho_sheet_classes(sheet, &report->dataset, ignored);
    return HO_OK;
}

static ho_status fill_method(ho_report *report, const char *path, int panel, const int64_t *rows, ho_sheet *sheet) {
    const ho_split *test = &report->dataset.test;
    const int64_t HW = (int64_t)test->height * test->width;
    ho_store *store = NULL;
    uint8_t *label = malloc((size_t)HW);
    if (label == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a label map");
    }
    ho_status status = ho_store_open(path, &store);
    status = status == HO_OK ? check_predictions(store, test) : status;
    for (int i = 0; i < sheet->n_items && status == HO_OK; ++i) {
        ho_sheet_item *item = &sheet->items[i];
        double right = 0.0;
        status = read_prediction(store, test, rows[i], label, &right);
        if (status == HO_OK) {
            ho_sheet_colours(&report->dataset, HW, label, NULL, item->panel[panel].pixels);
            (void)snprintf(item->under[panel], sizeof item->under[panel], "%.1f %%", 100.0 * right);
        }
    }
    ho_store_close(store);
    free(label);
    return status;
}

/* What can be opened may still be damaged within: that costs the whole picture. */
static ho_status look_at(const char *path, const ho_split *test) {
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = check_predictions(store, test);
    ho_store_close(store);
    return status;
}

/* Which methods have predictions; says so of the others. */
static int find_methods(ho_report *report, int64_t count, int found[N_METHODS], const char *paths[N_METHODS]) {
    int n = 0;
    for (int m = 0; m < N_METHODS; ++m) {
        const char *path =
            ho_run_path(report->run, "downstream/predictions_%s_%lld.h5", METHODS[m].name, (long long)count);
        if (m == TRANSFER && *ho_config_text(ho_run_config(report->run), "transfer.weights") == '\0') {
            continue; /* switched off */
        }
        char what[100], why[300];
        (void)snprintf(what, sizeof what, "%s in predictions_%lld.png", METHODS[m].name, (long long)count);
        if (access(path, R_OK) != 0) {
            (void)snprintf(why, sizeof why, "%.200s is missing: run evaluate first", path);
            ho_report_leave_out(report, what, why);
        } else if (look_at(path, &report->dataset.test) != HO_OK) {
            ho_report_damaged(report, what, ho_error());
        } else {
            paths[n] = path;
            found[n++] = m;
        }
    }
    return n;
}

static ho_status fill_predictions(ho_report *report, int64_t count, int n, const int *found, const char *const *paths,
                                  ho_sheet *sheet) {
    const ho_split *test = &report->dataset.test;
    const int images = test->n < IMAGES ? test->n : IMAGES;
    int64_t rows[IMAGES] = {0};
    for (int i = 0; i < images; ++i) {
        rows[i] = (int64_t)i * test->n / images;
    }
    HO_TRY(ho_sheet_new(images, 2 + n, test->height, test->width, sheet));
    (void)snprintf(sheet->title, sizeof sheet->title, "Predictions on the test images, from %lld labelled images",
                   (long long)count);
    (void)snprintf(sheet->note, sizeof sheet->note,
                   "%d of %d test images, evenly spaced, not selected. Under each prediction: pixels that agree with "
                   "the truth.",
                   images, test->n);
    sheet->heading[0] = "image";
    sheet->heading[1] = "truth";
    HO_TRY(fill_images(report, sheet, rows));
    for (int m = 0; m < n; ++m) {
        sheet->heading[2 + m] = METHODS[found[m]].heading;
        HO_TRY(fill_method(report, paths[m], 2 + m, rows, sheet));
    }
    return HO_OK;
}

ho_status ho_report_predictions(ho_report *report, int64_t count) {
    char name[80];
    int found[N_METHODS];
    const char *paths[N_METHODS];
    ho_sheet sheet = {.n_items = 0};
    (void)snprintf(name, sizeof name, "predictions_%lld.png", (long long)count);
    if (!ho_report_has_dataset(report, name)) {
        return HO_OK;
    }
    if (report->dataset.test.n == 0 || report->dataset.test.labels == NULL) {
        ho_report_leave_out(report, name, "dataset.h5 has no labelled test images");
        return HO_OK;
    }
    const int n = find_methods(report, count, found, paths);
    if (n == 0) {
        return HO_OK;
    }
    const ho_status status = fill_predictions(report, count, n, found, paths, &sheet);
    return ho_report_finish_sheet(report, name, status, &sheet);
}
