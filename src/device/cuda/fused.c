/* The fused convolutions of the cuda target (kernels/cuda/), and which precision convolutions and products have. */
#include "cuda/fused_conv.h"

#include "device_cuda.h"

ho_status ho_device_set_precision(ho_device *device, ho_precision precision, bool fuse) {
    HO_REQUIRE(device->n_convs == 0, "the precision is set before the first convolution");
    /* TF32 rounds the operands of float products; pedantic products round nothing. */
    CUBLAS_TRY(cublasSetMathMode(device->cublas,
                                 precision == HO_PRECISION_FP32 ? CUBLAS_PEDANTIC_MATH : CUBLAS_TF32_TENSOR_OP_MATH));
    device->precision = precision;
    device->no_fusing = !fuse;
    return HO_OK;
}

bool ho_conv_fuses(const ho_device *device, const ho_fused_shape *s) {
    return !device->no_fusing && device->precision != HO_PRECISION_FP32 && ho_k_fused_fits(s);
}

static bool bf16(const ho_device *device) {
    return device->precision == HO_PRECISION_BF16;
}

static ho_status check(const ho_device *device, const ho_fused_shape *s) {
    HO_REQUIRE(ho_conv_fuses(device, s),
               "%lld x %lld x %lld pixels with %lld and %lld channels are not fused here: ask ho_conv_fuses first",
               (long long)s->N, (long long)s->H, (long long)s->W, (long long)s->C, (long long)s->O);
    return HO_OK;
}

ho_status ho_fused_forward(ho_device *device, const ho_fused_shape *s, const ho_real *x, const ho_real *x_scale,
                           const ho_real *w, const ho_conv_epilogue *epilogue, ho_real *y) {
    HO_TRY(check(device, s));
    return ho_k_fused_forward(device->stream, s, bf16(device), x, x_scale, w, epilogue, y);
}

bool ho_fused_gives_scale_gradient(const ho_device *device) {
    (void)device;
    return true;
}

ho_status ho_fused_backward_input(ho_device *device, const ho_fused_shape *s, const ho_fused_gradients *g) {
    void *scratch = NULL;
    HO_TRY(check(device, s));
    HO_TRY(ho_cuda_workspace(device, (size_t)ho_k_fused_input_scratch(s) * sizeof(ho_real), &scratch));
    return ho_k_fused_input_gradient(device->stream, s, bf16(device), g, scratch);
}

ho_status ho_fused_backward_data(ho_device *device, const ho_fused_shape *s, const ho_real *g_y, const ho_real *w,
                                 ho_real *g_x) {
    const ho_fused_gradients g = {.w = w, .g_y = g_y, .g_x = g_x};
    return ho_fused_backward_input(device, s, &g);
}

ho_status ho_fused_backward_weights(ho_device *device, const ho_fused_shape *s, const ho_real *x,
                                    const ho_real *x_scale, const ho_real *g_y, ho_real *g_w) {
    void *scratch = NULL;
    HO_TRY(check(device, s));
    HO_TRY(ho_cuda_workspace(device, (size_t)ho_k_fused_weights_scratch(s) * sizeof(ho_real), &scratch));
    return ho_k_fused_weight_gradient(device->stream, s, bf16(device), x, x_scale, g_y, scratch, g_w);
}
