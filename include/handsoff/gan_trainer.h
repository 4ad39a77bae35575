/* StyleGAN2 training: the non-saturating logistic loss, lazy R1, style mixing, moving average, adaptive augmentation
 * (Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", and "Training generative adversarial
 * networks with limited data"; as stylegan2-ada-pytorch, training/loss.py and training/training_loop.py; R1: Mescheder
 * et al. 2018). A step is a function of the state alone, and every random draw of
 * (seed, iteration), so that a trainer restored from its checkpoint goes on to the same bits. */
#ifndef HANDSOFF_GAN_TRAINER_H
#define HANDSOFF_GAN_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handsoff/augment.h"
#include "handsoff/store.h"
#include "handsoff/stylegan2.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { HO_AUGMENT_NONE, HO_AUGMENT_FIXED, HO_AUGMENT_ADA } ho_augment_mode;

typedef struct {
    ho_stylegan2_shape shape;
    uint64_t seed;
    int64_t batch, mbstd_group, r1_interval;
    double lr, beta1, beta2;
    double r1_gamma; /* 0: no R1 steps                                       */
    double mixing;   /* probability of style mixing                          */
    double ema_kimg, ema_rampup;
    bool mirror;
    ho_augment_mode augment;
    double augment_p; /* initial for ada, constant for fixed                 */
    double ada_target, ada_kimg;
} ho_gan_options;

/* What the last step saw. */
typedef struct {
    double loss_g, loss_d;
    double r1;   /* penalty of the last R1 step              */
    double sign; /* mean sign of D(real) in this iteration   */
    double r_t;  /* its mean over the last four, when p moved */
    double p;    /* augmentation probability                 */
} ho_gan_report;

typedef struct ho_gan_trainer ho_gan_trainer;
/* images: n pointers to (height, width, 3) bytes, borrowed with all they point to. */
ho_status ho_gan_trainer_create(ho_device *device, const ho_gan_options *options, int64_t n,
                                const uint8_t *const *images, ho_gan_trainer **trainer);
void ho_gan_trainer_free(ho_gan_trainer *trainer); /* NULL is allowed */

/* Starts from the networks of another training's checkpoint, of any image size: tensors of the same name and shape are
 * taken, the others keep their random values; optimisers, counters and p start anew. *n_taken of *n tensors of the
 * generator and the discriminator fit; none is HO_EFORMAT. */
ho_status ho_gan_trainer_init(ho_gan_trainer *trainer, ho_store *store, int *n_taken, int *n);
/* One iteration: Gmain, Dmain and every r1_interval-th time R1; then the moving average and the control of p. A loss
 * that is not finite is HO_ENUMERIC, with the iteration. */
ho_status ho_gan_trainer_step(ho_gan_trainer *trainer, ho_gan_report *report);
int64_t ho_gan_trainer_images_seen(const ho_gan_trainer *trainer);
size_t ho_gan_trainer_peak_bytes(const ho_gan_trainer *trainer); /* device memory of a step */
/* The moving average: what is saved and looked at. Owned by the trainer. */
ho_generator *ho_gan_trainer_generator(ho_gan_trainer *trainer);
/* Images `first`.. of the stream, n of them, by the moving average with constant noise and psi = 1: bytes (n, H, W, 3).
 */
ho_status ho_gan_trainer_samples(ho_gan_trainer *trainer, const char *stream, int64_t first, int64_t n,
                                 uint8_t *images);

/* The whole state: three networks, both optimisers, counters, p. */
ho_status ho_gan_trainer_write(ho_gan_trainer *trainer, ho_store *store);
ho_status ho_gan_trainer_read(ho_gan_trainer *trainer, ho_store *store);

/* ---- R1 (src/nn/gan_r1.c) ---------------------------------------------------------------------------------------- */

/* The penalty (gamma / 2) mean_n ||grad of sum_m D(aug(x_m)) with respect to x_n||^2 of host images (N, H, W, 3), the
 * un-augmented ones; augmentations: N, or NULL for none. Resets the context. With weight != 0 also adds `weight` times
 * the penalty's gradient to that of the discriminator's parameters. */
typedef struct {
    int64_t N, H, W;
    const float *images;
    const ho_augmentation *augmentations;
    double gamma, weight;
} ho_gan_r1_args;
ho_status ho_gan_r1(ho_context *context, ho_discriminator *discriminator, const ho_gan_r1_args *args, double *penalty);

#ifdef __cplusplus
}
#endif
#endif
