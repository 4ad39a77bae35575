#include "arena.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 256 };
static const size_t FIRST_CHUNK = (size_t)64 << 20;
static const size_t LARGEST_GROWTH = (size_t)1 << 30;

typedef struct {
    char *at;
    size_t bytes;
    int chunk; /* which chunk it lies in: neighbours of different chunks must not be joined */
} span;

/* Spans in order of address. */
typedef struct {
    span *items;
    int n, room;
} span_list;

struct ho_arena {
    ho_device *device;
    span_list chunks, unused, taken;
    size_t in_use, peak;
};

static ho_status list_insert(span_list *list, int i, span item) {
    if (list->n == list->room) {
        const int room = list->room == 0 ? 64 : 2 * list->room;
        span *grown = realloc(list->items, (size_t)room * sizeof *grown);
        if (grown == NULL) {
            HO_FAIL(HO_EMEMORY, "cannot allocate the arena's lists");
        }
        list->items = grown;
        list->room = room;
    }
    assert(list->items != NULL);
    memmove(list->items + i + 1, list->items + i, (size_t)(list->n - i) * sizeof *list->items);
    list->items[i] = item;
    ++list->n;
    return HO_OK;
}

static void list_remove(span_list *list, int i) {
    memmove(list->items + i, list->items + i + 1, (size_t)(list->n - i - 1) * sizeof *list->items);
    --list->n;
}

/* Index of the first span that starts at or after `at`. */
static int list_find(const span_list *list, const char *at) {
    int low = 0, high = list->n;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (list->items[middle].at < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

ho_status ho_arena_create(ho_device *device, ho_arena **arena) {
    *arena = calloc(1, sizeof **arena);
    if (*arena == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate an arena");
    }
    (*arena)->device = device;
    return HO_OK;
}

void ho_arena_free(ho_arena *arena) {
    if (arena == NULL) {
        return;
    }
    for (int i = 0; i < arena->chunks.n; ++i) {
        ho_device_free(arena->device, arena->chunks.items[i].at);
    }
    free(arena->chunks.items);
    free(arena->unused.items);
    free(arena->taken.items);
    free(arena);
}

/* One more chunk that holds at least `bytes`. */
static ho_status grow(ho_arena *arena, size_t bytes) {
    size_t total = 0;
    for (int i = 0; i < arena->chunks.n; ++i) {
        total += arena->chunks.items[i].bytes;
    }
    size_t wanted = total < FIRST_CHUNK ? FIRST_CHUNK : total < LARGEST_GROWTH ? total : LARGEST_GROWTH;
    wanted = wanted < bytes ? bytes : wanted;
    void *memory;
    if (ho_device_alloc(arena->device, wanted, &memory) != HO_OK) {
        wanted = bytes; /* no room for growth ahead of need */
        HO_TRY(ho_device_alloc(arena->device, wanted, &memory));
    }
    const span chunk = {memory, wanted, arena->chunks.n};
    HO_TRY(list_insert(&arena->chunks, arena->chunks.n, chunk));
    return list_insert(&arena->unused, list_find(&arena->unused, chunk.at), chunk);
}

static int best_fit(const span_list *unused, size_t bytes) {
    int best = -1;
    for (int i = 0; i < unused->n; ++i) {
        const size_t size = unused->items[i].bytes;
        if (size >= bytes && (best < 0 || size < unused->items[best].bytes)) {
            best = i;
        }
    }
    return best;
}

ho_status ho_arena_take(ho_arena *arena, size_t bytes, void **block) {
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    bytes = bytes == 0 ? ALIGNMENT : bytes;
    int i = best_fit(&arena->unused, bytes);
    if (i < 0) {
        HO_TRY(grow(arena, bytes));
        i = best_fit(&arena->unused, bytes);
    }
    span *from = &arena->unused.items[i];
    const span taken = {from->at, bytes, from->chunk};
    if (from->bytes == bytes) {
        list_remove(&arena->unused, i);
    } else {
        from->at += bytes;
        from->bytes -= bytes;
    }
    HO_TRY(list_insert(&arena->taken, list_find(&arena->taken, taken.at), taken));
    arena->in_use += bytes;
    arena->peak = arena->in_use > arena->peak ? arena->in_use : arena->peak;
    ho_device_touch(arena->device, taken.at, bytes);
    *block = taken.at;
    return HO_OK;
}

static span *find_taken(ho_arena *arena, const void *block) {
    const int i = list_find(&arena->taken, block);
    return i < arena->taken.n && arena->taken.items[i].at == block ? &arena->taken.items[i] : NULL;
}

void ho_arena_give(ho_arena *arena, const void *block) {
    span *found = find_taken(arena, block);
    if (found == NULL) {
        return;
    }
    const span item = *found;
    list_remove(&arena->taken, (int)(found - arena->taken.items));
    arena->in_use -= item.bytes;
    span_list *unused = &arena->unused;
    const int i = list_find(unused, item.at);
    span *before = i > 0 ? &unused->items[i - 1] : NULL;
    span *after = i < unused->n ? &unused->items[i] : NULL;
    const bool joins_before = before != NULL && before->chunk == item.chunk && before->at + before->bytes == item.at;
    const bool joins_after = after != NULL && after->chunk == item.chunk && item.at + item.bytes == after->at;
    if (joins_before && joins_after) {
        before->bytes += item.bytes + after->bytes;
        list_remove(unused, i);
    } else if (joins_before) {
        before->bytes += item.bytes;
    } else if (joins_after) {
        after->at = item.at;
        after->bytes += item.bytes;
    } else if (list_insert(unused, i, item) != HO_OK) {
        return; /* the block is lost until the reset, which rebuilds the list */
    }
}

void ho_arena_reset(ho_arena *arena) {
    arena->taken.n = 0;
    arena->unused.n = 0;
    arena->in_use = 0;
    for (int i = 0; i < arena->chunks.n; ++i) {
        const span chunk = arena->chunks.items[i];
        if (list_insert(&arena->unused, list_find(&arena->unused, chunk.at), chunk) != HO_OK) {
            return; /* fewer free chunks; the next request grows the arena or reports */
        }
    }
}

size_t ho_arena_peak(const ho_arena *arena) {
    return arena->peak;
}
