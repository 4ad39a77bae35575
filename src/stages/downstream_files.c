/* Names and records of the trained segmentation networks. */
#include "downstream_files.h"

#include <stdio.h>
#include <stdlib.h>

#include "outputs.h"

static const char *const STAGE = "train-downstream";
static const char *const KEYS[] = {
    "seed", "downstream.channels", "downstream.blocks", "downstream.steps", "downstream.batch", "downstream.lr"};
enum { N_KEYS = sizeof KEYS / sizeof *KEYS, MAX_INPUTS = 2 };

const char *const HO_METHOD_NAMES[HO_N_METHODS] = {"handsoff", "labels_only", "transfer"};

static const char *transfer_weights(ho_run *run) {
    return ho_config_text(ho_run_config(run), "transfer.weights");
}

ho_status ho_downstream_jobs(ho_run *run, int *n, ho_downstream_job **jobs) {
    const int64_t *counts = NULL, *seeds = NULL;
    const int n_counts = ho_config_ints(ho_run_config(run), "labelled", &counts);
    const int n_seeds = ho_config_ints(ho_run_config(run), "downstream.seeds", &seeds);
    const int n_methods = *transfer_weights(run) == '\0' ? HO_METHOD_TRANSFER : HO_N_METHODS;
    if (n_counts < 1 || n_seeds < 1) {
        HO_FAIL(HO_ECONFIG, "%s is an empty list; right is one number or more",
                n_counts < 1 ? "labelled" : "downstream.seeds");
    }
    *n = n_counts * n_seeds * n_methods;
    *jobs = malloc(sizeof **jobs * (size_t)*n);
    if (*jobs == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a list of %d trainings", *n);
    }
    ho_downstream_job *job = *jobs;
    for (int c = 0; c < n_counts; ++c) {
        for (int m = 0; m < n_methods; ++m) {
            for (int s = 0; s < n_seeds; ++s) {
                *job++ = (ho_downstream_job){(ho_method)m, counts[c], seeds[s]};
            }
        }
    }
    return HO_OK;
}

const char *ho_downstream_path(ho_run *run, const ho_downstream_job *job) {
    return ho_run_path(run, "downstream/%s_%lld_seed%lld.h5", HO_METHOD_NAMES[job->method], (long long)job->count,
                       (long long)job->seed);
}

const char *ho_downstream_checkpoint_path(ho_run *run, const ho_downstream_job *job) {
    return ho_run_path(run, "checkpoints/train-downstream_%s_%lld_seed%lld.h5", HO_METHOD_NAMES[job->method],
                       (long long)job->count, (long long)job->seed);
}

void ho_downstream_log_name(const ho_downstream_job *job, char text[HO_DOWNSTREAM_NAME]) {
    snprintf(text, HO_DOWNSTREAM_NAME, "%s_%s_%lld_seed%lld", STAGE, HO_METHOD_NAMES[job->method],
             (long long)job->count, (long long)job->seed);
}

/* What a training read: the images, and where the backbone came from. */
static int list_inputs(ho_run *run, const ho_downstream_job *job, const char *inputs[MAX_INPUTS]) {
    inputs[0] = job->method == HO_METHOD_HANDSOFF ? ho_run_path(run, "synthetic_%lld.h5", (long long)job->count)
                                                  : ho_run_path(run, "dataset.h5");
    inputs[1] = job->method == HO_METHOD_TRANSFER ? ho_run_data_path(run, transfer_weights(run)) : NULL;
    return job->method == HO_METHOD_TRANSFER ? 2 : 1;
}

ho_status ho_downstream_record(ho_run *run, ho_store *store, const ho_downstream_job *job, const char *kind) {
    const char *inputs[MAX_INPUTS];
    const int n = list_inputs(run, job, inputs);
    HO_TRY(ho_store_set_text(store, "method", HO_METHOD_NAMES[job->method]));
    HO_TRY(ho_store_set_number(store, "labelled", (double)job->count));
    HO_TRY(ho_store_set_number(store, "training_seed", (double)job->seed));
    return ho_run_record(run, store, STAGE, kind, N_KEYS, KEYS, n, inputs);
}

bool ho_downstream_is_current(ho_run *run, const char *path, const ho_downstream_job *job, const char **why) {
    const char *inputs[MAX_INPUTS];
    const int n = list_inputs(run, job, inputs);
    return ho_run_is_current(run, path, STAGE, N_KEYS, KEYS, n, inputs, why) &&
           ho_output_survives_force(run, STAGE, path);
}
