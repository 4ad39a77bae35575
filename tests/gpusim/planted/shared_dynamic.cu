/* Dynamic shared memory one word too small for what the kernel keeps behind its array. */
#include "planted.h"

__global__ void count_even(const int *x, int *count) {
    extern __shared__ int kept[];
    const int t = (int)threadIdx.x, n = (int)blockDim.x;
    kept[t] = x[t] % 2 == 0;
    if (t == 0) {
        kept[n] = 0; /* HERE: out-of-bounds */
    }
    __syncthreads();
    if (t == 0) {
        for (int i = 0; i < n; ++i) {
            kept[n] += kept[i]; /* HERE: out-of-bounds */
        }
        *count = kept[n]; /* HERE: out-of-bounds */
    }
}

int main() {
    int x[64], count = 0;
    for (int i = 0; i < 64; ++i) {
        x[i] = i / 3;
    }
    int *d_x = device_array(x, 64), *d_count = device_array<int>(nullptr, 1);
#ifdef BUG
    const size_t bytes = 64 * sizeof(int);
#else
    const size_t bytes = 65 * sizeof(int);
#endif
    count_even<<<1, 64, bytes>>>(d_x, d_count);
    take_back(&count, d_count, 1);
    CHECK(cudaFree(d_x));
    int want = 0;
    for (int i = 0; i < 64; ++i) {
        want += x[i] % 2 == 0;
    }
    return verdict(count == want);
}
