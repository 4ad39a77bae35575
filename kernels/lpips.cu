/* One tap of LPIPS (Zhang et al. 2018).  f0, f1 (N,pixels,C) channels last, w (C) or all ones, d (N).
 *
 *   u = f / m,  m = ||f|| + 1e-10,  ||f|| over the channels of a pixel
 *   d[n] = 1/pixels sum_pixels sum_c w_c (u0_c - u1_c)^2
 * Backward of f0, with e_c = 2 w_c (u0_c - u1_c) g_d[n] / pixels and f0/||f0|| the unit vector:
 *   g_f0 = ( e - (f0 / ||f0||) sum_c e_c u0_c ) / m0,   and 0 where ||f0|| = 0 (the root has no derivative there);
 *   f1 likewise with -e and u1. Dividing by ||f|| before multiplying keeps short vectors from underflowing.
 * One block works on one segment of pixels, its threads over channels; two sweeps over the channels of a pixel, the
 * second from cache. The sum over a sample goes through S partial sums, S a function of the pixel count alone. */
#include "lpips.h"

#include <stddef.h>

#include "loss.h"
#include "real.h"
#include "segments.h"

#define EPS HO_R(1e-10)

HO_DEVICE ho_real ho_sum_squares(const ho_real *HO_RESTRICT f, int64_t C) {
    ho_real sum = HO_R(0.0);
    HO_BLOCK_LOOP (c, C) {
        sum += f[c] * f[c];
    }
    return ho_block_sum(sum);
}

HO_KERNEL lpips_partials(ho_lpips_args a, int64_t S, ho_real *HO_RESTRICT partial) {
    HO_GRID_BLOCKS (segment, a.N * S) {
        const int64_t k = segment % S, first = segment / S * a.pixels;
        const int64_t end = first + a.pixels * (k + 1) / S;
        ho_real total = HO_R(0.0);
        for (int64_t pixel = first + a.pixels * k / S; pixel < end; ++pixel) {
            const ho_real *HO_RESTRICT f0 = a.f0 + pixel * a.C;
            const ho_real *HO_RESTRICT f1 = a.f1 + pixel * a.C;
            const ho_real *HO_RESTRICT w = a.w;
            const ho_real norm0 = ho_sqrt(ho_sum_squares(f0, a.C));
            const ho_real norm1 = ho_sqrt(ho_sum_squares(f1, a.C));
            const ho_real scale0 = HO_R(1.0) / (norm0 + EPS), scale1 = HO_R(1.0) / (norm1 + EPS);
            ho_real sum = HO_R(0.0);
            if (w == NULL) {
                HO_BLOCK_LOOP (c, a.C) {
                    const ho_real e = f0[c] * scale0 - f1[c] * scale1;
                    sum += e * e;
                }
            } else {
                HO_BLOCK_LOOP (c, a.C) {
                    const ho_real e = f0[c] * scale0 - f1[c] * scale1;
                    sum += w[c] * (e * e);
                }
            }
            total += sum;
            HO_BLOCK_LOOP (one, 1) {
                a.norm[2 * pixel + one] = norm0;
                a.norm[2 * pixel + 1 + one] = norm1;
            }
        }
        total = ho_block_sum(total);
        HO_BLOCK_LOOP (one, 1) {
            partial[segment + one] = total;
        }
    }
}

/* sum_c w_c (u0_c - u1_c) u_c for u = u0 and u1 of one pixel. */
typedef struct {
    ho_real with0, with1;
} ho_pixel_dots;
HO_DEVICE ho_pixel_dots ho_lpips_dots(const ho_real *HO_RESTRICT f0, const ho_real *HO_RESTRICT f1, const ho_real *w,
                                      int64_t C, ho_real scale0, ho_real scale1) {
    ho_real sum0 = HO_R(0.0), sum1 = HO_R(0.0);
    ho_pixel_dots dots;
    HO_BLOCK_LOOP (c, C) {
        const ho_real u0 = f0[c] * scale0, u1 = f1[c] * scale1;
        const ho_real e = (w == NULL ? HO_R(1.0) : w[c]) * (u0 - u1);
        sum0 += e * u0;
        sum1 += e * u1;
    }
    dots.with0 = ho_block_sum(sum0);
    dots.with1 = ho_block_sum(sum1);
    return dots;
}

/* g += or = scale * (w (f scale_f - other scale_other) - f along), for one side of one pixel. */
typedef struct {
    ho_real factor, scale_f, scale_other, along;
} ho_side;
HO_DEVICE void ho_lpips_side(ho_side s, const ho_real *HO_RESTRICT f, const ho_real *HO_RESTRICT other,
                             const ho_real *w, int64_t C, ho_real *HO_RESTRICT g, bool accumulate) {
    if (!accumulate) {
        HO_BLOCK_LOOP (c, C) {
            g[c] = HO_R(0.0);
        }
    }
    HO_BLOCK_LOOP (c, C) {
        const ho_real e = (w == NULL ? HO_R(1.0) : w[c]) * (f[c] * s.scale_f - other[c] * s.scale_other);
        g[c] += s.factor * (e - f[c] * s.along);
    }
}

HO_KERNEL lpips_backward_kernel(ho_lpips_args a, ho_lpips_gradients g) {
    HO_GRID_BLOCKS (pixel, a.N * a.pixels) {
        const ho_real *f0 = a.f0 + pixel * a.C;
        const ho_real *f1 = a.f1 + pixel * a.C;
        const ho_real norm0 = a.norm[2 * pixel], norm1 = a.norm[2 * pixel + 1];
        const ho_real scale0 = HO_R(1.0) / (norm0 + EPS), scale1 = HO_R(1.0) / (norm1 + EPS);
        const ho_pixel_dots dots = ho_lpips_dots(f0, f1, a.w, a.C, scale0, scale1);
        const ho_real share = HO_R(2.0) * g.g_d[pixel / a.pixels] / (ho_real)a.pixels, zero = HO_R(0.0);
        /* the other side's e has the opposite sign, and so has its sum */
        const ho_side side0 = {norm0 > zero ? share * scale0 : zero, scale0, scale1,
                               norm0 > zero ? dots.with0 / norm0 : zero};
        const ho_side side1 = {norm1 > zero ? share * scale1 : zero, scale1, scale0,
                               norm1 > zero ? -dots.with1 / norm1 : zero};
        if (g.g_f0 != NULL) {
            ho_lpips_side(side0, f0, f1, a.w, a.C, g.g_f0 + pixel * a.C, g.accumulate0);
        }
        if (g.g_f1 != NULL) {
            ho_lpips_side(side1, f1, f0, a.w, a.C, g.g_f1 + pixel * a.C, g.accumulate1);
        }
    }
}

static int64_t lpips_segments(const ho_lpips_args *a) {
    return ho_segments(a->pixels, 4);
}
int64_t ho_k_lpips_scratch(const ho_lpips_args *args) {
    return args->N * lpips_segments(args);
}

ho_status ho_k_lpips(ho_stream stream, const ho_lpips_args *args, ho_real *scratch, ho_real *d) {
    const int64_t S = lpips_segments(args);
    HO_LAUNCH(lpips_partials, ho_grid_blocks(args->N * S, args->pixels / S * args->C * 4), ho_row_width(args->C), 0,
              stream, *args, S, scratch);
    return ho_k_group_totals(stream, args->N, S, HO_R(1.0) / (ho_real)args->pixels, scratch, d);
}

ho_status ho_k_lpips_backward(ho_stream stream, const ho_lpips_args *args, const ho_lpips_gradients *gradients) {
    HO_LAUNCH(lpips_backward_kernel, ho_grid_blocks(args->N * args->pixels, args->C * 4), ho_row_width(args->C), 0,
              stream, *args, *gradients);
    return HO_LAUNCH_STATUS("LPIPS tap backward");
}
