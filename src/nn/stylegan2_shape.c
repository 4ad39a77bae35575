/* Sizes of the StyleGAN2 networks (stylegan2-ada-pytorch, training/networks.py; height / 2 wide: StyleGAN-Human). */
#include "stylegan2_parts.h"

#include <inttypes.h>

/* Larger widths are mistakes (or hostile files), and their products would overflow. */
enum { MAX_WIDTH = 65536 };

ho_status ho_stylegan2_check(const ho_stylegan2_shape *shape, bool mapping) {
    const int64_t height = shape->height;
    const int64_t width = shape->width;
    HO_REQUIRE(height >= 8 && height <= 1024 && (height & (height - 1)) == 0,
               "StyleGAN2: height %" PRId64 " is not a power of two from 8 to 1024", height);
    HO_REQUIRE(width == height || width == height / 2,
               "StyleGAN2: width %" PRId64 " does not go with height %" PRId64 "; it must be %" PRId64 " or %" PRId64,
               width, height, height, height / 2);
    HO_REQUIRE(shape->channel_max >= 1 && shape->channel_max <= MAX_WIDTH,
               "StyleGAN2: channel_max %" PRId64 " is not from 1 to %d", shape->channel_max, MAX_WIDTH);
    HO_REQUIRE(shape->channel_base >= height,
               "StyleGAN2: channel_base %" PRId64 " leaves no channel at height %" PRId64
               " (channels are channel_base / height); it must be at least %" PRId64,
               shape->channel_base, height, height);
    if (!mapping) {
        return HO_OK;
    }
    HO_REQUIRE(shape->z_dim >= 1 && shape->z_dim <= MAX_WIDTH && shape->w_dim >= 1 && shape->w_dim <= MAX_WIDTH,
               "StyleGAN2: z_dim %" PRId64 " and w_dim %" PRId64 " must be from 1 to %d", shape->z_dim, shape->w_dim,
               MAX_WIDTH);
    HO_REQUIRE(shape->mapping_layers >= 1 && shape->mapping_layers <= HO_MAX_MAPPING,
               "StyleGAN2: mapping_layers %" PRId64 " is not from 1 to %d", shape->mapping_layers, HO_MAX_MAPPING);
    return HO_OK;
}

int64_t ho_stylegan2_width(const ho_stylegan2_shape *shape, int64_t resolution) {
    return shape->width == shape->height ? resolution : resolution / 2;
}

int64_t ho_stylegan2_channels(const ho_stylegan2_shape *shape, int64_t resolution) {
    const int64_t channels = shape->channel_base / resolution;
    return channels < shape->channel_max ? channels : shape->channel_max;
}

int64_t ho_stylegan2_n_blocks(const ho_stylegan2_shape *shape) {
    int64_t n = 0;
    for (int64_t resolution = 4; resolution <= shape->height; resolution *= 2) {
        n++;
    }
    return n;
}

int64_t ho_stylegan2_n_ws(const ho_stylegan2_shape *shape) {
    return 2 * ho_stylegan2_n_blocks(shape);
}

int64_t ho_style_block_height(const ho_stylegan2_shape *shape, int64_t l) {
    (void)shape; /* two maps a resolution, from 4 pixels on, whatever the network's size */
    return (int64_t)4 << (l / 2);
}

int64_t ho_style_block_channels(const ho_stylegan2_shape *shape, int64_t l) {
    return ho_stylegan2_channels(shape, ho_style_block_height(shape, l));
}
