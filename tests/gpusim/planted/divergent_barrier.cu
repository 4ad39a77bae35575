/* A barrier that only some lanes of a warp reach, the others being alive elsewhere. */
#include "planted.h"

__global__ void shift(const int *x, int *y, int n) {
    __shared__ int row[64];
    const int t = (int)threadIdx.x;
    row[t] = 0;
    __syncthreads();
#ifdef BUG
    if (t < n) {
        row[t] = x[t];
        __syncthreads(); /* HERE: divergent-barrier */
        y[t] = row[(t + 1) % n];
    } else {
        __syncthreads(); /* HERE: divergent-barrier */
        y[t] = -1;
    }
#else
    if (t < n) {
        row[t] = x[t];
    }
    __syncthreads();
    y[t] = t < n ? row[(t + 1) % n] : -1;
#endif
}

int main() {
    int x[64], y[64];
    for (int i = 0; i < 64; ++i) {
        x[i] = 100 - i;
    }
    int *d_x = device_array(x, 64), *d_y = device_array<int>(nullptr, 64);
    shift<<<1, 64>>>(d_x, d_y, 45);
    take_back(y, d_y, 64);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 64; ++i) {
        right = right && y[i] == (i < 45 ? x[(i + 1) % 45] : -1);
    }
    return verdict(right);
}
