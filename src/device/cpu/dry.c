/* Counting in place of computing. Memory is reserved address space; of each block the highest byte that was written to
 * is kept, since an arena hands out its chunks from their beginning. */
#include "dry.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Large blocks ask for huge pages (device.c). */
enum { PAGE = 4096, HUGE_PAGE = 2 << 20, LARGE = 4 * HUGE_PAGE };

typedef struct {
    char *at;
    size_t bytes, touched;
} block;

struct ho_dry {
    ho_dry_target target;
    bool no_fusing;
    block *blocks;
    int n, room;
    size_t allocated, touched, peak_allocated, peak_touched;
    void *workspace; /* address space of the largest request */
    size_t workspace_bytes, workspaces_bytes;
    double flops;
};

#ifdef HO_REAL_DOUBLE

ho_status ho_device_open_dry(ho_dry_target target, int n_threads, ho_device **device) {
    (void)target, (void)n_threads, (void)device;
    HO_FAIL(HO_EDEVICE, "the double build has no device that counts");
}

#else

ho_status ho_device_open_dry(ho_dry_target target, int n_threads, ho_device **device) {
    ho_device *opened = NULL;
    HO_TRY(ho_device_open(n_threads, 0, &opened));
    opened->dry = calloc(1, sizeof *opened->dry);
    if (opened->dry == NULL) {
        ho_device_close(opened);
        HO_FAIL(HO_EMEMORY, "cannot allocate the device");
    }
    opened->dry->target = target;
    *device = opened;
    return HO_OK;
}

#endif

static ho_status reserve(size_t bytes, void **memory) {
    void *at = mmap(NULL, bytes == 0 ? 1 : bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        HO_FAIL(HO_EMEMORY, "cannot reserve %.1f MB of address space", (double)bytes / 1048576.0);
    }
    *memory = at;
    return HO_OK;
}

static void release(void *memory, size_t bytes) {
    if (memory != NULL) {
        (void)munmap(memory, bytes == 0 ? 1 : bytes);
    }
}

static void raise_peaks(ho_dry *d) {
    const size_t allocated = d->allocated + d->workspaces_bytes, touched = d->touched + d->workspaces_bytes;
    d->peak_allocated = allocated > d->peak_allocated ? allocated : d->peak_allocated;
    d->peak_touched = touched > d->peak_touched ? touched : d->peak_touched;
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

ho_status ho_dry_alloc(ho_device *device, size_t bytes, void **memory) {
    ho_dry *d = device->dry;
    if (d->n == d->room) {
        const int room = d->room == 0 ? 64 : 2 * d->room;
        block *grown = realloc(d->blocks, (size_t)room * sizeof *grown);
        if (grown == NULL) {
            HO_FAIL(HO_EMEMORY, "cannot allocate the list of %d device blocks", room);
        }
        d->blocks = grown;
        d->room = room;
    }
    HO_TRY(reserve(bytes, memory));
    d->blocks[d->n++] = (block){*memory, bytes, 0};
    d->allocated += bytes;
    raise_peaks(d);
    return HO_OK;
}

/* The block that `memory` lies in; the latest are asked for most. */
static block *find(ho_dry *d, const void *memory) {
    const char *at = memory;
    for (int i = d->n - 1; i >= 0; --i) {
        if (at >= d->blocks[i].at && at <= d->blocks[i].at + d->blocks[i].bytes) {
            return &d->blocks[i];
        }
    }
    return NULL;
}

void ho_dry_free(ho_device *device, void *memory) {
    ho_dry *d = device->dry;
    block *found = find(d, memory);
    if (found != NULL) {
        d->allocated -= found->bytes;
        d->touched -= found->touched;
        release(found->at, found->bytes);
        *found = d->blocks[--d->n];
    }
}

void ho_dry_touch(ho_device *device, const void *memory, size_t bytes) {
    ho_dry *d = device->dry;
    block *found = find(d, memory);
    if (found == NULL) {
        return;
    }
    const size_t end = (size_t)((const char *)memory - found->at) + bytes;
    const size_t page = found->bytes >= LARGE && d->target == HO_DRY_CPU ? HUGE_PAGE : PAGE;
    const size_t whole = (end + page - 1) / page * page, pages = whole < found->bytes ? whole : found->bytes;
    if (pages > found->touched) {
        d->touched += pages - found->touched;
        found->touched = pages;
        raise_peaks(d);
    }
}

/* The cpu target frees the old workspace when it grows; the cuda target keeps it, as a recorded step may name it. */
ho_status ho_dry_workspace(ho_device *device, size_t bytes, void **workspace) {
    ho_dry *d = device->dry;
    if (bytes > d->workspace_bytes || d->workspace == NULL) {
        release(d->workspace, d->workspace_bytes);
        d->workspace = NULL;
        HO_TRY(reserve(bytes, &d->workspace));
        d->workspaces_bytes = (d->target == HO_DRY_CUDA ? d->workspaces_bytes : 0) + bytes;
        d->workspace_bytes = bytes;
        raise_peaks(d);
    }
    *workspace = d->workspace;
    return HO_OK;
}

void ho_dry_close(ho_device *device) {
    ho_dry *d = device->dry;
    if (d == NULL) {
        return;
    }
    for (int i = 0; i < d->n; ++i) {
        release(d->blocks[i].at, d->blocks[i].bytes);
    }
    release(d->workspace, d->workspace_bytes);
    free(d->blocks);
    free(d);
    device->dry = NULL;
}

/* ---- counts ---------------------------------------------------------------------------------------------- */

void ho_dry_flops(ho_device *device, double flops) {
    device->dry->flops += flops;
}

ho_dry_count ho_device_dry_count(const ho_device *device) {
    const ho_dry *d = device->dry;
    return d == NULL ? (ho_dry_count){0.0, 0.0, 0.0}
                     : (ho_dry_count){(double)d->peak_allocated, (double)d->peak_touched, d->flops};
}

void ho_device_dry_restart(ho_device *device) {
    if (device->dry != NULL) {
        device->dry->flops = 0.0;
    }
}

/* ---- what differs on cuda -------------------------------------------------------------------------------- */

bool ho_dry_is_cuda(const ho_device *device) {
    return device->dry != NULL && device->dry->target == HO_DRY_CUDA;
}

void ho_dry_set_fusing(ho_device *device, bool on) {
    device->dry->no_fusing = !on;
}

bool ho_dry_fuses(const ho_device *device) {
    return !device->dry->no_fusing;
}

/* ho_k_fused_input_scratch and ho_k_fused_weights_scratch of kernels/cuda, which nvcc alone compiles. */
enum { TILE_COLUMNS = 16, SIDE = 32, ENOUGH = 512, TAPS = 9 };

static int64_t tiles_of(const ho_fused_shape *s, int64_t rows) {
    return s->N * ((s->H + rows - 1) / rows) * ((s->W + TILE_COLUMNS - 1) / TILE_COLUMNS);
}

size_t ho_dry_input_scratch(const ho_fused_shape *s) {
    return (size_t)((s->O * TAPS * s->C + 3) / 4 * 4 + tiles_of(s, s->up ? 4 : 8) * s->C) * sizeof(ho_real);
}

size_t ho_dry_weights_scratch(const ho_fused_shape *s) {
    const int64_t blocks = (s->O + SIDE - 1) / SIDE * ((s->C + SIDE - 1) / SIDE), tiles = tiles_of(s, s->up ? 2 : 4);
    const int64_t wanted = blocks < ENOUGH ? ENOUGH / blocks : 1, splits = wanted < tiles ? wanted : tiles;
    return (size_t)(splits * s->O * TAPS * s->C) * sizeof(ho_real);
}
