/* src/tensor/arena.h for the table: each block is an allocation of its own, exactly as long as asked for, and goes back
 * at once. The arena of the library hands out pieces of large chunks, rounded up to 256 bytes: there a kernel that
 * reads or writes one element too far, or a block that has been given back, meets memory that is in order for every
 * checker. The linker takes these functions and leaves the library's. */
#include "../../src/tensor/arena.h"

#include <stdlib.h>
#include <string.h>

typedef struct piece {
    void *at;
    size_t bytes;
    struct piece *next;
} piece;

struct ho_arena {
    ho_device *device;
    piece *blocks;
    size_t in_use, peak;
};

ho_status ho_arena_create(ho_device *device, ho_arena **arena) {
    *arena = calloc(1, sizeof **arena);
    if (*arena == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate an arena");
    }
    (*arena)->device = device;
    return HO_OK;
}

/* All bits set: NaN. The simulator knows itself what nothing wrote. */
static ho_status spoil(ho_device *device, void *at, size_t bytes) {
    if (getenv("GPUSIM") != NULL) {
        return HO_OK;
    }
    void *ones = malloc(bytes);
    if (ones == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %zu bytes", bytes);
    }
    memset(ones, 0xff, bytes);
    const ho_status status = ho_device_upload(device, at, ones, bytes);
    free(ones);
    return status;
}

ho_status ho_arena_take(ho_arena *arena, size_t bytes, void **block) {
    piece *taken = calloc(1, sizeof *taken);
    if (taken == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate a block");
    }
    taken->bytes = bytes == 0 ? 1 : bytes;
    if (ho_device_alloc(arena->device, taken->bytes, &taken->at) != HO_OK) {
        free(taken);
        return HO_EMEMORY;
    }
    taken->next = arena->blocks;
    arena->blocks = taken;
    arena->in_use += taken->bytes;
    arena->peak = arena->in_use > arena->peak ? arena->in_use : arena->peak;
    *block = taken->at;
    return spoil(arena->device, taken->at, taken->bytes);
}

void ho_arena_give(ho_arena *arena, const void *block) {
    for (piece **link = &arena->blocks; *link != NULL; link = &(*link)->next) {
        piece *found = *link;
        if (found->at == block) {
            *link = found->next;
            arena->in_use -= found->bytes;
            ho_device_free(arena->device, found->at);
            free(found);
            return;
        }
    }
}

void ho_arena_reset(ho_arena *arena) {
    while (arena->blocks != NULL) {
        ho_arena_give(arena, arena->blocks->at);
    }
}

void ho_arena_free(ho_arena *arena) {
    if (arena != NULL) {
        ho_arena_reset(arena);
        free(arena);
    }
}

size_t ho_arena_peak(const ho_arena *arena) {
    return arena->peak;
}
