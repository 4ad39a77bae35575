/* A warp sum in which lanes that have returned are asked for their value. */
#include "planted.h"

__global__ void warp_sum(const int *x, int *sum, int n) {
    const int t = (int)threadIdx.x;
#ifdef BUG
    if (t >= n) {
        return;
    }
    int v = x[t];
#else
    int v = t < n ? x[t] : 0;
#endif
    for (int lane = 16; lane > 0; lane >>= 1) {
        v += __shfl_xor_sync(0xffffffffU, v, lane); /* HERE: bad-lane */
    }
    if (t == 0) {
        *sum = v;
    }
}

int main() {
    int x[20], sum = 0, want = 0;
    for (int i = 0; i < 20; ++i) {
        x[i] = i * 3 + 1;
        want += x[i];
    }
    int *d_x = device_array(x, 20), *d_sum = device_array<int>(nullptr, 1);
    warp_sum<<<1, 32>>>(d_x, d_sum, 20);
    take_back(&sum, d_sum, 1);
    CHECK(cudaFree(d_x));
    return verdict(sum == want);
}
