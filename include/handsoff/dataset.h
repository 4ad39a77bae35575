/* dataset.h5: labelled and unlabelled images of one size, in one layout whatever they came from.
 *
 *   /SPLIT/image     (n, H, W, 3) u8     SPLIT = train (labelled) | test (labelled) | unlabelled
 *   /SPLIT/label     (n, H, W)    u8     class in [0, K), 255 = ignore        (train and test)
 *   /SPLIT/keypoint  (n, J, 3)    f32    x, y in pixels (pixel centres at .5), visibility 0/1   (optional)
 *   /SPLIT/depth     (n, H, W)    f32    metres, 0 = unknown                  (optional)
 *   /SPLIT/name      (n) strings         where each image came from
 *   /train/latent    (n, rows, width) f32 latents that came with the images: format handsoff (optional; not read here)
 *   /class_name      (K) strings;  /palette (K, 3) u8;  /keypoint_name (J) strings
 */
#ifndef HANDSOFF_DATASET_H
#define HANDSOFF_DATASET_H

#include <stdint.h>

#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int n, height, width;
    uint8_t *images;  /* (n, H, W, 3)                */
    uint8_t *labels;  /* (n, H, W), NULL if none     */
    float *keypoints; /* (n, J, 3), NULL if none     */
    float *depth;     /* (n, H, W), NULL if none     */
    char **names;     /* n strings, one block        */
} ho_split;

typedef struct {
    ho_split train, test, unlabelled; /* n == 0 where absent */
    int n_classes, n_keypoints;
    char **class_names, **keypoint_names;
    uint8_t (*palette)[3];
} ho_dataset;

/* Reads the whole file into memory and checks that labels are below K or 255. */
ho_status ho_dataset_read(const char *path, ho_dataset *dataset);
void ho_dataset_free(ho_dataset *dataset);

/* The first `n` labelled images that training may use: the order is a function of (seed, n_train), so that 16 is a part
 * of
 * 50. indices has room for n. */
ho_status ho_dataset_choose(const ho_dataset *dataset, int n, uint64_t seed, int64_t *indices);

/* Embedded drawings: face number `index` of the stream (seed): image, label (8 classes), 5 keypoints, depth in metres.
 * A function of its arguments alone. Buffers: (size,size,3), (size,size), (5,3), (size,size); NULL = not wanted. */
void ho_draw_toy_face(uint64_t seed, uint64_t index, int size, uint8_t *image, uint8_t *label, float *keypoint,
                      float *depth);
enum { HO_TOY_FACE_CLASSES = 8, HO_TOY_FACE_KEYPOINTS = 5 };
extern const char *const HO_TOY_FACE_CLASS_NAMES[HO_TOY_FACE_CLASSES];

#ifdef __cplusplus
}
#endif
#endif
