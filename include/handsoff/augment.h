/* Differentiable augmentation of what the discriminator sees: geometry and colour, the default pipe of StyleGAN2-ADA
 * (Karras et al. 2020, "Training generative adversarial networks with limited data",
 * appendix B; stylegan2-ada-pytorch, training/augment.py: "bgc").
 *
 * Geometry: x-flip, quarter turns, integer shift, isotropic scale, rotation, anisotropic scale, rotation, fractional
 * shift, composed to one matrix. Colour: brightness, contrast, luma flip, hue, saturation, composed to another. The
 * resampling is that of kernels/augment.cu. Formulas that draw the matrices: src/ops/augment.c. */
#ifndef HANDSOFF_AUGMENT_H
#define HANDSOFF_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What happens to one image. */
typedef struct {
    bool geometry; /* false: `inverse` is the identity, and pixels are not resampled */
    /* Where the pixel at (x, y) of the result comes from, in pixels from the image's centre:
     * (inverse[0][0] x + inverse[0][1] y + inverse[0][2], inverse[1][0] x + ...). */
    double inverse[2][3];
    /* rgb' = color[.][0..2] rgb + color[.][3], values in [-1, 1]. */
    double matrix[3][4];
} ho_augmentation;

/* No change at all. */
void ho_augment_identity(ho_augmentation *augmentation);
/* The transformation of image number `index` of the stream: each kind is applied with probability p. A function of its
 * arguments alone, p and size included. */
void ho_augment_draw(double p, int64_t H, int64_t W, uint64_t seed, uint64_t stream, uint64_t index,
                     ho_augmentation *augmentation);

/* x (N, H, W, 3) -> y of the same shape; augmentations: host array of N. H and W at least 2. Gradient to x: the exact
 * adjoint. Images that only change colour keep their pixels where they are, exactly. */
ho_status ho_augment(ho_context *context, ho_tensor *x, const ho_augmentation *augmentations, ho_tensor **y);
/* The derivative of the above along x_dot: the same without the colour offset (it is linear in x_dot). */
ho_status ho_augment_tangent(ho_context *context, ho_tensor *x_dot, const ho_augmentation *augmentations,
                             ho_tensor **y_dot);

#ifdef __cplusplus
}
#endif
#endif
