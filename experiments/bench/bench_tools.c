/* What the items share: time, random inputs, a full-width VGG16, FLOP counts. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "handsoff/perceptual.h"
#include "handsoff/random.h"
#include "handsoff/store.h"

double bench_now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_cpu(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

ho_status bench_normal(bench_work *work, int rank, const int64_t *dim, uint64_t stream, ho_tensor **tensor) {
    HO_TRY(ho_tensor_new(work->lasting, rank, dim, tensor));
    return ho_fill_normal(work->lasting, *tensor, 1, stream, 0, 0.0, 1.0);
}

ho_stylegan2_shape bench_stylegan2(int64_t size, int64_t channel_max) {
    if (size <= 16) {
        return (ho_stylegan2_shape){size, size, 16, 16, 128, channel_max, 2};
    }
    return (ho_stylegan2_shape){size, size, 512, 512, 32768, channel_max, 8};
}

/* ---- VGG16 ------------------------------------------------------------------------------------------------------- */

/* torchvision's indices of the convolutions, their widths, and after how many poolings they stand. */
static const struct {
    int index, width, pools;
} VGG16[] = {{0, 64, 0},   {2, 64, 0},   {5, 128, 1},  {7, 128, 1},  {10, 256, 2}, {12, 256, 2}, {14, 256, 2},
             {17, 512, 3}, {19, 512, 3}, {21, 512, 3}, {24, 512, 4}, {26, 512, 4}, {28, 512, 4}};
enum { VGG16_LAYERS = sizeof VGG16 / sizeof VGG16[0] };

static ho_status write_conv(ho_store *store, int index, int64_t O, int64_t I) {
    char name[40];
    float *values = malloc(sizeof(float) * (size_t)(O * I * 9));
    if (values == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the weights of features.%d", index);
    }
    const double std = sqrt(2.0 / (9.0 * (double)I));
    for (int64_t i = 0; i < O * I * 9; ++i) {
        values[i] = (float)(std * ho_normal(2, (uint64_t)index, (uint64_t)i));
    }
    (void)snprintf(name, sizeof name, "features.%d.weight", index);
    ho_status status = ho_store_write(store, name, HO_F32, 4, (const int64_t[]){O, I, 3, 3}, values);
    for (int64_t i = 0; i < O; ++i) {
        values[i] = 0.0F;
    }
    (void)snprintf(name, sizeof name, "features.%d.bias", index);
    status = status == HO_OK ? ho_store_write(store, name, HO_F32, 1, &O, values) : status;
    free(values);
    return status;
}

static ho_status write_vgg16(ho_store *store, int64_t narrower) {
    static const int64_t THREE[1] = {3};
    static const float SHIFT[3] = {-0.030F, -0.088F, -0.188F}, SCALE[3] = {0.458F, 0.448F, 0.450F};
    int64_t I = 3;
    HO_TRY(ho_store_set_text(store, "topology", "vgg16"));
    HO_TRY(ho_store_set_number(store, "bgr", 0.0));
    HO_TRY(ho_store_set_number(store, "pool_ceil", 0.0));
    HO_TRY(ho_store_write(store, "shift", HO_F32, 1, THREE, SHIFT));
    HO_TRY(ho_store_write(store, "scale", HO_F32, 1, THREE, SCALE));
    for (int l = 0; l < VGG16_LAYERS; ++l) {
        HO_TRY(write_conv(store, VGG16[l].index, VGG16[l].width / narrower, I));
        I = VGG16[l].width / narrower;
    }
    return ho_store_commit(store);
}

ho_status bench_vgg16(bench_work *work, int64_t size, struct ho_perceptual **net) {
    char path[64];
    ho_store *store = NULL;
    (void)snprintf(path, sizeof path, "/tmp/handsoff-bench-vgg16-%ld.h5", (long)getpid());
    HO_TRY(ho_store_create(path, &store));
    ho_status status = write_vgg16(store, size <= 16 ? 16 : 1);
    ho_store_close(store);
    status = status == HO_OK ? ho_perceptual_load(work->device, path, net) : status;
    (void)remove(path);
    return status;
}

/* ---- FLOPs ------------------------------------------------------------------------------------------------------- */

static double conv_flop(double I, double O, double pixels, double taps) {
    return 2.0 * taps * I * O * pixels;
}
static double square(int64_t r) {
    return (double)r * (double)r;
}

double bench_flop_vgg16(int64_t height, int64_t width) {
    double flop = 0.0, I = 3.0;
    for (int l = 0; l < VGG16_LAYERS; ++l) {
        const double pixels = (double)(height >> VGG16[l].pools) * (double)(width >> VGG16[l].pools);
        flop += conv_flop(I, VGG16[l].width, pixels, 9.0);
        I = VGG16[l].width;
    }
    return flop;
}

double bench_flop_synthesis(const ho_stylegan2_shape *s) {
    const double D = (double)s->w_dim, top = (double)ho_stylegan2_channels(s, 4);
    double flop = conv_flop(top, top, 16.0, 9.0) + conv_flop(top, 3.0, 16.0, 1.0) + 2.0 * (2.0 * D * top);
    for (int64_t r = 8; r <= s->height; r *= 2) {
        const double I = (double)ho_stylegan2_channels(s, r / 2), O = (double)ho_stylegan2_channels(s, r);
        flop += conv_flop(I, O, square(r / 2), 9.0) + 32.0 * O * square(r); /* up-convolution and its filter */
        flop += conv_flop(O, O, square(r), 9.0) + conv_flop(O, 3.0, square(r), 1.0) + 96.0 * square(r);
        flop += 2.0 * D * (I + 2.0 * O); /* styles */
    }
    return flop;
}

double bench_flop_discriminator(const ho_stylegan2_shape *s) {
    const double last = (double)ho_stylegan2_channels(s, 4);
    double flop = conv_flop(3.0, (double)ho_stylegan2_channels(s, s->height), square(s->height), 1.0);
    for (int64_t r = s->height; r > 4; r /= 2) {
        const double C = (double)ho_stylegan2_channels(s, r), O = (double)ho_stylegan2_channels(s, r / 2);
        flop +=
            conv_flop(C, C, square(r), 9.0) + conv_flop(C, O, square(r / 2), 9.0) + conv_flop(C, O, square(r / 2), 1.0);
        flop += 32.0 * C * (square(r + 1) + square(r / 2)); /* filters before the strided convolutions */
    }
    return flop + conv_flop(last + 1.0, last, 16.0, 9.0) + 2.0 * last * (16.0 * last + 1.0);
}
