/* The gradient of a convolution's weights, tap by tap: that of one tap is the matrix product of the pixels of g_y and
 * the pixels of x which the tap joins,
 *
 *   g_w[o, tap, c] = sum over joined pixels g_y[pixel, o] x[pixel + tap, c].
 *
 * For filters that reach further than the image: oneDNN has no direct algorithm for these, and few pixels are joined.
 * The pixels are packed first, a few images at a time. Each tap has one owner, and its product runs on one thread, so
 * that the result does not depend on the number of threads. */
#include "conv_cpu.h"

#ifndef HO_REAL_DOUBLE

#include <omp.h>
#include <string.h>

bool ho_cpu_conv_overreaches(const ho_conv_shape *s) {
    const int64_t reach = s->dilation * (s->kernel - 1) + 1;
    return s->stride == 1 && !s->swapped && reach > (s->H < s->W ? s->H : s->W);
}

typedef struct {
    const ho_conv_shape *s;
    const float *x, *g_y;
    int64_t images; /* packed at a time */
} tap_work;

/* Outputs first..last-1 along an axis of `size` inputs whose tap at `offset` lies inside. */
typedef struct {
    int64_t first, last;
} span;

static span joined(int64_t size, int64_t outputs, int64_t offset) {
    const int64_t first = offset < 0 ? -offset : 0, end = size - offset, last = end < outputs ? end : outputs;
    return (span){first, last > first ? last : first};
}

/* g_w of one tap (O, C), its rows kernel^2 C apart, which is zero yet. */
static ho_status add_tap(ho_device *device, const tap_work *work, int64_t tap, float *room, float *g_w) {
    const ho_conv_shape *s = work->s;
    const int64_t C = s->C, O = s->O, P = ho_conv_out(s, s->H), Q = ho_conv_out(s, s->W);
    const int64_t down = tap / s->kernel * s->dilation - s->pad, right = tap % s->kernel * s->dilation - s->pad;
    const span rows = joined(s->H, P, down), columns = joined(s->W, Q, right);
    const int64_t width = columns.last - columns.first, pixels = (rows.last - rows.first) * width;
    for (int64_t n = 0; n < s->N && pixels > 0; n += work->images) {
        const int64_t end = n + work->images < s->N ? n + work->images : s->N;
        float *packed_x = room, *packed_g = room + (end - n) * pixels * C;
        for (int64_t image = n; image < end; ++image) {
            for (int64_t p = rows.first; p < rows.last; ++p, packed_x += width * C, packed_g += width * O) {
                memcpy(packed_x, work->x + ((image * s->H + p + down) * s->W + columns.first + right) * C,
                       (size_t)(width * C) * sizeof *packed_x);
                memcpy(packed_g, work->g_y + ((image * P + p) * Q + columns.first) * O,
                       (size_t)(width * O) * sizeof *packed_g);
            }
        }
        HO_TRY(ho_gemm(device, true, false, O, C, (end - n) * pixels, 1, room + (end - n) * pixels * C, O, room, C, 1,
                       g_w, s->kernel * s->kernel * C));
    }
    return HO_OK;
}

ho_status ho_cpu_conv_taps_backward_weights(ho_device *device, const ho_conv_shape *s, const ho_real *x,
                                            const ho_real *g_y, ho_real *g_w) {
    const int64_t P = ho_conv_out(s, s->H), Q = ho_conv_out(s, s->W), taps = s->kernel * s->kernel;
    const int64_t image = P * Q * (s->C + s->O), most = (int64_t)1 << 18; /* floats: 1 MB, or one image */
    const int64_t images = image < most ? most / image : 1;
    const tap_work work = {s, x, g_y, images < s->N ? images : s->N};
    void *workspace = NULL;
    HO_TRY(ho_cpu_workspace(device, (size_t)(work.images * image * omp_get_max_threads()) * sizeof(float), &workspace));
    if (device->dry != NULL) {
        return HO_OK;
    }
    memset(g_w, 0, (size_t)(s->O * taps * s->C) * sizeof *g_w);
    ho_status status = HO_OK;
#pragma omp parallel for schedule(dynamic)
    for (int64_t tap = 0; tap < taps; ++tap) {
        float *room = (float *)workspace + work.images * image * omp_get_thread_num();
        const ho_status one = add_tap(device, &work, tap, room, g_w + tap * s->C);
        if (one != HO_OK) {
#pragma omp atomic write
            status = one;
        }
    }
    if (status != HO_OK) { /* the text of the failure stayed with the thread that had it */
        HO_FAIL(status, "the gradient of the weights of a convolution (%ld, %ld, %ld) failed", (long)s->O,
                (long)s->kernel, (long)s->C);
    }
    return HO_OK;
}

#endif
