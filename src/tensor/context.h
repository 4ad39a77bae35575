/* What the files behind handsoff/tensor.h share. */
#ifndef HANDSOFF_CONTEXT_H
#define HANDSOFF_CONTEXT_H

#include "arena.h"
#include "handsoff/tensor.h"

typedef struct {
    const char *op;
    ho_tensor *output;
    ho_backward_fn backward;
    void *saved;
} tape_entry;

typedef struct host_chunk host_chunk;

struct ho_context {
    ho_device *device;
    ho_arena *arena;
    host_chunk *chunks, *current_chunk; /* host scratch: a list of chunks filled in order */
    bool recording;
    struct {
        tape_entry *entries;
        int n, room;
    } tape;
};

#endif
