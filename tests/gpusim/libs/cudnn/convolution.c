/* cuDNN's convolutions for NHWC tensors of floats: columns and a product. With K = kernel H * W * C and P Q output
 * pixels, for each sample, in column-major terms:
 *   forward           y (O, PQ)     = w^T (O, K) columns (K, PQ)
 *   backward data     columns       = w (K, O) g_y (O, PQ), added up into g_x
 *   backward filter   g_w (K, O)   += columns (K, PQ) g_y^T (PQ, O) */
#include <stdlib.h>
#include <string.h>

#include "cudnn_parts.h"

typedef enum { FORWARD, DATA, FILTER } pass;

typedef struct {
    pass pass;
    int algorithm;
    int N, C, H, W, O, P, Q, kernel_h, kernel_w;
    struct cudnnConvolutionStruct conv;
    const float *x, *w, *y; /* in the roles of the forward pass; the pass's result is written                         */
    void *workspace;
    size_t workspace_bytes;
    const char *where;
} queued_conv;

static size_t bytes_x(const queued_conv *q) {
    return sizeof(float) * (size_t)q->N * (size_t)q->H * (size_t)q->W * (size_t)q->C;
}
static size_t bytes_w(const queued_conv *q) {
    return sizeof(float) * (size_t)q->O * (size_t)q->kernel_h * (size_t)q->kernel_w * (size_t)q->C;
}
static size_t bytes_y(const queued_conv *q) {
    return sizeof(float) * (size_t)q->N * (size_t)q->P * (size_t)q->Q * (size_t)q->O;
}

/* Calls `each` for every tap inside the image: the pixel's C channels in x and in the columns. */
static void walk(const queued_conv *q, float *x, float *columns, void (*each)(float *x, float *column, int C)) {
    const size_t K = (size_t)q->kernel_h * (size_t)q->kernel_w * (size_t)q->C;
    for (int p = 0; p < q->P * q->Q; ++p) {
        for (int tap = 0; tap < q->kernel_h * q->kernel_w; ++tap) {
            const int i = tap / q->kernel_w, j = tap % q->kernel_w;
            const int h = p / q->Q * q->conv.stride[0] + i * q->conv.dilation[0] - q->conv.pad[0];
            const int w = p % q->Q * q->conv.stride[1] + j * q->conv.dilation[1] - q->conv.pad[1];
            if (h >= 0 && h < q->H && w >= 0 && w < q->W) {
                each(x + ((size_t)h * (size_t)q->W + (size_t)w) * (size_t)q->C,
                     columns + (size_t)p * K + (size_t)tap * (size_t)q->C, q->C);
            }
        }
    }
}

static void gather(float *x, float *column, int C) {
    memcpy(column, x, sizeof *x * (size_t)C);
}

static void scatter(float *x, float *column, int C) {
    for (int c = 0; c < C; ++c) {
        x[c] += column[c];
    }
}

static gs_rounding rounding_of(cudnnMathType_t math) {
    return math == CUDNN_FMA_MATH                          ? GS_ROUND_NONE
           : math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION ? GS_ROUND_F16
                                                           : GS_ROUND_TF32;
}

static void compute(const queued_conv *q) {
    const int64_t K = (int64_t)q->kernel_h * q->kernel_w * q->C, PQ = (int64_t)q->P * q->Q, O = q->O;
    const gs_rounding rounding = rounding_of(q->conv.math);
    float *columns = malloc(sizeof *columns * (size_t)(K * PQ + 1));
    if (columns == NULL) {
        gs_fatal("%s: no memory for %lld columns", q->where, (long long)PQ);
    }
    if (q->pass == DATA) {
        memset((float *)(uintptr_t)q->x, 0, bytes_x(q));
    }
    for (int n = 0; n < q->N; ++n) {
        float *x = (float *)(uintptr_t)q->x + (int64_t)n * q->H * q->W * q->C;
        float *y = (float *)(uintptr_t)q->y + n * PQ * O, *w = (float *)(uintptr_t)q->w;
        memset(columns, 0, sizeof *columns * (size_t)(K * PQ));
        if (q->pass == DATA) {
            gs_multiply(&(gs_product){false, false, K, PQ, O, K, O, K, 1.0F, 0.0F, w, y, columns, rounding});
            walk(q, x, columns, scatter);
            continue;
        }
        walk(q, x, columns, gather);
        if (q->pass == FORWARD) {
            gs_multiply(&(gs_product){true, false, O, PQ, K, K, K, O, 1.0F, 0.0F, w, columns, y, rounding});
        } else {
            const float beta = n == 0 ? 0.0F : 1.0F;
            gs_multiply(&(gs_product){false, true, K, O, PQ, K, O, K, 1.0F, beta, columns, y, w, rounding});
        }
    }
    free(columns);
}

static void run_conv(void *data) {
    const queued_conv *q = data;
    const void *const at[3] = {q->y, q->x, q->w}; /* index: the pass that writes it */
    const size_t bytes[3] = {bytes_y(q), bytes_x(q), bytes_w(q)};
    bool open = true;
    int n = 0;
    for (; n < 3 && open; ++n) {
        const bool result = n == (int)q->pass;
        open = gs_memory_begin(at[n], bytes[n], result, !result, q->where);
    }
    if (open) {
        compute(q);
    } else {
        --n;
    }
    while (n > 0) {
        --n;
        gs_memory_end(at[n], bytes[n]);
    }
    if (q->workspace_bytes > 0 && gs_memory_begin(q->workspace, q->workspace_bytes, true, false, q->where)) {
        memset(q->workspace, 0xa5, q->workspace_bytes);
        gs_memory_end(q->workspace, q->workspace_bytes);
    }
}

/* Some bytes that depend on shape and pass, as the real one wants. */
static size_t workspace_of(const queued_conv *q) {
    return 256 * (size_t)(1 + q->C % 7 + q->O % 5 + (int)q->pass) + (size_t)q->P * (size_t)q->Q * 16;
}

/* The real library has no other ones for NHWC tensors of floats; its "algorithm 0" of both gradients adds with atomics,
 * so that two runs differ: what we may not use is wrong here too. */
static bool algorithm_fits(const queued_conv *q) {
    const bool fits = q->pass == FORWARD ? q->algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM ||
                                               q->algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM
                      : q->pass == DATA ? q->algorithm == CUDNN_CONVOLUTION_BWD_DATA_ALGO_1
                                        : q->algorithm == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
    if (!fits) {
        GS_WRONG_CALL(q->where, "algorithm %d does not do this for NHWC tensors, or not the same twice", q->algorithm);
    }
    return fits;
}

static bool describe(queued_conv *q, cudnnHandle_t handle, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
                     cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t y) {
    if (!gs_cudnn_alive(GS_HANDLE, handle, q->where) || !gs_cudnn_alive(GS_TENSOR, x, q->where) ||
        !gs_cudnn_alive(GS_FILTER, w, q->where) || !gs_cudnn_alive(GS_CONVOLUTION, conv, q->where) ||
        !gs_cudnn_alive(GS_TENSOR, y, q->where)) {
        return false;
    }
    if (x->type != w->type || x->type != y->type || x->format != y->format || x->format != w->format) {
        GS_WRONG_CALL(q->where, "x, w, y have types %d, %d, %d and layouts %d, %d, %d: each must be one", x->type,
                      w->type, y->type, x->format, w->format, y->format);
        return false;
    }
    if (x->format != CUDNN_TENSOR_NHWC || y->format != CUDNN_TENSOR_NHWC || w->format != CUDNN_TENSOR_NHWC ||
        x->type != CUDNN_DATA_FLOAT || y->type != CUDNN_DATA_FLOAT || w->type != CUDNN_DATA_FLOAT) {
        gs_fatal("%s: only NHWC tensors of floats are simulated", q->where);
    }
    const int P = (x->H + 2 * conv->pad[0] - conv->dilation[0] * (w->H - 1) - 1) / conv->stride[0] + 1;
    const int Q = (x->W + 2 * conv->pad[1] - conv->dilation[1] * (w->W - 1) - 1) / conv->stride[1] + 1;
    if (x->N != y->N || x->C != w->C || y->C != w->O || y->H != P || y->W != Q) {
        GS_WRONG_CALL(q->where, "x (%d,%d,%d,%d) and w (%d,%d,%d,%d) give y (%d,%d,%d,%d), not (%d,%d,%d,%d)", x->N,
                      x->H, x->W, x->C, w->O, w->H, w->W, w->C, x->N, P, Q, w->O, y->N, y->H, y->W, y->C);
        return false;
    }
    q->N = x->N, q->C = x->C, q->H = x->H, q->W = x->W;
    q->O = w->O, q->P = P, q->Q = Q, q->kernel_h = w->H, q->kernel_w = w->W;
    q->conv = *conv;
    return true;
}

static bool apart(const void *a, size_t bytes_a, const void *b, size_t bytes_b) {
    return (const char *)a + bytes_a <= (const char *)b || (const char *)b + bytes_b <= (const char *)a;
}

/* Nothing that is written, which is the result and the workspace, lies in anything else. */
static bool all_apart(const queued_conv *q) {
    const void *const at[4] = {q->y, q->x, q->w, q->workspace}; /* index: the pass that writes it */
    const size_t bytes[4] = {bytes_y(q), bytes_x(q), bytes_w(q), q->workspace_bytes};
    for (int i = 0; i < 3; ++i) {
        const int result = (int)q->pass;
        if ((i != result && !apart(at[i], bytes[i], at[result], bytes[result])) ||
            !apart(at[i], bytes[i], at[3], bytes[3])) {
            GS_WRONG_CALL(q->where, "the %s shares memory with %s",
                          apart(at[i], bytes[i], at[3], bytes[3]) ? "result" : "workspace",
                          i == 0   ? "y"
                          : i == 1 ? "x"
                                   : "w");
            return false;
        }
    }
    return true;
}

static bool check_memory(const queued_conv *q) {
    if (!gs_device_range(q->x, bytes_x(q), q->where, "x") || !gs_device_range(q->w, bytes_w(q), q->where, "w") ||
        !gs_device_range(q->y, bytes_y(q), q->where, "y") ||
        !gs_device_range(q->workspace, q->workspace_bytes, q->where, "workspace")) {
        return false;
    }
    if (q->workspace_bytes < workspace_of(q)) {
        GS_WRONG_CALL(q->where, "a workspace of %zu bytes, %zu are needed", q->workspace_bytes, workspace_of(q));
        return false;
    }
    if (((uintptr_t)q->x | (uintptr_t)q->w | (uintptr_t)q->y) % 16 != 0) {
        GS_WRONG_CALL(q->where, "x %p, w %p, y %p: each must be aligned to 16 bytes", (const void *)q->x,
                      (const void *)q->w, (const void *)q->y);
        return false;
    }
    return all_apart(q);
}

static cudnnStatus_t submit(cudnnHandle_t handle, const queued_conv *q, const void *alpha, const void *beta) {
    float one, zero;
    if (!algorithm_fits(q)) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    if (alpha == NULL || beta == NULL) {
        GS_WRONG_CALL(q->where, "%s is NULL", alpha == NULL ? "alpha" : "beta");
        return CUDNN_STATUS_BAD_PARAM;
    }
    memcpy(&one, alpha, sizeof one);
    memcpy(&zero, beta, sizeof zero);
    if (one != 1.0F || zero != 0.0F) {
        gs_fatal("%s: alpha %g, beta %g: only 1 and 0 are simulated", q->where, (double)one, (double)zero);
    }
    if (!check_memory(q)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    return gs_submit(handle->stream, q->where, run_conv, q, sizeof *q, q->where) == cudaSuccess
               ? CUDNN_STATUS_SUCCESS
               : CUDNN_STATUS_EXECUTION_FAILED;
}

GS_EXPORT cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, cudnnTensorDescriptor_t x_desc,
                                                const void *x, cudnnFilterDescriptor_t w_desc, const void *w,
                                                cudnnConvolutionDescriptor_t conv, cudnnConvolutionFwdAlgo_t algorithm,
                                                void *workspace, size_t bytes, const void *beta,
                                                cudnnTensorDescriptor_t y_desc, void *y) {
    queued_conv q = {.pass = FORWARD,
                     .algorithm = (int)algorithm,
                     .where = "cudnnConvolutionForward",
                     .x = x,
                     .w = w,
                     .y = y,
                     .workspace = workspace,
                     .workspace_bytes = bytes};
    if (gs_call_fails(q.where)) {
        return CUDNN_STATUS_EXECUTION_FAILED;
    }
    return describe(&q, handle, x_desc, w_desc, conv, y_desc) ? submit(handle, &q, alpha, beta)
                                                              : CUDNN_STATUS_BAD_PARAM;
}

GS_EXPORT cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha,
                                                     cudnnFilterDescriptor_t w_desc, const void *w,
                                                     cudnnTensorDescriptor_t y_desc, const void *y,
                                                     cudnnConvolutionDescriptor_t conv,
                                                     cudnnConvolutionBwdDataAlgo_t algorithm, void *workspace,
                                                     size_t bytes, const void *beta, cudnnTensorDescriptor_t x_desc,
                                                     void *x) {
    queued_conv q = {.pass = DATA,
                     .algorithm = (int)algorithm,
                     .where = "cudnnConvolutionBackwardData",
                     .x = x,
                     .w = w,
                     .y = y,
                     .workspace = workspace,
                     .workspace_bytes = bytes};
    if (gs_call_fails(q.where)) {
        return CUDNN_STATUS_EXECUTION_FAILED;
    }
    return describe(&q, handle, x_desc, w_desc, conv, y_desc) ? submit(handle, &q, alpha, beta)
                                                              : CUDNN_STATUS_BAD_PARAM;
}

GS_EXPORT cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha,
                                                       cudnnTensorDescriptor_t x_desc, const void *x,
                                                       cudnnTensorDescriptor_t y_desc, const void *y,
                                                       cudnnConvolutionDescriptor_t conv,
                                                       cudnnConvolutionBwdFilterAlgo_t algorithm, void *workspace,
                                                       size_t bytes, const void *beta, cudnnFilterDescriptor_t w_desc,
                                                       void *w) {
    queued_conv q = {.pass = FILTER,
                     .algorithm = (int)algorithm,
                     .where = "cudnnConvolutionBackwardFilter",
                     .x = x,
                     .w = w,
                     .y = y,
                     .workspace = workspace,
                     .workspace_bytes = bytes};
    if (gs_call_fails(q.where)) {
        return CUDNN_STATUS_EXECUTION_FAILED;
    }
    return describe(&q, handle, x_desc, w_desc, conv, y_desc) ? submit(handle, &q, alpha, beta)
                                                              : CUDNN_STATUS_BAD_PARAM;
}

/* ---- sizes of workspaces ----------------------------------------------------------------------------------- */

static cudnnStatus_t workspace_size(queued_conv *q, cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                    cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t conv,
                                    cudnnTensorDescriptor_t y, size_t *bytes) {
    if (gs_call_fails(q->where) || !describe(q, handle, x, w, conv, y)) {
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (!algorithm_fits(q)) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    *bytes = workspace_of(q);
    return CUDNN_STATUS_SUCCESS;
}

GS_EXPORT cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                                                cudnnFilterDescriptor_t w,
                                                                cudnnConvolutionDescriptor_t conv,
                                                                cudnnTensorDescriptor_t y,
                                                                cudnnConvolutionFwdAlgo_t algorithm, size_t *bytes) {
    queued_conv q = {.pass = FORWARD, .algorithm = (int)algorithm, .where = "cudnnGetConvolutionForwardWorkspaceSize"};
    return workspace_size(&q, handle, x, w, conv, y, bytes);
}

GS_EXPORT cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t handle, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t y, cudnnConvolutionDescriptor_t conv,
    cudnnTensorDescriptor_t x, cudnnConvolutionBwdDataAlgo_t algorithm, size_t *bytes) {
    queued_conv q = {
        .pass = DATA, .algorithm = (int)algorithm, .where = "cudnnGetConvolutionBackwardDataWorkspaceSize"};
    return workspace_size(&q, handle, x, w, conv, y, bytes);
}

GS_EXPORT cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t handle, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t y, cudnnConvolutionDescriptor_t conv,
    cudnnFilterDescriptor_t w, cudnnConvolutionBwdFilterAlgo_t algorithm, size_t *bytes) {
    queued_conv q = {
        .pass = FILTER, .algorithm = (int)algorithm, .where = "cudnnGetConvolutionBackwardFilterWorkspaceSize"};
    return workspace_size(&q, handle, x, w, conv, y, bytes);
}
