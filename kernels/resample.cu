/* Bilinear resampling without antialiasing, pixel centres at .5 (align_corners false) or at whole numbers with the
 * outermost ones on each other (align_corners true).
 *
 *   x (N,H,W,C), y (N,P,Q,C), NHWC. Along one axis of n input and m output positions, output position p reads
 *     t = max(0, (p + 0.5) n / m - 0.5),  i0 = min(floor t, n - 1),  i1 = min(i0 + 1, n - 1),  weight a = t - i0,
 *     y[p] = (1 - a) x[i0] + a x[i1];     two axes: the product of both;
 * with corners t = p (n - 1) / (m - 1). In the code t = (p + centre) scale - centre, centre 0.5 or 0.
 * Adjoint: input position i gathers from the outputs p whose i0 or i1 it is. Their t lies in (i - 1, i + 1), which
 * bounds p; the bounds are widened by one on both sides and the weight comes from the forward formula, so that the two
 * agree to the bit and rounding of the bounds cannot lose a term. No atomics: one block writes one pixel. Bytes moved:
 * forward 4 reads (mostly cached) and 1 write an output; adjoint the same number of reads. */
#include "resample.h"
#include "segments.h"

enum { AT_ONCE = 16 }; /* weights of the adjoint along a row that are held on the cpu */

typedef struct {
    int64_t i0, i1;
    ho_real a;
} ho_taps2;

/* Of one axis. */
typedef struct {
    ho_real scale, centre;
} ho_axis;

HO_DEVICE ho_taps2 ho_taps_of(int64_t p, int64_t n, ho_axis axis) {
    ho_taps2 taps;
    ho_real t = ((ho_real)p + axis.centre) * axis.scale - axis.centre;
    t = t > HO_R(0.0) ? t : HO_R(0.0);
    taps.i0 = (int64_t)t < n - 1 ? (int64_t)t : n - 1;
    taps.i1 = taps.i0 + 1 < n ? taps.i0 + 1 : n - 1;
    taps.a = t - (ho_real)taps.i0;
    return taps;
}

/* What input position i contributes to output position p. */
HO_DEVICE ho_real ho_tap_weight(int64_t p, int64_t i, int64_t n, ho_axis axis) {
    const ho_taps2 taps = ho_taps_of(p, n, axis);
    return (taps.i0 == i ? HO_R(1.0) - taps.a : HO_R(0.0)) + (taps.i1 == i ? taps.a : HO_R(0.0));
}

/* The same from those held on the cpu; computed anew on a GPU, where an array that is indexed would lie in memory. */
HO_DEVICE ho_real ho_held_weight(const ho_real *held, int64_t j, int64_t p, int64_t i, int64_t n, ho_axis axis) {
#ifdef __CUDACC__
    (void)held;
    return ho_tap_weight(p + j, i, n, axis);
#else
    (void)p, (void)i, (void)n, (void)axis;
    return held[j];
#endif
}

/* Pixel number i of images of H x W as n, h, w. In 32 bits where they do: a 64-bit division costs several times as
 * much as what is done for a pixel of few channels. */
typedef struct {
    int64_t n, h, w;
} ho_pixel;

HO_DEVICE ho_pixel ho_pixel_of(int64_t i, int64_t H, int64_t W) {
    ho_pixel pixel;
    if (i <= INT32_MAX) {
        const uint32_t row = (uint32_t)i / (uint32_t)W, n = row / (uint32_t)H;
        pixel.w = (int64_t)((uint32_t)i - row * (uint32_t)W);
        pixel.h = (int64_t)(row - n * (uint32_t)H);
        pixel.n = (int64_t)n;
    } else {
        pixel.w = i % W;
        pixel.h = i / W % H;
        pixel.n = i / W / H;
    }
    return pixel;
}

/* First and last output position that may read input position i. */
HO_DEVICE int64_t ho_first_reader(int64_t i, ho_axis axis) {
    const double centre = (double)axis.centre;
    const int64_t p = (int64_t)floor(((double)i - 1.0 + centre) / (double)axis.scale - centre) - 1;
    return i == 0 || p < 0 ? 0 : p;
}
HO_DEVICE int64_t ho_last_reader(int64_t i, int64_t n, int64_t m, ho_axis axis) {
    const double centre = (double)axis.centre;
    const int64_t p = (int64_t)ceil(((double)i + 1.0 + centre) / (double)axis.scale - centre) + 1;
    return i == n - 1 || p > m - 1 ? m - 1 : p;
}

HO_KERNEL resample_kernel(ho_resample_shape s, ho_axis axis_h, ho_axis axis_w, const ho_real *HO_RESTRICT x,
                          ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (pixel, s.N * s.P * s.Q) {
        const ho_pixel at = ho_pixel_of(pixel, s.P, s.Q);
        const ho_taps2 th = ho_taps_of(at.h, s.H, axis_h), tw = ho_taps_of(at.w, s.W, axis_w);
        const ho_real *HO_RESTRICT x00 = x + ((at.n * s.H + th.i0) * s.W + tw.i0) * s.C;
        const ho_real *HO_RESTRICT x01 = x + ((at.n * s.H + th.i0) * s.W + tw.i1) * s.C;
        const ho_real *HO_RESTRICT x10 = x + ((at.n * s.H + th.i1) * s.W + tw.i0) * s.C;
        const ho_real *HO_RESTRICT x11 = x + ((at.n * s.H + th.i1) * s.W + tw.i1) * s.C;
        const ho_real one = HO_R(1.0);
        const ho_real w00 = (one - th.a) * (one - tw.a), w01 = (one - th.a) * tw.a;
        const ho_real w10 = th.a * (one - tw.a), w11 = th.a * tw.a;
        ho_real *HO_RESTRICT out = y + pixel * s.C;
        HO_BLOCK_LOOP (c, s.C) {
            out[c] = w00 * x00[c] + w01 * x01[c] + w10 * x10[c] + w11 * x11[c];
        }
    }
}

HO_KERNEL resample_backward_kernel(ho_resample_shape s, ho_axis axis_h, ho_axis axis_w, const ho_real *HO_RESTRICT g_y,
                                   ho_real *HO_RESTRICT g_x, bool accumulate) {
    HO_GRID_BLOCKS (pixel, s.N * s.H * s.W) {
        const ho_pixel at = ho_pixel_of(pixel, s.H, s.W);
        const int64_t p0 = ho_first_reader(at.h, axis_h), p1 = ho_last_reader(at.h, s.H, s.P, axis_h);
        const int64_t q1 = ho_last_reader(at.w, s.W, s.Q, axis_w);
        ho_real *HO_RESTRICT out = g_x + pixel * s.C;
        if (!accumulate) {
            HO_BLOCK_LOOP (c, s.C) {
                out[c] = HO_R(0.0);
            }
        }
        for (int64_t q = ho_first_reader(at.w, axis_w); q <= q1; q += AT_ONCE) {
            const int64_t count = q1 + 1 - q < AT_ONCE ? q1 + 1 - q : AT_ONCE;
            ho_real weight_w[AT_ONCE];
            for (int64_t j = 0; j < count; ++j) {
                weight_w[j] = ho_tap_weight(q + j, at.w, s.W, axis_w);
            }
            for (int64_t p = p0; p <= p1; ++p) {
                const ho_real weight_h = ho_tap_weight(p, at.h, s.H, axis_h);
                if (weight_h == HO_R(0.0)) {
                    continue;
                }
                for (int64_t j = 0; j < count; ++j) {
                    const ho_real weight = weight_h * ho_held_weight(weight_w, j, q, at.w, s.W, axis_w);
                    const ho_real *HO_RESTRICT g = g_y + ((at.n * s.P + p) * s.Q + q + j) * s.C;
                    HO_BLOCK_LOOP (c, s.C) {
                        out[c] += weight * g[c];
                    }
                }
            }
        }
    }
}

static ho_axis axis_of(int64_t n, int64_t m, bool corners) {
    ho_axis axis;
    axis.scale = corners ? (ho_real)(n - 1) / (ho_real)(m - 1) : (ho_real)n / (ho_real)m;
    axis.centre = corners ? HO_R(0.0) : HO_R(0.5);
    return axis;
}

ho_status ho_k_resample(ho_stream stream, const ho_resample_shape *s, const ho_real *x, ho_real *y) {
    const int64_t pixels = s->N * s->P * s->Q;
    HO_LAUNCH(resample_kernel, ho_grid_blocks(pixels, s->C), ho_row_width(s->C), 0, stream, *s,
              axis_of(s->H, s->P, s->corners), axis_of(s->W, s->Q, s->corners), x, y);
    return HO_LAUNCH_STATUS("resample");
}

ho_status ho_k_resample_backward(ho_stream stream, const ho_resample_shape *s, const ho_real *g_y, ho_real *g_x,
                                 bool accumulate) {
    const int64_t pixels = s->N * s->H * s->W, work = s->N * s->P * s->Q * s->C / pixels + s->C;
    HO_LAUNCH(resample_backward_kernel, ho_grid_blocks(pixels, work), ho_row_width(s->C), 0, stream, *s,
              axis_of(s->H, s->P, s->corners), axis_of(s->W, s->Q, s->corners), g_y, g_x, accumulate);
    return HO_LAUNCH_STATUS("resample backward");
}
