/* Blocks that add to one word: with an atomic, and without. */
#include "planted.h"

__global__ void total(const int *x, int *sum) {
    const int v = x[blockIdx.x * 32 + threadIdx.x], warp = __reduce_add_sync(0xffffffffU, v);
    if (threadIdx.x == 0) {
#ifdef BUG
        *sum += warp; /* HERE: race */
#else
        atomicAdd(sum, warp);
#endif
    }
}

int main() {
    int x[256], sum = 0, want = 0;
    for (int i = 0; i < 256; ++i) {
        x[i] = i - 100;
        want += x[i];
    }
    int *d_x = device_array(x, 256), *d_sum = device_array<int>(nullptr, 1);
    total<<<8, 32>>>(d_x, d_sum);
    take_back(&sum, d_sum, 1);
    CHECK(cudaFree(d_x));
    return verdict(sum == want);
}
