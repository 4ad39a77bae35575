/* 8-bit images on the host: PNG and JPEG files, resizing, drawing, text. */
#ifndef HANDSOFF_IMAGE_H
#define HANDSOFF_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Row-major (height, width, channels); channels is 1 (grey, labels) or 3 (RGB). Owned: free with ho_image_free. */
typedef struct {
    int width, height, channels;
    uint8_t *pixels;
} ho_image;

ho_status ho_image_new(int width, int height, int channels, ho_image *image); /* zeroed */
void ho_image_free(ho_image *image);                                          /* frees the pixels, clears the struct */

/* Reads a PNG, JPEG or uncompressed BMP (told by its first bytes) as RGB; grey, palette, alpha, CMYK and 16-bit files
 * are converted. */
ho_status ho_image_read(const char *path, ho_image *image);
/* Reads a label PNG as one channel: 8-bit grey or palette indices, unchanged. */
ho_status ho_image_read_labels(const char *path, ho_image *image);
/* Writes through a temporary name. */
ho_status ho_image_write_png(const char *path, const ho_image *image);

/* Antialiased resize (area-scaled triangle filter, as Pillow's BILINEAR). */
ho_status ho_image_resize(const ho_image *from, int width, int height, ho_image *to);
/* The same with Pillow's BICUBIC (a = -0.5). */
ho_status ho_image_resize_bicubic(const ho_image *from, int width, int height, ho_image *to);

/* float (H, W, 3) in [-1, 1] <-> 8 bits: v = trunc(127.5 x + 128) clamped to 0..255, as stylegan2-ada-pytorch's
 * generate.py; x = v / 127.5 - 1.
 */
void ho_floats_to_bytes(const float *from, int64_t n, uint8_t *to);
void ho_bytes_to_floats(const uint8_t *from, int64_t n, float *to);

/* Drawing on RGB images, clipped to them. Colour is {r, g, b}. */
void ho_image_fill(ho_image *image, int x, int y, int width, int height, const uint8_t colour[3]);
void ho_image_paste(ho_image *onto, int x, int y, const ho_image *image); /* 1 channel is spread to grey */
void ho_image_line(ho_image *image, double x0, double y0, double x1, double y1, const uint8_t colour[3]);
/* Text in the built-in bitmap font, ASCII 32..126, cells of 6 x 10 pixels times scale; returns the width drawn. */
int ho_image_text(ho_image *image, int x, int y, int scale, const uint8_t colour[3], const char *text);

/* n images (H, W, 3) bytes, all of one size, as a grid with `columns` columns. */
ho_status ho_image_grid(const uint8_t *images, int n, int height, int width, int columns, ho_image *grid);

#ifdef __cplusplus
}
#endif
#endif
