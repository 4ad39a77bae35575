/* Two stages of asynchronous copies: the wait leaves one group too many under way. */
#include "planted.h"

__global__ void stages(const int *x, int *y, int tiles) {
    __shared__ __align__(16) int tile[2][128];
    const int t = (int)threadIdx.x;
    unsigned to[2];
    to[0] = (unsigned)__cvta_generic_to_shared(&tile[0][4 * t]);
    to[1] = (unsigned)__cvta_generic_to_shared(&tile[1][4 * t]);
    COPY_16(to[0], x + 4 * t);
    asm volatile("cp.async.commit_group;" ::: "memory");
    for (int n = 0; n < tiles; ++n) {
        if (n + 1 < tiles) {
            COPY_16((n & 1) ? to[0] : to[1], x + (n + 1) * 128 + 4 * t); /* HERE: (async-copy race) */
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
#ifdef BUG
        asm volatile("cp.async.wait_group 2;" ::: "memory");
#else
        asm volatile("cp.async.wait_group 1;" ::: "memory");
#endif
        __syncthreads();
        for (int i = t; i < 128; i += 32) {
            y[n * 128 + i] = tile[n & 1][127 - i]; /* HERE: async-copy (uninitialised race) */
        }
        __syncthreads();
    }
}

int main() {
    static int x[512], y[512];
    for (int i = 0; i < 512; ++i) {
        x[i] = 1000 - i;
    }
    int *d_x = device_array(x, 512), *d_y = device_array<int>(nullptr, 512);
    stages<<<1, 32>>>(d_x, d_y, 4);
    take_back(y, d_y, 512);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 512; ++i) {
        right = right && y[i] == x[i / 128 * 128 + 127 - i % 128];
    }
    return verdict(right);
}
