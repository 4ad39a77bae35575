/* Which algorithm computes a convolution on the cpu target: a fixed rule of the shape, so that two runs agree bit for
 * bit. */
#include "conv_cpu.h"
#include "winograd.h"

int64_t ho_conv_out(const ho_conv_shape *s, int64_t size) {
    return (size + 2 * s->pad - s->dilation * (s->kernel - 1) - 1) / s->stride + 1;
}

/* A 1x1 convolution with stride 1 is a matrix product over pixels. */
static bool is_product(const ho_conv_shape *s) {
    return s->kernel == 1 && s->stride == 1 && s->pad == 0 && !s->swapped;
}

#ifndef HO_REAL_DOUBLE
/* A convolution that Winograd's algorithm can compute, as its shape. */
static bool is_same(const ho_conv_shape *s, winograd_shape *same) {
    *same = (winograd_shape){s->N, s->H, s->W, s->C, s->O, s->dilation};
    return s->kernel == 3 && s->stride == 1 && s->pad == s->dilation && !s->swapped;
}

static winograd_shape undilated(const ho_fused_shape *s) {
    return (winograd_shape){s->N, s->H, s->W, s->C, s->O, 1};
}
#endif

ho_status ho_conv_forward(ho_device *device, const ho_conv_shape *s, const ho_real *x, const ho_real *w, ho_real *y) {
    if (is_product(s)) {
        return ho_gemm(device, false, true, s->N * s->H * s->W, s->O, s->C, 1, x, s->C, w, s->C, 0, y, s->O);
    }
#ifndef HO_REAL_DOUBLE
    winograd_shape same;
    if (is_same(s, &same) && ho_winograd_fits(&same)) {
        return ho_winograd_forward(device, &same, x, NULL, w, NULL, y);
    }
#endif
    return ho_cpu_conv_direct_forward(device, s, x, w, y);
}

ho_status ho_conv_backward_data(ho_device *device, const ho_conv_shape *s, const ho_real *g_y, const ho_real *w,
                                ho_real *g_x) {
    if (is_product(s)) {
        return ho_gemm(device, false, false, s->N * s->H * s->W, s->C, s->O, 1, g_y, s->O, w, s->C, 0, g_x, s->C);
    }
#ifndef HO_REAL_DOUBLE
    winograd_shape same;
    if (is_same(s, &same) && ho_winograd_fits(&same)) {
        return ho_winograd_backward_data(device, &same, g_y, w, g_x);
    }
#endif
    return ho_cpu_conv_direct_backward_data(device, s, g_y, w, g_x);
}

ho_status ho_conv_backward_weights(ho_device *device, const ho_conv_shape *s, const ho_real *x, const ho_real *g_y,
                                   ho_real *g_w) {
    if (is_product(s)) {
        return ho_gemm(device, true, false, s->O, s->C, s->N * s->H * s->W, 1, g_y, s->O, x, s->C, 0, g_w, s->C);
    }
#ifndef HO_REAL_DOUBLE
    winograd_shape same;
    if (is_same(s, &same) && ho_winograd_fits_weights(&same)) {
        return ho_winograd_backward_weights(device, &same, x, NULL, g_y, g_w);
    }
    if (ho_cpu_conv_overreaches(s)) {
        return ho_cpu_conv_taps_backward_weights(device, s, x, g_y, g_w);
    }
#endif
    return ho_cpu_conv_direct_backward_weights(device, s, x, g_y, g_w);
}

#ifndef HO_REAL_DOUBLE

bool ho_conv_takes_swapped(const ho_device *device) {
    (void)device;
    return true;
}

bool ho_conv_fuses(const ho_device *device, const ho_fused_shape *s) {
    (void)device;
    const winograd_shape shape = undilated(s);
    return !s->up && ho_winograd_fits(&shape);
}

ho_status ho_fused_forward(ho_device *device, const ho_fused_shape *s, const ho_real *x, const ho_real *x_scale,
                           const ho_real *w, const ho_conv_epilogue *epilogue, ho_real *y) {
    const winograd_shape shape = undilated(s);
    return ho_winograd_forward(device, &shape, x, x_scale, w, epilogue, y);
}

ho_status ho_fused_backward_data(ho_device *device, const ho_fused_shape *s, const ho_real *g_y, const ho_real *w,
                                 ho_real *g_x) {
    const winograd_shape shape = undilated(s);
    return ho_winograd_backward_data(device, &shape, g_y, w, g_x);
}

ho_status ho_fused_backward_weights(ho_device *device, const ho_fused_shape *s, const ho_real *x,
                                    const ho_real *x_scale, const ho_real *g_y, ho_real *g_w) {
    const winograd_shape shape = undilated(s);
    return ho_winograd_backward_weights(device, &shape, x, x_scale, g_y, g_w);
}

#endif
