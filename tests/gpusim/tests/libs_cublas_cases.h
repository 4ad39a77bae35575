/* What the tests of the stand-in for cuBLAS share: matrices, a handle, a stream. */
#ifndef GPUSIM_LIBS_CUBLAS_CASES_H
#define GPUSIM_LIBS_CUBLAS_CASES_H

#include <cublas_v2.h>

#include "libs_cases.h"

enum { ROOM = 40000, WORKSPACE = 1 << 16 };

/* What a case works with; begin() makes it, end() gives it back. */
static cudaStream_t stream;
static cublasHandle_t handle;
static float *a, *b, *c; /* ROOM floats each, all written */
static void *workspace;
static const float ONE = 1.0F, ZERO = 0.0F;

static inline float *device_floats(const float *values) {
    void *memory = NULL;
    MUST(cudaMalloc(&memory, ROOM * sizeof(float)) == cudaSuccess);
    MUST(cudaMemcpy(memory, values, ROOM * sizeof(float), cudaMemcpyHostToDevice) == cudaSuccess);
    return memory;
}

static float host_a[ROOM], host_b[ROOM], host_c[ROOM], result[ROOM];

static inline void begin(void) {
    uint32_t state = 12345;
    for (int i = 0; i < 3 * ROOM; ++i) {
        state = state * 1664525U + 1013904223U;
        float *host = i % 3 == 0 ? host_a : i % 3 == 1 ? host_b : host_c;
        host[i / 3] = (float)((int)(state >> 8) - (1 << 23)) * 0x1p-22F;
    }
    a = device_floats(host_a);
    b = device_floats(host_b);
    c = device_floats(host_c);
    MUST(cudaMalloc(&workspace, WORKSPACE) == cudaSuccess);
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    MUST(cublasCreate(&handle) == CUBLAS_STATUS_SUCCESS);
    MUST(cublasSetStream(handle, stream) == CUBLAS_STATUS_SUCCESS);
    MUST(cublasSetWorkspace(handle, workspace, WORKSPACE) == CUBLAS_STATUS_SUCCESS);
    MUST(cublasSetAtomicsMode(handle, CUBLAS_ATOMICS_NOT_ALLOWED) == CUBLAS_STATUS_SUCCESS);
}

static inline void end(void) {
    MUST(cudaStreamSynchronize(stream) == cudaSuccess);
    MUST(cublasDestroy(handle) == CUBLAS_STATUS_SUCCESS && cudaStreamDestroy(stream) == cudaSuccess);
    MUST(cudaFree(a) == cudaSuccess && cudaFree(b) == cudaSuccess && cudaFree(c) == cudaSuccess);
    MUST(cudaFree(workspace) == cudaSuccess);
}

#endif
