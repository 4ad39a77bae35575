/* A block of more threads than a GPU takes. */
#include "planted.h"

__global__ void fill(int *y, int n) {
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) {
        y[i] = i;
    }
}

int main() {
    static int y[2000];
    int *d_y = device_array<int>(nullptr, 2000);
#ifdef BUG
    fill<<<1, 2048>>>(d_y, 2000); /* HERE: bad-launch at the launch */
#else
    fill<<<1, 1024>>>(d_y, 2000);
#endif
    take_back(y, d_y, 2000);
    return verdict(y[0] == 0 && y[1999] == 1999);
}
