/* A block wider than the kernel's launch bound. */
#include "planted.h"

__global__ void __launch_bounds__(128) fill(int *y, int n) {
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) {
        y[i] = 3 * i;
    }
}

int main() {
    int y[300];
    int *d_y = device_array<int>(nullptr, 300);
#ifdef BUG
    fill<<<1, 256>>>(d_y, 300); /* HERE: bad-launch at the launch */
#else
    fill<<<1, 128>>>(d_y, 300);
#endif
    take_back(y, d_y, 300);
    return verdict(y[1] == 3 && y[299] == 897);
}
