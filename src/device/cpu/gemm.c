/* Matrix products of the cpu target: oneDNN for float, plain loops for the double build of the tests. */
#include "dry.h"

#include <omp.h>

#ifdef HO_REAL_DOUBLE

ho_status ho_gemm(ho_device *device, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, ho_real alpha,
                  const ho_real *a, int64_t lda, const ho_real *b, int64_t ldb, ho_real beta, ho_real *c, int64_t ldc) {
    (void)device;
#pragma omp parallel for schedule(static) if (m * n * k > 100000)
    for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
            ho_real sum = 0;
            for (int64_t l = 0; l < k; ++l) {
                sum += (trans_a ? a[l * lda + i] : a[i * lda + l]) * (trans_b ? b[j * ldb + l] : b[l * ldb + j]);
            }
            c[i * ldc + j] = alpha * sum + (beta == 0 ? 0 : beta * c[i * ldc + j]);
        }
    }
    return HO_OK;
}

#else

#include <dnnl.h>

ho_status ho_gemm(ho_device *device, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, ho_real alpha,
                  const ho_real *a, int64_t lda, const ho_real *b, int64_t ldb, ho_real beta, ho_real *c, int64_t ldc) {
    if (device->dry != NULL) {
        ho_dry_flops(device, 2.0 * (double)m * (double)n * (double)k);
        return HO_OK;
    }
    if (m == 0 || n == 0) {
        return HO_OK;
    }
    const dnnl_status_t result =
        dnnl_sgemm(trans_a ? 'T' : 'N', trans_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    if (result != dnnl_success) {
        HO_FAIL(HO_EDEVICE, "oneDNN sgemm of (%ld, %ld, %ld): error %d", (long)m, (long)n, (long)k, (int)result);
    }
    return HO_OK;
}

#endif

/* Many small products run side by side, one a thread (oneDNN sees the enclosing parallel region and stays on it); few
 * or large ones run one after another, each on all threads. The choice depends on the shape alone. */
ho_status ho_gemm_batched(ho_device *device, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, ho_real alpha,
                          const ho_real *a, int64_t lda, int64_t stride_a, const ho_real *b, int64_t ldb,
                          int64_t stride_b, ho_real beta, ho_real *c, int64_t ldc, int64_t stride_c, int64_t count) {
    ho_status status = HO_OK;
    if (device->dry != NULL) {
        ho_dry_flops(device, 2.0 * (double)m * (double)n * (double)k * (double)count);
        return HO_OK;
    }
#pragma omp parallel for schedule(static) if (count >= 8 && m * n * k < 100000000)
    for (int64_t i = 0; i < count; ++i) {
        const ho_status one = ho_gemm(device, trans_a, trans_b, m, n, k, alpha, a + i * stride_a, lda, b + i * stride_b,
                                      ldb, beta, c + i * stride_c, ldc);
        if (one != HO_OK) {
#pragma omp atomic write
            status = one;
        }
    }
    if (status != HO_OK) { /* the text of the failure stayed with the thread that had it */
        HO_FAIL(status, "one of %ld matrix products of (%ld, %ld, %ld) failed", (long)count, (long)m, (long)n, (long)k);
    }
    return HO_OK;
}
