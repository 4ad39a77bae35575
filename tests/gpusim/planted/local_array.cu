/* A histogram in a thread's own array with a bin that the array does not have. */
#include "planted.h"

__global__ void most_frequent(const int *x, int *y, int n, int bins) {
    int count[8];
    for (int b = 0; b < 8; ++b) {
        count[b] = 0;
    }
    for (int i = 0; i < n; ++i) {
#ifdef BUG
        count[x[i]] += 1; /* HERE: out-of-bounds */
#else
        count[x[i] & 7] += 1;
#endif
    }
    int best = 0;
    for (int b = 1; b < bins; ++b) {
        best = count[b] > count[best] ? b : best;
    }
    y[threadIdx.x] = best;
}

int main() {
    int x[40], y[32];
    for (int i = 0; i < 40; ++i) {
        x[i] = i % 4 == 0 ? 5 : i % 9;
    }
    int *d_x = device_array(x, 40), *d_y = device_array<int>(nullptr, 32);
    most_frequent<<<1, 32>>>(d_x, d_y, 40, 8);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    return verdict(y[0] == 5 && y[31] == 5);
}
