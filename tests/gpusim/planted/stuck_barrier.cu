/* Two warps that hand a value over at a named barrier of 64 threads, and do not agree on its number. */
#include "planted.h"

__global__ void hand_over(const int *x, int *y) {
    __shared__ int slot[32];
    const int t = (int)threadIdx.x;
    if (t < 32) {
        slot[t] = x[t];
        asm volatile("barrier.sync.aligned 1, 64;" ::: "memory"); /* HERE: stuck-barrier */
    } else {
#ifdef BUG
        asm volatile("barrier.sync.aligned 2, 64;" ::: "memory"); /* HERE: stuck-barrier */
#else
        asm volatile("barrier.sync.aligned 1, 64;" ::: "memory");
#endif
        y[t - 32] = slot[63 - t]; /* HERE: (race) */
    }
}

int main() {
    int x[32], y[32];
    for (int i = 0; i < 32; ++i) {
        x[i] = i + 7;
    }
    int *d_x = device_array(x, 32), *d_y = device_array<int>(nullptr, 32);
    hand_over<<<1, 64>>>(d_x, d_y);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == x[31 - i];
    }
    return verdict(right);
}
