/* Which algorithm computes a convolution on the cpu target: a fixed rule of the shape, so that two runs agree bit for
 * bit. */
#include "conv_cpu.h"
#include "dry.h"
#include "winograd.h"

int64_t ho_conv_out(const ho_conv_shape *s, int64_t size) {
    return (size + 2 * s->pad - s->dilation * (s->kernel - 1) - 1) / s->stride + 1;
}

/* A 1x1 convolution with stride 1 is a matrix product over pixels. */
static bool is_product(const ho_conv_shape *s) {
    return s->kernel == 1 && s->stride == 1 && s->pad == 0 && !s->swapped;
}

/* On a device that computes nothing: takes note of the convolution. True where nothing else is to be asked: the
 * algorithms of cuda are not here. */
static bool noted(ho_device *device, const ho_conv_shape *s) {
    if (device->dry != NULL) {
        const double pixels = (double)s->N * (double)ho_conv_out(s, s->H) * (double)ho_conv_out(s, s->W);
        ho_dry_flops(device, 2.0 * pixels * (double)(s->C * s->O) * (double)(s->kernel * s->kernel));
    }
    return ho_dry_is_cuda(device);
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
    if (noted(device, s)) {
        return HO_OK;
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
    if (noted(device, s)) {
        return HO_OK;
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
    if (noted(device, s)) {
        return HO_OK;
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
    return !ho_dry_is_cuda(device);
}

bool ho_conv_fuses(const ho_device *device, const ho_fused_shape *s) {
    const winograd_shape shape = undilated(s);
    if (ho_dry_is_cuda(device)) {
        return ho_dry_fuses(device);
    }
    return !s->up && ho_winograd_fits(&shape);
}

/* As noted(); *status is that of the scratch (bytes) which cuda's kernel asks for. */
static bool noted_fused(ho_device *device, const ho_fused_shape *s, size_t scratch, ho_status *status) {
    void *workspace = NULL;
    if (device->dry != NULL) {
        ho_dry_flops(device, 18.0 * (double)(s->N * s->H * s->W) * (double)(s->C * s->O));
    }
    *status = ho_dry_is_cuda(device) && scratch > 0 ? ho_dry_workspace(device, scratch, &workspace) : HO_OK;
    return ho_dry_is_cuda(device);
}

ho_status ho_fused_forward(ho_device *device, const ho_fused_shape *s, const ho_real *x, const ho_real *x_scale,
                           const ho_real *w, const ho_conv_epilogue *epilogue, ho_real *y) {
    const winograd_shape shape = undilated(s);
    ho_status status = HO_OK;
    if (noted_fused(device, s, 0, &status)) {
        return status;
    }
    return ho_winograd_forward(device, &shape, x, x_scale, w, epilogue, y);
}

ho_status ho_fused_backward_data(ho_device *device, const ho_fused_shape *s, const ho_real *g_y, const ho_real *w,
                                 ho_real *g_x) {
    const winograd_shape shape = undilated(s);
    ho_status status = HO_OK;
    if (noted_fused(device, s, ho_dry_input_scratch(s), &status)) {
        return status;
    }
    return ho_winograd_backward_data(device, &shape, g_y, w, g_x);
}

ho_status ho_fused_backward_weights(ho_device *device, const ho_fused_shape *s, const ho_real *x,
                                    const ho_real *x_scale, const ho_real *g_y, ho_real *g_w) {
    const winograd_shape shape = undilated(s);
    ho_status status = HO_OK;
    if (noted_fused(device, s, ho_dry_weights_scratch(s), &status)) {
        return status;
    }
    return ho_winograd_backward_weights(device, &shape, x, x_scale, g_y, g_w);
}

#endif
