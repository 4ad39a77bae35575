/* Latents.
 *   normalize  y = r z,  r = (mean_i z_i^2 + 1e-8)^(-1/2), per row of (N, D)
 *     backward  dy_i/dz_j = r delta_ij - r^3 z_i z_j / D,  so  g_z = r g_y - z r^3 (sum_i g_y_i z_i) / D
 *   mix_rows   row l of sample n is taken from b when l >= cut[n], else from a; (N, L, D) */
#include "style.h"

#include "real.h"
#include "segments.h"

static const double EPS = 1e-8;

/* r of one row. */
HO_DEVICE ho_real inverse_norm(int64_t D, ho_real eps, const ho_real *HO_RESTRICT z) {
    ho_real sum = HO_R(0.0);
    HO_BLOCK_LOOP (i, D) {
        sum += z[i] * z[i];
    }
    sum = ho_block_sum(sum);
    return HO_R(1.0) / ho_sqrt(sum / (ho_real)D + eps);
}

HO_KERNEL normalize(int64_t N, int64_t D, ho_real eps, const ho_real *HO_RESTRICT z, ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (n, N) {
        const ho_real r = inverse_norm(D, eps, z + n * D);
        HO_BLOCK_LOOP (i, D) {
            y[n * D + i] = r * z[n * D + i];
        }
    }
}

HO_KERNEL normalize_backward(int64_t N, int64_t D, ho_real eps, const ho_real *HO_RESTRICT z,
                             const ho_real *HO_RESTRICT g_y, bool accumulate, ho_real *HO_RESTRICT g_z) {
    HO_GRID_BLOCKS (n, N) {
        const ho_real r = inverse_norm(D, eps, z + n * D);
        ho_real dot = HO_R(0.0);
        HO_BLOCK_LOOP (i, D) {
            dot += g_y[n * D + i] * z[n * D + i];
        }
        dot = ho_block_sum(dot) * r * r * r / (ho_real)D;
        HO_BLOCK_LOOP (i, D) {
            const ho_real v = r * g_y[n * D + i] - dot * z[n * D + i];
            g_z[n * D + i] = (accumulate ? g_z[n * D + i] : HO_R(0.0)) + v;
        }
    }
}

HO_KERNEL mix_rows(int64_t N, int64_t L, int64_t D, const int64_t *cut, const ho_real *HO_RESTRICT a,
                   const ho_real *HO_RESTRICT b, ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (row, N * L) {
        const ho_real *HO_RESTRICT from = (row % L >= cut[row / L] ? b : a) + row * D;
        HO_BLOCK_LOOP (i, D) {
            y[row * D + i] = from[i];
        }
    }
}

HO_KERNEL mix_rows_backward(int64_t N, int64_t L, int64_t D, const int64_t *cut, bool from_b,
                            const ho_real *HO_RESTRICT g_y, bool accumulate, ho_real *HO_RESTRICT g) {
    HO_GRID_BLOCKS (row, N * L) {
        const bool taken = (row % L >= cut[row / L]) == from_b;
        HO_BLOCK_LOOP (i, D) {
            const ho_real v = taken ? g_y[row * D + i] : HO_R(0.0);
            g[row * D + i] = (accumulate ? g[row * D + i] : HO_R(0.0)) + v;
        }
    }
}

ho_status ho_k_normalize(ho_stream stream, int64_t N, int64_t D, const ho_real *z, ho_real *y) {
    HO_LAUNCH(normalize, ho_grid_blocks(N, D), ho_row_width(D), 0, stream, N, D, (ho_real)EPS, z, y);
    return HO_LAUNCH_STATUS("normalize");
}

ho_status ho_k_normalize_backward(ho_stream stream, int64_t N, int64_t D, const ho_real *z, const ho_real *g_y,
                                  bool accumulate, ho_real *g_z) {
    HO_LAUNCH(normalize_backward, ho_grid_blocks(N, D), ho_row_width(D), 0, stream, N, D, (ho_real)EPS, z, g_y,
              accumulate, g_z);
    return HO_LAUNCH_STATUS("normalize_backward");
}

ho_status ho_k_mix_rows(ho_stream stream, const int64_t dim[3], const int64_t *cut, const ho_real *a, const ho_real *b,
                        ho_real *y) {
    HO_LAUNCH(mix_rows, ho_grid_blocks(dim[0] * dim[1], dim[2]), ho_row_width(dim[2]), 0, stream, dim[0], dim[1],
              dim[2], cut, a, b, y);
    return HO_LAUNCH_STATUS("mix_rows");
}

ho_status ho_k_mix_rows_backward(ho_stream stream, const int64_t dim[3], const int64_t *cut, bool from_b,
                                 const ho_real *g_y, bool accumulate, ho_real *g) {
    HO_LAUNCH(mix_rows_backward, ho_grid_blocks(dim[0] * dim[1], dim[2]), ho_row_width(dim[2]), 0, stream, dim[0],
              dim[1], dim[2], cut, from_b, g_y, accumulate, g);
    return HO_LAUNCH_STATUS("mix_rows_backward");
}
