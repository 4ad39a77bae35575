/* A kernel that ends itself. */
#include "planted.h"

__global__ void checked(const int *x, int *y, int limit) {
    const int v = x[threadIdx.x];
    if (v > limit) {
        __trap(); /* HERE: device-trap */
    }
    y[threadIdx.x] = v;
}

int main() {
    int x[32], y[32];
    for (int i = 0; i < 32; ++i) {
        x[i] = i;
    }
    int *d_x = device_array(x, 32), *d_y = device_array<int>(nullptr, 32);
#ifdef BUG
    const int limit = 20;
#else
    const int limit = 31;
#endif
    checked<<<1, 32>>>(d_x, d_y, limit);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    return verdict(y[0] == 0 && y[31] == 31);
}
