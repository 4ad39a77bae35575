/* One iteration of StyleGAN2 training. Phases draw fresh z; each starts from a reset context, so that the memory of a
 * step is that of its largest phase. The discriminator sees generated and real images in two passes that add up
 * gradients. */
#include "handsoff/gan_trainer.h"

#include <math.h>

#include "gan_trainer_parts.h"
#include "handsoff/random.h"

enum { ADA_INTERVAL = 4 }; /* iterations between moves of p */

/* ---- draws: all a function of (seed, stream, number of the image) ---------------------------------------- */

static ho_status draw_z(ho_gan_trainer *t, const char *stream, ho_tensor **z) {
    const int64_t N = t->options.batch, D = t->options.shape.z_dim;
    HO_TRY(ho_tensor_new(t->context, HO_SHAPE(N, D), z));
    const uint64_t first = (uint64_t)(t->iteration * N * D);
    return ho_fill_normal(t->context, *z, t->options.seed, ho_stream_id(stream), first, 0.0, 1.0);
}

/* Row from which a sample takes the second z's style; n_ws where it is not mixed. True when one sample is. */
static bool draw_cuts(ho_gan_trainer *t, const char *stream) {
    const int64_t L = ho_stylegan2_n_ws(&t->options.shape), N = t->options.batch;
    bool any = false;
    for (int64_t n = 0; n < N; ++n) {
        const uint64_t draw = 2 * (uint64_t)(t->iteration * N + n), id = ho_stream_id(stream);
        const bool mix = ho_uniform(t->options.seed, id, draw) < t->options.mixing;
        t->cut[n] = mix ? 1 + ho_uniform_int(t->options.seed, id, draw + 1, L - 1) : L;
        any = any || mix;
    }
    return any;
}

static void draw_augmentations(ho_gan_trainer *t, const char *stream) {
    const ho_gan_options *o = &t->options;
    for (int64_t n = 0; n < o->batch; ++n) {
        ho_augment_draw(t->p, o->shape.height, o->shape.width, o->seed, ho_stream_id(stream),
                        (uint64_t)(t->iteration * o->batch + n), &t->augmentations[n]);
    }
}

/* What the discriminator gets of `image`; the augmentations are kept in t->augmentations. */
static ho_status augmented(ho_gan_trainer *t, const char *stream, ho_tensor *image, ho_tensor **seen) {
    *seen = image;
    if (t->options.augment == HO_AUGMENT_NONE) {
        return HO_OK;
    }
    draw_augmentations(t, stream);
    return ho_augment(t->context, image, t->augmentations, seen);
}

/* The next real images into t->real: every image once an epoch, in an order of its own, mirrored by a coin. */
static void load_real(ho_gan_trainer *t) {
    const ho_gan_options *o = &t->options;
    const int64_t H = o->shape.height, W = o->shape.width;
    const uint64_t order = ho_stream_id("train-gan/order"), coins = ho_stream_id("train-gan/mirror");
    for (int64_t n = 0; n < o->batch; ++n) {
        const int64_t k = t->iteration * o->batch + n, epoch = k / t->n_images;
        if (epoch != t->epoch) {
            ho_permutation(o->seed, order + (uint64_t)epoch, t->n_images, t->order);
            t->epoch = epoch;
        }
        const uint8_t *image = t->images[t->order[k % t->n_images]];
        const bool mirror = o->mirror && ho_uniform(o->seed, coins, (uint64_t)k) < 0.5;
        for (int64_t i = 0; i < H * W; ++i) {
            const int64_t w = i % W, from = mirror ? i - w + W - 1 - w : i;
            for (int64_t c = 0; c < 3; ++c) {
                t->real[(n * H * W + i) * 3 + c] = (float)image[3 * from + c] / 127.5F - 1.0F;
            }
        }
    }
}

/* ---- phases ---------------------------------------------------------------------------------------------- */

typedef struct {
    const char *z, *z_mix, *cut, *noise, *augment;
    bool track_w; /* move w_avg */
} fake_streams;
static const fake_streams IN_G = {"train-gan/g/z",     "train-gan/g/z-mix",   "train-gan/g/cut",
                                  "train-gan/g/noise", "train-gan/g/augment", true};
static const fake_streams IN_D = {"train-gan/d/z",     "train-gan/d/z-mix",   "train-gan/d/cut",
                                  "train-gan/d/noise", "train-gan/d/augment", false};

static ho_status generate(ho_gan_trainer *t, const fake_streams *streams, ho_tensor **image) {
    const int64_t L = ho_stylegan2_n_ws(&t->options.shape);
    ho_tensor *z, *w, *w_plus;
    HO_TRY(draw_z(t, streams->z, &z));
    HO_TRY(ho_generator_map(t->context, t->g, z, &w));
    if (streams->track_w) {
        HO_TRY(ho_generator_update_w_avg(t->context, t->g, w));
    }
    HO_TRY(ho_w_to_w_plus(t->context, w, L, &w_plus));
    if (draw_cuts(t, streams->cut)) {
        ho_tensor *z_mix, *w_mix, *rows, *mixed;
        HO_TRY(draw_z(t, streams->z_mix, &z_mix));
        HO_TRY(ho_generator_map(t->context, t->g, z_mix, &w_mix));
        HO_TRY(ho_w_to_w_plus(t->context, w_mix, L, &rows));
        HO_TRY(ho_mix_rows(t->context, w_plus, rows, t->cut, &mixed));
        w_plus = mixed;
    }
    const ho_noise noise = {HO_NOISE_RANDOM, t->options.seed, ho_stream_id(streams->noise),
                            (uint64_t)(t->iteration * t->options.batch)};
    return ho_generator_synthesize(t->context, t->g, w_plus, &noise, NULL, image);
}

static ho_status check_finite(const ho_gan_trainer *t, const char *what, double value) {
    if (!isfinite(value)) {
        HO_FAIL(HO_ENUMERIC,
                "train-gan: %s is %g in iteration %lld (%.1f thousand images): lower gan.lr or raise gan.r1_gamma",
                what, value, (long long)t->iteration, 1e-3 * (double)(t->iteration * t->options.batch));
    }
    return HO_OK;
}

/* softplus(sign * D(image)), its gradients into what is trainable. */
static ho_status judge(ho_gan_trainer *t, ho_tensor *image, const char *augment, double sign, ho_tensor **loss,
                       ho_tensor **logits) {
    ho_tensor *seen;
    HO_TRY(augmented(t, augment, image, &seen));
    HO_TRY(ho_discriminator_forward(t->context, t->d, seen, NULL, logits, NULL));
    HO_TRY(ho_softplus_mean(t->context, *logits, sign, loss));
    return ho_backward(t->context, *loss);
}

static ho_status learn_g(ho_gan_trainer *t, ho_tensor **loss) {
    const ho_gan_options *o = &t->options;
    const ho_adam_options adam = {.lr = o->lr, .beta1 = o->beta1, .beta2 = o->beta2, .eps = 1e-8};
    ho_tensor *image, *logits;
    ho_context_record(t->context, true);
    HO_TRY(generate(t, &IN_G, &image));
    HO_TRY(judge(t, image, IN_G.augment, -1.0, loss, &logits));
    ho_context_record(t->context, false);
    return ho_adam_step(t->adam_g, &adam, 1.0);
}

static ho_status phase_g(ho_gan_trainer *t, double *loss) {
    ho_device *device = ho_context_device(t->context);
    ho_tensor *mean = NULL;
    ho_context_reset(t->context);
    ho_params_set_trainable(ho_discriminator_params(t->d), false);
    HO_TRY(ho_device_record_begin(device, &t->graph_g));
    HO_TRY(ho_device_record_end(device, &t->graph_g, learn_g(t, &mean)));
    ho_params_set_trainable(ho_discriminator_params(t->d), true);
    HO_TRY(ho_tensor_scalar(t->context, mean, loss));
    return check_finite(t, "the generator's loss", *loss);
}

/* Adam for a network with a regulariser every k-th step: as if the two were one step (lazy
 * regularisation: Karras et al. 2020, appendix B; stylegan2-ada-pytorch, training/training_loop.py). */
static ho_status step_d(ho_gan_trainer *t) {
    const ho_gan_options *o = &t->options;
    const double k = (double)o->r1_interval, c = o->r1_gamma > 0.0 ? k / (k + 1.0) : 1.0;
    const ho_adam_options adam = {.lr = o->lr * c, .beta1 = pow(o->beta1, c), .beta2 = pow(o->beta2, c), .eps = 1e-8};
    return ho_adam_step(t->adam_d, &adam, 1.0);
}

/* Fakes and reals in two passes of one context; the first one's loss is kept in t->lasting. */
static ho_status learn_d(ho_gan_trainer *t, ho_tensor *loss[2], ho_tensor **logits) {
    const ho_gan_options *o = &t->options;
    ho_device *device = ho_context_device(t->context);
    ho_tensor *image, *fake_loss;
    HO_TRY(generate(t, &IN_D, &image));
    ho_context_record(t->context, true);
    HO_TRY(judge(t, image, IN_D.augment, 1.0, &fake_loss, logits));
    ho_context_record(t->context, false);
    HO_TRY(ho_tensor_like(t->lasting, fake_loss, &loss[0]));
    HO_TRY(ho_device_copy(device, loss[0]->data, fake_loss->data, ho_tensor_bytes(fake_loss)));
    ho_context_reset(t->context);
    ho_context_record(t->context, true);
    HO_TRY(ho_tensor_from_host(t->context, t->real, HO_SHAPE(o->batch, o->shape.height, o->shape.width, 3), &image));
    HO_TRY(judge(t, image, "train-gan/real/augment", -1.0, &loss[1], logits));
    ho_context_record(t->context, false);
    return step_d(t);
}

static ho_status phase_d(ho_gan_trainer *t, double *loss, double *sign) {
    const ho_gan_options *o = &t->options;
    ho_device *device = ho_context_device(t->context);
    ho_tensor *part[2] = {NULL, NULL}, *logits = NULL;
    double loss_fake, loss_real;
    ho_context_reset(t->context);
    ho_context_reset(t->lasting);
    HO_TRY(ho_device_record_begin(device, &t->graph_d));
    HO_TRY(ho_device_record_end(device, &t->graph_d, learn_d(t, part, &logits)));
    HO_TRY(ho_tensor_scalar(t->lasting, part[0], &loss_fake));
    HO_TRY(ho_tensor_scalar(t->context, part[1], &loss_real));
    HO_TRY(ho_tensor_to_host(t->context, logits, t->logits));
    *loss = loss_fake + loss_real;
    *sign = 0.0;
    for (int64_t n = 0; n < o->batch; ++n) {
        *sign += ((t->logits[n] > 0.0F) - (t->logits[n] < 0.0F)) / (double)o->batch;
    }
    return check_finite(t, "the discriminator's loss", *loss);
}

static ho_status phase_r1(ho_gan_trainer *t) {
    const ho_gan_options *o = &t->options;
    if (o->r1_gamma == 0.0 || t->iteration % o->r1_interval != 0) {
        return HO_OK;
    }
    ho_gan_r1_args args = {o->batch, o->shape.height, o->shape.width,        t->real,
                           NULL,     o->r1_gamma,     (double)o->r1_interval};
    if (o->augment != HO_AUGMENT_NONE) {
        draw_augmentations(t, "train-gan/r1/augment");
        args.augmentations = t->augmentations;
    }
    HO_TRY(ho_gan_r1(t->context, t->d, &args, &t->last_r1));
    HO_TRY(check_finite(t, "the R1 penalty", t->last_r1));
    return step_d(t);
}

static ho_status average(ho_gan_trainer *t) {
    const ho_gan_options *o = &t->options;
    const double seen = (double)(t->iteration * o->batch);
    double half_life = 1000.0 * o->ema_kimg;
    if (o->ema_rampup > 0.0 && seen * o->ema_rampup < half_life) {
        half_life = seen * o->ema_rampup;
    }
    const double beta = pow(0.5, (double)o->batch / fmax(half_life, 1e-8));
    return ho_params_lerp(ho_generator_params(t->g_ema), ho_generator_params(t->g), 1.0 - beta);
}

/* p rises while the discriminator tells reals too surely, and falls otherwise. */
static void control_p(ho_gan_trainer *t, double sign) {
    const ho_gan_options *o = &t->options;
    t->sign_sum += sign;
    if ((t->iteration + 1) % ADA_INTERVAL != 0) {
        return;
    }
    t->r_t = t->sign_sum / ADA_INTERVAL;
    t->sign_sum = 0.0;
    if (o->augment == HO_AUGMENT_ADA) {
        const double direction = (t->r_t > o->ada_target) - (t->r_t < o->ada_target);
        const double p = t->p + direction * (double)(o->batch * ADA_INTERVAL) / (1000.0 * o->ada_kimg);
        t->p = fmin(fmax(p, 0.0), 1.0);
    }
}

static ho_status iteration(ho_gan_trainer *t, ho_gan_report *report) {
    load_real(t);
    HO_TRY(phase_g(t, &report->loss_g));
    HO_TRY(phase_d(t, &report->loss_d, &report->sign));
    HO_TRY(phase_r1(t));
    HO_TRY(average(t));
    control_p(t, report->sign);
    ++t->iteration;
    report->r1 = t->last_r1;
    report->r_t = t->r_t;
    report->p = t->p;
    return HO_OK;
}

ho_status ho_gan_trainer_step(ho_gan_trainer *trainer, ho_gan_report *report) {
    *report = (ho_gan_report){0};
    const ho_status status = iteration(trainer, report);
    ho_context_record(trainer->context, false);
    ho_context_reset(trainer->context);
    return status;
}
