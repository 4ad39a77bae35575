/* Images in memory: making, filling, drawing, text, grids, and the way to and from floats. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "font.h"
#include "image_internal.h"

static ho_status make(int width, int height, int channels, bool clear, ho_image *image) {
    *image = (ho_image){0, 0, 0, NULL};
    HO_REQUIRE(width >= 1 && height >= 1 && (channels == 1 || channels == 3),
               "there is no image of %d x %d pixels and %d channels; sizes start at 1, channels are 1 or 3", width,
               height, channels);
    const size_t n = (size_t)width * (size_t)height;
    uint8_t *pixels = clear ? calloc(n, (size_t)channels) : malloc(n * (size_t)channels);
    if (pixels == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for an image of %d x %d pixels", width, height);
    }
    *image = (ho_image){width, height, channels, pixels};
    return HO_OK;
}

ho_status ho_image_new(int width, int height, int channels, ho_image *image) {
    return make(width, height, channels, true, image);
}

ho_status ho_image_make(int width, int height, int channels, ho_image *image) {
    return make(width, height, channels, false, image);
}

void ho_image_free(ho_image *image) {
    free(image->pixels);
    *image = (ho_image){0, 0, 0, NULL};
}

void ho_floats_to_bytes(const float *from, int64_t n, uint8_t *to) {
    for (int64_t i = 0; i < n; i++) {
        const float value = 127.5f * from[i] + 128.0f;
        to[i] = (uint8_t)(value >= 255.0f ? 255.0f : value > 0.0f ? value : 0.0f); /* NaN becomes 0 */
    }
}

void ho_bytes_to_floats(const uint8_t *from, int64_t n, float *to) {
    for (int64_t i = 0; i < n; i++) {
        to[i] = (float)from[i] / 127.5f - 1.0f;
    }
}

static int larger(int a, int b) {
    return a > b ? a : b;
}
static int smaller(int a, int b) {
    return a < b ? a : b;
}

static void set_pixel(ho_image *image, int x, int y, const uint8_t colour[3]) {
    if (x >= 0 && x < image->width && y >= 0 && y < image->height) {
        memcpy(image->pixels + ((size_t)y * image->width + x) * image->channels, colour, (size_t)image->channels);
    }
}

void ho_image_fill(ho_image *image, int x, int y, int width, int height, const uint8_t colour[3]) {
    const int right = smaller(x + width, image->width), bottom = smaller(y + height, image->height);
    for (int row = larger(y, 0); row < bottom; row++) {
        for (int column = larger(x, 0); column < right; column++) {
            set_pixel(image, column, row, colour);
        }
    }
}

void ho_image_paste(ho_image *onto, int x, int y, const ho_image *image) {
    const int left = larger(0, -x), right = smaller(image->width, onto->width - x);
    const int top = larger(0, -y), bottom = smaller(image->height, onto->height - y);
    for (int row = top; row < bottom; row++) {
        const uint8_t *from = image->pixels + (size_t)row * image->width * image->channels;
        for (int column = left; column < right; column++) {
            const uint8_t *pixel = from + (size_t)column * image->channels;
            const uint8_t grey[3] = {pixel[0], pixel[0], pixel[0]};
            set_pixel(onto, x + column, y + row, image->channels == 1 ? grey : pixel);
        }
    }
}

/* Shortens the line to the part inside -1 .. limit along one axis. False when nothing is left. */
static bool clip_line(double from, double to, double limit, double *first, double *last) {
    const double low = -1.0;
    if (from == to) {
        return from >= low && from <= limit;
    }
    const double a = (low - from) / (to - from), b = (limit - from) / (to - from);
    *first = fmax(*first, fmin(a, b));
    *last = fmin(*last, fmax(a, b));
    return *first <= *last;
}

void ho_image_line(ho_image *image, double x0, double y0, double x1, double y1, const uint8_t colour[3]) {
    double first = 0.0, last = 1.0;
    if (!isfinite(x0 + y0 + x1 + y1) || !clip_line(x0, x1, image->width, &first, &last) ||
        !clip_line(y0, y1, image->height, &first, &last)) {
        return;
    }
    /* One step along the longer axis moves one pixel. */
    const double longest = fmax(fabs(x1 - x0), fabs(y1 - y0)) * (last - first);
    const int steps = larger(1, (int)ceil(longest));
    for (int i = 0; i <= steps; i++) {
        const double t = first + (last - first) * i / steps;
        set_pixel(image, (int)floor(x0 + (x1 - x0) * t + 0.5), (int)floor(y0 + (y1 - y0) * t + 0.5), colour);
    }
}

int ho_image_text(ho_image *image, int x, int y, int scale, const uint8_t colour[3], const char *text) {
    int width = 0;
    for (; *text != '\0'; text++, width += HO_FONT_WIDTH * scale) {
        for (int row = 0; row < HO_FONT_HEIGHT; row++) {
            for (int column = 0; column < HO_FONT_WIDTH; column++) {
                if (ho_font_pixel(*text, column, row)) {
                    ho_image_fill(image, x + width + column * scale, y + row * scale, scale, scale, colour);
                }
            }
        }
    }
    return width;
}

ho_status ho_image_grid(const uint8_t *images, int n, int height, int width, int columns, ho_image *grid) {
    *grid = (ho_image){0, 0, 0, NULL};
    HO_REQUIRE(n >= 1 && height >= 1 && width >= 1 && columns >= 1,
               "a grid needs images: got %d of %d x %d pixels in %d columns", n, width, height, columns);
    const int used = smaller(columns, n), rows = (n + used - 1) / used;
    HO_REQUIRE((int64_t)used * width <= INT32_MAX && (int64_t)rows * height <= INT32_MAX,
               "a grid of %d images of %d x %d pixels in %d columns is too large", n, width, height, columns);
    HO_TRY(ho_image_new(used * width, rows * height, 3, grid));
    for (int i = 0; i < n; i++) {
        const size_t left = (size_t)(i % used) * width, top = (size_t)(i / used) * height;
        for (int y = 0; y < height; y++) {
            memcpy(grid->pixels + ((top + y) * grid->width + left) * 3, images + ((size_t)i * height + y) * width * 3,
                   (size_t)width * 3);
        }
    }
    return HO_OK;
}
