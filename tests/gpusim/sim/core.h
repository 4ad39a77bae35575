/* What the executing parts of the simulator share: a warp, its registers, its block, its launch. */
#ifndef GPUSIM_CORE_H
#define GPUSIM_CORE_H

#include "ptx.h"

typedef struct gs_block gs_block;
typedef struct gs_launch gs_launch;

/* Windows of the generic address space. Global addresses are those of gs_memory_alloc, far away from these. */
#define GS_SHARED_WINDOW UINT64_C(0x0000010000000000)
#define GS_LOCAL_WINDOW  UINT64_C(0x0000020000000000)
#define GS_WINDOW_BYTES  UINT64_C(0x0000000100000000)

/* A call's frame: registers of the function that runs. */
typedef struct gs_frame gs_frame;

struct gs_warp {
    uint8_t *bank[GS_N_BANKS]; /* of the function that runs: registers, constants, specials                  */
    uint32_t *undefined;       /* a word a register slot (offset / 4 of the register): lanes whose value comes from
                                  memory that nothing wrote                                                  */
    uint32_t any_undefined;    /* 0: no register of this warp is undefined now (the usual case)              */
    uint32_t carry;            /* the carry flag of add.cc ... : bit l is lane l's                             */
    gs_block *block;
    gs_launch *launch;
    int index;        /* in the block                                                               */
    uint32_t members; /* lanes that exist (the last warp may be partial)                            */
    uint32_t exited;
    uint64_t instructions;        /* executed, counted a lane                                                   */
    uint8_t *params;              /* the launch's parameter bank (entry), shared by all lanes                   */
    struct gs_schedule *schedule; /* the scheduler's own: splits, frames, waits                                */
};

/* Lane values of a register operand. */
static inline uint32_t *gs_u32(const gs_warp *w, const gs_operand *o) {
    return (uint32_t *)(void *)(w->bank[o->bank] + o->offset);
}
static inline uint64_t *gs_u64(const gs_warp *w, const gs_operand *o) {
    return (uint64_t *)(void *)(w->bank[o->bank] + o->offset);
}
/* A predicate register as lanes; negation applied. */
static inline uint32_t gs_pred(const gs_warp *w, const gs_operand *o) {
    const uint32_t p = *(const uint32_t *)(const void *)(w->bank[o->bank] + o->offset);
    return o->negated ? ~p : p;
}

/* ---- memory.c: every access of the interpreted program goes through these ------------------------------- */

/* A vector access of one lane is n elements of `size` bytes side by side, aligned to n * size. */
void gs_load(gs_warp *w, const gs_instr *i, uint32_t lanes);   /* ld, ldu, ld.param, ld.const, ld.global.nc     */
void gs_store(gs_warp *w, const gs_instr *i, uint32_t lanes);  /* st                                            */
void gs_atomic(gs_warp *w, const gs_instr *i, uint32_t lanes); /* atom, red: every operation of the PTX ISA 9.0
                                                                  for b32, b64, u/s 32, 64, f32, f64, f16x2      */
void gs_cp_async(gs_warp *w, const gs_instr *i,
                 uint32_t lanes);                             /* cp.async copies, commit_group, wait_group, wait_all */
void gs_fence(gs_warp *w, const gs_instr *i, uint32_t lanes); /* membar, fence                                 */
void gs_cvta(gs_warp *w, const gs_instr *i, uint32_t lanes);  /* cvta, cvta.to                                 */
/* ldmatrix, stmatrix: 16 bytes a row at shared addresses, checked like an access of the lane that gave the address.
 * Reads into / writes from `row`. */
void gs_matrix_row_load(gs_warp *w, const gs_instr *i, int lane, uint64_t address, uint8_t row[16]);
void gs_matrix_row_store(gs_warp *w, const gs_instr *i, int lane, uint64_t address, const uint8_t row[16]);

/* ---- undefined values (report.c decides what is said) ----------------------------------------------------- */

/* The lanes of `lanes` in which the operand's value is undefined. */
uint32_t gs_operand_undefined(const gs_warp *w, const gs_operand *o, uint32_t lanes);
/* Marks the destination: defined where `undefined` has no bit. `from`: the load that the value came from. */
void gs_mark_undefined(gs_warp *w, const gs_operand *destination, uint32_t lanes, uint32_t undefined);
/* Every plain or collective instruction but loads and atomics, which mark what memory says: destination undefined where
 * any source is (selp: where the predicate or the chosen side is). The scheduler calls it after `run` when
 * w->any_undefined; executing functions need not think of it. Loads, stores and atomics are left out: they mark their
 * destinations themselves (gs_propagate_undefined does nothing for them). */
void gs_propagate_undefined(gs_warp *w, const gs_instr *i, uint32_t lanes);

/* ---- report.c ------------------------------------------------------------------------------------------------ */

typedef enum {
    GS_OUT_OF_BOUNDS,
    GS_MISALIGNED,
    GS_USE_AFTER_FREE,
    GS_UNINITIALISED,
    GS_RACE,
    GS_DIVERGENT_BARRIER,
    GS_STUCK_BARRIER,
    GS_BAD_LANE,
    GS_ASYNC_COPY,
    GS_BAD_LAUNCH,
    GS_READ_ONLY,
    GS_DEVICE_TRAP,
    GS_BAD_CALL, /* of a library */
    GS_LEAK,
    GS_N_CHECKS
} gs_check;
/* One line on stderr and in the report file: check, what, kernel, block, thread, source file:line, PTX line and text.
 * The same check at the same instruction is said once and counted. lane -1: the whole warp. `what` is a printf text. */
__attribute__((format(printf, 5, 6))) void gs_report(gs_check check, gs_warp *w, const gs_instr *i, int lane,
                                                     const char *what, ...);
/* A mistake of the simulated program outside a kernel (a library call). `where`: the call. */
__attribute__((format(printf, 3, 4))) void gs_report_host(gs_check check, const char *where, const char *what, ...);
/* What the simulator itself cannot do: message, exit status 99. */
__attribute__((format(printf, 1, 2), noreturn)) void gs_fatal(const char *what, ...);
/* "kernels/norm.cu:31" of an instruction. */
const char *gs_where(const gs_instr *i, char text[512]);

#endif
