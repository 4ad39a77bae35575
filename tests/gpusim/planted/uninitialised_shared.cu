/* A shared table of which only the first half is written before all of it is read. */
#include "planted.h"

__global__ void sum_table(const int *x, int *y, int filled) {
    __shared__ int table[64];
    const int t = (int)threadIdx.x;
    if (t < filled) {
        table[t] = x[t];
    }
    __syncthreads();
    int sum = 0;
    for (int i = 0; i < 64; ++i) {
        sum += table[i]; /* HERE: uninitialised */
    }
    y[t] = sum; /* HERE: uninitialised */
}

int main() {
    int x[64], y[64], want = 0;
    for (int i = 0; i < 64; ++i) {
        x[i] = i + 2;
        want += x[i];
    }
    int *d_x = device_array(x, 64), *d_y = device_array<int>(nullptr, 64);
#ifdef BUG
    const int filled = 32;
#else
    const int filled = 64;
#endif
    sum_table<<<1, 64>>>(d_x, d_y, filled);
    take_back(y, d_y, 64);
    CHECK(cudaFree(d_x));
    return verdict(y[0] == want && y[63] == want);
}
