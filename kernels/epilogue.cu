/* The epilogue of a modulated convolution, y (N, P, Q, O) from the convolution's output c:
 *   pre = d[n,o] c + strength noise[h,w] + b[o],  y = gain act(pre),  act(v) = v > 0 ? v : slope v.
 * When up-sampling, c is the filter [1,3,3,1]/4 per axis with padding 1 of t (N, P+1, Q+1, O), c[q] = sum_t f[t]
 * t[q+t-1], computed on the way by a sliding window (fir_row.h), so that c is never stored.
 *
 * Backward needs neither c nor pre: g_pre = gain act'(y) g_y has the sign of y to go by, and act'(v) v = act(v), so
 * that g_pre pre = g_y y. With the sums over pixels  A = sum g_pre,  B = sum g_y y,  S = sum g_pre noise  per (n, o):
 *   g_c = g_pre d,  g_b = sum_n A,  g_strength = sum_{n,o} S,
 *   g_d = sum g_pre c = (B - strength S - b A) / d,  and what goes on through d is e = -d^3 g_d = -d^2 (B - ...).
 * One pass over y and g_y gives g_c and the partial sums; partial (N, K, 3, O), K a function of P alone. */
#include <stddef.h>

#include "fir_row.h"
#include "modconv.h"
#include "real.h"
#include "segments.h"

enum { WIDTH = 256, LEAST_ROWS = 2 };

HO_DEVICE ho_real epilogue_value(const ho_k_epilogue *e, ho_real d, ho_real c, ho_real plane, ho_real b) {
    const ho_real v = d * c + (plane + b);
    return e->gain * (v > HO_R(0.0) ? v : e->slope * v);
}

/* strength * noise at pixel q of line (n, h); 0 without noise. */
HO_DEVICE ho_real plane_value(const ho_k_epilogue *e, int64_t line, int64_t q) {
    if (e->noise == NULL) {
        return HO_R(0.0);
    }
    return e->strength[0] * e->noise[line / e->P * e->noise_stride + line % e->P * e->Q + q];
}

HO_KERNEL epilogue_forward(ho_k_epilogue e, ho_real *y) {
    HO_GRID_BLOCKS (line, e.N * e.P) {
        const ho_real *HO_RESTRICT d = e.d + line / e.P * e.O, *HO_RESTRICT b = e.b;
        for (int64_t q = 0; q < e.Q; ++q) {
            const ho_real plane = plane_value(&e, line, q);
            ho_real *HO_RESTRICT to = y + (line * e.Q + q) * e.O;
            if (b == NULL) {
                HO_BLOCK_LOOP (o, e.O) {
                    to[o] = epilogue_value(&e, d[o], to[o], plane, HO_R(0.0));
                }
            } else {
                HO_BLOCK_LOOP (o, e.O) {
                    to[o] = epilogue_value(&e, d[o], to[o], plane, b[o]);
                }
            }
        }
    }
}

/* Output pixel q of one chunk of channels from the ring; column q - 1 is the first of its four. */
HO_DEVICE void epilogue_fir_pixel(const ho_k_epilogue *e, int64_t q, int64_t count, const ho_real *ring,
                                  const ho_real *HO_RESTRICT d, const ho_real *HO_RESTRICT b, ho_real plane,
                                  ho_real *HO_RESTRICT to) {
    const ho_real *HO_RESTRICT v0 = ring + ((q - 1) & 3) * HO_FIR_CHUNK,
                               *HO_RESTRICT v1 = ring + (q & 3) * HO_FIR_CHUNK;
    const ho_real *HO_RESTRICT v2 = ring + ((q + 1) & 3) * HO_FIR_CHUNK;
    const ho_real *HO_RESTRICT v3 = ring + ((q + 2) & 3) * HO_FIR_CHUNK;
    const ho_real f0 = HO_R(4.0) * ho_fir_tap(0), f1 = HO_R(4.0) * ho_fir_tap(1);
    if (b == NULL) {
        HO_BLOCK_LOOP (o, count) {
            to[o] = epilogue_value(e, d[o], f0 * (v0[o] + v3[o]) + f1 * (v1[o] + v2[o]), plane, HO_R(0.0));
        }
    } else {
        HO_BLOCK_LOOP (o, count) {
            to[o] = epilogue_value(e, d[o], f0 * (v0[o] + v3[o]) + f1 * (v1[o] + v2[o]), plane, b[o]);
        }
    }
}

HO_KERNEL epilogue_fir_forward(ho_k_epilogue e, const ho_real *t, ho_real *y) {
    HO_SHARED(ho_real, ring, HO_FIR_TAPS * HO_FIR_CHUNK);
    HO_GRID_BLOCKS (line, e.N * e.P) {
        const int64_t n = line / e.P;
        const ho_real *image = t + n * (e.P + 1) * (e.Q + 1) * e.O;
        for (int64_t o0 = 0; o0 < e.O; o0 += HO_FIR_CHUNK) {
            const int64_t count = e.O - o0 < HO_FIR_CHUNK ? e.O - o0 : HO_FIR_CHUNK;
            const ho_fir_rows rows = ho_fir_rows_of(image, e.P + 1, e.Q + 1, e.O, line % e.P - 1, o0);
            int64_t next = -1;
            for (int64_t q = 0; q < e.Q; ++q) {
                ho_fir_advance(&rows, q + 2, count, &next, ring);
                epilogue_fir_pixel(&e, q, count, ring, e.d + n * e.O + o0, e.b != NULL ? e.b + o0 : NULL,
                                   plane_value(&e, line, q), y + (line * e.Q + q) * e.O + o0);
            }
        }
    }
}

/* One pixel of the backward: adds to the sums A, B, S (at sum, sum + O, sum + 2 O) and writes g_c. */
HO_DEVICE void epilogue_backward_pixel(const ho_k_epilogue *e, const ho_real *HO_RESTRICT y,
                                       const ho_real *HO_RESTRICT g_y, const ho_real *HO_RESTRICT d, ho_real noise,
                                       ho_real *HO_RESTRICT g_c, ho_real *sum) {
    ho_real *HO_RESTRICT A = sum, *HO_RESTRICT B = sum + e->O, *HO_RESTRICT S = sum + 2 * e->O;
    const ho_real above = e->gain, below = e->gain * e->slope;
    if (g_c == NULL) {
        HO_BLOCK_LOOP (o, e->O) {
            const ho_real g_pre = (y[o] > HO_R(0.0) ? above : below) * g_y[o];
            A[o] += g_pre;
            B[o] += g_y[o] * y[o];
            S[o] += g_pre * noise;
        }
    } else {
        HO_BLOCK_LOOP (o, e->O) {
            const ho_real g_pre = (y[o] > HO_R(0.0) ? above : below) * g_y[o];
            A[o] += g_pre;
            B[o] += g_y[o] * y[o];
            S[o] += g_pre * noise;
            g_c[o] = g_pre * d[o];
        }
    }
}

HO_KERNEL epilogue_backward(ho_k_epilogue e, int64_t K, const ho_real *y, const ho_real *g_y, ho_real *g_c,
                            ho_real *partial) {
    HO_GRID_BLOCKS (segment, e.N * K) {
        const int64_t n = segment / K, k = segment % K;
        ho_real *sum = partial + segment * 3 * e.O;
        HO_BLOCK_LOOP (o, e.O) {
            sum[o] = sum[e.O + o] = sum[2 * e.O + o] = HO_R(0.0);
        }
        for (int64_t h = e.P * k / K; h < e.P * (k + 1) / K; ++h) {
            const int64_t line = n * e.P + h;
            for (int64_t q = 0; q < e.Q; ++q) {
                const int64_t at = (line * e.Q + q) * e.O;
                const ho_real noise = e.noise != NULL ? e.noise[n * e.noise_stride + h * e.Q + q] : HO_R(0.0);
                epilogue_backward_pixel(&e, y + at, g_y + at, e.d + n * e.O, noise, g_c != NULL ? g_c + at : NULL, sum);
            }
        }
    }
}

HO_KERNEL epilogue_sums(int64_t N, int64_t K, int64_t width, const ho_real *HO_RESTRICT partial,
                        ho_real *HO_RESTRICT sums) {
    HO_GRID_LOOP (j, N * width) {
        const ho_real *HO_RESTRICT from = partial + j / width * K * width + j % width;
        ho_real sum = HO_R(0.0);
        for (int64_t k = 0; k < K; ++k) {
            sum += from[k * width];
        }
        sums[j] = sum;
    }
}

HO_KERNEL epilogue_through_d(ho_k_epilogue e, const ho_real *HO_RESTRICT sums, ho_real *HO_RESTRICT through_d) {
    HO_GRID_LOOP (j, e.N * e.O) {
        const int64_t n = j / e.O, o = j % e.O;
        const ho_real *HO_RESTRICT sum = sums + n * 3 * e.O;
        ho_real rest = sum[e.O + o];
        if (e.noise != NULL) {
            rest -= e.strength[0] * sum[2 * e.O + o];
        }
        if (e.b != NULL) {
            rest -= e.b[o] * sum[o];
        }
        through_d[j] = -e.d[j] * e.d[j] * rest;
    }
}

HO_KERNEL epilogue_bias(ho_k_epilogue e, const ho_real *HO_RESTRICT sums, bool accumulate, ho_real *HO_RESTRICT g_b) {
    HO_GRID_LOOP (o, e.O) {
        ho_real sum = accumulate ? g_b[o] : HO_R(0.0);
        for (int64_t n = 0; n < e.N; ++n) {
            sum += sums[n * 3 * e.O + o];
        }
        g_b[o] = sum;
    }
}

HO_KERNEL epilogue_strength(ho_k_epilogue e, const ho_real *HO_RESTRICT sums, bool accumulate, ho_real *g_strength) {
    HO_GRID_BLOCKS (one, 1) {
        ho_real sum = HO_R(0.0);
        for (int64_t n = 0; n < e.N; ++n) {
            const ho_real *HO_RESTRICT S = sums + (n * 3 + 2) * e.O;
            HO_BLOCK_LOOP (o, e.O) {
                sum += S[o];
            }
        }
        sum = ho_block_sum(sum);
        HO_BLOCK_LOOP (first, 1) {
            g_strength[one] = (accumulate ? g_strength[one] : HO_R(0.0)) + sum;
        }
    }
}

ho_status ho_k_epilogue_forward(ho_stream stream, const ho_k_epilogue *e, ho_real *y) {
    HO_LAUNCH(epilogue_forward, ho_grid_blocks(e->N * e->P, e->Q * e->O), ho_row_width(e->O), 0, stream, *e, y);
    return HO_LAUNCH_STATUS("epilogue_forward");
}

ho_status ho_k_epilogue_fir_forward(ho_stream stream, const ho_k_epilogue *e, const ho_real *t, ho_real *y) {
    HO_LAUNCH(epilogue_fir_forward, ho_grid_blocks(e->N * e->P, e->Q * e->O), ho_row_width(e->O), 0, stream, *e, t, y);
    return HO_LAUNCH_STATUS("epilogue_fir_forward");
}

int64_t ho_k_epilogue_scratch(const ho_k_epilogue *e) {
    return e->N * ho_segments(e->P, LEAST_ROWS) * 3 * e->O;
}

ho_status ho_k_epilogue_backward(ho_stream stream, const ho_k_epilogue *e, const ho_real *y, const ho_real *g_y,
                                 ho_real *g_c, ho_real *scratch, ho_real *sums) {
    const int64_t K = ho_segments(e->P, LEAST_ROWS);
    HO_LAUNCH(epilogue_backward, ho_grid_blocks(e->N * K, e->P / K * e->Q * e->O), ho_row_width(e->O), 0, stream, *e, K,
              y, g_y, g_c, scratch);
    HO_LAUNCH(epilogue_sums, ho_grid(e->N * 3 * e->O, WIDTH), WIDTH, 0, stream, e->N, K, 3 * e->O, scratch, sums);
    return HO_LAUNCH_STATUS("epilogue_backward");
}

ho_status ho_k_epilogue_totals(ho_stream stream, const ho_k_epilogue *e, const ho_real *sums,
                               const ho_k_epilogue_gradients *g) {
    if (g->g_b != NULL) {
        HO_LAUNCH(epilogue_bias, ho_grid(e->O, WIDTH), WIDTH, 0, stream, *e, sums, g->accumulate_b, g->g_b);
    }
    if (g->g_strength != NULL) {
        HO_LAUNCH(epilogue_strength, 1, ho_row_width(e->O), 0, stream, *e, sums, g->accumulate_strength, g->g_strength);
    }
    if (g->through_d != NULL) {
        HO_LAUNCH(epilogue_through_d, ho_grid(e->N * e->O, WIDTH), WIDTH, 0, stream, *e, sums, g->through_d);
    }
    return HO_LAUNCH_STATUS("epilogue_totals");
}
