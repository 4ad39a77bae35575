/* Training of a label head on cached features as austinxu87/handsoff does it (train_label_generator.py), with a
 * stopping rule on held-out pixels. */
#ifndef HANDSOFF_STAGES_HEAD_TRAINING_H
#define HANDSOFF_STAGES_HEAD_TRAINING_H

#include "handsoff/feature_cache.h"
#include "handsoff/label_head.h"
#include "handsoff/store.h"

typedef struct {
    uint64_t seed;
    double lr;
    int64_t batch;       /* pixels a step and member                                              */
    int64_t check_every; /* steps between looks at the held-out pixels                            */
    int64_t patience;    /* looks without a better held-out loss before stopping                  */
    int64_t max_steps;
    double held_out; /* fraction of the labelled pixels kept away; at most HO_HEAD_MAX_HELD_OUT are */
} ho_head_training_options;

enum { HO_HEAD_MAX_HELD_OUT = 4096 };

typedef struct ho_head_training ho_head_training;

/* Rare-label clean-up: in each of n images of `pixels` labels, a class >= 1 with fewer than min_pixels becomes class 0.
 */
void ho_clean_rare_labels(uint8_t *labels, int64_t n, int64_t pixels, int64_t min_pixels);

/* labels (n, H, W), 255 = ignored: borrowed, as cache is. At least one label must count. */
ho_status ho_head_training_create(ho_device *device, const ho_head_training_options *options,
                                  const ho_label_head_shape *shape, const ho_feature_cache *cache,
                                  const uint8_t *labels, int64_t n, ho_head_training **training);
void ho_head_training_free(ho_head_training *training);

/* Steps up to the next look at the held-out pixels (or to max_steps, or until interrupted() says true) and that look.
 * *done: stopped by the rule or by max_steps. interrupted may be NULL. */
ho_status ho_head_training_advance(ho_head_training *training, bool (*interrupted)(void), bool *done);

typedef struct {
    int64_t step;            /* taken so far                                    */
    int64_t n_train, n_held; /* pixels                                          */
    double loss, held_out; /* of the last batch and the last look, mean over members; held_out is 0 when none is kept */
    double best;           /* lowest held-out loss                            */
    int64_t best_step, waits; /* where it was, and looks since then              */
} ho_head_progress;
ho_head_progress ho_head_training_progress(const ho_head_training *training);
/* The members at the best look (without held-out pixels: as they are now); borrowed. */
ho_label_head *ho_head_training_result(ho_head_training *training);

/* The whole state: training that continues from it ends with the same bits. */
ho_status ho_head_training_save(ho_head_training *training, ho_store *store);
ho_status ho_head_training_restore(ho_head_training *training, ho_store *store);

#endif
