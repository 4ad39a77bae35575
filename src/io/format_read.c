/* Reading one sample: photo, label, depth; text files; PNG files whose 16 bits matter. */
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"
#include "image_internal.h"

void ho_reading_free(ho_reading *reading) {
    ho_image_free(&reading->image);
    ho_image_free(&reading->label);
    free(reading->depth);
    free(reading->points);
    memset(reading, 0, sizeof *reading);
}

ho_status ho_read_pair(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    (void)listing;
    HO_TRY(ho_image_read(sample->image, &reading->image));
    return sample->label != NULL ? ho_image_read_labels(sample->label, &reading->label) : HO_OK;
}

static ho_status read_text(const char *path, FILE *file, size_t size, char **text) {
    char *made = malloc(size + 1);
    if (made == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %zu bytes", path, size);
    }
    const bool whole = fread(made, 1, size, file) == size;
    made[size] = '\0';
    if (!whole || strlen(made) != size) {
        free(made);
        HO_FAIL(whole ? HO_EFORMAT : HO_EIO, "%s: %s", path,
                whole ? "holds a zero byte: this is no text" : "cannot be read");
    }
    *text = made;
    return HO_OK;
}

ho_status ho_text_read(const char *path, int64_t most, char **text) {
    FILE *file = fopen(path, "rbe");
    *text = NULL;
    if (file == NULL) {
        HO_FAIL(HO_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    const bool sized = fseek(file, 0, SEEK_END) == 0;
    const long size = sized ? ftell(file) : -1;
    rewind(file);
    ho_status status = HO_OK;
    if (size < 0 || size > most) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: has %ld bytes; a text of at most %lld is expected", path,
                         size, (long long)most);
    } else {
        status = read_text(path, file, (size_t)size, text);
    }
    fclose(file);
    return status;
}

/* ---- grey PNG files ---------------------------------------------------------------------------------------------- */

static ho_status decode_grey(const char *path, png_image *png, int *bits, uint16_t **pixels) {
    const bool wide = (png->format & PNG_FORMAT_FLAG_LINEAR) != 0;
    const size_t n = (size_t)png->width * png->height;
    HO_TRY(ho_image_check_size(path, png->width, png->height));
    if ((png->format & (PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA | PNG_FORMAT_FLAG_COLORMAP)) != 0) {
        HO_FAIL(HO_EFORMAT, "%s is a PNG with colours or alpha; grey of 8 or 16 bits is expected", path);
    }
    *bits = wide ? 16 : 8;
    *pixels = malloc(n * sizeof **pixels);
    if (*pixels == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %zu pixels", path, n);
    }
    /* The format asked for is the file's own: libpng then converts nothing. */
    if (png_image_finish_read(png, NULL, *pixels, 0, NULL) == 0) {
        HO_FAIL(HO_EFORMAT, "%s is not a complete PNG file: %s", path, png->message);
    }
    const uint8_t *bytes = (const uint8_t *)*pixels;
    for (size_t i = n; !wide && i-- > 0;) { /* from the end: a wide pixel covers narrow ones that are done */
        (*pixels)[i] = bytes[i];
    }
    return HO_OK;
}

ho_status ho_png_read_grey(const char *path, int *width, int *height, int *bits, uint16_t **pixels) {
    png_image png;
    memset(&png, 0, sizeof png);
    png.version = PNG_IMAGE_VERSION;
    *pixels = NULL;
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    ho_status status = HO_OK;
    if (png_image_begin_read_from_stdio(&png, file) == 0) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: cannot be read as a PNG file: %s", path, png.message);
    } else { /* at least a bit a pixel, which deflate shrinks to a 1032nd */
        status = ho_image_check_bytes(path, file, png.width, png.height, (uint64_t)png.width * png.height / 8 / 1032);
    }
    status = status == HO_OK ? decode_grey(path, &png, bits, pixels) : status;
    fclose(file);
    *width = (int)png.width;
    *height = (int)png.height;
    png_image_free(&png);
    if (status != HO_OK) {
        free(*pixels);
        *pixels = NULL;
    }
    return status;
}

static double metres(const ho_depth_code *code, int value) {
    if (value == 0 || value == code->hole) {
        return 0.0;
    }
    const double number = value - code->shift;
    if (code->inverse) {
        return number > 0.0 ? code->scale / number : 0.0;
    }
    return number * code->scale;
}

static float *depth_of(const ho_depth_code *code, int64_t n, const uint16_t *pixels) {
    float *depth = malloc(((size_t)n + 1) * sizeof *depth);
    for (int64_t i = 0; depth != NULL && pixels != NULL && i < n; i++) {
        depth[i] = (float)metres(code, pixels[i]);
    }
    return depth;
}

ho_status ho_read_depth(const char *path, const ho_depth_code *code, const char *photo, ho_reading *reading) {
    int width = 0, height = 0, bits = 0;
    uint16_t *pixels = NULL;
    HO_TRY(ho_png_read_grey(path, &width, &height, &bits, &pixels));
    const ho_image *image = &reading->image;
    ho_status status = HO_OK;
    if (width != image->width || height != image->height) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                         "%s is %d x %d pixels, its photo %s %d x %d; depth and photo must be of one size", path, width,
                         height, photo, image->width, image->height);
    } else {
        reading->depth = depth_of(code, (int64_t)width * height, pixels);
    }
    free(pixels);
    if (status == HO_OK && reading->depth == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d x %d pixels", path, width, height);
    }
    return status;
}
