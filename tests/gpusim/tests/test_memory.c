/* Memory of the simulated GPU: every check reports what it is for, at the right instruction, and is silent about the
 * corrected kernel. Run in all three orders (core_tests.mk). */
#include "core_cases.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const core_case cases[] = {
    {"a read one word behind an allocation", GS_OUT_OF_BOUNDS, "ld.global", "ld.global.f32 %f1, [%rd1+4096];",
     "ld.global.f32 %f1, [%rd1+4092];", 1, 32, 0},
    {"a write before an allocation", GS_OUT_OF_BOUNDS, "st.global", "st.global.f32 [%rd1+-4], 0f00000000;",
     "st.global.f32 [%rd4], 0f00000000;", 1, 32, 0},
    {"a read at null", GS_OUT_OF_BOUNDS, "ld.global", "mov.u64 %rd10, 0; ld.global.f32 %f1, [%rd10];",
     "ld.global.f32 %f1, [%rd4];", 1, 32, 0},
    {"a generic read behind an allocation", GS_OUT_OF_BOUNDS, "ld.f32", "ld.f32 %f1, [%rd1+4096];",
     "ld.f32 %f1, [%rd1+4092];", 1, 32, 0},
    {"a vector over the end", GS_OUT_OF_BOUNDS, "ld.global.v4", "ld.global.v4.f32 {%f1,%f2,%f3,%f4}, [%rd1+4096];",
     "ld.global.v4.f32 {%f1,%f2,%f3,%f4}, [%rd1+4080];", 1, 32, 0},
    {"shared memory, behind the end", GS_OUT_OF_BOUNDS, "st.shared", "st.shared.u32 [%r7+1024], %r2;",
     "st.shared.u32 [%r7+896], %r2;", 1, 32, 0},
    {"shared memory, generic address", GS_OUT_OF_BOUNDS, "st.u32",
     "mov.u64 %rd10, s; cvta.shared.u64 %rd10, %rd10; st.u32 [%rd10+1024], %r2;",
     "mul.wide.u32 %rd11, %r2, 4; mov.u64 %rd10, s; cvta.shared.u64 %rd10, %rd10; add.s64 %rd10, %rd10, %rd11;"
     "st.u32 [%rd10], %r2;",
     1, 32, 0},
    {"dynamic shared memory behind the end", GS_OUT_OF_BOUNDS, "st.shared",
     "mov.u32 %r10, dynamic; add.s32 %r10, %r10, %r6; st.shared.u32 [%r10+4], %r2;",
     "mov.u32 %r10, dynamic; add.s32 %r10, %r10, %r6; st.shared.u32 [%r10], %r2;", 1, 32, 128},
    {"local memory behind the end", GS_OUT_OF_BOUNDS, "st.local",
     ".local .align 4 .b8 own[16]; mov.u64 %rd10, own; st.local.u32 [%rd10+16], %r2;",
     ".local .align 4 .b8 own[16]; mov.u64 %rd10, own; st.local.u32 [%rd10+12], %r2; ld.local.u32 %r10, [%rd10+12];"
     "st.global.u32 [%rd4], %r10;",
     1, 32, 0},
    {"local memory that nothing wrote", GS_UNINITIALISED, "st.global",
     ".local .align 4 .b8 own[16]; mov.u64 %rd10, own; st.local.u32 [%rd10], %r2; ld.local.u32 %r10, [%rd10+4];"
     "st.global.u32 [%rd4], %r10;",
     ".local .align 4 .b8 own[16]; mov.u64 %rd10, own; cvta.local.u64 %rd11, %rd10; st.u32 [%rd11+4], %r2;"
     "ld.local.u32 %r10, [%rd10+4]; st.global.u32 [%rd4], %r10;",
     1, 32, 0},
    {"misaligned read", GS_MISALIGNED, "ld.global", "ld.global.f32 %f1, [%rd4+2];", "ld.global.f32 %f1, [%rd4+4];", 1,
     32, 0},
    {"misaligned vector", GS_MISALIGNED, "ld.global.v2", "ld.global.v2.f32 {%f1,%f2}, [%rd1+4];",
     "ld.global.v2.f32 {%f1,%f2}, [%rd1+8];", 1, 32, 0},
    {"misaligned shared write", GS_MISALIGNED, "st.shared", "st.shared.u64 [%r7], %rd1;",
     "shl.b32 %r10, %r6, 1; add.s32 %r10, %r10, %r5; st.shared.u64 [%r10], %rd1;", 1, 32, 0},
    {"a stored value that nothing wrote", GS_UNINITIALISED, "st.global",
     "ld.global.u32 %r10, [%rd5]; st.global.u32 [%rd4], %r10;",
     "st.global.u32 [%rd5], %r2; ld.global.u32 %r10, [%rd5]; st.global.u32 [%rd4], %r10;", 1, 32, 0},
    {"an undefined value, through arithmetic", GS_UNINITIALISED, "st.global",
     "ld.global.u32 %r10, [%rd5]; add.s32 %r11, %r10, 1; st.global.u32 [%rd4], %r11;",
     "ld.global.u32 %r10, [%rd5]; add.s32 %r11, %r10, 1; mov.u32 %r11, 5; st.global.u32 [%rd4], %r11;", 1, 32, 0},
    {"a branch on an undefined value", GS_UNINITIALISED, "@%p1 bra",
     "ld.shared.u32 %r10, [%r7]; setp.eq.s32 %p1, %r10, 0; @%p1 bra L; L:",
     "st.shared.u32 [%r7], 0; ld.shared.u32 %r10, [%r7]; setp.eq.s32 %p1, %r10, 0; @%p1 bra L; L:", 1, 32, 0},
    {"an undefined index", GS_UNINITIALISED, "ld.global.f32",
     "ld.global.u64 %rd10, [%rd2]; add.s64 %rd10, %rd10, %rd1; ld.global.f32 %f1, [%rd10];",
     "ld.global.u64 %rd10, [%rd1]; add.s64 %rd10, %rd10, %rd1; ld.global.f32 %f1, [%rd10];", 1, 32, 0},
    {"an atomic on what nothing wrote", GS_UNINITIALISED, "red", "red.global.add.u32 [%rd2], 1;",
     "red.global.add.u32 [%rd1], 1;", 1, 32, 0},
    {"read-only load of what the launch writes", GS_READ_ONLY, "ld.global.nc",
     "st.global.u32 [%rd4], %r2; ld.global.nc.u32 %r10, [%rd4];",
     "st.global.u32 [%rd5], %r2; ld.global.nc.u32 %r10, [%rd4];", 1, 32, 0},
    {"an asynchronous copy read too early", GS_ASYNC_COPY, "ld.shared",
     "cp.async.ca.shared.global [%r7], [%rd4], 4; cp.async.commit_group; ld.shared.u32 %r10, [%r7];"
     "cp.async.wait_group 0;",
     "cp.async.ca.shared.global [%r7], [%rd4], 4; cp.async.commit_group; cp.async.wait_group 0;"
     "ld.shared.u32 %r10, [%r7]; st.global.u32 [%rd5], %r10;",
     1, 32, 0},
    {"a wait that leaves one group too many", GS_ASYNC_COPY, "ld.shared",
     "cp.async.ca.shared.global [%r7], [%rd4], 4; cp.async.commit_group;"
     "cp.async.ca.shared.global [%r7+128], [%rd4], 4; cp.async.commit_group;"
     "cp.async.wait_group 1; ld.shared.u32 %r10, [%r7+128]; cp.async.wait_all;",
     "cp.async.ca.shared.global [%r7], [%rd4], 4; cp.async.commit_group;"
     "cp.async.ca.shared.global [%r7+128], [%rd4], 4; cp.async.commit_group;"
     "cp.async.wait_group 1; ld.shared.u32 %r10, [%r7]; cp.async.wait_all; ld.shared.u32 %r11, [%r7+128];",
     1, 32, 0},
    {"an asynchronous copy that nobody waits for", GS_ASYNC_COPY, "cp.async.ca",
     "cp.async.ca.shared.global [%r7], [%rd4], 4; cp.async.commit_group;",
     "cp.async.ca.shared.global [%r7], [%rd4], 4, 0; cp.async.wait_all; ld.shared.u32 %r10, [%r7];"
     "st.global.u32 [%rd4], %r10;",
     1, 32, 0},
};

static void each_check(void **state) {
    (void)state;
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        core_check(&cases[n]);
    }
}

static void use_after_free(void **state) {
    (void)state;
    static const core_case c = {
        "a freed allocation", GS_USE_AFTER_FREE, "ld", "ld.global.f32 %f1, [%rd1];", "", 1, 32, 0};
    core_begin();
    void *kept = core_a, *freed = gs_memory_alloc(4096, "freed");
    assert_true(gs_memory_free(freed));
    assert_false(gs_memory_free(freed));
    core_a = freed;
    const core_result r = core_run(&c, false);
    core_a = kept;
    assert_int_equal(r.expected, 1);
    assert_int_equal(r.others, 0);
    core_end();
}

/* Values, not only reports: every operation once. */
static void atomics(void **state) {
    (void)state;
    static const core_case shared = {"shared atomics",
                                     GS_RACE,
                                     "",
                                     "",
                                     "setp.ne.u32 %p1, %r2, 0; @%p1 bra L; st.shared.u32 [%r5], 0; L: bar.sync 0; "
                                     "atom.shared.add.u32 %r10, [%r5], 2;"
                                     "bar.sync 0; ld.shared.u32 %r11, [%r5]; st.global.u32 [%rd6], %r11;",
                                     2,
                                     96,
                                     0};
    static const core_case global = {
        "global atomics",
        GS_RACE,
        "",
        "",
        "mov.u32 %r13, 0x3c003c00; mov.u64 %rd11, 2;"
        "red.global.add.u32 [%rd1], 1; red.global.add.f32 [%rd1+4], 0f3f800000; red.global.max.s32 [%rd1+8], %r8;"
        "atom.global.inc.u32 %r10, [%rd1+12], 9; red.global.or.b32 [%rd1+16], %r8;"
        "atom.global.add.u64 %rd10, [%rd1+24], %rd11; atom.global.cas.b32 %r11, [%rd1+32], 0, 7;"
        "red.global.xor.b32 [%rd1+36], %r8; red.global.min.s32 [%rd1+40], -5;"
        "red.global.add.f64 [%rd1+48], 0d3FE0000000000000; atom.global.exch.b32 %r12, [%rd1+56], 3;"
        "red.global.add.noftz.f16x2 [%rd1+60], %r13;",
        4,
        64,
        0};
    uint32_t got[192];
    core_begin();
    core_result r = core_run(&global, true);
    assert_int_equal(r.expected + r.others, 0);
    core_read(core_a, got, 16);
    const uint32_t want[16] = {256, 0x43800000, 255,          256 % 10, 255, 0,          512, 0,
                               7,   0,          (uint32_t)-5, 0,        0,   0x40600000, 3,   0x5c005c00};
    assert_memory_equal(got, want, sizeof want);
    r = core_run(&shared, true);
    assert_int_equal(r.expected + r.others, 0);
    core_read(core_a, got, 192);
    for (int n = 0; n < 192; n++) {
        assert_int_equal(got[n], 192);
    }
    core_end();
}

static void marks(void **state) {
    (void)state;
    const char *why = NULL;
    uint8_t *p = gs_memory_alloc(1000, "p");
    assert_true(gs_memory_valid(p, 1000, &why));
    assert_false(gs_memory_valid(p + 1, 1000, &why));
    assert_non_null(strstr(why, "\"p\""));
    assert_false(gs_memory_begin(p, 1001, true, false, "too long"));
    assert_true(gs_memory_begin(p, 100, true, false, "write"));
    memset(p, 1, 100);
    gs_memory_end(p, 100);
    const uint64_t before = gs_get_totals()->reports[GS_UNINITIALISED];
    assert_true(gs_memory_begin(p + 10, 90, false, true, "inside"));
    gs_memory_end(p + 10, 90);
    assert_int_equal(gs_get_totals()->reports[GS_UNINITIALISED], before);
    uint8_t *q = gs_memory_alloc(1000, "q");
    gs_memory_copy_marks(q, p, 101);
    assert_true(gs_memory_begin(q, 100, false, true, "copied"));
    gs_memory_end(q, 100);
    assert_int_equal(gs_get_totals()->reports[GS_UNINITIALISED], before);
    assert_true(gs_memory_begin(q, 101, false, true, "one byte too many"));
    gs_memory_end(q, 101);
    assert_int_equal(gs_get_totals()->reports[GS_UNINITIALISED], before + 1);
    const int live = gs_memory_live();
    assert_true(gs_memory_free(p));
    assert_true(gs_memory_free(q));
    assert_int_equal(gs_memory_live(), live - 2);
    assert_null(gs_memory_alloc((size_t)1 << 40, "more than there is"));
    /* Large allocations cost nothing until they are used. */
    uint8_t *large = gs_memory_alloc((size_t)12 << 30, "12 GB");
    assert_non_null(large);
    assert_true(gs_memory_free(large));
}

/* The host reads device memory: the process ends with 86. */
static void host_access(void **state) {
    (void)state;
    volatile uint8_t *p = gs_memory_alloc(64, "out of reach");
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        gs_heap_catch_host(); /* cmocka has taken the signal */
        fclose(stderr);
        stderr = fopen("/dev/null", "w");
        _exit(p[3] == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 86);
    assert_true(gs_memory_free((void *)p));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_check), cmocka_unit_test(use_after_free), cmocka_unit_test(atomics),
        cmocka_unit_test(marks),      cmocka_unit_test(host_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
