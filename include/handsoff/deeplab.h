/* A small DeepLabV3 (Chen et al. 2017, "Rethinking atrous convolution for semantic image segmentation"; as
 * torchvision's deeplabv3): the residual backbone, atrous spatial pyramid pooling, a 3x3 head and a 1x1 classifier,
 * logits scaled up bilinearly to the input. A = 2C channels in the head. Tensors carry torchvision's names:
 * "backbone.layer1.0.conv1.weight" ..., "classifier.0.convs.I.0.weight" (I = 0: 1x1; 1, 2, 3: dilated 3x3),
 * "classifier.0.convs.4.1.weight" (image pooling), "classifier.0.project.0.weight", "classifier.1.weight",
 * "classifier.4.weight|bias", and their batch norms.
 *
 * The published rates 12, 24, 36 belong to maps of 64 pixels (512 at output stride 8). They are scaled with the map's
 * shorter side M: rate_i = max(1, round(12 i M / 64)). */
#ifndef HANDSOFF_DEEPLAB_H
#define HANDSOFF_DEEPLAB_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/backbone.h"
#include "handsoff/params.h"
#include "handsoff/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    ho_backbone_shape backbone;
    int64_t K; /* classes, 1 .. 255 */
} ho_deeplab_shape;

typedef struct ho_deeplab ho_deeplab;

ho_status ho_deeplab_create(ho_device *device, const ho_deeplab_shape *shape, uint64_t seed, ho_deeplab **network);
/* From a file that ho_deeplab_write wrote. */
ho_status ho_deeplab_load(ho_device *device, const char *path, ho_deeplab **network);
ho_status ho_deeplab_write(ho_deeplab *network, ho_store *store); /* tensors and shape attributes */
void ho_deeplab_free(ho_deeplab *network);                        /* NULL is allowed */
ho_params *ho_deeplab_params(ho_deeplab *network);
const ho_deeplab_shape *ho_deeplab_shape_of(const ho_deeplab *network);

/* Takes the backbone's tensors from a file whose names begin with "backbone." (the head keeps its initial values). A
 * backbone of another width or depth is HO_ECONFIG and says what the file fits. */
ho_status ho_deeplab_load_backbone(ho_deeplab *network, const char *path);
/* The same failures, for a backbone of this width and depth, without reading its tensors. */
ho_status ho_backbone_check_file(const char *path, int64_t channels, int64_t blocks);

/* x (N,H,W,3), normalised (ho_normalise_pixels) -> logits (N,H,W,K). training: batch statistics (N at least 2) and
 * dropout of 0.1 on the projection, a function of (seed, step). */
typedef struct {
    bool training;
    uint64_t seed;
    int64_t step;
} ho_deeplab_mode;
ho_status ho_deeplab_logits(ho_context *context, ho_deeplab *network, ho_tensor *x, const ho_deeplab_mode *mode,
                            ho_tensor **logits);

/* Class of each pixel of n images (n,H,W,3) bytes -> labels (n,H,W), ties to the smaller class; `batch` at a time. */
ho_status ho_deeplab_predict(ho_context *context, ho_deeplab *network, const uint8_t *images, int64_t n, int64_t batch,
                             uint8_t *labels);

#ifdef __cplusplus
}
#endif
#endif
