/* The device: one GPU with the limits of the architecture that GPUSIM=arch=N names. */
#include <stdio.h>

#include "cudart.h"

static const struct {
    int arch, processors, threads, shared_processor, shared_block;
} MODELS[] = {
    {80, 108, 2048, 167936, 166912},  /* A100  */
    {90, 132, 2048, 233472, 232448},  /* H100  */
    {100, 148, 2048, 233472, 232448}, /* B200  */
    {120, 188, 1536, 102400, 101376}, /* RTX PRO 6000 Blackwell */
};

GS_EXPORT cudaError_t cudaGetDeviceCount(int *count) {
    if (gs_call_fails("cudaGetDeviceCount")) {
        return gs_result(cudaErrorNoDevice);
    }
    *count = 1;
    return cudaSuccess;
}

static cudaError_t only_device_0(int device, const char *where) {
    if (device != 0) {
        GS_WRONG_CALL(where, "device %d: there is one, number 0", device);
        return gs_result(cudaErrorInvalidDevice);
    }
    return cudaSuccess;
}

GS_EXPORT cudaError_t cudaSetDevice(int device) {
    return gs_call_fails("cudaSetDevice") ? gs_result(cudaErrorInvalidDevice) : only_device_0(device, "cudaSetDevice");
}

GS_EXPORT cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return cudaSuccess;
}

static struct cudaDeviceProp properties(void) {
    const int arch = gs_get_options()->architecture;
    size_t i = 0;
    while (i + 1 < sizeof MODELS / sizeof MODELS[0] && MODELS[i].arch != arch) {
        ++i;
    }
    struct cudaDeviceProp made = {0}, *p = &made;
    snprintf(p->name, sizeof p->name, "simulated GPU");
    p->totalGlobalMem = (size_t)gs_get_options()->memory << 20;
    p->major = arch / 10;
    p->minor = arch % 10;
    p->warpSize = 32;
    p->multiProcessorCount = MODELS[i].processors;
    p->maxThreadsPerMultiProcessor = MODELS[i].threads;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = INT32_MAX;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->sharedMemPerBlock = 49152;
    p->sharedMemPerBlockOptin = (size_t)MODELS[i].shared_block;
    p->sharedMemPerMultiprocessor = (size_t)MODELS[i].shared_processor;
    p->totalConstMem = 65536;
    p->unifiedAddressing = 1;
    return made;
}

GS_EXPORT cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
    static const char NAME[] = "cudaGetDeviceProperties";
    if (gs_call_fails(NAME)) {
        return gs_result(cudaErrorInvalidDevice);
    }
    *p = properties();
    return only_device_0(device, NAME);
}

GS_EXPORT cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    static const char NAME[] = "cudaDeviceGetAttribute";
    if (gs_call_fails(NAME)) {
        return gs_result(cudaErrorInvalidValue);
    }
    const struct cudaDeviceProp p = properties();
    switch ((int)attribute) {
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = (int)p.sharedMemPerBlockOptin;
        break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = (int)p.sharedMemPerMultiprocessor;
        break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = p.maxThreadsPerMultiProcessor;
        break;
    default:
        gs_fatal("%s: attribute %d is not simulated", NAME, (int)attribute);
    }
    return only_device_0(device, NAME);
}

GS_EXPORT cudaError_t cudaDriverGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

GS_EXPORT cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

GS_EXPORT cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
    *total = (size_t)gs_get_options()->memory << 20;
    *free_bytes = *total - gs_memory_in_use();
    return cudaSuccess;
}
