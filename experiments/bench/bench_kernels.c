/* Ceilings: matrix product and 3x3 convolutions through the device seam. */
#include <stdio.h>

#include "bench.h"

typedef struct {
    int64_t size;
    ho_conv_shape shape;
    ho_tensor *a, *b, *c; /* product: c = a b; convolution: x, w, y */
} kernel;

static ho_status run_gemm(bench_work *work) {
    const kernel *s = work->state;
    const int64_t n = s->size;
    return ho_gemm(work->device, false, false, n, n, n, HO_R(1.0), s->a->data, n, s->b->data, n, HO_R(0.0), s->c->data,
                   n);
}

ho_status bench_make_gemm(bench_work *work, int64_t size, int64_t unused_b, int64_t unused_c) {
    (void)unused_b, (void)unused_c;
    static kernel s;
    s.size = size;
    HO_TRY(bench_normal(work, HO_SHAPE(size, size), 1, &s.a));
    HO_TRY(bench_normal(work, HO_SHAPE(size, size), 2, &s.b));
    HO_TRY(bench_normal(work, HO_SHAPE(size, size), 3, &s.c));
    work->state = &s;
    work->run = run_gemm;
    work->flop = 2.0 * (double)size * (double)size * (double)size;
    (void)snprintf(work->shape, sizeof work->shape, "%lldx%lldx%lld", (long long)size, (long long)size,
                   (long long)size);
    return HO_OK;
}

static ho_status run_forward(bench_work *work) {
    const kernel *s = work->state;
    return ho_conv_forward(work->device, &s->shape, s->a->data, s->b->data, s->c->data);
}
static ho_status run_data(bench_work *work) {
    const kernel *s = work->state;
    return ho_conv_backward_data(work->device, &s->shape, s->c->data, s->b->data, s->a->data);
}
static ho_status run_weights(bench_work *work) {
    const kernel *s = work->state;
    return ho_conv_backward_weights(work->device, &s->shape, s->a->data, s->c->data, s->b->data);
}

static ho_status make_conv(bench_work *work, int64_t size, int64_t channels, int64_t N, const char *what) {
    static kernel s;
    s.shape = (ho_conv_shape){N, size, size, channels, channels, 3, 1, 1, 1, 0};
    HO_TRY(bench_normal(work, HO_SHAPE(N, size, size, channels), 1, &s.a));
    HO_TRY(bench_normal(work, HO_SHAPE(channels, 3, 3, channels), 2, &s.b));
    HO_TRY(bench_normal(work, HO_SHAPE(N, size, size, channels), 3, &s.c));
    work->state = &s;
    work->flop = 18.0 * (double)(N * size * size) * (double)(channels * channels);
    (void)snprintf(work->shape, sizeof work->shape, "N%lld %lldx%lld %lld->%lld 3x3, %s", (long long)N, (long long)size,
                   (long long)size, (long long)channels, (long long)channels, what);
    return HO_OK;
}

ho_status bench_make_conv_forward(bench_work *work, int64_t size, int64_t channels, int64_t N) {
    work->run = run_forward;
    return make_conv(work, size, channels, N, "forward");
}
ho_status bench_make_conv_data(bench_work *work, int64_t size, int64_t channels, int64_t N) {
    work->run = run_data;
    return make_conv(work, size, channels, N, "backward data");
}
ho_status bench_make_conv_weights(bench_work *work, int64_t size, int64_t channels, int64_t N) {
    work->run = run_weights;
    return make_conv(work, size, channels, N, "backward weights");
}
