/* One sample at its published size -> the square of the data set: photo filtered, labels and depth by their nearest
 * pixel, key points by the same map. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

/* Class numbers of the source become ours, in place. */
static ho_status map_classes(const ho_sample *sample, const ho_squaring *how, ho_image *label, int *highest) {
    const int64_t n = (int64_t)label->width * label->height;
    for (int64_t i = 0; i < n; i++) {
        const int value = label->pixels[i], class = how->classes[value];
        *highest = value > *highest && value != HO_LABEL_IGNORED ? value : *highest;
        if (class < 0) {
            int most = HO_LABEL_IGNORED - 1;
            while (most > 0 && how->classes[most] < 0) {
                most--;
            }
            HO_FAIL(HO_EFORMAT, "%s: label value %d at x %lld, y %lld is not in %s, whose highest is %d",
                    sample->label != NULL ? sample->label : sample->name, value, (long long)(i % label->width),
                    (long long)(i / label->width), how->table, most);
        }
        label->pixels[i] = (uint8_t) class;
    }
    return HO_OK;
}

static ho_status check_sizes(const ho_listing *listing, const ho_sample *sample, const ho_reading *reading) {
    const ho_image *image = &reading->image, *label = &reading->label;
    if (label->pixels == NULL || (label->width == image->width && label->height == image->height)) {
        return HO_OK;
    }
    if (listing->label_scales && (int64_t)label->width * image->height == (int64_t)label->height * image->width) {
        return HO_OK;
    }
    HO_FAIL(HO_EFORMAT,
            "%s is %d x %d pixels, its image %s %d x %d; mask and image must %s (--split can leave the image out)",
            sample->label != NULL ? sample->label : "the mask", label->width, label->height, sample->image,
            image->width, image->height, listing->label_scales ? "have the same aspect" : "be of one size");
}

/* One side of the window of the photo that becomes the square: its first pixel, its pixels, the photo's, the map's. */
typedef struct {
    int64_t first, window, photo, map;
} side;

/* Which pixel of the map lies under pixel i of the square: under its centre, or under its corner, as the nearest rule
 * of OpenCV has it, which the original resizes labels with. -1: none. In whole numbers, so that no rounding decides. */
static int nearest(int i, const side *s, int size, ho_resize_rule rule) {
    const int64_t half = rule == HO_RESIZE_HANDSOFF ? 0 : 1;
    const int64_t over = ((2 * i + half) * s->window + 2 * size * s->first) * s->map, under = 2 * size * s->photo;
    return over >= 0 && over / under < s->map ? (int)(over / under) : -1;
}

/* Both sides of a map that belongs to the photo. */
static void sides_of(const ho_reading *r, const ho_framing *f, int size, const ho_image *map, side sides[2]) {
    sides[0] = (side){llround(f->x0), llround(size / f->scale_x), r->image.width, map->width};
    sides[1] = (side){llround(f->y0), llround(size / f->scale_y), r->image.height, map->height};
}

static void square_label(const ho_image *label, const side sides[2], int size, ho_resize_rule rule, uint8_t *to) {
    for (int y = 0; y < size; y++) {
        const int v = nearest(y, &sides[1], size, rule);
        for (int x = 0; x < size; x++) {
            const int u = nearest(x, &sides[0], size, rule);
            to[(int64_t)y * size + x] =
                u >= 0 && v >= 0 ? label->pixels[(int64_t)v * label->width + u] : HO_LABEL_IGNORED;
        }
    }
}

static void square_depth(const ho_reading *r, const side sides[2], int size, ho_resize_rule rule, float *to) {
    for (int y = 0; y < size; y++) {
        const int v = nearest(y, &sides[1], size, rule);
        for (int x = 0; x < size; x++) {
            const int u = nearest(x, &sides[0], size, rule);
            to[(int64_t)y * size + x] = u >= 0 && v >= 0 ? r->depth[(int64_t)v * r->image.width + u] : 0.0F;
        }
    }
}

/* A point that falls outside of the square is not visible there. */
static void square_points(const float *from, int n, const ho_framing *f, int size, float *to) {
    for (int j = 0; j < n; j++) {
        const double x = (from[3 * j] - f->x0) * f->scale_x, y = (from[3 * j + 1] - f->y0) * f->scale_y;
        const bool inside = x >= 0.0 && y >= 0.0 && x < size && y < size;
        to[3 * j] = (float)x;
        to[3 * j + 1] = (float)y;
        to[3 * j + 2] = inside ? from[3 * j + 2] : 0.0F;
    }
}

static int count_points(const ho_listing *listing) {
    int n = listing->points != NULL;
    for (const char *at = listing->points; at != NULL && *at != '\0'; at++) {
        n += *at == '|';
    }
    return n;
}

static ho_status fill(const ho_listing *listing, const ho_sample *sample, const ho_squaring *how, ho_reading *r,
                      ho_square *square, int *highest) {
    const int size = how->size;
    side sides[2];
    HO_TRY(check_sizes(listing, sample, r));
    const ho_framing f = ho_framing_of(r->image.width, r->image.height, size, listing->aspect);
    if (r->image.width == size && r->image.height == size) { /* nothing to do: the square is the photo */
        square->image = r->image;
        r->image.pixels = NULL;
    } else {
        HO_TRY(how->rule == HO_RESIZE_HANDSOFF
                   ? ho_photo_to_square_bicubic(&r->image, size, listing->aspect, &square->image)
                   : ho_photo_to_square(&r->image, size, listing->aspect, &square->image));
    }
    if (square->label != NULL && r->label.pixels == NULL) {
        HO_FAIL(HO_EFORMAT, "%s: this image has no label, others of its part have one", sample->image);
    }
    if (square->label != NULL) {
        HO_TRY(map_classes(sample, how, &r->label, highest));
        sides_of(r, &f, size, &r->label, sides);
        square_label(&r->label, sides, size, how->rule, square->label);
    }
    if (square->depth != NULL && r->depth == NULL) {
        memset(square->depth, 0, (size_t)size * (size_t)size * sizeof *square->depth);
    } else if (square->depth != NULL) {
        sides_of(r, &f, size, &r->image, sides);
        square_depth(r, sides, size, how->rule, square->depth);
    }
    if (square->points != NULL && r->points == NULL) {
        memset(square->points, 0, (size_t)count_points(listing) * 3 * sizeof *square->points);
    } else if (square->points != NULL) {
        square_points(r->points, count_points(listing), &f, size, square->points);
    }
    return HO_OK;
}

ho_status ho_square_sample(const ho_listing *listing, const ho_sample *sample, const ho_squaring *how,
                           ho_square *square, int *highest) {
    ho_reading reading;
    *highest = -1;
    memset(&reading, 0, sizeof reading);
    ho_status status = listing->read(listing, sample, &reading);
    status = status == HO_OK ? fill(listing, sample, how, &reading, square, highest) : status;
    ho_reading_free(&reading);
    return status;
}
