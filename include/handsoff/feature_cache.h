/* Style-block maps of the labelled images at their own resolutions, in half precision on the device: what the label
 * head learns from. The hypercolumn of a pixel is interpolated when a batch asks for it, in place of the
 * table of all pixels that austinxu87/handsoff keeps (train_label_generator.py). */
#ifndef HANDSOFF_FEATURE_CACHE_H
#define HANDSOFF_FEATURE_CACHE_H

#include <stdint.h>

#include "handsoff/stylegan2.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ho_feature_cache ho_feature_cache;

/* Room for n_images images of `shape` and the style blocks block[0..n_blocks-1], for labels of H x W pixels. An error
 * that names `head.cache_gb` when more than max_bytes would be needed. */
typedef struct {
    const ho_stylegan2_shape *generator;
    int n_blocks;
    const int64_t *block;
    int64_t n_images, H, W;
    double max_bytes;
} ho_feature_cache_options;
ho_status ho_feature_cache_create(ho_device *device, const ho_feature_cache_options *options, ho_feature_cache **cache);
void ho_feature_cache_free(ho_feature_cache *cache);
int64_t ho_feature_cache_channels(const ho_feature_cache *cache); /* width of a hypercolumn */

/* Stores the maps of images first, first + 1, ... (as many as the maps hold). */
ho_status ho_feature_cache_put(ho_context *context, ho_feature_cache *cache, int64_t first,
                               const ho_style_blocks *blocks);
/* Hypercolumns of `count` pixels, numbered (image * H + h) * W + w: rows (count / per_row, per_row * channels). */
ho_status ho_feature_cache_gather(ho_context *context, const ho_feature_cache *cache, const int64_t *pixel,
                                  int64_t count, int64_t per_row, ho_tensor **rows);

#ifdef __cplusplus
}
#endif
#endif
