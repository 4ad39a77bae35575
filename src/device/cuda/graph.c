/* CUDA graphs: a step captured once and replayed. */
#include "device_cuda.h"

bool ho_device_graphs_supported(const ho_device *device) {
    (void)device;
    return true;
}

ho_status ho_device_graph_begin(ho_device *device) {
    CUDA_TRY(cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal));
    return HO_OK;
}

ho_status ho_device_graph_end(ho_device *device, void **graph) {
    cudaGraph_t captured = NULL;
    CUDA_TRY(cudaStreamEndCapture(device->stream, &captured));
    cudaGraphExec_t ready = NULL;
    const cudaError_t result = cudaGraphInstantiate(&ready, captured, 0);
    cudaGraphDestroy(captured);
    CUDA_TRY(result);
    *graph = ready;
    return HO_OK;
}

ho_status ho_device_graph_replay(ho_device *device, void *graph) {
    CUDA_TRY(cudaGraphLaunch((cudaGraphExec_t)graph, device->stream));
    return HO_OK;
}

void ho_device_graph_free(ho_device *device, void *graph) {
    (void)device;
    if (graph != NULL) {
        cudaGraphExecDestroy((cudaGraphExec_t)graph);
    }
}
