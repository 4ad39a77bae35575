/* Life of a GAN trainer, its checkpoints, and samples of what it has learnt. */
#include <stdlib.h>

#include "gan_trainer_parts.h"
#include "handsoff/image.h"
#include "handsoff/random.h"

enum { SAMPLE_BATCH = 32 };

static ho_status allocate(ho_gan_trainer *t) {
    const ho_stylegan2_shape *shape = &t->options.shape;
    const size_t N = (size_t)t->options.batch;
    t->order = calloc((size_t)t->n_images, sizeof *t->order);
    t->real = calloc(N * (size_t)(shape->height * shape->width * 3), sizeof *t->real);
    t->logits = calloc(N, sizeof *t->logits);
    t->augmentations = calloc(N, sizeof *t->augmentations);
    t->cut = calloc(N, sizeof *t->cut);
    if (t->order == NULL || t->real == NULL || t->logits == NULL || t->augmentations == NULL || t->cut == NULL) {
        HO_FAIL(HO_EMEMORY, "train-gan: no memory for a batch of %lld", (long long)t->options.batch);
    }
    return HO_OK;
}

static ho_status build(ho_gan_trainer *t, ho_device *device) {
    const ho_gan_options *o = &t->options;
    HO_TRY(allocate(t));
    HO_TRY(ho_context_create(device, &t->context));
    HO_TRY(ho_context_create(device, &t->lasting));
    HO_TRY(ho_generator_create(device, &o->shape, o->seed, &t->g));
    HO_TRY(ho_generator_create(device, &o->shape, o->seed, &t->g_ema));
    HO_TRY(ho_params_copy(ho_generator_params(t->g_ema), ho_generator_params(t->g)));
    HO_TRY(ho_discriminator_create(device, &o->shape, o->mbstd_group, o->seed, &t->d));
    HO_TRY(ho_adam_create(ho_generator_params(t->g), &t->adam_g));
    return ho_adam_create(ho_discriminator_params(t->d), &t->adam_d);
}

ho_status ho_gan_trainer_create(ho_device *device, const ho_gan_options *options, int64_t n,
                                const uint8_t *const *images, ho_gan_trainer **trainer) {
    const int64_t group = options->mbstd_group < options->batch ? options->mbstd_group : options->batch;
    if (options->batch % group != 0) {
        HO_FAIL(HO_ECONFIG, "gan.batch %lld must be a multiple of gan.mbstd_group %lld", (long long)options->batch,
                (long long)group);
    }
    HO_REQUIRE(n > 0, "train-gan: there are no images to learn from");
    ho_gan_trainer *t = calloc(1, sizeof *t);
    if (t == NULL) {
        HO_FAIL(HO_EMEMORY, "train-gan: out of memory");
    }
    t->options = *options;
    t->n_images = n;
    t->images = images;
    t->p = options->augment == HO_AUGMENT_NONE ? 0.0 : options->augment_p;
    t->epoch = -1;
    const ho_status status = build(t, device);
    if (status != HO_OK) {
        ho_gan_trainer_free(t);
        return status;
    }
    *trainer = t;
    return HO_OK;
}

void ho_gan_trainer_free(ho_gan_trainer *trainer) {
    if (trainer == NULL) {
        return;
    }
    ho_adam_free(trainer->adam_g);
    ho_adam_free(trainer->adam_d);
    ho_generator_free(trainer->g);
    ho_generator_free(trainer->g_ema);
    ho_discriminator_free(trainer->d);
    if (trainer->context != NULL) {
        ho_device_graph_free(ho_context_device(trainer->context), trainer->graph_g);
        ho_device_graph_free(ho_context_device(trainer->context), trainer->graph_d);
    }
    ho_context_free(trainer->context);
    ho_context_free(trainer->lasting);
    free(trainer->order);
    free(trainer->real);
    free(trainer->logits);
    free(trainer->augmentations);
    free(trainer->cut);
    free(trainer);
}

int64_t ho_gan_trainer_images_seen(const ho_gan_trainer *trainer) {
    return trainer->iteration * trainer->options.batch;
}
size_t ho_gan_trainer_peak_bytes(const ho_gan_trainer *trainer) {
    return ho_context_peak_bytes(trainer->context);
}
ho_generator *ho_gan_trainer_generator(ho_gan_trainer *trainer) {
    return trainer->g_ema;
}

/* ---- samples --------------------------------------------------------------------------------------------- */

static ho_status sample_batch(ho_gan_trainer *t, uint64_t stream, int64_t first, int64_t n, uint8_t *images) {
    const ho_stylegan2_shape *shape = &t->options.shape;
    const int64_t D = shape->z_dim, count = n * shape->height * shape->width * 3;
    const ho_noise noise = {.mode = HO_NOISE_CONST};
    ho_tensor *z, *w, *w_plus, *image;
    ho_context_reset(t->context);
    HO_TRY(ho_tensor_new(t->context, HO_SHAPE(n, D), &z));
    HO_TRY(ho_fill_normal(t->context, z, t->options.seed, stream, (uint64_t)(first * D), 0.0, 1.0));
    HO_TRY(ho_generator_map(t->context, t->g_ema, z, &w));
    HO_TRY(ho_w_to_w_plus(t->context, w, ho_stylegan2_n_ws(shape), &w_plus));
    HO_TRY(ho_generator_synthesize(t->context, t->g_ema, w_plus, &noise, NULL, &image));
    void *host;
    HO_TRY(ho_host_scratch(t->context, (size_t)count * sizeof(float), &host));
    HO_TRY(ho_tensor_to_host(t->context, image, host));
    ho_floats_to_bytes(host, count, images);
    return HO_OK;
}

ho_status ho_gan_trainer_samples(ho_gan_trainer *trainer, const char *stream, int64_t first, int64_t n,
                                 uint8_t *images) {
    const ho_stylegan2_shape *shape = &trainer->options.shape;
    for (int64_t done = 0; done < n; done += SAMPLE_BATCH) {
        const int64_t count = n - done < SAMPLE_BATCH ? n - done : SAMPLE_BATCH;
        HO_TRY(sample_batch(trainer, ho_stream_id(stream), first + done, count,
                            images + done * shape->height * shape->width * 3));
    }
    ho_context_reset(trainer->context);
    return HO_OK;
}

/* ---- checkpoints ----------------------------------------------------------------------------------------- */

static ho_status write_adam(ho_store *store, const char *const name[2], ho_adam *adam, int64_t count, float *host) {
    HO_TRY(ho_adam_get(adam, host, host + count));
    HO_TRY(ho_store_write(store, name[0], HO_F32, HO_SHAPE(count), host));
    return ho_store_write(store, name[1], HO_F32, HO_SHAPE(count), host + count);
}

static ho_status read_adam(ho_store *store, const char *const name[2], int64_t steps, ho_adam *adam, int64_t count,
                           float *host) {
    HO_TRY(ho_store_read(store, name[0], HO_F32, HO_SHAPE(count), host));
    HO_TRY(ho_store_read(store, name[1], HO_F32, HO_SHAPE(count), host + count));
    return ho_adam_set(adam, steps, host, host + count);
}

static const char *const ADAM_G[2] = {"adam_g/m", "adam_g/v"}, *const ADAM_D[2] = {"adam_d/m", "adam_d/v"};

/* Host memory for the larger of the two optimisers' moments. */
static ho_status moments(ho_gan_trainer *t, int64_t count[2], float **host) {
    ho_params_values(ho_generator_params(t->g), &count[0]);
    ho_params_values(ho_discriminator_params(t->d), &count[1]);
    const int64_t most = count[0] > count[1] ? count[0] : count[1];
    *host = malloc((size_t)(2 * most) * sizeof **host);
    if (*host == NULL) {
        HO_FAIL(HO_EMEMORY, "train-gan: no memory for the optimiser's state");
    }
    return HO_OK;
}

ho_status ho_gan_trainer_write(ho_gan_trainer *trainer, ho_store *store) {
    ho_gan_trainer *t = trainer;
    HO_TRY(ho_store_write_params(store, "generator/", ho_generator_params(t->g)));
    HO_TRY(ho_store_write_params(store, "generator_ema/", ho_generator_params(t->g_ema)));
    HO_TRY(ho_store_write_params(store, "discriminator/", ho_discriminator_params(t->d)));
    const double state[4] = {t->p, t->sign_sum, t->r_t, t->last_r1};
    const int64_t counters[3] = {t->iteration, ho_adam_steps(t->adam_g), ho_adam_steps(t->adam_d)};
    HO_TRY(ho_store_write(store, "state", HO_F64, HO_SHAPE(4), state));
    HO_TRY(ho_store_write(store, "counters", HO_I64, HO_SHAPE(3), counters));
    int64_t count[2];
    float *host;
    HO_TRY(moments(t, count, &host));
    ho_status status = write_adam(store, ADAM_G, t->adam_g, count[0], host);
    status = status == HO_OK ? write_adam(store, ADAM_D, t->adam_d, count[1], host) : status;
    free(host);
    return status;
}

ho_status ho_gan_trainer_read(ho_gan_trainer *trainer, ho_store *store) {
    ho_gan_trainer *t = trainer;
    double state[4];
    int64_t counters[3], count[2];
    HO_TRY(ho_store_check_schema(store));
    HO_TRY(ho_store_read(store, "state", HO_F64, HO_SHAPE(4), state));
    HO_TRY(ho_store_read(store, "counters", HO_I64, HO_SHAPE(3), counters));
    HO_TRY(ho_store_read_params(store, "generator/", ho_generator_params(t->g)));
    HO_TRY(ho_store_read_params(store, "generator_ema/", ho_generator_params(t->g_ema)));
    HO_TRY(ho_store_read_params(store, "discriminator/", ho_discriminator_params(t->d)));
    float *host;
    HO_TRY(moments(t, count, &host));
    ho_status status = read_adam(store, ADAM_G, counters[1], t->adam_g, count[0], host);
    status = status == HO_OK ? read_adam(store, ADAM_D, counters[2], t->adam_d, count[1], host) : status;
    free(host);
    t->iteration = counters[0];
    t->p = state[0];
    t->sign_sum = state[1];
    t->r_t = state[2];
    t->last_r1 = state[3];
    return status;
}

ho_status ho_gan_trainer_init(ho_gan_trainer *trainer, ho_store *store, int *n_taken, int *n) {
    ho_params *g = ho_generator_params(trainer->g), *d = ho_discriminator_params(trainer->d);
    int n_g, n_ema, n_d;
    HO_TRY(ho_store_check_schema(store));
    HO_TRY(ho_store_read_fitting_params(store, "generator/", g, &n_g));
    HO_TRY(ho_store_read_fitting_params(store, "generator_ema/", ho_generator_params(trainer->g_ema), &n_ema));
    HO_TRY(ho_store_read_fitting_params(store, "discriminator/", d, &n_d));
    if (n_g == 0 || n_ema == 0 || n_d == 0) {
        HO_FAIL(HO_EFORMAT,
                "%s: no tensor fits this network; a checkpoint of train-gan (checkpoints/train-gan.h5 of a run) with "
                "the same gan.w_dim, gan.channel_base and gan.channel_max is wanted",
                ho_store_path(store));
    }
    *n_taken = n_g + n_d;
    *n = ho_params_n(g) + ho_params_n(d);
    return HO_OK;
}
