/* The passes around the convolution of a modulated convolution; formulas in modconv.cu. */
#ifndef HANDSOFF_KERNELS_MODCONV_H
#define HANDSOFF_KERNELS_MODCONV_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* xs[n,p,i] = x[n,p,i] * s[n,i] for x (N, pixels, I). */
ho_status ho_k_modulate(ho_stream stream, const int64_t dim[3], const ho_real *x, const ho_real *s, ho_real *xs);
/* ws[n,o,i] = w[o,i] * s[n,i] for dim N, O, I: a 1x1 convolution's weights for each sample. */
ho_status ho_k_modulate_weights(ho_stream stream, const int64_t dim[3], const ho_real *w, const ho_real *s,
                                ho_real *ws);
/* g_x (+)= g_xs * s (g_x may be NULL) and, in the same pass, g_s[n,i] (+)= sum_p g_xs x (g_s may be NULL). scratch
 * holds ho_k_modulate_scratch elements. */
typedef struct {
    int64_t N, pixels, I;
    const ho_real *x, *s, *g_xs;
    ho_real *g_x, *g_s, *scratch;
    bool accumulate_x, accumulate_s;
} ho_k_modulate_gradients;
int64_t ho_k_modulate_scratch(int64_t N, int64_t pixels, int64_t I);
ho_status ho_k_modulate_backward(ho_stream stream, const ho_k_modulate_gradients *g);

/* wsq[o,i] = sum_k w[o,k,i]^2 for w (O, taps, I). */
ho_status ho_k_weight_squares(ho_stream stream, const int64_t dim[3], const ho_real *w, ho_real *wsq);
/* y = x * x. */
ho_status ho_k_square(ho_stream stream, int64_t n, const ho_real *x, ho_real *y);
/* d = 1 / sqrt(d + 1e-8), in place. */
ho_status ho_k_demodulation(ho_stream stream, int64_t n, ho_real *d);
/* y += a * b. */
ho_status ho_k_add_product(ho_stream stream, int64_t n, const ho_real *a, const ho_real *b, ho_real *y);
/* g_w[o,k,i] += w[o,k,i] * g[o,i]. */
ho_status ho_k_weight_squares_backward(ho_stream stream, const int64_t dim[3], const ho_real *w, const ho_real *g,
                                       ho_real *g_w);
/* (A, taps, B) -> (B, taps, A), taps kept in order. */
ho_status ho_k_swap_channels(ho_stream stream, const int64_t dim[3], const ho_real *w, bool accumulate,
                             ho_real *swapped);

/* The epilogue y = gain act(d[n,o] c + strength noise[h,w] + b[o]), act(v) = v > 0 ? v : slope v; y (N, P, Q, O). */
typedef struct {
    int64_t N, P, Q, O;
    ho_real gain, slope;
    const ho_real *d;        /* (N, O)                                                        */
    const ho_real *b;        /* (O) or NULL                                                   */
    const ho_real *noise;    /* (P, Q), (N, P, Q) or NULL                                     */
    const ho_real *strength; /* (1)                                                           */
    int64_t noise_stride;    /* elements from sample to sample: 0 when the plane is shared    */
} ho_k_epilogue;

/* y holds c and becomes the output. */
ho_status ho_k_epilogue_forward(ho_stream stream, const ho_k_epilogue *e, ho_real *y);
/* c is the FIR of t (N, P+1, Q+1, O): taps [1,3,3,1]/4 on each axis, padding 1. */
ho_status ho_k_epilogue_fir_forward(ho_stream stream, const ho_k_epilogue *e, const ho_real *t, ho_real *y);
/* g_c (may be NULL) and the sums over pixels that everything else follows from: sums (N, 3, O) holds
 * sum g_pre, sum g_pre pre, sum g_pre noise. scratch holds ho_k_epilogue_scratch elements. */
int64_t ho_k_epilogue_scratch(const ho_k_epilogue *e);
ho_status ho_k_epilogue_backward(ho_stream stream, const ho_k_epilogue *e, const ho_real *y, const ho_real *g_y,
                                 ho_real *g_c, ho_real *scratch, ho_real *sums);
/* From the sums: g_b (O), g_strength (1), and e (N,O) = -d^3 g_d, the gradient that goes on through d; each may be
 * NULL. */
typedef struct {
    ho_real *g_b, *g_strength, *through_d;
    bool accumulate_b, accumulate_strength;
} ho_k_epilogue_gradients;
ho_status ho_k_epilogue_totals(ho_stream stream, const ho_k_epilogue *e, const ho_real *sums,
                               const ho_k_epilogue_gradients *g);

#ifdef __cplusplus
}
#endif
#endif
