/* Differentiable operations. Each checks its shapes, runs at once, and goes onto the tape when the context records and
 * an input needs a gradient. Outputs are new tensors of the context's arena. Formulas here, kernels under kernels/.
 * Letters: N batch, H W pixels, C I channels in, O channels out, L style rows, D latent width, K classes. */
#ifndef HANDSOFF_OPS_H
#define HANDSOFF_OPS_H

#include "handsoff/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- linear (src/ops/linear.c, conv.c) --------------------------------------------------------------------------- */

/* y (..., O) = x (..., I) w^T, w (O, I). */
ho_status ho_dense(ho_context *context, ho_tensor *x, ho_tensor *w, ho_tensor **y);

/* y (N,P,Q,O) = conv(x (N,H,W,C), w (O,k,k,C)); see ho_conv_shape. */
typedef struct {
    int64_t stride, pad, dilation;
} ho_conv_options;
/* Gradients to x and w. */
ho_status ho_conv2d(ho_context *context, ho_tensor *x, ho_tensor *w, const ho_conv_options *options, ho_tensor **y);

/* ---- pointwise (src/ops/pointwise.c) ----------------------------------------------------------------------------- */

typedef enum { HO_LINEAR, HO_LRELU, HO_SIGMOID } ho_activation; /* ReLU is HO_LRELU with slope 0 */
typedef struct {
    ho_activation act;
    double slope;  /* of the leaky ReLU for negative inputs              */
    double x_gain; /* multiplies x before the bias: equalised weight gain */
    double b_gain; /* multiplies the bias: lr_mul                         */
    double gain;   /* multiplies the result                               */
} ho_act;
#define HO_ACT_LINEAR ((ho_act){HO_LINEAR, 0.0, 1.0, 1.0, 1.0})
#define HO_ACT_RELU   ((ho_act){HO_LRELU, 0.0, 1.0, 1.0, 1.0})
/* StyleGAN2's: slope 0.2, gain sqrt 2. */
#define HO_ACT_LRELU2 ((ho_act){HO_LRELU, 0.2, 1.0, 1.0, 1.4142135623730951})

/* y = gain * act(x_gain * x + b_gain * b[c]); b (C) or NULL; x (..., C). */
ho_status ho_bias_act(ho_context *context, ho_tensor *x, ho_tensor *b, const ho_act *act, ho_tensor **y);
/* The tangent of ho_bias_act at output y: y_dot = gain * act'(.) * x_gain * x_dot, for HO_LINEAR and HO_LRELU (whose
 * derivative does not depend on x almost everywhere: gradients flow to x_dot only). */
ho_status ho_bias_act_tangent(ho_context *context, const ho_tensor *y, ho_tensor *x_dot, const ho_act *act,
                              ho_tensor **y_dot);

/* y = gain * act(x_gain * conv(x, w) + b[c]): ho_conv2d and ho_bias_act in one pass where the target can
 * (src/ops/conv.c). What lies between the two is not kept: the backward reads y alone. act: HO_LINEAR or HO_LRELU,
 * b_gain 1. */
ho_status ho_conv2d_act(ho_context *context, ho_tensor *x, ho_tensor *w, ho_tensor *b, const ho_conv_options *options,
                        const ho_act *act, ho_tensor **y);
/* Its tangent at output y, y_dot = gain * act'(.) * x_gain * conv(x_dot, w): gradients to x_dot and w. */
ho_status ho_conv2d_act_tangent(ho_context *context, const ho_tensor *y, ho_tensor *x_dot, ho_tensor *w,
                                const ho_conv_options *options, const ho_act *act, ho_tensor **y_dot);

/* PReLU (He et al. 2015, "Delving deep into rectifiers"): y = x > 0 ? x : slope[c] * x; x (..., C), slope (C).
 * Gradients to both (src/ops/channels.c). */
ho_status ho_prelu(ho_context *context, ho_tensor *x, ho_tensor *slope, ho_tensor **y);
/* y[n,h,w,c] = x[n,h,w,c] * s[n,c]: the excitation of squeeze and excitation. Gradients to both (src/ops/channels.c).
 */
ho_status ho_scale_channels(ho_context *context, ho_tensor *x, ho_tensor *s, ho_tensor **y);

/* y = a_gain * a + b_gain * b, equal shapes; b may be NULL. */
ho_status ho_add(ho_context *context, ho_tensor *a, double a_gain, ho_tensor *b, double b_gain, ho_tensor **y);
/* y (..., Ca + Cb): channels of a, then of b. */
ho_status ho_concat(ho_context *context, ho_tensor *a, ho_tensor *b, ho_tensor **y);
/* y (..., sum of C): the channels of n tensors one after the other, 1 <= n <= HO_MOST_CONCAT. */
enum { HO_MOST_CONCAT = 8 };
ho_status ho_concat_all(ho_context *context, int n, ho_tensor *const *x, ho_tensor **y);
/* The same data under another shape of equal count. */
ho_status ho_reshape(ho_context *context, ho_tensor *x, int rank, const int64_t *dim, ho_tensor **y);
/* Rows first .. first + H - 1 of images (N, H', W, C). */
ho_status ho_crop_rows(ho_context *context, ho_tensor *x, int64_t first, int64_t H, ho_tensor **y);
/* (N, H, W, C) -> (N, C, H, W): for dense layers whose weights count features in PyTorch's order. */
ho_status ho_nhwc_to_nchw(ho_context *context, ho_tensor *x, ho_tensor **y);

/* ---- StyleGAN2 (src/ops/modconv.c, fir.c, style.c) --------------------------------------------------------------- */

/* z / sqrt(mean_i z_i^2 + 1e-8) per row of (N, D) (stylegan2-ada-pytorch, training/networks.py:
 * normalize_2nd_moment). */
ho_status ho_normalize_z(ho_context *context, ho_tensor *z, ho_tensor **y);

/* Modulated convolution with shared weights (Karras et al. 2020, "Analyzing and improving the image quality of
 * StyleGAN", equations 1 and 3, with the scaling moved to input and output as in stylegan2-ada-pytorch,
 * training/networks.py: modulated_conv2d): x (N,H,W,I), style s (N,I), w (O,k,k,I).
 *   y[n,o] = gain * act( d[n,o] * conv(x[n] * s[n], w)[o] + strength * noise[h,w] + b[o] ),
 *   d[n,o] = rsqrt( sum_{i,k,k} (s[n,i] w[o,k,k,i])^2 + 1e-8 ), or w_gain when not demodulated.
 * up: the convolution is transposed with stride 2, followed by the FIR [1,3,3,1] (x) [1,3,3,1] / 16: output
 * (N,2H,2W,O). */
typedef struct {
    ho_tensor *style;    /* (N, I)                                                              */
    ho_tensor *weight;   /* (O, k, k, I), k = 1 or 3, padding k/2                               */
    ho_tensor *bias;     /* (O) or NULL                                                         */
    ho_tensor *noise;    /* (H', W') or (N, H', W') of the output, or NULL; gets no gradient    */
    ho_tensor *strength; /* (1); required with noise                                            */
    bool up, demodulate;
    double w_gain; /* with demodulate == false: constant factor in place of d */
    ho_act act;    /* x_gain and b_gain must be 1 */
} ho_modconv_args;
/* The formula above; gradients to x, style, weight, bias and strength. */
ho_status ho_modconv(ho_context *context, ho_tensor *x, const ho_modconv_args *args, ho_tensor **y);

/* upfirdn2d (stylegan2-ada-pytorch, torch_utils/ops/upfirdn2d.py) with the separable taps [1,3,3,1]/8 per axis: insert
 * up-1 zeros after each pixel, pad (before, after) on both axes, filter, keep every down-th pixel, times gain. Output
 * size (H*up + before + after - 4) / down + 1. */
typedef struct {
    int64_t up, down, before, after;
    double gain;
} ho_fir_options;
#define HO_FIR_UP2   ((ho_fir_options){2, 1, 2, 1, 4.0}) /* RGB skip of the generator */
#define HO_FIR_DOWN2 ((ho_fir_options){1, 2, 1, 1, 1.0}) /* skip of the discriminator, before its 1x1 convolution */
/* x (N,H,W,C), each channel by itself; gradients to x. */
ho_status ho_fir(ho_context *context, ho_tensor *x, const ho_fir_options *options, ho_tensor **y);

/* w_plus (N, L, D): all rows equal w (N, D). */
ho_status ho_w_to_w_plus(ho_context *context, ho_tensor *w, int64_t L, ho_tensor **w_plus);
/* Row l of w_plus (N, L, D) as (N, D). */
ho_status ho_w_plus_row(ho_context *context, ho_tensor *w_plus, int64_t l, ho_tensor **w);
/* a and b (N, L, D): rows below cut[n] of sample n from a, the others from b. cut: N numbers on the host. */
ho_status ho_mix_rows(ho_context *context, ho_tensor *a, ho_tensor *b, const int64_t *cut, ho_tensor **y);
/* y[n, :] = x for n in 0..N-1, x any shape: the learned constant for a batch. y has shape (N, dims of x). */
ho_status ho_broadcast_batch(ho_context *context, ho_tensor *x, int64_t N, ho_tensor **y);

/* Minibatch standard deviation (Karras et al. 2018, "Progressive growing of GANs", section 3; grouped as in
 * stylegan2-ada-pytorch, training/networks.py: MinibatchStdLayer).
 * x (N,H,W,C) -> y (N,H,W,C+1). Group members are n, n + N/G, ...; N must be a multiple of the group size
 * G = min(group, N). */
ho_status ho_minibatch_std(ho_context *context, ho_tensor *x, int64_t group, ho_tensor **y);
/* Its tangent: y_dot (N,H,W,C+1) from (x, x_dot), gradients to both. */
ho_status ho_minibatch_std_tangent(ho_context *context, ho_tensor *x, ho_tensor *x_dot, int64_t group,
                                   ho_tensor **y_dot);

/* ---- resampling and pooling (src/ops/resample.c, pool.c) --------------------------------------------------------- */

/* Bilinear, pixel centres at .5 (torch.nn.functional.interpolate with align_corners=False), any size to any size (no
 * antialiasing). */
ho_status ho_resize_bilinear(ho_context *context, ho_tensor *x, int64_t H, int64_t W, ho_tensor **y);
/* The same with the centres of the outermost pixels on each other (align_corners=True); both at least 2 x 2. */
ho_status ho_resize_corners(ho_context *context, ho_tensor *x, int64_t H, int64_t W, ho_tensor **y);
/* k x k means, stride k; H and W must be multiples of k. */
ho_status ho_avg_pool(ho_context *context, ho_tensor *x, int64_t k, ho_tensor **y);
typedef struct {
    int64_t kernel, stride, pad;
    bool ceil; /* output size rounded up (SqueezeNet) */
} ho_pool_options;
/* x (N,H,W,C): the largest of each window per channel, pixels outside of the image left out. */
ho_status ho_max_pool(ho_context *context, ho_tensor *x, const ho_pool_options *options, ho_tensor **y);
/* (N,H,W,C) -> (N,C). */
ho_status ho_global_mean(ho_context *context, ho_tensor *x, ho_tensor **y);

/* ---- normalisation (src/ops/norm.c) ------------------------------------------------------------------------------ */

/* Batch norm (Ioffe & Szegedy 2015, algorithm 1) over all but the last dim, eps 1e-5, momentum 0.1 (PyTorch's):
 * training uses batch statistics and updates running_mean and running_var (unbiased variance); otherwise the running
 * ones are used. All (C). */
typedef struct {
    ho_tensor *weight, *bias, *running_mean, *running_var;
} ho_batch_norm_params;
/* x (..., C); gradients to x, weight and bias. */
ho_status ho_batch_norm(ho_context *context, ho_tensor *x, const ho_batch_norm_params *params, bool training,
                        ho_tensor **y);
/* Multiplies by 0 with probability p and by 1/(1-p) otherwise; the mask is a function of (seed, stream, index). */
ho_status ho_dropout(ho_context *context, ho_tensor *x, double p, uint64_t seed, uint64_t stream, uint64_t first,
                     ho_tensor **y);

/* ---- losses: one-element results (src/ops/loss.c) ---------------------------------------------------------------- */

ho_status ho_sum(ho_context *context, ho_tensor *x, double gain, ho_tensor **loss); /* gain * sum of all elements */
/* gain * sum of a * b, equal shapes; gradients to both. */
ho_status ho_dot(ho_context *context, ho_tensor *a, ho_tensor *b, double gain, ho_tensor **loss);
/* mean over elements of softplus(sign * x). */
ho_status ho_softplus_mean(ho_context *context, ho_tensor *x, double sign, ho_tensor **loss);
/* mean over elements of (a - b)^2; gradients to both. */
ho_status ho_mse(ho_context *context, ho_tensor *a, ho_tensor *b, ho_tensor **loss);
/* The same per sample: (N, ...) -> (N). */
ho_status ho_mse_per_sample(ho_context *context, ho_tensor *a, ho_tensor *b, ho_tensor **loss);
/* Mean over counted pixels of -log softmax(logits)[label]; logits (..., K); labels: host array of ho_tensor_count / K
 * class numbers, 255 = ignored. */
ho_status ho_cross_entropy(ho_context *context, ho_tensor *logits, const uint8_t *labels, ho_tensor **loss);

/* ---- LPIPS (src/ops/lpips_tap.c) --------------------------------------------------------------------------------- */

/* One tap of LPIPS (Zhang et al. 2018, equation 1; richzhang/PerceptualSimilarity, lpips/lpips.py): d[n] = mean over
 * pixels of sum_c w[c] (u(f0)_c - u(f1)_c)^2, with u(f) = f / (||f|| + 1e-10) over channels. f0, f1 (N,H,W,C); w (C) or
 * NULL for unit weights. Result (N). Gradients to f0 and f1; a pixel of zero norm gives zero gradient. */
ho_status ho_lpips_tap(ho_context *context, ho_tensor *f0, ho_tensor *f1, ho_tensor *w, ho_tensor **d);

#ifdef __cplusplus
}
#endif
#endif
