/* Rehearsals of the stages that train the generator and the encoder, and of the inversion. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encoder_training.h"
#include "handsoff/refine.h"
#include "plan_parts.h"

int64_t ho_plan_labelled(const ho_config *config, int64_t *sum) {
    const int64_t *counts = NULL;
    const int n = ho_config_ints(config, "labelled", &counts);
    int64_t most = 0;
    *sum = 0;
    for (int i = 0; i < n; ++i) {
        most = counts[i] > most ? counts[i] : most;
        *sum += counts[i];
    }
    return most;
}

ho_status ho_plan_generator(const ho_plan_case *c, ho_generator **generator) {
    HO_TRY(ho_generator_create(c->device, &c->shape, 0, generator));
    ho_params_set_trainable(ho_generator_params(*generator), false);
    return ho_params_hold(ho_generator_params(*generator), true);
}

ho_status ho_plan_perceptual(const ho_plan_case *c, ho_perceptual **net) {
    const char *path = ho_run_data_path(c->run, ho_config_text(c->config, "perceptual.weights"));
    return access(path, R_OK) == 0 ? ho_perceptual_load(c->device, path, net)
                                   : ho_perceptual_create_blank(c->device, net);
}

double ho_plan_parameter_bytes(const ho_params *params) {
    int64_t count = 0;
    (void)ho_params_values(params, &count);
    return 4.0 * (double)count;
}

/* ---- train-gan ------------------------------------------------------------------------------------------- */

enum { GRID_IMAGES = 64, SWD_IMAGES = 2048, SWD_NUMBERS = 16 * 147, SAMPLE_BATCH = 32, SMALLEST_SWD = 16 };

/* Descriptors of the sliced Wasserstein distance of n images (swd.c). */
static double swd_bytes(int64_t n, int64_t size) {
    double levels = 0.0;
    for (int64_t s = size; s >= SMALLEST_SWD; s /= 2) {
        levels += 1.0;
    }
    return 4.0 * SWD_NUMBERS * (double)n * levels;
}

static ho_status weights_given(const ho_plan_case *c, ho_plan_sums *sums) {
    ho_generator *generator = NULL;
    HO_TRY(ho_generator_create(c->device, &c->shape, 0, &generator));
    sums->disk = ho_plan_parameter_bytes(ho_generator_params(generator));
    sums->busy = sums->disk * 2e-8;
    ho_generator_free(generator);
    return HO_OK;
}

/* Two iterations: one with R1, one without. */
static ho_status two_iterations(const ho_plan_case *c, const ho_gan_options *o, const uint8_t *image, double *flops) {
    ho_gan_trainer *trainer = NULL;
    ho_gan_report report;
    HO_TRY(ho_gan_trainer_create(c->device, o, 1, &image, &trainer));
    ho_device_dry_restart(c->device);
    ho_status status = ho_gan_trainer_step(trainer, &report);
    flops[0] = ho_device_dry_count(c->device).flops;
    status = status == HO_OK ? ho_gan_trainer_step(trainer, &report) : status;
    flops[1] = ho_device_dry_count(c->device).flops - flops[0];
    ho_gan_trainer_free(trainer);
    return status;
}

/* Parameters of the two networks, in bytes. */
static ho_status network_bytes(const ho_plan_case *c, const ho_gan_options *o, double *g, double *d) {
    ho_generator *generator = NULL;
    ho_discriminator *discriminator = NULL;
    ho_status status = ho_generator_create(c->device, &o->shape, 0, &generator);
    if (status == HO_OK) {
        *g = ho_plan_parameter_bytes(ho_generator_params(generator));
        status = ho_discriminator_create(c->device, &o->shape, o->mbstd_group, 0, &discriminator);
    }
    if (status == HO_OK) {
        *d = ho_plan_parameter_bytes(ho_discriminator_params(discriminator));
    }
    ho_discriminator_free(discriminator);
    ho_generator_free(generator);
    return status;
}

ho_status ho_plan_gan(const ho_plan_case *c, ho_plan_sums *sums) {
    const ho_config *config = c->config;
    if (*ho_config_text(config, "gan.weights") != '\0') {
        return weights_given(c, sums);
    }
    ho_gan_options o;
    double flops[2], g = 0.0, d = 0.0;
    ho_gan_options_of(config, 0, &o);
    o.augment_p = o.augment == HO_AUGMENT_NONE ? 0.0 : 1.0; /* p may rise: geometry costs memory */
    const int64_t size = c->data.size, n = c->data.n_train + c->data.n_unlabelled;
    const double image = 3.0 * (double)(size * size), swd = (double)(n < SWD_IMAGES ? n : SWD_IMAGES);
    HO_TRY(network_bytes(c, &o, &g, &d));
    uint8_t *zeros = calloc((size_t)image, 1);
    if (zeros == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for an image");
    }
    const ho_status status = two_iterations(c, &o, zeros, flops);
    free(zeros);
    HO_TRY(status);
    const double each = (double)o.r1_interval, kimg = ho_config_real(config, "gan.kimg");
    const double snapshots = ceil(kimg / ho_config_real(config, "gan.snapshot_kimg"));
    const double per_step = (flops[0] + (each - 1.0) * flops[1]) / each;
    const double set = swd_bytes((int64_t)swd, size), moments = 2.0 * (g > d ? g : d);
    sums->flops = per_step * ceil(1e3 * kimg / (double)o.batch);
    sums->arrays = ho_plan_data_bytes(&c->data) + 4.0 * image * (double)o.batch +
                   image * (swd > GRID_IMAGES ? swd : GRID_IMAGES) + 4.0 * image * SAMPLE_BATCH + set +
                   (1.2 * set > moments ? 1.2 * set : moments);
    sums->disk = 5.0 * g + 3.0 * d + snapshots * GRID_IMAGES * image / 2.0;
    sums->busy = snapshots * (swd * image * 4e-8 + (g + d) * 5e-8);
    return HO_OK;
}

/* ---- train-encoder, finetune-encoder --------------------------------------------------------------------- */

enum { CHECKPOINT_STEPS = 200, MEASURE_BATCH = 16 };

static ho_status rehearse_encoder(const ho_plan_case *c, const ho_encoder_stage *stage, ho_plan_sums *sums) {
    const ho_config *config = c->config;
    ho_encoder_training t = {.run = c->run,
                             .stage = stage,
                             .steps = ho_config_int(config, stage->steps),
                             .batch = ho_config_int(config, stage->batch),
                             .held_out = ho_config_int(config, "encoder.held_out"),
                             .lr = ho_config_real(config, stage->lr)};
    const int64_t held_out = t.held_out, batches = (held_out + MEASURE_BATCH - 1) / MEASURE_BATCH;
    double flops = 0.0;
    t.held_out = held_out < MEASURE_BATCH ? held_out : MEASURE_BATCH;
    ho_status status = ho_plan_generator(c, &t.generator);
    status = status == HO_OK ? ho_plan_perceptual(c, &t.net) : status;
    status = status == HO_OK ? ho_encoder_for_training(&t) : status;
    if (status == HO_OK) {
        t.pairs = (ho_pairs){t.generator, 0, stage->name, ho_config_real(config, "encoder.truncation"),
                             ho_config_real(config, "encoder.mixing")};
        status = ho_encoder_stage_rehearse(&t, &flops);
    }
    if (status == HO_OK) {
        const double bytes = ho_plan_parameter_bytes(ho_encoder_params(t.encoder));
        sums->flops = flops * ((double)t.steps + 0.5 * (double)batches);
        sums->arrays = t.steps > CHECKPOINT_STEPS ? 2.0 * bytes : 0.0;
        sums->disk = t.steps > CHECKPOINT_STEPS ? 4.0 * bytes : bytes;
    }
    ho_encoder_training_free(&t);
    return status;
}

/* encoder.weights is read and written. */
static ho_status encoder_given(const ho_plan_case *c, ho_plan_sums *sums) {
    ho_encoder_training t = {.run = c->run};
    ho_status status = ho_plan_generator(c, &t.generator);
    status = status == HO_OK ? ho_encoder_for_training(&t) : status;
    sums->disk = status == HO_OK ? ho_plan_parameter_bytes(ho_encoder_params(t.encoder)) : 0.0;
    ho_encoder_training_free(&t);
    return status;
}

ho_status ho_plan_encoder(const ho_plan_case *c, ho_plan_sums *sums) {
    if (*ho_config_text(c->config, "encoder.weights") != '\0') {
        return encoder_given(c, sums);
    }
    return rehearse_encoder(c, &HO_ENCODER_TRAINING, sums);
}

ho_status ho_plan_finetune(const ho_plan_case *c, ho_plan_sums *sums) {
    return rehearse_encoder(c, &HO_ENCODER_FINETUNING, sums);
}

/* ---- invert ---------------------------------------------------------------------------------------------- */

typedef struct {
    ho_generator *generator;
    ho_perceptual *net;
    ho_encoder *encoder;
    ho_context *context;
    float *pixels, *latents, *distances;
    int64_t *best;
} inversion;

static ho_status make_inversion(const ho_plan_case *c, int64_t N, inversion *v) {
    const int64_t pixels = c->shape.height * c->shape.width * 3, latent = ho_stylegan2_n_ws(&c->shape) * c->shape.w_dim;
    ho_encoder_training t = {.run = c->run};
    HO_TRY(ho_plan_generator(c, &v->generator));
    HO_TRY(ho_plan_perceptual(c, &v->net));
    if (strcmp(ho_config_text(c->config, "invert.start"), "encoder") == 0) {
        t.generator = v->generator;
        HO_TRY(ho_encoder_for_training(&t));
        v->encoder = t.encoder;
    }
    v->pixels = calloc((size_t)(N * pixels) + 1, sizeof *v->pixels);
    v->latents = calloc((size_t)(N * latent) + 1, sizeof *v->latents);
    v->distances = calloc((size_t)N + 1, sizeof *v->distances);
    v->best = calloc((size_t)N + 1, sizeof *v->best);
    if (v->pixels == NULL || v->latents == NULL || v->distances == NULL || v->best == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory to rehearse the inversion of %lld images", (long long)N);
    }
    return HO_OK;
}

/* invert.c's first guess. */
static ho_status guess(const ho_plan_case *c, inversion *v, int64_t N) {
    ho_tensor *image = NULL, *w_plus = NULL;
    HO_TRY(ho_context_create(c->device, &v->context));
    if (v->encoder != NULL) {
        HO_TRY(ho_tensor_from_host(v->context, v->pixels, HO_SHAPE(N, c->shape.height, c->shape.width, 3), &image));
        HO_TRY(ho_encoder_invert(v->context, v->encoder, v->generator, image, &w_plus));
    } else {
        HO_TRY(ho_encoder_start(v->context, NULL, v->generator, N, &w_plus, NULL));
    }
    HO_TRY(ho_generator_synthesize(v->context, v->generator, w_plus, NULL, NULL, &image));
    ho_context_free(v->context);
    v->context = NULL;
    return HO_OK;
}

static ho_status refine(const ho_plan_case *c, inversion *v, int64_t N, int64_t steps, double *flops) {
    const ho_refine_options options = {steps, 0.1, 0.05, 0.25, 1.0, 1.0, 1.0};
    const ho_refine_job job = {v->pixels,    v->latents,   v->latents,   v->pixels, v->distances,
                               v->distances, v->distances, v->distances, v->best};
    ho_device_dry_restart(c->device);
    const ho_status status = ho_refine(c->device, v->generator, v->net, &options, N, &job, NULL, NULL);
    *flops = ho_device_dry_count(c->device).flops;
    return status;
}

static ho_status rehearse_inversion(const ho_plan_case *c, int64_t N, inversion *v, double flops[2]) {
    HO_TRY(make_inversion(c, N, v));
    HO_TRY(guess(c, v, N));
    HO_TRY(refine(c, v, N, 2, &flops[0]));
    return refine(c, v, N, 3, &flops[1]);
}

ho_status ho_plan_invert(const ho_plan_case *c, ho_plan_sums *sums) {
    int64_t sum = 0, n = ho_plan_labelled(c->config, &sum), N = ho_config_int(c->config, "invert.batch");
    inversion v = {0};
    double flops[2] = {0.0, 0.0};
    N = N < n ? N : n;
    const ho_status status = rehearse_inversion(c, N, &v, flops);
    const double image = 3.0 * (double)(c->shape.height * c->shape.width);
    const double latent = (double)(ho_stylegan2_n_ws(&c->shape) * c->shape.w_dim);
    const double steps = (double)ho_config_int(c->config, "invert.steps");
    sums->flops = (flops[0] + (steps - 2.0) * (flops[1] - flops[0])) * (double)n / (double)N;
    sums->disk = (double)n * (3.0 * image + 8.0 * latent);
    sums->arrays = ho_plan_data_bytes(&c->data) + sums->disk + 8.0 * image * (double)N + 4.0 * latent * (double)N;
    ho_context_free(v.context);
    ho_encoder_free(v.encoder);
    ho_perceptual_free(v.net);
    ho_generator_free(v.generator);
    free(v.pixels);
    free(v.latents);
    free(v.distances);
    free(v.best);
    return status;
}
