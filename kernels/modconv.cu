/* What surrounds the convolution of a modulated convolution (Karras et al. 2020, "Analyzing and improving the
 * image quality of StyleGAN", equations 1 and 3), without a weight tensor per sample:
 *   xs[n,p,i] = x[n,p,i] s[n,i],  c = conv(xs, w),
 *   d[n,o] = (sum_i s[n,i]^2 wsq[o,i] + 1e-8)^(-1/2),  wsq[o,i] = sum_k w[o,k,i]^2.
 * Layouts: x (N, pixels, I), s (N, I), w (O, taps, I), d (N, O). Backward of the modulation:
 *   g_x = g_xs s,  g_s = sum_p g_xs x;   through d:  g_s += s (e wsq),  g_w += w (e^T s^2)  with e = -d^3 g_d.
 * Passes over images read each value once, channels in the inner loop. The epilogue is in epilogue.cu. */
#include "modconv.h"

#include <stddef.h>

#include "real.h"
#include "segments.h"

enum { WIDTH = 256, LEAST_PIXELS = 64 };

/* Blocks take runs of pixels of one sample, so that n is found once a run. */
static int64_t pixel_segments(int64_t pixels) {
    return ho_segments(pixels, LEAST_PIXELS);
}

HO_KERNEL modulate(int64_t N, int64_t pixels, int64_t I, int64_t S, const ho_real *HO_RESTRICT x,
                   const ho_real *HO_RESTRICT s, ho_real *HO_RESTRICT xs) {
    HO_GRID_BLOCKS (segment, N * S) {
        const int64_t n = segment / S, k = segment % S;
        const ho_real *HO_RESTRICT style = s + n * I;
        for (int64_t p = n * pixels + pixels * k / S; p < n * pixels + pixels * (k + 1) / S; ++p) {
            const ho_real *HO_RESTRICT from = x + p * I;
            ho_real *HO_RESTRICT to = xs + p * I;
            HO_BLOCK_LOOP (i, I) {
                to[i] = from[i] * style[i];
            }
        }
    }
}

HO_KERNEL modulate_weights(int64_t N, int64_t O, int64_t I, const ho_real *HO_RESTRICT w, const ho_real *HO_RESTRICT s,
                           ho_real *HO_RESTRICT ws) {
    HO_GRID_BLOCKS (row, N * O) {
        const ho_real *HO_RESTRICT style = s + row / O * I, *HO_RESTRICT from = w + row % O * I;
        ho_real *HO_RESTRICT to = ws + row * I;
        HO_BLOCK_LOOP (i, I) {
            to[i] = from[i] * style[i];
        }
    }
}

/* One pixel of the backward: sum += g_xs x, and g_x. */
HO_DEVICE void modulate_pixel(const ho_k_modulate_gradients *g, int64_t p, const ho_real *HO_RESTRICT style,
                              ho_real *HO_RESTRICT sum) {
    const ho_real *HO_RESTRICT g_xs = g->g_xs + p * g->I, *HO_RESTRICT x = g->x + p * g->I;
    if (g->g_x == NULL) {
        HO_BLOCK_LOOP (i, g->I) {
            sum[i] += g_xs[i] * x[i];
        }
        return;
    }
    ho_real *HO_RESTRICT g_x = g->g_x + p * g->I;
    if (g->accumulate_x) {
        HO_BLOCK_LOOP (i, g->I) {
            sum[i] += g_xs[i] * x[i];
            g_x[i] += g_xs[i] * style[i];
        }
    } else {
        HO_BLOCK_LOOP (i, g->I) {
            sum[i] += g_xs[i] * x[i];
            g_x[i] = g_xs[i] * style[i];
        }
    }
}

HO_KERNEL modulate_backward(ho_k_modulate_gradients g, int64_t S) {
    HO_GRID_BLOCKS (segment, g.N * S) {
        const int64_t n = segment / S, k = segment % S;
        ho_real *HO_RESTRICT sum = g.scratch + segment * g.I;
        HO_BLOCK_LOOP (i, g.I) {
            sum[i] = HO_R(0.0);
        }
        for (int64_t p = n * g.pixels + g.pixels * k / S; p < n * g.pixels + g.pixels * (k + 1) / S; ++p) {
            modulate_pixel(&g, p, g.s + n * g.I, sum);
        }
    }
}

HO_KERNEL style_total(int64_t N, int64_t S, int64_t I, const ho_real *HO_RESTRICT part, bool accumulate,
                      ho_real *HO_RESTRICT g_s) {
    HO_GRID_LOOP (j, N * I) {
        const ho_real *HO_RESTRICT from = part + j / I * S * I + j % I;
        ho_real sum = accumulate ? g_s[j] : HO_R(0.0);
        for (int64_t k = 0; k < S; ++k) {
            sum += from[k * I];
        }
        g_s[j] = sum;
    }
}

HO_KERNEL weight_squares(int64_t O, int64_t taps, int64_t I, const ho_real *HO_RESTRICT w, ho_real *HO_RESTRICT wsq) {
    HO_GRID_BLOCKS (o, O) {
        ho_real *HO_RESTRICT sum = wsq + o * I;
        HO_BLOCK_LOOP (i, I) {
            sum[i] = HO_R(0.0);
        }
        for (int64_t k = 0; k < taps; ++k) {
            const ho_real *HO_RESTRICT row = w + (o * taps + k) * I;
            HO_BLOCK_LOOP (i, I) {
                sum[i] += row[i] * row[i];
            }
        }
    }
}

HO_KERNEL weight_squares_backward(int64_t O, int64_t taps, int64_t I, const ho_real *HO_RESTRICT w,
                                  const ho_real *HO_RESTRICT g, ho_real *HO_RESTRICT g_w) {
    HO_GRID_BLOCKS (row, O * taps) {
        const ho_real *HO_RESTRICT factor = g + row / taps * I;
        HO_BLOCK_LOOP (i, I) {
            g_w[row * I + i] += w[row * I + i] * factor[i];
        }
    }
}

HO_KERNEL square(int64_t n, const ho_real *HO_RESTRICT x, ho_real *HO_RESTRICT y) {
    HO_GRID_LOOP (i, n) {
        y[i] = x[i] * x[i];
    }
}

HO_KERNEL demodulation(int64_t n, ho_real *HO_RESTRICT d) {
    HO_GRID_LOOP (i, n) {
        d[i] = HO_R(1.0) / ho_sqrt(d[i] + HO_R(1e-8));
    }
}

HO_KERNEL add_product(int64_t n, const ho_real *HO_RESTRICT a, const ho_real *HO_RESTRICT b, ho_real *HO_RESTRICT y) {
    HO_GRID_LOOP (i, n) {
        y[i] += a[i] * b[i];
    }
}

HO_KERNEL swap_channels(int64_t A, int64_t taps, int64_t B, const ho_real *HO_RESTRICT w, bool accumulate,
                        ho_real *HO_RESTRICT swapped) {
    HO_GRID_BLOCKS (row, B * taps) {
        const int64_t b = row / taps, k = row % taps;
        HO_BLOCK_LOOP (a, A) {
            const ho_real v = w[(a * taps + k) * B + b];
            swapped[row * A + a] = (accumulate ? swapped[row * A + a] : HO_R(0.0)) + v;
        }
    }
}

ho_status ho_k_modulate(ho_stream stream, const int64_t dim[3], const ho_real *x, const ho_real *s, ho_real *xs) {
    const int64_t S = pixel_segments(dim[1]);
    HO_LAUNCH(modulate, ho_grid_blocks(dim[0] * S, dim[1] / S * dim[2]), ho_row_width(dim[2]), 0, stream, dim[0],
              dim[1], dim[2], S, x, s, xs);
    return HO_LAUNCH_STATUS("modulate");
}

ho_status ho_k_modulate_weights(ho_stream stream, const int64_t dim[3], const ho_real *w, const ho_real *s,
                                ho_real *ws) {
    HO_LAUNCH(modulate_weights, ho_grid_blocks(dim[0] * dim[1], dim[2]), ho_row_width(dim[2]), 0, stream, dim[0],
              dim[1], dim[2], w, s, ws);
    return HO_LAUNCH_STATUS("modulate_weights");
}

int64_t ho_k_modulate_scratch(int64_t N, int64_t pixels, int64_t I) {
    return N * pixel_segments(pixels) * I;
}

ho_status ho_k_modulate_backward(ho_stream stream, const ho_k_modulate_gradients *g) {
    const int64_t S = pixel_segments(g->pixels);
    HO_LAUNCH(modulate_backward, ho_grid_blocks(g->N * S, g->pixels / S * g->I), ho_row_width(g->I), 0, stream, *g, S);
    if (g->g_s != NULL) {
        HO_LAUNCH(style_total, ho_grid(g->N * g->I, WIDTH), WIDTH, 0, stream, g->N, S, g->I, g->scratch,
                  g->accumulate_s, g->g_s);
    }
    return HO_LAUNCH_STATUS("modulate_backward");
}

ho_status ho_k_weight_squares(ho_stream stream, const int64_t dim[3], const ho_real *w, ho_real *wsq) {
    HO_LAUNCH(weight_squares, ho_grid_blocks(dim[0], dim[1] * dim[2]), ho_row_width(dim[2]), 0, stream, dim[0], dim[1],
              dim[2], w, wsq);
    return HO_LAUNCH_STATUS("weight_squares");
}

ho_status ho_k_weight_squares_backward(ho_stream stream, const int64_t dim[3], const ho_real *w, const ho_real *g,
                                       ho_real *g_w) {
    HO_LAUNCH(weight_squares_backward, ho_grid_blocks(dim[0] * dim[1], dim[2]), ho_row_width(dim[2]), 0, stream, dim[0],
              dim[1], dim[2], w, g, g_w);
    return HO_LAUNCH_STATUS("weight_squares_backward");
}

ho_status ho_k_square(ho_stream stream, int64_t n, const ho_real *x, ho_real *y) {
    HO_LAUNCH(square, ho_grid(n, WIDTH), WIDTH, 0, stream, n, x, y);
    return HO_LAUNCH_STATUS("square");
}

ho_status ho_k_demodulation(ho_stream stream, int64_t n, ho_real *d) {
    HO_LAUNCH(demodulation, ho_grid(n, WIDTH), WIDTH, 0, stream, n, d);
    return HO_LAUNCH_STATUS("demodulation");
}

ho_status ho_k_add_product(ho_stream stream, int64_t n, const ho_real *a, const ho_real *b, ho_real *y) {
    HO_LAUNCH(add_product, ho_grid(n, WIDTH), WIDTH, 0, stream, n, a, b, y);
    return HO_LAUNCH_STATUS("add_product");
}

ho_status ho_k_swap_channels(ho_stream stream, const int64_t dim[3], const ho_real *w, bool accumulate,
                             ho_real *swapped) {
    HO_LAUNCH(swap_channels, ho_grid_blocks(dim[1] * dim[2], dim[0]), ho_row_width(dim[0]), 0, stream, dim[0], dim[1],
              dim[2], w, accumulate, swapped);
    return HO_LAUNCH_STATUS("swap_channels");
}
