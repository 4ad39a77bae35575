/* A neighbour read that leaves a static shared array at its end. */
#include "planted.h"

__global__ void neighbour(const int *x, int *y) {
    __shared__ int row[96];
    const int t = (int)threadIdx.x;
    row[t] = x[t];
    __syncthreads();
#ifdef BUG
    y[t] = row[t + 1]; /* HERE: out-of-bounds */
#else
    y[t] = row[t < 95 ? t + 1 : 0];
#endif
}

int main() {
    int x[96], y[96];
    for (int i = 0; i < 96; ++i) {
        x[i] = 3 * i;
    }
    int *d_x = device_array(x, 96), *d_y = device_array<int>(nullptr, 96);
    neighbour<<<1, 96>>>(d_x, d_y);
    take_back(y, d_y, 96);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 96; ++i) {
        right = right && y[i] == x[(i + 1) % 96];
    }
    return verdict(right);
}
