/* Sums. All elements: n is split into S segments, S a function of n alone, so that the result does not depend on the
 * number of threads; pass one writes a partial sum a segment, pass two adds them in order.
 *
 *   sum  y = gain sum_i x[i]      dot  y = gain sum_i a[i] b[i]
 *   sum_middle  y[a,m] = gain sum_r x[a,r,m]      repeat_middle  y[a,r,m] = x[a,m]      (A, R, M), m contiguous */
#include "reduce.h"

#include <stddef.h>

#include "segments.h"

enum { WIDTH = 256, SEGMENT = 16384 };

HO_KERNEL partial_sums(int64_t n, int64_t S, const ho_real *HO_RESTRICT a, const ho_real *HO_RESTRICT b,
                       ho_real *HO_RESTRICT partial) {
    HO_GRID_BLOCKS (k, S) {
        const int64_t begin = n * k / S, count = n * (k + 1) / S - begin;
        const ho_real *HO_RESTRICT x = a + begin;
        ho_real sum = HO_R(0.0);
        if (b == NULL) {
            HO_BLOCK_LOOP (i, count) {
                sum += x[i];
            }
        } else {
            const ho_real *HO_RESTRICT other = b + begin;
            HO_BLOCK_LOOP (i, count) {
                sum += x[i] * other[i];
            }
        }
        sum = ho_block_sum(sum);
        HO_BLOCK_LOOP (one, 1) {
            partial[k + one] = sum;
        }
    }
}

HO_KERNEL total_sum(int64_t S, ho_real gain, const ho_real *HO_RESTRICT partial, ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (one, 1) {
        ho_real sum = HO_R(0.0);
        HO_BLOCK_LOOP (k, S) {
            sum += partial[k];
        }
        sum = ho_block_sum(sum);
        HO_BLOCK_LOOP (first, 1) {
            y[one + first] = gain * sum;
        }
    }
}

HO_KERNEL sum_middle(int64_t A, int64_t R, int64_t M, ho_real gain, const ho_real *HO_RESTRICT x, bool accumulate,
                     ho_real *HO_RESTRICT y) {
    HO_GRID_LOOP (i, A * M) {
        const ho_real *HO_RESTRICT from = x + i / M * R * M + i % M;
        ho_real sum = HO_R(0.0);
        for (int64_t r = 0; r < R; ++r) {
            sum += from[r * M];
        }
        y[i] = (accumulate ? y[i] : HO_R(0.0)) + gain * sum;
    }
}

HO_KERNEL repeat_middle(int64_t A, int64_t R, int64_t M, const ho_real *HO_RESTRICT x, ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (row, A * R) {
        const ho_real *HO_RESTRICT from = x + row / R * M;
        ho_real *HO_RESTRICT to = y + row * M;
        HO_BLOCK_LOOP (m, M) {
            to[m] = from[m];
        }
    }
}

int64_t ho_k_sum_scratch(int64_t n) {
    return ho_segments(n, SEGMENT);
}

ho_status ho_k_dot(ho_stream stream, int64_t n, ho_real gain, const ho_real *a, const ho_real *b, ho_real *scratch,
                   ho_real *y) {
    const int64_t S = ho_segments(n, SEGMENT);
    HO_LAUNCH(partial_sums, ho_grid_blocks(S, n / S), WIDTH, 0, stream, n, S, a, b, scratch);
    HO_LAUNCH(total_sum, 1, WIDTH, 0, stream, S, gain, scratch, y);
    return HO_LAUNCH_STATUS("sum");
}

ho_status ho_k_sum_middle(ho_stream stream, const int64_t dim[3], ho_real gain, const ho_real *x, bool accumulate,
                          ho_real *y) {
    HO_LAUNCH(sum_middle, ho_grid(dim[0] * dim[1] * dim[2], WIDTH), WIDTH, 0, stream, dim[0], dim[1], dim[2], gain, x,
              accumulate, y);
    return HO_LAUNCH_STATUS("sum_middle");
}

ho_status ho_k_repeat_middle(ho_stream stream, const int64_t dim[3], const ho_real *x, ho_real *y) {
    HO_LAUNCH(repeat_middle, ho_grid_blocks(dim[0] * dim[1], dim[2]), ho_row_width(dim[2]), 0, stream, dim[0], dim[1],
              dim[2], x, y);
    return HO_LAUNCH_STATUS("repeat_middle");
}
