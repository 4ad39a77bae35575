/* Accumulation into memory that nobody cleared. */
#include "planted.h"

__global__ void accumulate(const float *x, float *y) {
    y[threadIdx.x] += x[threadIdx.x]; /* HERE: uninitialised */
}

int main() {
    float x[32], y[32];
    for (int i = 0; i < 32; ++i) {
        x[i] = (float)i;
    }
    float *d_x = device_array(x, 32), *d_y = nullptr;
    CHECK(cudaMalloc(reinterpret_cast<void **>(&d_y), sizeof y));
#ifndef BUG
    CHECK(cudaMemset(d_y, 0, sizeof y));
#endif
    accumulate<<<1, 32>>>(d_x, d_y);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == x[i];
    }
    return verdict(right);
}
