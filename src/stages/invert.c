/* invert: latents of the labelled training images, by the encoder's guess and refinement (handsoff/refine.h) ->
 * latents.h5:
 *
 *   w_plus, w_init (n, L, D) f32     refined, and where refinement started
 *   index          (n)       i64     row of the image in dataset.h5 /train
 *   lpips_before, lpips_after, mse_before, mse_after (n) f32     of the images of w_init and of w_plus
 *   reconstruction, reconstruction_init, target (n, H, W, 3) u8     images of w_plus and of w_init; the original
 *   best           (n)       i64     which iterate was kept
 *
 * n is the largest number in `labelled`; the first 16 images of 50 are the images of 16 (ho_dataset_choose). Finished
 * batches lie in checkpoints/invert.h5, in the same layout. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encoder_view.h"
#include "handsoff/dataset.h"
#include "handsoff/encoder.h"
#include "handsoff/image.h"
#include "handsoff/refine.h"
#include "stages.h"

static const char *const STAGE = "invert";
static const char *const KEYS[] = {"seed", "invert.", "labelled"};
enum { N_KEYS = sizeof KEYS / sizeof *KEYS - 1, N_CHECKPOINT_KEYS = N_KEYS + 1, MAX_INPUTS = 4 };

/* ---- set-up
 * ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    ho_run *run;
    ho_device *device;
    ho_generator *generator;
    ho_encoder *encoder; /* NULL: start from the mean latent */
    ho_perceptual *net;
    ho_dataset dataset;
    ho_refine_options options;
    int64_t n, batch, done; /* images; images a batch; images whose batch is finished */
    int64_t L, D, H, W;
    int64_t *index, *best;
    float *w_plus, *w_init, *lpips_before, *lpips_after, *mse_before, *mse_after;
    uint8_t *reconstruction, *reconstruction_init, *target;
    float *target_float, *image_float; /* (batch, H, W, 3) in [-1, 1] */
} inversion;

static bool from_encoder(const ho_run *run) {
    return strcmp(ho_config_text(ho_run_config(run), "invert.start"), "encoder") == 0;
}

static int list_inputs(ho_run *run, const char *path[MAX_INPUTS]) {
    path[0] = ho_run_path(run, "dataset.h5");
    path[1] = ho_run_path(run, "generator.h5");
    path[2] = ho_run_data_path(run, ho_config_text(ho_run_config(run), "perceptual.weights"));
    path[3] = ho_run_path(run, "encoder_finetuned.h5");
    return from_encoder(run) ? 4 : 3;
}

static int64_t n_images(const ho_run *run) {
    const int64_t *counts = NULL;
    const int n = ho_config_ints(ho_run_config(run), "labelled", &counts);
    int64_t most = 0;
    for (int i = 0; i < n; ++i) {
        most = counts[i] > most ? counts[i] : most;
    }
    return most;
}

static ho_status load(inversion *v) {
    ho_run *run = v->run;
    const char *path[MAX_INPUTS];
    const int n_inputs = list_inputs(run, path);
    for (int i = 0; i < n_inputs; ++i) {
        HO_TRY(ho_run_need(run, path[i]));
    }
    HO_TRY(ho_run_device(run, &v->device));
    HO_TRY(ho_dataset_read(path[0], &v->dataset));
    HO_TRY(ho_generator_load(v->device, path[1], &v->generator));
    ho_params_set_trainable(ho_generator_params(v->generator), false);
    HO_TRY(ho_params_hold(ho_generator_params(v->generator), true));
    HO_TRY(ho_perceptual_load(v->device, path[2], &v->net));
    if (n_inputs == MAX_INPUTS) {
        HO_TRY(ho_encoder_load(v->device, path[3], &v->encoder));
    }
    const ho_stylegan2_shape *shape = ho_generator_shape(v->generator);
    if (v->encoder != NULL) {
        HO_TRY(ho_encoder_suits(ho_encoder_shape_of(v->encoder), shape));
    }
    v->L = ho_stylegan2_n_ws(shape);
    v->D = shape->w_dim;
    v->H = shape->height;
    v->W = shape->width;
    const ho_split *train = &v->dataset.train;
    if (v->n > train->n) {
        HO_FAIL(HO_ECONFIG, "labelled asks for %lld images, %s has %d labelled training images", (long long)v->n,
                ho_run_path(run, "dataset.h5"), train->n);
    }
    if (train->height != v->H || train->width != v->W) {
        HO_FAIL(HO_EFORMAT, "%s: training images of %dx%d; the generator makes %lldx%lld",
                ho_run_path(run, "dataset.h5"), train->height, train->width, (long long)v->H, (long long)v->W);
    }
    return HO_OK;
}

static ho_status make_room(inversion *v) {
    const size_t n = (size_t)v->n, latent = (size_t)(v->L * v->D), image = (size_t)(v->H * v->W * 3);
    const size_t batch = (size_t)v->batch;
    const struct {
        void **memory;
        size_t bytes;
    } ROOM[] = {{(void **)&v->index, n * sizeof(int64_t)},
                {(void **)&v->best, n * sizeof(int64_t)},
                {(void **)&v->w_plus, n * latent * sizeof(float)},
                {(void **)&v->w_init, n * latent * sizeof(float)},
                {(void **)&v->lpips_before, n * sizeof(float)},
                {(void **)&v->lpips_after, n * sizeof(float)},
                {(void **)&v->mse_before, n * sizeof(float)},
                {(void **)&v->mse_after, n * sizeof(float)},
                {(void **)&v->reconstruction, n * image},
                {(void **)&v->reconstruction_init, n * image},
                {(void **)&v->target, n * image},
                {(void **)&v->target_float, batch * image * sizeof(float)},
                {(void **)&v->image_float, batch * image * sizeof(float)}};
    for (size_t i = 0; i < sizeof ROOM / sizeof ROOM[0]; ++i) {
        *ROOM[i].memory = calloc(ROOM[i].bytes, 1); /* zeros: rows of a checkpoint that are not done are written too */
        if (*ROOM[i].memory == NULL) {
            HO_FAIL(HO_EMEMORY, "invert: no memory for %lld images", (long long)v->n);
        }
    }
    HO_TRY(ho_dataset_choose(&v->dataset, (int)v->n, ho_run_seed(v->run), v->index));
    for (size_t i = 0; i < n; ++i) {
        memcpy(v->target + i * image, v->dataset.train.images + (size_t)v->index[i] * image, image);
    }
    return HO_OK;
}

static ho_status open_inversion(ho_run *run, inversion *v) {
    const ho_config *c = ho_run_config(run);
    *v = (inversion){.run = run, .n = n_images(run), .batch = ho_config_int(c, "invert.batch")};
    v->batch = v->batch < v->n ? v->batch : v->n;
    v->options = (ho_refine_options){ho_config_int(c, "invert.steps"),      ho_config_real(c, "invert.lr"),
                                     ho_config_real(c, "invert.lr_rampup"), ho_config_real(c, "invert.lr_rampdown"),
                                     ho_config_real(c, "invert.lpips"),     ho_config_real(c, "invert.mse"),
                                     ho_config_real(c, "invert.latent")};
    HO_TRY(load(v));
    return make_room(v);
}

static void close_inversion(inversion *v) {
    void *const memory[] = {v->index,       v->best,         v->w_plus,     v->w_init,         v->lpips_before,
                            v->lpips_after, v->mse_before,   v->mse_after,  v->reconstruction, v->reconstruction_init,
                            v->target,      v->target_float, v->image_float};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; ++i) {
        free(memory[i]);
    }
    ho_encoder_free(v->encoder);
    ho_perceptual_free(v->net);
    ho_generator_free(v->generator);
    ho_dataset_free(&v->dataset);
}

/* ---- files
 * ------------------------------------------------------------------------------------------------------------- */

enum { N_SETS = 11 };
typedef struct {
    const char *name;
    ho_dtype dtype;
    int rank;
    int64_t dim[4];
    void *host;
} data_set;

static void list_sets(const inversion *v, data_set sets[N_SETS]) {
    const data_set all[N_SETS] = {{"w_plus", HO_F32, 3, {v->n, v->L, v->D}, v->w_plus},
                                  {"w_init", HO_F32, 3, {v->n, v->L, v->D}, v->w_init},
                                  {"index", HO_I64, 1, {v->n}, v->index},
                                  {"best", HO_I64, 1, {v->n}, v->best},
                                  {"lpips_before", HO_F32, 1, {v->n}, v->lpips_before},
                                  {"lpips_after", HO_F32, 1, {v->n}, v->lpips_after},
                                  {"mse_before", HO_F32, 1, {v->n}, v->mse_before},
                                  {"mse_after", HO_F32, 1, {v->n}, v->mse_after},
                                  {"reconstruction", HO_U8, 4, {v->n, v->H, v->W, 3}, v->reconstruction},
                                  {"reconstruction_init", HO_U8, 4, {v->n, v->H, v->W, 3}, v->reconstruction_init},
                                  {"target", HO_U8, 4, {v->n, v->H, v->W, 3}, v->target}};
    memcpy(sets, all, sizeof all);
}

static ho_status write_file(inversion *v, const char *path, const char *kind, int n_keys) {
    const char *inputs[MAX_INPUTS];
    const int n_inputs = list_inputs(v->run, inputs);
    data_set sets[N_SETS];
    ho_store *store = NULL;
    list_sets(v, sets);
    HO_TRY(ho_store_create(path, &store));
    ho_status status = ho_run_record(v->run, store, STAGE, kind, n_keys, KEYS, n_inputs, inputs);
    for (int i = 0; i < N_SETS && status == HO_OK; ++i) {
        status = ho_store_write(store, sets[i].name, sets[i].dtype, sets[i].rank, sets[i].dim, sets[i].host);
    }
    status = status == HO_OK ? ho_store_set_number(store, "done", (double)v->done) : status;
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    return status;
}

static ho_status read_checkpoint(inversion *v, const char *path) {
    data_set sets[N_SETS];
    ho_store *store = NULL;
    double done = 0.0;
    list_sets(v, sets);
    HO_TRY(ho_store_open(path, &store));
    ho_status status = ho_store_get_number(store, "done", &done);
    for (int i = 0; i < N_SETS && status == HO_OK; ++i) {
        status = ho_store_read(store, sets[i].name, sets[i].dtype, sets[i].rank, sets[i].dim, sets[i].host);
    }
    ho_store_close(store);
    v->done = (int64_t)done;
    return status;
}

static ho_status resume(inversion *v) {
    const char *path = ho_run_path(v->run, "checkpoints/invert.h5"), *inputs[MAX_INPUTS], *why = "";
    const int n_inputs = list_inputs(v->run, inputs);
    if (access(path, F_OK) == 0) {
        if (ho_run_is_current(v->run, path, STAGE, N_CHECKPOINT_KEYS, KEYS, n_inputs, inputs, &why)) {
            HO_TRY(read_checkpoint(v, path));
            ho_run_say(v->run, "invert: goes on after %lld of %lld images", (long long)v->done, (long long)v->n);
        } else {
            ho_run_say(v->run, "invert: starts anew: %s", why);
        }
    }
    return ho_run_log_restart(v->run, STAGE, "first", (double)v->done);
}

/* ---- work
 * -------------------------------------------------------------------------------------------------------------- */

/* w_init of N images from `first` on, and its images. */
static ho_status guess(inversion *v, ho_context *context, int64_t first, int64_t N) {
    ho_tensor *image = NULL, *w_plus = NULL;
    if (v->encoder != NULL) {
        const uint8_t *target = v->target + first * v->H * v->W * 3;
        HO_TRY(ho_encoder_view(context, v->encoder, target, N, v->H, v->W, &image));
        HO_TRY(ho_encoder_invert(context, v->encoder, v->generator, image, &w_plus));
    } else {
        HO_TRY(ho_encoder_start(context, NULL, v->generator, N, &w_plus, NULL));
    }
    HO_TRY(ho_tensor_to_host(context, w_plus, v->w_init + first * v->L * v->D));
    const int64_t pixels = v->H * v->W * 3;
    HO_TRY(ho_generator_synthesize(context, v->generator, w_plus, NULL, NULL, &image));
    HO_TRY(ho_tensor_to_host(context, image, v->image_float));
    ho_floats_to_bytes(v->image_float, N * pixels, v->reconstruction_init + first * pixels);
    return HO_OK;
}

typedef struct {
    inversion *v;
    int64_t first, N;
} batch;

static bool progress(void *user, int64_t step, double loss) {
    const batch *b = user;
    const int64_t steps = b->v->options.steps, size = b->v->batch, n_batches = (b->v->n + size - 1) / size;
    const int64_t last = b->first + b->N;
    ho_run_progress(b->v->run, STAGE, b->first / size * steps + step, n_batches * steps, "steps",
                    "images %lld to %lld of %lld  loss %.4f", (long long)b->first + 1, (long long)last,
                    (long long)b->v->n, loss);
    if (step % 10 == 1) {
        ho_run_log(b->v->run, STAGE, "first", (double)b->first, "step", (double)step, "loss", loss, NULL);
    }
    return !ho_run_interrupted();
}

static ho_status refine_batch(inversion *v, int64_t first, int64_t N) {
    const int64_t pixels = v->H * v->W * 3, latent = v->L * v->D;
    ho_context *context = NULL;
    ho_bytes_to_floats(v->target + first * pixels, N * pixels, v->target_float);
    HO_TRY(ho_context_create(v->device, &context));
    const ho_status status = guess(v, context, first, N);
    ho_context_free(context);
    HO_TRY(status);
    const ho_refine_job job = {.target = v->target_float,
                               .w_init = v->w_init + first * latent,
                               .w_plus = v->w_plus + first * latent,
                               .reconstruction = v->image_float,
                               .lpips_before = v->lpips_before + first,
                               .lpips_after = v->lpips_after + first,
                               .mse_before = v->mse_before + first,
                               .mse_after = v->mse_after + first,
                               .best = v->best + first};
    batch b = {v, first, N};
    HO_TRY(ho_refine(v->device, v->generator, v->net, &v->options, N, &job, progress, &b));
    ho_floats_to_bytes(v->image_float, N * pixels, v->reconstruction + first * pixels);
    v->done = first + N;
    return HO_OK;
}

/* Means over all images; the latent distance is that between w_plus and w_init. */
static ho_status report(const inversion *v) {
    double sum[5] = {0.0};
    for (int64_t i = 0; i < v->n; ++i) {
        sum[0] += (double)v->lpips_before[i] / (double)v->n;
        sum[1] += (double)v->mse_before[i] / (double)v->n;
        sum[2] += (double)v->lpips_after[i] / (double)v->n;
        sum[3] += (double)v->mse_after[i] / (double)v->n;
    }
    const int64_t count = v->n * v->L * v->D;
    for (int64_t i = 0; i < count; ++i) {
        const double d = (double)v->w_plus[i] - (double)v->w_init[i];
        sum[4] += d * d / (double)count;
    }
    ho_run_say(v->run, "invert: %lld images, before: LPIPS %.4f  MSE %.5f; after: LPIPS %.4f  MSE %.5f  moved %.4f",
               (long long)v->n, sum[0], sum[1], sum[2], sum[3], sum[4]);
    HO_TRY(ho_metrics_inversion(v->run, STAGE, "before", sum[0], sum[1], 0.0));
    return ho_metrics_inversion(v->run, STAGE, "after", sum[2], sum[3], sum[4]);
}

static ho_status invert(inversion *v) {
    HO_TRY(resume(v));
    while (v->done < v->n) {
        const int64_t left = v->n - v->done;
        HO_TRY(refine_batch(v, v->done, left < v->batch ? left : v->batch));
        if (v->done < v->n) {
            HO_TRY(write_file(v, ho_run_path(v->run, "checkpoints/invert.h5"), "checkpoint", N_CHECKPOINT_KEYS));
        }
    }
    HO_TRY(report(v));
    HO_TRY(write_file(v, ho_run_path(v->run, "latents.h5"), "latents", N_KEYS));
    (void)unlink(ho_run_path(v->run, "checkpoints/invert.h5"));
    return HO_OK;
}

static ho_status execute(ho_run *run) {
    inversion v;
    ho_status status = open_inversion(run, &v);
    if (status == HO_OK) {
        status = invert(&v);
    }
    close_inversion(&v);
    return status;
}

/* latents.h5 may hold more images than are asked for now: the first ones are the same. */
static bool holds_enough(ho_run *run, const char *path) {
    ho_store *store = NULL;
    ho_store_info info = {0};
    const bool found = ho_store_open(path, &store) == HO_OK && ho_store_info_of(store, "index", &info) == HO_OK;
    ho_store_close(store);
    return found && info.rank == 1 && info.dim[0] >= n_images(run);
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    const char *path = ho_run_path(run, "latents.h5"), *inputs[MAX_INPUTS];
    const int n_inputs = list_inputs(run, inputs);
    *is_current = ho_run_is_current(run, path, STAGE, N_KEYS, KEYS, n_inputs, inputs, why);
    if (*is_current && !holds_enough(run, path)) {
        *is_current = false;
        *why = "labelled asks for more images than latents.h5 holds";
    }
    return HO_OK;
}

const ho_stage HO_STAGE_INVERT = {STAGE, "finds the latents of the labelled images: encoder, then refinement", current,
                                  execute};
