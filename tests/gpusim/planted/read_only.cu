/* A load through the read-only cache of what the same launch writes. */
#include "planted.h"

__global__ void scale_row(float *x, float *y) {
    const int t = (int)threadIdx.x;
    x[t] = 2.0F * x[t]; /* HERE: read-only */
    __syncthreads();
#ifdef BUG
    y[t] = __ldg(x + 63 - t); /* HERE: read-only */
#else
    y[t] = x[63 - t];
#endif
}

int main() {
    float x[64], y[64];
    for (int i = 0; i < 64; ++i) {
        x[i] = (float)i;
    }
    float *d_x = device_array(x, 64), *d_y = device_array<float>(nullptr, 64);
    scale_row<<<1, 64>>>(d_x, d_y);
    take_back(y, d_y, 64);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 64; ++i) {
        right = right && y[i] == 2.0F * x[63 - i];
    }
    return verdict(right);
}
