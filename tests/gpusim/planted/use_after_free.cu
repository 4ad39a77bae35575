/* An array that is freed before the launch that reads it. */
#include "planted.h"

__global__ void add_one(const int *x, int *y) {
    y[threadIdx.x] = x[threadIdx.x] + 1; /* HERE: use-after-free */
}

int main() {
    int x[64], y[64];
    for (int i = 0; i < 64; ++i) {
        x[i] = 5 * i;
    }
    int *d_x = device_array(x, 64), *d_y = device_array<int>(nullptr, 64);
#ifdef BUG
    CHECK(cudaFree(d_x));
    add_one<<<1, 64>>>(d_x, d_y);
#else
    add_one<<<1, 64>>>(d_x, d_y);
    CHECK(cudaFree(d_x));
#endif
    take_back(y, d_y, 64);
    bool right = true;
    for (int i = 0; i < 64; ++i) {
        right = right && y[i] == x[i] + 1;
    }
    return verdict(right);
}
