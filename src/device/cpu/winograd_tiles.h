/* Tiles of an image and how they are read and written; the layout of transformed tiles.
 *
 * Transformed tiles stand in groups of R, the rows that the inner product takes at once:
 * U[group][block of 16 channels][position][R][16]. What one tile of 16 channels writes lies within 36 R cache lines (a
 * few pages: 36 matrices side by side would take a page each, more than the processor's table of pages holds), and the
 * product reads R rows at constant distance. */
#ifndef HANDSOFF_WINOGRAD_TILES_H
#define HANDSOFF_WINOGRAD_TILES_H

#include "handsoff/device.h"
#include "winograd_parts.h"

/* Images and their tiles. */
typedef struct {
    int64_t N, H, W;
    int64_t down, across, count; /* tiles a column, a row, altogether */
} tiling;

static inline tiling tiling_of(int64_t N, int64_t H, int64_t W) {
    const int64_t down = (H + OUT - 1) / OUT, across = (W + OUT - 1) / OUT;
    return (tiling){N, H, W, down, across, N * down * across};
}

/* Image n and the first output pixel of a tile. */
typedef struct {
    int64_t n, h, w;
} tile_place;

static inline tile_place place_of(const tiling *t, int64_t tile) {
    const int64_t per_image = t->down * t->across, at = tile % per_image;
    return (tile_place){tile / per_image, at / t->across * OUT, at % t->across * OUT};
}

/* NHWC images of C channels: floats from line to line and from image to image (C from pixel to pixel). */
typedef struct {
    int64_t C, line, image;
} view;

static inline view view_of(const tiling *t, int64_t C) {
    return (view){C, t->W * C, t->H * t->W * C};
}

/* Floats of one group of R tiles with so many channels. */
static inline int64_t group_size(int64_t R, int64_t channels) {
    return POSITIONS * R * channels;
}

/* Tiles first..first+n-1 of one group (n <= R; rows beyond n become zero), transformed by B^T . B: 6x6 pixels around
 * each tile, zero outside the image. scale (N, C) multiplies the channels of each image; NULL = 1. zeros: C zeros. */
void ho_winograd_gather(const tiling *t, const view *v, const float *x, const float *scale, const float *zeros,
                        int64_t first, int64_t n, int64_t R, float *U);
/* The same by A . A^T: the 4x4 pixels of each tile, for the gradient of the weights. */
void ho_winograd_gather_outputs(const tiling *t, const view *v, const float *g_y, const float *zeros, int64_t first,
                                int64_t n, int64_t R, float *D);
/* Writes channels o..o+width-1 of the pixels of n tiles of one group from their products M, transformed by A^T .
 * A, through the epilogue (NULL = none). */
void ho_winograd_scatter(const tiling *t, const view *v, int64_t o, int64_t width, const float *M,
                         const ho_conv_epilogue *epilogue, int64_t first, int64_t n, int64_t R, float *y);

#endif
