/* Winograd's convolution F(4x4, 3x3) (Lavin & Gray 2016): a tile of 4x4 outputs needs 36 products where the direct sum
 * needs 144. With x tiles d (6x6), filters g (3x3), output tiles y (4x4):
 *
 *   y = A^T [ (G g G^T) . (B^T d B) ] A,
 *   B^T = | 4  0 -5  0 1 0 |   G = | 1/4    0    0  |   A^T = | 1 1  1 1  1 0 |
 *         | 0 -4 -4  1 1 0 |       |-1/6 -1/6 -1/6  |         | 0 1 -1 2 -2 0 |
 *         | 0  4 -4 -1 1 0 |       |-1/6  1/6 -1/6  |         | 0 1  1 4  4 0 |
 *         | 0 -2 -1  2 1 0 |       | 1/24 1/12 1/6  |         | 0 1 -1 8 -8 1 |
 *         | 0  2 -1 -2 1 0 |       | 1/24 -1/12 1/6 |
 *         | 0  4  0 -5 0 1 |       |  0    0    1   |
 *
 * The products over channels are 36 matrix products, one per position of the 6x6 tile. Transforms work on 16 channels
 * at a time and read and write NHWC directly: no other layout of the activations ever exists. Rounding errors grow to a
 * few 1e-6 of the largest value (tests/unit/test_device.c holds them to 1e-5). */
#ifndef HANDSOFF_WINOGRAD_H
#define HANDSOFF_WINOGRAD_H

#include "device_cpu.h"

/* 3x3, stride 1, padding equal to the dilation: the output has the size of the input. */
typedef struct {
    int64_t N, H, W, C, O, dilation;
} winograd_shape;

/* True when a shape goes this way: channels in sixteens, enough tiles to pay for the transformed weights, and most of
 * their pixels inside the images. A function of the shape alone. */
bool ho_winograd_fits(const winograd_shape *s);
/* The same for the gradient of the weights. */
bool ho_winograd_fits_weights(const winograd_shape *s);

/* Arguments as in ho_fused_forward and its gradients. The epilogue may have noise only at dilation 1. */
ho_status ho_winograd_forward(ho_device *device, const winograd_shape *s, const float *x, const float *x_scale,
                              const float *w, const ho_conv_epilogue *epilogue, float *y);
ho_status ho_winograd_backward_data(ho_device *device, const winograd_shape *s, const float *g_y, const float *w,
                                    float *g_x);
ho_status ho_winograd_backward_weights(ho_device *device, const winograd_shape *s, const float *x, const float *x_scale,
                                       const float *g_y, float *g_w);

#endif
