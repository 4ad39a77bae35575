/* The residual backbone. See the header for shapes and strides. */
#include "handsoff/backbone.h"

#include <math.h>
#include <stdio.h>

enum { MIN_SIZE = 8, DILATED_FROM = 2 /* first stage that dilates instead of halving */ };

static int64_t shorter_side(const ho_backbone_shape *shape) {
    return shape->height < shape->width ? shape->height : shape->width;
}

static int64_t stem_stride(const ho_backbone_shape *shape) {
    return shorter_side(shape) <= 32 ? 1 : 2;
}

static bool has_pool(const ho_backbone_shape *shape) {
    return shorter_side(shape) > 64;
}

static int64_t stage_channels(const ho_backbone_shape *shape, int stage) {
    static const int64_t FACTOR[HO_BACKBONE_STAGES] = {1, 2, 4, 4};
    return FACTOR[stage] * shape->channels;
}

int64_t ho_backbone_channels(const ho_backbone_shape *shape) {
    return stage_channels(shape, HO_BACKBONE_STAGES - 1);
}

int64_t ho_backbone_stride(const ho_backbone_shape *shape) {
    return stem_stride(shape) * (has_pool(shape) ? 2 : 1) * 2;
}

/* ---- declaration
 * ------------------------------------------------------------------------------------------------------------ */

ho_status ho_batch_norm_declare(ho_params *params, int64_t C, const char *name, ho_batch_norm_params *norm) {
    HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_ONE, HO_FILE_SAME, HO_SHAPE(C), &norm->weight, "%s.weight", name));
    HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(C), &norm->bias, "%s.bias", name));
    HO_TRY(ho_params_add(params, HO_BUFFER, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(C), &norm->running_mean,
                         "%s.running_mean", name));
    return ho_params_add(params, HO_BUFFER, HO_INIT_ONE, HO_FILE_SAME, HO_SHAPE(C), &norm->running_var,
                         "%s.running_var", name);
}

ho_status ho_conv_norm_declare(ho_params *params, int64_t O, int64_t k, int64_t I, const char *weight, const char *norm,
                               ho_conv_norm *conv) {
    const double std = sqrt(2.0 / (double)(k * k * O));
    HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_NORMAL(std), HO_FILE_OIHW, HO_SHAPE(O, k, k, I), &conv->weight, "%s",
                         weight));
    return ho_batch_norm_declare(params, O, norm, &conv->norm);
}

static ho_status declare_block(ho_params *params, const char *name, int64_t O, int64_t I, ho_residual_block *block) {
    char weight[96], norm[96];
    for (int i = 0; i < 2; ++i) {
        snprintf(weight, sizeof weight, "%s.conv%d.weight", name, i + 1);
        snprintf(norm, sizeof norm, "%s.bn%d", name, i + 1);
        HO_TRY(ho_conv_norm_declare(params, O, 3, i == 0 ? I : O, weight, norm, &block->conv[i]));
    }
    if (O == I && block->stride == 1) {
        block->shortcut.weight = NULL;
        return HO_OK;
    }
    snprintf(weight, sizeof weight, "%s.downsample.0.weight", name);
    snprintf(norm, sizeof norm, "%s.downsample.1", name);
    return ho_conv_norm_declare(params, O, 1, I, weight, norm, &block->shortcut);
}

static ho_status check_shape(const ho_backbone_shape *s) {
    HO_REQUIRE(s->channels >= 1 && s->blocks >= 1 && s->blocks <= HO_BACKBONE_MAX_BLOCKS && s->height >= MIN_SIZE &&
                   s->width >= MIN_SIZE,
               "backbone: %lld channels, %lld blocks a stage, input %lldx%lld; right are at least 1 channel, 1 to %d "
               "blocks and at least %dx%d pixels",
               (long long)s->channels, (long long)s->blocks, (long long)s->height, (long long)s->width,
               HO_BACKBONE_MAX_BLOCKS, MIN_SIZE, MIN_SIZE);
    return HO_OK;
}

ho_status ho_backbone_declare(ho_params *params, const ho_backbone_shape *shape, const char *prefix,
                              ho_backbone *backbone) {
    char weight[64], norm[64];
    HO_TRY(check_shape(shape));
    backbone->shape = *shape;
    snprintf(weight, sizeof weight, "%sconv1.weight", prefix);
    snprintf(norm, sizeof norm, "%sbn1", prefix);
    HO_TRY(ho_conv_norm_declare(params, shape->channels, 3, 3, weight, norm, &backbone->stem));
    int64_t I = shape->channels, dilation = 1;
    for (int s = 0; s < HO_BACKBONE_STAGES; ++s) {
        for (int b = 0; b < shape->blocks; ++b) {
            ho_residual_block *block = &backbone->block[s][b];
            block->stride = s == 1 && b == 0 ? 2 : 1;
            block->dilation[0] = dilation;
            dilation = s >= DILATED_FROM && b == 0 ? 2 * dilation : dilation;
            block->dilation[1] = dilation;
            snprintf(weight, sizeof weight, "%slayer%d.%d", prefix, s + 1, b);
            HO_TRY(declare_block(params, weight, stage_channels(shape, s), I, block));
            I = stage_channels(shape, s);
        }
    }
    return HO_OK;
}

/* ---- evaluation
 * ------------------------------------------------------------------------------------------------------------ */

ho_status ho_conv_norm_apply(ho_context *context, const ho_conv_norm *conv, ho_tensor *x,
                             const ho_conv_options *options, bool relu, bool training, ho_tensor **y) {
    const ho_act act = HO_ACT_RELU;
    HO_TRY(ho_conv2d(context, x, conv->weight, options, y));
    HO_TRY(ho_batch_norm(context, *y, &conv->norm, training, y));
    return relu ? ho_bias_act(context, *y, NULL, &act, y) : HO_OK;
}

static ho_status apply_block(ho_context *context, const ho_residual_block *block, ho_tensor *x, bool training,
                             ho_tensor **y) {
    const ho_act act = HO_ACT_RELU;
    const ho_conv_options first = {block->stride, block->dilation[0], block->dilation[0]};
    const ho_conv_options second = {1, block->dilation[1], block->dilation[1]};
    const ho_conv_options point = {block->stride, 0, 1};
    ho_tensor *inner, *around = x;
    HO_TRY(ho_conv_norm_apply(context, &block->conv[0], x, &first, true, training, &inner));
    HO_TRY(ho_conv_norm_apply(context, &block->conv[1], inner, &second, false, training, &inner));
    if (block->shortcut.weight != NULL) {
        HO_TRY(ho_conv_norm_apply(context, &block->shortcut, x, &point, false, training, &around));
    }
    HO_TRY(ho_add(context, inner, 1.0, around, 1.0, y));
    return ho_bias_act(context, *y, NULL, &act, y);
}

ho_status ho_backbone_features(ho_context *context, const ho_backbone *backbone, ho_tensor *x, bool training,
                               ho_tensor **features) {
    const ho_backbone_shape *s = &backbone->shape;
    const ho_conv_options stem = {stem_stride(s), 1, 1};
    const ho_pool_options pool = {3, 2, 1, false};
    HO_REQUIRE(x->rank == 4 && x->dim[1] == s->height && x->dim[2] == s->width && x->dim[3] == 3,
               "backbone: input %s; right is (N, %lld, %lld, 3)", ho_tensor_shape_text(x), (long long)s->height,
               (long long)s->width);
    HO_TRY(ho_conv_norm_apply(context, &backbone->stem, x, &stem, true, training, &x));
    if (has_pool(s)) {
        HO_TRY(ho_max_pool(context, x, &pool, &x));
    }
    for (int stage = 0; stage < HO_BACKBONE_STAGES; ++stage) {
        for (int b = 0; b < s->blocks; ++b) {
            HO_TRY(apply_block(context, &backbone->block[stage][b], x, training, &x));
        }
    }
    *features = x;
    return HO_OK;
}

void ho_normalise_pixels(const uint8_t *pixels, int64_t n, float *normalised) {
    static const double MEAN[3] = {0.485, 0.456, 0.406}, STD[3] = {0.229, 0.224, 0.225};
    float table[3][256];
    for (int c = 0; c < 3; ++c) {
        for (int v = 0; v < 256; ++v) {
            table[c][v] = (float)((v / 255.0 - MEAN[c]) / STD[c]);
        }
    }
    for (int64_t i = 0; i < n; ++i) {
        for (int c = 0; c < 3; ++c) {
            normalised[3 * i + c] = table[c][pixels[3 * i + c]];
        }
    }
}
