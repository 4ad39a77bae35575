/* Streams as queues. With streams=lazy, the default, work waits until something waits for it: a stream or device
 * synchronisation, a copy that blocks, an event that is asked for. Work of other streams is then left undone as long as
 * nothing orders it before, so that a missing event shows as wrong data instead of lying hidden behind good luck.
 *
 * The default stream (0) follows the legacy rule: it waits for all streams made without cudaStreamNonBlocking, and they
 * for it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cudart.h"

static struct CUstream_st *streams;
static struct CUstream_st default_stream = {.last = &default_stream.first};

gs_work *gs_work_new(const char *where, gs_work_run run, const void *data, size_t size, const void *shape) {
    gs_work *work = calloc(1, sizeof *work);
    if (work == NULL || (size > 0 && (work->data = malloc(size)) == NULL)) {
        gs_fatal("no memory for the work of %s", where);
    }
    if (size > 0) {
        memcpy(work->data, data, size);
    }
    work->run = run;
    work->size = size;
    work->shape = shape;
    work->where = where;
    return work;
}

void gs_work_free(gs_work *list) {
    while (list != NULL) {
        gs_work *next = list->next;
        free(list->data);
        free(list);
        list = next;
    }
}

struct CUstream_st *gs_stream_of(cudaStream_t stream, const char *where) {
    if (stream == NULL || stream == cudaStreamLegacy) {
        return &default_stream;
    }
    for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
        if (s == stream) {
            return s;
        }
    }
    GS_WRONG_CALL(where, "%p is no stream, or one that was destroyed", (void *)stream);
    return NULL;
}

bool gs_stream_alive(cudaStream_t stream, const char *where) {
    return gs_stream_of(stream, where) != NULL;
}

bool gs_stream_capturing(cudaStream_t stream) {
    const struct CUstream_st *s = gs_stream_of(stream, "capture");
    return s != NULL && s->capture != NULL;
}

bool gs_capture_forbids(const char *where) {
    for (const struct CUstream_st *s = streams; s != NULL; s = s->next) {
        if (s->capture != NULL && s->mode != cudaStreamCaptureModeRelaxed) {
            GS_WRONG_CALL(where, "is not permitted while a stream is captured");
            return true;
        }
    }
    return false;
}

/* ---- running --------------------------------------------------------------------------------------------- */

static void pop(struct CUstream_st *s) {
    gs_work *work = s->first;
    s->first = work->next;
    if (s->first == NULL) {
        s->last = &s->first;
    }
    work->next = NULL;
    if (work->event != NULL && work->waits) {
        struct CUstream_st *other = work->event->stream;
        while (work->event->done < work->wanted && other != NULL && other->first != NULL && !other->running) {
            other->running = true;
            pop(other);
            other->running = false;
        }
        if (work->event->done < work->wanted) {
            GS_WRONG_CALL("cudaStreamWaitEvent", "the event waits for the stream that waits for it");
        }
    } else if (work->event != NULL) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        work->event->done = work->wanted;
        work->event->time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    } else {
        work->run(work->data);
    }
    gs_work_free(work);
}

void gs_stream_finish(struct CUstream_st *s) {
    if (s->running) {
        return;
    }
    s->running = true;
    while (s->first != NULL) {
        pop(s);
    }
    s->running = false;
}

/* With random order the streams take turns by chance; otherwise the youngest comes first. */
void gs_stream_finish_all(void) {
    for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
        gs_stream_finish(s);
    }
    gs_stream_finish(&default_stream);
}

static void finish_blocking(void) {
    for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
        if ((s->flags & cudaStreamNonBlocking) == 0) {
            gs_stream_finish(s);
        }
    }
}

static void append(struct CUstream_st *s, gs_work *work) {
    if (s == &default_stream) {
        finish_blocking();
    } else if ((s->flags & cudaStreamNonBlocking) == 0) {
        gs_stream_finish(&default_stream);
    }
    *s->last = work;
    s->last = &work->next;
    if (!gs_get_options()->lazy_streams || s == &default_stream) {
        gs_stream_finish(s);
    }
}

cudaError_t gs_submit(cudaStream_t stream, const char *where, gs_work_run run, const void *data, size_t size,
                      const void *shape) {
    struct CUstream_st *s = gs_stream_of(stream, where);
    if (s == NULL) {
        return cudaErrorInvalidResourceHandle;
    }
    gs_work *work = gs_work_new(where, run, data, size, shape);
    if (s->capture != NULL) {
        *s->capture->last = work;
        s->capture->last = &work->next;
        ++s->capture->n_nodes;
    } else {
        append(s, work);
    }
    return cudaSuccess;
}

/* ---- streams ----------------------------------------------------------------------------------------------- */

static cudaError_t create(cudaStream_t *stream, unsigned flags, const char *name) {
    if (gs_call_fails(name)) {
        return gs_result(cudaErrorMemoryAllocation);
    }
    if (stream == NULL || (flags & ~(unsigned)cudaStreamNonBlocking) != 0) {
        GS_WRONG_CALL(name, "stream %p, flags %u", (void *)stream, flags);
        return gs_result(cudaErrorInvalidValue);
    }
    struct CUstream_st *s = calloc(1, sizeof *s);
    if (s == NULL) {
        gs_fatal("no memory for a stream");
    }
    s->last = &s->first;
    s->flags = flags;
    gs_lock();
    s->next = streams;
    streams = s;
    gs_unlock();
    gs_live("streams", 1);
    *stream = s;
    return cudaSuccess;
}

GS_EXPORT cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    return create(stream, 0, "cudaStreamCreate");
}

GS_EXPORT cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    return create(stream, flags, "cudaStreamCreateWithFlags");
}

GS_EXPORT cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority) {
    (void)priority;
    return create(stream, flags, "cudaStreamCreateWithPriority");
}

/* Work that is still queued is done first, as the real one does. */
GS_EXPORT cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    static const char NAME[] = "cudaStreamDestroy";
    gs_lock();
    struct CUstream_st *s = stream == NULL ? NULL : gs_stream_of(stream, NAME), **link = &streams;
    if (s == NULL) {
        gs_unlock();
        return gs_result(cudaErrorInvalidResourceHandle);
    }
    if (s->capture != NULL) {
        GS_WRONG_CALL(NAME, "the stream is being captured");
    }
    gs_stream_finish(s);
    while (*link != s) {
        link = &(*link)->next;
    }
    *link = s->next;
    free(s);
    gs_unlock();
    gs_live("streams", -1);
    return cudaSuccess;
}

static cudaError_t synchronize(cudaStream_t stream, const char *name) {
    if (gs_call_fails(name)) {
        return gs_result(cudaErrorLaunchFailure);
    }
    gs_lock();
    struct CUstream_st *s = gs_stream_of(stream, name);
    cudaError_t result = s == NULL ? cudaErrorInvalidResourceHandle : cudaSuccess;
    if (s != NULL && s->capture != NULL) {
        GS_WRONG_CALL(name, "is not permitted while the stream is captured");
        result = cudaErrorStreamCaptureUnsupported;
    } else if (s != NULL) {
        gs_stream_finish(s);
    }
    gs_unlock();
    return gs_result(result);
}

GS_EXPORT cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    return synchronize(stream, "cudaStreamSynchronize");
}

GS_EXPORT cudaError_t cudaStreamQuery(cudaStream_t stream) {
    gs_lock();
    const struct CUstream_st *s = gs_stream_of(stream, "cudaStreamQuery");
    const cudaError_t result = s == NULL          ? cudaErrorInvalidResourceHandle
                               : s->first == NULL ? cudaSuccess
                                                  : cudaErrorNotReady;
    gs_unlock();
    return result;
}

GS_EXPORT cudaError_t cudaDeviceSynchronize(void) {
    static const char NAME[] = "cudaDeviceSynchronize";
    if (gs_call_fails(NAME)) {
        return gs_result(cudaErrorLaunchFailure);
    }
    gs_lock();
    const bool forbidden = gs_capture_forbids(NAME);
    if (!forbidden) {
        gs_stream_finish_all();
    }
    gs_unlock();
    return gs_result(forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess);
}

/* ---- events ------------------------------------------------------------------------------------------------ */

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
        e->stream = s;
        ++e->recorded;
    }
    work->wanted = e->recorded;
    append(s, work);
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
    if (e != NULL && e->done < e->recorded && e->stream != NULL) {
        gs_stream_finish(e->stream);
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
