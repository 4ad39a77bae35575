/* The residual backbone of the segmentation network: basic blocks (two 3x3 convolutions with batch norm and a shortcut)
 * in four stages of C, 2C, 4C and 4C channels, after a 3x3 stem. Tensors carry torchvision's ResNet names with a
 * prefix, so "backbone." + "conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer2.0.downsample.0.weight" ...
 *
 * Which stages halve the map follows from the input's shorter side S, the weights' shapes do not: one set of weights
 * serves every size.
 *
 *   S        stem                              layer1  layer2      layer3                  layer4       output stride
 *   <= 32    stride 1                          1       2           dilation 2              dilation 4   2
 *   <= 64    stride 2                          1       2           dilation 2              dilation 4   4
 *   larger   stride 2, 3x3 max pool stride 2   1       2           dilation 2              dilation 4   8
 *
 * The first block of layers 3 and 4 keeps the dilation of the stage before, as torchvision's. */
#ifndef HANDSOFF_BACKBONE_H
#define HANDSOFF_BACKBONE_H

#include <stdint.h>

#include "handsoff/ops.h"
#include "handsoff/params.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HO_BACKBONE_STAGES = 4, HO_BACKBONE_MAX_BLOCKS = 8 };

typedef struct {
    int64_t channels;      /* C                                        */
    int64_t blocks;        /* a stage, 1 .. HO_BACKBONE_MAX_BLOCKS     */
    int64_t height, width; /* of the input, at least 8                 */
} ho_backbone_shape;

/* A convolution without bias, followed by batch norm. */
typedef struct {
    ho_tensor *weight;
    ho_batch_norm_params norm;
} ho_conv_norm;

typedef struct {
    ho_conv_norm conv[2], shortcut; /* shortcut.weight is NULL where input and output have one shape */
    int64_t stride, dilation[2];
} ho_residual_block;

/* Borrows the tensors of a ho_params. */
typedef struct {
    ho_backbone_shape shape;
    ho_conv_norm stem;
    ho_residual_block block[HO_BACKBONE_STAGES][HO_BACKBONE_MAX_BLOCKS];
} ho_backbone;

/* Declares a batch norm of C channels called `name`: "name.weight" (1), "name.bias" (0), "name.running_mean" (0) and
 * "name.running_var" (1). */
ho_status ho_batch_norm_declare(ho_params *params, int64_t C, const char *name, ho_batch_norm_params *norm);
/* Declares a convolution (O, k, k, I) called `weight` and its batch norm called `norm` ("norm.weight", ...). Weights
 * N(0, 2 / (k k O)) (He et al. 2015, fan-out). */
ho_status ho_conv_norm_declare(ho_params *params, int64_t O, int64_t k, int64_t I, const char *weight, const char *norm,
                               ho_conv_norm *conv);
/* y = norm(conv(x)), and ReLU after it if asked for. */
ho_status ho_conv_norm_apply(ho_context *context, const ho_conv_norm *conv, ho_tensor *x,
                             const ho_conv_options *options, bool relu, bool training, ho_tensor **y);

/* Declares all tensors under `prefix`; ho_params_commit is the caller's. HO_ESHAPE for a shape out of range. */
ho_status ho_backbone_declare(ho_params *params, const ho_backbone_shape *shape, const char *prefix,
                              ho_backbone *backbone);
int64_t ho_backbone_channels(const ho_backbone_shape *shape); /* of the features: 4C */
int64_t ho_backbone_stride(const ho_backbone_shape *shape);   /* 2, 4 or 8           */
/* x (N,H,W,3) -> features (N, ceil(H / stride), ceil(W / stride), 4C). training: batch statistics in batch norm. */
ho_status ho_backbone_features(ho_context *context, const ho_backbone *backbone, ho_tensor *x, bool training,
                               ho_tensor **features);

/* Pixels as the network wants them: (v / 255 - mean) / std per channel, with ImageNet's constants as torchvision uses
 * them. n pixels of 3 bytes. */
void ho_normalise_pixels(const uint8_t *pixels, int64_t n, float *normalised);

#ifdef __cplusplus
}
#endif
#endif
