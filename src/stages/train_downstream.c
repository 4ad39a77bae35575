/* train-downstream: the segmentation networks of the comparison, downstream/METHOD_c_seedS.h5. With the same network,
 * steps, batch, optimiser and augmentation: handsoff learns from the filtered synthetic set of c labelled images,
 * labels_only from those c real images alone, transfer from the same with a pretrained backbone. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "downstream_files.h"
#include "downstream_training.h"
#include "handsoff/dataset.h"
#include "handsoff/random.h"
#include "handsoff/synthetic.h"
#include "stages.h"

enum { RECORD_EVERY = 20, CHECKPOINT_SECONDS = 30 };

static const char *const STAGE = "train-downstream";

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    ho_downstream_job *jobs = NULL;
    int n = 0;
    HO_TRY(ho_downstream_jobs(run, &n, &jobs));
    *is_current = true;
    for (int i = 0; i < n && *is_current; ++i) {
        *is_current = ho_downstream_is_current(run, ho_downstream_path(run, &jobs[i]), &jobs[i], why);
    }
    free(jobs);
    return HO_OK;
}

/* ---- what a training reads
 * ----------------------------------------------------------------------------------------------- */

typedef struct {
    ho_run *run;
    ho_device *device;
    ho_dataset dataset;
    int64_t *chosen;        /* the labelled images of chosen_count */
    ho_synthetic synthetic; /* that of synthetic_count             */
    int64_t chosen_count, synthetic_count;
} inputs;

static ho_status read_dataset(inputs *in) {
    const char *path = ho_run_path(in->run, "dataset.h5");
    HO_TRY(ho_run_need(in->run, path));
    HO_TRY(ho_dataset_read(path, &in->dataset));
    if (in->dataset.train.n < 1 || in->dataset.train.labels == NULL) {
        HO_FAIL(HO_EFORMAT, "%s: no labelled training images (/train/image, /train/label)", path);
    }
    return HO_OK;
}

/* The set that the generator and the label head made from `count` images; it must be of the kind of the real data. */
static ho_status need_synthetic(inputs *in, int64_t count) {
    const char *path = ho_run_path(in->run, "synthetic_%lld.h5", (long long)count);
    const ho_synthetic *s = &in->synthetic;
    const ho_split *real = &in->dataset.train;
    if (in->synthetic_count == count) {
        return HO_OK;
    }
    ho_synthetic_free(&in->synthetic);
    memset(&in->synthetic, 0, sizeof in->synthetic);
    in->synthetic_count = 0;
    HO_TRY(ho_run_need(in->run, path));
    HO_TRY(ho_synthetic_read(path, &in->synthetic));
    if (s->height != real->height || s->width != real->width) {
        HO_FAIL(HO_EFORMAT,
                "%s: images of %dx%d, dataset.h5 has %dx%d: run generate again, or give gan.weights of that "
                "size",
                path, s->height, s->width, real->height, real->width);
    }
    if (s->n_classes != in->dataset.n_classes) {
        HO_FAIL(HO_EFORMAT, "%s: %d classes, dataset.h5 has %d: run train-head and generate again", path, s->n_classes,
                in->dataset.n_classes);
    }
    if (s->n < 1) {
        HO_FAIL(HO_EFORMAT, "%s: the filter left none of %lld images: lower filter.fraction or raise generate.n", path,
                (long long)s->n_generated);
    }
    in->synthetic_count = count;
    return HO_OK;
}

static ho_status need_chosen(inputs *in, int64_t count) {
    if (in->chosen_count == count) {
        return HO_OK;
    }
    if (count > in->dataset.train.n) {
        HO_FAIL(HO_ECONFIG, "labelled asks for %lld images, %s has %d labelled training images", (long long)count,
                ho_run_path(in->run, "dataset.h5"), in->dataset.train.n);
    }
    free(in->chosen);
    in->chosen_count = 0;
    in->chosen = malloc(sizeof *in->chosen * (size_t)count);
    if (in->chosen == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the numbers of %lld images", (long long)count);
    }
    HO_TRY(ho_dataset_choose(&in->dataset, (int)count, ho_run_seed(in->run), in->chosen));
    in->chosen_count = count;
    return HO_OK;
}

static ho_status images_of(inputs *in, const ho_downstream_job *job, ho_downstream_images *images) {
    if (job->method == HO_METHOD_HANDSOFF) {
        HO_TRY(need_synthetic(in, job->count));
        *images = (ho_downstream_images){in->synthetic.n, in->synthetic.images, in->synthetic.labels, NULL};
        return HO_OK;
    }
    HO_TRY(need_chosen(in, job->count));
    *images = (ho_downstream_images){job->count, in->dataset.train.images, in->dataset.train.labels, in->chosen};
    return HO_OK;
}

/* ---- one training
 * ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    inputs *in;
    const ho_downstream_job *job;
    ho_downstream_options options;
    ho_downstream_training *training;
    int number, total; /* among all trainings, for the progress line */
} task;

/* Start values and draws differ from seed to seed, and from run to run. */
static uint64_t training_seed(uint64_t run_seed, int64_t seed) {
    uint32_t words[4];
    ho_philox(run_seed, ho_stream_id("train-downstream/seed"), (uint64_t)seed, words);
    return (uint64_t)words[1] << 32 | words[0];
}

static ho_status load_backbone(task *t) {
    ho_run *run = t->in->run;
    const char *path = ho_run_data_path(run, ho_config_text(ho_run_config(run), "transfer.weights"));
    if (access(path, R_OK) != 0) {
        HO_FAIL(HO_EIO,
                "transfer.weights: %s is missing or cannot be read; give a pretrained backbone, or an empty value for "
                "no transfer baseline",
                path);
    }
    const ho_status status = ho_deeplab_load_backbone(ho_downstream_training_network(t->training), path);
    return status == HO_OK ? status : ho_fail_context(status, "transfer.weights");
}

static ho_status create(task *t) {
    const ho_config *config = ho_run_config(t->in->run);
    const ho_split *real = &t->in->dataset.train;
    const ho_deeplab_shape shape = {{ho_config_int(config, "downstream.channels"),
                                     ho_config_int(config, "downstream.blocks"), real->height, real->width},
                                    t->in->dataset.n_classes};
    ho_downstream_images images;
    HO_TRY(images_of(t->in, t->job, &images));
    t->options = (ho_downstream_options){
        training_seed(ho_run_seed(t->in->run), t->job->seed), ho_config_int(config, "downstream.steps"),
        ho_config_int(config, "downstream.batch"), ho_config_real(config, "downstream.lr"), HO_LABELLED_AUGMENTATION};
    HO_TRY(ho_downstream_training_create(t->in->device, &t->options, &shape, &images, &t->training));
    return t->job->method == HO_METHOD_TRANSFER ? load_backbone(t) : HO_OK;
}

static ho_status resume(task *t) {
    ho_run *run = t->in->run;
    const char *path = ho_downstream_checkpoint_path(run, t->job), *why = "";
    char name[HO_DOWNSTREAM_NAME];
    ho_downstream_log_name(t->job, name);
    if (!ho_downstream_is_current(run, path, t->job, &why)) {
        return ho_run_log_restart(run, name, "step", 0.0);
    }
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = ho_downstream_training_restore(t->training, store);
    ho_store_close(store);
    HO_TRY(status);
    const int64_t step = ho_downstream_training_steps(t->training);
    ho_run_say(run, "%s: goes on from step %lld", name, (long long)step);
    return ho_run_log_restart(run, name, "step", (double)step + 0.5);
}

static ho_status save(task *t, bool finished) {
    ho_run *run = t->in->run;
    const ho_dataset *dataset = &t->in->dataset;
    ho_store *store = NULL;
    HO_TRY(ho_store_create(finished ? ho_downstream_path(run, t->job) : ho_downstream_checkpoint_path(run, t->job),
                           &store));
    ho_status status = HO_OK;
    if (finished) {
        HO_TRY_DONE(ho_deeplab_write(ho_downstream_training_network(t->training), store));
        HO_TRY_DONE(
            ho_store_write_strings(store, "class_name", dataset->n_classes, (const char *const *)dataset->class_names));
    } else {
        HO_TRY_DONE(ho_downstream_training_save(t->training, store));
    }
    HO_TRY_DONE(
        ho_downstream_record(run, store, t->job, finished ? "segmentation network" : "segmentation checkpoint"));
    status = ho_store_commit(store);
done:
    ho_store_close(store);
    return status;
}

static ho_status steps(task *t) {
    ho_run *run = t->in->run;
    double loss = 0.0, sum = 0.0, saved_at = ho_seconds();
    int64_t summed = 0;
    char name[HO_DOWNSTREAM_NAME];
    ho_downstream_log_name(t->job, name);
    for (int64_t step = ho_downstream_training_steps(t->training); step < t->options.steps;) {
        HO_TRY(ho_downstream_training_step(t->training, &loss));
        step = ho_downstream_training_steps(t->training);
        sum += loss;
        ++summed;
        ho_run_progress(run, STAGE, t->number * t->options.steps + step, t->total * t->options.steps, "steps",
                        "%s %lld seed %lld  loss %.4f", HO_METHOD_NAMES[t->job->method], (long long)t->job->count,
                        (long long)t->job->seed, loss);
        const bool last = step == t->options.steps, interrupted = ho_run_interrupted() && !last;
        const bool due = step % RECORD_EVERY == 0;
        if (due || last) {
            ho_run_log(run, name, "step", (double)step, "loss", sum / (double)summed, NULL);
            sum = 0.0;
            summed = 0;
        }
        /* At a record only, so that the log of a resumed training is that of an uninterrupted one. */
        if (!last && due && (interrupted || ho_seconds() - saved_at > CHECKPOINT_SECONDS)) {
            HO_TRY(save(t, false));
            saved_at = ho_seconds();
        }
        if (interrupted && due) {
            HO_FAIL(HO_EINTERRUPT, "stopped at step %lld of %s", (long long)step, name);
        }
    }
    return HO_OK;
}

static ho_status train(inputs *in, const ho_downstream_job *job, int number, int total) {
    task t = {.in = in, .job = job, .number = number, .total = total};
    ho_status status = create(&t);
    status = status == HO_OK ? resume(&t) : status;
    status = status == HO_OK ? steps(&t) : status;
    status = status == HO_OK ? save(&t, true) : status;
    if (status == HO_OK) {
        (void)unlink(ho_downstream_checkpoint_path(in->run, job));
    }
    ho_downstream_training_free(t.training);
    return status;
}

static ho_status execute(ho_run *run) {
    inputs in = {.run = run};
    ho_downstream_job *jobs = NULL;
    int n = 0;
    ho_status status = HO_OK;
    HO_TRY(ho_downstream_jobs(run, &n, &jobs));
    HO_TRY_DONE(ho_run_device(run, &in.device));
    HO_TRY_DONE(read_dataset(&in));
    for (int i = 0; i < n && status == HO_OK; ++i) {
        const char *why = "";
        if (!ho_downstream_is_current(run, ho_downstream_path(run, &jobs[i]), &jobs[i], &why)) {
            status = train(&in, &jobs[i], i, n);
        }
    }
done:
    ho_dataset_free(&in.dataset);
    ho_synthetic_free(&in.synthetic);
    free(in.chosen);
    free(jobs);
    return status;
}

const ho_stage HO_STAGE_TRAIN_DOWNSTREAM = {
    "train-downstream", "trains segmentation networks: on the synthetic set, and the two baselines", current, execute};
