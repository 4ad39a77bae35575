/* Tiles through one shared buffer: before the next tile is written, every thread must have read the last one. */
#include "planted.h"

__global__ void reverse_tiles(const int *x, int *y, int tiles) {
    __shared__ int tile[64];
    const int t = (int)threadIdx.x;
    for (int n = 0; n < tiles; ++n) {
        tile[t] = x[n * 64 + t]; /* HERE: race */
        __syncthreads();
        y[n * 64 + t] = tile[63 - t]; /* HERE: race */
#ifndef BUG
        __syncthreads();
#endif
    }
}

int main() {
    int x[192], y[192];
    for (int i = 0; i < 192; ++i) {
        x[i] = i * i;
    }
    int *d_x = device_array(x, 192), *d_y = device_array<int>(nullptr, 192);
    reverse_tiles<<<1, 64>>>(d_x, d_y, 3);
    take_back(y, d_y, 192);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 192; ++i) {
        right = right && y[i] == x[i / 64 * 64 + 63 - i % 64];
    }
    return verdict(right);
}
