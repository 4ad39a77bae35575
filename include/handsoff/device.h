/* The device seam: what a target (cpu, cuda) provides to the layers above. Everything else is written once.
 *
 * Memory from ho_device_alloc belongs to the device: host code must not dereference it (on cpu it could; on cuda it
 * would crash), it moves data with ho_device_upload and ho_device_download. All work is ordered on one stream per
 * device. Letters: N batch, H W input pixels, C input channels, O output channels, P Q output pixels. Images are NHWC.
 */
#ifndef HANDSOFF_DEVICE_H
#define HANDSOFF_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handsoff/status.h"
#include "handsoff/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ho_device ho_device;

/* What this target can compute on here, a line each with its end ("cuda 0: NVIDIA H100 80GB HBM3, 79 GB, compute
 * capability 9.0"), into text of `size` bytes. HO_EDEVICE with the reason when there is nothing. */
ho_status ho_device_list(char *text, size_t size);
/* Opens the target's device. n_threads: host threads of the cpu target, 0 = all cores. index: which GPU. */
ho_status ho_device_open(int n_threads, int index, ho_device **device);
/* Memory from ho_device_alloc must be freed before. NULL is allowed. */
void ho_device_close(ho_device *device);

/* "cpu (2 threads, AVX-512)" or "cuda 0 (NVIDIA H100 ...)"; owned by the device. */
const char *ho_device_name(const ho_device *device);
/* The stream on which kernels are launched: HO_LAUNCH's argument. */
ho_stream ho_device_stream(const ho_device *device);

ho_status ho_device_alloc(ho_device *device, size_t bytes, void **memory); /* aligned to 256 bytes */
void ho_device_free(ho_device *device, void *memory);                      /* NULL is allowed */
/* Copies `bytes` from host memory to the device's, and back; both return when it is done, so that the host memory can
 * be used at once. */
ho_status ho_device_upload(ho_device *device, void *to, const void *host, size_t bytes);
ho_status ho_device_download(ho_device *device, void *host, const void *from, size_t bytes);
/* Copies within the device (the ranges must not overlap), fills with zero bytes: in order with the kernels, without
 * waiting. */
ho_status ho_device_copy(ho_device *device, void *to, const void *from, size_t bytes);
ho_status ho_device_zero(ho_device *device, void *memory, size_t bytes);
/* Waits for all work; HO_EDEVICE when some of it failed. */
ho_status ho_device_sync(ho_device *device);
/* Bytes now allocated, and the most there ever were. */
size_t ho_device_bytes(const ho_device *device);
size_t ho_device_peak_bytes(const ho_device *device);
/* A part of an allocation is about to be used: for a device that counts (dry.h); does nothing on others. */
void ho_device_touch(ho_device *device, const void *memory, size_t bytes);

/* The bytes at `memory` (the weights of a frozen network) will be read many times before they change: the target may
 * keep the layouts that its convolutions need beside them, until they change, are freed, or `on` is false. They may
 * change through ho_device_upload, _copy, _zero, which see it, or through kernels, after which ho_device_changed must
 * be called. Costs memory: up to twice the weights. */
ho_status ho_device_hold(ho_device *device, const void *memory, size_t bytes, bool on);
void ho_device_changed(ho_device *device, const void *memory, size_t bytes);

/* Operands of convolutions and matrix products on cuda: float, or rounded to TF32 (10 bits of mantissa), or to bf16 (7
 * bits) where the fused convolution takes them and to TF32 elsewhere. Sums are float always. `fuse`: modulated
 * convolutions in one kernel where the shape allows, never with HO_PRECISION_FP32. Before the first operation; the
 * default is HO_PRECISION_TF32, true. Without effect on cpu. */
typedef enum { HO_PRECISION_FP32, HO_PRECISION_TF32, HO_PRECISION_BF16 } ho_precision;
ho_status ho_device_set_precision(ho_device *device, ho_precision precision, bool fuse);

/* C = alpha op(A) op(B) + beta C, row-major; op(A) is (m, k), op(B) is (k, n), C is (m, n); lda, ldb, ldc are the row
 * strides of the matrices as stored. With beta == 0, C is not read. */
ho_status ho_gemm(ho_device *device, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, ho_real alpha,
                  const ho_real *a, int64_t lda, const ho_real *b, int64_t ldb, ho_real beta, ho_real *c, int64_t ldc);

/* `count` products of the same shape; matrix i of A starts at a + i * stride_a, and so on. */
ho_status ho_gemm_batched(ho_device *device, bool trans_a, bool trans_b, int64_t m, int64_t n, int64_t k, ho_real alpha,
                          const ho_real *a, int64_t lda, int64_t stride_a, const ho_real *b, int64_t ldb,
                          int64_t stride_b, ho_real beta, ho_real *c, int64_t ldc, int64_t stride_c, int64_t count);

/* How many strands of work the target can compute at the same time: threads on cpu, 1 on cuda. */
int ho_device_lanes(const ho_device *device);
/* work(state, i, lane) for i = 0 .. count - 1, in any order, on all lanes at once. Within, kernels and matrix products
 * may be called, with scratch of the lane's own; each runs on its lane alone. No result may depend on the lane. After a
 * failure what has not begun is left out, and the first text is kept. */
ho_status ho_device_each(ho_device *device, int64_t count, ho_status (*work)(void *state, int64_t i, int lane),
                         void *state);

/* A 2-D correlation: y[n,p,q,o] = sum_{i,j,c} x[n, p*stride + i*dilation - pad, q*stride + j*dilation - pad, c]
 * w[o,i,j,c], zero outside the image. Output size: P = (H + 2 pad - dilation (kernel - 1) - 1) / stride + 1, and Q
 * likewise. */
typedef struct {
    int64_t N, H, W, C, O;
    int64_t kernel, stride, pad, dilation; /* the same in both directions */
    int64_t swapped;                       /* 1: w lies as (C,k,k,O); where ho_conv_takes_swapped */
} ho_conv_shape;

/* P for size H, Q for size W, by the formula above. */
int64_t ho_conv_out(const ho_conv_shape *s, int64_t size);
/* True where the target convolves with swapped weights: those of a transposed convolution as its forward has them. */
bool ho_conv_takes_swapped(const ho_device *device);

/* x (N,H,W,C), w (O,k,k,C), y (N,P,Q,O). Each call overwrites its result. The algorithm follows from the shape alone,
 * so that two runs agree bit for bit. */
ho_status ho_conv_forward(ho_device *device, const ho_conv_shape *s, const ho_real *x, const ho_real *w, ho_real *y);
/* g_x (N,H,W,C) from g_y (N,P,Q,O): the gradient of the input, and the transposed convolution. */
ho_status ho_conv_backward_data(ho_device *device, const ho_conv_shape *s, const ho_real *g_y, const ho_real *w,
                                ho_real *g_x);
/* g_w (O,k,k,C): the gradient of the weights, summed over the batch. */
ho_status ho_conv_backward_weights(ho_device *device, const ho_conv_shape *s, const ho_real *x, const ho_real *g_y,
                                   ho_real *g_w);

/* A 3x3 convolution with stride 1 and padding 1 together with what StyleGAN2 puts around it, in one pass over input and
 * output where the target can (ho_conv_fuses). x (N,H,W,C), w (O,3,3,C), y (N,H,W,O). up: instead the transposed
 * convolution with stride 2 to t (N,2H+1,2W+1,O), t[2h+k,2w+l] += x[h,w] w[k,l], and the filter [1,3,3,1]/4 per axis
 * with padding 1; y (N,2H,2W,O). */
typedef struct {
    int64_t N, H, W, C, O;
    int64_t up; /* 0 or 1 */
} ho_fused_shape;

/* y = gain act(d[n,o] conv + strength noise[h,w] + b[o]), act(v) = v > 0 ? v : slope v. */
typedef struct {
    const ho_real *d;        /* (N, O) or NULL = 1                                            */
    const ho_real *b;        /* (O) or NULL                                                   */
    const ho_real *noise;    /* (H, W), (N, H, W), or NULL; H W of y                          */
    const ho_real *strength; /* (1), with noise                                               */
    int64_t noise_stride;    /* elements from sample to sample: 0 when the plane is shared    */
    ho_real gain, slope;
} ho_conv_epilogue;

/* True where the target computes the shape in one pass: a function of the shape alone. Elsewhere the caller combines
 * ho_conv_forward and its relatives with kernels, and the three functions below fail. */
bool ho_conv_fuses(const ho_device *device, const ho_fused_shape *s);
/* x_scale (N, C) multiplies x; NULL = 1. epilogue NULL = none. */
ho_status ho_fused_forward(ho_device *device, const ho_fused_shape *s, const ho_real *x, const ho_real *x_scale,
                           const ho_real *w, const ho_conv_epilogue *epilogue, ho_real *y);
/* The gradients of the convolution alone, from g_y (N,H,W,O), when up from the gradient of t. Of the scaled x, g_xs
 * (N,H,W,C), overwritten. */
ho_status ho_fused_backward_data(ho_device *device, const ho_fused_shape *s, const ho_real *g_y, const ho_real *w,
                                 ho_real *g_x);
/* Of x and x_scale in the same pass, where ho_fused_gives_scale_gradient: g_x (+)= g_xs x_scale and
 * g_scale[n,c] (+)= sum over pixels of g_xs x. Either may be NULL. */
typedef struct {
    const ho_real *x, *x_scale, *w, *g_y;
    ho_real *g_x, *g_scale;
    bool accumulate_x, accumulate_scale;
} ho_fused_gradients;
bool ho_fused_gives_scale_gradient(const ho_device *device);
ho_status ho_fused_backward_input(ho_device *device, const ho_fused_shape *s, const ho_fused_gradients *g);
/* Of w: (O,3,3,C), summed over the batch, overwritten; x_scale as in ho_fused_forward. */
ho_status ho_fused_backward_weights(ho_device *device, const ho_fused_shape *s, const ho_real *x,
                                    const ho_real *x_scale, const ho_real *g_y, ho_real *g_w);

/* A step as one launch (CUDA graphs). Between begin and end the device takes note of the work that it is given; end
 * starts all of it. *graph, NULL at first and the caller's, keeps what serves again: the first step only runs as it
 * comes, so that arenas and workspaces find their size; a later one with the same operations updates the graph of the
 * one before, whatever its numbers and addresses are, one with other operations makes a new graph. Uploads may stand
 * between begin and end (the host's data is taken at the call); downloads and ho_device_sync may not. `status` is what
 * the step came to: a failed one is dropped, and its status returned. On cpu the work is done at once. */
ho_status ho_device_record_begin(ho_device *device, void **graph);
ho_status ho_device_record_end(ho_device *device, void **graph, ho_status status);
void ho_device_graph_free(ho_device *device, void *graph); /* NULL is allowed */
/* Off: steps between begin and end run as they come. On is the default. */
void ho_device_use_graphs(ho_device *device, bool on);

#ifdef __cplusplus
}
#endif
#endif
