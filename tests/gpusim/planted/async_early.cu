/* An asynchronous copy to shared memory that is read before its wait. */
#include "planted.h"

__global__ void through_shared(const int *x, int *y) {
    __shared__ __align__(16) int tile[256];
    const int t = (int)threadIdx.x;
    const unsigned to = (unsigned)__cvta_generic_to_shared(tile + 4 * t);
    COPY_16(to, x + 4 * t); /* HERE: (race) */
    asm volatile("cp.async.commit_group;" ::: "memory");
#ifndef BUG
    asm volatile("cp.async.wait_group 0;" ::: "memory");
#endif
    __syncthreads();
    for (int i = t; i < 256; i += 64) {
        y[i] = tile[255 - i]; /* HERE: async-copy (uninitialised race) */
    }
#ifdef BUG
    asm volatile("cp.async.wait_group 0;" ::: "memory");
#endif
}

int main() {
    int x[256], y[256];
    for (int i = 0; i < 256; ++i) {
        x[i] = i ^ 77;
    }
    int *d_x = device_array(x, 256), *d_y = device_array<int>(nullptr, 256);
    through_shared<<<1, 64>>>(d_x, d_y);
    take_back(y, d_y, 256);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 256; ++i) {
        right = right && y[i] == x[255 - i];
    }
    return verdict(right);
}
