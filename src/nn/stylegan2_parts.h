/* What the files of the StyleGAN2 generator and discriminator share. */
#ifndef HANDSOFF_NN_STYLEGAN2_PARTS_H
#define HANDSOFF_NN_STYLEGAN2_PARTS_H

#include "handsoff/stylegan2.h"

/* 1024 pixels: resolutions 4..1024, one 3x3 convolution at 4x4 and two at each further resolution. */
enum { HO_MAX_BLOCKS = 9, HO_MAX_STYLED = 17, HO_MAX_MAPPING = 64 };

/* A convolution modulated by a style. toRGB layers have no noise. */
typedef struct {
    ho_tensor *affine_weight, *affine_bias; /* (I, D), (I): style of the input channels */
    ho_tensor *weight, *bias;               /* (O, k, k, I), (O)                        */
    ho_tensor *noise_const, *strength;      /* (h, w), (1); NULL for toRGB              */
} ho_styled_conv;

struct ho_generator {
    ho_device *device; /* borrowed */
    ho_stylegan2_shape shape;
    ho_params *params;
    ho_tensor *fc_weight[HO_MAX_MAPPING], *fc_bias[HO_MAX_MAPPING], *w_avg;
    ho_tensor *constant;                 /* (4, 4 width / height, C) */
    ho_styled_conv conv[HO_MAX_STYLED];  /* conv[l] uses style row l */
    ho_styled_conv torgb[HO_MAX_BLOCKS]; /* torgb[k] uses row 2 k + 1 */
};

/* Height, width and channels; with `mapping` also what only the generator has. */
ho_status ho_stylegan2_check(const ho_stylegan2_shape *shape, bool mapping);
/* Width of the maps of height `resolution`. */
int64_t ho_stylegan2_width(const ho_stylegan2_shape *shape, int64_t resolution);

#endif
