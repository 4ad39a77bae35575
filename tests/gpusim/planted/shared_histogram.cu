/* A histogram in shared memory: with an atomic, and without. */
#include "planted.h"

__global__ void histogram(const int *x, int *count) {
    __shared__ int bin[4];
    const int t = (int)threadIdx.x;
    if (t < 4) {
        bin[t] = 0;
    }
    __syncthreads();
#ifdef BUG
    bin[x[t] & 3] += 1; /* HERE: race */
#else
    atomicAdd(&bin[x[t] & 3], 1);
#endif
    __syncthreads();
    if (t < 4) {
        count[t] = bin[t];
    }
}

int main() {
    int x[128], count[4], want[4] = {0, 0, 0, 0};
    for (int i = 0; i < 128; ++i) {
        x[i] = i * i / 5;
        want[x[i] & 3] += 1;
    }
    int *d_x = device_array(x, 128), *d_count = device_array<int>(nullptr, 4);
    histogram<<<1, 128>>>(d_x, d_count);
    take_back(count, d_count, 4);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int b = 0; b < 4; ++b) {
        right = right && count[b] == want[b];
    }
    return verdict(right);
}
