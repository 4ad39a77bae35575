/* The stand-in for cuBLAS, used wrongly: each call gives its error code and one report. */
#include "libs_cublas_cases.h"

/* A product of (4, 3) and (3, 2) with one thing changed; the status that comes back is `status`. */
#define GEMM(handle, op, m, a, lda, b, ldb, c, ldc, status)                                                            \
    MUST(cublasSgemm_v2_64(handle, op, CUBLAS_OP_N, m, 2, 3, &ONE, a, lda, b, ldb, &ZERO, c, ldc) == (status))
#define BATCH(stride_a, stride_b, stride_c, count, status)                                                             \
    MUST(cublasSgemmStridedBatched_64(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 2, 3, &ONE, a, 4, stride_a, b, 3, stride_b, \
                                      &ZERO, c, 4, stride_c, count) == (status))
static const cublasOperation_t N = CUBLAS_OP_N, T = CUBLAS_OP_T;
static const cublasStatus_t INVALID = CUBLAS_STATUS_INVALID_VALUE;

static void dead_handle(void) {
    cublasHandle_t dead = NULL;
    begin();
    MUST(cublasCreate(&dead) == CUBLAS_STATUS_SUCCESS && cublasDestroy(dead) == CUBLAS_STATUS_SUCCESS);
    GEMM(dead, N, 4, a, 4, b, 3, c, 4, CUBLAS_STATUS_NOT_INITIALIZED);
    end();
}
static void destroyed_twice(void) {
    cublasHandle_t dead = NULL;
    MUST(cublasCreate(&dead) == CUBLAS_STATUS_SUCCESS && cublasDestroy(dead) == CUBLAS_STATUS_SUCCESS);
    MUST(cublasDestroy(dead) == CUBLAS_STATUS_NOT_INITIALIZED);
}
static void dead_stream(void) {
    cudaStream_t dead = NULL;
    begin();
    MUST(cudaStreamCreate(&dead) == cudaSuccess && cudaStreamDestroy(dead) == cudaSuccess);
    MUST(cublasSetStream(handle, dead) == CUBLAS_STATUS_NOT_INITIALIZED);
    end();
}
static void host_operand(void) {
    begin();
    GEMM(handle, N, 4, host_a, 4, b, 3, c, 4, INVALID);
    end();
}
static void host_result(void) {
    begin();
    GEMM(handle, N, 4, a, 4, b, 3, result, 4, INVALID);
    end();
}
static void beyond_a(void) {
    begin();
    GEMM(handle, N, 4, a + ROOM - 11, 4, b, 3, c, 4, INVALID);
    end();
}
static void beyond_b(void) {
    begin();
    GEMM(handle, N, 4, a, 4, b, ROOM - 2, c, 4, INVALID);
    end();
}
static void beyond_c(void) {
    begin();
    GEMM(handle, N, 4, a, 4, b, 3, c + ROOM - 7, 4, INVALID);
    end();
}
static void beyond_batch(void) {
    begin();
    BATCH(12, 6, 8, ROOM / 8, INVALID);
    end();
}
static void short_lda(void) {
    begin();
    GEMM(handle, N, 4, a, 3, b, 3, c, 4, INVALID);
    end();
}
static void short_lda_transposed(void) {
    begin();
    GEMM(handle, T, 4, a, 2, b, 3, c, 4, INVALID);
    end();
}
static void short_ldb(void) {
    begin();
    GEMM(handle, N, 4, a, 4, b, 2, c, 4, INVALID);
    end();
}
static void short_ldc(void) {
    begin();
    GEMM(handle, N, 4, a, 4, b, 3, c, 3, INVALID);
    end();
}
static void negative_size(void) {
    begin();
    GEMM(handle, N, -4, a, 4, b, 3, c, 4, INVALID);
    end();
}
static void unknown_operation(void) {
    begin();
    GEMM(handle, (cublasOperation_t)7, 4, a, 4, b, 3, c, 4, INVALID);
    end();
}
static void no_alpha(void) {
    begin();
    MUST(cublasSgemm_v2_64(handle, N, N, 4, 2, 3, NULL, a, 4, b, 3, &ZERO, c, 4) == INVALID);
    end();
}
static void misaligned(void) {
    begin();
    GEMM(handle, N, 4, (float *)(void *)((char *)a + 2), 4, b, 3, c, 4, INVALID);
    end();
}
static void result_is_operand(void) {
    begin();
    GEMM(handle, N, 4, a, 4, b, 3, a + 5, 4, INVALID);
    end();
}
static void results_overlap(void) {
    begin();
    BATCH(12, 6, 7, 3, INVALID);
    end();
}
static void negative_stride(void) {
    begin();
    BATCH(-12, 6, 8, 3, INVALID);
    end();
}
static void unknown_mode(void) {
    begin();
    MUST(cublasSetMathMode(handle, (cublasMath_t)5) == INVALID);
    end();
}
static void workspace_misaligned(void) {
    begin();
    MUST(cublasSetWorkspace(handle, (char *)workspace + 128, WORKSPACE - 128) == INVALID);
    end();
}
static void workspace_beyond(void) {
    begin();
    MUST(cublasSetWorkspace(handle, workspace, WORKSPACE + 1) == INVALID);
    end();
}
/* The memory is live when it is given and gone when the product wants it. */
static void workspace_freed(void) {
    begin();
    MUST(cudaFree(workspace) == cudaSuccess);
    GEMM(handle, N, 4, a, 4, b, 3, c, 4, CUBLAS_STATUS_SUCCESS);
    MUST(cudaStreamSynchronize(stream) == cudaSuccess);
    MUST(cudaMalloc(&workspace, 1) == cudaSuccess);
    end();
}
/* One of the 12 elements of A was never written: known when the product is done, not before. */
static void undefined_operand(void) {
    begin();
    MUST(cudaFree(a) == cudaSuccess && cudaMalloc((void **)&a, 12 * sizeof(float)) == cudaSuccess);
    MUST(cudaMemset(a, 0, 11 * sizeof(float)) == cudaSuccess);
    GEMM(handle, N, 4, a, 4, b, 3, c, 4, CUBLAS_STATUS_SUCCESS);
    end();
}

static void while_capturing(void (*body)(void)) {
    cudaGraph_t graph = NULL;
    begin();
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    body();
    MUST(cudaStreamEndCapture(stream, &graph) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    end();
}
static void product_without_workspace(void) {
    MUST(cublasSetStream(handle, stream) == CUBLAS_STATUS_SUCCESS); /* which takes the workspace away */
    GEMM(handle, N, 4, a, 4, b, 3, c, 4, INVALID);
}
static void no_workspace_in_capture(void) {
    while_capturing(product_without_workspace);
}
static void create(void) {
    cublasHandle_t made = NULL;
    MUST(cublasCreate(&made) == CUBLAS_STATUS_ALLOC_FAILED && made == NULL);
}
static void create_in_capture(void) {
    while_capturing(create);
}
static void destroy(void) {
    MUST(cublasDestroy(handle) == CUBLAS_STATUS_INTERNAL_ERROR);
}
static void destroy_in_capture(void) {
    while_capturing(destroy);
}
static void leaked_handle(void) {
    cublasHandle_t made = NULL;
    MUST(cublasCreate(&made) == CUBLAS_STATUS_SUCCESS);
}

static void wrong_use(void **state) {
    (void)state;
    static const struct {
        void (*body)(void);
        const char *want;
    } CASES[] = {
        {dead_handle, "is no cuBLAS handle"},
        {destroyed_twice, "is no cuBLAS handle"},
        {dead_stream, "is no stream"},
        {host_operand, "is not device memory; cublasSgemm"},
        {host_result, "is not device memory; cublasSgemm"},
        {beyond_a, "bad-call: A ("},
        {beyond_b, "bad-call: B ("},
        {beyond_c, "bad-call: C ("},
        {beyond_batch, "bad-call: A ("},
        {short_lda, "lda is 3, less than the 4 rows of A"},
        {short_lda_transposed, "lda is 2, less than the 3 rows of A"},
        {short_ldb, "ldb is 2, less than the 3 rows of B"},
        {short_ldc, "ldc is 3, less than the 4 rows of C"},
        {negative_size, "m -4"},
        {unknown_operation, "operations 7 and 0"},
        {no_alpha, "alpha is NULL"},
        {misaligned, "aligned to 4 bytes"},
        {result_is_operand, "C shares memory with A"},
        {results_overlap, "the matrices C of the batch overlap: stride 7"},
        {negative_stride, "negative"},
        {unknown_mode, "5 is none of the modes"},
        {workspace_misaligned, "aligned to 256 bytes"},
        {workspace_beyond, "workspace ("},
        {workspace_freed, "use-after-free"},
        {undefined_operand, "uninitialised"},
        {no_workspace_in_capture, "needs cublasSetWorkspace"},
        {create_in_capture, "is not permitted while a stream is captured; cublasCreate"},
        {destroy_in_capture, "is not permitted while a stream is captured; cublasDestroy"},
        {leaked_handle, "1 cuBLAS handles never destroyed"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        expect_report(CASES[i].body, CASES[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(wrong_use)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
