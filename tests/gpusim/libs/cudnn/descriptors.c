/* cuDNN: handles and descriptors. */
#include <stdlib.h>

#include "cudnn_parts.h"

typedef struct node node;
struct node {
    node *next;
    void *object;
};
static node *lists[GS_N_KINDS];
static const char *const NAMES[GS_N_KINDS] = {"cuDNN tensor descriptors", "cuDNN filter descriptors",
                                              "cuDNN convolution descriptors", "cuDNN handles"};

static node **find(gs_kind kind, const void *object, const char *where) {
    for (node **link = &lists[kind]; *link != NULL; link = &(*link)->next) {
        if ((*link)->object == object) {
            return link;
        }
    }
    GS_WRONG_CALL(where, "%p is none of the live %s", object, NAMES[kind]);
    return NULL;
}

static cudnnStatus_t create(gs_kind kind, size_t size, const char *name, void *result) {
    if (gs_call_fails(name)) {
        return CUDNN_STATUS_ALLOC_FAILED;
    }
    if (result == NULL) {
        GS_WRONG_CALL(name, "nowhere to put the result");
        return CUDNN_STATUS_BAD_PARAM;
    }
    node *made = calloc(1, sizeof *made);
    if (made == NULL || (made->object = calloc(1, size)) == NULL) {
        gs_fatal("no memory for %s", NAMES[kind]);
    }
    made->next = lists[kind];
    lists[kind] = made;
    gs_live(NAMES[kind], 1);
    *(void **)result = made->object;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t destroy(gs_kind kind, void *object, const char *name) {
    node **link = find(kind, object, name);
    if (link == NULL) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    node *gone = *link;
    *link = gone->next;
    free(gone->object);
    free(gone);
    gs_live(NAMES[kind], -1);
    return CUDNN_STATUS_SUCCESS;
}

bool gs_cudnn_alive(gs_kind kind, const void *object, const char *where) {
    if (find(kind, object, where) == NULL) {
        return false;
    }
    const bool set = kind == GS_TENSOR        ? ((const struct cudnnTensorStruct *)object)->N > 0
                     : kind == GS_FILTER      ? ((const struct cudnnFilterStruct *)object)->O > 0
                     : kind == GS_CONVOLUTION ? ((const struct cudnnConvolutionStruct *)object)->stride[0] > 0
                                              : true;
    if (!set) {
        GS_WRONG_CALL(where, "one of the %s was never set", NAMES[kind]);
    }
    return set;
}

/* It allocates device memory. */
GS_EXPORT cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    static const char NAME[] = "cudnnCreate";
    return gs_capture_forbids(NAME) ? CUDNN_STATUS_ALLOC_FAILED : create(GS_HANDLE, sizeof **handle, NAME, handle);
}

/* It waits for the device. */
GS_EXPORT cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    static const char NAME[] = "cudnnDestroy";
    return gs_capture_forbids(NAME) ? CUDNN_STATUS_INTERNAL_ERROR : destroy(GS_HANDLE, handle, NAME);
}

GS_EXPORT cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    static const char NAME[] = "cudnnSetStream";
    if (gs_call_fails(NAME) || !gs_cudnn_alive(GS_HANDLE, handle, NAME) || !gs_stream_alive(stream, NAME)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

GS_EXPORT size_t cudnnGetVersion(void) {
    return CUDNN_VERSION;
}

GS_EXPORT const char *cudnnGetErrorString(cudnnStatus_t status) {
    switch (status) {
    case CUDNN_STATUS_SUCCESS:
        return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_ALLOC_FAILED:
        return "CUDNN_STATUS_ALLOC_FAILED";
    case CUDNN_STATUS_BAD_PARAM:
        return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
        return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED:
        return "CUDNN_STATUS_EXECUTION_FAILED";
    default:
        return "a cuDNN error";
    }
}

/* ---- descriptors ------------------------------------------------------------------------------------------- */

GS_EXPORT cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *d) {
    return create(GS_TENSOR, sizeof **d, "cudnnCreateTensorDescriptor", d);
}
GS_EXPORT cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t d) {
    return destroy(GS_TENSOR, d, "cudnnDestroyTensorDescriptor");
}
GS_EXPORT cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *d) {
    return create(GS_FILTER, sizeof **d, "cudnnCreateFilterDescriptor", d);
}
GS_EXPORT cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t d) {
    return destroy(GS_FILTER, d, "cudnnDestroyFilterDescriptor");
}
GS_EXPORT cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *d) {
    return create(GS_CONVOLUTION, sizeof **d, "cudnnCreateConvolutionDescriptor", d);
}
GS_EXPORT cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t d) {
    return destroy(GS_CONVOLUTION, d, "cudnnDestroyConvolutionDescriptor");
}

static bool positive(int a, int b, int c, int d, const char *where) {
    if (a > 0 && b > 0 && c > 0 && d > 0) {
        return true;
    }
    GS_WRONG_CALL(where, "dimensions %d, %d, %d, %d: each must be positive", a, b, c, d);
    return false;
}

static bool known(cudnnTensorFormat_t format, cudnnDataType_t type, const char *where) {
    if ((int)format >= 0 && format <= CUDNN_TENSOR_NCHW_VECT_C && (int)type >= 0 && type <= CUDNN_DATA_FP8_E5M2) {
        return true;
    }
    GS_WRONG_CALL(where, "layout %d, type %d: no such", (int)format, (int)type);
    return false;
}

GS_EXPORT cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t format,
                                                   cudnnDataType_t type, int N, int C, int H, int W) {
    static const char NAME[] = "cudnnSetTensor4dDescriptor";
    if (gs_call_fails(NAME) || find(GS_TENSOR, d, NAME) == NULL || !positive(N, C, H, W, NAME) ||
        !known(format, type, NAME)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    if ((double)N * C * H * W > (double)INT32_MAX) {
        GS_WRONG_CALL(NAME, "%d x %d x %d x %d elements are more than 2^31 - 1", N, C, H, W);
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    *d = (struct cudnnTensorStruct){format, type, N, C, H, W};
    return CUDNN_STATUS_SUCCESS;
}

GS_EXPORT cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type,
                                                   cudnnTensorFormat_t format, int O, int C, int H, int W) {
    static const char NAME[] = "cudnnSetFilter4dDescriptor";
    if (gs_call_fails(NAME) || find(GS_FILTER, d, NAME) == NULL || !positive(O, C, H, W, NAME) ||
        !known(format, type, NAME)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    *d = (struct cudnnFilterStruct){format, type, O, C, H, W};
    return CUDNN_STATUS_SUCCESS;
}

GS_EXPORT cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int pad_h, int pad_w,
                                                        int stride_h, int stride_w, int dilation_h, int dilation_w,
                                                        cudnnConvolutionMode_t mode, cudnnDataType_t type) {
    static const char NAME[] = "cudnnSetConvolution2dDescriptor";
    if (gs_call_fails(NAME) || find(GS_CONVOLUTION, d, NAME) == NULL ||
        !positive(stride_h, stride_w, dilation_h, dilation_w, NAME)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (mode != CUDNN_CROSS_CORRELATION || type != CUDNN_DATA_FLOAT) {
        gs_fatal("%s: only correlations in float are simulated", NAME);
    }
    if (pad_h < 0 || pad_w < 0) {
        GS_WRONG_CALL(NAME, "padding %d, %d", pad_h, pad_w);
        return CUDNN_STATUS_BAD_PARAM;
    }
    *d = (struct cudnnConvolutionStruct){
        {pad_h, pad_w}, {stride_h, stride_w}, {dilation_h, dilation_w}, CUDNN_DEFAULT_MATH};
    return CUDNN_STATUS_SUCCESS;
}

GS_EXPORT cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math) {
    static const char NAME[] = "cudnnSetConvolutionMathType";
    if (gs_call_fails(NAME) || !gs_cudnn_alive(GS_CONVOLUTION, d, NAME)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    if ((int)math < 0 || math > CUDNN_FMA_MATH) {
        GS_WRONG_CALL(NAME, "mode %d: there are 0 to %d", (int)math, (int)CUDNN_FMA_MATH);
        return CUDNN_STATUS_BAD_PARAM;
    }
    d->math = math;
    return CUDNN_STATUS_SUCCESS;
}
