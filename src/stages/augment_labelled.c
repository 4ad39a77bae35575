/* Augmentation of labelled images, on the host. */
#include "handsoff/augment_labelled.h"

#include <math.h>

#include "handsoff/random.h"

enum { DRAWS = 8 }; /* random numbers a change */
static const double RADIANS_A_DEGREE = 0.017453292519943295;

ho_labelled_change ho_draw_labelled_change(const ho_labelled_augmentation *options, uint64_t seed, uint64_t stream,
                                           uint64_t index) {
    double u[DRAWS]; /* in [-1, 1) */
    for (int i = 0; i < DRAWS; ++i) {
        u[i] = 2.0 * ho_uniform(seed, stream, index * DRAWS + (uint64_t)i) - 1.0;
    }
    return (ho_labelled_change){options->mirror && u[0] < 0.0, u[1] * options->turn,
                                pow(options->scale, u[2]),     u[3] * options->shift,
                                u[4] * options->shift,         u[5] * options->brightness,
                                pow(options->contrast, u[6]),  pow(options->saturation, u[7])};
}

/* Reflection about the border pixels' outer edges: -1 -> 0, n -> n - 1. */
static int reflect(int i, int n) {
    if (i >= 0 && i < n) { /* nearly always: spares the division */
        return i;
    }
    const int period = 2 * n;
    int r = i % period;
    r = r < 0 ? r + period : r;
    return r < n ? r : period - 1 - r;
}

/* The colour at (x, y) in pixels, pixel centres at whole numbers. */
static void sample(const ho_labelled_image *job, double x, double y, float colour[3]) {
    const double left = floor(x), top = floor(y);
    const float tx = (float)(x - left), ty = (float)(y - top);
    const int x0 = reflect((int)left, job->width), x1 = reflect((int)left + 1, job->width);
    const int y0 = reflect((int)top, job->height), y1 = reflect((int)top + 1, job->height);
    const uint8_t *row0 = job->image + (int64_t)y0 * job->width * 3, *row1 = job->image + (int64_t)y1 * job->width * 3;
    for (int c = 0; c < 3; ++c) {
        const float a = (float)row0[3 * x0 + c], b = (float)row0[3 * x1 + c];
        const float d = (float)row1[3 * x0 + c], e = (float)row1[3 * x1 + c];
        const float upper = a + tx * (b - a), lower = d + tx * (e - d);
        colour[c] = upper + ty * (lower - upper);
    }
}

/* Rounded; v + 1 / 2 is exact enough for 8 bits and quicker than lround(). */
static uint8_t to_byte(double v) {
    const double shifted = v + 0.5;
    return shifted <= 0.0 ? 0 : shifted >= 255.0 ? 255 : (uint8_t)shifted;
}

static void change_colours(uint8_t *image, int64_t pixels, const ho_labelled_change *change) {
    int64_t sum = 0;
    for (int64_t i = 0; i < 3 * pixels; ++i) {
        sum += image[i];
    }
    const double mean = (double)sum / (double)(3 * pixels);
    const float base = (float)(mean * (1.0 - change->contrast) + 255.0 * change->brightness);
    const float contrast = (float)change->contrast, saturation = (float)change->saturation;
    for (int64_t p = 0; p < pixels; ++p) {
        uint8_t *v = image + 3 * p;
        const float grey = 0.299F * (float)v[0] + 0.587F * (float)v[1] + 0.114F * (float)v[2];
        for (int c = 0; c < 3; ++c) {
            const float coloured = grey + saturation * ((float)v[c] - grey);
            v[c] = to_byte((double)(base + contrast * coloured));
        }
    }
}

void ho_change_labelled(const ho_labelled_image *job, const ho_labelled_change *change) {
    const int H = job->height, W = job->width;
    const double cx = 0.5 * (W - 1), cy = 0.5 * (H - 1);
    const double c = cos(change->turn * RADIANS_A_DEGREE) / change->scale;
    const double s = sin(change->turn * RADIANS_A_DEGREE) / change->scale;
    float colour[3];
    for (int y = 0; y < H; ++y) {
        for (int x = 0; x < W; ++x) {
            const int64_t p = (int64_t)y * W + (change->mirror ? W - 1 - x : x);
            const double u = x - cx - change->shift_x * W, v = y - cy - change->shift_y * H;
            const double from_x = c * u + s * v + cx, from_y = c * v - s * u + cy;
            sample(job, from_x, from_y, colour);
            for (int k = 0; k < 3; ++k) {
                job->to_image[3 * p + k] = to_byte((double)colour[k]);
            }
            const int near_x = reflect((int)floor(from_x + 0.5), W), near_y = reflect((int)floor(from_y + 0.5), H);
            job->to_label[p] = job->label[(int64_t)near_y * W + near_x];
        }
    }
    change_colours(job->to_image, (int64_t)H * W, change);
}
