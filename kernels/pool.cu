/* Pooling, NHWC: x (N,H,W,C), y (N,P,Q,C); window (p,q) = rows p stride - pad + i, columns q stride - pad + j, with
 * 0 <= i, j < k.
 *
 * - mean: y = 1/k^2 sum x; g_x[h,w] = g_y[h/k, w/k] / k^2 (windows tile the image)
 * - maximum: y = max x over the window's pixels inside the image; NaN wins, of equal values the first. The position
 *   i k + j of the winner is kept in a byte. Backward gathers: pixel (h,w) adds g_y of those windows that contain it
 *   and chose it. No atomics.
 * - spread: g_x[n,h,w,c] = gain g_y[n,c], the backward of the mean over all pixels
 *
 * One block a pixel, its threads over channels. */
#include "pool.h"

#include <stddef.h>

#include "segments.h"

HO_KERNEL avg_pool_kernel(ho_pool_shape s, ho_real gain, const ho_real *HO_RESTRICT x, ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (pixel, s.N * s.P * s.Q) {
        const int64_t q = pixel % s.Q, row = pixel / s.Q, p = row % s.P, n = row / s.P;
        const ho_real *HO_RESTRICT corner = x + ((n * s.H + p * s.kernel) * s.W + q * s.kernel) * s.C;
        ho_real *HO_RESTRICT out = y + pixel * s.C;
        HO_BLOCK_LOOP (c, s.C) {
            out[c] = HO_R(0.0);
        }
        for (int64_t i = 0; i < s.kernel; ++i) {
            for (int64_t j = 0; j < s.kernel; ++j) {
                const ho_real *HO_RESTRICT in = corner + (i * s.W + j) * s.C;
                HO_BLOCK_LOOP (c, s.C) {
                    out[c] += gain * in[c];
                }
            }
        }
    }
}

HO_KERNEL avg_pool_backward_kernel(ho_pool_shape s, ho_real gain, const ho_real *HO_RESTRICT g_y,
                                   ho_real *HO_RESTRICT g_x, bool accumulate) {
    HO_GRID_BLOCKS (pixel, s.N * s.H * s.W) {
        const int64_t w = pixel % s.W, row = pixel / s.W, h = row % s.H, n = row / s.H;
        const ho_real *HO_RESTRICT g = g_y + ((n * s.P + h / s.kernel) * s.Q + w / s.kernel) * s.C;
        ho_real *HO_RESTRICT out = g_x + pixel * s.C;
        if (accumulate) {
            HO_BLOCK_LOOP (c, s.C) {
                out[c] += gain * g[c];
            }
        } else {
            HO_BLOCK_LOOP (c, s.C) {
                out[c] = gain * g[c];
            }
        }
    }
}

HO_KERNEL max_pool_kernel(ho_pool_shape s, const ho_real *HO_RESTRICT x, ho_real *HO_RESTRICT y,
                          uint8_t *HO_RESTRICT choice) {
    HO_GRID_BLOCKS (pixel, s.N * s.P * s.Q) {
        const int64_t q = pixel % s.Q, row = pixel / s.Q, p = row % s.P, n = row / s.P;
        const int64_t h0 = p * s.stride - s.pad, w0 = q * s.stride - s.pad;
        const int64_t i0 = h0 < 0 ? -h0 : 0, i1 = s.H - h0 < s.kernel ? s.H - h0 : s.kernel;
        const int64_t j0 = w0 < 0 ? -w0 : 0, j1 = s.W - w0 < s.kernel ? s.W - w0 : s.kernel;
        ho_real *HO_RESTRICT out = y + pixel * s.C;
        const ho_real *HO_RESTRICT image = x + n * s.H * s.W * s.C;
        const ho_real *HO_RESTRICT start = image + ((h0 + i0) * s.W + w0 + j0) * s.C;
        HO_BLOCK_LOOP (c, s.C) {
            out[c] = start[c];
        }
        if (choice != NULL) {
            uint8_t *HO_RESTRICT chosen = choice + pixel * s.C;
            HO_BLOCK_LOOP (c, s.C) {
                chosen[c] = (uint8_t)(i0 * s.kernel + j0);
            }
        }
        for (int64_t i = i0; i < i1; ++i) {
            for (int64_t j = j0; j < j1; ++j) {
                const ho_real *HO_RESTRICT in = image + ((h0 + i) * s.W + w0 + j) * s.C;
                if (choice == NULL) {
                    HO_BLOCK_LOOP (c, s.C) {
                        out[c] = in[c] > out[c] || in[c] != in[c] ? in[c] : out[c];
                    }
                    continue;
                }
                uint8_t *HO_RESTRICT chosen = choice + pixel * s.C;
                const uint8_t tap = (uint8_t)(i * s.kernel + j);
                HO_BLOCK_LOOP (c, s.C) {
                    const int better = (in[c] > out[c]) | (in[c] != in[c]);
                    out[c] = better ? in[c] : out[c];
                    chosen[c] = better ? tap : chosen[c];
                }
            }
        }
    }
}

HO_KERNEL max_pool_backward_kernel(ho_pool_shape s, const ho_real *HO_RESTRICT g_y, const uint8_t *HO_RESTRICT choice,
                                   ho_real *HO_RESTRICT g_x, bool accumulate) {
    HO_GRID_BLOCKS (pixel, s.N * s.H * s.W) {
        const int64_t w = pixel % s.W, row = pixel / s.W, h = row % s.H, n = row / s.H;
        /* windows p with p*stride <= h + pad < p*stride + kernel */
        const int64_t top = h + s.pad, left = w + s.pad;
        const int64_t p0 = top < s.kernel ? 0 : (top - s.kernel) / s.stride + 1;
        const int64_t q0 = left < s.kernel ? 0 : (left - s.kernel) / s.stride + 1;
        ho_real *HO_RESTRICT out = g_x + pixel * s.C;
        if (!accumulate) {
            HO_BLOCK_LOOP (c, s.C) {
                out[c] = HO_R(0.0);
            }
        }
        for (int64_t p = p0; p < s.P && p * s.stride <= top; ++p) {
            for (int64_t q = q0; q < s.Q && q * s.stride <= left; ++q) {
                const int64_t at = ((n * s.P + p) * s.Q + q) * s.C;
                const ho_real *HO_RESTRICT g = g_y + at;
                const uint8_t *HO_RESTRICT chosen = choice + at;
                const uint8_t tap = (uint8_t)((top - p * s.stride) * s.kernel + left - q * s.stride);
                HO_BLOCK_LOOP (c, s.C) {
                    out[c] += chosen[c] == tap ? g[c] : HO_R(0.0);
                }
            }
        }
    }
}

HO_KERNEL spread_kernel(int64_t N, int64_t pixels, int64_t C, ho_real gain, const ho_real *HO_RESTRICT g_y,
                        ho_real *HO_RESTRICT g_x, bool accumulate) {
    HO_GRID_BLOCKS (pixel, N * pixels) {
        const ho_real *HO_RESTRICT g = g_y + pixel / pixels * C;
        ho_real *HO_RESTRICT out = g_x + pixel * C;
        if (accumulate) {
            HO_BLOCK_LOOP (c, C) {
                out[c] += gain * g[c];
            }
        } else {
            HO_BLOCK_LOOP (c, C) {
                out[c] = gain * g[c];
            }
        }
    }
}

ho_status ho_k_avg_pool(ho_stream stream, const ho_pool_shape *s, const ho_real *x, ho_real *y) {
    const int64_t area = s->kernel * s->kernel;
    HO_LAUNCH(avg_pool_kernel, ho_grid_blocks(s->N * s->P * s->Q, area * s->C), ho_row_width(s->C), 0, stream, *s,
              HO_R(1.0) / (ho_real)area, x, y);
    return HO_LAUNCH_STATUS("average pool");
}

ho_status ho_k_avg_pool_backward(ho_stream stream, const ho_pool_shape *s, const ho_real *g_y, ho_real *g_x,
                                 bool accumulate) {
    HO_LAUNCH(avg_pool_backward_kernel, ho_grid_blocks(s->N * s->H * s->W, s->C), ho_row_width(s->C), 0, stream, *s,
              HO_R(1.0) / (ho_real)(s->kernel * s->kernel), g_y, g_x, accumulate);
    return HO_LAUNCH_STATUS("average pool backward");
}

ho_status ho_k_max_pool(ho_stream stream, const ho_pool_shape *s, const ho_real *x, ho_real *y, uint8_t *choice) {
    HO_LAUNCH(max_pool_kernel, ho_grid_blocks(s->N * s->P * s->Q, s->kernel * s->kernel * s->C), ho_row_width(s->C), 0,
              stream, *s, x, y, choice);
    return HO_LAUNCH_STATUS("max pool");
}

ho_status ho_k_max_pool_backward(ho_stream stream, const ho_pool_shape *s, const ho_real *g_y, const uint8_t *choice,
                                 ho_real *g_x, bool accumulate) {
    HO_LAUNCH(max_pool_backward_kernel, ho_grid_blocks(s->N * s->H * s->W, s->C), ho_row_width(s->C), 0, stream, *s,
              g_y, choice, g_x, accumulate);
    return HO_LAUNCH_STATUS("max pool backward");
}

ho_status ho_k_spread(ho_stream stream, int64_t N, int64_t pixels, int64_t C, ho_real gain, const ho_real *g_y,
                      ho_real *g_x, bool accumulate) {
    HO_LAUNCH(spread_kernel, ho_grid_blocks(N * pixels, C), ho_row_width(C), 0, stream, N, pixels, C, gain, g_y, g_x,
              accumulate);
    return HO_LAUNCH_STATUS("spread");
}
