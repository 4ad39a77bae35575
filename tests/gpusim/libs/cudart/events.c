/* Events: recorded in one stream, waited for by others and by the host. */
#include <stdlib.h>

#include "cudart.h"

static struct CUevent_st *events;

static struct CUevent_st *event_of(cudaEvent_t event, const char *where) {
    for (struct CUevent_st *e = events; e != NULL; e = e->next) {
        if (e == event) {
            return e;
        }
    }
    GS_WRONG_CALL(where, "%p is no event, or one that was destroyed", (void *)event);
    return NULL;
}

GS_EXPORT cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    if (gs_call_fails("cudaEventCreate")) {
        return gs_result(cudaErrorMemoryAllocation);
    }
    struct CUevent_st *e = calloc(1, sizeof *e);
    if (e == NULL) {
        gs_fatal("no memory for an event");
    }
    e->flags = flags;
    gs_lock();
    e->next = events;
    events = e;
    gs_unlock();
    gs_live("events", 1);
    *event = e;
    return cudaSuccess;
}

GS_EXPORT cudaError_t cudaEventCreate(cudaEvent_t *event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

GS_EXPORT cudaError_t cudaEventDestroy(cudaEvent_t event) {
    gs_lock();
    struct CUevent_st *e = event_of(event, "cudaEventDestroy"), **link = &events;
    if (e != NULL) {
        gs_stream_finish_all(); /* queues may name it */
        while (*link != e) {
            link = &(*link)->next;
        }
        *link = e->next;
        free(e);
        gs_live("events", -1);
    }
    gs_unlock();
    return gs_result(e == NULL ? cudaErrorInvalidResourceHandle : cudaSuccess);
}

static cudaError_t submit_event(cudaEvent_t event, cudaStream_t stream, bool waits, const char *name) {
    if (gs_call_fails(name)) {
        return gs_result(cudaErrorLaunchFailure);
    }
    gs_lock();
    struct CUevent_st *e = event_of(event, name);
    struct CUstream_st *s = gs_stream_of(stream, name);
    if (e == NULL || s == NULL) {
        gs_unlock();
        return gs_result(cudaErrorInvalidResourceHandle);
    }
    if (s->capture != NULL) {
        gs_fatal("%s: events inside a captured stream are not simulated", name);
    }
    gs_work *work = gs_work_new(name, NULL, NULL, 0, NULL);
    work->event = e;
    work->waits = waits;
    if (!waits) {
        if (e->stream != s) {
            gs_event_reach(e, e->recorded); /* so that its recordings come about in their order */
        }
        e->stream = s;
        ++e->recorded;
    }
    work->wanted = e->recorded;
    gs_stream_append(s, work);
    gs_unlock();
    return cudaSuccess;
}

GS_EXPORT cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return submit_event(event, stream, false, "cudaEventRecord");
}

GS_EXPORT cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    (void)flags;
    return submit_event(event, stream, true, "cudaStreamWaitEvent");
}

GS_EXPORT cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    gs_lock();
    struct CUevent_st *e = event_of(event, "cudaEventSynchronize");
    if (e != NULL) {
        gs_event_reach(e, e->recorded);
    }
    gs_unlock();
    return gs_result(e == NULL ? cudaErrorInvalidResourceHandle : cudaSuccess);
}

GS_EXPORT cudaError_t cudaEventQuery(cudaEvent_t event) {
    gs_lock();
    const struct CUevent_st *e = event_of(event, "cudaEventQuery");
    const cudaError_t result = e == NULL                ? cudaErrorInvalidResourceHandle
                               : e->done == e->recorded ? cudaSuccess
                                                        : cudaErrorNotReady;
    gs_unlock();
    return result;
}

GS_EXPORT cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    static const char NAME[] = "cudaEventElapsedTime";
    gs_lock();
    const struct CUevent_st *a = event_of(begin, NAME), *b = event_of(end, NAME);
    cudaError_t result = a == NULL || b == NULL ? cudaErrorInvalidResourceHandle : cudaSuccess;
    if (result == cudaSuccess && (a->recorded == 0 || b->recorded == 0)) {
        GS_WRONG_CALL(NAME, "an event was never recorded");
        result = cudaErrorInvalidResourceHandle;
    } else if (result == cudaSuccess && (a->done < a->recorded || b->done < b->recorded)) {
        result = cudaErrorNotReady;
    } else if (result == cudaSuccess) {
        *milliseconds = (float)(1e3 * (b->time - a->time));
    }
    gs_unlock();
    return gs_result(result);
}
