/* A case of the simulator's core: the body of a kernel in PTX that a check must report, and its corrected twin. */
#ifndef GPUSIM_CORE_CASES_H
#define GPUSIM_CORE_CASES_H

#include "engine.h"

/* The kernel: parameters a, b (1024 words each; a is written by the host, b is not) and n. The body finds
 * %rd1, %rd2  a and b;  %rd4, %rd5  a and b + 4 * %tid.x;  %rd6, %rd7  a and b + 4 * index in the grid
 * %r1 n  %r2 %tid.x  %r3 %ctaid.x  %r4 %ntid.x  %r5 shared array s of 1024 bytes  %r7 s + 4 * %tid.x  %r8 grid index
 * and may use %r10 ... %r39, %f1 ... %f19, %rd10 ... %rd29, %p1 ... %p9. */
typedef struct {
    const char *name;
    gs_check check;
    const char *at; /* the report's instruction begins with this                                                  */
    const char *wrong, *right;
    unsigned grid, block;
    unsigned shared; /* dynamic                                                                                   */
} core_case;

/* Reports of running the body: how many of the check, how many of others, the first one's instruction. */
typedef struct {
    unsigned expected, others;
    const char *at, *text;
} core_result;
core_result core_run(const core_case *c, bool right);
/* Runs all cases as cmocka tests. */
void core_check(const core_case *c);

/* Device memory of the cases: a, b. */
extern void *core_a, *core_b;
void core_begin(void);
void core_end(void);
/* Words of device memory for the host. */
void core_read(const void *from, uint32_t *to, size_t words);
void core_write(void *to, const uint32_t *from, size_t words);

#endif
