/* The stand-in for cuBLAS, used rightly: products against a loop in double precision. */
#include "libs_cublas_cases.h"

#include <math.h>

typedef struct {
    bool trans_a, trans_b, tf32;
    int64_t m, n, k, lda, ldb, ldc, stride_a, stride_b, stride_c, count;
    float alpha, beta;
} product;

/* 10 bits of fraction, to the nearest, ties to even. */
static double operand(float x, bool tf32) {
    int exponent;
    const double fraction = frexp((double)x, &exponent);
    return tf32 ? ldexp(nearbyint(ldexp(fraction, 11)), exponent - 11) : (double)x;
}

/* Bounds of the stand-in, which sums in double: the rounding of the result to float. */
static void compare(const product *p) {
    bool touched[ROOM] = {false};
    for (int64_t s = 0; s < p->count; ++s) {
        for (int64_t j = 0; j < p->n; ++j) {
            for (int64_t i = 0; i < p->m; ++i) {
                double sum = 0.0, size = 0.0;
                for (int64_t l = 0; l < p->k; ++l) {
                    const float x = host_a[s * p->stride_a + (p->trans_a ? i * p->lda + l : l * p->lda + i)];
                    const float y = host_b[s * p->stride_b + (p->trans_b ? l * p->ldb + j : j * p->ldb + l)];
                    sum += operand(x, p->tf32) * operand(y, p->tf32);
                    size += fabs((double)x * (double)y);
                }
                const int64_t at = s * p->stride_c + j * p->ldc + i;
                const double want = (double)p->alpha * sum + (double)p->beta * (double)host_c[at];
                const double bound = fabs(want) * 0x1p-24 + (size + fabs((double)host_c[at])) * 1e-14;
                touched[at] = true;
                if (!(fabs((double)result[at] - want) <= bound)) {
                    fprintf(stderr, "matrix %d, row %d, column %d: %.9g, not %.9g\n", (int)s, (int)i, (int)j,
                            (double)result[at], want);
                    _exit(1);
                }
            }
        }
    }
    for (int i = 0; i < ROOM; ++i) {
        MUST(touched[i] || result[i] == host_c[i]);
    }
}

static void call(const product *p) {
    const cublasOperation_t op_a = p->trans_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                            op_b = p->trans_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    MUST(cublasSetMathMode(handle, p->tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_PEDANTIC_MATH) ==
         CUBLAS_STATUS_SUCCESS);
    if (p->count == 1) {
        MUST(cublasSgemm_v2_64(handle, op_a, op_b, p->m, p->n, p->k, &p->alpha, a, p->lda, b, p->ldb, &p->beta, c,
                               p->ldc) == CUBLAS_STATUS_SUCCESS);
    } else {
        MUST(cublasSgemmStridedBatched_64(handle, op_a, op_b, p->m, p->n, p->k, &p->alpha, a, p->lda, p->stride_a, b,
                                          p->ldb, p->stride_b, &p->beta, c, p->ldc, p->stride_c,
                                          p->count) == CUBLAS_STATUS_SUCCESS);
    }
}

static void check(const product *p) {
    MUST(cudaMemcpyAsync(c, host_c, sizeof host_c, cudaMemcpyHostToDevice, stream) == cudaSuccess);
    call(p);
    MUST(cudaMemcpyAsync(result, c, sizeof result, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    MUST(cudaStreamSynchronize(stream) == cudaSuccess);
    compare(p);
}

static const int64_t SIZES[][3] = {{1, 1, 1}, {7, 1, 13}, {1, 65, 31}, {33, 17, 64}, {64, 63, 65}, {5, 3, 0}};

/* Every pair of operations, every size, leading dimensions with and without a gap, TF32 and float. */
static void products(void) {
    begin();
    for (size_t i = 0; i < 4 * 2 * 3 * (sizeof SIZES / sizeof SIZES[0]); ++i) {
        const int64_t *size = SIZES[i / 24], gap = i % 3 == 0 ? 0 : 3;
        product p = {.trans_a = i % 2 != 0,
                     .trans_b = i / 2 % 2 != 0,
                     .tf32 = i / 4 % 2 != 0,
                     .m = size[0],
                     .n = size[1],
                     .k = size[2],
                     .count = 1,
                     .alpha = i % 3 == 2 ? -0.75F : 1.0F,
                     .beta = i % 3 == 0   ? 0.0F
                             : i % 3 == 1 ? 1.0F
                                          : 0.3F};
        p.lda = (p.trans_a ? p.k : p.m) + gap + (p.k == 0);
        p.ldb = (p.trans_b ? p.n : p.k) + gap + (p.k == 0);
        p.ldc = p.m + gap;
        check(&p);
    }
    end();
}

/* Batches: one after the other, one operand for all, results in each other's gaps. */
static void batches(void) {
    begin();
    check(&(product){false, false, false, 9, 7, 11, 9, 11, 9, 99, 77, 63, 5, 1.0F, 0.0F});
    check(&(product){true, false, true, 9, 7, 11, 13, 12, 10, 150, 90, 77, 5, 2.0F, 1.0F});
    check(&(product){false, true, false, 9, 7, 11, 9, 7, 9, 0, 77, 63, 3, 1.0F, 0.0F});
    check(&(product){true, true, true, 8, 6, 5, 20, 24, 32, 5, 6, 8, 4, 1.0F, 0.5F});
    end();
}

/* A product by beta 0 does not read C, sizes of 0 do nothing, and the workspace is not left as it was. */
static void unread(void) {
    float seen[4];
    unsigned char scratch[4];
    begin();
    MUST(cudaFree(c) == cudaSuccess && cudaMalloc((void **)&c, ROOM * sizeof(float)) == cudaSuccess);
    MUST(cudaMemset(workspace, 7, WORKSPACE) == cudaSuccess);
    MUST(cublasSgemm_v2_64(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &ONE, a, 2, b, 2, &ZERO, c, 2) ==
         CUBLAS_STATUS_SUCCESS);
    MUST(cublasSgemm_v2_64(handle, CUBLAS_OP_N, CUBLAS_OP_N, 0, 2, 2, &ONE, NULL, 1, NULL, 2, &ZERO, NULL, 1) ==
         CUBLAS_STATUS_SUCCESS);
    MUST(cudaMemcpyAsync(seen, c, sizeof seen, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    MUST(cudaMemcpyAsync(scratch, workspace, sizeof scratch, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    MUST(cudaStreamSynchronize(stream) == cudaSuccess && scratch[0] != 7);
    MUST(fabs((double)seen[0] - ((double)host_a[0] * (double)host_b[0] + (double)host_a[2] * (double)host_b[1])) <
         1e-6);
    end();
}

/* A recorded product is done at each launch, with what the operands hold then. */
static void recorded(void) {
    cudaGraph_t graph = NULL;
    cudaGraphExec_t ready = NULL;
    const product p = {.m = 5, .n = 6, .k = 7, .lda = 5, .ldb = 7, .ldc = 5, .count = 1, .alpha = 1.0F, .tf32 = true};
    begin();
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    call(&p);
    MUST(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    MUST(cudaGraphInstantiate(&ready, graph, 0) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    for (int round = 0; round < 2; ++round) {
        host_a[3] += (float)round;
        MUST(cudaMemcpyAsync(a, host_a, sizeof host_a, cudaMemcpyHostToDevice, stream) == cudaSuccess);
        MUST(cudaGraphLaunch(ready, stream) == cudaSuccess);
        MUST(cudaMemcpyAsync(result, c, sizeof result, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
        MUST(cudaStreamSynchronize(stream) == cudaSuccess);
        compare(&p);
    }
    MUST(cudaGraphExecDestroy(ready) == cudaSuccess);
    end();
}

static void right_use(void **state) {
    (void)state;
    expect_right("order=forward", products);
    expect_right("order=forward", batches);
    expect_right("order=forward", unread);
    expect_right("order=forward", recorded);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(right_use)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
