/* The simulator as the stand-in libraries see it: device memory, modules, launches, options, the final report. All
 * functions may be called from any host thread, one at a time (the libraries hold gs_lock). */
#ifndef GPUSIM_SIM_H
#define GPUSIM_SIM_H

#include "core.h"

/* ---- options: GPUSIM=key=value,key=value in the environment ------------------------------------------------ */
typedef enum { GS_FORWARD, GS_REVERSE, GS_RANDOM } gs_order;
typedef struct {
    gs_order order;  /* order=forward|reverse|random                                                       */
    uint64_t seed;   /* seed=N of the random order; printed in the report                                   */
    bool preempt;    /* preempt=0|1: may leave a thread after any instruction (random order; default 1)     */
    int threads;     /* threads=N host threads that run blocks; default 2                                   */
    int edge_blocks; /* edge_blocks=N: of each launch only the first and last N blocks run (0: all)         */
    int block_width; /* block=N: 1-D launches run with N threads a block instead (N a multiple of 32; kernels of our
                        vocabulary are right for any width), but for kernels with a launch bound; 0: as launched */
    int grid_blocks; /* grid=N: 1-D launches of kernels without a launch bound run with N blocks at most (kernels of our
                        vocabulary are right for any number): loops go round often, unrolled ones reach their body */
    int more_blocks; /* more_blocks=N: so many blocks more for the same launches; they must find nothing to do */
    int64_t slice;   /* average instructions between preemptions; default 50                                */
    int architecture;   /* arch=80|90|100|120: limits and properties of the device; default 80                 */
    int64_t memory;     /* memory=MB of the simulated GPU; default 16384                                       */
    const char *ptx;    /* ptx=FILE: this text instead of the module that has the entry which its first line names, as
                           "// replaces ENTRY" (mutants/mutate.py)                                              */
    const char *report; /* report=FILE: the reports and totals as JSON, besides stderr                         */
    bool stop;          /* stop=1: the first report of a kernel ends the program                              */
    bool exact;         /* exact=1: approximate instructions without their documented error                    */
    char fail_call[64]; /* fail=NAME:N: the N-th call of this library function fails (libs)                    */
    int fail_at;
    bool lazy_streams; /* streams=lazy|eager: work waits until something waits for it; default lazy           */
    bool protect;      /* protect=0|1: device memory unreadable for the host; default 1                       */
    int wait;          /* wait=SECONDS that a process of several waits for the others (NCCL); default 60            */
} gs_options;
const gs_options *gs_get_options(void); /* read once; an unknown key or value is fatal */

/* ---- device memory -------------------------------------------------------------------------------------------- */
/* Address aligned to 256 bytes with a gap before and after; contents undefined and marked so. NULL when `bytes` is more
 * than the simulated GPU has left (memory=N MB, default 16384; reserved, not touched: large tensors cost nothing until
 * they are used). */
void *gs_memory_alloc(size_t bytes, const char *what);
/* False: not the begin of a live allocation. Freed memory is kept from use for a while. */
bool gs_memory_free(void *memory);
/* The allocation is a module's variable: lives as long as the process, no leak. */
void gs_memory_keep(void *memory);
/* True when address .. address + bytes - 1 lies in one live allocation; else *why says what is wrong. */
bool gs_memory_valid(const void *address, size_t bytes, const char **why);
/* Host access for library calls and copies: opens the pages, marks reads (undefined bytes reported when `defined`) and
 * writes (defined, ordered before later launches). gs_memory_end closes them again. */
bool gs_memory_begin(const void *address, size_t bytes, bool write, bool defined, const char *where);
void gs_memory_end(const void *address, size_t bytes);
/* Copies or sets the marks of defined bytes along with the bytes (device to device copies). */
void gs_memory_copy_marks(void *to, const void *from, size_t bytes);
size_t gs_memory_in_use(void);
int gs_memory_live(void); /* allocations not freed, modules' own variables left out */
/* Says each live allocation in the final report. */
void gs_memory_report_leaks(void);

/* ---- launches ------------------------------------------------------------------------------------------------- */
typedef struct {
    const gs_function *function;
    uint32_t grid[3], block[3];
    size_t dynamic_shared;     /* bytes                                                                         */
    const void *const *args;   /* one pointer a parameter                                                       */
    size_t max_dynamic_shared; /* what cudaFuncSetAttribute allowed; 49152 without                              */
} gs_launch_config;
/* 0, or the cudaError_t value that a GPU would return for the configuration; the reason in the report. */
int gs_launch_check(const gs_launch_config *config);
/* Runs the kernel to its end. Arguments are read before it returns. */
void gs_launch_run(const gs_launch_config *config);

typedef struct {
    uint64_t launches, blocks, instructions;
    uint64_t reports[GS_N_CHECKS];
    double seconds; /* inside gs_launch_run */
} gs_totals;
const gs_totals *gs_get_totals(void);
/* Calls of library functions for the report file: names and counts for index 0, 1, ... until NULL. */
typedef const char *(*gs_call_lister)(int index, unsigned long *count);
void gs_report_calls(gs_call_lister lister);
/* The last line on stderr, "gpusim: N launches, ..., N reports", the report file, and, if anything was reported,
 * the exit status 86. Called from a destructor. */
void gs_finish(void);

#endif
