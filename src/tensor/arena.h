/* Device memory of a step. Blocks come from a few large chunks; a block can go back before the step ends, and a reset
 * takes all of them back, so that the same sequence of requests gets the same addresses again (CUDA graphs need that,
 * and fresh memory is dear on a CPU). The best-fitting free block serves a request; lowest address on a tie. */
#ifndef HANDSOFF_ARENA_H
#define HANDSOFF_ARENA_H

#include <stddef.h>

#include "handsoff/device.h"

typedef struct ho_arena ho_arena;

ho_status ho_arena_create(ho_device *device, ho_arena **arena);
void ho_arena_free(ho_arena *arena);
ho_status ho_arena_take(ho_arena *arena, size_t bytes, void **block); /* 256-byte aligned */
void ho_arena_give(ho_arena *arena, const void *block);               /* unknown blocks are left alone */
void ho_arena_reset(ho_arena *arena);
size_t ho_arena_peak(const ho_arena *arena); /* most bytes in use at once */

#endif
