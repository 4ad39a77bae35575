/* Buffers and time. */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "fill.h"
#include "kernel_bench.h"

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void bench_open(kernel_bench *b, ho_device *device, const bench_size *size) {
    *b = (kernel_bench){.device = device,
                        .stream = ho_device_stream(device),
                        .size = size,
                        .N = size->N,
                        .side = size->side,
                        .C = size->C,
                        .pixels = size->side * size->side,
                        .n = size->N * size->side * size->side * size->C};
}

void bench_free_buffers(kernel_bench *b) {
    while (b->n_buffers > 0) {
        ho_device_free(b->device, b->buffer[--b->n_buffers]);
    }
}

static void *buffer_of(kernel_bench *b, size_t bytes) {
    void *memory = NULL;
    if (b->status == HO_OK && b->n_buffers == BENCH_BUFFERS) {
        b->status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "an item has more than %d buffers", (int)BENCH_BUFFERS);
    }
    if (b->status == HO_OK) {
        b->status = ho_device_alloc(b->device, bytes, &memory);
    }
    if (memory != NULL) {
        b->buffer[b->n_buffers++] = memory;
    }
    return memory;
}

static ho_status upload_pattern(kernel_bench *b, ho_real *x, int64_t count) {
    ho_real *host = malloc((size_t)count * sizeof *host);
    if (host == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %lld numbers", (long long)count);
    }
    for (int64_t i = 0; i < count; ++i) {
        host[i] = (ho_real)((uint64_t)i * 2654435761U % 1999) / HO_R(1000.0) - HO_R(1.0);
    }
    const ho_status status = ho_device_upload(b->device, x, host, (size_t)count * sizeof *host);
    free(host);
    return status;
}

ho_real *bench_reals(kernel_bench *b, int64_t count) {
    ho_real *x = buffer_of(b, (size_t)count * sizeof *x);
    if (x != NULL && b->size->seconds > 0.0) {
        b->status = ho_k_fill_normal(x, count, 1, ++b->draws, 0, 0.0, 1.0, b->stream);
    } else if (x != NULL) { /* a simulator would take longer for normal numbers than for the item */
        b->status = upload_pattern(b, x, count);
    }
    return x;
}

void *bench_copy(kernel_bench *b, const void *host, size_t bytes) {
    void *memory = buffer_of(b, bytes);
    if (memory != NULL) {
        b->status = ho_device_upload(b->device, memory, host, bytes);
    }
    return memory;
}

uint8_t *bench_bytes(kernel_bench *b, int64_t count, unsigned most) {
    uint8_t *host = malloc((size_t)count), *memory = NULL;
    for (int64_t i = 0; host != NULL && i < count; ++i) {
        host[i] = (uint8_t)((uint64_t)i * 2654435761U % most);
    }
    if (host != NULL) {
        memory = bench_copy(b, host, (size_t)count);
    } else if (b->status == HO_OK) {
        b->status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for %lld bytes", (long long)count);
    }
    free(host);
    return memory;
}

void bench_begin(kernel_bench *b, double bytes, double flop) {
    b->bytes = bytes;
    b->flop = flop;
    b->sample = -1;
    b->left = b->launches = 1;
    b->begin = -1.0;
}

/* Where time does not count, one will do. */
static int samples_of(const kernel_bench *b) {
    return b->size->seconds > 0.0 ? BENCH_SAMPLES : 1;
}

/* The end of a sample, or of the warm-up, which goes on until a sample's number of launches is known. */
static bool end_sample(kernel_bench *b) {
    b->status = ho_device_sync(b->device);
    const double seconds = now() - b->begin, wanted = b->size->seconds;
    if (b->status != HO_OK) {
        return false;
    }
    if (b->sample < 0) {
        if (seconds < wanted && b->launches < 100000) {
            const double factor = seconds > 0.0 ? 1.2 * wanted / seconds : 10.0;
            b->launches = (int64_t)ceil((double)b->launches * fmin(factor, 10.0));
            return true;
        }
    } else {
        b->seconds[b->sample] = seconds / (double)b->launches;
    }
    return ++b->sample < samples_of(b);
}

bool bench_again(kernel_bench *b) {
    if (b->status != HO_OK) {
        return false;
    }
    if (b->begin < 0.0) { /* the inputs are there before the clock starts */
        b->status = ho_device_sync(b->device);
        b->begin = now();
        return b->left-- > 0 && b->status == HO_OK;
    }
    if (b->left == 0) {
        if (!end_sample(b)) {
            return false;
        }
        b->left = b->launches;
        b->begin = now();
    }
    --b->left;
    return true;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_seconds(kernel_bench *b) {
    const int samples = samples_of(b);
    qsort(b->seconds, (size_t)samples, sizeof *b->seconds, by_value);
    return b->seconds[samples / 2];
}

/* ---- ceilings ---------------------------------------------------------------------------------------------------- */

static void copy(kernel_bench *b) {
    ho_real *x = bench_reals(b, b->n), *y = bench_reals(b, b->n);
    const size_t bytes = (size_t)b->n * sizeof *x;
    MEASURE(b, 2 * bytes, 0, ho_device_copy(b->device, y, x, bytes));
}

static void product(kernel_bench *b) {
    const int64_t n = b->size->product;
    ho_real *x = bench_reals(b, n * n), *y = bench_reals(b, n * n), *z = bench_reals(b, n * n);
    MEASURE(b, 12 * n * n, 2.0 * (double)n * (double)n * (double)n,
            ho_gemm(b->device, false, false, n, n, n, HO_R(1.0), x, n, y, n, HO_R(0.0), z, n));
}

/* Each on a device of its own: the precision is set before a device computes. */
static ho_status one_ceiling(const bench_size *size, ho_precision precision, void (*run)(kernel_bench *),
                             double *rate) {
    kernel_bench b;
    ho_device *device = NULL;
    HO_TRY(ho_device_open(0, 0, &device));
    bench_open(&b, device, size);
    b.status = ho_device_set_precision(device, precision, true);
    run(&b);
    if (b.status == HO_OK) {
        *rate = (b.flop > 0.0 ? b.flop : b.bytes) / bench_seconds(&b);
    }
    bench_free_buffers(&b);
    ho_device_close(device);
    return b.status;
}

ho_status bench_measure_ceilings(const bench_size *size, bench_ceilings *c) {
    HO_TRY(one_ceiling(size, HO_PRECISION_FP32, copy, &c->bytes));
    HO_TRY(one_ceiling(size, HO_PRECISION_FP32, product, &c->fp32));
    return one_ceiling(size, HO_PRECISION_TF32, product, &c->tf32);
}
