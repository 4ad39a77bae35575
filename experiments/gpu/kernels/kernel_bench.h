/* Benchmarks of single launchers: an item says what one launch moves and computes, and the frame measures it. */
#ifndef HANDSOFF_KERNEL_BENCH_H
#define HANDSOFF_KERNEL_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/device.h"
#include "handsoff/status.h"
#include "handsoff/types.h"

enum { BENCH_BUFFERS = 32, BENCH_SAMPLES = 5 };

/* The size of every item: feature maps (N, side, side, C). */
typedef struct {
    const char *name;
    int64_t N, side, C;
    int64_t product; /* rows and columns of the matrix product that gives a ceiling     */
    double seconds;  /* one sample takes at least so long; 0: one launch a sample       */
} bench_size;

typedef struct {
    ho_device *device;
    ho_stream stream;
    const bench_size *size;
    int64_t N, side, C, pixels, n; /* pixels of one map; n numbers in all */
    void *buffer[BENCH_BUFFERS];
    int n_buffers;
    uint64_t draws;
    ho_status status; /* the first failure; nothing is launched after it */
    double bytes, flop;
    char note[96];
    int64_t left, launches; /* of this sample */
    int sample;             /* -1: warm-up     */
    double begin, seconds[BENCH_SAMPLES];
} kernel_bench;

typedef struct {
    const char *launcher;
    void (*run)(kernel_bench *b); /* makes its buffers and measures one call */
} kernel_item;

/* Lists that end with a NULL name. */
extern const kernel_item BENCH_POINTWISE[], BENCH_SUMS[], BENCH_IMAGES[], BENCH_NETWORKS[];
#ifdef HO_TARGET_CUDA
extern const kernel_item BENCH_FUSED[];
#endif

/* Device memory that lives until the item's end: standard normal numbers, or a copy of host data. NULL after a
 * failure. */
ho_real *bench_reals(kernel_bench *b, int64_t count);
void *bench_copy(kernel_bench *b, const void *host, size_t bytes);
/* `count` bytes in 0 .. most-1. */
uint8_t *bench_bytes(kernel_bench *b, int64_t count, unsigned most);

/* MEASURE(b, bytes, flop, call): bytes and FLOPs of one call by formula. Every array counts once: what a cache saves is
 * the kernel's gain. An fma is 2 FLOPs, any other operation, exp and sqrt too, 1. */
#define MEASURE(b, bytes, flop, call)                                                                                  \
    for (bench_begin((b), (double)(bytes), (double)(flop)); bench_again(b);)                                           \
    (b)->status = (call)
void bench_begin(kernel_bench *b, double bytes, double flop);
/* True: launch once more. */
bool bench_again(kernel_bench *b);
/* Median seconds of one launch. */
double bench_seconds(kernel_bench *b);

/* What the device can reach, measured: bytes/s of a copy, FLOP/s of a large product in float and with TF32 operands. */
typedef struct {
    double bytes, fp32, tf32;
} bench_ceilings;
ho_status bench_measure_ceilings(const bench_size *size, bench_ceilings *ceilings);
void bench_open(kernel_bench *b, ho_device *device, const bench_size *size);
void bench_free_buffers(kernel_bench *b);

#endif
