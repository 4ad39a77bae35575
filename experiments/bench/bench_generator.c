/* Synthesis, one step of latent refinement, GAN training. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "handsoff/gan_trainer.h"
#include "handsoff/perceptual.h"
#include "handsoff/random.h"

typedef struct {
    ho_generator *generator;
    ho_tensor *w_plus;
} synthesis;

static ho_status run_synthesis(bench_work *work) {
    const synthesis *s = work->state;
    ho_tensor *image = NULL;
    ho_context_reset(work->context);
    return ho_generator_synthesize(work->context, s->generator, s->w_plus, NULL, NULL, &image);
}

ho_status bench_make_synthesis(bench_work *work, int64_t size, int64_t channel_max, int64_t N) {
    static synthesis s;
    const ho_stylegan2_shape shape = bench_stylegan2(size, channel_max);
    HO_TRY(ho_generator_create(work->device, &shape, 1, &s.generator));
    ho_params_set_trainable(ho_generator_params(s.generator), false);
    HO_TRY(ho_params_hold(ho_generator_params(s.generator), true));
    HO_TRY(bench_normal(work, HO_SHAPE(N, ho_stylegan2_n_ws(&shape), shape.w_dim), 1, &s.w_plus));
    work->state = &s;
    work->run = run_synthesis;
    work->recordable = true;
    work->images = (double)N;
    work->flop = (double)N * bench_flop_synthesis(&shape);
    (void)snprintf(work->shape, sizeof work->shape, "N%lld %lldx%lld base 32768 max %lld, constant noise", (long long)N,
                   (long long)size, (long long)size, (long long)channel_max);
    return HO_OK;
}

/* ---- inversion: forward, backward to W+, Adam; the target's features are kept ------------------------------------ */

typedef struct {
    ho_generator *generator;
    ho_perceptual *net;
    int64_t reduction; /* the loss sees means of reduction x reduction pixels */
    ho_tensor *target, *w;
    ho_taps taps;
    ho_params *params;
    ho_adam *adam;
} inversion;

static ho_status differentiate(bench_work *work, inversion *s) {
    ho_tensor *image = NULL, *lpips = NULL, *mse = NULL, *sum = NULL, *loss = NULL;
    ho_taps taps = {0};
    HO_TRY(ho_generator_synthesize(work->context, s->generator, s->w, NULL, NULL, &image));
    if (s->reduction > 1) {
        HO_TRY(ho_avg_pool(work->context, image, s->reduction, &image));
    }
    HO_TRY(ho_perceptual_features(work->context, s->net, image, &taps));
    HO_TRY(ho_perceptual_distance(work->context, s->net, &taps, &s->taps, &lpips));
    HO_TRY(ho_mse_per_sample(work->context, image, s->target, &mse));
    HO_TRY(ho_add(work->context, lpips, 1.0, mse, 1.0, &sum));
    HO_TRY(ho_sum(work->context, sum, 1.0, &loss));
    return ho_backward(work->context, loss);
}

static ho_status run_inversion(bench_work *work) {
    static const ho_adam_options ADAM = {1e-3, 0.9, 0.999, 1e-8, 0.0};
    inversion *s = work->state;
    ho_context_reset(work->context);
    ho_context_record(work->context, true);
    const ho_status status = differentiate(work, s);
    ho_context_record(work->context, false);
    HO_TRY(status);
    return ho_adam_step(s->adam, &ADAM, 1.0);
}

ho_status bench_make_inversion(bench_work *work, int64_t size, int64_t loss_size, int64_t channel_max) {
    static inversion s;
    const ho_stylegan2_shape shape = bench_stylegan2(size, channel_max);
    const int64_t L = ho_stylegan2_n_ws(&shape);
    HO_TRY(ho_generator_create(work->device, &shape, 1, &s.generator));
    ho_params_set_trainable(ho_generator_params(s.generator), false);
    HO_TRY(ho_params_hold(ho_generator_params(s.generator), true));
    HO_TRY(bench_vgg16(work, size, &s.net));
    s.reduction = size / loss_size;
    HO_TRY(bench_normal(work, HO_SHAPE(1, loss_size, loss_size, 3), 1, &s.target));
    HO_TRY(ho_perceptual_features(work->lasting, s.net, s.target, &s.taps));
    HO_TRY(ho_params_create(work->device, &s.params));
    HO_TRY(ho_params_add(s.params, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_SAME, HO_SHAPE(1, L, shape.w_dim), &s.w,
                         "w_plus"));
    HO_TRY(ho_params_commit(s.params, 1));
    HO_TRY(ho_adam_create(s.params, &s.adam));
    work->state = &s;
    work->run = run_inversion;
    work->recordable = true;
    work->flop = 2.0 * (bench_flop_synthesis(&shape) + bench_flop_vgg16(loss_size, loss_size));
    (void)snprintf(work->shape, sizeof work->shape, "N1 generator %lldx%lld, loss %lldx%lld, target features kept",
                   (long long)size, (long long)size, (long long)loss_size, (long long)loss_size);
    return HO_OK;
}

/* ---- GAN training ------------------------------------------------------------------------------------------------ */

enum { GAN_INTERVAL = 16, GAN_IMAGES = 64 };

/* 16 iterations as one with R1 and 15 times one without: the trainer is made with R1 in every second iteration. */
static ho_status run_gan(bench_work *work) {
    ho_gan_report report;
    double at[3];
    at[0] = bench_now();
    for (int i = 0; i < 2; ++i) {
        HO_TRY(ho_gan_trainer_step(work->state, &report));
        HO_TRY(ho_device_sync(work->device));
        at[i + 1] = bench_now();
    }
    work->seconds = (at[1] - at[0]) + (GAN_INTERVAL - 1) * (at[2] - at[1]);
    return HO_OK;
}

ho_status bench_make_gan(bench_work *work, int64_t size, int64_t channel_max, int64_t N) {
    static const uint8_t *images[GAN_IMAGES];
    const ho_gan_options options = {.shape = bench_stylegan2(size, channel_max),
                                    .seed = 1,
                                    .batch = N,
                                    .mbstd_group = 4,
                                    .r1_interval = 2,
                                    .lr = 0.002,
                                    .beta1 = 0.0,
                                    .beta2 = 0.99,
                                    .r1_gamma = 0.1,
                                    .mixing = 0.9,
                                    .ema_kimg = 10.0,
                                    .augment = HO_AUGMENT_NONE};
    const int64_t bytes = size * size * 3;
    uint8_t *pixels = malloc((size_t)(GAN_IMAGES * bytes));
    if (pixels == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %d images", (int)GAN_IMAGES);
    }
    for (int64_t i = 0; i < GAN_IMAGES * bytes; ++i) {
        pixels[i] = (uint8_t)ho_uniform_int(1, 1, (uint64_t)i, 256);
    }
    for (int64_t i = 0; i < GAN_IMAGES; ++i) {
        images[i] = pixels + i * bytes;
    }
    ho_gan_trainer *trainer = NULL;
    HO_TRY(ho_gan_trainer_create(work->device, &options, GAN_IMAGES, images, &trainer));
    const double G = bench_flop_synthesis(&options.shape), D = bench_flop_discriminator(&options.shape);
    work->state = trainer;
    work->run = run_gan;
    work->images = (double)(GAN_INTERVAL * N);
    /* Gmain 3 G + 2 D, Dmain G + 6 D; R1: 6 D, its double backward counted as 4 */
    work->flop = (double)N * (GAN_INTERVAL * (4.0 * G + 8.0 * D) + 6.0 * D);
    (void)snprintf(work->shape, sizeof work->shape,
                   "N%lld %lldx%lld max %lld, 16 iterations (one with R1, 15 times one without)", (long long)N,
                   (long long)size, (long long)size, (long long)channel_max);
    return HO_OK;
}
