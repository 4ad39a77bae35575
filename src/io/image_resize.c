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

static void shrink_columns(const ho_image *from, const taps *t, ho_image *to) {
    const int channels = from->channels == 1 ? 1 : 3;
    for (int y = 0; y < to->height; y++) {
        const uint8_t *row = from->pixels + (size_t)y * from->width * channels;
        uint8_t *out = to->pixels + (size_t)y * to->width * channels;
        for (int x = 0; x < to->width; x++) {
            const int32_t *weight = t->weight + (size_t)x * t->most;
            const uint8_t *in = row + (size_t)t->first[x] * channels;
            int32_t sum[3] = {1 << (WEIGHT_BITS - 1), 1 << (WEIGHT_BITS - 1), 1 << (WEIGHT_BITS - 1)};
            for (int j = 0; j < t->n[x]; j++) {
                for (int c = 0; c < channels; c++) {
                    sum[c] += weight[j] * in[j * channels + c];
                }
            }
            for (int c = 0; c < channels; c++) {
                out[x * channels + c] = rounded(sum[c]);
            }
        }
    }
}

static ho_status shrink_rows(const ho_image *from, const taps *t, ho_image *to) {
    const int row_bytes = from->width * from->channels;
    int32_t *sum = malloc((size_t)row_bytes * sizeof *sum);
    if (sum == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory to resize an image of %d x %d pixels", from->width, from->height);
    }
    for (int y = 0; y < to->height; y++) {
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
    ho_status status;
    HO_TRY_DONE(make_taps(from->width, width, bicubic, &columns));
    HO_TRY_DONE(make_taps(from->height, height, bicubic, &rows));
    HO_TRY_DONE(ho_image_new(width, from->height, from->channels, &between));
    HO_TRY_DONE(ho_image_new(width, height, from->channels, &made));
    if (width == from->width) {
        memcpy(between.pixels, from->pixels, (size_t)width * (size_t)from->height * (size_t)from->channels);
    } else {
        shrink_columns(from, &columns, &between);
    }
    HO_TRY_DONE(shrink_rows(&between, &rows, &made));
    *to = made;
    made.pixels = NULL;
done:
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
