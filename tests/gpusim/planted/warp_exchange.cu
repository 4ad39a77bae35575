/* Lanes of a warp that exchange values through shared memory need __syncwarp. */
#include "planted.h"

__global__ void swap_lanes(const int *x, int *y) {
    __shared__ int slot[32];
    const int t = (int)threadIdx.x;
    slot[t] = x[t]; /* HERE: race */
#ifndef BUG
    __syncwarp();
#endif
    y[t] = slot[t ^ 1]; /* HERE: race (uninitialised) */
}

int main() {
    int x[32], y[32];
    for (int i = 0; i < 32; ++i) {
        x[i] = i * 5;
    }
    int *d_x = device_array(x, 32), *d_y = device_array<int>(nullptr, 32);
    swap_lanes<<<1, 32>>>(d_x, d_y);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == x[i ^ 1];
    }
    return verdict(right);
}
