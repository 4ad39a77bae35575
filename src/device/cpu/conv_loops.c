/* Convolutions as plain loops: what the double build of the tests computes with. */
#include "conv_cpu.h"

#ifdef HO_REAL_DOUBLE

#include <string.h>

ho_status ho_cpu_conv_open(ho_device *device) {
    device->conv = NULL;
    return HO_OK;
}

void ho_cpu_conv_close(ho_device *device) {
    (void)device;
}

typedef void (*tap_visitor)(const ho_conv_shape *s, const ho_real *x, const ho_real *w, const ho_real *y);

/* Calls visit(pixel of x, tap of w, pixel of y) for every pair of pixels that a tap joins. */
static void for_each_tap(const ho_conv_shape *s, const ho_real *x, const ho_real *w, const ho_real *y,
                         tap_visitor visit) {
    const int64_t P = ho_conv_out(s, s->H), Q = ho_conv_out(s, s->W);
    for (int64_t n = 0; n < s->N; ++n) {
        for (int64_t p = 0; p < P; ++p) {
            for (int64_t q = 0; q < Q; ++q) {
                for (int64_t tap = 0; tap < s->kernel * s->kernel; ++tap) {
                    const int64_t h = p * s->stride + tap / s->kernel * s->dilation - s->pad;
                    const int64_t v = q * s->stride + tap % s->kernel * s->dilation - s->pad;
                    if (h >= 0 && h < s->H && v >= 0 && v < s->W) {
                        visit(s, x + ((n * s->H + h) * s->W + v) * s->C, w + tap * s->C,
                              y + ((n * P + p) * Q + q) * s->O);
                    }
                }
            }
        }
    }
}

static void add_forward(const ho_conv_shape *s, const ho_real *x, const ho_real *w, const ho_real *y) {
    ho_real *out = (ho_real *)y;
    for (int64_t o = 0; o < s->O; ++o) {
        for (int64_t c = 0; c < s->C; ++c) {
            out[o] += x[c] * w[o * s->kernel * s->kernel * s->C + c];
        }
    }
}

static void add_data(const ho_conv_shape *s, const ho_real *x, const ho_real *w, const ho_real *y) {
    ho_real *out = (ho_real *)x;
    for (int64_t o = 0; o < s->O; ++o) {
        for (int64_t c = 0; c < s->C; ++c) {
            out[c] += y[o] * w[o * s->kernel * s->kernel * s->C + c];
        }
    }
}

static void add_weights(const ho_conv_shape *s, const ho_real *x, const ho_real *w, const ho_real *y) {
    ho_real *out = (ho_real *)w;
    for (int64_t o = 0; o < s->O; ++o) {
        for (int64_t c = 0; c < s->C; ++c) {
            out[o * s->kernel * s->kernel * s->C + c] += y[o] * x[c];
        }
    }
}

ho_status ho_cpu_conv_direct_forward(ho_device *device, const ho_conv_shape *s, const ho_real *x, const ho_real *w,
                                     ho_real *y) {
    (void)device;
    memset(y, 0, (size_t)(s->N * ho_conv_out(s, s->H) * ho_conv_out(s, s->W) * s->O) * sizeof *y);
    for_each_tap(s, x, w, y, add_forward);
    return HO_OK;
}

ho_status ho_cpu_conv_direct_backward_data(ho_device *device, const ho_conv_shape *s, const ho_real *g_y,
                                           const ho_real *w, ho_real *g_x) {
    (void)device;
    memset(g_x, 0, (size_t)(s->N * s->H * s->W * s->C) * sizeof *g_x);
    for_each_tap(s, g_x, w, g_y, add_data);
    return HO_OK;
}

ho_status ho_cpu_conv_direct_backward_weights(ho_device *device, const ho_conv_shape *s, const ho_real *x,
                                              const ho_real *g_y, ho_real *g_w) {
    (void)device;
    memset(g_w, 0, (size_t)(s->O * s->kernel * s->kernel * s->C) * sizeof *g_w);
    for_each_tap(s, x, g_w, g_y, add_weights);
    return HO_OK;
}

/* The double build computes every step on its own. */
bool ho_conv_takes_swapped(const ho_device *device) {
    (void)device;
    return false;
}

bool ho_conv_fuses(const ho_device *device, const ho_fused_shape *s) {
    (void)device, (void)s;
    return false;
}

ho_status ho_fused_forward(ho_device *device, const ho_fused_shape *s, const ho_real *x, const ho_real *x_scale,
                           const ho_real *w, const ho_conv_epilogue *epilogue, ho_real *y) {
    (void)device, (void)s, (void)x, (void)x_scale, (void)w, (void)epilogue, (void)y;
    HO_FAIL(HO_EDEVICE, "the double build fuses no convolution: ask ho_conv_fuses first");
}

ho_status ho_fused_backward_data(ho_device *device, const ho_fused_shape *s, const ho_real *g_y, const ho_real *w,
                                 ho_real *g_x) {
    (void)device, (void)s, (void)g_y, (void)w, (void)g_x;
    HO_FAIL(HO_EDEVICE, "the double build fuses no convolution: ask ho_conv_fuses first");
}

ho_status ho_fused_backward_weights(ho_device *device, const ho_fused_shape *s, const ho_real *x,
                                    const ho_real *x_scale, const ho_real *g_y, ho_real *g_w) {
    (void)device, (void)s, (void)x, (void)x_scale, (void)g_y, (void)g_w;
    HO_FAIL(HO_EDEVICE, "the double build fuses no convolution: ask ho_conv_fuses first");
}

#endif
