/* The cuda target: one GPU, one stream, cuBLAS and cuDNN handles bound to it. */
#include "device_cuda.h"
#include "handsoff/dry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CUBLAS_WORKSPACE = 32 << 20 }; /* what NVIDIA recommends for Hopper; more than others need */

/* The number of GPUs. Without a driver the call fails and leaves the count as it was. */
static ho_status count_gpus(int *count) {
    *count = 0;
    const cudaError_t found = cudaGetDeviceCount(count);
    if (found != cudaSuccess || *count < 1) {
        HO_FAIL(HO_EDEVICE, "no usable GPU: %s", found != cudaSuccess ? cudaGetErrorString(found) : "none is visible");
    }
    return HO_OK;
}

ho_status ho_device_list(char *text, size_t size) {
    int count = 0, driver = 0, runtime = 0;
    size_t used = 0;
    HO_TRY(count_gpus(&count));
    CUDA_TRY(cudaDriverGetVersion(&driver));
    CUDA_TRY(cudaRuntimeGetVersion(&runtime));
    text[0] = '\0';
    for (int i = 0; i < count && used < size; ++i) {
        struct cudaDeviceProp p;
        CUDA_TRY(cudaGetDeviceProperties(&p, i));
        used += (size_t)snprintf(text + used, size - used, "cuda %d: %s, %.0f GB, compute capability %d.%d\n", i,
                                 p.name, (double)p.totalGlobalMem / 1073741824.0, p.major, p.minor);
    }
    if (used < size) {
        snprintf(text + used, size - used, "cuda: driver for CUDA %d.%d, runtime %d.%d, cuDNN %zu\n", driver / 1000,
                 driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10, cudnnGetVersion());
    }
    return HO_OK;
}

/* Everything after the allocation of `device`; on failure the caller closes it. */
static ho_status open_gpu(ho_device *device, int index) {
    int count = 0;
    HO_TRY(count_gpus(&count));
    if (index < 0 || index >= count) {
        HO_FAIL(HO_EDEVICE, "GPU %d was asked for, this machine has %d", index, count);
    }
    CUDA_TRY(cudaSetDevice(index));
    struct cudaDeviceProp properties;
    CUDA_TRY(cudaGetDeviceProperties(&properties, index));
    snprintf(device->name, sizeof device->name, "cuda %d (%s, %.0f GB)", index, properties.name,
             (double)properties.totalGlobalMem / 1073741824.0);
    CUDA_TRY(cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking));
    CUBLAS_TRY(cublasCreate(&device->cublas));
    CUBLAS_TRY(cublasSetStream(device->cublas, device->stream));
    /* A workspace of ours: cuBLAS would allocate one for each call of a step that is being recorded. */
    CUDA_TRY(cudaMalloc(&device->cublas_workspace, CUBLAS_WORKSPACE));
    CUBLAS_TRY(cublasSetWorkspace(device->cublas, device->cublas_workspace, CUBLAS_WORKSPACE));
    HO_TRY(ho_device_set_precision(device, HO_PRECISION_TF32, true));
    /* Atomics off: two runs agree bit for bit. */
    CUBLAS_TRY(cublasSetAtomicsMode(device->cublas, CUBLAS_ATOMICS_NOT_ALLOWED));
    CUDNN_TRY(cudnnCreate(&device->cudnn));
    CUDNN_TRY(cudnnSetStream(device->cudnn, device->stream));
    return HO_OK;
}

ho_status ho_device_open(int n_threads, int index, ho_device **device) {
    (void)n_threads;
    ho_device *opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate the device");
    }
    const ho_status status = open_gpu(opened, index);
    if (status != HO_OK) {
        ho_device_close(opened);
        return status;
    }
    *device = opened;
    return HO_OK;
}

void ho_device_close(ho_device *device) {
    if (device == NULL) {
        return;
    }
    ho_cuda_conv_close(device);
    ho_cuda_graph_close(device);
    for (int i = 0; i < device->n_outgrown; ++i) {
        cudaFree(device->outgrown[i]);
    }
    free(device->outgrown);
    if (device->cudnn != NULL) {
        cudnnDestroy(device->cudnn);
    }
    if (device->cublas != NULL) {
        cublasDestroy(device->cublas);
    }
    if (device->workspace != NULL) {
        cudaFree(device->workspace);
    }
    if (device->cublas_workspace != NULL) {
        cudaFree(device->cublas_workspace);
    }
    if (device->stream != NULL) {
        cudaStreamDestroy(device->stream);
    }
    free(device->allocations);
    free(device);
}

const char *ho_device_name(const ho_device *device) {
    return device->name;
}

ho_stream ho_device_stream(const ho_device *device) {
    return device->stream;
}

static ho_status remember(ho_device *device, void *at, size_t bytes) {
    if (device->n_allocations == device->room) {
        const int room = device->room == 0 ? 64 : 2 * device->room;
        allocation *grown = realloc(device->allocations, (size_t)room * sizeof *grown);
        if (grown == NULL) {
            HO_FAIL(HO_EMEMORY, "cannot allocate the list of %d device blocks", room);
        }
        device->allocations = grown;
        device->room = room;
    }
    device->allocations[device->n_allocations++] = (allocation){at, bytes};
    device->bytes += bytes;
    device->peak_bytes = device->bytes > device->peak_bytes ? device->bytes : device->peak_bytes;
    return HO_OK;
}

ho_status ho_device_alloc(ho_device *device, size_t bytes, void **memory) {
    void *at = NULL;
    const cudaError_t result = cudaMalloc(&at, bytes == 0 ? 1 : bytes);
    if (result != cudaSuccess) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %.1f MB on the GPU (%.1f MB are in use): %s", (double)bytes / 1048576.0,
                (double)device->bytes / 1048576.0, cudaGetErrorString(result));
    }
    const ho_status status = remember(device, at, bytes);
    if (status != HO_OK) {
        cudaFree(at);
        return status;
    }
    *memory = at;
    return HO_OK;
}

void ho_cuda_note(ho_device *device, const char *call, cudaError_t result) {
    if (result != cudaSuccess && device->failure[0] == '\0') {
        snprintf(device->failure, sizeof device->failure, "%s: %s", call, cudaGetErrorString(result));
    }
}

void ho_device_free(ho_device *device, void *memory) {
    if (memory == NULL) {
        return;
    }
    for (int i = device->n_allocations - 1; i >= 0; --i) {
        if (device->allocations[i].at == memory) {
            device->bytes -= device->allocations[i].bytes;
            device->allocations[i] = device->allocations[--device->n_allocations];
            break;
        }
    }
    ho_cuda_note(device, "cudaFree", cudaFree(memory)); /* may tell of earlier work that failed */
}

/* An outgrown workspace is freed with the device: work that was recorded before may name it. */
static ho_status keep_outgrown(ho_device *device) {
    void **grown = realloc(device->outgrown, (size_t)(device->n_outgrown + 1) * sizeof *grown);
    if (grown == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate the list of %d workspaces", device->n_outgrown + 1);
    }
    device->outgrown = grown;
    device->outgrown[device->n_outgrown++] = device->workspace;
    device->workspace = NULL;
    device->workspace_bytes = 0;
    return HO_OK;
}

ho_status ho_cuda_workspace(ho_device *device, size_t bytes, void **workspace) {
    if (bytes > device->workspace_bytes) {
        if (device->workspace != NULL) {
            HO_TRY(keep_outgrown(device));
        }
        CUDA_TRY(cudaMalloc(&device->workspace, bytes));
        device->workspace_bytes = bytes;
    }
    *workspace = device->workspace;
    return HO_OK;
}

ho_status ho_device_upload(ho_device *device, void *to, const void *host, size_t bytes) {
    if (device->recording) {
        void *staged = NULL;
        HO_TRY(ho_cuda_stage(device, host, bytes, &staged));
        CUDA_TRY(cudaMemcpyAsync(to, staged, bytes, cudaMemcpyHostToDevice, device->stream));
        return HO_OK;
    }
    CUDA_TRY(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, device->stream));
    /* The caller may reuse its memory at once. */
    CUDA_TRY(cudaStreamSynchronize(device->stream));
    return HO_OK;
}

ho_status ho_device_download(ho_device *device, void *host, const void *from, size_t bytes) {
    if (device->recording) {
        HO_FAIL(HO_EDEVICE, "a recorded step cannot be read from before its end");
    }
    CUDA_TRY(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, device->stream));
    CUDA_TRY(cudaStreamSynchronize(device->stream));
    return HO_OK;
}

ho_status ho_device_copy(ho_device *device, void *to, const void *from, size_t bytes) {
    CUDA_TRY(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, device->stream));
    return HO_OK;
}

ho_status ho_device_zero(ho_device *device, void *memory, size_t bytes) {
    CUDA_TRY(cudaMemsetAsync(memory, 0, bytes, device->stream));
    return HO_OK;
}

/* cuDNN reads the weights as they lie: nothing is derived. */
ho_status ho_device_hold(ho_device *device, const void *memory, size_t bytes, bool on) {
    (void)device, (void)memory, (void)bytes, (void)on;
    return HO_OK;
}

void ho_device_changed(ho_device *device, const void *memory, size_t bytes) {
    (void)device, (void)memory, (void)bytes;
}

ho_status ho_device_sync(ho_device *device) {
    if (device->failure[0] != '\0') {
        HO_FAIL(HO_EDEVICE, "%s", device->failure);
    }
    CUDA_TRY(cudaStreamSynchronize(device->stream));
    return HO_OK;
}

void ho_device_touch(ho_device *device, const void *memory, size_t bytes) {
    (void)device, (void)memory, (void)bytes;
}

/* Counting is the cpu target's, for both. */
ho_status ho_device_open_dry(ho_dry_target target, int n_threads, ho_device **device) {
    (void)target, (void)n_threads, (void)device;
    HO_FAIL(HO_EDEVICE, "the cuda target has no device that counts: the cpu target counts for both");
}

ho_dry_count ho_device_dry_count(const ho_device *device) {
    (void)device;
    return (ho_dry_count){0.0, 0.0, 0.0};
}

void ho_device_dry_restart(ho_device *device) {
    (void)device;
}

size_t ho_device_bytes(const ho_device *device) {
    return device->bytes;
}

size_t ho_device_peak_bytes(const ho_device *device) {
    return device->peak_bytes;
}

int ho_device_lanes(const ho_device *device) {
    (void)device;
    return 1;
}

ho_status ho_device_each(ho_device *device, int64_t count, ho_status (*work)(void *state, int64_t i, int lane),
                         void *state) {
    (void)device;
    for (int64_t i = 0; i < count; ++i) {
        HO_TRY(work(state, i, 0));
    }
    return HO_OK;
}
