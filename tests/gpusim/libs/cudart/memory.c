/* Device and pinned memory, copies, fills. */
#include <stdlib.h>
#include <string.h>

#include "cudart.h"

enum { POISON = 0xa5 }; /* what a host buffer holds until an asynchronous copy into it has really happened */

typedef struct pinned pinned;
struct pinned {
    pinned *next;
    char *memory;
    size_t bytes;
};
static pinned *pinned_list;

static const char COPY_SHAPE[4][8] = {"h2h", "h2d", "d2h", "d2d"}, FILL_SHAPE[] = "fill";

/* ---- allocation -------------------------------------------------------------------------------------------- */

GS_EXPORT cudaError_t cudaMalloc(void **memory, size_t bytes) {
    static const char NAME[] = "cudaMalloc";
    if (gs_call_fails(NAME)) {
        return gs_result(cudaErrorMemoryAllocation);
    }
    gs_lock();
    cudaError_t result = gs_capture_forbids(NAME) ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
    if (result == cudaSuccess && bytes == 0) {
        *memory = NULL;
    } else if (result == cudaSuccess) {
        *memory = gs_memory_alloc(bytes, NAME);
        result = *memory == NULL ? cudaErrorMemoryAllocation : cudaSuccess;
    }
    gs_unlock();
    return gs_result(result);
}

/* As the real one, it waits for all work. Where it is to fail, it frees, and tells of earlier work that went wrong. */
GS_EXPORT cudaError_t cudaFree(void *memory) {
    static const char NAME[] = "cudaFree";
    const bool fails = gs_call_fails(NAME);
    if (memory == NULL) {
        return gs_result(fails ? cudaErrorLaunchFailure : cudaSuccess);
    }
    gs_lock();
    cudaError_t result = gs_capture_forbids(NAME) ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
    if (result == cudaSuccess) {
        gs_stream_finish_all();
        if (!gs_memory_free(memory)) {
            GS_WRONG_CALL(NAME, "%p is not the begin of a live allocation", memory);
            result = cudaErrorInvalidValue;
        }
    }
    gs_unlock();
    return gs_result(fails ? cudaErrorLaunchFailure : result);
}

GS_EXPORT cudaError_t cudaMallocHost(void **memory, size_t bytes) {
    if (gs_call_fails("cudaMallocHost")) {
        return gs_result(cudaErrorMemoryAllocation);
    }
    pinned *made = malloc(sizeof *made);
    char *host = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096 + 4096);
    if (made == NULL || host == NULL) {
        free(made);
        free(host);
        return gs_result(cudaErrorMemoryAllocation);
    }
    memset(host, POISON, bytes);
    gs_lock();
    *made = (pinned){pinned_list, host, bytes};
    pinned_list = made;
    gs_unlock();
    gs_live("pinned host allocations", 1);
    *memory = host;
    return cudaSuccess;
}

GS_EXPORT cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags) {
    (void)flags;
    return cudaMallocHost(memory, bytes);
}

GS_EXPORT cudaError_t cudaFreeHost(void *memory) {
    static const char NAME[] = "cudaFreeHost";
    if (memory == NULL) {
        return cudaSuccess;
    }
    gs_lock();
    gs_stream_finish_all();
    pinned **link = &pinned_list;
    while (*link != NULL && (*link)->memory != memory) {
        link = &(*link)->next;
    }
    pinned *found = *link;
    if (found != NULL) {
        *link = found->next;
        free(found->memory);
        free(found);
        gs_live("pinned host allocations", -1);
    } else {
        GS_WRONG_CALL(NAME, "%p is not the begin of live pinned memory", memory);
    }
    gs_unlock();
    return gs_result(found == NULL ? cudaErrorInvalidValue : cudaSuccess);
}

static bool is_pinned(const void *memory, size_t bytes) {
    for (const pinned *p = pinned_list; p != NULL; p = p->next) {
        if ((const char *)memory >= p->memory && (const char *)memory + bytes <= p->memory + p->bytes) {
            return true;
        }
    }
    return false;
}

/* ---- copies ------------------------------------------------------------------------------------------------ */

typedef struct {
    char *to;
    const char *from;
    size_t bytes;
    enum cudaMemcpyKind kind;
    const char *where;
    bool snapshot; /* the bytes to copy follow */
    char data[];
} queued_copy;

static void run_copy(void *data) {
    queued_copy *c = data;
    const bool to_device = c->kind == cudaMemcpyHostToDevice || c->kind == cudaMemcpyDeviceToDevice;
    const bool from_device = c->kind == cudaMemcpyDeviceToHost || c->kind == cudaMemcpyDeviceToDevice;
    const char *from = c->snapshot ? c->data : c->from;
    if (from_device && !gs_memory_begin(c->from, c->bytes, false, c->kind == cudaMemcpyDeviceToHost, c->where)) {
        return;
    }
    if (!to_device || gs_memory_begin(c->to, c->bytes, true, false, c->where)) {
        memmove(c->to, from, c->bytes);
        if (c->kind == cudaMemcpyDeviceToDevice) {
            gs_memory_copy_marks(c->to, c->from, c->bytes);
        }
        if (to_device) {
            gs_memory_end(c->to, c->bytes);
        }
    }
    if (from_device) {
        gs_memory_end(c->from, c->bytes);
    }
}

static bool is_device(const void *memory) {
    const char *why;
    return gs_memory_valid(memory, 1, &why);
}

/* The direction that was named fits the pointers. */
static bool check_copy(const queued_copy *c) {
    const bool to_device = c->kind == cudaMemcpyHostToDevice || c->kind == cudaMemcpyDeviceToDevice;
    const bool from_device = c->kind == cudaMemcpyDeviceToHost || c->kind == cudaMemcpyDeviceToDevice;
    if ((to_device && !gs_device_range(c->to, c->bytes, c->where, "destination")) ||
        (from_device && !gs_device_range(c->from, c->bytes, c->where, "source"))) {
        return false;
    }
    if ((!to_device && is_device(c->to)) || (!from_device && is_device(c->from))) {
        GS_WRONG_CALL(c->where, "device memory is given where the direction says host memory");
        return false;
    }
    if (c->kind == cudaMemcpyDeviceToDevice && c->to < c->from + c->bytes && c->from < c->to + c->bytes) {
        GS_WRONG_CALL(c->where, "source and destination overlap");
        return false;
    }
    return true;
}

static enum cudaMemcpyKind direction(void *to, const void *from, enum cudaMemcpyKind kind) {
    if (kind != cudaMemcpyDefault) {
        return kind;
    }
    return is_device(to) ? (is_device(from) ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                         : (is_device(from) ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
}

/* Pageable host memory is read when the call is made, pinned memory when the stream gets there. */
static cudaError_t submit_copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream,
                               const char *where) {
    if ((int)kind < cudaMemcpyHostToHost || (int)kind > cudaMemcpyDefault) {
        GS_WRONG_CALL(where, "direction %d", (int)kind);
        return cudaErrorInvalidMemcpyDirection;
    }
    kind = direction(to, from, kind);
    const bool host_from = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost;
    const bool pageable =
        (host_from && !is_pinned(from, bytes)) || (kind == cudaMemcpyDeviceToHost && !is_pinned(to, bytes));
    if (!gs_stream_alive(stream, where)) {
        return cudaErrorInvalidResourceHandle;
    }
    if (gs_stream_capturing(stream) && pageable) {
        GS_WRONG_CALL(where, "pageable host memory in a captured stream");
        return cudaErrorStreamCaptureUnsupported;
    }
    const bool snapshot = host_from && pageable;
    queued_copy *c = malloc(sizeof *c + (snapshot ? bytes : 0));
    if (c == NULL) {
        gs_fatal("no memory for a copy of %zu bytes", bytes);
    }
    *c = (queued_copy){to, from, bytes, kind, where, snapshot};
    cudaError_t result = cudaErrorInvalidValue;
    if (check_copy(c)) {
        if (snapshot) {
            memcpy(c->data, from, bytes);
        } else if (kind == cudaMemcpyDeviceToHost && !gs_stream_capturing(stream)) {
            memset(to, POISON, bytes);
        }
        result = gs_submit(stream, where, run_copy, c, sizeof *c + (snapshot ? bytes : 0), COPY_SHAPE[kind]);
    }
    free(c);
    return result;
}

static cudaError_t copy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream,
                        const char *where, bool blocks) {
    if (gs_call_fails(where)) {
        return gs_result(cudaErrorInvalidValue);
    }
    gs_lock();
    cudaError_t result = blocks && gs_capture_forbids(where) ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
    if (result == cudaSuccess && bytes > 0) {
        result = submit_copy(to, from, bytes, kind, stream, where);
    }
    if (blocks && result == cudaSuccess) {
        gs_stream_finish(gs_stream_of(stream, where));
    }
    gs_unlock();
    return gs_result(result);
}

GS_EXPORT cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                                      cudaStream_t stream) {
    return copy(to, from, bytes, kind, stream, "cudaMemcpyAsync", false);
}

GS_EXPORT cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    return copy(to, from, bytes, kind, NULL, "cudaMemcpy", true);
}

GS_EXPORT cudaError_t cudaMemcpyToSymbol(const void *symbol, const void *from, size_t bytes, size_t offset,
                                         enum cudaMemcpyKind kind) {
    static const char NAME[] = "cudaMemcpyToSymbol";
    size_t size = 0;
    gs_lock();
    const char *memory = gs_symbol_memory(symbol, &size);
    gs_unlock();
    if (memory == NULL || offset + bytes > size) {
        GS_WRONG_CALL(NAME, memory == NULL ? "no such variable" : "more bytes than the variable has");
        return gs_result(cudaErrorInvalidSymbol);
    }
    return copy((char *)(uintptr_t)memory + offset, from, bytes, kind, NULL, NAME, true);
}

/* ---- fills ------------------------------------------------------------------------------------------------- */

typedef struct {
    void *memory;
    size_t bytes;
    int value;
    const char *where;
} queued_fill;

static void run_fill(void *data) {
    const queued_fill *f = data;
    if (gs_memory_begin(f->memory, f->bytes, true, false, f->where)) {
        memset(f->memory, f->value, f->bytes);
        gs_memory_end(f->memory, f->bytes);
    }
}

static cudaError_t fill(void *memory, int value, size_t bytes, cudaStream_t stream, const char *where) {
    if (gs_call_fails(where)) {
        return gs_result(cudaErrorInvalidValue);
    }
    const queued_fill f = {memory, bytes, value, where};
    gs_lock();
    cudaError_t result = gs_device_range(memory, bytes, where, "memory") ? cudaSuccess : cudaErrorInvalidValue;
    if (result == cudaSuccess && bytes > 0) {
        result = gs_submit(stream, where, run_fill, &f, sizeof f, FILL_SHAPE);
    }
    gs_unlock();
    return gs_result(result);
}

GS_EXPORT cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream) {
    return fill(memory, value, bytes, stream, "cudaMemsetAsync");
}

GS_EXPORT cudaError_t cudaMemset(void *memory, int value, size_t bytes) {
    return fill(memory, value, bytes, NULL, "cudaMemset");
}
