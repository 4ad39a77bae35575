/* Uncompressed BMP files of 24 or 32 bits a pixel: "BM", the offset of the pixels at byte 10; from byte 14 a header of
 * 40 bytes or more with width, height (negative: the first row is the top one), bits and compression (0, or 3 with the
 * usual masks). Rows are padded to 4 bytes and hold blue, green, red. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_internal.h"
#include "source.h"

typedef struct {
    long first;
    int width, height, bytes;
    bool top_down;
} layout;

static ho_status read_header(const char *path, FILE *file, layout *l) {
    uint8_t head[66] = {0};
    const size_t n = fread(head, 1, sizeof head, file);
    const int32_t height = (int32_t)ho_little(head + 22, 4);
    const int bits = (int)ho_little(head + 28, 2), compression = (int)ho_little(head + 30, 4);
    if (n < 54 || memcmp(head, "BM", 2) != 0 || ho_little(head + 14, 4) < 40) {
        HO_FAIL(HO_EFORMAT, "%s is not a BMP file with a header of 40 bytes or more", path);
    }
    const bool masked = compression == 3 && bits == 32 && n == sizeof head && ho_little(head + 54, 4) == 0xff0000 &&
                        ho_little(head + 58, 4) == 0xff00 && ho_little(head + 62, 4) == 0xff;
    if ((bits != 24 && bits != 32) || (compression != 0 && !masked)) {
        HO_FAIL(HO_EFORMAT, "%s is a BMP with %d bits a pixel and compression %d; 24 or 32 without can be read", path,
                bits, compression);
    }
    const unsigned long rows = height < 0 ? 0UL - (unsigned long)height : (unsigned long)height;
    HO_TRY(ho_image_check_size(path, (unsigned long)ho_little(head + 18, 4), rows));
    const uint64_t row = ((uint64_t)ho_little(head + 18, 4) * (uint64_t)(bits / 8) + 3) / 4 * 4;
    HO_TRY(ho_image_check_bytes(path, file, (unsigned long)ho_little(head + 18, 4), rows, row * rows));
    *l = (layout){(long)ho_little(head + 10, 4), (int)ho_little(head + 18, 4), (int)rows, bits / 8, height < 0};
    return HO_OK;
}

static ho_status read_rows(const char *path, FILE *file, const layout *l, ho_image *image) {
    const size_t size = ((size_t)l->width * (size_t)l->bytes + 3) / 4 * 4;
    uint8_t *row = malloc(size + 1);
    ho_status status = row != NULL ? ho_image_new(l->width, l->height, 3, image) : HO_EMEMORY;
    if (status != HO_OK) {
        free(row);
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d x %d pixels", path, l->width, l->height);
    }
    bool whole = fseek(file, l->first, SEEK_SET) == 0;
    for (int y = 0; y < l->height && whole; y++) {
        uint8_t *to = image->pixels + (size_t)(l->top_down ? y : l->height - 1 - y) * (size_t)l->width * 3;
        whole = fread(row, 1, size, file) == size;
        for (int x = 0; x < l->width && whole; x++) {
            for (int c = 0; c < 3; c++) {
                to[3 * x + c] = row[x * l->bytes + 2 - c];
            }
        }
    }
    free(row);
    if (!whole) {
        ho_image_free(image);
        HO_FAIL(HO_EFORMAT, "%s is not a complete BMP file: %d rows are promised", path, l->height);
    }
    return HO_OK;
}

ho_status ho_image_read_bmp(const char *path, FILE *file, ho_image *image) {
    layout l = {0};
    HO_TRY(read_header(path, file, &l));
    return read_rows(path, file, &l, image);
}
