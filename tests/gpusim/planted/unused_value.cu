/* A read whose value is chosen away where it was never written is fine; using it is not. */
#include "planted.h"

__global__ void pick(const int *x, int *y, int n, int at_least) {
    const int t = (int)threadIdx.x;
    const int value = *(volatile const int *)(x + t);
#ifdef BUG
    if (value >= at_least) { /* HERE: uninitialised */
        y[t] = value;        /* HERE: (uninitialised) */
    }
#else
    (void)at_least;
    y[t] = t < n ? value : -1;
#endif
}

int main() {
    int x[64], y[64], *d_x = nullptr;
    for (int i = 0; i < 64; ++i) {
        x[i] = i * 11;
    }
    CHECK(cudaMalloc(reinterpret_cast<void **>(&d_x), sizeof x));
    CHECK(cudaMemcpy(d_x, x, 40 * sizeof(int), cudaMemcpyHostToDevice));
    int *d_y = device_array<int>(nullptr, 64);
    pick<<<1, 64>>>(d_x, d_y, 40, 0);
    take_back(y, d_y, 64);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 64; ++i) {
        right = right && y[i] == (i < 40 ? x[i] : -1);
    }
    return verdict(right);
}
