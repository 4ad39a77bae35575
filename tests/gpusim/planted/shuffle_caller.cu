/* A lane that executes a shuffle although the mask does not name it. */
#include "planted.h"

__global__ void first_of_half(const int *x, int *y) {
    const int t = (int)threadIdx.x;
#ifdef BUG
    const unsigned mask = 0x0000ffffU;
#else
    const unsigned mask = 0xffffffffU;
#endif
    y[t] = __shfl_sync(mask, x[t], 3); /* HERE: bad-lane */
}

int main() {
    int x[32], y[32];
    for (int i = 0; i < 32; ++i) {
        x[i] = i + 40;
    }
    int *d_x = device_array(x, 32), *d_y = device_array<int>(nullptr, 32);
    first_of_half<<<1, 32>>>(d_x, d_y);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == x[3];
    }
    return verdict(right);
}
