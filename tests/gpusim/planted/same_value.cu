/* All threads may write the same value to one word; different ones they may not. */
#include "planted.h"

__global__ void flag(const int *x, int *y) {
    __shared__ int found;
    found = 0;
    __syncthreads();
    if (x[threadIdx.x] > 10) {
#ifdef BUG
        found = (int)threadIdx.x; /* HERE: race */
#else
        found = 1;
#endif
    }
    __syncthreads();
    y[threadIdx.x] = found;
}

int main() {
    int x[64], y[64];
    for (int i = 0; i < 64; ++i) {
        x[i] = i % 20;
    }
    int *d_x = device_array(x, 64), *d_y = device_array<int>(nullptr, 64);
    flag<<<1, 64>>>(d_x, d_y);
    take_back(y, d_y, 64);
    CHECK(cudaFree(d_x));
    return verdict(y[0] == 1 && y[63] == 1);
}
