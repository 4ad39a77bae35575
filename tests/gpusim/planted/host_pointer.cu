/* A pointer to the host's memory given to a kernel. */
#include "planted.h"

__global__ void twice(const int *x, int *y) {
    y[threadIdx.x] = 2 * x[threadIdx.x]; /* HERE: out-of-bounds */
}

int main() {
    int x[32], y[32];
    for (int i = 0; i < 32; ++i) {
        x[i] = i + 1;
    }
    int *d_x = device_array(x, 32), *d_y = device_array<int>(nullptr, 32);
#ifdef BUG
    twice<<<1, 32>>>(x, d_y);
#else
    twice<<<1, 32>>>(d_x, d_y);
#endif
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == 2 * x[i];
    }
    return verdict(right);
}
