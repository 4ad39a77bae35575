/* What the scheduler, the memory and the checks share, and nobody else: blocks, splits, frames, the shadow of memory.
 *
 * Order of accesses. Every warp has a time, which grows with each barrier and each bar.warp.sync, and knows of every
 * warp of its block the time up to which that warp's accesses lie before its own. An access is stamped with block,
 * thread and time; two accesses of one block are ordered when the later thread's warp knows the earlier one's time.
 * Lanes of a warp are ordered by barriers and bar.warp.sync only: that they run in step orders nothing. */
#ifndef GPUSIM_ENGINE_H
#define GPUSIM_ENGINE_H

#include "sim.h"
#include <pthread.h>
#include <stdatomic.h>

enum { GS_MAX_WARPS = 32, GS_BARRIERS = 16, GS_GRANULE = 4, GS_MAX_SPLITS = 32 };

/* ---- shadow.c: memory with its marks -------------------------------------------------------------------------- */

/* A stamp: block serial:30, thread:10, time:19, atomic:1, bytes of the granule:4. Serials count the blocks of all
 * launches, so that a stamp of an earlier launch is smaller than the launch's first one and nothing needs clearing. */
enum { GS_STAMP_THREAD = 24, GS_STAMP_SERIAL = 34, GS_STAMP_TIME = 5, GS_STAMP_ATOMIC = 16 };
#define GS_TIME_MASK UINT32_C(0x7ffff)

typedef struct {
    _Atomic uint64_t writer, reader, reader2;
    _Atomic uint32_t writer_code, reader_code; /* gs_code of the instruction                                      */
} gs_granule;

/* A stretch of memory that accesses of one space go to. */
typedef struct {
    uint64_t base;             /* address of data[0]                                                              */
    uint64_t size;             /* shared and local memory; global memory asks the table of allocations            */
    uint8_t *data;             /* as the simulator sees it                                                        */
    gs_granule *granule;       /* NULL: a thread's own memory                                                     */
    _Atomic uint64_t *defined; /* a bit a byte                                                                    */
    uint64_t low, high;        /* gs_check_access: lowest and highest address of the lanes                         */
} gs_region;

/* The bits of `bytes` (1..64, not over a word's end) at the offset. */
static inline uint64_t gs_bits(uint64_t offset, unsigned bytes) {
    return (bytes >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << bytes) - 1) << (offset & 63);
}
static inline bool gs_is_defined(const gs_region *r, uint64_t offset, unsigned bytes) {
    const uint64_t bits = gs_bits(offset, bytes);
    return (atomic_load_explicit(&r->defined[offset >> 6], memory_order_relaxed) & bits) == bits;
}
static inline void gs_set_defined(const gs_region *r, uint64_t offset, unsigned bytes) {
    const uint64_t bits = gs_bits(offset, bytes);
    _Atomic uint64_t *word = &r->defined[offset >> 6];
    if ((atomic_load_explicit(word, memory_order_relaxed) & bits) != bits) {
        atomic_fetch_or_explicit(word, bits, memory_order_relaxed);
    }
}
/* Ranges of any length. */
void gs_defined_set(_Atomic uint64_t *defined, uint64_t offset, uint64_t bytes);
void gs_defined_clear(_Atomic uint64_t *defined, uint64_t offset, uint64_t bytes);
bool gs_defined_all(const _Atomic uint64_t *defined, uint64_t offset, uint64_t bytes);
void gs_defined_copy(_Atomic uint64_t *to, uint64_t to_offset, const _Atomic uint64_t *from, uint64_t from_offset,
                     uint64_t bytes);

/* ---- heap.c: device memory ------------------------------------------------------------------------------------ */

typedef struct {
    uint64_t begin, bytes, reserved; /* reserved: pages and gap                                                    */
    char what[48];
    bool live, module;
    int open; /* gs_memory_begin without its end                                                                  */
    uint64_t serial;
} gs_allocation;
extern gs_region gs_heap; /* granules and marks of all device memory                                              */
/* The allocation, live or freed, that holds the address, else the last one before it (NULL: none). */
gs_allocation *gs_heap_find(uint64_t address);
void gs_heap_forget_stamps(void);
void gs_heap_catch_host(void); /* takes SIGSEGV: when the host touches device memory                              */
/* Text for a wrong address. */
const char *gs_heap_describe(uint64_t address, uint64_t bytes, char text[256], gs_check *check);

/* ---- a block -------------------------------------------------------------------------------------------------- */

typedef struct gs_frame gs_frame;
struct gs_frame {
    gs_frame *parent, *next; /* next: of all frames of the warp                                                    */
    const gs_function *function;
    uint8_t *registers, *memory; /* memory: frame_bytes a lane, for .param variables                              */
    uint32_t *undefined;
    int32_t return_pc, depth;
};

typedef enum { GS_READY, GS_AT_BARRIER, GS_IN_BARRIER, GS_AT_COLLECTIVE } gs_state;

/* Lanes of a warp that stand at the same instruction. GS_AT_BARRIER: waits for the rest of its warp; GS_IN_BARRIER: has
 * been counted by the barrier. */
typedef struct {
    gs_frame *frame;
    int32_t pc;
    uint32_t lanes;
    uint8_t state, barrier;
} gs_split;

typedef struct {
    uint64_t to, from;
    uint32_t lane, group;
    uint8_t bytes, source_bytes;
    const gs_instr *instr;
} gs_copy;

typedef struct gs_schedule {
    gs_split split[GS_MAX_SPLITS];
    int n_splits;
    gs_frame *frames, *root, *selected;
    /* times, see above */
    uint32_t time, known[GS_MAX_WARPS]; /* known[own index]: all lanes met at this time                           */
    uint32_t (*pair)[GS_LANES];         /* [l][m]: the time when the lanes met last; NULL: no pair alone did       */
    /* local memory: `local_size` bytes a lane, a bit a byte of marks */
    uint8_t *local;
    _Atomic uint64_t *local_defined;
    uint64_t local_size, local_room;
    gs_copy *copy; /* asynchronous copies that nobody has waited for                                              */
    int n_copies, copy_room;
    uint32_t copy_group[GS_LANES];
    uint32_t fenced;                /* lanes that executed a fence                                               */
    const gs_instr *undefined_load; /* the last load that gave an undefined value                                */
    uint64_t undefined_address;
    uint64_t last_hit[64]; /* allocation last used by the instruction (index & 63)                      */
} gs_schedule;

typedef struct {
    uint32_t arrived, expected; /* threads; expected 0: all that live                                             */
    uint32_t clock[GS_MAX_WARPS];
    uint32_t reduced_and, reduced_or, reduced_count;
    const gs_instr *first; /* of this generation                                                                  */
    bool counted;          /* with a thread count                                                                 */
} gs_barrier;

struct gs_block {
    uint32_t index[3];
    uint64_t at, serial; /* among the blocks that run; of the process                                             */
    uint32_t threads, living, n_warps;
    gs_warp *warp; /* n_warps                                                                                     */
    gs_barrier barrier[GS_BARRIERS];
    gs_region shared;
    _Atomic uint64_t *in_flight; /* a bit a byte of shared memory: an asynchronous copy will write it             */
    int n_in_flight;
    bool abandoned, any_undefined; /* any_undefined: a load of the block gave an undefined value                  */
    int forced;      /* barriers released by force                                                             */
    uint64_t random; /* state of the block's random numbers                                                    */
    uint64_t run;    /* instructions, a lane                                                                   */
    struct gs_acquired *acquired; /* race.c                                                                       */
    bool fenced;
};

struct gs_launch {
    const gs_launch_config *config;
    const gs_function *function;
    uint32_t grid[3], block[3];
    uint64_t number, n_blocks, first_serial, first_stamp;
    uint8_t *params;
    uint64_t shared_static, shared_bytes;
    _Atomic uint64_t next, instructions;
    uint64_t to_run;      /* blocks; less than n_blocks with edge_blocks                                           */
    uint64_t step, start; /* random order of the blocks: start + n * step                                         */
    struct gs_releases *releases; /* race.c                                                                       */
    _Atomic bool any_release;
};

/* ---- frame.c ---------------------------------------------------------------------------------------------------- */
/* The frame of calls of `function` that return to `return_pc` of the parent (NULL: the kernel): one for all lanes. */
gs_frame *gs_frame_enter(gs_warp *w, gs_frame *parent, const gs_function *function, int32_t return_pc);
void gs_frame_select(gs_warp *w, gs_frame *frame); /* the warp's banks are those of the frame                     */
void gs_frame_free_all(gs_warp *w);
void gs_frame_clear(gs_warp *w); /* no value is undefined                                                         */
static inline gs_frame *gs_warp_frame(const gs_warp *w) {
    return w->schedule->selected;
}
/* Copies arguments to the callee's frame, results to the caller's. */
void gs_frame_pass(const gs_instr *call, gs_frame *caller, gs_frame *callee, uint32_t lanes, bool results);
gs_region gs_local_region(const gs_warp *w, int lane); /* a lane's local memory                                   */

/* ---- split.c, collective.c, barrier.c, schedule.c --------------------------------------------------------------- */
static inline uint32_t gs_living(const gs_warp *w) {
    return w->members & ~w->exited;
}
/* Splits off the lanes; returns the index of the new split, which has the state of the old one. */
int gs_split_off(gs_warp *w, int split, uint32_t lanes);
void gs_split_remove(gs_warp *w, int split);
/* Merges the others in the same state at the same instruction into this one; returns its index now. */
int gs_split_merge(gs_warp *w, int split);
bool gs_split_any(const gs_warp *w, gs_state state);

/* Lanes wait at collectives: runs those that are complete. force: the others too, said. True: something ran. */
bool gs_collective_try(gs_warp *w, bool force);

/* A split has come to a barrier instruction: counts it, or lets it wait for its warp. */
void gs_barrier_arrive(gs_warp *w, int split);
/* No split of the warp can go on: lanes that wait for others of the warp which will not come are reported. */
void gs_barrier_warp_blocked(gs_warp *w);
void gs_barrier_exit(gs_warp *w);   /* lanes have ended: barriers may be complete now                              */
void gs_barrier_stuck(gs_block *b); /* no warp can go on: says so, lets go                                        */

void gs_block_run(gs_block *b);
uint64_t gs_block_linear(const gs_launch *launch, uint64_t at); /* in the grid                                    */
uint32_t gs_random(gs_block *b); /* 32 bits                                                                       */

/* ---- race.c ----------------------------------------------------------------------------------------------------- */

/* Who accesses: the same for all lanes of an access. */
typedef struct {
    gs_warp *warp;
    const gs_instr *instr;
    uint64_t stamp;       /* of lane 0, without bytes                                                              */
    uint64_t first, span; /* stamps of the launch (shared memory: of the block) begin at first                     */
    const uint32_t *known;
    uint32_t code;
    bool shared, read_only;
} gs_who;
gs_who gs_who_is(gs_warp *w, const gs_instr *i, bool shared, bool atomic);
void gs_race_read(const gs_who *who, uint32_t lanes, const uint64_t address[GS_LANES], const gs_region *r,
                  unsigned bytes);
/* old: what lies there, value: what will (write-write races of equal bytes are none); NULL: differs. */
void gs_race_write(const gs_who *who, int lane, const gs_region *r, uint64_t offset, unsigned bytes,
                   const uint8_t *value);
void gs_race_fence(gs_warp *w, uint32_t lanes);
/* Around an atomic (or volatile) access at a global address: before a write, what a fence has ordered is handed to
 * those who come later; after a read or an atomic operation, the block has it from those who came before. */
void gs_race_release(gs_warp *w, int lane, uint64_t address, bool fence);
void gs_race_acquire(gs_warp *w, uint64_t address);
void gs_race_launch_end(gs_launch *launch);
void gs_race_block_end(gs_block *b);
/* All lanes of the mask have met (bar.warp.sync). */
void gs_order_lanes(gs_warp *w, uint32_t lanes);
/* Number of an instruction in all modules, for the shadow; and back. */
static inline uint32_t gs_code(const gs_instr *i) {
    return ((uint32_t)i->function->number << 20) | ((uint32_t)i->index & 0xfffff);
}
const gs_instr *gs_code_instr(uint32_t code);

/* ---- memory.c --------------------------------------------------------------------------------------------------- */

/* detail[] of ld, st, atom, red, cp.async, fence: set by gs_memory_prepare. */
enum { GS_D_FLAGS, GS_D_OPERATION };
enum { GS_F_ATOMIC = 1, GS_F_NC = 2, GS_F_RELEASE = 4, GS_F_ACQUIRE = 8, GS_F_WARP_SYNC = 16 };
/* Before a function of the module runs for the first time: numbers, flags; what is not supported is fatal. */
void gs_memory_prepare(gs_module *module);
void gs_atomic_prepare(gs_instr *i);
void gs_cp_async_prepare(gs_instr *i);

/* Addresses of an operand. Reports undefined ones. */
void gs_addresses(gs_warp *w, const gs_instr *i, const gs_operand *o, uint32_t lanes, uint64_t address[GS_LANES]);
/* The lanes whose access (n * size bytes) is inside its allocation and aligned; the others are reported. region is
 * filled. Generic addresses must have been resolved. */
uint32_t gs_check_access(gs_warp *w, const gs_instr *i, gs_space space, const uint64_t address[GS_LANES],
                         uint32_t lanes, unsigned bytes, bool write, gs_region *region);
/* Turns generic addresses into those of one space: that of the lowest lane; returns the lanes in it. */
uint32_t gs_resolve(const gs_warp *w, uint64_t address[GS_LANES], uint32_t lanes, gs_space *space);
/* Reports where an undefined value is used, and marks it defined. */
void gs_use_undefined(gs_warp *w, const gs_instr *i, const gs_operand *o, uint32_t lanes, const char *use);

/* ---- async_copy.c ----------------------------------------------------------------------------------------------- */
void gs_in_flight_check(gs_warp *w, const gs_instr *i, int lane, uint64_t offset, unsigned bytes, bool write);
void gs_copies_exit(gs_warp *w, const gs_instr *i, uint32_t lanes); /* lanes end                                   */

/* ---- report.c -----------------------------------------------------------------------------------------------------
 */
void gs_count_launch(const gs_function *f, uint64_t blocks, uint64_t instructions, double seconds);
/* What has been reported so far, for tests; instr NULL: outside a kernel. False: there is no n-th one. */
typedef struct {
    gs_check check;
    const gs_instr *instr;
    const char *text;
    uint64_t count;
} gs_said;
bool gs_get_said(size_t n, gs_said *said);

#endif
