/* Half a warp shuffles and reads from a lane that the mask does not name. */
#include "planted.h"

__global__ void neighbours(const int *x, int *y) {
    const int t = (int)threadIdx.x;
    if (t < 16) {
#ifdef BUG
        y[t] = __shfl_sync(0x0000ffffU, x[t], t + 1); /* HERE: bad-lane */
#else
        y[t] = __shfl_sync(0x0000ffffU, x[t], (t + 1) % 16);
#endif
    } else {
        y[t] = 0;
    }
}

int main() {
    int x[32], y[32];
    for (int i = 0; i < 32; ++i) {
        x[i] = i * 9;
    }
    int *d_x = device_array(x, 32), *d_y = device_array<int>(nullptr, 32);
    neighbours<<<1, 32>>>(d_x, d_y);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == (i < 16 ? x[(i + 1) % 16] : 0);
    }
    return verdict(right);
}
