/* Streams as queues. With streams=lazy, the default, work waits until something waits for it: a stream or device
 * synchronisation, a copy that blocks, an event that is asked for. Work of other streams is then left undone as long as
 * nothing orders it before, so that a missing event shows as wrong data instead of lying hidden behind good luck; where
 * all must be done, the youngest stream comes first.
 *
 * In random order (GPUSIM=order=random,seed=N) every order that the calls allow may come about: after each call some
 * steps are taken, and until what is waited for is done, steps of any streams, drawn by chance. The seed is in the last
 * line that the simulator prints.
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

static bool waits_in_vain(const gs_work *work) {
    return work->event != NULL && work->waits && work->event->done < work->wanted;
}

/* The next of the stream's queue is done; `running` stays set meanwhile, so that nothing comes back to the stream. */
static void pop(struct CUstream_st *s) {
    gs_work *work = s->first;
    s->first = work->next;
    if (s->first == NULL) {
        s->last = &s->first;
    }
    work->next = NULL;
    s->running = true;
    if (work->event != NULL && work->waits) {
        gs_event_reach(work->event, work->wanted);
        if (waits_in_vain(work)) {
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
    s->running = false;
    gs_work_free(work);
}

static uint32_t dice(void) {
    static uint64_t state;
    state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = (state ^ gs_get_options()->seed * UINT64_C(0xd1342543de82ef95)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 29) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(x >> 32);
}

/* One step of a stream that can make one, any with the same chance; false when none can. The default stream is always
 * done with its work. */
static bool step_by_chance(void) {
    struct CUstream_st *chosen = NULL;
    uint32_t able = 0;
    for (struct CUstream_st *s = streams; s != NULL; s = s->next) {
        if (s->first != NULL && !s->running && !waits_in_vain(s->first) && dice() % ++able == 0) {
            chosen = s;
        }
    }
    if (chosen != NULL) {
        pop(chosen);
    }
    return chosen != NULL;
}

static bool by_chance(void) {
    return gs_get_options()->order == GS_RANDOM && gs_get_options()->lazy_streams;
}

void gs_event_reach(struct CUevent_st *event, uint64_t recording) {
    struct CUstream_st *s = event->stream;
    while (by_chance() && event->done < recording && step_by_chance()) {
    }
    while (event->done < recording && s != NULL && s->first != NULL && !s->running) {
        pop(s);
    }
}

void gs_stream_finish(struct CUstream_st *s) {
    if (s->running) {
        return;
    }
    while (by_chance() && s->first != NULL && step_by_chance()) {
    }
    while (s->first != NULL) {
        pop(s);
    }
}

void gs_stream_finish_all(void) {
    while (by_chance() && step_by_chance()) {
    }
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

void gs_stream_append(struct CUstream_st *s, gs_work *work) {
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
    while (by_chance() && dice() % 2 == 0 && step_by_chance()) {
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
        gs_stream_append(s, work);
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
