/* An index computed in 32 bits that wraps, although the element exists. */
#include "planted.h"

__global__ void one_row(float *y, int row, int width) {
#ifdef BUG
    const int at = (int)((unsigned)row * (unsigned)width) + (int)threadIdx.x;
#else
    const long long at = ((long long)row * width + threadIdx.x) % (1 << 20);
#endif
    y[at] = (float)threadIdx.x; /* HERE: out-of-bounds */
}

int main() {
    const int n = 1 << 20;
    float *d_y = device_array<float>(nullptr, (size_t)n), y[32];
    one_row<<<1, 32>>>(d_y, 40000, 60000);
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(y, d_y + 40000LL * 60000LL % n, sizeof y, cudaMemcpyDeviceToHost));
    CHECK(cudaFree(d_y));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == (float)i;
    }
    return verdict(right);
}
