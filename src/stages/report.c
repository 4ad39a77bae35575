/* report: what the run holds, as pictures and one page in runs/NAME/report/. A piece that is missing is left out, with
 * a line that says which and why; where a file is damaged, the stage makes the rest and fails. report/record.h5 tells
 * what the report was made from: the files that it read, and /metrics: inversion and results of metrics.json (its stage
 * times change with every stage, this one too). */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/import.h"
#include "report_parts.h"
#include "stages.h"

static const char *const STAGE = "report";
static const char *const KEYS[] = {"name", "labelled"};
enum { N_KEYS = sizeof KEYS / sizeof *KEYS, N_METHODS = 3, PATH_SIZE = 8192 };
static const char *const METHODS[N_METHODS] = {"handsoff", "labels_only", "transfer"};

/* ---- for all parts */

ho_status ho_report_add(ho_report *report, const char *file, const char *title, ho_image *image) {
    const ho_status status = ho_image_write_png(ho_run_path(report->run, "report/%s", file), image);
    ho_image_free(image);
    if (status == HO_OK && report->n_pictures < HO_REPORT_PICTURES) {
        const int i = report->n_pictures++;
        (void)snprintf(report->picture[i].file, sizeof report->picture[i].file, "%s", file);
        (void)snprintf(report->picture[i].title, sizeof report->picture[i].title, "%s", title);
    }
    return status;
}

void ho_report_leave_out(ho_report *report, const char *file, const char *why) {
    ho_run_say(report->run, "report: %s left out: %s", file, why);
    if (report->n_missing < HO_REPORT_PICTURES) {
        char *text = report->missing[report->n_missing++];
        (void)snprintf(text, sizeof report->missing[0], "%.80s: %.230s", file, why);
    }
}

void ho_report_damaged(ho_report *report, const char *file, const char *why) {
    ho_report_leave_out(report, file, why);
    if (report->n_damaged++ == 0) {
        (void)snprintf(report->damaged, sizeof report->damaged, "%.80s left out: %.400s", file, why);
    }
}

bool ho_report_has(ho_report *report, const char *file, const char *path) {
    if (ho_run_need(report->run, path) == HO_OK) {
        return true;
    }
    ho_report_leave_out(report, file, ho_error());
    return false;
}

bool ho_report_has_dataset(ho_report *report, const char *file) {
    if (report->dataset.n_classes > 0) {
        return true;
    }
    ho_report_leave_out(report, file, "dataset.h5 cannot be read");
    return false;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool fits(const char *name, const char *begin, const char *end) {
    const size_t length = strlen(name), n_begin = strlen(begin), n_end = strlen(end);
    return length >= n_begin + n_end && strncmp(name, begin, n_begin) == 0 && strcmp(name + length - n_end, end) == 0;
}

ho_status ho_report_files(ho_run *run, const char *folder, const char *begin, const char *end, int *n, char ***names) {
    const char **found = NULL;
    char *path = strdup(ho_run_path(run, "%s", folder));
    *n = 0;
    *names = NULL;
    DIR *listing = path != NULL ? opendir(path) : NULL;
    bool full = path == NULL;
    for (struct dirent *entry = NULL; !full && listing != NULL && (entry = readdir(listing)) != NULL;) {
        if (entry->d_name[0] == '.' || !fits(entry->d_name, begin, end)) {
            continue;
        }
        const char **grown = realloc((void *)found, sizeof *found * ((size_t)*n + 1));
        found = grown != NULL ? grown : found;
        char *copy = grown != NULL ? strdup(entry->d_name) : NULL;
        full = copy == NULL;
        if (!full) {
            found[(*n)++] = copy;
        }
    }
    if (listing != NULL) {
        closedir(listing);
    }
    if (*n > 1) {
        qsort((void *)found, (size_t)*n, sizeof *found, by_text);
    }
    ho_status status = full ? ho_fail(HO_EMEMORY, __FILE__, __LINE__, "report: no memory to list %s", folder) : HO_OK;
    if (status == HO_OK && *n > 0) {
        status = ho_strings_copy(*n, found, names);
    }
    for (int i = 0; i < *n; ++i) {
        free((void *)found[i]);
    }
    *n = status == HO_OK ? *n : 0;
    free((void *)found);
    free(path);
    return status;
}

/* ---- what a report is made from */

typedef struct {
    int n;
    char **paths; /* owned; the files of the run that are there */
} sources;

static void free_sources(sources *s) {
    for (int i = 0; i < s->n; ++i) {
        free(s->paths[i]);
    }
    free((void *)s->paths);
    *s = (sources){0, NULL};
}

static ho_status add_source(sources *s, const char *path) {
    if (access(path, R_OK) != 0) {
        return HO_OK;
    }
    char **grown = realloc((void *)s->paths, sizeof *grown * ((size_t)s->n + 1));
    if (grown == NULL) {
        HO_FAIL(HO_EMEMORY, "report: no memory for the list of inputs");
    }
    s->paths = grown;
    char *copy = strdup(path);
    if (copy == NULL) {
        HO_FAIL(HO_EMEMORY, "report: no memory for the list of inputs");
    }
    s->paths[s->n++] = copy;
    return HO_OK;
}

/* Of the files of a folder all, or the last one. */
static ho_status add_folder(ho_run *run, const char *folder, const char *begin, const char *end, bool last,
                            sources *s) {
    int n = 0;
    char **names = NULL;
    HO_TRY(ho_report_files(run, folder, begin, end, &n, &names));
    ho_status status = HO_OK;
    for (int i = last && n > 0 ? n - 1 : 0; i < n && status == HO_OK; ++i) {
        status = add_source(s, ho_run_path(run, "%s/%s", folder, names[i]));
    }
    free((void *)names);
    return status;
}

static ho_status find_sources(ho_run *run, sources *s) {
    const int64_t *counts = NULL;
    const int n = ho_config_ints(ho_run_config(run), "labelled", &counts);
    HO_TRY(add_source(s, ho_run_path(run, "dataset.h5")));
    HO_TRY(add_source(s, ho_run_path(run, "latents.h5")));
    for (int i = 0; i < n; ++i) {
        const long long count = (long long)counts[i];
        HO_TRY(add_source(s, ho_run_path(run, "synthetic_%lld.h5", count)));
        for (int m = 0; m < N_METHODS; ++m) {
            HO_TRY(add_source(s, ho_run_path(run, "downstream/predictions_%s_%lld.h5", METHODS[m], count)));
        }
    }
    HO_TRY(add_folder(run, "logs", "", ".jsonl", false, s));
    return add_folder(run, "samples", "fakes", ".png", true, s);
}

/* metrics.json; an empty object where there is none. */
static ho_status load_metrics(ho_run *run, json_t **metrics) {
    const char *path = ho_run_path(run, "metrics.json");
    json_error_t error;
    *metrics = access(path, F_OK) == 0 ? json_load_file(path, 0, &error) : json_object();
    if (!json_is_object(*metrics)) {
        json_decref(*metrics);
        *metrics = NULL;
        HO_FAIL(HO_EFORMAT, "%s: not as handsoff writes it; move the file away", path);
    }
    return HO_OK;
}

/* The part of the metrics that the report depends on; malloc'd. */
static char *metrics_text(const json_t *metrics) {
    json_t *part = json_object();
    json_object_set(part, "inversion", json_object_get(metrics, "inversion"));
    json_object_set(part, "results", json_object_get(metrics, "results"));
    char *text = json_dumps(part, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(part);
    return text;
}

static ho_status write_record(ho_report *report, const sources *s) {
    ho_store *store = NULL;
    char *text = metrics_text(report->metrics);
    if (text == NULL) {
        HO_FAIL(HO_EMEMORY, "report: no memory for the text of metrics.json");
    }
    ho_status status = ho_store_create(ho_run_path(report->run, "report/record.h5"), &store);
    status = status == HO_OK
                 ? ho_run_record(report->run, store, STAGE, "report", N_KEYS, KEYS, s->n, (const char *const *)s->paths)
                 : status;
    status = status == HO_OK ? ho_store_write_strings(store, "metrics", 1, (const char *const *)&text) : status;
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    free(text);
    return status;
}

/* ---- the stage */

static ho_status draw_all(ho_report *report) {
    const int64_t *counts = NULL;
    const int n = ho_config_ints(ho_run_config(report->run), "labelled", &counts);
    const char *path = ho_run_path(report->run, "dataset.h5");
    HO_TRY(ho_run_need(report->run, path));
    const ho_status status = ho_dataset_read(path, &report->dataset);
    if (status == HO_EMEMORY) {
        return status;
    }
    if (status != HO_OK) {
        ho_report_damaged(report, "dataset.h5", ho_error());
        ho_dataset_free(&report->dataset);
        memset(&report->dataset, 0, sizeof report->dataset);
    }
    HO_TRY(ho_report_reconstructions(report));
    for (int i = 0; i < n; ++i) {
        HO_TRY(ho_report_synthetic(report, counts[i]));
    }
    for (int i = 0; i < n; ++i) {
        HO_TRY(ho_report_predictions(report, counts[i]));
    }
    HO_TRY(ho_report_gan_samples(report));
    return ho_report_curves(report);
}

static void say_paths(const ho_report *report) {
    const char *folder = ho_run_path(report->run, "report");
    for (int i = 0; i < report->n_pictures; ++i) {
        ho_run_say(report->run, "%s/%-28s %s", folder, report->picture[i].file, report->picture[i].title);
    }
    ho_run_say(report->run, "%s/%-28s %s", folder, "index.html", "all of it on one page");
}

static ho_status make_report(ho_report *report, sources *s) {
    if (load_metrics(report->run, &report->metrics) != HO_OK) {
        ho_report_damaged(report, "table of results", ho_error());
    }
    HO_TRY(find_sources(report->run, s));
    HO_TRY(draw_all(report));
    HO_TRY(ho_report_page(report));
    if (report->n_damaged == 0) {
        HO_TRY(write_record(report, s));
    }
    ho_report_say_results(report);
    say_paths(report);
    if (report->n_damaged > 0) {
        (void)unlink(ho_run_path(report->run, "report/record.h5")); /* this report is not to pass as up to date */
        HO_FAIL(HO_EFORMAT, "%s (%d such line%s above; the rest is made)", report->damaged, report->n_damaged,
                report->n_damaged == 1 ? "" : "s");
    }
    return HO_OK;
}

static ho_status execute(ho_run *run) {
    sources s = {0, NULL};
    ho_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        HO_FAIL(HO_EMEMORY, "report: no memory");
    }
    report->run = run;
    const ho_status status = make_report(report, &s);
    free_sources(&s);
    ho_dataset_free(&report->dataset);
    json_decref(report->metrics);
    free(report);
    return status;
}

/* True when record.h5 was written for these metrics. */
static ho_status same_metrics(ho_run *run, const char *path, bool *same) {
    ho_store *store = NULL;
    json_t *metrics = NULL;
    char **then = NULL, *now = NULL;
    int n = 0;
    *same = false;
    if (load_metrics(run, &metrics) != HO_OK) {
        return HO_OK; /* the stage tells of it */
    }
    now = metrics_text(metrics);
    json_decref(metrics);
    if (ho_store_open(path, &store) == HO_OK && ho_store_read_strings(store, "metrics", &n, &then) == HO_OK) {
        *same = n == 1 && now != NULL && strcmp(now, then[0]) == 0;
    }
    ho_store_close(store);
    free((void *)then);
    free(now);
    return HO_OK;
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    /* Copies: the paths of many inputs would take the place of the run's own buffers. */
    char record[PATH_SIZE], page[PATH_SIZE];
    (void)snprintf(record, sizeof record, "%s/report/record.h5", ho_run_dir(run));
    (void)snprintf(page, sizeof page, "%s/report/index.html", ho_run_dir(run));
    sources s = {0, NULL};
    ho_status status = find_sources(run, &s);
    *is_current = false;
    if (status == HO_OK) {
        *is_current = ho_run_is_current(run, record, STAGE, N_KEYS, KEYS, s.n, (const char *const *)s.paths, why);
    }
    free_sources(&s);
    if (status == HO_OK && *is_current) {
        status = same_metrics(run, record, is_current);
        *why = "metrics.json changed";
    }
    if (status == HO_OK && *is_current && access(page, F_OK) != 0) {
        *is_current = false;
        *why = "report/index.html is missing";
    }
    return status;
}

const ho_stage HO_STAGE_REPORT = {STAGE, "pictures and tables of what the run holds, in runs/NAME/report/", current,
                                  execute};
