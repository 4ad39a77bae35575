/* What the files of the stand-in for cuBLAS share. */
#ifndef GPUSIM_CUBLAS_PARTS_H
#define GPUSIM_CUBLAS_PARTS_H

#include <cublas_v2.h>

#include "matrix.h"

struct cublasContext {
    struct cublasContext *next;
    cudaStream_t stream;
    cublasMath_t math;
    void *workspace;
    size_t workspace_bytes;
};

/* The handle if it lives; else a report and NULL. */
struct cublasContext *gs_cublas_alive(cublasHandle_t handle, const char *where);

#endif
