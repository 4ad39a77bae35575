/* train-gan: dataset.h5 (labelled training images and unlabelled ones, never test images) -> generator.h5, the moving
 * average of a StyleGAN2 generator. With gan.weights, that file takes its place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/dataset.h"
#include "handsoff/gan_trainer.h"
#include "handsoff/image.h"
#include "handsoff/run.h"
#include "handsoff/swd.h"
#include "plan_parts.h"
#include "stages.h"

static const char *const STAGE = "train-gan";
/* What the result depends on; gan.init counts where it is given (prefixes()). A checkpoint does not depend on gan.kimg,
 * so that a longer run goes on from a shorter one. */
static const char *const PREFIXES[] = {
    "gan.init",        "seed",         "data.size",       "gan.z_dim",          "gan.w_dim",  "gan.channel_base",
    "gan.channel_max", "gan.batch",    "gan.lr",          "gan.beta1",          "gan.beta2",  "gan.r1_gamma",
    "gan.r1_interval", "gan.mixing",   "gan.ema_kimg",    "gan.ema_rampup",     "gan.mirror", "gan.augment",
    "gan.ada_target",  "gan.ada_kimg", "gan.mbstd_group", "gan.mapping_layers", "gan.kimg"};
enum { N_PREFIXES = sizeof PREFIXES / sizeof PREFIXES[0] };
static const char *const WEIGHTS_PREFIXES[] = {"data.size", "gan.weights"};

enum { GRID = 8, SWD_IMAGES = 2048, SWD_PATCHES = 16, SWD_PROJECTIONS = 128, INIT_SIZE = 1100 };

typedef struct {
    ho_run *run;
    ho_dataset dataset;
    const uint8_t **images; /* pointers into the dataset */
    int64_t n_images;
    ho_gan_options options;
    ho_gan_trainer *trainer;
    char init[INIT_SIZE]; /* file that the training started from and its SHA-256; empty: random values */
    ho_swd_set *reals;
    uint8_t *samples; /* room for the images of one snapshot */
    int64_t n_swd;
    /* Sums since the last record. */
    double loss_g, loss_d, seconds;
    int64_t iterations;
} gan_stage;

/* The *n config keys of the record; the last, gan.kimg, is left out for checkpoints. */
static const char *const *prefixes(const ho_run *run, bool checkpoint, int *n) {
    const int skip = *ho_config_text(ho_run_config(run), "gan.init") == '\0' ? 1 : 0;
    *n = N_PREFIXES - skip - (checkpoint ? 1 : 0);
    return PREFIXES + skip;
}

/* ---- config and data ------------------------------------------------------------------------------------- */

void ho_gan_options_of(const ho_config *c, uint64_t seed, ho_gan_options *o) {
    const char *augment = ho_config_text(c, "gan.augment");
    const int64_t size = ho_config_int(c, "data.size");
    *o = (ho_gan_options){
        .shape = {.height = size,
                  .width = size,
                  .z_dim = ho_config_int(c, "gan.z_dim"),
                  .w_dim = ho_config_int(c, "gan.w_dim"),
                  .channel_base = ho_config_int(c, "gan.channel_base"),
                  .channel_max = ho_config_int(c, "gan.channel_max"),
                  .mapping_layers = ho_config_int(c, "gan.mapping_layers")},
        .seed = seed,
        .batch = ho_config_int(c, "gan.batch"),
        .mbstd_group = ho_config_int(c, "gan.mbstd_group"),
        .r1_interval = ho_config_int(c, "gan.r1_interval"),
        .lr = ho_config_real(c, "gan.lr"),
        .beta1 = ho_config_real(c, "gan.beta1"),
        .beta2 = ho_config_real(c, "gan.beta2"),
        .r1_gamma = ho_config_real(c, "gan.r1_gamma"),
        .mixing = ho_config_real(c, "gan.mixing"),
        .ema_kimg = ho_config_real(c, "gan.ema_kimg"),
        .ema_rampup = ho_config_real(c, "gan.ema_rampup"),
        .mirror = ho_config_bool(c, "gan.mirror"),
        .augment = strcmp(augment, "none") == 0    ? HO_AUGMENT_NONE
                   : strcmp(augment, "fixed") == 0 ? HO_AUGMENT_FIXED
                                                   : HO_AUGMENT_ADA,
        .augment_p = ho_config_real(c, "gan.augment_p"),
        .ada_target = ho_config_real(c, "gan.ada_target"),
        .ada_kimg = ho_config_real(c, "gan.ada_kimg"),
    };
}

static void gather(gan_stage *s, const ho_split *split) {
    for (int i = 0; i < split->n; ++i) {
        s->images[s->n_images++] = split->images + (int64_t)i * split->height * split->width * 3;
    }
}

static ho_status load_images(gan_stage *s) {
    const char *path = ho_run_path(s->run, "dataset.h5");
    const ho_dataset *d = &s->dataset;
    HO_TRY(ho_dataset_read(path, &s->dataset));
    const int64_t n = (int64_t)d->train.n + d->unlabelled.n, size = s->options.shape.height;
    const ho_split *one = d->train.n > 0 ? &d->train : &d->unlabelled;
    if (n == 0 || one->height != size || one->width != size) {
        HO_FAIL(HO_EFORMAT, "%s: %lld training images of %dx%d; data.size %lld needs some of that size", path,
                (long long)n, one->height, one->width, (long long)size);
    }
    s->images = malloc((size_t)n * sizeof *s->images);
    s->n_swd = n < SWD_IMAGES ? n : SWD_IMAGES;
    const int64_t room = s->n_swd > GRID * GRID ? s->n_swd : GRID * GRID;
    s->samples = malloc((size_t)(room * size * size * 3));
    if (s->images == NULL || s->samples == NULL) {
        HO_FAIL(HO_EMEMORY, "train-gan: no memory for samples");
    }
    gather(s, &d->train);
    gather(s, &d->unlabelled);
    return HO_OK;
}

/* ---- snapshots ------------------------------------------------------------------------------------------- */

static ho_status write_grid(gan_stage *s, const char *path, const uint8_t *images, int n) {
    const int size = (int)s->options.shape.height;
    ho_image grid;
    HO_TRY(ho_image_grid(images, n, size, size, GRID, &grid));
    const ho_status status = ho_image_write_png(path, &grid);
    ho_image_free(&grid);
    return status;
}

/* Reals for comparison: evenly spread over the data set; the first of them as a picture. */
static ho_status prepare_reals(gan_stage *s) {
    const int64_t size = s->options.shape.height, count = size * size * 3;
    HO_TRY(ho_swd_set_create(size, size, s->n_swd, SWD_PATCHES, s->options.seed, &s->reals));
    for (int64_t i = 0; i < s->n_swd; ++i) {
        const uint8_t *image = s->images[i * s->n_images / s->n_swd];
        HO_TRY(ho_swd_set_add(s->reals, 1, image));
        if (i < GRID * GRID) {
            memcpy(s->samples + i * count, image, (size_t)count);
        }
    }
    return write_grid(s, ho_run_path(s->run, "samples/reals.png"), s->samples,
                      (int)(s->n_swd < GRID * GRID ? s->n_swd : GRID * GRID));
}

static ho_status measure(gan_stage *s, double *swd) {
    const int64_t size = s->options.shape.height;
    ho_swd_set *fakes;
    ho_swd_result result = {0};
    HO_TRY(ho_gan_trainer_samples(s->trainer, "train-gan/swd", 0, s->n_swd, s->samples));
    HO_TRY(ho_swd_set_create(size, size, s->n_swd, SWD_PATCHES, s->options.seed + 1, &fakes));
    ho_status status = ho_swd_set_add(fakes, s->n_swd, s->samples);
    status = status == HO_OK ? ho_swd_compare(s->reals, fakes, SWD_PROJECTIONS, s->options.seed, &result) : status;
    ho_swd_set_free(fakes);
    *swd = result.mean;
    return status;
}

static ho_status write_checkpoint(gan_stage *s) {
    const char *const inputs[] = {ho_run_path(s->run, "dataset.h5")};
    int n;
    const char *const *keys = prefixes(s->run, true, &n);
    ho_store *store;
    HO_TRY(ho_store_create(ho_run_path(s->run, "checkpoints/train-gan.h5"), &store));
    ho_status status = ho_run_record(s->run, store, STAGE, "gan checkpoint", n, keys, 1, inputs);
    status = status == HO_OK && s->init[0] != '\0' ? ho_store_set_text(store, "init", s->init) : status;
    status = status == HO_OK ? ho_gan_trainer_write(s->trainer, store) : status;
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    return status;
}

static void write_log(gan_stage *s, const ho_gan_report *report, const double *swd) {
    const double kimg = 1e-3 * (double)ho_gan_trainer_images_seen(s->trainer), n = (double)s->iterations;
    const double per_kimg = 1e3 * s->seconds / (n * (double)s->options.batch);
    const double memory = (double)ho_gan_trainer_peak_bytes(s->trainer) / 1048576.0;
    if (swd != NULL) {
        ho_run_log(s->run, STAGE, "kimg", kimg, "loss_g", s->loss_g / n, "loss_d", s->loss_d / n, "r1", report->r1, "p",
                   report->p, "r_t", report->r_t, "sec_per_kimg", per_kimg, "step_mb", memory, "peak_rss_mb",
                   ho_peak_rss_mb(), "swd", *swd, NULL);
    } else {
        ho_run_log(s->run, STAGE, "kimg", kimg, "loss_g", s->loss_g / n, "loss_d", s->loss_d / n, "r1", report->r1, "p",
                   report->p, "r_t", report->r_t, "sec_per_kimg", per_kimg, "step_mb", memory, "peak_rss_mb",
                   ho_peak_rss_mb(), NULL);
    }
    s->loss_g = s->loss_d = s->seconds = 0.0;
    s->iterations = 0;
}

/* samples/fakesKKKKKK.png after K thousand images; where snapshots are less than a thousand images apart
 * samples/fakesKKKKKK_RRR.png, after 1000 K + R images. Names in order of the alphabet are in order of time. */
static const char *grid_path(gan_stage *s, long long images) {
    if (ho_config_real(ho_run_config(s->run), "gan.snapshot_kimg") < 1.0) {
        return ho_run_path(s->run, "samples/fakes%06lld_%03lld.png", images / 1000, images % 1000);
    }
    return ho_run_path(s->run, "samples/fakes%06lld.png", images / 1000);
}

/* Checkpoint last: when it stands, everything else of this moment does. */
static ho_status snapshot(gan_stage *s, const ho_gan_report *report) {
    const long long images = (long long)ho_gan_trainer_images_seen(s->trainer);
    double swd;
    HO_TRY(ho_gan_trainer_samples(s->trainer, "train-gan/grid", 0, GRID * GRID, s->samples));
    HO_TRY(write_grid(s, grid_path(s, images), s->samples, GRID * GRID));
    HO_TRY(measure(s, &swd));
    write_log(s, report, &swd);
    ho_run_say(s->run, "train-gan: %g thousand images, sliced Wasserstein distance %.2f, p %.3f", 1e-3 * (double)images,
               swd, report->p);
    return write_checkpoint(s);
}

/* ---- training -------------------------------------------------------------------------------------------- */

/* The networks of gan.init, whose SHA-256 is kept: the file itself may change later, and is not asked for again. */
static ho_status start_from(gan_stage *s, const char *path) {
    ho_store *store;
    char sha[65];
    int n_taken = 0, n = 0;
    HO_TRY(ho_file_sha256(path, sha));
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = ho_gan_trainer_init(s->trainer, store, &n_taken, &n);
    ho_store_close(store);
    if (status != HO_OK) {
        return ho_fail_context(status, "gan.init");
    }
    snprintf(s->init, sizeof s->init, "%.1000s %s", path, sha);
    ho_run_say(s->run, "train-gan: starts from %s: %d of %d tensors fit", path, n_taken, n);
    return HO_OK;
}

/* Starts at the beginning. A checkpoint that cannot be gone on from may be days of work: it is kept, with what was made
 * beside it. gan.init is read before, as it may name that very checkpoint. */
static ho_status start_anew(gan_stage *s, const char *checkpoint, const char *why) {
    static const char *const NAMES[] = {"samples", "logs/train-gan.jsonl", "checkpoints/train-gan.h5"};
    const char *init = ho_config_text(ho_run_config(s->run), "gan.init"), *kept = NULL;
    ho_run_say(s->run, "train-gan: starts anew: %s", why);
    if (*init != '\0') {
        HO_TRY(start_from(s, ho_run_data_path(s->run, init)));
    }
    if (access(checkpoint, F_OK) == 0) {
        HO_TRY(ho_run_set_aside(s->run, STAGE, sizeof NAMES / sizeof NAMES[0], NAMES, &kept));
        ho_run_say(s->run, "train-gan: the earlier training is kept in %s", kept);
    }
    return ho_run_log_restart(s->run, STAGE, "kimg", 0.0);
}

/* Goes on from a checkpoint of the same config and data; says so, and says why when it cannot. */
static ho_status resume(gan_stage *s) {
    const char *path = ho_run_path(s->run, "checkpoints/train-gan.h5"), *why;
    const char *const inputs[] = {ho_run_path(s->run, "dataset.h5")};
    const char *init = ho_config_text(ho_run_config(s->run), "gan.init");
    int n;
    const char *const *keys = prefixes(s->run, true, &n);
    if (!ho_run_is_current(s->run, path, STAGE, n, keys, 1, inputs, &why)) {
        return start_anew(s, path, why);
    }
    ho_store *store;
    HO_TRY(ho_store_open(path, &store));
    ho_status status = ho_gan_trainer_read(s->trainer, store);
    if (status == HO_OK && *init != '\0') {
        status = ho_store_get_text(store, "init", s->init, sizeof s->init);
    }
    ho_store_close(store);
    if (status != HO_OK) {
        return ho_fail_context(status, "%s", path);
    }
    const double kimg = 1e-3 * (double)ho_gan_trainer_images_seen(s->trainer);
    ho_run_say(s->run, "train-gan: goes on from %.1f thousand images", kimg);
    return ho_run_log_restart(s->run, STAGE, "kimg", kimg + 1e-9);
}

/* True when the step just made crossed a multiple of `every` thousand images. */
static bool crossed(const gan_stage *s, double every) {
    const int64_t seen = ho_gan_trainer_images_seen(s->trainer);
    return (int64_t)((double)seen / (1e3 * every)) != (int64_t)((double)(seen - s->options.batch) / (1e3 * every));
}

static ho_status train(gan_stage *s) {
    const ho_config *config = ho_run_config(s->run);
    const int64_t total = (int64_t)(1e3 * ho_config_real(config, "gan.kimg"));
    const double every = ho_config_real(config, "gan.snapshot_kimg"), record = every < 1.0 ? every : 1.0;
    ho_gan_report report = {0};
    while (ho_gan_trainer_images_seen(s->trainer) < total) {
        const double begin = ho_seconds();
        HO_TRY(ho_gan_trainer_step(s->trainer, &report));
        s->seconds += ho_seconds() - begin;
        s->loss_g += report.loss_g;
        s->loss_d += report.loss_d;
        ++s->iterations;
        const int64_t seen = ho_gan_trainer_images_seen(s->trainer);
        ho_run_progress(s->run, STAGE, seen, total, "images", "G %.3f D %.3f p %.3f", report.loss_g, report.loss_d,
                        report.p);
        if (ho_run_interrupted()) {
            HO_TRY(write_checkpoint(s));
            HO_FAIL(HO_EINTERRUPT, "stopped after %lld of %lld images", (long long)seen, (long long)total);
        }
        if (crossed(s, every) || seen >= total) {
            HO_TRY(snapshot(s, &report));
        } else if (crossed(s, record)) {
            write_log(s, &report, NULL);
        }
    }
    return HO_OK;
}

static ho_status write_generator(ho_run *run, ho_generator *generator, const char *init, int n_keys,
                                 const char *const *keys, const char *input) {
    ho_store *store;
    HO_TRY(ho_store_create(ho_run_path(run, "generator.h5"), &store));
    ho_status status = ho_run_record(run, store, STAGE, "generator", n_keys, keys, 1, &input);
    status = status == HO_OK && *init != '\0' ? ho_store_set_text(store, "init", init) : status;
    status = status == HO_OK ? ho_generator_write(generator, store) : status;
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    return status;
}

static ho_status train_stage(gan_stage *s) {
    ho_device *device;
    HO_TRY(ho_run_need(s->run, ho_run_path(s->run, "dataset.h5")));
    HO_TRY(ho_run_device(s->run, &device));
    ho_gan_options_of(ho_run_config(s->run), ho_run_seed(s->run), &s->options);
    HO_TRY(load_images(s));
    HO_TRY(ho_gan_trainer_create(device, &s->options, s->n_images, s->images, &s->trainer));
    HO_TRY(resume(s));
    HO_TRY(prepare_reals(s));
    HO_TRY(train(s));
    int n;
    const char *const *keys = prefixes(s->run, false, &n);
    return write_generator(s->run, ho_gan_trainer_generator(s->trainer), s->init, n, keys,
                           ho_run_path(s->run, "dataset.h5"));
}

/* A generator that somebody else trained. */
static ho_status copy_weights(ho_run *run, const char *path) {
    ho_device *device;
    ho_generator *generator;
    const int64_t size = ho_config_int(ho_run_config(run), "data.size");
    HO_TRY(ho_run_need(run, path));
    HO_TRY(ho_run_device(run, &device));
    HO_TRY(ho_generator_load(device, path, &generator));
    const ho_stylegan2_shape *shape = ho_generator_shape(generator);
    ho_status status = HO_OK;
    if (shape->height != size || shape->width != size) {
        status = ho_fail(HO_ECONFIG, __FILE__, __LINE__, "gan.weights %s makes images of %lldx%lld, not data.size %lld",
                         path, (long long)shape->height, (long long)shape->width, (long long)size);
    }
    status = status == HO_OK ? write_generator(run, generator, "", 2, WEIGHTS_PREFIXES, path) : status;
    ho_generator_free(generator);
    return status;
}

static ho_status execute(ho_run *run) {
    const char *weights = ho_config_text(ho_run_config(run), "gan.weights");
    const double begin = ho_seconds();
    gan_stage s = {.run = run};
    ho_status status = *weights != '\0' ? copy_weights(run, ho_run_data_path(run, weights)) : train_stage(&s);
    ho_gan_trainer_free(s.trainer);
    ho_swd_set_free(s.reals);
    ho_dataset_free(&s.dataset);
    free(s.images);
    free(s.samples);
    return status == HO_OK ? ho_metrics_stage(run, STAGE, ho_seconds() - begin, ho_peak_rss_mb()) : status;
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    const char *weights = ho_config_text(ho_run_config(run), "gan.weights"), *path = ho_run_path(run, "generator.h5");
    if (*weights != '\0') {
        const char *const inputs[] = {ho_run_data_path(run, weights)};
        *is_current = ho_run_is_current(run, path, STAGE, 2, WEIGHTS_PREFIXES, 1, inputs, why);
    } else {
        const char *const inputs[] = {ho_run_path(run, "dataset.h5")};
        int n;
        const char *const *keys = prefixes(run, false, &n);
        *is_current = ho_run_is_current(run, path, STAGE, n, keys, 1, inputs, why);
    }
    return HO_OK;
}

const ho_stage HO_STAGE_TRAIN_GAN = {STAGE, "train StyleGAN2 on the training images, or take gan.weights", current,
                                     execute};
