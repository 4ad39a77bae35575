/* What an encoder is made of: its tensors, and which network computes with them. */
#ifndef HANDSOFF_NN_ENCODER_PARTS_H
#define HANDSOFF_NN_ENCODER_PARTS_H

#include "handsoff/encoder.h"

/* A network that corrects latents. */
typedef struct {
    ho_status (*check)(const ho_encoder_shape *shape); /* HO_ESHAPE for a shape that cannot be */
    /* Declares its tensors; *layers is its own, from malloc, and freed with free(). */
    ho_status (*declare)(ho_params *params, const ho_encoder_shape *shape, void **layers);
    /* x: the image, or image and reconstruction (N, height, width, 3 or 6) -> correction (N, L, D). */
    ho_status (*correct)(ho_context *context, const ho_encoder *encoder, ho_tensor *x, bool training,
                         ho_tensor **correction);
} ho_encoder_network;

struct ho_encoder {
    ho_encoder_shape shape;
    const ho_encoder_network *network;
    ho_params *params;
    void *layers;          /* of the network */
    double scale;          /* the value of latent_scale on the host */
    ho_tensor *latent_avg; /* (L, D), or NULL: passes begin at the generator's w_avg */
};

extern const ho_encoder_network ho_encoder_plain, ho_encoder_published;

/* Width of the maps of a stage: `channels`, doubled per stage up to max_channels. */
int64_t ho_encoder_stage_width(const ho_encoder_shape *shape, int64_t stage);

/* ---- the heads of the published encoders (encoder_heads.c) --------------------------------------------------------
 */

enum { HO_HEAD_CONVS = 6, HO_HEAD_STYLES = 18 };
typedef struct {
    int n;
    ho_tensor *weight[HO_HEAD_CONVS], *bias[HO_HEAD_CONVS], *linear_weight, *linear_bias;
} ho_style_head;
typedef struct {
    ho_style_head style[HO_HEAD_STYLES];
    ho_tensor *lateral_weight[2], *lateral_bias[2]; /* of a pyramid */
} ho_style_heads;

ho_status ho_style_heads_declare(ho_params *params, const ho_encoder_shape *shape, ho_style_heads *heads);
/* maps: the last stages' outputs; [0] of the last (N,h,w,C), and where the shape has a pyramid [1] and [2] of the two
 * before it. Takes them over. */
ho_status ho_style_heads_apply(ho_context *context, const ho_encoder *encoder, const ho_style_heads *heads,
                               ho_tensor *maps[3], ho_tensor **correction);

#endif
