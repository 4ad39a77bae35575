/* What the image files share. */
#ifndef HANDSOFF_IMAGE_INTERNAL_H
#define HANDSOFF_IMAGE_INTERNAL_H

#include <stdio.h>

#include "handsoff/image.h"

enum { HO_IMAGE_LARGEST = 16384 }; /* pixels along a side */

/* Fails unless a picture of width x height found in `path` can be held. */
ho_status ho_image_check_size(const char *path, unsigned long width, unsigned long height);
/* Fails where the open file has fewer bytes than a picture of width x height takes at the least: the memory for one is
 * not taken on the word of a small file. */
ho_status ho_image_check_bytes(const char *path, FILE *file, unsigned long width, unsigned long height, uint64_t least);
/* An image whose pixels are all about to be written: they are not cleared. */
ho_status ho_image_make(int width, int height, int channels, ho_image *image);
/* Decodes an open JPEG file as RGB. */
ho_status ho_image_read_jpeg(const char *path, FILE *file, ho_image *image);
/* Reads an uncompressed BMP file of 24 or 32 bits a pixel as RGB. */
ho_status ho_image_read_bmp(const char *path, FILE *file, ho_image *image);

#endif
