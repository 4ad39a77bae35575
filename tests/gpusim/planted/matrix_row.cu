/* ldmatrix takes 16 bytes a row at a shared address that must be a multiple of 16. */
#include "planted.h"

__global__ void load_tile(const unsigned *x, unsigned *y) {
    __shared__ __align__(16) unsigned tile[64];
    const int t = (int)threadIdx.x;
    tile[t] = x[t];
    tile[t + 32] = x[t + 32];
    __syncthreads();
#ifdef BUG
    const unsigned *row = tile + (t % 8) * 4 + 2;
#else
    const unsigned *row = tile + (t % 8) * 4;
#endif
    const unsigned from = (unsigned)__cvta_generic_to_shared(row);
    unsigned v = 0;
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(v) : "r"(from)); /* HERE: misaligned */
    y[t] = v;
}

int main() {
    unsigned x[64], y[32];
    for (unsigned i = 0; i < 64; ++i) {
        x[i] = i * 65537U;
    }
    unsigned *d_x = device_array(x, 64), *d_y = device_array<unsigned>(nullptr, 32);
    load_tile<<<1, 32>>>(d_x, d_y);
    take_back(y, d_y, 32);
    CHECK(cudaFree(d_x));
    bool right = true;
    for (int i = 0; i < 32; ++i) {
        right = right && y[i] == x[i];
    }
    return verdict(right);
}
