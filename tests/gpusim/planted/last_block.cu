/* The last block to finish adds up what all wrote: the counter is atomic, and a fence must stand before it. */
#include "planted.h"

__global__ void total(const int *x, int *part, unsigned *done, int *sum) {
    __shared__ bool last;
    const int v = __reduce_add_sync(0xffffffffU, x[blockIdx.x * 32 + threadIdx.x]);
    if (threadIdx.x == 0) {
        part[blockIdx.x] = v; /* HERE: race */
#ifndef BUG
        __threadfence();
#endif
        last = atomicAdd(done, 1U) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        int all = 0;
        for (unsigned b = 0; b < gridDim.x; ++b) {
            all += ((volatile int *)part)[b]; /* HERE: race */
        }
        *sum = all;
    }
}

int main() {
    int x[256], sum = 0, want = 0;
    for (int i = 0; i < 256; ++i) {
        x[i] = 300 - i;
        want += x[i];
    }
    int *d_x = device_array(x, 256), *d_part = device_array<int>(nullptr, 8), *d_sum = device_array<int>(nullptr, 1);
    unsigned *d_done = device_array<unsigned>(nullptr, 1);
    total<<<8, 32>>>(d_x, d_part, d_done, d_sum);
    take_back(&sum, d_sum, 1);
    CHECK(cudaFree(d_x));
    CHECK(cudaFree(d_part));
    CHECK(cudaFree(d_done));
    return verdict(sum == want);
}
