/* cuBLAS: handles. The products are in gemm.c. */
#include <stdlib.h>

#include "cublas_parts.h"

static struct cublasContext *handles;

struct cublasContext *gs_cublas_alive(cublasHandle_t handle, const char *where) {
    for (struct cublasContext *h = handles; h != NULL; h = h->next) {
        if (h == handle) {
            return h;
        }
    }
    GS_WRONG_CALL(where, "%p is no cuBLAS handle, or one that was destroyed", (void *)handle);
    return NULL;
}

GS_EXPORT cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    static const char NAME[] = "cublasCreate";
    if (gs_call_fails(NAME)) {
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    if (handle == NULL) {
        GS_WRONG_CALL(NAME, "nowhere to put the handle");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (gs_capture_forbids(NAME)) { /* it allocates device memory */
        return CUBLAS_STATUS_ALLOC_FAILED;
    }
    struct cublasContext *made = calloc(1, sizeof *made);
    if (made == NULL) {
        gs_fatal("no memory for a cuBLAS handle");
    }
    made->next = handles;
    handles = made;
    gs_live("cuBLAS handles", 1);
    *handle = made;
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    static const char NAME[] = "cublasDestroy";
    if (gs_cublas_alive(handle, NAME) == NULL) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    if (gs_capture_forbids(NAME)) { /* it waits for the device */
        return CUBLAS_STATUS_INTERNAL_ERROR;
    }
    struct cublasContext **link = &handles;
    while (*link != handle) {
        link = &(*link)->next;
    }
    *link = handle->next;
    free(handle);
    gs_live("cuBLAS handles", -1);
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    static const char NAME[] = "cublasSetStream";
    if (gs_call_fails(NAME) || gs_cublas_alive(handle, NAME) == NULL || !gs_stream_alive(stream, NAME)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    handle->stream = stream;
    handle->workspace = NULL; /* the real one goes back to its own workspace */
    handle->workspace_bytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
    static const char NAME[] = "cublasSetWorkspace";
    if (gs_call_fails(NAME) || gs_cublas_alive(handle, NAME) == NULL) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    if (!gs_device_range(workspace, bytes, NAME, "workspace")) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if ((uintptr_t)workspace % 256 != 0) {
        GS_WRONG_CALL(NAME, "workspace %p is not aligned to 256 bytes", workspace);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    handle->workspace = workspace;
    handle->workspace_bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    static const char NAME[] = "cublasSetMathMode";
    if (gs_call_fails(NAME) || gs_cublas_alive(handle, NAME) == NULL) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    if (mode != CUBLAS_DEFAULT_MATH && mode != CUBLAS_PEDANTIC_MATH && mode != CUBLAS_TF32_TENSOR_OP_MATH) {
        GS_WRONG_CALL(NAME, "%d is none of the modes CUBLAS_DEFAULT_MATH, _PEDANTIC_MATH, _TF32_TENSOR_OP_MATH",
                      (int)mode);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode) {
    static const char NAME[] = "cublasSetAtomicsMode";
    if (gs_call_fails(NAME) || gs_cublas_alive(handle, NAME) == NULL) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    if (mode != CUBLAS_ATOMICS_NOT_ALLOWED && mode != CUBLAS_ATOMICS_ALLOWED) {
        GS_WRONG_CALL(NAME, "mode %d", (int)mode);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT const char *cublasGetStatusString(cublasStatus_t status) {
    static const char *const TEXTS[] = {[CUBLAS_STATUS_SUCCESS] = "the library was successfully executed",
                                        [CUBLAS_STATUS_NOT_INITIALIZED] = "the library was not initialized",
                                        [CUBLAS_STATUS_ALLOC_FAILED] = "the resource allocation failed",
                                        [CUBLAS_STATUS_INVALID_VALUE] = "an invalid value was passed",
                                        [CUBLAS_STATUS_EXECUTION_FAILED] = "the function failed to launch on the GPU"};
    return (size_t)status < sizeof TEXTS / sizeof TEXTS[0] && TEXTS[status] != NULL ? TEXTS[status] : "an error";
}
