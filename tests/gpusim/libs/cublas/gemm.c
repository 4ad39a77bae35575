/* cuBLAS: single-precision products, one or a batch. Checked when the call is made, done when the stream gets there. */
#include <string.h>

#include "cublas_parts.h"

typedef struct {
    gs_product product;
    int64_t stride_a, stride_b, stride_c, count;
    const char *where;
    void *workspace;
    size_t workspace_bytes;
} queued_product;

/* A batch of matrices as they lie in memory, column by column. */
typedef struct {
    const float *at;
    int64_t rows, columns, ld, stride, count;
} layout;

static layout layout_a(const queued_product *q) {
    const gs_product *p = &q->product;
    return (layout){p->a, p->trans_a ? p->k : p->m, p->trans_a ? p->m : p->k, p->lda, q->stride_a, q->count};
}
static layout layout_b(const queued_product *q) {
    const gs_product *p = &q->product;
    return (layout){p->b, p->trans_b ? p->n : p->k, p->trans_b ? p->k : p->n, p->ldb, q->stride_b, q->count};
}
static layout layout_c(const queued_product *q) {
    const gs_product *p = &q->product;
    return (layout){p->c, p->m, p->n, p->ldc, q->stride_c, q->count};
}

/* ---- running ----------------------------------------------------------------------------------------------- */

static void close_columns(const layout *l, int64_t n) {
    for (int64_t j = 0; j < n; ++j) {
        gs_memory_end(l->at + j * l->ld, (size_t)l->rows * sizeof(float));
    }
}

/* Every element that is read must have been written; those between the columns need not. */
static bool open_columns(const layout *l, bool write, const char *where) {
    for (int64_t j = 0; j < l->columns && l->rows > 0; ++j) {
        if (!gs_memory_begin(l->at + j * l->ld, (size_t)l->rows * sizeof(float), write, !write, where)) {
            close_columns(l, j);
            return false;
        }
    }
    return true;
}

static void run_one(const queued_product *q) {
    /* In the order of opening; what is written comes last. */
    const layout parts[4] = {layout_a(q), layout_b(q), layout_c(q), layout_c(q)};
    bool open = true;
    int n = 0;
    for (; n < 4 && open; ++n) {
        const bool unread = n == 2 && q->product.beta == 0.0F;
        open = unread || open_columns(&parts[n], n == 3, q->where);
    }
    if (open) {
        gs_multiply(&q->product);
    } else {
        --n;
    }
    while (n > 0) {
        --n;
        if (n != 2 || q->product.beta != 0.0F) {
            close_columns(&parts[n], parts[n].rows > 0 ? parts[n].columns : 0);
        }
    }
}

static void run_product(void *data) {
    const queued_product *q = data;
    for (int64_t i = 0; i < q->count; ++i) {
        queued_product one = *q;
        one.product.a += i * q->stride_a;
        one.product.b += i * q->stride_b;
        one.product.c += i * q->stride_c;
        run_one(&one);
    }
    if (q->workspace != NULL && gs_memory_begin(q->workspace, q->workspace_bytes, true, false, q->where)) {
        memset(q->workspace, 0xa5, q->workspace_bytes < 4096 ? q->workspace_bytes : 4096); /* nobody may rely on it */
        gs_memory_end(q->workspace, q->workspace_bytes);
    }
}

/* ---- checks ------------------------------------------------------------------------------------------------ */

/* Elements from the first to the last. */
static int64_t extent(const layout *l) {
    return l->rows == 0 || l->columns == 0 ? 0 : (l->count - 1) * l->stride + (l->columns - 1) * l->ld + l->rows;
}

/* The whole batch is one matrix of more columns. */
static bool in_a_row(const layout *l) {
    return l->count == 1 || l->stride == l->ld * l->columns;
}

/* True when an element of one is an element of the other. With one leading dimension, rows tell: the address divided by
 * it leaves the row. Other layouts that are interwoven are not judged. */
static bool overlap(const layout *a, const layout *b) {
    const int64_t apart = b->at - a->at;
    if (apart >= extent(a) || -apart >= extent(b) || !in_a_row(a) || !in_a_row(b)) {
        return false;
    }
    if (a->ld == b->ld) {
        const int64_t shift = (apart % a->ld + a->ld) % a->ld;
        return shift < a->rows || shift + b->rows > a->ld;
    }
    return a->ld == a->rows && b->ld == b->rows;
}

static bool check_sizes(const queued_product *q, const layout *a, const layout *b, const layout *c) {
    const gs_product *p = &q->product;
    if (p->m < 0 || p->n < 0 || p->k < 0 || q->count < 0) {
        GS_WRONG_CALL(q->where, "m %lld, n %lld, k %lld, %lld in the batch: none may be negative", (long long)p->m,
                      (long long)p->n, (long long)p->k, (long long)q->count);
        return false;
    }
    const layout *const parts[] = {a, b, c};
    for (int i = 0; i < 3; ++i) {
        if (parts[i]->ld < (parts[i]->rows > 1 ? parts[i]->rows : 1)) {
            GS_WRONG_CALL(q->where, "ld%c is %lld, less than the %lld rows of %c", "abc"[i], (long long)parts[i] -> ld,
                          (long long)parts[i] -> rows, "ABC"[i]);
            return false;
        }
    }
    return true;
}

static bool check_memory(const queued_product *q, const layout *a, const layout *b, const layout *c) {
    if (((uintptr_t)a->at | (uintptr_t)b->at | (uintptr_t)c->at) % sizeof(float) != 0) {
        GS_WRONG_CALL(q->where, "A %p, B %p, C %p: each must be aligned to 4 bytes", (const void *)a->at,
                      (const void *)b->at, (const void *)c->at);
        return false;
    }
    /* One after the other, or each in the gaps that ldc leaves in the columns of the others. */
    const bool apart = c->stride >= c->ld * (c->columns - 1) + c->rows;
    const bool interleaved = c->stride >= c->rows && c->stride * (c->count - 1) + c->rows <= c->ld;
    if (c->count > 1 && !apart && !interleaved) {
        GS_WRONG_CALL(q->where, "the matrices C of the batch overlap: stride %lld", (long long)c->stride);
        return false;
    }
    if (a->stride < 0 || b->stride < 0) {
        GS_WRONG_CALL(q->where, "strides %lld and %lld: negative", (long long)a->stride, (long long)b->stride);
        return false;
    }
    if (!gs_device_range(a->at, (size_t)extent(a) * sizeof(float), q->where, "A") ||
        !gs_device_range(b->at, (size_t)extent(b) * sizeof(float), q->where, "B") ||
        !gs_device_range(c->at, (size_t)extent(c) * sizeof(float), q->where, "C")) {
        return false;
    }
    if (overlap(a, c) || overlap(b, c)) {
        GS_WRONG_CALL(q->where, "C shares memory with %c", overlap(a, c) ? 'A' : 'B');
        return false;
    }
    return true;
}

static cublasStatus_t submit(cublasHandle_t handle, queued_product *q) {
    const layout a = layout_a(q), b = layout_b(q), c = layout_c(q);
    if (!check_sizes(q, &a, &b, &c)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (c.rows == 0 || c.columns == 0 || q->count == 0) {
        return CUBLAS_STATUS_SUCCESS;
    }
    if (!check_memory(q, &a, &b, &c)) {
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

/* The checks that come before anything is read through a pointer. */
static cublasStatus_t begin(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, const float *alpha,
                            const float *beta, const char *where) {
    if (gs_call_fails(where)) {
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    if (gs_cublas_alive(handle, where) == NULL) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    if (op_a < CUBLAS_OP_N || op_a > CUBLAS_OP_C || op_b < CUBLAS_OP_N || op_b > CUBLAS_OP_C) {
        GS_WRONG_CALL(where, "operations %d and %d: there are CUBLAS_OP_N, _T and _C", (int)op_a, (int)op_b);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (alpha == NULL || beta == NULL) {
        GS_WRONG_CALL(where, "%s is NULL", alpha == NULL ? "alpha" : "beta");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    return CUBLAS_STATUS_SUCCESS;
}

GS_EXPORT cublasStatus_t cublasSgemm_v2_64(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                                           int64_t m, int64_t n, int64_t k, const float *alpha, const float *a,
                                           int64_t lda, const float *b, int64_t ldb, const float *beta, float *c,
                                           int64_t ldc) {
    static const char NAME[] = "cublasSgemm";
    const cublasStatus_t status = begin(handle, op_a, op_b, alpha, beta, NAME);
    if (status != CUBLAS_STATUS_SUCCESS) {
        return status;
    }
    const bool t_a = op_a != CUBLAS_OP_N, t_b = op_b != CUBLAS_OP_N;
    queued_product q = {.product = {t_a, t_b, m, n, k, lda, ldb, ldc, *alpha, *beta, a, b, c, GS_ROUND_NONE},
                        .count = 1,
                        .where = NAME};
    return submit(handle, &q);
}

GS_EXPORT cublasStatus_t cublasSgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t op_a,
                                                      cublasOperation_t op_b, int64_t m, int64_t n, int64_t k,
                                                      const float *alpha, const float *a, int64_t lda,
                                                      long long stride_a, const float *b, int64_t ldb,
                                                      long long stride_b, const float *beta, float *c, int64_t ldc,
                                                      long long stride_c, int64_t count) {
    static const char NAME[] = "cublasSgemmStridedBatched";
    const cublasStatus_t status = begin(handle, op_a, op_b, alpha, beta, NAME);
    if (status != CUBLAS_STATUS_SUCCESS) {
        return status;
    }
    const bool t_a = op_a != CUBLAS_OP_N, t_b = op_b != CUBLAS_OP_N;
    queued_product q = {.product = {t_a, t_b, m, n, k, lda, ldb, ldc, *alpha, *beta, a, b, c, GS_ROUND_NONE},
                        .stride_a = stride_a,
                        .stride_b = stride_b,
                        .stride_c = stride_c,
                        .count = count,
                        .where = NAME};
    return submit(handle, &q);
}
