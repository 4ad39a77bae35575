/* A 16-byte load from an address that is a multiple of 4 only. */
#include "planted.h"

__global__ void sum4(const float *x, float *y) {
    const int t = (int)threadIdx.x;
#ifdef BUG
    const float4 v = *reinterpret_cast<const float4 *>(x + 4 * t + 1); /* HERE: misaligned */
#else
    const float4 v = *reinterpret_cast<const float4 *>(x + 4 * t);
#endif
    y[t] = v.x + v.y + v.z + v.w;
}

int main() {
    float x[136], y[32];
    for (int i = 0; i < 136; ++i) {
        x[i] = (float)i;
    }
    float *d_x = device_array(x, 136), *d_y = device_array<float>(nullptr, 32);
    sum4<<<1, 32>>>(d_x, d_y);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == (float)(16 * i + 6);
    }
    return verdict(right);
}
