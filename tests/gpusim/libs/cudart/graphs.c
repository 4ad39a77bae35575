/* Stream capture and graphs: a graph is the list of what one stream was given between begin and end. */
#include <stdlib.h>
#include <string.h>

#include "cudart.h"

static struct CUgraph_st *graphs;
static struct CUgraphExec_st *ready_graphs;

GS_EXPORT cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    static const char NAME[] = "cudaStreamBeginCapture";
    if (gs_call_fails(NAME)) {
        return gs_result(cudaErrorIllegalState);
    }
    gs_lock();
    struct CUstream_st *s = gs_stream_of(stream, NAME);
    cudaError_t result = s == NULL ? cudaErrorInvalidResourceHandle : cudaSuccess;
    if (s != NULL && (stream == NULL || s->capture != NULL)) {
        GS_WRONG_CALL(NAME, stream == NULL ? "the default stream cannot be captured" : "the stream is being captured");
        result = stream == NULL ? cudaErrorStreamCaptureUnsupported : cudaErrorIllegalState;
    } else if (s != NULL) {
        s->capture = calloc(1, sizeof *s->capture);
        if (s->capture == NULL) {
            gs_fatal("no memory for a graph");
        }
        s->capture->last = &s->capture->first;
        s->mode = mode;
    }
    gs_unlock();
    return gs_result(result);
}

GS_EXPORT cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    static const char NAME[] = "cudaStreamEndCapture";
    *graph = NULL;
    gs_lock();
    struct CUstream_st *s = gs_stream_of(stream, NAME);
    cudaError_t result = s == NULL ? cudaErrorInvalidResourceHandle : cudaSuccess;
    if (s != NULL && s->capture == NULL) {
        GS_WRONG_CALL(NAME, "the stream is not being captured");
        result = cudaErrorIllegalState;
    } else if (s != NULL) {
        struct CUgraph_st *made = s->capture;
        s->capture = NULL;
        if (gs_call_fails(NAME)) {
            gs_work_free(made->first);
            free(made);
            result = cudaErrorStreamCaptureInvalidated;
        } else {
            made->next = graphs;
            graphs = made;
            gs_live("graphs", 1);
            *graph = made;
        }
    }
    gs_unlock();
    return gs_result(result);
}

GS_EXPORT cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    gs_lock();
    const struct CUstream_st *s = gs_stream_of(stream, "cudaStreamIsCapturing");
    *status = s != NULL && s->capture != NULL ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    gs_unlock();
    return gs_result(s == NULL ? cudaErrorInvalidResourceHandle : cudaSuccess);
}

/* ---- graphs ------------------------------------------------------------------------------------------------ */

static struct CUgraph_st **graph_link(cudaGraph_t graph, const char *where) {
    struct CUgraph_st **link = &graphs;
    while (*link != NULL && *link != graph) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        GS_WRONG_CALL(where, "%p is no graph, or one that was destroyed", (void *)graph);
        return NULL;
    }
    return link;
}

static struct CUgraphExec_st **ready_link(cudaGraphExec_t graph, const char *where) {
    struct CUgraphExec_st **link = &ready_graphs;
    while (*link != NULL && *link != graph) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        GS_WRONG_CALL(where, "%p is no executable graph, or one that was destroyed", (void *)graph);
        return NULL;
    }
    return link;
}

static gs_work *copy_of(const gs_work *list) {
    gs_work *first = NULL, **last = &first;
    for (; list != NULL; list = list->next) {
        *last = gs_work_new(list->where, list->run, list->data, list->size, list->shape);
        last = &(*last)->next;
    }
    return first;
}

GS_EXPORT cudaError_t cudaGraphInstantiate(cudaGraphExec_t *ready, cudaGraph_t graph, unsigned long long flags) {
    static const char NAME[] = "cudaGraphInstantiate";
    (void)flags;
    if (gs_call_fails(NAME)) {
        return gs_result(cudaErrorMemoryAllocation);
    }
    gs_lock();
    struct CUgraph_st **link = graph_link(graph, NAME);
    if (link != NULL) {
        struct CUgraphExec_st *made = calloc(1, sizeof *made);
        if (made == NULL) {
            gs_fatal("no memory for a graph");
        }
        made->first = copy_of(graph->first);
        made->n_nodes = graph->n_nodes;
        made->next = ready_graphs;
        ready_graphs = made;
        gs_live("executable graphs", 1);
        *ready = made;
    }
    gs_unlock();
    return gs_result(link == NULL ? cudaErrorInvalidValue : cudaSuccess);
}

/* Nodes may change what they work on, not what they are. */
static bool same_shape(const gs_work *a, const gs_work *b) {
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        if (a->shape != b->shape || a->run != b->run) {
            return false;
        }
    }
    return a == NULL && b == NULL;
}

GS_EXPORT cudaError_t cudaGraphExecUpdate(cudaGraphExec_t ready, cudaGraph_t graph,
                                          cudaGraphExecUpdateResultInfo *info) {
    static const char NAME[] = "cudaGraphExecUpdate";
    if (gs_call_fails(NAME)) {
        return gs_result(cudaErrorGraphExecUpdateFailure);
    }
    gs_lock();
    cudaError_t result = cudaErrorInvalidValue;
    memset(info, 0, sizeof *info);
    if (ready_link(ready, NAME) != NULL && graph_link(graph, NAME) != NULL) {
        if (same_shape(ready->first, graph->first)) {
            gs_work_free(ready->first);
            ready->first = copy_of(graph->first);
            info->result = cudaGraphExecUpdateSuccess;
            result = cudaSuccess;
        } else {
            info->result = cudaGraphExecUpdateErrorTopologyChanged;
            result = cudaErrorGraphExecUpdateFailure;
        }
    }
    gs_unlock();
    return gs_result(result);
}

GS_EXPORT cudaError_t cudaGraphLaunch(cudaGraphExec_t ready, cudaStream_t stream) {
    static const char NAME[] = "cudaGraphLaunch";
    if (gs_call_fails(NAME)) {
        return gs_result(cudaErrorLaunchFailure);
    }
    gs_lock();
    cudaError_t result = ready_link(ready, NAME) == NULL ? cudaErrorInvalidValue : cudaSuccess;
    if (result == cudaSuccess && gs_stream_alive(stream, NAME) && gs_stream_capturing(stream)) {
        gs_fatal("%s: a graph inside a captured stream is not simulated", NAME);
    }
    for (const gs_work *w = result == cudaSuccess ? ready->first : NULL; w != NULL && result == cudaSuccess;
         w = w->next) {
        result = gs_submit(stream, w->where, w->run, w->data, w->size, w->shape);
    }
    gs_unlock();
    return gs_result(result);
}

GS_EXPORT cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    gs_lock();
    struct CUgraph_st **link = graph_link(graph, "cudaGraphDestroy");
    if (link != NULL) {
        *link = graph->next;
        gs_work_free(graph->first);
        free(graph);
        gs_live("graphs", -1);
    }
    gs_unlock();
    return gs_result(link == NULL ? cudaErrorInvalidValue : cudaSuccess);
}

GS_EXPORT cudaError_t cudaGraphExecDestroy(cudaGraphExec_t ready) {
    gs_lock();
    struct CUgraphExec_st **link = ready_link(ready, "cudaGraphExecDestroy");
    if (link != NULL) {
        *link = ready->next;
        gs_work_free(ready->first);
        free(ready);
        gs_live("executable graphs", -1);
    }
    gs_unlock();
    return gs_result(link == NULL ? cudaErrorInvalidValue : cudaSuccess);
}
