/* The context of a step: arena, host scratch, tensors. */
#include "context.h"

#include <stdlib.h>
#include <string.h>

enum { HOST_CHUNK = 1 << 18, HOST_ALIGNMENT = 16 };

struct host_chunk {
    struct host_chunk *next;
    size_t used, bytes;
    _Alignas(16) char memory[];
};

ho_status ho_context_create(ho_device *device, ho_context **context) {
    ho_context *created = calloc(1, sizeof *created);
    if (created == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate a context");
    }
    created->device = device;
    const ho_status status = ho_arena_create(device, &created->arena);
    if (status != HO_OK) {
        free(created);
        return status;
    }
    *context = created;
    return HO_OK;
}

void ho_context_free(ho_context *context) {
    if (context == NULL) {
        return;
    }
    for (host_chunk *chunk = context->chunks; chunk != NULL;) {
        host_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    ho_arena_free(context->arena);
    free(context->tape.entries);
    free(context);
}

void ho_context_reset(ho_context *context) {
    ho_tape_clear(context);
    ho_arena_reset(context->arena);
    for (host_chunk *chunk = context->chunks; chunk != NULL; chunk = chunk->next) {
        chunk->used = 0;
    }
    context->current_chunk = context->chunks;
}

ho_device *ho_context_device(const ho_context *context) {
    return context->device;
}

ho_stream ho_context_stream(const ho_context *context) {
    return ho_device_stream(context->device);
}

size_t ho_context_peak_bytes(const ho_context *context) {
    return ho_arena_peak(context->arena);
}

void ho_context_record(ho_context *context, bool on) {
    context->recording = on;
}

bool ho_context_recording(const ho_context *context) {
    return context->recording;
}

ho_status ho_scratch_bytes(ho_context *context, size_t bytes, void **scratch) {
    return ho_arena_take(context->arena, bytes, scratch);
}

ho_status ho_scratch(ho_context *context, int64_t count, ho_real **scratch) {
    void *block = NULL;
    HO_TRY(ho_arena_take(context->arena, (size_t)count * sizeof(ho_real), &block));
    *scratch = block;
    return HO_OK;
}

void ho_scratch_free(ho_context *context, void *scratch) {
    if (scratch != NULL) {
        ho_arena_give(context->arena, scratch);
    }
}

/* The chunk after `chunk`, made when there is none. */
static host_chunk *next_chunk(ho_context *context, host_chunk *chunk, size_t bytes) {
    host_chunk **link = chunk == NULL ? &context->chunks : &chunk->next;
    if (*link == NULL) {
        const size_t room = bytes > HOST_CHUNK ? bytes : HOST_CHUNK;
        host_chunk *made = malloc(sizeof *made + room);
        if (made == NULL) {
            return NULL;
        }
        made->next = NULL;
        made->used = 0;
        made->bytes = room;
        *link = made;
    }
    return *link;
}

ho_status ho_host_scratch(ho_context *context, size_t bytes, void **scratch) {
    bytes = (bytes + HOST_ALIGNMENT - 1) / HOST_ALIGNMENT * HOST_ALIGNMENT;
    host_chunk *chunk = context->current_chunk;
    while (chunk == NULL || chunk->bytes - chunk->used < bytes) {
        chunk = next_chunk(context, chunk, bytes);
        if (chunk == NULL) {
            HO_FAIL(HO_EMEMORY, "cannot allocate %zu bytes of host memory", bytes);
        }
    }
    context->current_chunk = chunk;
    *scratch = chunk->memory + chunk->used;
    chunk->used += bytes;
    memset(*scratch, 0, bytes);
    return HO_OK;
}
