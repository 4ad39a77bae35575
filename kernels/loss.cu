/* Losses. A mean over n items goes through S segments, S a function of n alone (segments.h): pass one writes one
 * partial sum a segment, pass two adds them.
 *
 * - softplus: y = 1/n sum softplus(s x), softplus(t) = max(t, 0) + log1p(exp(-|t|)); g_x = g_y s sigmoid(s x) / n
 * - squared error: y[n] = 1/M sum_m (a - b)^2; g_a = 2 g_y[n] (a - b) / M, g_b = -g_a
 * - cross entropy: y = 1/counted sum_r (L_r - z_r[label_r]), L = max z + log sum_k exp(z_k - max z);
 *   g_z = g_y (exp(z - L) - [k = label]) / counted, zero in ignored rows
 *
 * One block works on one segment. exp and log are taken in ho_real: their arguments are at most 0, or at least 1. */
#include "loss.h"

#include "real.h"
#include "segments.h"

#ifdef HO_REAL_DOUBLE
#define HO_LOG1P log1p
#else
#define HO_LOG1P log1pf
#endif

enum { IGNORED = 255 };

static int64_t mean_segments(int64_t M) {
    return ho_segments(M, 1024);
}
int64_t ho_k_mean_scratch(int64_t N, int64_t M) {
    return N * mean_segments(M);
}

HO_KERNEL group_totals_kernel(int64_t N, int64_t S, ho_real gain, const ho_real *HO_RESTRICT partial,
                              ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (n, N) {
        ho_real sum = HO_R(0.0);
        HO_BLOCK_LOOP (k, S) {
            sum += partial[n * S + k];
        }
        sum = ho_block_sum(sum);
        HO_BLOCK_LOOP (one, 1) {
            y[n + one] = gain * sum;
        }
    }
}

HO_KERNEL softplus_partials(int64_t n, int64_t S, ho_real sign, const ho_real *HO_RESTRICT x,
                            ho_real *HO_RESTRICT partial) {
    HO_GRID_BLOCKS (k, S) {
        const int64_t begin = n * k / S, count = n * (k + 1) / S - begin;
        ho_real sum = HO_R(0.0);
        HO_BLOCK_LOOP (i, count) {
            const ho_real t = sign * x[begin + i], positive = t > HO_R(0.0) ? t : HO_R(0.0);
            sum += positive + HO_LOG1P(ho_exp(t > HO_R(0.0) ? -t : t));
        }
        sum = ho_block_sum(sum);
        HO_BLOCK_LOOP (one, 1) {
            partial[k + one] = sum;
        }
    }
}

HO_KERNEL softplus_backward_kernel(int64_t n, ho_real sign, const ho_real *HO_RESTRICT x,
                                   const ho_real *HO_RESTRICT g_y, ho_real *HO_RESTRICT g_x, bool accumulate) {
    HO_GRID_LOOP (i, n) {
        const ho_real t = sign * x[i], e = ho_exp(t > HO_R(0.0) ? -t : t);
        const ho_real sigmoid = (t > HO_R(0.0) ? HO_R(1.0) : e) / (HO_R(1.0) + e);
        const ho_real g = g_y[0] * sign * sigmoid / (ho_real)n;
        g_x[i] = accumulate ? g_x[i] + g : g;
    }
}

HO_KERNEL mse_partials(int64_t N, int64_t M, int64_t S, const ho_real *HO_RESTRICT a, const ho_real *HO_RESTRICT b,
                       ho_real *HO_RESTRICT partial) {
    HO_GRID_BLOCKS (segment, N * S) {
        const int64_t k = segment % S, first = segment / S * M;
        const int64_t begin = first + M * k / S, count = first + M * (k + 1) / S - begin;
        ho_real sum = HO_R(0.0);
        HO_BLOCK_LOOP (i, count) {
            const ho_real d = a[begin + i] - b[begin + i];
            sum += d * d;
        }
        sum = ho_block_sum(sum);
        HO_BLOCK_LOOP (one, 1) {
            partial[segment + one] = sum;
        }
    }
}

HO_KERNEL mse_backward_kernel(int64_t N, int64_t M, int64_t S, ho_real gain, const ho_real *HO_RESTRICT a,
                              const ho_real *HO_RESTRICT b, const ho_real *HO_RESTRICT g_y, ho_real *HO_RESTRICT g,
                              bool accumulate) {
    HO_GRID_BLOCKS (segment, N * S) {
        const int64_t k = segment % S, n = segment / S;
        const int64_t begin = n * M + M * k / S, count = n * M + M * (k + 1) / S - begin;
        const ho_real factor = gain * g_y[n];
        ho_real *HO_RESTRICT out = g + begin;
        if (accumulate) {
            HO_BLOCK_LOOP (i, count) {
                out[i] += factor * (a[begin + i] - b[begin + i]);
            }
        } else {
            HO_BLOCK_LOOP (i, count) {
                out[i] = factor * (a[begin + i] - b[begin + i]);
            }
        }
    }
}

HO_KERNEL cross_entropy_partials(ho_cross_entropy_args a, int64_t S, ho_real *HO_RESTRICT log_sum,
                                 ho_real *HO_RESTRICT partial) {
    HO_GRID_BLOCKS (segment, S) {
        const int64_t begin = a.rows * segment / S, count = a.rows * (segment + 1) / S - begin;
        ho_real sum = HO_R(0.0);
        HO_BLOCK_LOOP (i, count) {
            const int64_t r = begin + i;
            if (a.label[r] == IGNORED) {
                log_sum[r] = HO_R(0.0);
                continue;
            }
            const ho_real *HO_RESTRICT z = a.logits + r * a.K;
            ho_real top = z[0], total = HO_R(0.0);
            for (int64_t k = 1; k < a.K; ++k) {
                top = z[k] > top ? z[k] : top;
            }
            for (int64_t k = 0; k < a.K; ++k) {
                total += ho_exp_falling(z[k] - top);
            }
            log_sum[r] = top + ho_log(total);
            sum += log_sum[r] - z[a.label[r]];
        }
        sum = ho_block_sum(sum);
        HO_BLOCK_LOOP (one, 1) {
            partial[segment + one] = sum;
        }
    }
}

HO_KERNEL cross_entropy_backward_kernel(ho_cross_entropy_args a, const ho_real *HO_RESTRICT log_sum,
                                        const ho_real *HO_RESTRICT g_y, ho_real *HO_RESTRICT g_logits,
                                        bool accumulate) {
    const ho_real share = g_y[0] / (ho_real)a.counted; /* not read where no row counts */
    HO_GRID_LOOP (r, a.rows) {
        const int64_t label = a.label[r];
        const ho_real *HO_RESTRICT z = a.logits + r * a.K;
        const ho_real level = log_sum[r];
        ho_real *HO_RESTRICT out = g_logits + r * a.K;
        if (!accumulate) {
            for (int64_t k = 0; k < a.K; ++k) {
                out[k] = HO_R(0.0);
            }
        }
        if (label == IGNORED) {
            continue;
        }
        for (int64_t k = 0; k < a.K; ++k) {
            out[k] += share * ho_exp_falling(z[k] - level);
        }
        out[label] -= share;
    }
}

ho_status ho_k_group_totals(ho_stream stream, int64_t N, int64_t S, ho_real gain, const ho_real *partial, ho_real *y) {
    HO_LAUNCH(group_totals_kernel, ho_grid_blocks(N, S), ho_row_width(S), 0, stream, N, S, gain, partial, y);
    return HO_LAUNCH_STATUS("group totals");
}

ho_status ho_k_softplus_mean(ho_stream stream, int64_t n, ho_real sign, const ho_real *x, ho_real *scratch,
                             ho_real *y) {
    const int64_t S = mean_segments(n);
    HO_LAUNCH(softplus_partials, ho_grid_blocks(S, n / S), 256, 0, stream, n, S, sign, x, scratch);
    return ho_k_group_totals(stream, 1, S, HO_R(1.0) / (ho_real)n, scratch, y);
}

ho_status ho_k_softplus_mean_backward(ho_stream stream, int64_t n, ho_real sign, const ho_real *x, const ho_real *g_y,
                                      ho_real *g_x, bool accumulate) {
    HO_LAUNCH(softplus_backward_kernel, ho_grid(n, 256), 256, 0, stream, n, sign, x, g_y, g_x, accumulate);
    return HO_LAUNCH_STATUS("softplus backward");
}

ho_status ho_k_mse(ho_stream stream, int64_t N, int64_t M, const ho_real *a, const ho_real *b, ho_real *scratch,
                   ho_real *y) {
    const int64_t S = mean_segments(M);
    HO_LAUNCH(mse_partials, ho_grid_blocks(N * S, M / S), 256, 0, stream, N, M, S, a, b, scratch);
    return ho_k_group_totals(stream, N, S, HO_R(1.0) / (ho_real)M, scratch, y);
}

ho_status ho_k_mse_backward(ho_stream stream, int64_t N, int64_t M, ho_real gain, const ho_real *a, const ho_real *b,
                            const ho_real *g_y, ho_real *g, bool accumulate) {
    const int64_t S = mean_segments(M);
    HO_LAUNCH(mse_backward_kernel, ho_grid_blocks(N * S, M / S), 256, 0, stream, N, M, S, gain, a, b, g_y, g,
              accumulate);
    return HO_LAUNCH_STATUS("squared error backward");
}

ho_status ho_k_cross_entropy(ho_stream stream, const ho_cross_entropy_args *args, ho_real *log_sum, ho_real *scratch,
                             ho_real *y) {
    const int64_t S = mean_segments(args->rows);
    const ho_real gain = args->counted > 0 ? HO_R(1.0) / (ho_real)args->counted : HO_R(0.0);
    HO_LAUNCH(cross_entropy_partials, ho_grid_blocks(S, args->rows / S * args->K), 256, 0, stream, *args, S, log_sum,
              scratch);
    return ho_k_group_totals(stream, 1, S, gain, scratch, y);
}

ho_status ho_k_cross_entropy_backward(ho_stream stream, const ho_cross_entropy_args *args, const ho_real *log_sum,
                                      const ho_real *g_y, ho_real *g_logits, bool accumulate) {
    HO_LAUNCH(cross_entropy_backward_kernel, ho_grid(args->rows, 256), 256, 0, stream, *args, log_sum, g_y, g_logits,
              accumulate);
    return HO_LAUNCH_STATUS("cross entropy backward");
}
