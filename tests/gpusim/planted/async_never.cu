/* A prefetch for a next tile that never comes: the thread ends without a wait for its copy. */
#include "planted.h"

__global__ void tiles(const int *x, int *y, int n) {
    __shared__ __align__(16) int tile[2][32];
    const int t = (int)threadIdx.x;
    for (int k = 0; k <= n; ++k) {
        if (k > 0) {
            asm volatile("cp.async.wait_all;" ::: "memory");
            __syncwarp();
            y[(k - 1) * 32 + t] = tile[(k - 1) & 1][31 - t];
        }
#ifdef BUG
        const bool more = true;
#else
        const bool more = k < n;
#endif
        if (more && t < 8) {
            const unsigned to = (unsigned)__cvta_generic_to_shared(&tile[k & 1][4 * t]);
            COPY_16(to, x + k * 32 + 4 * t); /* HERE: async-copy */
        }
        __syncwarp();
    }
}

int main() {
    int x[128], y[96];
    for (int i = 0; i < 128; ++i) {
        x[i] = i * 3;
    }
    int *d_x = device_array(x, 128), *d_y = device_array<int>(nullptr, 96);
    tiles<<<1, 32>>>(d_x, d_y, 3);
    take_back(y, d_y, 96);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 96; ++i) {
        right = right && y[i] == x[i / 32 * 32 + 31 - i % 32];
    }
    return verdict(right);
}
