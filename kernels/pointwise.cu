/* Elementwise operations on matrices (rows, C), row-major, C the channels of an NHWC image.
 *
 *   bias_act   y = gain * act(x_gain x + b_gain b[c])
 *   backward   g = gain act'(.) g_y;  g_x = x_gain g;  g_b[c] = b_gain sum_rows g
 * The derivative follows from y alone (gain > 0): leaky ReLU y > 0 ? gain : gain slope; logistic y - y^2 / gain.
 * At 0 the leaky ReLU takes the slope of the negative side, as PyTorch does.
 *
 *   prelu      y = x > 0 ? x : a[c] x;  g_x = (x > 0 ? 1 : a[c]) g_y;  g_a[c] = sum_rows min(x, 0) g_y
 * whose slope may be negative, so that the derivative follows from x and not from y.
 *
 * Bound by memory: forward reads x and writes y once; backward reads y and g_y once for both gradients. */
#include "pointwise.h"

#include <stddef.h>

#include "real.h"
#include "segments.h"

enum { WIDTH = 256 };

/* act'(.) * gain at output y. */
HO_DEVICE ho_real act_slope(ho_k_act act, ho_real inverse_gain, ho_real y) {
    return act.sigmoid ? y - y * y * inverse_gain : (y > HO_R(0.0) ? act.gain : act.gain * act.slope);
}

HO_DEVICE ho_real leaky(ho_k_act act, ho_real v) {
    return act.gain * (v > HO_R(0.0) ? v : act.slope * v);
}

HO_DEVICE ho_real logistic(ho_k_act act, ho_real v) {
    return act.gain / (HO_R(1.0) + ho_exp(-v));
}

HO_KERNEL act_forward(int64_t n, ho_k_act act, const ho_real *HO_RESTRICT x, ho_real *HO_RESTRICT y) {
    if (act.sigmoid) {
        HO_GRID_LOOP (i, n) {
            y[i] = logistic(act, act.x_gain * x[i]);
        }
    } else {
        HO_GRID_LOOP (i, n) {
            y[i] = leaky(act, act.x_gain * x[i]);
        }
    }
}

HO_KERNEL bias_act_forward(int64_t rows, int64_t C, ho_k_act act, const ho_real *HO_RESTRICT x,
                           const ho_real *HO_RESTRICT b, ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (r, rows) {
        const ho_real *HO_RESTRICT from = x + r * C;
        ho_real *HO_RESTRICT to = y + r * C;
        if (act.sigmoid) {
            HO_BLOCK_LOOP (c, C) {
                to[c] = logistic(act, act.x_gain * from[c] + act.b_gain * b[c]);
            }
        } else {
            HO_BLOCK_LOOP (c, C) {
                to[c] = leaky(act, act.x_gain * from[c] + act.b_gain * b[c]);
            }
        }
    }
}

HO_KERNEL bias_act_in_place(int64_t rows, int64_t C, ho_k_act act, const ho_real *HO_RESTRICT b,
                            ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (r, rows) {
        ho_real *HO_RESTRICT line = y + r * C;
        HO_BLOCK_LOOP (c, C) {
            line[c] = leaky(act, act.x_gain * line[c] + act.b_gain * b[c]);
        }
    }
}

HO_KERNEL act_slope_in_place(int64_t n, ho_k_act act, const ho_real *HO_RESTRICT y, ho_real *HO_RESTRICT g) {
    HO_GRID_LOOP (i, n) {
        g[i] *= act.x_gain * act_slope(act, HO_R(0.0), y[i]);
    }
}

HO_KERNEL act_backward(int64_t n, ho_k_act act, ho_real inverse_gain, const ho_real *HO_RESTRICT y,
                       const ho_real *HO_RESTRICT g_y, bool accumulate, ho_real *HO_RESTRICT g_x) {
    if (accumulate) {
        HO_GRID_LOOP (i, n) {
            g_x[i] += act.x_gain * act_slope(act, inverse_gain, y[i]) * g_y[i];
        }
    } else {
        HO_GRID_LOOP (i, n) {
            g_x[i] = act.x_gain * act_slope(act, inverse_gain, y[i]) * g_y[i];
        }
    }
}

/* g = x_gain gain act'(y) g in place; segment k of S takes its share of the rows, and the column sums of gain act'(y) g
 * go to scratch[k, :]. */
HO_KERNEL bias_act_backward_in_place(int64_t rows, int64_t C, int64_t S, ho_k_act act, const ho_real *HO_RESTRICT y,
                                     ho_real *HO_RESTRICT g, ho_real *HO_RESTRICT scratch) {
    HO_GRID_BLOCKS (k, S) {
        ho_real *HO_RESTRICT sum = scratch + k * C;
        HO_BLOCK_LOOP (c, C) {
            sum[c] = HO_R(0.0);
        }
        for (int64_t r = rows * k / S; r < rows * (k + 1) / S; ++r) {
            const ho_real *HO_RESTRICT from = y + r * C;
            ho_real *HO_RESTRICT line = g + r * C;
            HO_BLOCK_LOOP (c, C) {
                const ho_real v = act_slope(act, HO_R(0.0), from[c]) * line[c];
                sum[c] += v;
                line[c] = act.x_gain * v;
            }
        }
    }
}

/* Segment k of S takes its share of the rows; its column sums go to scratch[k, :]. */
HO_KERNEL bias_act_backward(ho_k_bias_act_gradients g, int64_t S, ho_k_act act, ho_real inverse_gain) {
    HO_GRID_BLOCKS (k, S) {
        ho_real *HO_RESTRICT sum = g.scratch + k * g.C;
        HO_BLOCK_LOOP (c, g.C) {
            sum[c] = HO_R(0.0);
        }
        for (int64_t r = g.rows * k / S; r < g.rows * (k + 1) / S; ++r) {
            const ho_real *HO_RESTRICT y = g.y + r * g.C, *HO_RESTRICT g_y = g.g_y + r * g.C;
            ho_real *HO_RESTRICT g_x = g.g_x + (g.g_x != NULL ? r * g.C : 0);
            if (g.g_x == NULL) {
                HO_BLOCK_LOOP (c, g.C) {
                    sum[c] += act_slope(act, inverse_gain, y[c]) * g_y[c];
                }
            } else if (g.accumulate_x) {
                HO_BLOCK_LOOP (c, g.C) {
                    const ho_real v = act_slope(act, inverse_gain, y[c]) * g_y[c];
                    sum[c] += v;
                    g_x[c] += act.x_gain * v;
                }
            } else {
                HO_BLOCK_LOOP (c, g.C) {
                    const ho_real v = act_slope(act, inverse_gain, y[c]) * g_y[c];
                    sum[c] += v;
                    g_x[c] = act.x_gain * v;
                }
            }
        }
    }
}

HO_DEVICE ho_real prelu(ho_real x, ho_real a, ho_real v) {
    return x > HO_R(0.0) ? v : a * v;
}

HO_KERNEL prelu_forward(int64_t rows, int64_t C, const ho_real *HO_RESTRICT x, const ho_real *HO_RESTRICT a,
                        ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (r, rows) {
        const ho_real *HO_RESTRICT from = x + r * C;
        ho_real *HO_RESTRICT to = y + r * C;
        HO_BLOCK_LOOP (c, C) {
            to[c] = prelu(from[c], a[c], from[c]);
        }
    }
}

/* Segment k of S takes its share of the rows; its column sums go to scratch[k, :]. */
HO_KERNEL prelu_backward(ho_k_prelu_gradients g, int64_t S) {
    const ho_real *HO_RESTRICT a = g.a;
    HO_GRID_BLOCKS (k, S) {
        ho_real *HO_RESTRICT sum = g.scratch + k * g.C;
        HO_BLOCK_LOOP (c, g.C) {
            sum[c] = HO_R(0.0);
        }
        for (int64_t r = g.rows * k / S; r < g.rows * (k + 1) / S; ++r) {
            const ho_real *HO_RESTRICT x = g.x + r * g.C, *HO_RESTRICT g_y = g.g_y + r * g.C;
            ho_real *HO_RESTRICT g_x = g.g_x + (g.g_x != NULL ? r * g.C : 0);
            HO_BLOCK_LOOP (c, g.C) {
                sum[c] += (x[c] > HO_R(0.0) ? HO_R(0.0) : x[c]) * g_y[c];
            }
            if (g.g_x != NULL && g.accumulate_x) {
                HO_BLOCK_LOOP (c, g.C) {
                    g_x[c] += prelu(x[c], a[c], g_y[c]);
                }
            } else if (g.g_x != NULL) {
                HO_BLOCK_LOOP (c, g.C) {
                    g_x[c] = prelu(x[c], a[c], g_y[c]);
                }
            }
        }
    }
}

/* total[c] (+)= gain * sum_k part[k, c]. */
HO_KERNEL column_total(int64_t S, int64_t C, ho_real gain, const ho_real *HO_RESTRICT part, bool accumulate,
                       ho_real *HO_RESTRICT total) {
    HO_GRID_LOOP (c, C) {
        ho_real sum = HO_R(0.0);
        for (int64_t k = 0; k < S; ++k) {
            sum += part[k * C + c];
        }
        total[c] = (accumulate ? total[c] : HO_R(0.0)) + gain * sum;
    }
}

HO_KERNEL add(int64_t n, ho_real a_gain, const ho_real *HO_RESTRICT a, ho_real b_gain, const ho_real *HO_RESTRICT b,
              ho_real *HO_RESTRICT y) {
    HO_GRID_LOOP (i, n) {
        y[i] = a_gain * a[i] + b_gain * b[i];
    }
}

HO_KERNEL scale(int64_t n, ho_real gain, const ho_real *factor, const ho_real *HO_RESTRICT x, bool accumulate,
                ho_real *HO_RESTRICT y) {
    const ho_real f = factor != NULL ? gain * factor[0] : gain;
    if (x == NULL) {
        HO_GRID_LOOP (i, n) {
            y[i] = (accumulate ? y[i] : HO_R(0.0)) + f;
        }
    } else if (accumulate) {
        HO_GRID_LOOP (i, n) {
            y[i] += f * x[i];
        }
    } else {
        HO_GRID_LOOP (i, n) {
            y[i] = f * x[i];
        }
    }
}

HO_KERNEL copy_columns(int64_t rows, int64_t C, const ho_real *HO_RESTRICT x, int64_t ld_x, bool accumulate,
                       ho_real *HO_RESTRICT y, int64_t ld_y) {
    HO_GRID_BLOCKS (r, rows) {
        const ho_real *HO_RESTRICT from = x + r * ld_x;
        ho_real *HO_RESTRICT to = y + r * ld_y;
        if (accumulate) {
            HO_BLOCK_LOOP (c, C) {
                to[c] += from[c];
            }
        } else {
            HO_BLOCK_LOOP (c, C) {
                to[c] = from[c];
            }
        }
    }
}

HO_KERNEL transpose(int64_t N, int64_t rows, int64_t C, const ho_real *HO_RESTRICT x, bool accumulate,
                    ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (line, N * C) {
        const ho_real *HO_RESTRICT from = x + line / C * rows * C + line % C;
        ho_real *HO_RESTRICT to = y + line * rows;
        HO_BLOCK_LOOP (r, rows) {
            to[r] = (accumulate ? to[r] : HO_R(0.0)) + from[r * C];
        }
    }
}

ho_status ho_k_bias_act(ho_stream stream, int64_t rows, int64_t C, const ho_k_act *act, const ho_real *x,
                        const ho_real *b, ho_real *y) {
    if (b == NULL) {
        HO_LAUNCH(act_forward, ho_grid(rows * C, WIDTH), WIDTH, 0, stream, rows * C, *act, x, y);
    } else {
        HO_LAUNCH(bias_act_forward, ho_grid_blocks(rows, C), ho_row_width(C), 0, stream, rows, C, *act, x, b, y);
    }
    return HO_LAUNCH_STATUS("bias_act");
}

ho_status ho_k_act_backward(ho_stream stream, int64_t n, const ho_k_act *act, const ho_real *y, const ho_real *g_y,
                            bool accumulate, ho_real *g_x) {
    HO_LAUNCH(act_backward, ho_grid(n, WIDTH), WIDTH, 0, stream, n, *act, HO_R(1.0) / act->gain, y, g_y, accumulate,
              g_x);
    return HO_LAUNCH_STATUS("act_backward");
}

int64_t ho_k_bias_act_scratch(int64_t rows, int64_t C) {
    return ho_segments(rows, 64) * C;
}

ho_status ho_k_bias_act_backward(ho_stream stream, const ho_k_act *act, const ho_k_bias_act_gradients *g) {
    const int64_t S = ho_segments(g->rows, 64);
    HO_LAUNCH(bias_act_backward, ho_grid_blocks(S, g->rows / S * g->C), ho_row_width(g->C), 0, stream, *g, S, *act,
              HO_R(1.0) / act->gain);
    HO_LAUNCH(column_total, ho_grid(g->C, WIDTH), WIDTH, 0, stream, S, g->C, act->b_gain, g->scratch, g->accumulate_b,
              g->g_b);
    return HO_LAUNCH_STATUS("bias_act_backward");
}

ho_status ho_k_bias_act_in_place(ho_stream stream, int64_t rows, int64_t C, const ho_k_act *act, const ho_real *b,
                                 ho_real *y) {
    HO_LAUNCH(bias_act_in_place, ho_grid_blocks(rows, C), ho_row_width(C), 0, stream, rows, C, *act, b, y);
    return HO_LAUNCH_STATUS("bias_act_in_place");
}

ho_status ho_k_bias_act_backward_in_place(ho_stream stream, const ho_k_act *act,
                                          const ho_k_bias_act_in_place_gradients *g) {
    const int64_t rows = g->rows, C = g->C, S = ho_segments(rows, 64);
    if (g->g_b == NULL) {
        HO_LAUNCH(act_slope_in_place, ho_grid(rows * C, WIDTH), WIDTH, 0, stream, rows * C, *act, g->y, g->g);
    } else {
        HO_LAUNCH(bias_act_backward_in_place, ho_grid_blocks(S, rows / S * C), ho_row_width(C), 0, stream, rows, C, S,
                  *act, g->y, g->g, g->scratch);
        HO_LAUNCH(column_total, ho_grid(C, WIDTH), WIDTH, 0, stream, S, C, act->b_gain, g->scratch, g->accumulate_b,
                  g->g_b);
    }
    return HO_LAUNCH_STATUS("bias_act_backward_in_place");
}

ho_status ho_k_prelu(ho_stream stream, int64_t rows, int64_t C, const ho_real *x, const ho_real *a, ho_real *y) {
    HO_LAUNCH(prelu_forward, ho_grid_blocks(rows, C), ho_row_width(C), 0, stream, rows, C, x, a, y);
    return HO_LAUNCH_STATUS("prelu");
}

int64_t ho_k_prelu_scratch(int64_t rows, int64_t C) {
    return ho_segments(rows, 64) * C;
}

ho_status ho_k_prelu_backward(ho_stream stream, const ho_k_prelu_gradients *g) {
    const int64_t S = ho_segments(g->rows, 64);
    HO_LAUNCH(prelu_backward, ho_grid_blocks(S, g->rows / S * g->C), ho_row_width(g->C), 0, stream, *g, S);
    if (g->g_a != NULL) {
        HO_LAUNCH(column_total, ho_grid(g->C, WIDTH), WIDTH, 0, stream, S, g->C, HO_R(1.0), g->scratch, g->accumulate_a,
                  g->g_a);
    }
    return HO_LAUNCH_STATUS("prelu_backward");
}

ho_status ho_k_add(ho_stream stream, int64_t n, ho_real a_gain, const ho_real *a, ho_real b_gain, const ho_real *b,
                   ho_real *y) {
    HO_LAUNCH(add, ho_grid(n, WIDTH), WIDTH, 0, stream, n, a_gain, a, b_gain, b, y);
    return HO_LAUNCH_STATUS("add");
}

ho_status ho_k_scale(ho_stream stream, int64_t n, ho_real gain, const ho_real *x, bool accumulate, ho_real *y) {
    HO_LAUNCH(scale, ho_grid(n, WIDTH), WIDTH, 0, stream, n, gain, NULL, x, accumulate, y);
    return HO_LAUNCH_STATUS("scale");
}

ho_status ho_k_scale_by(ho_stream stream, int64_t n, ho_real gain, const ho_real *factor, const ho_real *x,
                        bool accumulate, ho_real *y) {
    HO_LAUNCH(scale, ho_grid(n, WIDTH), WIDTH, 0, stream, n, gain, factor, x, accumulate, y);
    return HO_LAUNCH_STATUS("scale_by");
}

ho_status ho_k_copy_columns(ho_stream stream, int64_t rows, int64_t C, const ho_real *x, int64_t ld_x, bool accumulate,
                            ho_real *y, int64_t ld_y) {
    HO_LAUNCH(copy_columns, ho_grid_blocks(rows, C), ho_row_width(C), 0, stream, rows, C, x, ld_x, accumulate, y, ld_y);
    return HO_LAUNCH_STATUS("copy_columns");
}

ho_status ho_k_transpose(ho_stream stream, int64_t N, int64_t rows, int64_t C, const ho_real *x, bool accumulate,
                         ho_real *y) {
    HO_LAUNCH(transpose, ho_grid_blocks(N * C, rows), ho_row_width(rows), 0, stream, N, rows, C, x, accumulate, y);
    return HO_LAUNCH_STATUS("transpose");
}
