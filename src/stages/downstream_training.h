/* Training of one segmentation network on labelled images in memory; the same for every method of the comparison. */
#ifndef HANDSOFF_STAGES_DOWNSTREAM_TRAINING_H
#define HANDSOFF_STAGES_DOWNSTREAM_TRAINING_H

#include "handsoff/augment_labelled.h"
#include "handsoff/deeplab.h"
#include "handsoff/store.h"

typedef struct {
    uint64_t seed; /* of initial values, order of images, augmentation, dropout */
    int64_t steps, batch;
    double lr; /* Adam's; falls to 0 by half a cosine */
    ho_labelled_augmentation augmentation;
} ho_downstream_options;

/* n images (H, W, 3) and labels (H, W), 255 = ignored: row index[i] of `images` is image i; index NULL: row i. */
typedef struct {
    int64_t n;
    const uint8_t *images, *labels;
    const int64_t *index;
} ho_downstream_images;

typedef struct ho_downstream_training ho_downstream_training;

/* images: borrowed. HO_EFORMAT for a label that is neither below K nor 255. */
ho_status ho_downstream_training_create(ho_device *device, const ho_downstream_options *options,
                                        const ho_deeplab_shape *shape, const ho_downstream_images *images,
                                        ho_downstream_training **training);
void ho_downstream_training_free(ho_downstream_training *training); /* NULL is allowed */

/* One step. Every image is shown once an epoch, in an order of its own, with a change of its own. HO_ENUMERIC when the
 * loss is no longer finite. */
ho_status ho_downstream_training_step(ho_downstream_training *training, double *loss);
int64_t ho_downstream_training_steps(const ho_downstream_training *training);       /* taken so far */
ho_deeplab *ho_downstream_training_network(const ho_downstream_training *training); /* borrowed     */

/* The whole state: training that continues from it ends with the same bits. */
ho_status ho_downstream_training_save(ho_downstream_training *training, ho_store *store);
ho_status ho_downstream_training_restore(ho_downstream_training *training, ho_store *store);

#endif
