/* Tree reduction in shared memory whose steps need a barrier between them. */
#include "planted.h"

__global__ void tree(const float *x, float *sum) {
    __shared__ float part[128];
    const int t = (int)threadIdx.x;
    part[t] = x[blockIdx.x * 128 + t];
    __syncthreads();
    for (int half = 64; half > 0; half >>= 1) {
        if (t < half) {
            part[t] += part[t + half]; /* HERE: race */
        }
#ifndef BUG
        __syncthreads();
#endif
    }
    if (t == 0) {
        sum[blockIdx.x] = part[0];
    }
}

int main() {
    float x[512], sum[4];
    for (int i = 0; i < 512; ++i) {
        x[i] = (float)(i % 7);
    }
    float *d_x = device_array(x, 512), *d_sum = device_array<float>(nullptr, 4);
    tree<<<4, 128>>>(d_x, d_sum);
    take_back(sum, d_sum, 4);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int b = 0; b < 4; ++b) {
        float want = 0;
        for (int i = 0; i < 128; ++i) {
            want += x[b * 128 + i];
        }
        right = right && sum[b] == want;
    }
    return verdict(right);
}
