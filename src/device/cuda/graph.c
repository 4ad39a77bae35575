/* Steps as CUDA graphs. Every step is captured, which costs less than launching it, and the graph of the step before is
 * updated: what changes from step to step - step sizes, random counters, host data - are then arguments like any other.
 * Host data that a step uploads is copied to pinned memory, where the graph finds it when it runs. */
#include "device_cuda.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 20, ALIGNMENT = 256 };

/* What *graph points to. */
typedef struct {
    cudaGraphExec_t ready; /* NULL before the second step */
} step_graph;

/* Pinned host memory for uploads of the step that is being captured; kept from step to step. */
struct staging {
    staging *next;
    size_t used, bytes;
    void *memory;
};

void ho_cuda_graph_close(ho_device *device) {
    for (staging *s = device->staging; s != NULL;) {
        staging *next = s->next;
        cudaFreeHost(s->memory);
        free(s);
        s = next;
    }
    device->staging = NULL;
}

static ho_status new_staging(ho_device *device, size_t bytes, staging **made) {
    staging *s = calloc(1, sizeof *s);
    if (s == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the uploads of a step");
    }
    s->bytes = bytes > CHUNK ? bytes : CHUNK;
    const cudaError_t result = cudaMallocHost(&s->memory, s->bytes);
    if (result != cudaSuccess) {
        free(s);
        HO_FAIL(HO_EMEMORY, "cannot allocate %.1f MB of pinned memory: %s", (double)bytes / 1048576.0,
                cudaGetErrorString(result));
    }
    s->next = device->staging;
    device->staging = s;
    *made = s;
    return HO_OK;
}

ho_status ho_cuda_stage(ho_device *device, const void *host, size_t bytes, void **staged) {
    staging *s = device->staging;
    while (s != NULL && s->bytes - s->used < bytes) {
        s = s->next;
    }
    if (s == NULL) {
        HO_TRY(new_staging(device, bytes, &s));
    }
    *staged = (char *)s->memory + s->used;
    memcpy(*staged, host, bytes);
    s->used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    s->used = s->used < s->bytes ? s->used : s->bytes;
    return HO_OK;
}

void ho_device_use_graphs(ho_device *device, bool on) {
    device->no_graphs = !on;
}

/* The mode is relaxed: an arena may still have to grow while a step is captured. */
ho_status ho_device_record_begin(ho_device *device, void **graph) {
    if (device->no_graphs || *graph == NULL) {
        return HO_OK;
    }
    CUDA_TRY(cudaStreamSynchronize(device->stream)); /* the step before has read its staged data */
    for (staging *s = device->staging; s != NULL; s = s->next) {
        s->used = 0;
    }
    CUDA_TRY(cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeRelaxed));
    device->recording = true;
    return HO_OK;
}

/* Brings the graph of the step before up to date, or makes it anew. */
static ho_status make_ready(step_graph *step, cudaGraph_t captured) {
    if (step->ready != NULL) {
        cudaGraphExecUpdateResultInfo info;
        if (cudaGraphExecUpdate(step->ready, captured, &info) == cudaSuccess) {
            return HO_OK;
        }
        (void)cudaGetLastError(); /* other operations than before: no failure */
        const cudaGraphExec_t old = step->ready;
        step->ready = NULL;
        CUDA_TRY(cudaGraphExecDestroy(old));
    }
    CUDA_TRY(cudaGraphInstantiate(&step->ready, captured, 0));
    return HO_OK;
}

static ho_status first_step(void **graph, ho_status status) {
    if (status == HO_OK) {
        *graph = calloc(1, sizeof(step_graph));
        if (*graph == NULL) {
            HO_FAIL(HO_EMEMORY, "no memory for the graph of a step");
        }
    }
    return status;
}

ho_status ho_device_record_end(ho_device *device, void **graph, ho_status status) {
    if (!device->recording) {
        return device->no_graphs || *graph != NULL ? status : first_step(graph, status);
    }
    cudaGraph_t captured = NULL;
    const cudaError_t ended = cudaStreamEndCapture(device->stream, &captured);
    device->recording = false;
    if (status == HO_OK && ended != cudaSuccess) {
        status = ho_fail(HO_EDEVICE, __FILE__, __LINE__, "cudaStreamEndCapture: %s", cudaGetErrorString(ended));
    }
    if (status == HO_OK) {
        status = make_ready(*graph, captured);
    }
    if (captured != NULL) {
        cudaGraphDestroy(captured);
    }
    HO_TRY(status);
    CUDA_TRY(cudaGraphLaunch(((step_graph *)*graph)->ready, device->stream));
    return HO_OK;
}

void ho_device_graph_free(ho_device *device, void *graph) {
    if (graph == NULL) {
        return;
    }
    ho_cuda_note(device, "cudaStreamSynchronize", cudaStreamSynchronize(device->stream));
    if (((step_graph *)graph)->ready != NULL) {
        cudaGraphExecDestroy(((step_graph *)graph)->ready);
    }
    free(graph);
}
