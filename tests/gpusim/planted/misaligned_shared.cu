/* An 8-byte store to shared memory behind an odd number of words. */
#include "planted.h"

__global__ void pairs(const float *x, float *y) {
    __shared__ __align__(8) float row[72];
    const int t = (int)threadIdx.x;
#ifdef BUG
    float *mine = row + 2 * t + 1;
#else
    float *mine = row + 2 * t;
#endif
    *reinterpret_cast<float2 *>(mine) = make_float2(x[t], -x[t]); /* HERE: misaligned */
    __syncthreads();
    y[t] = mine[0] - mine[1]; /* HERE: (uninitialised) */
}

int main() {
    float x[32], y[32];
    for (int i = 0; i < 32; ++i) {
        x[i] = (float)(i + 1);
    }
    float *d_x = device_array(x, 32), *d_y = device_array<float>(nullptr, 32);
    pairs<<<1, 32>>>(d_x, d_y);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == 2 * x[i];
    }
    return verdict(right);
}
