/* Data races. Each granule of 4 bytes remembers its last writer and two readers (engine.h). Two accesses conflict when
 * they belong to one launch and different threads, at least one writes, not both are atomic, their bytes meet, and
 * neither is ordered before the other:
 *  - in one block by barriers (and, in one warp, bar.warp.sync);
 *  - between blocks by what the last block of a reduction does: the writer's block executes a fence and then an atomic
 *    on an address, and the reader's block later an atomic on the same address.
 * Not reported: writing the very bytes that lie there already; loads of an address that the function updates by
 * compare-and-swap. */
#include "engine.h"
#include <stdlib.h>
#include <string.h>

/* ---- what fences and atomics hand on between blocks ------------------------------------------------------------- */

/* A block's last atomic behind a fence on the address. */
typedef struct {
    uint32_t order; /* counts the releases on this address from 1; 0: none                                        */
    uint32_t thread, time, n_known;
    uint32_t *known; /* times of the block's warps that the atomic lies behind                                    */
} release;

typedef struct flag flag;
struct flag {
    flag *next;
    uint64_t address;
    uint32_t count;
    release *of; /* one a block that runs                                                                         */
};

enum { N_BUCKETS = 256 };
typedef struct gs_releases {
    pthread_mutex_t lock;
    flag *bucket[N_BUCKETS];
} gs_releases;

/* A block has seen the first `count` releases on the flag. */
typedef struct gs_acquired gs_acquired;
struct gs_acquired {
    gs_acquired *next;
    const flag *flag;
    uint32_t count;
};

static flag *find_flag(gs_releases *r, uint64_t address, uint64_t n_blocks, bool make) {
    flag **bucket = &r->bucket[(address >> 2) * UINT64_C(0x9e3779b97f4a7c15) >> 56];
    for (flag *f = *bucket; f != NULL; f = f->next) {
        if (f->address == address) {
            return f;
        }
    }
    if (!make) {
        return NULL;
    }
    flag *f = calloc(1, sizeof *f);
    f->address = address;
    f->of = calloc(n_blocks, sizeof *f->of);
    f->next = *bucket;
    *bucket = f;
    return f;
}

static gs_releases *launch_releases(gs_launch *launch) {
    static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&making);
    if (launch->releases == NULL) {
        launch->releases = calloc(1, sizeof *launch->releases);
        pthread_mutex_init(&launch->releases->lock, NULL);
    }
    pthread_mutex_unlock(&making);
    return launch->releases;
}

static void record_release(gs_warp *w, int lane, flag *f) {
    release *r = &f->of[w->block->at];
    const gs_schedule *s = w->schedule;
    if (r->known == NULL) {
        r->known = calloc(w->block->n_warps, sizeof *r->known);
    }
    memcpy(r->known, s->known, w->block->n_warps * sizeof *r->known);
    /* The first order stays: whoever has acquired an earlier release is taken to have the later ones too. */
    f->count++;
    r->order = r->order == 0 ? f->count : r->order;
    r->thread = (uint32_t)(w->index * GS_LANES + lane);
    r->time = s->time;
}

static void acquire(gs_block *b, const flag *f) {
    gs_acquired *a = b->acquired;
    while (a != NULL && a->flag != f) {
        a = a->next;
    }
    if (a == NULL) {
        a = calloc(1, sizeof *a);
        a->flag = f;
        a->next = b->acquired;
        b->acquired = a;
    }
    a->count = f->count;
}

void gs_race_fence(gs_warp *w, uint32_t lanes) {
    w->schedule->fenced |= lanes;
    w->block->fenced = true;
}

void gs_race_release(gs_warp *w, int lane, uint64_t address, bool fence) {
    gs_launch *launch = w->launch;
    if (!fence && !w->block->fenced) {
        return;
    }
    gs_releases *all = launch_releases(launch);
    pthread_mutex_lock(&all->lock);
    record_release(w, lane, find_flag(all, address, launch->to_run, true));
    atomic_store(&launch->any_release, true);
    pthread_mutex_unlock(&all->lock);
}

void gs_race_acquire(gs_warp *w, uint64_t address) {
    gs_launch *launch = w->launch;
    if (!atomic_load(&launch->any_release)) {
        return;
    }
    gs_releases *all = launch_releases(launch);
    pthread_mutex_lock(&all->lock);
    const flag *f = find_flag(all, address, launch->to_run, false);
    if (f != NULL) {
        acquire(w->block, f);
    }
    pthread_mutex_unlock(&all->lock);
}

void gs_race_block_end(gs_block *b) {
    for (gs_acquired *a = b->acquired, *next; a != NULL; a = next) {
        next = a->next;
        free(a);
    }
    b->acquired = NULL;
}

void gs_race_launch_end(gs_launch *launch) {
    gs_releases *r = launch->releases;
    for (int n = 0; r != NULL && n < N_BUCKETS; n++) {
        for (flag *f = r->bucket[n], *next; f != NULL; f = next) {
            next = f->next;
            for (uint64_t k = 0; k < launch->to_run; k++) {
                free(f->of[k].known);
            }
            free(f->of);
            free(f);
        }
    }
    free(r);
    launch->releases = NULL;
}

/* ---- stamps --------------------------------------------------------------------------------------------------------
 */

static inline uint32_t stamp_thread(uint64_t stamp) {
    return (uint32_t)(stamp >> GS_STAMP_THREAD) & 1023;
}
static inline uint32_t stamp_time(uint64_t stamp) {
    return (uint32_t)(stamp >> GS_STAMP_TIME) & GS_TIME_MASK;
}
static inline uint64_t stamp_serial(uint64_t stamp) {
    return stamp >> GS_STAMP_SERIAL;
}
/* An access at `time` lies before what is known up to `known`; times are compared as numbers of 19 bits. */
static inline bool before(uint32_t time, uint32_t known) {
    const uint32_t ahead = (known - time) & GS_TIME_MASK;
    return ahead != 0 && ahead < (GS_TIME_MASK >> 1);
}

gs_who gs_who_is(gs_warp *w, const gs_instr *i, bool shared, bool atomic) {
    gs_who who;
    who.warp = w;
    who.instr = i;
    who.shared = shared;
    who.stamp = w->block->serial << GS_STAMP_SERIAL | (uint64_t)(w->index * GS_LANES) << GS_STAMP_THREAD |
                (uint64_t)(w->schedule->time & GS_TIME_MASK) << GS_STAMP_TIME |
                (atomic || i->guards_cas ? GS_STAMP_ATOMIC : 0);
    who.first = shared ? w->block->serial << GS_STAMP_SERIAL : w->launch->first_stamp;
    who.span = (shared ? UINT64_C(1) : w->launch->to_run) << GS_STAMP_SERIAL;
    who.code = gs_code(i);
    who.known = w->schedule->known;
    who.read_only = !shared && (i->detail[GS_D_FLAGS] & GS_F_NC) != 0 && i->run == gs_load;
    return who;
}

/* The other block's access lies before a release that this block has acquired. */
static bool acquired(const gs_block *b, const gs_launch *launch, uint64_t other) {
    const uint64_t block = stamp_serial(other) - launch->first_serial;
    const uint32_t thread = stamp_thread(other);
    bool found = false;
    for (const gs_acquired *a = b->acquired; a != NULL && !found; a = a->next) {
        pthread_mutex_lock(&launch->releases->lock);
        const release *r = &a->flag->of[block];
        if (r->order != 0 && r->order <= a->count) {
            const uint32_t time = stamp_time(other);
            found = thread == r->thread ? time == (r->time & GS_TIME_MASK) || before(time, r->time)
                                        : before(time, r->known[thread / GS_LANES]);
        }
        pthread_mutex_unlock(&launch->releases->lock);
    }
    return found;
}

/* The other access (of this launch, by another thread) lies before this one. */
static bool ordered(const gs_who *who, int lane, uint64_t other) {
    const gs_warp *w = who->warp;
    if (stamp_serial(other) != w->block->serial) {
        return w->block->acquired != NULL && acquired(w->block, w->launch, other);
    }
    const gs_schedule *s = w->schedule;
    const uint32_t thread = stamp_thread(other), time = stamp_time(other);
    if (before(time, s->known[thread / GS_LANES])) {
        return true;
    }
    return (int)(thread / GS_LANES) == w->index && s->pair != NULL && before(time, s->pair[lane][thread % GS_LANES]);
}

#define LOAD(x)     atomic_load_explicit(&(x), memory_order_relaxed)
#define STORE(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)

static void say(const gs_who *who, int lane, const gs_granule *g, uint64_t other, bool other_writes, bool writes,
                uint64_t address) {
    const gs_warp *w = who->warp;
    const uint32_t *size = w->launch->block, *grid = w->launch->grid;
    const uint32_t t = stamp_thread(other);
    char place[512] = "?", name[256];
    const gs_instr *i = gs_code_instr(other_writes ? LOAD(g->writer_code) : LOAD(g->reader_code));
    if (i != NULL) {
        gs_where(i, place);
    }
    gs_check check;
    const char *where = "shared memory";
    if (!who->shared) {
        where =
            gs_heap_find(address) != NULL ? gs_heap_find(address)->what : gs_heap_describe(address, 4, name, &check);
        address -= gs_heap_find(address) != NULL ? gs_heap_find(address)->begin : 0;
    }
    const uint64_t b = gs_block_linear(w->launch, stamp_serial(other) - w->launch->first_serial);
    gs_report(GS_RACE, who->warp, who->instr, lane,
              "%s of \"%s\" offset %llu conflicts with the %s by block (%llu,%llu,%llu) thread (%u,%u,%u) at %s",
              writes ? "write" : "read", where, (unsigned long long)address, other_writes ? "write" : "read",
              (unsigned long long)(b % grid[0]), (unsigned long long)(b / grid[0] % grid[1]),
              (unsigned long long)(b / grid[0] / grid[1]), t % size[0], t / size[0] % size[1], t / size[0] / size[1],
              place);
}

/* The stamp is one of this launch (in shared memory: of this block). */
static inline bool current(const gs_who *who, uint64_t stamp) {
    return stamp - who->first < who->span;
}

/* This access conflicts with the other stamp. */
static inline bool conflicts(const gs_who *who, int lane, uint64_t mine, uint64_t other) {
    if (!current(who, other) || ((other ^ mine) >> GS_STAMP_THREAD) == 0 || (other & mine & 15) == 0 ||
        (other & mine & GS_STAMP_ATOMIC) != 0) {
        return false;
    }
    return !ordered(who, lane, other);
}

/* The stamp, with the bytes of the old one when that is the same thread's at the same time. */
static inline uint64_t with_bytes(uint64_t mine, uint64_t old) {
    return ((mine ^ old) >> GS_STAMP_TIME) == 0 ? mine | (old & 15) : mine;
}

/* The access lies before all accesses of this warp from now on, as barriers have ordered it: the usual case. */
static inline bool behind(const gs_who *who, uint64_t other) {
    return (other ^ who->stamp) >> GS_STAMP_SERIAL == 0 &&
           before(stamp_time(other), who->known[stamp_thread(other) / GS_LANES]);
}

static void say_read_only(const gs_who *who, int lane, uint64_t address) {
    const gs_allocation *a = gs_heap_find(address);
    gs_report(GS_READ_ONLY, who->warp, who->instr, lane,
              "ld.global.nc of \"%s\" offset %llu, which this launch has written", a->what,
              (unsigned long long)(address - a->begin));
}

/* True as in read_lane. */
static inline __attribute__((always_inline)) bool read_granule(const gs_who *who, int lane, const gs_region *r,
                                                               uint64_t offset, uint64_t mine) {
    gs_granule *g = &r->granule[offset / GS_GRANULE];
    const uint64_t writer = LOAD(g->writer), reader = LOAD(g->reader);
    bool all = true;
    if (current(who, writer)) {
        if (who->read_only && (writer & mine & 15) != 0) {
            say_read_only(who, lane, r->base + offset);
        }
        all = behind(who, writer);
        if (!all && conflicts(who, lane, mine, writer)) {
            say(who, lane, g, writer, true, false, r->base + offset);
        }
    }
    /* Two readers are kept, so that a later writer meets one that is not itself. Those that lie before this access,
     * and so before all writes that lie behind it, make room. */
    if (!current(who, reader) || ((reader ^ mine) >> GS_STAMP_THREAD) == 0 || behind(who, reader)) {
        STORE(g->reader, with_bytes(mine, reader));
        STORE(g->reader_code, who->code);
        return false;
    }
    const uint64_t second = LOAD(g->reader2);
    if (!current(who, second) || ((second ^ mine) >> GS_STAMP_THREAD) == 0 || behind(who, second)) {
        STORE(g->reader2, mine);
        return false;
    }
    return all;
}

/* All granules of a lane's access; true: what holds for this lane holds for every lane of the warp. */
static inline bool read_lane(const gs_who *who, int lane, const gs_region *r, uint64_t offset, unsigned bytes) {
    const uint64_t mine = who->stamp + ((uint64_t)lane << GS_STAMP_THREAD);
    if (bytes == GS_GRANULE) {
        return read_granule(who, lane, r, offset, mine | 15);
    }
    if (bytes < GS_GRANULE) {
        read_granule(who, lane, r, offset, mine | ((1u << bytes) - 1) << (offset & 3));
        return false;
    }
    bool all = true;
    for (unsigned n = 0; n < bytes; n += GS_GRANULE) {
        all &= read_granule(who, lane, r, offset + n, mine | 15);
    }
    return all;
}

void gs_race_read(const gs_who *who, uint32_t lanes, const uint64_t address[GS_LANES], const gs_region *r,
                  unsigned bytes) {
    enum { N_DONE = 32 };
    uint64_t done[N_DONE]; /* offsets that all lanes of the warp may read: lanes often share them                   */
    for (int n = 0; n < N_DONE; n++) {
        done[n] = UINT64_MAX;
    }
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
        const int lane = __builtin_ctz(left);
        const uint64_t offset = address[lane] - r->base;
        uint64_t *mark = &done[offset / GS_GRANULE % N_DONE];
        if (*mark != offset && read_lane(who, lane, r, offset, bytes)) {
            *mark = offset;
        }
    }
}

static inline void write_granule(const gs_who *who, int lane, const gs_region *r, uint64_t offset, uint64_t mine,
                                 bool same) {
    gs_granule *g = &r->granule[offset / GS_GRANULE];
    const uint64_t writer = LOAD(g->writer), reader = LOAD(g->reader), second = LOAD(g->reader2);
    if (current(who, writer) && !behind(who, writer) && conflicts(who, lane, mine, writer)) {
        if (same) {
            return; /* the first writer keeps its stamp                                                           */
        }
        say(who, lane, g, writer, true, true, r->base + offset);
    } else if (current(who, reader) && !behind(who, reader) && conflicts(who, lane, mine, reader)) {
        say(who, lane, g, reader, false, true, r->base + offset);
    } else if (current(who, second) && !behind(who, second) && conflicts(who, lane, mine, second)) {
        say(who, lane, g, second, false, true, r->base + offset);
    }
    /* Of atomic writes the first stays, for a plain write by who made a later one. */
    if ((mine & writer & GS_STAMP_ATOMIC) != 0 && current(who, writer) && !behind(who, writer)) {
        return;
    }
    STORE(g->writer, with_bytes(mine, writer));
    STORE(g->writer_code, who->code);
}

void gs_race_write(const gs_who *who, int lane, const gs_region *r, uint64_t offset, unsigned bytes,
                   const uint8_t *value) {
    const uint64_t mine = who->stamp + ((uint64_t)lane << GS_STAMP_THREAD);
    if (bytes < GS_GRANULE) {
        const bool same = value != NULL && memcmp(value, r->data + offset, bytes) == 0;
        write_granule(who, lane, r, offset, mine | ((1u << bytes) - 1) << (offset & 3), same);
        return;
    }
    for (unsigned n = 0; n < bytes; n += GS_GRANULE) {
        const bool same = value != NULL && memcmp(value + n, r->data + offset + n, GS_GRANULE) == 0;
        write_granule(who, lane, r, offset + n, mine | 15, same);
    }
}

void gs_order_lanes(gs_warp *w, uint32_t lanes) {
    gs_schedule *s = w->schedule;
    s->time++;
    if (lanes == (w->members & ~w->exited)) {
        s->known[w->index] = s->time;
        return;
    }
    if (s->pair == NULL) {
        s->pair = calloc(GS_LANES, sizeof *s->pair);
    }
    for (uint32_t a = lanes; a != 0; a &= a - 1) {
        for (uint32_t b = lanes; b != 0; b &= b - 1) {
            s->pair[__builtin_ctz(a)][__builtin_ctz(b)] = s->time;
        }
    }
}
