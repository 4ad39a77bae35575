/* Counting of calls and objects, injected failures, the last error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cudart.h"

enum { MAX_NAMES = 256, MAX_KINDS = 32 };

static struct {
    const char *name;
    unsigned long count;
} calls[MAX_NAMES];
static int n_calls;

static struct {
    const char *kind;
    int live;
} kinds[MAX_KINDS];
static int n_kinds;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t counters = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local cudaError_t last_error;

void gs_lock(void) {
    pthread_mutex_lock(&lock);
}

void gs_unlock(void) {
    pthread_mutex_unlock(&lock);
}

cudaError_t gs_result(cudaError_t result) {
    if (result != cudaSuccess) {
        last_error = result;
    }
    return result;
}

bool gs_call_fails(const char *name) {
    const gs_options *o = gs_get_options();
    pthread_mutex_lock(&counters);
    int i = 0;
    while (i < n_calls && strcmp(calls[i].name, name) != 0) {
        ++i;
    }
    if (i == n_calls) {
        if (n_calls == MAX_NAMES) {
            gs_fatal("more than %d library functions are called", MAX_NAMES);
        }
        calls[n_calls++].name = name;
    }
    const unsigned long count = ++calls[i].count;
    pthread_mutex_unlock(&counters);
    return o->fail_at > 0 && count == (unsigned long)o->fail_at && strcmp(name, o->fail_call) == 0;
}

const char *gs_call_count(int index, unsigned long *count) {
    if (index >= n_calls) {
        return NULL;
    }
    *count = calls[index].count;
    return calls[index].name;
}

void gs_live(const char *kind, int change) {
    pthread_mutex_lock(&counters);
    int i = 0;
    while (i < n_kinds && strcmp(kinds[i].kind, kind) != 0) {
        ++i;
    }
    if (i == n_kinds) {
        if (n_kinds == MAX_KINDS) {
            gs_fatal("more than %d kinds of objects", MAX_KINDS);
        }
        kinds[n_kinds++].kind = kind;
    }
    kinds[i].live += change;
    pthread_mutex_unlock(&counters);
}

bool gs_device_range(const void *address, size_t bytes, const char *where, const char *what) {
    const char *why = NULL;
    if (bytes == 0 || gs_memory_valid(address, bytes, &why)) {
        return true;
    }
    GS_WRONG_CALL(where, "%s (%p, %zu bytes): %s", what, address, bytes, why);
    return false;
}

/* What is still alive when the program ends is a leak. */
__attribute__((destructor)) static void at_end(void) {
    for (int i = 0; i < n_kinds; ++i) {
        if (kinds[i].live > 0) {
            gs_report_host(GS_LEAK, "end of the program", "%d %s never destroyed", kinds[i].live, kinds[i].kind);
        }
    }
    gs_memory_report_leaks();
    if (gs_memory_live() > 0) {
        gs_report_host(GS_LEAK, "end of the program", "%d device allocations never freed", gs_memory_live());
    }
    gs_report_calls(gs_call_count);
    gs_finish();
}

GS_EXPORT cudaError_t cudaGetLastError(void) {
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

GS_EXPORT cudaError_t cudaPeekAtLastError(void) {
    return last_error;
}

static const struct {
    cudaError_t code;
    const char *name, *text;
} ERRORS[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorInvalidSymbol, "cudaErrorInvalidSymbol", "invalid device symbol"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorIllegalState, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
    {cudaErrorGraphExecUpdateFailure, "cudaErrorGraphExecUpdateFailure",
     "the graph update was not performed because it included changes which violated constraints specific to "
     "instantiated graph update"},
};

GS_EXPORT const char *cudaGetErrorName(cudaError_t error) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof ERRORS[0]; ++i) {
        if (ERRORS[i].code == error) {
            return ERRORS[i].name;
        }
    }
    return "unrecognized error code";
}

GS_EXPORT const char *cudaGetErrorString(cudaError_t error) {
    for (size_t i = 0; i < sizeof ERRORS / sizeof ERRORS[0]; ++i) {
        if (ERRORS[i].code == error) {
            return ERRORS[i].text;
        }
    }
    return "unrecognized error code";
}
