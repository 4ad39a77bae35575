/* What the tests of the stand-in for cuDNN share: a convolution with all that its three calls need. */
#ifndef GPUSIM_LIBS_CUDNN_CASES_H
#define GPUSIM_LIBS_CUDNN_CASES_H

#include <cudnn.h>

#include "libs_cases.h"

/* x (N, H, W, C), w (O, R, S, C), y (N, P, Q, O). */
typedef struct {
    int N, C, H, W, O, R, S, pad[2], stride[2], dilation[2];
    cudnnMathType_t math;
} conv_case;

enum { FORWARD, DATA, FILTER };
static const float ONE = 1.0F, ZERO = 0.0F;

/* begin() makes them, end() gives them back. */
static cudaStream_t stream;
static cudnnHandle_t handle;
static cudnnTensorDescriptor_t x_desc, y_desc;
static cudnnFilterDescriptor_t w_desc;
static cudnnConvolutionDescriptor_t conv_desc;
static float *device[3], *host[3]; /* y, x, w: number i is what pass i writes */
static size_t floats[3], workspace_bytes[3];
static void *workspace;
static int P, Q;

static inline int out_size(int size, int kernel, int pad, int stride, int dilation) {
    return (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

static inline void describe(const conv_case *s) {
    P = out_size(s->H, s->R, s->pad[0], s->stride[0], s->dilation[0]);
    Q = out_size(s->W, s->S, s->pad[1], s->stride[1], s->dilation[1]);
    MUST(cudnnCreateTensorDescriptor(&x_desc) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnCreateTensorDescriptor(&y_desc) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnCreateFilterDescriptor(&w_desc) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnCreateConvolutionDescriptor(&conv_desc) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnSetTensor4dDescriptor(x_desc, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, s->N, s->C, s->H, s->W) ==
         CUDNN_STATUS_SUCCESS);
    MUST(cudnnSetTensor4dDescriptor(y_desc, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, s->N, s->O, P, Q) ==
         CUDNN_STATUS_SUCCESS);
    MUST(cudnnSetFilter4dDescriptor(w_desc, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, s->O, s->C, s->R, s->S) ==
         CUDNN_STATUS_SUCCESS);
    MUST(cudnnSetConvolution2dDescriptor(conv_desc, s->pad[0], s->pad[1], s->stride[0], s->stride[1], s->dilation[0],
                                         s->dilation[1], CUDNN_CROSS_CORRELATION,
                                         CUDNN_DATA_FLOAT) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnSetConvolutionMathType(conv_desc, s->math) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnGetConvolutionForwardWorkspaceSize(handle, x_desc, w_desc, conv_desc, y_desc,
                                                 CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
                                                 &workspace_bytes[FORWARD]) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnGetConvolutionBackwardDataWorkspaceSize(handle, w_desc, y_desc, conv_desc, x_desc,
                                                      CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
                                                      &workspace_bytes[DATA]) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, x_desc, y_desc, conv_desc, w_desc,
                                                        CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
                                                        &workspace_bytes[FILTER]) == CUDNN_STATUS_SUCCESS);
}

static inline void begin(const conv_case *s) {
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    MUST(cudnnCreate(&handle) == CUDNN_STATUS_SUCCESS && cudnnSetStream(handle, stream) == CUDNN_STATUS_SUCCESS);
    describe(s);
    floats[FORWARD] = (size_t)s->N * (size_t)P * (size_t)Q * (size_t)s->O;
    floats[DATA] = (size_t)s->N * (size_t)s->H * (size_t)s->W * (size_t)s->C;
    floats[FILTER] = (size_t)s->O * (size_t)s->R * (size_t)s->S * (size_t)s->C;
    uint32_t state = 99;
    size_t most = 0;
    for (int i = 0; i < 3; ++i) {
        host[i] = malloc(floats[i] * sizeof(float));
        MUST(host[i] != NULL);
        for (size_t j = 0; j < floats[i]; ++j) {
            state = state * 1664525U + 1013904223U;
            host[i][j] = (float)((int)(state >> 8) - (1 << 23)) * 0x1p-22F;
        }
        MUST(cudaMalloc((void **)&device[i], floats[i] * sizeof(float)) == cudaSuccess);
        MUST(cudaMemcpy(device[i], host[i], floats[i] * sizeof(float), cudaMemcpyHostToDevice) == cudaSuccess);
        most = workspace_bytes[i] > most ? workspace_bytes[i] : most;
    }
    MUST(cudaMalloc(&workspace, most) == cudaSuccess);
}

static inline void end(void) {
    MUST(cudaStreamSynchronize(stream) == cudaSuccess);
    MUST(cudnnDestroyTensorDescriptor(x_desc) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnDestroyTensorDescriptor(y_desc) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnDestroyFilterDescriptor(w_desc) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnDestroyConvolutionDescriptor(conv_desc) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnDestroy(handle) == CUDNN_STATUS_SUCCESS && cudaStreamDestroy(stream) == cudaSuccess);
    for (int i = 0; i < 3; ++i) {
        free(host[i]);
        MUST(cudaFree(device[i]) == cudaSuccess);
    }
    MUST(cudaFree(workspace) == cudaSuccess);
}

/* The three passes as our programs call them. */
static inline cudnnStatus_t convolve(int pass) {
    return pass == FORWARD
               ? cudnnConvolutionForward(handle, &ONE, x_desc, device[DATA], w_desc, device[FILTER], conv_desc,
                                         CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, workspace,
                                         workspace_bytes[FORWARD], &ZERO, y_desc, device[FORWARD])
           : pass == DATA ? cudnnConvolutionBackwardData(handle, &ONE, w_desc, device[FILTER], y_desc, device[FORWARD],
                                                         conv_desc, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, workspace,
                                                         workspace_bytes[DATA], &ZERO, x_desc, device[DATA])
                          : cudnnConvolutionBackwardFilter(handle, &ONE, x_desc, device[DATA], y_desc, device[FORWARD],
                                                           conv_desc, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, workspace,
                                                           workspace_bytes[FILTER], &ZERO, w_desc, device[FILTER]);
}

#endif
