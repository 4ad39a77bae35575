/* A run with a random 16-pixel generator, four labelled images and small settings, for tests of train-head and
 * generate. */
#ifndef HANDSOFF_TESTS_SMALL_RUN_H
#define HANDSOFF_TESTS_SMALL_RUN_H

#include "opened_run.h"

enum { SIZE = 16, CLASSES = 3, TRAIN = 4, Z = 8, HW = SIZE * SIZE };

/* Opens run `name`: 4 labelled images, 2 members, 30 steps, 23 samples in batches of 4 and shards of 10, the highest
 * fifth filtered out; and further overrides. */
void open_run(const char *name, int n, const char *const *more);
/* generator.h5, dataset.h5 and latents.h5 of the open run. */
void make_inputs(void);
/* Opens a run, makes its inputs, trains the head and generates. */
void make_set(const char *name, int n, const char *const *more);

/* All samples of synthetic_4.h5. */
typedef struct {
    int64_t n;
    uint8_t *image, *label;
    float *js, *latent, *score;
} samples;
samples read_samples(void);
void free_samples(samples *s);
/* The samples that both have are the same bits. */
void assert_same_samples(const samples *a, const samples *b);

#endif
