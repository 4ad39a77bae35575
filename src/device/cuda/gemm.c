/* Matrix products of the cuda target. cuBLAS is column-major: a row-major C = op(A) op(B) is its C^T = op(B)^T op(A)^T.
 */
#include "device_cuda.h"

ho_status ho_gemm(ho_device *device, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, ho_real alpha,
                  const ho_real *a, int64_t lda, const ho_real *b, int64_t ldb, ho_real beta, ho_real *c, int64_t ldc) {
    if (m == 0 || n == 0) {
        return HO_OK;
    }
    CUBLAS_TRY(cublasSgemm_v2_64(device->cublas, trans_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                 trans_a ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k, &alpha, b, ldb, a, lda, &beta, c, ldc));
    return HO_OK;
}

ho_status ho_gemm_batched(ho_device *device, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, ho_real alpha,
                          const ho_real *a, int64_t lda, int64_t stride_a, const ho_real *b, int64_t ldb,
                          int64_t stride_b, ho_real beta, ho_real *c, int64_t ldc, int64_t stride_c, int64_t count) {
    if (m == 0 || n == 0 || count == 0) {
        return HO_OK;
    }
    CUBLAS_TRY(cublasSgemmStridedBatched_64(device->cublas, trans_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                            trans_a ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k, &alpha, b, ldb, stride_b, a,
                                            lda, stride_a, &beta, c, ldc, stride_c, count));
    return HO_OK;
}
