/* Scheduling: races, barriers, collectives, calls, launches. Every check reports what it is for and is silent about
 * the corrected kernel, in all three orders (core_tests.mk). */
#include "core_cases.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* %r7: the thread's slot of s; the next one's, of 64 threads. */
#define NEXT_SLOT "add.s32 %r10, %r2, 1; and.b32 %r10, %r10, 63; shl.b32 %r10, %r10, 2; add.s32 %r10, %r10, %r5;"
/* The lane's neighbour in the warp. */
#define NEXT_LANE                                                                                                      \
    "add.s32 %r10, %r2, 1; and.b32 %r10, %r10, 31; and.b32 %r11, %r2, 32; or.b32 %r10, %r10, %r11;"                    \
    "shl.b32 %r10, %r10, 2; add.s32 %r10, %r10, %r5;"
/* Each block adds a word of its own to the array, then one of the last-block pattern. */
#define LAST_BLOCK(fence)                                                                                              \
    "setp.ne.u32 %p1, %r2, 0; @%p1 bra END;"                                                                           \
    "mul.wide.u32 %rd10, %r3, 4; add.s64 %rd11, %rd2, %rd10; st.global.u32 [%rd11], %r3;" fence                        \
    "atom.global.add.u32 %r10, [%rd1], 1; mov.u32 %r11, %nctaid.x; add.s32 %r12, %r11, -1;"                            \
    "setp.ne.u32 %p2, %r10, %r12; @%p2 bra END;"                                                                       \
    "mov.u32 %r13, 0; mov.u32 %r14, 0; mov.u64 %rd12, %rd2;"                                                           \
    "LOOP: ld.global.u32 %r15, [%rd12]; add.s32 %r14, %r14, %r15; add.s64 %rd12, %rd12, 4; add.s32 %r13, %r13, 1;"     \
    "setp.lt.u32 %p3, %r13, %r11; @%p3 bra LOOP; st.global.u32 [%rd1+4], %r14; END:"

static const core_case cases[] = {
    {"no barrier between warps", GS_RACE, "", "st.shared.u32 [%r7], %r2;" NEXT_SLOT "ld.shared.u32 %r11, [%r10];",
     "st.shared.u32 [%r7], %r2; bar.sync 0;" NEXT_SLOT "ld.shared.u32 %r11, [%r10];", 2, 64, 0},
    {"no second barrier", GS_RACE, "",
     "st.shared.u32 [%r7], %r2; bar.sync 0;" NEXT_SLOT "ld.shared.u32 %r11, [%r10]; st.shared.u32 [%r7], %r11;",
     "st.shared.u32 [%r7], %r2; bar.sync 0;" NEXT_SLOT
     "ld.shared.u32 %r11, [%r10]; bar.sync 0; st.shared.u32 [%r7], %r11;",
     2, 64, 0},
    {"lanes in step are not ordered", GS_RACE, "", "st.shared.u32 [%r7], %r2;" NEXT_LANE "ld.shared.u32 %r11, [%r10];",
     "st.shared.u32 [%r7], %r2; bar.warp.sync -1;" NEXT_LANE "ld.shared.u32 %r11, [%r10];", 1, 64, 0},
    {"bar.warp.sync orders no other warp", GS_RACE, "",
     "st.shared.u32 [%r7], %r2; bar.warp.sync -1;" NEXT_SLOT "ld.shared.u32 %r11, [%r10];",
     "st.shared.u32 [%r7], %r2; bar.warp.sync -1; bar.sync 1;" NEXT_SLOT "ld.shared.u32 %r11, [%r10];", 1, 64, 0},
    {"bar.warp.sync of half a warp", GS_RACE, "",
     "setp.gt.u32 %p1, %r2, 15; @%p1 bra L; st.shared.u32 [%r7], %r2; bar.warp.sync 0xffff; xor.b32 %r10, %r7, 16; bra "
     "M;"
     "L: st.shared.u32 [%r7], %r2; xor.b32 %r10, %r7, 64; M: ld.shared.u32 %r11, [%r10];",
     "setp.gt.u32 %p1, %r2, 15; @%p1 bra L; st.shared.u32 [%r7], %r2; bar.warp.sync 0xffff; xor.b32 %r10, %r7, 16; bra "
     "M;"
     "L: st.shared.u32 [%r7], %r2; mov.u32 %r10, %r7; M: ld.shared.u32 %r11, [%r10];",
     1, 32, 0},
    {"all lanes write another value", GS_RACE, "st.shared", "st.shared.u32 [%r5], %r2;", "st.shared.u32 [%r5], %r1;", 1,
     64, 0},
    {"two threads, a byte each", GS_RACE, "st.shared",
     "shr.u32 %r10, %r2, 1; add.s32 %r10, %r10, %r5; st.shared.u8 [%r10], %r2;",
     "add.s32 %r10, %r2, %r5; st.shared.u8 [%r10], %r2;", 1, 64, 0},
    {"a plain sum of all blocks", GS_RACE, "",
     "ld.global.u32 %r10, [%rd1]; add.s32 %r10, %r10, %r8; st.global.u32 [%rd1], %r10;",
     "red.global.add.u32 [%rd1], 1;", 8, 32, 0},
    {"blocks write each other's words", GS_RACE, "st.global", "st.global.u32 [%rd4], %r3;",
     "st.global.u32 [%rd6], %r3;", 8, 32, 0},
    {"an atomic and a plain write", GS_RACE, "",
     "red.global.add.u32 [%rd4], 1; setp.ne.u32 %p1, %r3, 0; @%p1 bra L; st.global.u32 [%rd4], 7; L:",
     "red.global.add.u32 [%rd4], 1; setp.ne.u32 %p1, %r3, 0; @%p1 bra L; st.global.u32 [%rd5], 7; L:", 4, 32, 0},
    {"last block without a fence", GS_RACE, "ld.global", LAST_BLOCK(""), LAST_BLOCK("membar.gl;"), 16, 64, 0},
    {"half a warp at a barrier", GS_DIVERGENT_BARRIER, "bar.sync",
     "setp.gt.u32 %p1, %r2, 15; @%p1 bra L; bar.sync 0; L:", "setp.gt.u32 %p1, %r2, 15; @%p1 bra L; L: bar.sync 0;", 1,
     64, 0},
    {"two barriers in the arms of a branch", GS_DIVERGENT_BARRIER, "bar.sync",
     "and.b32 %r10, %r2, 1; setp.eq.u32 %p1, %r10, 1; @%p1 bra L; bar.sync 0; bra M; L: bar.sync 0; M:",
     "and.b32 %r10, %r2, 32; setp.eq.u32 %p1, %r10, 32; @%p1 bra L; bar.sync 0; bra M; L: bar.sync 0; M:", 1, 64, 0},
    {"a warp ends before the barrier", GS_DIVERGENT_BARRIER, "bar.sync",
     "setp.gt.u32 %p1, %r2, 31; @%p1 bra L; bar.sync 0; L:", "bar.sync 0; setp.gt.u32 %p1, %r2, 31; @%p1 bra L; L:", 1,
     96, 0},
    {"a guarded barrier", GS_DIVERGENT_BARRIER, "@%p1 bar.sync", "setp.gt.u32 %p1, %r2, 7; @%p1 bar.sync 0;",
     "setp.lt.u32 %p1, %r2, 700; @%p1 bar.sync 0;", 1, 64, 0},
    {"two barriers that wait for each other", GS_STUCK_BARRIER, "bar.sync",
     "setp.gt.u32 %p1, %r2, 31; @%p1 bra L; bar.sync 0; bra M; L: bar.sync 1; M:",
     "setp.gt.u32 %p1, %r2, 31; @%p1 bra L; bar.sync 1, 32; bra M; L: bar.sync 2, 32; M: bar.sync 0;", 1, 64, 0},
    {"a barrier of more threads than come", GS_STUCK_BARRIER, "bar.sync", "bar.sync 3, 96;", "bar.sync 3, 64;", 1, 64,
     0},
    {"a lane that its mask does not name", GS_BAD_LANE, "shfl", "shfl.sync.bfly.b32 %r10, %r2, 1, 31, 0x7fffffff;",
     "shfl.sync.bfly.b32 %r10, %r2, 1, 31, 0xffffffff;", 1, 32, 0},
    {"a shuffle in one arm of a branch", GS_BAD_LANE, "shfl",
     "setp.gt.u32 %p1, %r2, 15; @%p1 bra L; shfl.sync.bfly.b32 %r10, %r2, 1, 31, -1; L: bar.sync 0;",
     "setp.gt.u32 %p1, %r2, 15; @%p1 bra L; shfl.sync.bfly.b32 %r10, %r2, 1, 31, 0xffff; L: bar.sync 0;", 1, 32, 0},
    {"a shuffle with lanes that have ended", GS_BAD_LANE, "shfl",
     "setp.gt.u32 %p1, %r2, 15; @%p1 bra L; shfl.sync.bfly.b32 %r10, %r2, 1, 31, -1; L:",
     "setp.gt.u32 %p1, %r2, 15; @%p1 bra L; shfl.sync.bfly.b32 %r10, %r2, 1, 31, 0xffff; L:", 1, 32, 0},
    {"trap", GS_DEVICE_TRAP, "trap",
     "setp.ne.u32 %p1, %r1, 64; @%p1 bra L; trap; L:", "setp.eq.u32 %p1, %r1, 64; @%p1 bra L; trap; L:", 1, 64, 0},
};

static void each_check(void **state) {
    (void)state;
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        core_check(&cases[n]);
    }
}

/* Kernels that are right: the values, and no report. */
static void expect(const core_case *c, const uint32_t *want, size_t words) {
    uint32_t got[1024];
    core_begin();
    const core_result r = core_run(c, true);
    if (r.expected + r.others != 0) {
        fail_msg("%s: reported", c->name);
    }
    core_read(core_a, got, words);
    for (size_t n = 0; n < words; n++) {
        if (got[n] != want[n]) {
            fail_msg("%s: word %zu is %u, not %u", c->name, n, got[n], want[n]);
        }
    }
    core_end();
}

/* Sum of 0 .. 255 by a tree in shared memory, for each of 4 blocks. */
static void tree(void **state) {
    (void)state;
    static const core_case c = {
        "tree",
        GS_RACE,
        "",
        "",
        "st.shared.u32 [%r7], %r8; mov.u32 %r10, 128; LOOP: bar.sync 0; setp.ge.u32 %p1, %r2, %r10; @%p1 bra SKIP;"
        "shl.b32 %r11, %r10, 2; add.s32 %r11, %r11, %r7; ld.shared.u32 %r12, [%r11]; ld.shared.u32 %r13, [%r7];"
        "add.s32 %r12, %r12, %r13; st.shared.u32 [%r7], %r12; SKIP: shr.u32 %r10, %r10, 1; setp.ne.u32 %p2, %r10, 0;"
        "@%p2 bra LOOP; setp.ne.u32 %p3, %r2, 0; @%p3 bra END; ld.shared.u32 %r14, [%r5]; mul.wide.u32 %rd10, %r3, 4;"
        "add.s64 %rd10, %rd10, %rd1; st.global.u32 [%rd10], %r14; END:",
        4,
        256,
        0};
    uint32_t want[4];
    for (uint32_t b = 0; b < 4; b++) {
        want[b] = 256 * 256 * b + 255 * 128;
    }
    expect(&c, want, 4);
}

/* Loops of a different length in every lane, which meet again at a shuffle. */
static void divergence(void **state) {
    (void)state;
    static const core_case c = {
        "divergence",
        GS_RACE,
        "",
        "",
        "mov.u32 %r10, 0; mov.u32 %r11, %r2; LOOP: setp.eq.u32 %p1, %r11, 0; @%p1 bra OUT; add.s32 %r10, %r10, %r11;"
        "add.s32 %r11, %r11, -1; bra LOOP; OUT: shfl.sync.bfly.b32 %r12, %r10, 1, 31, -1; st.global.u32 [%rd6], %r12;",
        1,
        64,
        0};
    uint32_t want[64];
    for (uint32_t n = 0; n < 64; n++) {
        want[n] = (n ^ 1) * ((n ^ 1) + 1) / 2;
    }
    expect(&c, want, 64);
}

/* A lock by compare-and-swap whose holder must be let on, whatever the order prefers. */
static void spin_lock(void **state) {
    (void)state;
    static const core_case c = {
        "lock",
        GS_RACE,
        "",
        "",
        "TRY: atom.global.cas.b32 %r10, [%rd1+4], 0, 1; setp.ne.u32 %p1, %r10, 0; @%p1 bra TRY;"
        "ld.volatile.global.u32 %r11, [%rd1]; add.s32 %r11, %r11, 1; st.volatile.global.u32 [%rd1], %r11; membar.gl;"
        "atom.global.exch.b32 %r12, [%rd1+4], 0;",
        1,
        64,
        0};
    const uint32_t want[2] = {64, 0};
    expect(&c, want, 2);
}

/* bar.red, and named barriers with arrive. */
static void reductions(void **state) {
    (void)state;
    static const core_case c = {
        "bar.red",
        GS_RACE,
        "",
        "",
        "setp.lt.u32 %p1, %r2, 10; bar.red.popc.u32 %r10, 0, %p1; bar.red.or.pred %p2, 0, %p1; bar.red.and.pred %p3, "
        "0, %p1;"
        "selp.u32 %r11, 100, 0, %p2; selp.u32 %r12, 1000, 0, %p3; add.s32 %r10, %r10, %r11; add.s32 %r10, %r10, %r12;"
        "st.global.u32 [%rd6], %r10;",
        1,
        96,
        0};
    static const core_case named = {
        "bar.arrive",
        GS_RACE,
        "",
        "",
        "and.b32 %r12, %r2, 31; shl.b32 %r12, %r12, 2; add.s32 %r12, %r12, %r5; setp.gt.u32 %p1, %r2, 31; @%p1 bra L;"
        "st.shared.u32 [%r12], %r2; bar.arrive 1, 64; bra M; L: bar.sync 1, 64; ld.shared.u32 %r10, [%r12];"
        "st.global.u32 [%rd6], %r10; M:",
        1,
        64,
        0};
    uint32_t want[96];
    for (uint32_t n = 0; n < 96; n++) {
        want[n] = 110;
    }
    expect(&c, want, 96);
    for (uint32_t n = 0; n < 64; n++) {
        want[n] = n < 32 ? 0 : n - 32;
    }
    expect(&named, want, 64);
}

/* A function that calls itself, in lanes of different depth. */
static void calls(void **state) {
    (void)state;
    static const char *const module =
        ".version 9.0\n.target sm_80\n.address_size 64\n"
        ".func (.param .b32 out) sum(.param .b32 in)\n{\n .reg .pred %p<2>; .reg .b32 %r<5>;\n"
        " ld.param.u32 %r1, [in]; setp.eq.u32 %p1, %r1, 0; mov.u32 %r2, 0; @%p1 bra END; add.s32 %r3, %r1, -1;\n"
        " { .param .b32 p0; st.param.b32 [p0+0], %r3; .param .b32 q0; call.uni (q0), sum, (p0);"
        " ld.param.b32 %r2, [q0+0]; }\n"
        " add.s32 %r2, %r2, %r1;\nEND: st.param.b32 [out+0], %r2; ret;\n}\n"
        ".visible .entry k(.param .u64 a, .param .u64 b, .param .u32 n)\n{\n .reg .b32 %r<5>; .reg .b64 %rd<5>;\n"
        " ld.param.u64 %rd1, [a]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;\n"
        " { .param .b32 p0; st.param.b32 [p0+0], %r1; .param .b32 q0; call.uni (q0), sum, (p0);"
        " ld.param.b32 %r2, [q0+0]; }\n"
        " st.global.u32 [%rd1], %r2; ret;\n}\n";
    gs_module *m = gs_module_parse("calls", strdup(module));
    core_begin();
    const uint32_t n = 64;
    const void *args[] = {&core_a, &core_b, &n};
    const gs_launch_config config = {
        .function = gs_module_find(m, "k"), .grid = {1, 1, 1}, .block = {64, 1, 1}, .args = args};
    gs_launch_run(&config);
    uint32_t got[64];
    core_read(core_a, got, 64);
    for (uint32_t k = 0; k < 64; k++) {
        assert_int_equal(got[k], k * (k + 1) / 2);
    }
    core_end();
}

/* Enough blocks for two host threads; what they do at the same time must not show. */
static void host_threads(void **state) {
    (void)state;
    static const core_case last = {"last block of 128", GS_RACE, "", "", LAST_BLOCK("membar.gl;"), 128, 64, 0};
    static const core_case sums = {"sums",
                                   GS_RACE,
                                   "",
                                   "",
                                   "mov.u32 %r10, 0; LOOP: red.global.add.u32 [%rd4], 1; red.global.add.u32 "
                                   "[%rd1+512], %r10; add.s32 %r10, %r10, 1;"
                                   "setp.lt.u32 %p1, %r10, 20; @%p1 bra LOOP;",
                                   128,
                                   64,
                                   0};
    const uint32_t want_last[2] = {128, 127 * 64};
    uint32_t want_sums[129];
    for (int n = 0; n < 128; n++) {
        want_sums[n] = n < 64 ? 128 * 20 : 0;
    }
    want_sums[128] = 128 * 64 * 190;
    for (int n = 0; n < 10; n++) {
        expect(&last, want_last, 2);
        expect(&sums, want_sums, 129);
    }
}

static void configurations(void **state) {
    (void)state;
    static const char *const module = ".version 9.0\n.target sm_80\n.address_size 64\n"
                                      ".visible .entry k()\n.maxntid 256\n{\n ret;\n}\n";
    const gs_function *f = gs_module_find(gs_module_parse("configurations", strdup(module)), "k");
    const struct {
        uint32_t grid[3], block[3];
        size_t shared, allowed;
        int code;
    } table[] = {
        {{1, 1, 1}, {256, 1, 1}, 0, 49152, 0},      {{1, 1, 1}, {257, 1, 1}, 0, 49152, 701},
        {{1, 1, 1}, {1025, 1, 1}, 0, 49152, 9},     {{1, 1, 1}, {1, 1, 65}, 0, 49152, 9},
        {{0, 1, 1}, {32, 1, 1}, 0, 49152, 9},       {{1, 65536, 1}, {32, 1, 1}, 0, 49152, 9},
        {{1, 1, 1}, {32, 1, 1}, 49153, 49152, 1},   {{1, 1, 1}, {32, 1, 1}, 100000, 100000, 0},
        {{1, 1, 1}, {32, 1, 1}, 166913, 166913, 1},
    };
    for (size_t n = 0; n < sizeof table / sizeof table[0]; n++) {
        gs_launch_config c = {.function = f, .dynamic_shared = table[n].shared, .max_dynamic_shared = table[n].allowed};
        memcpy(c.grid, table[n].grid, sizeof c.grid);
        memcpy(c.block, table[n].block, sizeof c.block);
        assert_int_equal(gs_launch_check(&c), table[n].code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_check),   cmocka_unit_test(tree),           cmocka_unit_test(divergence),
        cmocka_unit_test(spin_lock),    cmocka_unit_test(reductions),     cmocka_unit_test(calls),
        cmocka_unit_test(host_threads), cmocka_unit_test(configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
