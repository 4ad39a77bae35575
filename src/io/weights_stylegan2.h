/* What import and export of StyleGAN2 share: sizes, names, plans. */
#ifndef HANDSOFF_IO_WEIGHTS_STYLEGAN2_H
#define HANDSOFF_IO_WEIGHTS_STYLEGAN2_H

#include "weights_plan.h"

enum { HO_NAME = 128 };

/* The sizes that generator.h5 has as attributes (handsoff/stylegan2.h), and the number of resolutions. */
typedef struct {
    int64_t height, width, z_dim, w_dim, channel_base, channel_max, mapping_layers, n_blocks;
} ho_sg2;

int64_t ho_sg2_channels(const ho_sg2 *s, int64_t k); /* of the maps of height 4 << k */
int64_t ho_sg2_wide(const ho_sg2 *s, int64_t r);     /* width of the maps of height r */

/* Name of a tensor of block k: layer conv0, conv1 or torgb; leaf affine.weight, affine.bias, weight, noise_const,
 * noise_strength or bias. `ros`: in rosinality's naming. */
void ho_stylegan2_name(bool ros, int64_t k, const char *layer, const char *leaf, char name[HO_NAME]);
const char *ho_stylegan2_fc_name(bool ros, int64_t i, const char *leaf, char name[HO_NAME]);

/* Sizes from the shapes below the plan's prefix. HO_EFORMAT where they are no StyleGAN2's. */
ho_status ho_sg2_shape(const ho_plan *plan, bool ros, ho_sg2 *s);
ho_status ho_sg2_plan_generator(ho_plan *plan, bool ros, const ho_sg2 *s);
ho_status ho_sg2_plan_discriminator(ho_plan *plan, bool ros, const ho_sg2 *s);
ho_status ho_sg2_check_filters(ho_plan *plan);

/* Writes what a generator must have and the plan lacks, under `group`: noise planes from a fixed seed, the mean of w.
 */
ho_status ho_sg2_complete(const ho_plan *plan, bool ros, const ho_sg2 *s, ho_import *import, const char *group);

/* The average w of a file in rosinality's naming, which stands beside the network: (D), or once for every style row; or
 * NULL. */
const ho_weight *ho_sg2_average(const ho_plan *plan);

/* Writes the encoder that stands beside a generator of these sizes under "encoder/", with its shape as attributes
 * (weights_restyle.c), and marks what it has used. HO_EFORMAT where it is another network. */
ho_status ho_restyle_encoder(ho_import *import, const ho_sg2 *s, bool *used);

#endif
