/* evaluate: every trained segmentation network on the test images of dataset.h5 (IoU as austinxu87/handsoff,
 * test_deeplab.py). Results go into metrics.json and
 *
 *   evaluation.h5                          one row a method and number of labelled images, one column a seed
 *     /method (R) strings   /labelled (R) i64   /seed (S) i64   /class_name (K) strings
 *     /miou (R, S) f64      /miou_present (R, S) f64            /iou (R, S, K) f64
 *     /present (K) u8       does the class occur in the test labels
 *     /results (1) strings  the results as metrics.json has them
 *   downstream/predictions_METHOD_c.h5     /label (n, H, W) u8, predictions of the first seed's network */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "downstream_files.h"
#include "handsoff/dataset.h"
#include "handsoff/deeplab.h"
#include "handsoff/segmentation_metrics.h"
#include "stages.h"

enum { BATCH = 16, MAX_CLASSES = 256 };

static const char *const STAGE = "evaluate", *const TASK = "segmentation";
static const char *const KEYS[] = {"labelled", "downstream.seeds"};
enum { N_KEYS = 2 };

typedef struct {
    ho_run *run;
    ho_device *device;
    ho_context *context;
    ho_dataset dataset;
    ho_downstream_job *jobs; /* rows of n_seeds each */
    int n_jobs, n_seeds, n_rows, K;
    uint8_t *label;                    /* (n, H, W) predictions */
    double *iou, *miou, *miou_present; /* (n_jobs, K), (n_jobs), (n_jobs) */
    bool present[MAX_CLASSES];
} evaluation;

/* ---- what was evaluated
 * ---------------------------------------------------------------------------------------------------- */

static const char *predictions_path(ho_run *run, const ho_downstream_job *job) {
    return ho_run_path(run, "downstream/predictions_%s_%lld.h5", HO_METHOD_NAMES[job->method], (long long)job->count);
}

static void free_paths(char **paths, int n) {
    for (int i = 0; paths != NULL && i < n; ++i) {
        free(paths[i]);
    }
    free((void *)paths);
}

/* dataset.h5, then the networks of all jobs. n_jobs + 1 paths, freed by free_paths. */
static ho_status list_inputs(ho_run *run, int n_jobs, const ho_downstream_job *jobs, char ***paths) {
    bool failed = false;
    *paths = calloc((size_t)n_jobs + 1, sizeof **paths);
    for (int i = 0; *paths != NULL && i <= n_jobs; ++i) {
        (*paths)[i] = strdup(i == 0 ? ho_run_path(run, "dataset.h5") : ho_downstream_path(run, &jobs[i - 1]));
        failed = failed || (*paths)[i] == NULL;
    }
    if (*paths == NULL || failed) {
        free_paths(*paths, n_jobs + 1);
        *paths = NULL;
        HO_FAIL(HO_EMEMORY, "no memory for the paths of %d networks", n_jobs);
    }
    return HO_OK;
}

/* The predictions of the first seed's networks are from these networks and this dataset.h5. */
static bool predictions_current(ho_run *run, int n_jobs, const ho_downstream_job *jobs, char *const *paths,
                                const char **why) {
    const int64_t *seeds = NULL;
    const int n_seeds = ho_config_ints(ho_run_config(run), "downstream.seeds", &seeds);
    for (int i = 0; i < n_jobs; i += n_seeds) {
        const char *const inputs[2] = {paths[0], paths[i + 1]};
        if (!ho_run_is_current(run, predictions_path(run, &jobs[i]), STAGE, 0, NULL, 2, inputs, why)) {
            return false;
        }
    }
    return true;
}

/* The results in metrics.json are those that evaluation.h5 was written with: the file may have been removed, or come
 * from an evaluation that was stopped before its end. */
static ho_status results_current(ho_run *run, bool *same, const char **why) {
    char **then = NULL, *now = NULL;
    int n = 0;
    ho_store *store = NULL;
    HO_TRY(ho_metrics_results_text(run, TASK, &now));
    *same = ho_store_open(ho_run_path(run, "evaluation.h5"), &store) == HO_OK && ho_store_has(store, "results") &&
            ho_store_read_strings(store, "results", &n, &then) == HO_OK && n == 1 && strcmp(then[0], now) == 0;
    *why = *same ? *why : "the results in metrics.json are not those of evaluation.h5";
    ho_store_close(store);
    free((void *)then);
    free(now);
    return HO_OK;
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    ho_downstream_job *jobs = NULL;
    char **paths = NULL;
    int n = 0;
    HO_TRY(ho_downstream_jobs(run, &n, &jobs));
    ho_status status = list_inputs(run, n, jobs, &paths);
    if (status == HO_OK) {
        *is_current = ho_run_is_current(run, ho_run_path(run, "evaluation.h5"), STAGE, N_KEYS, KEYS, n + 1,
                                        (const char *const *)paths, why) &&
                      predictions_current(run, n, jobs, paths, why);
        status = *is_current ? results_current(run, is_current, why) : HO_OK;
        free_paths(paths, n + 1);
    }
    free(jobs);
    return status;
}

/* ---- measuring
 * ------------------------------------------------------------------------------------------------------------- */

static ho_status prepare(evaluation *e) {
    const char *path = ho_run_path(e->run, "dataset.h5");
    const int64_t *seeds = NULL;
    HO_TRY(ho_run_need(e->run, path));
    HO_TRY(ho_dataset_read(path, &e->dataset));
    const ho_split *test = &e->dataset.test;
    if (test->n < 1 || test->labels == NULL) {
        HO_FAIL(HO_EFORMAT,
                "%s: no labelled test images (/test/image, /test/label): give data.test_dir and run "
                "import-data again",
                path);
    }
    HO_TRY(ho_downstream_jobs(e->run, &e->n_jobs, &e->jobs));
    e->n_seeds = ho_config_ints(ho_run_config(e->run), "downstream.seeds", &seeds);
    e->n_rows = e->n_jobs / e->n_seeds;
    e->K = e->dataset.n_classes;
    const size_t n = (size_t)e->n_jobs, pixels = (size_t)test->n * (size_t)test->height * (size_t)test->width;
    e->label = malloc(pixels);
    e->iou = calloc(n * (size_t)e->K, sizeof *e->iou);
    e->miou = calloc(n, sizeof *e->miou);
    e->miou_present = calloc(n, sizeof *e->miou_present);
    if (e->label == NULL || e->iou == NULL || e->miou == NULL || e->miou_present == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the predictions of %d images", test->n);
    }
    HO_TRY(ho_run_device(e->run, &e->device));
    return ho_context_create(e->device, &e->context);
}

static ho_status check_network(const evaluation *e, const ho_deeplab *network, const char *path) {
    const ho_deeplab_shape *s = ho_deeplab_shape_of(network);
    const ho_split *test = &e->dataset.test;
    if (s->K != e->K || s->backbone.height != test->height || s->backbone.width != test->width) {
        HO_FAIL(HO_EFORMAT,
                "%s: %lld classes at %lldx%lld, the test images have %d at %dx%d: run train-downstream again", path,
                (long long)s->K, (long long)s->backbone.height, (long long)s->backbone.width, e->K, test->height,
                test->width);
    }
    return HO_OK;
}

static ho_status write_predictions(evaluation *e, const ho_downstream_job *job, const char *network) {
    const ho_split *test = &e->dataset.test;
    const int64_t dim[3] = {test->n, test->height, test->width};
    const char *const inputs[2] = {ho_run_path(e->run, "dataset.h5"), network};
    ho_store *store = NULL;
    HO_TRY(ho_store_create(predictions_path(e->run, job), &store));
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_store_write(store, "label", HO_U8, 3, dim, e->label));
    HO_TRY_DONE(ho_store_set_text(store, "method", HO_METHOD_NAMES[job->method]));
    HO_TRY_DONE(ho_store_set_number(store, "labelled", (double)job->count));
    HO_TRY_DONE(ho_store_set_number(store, "training_seed", (double)job->seed));
    HO_TRY_DONE(ho_run_record(e->run, store, STAGE, "predictions", 0, NULL, 2, inputs));
    status = ho_store_commit(store);
done:
    ho_store_close(store);
    return status;
}

static ho_status measure(evaluation *e, int j) {
    const ho_downstream_job *job = &e->jobs[j];
    const ho_split *test = &e->dataset.test;
    const char *path = ho_downstream_path(e->run, job);
    ho_deeplab *network = NULL;
    ho_confusion confusion = {0};
    HO_TRY(ho_run_need(e->run, path));
    HO_TRY(ho_deeplab_load(e->device, path, &network));
    ho_params_set_trainable(ho_deeplab_params(network), false);
    ho_status status = HO_OK;
    HO_TRY_DONE(check_network(e, network, path));
    HO_TRY_DONE(ho_deeplab_predict(e->context, network, test->images, test->n, BATCH, e->label));
    HO_TRY_DONE(ho_confusion_create(e->K, &confusion));
    HO_TRY_DONE(ho_confusion_add(&confusion, test->labels, e->label, (int64_t)test->n * test->height * test->width));
    const ho_iou result = ho_confusion_iou(&confusion, e->iou + (int64_t)j * e->K, e->present);
    e->miou[j] = result.miou;
    e->miou_present[j] = result.miou_present;
    if (j % e->n_seeds == 0) {
        status = write_predictions(e, job, path);
    }
done:
    ho_confusion_free(&confusion);
    ho_deeplab_free(network);
    return status;
}

/* ---- results
 * --------------------------------------------------------------------------------------------------------------- */

static double mean_of(const double *v, int n, int stride) {
    double sum = 0.0;
    for (int i = 0; i < n; ++i) {
        sum += v[i * stride];
    }
    return sum / n;
}

/* Of the printed table: class names stand whole. */
static int column_width(const evaluation *e, int k) {
    const size_t length = strlen(e->dataset.class_names[k]);
    return length < 8 ? 8 : (int)length;
}

/* Mean and population standard deviation over seeds; per class the mean, not a number where the class does not occur.
 */
static ho_status report_row(evaluation *e, int row) {
    const ho_downstream_job *job = &e->jobs[row * e->n_seeds];
    const double *miou = e->miou + row * e->n_seeds, mean = mean_of(miou, e->n_seeds, 1);
    double class_iou[MAX_CLASSES], variance = 0.0;
    uint64_t *seeds = malloc(sizeof *seeds * (size_t)e->n_seeds);
    if (seeds == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %d seeds", e->n_seeds);
    }
    for (int s = 0; s < e->n_seeds; ++s) {
        seeds[s] = (uint64_t)job[s].seed;
        variance += (miou[s] - mean) * (miou[s] - mean) / e->n_seeds;
    }
    for (int k = 0; k < e->K; ++k) {
        class_iou[k] =
            e->present[k] ? mean_of(e->iou + (int64_t)row * e->n_seeds * e->K + k, e->n_seeds, e->K) : (double)NAN;
    }
    const ho_result result = {.method = HO_METHOD_NAMES[job->method],
                              .task = TASK,
                              .labelled = (int)job->count,
                              .n_seeds = e->n_seeds,
                              .n_classes = e->K,
                              .seeds = seeds,
                              .miou_mean = mean,
                              .miou_std = sqrt(variance),
                              .miou_present_mean = mean_of(e->miou_present + row * e->n_seeds, e->n_seeds, 1),
                              .class_names = (const char *const *)e->dataset.class_names,
                              .class_iou = class_iou};
    char text[2048], spread[16] = ""; /* one seed has none */
    if (e->n_seeds > 1) {
        (void)snprintf(spread, sizeof spread, "+- %5.2f", 100.0 * result.miou_std);
    }
    int used = snprintf(text, sizeof text, "%-12s %8d  %6.2f %8s  %6.2f ", result.method, result.labelled,
                        100.0 * result.miou_mean, spread, 100.0 * result.miou_present_mean);
    for (int k = 0; k < e->K && used < (int)sizeof text - 32; ++k) {
        used += e->present[k] ? snprintf(text + used, sizeof text - (size_t)used, " %*.2f", column_width(e, k),
                                         100.0 * class_iou[k])
                              : snprintf(text + used, sizeof text - (size_t)used, " %*s", column_width(e, k), "-");
    }
    ho_run_say(e->run, "%s", text);
    const ho_status status = ho_metrics_result(e->run, &result);
    free(seeds);
    return status;
}

static void print_header(const evaluation *e) {
    char text[2048];
    int used = snprintf(text, sizeof text, "%-12s %8s  %15s  %6s ", "method", "labelled", "mIOU", "mIOU*");
    for (int k = 0; k < e->K && used < (int)sizeof text - 32; ++k) {
        used +=
            snprintf(text + used, sizeof text - (size_t)used, " %*s", column_width(e, k), e->dataset.class_names[k]);
    }
    ho_run_say(e->run,
               "IoU in per cent on %d test images, %d seed%s: mIOU is the mean over all classes +- its standard "
               "deviation over seeds, mIOU* the mean over classes that occur",
               e->dataset.test.n, e->n_seeds, e->n_seeds == 1 ? "" : "s");
    ho_run_say(e->run, "%s", text);
}

static ho_status write_table(evaluation *e, ho_store *store) {
    const int64_t dim[3] = {e->n_rows, e->n_seeds, e->K}, K = e->K, S = e->n_seeds;
    const char **methods = calloc((size_t)e->n_rows, sizeof *methods);
    int64_t *numbers = calloc((size_t)e->n_rows + (size_t)e->n_seeds, sizeof *numbers);
    uint8_t present[MAX_CLASSES];
    ho_status status = HO_OK;
    if (methods == NULL || numbers == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for a table of %d rows", e->n_rows);
        goto done;
    }
    for (int r = 0; r < e->n_rows; ++r) {
        methods[r] = HO_METHOD_NAMES[e->jobs[r * e->n_seeds].method];
        numbers[e->n_seeds + r] = e->jobs[r * e->n_seeds].count;
    }
    for (int s = 0; s < e->n_seeds; ++s) {
        numbers[s] = e->jobs[s].seed;
    }
    for (int k = 0; k < e->K; ++k) {
        present[k] = e->present[k];
    }
    HO_TRY_DONE(ho_store_write_strings(store, "method", e->n_rows, methods));
    HO_TRY_DONE(ho_store_write_strings(store, "class_name", e->K, (const char *const *)e->dataset.class_names));
    HO_TRY_DONE(ho_store_write(store, "seed", HO_I64, 1, &S, numbers));
    HO_TRY_DONE(ho_store_write(store, "labelled", HO_I64, 1, dim, numbers + e->n_seeds));
    HO_TRY_DONE(ho_store_write(store, "miou", HO_F64, 2, dim, e->miou));
    HO_TRY_DONE(ho_store_write(store, "miou_present", HO_F64, 2, dim, e->miou_present));
    HO_TRY_DONE(ho_store_write(store, "iou", HO_F64, 3, dim, e->iou));
    HO_TRY_DONE(ho_store_write(store, "present", HO_U8, 1, &K, present));
    status = ho_store_set_number(store, "test_images", (double)e->dataset.test.n);
done:
    free((void *)methods);
    free(numbers);
    return status;
}

static ho_status write_evaluation(evaluation *e) {
    char **paths = NULL, *results = NULL;
    ho_store *store = NULL;
    HO_TRY(ho_metrics_results_text(e->run, TASK, &results));
    ho_status status = list_inputs(e->run, e->n_jobs, e->jobs, &paths);
    status = status == HO_OK ? ho_store_create(ho_run_path(e->run, "evaluation.h5"), &store) : status;
    status = status == HO_OK ? write_table(e, store) : status;
    status = status == HO_OK ? ho_store_write_strings(store, "results", 1, (const char *const *)&results) : status;
    status = status == HO_OK ? ho_run_record(e->run, store, STAGE, "evaluation", N_KEYS, KEYS, e->n_jobs + 1,
                                             (const char *const *)paths)
                             : status;
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    free(results);
    free_paths(paths, e->n_jobs + 1);
    return status;
}

static ho_status evaluate(evaluation *e) {
    HO_TRY(prepare(e));
    for (int j = 0; j < e->n_jobs; ++j) {
        HO_TRY(measure(e, j));
        ho_run_progress(e->run, STAGE, j + 1, e->n_jobs, "networks", "mIOU %.4f", e->miou[j]);
        if (ho_run_interrupted()) {
            HO_FAIL(HO_EINTERRUPT, "stopped after %d of %d networks", j + 1, e->n_jobs);
        }
    }
    print_header(e);
    HO_TRY(ho_metrics_clear_results(e->run, TASK));
    for (int row = 0; row < e->n_rows; ++row) {
        HO_TRY(report_row(e, row));
    }
    return write_evaluation(e);
}

static ho_status execute(ho_run *run) {
    evaluation e = {.run = run};
    const ho_status status = evaluate(&e);
    ho_context_free(e.context);
    ho_dataset_free(&e.dataset);
    free(e.jobs);
    free(e.label);
    free(e.iou);
    free(e.miou);
    free(e.miou_present);
    return status;
}

const ho_stage HO_STAGE_EVALUATE = {STAGE, "measures the segmentation networks on the test images", current, execute};
