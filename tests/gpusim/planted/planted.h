/* What the planted programs share. Each file is one program; with -DBUG it has the mistake that a comment of the form
 * HERE: CHECK marks, on the line that the simulator must name; without, it is right, must say so and not be reported.
 */
#ifndef PLANTED_H
#define PLANTED_H

#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>

#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        const cudaError_t check_status = (call);                                                                       \
        if (check_status != cudaSuccess) {                                                                             \
            std::printf("%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(check_status));                          \
            std::exit(1);                                                                                              \
        }                                                                                                              \
    } while (0)

/* 16 bytes from global memory to the shared address `to`, asynchronously. */
#define COPY_16(to, from) asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory")

/* n values on the device: from `host`, or zero where that is NULL. */
template <class T> static T *device_array(const T *host, size_t n) {
    T *device = nullptr;
    CHECK(cudaMalloc(reinterpret_cast<void **>(&device), n * sizeof(T)));
    if (host != nullptr) {
        CHECK(cudaMemcpy(device, host, n * sizeof(T), cudaMemcpyHostToDevice));
    } else {
        CHECK(cudaMemset(device, 0, n * sizeof(T)));
    }
    return device;
}
/* Waits for the launch and takes the n values back; frees them on the device, also where the launch was refused. */
template <class T> static void take_back(T *host, T *device, size_t n) {
    const cudaError_t launched = cudaGetLastError();
    if (launched != cudaSuccess) {
        cudaFree(device);
    }
    CHECK(launched);
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(host, device, n * sizeof(T), cudaMemcpyDeviceToHost));
    CHECK(cudaFree(device));
}
/* main's value: the result was right, or not. */
static int verdict(bool right) {
    std::printf("%s\n", right ? "right" : "wrong");
    return right ? 0 : 1;
}

#endif
