/* upfirdn2d (stylegan2-ada-pytorch, torch_utils/ops/upfirdn2d.py) with the taps f = [1,3,3,1]/8 on each axis, NHWC.
 * On one axis, u being x with up-1 zeros after each pixel:
 *   y[q] = sum_{t=0..3} f[t] u[q down + t - before],  u[j] = x[j / up] where up divides j and 0 <= j < W up, else 0.
 * Transposed, with G the zero-inserted gradient, g_x[i] = sum_t f[t] G[i up + before - t]: f is symmetric, so this is
 * the same operation with up and down swapped and before' = 3 - before; backward is ho_k_fir too.
 *
 * up == 1: a sliding window of vertical sums (fir_row.h), 8 multiplications an element instead of 16.
 * up >= 2: at most two taps of an axis meet a pixel: up to four products an element, read directly. */
#include "fir.h"

#include "fir_row.h"
#include "segments.h"

HO_KERNEL fir_window(ho_fir_shape s, const ho_real *x, bool accumulate, ho_real *y) {
    HO_SHARED(ho_real, ring, HO_FIR_TAPS * HO_FIR_CHUNK);
    const ho_real f0 = s.gain * ho_fir_tap(0), f1 = s.gain * ho_fir_tap(1);
    HO_GRID_BLOCKS (line, s.N * s.P) {
        const ho_real *image = x + line / s.P * s.H * s.W * s.C;
        for (int64_t c0 = 0; c0 < s.C; c0 += HO_FIR_CHUNK) {
            const int64_t count = s.C - c0 < HO_FIR_CHUNK ? s.C - c0 : HO_FIR_CHUNK;
            const ho_fir_rows rows = ho_fir_rows_of(image, s.H, s.W, s.C, line % s.P * s.down - s.before, c0);
            int64_t next = -s.before;
            for (int64_t q = 0; q < s.Q; ++q) {
                const int64_t first = q * s.down - s.before;
                next = next > first ? next : first;
                ho_fir_advance(&rows, first + 3, count, &next, ring);
                const ho_real *v0 = ring + (first & 3) * HO_FIR_CHUNK, *v1 = ring + ((first + 1) & 3) * HO_FIR_CHUNK;
                const ho_real *v2 = ring + ((first + 2) & 3) * HO_FIR_CHUNK;
                const ho_real *v3 = ring + ((first + 3) & 3) * HO_FIR_CHUNK;
                ho_real *HO_RESTRICT to = y + (line * s.Q + q) * s.C + c0;
                if (accumulate) {
                    HO_BLOCK_LOOP (c, count) {
                        to[c] += f0 * (v0[c] + v3[c]) + f1 * (v1[c] + v2[c]);
                    }
                } else {
                    HO_BLOCK_LOOP (c, count) {
                        to[c] = f0 * (v0[c] + v3[c]) + f1 * (v1[c] + v2[c]);
                    }
                }
            }
        }
    }
}

/* The at most two (source index, weight) pairs of output index q on an axis of `size` pixels, up >= 2. Pairs that do
 * not exist have weight 0 and a valid index. */
typedef struct {
    int64_t index[2];
    ho_real weight[2];
} fir_pair;

HO_DEVICE fir_pair fir_pair_of(int64_t q, int64_t size, int64_t up, int64_t down, int64_t before) {
    fir_pair pair;
    bool second = false; /* fixed indices keep the pair in registers on a GPU */
    pair.index[0] = pair.index[1] = 0;
    pair.weight[0] = pair.weight[1] = HO_R(0.0);
    for (int64_t t = 0; t < HO_FIR_TAPS; ++t) {
        const int64_t j = q * down + t - before;
        if (j < 0 || j >= size * up || j % up != 0) {
            continue;
        }
        if (second) {
            pair.index[1] = j / up;
            pair.weight[1] = ho_fir_tap(t);
        } else {
            pair.index[0] = j / up;
            pair.weight[0] = ho_fir_tap(t);
        }
        second = true;
    }
    return pair;
}

HO_KERNEL fir_pairs(ho_fir_shape s, const ho_real *HO_RESTRICT x, bool accumulate, ho_real *y) {
    HO_GRID_BLOCKS (line, s.N * s.P) {
        const ho_real *image = x + line / s.P * s.H * s.W * s.C;
        const fir_pair vertical = fir_pair_of(line % s.P, s.H, s.up, s.down, s.before);
        const ho_real *row0 = image + vertical.index[0] * s.W * s.C, *row1 = image + vertical.index[1] * s.W * s.C;
        for (int64_t q = 0; q < s.Q; ++q) {
            const fir_pair across = fir_pair_of(q, s.W, s.up, s.down, s.before);
            const int64_t j0 = across.index[0] * s.C, j1 = across.index[1] * s.C;
            const ho_real f00 = s.gain * vertical.weight[0] * across.weight[0];
            const ho_real f01 = s.gain * vertical.weight[0] * across.weight[1];
            const ho_real f10 = s.gain * vertical.weight[1] * across.weight[0];
            const ho_real f11 = s.gain * vertical.weight[1] * across.weight[1];
            ho_real *HO_RESTRICT to = y + (line * s.Q + q) * s.C;
            HO_BLOCK_LOOP (c, s.C) {
                const ho_real v = f00 * row0[j0 + c] + f01 * row0[j1 + c] + f10 * row1[j0 + c] + f11 * row1[j1 + c];
                to[c] = (accumulate ? to[c] : HO_R(0.0)) + v;
            }
        }
    }
}

ho_status ho_k_fir(ho_stream stream, const ho_fir_shape *s, const ho_real *x, bool accumulate, ho_real *y) {
    const int64_t lines = s->N * s->P, grid = ho_grid_blocks(lines, s->Q * s->C), width = ho_row_width(s->C);
    if (s->up == 1) {
        HO_LAUNCH(fir_window, grid, width, 0, stream, *s, x, accumulate, y);
    } else {
        HO_LAUNCH(fir_pairs, grid, width, 0, stream, *s, x, accumulate, y);
    }
    return HO_LAUNCH_STATUS("fir");
}
