/* The vocabulary in which kernels are written, so that one source is right for any block width and runs on two targets:
 *
 *                          cuda                              cpu (block width 1)
 *   HO_KERNEL              __global__ void                   static void
 *   HO_DEVICE              __device__ inline                 static inline
 *   HO_GRID_LOOP(i, n)     grid-stride loop over threads     the block's contiguous share of 0..n-1
 *   HO_GRID_BLOCKS(r, n)   grid-stride loop over blocks      the block's contiguous share of 0..n-1
 *   HO_BLOCK_LOOP(j, n)    j = threadIdx.x; j += blockDim.x  plain loop
 *   HO_SHARED(T, a, n)     __shared__ T a[n]                 T a[n]
 *   ho_block_sum(v)        warp shuffles, result in all      v
 *   ho_block_sync()        __syncthreads()                   nothing
 *   HO_LAUNCH(k, grid, block, smem, stream, ...)             OpenMP loop over blocks
 *
 * Rules that keep both targets right: an element is written by one thread only; a value that other threads of the block
 * produced is read only after ho_block_sync(); HO_GRID_BLOCKS and HO_BLOCK_LOOP nest, HO_GRID_LOOP stands alone; all
 * threads of a block reach ho_block_sync and ho_block_sum. Indices and counts are int64_t. Reductions over blocks go
 * through partial results of a fixed number, so that the result does not depend on the number of threads. Kernel files
 * are compiled as C17 for cpu and as CUDA C++ for cuda: write what is both. */
#ifndef HANDSOFF_KERNEL_H
#define HANDSOFF_KERNEL_H

#include <math.h>
#include <stdint.h>

#include "handsoff/status.h"
#include "handsoff/types.h"

#ifdef __CUDACC__
#define HO_RESTRICT              __restrict__
#define HO_KERNEL                static __global__ void
#define HO_DEVICE                static __device__ __forceinline__
#define HO_SHARED(type, name, n) __shared__ type name[n]

#define HO_GRID_LOOP(i, n)                                                                                             \
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, i##_step = (int64_t)gridDim.x * blockDim.x;       \
         i < (n); i += i##_step)
#define HO_GRID_BLOCKS(r, n) for (int64_t r = blockIdx.x; r < (n); r += gridDim.x)
#define HO_BLOCK_LOOP(j, n)  for (int64_t j = threadIdx.x; j < (n); j += blockDim.x)
#define ho_block_sync()      __syncthreads()

HO_DEVICE ho_real ho_warp_sum(ho_real v) {
    for (int lane = 16; lane > 0; lane >>= 1) {
        v += __shfl_xor_sync(0xffffffffU, v, lane);
    }
    return v;
}
/* Block reduction; blockDim.x is a multiple of 32 and at most 1024. The leading barrier protects `part` from a
 * previous call whose readers may still be under way. */
HO_DEVICE ho_real ho_block_sum(ho_real v) {
    __shared__ ho_real part[32];
    v = ho_warp_sum(v);
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        part[threadIdx.x / 32] = v;
    }
    __syncthreads();
    v = threadIdx.x % 32 < blockDim.x / 32 ? part[threadIdx.x % 32] : (ho_real)0;
    return ho_warp_sum(v);
}

#define HO_LAUNCH(kernel, grid, block, smem, stream, ...)                                                              \
    kernel<<<(unsigned)(grid), (unsigned)(block), (smem), (stream)>>>(__VA_ARGS__)

#define HO_LAUNCH_STATUS(name) ho_cuda_launch_status((name), __FILE__, __LINE__)
static inline ho_status ho_cuda_launch_status(const char *name, const char *source, int line) {
    const cudaError_t e = cudaGetLastError();
    return e == cudaSuccess ? HO_OK
                            : ho_fail(HO_EDEVICE, source, line, "launch of %s: %s", name, cudaGetErrorString(e));
}

/* Blocks for `n` items at `block` threads each; enough to fill the largest GPU, few enough for a cheap launch. */
static inline int64_t ho_grid(int64_t n, int64_t block) {
    const int64_t blocks = (n + block - 1) / block;
    return blocks < 1 ? 1 : blocks > 4096 ? 4096 : blocks;
}
/* Blocks for `n` rows of `row` items: one block a row. */
static inline int64_t ho_grid_blocks(int64_t n, int64_t row) {
    (void)row;
    return n < 1 ? 1 : n > 65535 ? 65535 : n;
}

#else /* cpu */

#include <omp.h>
#include <stddef.h>

#ifdef __cplusplus
#define HO_RESTRICT __restrict__
#else
#define HO_RESTRICT restrict
#endif
#define HO_KERNEL                static void
#define HO_DEVICE                static inline
#define HO_SHARED(type, name, n) type name[n]

/* Which block of the running launch this thread works on, and how many there are. */
extern _Thread_local int64_t ho_block_index;
extern _Thread_local int64_t ho_block_count;

#define HO_GRID_LOOP(i, n)                                                                                             \
    for (int64_t i = (int64_t)(n)*ho_block_index / ho_block_count,                                                     \
                 i##_end = (int64_t)(n) * (ho_block_index + 1) / ho_block_count;                                       \
         i < i##_end; ++i)
#define HO_GRID_BLOCKS(r, n) HO_GRID_LOOP (r, n)
#define HO_BLOCK_LOOP(j, n)  for (int64_t j = 0; j < (int64_t)(n); ++j)
#define ho_block_sync()      ((void)0)
#define ho_block_sum(v)      (v)

#define HO_PRAGMA(text) _Pragma(#text)
#define HO_LAUNCH(kernel, grid, block, smem, stream, ...)                                                              \
    do {                                                                                                               \
        /* A stream that is not NULL belongs to a device that computes nothing (dry.h). */                             \
        const int64_t ho_grid_ = (stream) == NULL ? (grid) : 0;                                                        \
        (void)(block), (void)(smem);                                                                                   \
        HO_PRAGMA(omp parallel for schedule(static) if (ho_grid_ > 1))                                                 \
        for (int64_t ho_b_ = 0; ho_b_ < ho_grid_; ++ho_b_) {                                                           \
            ho_block_index = ho_b_;                                                                                    \
            ho_block_count = ho_grid_;                                                                                 \
            kernel(__VA_ARGS__);                                                                                       \
        }                                                                                                              \
    } while (0)
#define HO_LAUNCH_STATUS(name) HO_OK

/* One chunk a thread, but none smaller than about 8192 items: a parallel region costs as much as 10^4 additions. */
static inline int64_t ho_grid(int64_t n, int64_t block) {
    (void)block;
    const int64_t chunks = n / 8192, threads = omp_get_max_threads();
    return chunks < 1 ? 1 : chunks > threads ? threads : chunks;
}
/* The same for `n` rows of `row` items. */
static inline int64_t ho_grid_blocks(int64_t n, int64_t row) {
    const int64_t chunks = n * row / 8192, threads = omp_get_max_threads();
    const int64_t most = chunks < threads ? chunks : threads;
    return most < 1 ? 1 : most > n ? (n < 1 ? 1 : n) : most;
}
#endif

#endif
