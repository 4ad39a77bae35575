/* One block stores plainly what the others add to atomically. */
#include "planted.h"

__global__ void total(const float *x, float *sum) {
    const float v = x[blockIdx.x];
    if (threadIdx.x == 0) {
#ifdef BUG
        if (blockIdx.x == 3) {
            *sum = v; /* HERE: race */
        } else {
            atomicAdd(sum, v); /* HERE: race */
        }
#else
        atomicAdd(sum, v);
#endif
    }
}

int main() {
    float x[8], sum = 0, want = 0;
    for (int i = 0; i < 8; ++i) {
        x[i] = (float)(i + 1);
        want += x[i];
    }
    float *d_x = device_array(x, 8), *d_sum = device_array<float>(nullptr, 1);
    total<<<8, 32>>>(d_x, d_sum);
    take_back(&sum, d_sum, 1);
    CHECK(cudaFree(d_x));
    return verdict(sum == want);
}
