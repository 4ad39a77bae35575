/* More dynamic shared memory than a kernel may have without asking for it. */
#include "planted.h"

__global__ void reverse(int *y, int n) {
    extern __shared__ int kept[];
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) {
        kept[i] = i;
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) {
        y[i] = kept[n - 1 - i];
    }
}

int main() {
    const int n = 16000;
    static int y[16000];
    int *d_y = device_array<int>(nullptr, n);
#ifndef BUG
    CHECK(cudaFuncSetAttribute(reverse, cudaFuncAttributeMaxDynamicSharedMemorySize, n * (int)sizeof(int)));
#endif
    reverse<<<1, 256, n * sizeof(int)>>>(d_y, n); /* HERE: bad-launch at the launch */
    take_back(y, d_y, n);
    return verdict(y[0] == n - 1 && y[n - 1] == 0);
}
