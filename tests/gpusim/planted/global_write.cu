/* A guard that lets one thread write one element past the end. */
#include "planted.h"

__global__ void fill(int *y, int n) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
#ifdef BUG
    if (i <= n) {
#else
    if (i < n) {
#endif
        y[i] = 7 * i; /* HERE: out-of-bounds */
    }
}

int main() {
    int y[97];
    int *d_y = device_array<int>(nullptr, 97);
    fill<<<4, 32>>>(d_y, 97);
    take_back(y, d_y, 97);
    bool right = true;
    for (int i = 0; i < 97; ++i) {
        right = right && y[i] == 7 * i;
    }
    return verdict(right);
}
