/* What the files of the stand-in for cuDNN share. */
#ifndef GPUSIM_CUDNN_PARTS_H
#define GPUSIM_CUDNN_PARTS_H

#include <cudnn.h>

#include "matrix.h"

typedef enum { GS_TENSOR, GS_FILTER, GS_CONVOLUTION, GS_HANDLE, GS_N_KINDS } gs_kind;

struct cudnnTensorStruct {
    cudnnTensorFormat_t format;
    cudnnDataType_t type;
    int N, C, H, W; /* N 0: not set yet */
};
struct cudnnFilterStruct {
    cudnnTensorFormat_t format;
    cudnnDataType_t type;
    int O, C, H, W;
};
struct cudnnConvolutionStruct {
    int pad[2], stride[2], dilation[2]; /* stride 0: not set yet */
    cudnnMathType_t math;
};
struct cudnnContext {
    cudaStream_t stream;
};

/* A live object of the kind and, but for handles, one that was set; else a report and false. */
bool gs_cudnn_alive(gs_kind kind, const void *object, const char *where);

#endif
