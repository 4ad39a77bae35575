/* StyleGAN2 (Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN"; as stylegan2-ada-pytorch,
 * training/networks.py): generator (mapping and synthesis) and residual discriminator.
 * Parameter names and file shapes are those of stylegan2-ada-pytorch ("mapping.fc0.weight",
 * "synthesis.b4.conv1.weight", "b64.conv0.weight" ...). */
#ifndef HANDSOFF_STYLEGAN2_H
#define HANDSOFF_STYLEGAN2_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/ops.h"
#include "handsoff/params.h"
#include "handsoff/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int64_t height, width; /* height a power of two, 8..1024; width == height or height / 2, as StyleGAN-Human */
    int64_t z_dim, w_dim;
    int64_t channel_base, channel_max; /* channels(r) = min(channel_base / r, channel_max), r by height */
    int64_t mapping_layers;
} ho_stylegan2_shape;

int64_t ho_stylegan2_channels(const ho_stylegan2_shape *shape, int64_t resolution);
int64_t ho_stylegan2_n_blocks(const ho_stylegan2_shape *shape); /* resolutions 4, 8, ..., height */
int64_t ho_stylegan2_n_ws(const ho_stylegan2_shape *shape);     /* L = 2 log2(height) - 2 */

typedef enum { HO_NOISE_NONE, HO_NOISE_CONST, HO_NOISE_RANDOM } ho_noise_mode;
typedef struct {
    ho_noise_mode mode;
    uint64_t seed, stream, first; /* HO_NOISE_RANDOM: sample n of convolution l (0: 4x4, then two a resolution) is drawn
                                   * from stream + l at (first + n) * h * w, h and w its plane's size */
} ho_noise;

typedef struct ho_generator ho_generator;
ho_status ho_generator_create(ho_device *device, const ho_stylegan2_shape *shape, uint64_t seed,
                              ho_generator **generator);
/* From a store written by ho_generator_write; the shape comes from its attributes. */
ho_status ho_generator_load(ho_device *device, const char *path, ho_generator **generator);
/* The shape alone of such a file; HO_EFORMAT where it is none. */
ho_status ho_generator_file_shape(const char *path, ho_stylegan2_shape *shape);
ho_status ho_generator_write(ho_generator *generator, ho_store *store); /* tensors and shape attributes */
void ho_generator_free(ho_generator *generator);
ho_params *ho_generator_params(ho_generator *generator);
const ho_stylegan2_shape *ho_generator_shape(const ho_generator *generator);

/* z (N, z_dim) -> w (N, w_dim). */
ho_status ho_generator_map(ho_context *context, ho_generator *generator, ho_tensor *z, ho_tensor **w);
/* w_avg += (mean of w over the batch - w_avg) * (1 - 0.995); outside of the tape. */
ho_status ho_generator_update_w_avg(ho_context *context, ho_generator *generator, const ho_tensor *w);
/* w' = w_avg + psi (w - w_avg) for w (N, D) or w_plus (N, L, D). */
ho_status ho_generator_truncate(ho_context *context, ho_generator *generator, ho_tensor *w, double psi, ho_tensor **y);
/* w_avg as a host array of w_dim. */
ho_status ho_generator_w_avg(ho_generator *generator, float *w_avg);

/* The style-block outputs that austinxu87/handsoff builds hypercolumns from
 * (stylegan2_pytorch.py, g_synthesis): L maps, [0] the constant, [1] the 4x4 convolution, then two a resolution.
 */
enum { HO_MAX_STYLE_BLOCKS = 18 };
typedef struct {
    int n;
    ho_tensor *map[HO_MAX_STYLE_BLOCKS]; /* (N, h, w, C_l) */
} ho_style_blocks;
/* Channels and height of the map l. */
int64_t ho_style_block_channels(const ho_stylegan2_shape *shape, int64_t l);
int64_t ho_style_block_height(const ho_stylegan2_shape *shape, int64_t l);

/* w_plus (N, L, D) -> image (N, height, width, 3), nominally in [-1, 1]; *blocks is filled when not NULL (and then its
 * maps are kept alive; otherwise each map's memory returns to the arena when the next layer has read it, unless the
 * context records). noise NULL: the stored planes, HO_NOISE_CONST. */
ho_status ho_generator_synthesize(ho_context *context, ho_generator *generator, ho_tensor *w_plus,
                                  const ho_noise *noise, ho_style_blocks *blocks, ho_tensor **image);

typedef struct ho_discriminator ho_discriminator;
ho_status ho_discriminator_create(ho_device *device, const ho_stylegan2_shape *shape, int64_t mbstd_group,
                                  uint64_t seed, ho_discriminator **discriminator);
void ho_discriminator_free(ho_discriminator *discriminator);
ho_params *ho_discriminator_params(ho_discriminator *discriminator);
/* image (N, H, W, 3) -> logits (N, 1). With image_dot (same shape) also the tangent: the derivative of the logits along
 * image_dot, whose reverse pass gives the exact R1 gradient (src/nn/gan_r1.c). image_dot and logits_dot may be NULL. */
ho_status ho_discriminator_forward(ho_context *context, ho_discriminator *discriminator, ho_tensor *image,
                                   ho_tensor *image_dot, ho_tensor **logits, ho_tensor **logits_dot);

#ifdef __cplusplus
}
#endif
#endif
