/* Fills: normal random numbers as a function of (seed, stream, index), and constants. x (n).
 * One thread makes one pair of normals, so that each Philox block is computed once. */
#include "fill.h"

#include "philox.h"

HO_KERNEL fill_normal_kernel(ho_real *HO_RESTRICT x, int64_t n, uint64_t seed, uint64_t stream, uint64_t first,
                             double mean, double std) {
    const int64_t odd_start = (int64_t)(first & 1U); /* the first pair may be used by half */
    const int64_t n_pairs = (n + odd_start + 1) / 2;
    HO_GRID_LOOP (p, n_pairs) {
        double even, odd;
        ho_philox_normal_pair(seed, stream, first / 2 + (uint64_t)p, &even, &odd);
        const int64_t i = 2 * p - odd_start;
        if (i >= 0) {
            x[i] = (ho_real)(mean + std * even);
        }
        if (i + 1 < n) {
            x[i + 1] = (ho_real)(mean + std * odd);
        }
    }
}

ho_status ho_k_fill_normal(ho_real *x, int64_t n, uint64_t seed, uint64_t stream, uint64_t first, double mean,
                           double std, ho_stream stream_of_work) {
    if (n == 0) {
        return HO_OK;
    }
    /* A pair costs as much as about 30 plain elements: ask for a grid of that size. */
    HO_LAUNCH(fill_normal_kernel, ho_grid(n * 16, 256), 256, 0, stream_of_work, x, n, seed, stream, first, mean, std);
    return HO_LAUNCH_STATUS("fill_normal");
}

HO_KERNEL fill_kernel(ho_real *HO_RESTRICT x, int64_t n, ho_real value) {
    HO_GRID_LOOP (i, n) {
        x[i] = value;
    }
}

ho_status ho_k_fill(ho_real *x, int64_t n, ho_real value, ho_stream stream_of_work) {
    if (n == 0) {
        return HO_OK;
    }
    HO_LAUNCH(fill_kernel, ho_grid(n, 256), 256, 0, stream_of_work, x, n, value);
    return HO_LAUNCH_STATUS("fill");
}
