/* Latent refinement (austinxu87/handsoff, optimize_latents.py and utils/model_utils.py; the step sizes are those of
 * stylegan2-ada-pytorch, projector.py): W+ of given images by Adam through the frozen generator, many images at a time.
 * Nothing couples the images of a batch: losses are summed over them and Adam works element by element. */
#ifndef HANDSOFF_REFINE_H
#define HANDSOFF_REFINE_H

#include "handsoff/perceptual.h"
#include "handsoff/stylegan2.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int64_t steps; /* iterates, the start among them: steps - 1 updates */
    double lr, lr_rampup, lr_rampdown;
    double lpips, mse,
        latent; /* weights: LPIPS; squared pixel error, images in [0, 1]; squared distance to the start */
} ho_refine_options;

/* Step size of update k = 1 .. steps - 1: with t = k / steps,
 * lr * min(1, t / lr_rampup) * (0.5 - 0.5 cos(pi * min(1, (1 - t) / lr_rampdown))); a ramp of 0 is none. */
double ho_refine_lr(const ho_refine_options *options, int64_t k);

/* Host arrays of the caller. */
typedef struct {
    const float *target;                                        /* (N, H, W, 3) in [-1, 1]                         */
    const float *w_init;                                        /* (N, L, D)                                       */
    float *w_plus;                                              /* (N, L, D): the best iterate of each image       */
    float *reconstruction;                                      /* (N, H, W, 3): its image, not clamped            */
    float *lpips_before, *lpips_after, *mse_before, *mse_after; /* (N): of w_init and of w_plus, images in [0, 1]  */
    int64_t *best;                                              /* (N): which iterate was kept, 0 = w_init */
} ho_refine_job;

/* Called after each update with the mean loss (see below) of the iterate before it; false stops the refinement with
 * HO_EINTERRUPT. */
typedef bool (*ho_refine_progress)(void *user, int64_t step, double loss);

/* Loss per image: lpips * LPIPS + mse * MSE + latent * mean((w - w_init)^2). Of all iterates the one with the lowest
 * lpips * LPIPS + mse * MSE is kept for each image: the distance to the start steers, but does not judge, as
 * in the original. Noise: the stored planes. The generator must be frozen (ho_params_set_trainable). Images smaller
 * than the network takes are compared at a multiple of their size (ho_perceptual_fit). HO_ENUMERIC when the loss of a
 * start is not finite. progress may be NULL. */
ho_status ho_refine(ho_device *device, ho_generator *generator, ho_perceptual *net, const ho_refine_options *options,
                    int64_t N, const ho_refine_job *job, ho_refine_progress progress, void *user);

#ifdef __cplusplus
}
#endif
#endif
