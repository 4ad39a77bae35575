/* What the files of the cuda target share. */
#ifndef HANDSOFF_DEVICE_CUDA_H
#define HANDSOFF_DEVICE_CUDA_H

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "handsoff/device.h"

typedef struct {
    void *at;
    size_t bytes;
} allocation;

/* Descriptors of one convolution shape, made once and kept. */
typedef struct {
    ho_conv_shape shape;
    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t conv;
    size_t forward_bytes, data_bytes, weights_bytes; /* workspace of each direction */
} conv_entry;

/* Pinned memory for the uploads of a recorded step; graph.c. */
typedef struct staging staging;

struct ho_device {
    char name[320];
    cudaStream_t stream;
    cublasHandle_t cublas;
    cudnnHandle_t cudnn;
    size_t bytes, peak_bytes;
    allocation *allocations;
    int n_allocations, room;
    void *workspace; /* scratch of cuDNN, grows to the largest request */
    size_t workspace_bytes;
    void *cublas_workspace;
    conv_entry *convs;
    int n_convs, conv_room;
    ho_precision precision;
    bool no_fusing;
    char failure[200];         /* of a call whose caller gets no status; ho_device_sync tells it */
    bool no_graphs, recording; /* recording: between ho_device_record_begin and _end, the stream is being captured */
    staging *staging;
    void **outgrown; /* workspaces that a recording may still name */
    int n_outgrown;
};

/* Keeps the failure of a call whose caller gets no status. */
void ho_cuda_note(ho_device *device, const char *call, cudaError_t result);
/* Copies host data to where the recorded step finds it when it runs. */
ho_status ho_cuda_stage(ho_device *device, const void *host, size_t bytes, void **staged);
void ho_cuda_graph_close(ho_device *device);
/* Scratch until the next call that asks for some. */
ho_status ho_cuda_workspace(ho_device *device, size_t bytes, void **workspace);
void ho_cuda_conv_close(ho_device *device);

#define CUDA_TRY(call)                                                                                                 \
    do {                                                                                                               \
        const cudaError_t cuda_error_ = (call);                                                                        \
        if (cuda_error_ != cudaSuccess) {                                                                              \
            HO_FAIL(HO_EDEVICE, "%s: %s", #call, cudaGetErrorString(cuda_error_));                                     \
        }                                                                                                              \
    } while (0)
#define CUBLAS_TRY(call)                                                                                               \
    do {                                                                                                               \
        const cublasStatus_t cublas_status_ = (call);                                                                  \
        if (cublas_status_ != CUBLAS_STATUS_SUCCESS) {                                                                 \
            HO_FAIL(HO_EDEVICE, "%s: %s", #call, cublasGetStatusString(cublas_status_));                               \
        }                                                                                                              \
    } while (0)
#define CUDNN_TRY(call)                                                                                                \
    do {                                                                                                               \
        const cudnnStatus_t cudnn_status_ = (call);                                                                    \
        if (cudnn_status_ != CUDNN_STATUS_SUCCESS) {                                                                   \
            HO_FAIL(HO_EDEVICE, "%s: %s", #call, cudnnGetErrorString(cudnn_status_));                                  \
        }                                                                                                              \
    } while (0)

#endif
