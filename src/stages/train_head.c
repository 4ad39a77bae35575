/* train-head: for each number c of labelled images, features of the first c inverted images, then the ensemble:
 * head_c.h5. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/dataset.h"
#include "head_training.h"
#include "outputs.h"
#include "stages.h"

enum { FEATURE_BATCH = 8, CHECKPOINT_SECONDS = 60 };

static const char *const STAGE = "train-head";
/* Everything but head.cache_gb, which bounds memory and changes no result. */
static const char *const KEYS[] = {
    "seed",           "head.members",  "head.hidden",      "head.blocks",   "head.lr",        "head.batch",
    "head.max_steps", "head.held_out", "head.check_every", "head.patience", "head.min_pixels"};
enum { N_KEYS = sizeof KEYS / sizeof *KEYS, N_INPUTS = 3 };

static void list_inputs(ho_run *run, const char *inputs[N_INPUTS]) {
    inputs[0] = ho_run_path(run, "latents.h5");
    inputs[1] = ho_run_path(run, "dataset.h5");
    inputs[2] = ho_run_path(run, "generator.h5");
}

static bool head_is_current(ho_run *run, const char *path, const char **why) {
    const char *inputs[N_INPUTS];
    list_inputs(run, inputs);
    return ho_run_is_current(run, path, STAGE, N_KEYS, KEYS, N_INPUTS, inputs, why) &&
           ho_output_survives_force(run, STAGE, path);
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    const int64_t *counts = NULL;
    const int n = ho_config_ints(ho_run_config(run), "labelled", &counts);
    *is_current = true;
    for (int i = 0; i < n && *is_current; ++i) {
        *is_current = head_is_current(run, ho_run_path(run, "head_%lld.h5", (long long)counts[i]), why);
    }
    return HO_OK;
}

/* ---- what the stage reads -------------------------------------------------------------------------------- */

typedef struct {
    ho_run *run;
    ho_device *device;
    ho_generator *generator;
    ho_dataset dataset;
    int64_t n_latents;
    float *w_plus;  /* (n_latents, L, D) */
    int64_t *index; /* (n_latents): rows of dataset.h5's train split */
} inputs;

static ho_status check_latents(const inputs *in, const char *path, int64_t row) {
    for (int64_t i = 0; i < in->n_latents; ++i) {
        for (int64_t e = 0; e < row; ++e) {
            if (!isfinite(in->w_plus[i * row + e])) {
                HO_FAIL(HO_EFORMAT,
                        "%s: 'w_plus' holds %g in row %lld (training image %lld): its inversion diverged or the file "
                        "is damaged; run invert again with --force, with a lower invert.lr if that does not help",
                        path, (double)in->w_plus[i * row + e], (long long)i, (long long)in->index[i]);
            }
        }
        if (in->index[i] < 0 || in->index[i] >= in->dataset.train.n) {
            HO_FAIL(HO_EFORMAT, "%s: latent %lld belongs to training image %lld, dataset.h5 has %d", path, (long long)i,
                    (long long)in->index[i], in->dataset.train.n);
        }
    }
    return HO_OK;
}

static ho_status read_latents(inputs *in) {
    const ho_stylegan2_shape *shape = ho_generator_shape(in->generator);
    const char *path = ho_run_path(in->run, "latents.h5");
    ho_store *store = NULL;
    ho_store_info info;
    HO_TRY(ho_store_open(path, &store));
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_store_check_schema(store));
    HO_TRY_DONE(ho_store_info_of(store, "w_plus", &info));
    in->n_latents = info.rank == 3 ? info.dim[0] : 0;
    const int64_t dim[3] = {in->n_latents, ho_stylegan2_n_ws(shape), shape->w_dim};
    in->w_plus = malloc(sizeof(float) * (size_t)(dim[0] * dim[1] * dim[2] + 1));
    in->index = malloc(sizeof(int64_t) * (size_t)(dim[0] + 1));
    if (in->w_plus == NULL || in->index == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "%s: no memory for %lld latents", path, (long long)dim[0]);
        goto done;
    }
    HO_TRY_DONE(ho_store_read(store, "w_plus", HO_F32, 3, dim, in->w_plus));
    HO_TRY_DONE(ho_store_read(store, "index", HO_I64, 1, dim, in->index));
    status = check_latents(in, path, dim[1] * dim[2]);
done:
    ho_store_close(store);
    return status;
}

static ho_status read_inputs(ho_run *run, inputs *in) {
    const char *from[N_INPUTS];
    memset(in, 0, sizeof *in);
    in->run = run;
    list_inputs(run, from);
    for (int i = 0; i < N_INPUTS; ++i) {
        HO_TRY(ho_run_need(run, from[i]));
    }
    HO_TRY(ho_run_device(run, &in->device));
    HO_TRY(ho_generator_load(in->device, ho_run_path(run, "generator.h5"), &in->generator));
    ho_params_set_trainable(ho_generator_params(in->generator), false);
    HO_TRY(ho_params_hold(ho_generator_params(in->generator), true));
    HO_TRY(ho_dataset_read(ho_run_path(run, "dataset.h5"), &in->dataset));
    if (in->dataset.train.n < 1 || in->dataset.train.labels == NULL) {
        HO_FAIL(HO_EFORMAT, "%s: no labelled training images; train-head learns from /train/label",
                ho_run_path(run, "dataset.h5"));
    }
    return read_latents(in);
}

static void free_inputs(inputs *in) {
    ho_generator_free(in->generator);
    ho_dataset_free(&in->dataset);
    free(in->w_plus);
    free(in->index);
}

/* ---- one head -------------------------------------------------------------------------------------------- */

typedef struct {
    const inputs *in;
    int64_t count; /* labelled images */
    ho_label_head_shape shape;
    ho_feature_cache *cache;
    uint8_t *labels; /* (count, H, W) */
    ho_head_training *training;
} job;

static ho_status choose_shape(job *j) {
    const ho_config *config = ho_run_config(j->in->run);
    const ho_stylegan2_shape *generator = ho_generator_shape(j->in->generator);
    const int64_t *hidden = NULL, *blocks = NULL, n_maps = ho_stylegan2_n_ws(generator);
    const int n_hidden = ho_config_ints(config, "head.hidden", &hidden);
    const int n_blocks = ho_config_ints(config, "head.blocks", &blocks);
    if (n_hidden != 2) {
        HO_FAIL(HO_ECONFIG, "head.hidden has %d widths; right are two, such as 128,32", n_hidden);
    }
    if (n_blocks > n_maps) {
        HO_FAIL(HO_ECONFIG, "head.blocks lists %d style blocks, the generator has %lld", n_blocks, (long long)n_maps);
    }
    ho_label_head_shape *s = &j->shape;
    s->members = ho_config_int(config, "head.members");
    s->h1 = hidden[0];
    s->h2 = hidden[1];
    s->K = j->in->dataset.n_classes;
    s->H = j->in->dataset.train.height;
    s->W = j->in->dataset.train.width;
    s->n_blocks = n_blocks == 0 ? (int)n_maps : n_blocks;
    for (int l = 0; l < s->n_blocks; ++l) {
        s->block[l] = n_blocks == 0 ? l : blocks[l];
        if (s->block[l] >= n_maps || (l > 0 && s->block[l] <= s->block[l - 1])) {
            HO_FAIL(HO_ECONFIG, "head.blocks: %lld as entry %d; right are ascending numbers of style blocks, 0 to %lld",
                    (long long)s->block[l], l, (long long)n_maps - 1);
        }
        s->channels[l] = ho_style_block_channels(generator, s->block[l]);
    }
    return HO_OK;
}

static ho_status cache_batch(job *j, ho_context *context, int64_t first, int64_t n) {
    const ho_stylegan2_shape *generator = ho_generator_shape(j->in->generator);
    const int64_t L = ho_stylegan2_n_ws(generator), D = generator->w_dim;
    const ho_noise noise = {HO_NOISE_CONST, 0, 0, 0};
    ho_style_blocks blocks;
    ho_tensor *w_plus = NULL, *image = NULL;
    ho_context_reset(context);
    HO_TRY(ho_tensor_from_host(context, j->in->w_plus + first * L * D, HO_SHAPE(n, L, D), &w_plus));
    HO_TRY(ho_generator_synthesize(context, j->in->generator, w_plus, &noise, &blocks, &image));
    return ho_feature_cache_put(context, j->cache, first, &blocks);
}

/* Style-block maps and cleaned labels of the first `count` inverted images. */
static ho_status gather_features(job *j) {
    const ho_config *config = ho_run_config(j->in->run);
    const int64_t HW = j->shape.H * j->shape.W;
    ho_context *context = NULL;
    const ho_feature_cache_options options = {ho_generator_shape(j->in->generator),
                                              j->shape.n_blocks,
                                              j->shape.block,
                                              j->count,
                                              j->shape.H,
                                              j->shape.W,
                                              ho_config_real(config, "head.cache_gb") * 1e9};
    HO_TRY(ho_feature_cache_create(j->in->device, &options, &j->cache));
    j->labels = malloc((size_t)(j->count * HW) + 1);
    if (j->labels == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the labels of %lld images", (long long)j->count);
    }
    for (int64_t i = 0; i < j->count; ++i) {
        memcpy(j->labels + i * HW, j->in->dataset.train.labels + j->in->index[i] * HW, (size_t)HW);
    }
    ho_clean_rare_labels(j->labels, j->count, HW, ho_config_int(config, "head.min_pixels"));
    HO_TRY(ho_context_create(j->in->device, &context));
    ho_status status = HO_OK;
    for (int64_t first = 0; first < j->count && status == HO_OK; first += FEATURE_BATCH) {
        status = cache_batch(j, context, first, j->count - first < FEATURE_BATCH ? j->count - first : FEATURE_BATCH);
    }
    ho_context_free(context);
    return status;
}

static ho_status save_checkpoint(job *j) {
    ho_store *store = NULL;
    const char *from[N_INPUTS];
    list_inputs(j->in->run, from);
    HO_TRY(ho_store_create(ho_run_path(j->in->run, "checkpoints/train-head_%lld.h5", (long long)j->count), &store));
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_head_training_save(j->training, store));
    HO_TRY_DONE(ho_run_record(j->in->run, store, STAGE, "checkpoint", N_KEYS, KEYS, N_INPUTS, from));
    status = ho_store_commit(store);
done:
    ho_store_close(store);
    return status;
}

static ho_status resume(job *j) {
    const char *path = ho_run_path(j->in->run, "checkpoints/train-head_%lld.h5", (long long)j->count), *why = "";
    if (!head_is_current(j->in->run, path, &why)) {
        return HO_OK;
    }
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = ho_head_training_restore(j->training, store);
    ho_store_close(store);
    if (status == HO_OK) {
        ho_run_say(j->in->run, "train-head: %lld labelled images, going on from step %lld", (long long)j->count,
                   (long long)ho_head_training_progress(j->training).step);
    }
    return status;
}

static ho_status train(job *j) {
    ho_run *run = j->in->run;
    const ho_config *config = ho_run_config(run);
    const ho_head_training_options options = {ho_run_seed(run),
                                              ho_config_real(config, "head.lr"),
                                              ho_config_int(config, "head.batch"),
                                              ho_config_int(config, "head.check_every"),
                                              ho_config_int(config, "head.patience"),
                                              ho_config_int(config, "head.max_steps"),
                                              ho_config_real(config, "head.held_out")};
    HO_TRY(ho_head_training_create(j->in->device, &options, &j->shape, j->cache, j->labels, j->count, &j->training));
    HO_TRY(resume(j));
    char log[64];
    (void)snprintf(log, sizeof log, "%s_%lld", STAGE, (long long)j->count);
    HO_TRY(ho_run_log_restart(run, log, "step", (double)ho_head_training_progress(j->training).step + 1));
    double saved_at = ho_seconds();
    ho_head_progress at = ho_head_training_progress(j->training);
    /* A checkpoint may stand at the very end of training. */
    bool done = at.step >= options.max_steps || (at.n_held > 0 && at.waits >= options.patience);
    while (!done) {
        HO_TRY(ho_head_training_advance(j->training, ho_run_interrupted, &done));
        at = ho_head_training_progress(j->training);
        if (!done && ho_run_interrupted()) {
            HO_TRY(save_checkpoint(j));
            HO_FAIL(HO_EINTERRUPT, "stopped at step %lld", (long long)at.step);
        }
        ho_run_progress(run, STAGE, at.step, options.max_steps, "steps", "loss %.4f  held out %.4f  best %.4f", at.loss,
                        at.held_out, at.best);
        ho_run_log(run, log, "step", (double)at.step, "loss", at.loss, "held_out", at.held_out, (char *)NULL);
        if (!done && ho_seconds() - saved_at > CHECKPOINT_SECONDS) {
            HO_TRY(save_checkpoint(j));
            saved_at = ho_seconds();
        }
    }
    return HO_OK;
}

static ho_status write_head(job *j) {
    const ho_head_progress at = ho_head_training_progress(j->training);
    const ho_dataset *dataset = &j->in->dataset;
    const char *from[N_INPUTS];
    ho_store *store = NULL;
    list_inputs(j->in->run, from);
    HO_TRY(ho_store_create(ho_run_path(j->in->run, "head_%lld.h5", (long long)j->count), &store));
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_label_head_write(ho_head_training_result(j->training), store));
    HO_TRY_DONE(
        ho_store_write_strings(store, "class_name", dataset->n_classes, (const char *const *)dataset->class_names));
    HO_TRY_DONE(ho_store_set_number(store, "labelled", (double)j->count));
    HO_TRY_DONE(ho_store_set_number(store, "steps", (double)at.step));
    HO_TRY_DONE(ho_store_set_number(store, "best_step", (double)(at.n_held > 0 ? at.best_step : at.step)));
    HO_TRY_DONE(ho_store_set_number(store, "held_out_loss", at.n_held > 0 ? at.best : 0.0));
    HO_TRY_DONE(ho_run_record(j->in->run, store, STAGE, "head", N_KEYS, KEYS, N_INPUTS, from));
    status = ho_store_commit(store);
done:
    ho_store_close(store);
    if (status == HO_OK) {
        (void)unlink(ho_run_path(j->in->run, "checkpoints/train-head_%lld.h5", (long long)j->count));
    }
    return status;
}

static ho_status train_one(const inputs *in, int64_t count) {
    job j;
    memset(&j, 0, sizeof j);
    j.in = in;
    j.count = count;
    if (count > in->n_latents) {
        HO_FAIL(HO_ECONFIG, "labelled asks for %lld images, %s holds %lld inverted ones", (long long)count,
                ho_run_path(in->run, "latents.h5"), (long long)in->n_latents);
    }
    ho_status status = HO_OK;
    HO_TRY_DONE(choose_shape(&j));
    HO_TRY_DONE(gather_features(&j));
    HO_TRY_DONE(train(&j));
    status = write_head(&j);
done:
    ho_head_training_free(j.training);
    ho_feature_cache_free(j.cache);
    free(j.labels);
    return status;
}

static ho_status execute(ho_run *run) {
    const int64_t *counts = NULL;
    const int n = ho_config_ints(ho_run_config(run), "labelled", &counts);
    inputs in;
    ho_status status = read_inputs(run, &in);
    for (int i = 0; i < n && status == HO_OK; ++i) {
        const char *why = "";
        if (!head_is_current(run, ho_run_path(run, "head_%lld.h5", (long long)counts[i]), &why)) {
            status = train_one(&in, counts[i]);
        }
    }
    free_inputs(&in);
    return status;
}

const ho_stage HO_STAGE_TRAIN_HEAD = {"train-head", "trains the ensemble that labels generated images", current,
                                      execute};
