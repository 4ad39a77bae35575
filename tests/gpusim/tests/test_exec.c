/* Single instructions on chosen values: results that the PTX ISA gives, for all lanes and for some. */
#include "exec_probe.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t result(char kind, int lane) {
    return kind == 'r' ? r32(0)[lane] : kind == 'd' ? r64(0)[lane] : kind == 's' ? r16(0)[lane] : *pred(0) >> lane & 1;
}

typedef struct {
    const char *text;
    uint64_t a, b, c, expected;
} test_case;
static const test_case cases[] = {
#include "exec_cases.h"
};

static void test_values(void **state) {
    (void)state;
    int wrong = 0;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const test_case *t = &cases[k];
        const gs_instr *i = parsed(t->text, 0);
        const char *zero = strchr(t->text, '%');
        while (zero[2] != '0') {
            zero = strchr(zero + 1, '%'); /* the register that is number 0 */
        }
        for (int masked = 0; masked < 2; masked++) {
            const uint32_t lanes = masked != 0 ? 0x00FFA501U : UINT32_MAX;
            fill((const uint64_t[]){t->a, t->b, t->c});
            i->run(&warp, i, lanes);
            for (int l = 0; l < 32; l++) {
                const uint64_t expected = (lanes >> l & 1) != 0 ? t->expected : 0;
                if (result(zero[1], l) != expected) {
                    print_error("%s of %llx %llx %llx, lane %d of %x: %llx, not %llx\n", t->text,
                                (unsigned long long)t->a, (unsigned long long)t->b, (unsigned long long)t->c, l, lanes,
                                (unsigned long long)result(zero[1], l), (unsigned long long)expected);
                    wrong++;
                    break;
                }
            }
        }
    }
    assert_int_equal(wrong, 0);
}

/* Quotients near whole numbers, of all lengths: the ways that go through double must be exact. */
static void test_divisions(void **state) {
    (void)state;
    const gs_instr *i =
        parsed("div.u32 %r0, %r1, %r2; rem.u32 %r3, %r1, %r2; div.s32 %r4, %r1, %r2; rem.s32 %r5, %r1, %r2;"
               "div.u64 %d0, %d1, %d2; rem.u64 %d3, %d1, %d2; div.s64 %d4, %d1, %d2; rem.s64 %d5, %d1, %d2",
               0);
    uint64_t random = 1;
    for (int round = 0; round < 3000; round++) {
        const int x_bits = 1 + round % 63, y_bits = 1 + round / 63 % 63;
        for (int l = 0; l < 32; l++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
            const int64_t y = (int64_t)(random >> (64 - y_bits)) + 1;
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
            int64_t x = (int64_t)(random >> (64 - x_bits));
            x = l % 4 == 0 ? x / y * y : l % 4 == 1 && x >= y ? x / y * y - 1 : x;
            r64(1)[l] = (uint64_t)(l % 3 == 0 ? -x : x);
            r64(2)[l] = (uint64_t)(l % 5 == 0 ? -y : y);
            r32(1)[l] = (uint32_t)r64(1)[l];
            r32(2)[l] = (uint32_t)r64(2)[l] == 0 ? 3 : (uint32_t)r64(2)[l];
        }
        for (int k = 0; k < 8; k++) {
            i[k].run(&warp, &i[k], UINT32_MAX);
        }
        for (int l = 0; l < 32; l++) {
            const uint32_t x = r32(1)[l], y = r32(2)[l];
            const int64_t sx = (int32_t)x, sy = (int32_t)y;
            assert_true(r32(0)[l] == x / y && r32(3)[l] == x % y);
            assert_true(r32(4)[l] == (uint32_t)(sx / sy) && r32(5)[l] == (uint32_t)(sx % sy));
            const uint64_t ux = r64(1)[l], uy = r64(2)[l];
            assert_true(r64(0)[l] == ux / uy && r64(3)[l] == ux % uy);
            assert_true((int64_t)r64(4)[l] == (int64_t)ux / (int64_t)uy &&
                        (int64_t)r64(5)[l] == (int64_t)ux % (int64_t)uy);
        }
    }
}

/* ---- the documented errors ------------------------------------------------------------------------------------ */

static double exact_ex2(double x) {
    return exp2(x);
}
static double exact_rcp(double x) {
    return 1.0 / x;
}
static double exact_rsqrt(double x) {
    return 1.0 / sqrt(x);
}
static void test_approximations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double (*exact)(double);
        double low, high, bound;
        bool absolute;
    } approx[] = {
        {"ex2.approx.f32 %r0, %r1", exact_ex2, -30, 30, 0x1p-22, false},
        {"ex2.approx.ftz.f32 %r0, %r1", exact_ex2, -30, 30, 0x1p-22, false},
        {"lg2.approx.f32 %r0, %r1", log2, 0.51, 1.99, 0x1p-22, true},
        {"lg2.approx.ftz.f32 %r0, %r1", log2, 3, 1e6, 0x1p-22, false},
        {"rcp.approx.f32 %r0, %r1", exact_rcp, 0.01, 1e5, 0x1p-23, false},
        {"rcp.approx.ftz.f32 %r0, %r1", exact_rcp, 0.01, 1e5, 0x1p-23, false},
        {"rsqrt.approx.f32 %r0, %r1", exact_rsqrt, 0.01, 1e5, 0x1.12p-23, false},
        {"rsqrt.approx.ftz.f32 %r0, %r1", exact_rsqrt, 0.01, 1e5, 0x1.12p-23, false},
        {"sqrt.approx.f32 %r0, %r1", sqrt, 0.01, 1e5, 0x1p-23, false},
        {"sqrt.approx.ftz.f32 %r0, %r1", sqrt, 0.01, 1e5, 0x1p-23, false},
        {"sin.approx.f32 %r0, %r1", sin, -6.28, 6.28, 0x1.6bp-21, true},
        {"cos.approx.f32 %r0, %r1", cos, -6.28, 6.28, 0x1.6bp-21, true},
        {"sin.approx.ftz.f32 %r0, %r1", sin, 7, 314, 0x1.3cp-15, true},
        {"cos.approx.ftz.f32 %r0, %r1", cos, 7, 314, 0x1.3cp-15, true},
        {"tanh.approx.f32 %r0, %r1", tanh, -4, 4, 0x1p-11, false},
    };
    for (size_t k = 0; k < sizeof approx / sizeof approx[0]; k++) {
        const gs_instr *i = parsed(approx[k].text, 0);
        double worst = 0.0;
        for (int round = 0; round < 64; round++) {
            for (int l = 0; l < 32; l++) {
                const float x =
                    (float)(approx[k].low + (approx[k].high - approx[k].low) * (round * 32 + l + 0.5) / 2048.0);
                memcpy(&r32(1)[l], &x, 4);
            }
            i->run(&warp, i, UINT32_MAX);
            for (int l = 0; l < 32; l++) {
                float x, y;
                memcpy(&x, &r32(1)[l], 4);
                memcpy(&y, &r32(0)[l], 4);
                const double exact = approx[k].exact((double)x);
                worst = fmax(worst, fabs(y - exact) / (approx[k].absolute ? 1.0 : fabs(exact)));
            }
        }
        if (worst > approx[k].bound || worst < 0.3 * approx[k].bound) {
            fail_msg("%s: largest error %g, documented %g", approx[k].text, worst, approx[k].bound);
        }
    }
}

/* ---- carries ---------------------------------------------------------------------------------------------------- */

static void test_carries(void **state) {
    (void)state;
    const gs_instr *i = parsed("add.cc.u32 %r4, %r1, %r2; addc.cc.u32 %r5, %r1, %r2; addc.u32 %r6, %r3, 0;"
                               "sub.cc.u32 %r7, %r3, %r2; subc.cc.u32 %r8, %r1, %r2; subc.u32 %r9, %r1, 0;"
                               "mad.lo.cc.u32 %r10, %r1, %r1, %r1; madc.hi.cc.u32 %r11, %r1, %r1, %r1;"
                               "madc.lo.u32 %r12, %r3, %r3, %r3; madc.hi.u32 %r13, %r1, %r2, %r3;"
                               "add.cc.u64 %d4, %d1, %d2; addc.u64 %d5, %d3, %d3; mad.hi.cc.s32 %r14, %r2, %r2, %r1;"
                               "madc.hi.s32 %r15, %r2, %r3, %r3",
                               0);
    fill((const uint64_t[]){UINT64_MAX, UINT64_MAX, 0});
    for (int k = 0; k < 14; k++) {
        i[k].run(&warp, &i[k], UINT32_MAX);
    }
    const uint32_t m = UINT32_MAX;
    /* r4 = 2 m, carry; r5 = 2 m + 1, carry; r6 = 1. r7 = 0 - m, borrow; r8 = 0 - 1, borrow; r9 = m - 1.
     * m m + m = m 2^32: r10 = 0, carry 1 (lower half of m m is 1, plus m); r11 = (m - 1) + m + 1 = 2 m: m - 1, carry;
     * r12 = 0 + 1; madc.lo leaves the flag, so r13 = m - 1 + 0 + 1 = m. */
    const uint32_t expected[] = {m - 1, m, 1, 1, m, m - 1, 0, m - 1, 1, m};
    for (int r = 0; r < 10; r++) {
        if (r32(4 + r)[5] != expected[r]) {
            fail_msg("register %d: %x, not %x", 4 + r, r32(4 + r)[5], expected[r]);
        }
    }
    assert_true(r64(4)[3] == UINT64_MAX - 1 && r64(5)[3] == 1);
    assert_true(r32(14)[0] == m && r32(15)[0] == 0); /* -1 * -1 >> 32 = 0, + m; no carry */
}

/* ---- undefined values ------------------------------------------------------------------------------------------- */

static void test_undefined(void **state) {
    (void)state;
    const gs_instr *i =
        parsed("add.s32 %r0, %r1, %r2; selp.b32 %r3, %r1, %r2, %p1; shfl.sync.idx.b32 %r4, %r1, 5, 31, -1;"
               "mov.b64 {%r5, %r6}, %d1; add.s32 %r0, %r2, 1; setp.eq.s32 %p2|%p3, %r1, 0",
               0);
    memset(undefined, 0, sizeof undefined);
    *pred(1) = 0x0F;
    gs_mark_undefined(&warp, &i[0].operand[1], UINT32_MAX, 0x30); /* r1: lanes 4, 5 */
    assert_int_not_equal(warp.any_undefined, 0);
    gs_propagate_undefined(&warp, &i[0], UINT32_MAX);
    assert_int_equal(gs_operand_undefined(&warp, &i[0].operand[0], UINT32_MAX), 0x30);
    gs_propagate_undefined(&warp, &i[1], UINT32_MAX); /* takes r2 in lanes 4 and 5 */
    assert_int_equal(gs_operand_undefined(&warp, &i[1].operand[0], UINT32_MAX), 0);
    gs_propagate_undefined(&warp, &i[2], 0xFF);
    assert_int_equal(gs_operand_undefined(&warp, &i[2].operand[0], UINT32_MAX), 0xFF);
    gs_propagate_undefined(&warp, &i[5], UINT32_MAX);
    assert_int_equal(undefined[2], 0x30);
    assert_int_equal(undefined[3], 0x30);
    gs_propagate_undefined(&warp, &i[4], 0x10); /* r0 of lane 4 is defined again */
    assert_int_equal(gs_operand_undefined(&warp, &i[0].operand[0], UINT32_MAX), 0x20);
    assert_int_equal(i[0].destinations, 1);
    memset(undefined, 0, sizeof undefined);
}

/* ---- what is not known ------------------------------------------------------------------------------------- */

static void refused(const char *instruction, const char *word) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        parsed(instruction, 0);
        _exit(0);
    }
    close(ends[1]);
    char message[2048] = {0};
    const ssize_t n = read(ends[0], message, sizeof message - 1);
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 99 || n <= 0 || strstr(message, word) == NULL ||
        strstr(message, "probe.cu") == NULL) {
        fail_msg("'%s' was not refused for '%s': %s", instruction, word, message);
    }
}
static void test_refusals(void **state) {
    (void)state;
    refused("frobnicate.s32 %r0, %r1", "unknown opcode 'frobnicate'");
    refused("add.sideways.s32 %r0, %r1, %r2", "'.sideways'");
    refused("add.f8 %r0, %r1, %r2", "'.f8'");
    refused("add.sat.u32 %r0, %r1, %r2", "combination");
    refused("add.s32 %r0, %d1, %r2", "operands");
    refused("add.s32 %r0, %r1", "operands");
    refused("add.s32 %r0, %r1, %q2", "%q2");
    refused("setp.lo.f32 %p0, %r1, %r2", "combination");
    refused("cvt.rz.e4m3x2.f32 %s0, %r1, %r2", "e4m3x2");
    refused("brx.idx %r1, table", "table");
    refused("wgmma.fence.sync.aligned", "wgmma");
    refused("ld.global.sideways.f32 %r0, [%d1]", "sideways");
    refused("bra nowhere", "nowhere");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_divisions), cmocka_unit_test(test_approximations),
        cmocka_unit_test(test_carries), cmocka_unit_test(test_undefined), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
