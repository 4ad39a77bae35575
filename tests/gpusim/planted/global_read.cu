/* A stencil that reads left of its array. */
#include "planted.h"

__global__ void difference(const int *x, int *y, int n) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) {
#ifdef BUG
        y[i] = x[i] - x[i - 1]; /* HERE: out-of-bounds */
#else
        y[i] = x[i] - (i > 0 ? x[i - 1] : 0);
#endif
    }
}

int main() {
    int x[100], y[100];
    for (int i = 0; i < 100; ++i) {
        x[i] = i * i + 5;
    }
    int *d_x = device_array(x, 100), *d_y = device_array<int>(nullptr, 100);
    difference<<<2, 64>>>(d_x, d_y, 100);
    take_back(y, d_y, 100);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 100; ++i) {
        right = right && y[i] == x[i] - (i > 0 ? x[i - 1] : 0);
    }
    return verdict(right);
}
