/* A launch: its configuration, its parameters, the host threads that run its blocks. */
#include "engine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOT_VALID = 1, NOT_A_CONFIGURATION = 9, OUT_OF_RESOURCES = 701 }; /* cudaError_t                            */
enum { MAX_WORKERS = 64, SHARED_ROOM = 233472, SMALL_LAUNCH = 4096 };

/* What a host thread needs to run blocks; kept from launch to launch. */
typedef struct {
    gs_block block;
    gs_warp warp[GS_MAX_WARPS];
    gs_schedule schedule[GS_MAX_WARPS];
    const gs_function *function; /* for which frames and local memory stand ready                                 */
    gs_launch *launch;
    int index;
} worker;

static worker *workers[MAX_WORKERS];
static uint64_t launches, serials = 1;

/* ---- configuration
 * ---------------------------------------------------------------------------------------------------- */

static uint64_t shared_limit(void) {
    switch (gs_get_options()->architecture) {
    case 80:
        return 163 * 1024;
    case 120:
        return 99 * 1024;
    default:
        return 227 * 1024;
    }
}

/* Static shared memory, with the gap before the dynamic part. */
static uint64_t static_shared(const gs_function *f, size_t dynamic) {
    return dynamic > 0 ? (uint64_t)f->dynamic_offset : (uint64_t)f->shared_bytes;
}

/* The reason why a GPU would refuse; 0 it would not. */
static int refuse(const gs_launch_config *c, char why[256]) {
    const uint32_t *g = c->grid, *b = c->block;
    const uint64_t threads = (uint64_t)b[0] * b[1] * b[2];
    const uint64_t bound = (uint64_t)c->function->max_threads[0] * (uint64_t)c->function->max_threads[1] *
                           (uint64_t)c->function->max_threads[2];
    const uint64_t fixed = static_shared(c->function, c->dynamic_shared);
    if (g[0] == 0 || g[1] == 0 || g[2] == 0 || threads == 0) {
        snprintf(why, 256, "a dimension is 0");
        return NOT_A_CONFIGURATION;
    }
    if (threads > 1024 || b[0] > 1024 || b[1] > 1024 || b[2] > 64) {
        snprintf(why, 256, "a block of (%u,%u,%u) threads: at most 1024, and (1024,1024,64)", b[0], b[1], b[2]);
        return NOT_A_CONFIGURATION;
    }
    if (g[0] > INT32_MAX || g[1] > 65535 || g[2] > 65535) {
        snprintf(why, 256, "a grid of (%u,%u,%u) blocks: at most (2147483647,65535,65535)", g[0], g[1], g[2]);
        return NOT_A_CONFIGURATION;
    }
    if (c->function->required_threads &&
        (b[0] != (uint32_t)c->function->max_threads[0] || b[1] != (uint32_t)c->function->max_threads[1] ||
         b[2] != (uint32_t)c->function->max_threads[2])) {
        snprintf(why, 256, "a block of (%u,%u,%u) threads, the kernel requires another", b[0], b[1], b[2]);
        return NOT_A_CONFIGURATION;
    }
    if (bound > 0 && threads > bound) {
        snprintf(why, 256, "%llu threads a block, the kernel's launch bound is %llu", (unsigned long long)threads,
                 (unsigned long long)bound);
        return OUT_OF_RESOURCES;
    }
    const size_t allowed = c->max_dynamic_shared > 0 ? c->max_dynamic_shared : 49152;
    if (c->dynamic_shared > allowed || fixed + c->dynamic_shared > shared_limit() ||
        (allowed <= 49152 && fixed + c->dynamic_shared > 49152)) {
        snprintf(why, 256, "%llu + %zu bytes of shared memory: at most 49152, with the kernel's attribute %llu",
                 (unsigned long long)fixed, c->dynamic_shared, (unsigned long long)shared_limit());
        return NOT_VALID;
    }
    return 0;
}

int gs_launch_check(const gs_launch_config *config) {
    char why[256];
    const int code = refuse(config, why);
    if (code != 0) {
        fprintf(stderr, "gpusim: a GPU refuses the launch of %s: %s\n", config->function->name, why);
    }
    return code;
}

/* ---- a block ready to run
 * --------------------------------------------------------------------------------------------- */

static uint32_t *special(gs_warp *w, gs_special which) {
    return (uint32_t *)(void *)(w->bank[GS_BANK_SPECIAL] + which * GS_SPECIAL_SLOT);
}

static void fill(uint32_t *to, uint32_t value) {
    for (int l = 0; l < GS_LANES; l++) {
        to[l] = value;
    }
}

/* Special registers that are the same for all blocks of the launch. */
static void fill_specials(const worker *k, gs_warp *w) {
    const gs_launch *launch = k->launch;
    for (int d = 0; d < 3; d++) {
        fill(special(w, (gs_special)(GS_NTID_X + d)), launch->block[d]);
        fill(special(w, (gs_special)(GS_NCTAID_X + d)), launch->grid[d]);
    }
    for (uint32_t l = 0; l < GS_LANES; l++) {
        const uint32_t t = (uint32_t)w->index * GS_LANES + l, *size = launch->block;
        special(w, GS_TID_X)[l] = t % size[0];
        special(w, GS_TID_Y)[l] = t / size[0] % size[1];
        special(w, GS_TID_Z)[l] = t / size[0] / size[1];
        special(w, GS_LANEID)[l] = l;
        special(w, GS_LANEMASK_EQ)[l] = UINT32_C(1) << l;
        special(w, GS_LANEMASK_LT)[l] = (UINT32_C(1) << l) - 1;
        special(w, GS_LANEMASK_LE)[l] = (UINT32_C(2) << l) - 1;
        special(w, GS_LANEMASK_GT)[l] = ~((UINT32_C(2) << l) - 1);
        special(w, GS_LANEMASK_GE)[l] = ~((UINT32_C(1) << l) - 1);
    }
    fill(special(w, GS_WARPID), (uint32_t)w->index);
    fill(special(w, GS_SMID), (uint32_t)k->index);
    fill(special(w, GS_DYNAMIC_SMEM_SIZE), (uint32_t)launch->config->dynamic_shared);
}

static void prepare_local(gs_schedule *s, const gs_function *f) {
    int64_t bytes = 0;
    for (int n = 0; n < f->module->n_functions; n++) {
        const int64_t own = f->module->function[n].local_bytes;
        bytes = own > bytes ? own : bytes;
    }
    s->local_size = (uint64_t)bytes;
    const uint64_t room = ((uint64_t)bytes + 63) / 64 * 64;
    if (room > s->local_room) {
        free(s->local);
        free((void *)s->local_defined);
        s->local = calloc(GS_LANES, room);
        s->local_defined = calloc(GS_LANES, room / 8);
        s->local_room = room;
    }
}

/* For each warp what stays the same from block to block. */
static void prepare_worker(worker *k, gs_launch *launch) {
    const gs_function *f = launch->function;
    gs_block *b = &k->block;
    k->launch = launch;
    b->threads = launch->block[0] * launch->block[1] * launch->block[2];
    b->n_warps = (b->threads + GS_LANES - 1) / GS_LANES;
    b->warp = k->warp;
    b->shared.size = launch->shared_bytes;
    for (uint32_t n = 0; n < b->n_warps; n++) {
        gs_warp *w = &k->warp[n];
        w->schedule = &k->schedule[n];
        w->block = b;
        w->launch = launch;
        w->index = (int)n;
        w->params = launch->params;
        const uint32_t rest = b->threads - n * GS_LANES;
        w->members = rest >= GS_LANES ? UINT32_MAX : (UINT32_C(1) << rest) - 1;
        if (w->bank[GS_BANK_SPECIAL] == NULL) {
            w->bank[GS_BANK_SPECIAL] = aligned_alloc(64, (size_t)GS_N_SPECIALS * GS_SPECIAL_SLOT);
            memset(w->bank[GS_BANK_SPECIAL], 0, (size_t)GS_N_SPECIALS * GS_SPECIAL_SLOT);
        }
        fill_specials(k, w);
        memset(w->schedule->last_hit, 0, sizeof w->schedule->last_hit);
        if (w->schedule->root == NULL || w->schedule->root->function != f) {
            gs_frame_free_all(w);
            w->schedule->root = gs_frame_enter(w, NULL, f, 0);
        }
        prepare_local(w->schedule, f);
    }
}

static void begin_warp(gs_warp *w) {
    gs_schedule *s = w->schedule;
    const gs_block *b = w->block;
    for (int d = 0; d < 3; d++) {
        fill(special(w, (gs_special)(GS_CTAID_X + d)), b->index[d]);
    }
    w->exited = 0;
    w->instructions = 0;
    gs_frame_select(w, s->root);
    s->split[0] = (gs_split){.frame = s->root, .lanes = w->members, .state = GS_READY};
    s->n_splits = 1;
    s->time = 1;
    memset(s->known, 0, sizeof s->known);
    free(s->pair);
    s->pair = NULL;
    s->n_copies = 0;
    s->fenced = 0;
    memset(s->copy_group, 0, sizeof s->copy_group);
    if (s->local_size > 0) {
        memset(s->local, 0xff, s->local_room * GS_LANES);
        memset((void *)s->local_defined, 0, s->local_room / 8 * GS_LANES);
    }
}

static void begin_block(worker *k, uint64_t at) {
    gs_block *b = &k->block;
    gs_launch *launch = k->launch;
    const gs_options *o = gs_get_options();
    const uint64_t linear = gs_block_linear(launch, at);
    b->at = at;
    b->serial = launch->first_serial + at;
    b->index[0] = (uint32_t)(linear % launch->grid[0]);
    b->index[1] = (uint32_t)(linear / launch->grid[0] % launch->grid[1]);
    b->index[2] = (uint32_t)(linear / launch->grid[0] / launch->grid[1]);
    b->living = b->threads;
    b->random = o->seed * UINT64_C(0xd1342543de82ef95) + launch->number * UINT64_C(0xaf251af3b0f025b5) + linear;
    b->abandoned = b->fenced = false;
    b->forced = 0;
    b->run = 0;
    memset(b->barrier, 0, sizeof b->barrier);
    if (launch->shared_bytes > 0) {
        const size_t words = (launch->shared_bytes + 63) / 64;
        memset(b->shared.data, 0xff, launch->shared_bytes);
        memset((void *)b->shared.defined, 0, words * 8);
        memset((void *)b->in_flight, 0, words * 8);
    }
    b->n_in_flight = 0;
    for (uint32_t n = 0; n < b->n_warps; n++) {
        begin_warp(&k->warp[n]);
    }
}

static void end_block(worker *k) {
    gs_block *b = &k->block;
    for (uint32_t n = 0; n < b->n_warps && b->any_undefined; n++) {
        gs_frame_clear(&k->warp[n]);
    }
    b->any_undefined = false;
    gs_race_block_end(b);
    atomic_fetch_add(&k->launch->instructions, b->run);
}

/* ---- all blocks
 * --------------------------------------------------------------------------------------------------------- */

/* Which of the blocks that run is the n-th in order. */
static uint64_t block_number(const gs_launch *launch, uint64_t n) {
    const gs_options *o = gs_get_options();
    uint64_t at = n;
    if (o->order == GS_REVERSE) {
        at = launch->to_run - 1 - n;
    } else if (o->order == GS_RANDOM) {
        at = (uint64_t)(((unsigned __int128)n * launch->step + launch->start) % launch->to_run);
    }
    return at;
}

uint64_t gs_block_linear(const gs_launch *launch, uint64_t at) {
    const bool second_half = launch->to_run < launch->n_blocks && at >= launch->to_run / 2;
    return second_half ? launch->n_blocks - launch->to_run + at : at;
}

static void *run_blocks(void *of) {
    worker *k = of;
    gs_launch *launch = k->launch;
    for (;;) {
        const uint64_t n = atomic_fetch_add(&launch->next, 1);
        if (n >= launch->to_run) {
            return NULL;
        }
        begin_block(k, block_number(launch, n));
        gs_block_run(&k->block);
        end_block(k);
    }
}

static worker *get_worker(int n) {
    if (workers[n] == NULL) {
        worker *k = aligned_alloc(64, (sizeof *k + 63) / 64 * 64);
        memset(k, 0, sizeof *k);
        k->index = n;
        k->block.shared.data = aligned_alloc(64, SHARED_ROOM);
        k->block.shared.granule = calloc(SHARED_ROOM / GS_GRANULE, sizeof(gs_granule));
        k->block.shared.defined = calloc(SHARED_ROOM / 64 + 1, 8);
        k->block.in_flight = calloc(SHARED_ROOM / 64 + 1, 8);
        workers[n] = k;
    }
    return workers[n];
}

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* In random order the n-th block is start + n * step, modulo their number. */
static void set_block_order(gs_launch *launch) {
    const uint64_t edge = (uint64_t)gs_get_options()->edge_blocks;
    launch->to_run = edge > 0 && 2 * edge < launch->n_blocks ? 2 * edge : launch->n_blocks;
    gs_block dice = {.random = gs_get_options()->seed ^ launch->number << 32};
    launch->start = gs_random(&dice) % launch->to_run;
    launch->step = 1;
    while (launch->to_run > 2) {
        launch->step = ((uint64_t)gs_random(&dice) << 8 | 1) % launch->to_run;
        if (common_divisor(launch->step, launch->to_run) == 1) {
            break;
        }
    }
}

static void set_params(gs_launch *launch) {
    const gs_function *f = launch->function;
    launch->params = calloc(1, (size_t)f->param_bytes + 64);
    for (int n = 0; n < f->n_params; n++) {
        memcpy(launch->params + f->param[n].offset, launch->config->args[n], (size_t)f->param[n].size);
    }
}

/* Other block widths and numbers of blocks for 1-D launches: options.block_width, options.grid_blocks,
 * options.more_blocks. */
static void set_shape(gs_launch *launch) {
    const gs_launch_config *c = launch->config;
    memcpy(launch->grid, c->grid, sizeof launch->grid);
    memcpy(launch->block, c->block, sizeof launch->block);
    /* A kernel with a launch bound was written for its own width. */
    const bool any_shape = launch->function->max_threads[0] == 0 && c->block[1] == 1 && c->block[2] == 1;
    const uint32_t width = (uint32_t)gs_get_options()->block_width, blocks = (uint32_t)gs_get_options()->grid_blocks;
    if (width > 0 && any_shape) {
        launch->block[0] = width;
    }
    if (any_shape && c->grid[1] == 1 && c->grid[2] == 1) {
        launch->grid[0] = blocks > 0 && c->grid[0] > blocks ? blocks : c->grid[0];
        launch->grid[0] += (uint32_t)gs_get_options()->more_blocks;
    }
    launch->n_blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
}

/* Serials of 30 bits for the blocks. When they are used up all stamps are forgotten. */
static void set_serials(gs_launch *launch) {
    if (serials + launch->to_run >= UINT64_C(1) << 30) {
        if (launch->to_run >= UINT64_C(1) << 29) {
            gs_fatal("%s: %llu blocks; edge_blocks=N runs some of them", launch->function->name,
                     (unsigned long long)launch->to_run);
        }
        gs_heap_forget_stamps();
        for (int n = 0; n < MAX_WORKERS; n++) {
            if (workers[n] != NULL) {
                memset(workers[n]->block.shared.granule, 0, SHARED_ROOM / GS_GRANULE * sizeof(gs_granule));
            }
        }
        serials = 1;
    }
    launch->first_serial = serials;
    launch->first_stamp = serials << GS_STAMP_SERIAL;
    serials += launch->to_run;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void gs_launch_run(const gs_launch_config *config) {
    const double begin = now();
    gs_launch launch = {.config = config, .function = config->function, .number = ++launches};
    gs_memory_prepare(config->function->module);
    set_shape(&launch);
    set_params(&launch);
    set_block_order(&launch);
    launch.shared_static = static_shared(config->function, config->dynamic_shared);
    launch.shared_bytes = launch.shared_static + config->dynamic_shared;
    set_serials(&launch);
    const uint64_t threads = launch.to_run * launch.block[0] * launch.block[1] * launch.block[2];
    int n = gs_get_options()->threads;
    n = threads < SMALL_LAUNCH ? 1 : (uint64_t)n < launch.to_run ? n : (int)launch.to_run;
    pthread_t helper[MAX_WORKERS];
    for (int k = 0; k < n; k++) {
        prepare_worker(get_worker(k), &launch);
    }
    for (int k = 1; k < n; k++) {
        if (pthread_create(&helper[k], NULL, run_blocks, workers[k]) != 0) {
            gs_fatal("no host thread to run blocks");
        }
    }
    run_blocks(workers[0]);
    for (int k = 1; k < n; k++) {
        pthread_join(helper[k], NULL);
    }
    gs_race_launch_end(&launch);
    free(launch.params);
    gs_count_launch(config->function, launch.to_run, launch.instructions, now() - begin);
}
