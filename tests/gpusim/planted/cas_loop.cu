/* A maximum of floats by compare-and-swap, whose first look at the word is a plain load; without the swap it is a race.
 */
#include "planted.h"

__global__ void largest(const float *x, int *best) {
    const float v = x[blockIdx.x * 32 + threadIdx.x];
#ifdef BUG
    if (v > __int_as_float(*best)) { /* HERE: race */
        *best = __float_as_int(v);   /* HERE: race */
    }
#else
    int seen = *(volatile int *)best;
    while (v > __int_as_float(seen)) {
        const int was = atomicCAS(best, seen, __float_as_int(v));
        if (was == seen) {
            break;
        }
        seen = was;
    }
#endif
}

int main() {
    float x[128], best = 0;
    for (int i = 0; i < 128; ++i) {
        x[i] = (float)((i * 37) % 101);
    }
    float *d_x = device_array(x, 128);
    int bits = 0, *d_best = device_array<int>(nullptr, 1);
    largest<<<4, 32>>>(d_x, d_best);
    take_back(&bits, d_best, 1);
    CHECK(cudaFree(d_x));
    best = *reinterpret_cast<float *>(&bits);
    return verdict(best == 100.0F);
}
