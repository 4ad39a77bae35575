/* Generated pairs (latent, image), from which the encoder learns and on which its errors are measured. */
#ifndef HANDSOFF_STAGES_PAIRS_H
#define HANDSOFF_STAGES_PAIRS_H

#include "handsoff/encoder.h"
#include "handsoff/perceptual.h"

/* Pair number i is a function of (seed, stream, i), of the generator and of the two settings. */
typedef struct {
    ho_generator *generator;
    uint64_t seed;
    const char *stream;
    double truncation; /* psi                                                                    */
    double mixing;     /* probability that the rows from a random one on come from a second w    */
} ho_pairs;

/* Pairs first .. first + N - 1, unrecorded: w_plus (N, L, D) and, unless NULL, image (N, H, W, 3) with the stored noise
 * planes. */
ho_status ho_pairs_draw(ho_context *context, const ho_pairs *pairs, int64_t first, int64_t N, ho_tensor **w_plus,
                        ho_tensor **image);
/* Root mean square of w - w_avg over 4096 draws (of their own, not truncated); 1 where it is zero. */
ho_status ho_latent_scale(ho_context *context, ho_generator *generator, uint64_t seed, double *scale);

typedef struct {
    double latent; /* mean squared error of W+                                    */
    double lpips;  /* mean distance between true and predicted image              */
    double mse;    /* mean squared pixel error, images in [0, 1], not clamped     */
} ho_pair_errors;

/* Of the encoder's answers (all iterations) for the first `n` pairs. Resets the context. */
ho_status ho_pairs_errors(ho_context *context, const ho_pairs *pairs, ho_encoder *encoder, ho_perceptual *net,
                          int64_t n, ho_pair_errors *errors);

#endif
