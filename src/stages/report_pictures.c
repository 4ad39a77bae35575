/* Reconstructions of the labelled images, the generated set, the last sample grid of the generator. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/store.h"
#include "handsoff/synthetic.h"
#include "report_parts.h"

enum { RECONSTRUCTIONS = 16, SAMPLES = 24 };

/* ---- reconstructions */

typedef struct {
    int64_t n, height, width;
    int64_t *index;
    uint8_t *target, *start, *refined; /* start NULL where the file has none */
    double *lpips[2], *mse[2];         /* before, after; NULL where the file has none */
} inversions;

static void free_inversions(inversions *v) {
    free(v->index);
    free(v->target);
    free(v->start);
    free(v->refined);
    for (int i = 0; i < 2; ++i) {
        free(v->lpips[i]);
        free(v->mse[i]);
    }
}

static ho_status read_images(ho_store *store, const char *name, const inversions *v, uint8_t **images) {
    const int64_t dim[4] = {v->n, v->height, v->width, 3};
    *images = malloc((size_t)(v->n * v->height * v->width * 3 + 1));
    if (*images == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for '%s'", ho_store_path(store), name);
    }
    return ho_store_read(store, name, HO_U8, 4, dim, *images);
}

/* Numbers in single or double precision; NULL where the file has no such data set. */
static ho_status read_numbers(ho_store *store, const char *name, int64_t n, double **values) {
    ho_store_info info;
    if (!ho_store_has(store, name)) {
        return HO_OK;
    }
    HO_TRY(ho_store_info_of(store, name, &info));
    *values = calloc((size_t)n + 1, sizeof(double));
    if (*values == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for '%s'", ho_store_path(store), name);
    }
    if (info.dtype == HO_F64) {
        return ho_store_read(store, name, HO_F64, 1, &n, *values);
    }
    float *single = calloc((size_t)n + 1, sizeof(float));
    if (single == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for '%s'", ho_store_path(store), name);
    }
    const ho_status status = ho_store_read(store, name, HO_F32, 1, &n, single);
    for (int64_t i = 0; status == HO_OK && i < n; ++i) {
        (*values)[i] = single[i];
    }
    free(single);
    return status;
}

static ho_status read_inversions(ho_store *store, inversions *v) {
    ho_store_info info;
    HO_TRY(ho_store_info_of(store, "reconstruction", &info));
    if (info.rank != 4 || info.dim[0] < 1 || info.dim[3] != 3) {
        HO_FAIL(HO_EFORMAT, "%s: 'reconstruction' is no list of images (n, H, W, 3)", ho_store_path(store));
    }
    v->n = info.dim[0];
    v->height = info.dim[1];
    v->width = info.dim[2];
    v->index = malloc(sizeof(int64_t) * (size_t)v->n);
    if (v->index == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for 'index'", ho_store_path(store));
    }
    HO_TRY(ho_store_read(store, "index", HO_I64, 1, &v->n, v->index));
    HO_TRY(read_images(store, "target", v, &v->target));
    HO_TRY(read_images(store, "reconstruction", v, &v->refined));
    if (ho_store_has(store, "reconstruction_init")) {
        HO_TRY(read_images(store, "reconstruction_init", v, &v->start));
    }
    HO_TRY(read_numbers(store, "lpips_before", v->n, &v->lpips[0]));
    HO_TRY(read_numbers(store, "lpips_after", v->n, &v->lpips[1]));
    HO_TRY(read_numbers(store, "mse_before", v->n, &v->mse[0]));
    return read_numbers(store, "mse_after", v->n, &v->mse[1]);
}

static double mean(int64_t n, const double *values) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        sum += values[i];
    }
    return sum / (double)n;
}

static void change_text(char *text, size_t size, const char *name, double *const values[2], int64_t i) {
    if (values[0] != NULL && values[1] != NULL) {
        (void)snprintf(text, size, "%s %.4f -> %.4f", name, values[0][i], values[1][i]);
    }
}

/* The mean over all images, for the sheet's note. */
static void mean_text(char *text, size_t size, const char *name, int64_t n, double *const values[2]) {
    const size_t used = strlen(text);
    if (values[0] != NULL && values[1] != NULL) {
        (void)snprintf(text + used, size - used, " Mean %s %.4f -> %.4f.", name, mean(n, values[0]),
                       mean(n, values[1]));
    }
}

static ho_status fill_reconstructions(const inversions *v, ho_sheet *sheet) {
    const int n = v->n < RECONSTRUCTIONS ? (int)v->n : RECONSTRUCTIONS, P = v->start != NULL ? 3 : 2;
    const size_t bytes = (size_t)(v->height * v->width * 3);
    assert(v->target != NULL && v->refined != NULL);
    HO_TRY(ho_sheet_new(n, P, (int)v->height, (int)v->width, sheet));
    (void)snprintf(sheet->title, sizeof sheet->title, "Reconstructions of the labelled images");
    (void)snprintf(sheet->note, sizeof sheet->note,
                   "The first %d of %lld; numbers are before -> after refinement (MSE over pixels in [0, 1]).", n,
                   (long long)v->n);
    mean_text(sheet->note, sizeof sheet->note, "LPIPS", v->n, v->lpips);
    mean_text(sheet->note, sizeof sheet->note, "MSE", v->n, v->mse);
    sheet->heading[0] = "original";
    sheet->heading[1] = P == 3 ? "first\nguess" : "refined";
    sheet->heading[2] = "refined";
    sheet->n_lines = 2;
    for (int i = 0; i < n; ++i) {
        ho_sheet_item *item = &sheet->items[i];
        memcpy(item->panel[0].pixels, v->target + (size_t)i * bytes, bytes);
        if (P == 3) {
            memcpy(item->panel[1].pixels, v->start + (size_t)i * bytes, bytes);
        }
        memcpy(item->panel[P - 1].pixels, v->refined + (size_t)i * bytes, bytes);
        change_text(item->line[0], sizeof item->line[0], "LPIPS", v->lpips, i);
        change_text(item->line[1], sizeof item->line[1], "MSE  ", v->mse, i);
    }
    return HO_OK;
}

ho_status ho_report_reconstructions(ho_report *report) {
    inversions v = {0};
    ho_sheet sheet = {.n_items = 0};
    ho_store *store = NULL;
    const char *path = ho_run_path(report->run, "latents.h5");
    if (!ho_report_has(report, "reconstructions.png", path)) {
        return HO_OK;
    }
    ho_status status = ho_store_open(path, &store);
    status = status == HO_OK ? read_inversions(store, &v) : status;
    status = status == HO_OK ? fill_reconstructions(&v, &sheet) : status;
    ho_store_close(store);
    free_inversions(&v);
    return ho_report_finish_sheet(report, "reconstructions.png", status, &sheet);
}

/* ---- the generated set */

typedef struct {
    float score;
    int64_t sample;
} ranked;

static int by_score(const void *a, const void *b) {
    const ranked *p = a, *q = b;
    return p->score != q->score ? (p->score > q->score) - (p->score < q->score)
                                : (p->sample > q->sample) - (p->sample < q->sample);
}

static int by_number(const void *a, const void *b) {
    const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

/* n samples, evenly spaced in the order of their scores, least uncertain first. */
static ho_status choose_samples(const ho_synthetic_info *info, int n, int64_t *samples) {
    ranked *all = malloc(sizeof *all * (size_t)info->n_generated);
    if (all == NULL) {
        HO_FAIL(HO_EMEMORY, "report: no memory to sort %lld samples", (long long)info->n_generated);
    }
    for (int64_t i = 0; i < info->n_generated; ++i) {
        all[i] = (ranked){info->scores[i], i};
    }
    qsort(all, (size_t)info->n_generated, sizeof *all, by_score);
    for (int i = 0; i < n; ++i) {
        samples[i] = all[n > 1 ? i * (info->n_generated - 1) / (n - 1) : 0].sample;
    }
    free(all);
    return HO_OK;
}

static void colour_map(int64_t n, const float *map, float highest, uint8_t *rgb) {
    for (int64_t p = 0; p < n; ++p) {
        ho_sheet_ramp(highest > 0.0F ? (double)map[p] / (double)highest : 0.0, rgb + 3 * p);
    }
}

static ho_status fill_synthetic(const ho_report *report, ho_synthetic_file *file, int64_t count, ho_sheet *sheet) {
    const ho_synthetic_info *info = ho_synthetic_info_of(file);
    const int n = info->n_generated < SAMPLES ? (int)info->n_generated : SAMPLES;
    const int64_t HW = info->height * info->width;
    int64_t samples[SAMPLES] = {0};
    if (report->dataset.n_classes != info->n_classes) {
        HO_FAIL(HO_EFORMAT, "synthetic_%lld.h5 has %lld classes, dataset.h5 has %d", (long long)count,
                (long long)info->n_classes, report->dataset.n_classes);
    }
    HO_TRY(choose_samples(info, n, samples));
    HO_TRY(ho_sheet_new(n, 3, (int)info->height, (int)info->width, sheet));
    uint8_t *label = malloc((size_t)HW);
    float *map = calloc((size_t)(n * HW), sizeof(float)), highest = 0.0F;
    if (label == NULL || map == NULL) {
        free(label);
        free(map);
        HO_FAIL(HO_EMEMORY, "report: no memory for %d samples", n);
    }
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; ++i) {
        ho_sheet_item *item = &sheet->items[i];
        const ho_synthetic_buffers to = {item->panel[0].pixels, label, map + i * HW, NULL};
        status = ho_synthetic_samples(file, samples[i], 1, &to);
        if (status == HO_OK) {
            ho_sheet_colours(&report->dataset, HW, label, item->panel[0].pixels, item->panel[1].pixels);
        }
    }
    for (int64_t p = 0; p < n * HW && status == HO_OK; ++p) {
        highest = fmaxf(highest, map[p]);
    }
    for (int i = 0; i < n && status == HO_OK; ++i) {
        ho_sheet_item *item = &sheet->items[i];
        item->marked = info->n_kept == 0 ||
                       bsearch(&samples[i], info->kept, (size_t)info->n_kept, sizeof samples[i], by_number) == NULL;
        colour_map(HW, map + i * HW, highest, item->panel[2].pixels);
        (void)snprintf(item->line[0], sizeof item->line[0], "score %.4f%s", (double)info->scores[samples[i]],
                       item->marked ? ", removed" : "");
    }
    (void)snprintf(sheet->ramp, sizeof sheet->ramp, "uncertainty: JS divergence, 0 to %.3f", (double)highest);
    free(label);
    free(map);
    return status;
}

ho_status ho_report_synthetic(ho_report *report, int64_t count) {
    char name[80];
    ho_sheet sheet = {.n_items = 0};
    ho_synthetic_file *file = NULL;
    const char *path = ho_run_path(report->run, "synthetic_%lld.h5", (long long)count);
    (void)snprintf(name, sizeof name, "synthetic_%lld.png", (long long)count);
    if (!ho_report_has(report, name, path) || !ho_report_has_dataset(report, name)) {
        return HO_OK;
    }
    ho_status status = ho_synthetic_open(path, &file);
    status = status == HO_OK ? fill_synthetic(report, file, count, &sheet) : status;
    if (status == HO_OK) {
        const ho_synthetic_info *info = ho_synthetic_info_of(file);
        (void)snprintf(sheet.title, sizeof sheet.title, "Generated images and their labels, from %lld labelled images",
                       (long long)count);
        (void)snprintf(sheet.note, sizeof sheet.note,
                       "%d of %lld images, evenly spaced from the least to the most uncertain. The filter removed %lld "
                       "(framed in red) and left %lld. Labels lie over the faded image.",
                       sheet.n_items, (long long)info->n_generated, (long long)(info->n_generated - info->n_kept),
                       (long long)info->n_kept);
        sheet.heading[0] = "generated";
        sheet.heading[1] = "labels";
        sheet.heading[2] = "uncertain";
        sheet.n_lines = 1;
        ho_sheet_classes(&sheet, &report->dataset, false);
    }
    ho_synthetic_close(file);
    return ho_report_finish_sheet(report, name, status, &sheet);
}

/* ---- sample grid */

/* Of "fakesKKKKKK.png" and "fakesKKKKKK_RRR.png" (train_gan.c). */
static double thousands_of(const char *name) {
    char *end = NULL;
    const long thousands = strtol(name + strlen("fakes"), &end, 10);
    return (double)thousands + (*end == '_' ? 1e-3 * (double)strtol(end + 1, NULL, 10) : 0.0);
}

ho_status ho_report_gan_samples(ho_report *report) {
    int n = 0;
    char **names = NULL;
    HO_TRY(ho_report_files(report->run, "samples", "fakes", ".png", &n, &names));
    ho_status status = HO_OK;
    if (n == 0) {
        ho_report_leave_out(report, "gan_samples.png", "train-gan wrote no sample grid in this run");
    } else {
        ho_image grid;
        status = ho_image_read(ho_run_path(report->run, "samples/%s", names[n - 1]), &grid);
        if (status == HO_OK) {
            char title[160];
            (void)snprintf(title, sizeof title, "Samples of the generator after %g thousand images",
                           thousands_of(names[n - 1]));
            status = ho_report_add(report, "gan_samples.png", title, &grid);
        } else {
            ho_report_damaged(report, "gan_samples.png", ho_error());
            status = HO_OK;
        }
    }
    free((void *)names);
    return status;
}
