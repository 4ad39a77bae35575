/* Resizing. Images: a triangle filter, separable, whose support grows with the shrinking factor, so that every pixel
 * read counts (no aliasing). With s = from / to and f = max(s, 1), output pixel i is sum_j w_j x_j / sum_j w_j,   w_j =
 * max(0, 1 - |j + 0.5 - (i + 0.5) s| / f),   over the pixels j inside the image, columns first, rounded to 8 bits, then
 * rows. Weights are integers in units of 2^-22, so that the result does not depend on the compiler. This is what Pillow
 * computes for BILINEAR. Its BICUBIC is the same with w_j = cubic(|j + 0.5 - (i + 0.5) s| / f) and
 * cubic(d) = (1.5 d - 2.5) d^2 + 1 for d < 1, ((2.5 - 0.5 d) d - 4) d + 2 for d < 2. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "image_internal.h"

enum { WEIGHT_BITS = 22 };

/* Output pixel i reads inputs first[i] .. first[i] + n[i] - 1 with weights weight[i * most ...]. */
typedef struct {
    int most;
    int *first, *n;
    int32_t *weight;
} taps;

static void free_taps(taps *t) {
    free(t->first);
    free(t->n);
    free(t->weight);
}

static double triangle(double d) {
    return d < 1.0 ? 1.0 - d : 0.0;
}

static double cubic(double d) {
    if (d < 1.0) {
        return (1.5 * d - 2.5) * d * d + 1.0;
    }
    return d < 2.0 ? ((2.5 - 0.5 * d) * d - 4.0) * d + 2.0 : 0.0;
}

static ho_status make_taps(int from, int to, bool bicubic, taps *t) {
    const double scale = (double)from / to, factor = scale > 1.0 ? scale : 1.0;
    const double support = bicubic ? 2.0 * factor : factor;
    t->most = (int)ceil(support) * 2 + 1;
    t->first = calloc((size_t)to, sizeof *t->first);
    t->n = calloc((size_t)to, sizeof *t->n);
    t->weight = calloc((size_t)to * (size_t)t->most, sizeof *t->weight);
    double *exact = malloc((size_t)t->most * sizeof *exact);
    if (t->first == NULL || t->n == NULL || t->weight == NULL || exact == NULL) {
        free(exact);
        HO_FAIL(HO_EMEMORY, "no memory to resize %d pixels to %d", from, to);
    }
    for (int i = 0; i < to; i++) {
        const double centre = (i + 0.5) * scale;
        const int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);
        t->first[i] = low > 0 ? low : 0;
        t->n[i] = (high < from ? high : from) - t->first[i];
        double sum = 0.0;
        for (int j = 0; j < t->n[i]; j++) {
            const double distance = fabs(t->first[i] + j + 0.5 - centre) / factor;
            exact[j] = bicubic ? cubic(distance) : triangle(distance);
            sum += exact[j];
        }
        for (int j = 0; j < t->n[i]; j++) {
            const double weight = exact[j] / sum * (1 << WEIGHT_BITS);
            t->weight[(size_t)i * (size_t)t->most + (size_t)j] = (int32_t)(weight < 0.0 ? weight - 0.5 : weight + 0.5);
        }
    }
    free(exact);
    return HO_OK;
}

/* Weights sum to 2^22 within n / 2, the positive ones to less than 1.3 times that: the sum of products stays below
 * 2^31. Bicubic sums leave 0 .. 255, triangular ones only by rounding. */
static uint8_t rounded(int32_t sum) {
    const int32_t value = sum >> WEIGHT_BITS;
    return (uint8_t)(value > 255 ? 255 : value < 0 ? 0 : value);
}

/* Four numbers that the processor adds and multiplies at once. */
typedef int32_t four __attribute__((vector_size(16)));
typedef uint8_t four_bytes __attribute__((vector_size(4)));

/* One output pixel of an RGB row; reads one byte behind the last tap. */
static void mix_pixel(const uint8_t *row, const taps *t, int x, uint8_t *out) {
    const int32_t *weight = t->weight + (size_t)x * t->most;
    const uint8_t *in = row + (size_t)t->first[x] * 3;
    const int32_t half = 1 << (WEIGHT_BITS - 1);
    four sum = {half, half, half, half};
    for (int j = 0; j < t->n[x]; j++) {
        four_bytes pixel;
        memcpy(&pixel, in + (size_t)j * 3, sizeof pixel);
        sum += weight[j] * __builtin_convertvector(pixel, four);
    }
    for (int c = 0; c < 3; c++) {
        out[x * 3 + c] = rounded(sum[c]);
    }
}

static void mix_grey(const uint8_t *row, const taps *t, int x, uint8_t *out) {
    const int32_t *weight = t->weight + (size_t)x * t->most;
    int32_t sum = 1 << (WEIGHT_BITS - 1);
    for (int j = 0; j < t->n[x]; j++) {
        sum += weight[j] * row[t->first[x] + j];
    }
    out[x] = rounded(sum);
}

/* Halving by the triangle: (a + 3 b + 3 c + d + 4) / 8, whose weights are exact in units of 2^-22, so that this is what
 * the weights give, too. `step` is the distance of a and b; n results at to, the first of them for b at from. */
static void mix_halves(const uint8_t *from, ptrdiff_t step, int n, uint8_t *to) {
    for (int i = 0; i < n; i++) {
        to[i] = (uint8_t)((from[i - step] + 3 * from[i] + 3 * from[i + step] + from[i + 2 * step] + 4) >> 3);
    }
}

/* Row by row. `room` holds a row of the image and a pixel more. Where the width is halved, every pixel of the row is
 * mixed with its neighbours and every second one kept: that is quicker than to mix the ones kept. */
static void shrink_columns(const ho_image *from, const taps *t, bool halved, uint8_t *room, ho_image *to) {
    const int channels = from->channels == 1 ? 1 : 3;
    const size_t bytes = (size_t)from->width * (size_t)channels;
    for (int y = 0; y < to->height; y++) {
        const uint8_t *row = from->pixels + (size_t)y * bytes;
        uint8_t *out = to->pixels + (size_t)y * (size_t)to->width * (size_t)channels;
        if (halved && channels == 3 && to->width > 2) {
            mix_halves(row + 6, 3, 3 * (from->width - 4), room);
            for (int x = 1; x < to->width - 1; x++) {
                memcpy(out + (size_t)x * 3, room + (size_t)(x - 1) * 6, 4); /* the fourth byte is the next one's */
            }
        }
        if (y == to->height - 1 && channels == 3) { /* nothing may be read behind the image */
            memmove(room, row, bytes);
            row = room;
        }
        const int skip = halved && channels == 3 && to->width > 2 ? to->width - 1 : 1;
        for (int x = 0; x < to->width; x += x == 0 ? skip : 1) {
            if (channels == 3) {
                mix_pixel(row, t, x, out);
            } else {
                mix_grey(row, t, x, out);
            }
        }
    }
}

static ho_status shrink_rows(const ho_image *from, const taps *t, bool halved, ho_image *to) {
    const int row_bytes = from->width * from->channels;
    int32_t *sum = malloc((size_t)row_bytes * sizeof *sum);
    if (sum == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory to resize an image of %d x %d pixels", from->width, from->height);
    }
    for (int y = 0; y < to->height; y++) {
        if (halved && y > 0 && y < to->height - 1) {
            mix_halves(from->pixels + (size_t)(2 * y) * (size_t)row_bytes, row_bytes, row_bytes,
                       to->pixels + (size_t)y * (size_t)row_bytes);
            continue;
        }
        for (int x = 0; x < row_bytes; x++) {
            sum[x] = 1 << (WEIGHT_BITS - 1);
        }
        for (int j = 0; j < t->n[y]; j++) {
            const int32_t weight = t->weight[(size_t)y * t->most + j];
            const uint8_t *in = from->pixels + (size_t)(t->first[y] + j) * row_bytes;
            for (int x = 0; x < row_bytes; x++) {
                sum[x] += weight * in[x];
            }
        }
        uint8_t *out = to->pixels + (size_t)y * row_bytes;
        for (int x = 0; x < row_bytes; x++) {
            out[x] = rounded(sum[x]);
        }
    }
    free(sum);
    return HO_OK;
}

static ho_status check_resize(const ho_image *from, int width, int height) {
    HO_REQUIRE(width >= 1 && height >= 1 && width <= HO_IMAGE_LARGEST && height <= HO_IMAGE_LARGEST,
               "an image cannot be resized to %d x %d pixels; 1 to %d on a side can be made", width, height,
               (int)HO_IMAGE_LARGEST);
    HO_REQUIRE(from->pixels != NULL && (from->channels == 1 || from->channels == 3),
               "an image of %d x %d pixels and %d channels cannot be resized; 1 or 3 channels can", from->width,
               from->height, from->channels);
    return HO_OK;
}

static ho_status resize(const ho_image *from, int width, int height, bool bicubic, ho_image *to) {
    *to = (ho_image){0, 0, 0, NULL};
    HO_TRY(check_resize(from, width, height));
    ho_image between = {0, 0, 0, NULL}, made = {0, 0, 0, NULL};
    taps columns = {0, NULL, NULL, NULL}, rows = {0, NULL, NULL, NULL};
    uint8_t *room = malloc((size_t)from->width * (size_t)from->channels + 4);
    ho_status status = room != NULL ? HO_OK : ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for a row of pixels");
    HO_TRY_DONE(status);
    HO_TRY_DONE(make_taps(from->width, width, bicubic, &columns));
    HO_TRY_DONE(make_taps(from->height, height, bicubic, &rows));
    HO_TRY_DONE(ho_image_make(width, from->height, from->channels, &between));
    HO_TRY_DONE(ho_image_make(width, height, from->channels, &made));
    if (width == from->width) {
        memcpy(between.pixels, from->pixels, (size_t)width * (size_t)from->height * (size_t)from->channels);
    } else {
        shrink_columns(from, &columns, !bicubic && from->width == 2 * width, room, &between);
    }
    HO_TRY_DONE(shrink_rows(&between, &rows, !bicubic && from->height == 2 * height, &made));
    *to = made;
    made.pixels = NULL;
done:
    free(room);
    ho_image_free(&between);
    ho_image_free(&made);
    free_taps(&columns);
    free_taps(&rows);
    return status;
}

ho_status ho_image_resize(const ho_image *from, int width, int height, ho_image *to) {
    return resize(from, width, height, false, to);
}

ho_status ho_image_resize_bicubic(const ho_image *from, int width, int height, ho_image *to) {
    return resize(from, width, height, true, to);
}
