/* LPIPS (Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual metric", equation 1;
 * richzhang/PerceptualSimilarity, lpips/lpips.py) over the convolutional part of VGG16, AlexNet or SqueezeNet 1.1.
 *
 * Weights file (HDF5), attributes: topology "vgg16" | "alexnet" | "squeezenet1_1"; bgr 0/1; pool_ceil 0/1: max pools
 * round their size up. Data sets shift (3), scale (3), f32: x in [-1, 1] becomes (x - shift) / scale per channel, in
 * the order RGB; with bgr 1, red and blue are then swapped. Tensors, f32: torchvision's names ("features.0.weight"
 * (O,I,k,k), "features.0.bias"; squeezenet "features.3.squeeze.weight" ...), any width; "lin0" ... (C) are the linear
 * layers, absent = unit weights. */
#ifndef HANDSOFF_PERCEPTUAL_H
#define HANDSOFF_PERCEPTUAL_H

#include "handsoff/ops.h"
#include "handsoff/params.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HO_MAX_TAPS = 7 };
typedef struct {
    int n;
    ho_tensor *map[HO_MAX_TAPS];
} ho_taps;

typedef struct ho_perceptual ho_perceptual;
/* Reads the weights file above. HO_EFORMAT names what is missing or differs; a topology may have any widths. */
ho_status ho_perceptual_load(ho_device *device, const char *path, ho_perceptual **net);
/* HO_EFORMAT unless the file says that it is such a network; its tensors are not read. */
ho_status ho_perceptual_check_file(const char *path);
/* VGG16 of standard width with no values: for devices that count (dry.h), where the file is not there yet. */
ho_status ho_perceptual_create_blank(ho_device *device, ho_perceptual **net);
void ho_perceptual_free(ho_perceptual *net); /* NULL is allowed */
ho_params *ho_perceptual_params(ho_perceptual *net);
const char *ho_perceptual_topology(const ho_perceptual *net);

/* The image itself where both sides reach the least size below, else the image doubled bilinearly until they do: so
 * that any size can be compared. */
ho_status ho_perceptual_fit(ho_context *context, const ho_perceptual *net, ho_tensor *image, ho_tensor **fitted);
/* image (N,H,W,3) in [-1,1], H and W at least 16 (vgg16), 63 (alexnet), 17 (squeezenet1_1) -> taps after the ReLUs of
 * lpips/pretrained_networks.py. The network is frozen: gradients flow to the image only. */
ho_status ho_perceptual_features(ho_context *context, ho_perceptual *net, ho_tensor *image, ho_taps *taps);
/* Distance per sample (N): the sum of the taps. The target's taps may come from an earlier, unrecorded call. */
ho_status ho_perceptual_distance(ho_context *context, ho_perceptual *net, const ho_taps *a, const ho_taps *b,
                                 ho_tensor **distance);
/* Both at once. */
ho_status ho_lpips(ho_context *context, ho_perceptual *net, ho_tensor *a, ho_tensor *b, ho_tensor **distance);

#ifdef __cplusplus
}
#endif
#endif
