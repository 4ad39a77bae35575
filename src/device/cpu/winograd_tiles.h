/* Tiles of an image and how they are read and written; the layout of transformed tiles.
 *
 * Transformed tiles stand in groups of R, the rows that the inner product takes at once:
 * U[group][block of 16 channels][position][R][16]. What one tile of 16 channels writes lies within 36 R cache lines (a
 * few pages: 36 matrices side by side would take a page each, more than the processor's table of pages holds), and the
 * product reads R rows at constant distance. */
#ifndef HANDSOFF_WINOGRAD_TILES_H
#define HANDSOFF_WINOGRAD_TILES_H

#include "handsoff/device.h"
#include "winograd.h"
#include "winograd_parts.h"

/* Images and their tiles. A convolution of dilation D joins only pixels whose places agree modulo D: it is D x D plain
 * convolutions of sparse images, of which image (i, j) has the pixels (i + D h, j + D w). Tiles are theirs. Those of
 * the largest sparse image are counted for each, so that some at the end of a smaller one may be empty. */
typedef struct {
    int64_t N, H, W, D;
    int64_t down, across, count; /* tiles a column, a row of one sparse image; altogether */
} tiling;

static inline tiling tiling_of(const winograd_shape *s) {
    const int64_t D = s->dilation, step = OUT * D, down = (s->H + step - 1) / step, across = (s->W + step - 1) / step;
    return (tiling){s->N, s->H, s->W, D, down, across, s->N * D * D * down * across};
}

/* Image n, the first pixel (top, left) of a sparse image, its size, and the first output pixel of a tile in it. */
typedef struct {
    int64_t n, top, left, H, W, h, w;
} tile_place;

static inline tile_place place_of(const tiling *t, int64_t tile) {
    const int64_t per_image = t->down * t->across, at = tile % per_image, sparse = tile / per_image;
    tile_place place = {sparse, 0, 0, t->H, t->W, at / t->across * OUT, at % t->across * OUT};
    if (t->D > 1) {
        const int64_t top = sparse / t->D % t->D, left = sparse % t->D;
        place = (tile_place){sparse / (t->D * t->D),          top,     left,   (t->H - top + t->D - 1) / t->D,
                             (t->W - left + t->D - 1) / t->D, place.h, place.w};
    }
    return place;
}

/* NHWC images of C channels: floats from pixel to pixel and from line to line of a sparse image, and from image to
 * image. */
typedef struct {
    int64_t C, pixel, line, image;
} view;

static inline view view_of(const tiling *t, int64_t C) {
    return (view){C, t->D * C, t->D * t->W * C, t->H * t->W * C};
}

/* Floats from the first one of the images to pixel (h, w) of the sparse image of a tile. */
static inline int64_t offset_of(const tiling *t, const view *v, const tile_place *at, int64_t h, int64_t w) {
    return at->n * v->image + (at->top * t->W + at->left) * v->C + h * v->line + w * v->pixel;
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
