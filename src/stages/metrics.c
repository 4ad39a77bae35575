/* runs/NAME/metrics.json:
 *   {"stages": [{"name", "seconds", "peak_rss_mb"}],
 *    "inversion": {STEP: {"before"|"after": {"lpips", "mse", "latent_mse"}}},
 *    "results": [{"method", "task", "labelled", "seeds": [..], "miou_mean", "miou_std", "miou_present_mean",
 *                 "per_class": {CLASS: iou}}]}
 * A number that is not finite (the IoU of a class that does not occur) is null. An entry of the same name - of the same
 * method, task and labelled - takes the place of the old one. The file is whole at all times: it is written under
 * another name and renamed. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "run_internal.h"

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

/* The file's content, or an empty object where there is no file yet. */
static ho_status load(ho_run *run, json_t **root) {
    const char *path = ho_run_path(run, "metrics.json");
    json_error_t error;
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        *root = json_object();
    } else {
        *root = json_load_file(path, 0, &error);
        if (*root == NULL) {
            HO_FAIL(HO_EFORMAT, "%s:%d: %s; move the file away to go on", path, error.line, error.text);
        }
    }
    const bool stages = json_object_get(*root, "stages") == NULL || json_is_array(json_object_get(*root, "stages"));
    const bool results = json_object_get(*root, "results") == NULL || json_is_array(json_object_get(*root, "results"));
    const json_t *inversion = json_object_get(*root, "inversion");
    if (!json_is_object(*root) || !stages || !results || (inversion != NULL && !json_is_object(inversion))) {
        json_decref(*root);
        *root = NULL;
        HO_FAIL(HO_EFORMAT,
                "%s: not as handsoff writes it ({stages: [], inversion: {}, results: []}); move the file away", path);
    }
    if (json_object_get(*root, "stages") == NULL) {
        json_object_set_new(*root, "stages", json_array());
    }
    if (inversion == NULL) {
        json_object_set_new(*root, "inversion", json_object());
    }
    if (json_object_get(*root, "results") == NULL) {
        json_object_set_new(*root, "results", json_array());
    }
    return HO_OK;
}

/* Writes and releases `root`. */
static ho_status save(ho_run *run, json_t *root) {
    const char *path = ho_run_path(run, "metrics.json"), *part = ho_run_path(run, "metrics.json.part");
    FILE *file = fopen(part, "w");
    bool failed = file == NULL;
    int error = errno;
    if (file != NULL) {
        failed = json_dumpf(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0 || fputc('\n', file) == EOF ||
                 fflush(file) != 0 || fsync(fileno(file)) != 0;
        error = errno;
        if (fclose(file) != 0 && !failed) {
            failed = true;
            error = errno;
        }
    }
    json_decref(root);
    if (!failed && rename(part, path) != 0) {
        failed = true;
        error = errno;
    }
    if (failed) {
        remove(part);
        HO_FAIL(HO_EIO, "cannot write %s: %s", path, strerror(error));
    }
    return HO_OK;
}

ho_status ho_metrics_check(ho_run *run) {
    json_t *root = NULL;
    HO_TRY(load(run, &root));
    json_decref(root);
    return HO_OK;
}

static bool same_text(const json_t *object, const char *key, const char *text) {
    const char *found = json_string_value(json_object_get(object, key));
    return found != NULL && strcmp(found, text) == 0;
}

/* Replaces the element `at` of the list, or appends when `at` is the list's size. */
static void put(json_t *list, size_t at, json_t *entry) {
    if (at < json_array_size(list)) {
        json_array_set_new(list, at, entry);
    } else {
        json_array_append_new(list, entry);
    }
}

ho_status ho_metrics_stage(ho_run *run, const char *stage, double seconds, double peak_rss_mb) {
    json_t *root = NULL;
    HO_TRY(load(run, &root));
    json_t *list = json_object_get(root, "stages"), *entry = json_object();
    json_object_set_new(entry, "name", json_string(stage));
    json_object_set_new(entry, "seconds", number(seconds));
    json_object_set_new(entry, "peak_rss_mb", number(peak_rss_mb));
    size_t at = 0;
    while (at < json_array_size(list) && !same_text(json_array_get(list, at), "name", stage)) {
        ++at;
    }
    put(list, at, entry);
    return save(run, root);
}

ho_status ho_metrics_inversion(ho_run *run, const char *step, const char *when, double lpips, double mse,
                               double latent_mse) {
    json_t *root = NULL;
    HO_TRY(load(run, &root));
    json_t *inversion = json_object_get(root, "inversion"), *entry = json_object();
    if (!json_is_object(json_object_get(inversion, step))) {
        json_object_set_new(inversion, step, json_object());
    }
    json_object_set_new(entry, "lpips", number(lpips));
    json_object_set_new(entry, "mse", number(mse));
    json_object_set_new(entry, "latent_mse", number(latent_mse));
    json_object_set_new(json_object_get(inversion, step), when, entry);
    return save(run, root);
}

ho_status ho_metrics_result(ho_run *run, const ho_result *result) {
    json_t *root = NULL;
    HO_TRY(load(run, &root));
    json_t *list = json_object_get(root, "results"), *entry = json_object();
    json_t *seeds = json_array(), *per_class = json_object();
    for (int i = 0; i < result->n_seeds; ++i) {
        json_array_append_new(seeds, json_integer((json_int_t)result->seeds[i]));
    }
    for (int k = 0; k < result->n_classes; ++k) {
        json_object_set_new(per_class, result->class_names[k], number(result->class_iou[k]));
    }
    json_object_set_new(entry, "method", json_string(result->method));
    json_object_set_new(entry, "task", json_string(result->task));
    json_object_set_new(entry, "labelled", json_integer(result->labelled));
    json_object_set_new(entry, "seeds", seeds);
    json_object_set_new(entry, "miou_mean", number(result->miou_mean));
    json_object_set_new(entry, "miou_std", number(result->miou_std));
    json_object_set_new(entry, "miou_present_mean", number(result->miou_present_mean));
    json_object_set_new(entry, "per_class", per_class);
    size_t at = 0;
    for (; at < json_array_size(list); ++at) {
        const json_t *old = json_array_get(list, at);
        if (same_text(old, "method", result->method) && same_text(old, "task", result->task) &&
            json_integer_value(json_object_get(old, "labelled")) == result->labelled) {
            break;
        }
    }
    put(list, at, entry);
    return save(run, root);
}

ho_status ho_metrics_clear_results(ho_run *run, const char *task) {
    json_t *root = NULL;
    HO_TRY(load(run, &root));
    json_t *list = json_object_get(root, "results");
    for (size_t at = json_array_size(list); at-- > 0;) {
        if (same_text(json_array_get(list, at), "task", task)) {
            json_array_remove(list, at);
        }
    }
    return save(run, root);
}

ho_status ho_metrics_results_text(ho_run *run, const char *task, char **text) {
    json_t *root = NULL, *entry = NULL, *some = json_array();
    size_t i = 0;
    const ho_status status = load(run, &root);
    json_array_foreach(json_object_get(root, "results"), i, entry) {
        if (same_text(entry, "task", task)) {
            json_array_append(some, entry);
        }
    }
    *text = json_dumps(some, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(some);
    json_decref(root);
    HO_TRY(status);
    if (*text == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the results in metrics.json");
    }
    return HO_OK;
}
