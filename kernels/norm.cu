/* Batch normalisation (Ioffe & Szegedy 2015) of a row-major (R, C), channel by channel, and dropout.
 *
 *   y = a (x - mean) inv_std + b,   inv_std = 1 / sqrt(var + eps)
 *
 * With sum_g = sum_r g_y and sum_gx = sum_r g_y (x - mean):
 *
 * - batch statistics, where mean and var are functions of x:
 *   g_x = a inv_std (g_y - sum_g / R - (x - mean) inv_std^2 sum_gx / R)
 * - constant statistics: g_x = a inv_std g_y
 * - both: g_a = inv_std sum_gx, g_b = sum_g
 *
 * Dropout: element i is kept when the first word of Philox4x32-10 with key `seed` and counter (first + i, stream) is at
 * least p 2^32, and multiplied by 1 / (1 - p). The mask is a function of its arguments, so backward applies it again to
 * g_y and nothing is stored. */
#include "norm.h"

#include <stddef.h>

#include "philox.h"
#include "real.h"
#include "segments.h"

HO_KERNEL inverse_std_kernel(int64_t C, const ho_real *HO_RESTRICT var, ho_real eps, ho_real *HO_RESTRICT inv_std) {
    HO_GRID_LOOP (c, C) {
        inv_std[c] = HO_R(1.0) / ho_sqrt(var[c] + eps);
    }
}

HO_KERNEL running_kernel(int64_t C, ho_real momentum, ho_real gain, const ho_real *HO_RESTRICT value,
                         ho_real *HO_RESTRICT running) {
    HO_GRID_LOOP (c, C) {
        running[c] = (HO_R(1.0) - momentum) * running[c] + momentum * gain * value[c];
    }
}

HO_KERNEL norm_kernel(ho_norm_args a, const ho_real *HO_RESTRICT x, ho_real *HO_RESTRICT y) {
    const ho_real *HO_RESTRICT mean = a.mean;
    const ho_real *HO_RESTRICT inv_std = a.inv_std;
    const ho_real *HO_RESTRICT weight = a.weight;
    const ho_real *HO_RESTRICT bias = a.bias;
    HO_GRID_BLOCKS (r, a.rows) {
        const ho_real *HO_RESTRICT in = x + r * a.C;
        ho_real *HO_RESTRICT out = y + r * a.C;
        HO_BLOCK_LOOP (c, a.C) {
            out[c] = (in[c] - mean[c]) * (inv_std[c] * weight[c]) + bias[c];
        }
    }
}

HO_KERNEL norm_backward_kernel(ho_norm_args a, ho_norm_backward_args b, ho_real *HO_RESTRICT g_x, bool accumulate) {
    const ho_real *HO_RESTRICT mean = a.mean;
    const ho_real *HO_RESTRICT inv_std = a.inv_std;
    const ho_real *HO_RESTRICT weight = a.weight;
    const ho_real *HO_RESTRICT sum_g = b.sum_g;
    const ho_real *HO_RESTRICT sum_gx = b.sum_gx;
    const ho_real share = HO_R(1.0) / (ho_real)a.rows;
    HO_GRID_BLOCKS (r, a.rows) {
        const ho_real *HO_RESTRICT in = b.x + r * a.C;
        const ho_real *HO_RESTRICT g = b.g_y + r * a.C;
        ho_real *HO_RESTRICT out = g_x + r * a.C;
        if (!accumulate) {
            HO_BLOCK_LOOP (c, a.C) {
                out[c] = HO_R(0.0);
            }
        }
        if (sum_g == NULL) {
            HO_BLOCK_LOOP (c, a.C) {
                out[c] += weight[c] * inv_std[c] * g[c];
            }
        } else {
            HO_BLOCK_LOOP (c, a.C) {
                const ho_real along = (in[c] - mean[c]) * inv_std[c] * inv_std[c] * sum_gx[c];
                out[c] += weight[c] * inv_std[c] * (g[c] - share * (sum_g[c] + along));
            }
        }
    }
}

HO_KERNEL norm_vector_kernel(int64_t C, const ho_real *HO_RESTRICT value, const ho_real *scale,
                             ho_real *HO_RESTRICT out, bool accumulate) {
    HO_GRID_LOOP (c, C) {
        const ho_real v = scale == NULL ? value[c] : value[c] * scale[c];
        out[c] = accumulate ? out[c] + v : v;
    }
}

HO_KERNEL dropout_kernel(int64_t n, ho_dropout_mask mask, uint32_t threshold, ho_real gain,
                         const ho_real *HO_RESTRICT x, ho_real *HO_RESTRICT y, bool accumulate) {
    const uint64_t seed = mask.seed, stream = mask.stream, first = mask.first;
    if (accumulate) {
        HO_GRID_LOOP (i, n) {
            const ho_philox_block block = ho_philox_at(seed, stream, first + (uint64_t)i);
            y[i] += block.word[0] >= threshold ? gain * x[i] : HO_R(0.0);
        }
    } else {
        HO_GRID_LOOP (i, n) {
            const ho_philox_block block = ho_philox_at(seed, stream, first + (uint64_t)i);
            y[i] = block.word[0] >= threshold ? gain * x[i] : HO_R(0.0);
        }
    }
}

ho_status ho_k_inverse_std(ho_stream stream, int64_t C, const ho_real *var, ho_real eps, ho_real *inv_std) {
    HO_LAUNCH(inverse_std_kernel, ho_grid(C, 256), 256, 0, stream, C, var, eps, inv_std);
    return HO_LAUNCH_STATUS("inverse standard deviation");
}

ho_status ho_k_running(ho_stream stream, int64_t C, ho_real momentum, ho_real gain, const ho_real *value,
                       ho_real *running) {
    HO_LAUNCH(running_kernel, ho_grid(C, 256), 256, 0, stream, C, momentum, gain, value, running);
    return HO_LAUNCH_STATUS("running statistics");
}

ho_status ho_k_norm(ho_stream stream, const ho_norm_args *args, const ho_real *x, ho_real *y) {
    HO_LAUNCH(norm_kernel, ho_grid_blocks(args->rows, args->C), ho_row_width(args->C), 0, stream, *args, x, y);
    return HO_LAUNCH_STATUS("batch norm");
}

ho_status ho_k_norm_backward(ho_stream stream, const ho_norm_args *args, const ho_norm_backward_args *backward,
                             ho_real *g_x, bool accumulate) {
    HO_LAUNCH(norm_backward_kernel, ho_grid_blocks(args->rows, args->C), ho_row_width(args->C), 0, stream, *args,
              *backward, g_x, accumulate);
    return HO_LAUNCH_STATUS("batch norm backward");
}

ho_status ho_k_norm_vector(ho_stream stream, int64_t C, const ho_real *value, const ho_real *scale, ho_real *out,
                           bool accumulate) {
    HO_LAUNCH(norm_vector_kernel, ho_grid(C, 256), 256, 0, stream, C, value, scale, out, accumulate);
    return HO_LAUNCH_STATUS("batch norm parameters");
}

ho_status ho_k_dropout(ho_stream stream, int64_t n, const ho_dropout_mask *mask, const ho_real *x, ho_real *y,
                       bool accumulate) {
    const uint32_t threshold = (uint32_t)(mask->p * 4294967296.0);
    HO_LAUNCH(dropout_kernel, ho_grid(n, 256), 256, 0, stream, n, *mask, threshold, (ho_real)(1.0 / (1.0 - mask->p)), x,
              y, accumulate);
    return HO_LAUNCH_STATUS("dropout");
}
