/* Convolutions of the cuda target through cuDNN: NHWC activations, (O,k,k,C) filters. The algorithms are fixed and
 * deterministic: implicit GEMM with precomputed offsets forward, "algorithm 1" in both backward directions. */
#include "device_cuda.h"

#include <stdlib.h>
#include <string.h>

static const cudnnConvolutionFwdAlgo_t FORWARD = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
static const cudnnConvolutionBwdDataAlgo_t BACKWARD_DATA = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
static const cudnnConvolutionBwdFilterAlgo_t BACKWARD_WEIGHTS = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;

int64_t ho_conv_out(const ho_conv_shape *s, int64_t size) {
    return (size + 2 * s->pad - s->dilation * (s->kernel - 1) - 1) / s->stride + 1;
}

static void entry_free(conv_entry *e) {
    if (e->x != NULL) {
        cudnnDestroyTensorDescriptor(e->x);
    }
    if (e->y != NULL) {
        cudnnDestroyTensorDescriptor(e->y);
    }
    if (e->w != NULL) {
        cudnnDestroyFilterDescriptor(e->w);
    }
    if (e->conv != NULL) {
        cudnnDestroyConvolutionDescriptor(e->conv);
    }
}

void ho_cuda_conv_close(ho_device *device) {
    for (int i = 0; i < device->n_convs; ++i) {
        entry_free(&device->convs[i]);
    }
    free(device->convs);
    device->convs = NULL;
    device->n_convs = 0;
}

static ho_status entry_make(ho_device *device, const ho_conv_shape *s, conv_entry *e) {
    HO_REQUIRE(!s->swapped, "cuda convolves with weights (O, k, k, C) only: ask ho_conv_takes_swapped first");
    HO_REQUIRE(s->N * s->H * s->W * s->C <= INT32_MAX && s->N * s->H * s->W * s->O <= INT32_MAX,
               "a convolution of %lld x %lld x %lld pixels with %lld and %lld channels is beyond cuDNN's 2^31 elements",
               (long long)s->N, (long long)s->H, (long long)s->W, (long long)s->C, (long long)s->O);
    const int N = (int)s->N, C = (int)s->C, O = (int)s->O, k = (int)s->kernel;
    CUDNN_TRY(cudnnCreateTensorDescriptor(&e->x));
    CUDNN_TRY(cudnnCreateTensorDescriptor(&e->y));
    CUDNN_TRY(cudnnCreateFilterDescriptor(&e->w));
    CUDNN_TRY(cudnnCreateConvolutionDescriptor(&e->conv));
    CUDNN_TRY(cudnnSetTensor4dDescriptor(e->x, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, N, C, (int)s->H, (int)s->W));
    CUDNN_TRY(cudnnSetTensor4dDescriptor(e->y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, N, O, (int)ho_conv_out(s, s->H),
                                         (int)ho_conv_out(s, s->W)));
    CUDNN_TRY(cudnnSetFilter4dDescriptor(e->w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, O, C, k, k));
    CUDNN_TRY(cudnnSetConvolution2dDescriptor(e->conv, (int)s->pad, (int)s->pad, (int)s->stride, (int)s->stride,
                                              (int)s->dilation, (int)s->dilation, CUDNN_CROSS_CORRELATION,
                                              CUDNN_DATA_FLOAT));
    /* From sm_80 on the default is TF32, with float's range; ALLOW_CONVERSION would take half precision, where small
     * gradients vanish. */
    CUDNN_TRY(cudnnSetConvolutionMathType(e->conv, device->precision == HO_PRECISION_FP32 ? CUDNN_FMA_MATH
                                                                                          : CUDNN_DEFAULT_MATH));
    CUDNN_TRY(
        cudnnGetConvolutionForwardWorkspaceSize(device->cudnn, e->x, e->w, e->conv, e->y, FORWARD, &e->forward_bytes));
    CUDNN_TRY(cudnnGetConvolutionBackwardDataWorkspaceSize(device->cudnn, e->w, e->y, e->conv, e->x, BACKWARD_DATA,
                                                           &e->data_bytes));
    CUDNN_TRY(cudnnGetConvolutionBackwardFilterWorkspaceSize(device->cudnn, e->x, e->y, e->conv, e->w, BACKWARD_WEIGHTS,
                                                             &e->weights_bytes));
    e->shape = *s;
    return HO_OK;
}

static ho_status entry_find(ho_device *device, const ho_conv_shape *s, conv_entry **entry) {
    for (int i = 0; i < device->n_convs; ++i) {
        if (memcmp(&device->convs[i].shape, s, sizeof *s) == 0) {
            *entry = &device->convs[i];
            return HO_OK;
        }
    }
    if (device->n_convs == device->conv_room) {
        const int room = device->conv_room == 0 ? 64 : 2 * device->conv_room;
        conv_entry *grown = realloc(device->convs, (size_t)room * sizeof *grown);
        if (grown == NULL) {
            HO_FAIL(HO_EMEMORY, "cannot allocate the convolution cache");
        }
        device->convs = grown;
        device->conv_room = room;
    }
    conv_entry *e = &device->convs[device->n_convs];
    memset(e, 0, sizeof *e);
    const ho_status status = entry_make(device, s, e);
    if (status != HO_OK) {
        entry_free(e);
        return status;
    }
    ++device->n_convs;
    *entry = e;
    return HO_OK;
}

ho_status ho_conv_forward(ho_device *device, const ho_conv_shape *s, const ho_real *x, const ho_real *w, ho_real *y) {
    conv_entry *e = NULL;
    HO_TRY(entry_find(device, s, &e));
    void *workspace = NULL;
    HO_TRY(ho_cuda_workspace(device, e->forward_bytes, &workspace));
    const float one = 1.0F, zero = 0.0F;
    CUDNN_TRY(cudnnConvolutionForward(device->cudnn, &one, e->x, x, e->w, w, e->conv, FORWARD, workspace,
                                      e->forward_bytes, &zero, e->y, y));
    return HO_OK;
}

ho_status ho_conv_backward_data(ho_device *device, const ho_conv_shape *s, const ho_real *g_y, const ho_real *w,
                                ho_real *g_x) {
    conv_entry *e = NULL;
    HO_TRY(entry_find(device, s, &e));
    void *workspace = NULL;
    HO_TRY(ho_cuda_workspace(device, e->data_bytes, &workspace));
    const float one = 1.0F, zero = 0.0F;
    CUDNN_TRY(cudnnConvolutionBackwardData(device->cudnn, &one, e->w, w, e->y, g_y, e->conv, BACKWARD_DATA, workspace,
                                           e->data_bytes, &zero, e->x, g_x));
    return HO_OK;
}

ho_status ho_conv_backward_weights(ho_device *device, const ho_conv_shape *s, const ho_real *x, const ho_real *g_y,
                                   ho_real *g_w) {
    conv_entry *e = NULL;
    HO_TRY(entry_find(device, s, &e));
    void *workspace = NULL;
    HO_TRY(ho_cuda_workspace(device, e->weights_bytes, &workspace));
    const float one = 1.0F, zero = 0.0F;
    CUDNN_TRY(cudnnConvolutionBackwardFilter(device->cudnn, &one, e->x, x, e->y, g_y, e->conv, BACKWARD_WEIGHTS,
                                             workspace, e->weights_bytes, &zero, e->w, g_w));
    return HO_OK;
}

bool ho_conv_takes_swapped(const ho_device *device) {
    (void)device;
    return false;
}
