/* Threads that return before the barrier that the others wait at. */
#include "planted.h"

__global__ void shift(const int *x, int *y, int n) {
    __shared__ int row[128];
    const int t = (int)threadIdx.x;
#ifdef BUG
    if (t >= n) {
        return;
    }
    row[t] = x[t];
    __syncthreads(); /* HERE: divergent-barrier */
    y[t] = row[(t + 1) % n];
#else
    if (t < n) {
        row[t] = x[t];
    }
    __syncthreads();
    if (t < n) {
        y[t] = row[(t + 1) % n];
    }
#endif
}

int main() {
    int x[96], y[96];
    for (int i = 0; i < 96; ++i) {
        x[i] = 2 * i;
    }
    int *d_x = device_array(x, 96), *d_y = device_array<int>(nullptr, 96);
    shift<<<1, 128>>>(d_x, d_y, 96);
    take_back(y, d_y, 96);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 96; ++i) {
        right = right && y[i] == x[(i + 1) % 96];
    }
    return verdict(right);
}
