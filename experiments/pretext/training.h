/* What the two trainings on procedural pictures share: the step size, and a state to go on from. */
#ifndef HANDSOFF_PRETEXT_TRAINING_H
#define HANDSOFF_PRETEXT_TRAINING_H

#include "handsoff/params.h"

/* Step size of Adam at `step` of `steps`: a linear rise to `rate` over 50 steps, times a half cosine to zero. */
double pretext_rate(double rate, int64_t step, int64_t steps);

/* Parameters, both moments of Adam and the step. */
ho_status pretext_save(const char *path, ho_params *params, ho_adam *adam, int64_t step);
ho_status pretext_load(const char *path, ho_params *params, ho_adam *adam, int64_t *step);

#endif
