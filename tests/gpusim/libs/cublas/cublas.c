/* cuBLAS: handles and single-precision products. */
#include <cublas_v2.h>
#include <stdlib.h>
#include <string.h>

#include "matrix.h"

struct cublasContext {
    struct cublasContext *next;
    cudaStream_t stream;
    cublasMath_t math;
    void *workspace;
    size_t workspace_bytes;
};
static struct cublasContext *handles;

static struct cublasContext *alive(cublasHandle_t handle, const char *where) {
    for (struct cublasContext *h = handles; h != NULL; h = h->next) {
        if (h == handle) {
            return h;
        }
    }
    GS_WRONG_CALL(where, "%p is no cuBLAS handle, or one that was destroyed", (void *)handle);
    return NULL;
}

GS_EXPORT cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    if (gs_call_fails("cublasCreate")) {
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
    if (alive(handle, "cublasDestroy") == NULL) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
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
    if (gs_call_fails(NAME) || alive(handle, NAME) == NULL || !gs_stream_alive(stream, NAME)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    handle->stream = stream;
    handle->workspace = NULL; /* the real one goes back to its own workspace */
    handle->workspace_bytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
    static const char NAME[] = "cublasSetWorkspace";
    if (gs_call_fails(NAME) || alive(handle, NAME) == NULL) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    if (!gs_device_range(workspace, bytes, NAME, "workspace") || (uintptr_t)workspace % 256 != 0) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    handle->workspace = workspace;
    handle->workspace_bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    static const char NAME[] = "cublasSetMathMode";
    if (gs_call_fails(NAME) || alive(handle, NAME) == NULL) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode) {
    static const char NAME[] = "cublasSetAtomicsMode";
    (void)mode;
    return gs_call_fails(NAME) || alive(handle, NAME) == NULL ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT const char *cublasGetStatusString(cublasStatus_t status) {
    static const char *const TEXTS[] = {[CUBLAS_STATUS_SUCCESS] = "the library was successfully executed",
                                        [CUBLAS_STATUS_NOT_INITIALIZED] = "the library was not initialized",
                                        [CUBLAS_STATUS_ALLOC_FAILED] = "the resource allocation failed",
                                        [CUBLAS_STATUS_INVALID_VALUE] = "an invalid value was passed",
                                        [CUBLAS_STATUS_EXECUTION_FAILED] = "the function failed to launch on the GPU"};
    return (size_t)status < sizeof TEXTS / sizeof TEXTS[0] && TEXTS[status] != NULL ? TEXTS[status] : "an error";
}

/* ---- products ---------------------------------------------------------------------------------------------- */

typedef struct {
    gs_product product;
    int64_t stride_a, stride_b, stride_c, count;
    const char *where;
    void *workspace;
    size_t workspace_bytes;
} queued_product;

/* Elements from the first to the last of `count` matrices of `columns` columns. */
static size_t extent(int64_t rows, int64_t columns, int64_t ld, int64_t stride, int64_t count) {
    return (size_t)((count - 1) * stride + (columns - 1) * ld + rows);
}

static size_t bytes_of(const queued_product *q, char matrix) {
    const gs_product *p = &q->product;
    const size_t n =
        matrix == 'a'   ? extent(p->trans_a ? p->k : p->m, p->trans_a ? p->m : p->k, p->lda, q->stride_a, q->count)
        : matrix == 'b' ? extent(p->trans_b ? p->n : p->k, p->trans_b ? p->k : p->n, p->ldb, q->stride_b, q->count)
                        : extent(p->m, p->n, p->ldc, q->stride_c, q->count);
    return n * sizeof(float);
}

/* Every element that is read must have been written; those between the rows and matrices need not. */
static bool open_operand(const float *at, int64_t rows, int64_t columns, int64_t ld, const char *where) {
    for (int64_t j = 0; j < columns; ++j) {
        if (!gs_memory_begin(at + j * ld, (size_t)rows * sizeof *at, false, true, where)) {
            return false;
        }
    }
    return true;
}

static void close_operand(const float *at, int64_t rows, int64_t columns, int64_t ld) {
    for (int64_t j = 0; j < columns; ++j) {
        gs_memory_end(at + j * ld, (size_t)rows * sizeof *at);
    }
}

static void run_one(const gs_product *p, const char *where) {
    const int64_t rows_a = p->trans_a ? p->k : p->m, columns_a = p->trans_a ? p->m : p->k;
    const int64_t rows_b = p->trans_b ? p->n : p->k, columns_b = p->trans_b ? p->k : p->n;
    if (open_operand(p->a, rows_a, columns_a, p->lda, where) && open_operand(p->b, rows_b, columns_b, p->ldb, where) &&
        (p->beta == 0.0F || open_operand(p->c, p->m, p->n, p->ldc, where))) {
        for (int64_t j = 0; j < p->n; ++j) {
            (void)gs_memory_begin(p->c + j * p->ldc, (size_t)p->m * sizeof *p->c, true, false, where);
        }
        gs_multiply(p);
        close_operand(p->c, p->m, p->n, p->ldc);
        if (p->beta != 0.0F) {
            close_operand(p->c, p->m, p->n, p->ldc);
        }
        close_operand(p->a, rows_a, columns_a, p->lda);
        close_operand(p->b, rows_b, columns_b, p->ldb);
    }
}

static void run_product(void *data) {
    const queued_product *q = data;
    for (int64_t i = 0; i < q->count; ++i) {
        gs_product one = q->product;
        one.a += i * q->stride_a;
        one.b += i * q->stride_b;
        one.c += i * q->stride_c;
        run_one(&one, q->where);
    }
    if (q->workspace != NULL && gs_memory_begin(q->workspace, q->workspace_bytes, true, false, q->where)) {
        memset(q->workspace, 0xa5, q->workspace_bytes < 4096 ? q->workspace_bytes : 4096); /* nobody may rely on it */
        gs_memory_end(q->workspace, q->workspace_bytes);
    }
}

static bool check_product(const queued_product *q) {
    const gs_product *p = &q->product;
    const int64_t least_a = p->trans_a ? p->k : p->m, least_b = p->trans_b ? p->n : p->k;
    if (p->m < 0 || p->n < 0 || p->k < 0 || q->count < 0 || p->lda < (least_a > 1 ? least_a : 1) ||
        p->ldb < (least_b > 1 ? least_b : 1) || p->ldc < (p->m > 1 ? p->m : 1)) {
        GS_WRONG_CALL(q->where, "m %lld, n %lld, k %lld, lda %lld (least %lld), ldb %lld (least %lld), ldc %lld",
                      (long long)p->m, (long long)p->n, (long long)p->k, (long long)p->lda, (long long)least_a,
                      (long long)p->ldb, (long long)least_b, (long long)p->ldc);
        return false;
    }
    /* One after the other, or each in the gaps that ldc leaves in the columns of the others. */
    const bool apart = q->stride_c >= p->ldc * (p->n - 1) + p->m;
    const bool interleaved = q->stride_c >= p->m && q->stride_c * (q->count - 1) + p->m <= p->ldc;
    if (q->count > 1 && !apart && !interleaved) {
        GS_WRONG_CALL(q->where, "the matrices C of the batch overlap: stride %lld", (long long)q->stride_c);
        return false;
    }
    if (((uintptr_t)p->a | (uintptr_t)p->b | (uintptr_t)p->c) % sizeof(float) != 0) {
        GS_WRONG_CALL(q->where, "a matrix is not aligned to 4 bytes");
        return false;
    }
    return gs_device_range(p->a, bytes_of(q, 'a'), q->where, "A") &&
           gs_device_range(p->b, bytes_of(q, 'b'), q->where, "B") &&
           gs_device_range(p->c, bytes_of(q, 'c'), q->where, "C");
}

static cublasStatus_t submit(cublasHandle_t handle, queued_product *q) {
    if (gs_call_fails(q->where)) {
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    if (alive(handle, q->where) == NULL) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    if (q->product.m == 0 || q->product.n == 0 || q->count == 0) {
        return CUBLAS_STATUS_SUCCESS;
    }
    if (!check_product(q)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (gs_stream_capturing(handle->stream) && handle->workspace == NULL) {
        GS_WRONG_CALL(q->where, "a captured product needs cublasSetWorkspace (after cublasSetStream)");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    q->product.rounding = handle->math == CUBLAS_TF32_TENSOR_OP_MATH ? GS_ROUND_TF32 : GS_ROUND_NONE;
    q->workspace = handle->workspace;
    q->workspace_bytes = handle->workspace_bytes;
    const cudaError_t result = gs_submit(handle->stream, q->where, run_product, q, sizeof *q, q->where);
    return result == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

static bool transposed(cublasOperation_t op) {
    return op != CUBLAS_OP_N;
}

GS_EXPORT cublasStatus_t cublasSgemm_v2_64(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                                           int64_t m, int64_t n, int64_t k, const float *alpha, const float *a,
                                           int64_t lda, const float *b, int64_t ldb, const float *beta, float *c,
                                           int64_t ldc) {
    queued_product q = {
        .product = {transposed(op_a), transposed(op_b), m, n, k, lda, ldb, ldc, *alpha, *beta, a, b, c, GS_ROUND_NONE},
        .count = 1,
        .where = "cublasSgemm"};
    return submit(handle, &q);
}

GS_EXPORT cublasStatus_t cublasSgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t op_a,
                                                      cublasOperation_t op_b, int64_t m, int64_t n, int64_t k,
                                                      const float *alpha, const float *a, int64_t lda,
                                                      long long stride_a, const float *b, int64_t ldb,
                                                      long long stride_b, const float *beta, float *c, int64_t ldc,
                                                      long long stride_c, int64_t count) {
    queued_product q = {
        .product = {transposed(op_a), transposed(op_b), m, n, k, lda, ldb, ldc, *alpha, *beta, a, b, c, GS_ROUND_NONE},
        .stride_a = stride_a,
        .stride_b = stride_b,
        .stride_c = stride_c,
        .count = count,
        .where = "cublasSgemmStridedBatched"};
    return submit(handle, &q);
}
