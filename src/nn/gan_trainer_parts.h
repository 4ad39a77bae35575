/* What gan_trainer.c (the step) and gan_state.c (life, checkpoints, samples) share. */
#ifndef HANDSOFF_GAN_TRAINER_PARTS_H
#define HANDSOFF_GAN_TRAINER_PARTS_H

#include "handsoff/gan_trainer.h"

struct ho_gan_trainer {
    ho_gan_options options;
    ho_context *context, *lasting; /* of a pass; of what outlasts it in a phase */
    void *graph_g, *graph_d;       /* of the phases */
    ho_generator *g, *g_ema;
    ho_discriminator *d;
    ho_adam *adam_g, *adam_d;
    const uint8_t *const *images;
    int64_t n_images;
    /* State that a checkpoint holds, next to networks and optimisers. */
    int64_t iteration;
    double p, sign_sum, r_t, last_r1;
    /* Derived. */
    int64_t epoch; /* whose order `order` is; -1: none yet */
    int64_t *order;
    float *real;                    /* (batch, H, W, 3) in [-1, 1] */
    float *logits;                  /* (batch)                     */
    ho_augmentation *augmentations; /* batch                       */
    int64_t *cut;                   /* batch                       */
};

#endif
