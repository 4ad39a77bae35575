/* Benchmarks: one item is a piece of work that can be repeated. */
#ifndef HANDSOFF_BENCH_H
#define HANDSOFF_BENCH_H

#include <stdint.h>

#include "handsoff/device.h"
#include "handsoff/status.h"
#include "handsoff/stylegan2.h"
#include "handsoff/tensor.h"

/* One prepared item. run() does the work once, and need not wait for the device. */
typedef struct bench_work bench_work;
struct bench_work {
    ho_device *device;
    ho_context *context; /* reset by run() */
    ho_context *lasting; /* inputs         */
    void *state;
    ho_status (*run)(bench_work *work);
    bool recordable; /* run() may be recorded as one launch (ho_device_record_begin); where not, it does so itself */
    void *graph;
    double seconds;      /* stays negative where the time that run() takes counts; an item that extrapolates sets it */
    double flop, images; /* of one run; images 0: not a matter of images */
    size_t given_bytes;  /* device memory before the first run, where what run() adds is of interest; else 0 */
    char shape[160];
};

/* An item is made by its maker from three numbers, whose meaning is the maker's. The process ends after it: nothing is
 * freed. */
typedef struct {
    const char *name;
    ho_status (*make)(bench_work *work, int64_t a, int64_t b, int64_t c);
    int64_t a, b, c;
    bool by_name; /* measured only where its name is given: too small, or too large for a cpu */
} bench_item;

/* Makers. */
ho_status bench_make_synthesis(bench_work *work, int64_t size, int64_t channel_max, int64_t N);
ho_status bench_make_inversion(bench_work *work, int64_t size, int64_t loss_size, int64_t channel_max);
ho_status bench_make_lpips(bench_work *work, int64_t size, int64_t N, int64_t backward);
ho_status bench_make_head_inference(bench_work *work, int64_t width, int64_t channels, int64_t height);
ho_status bench_make_head_training(bench_work *work, int64_t batch, int64_t channels, int64_t unused_c);
ho_status bench_make_deeplab(bench_work *work, int64_t size, int64_t N, int64_t training);
ho_status bench_make_gan(bench_work *work, int64_t size, int64_t channel_max, int64_t N);
ho_status bench_make_gemm(bench_work *work, int64_t size, int64_t unused_b, int64_t unused_c);
/* The three directions of a 3x3 convolution. */
ho_status bench_make_conv_forward(bench_work *work, int64_t size, int64_t channels, int64_t N);
ho_status bench_make_conv_data(bench_work *work, int64_t size, int64_t channels, int64_t N);
ho_status bench_make_conv_weights(bench_work *work, int64_t size, int64_t channels, int64_t N);

/* Tools (bench_tools.c). */
double bench_now(void); /* seconds */
double bench_cpu(void); /* seconds of all threads */
ho_status bench_normal(bench_work *work, int rank, const int64_t *dim, uint64_t stream, ho_tensor **tensor);
/* Config-f with another size and width: channel_base 32768, 8 mapping layers, 512 latents; up to 16 pixels, for
 * rehearsals, small in everything. */
ho_stylegan2_shape bench_stylegan2(int64_t size, int64_t channel_max);
/* A VGG16 with random weights for LPIPS, through a temporary file; its layers are the published ones, a sixteenth as
 * wide for rehearsals (`size` up to 16 pixels). */
struct ho_perceptual;
ho_status bench_vgg16(bench_work *work, int64_t size, struct ho_perceptual **net);

/* FLOPs by formula: convolutions (direct), products and FIR filters (16 taps); a multiply-add is 2. One sample. */
double bench_flop_synthesis(const ho_stylegan2_shape *shape);
double bench_flop_discriminator(const ho_stylegan2_shape *shape);
double bench_flop_vgg16(int64_t height, int64_t width);

#endif
