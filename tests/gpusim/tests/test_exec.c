/* Single instructions on chosen values: results that the PTX ISA gives, for all lanes and for some. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core.h"
#include "exec_stubs.h"

/* Registers of the test's function, in the order of its declarations: 32 predicates, 32 of 32, 64 and 16 bits. */
enum { R32 = 128, R64 = R32 + 32 * 128, R16 = R64 + 32 * 256, BANK = R16 + 32 * 128 };
static _Alignas(64) uint8_t bank[BANK], special[GS_N_SPECIALS * GS_SPECIAL_SLOT];
static uint32_t undefined[BANK / 4];
static gs_warp warp;

static const gs_instr *parsed(const char *instruction, int n) {
    char *text = malloc(strlen(instruction) + 512);
    sprintf(
        text,
        ".version 9.0\n.target sm_80\n.address_size 64\n.file 1 \"kernels/probe.cu\"\n.visible .entry probe()\n{\n"
        ".reg .pred %%p<32>;\n.reg .b32 %%r<32>;\n.reg .b64 %%d<32>;\n.reg .b16 %%s<32>;\n.loc 1 77 3\n%s;\nret;\n}\n",
        instruction);
    const gs_module *m = gs_module_parse("test", text);
    assert_int_equal(m->function[0].register_bytes, BANK);
    warp = (gs_warp){.bank = {bank, m->function[0].constants, special}, .undefined = undefined, .members = UINT32_MAX};
    return &m->function[0].instr[n];
}

static uint32_t *r32(int n) {
    return (uint32_t *)(void *)(bank + R32 + 128 * n);
}
static uint64_t *r64(int n) {
    return (uint64_t *)(void *)(bank + R64 + 256 * n);
}
static uint32_t *r16(int n) {
    return (uint32_t *)(void *)(bank + R16 + 128 * n);
}
static uint32_t *pred(int n) {
    return (uint32_t *)(void *)(bank + 4 * n);
}

static void fill(const uint64_t source[3]) {
    memset(bank, 0, sizeof bank);
    for (int k = 0; k < 3; k++) {
        *pred(k + 1) = source[k] & 1 ? UINT32_MAX : 0;
        for (int l = 0; l < 32; l++) {
            r32(k + 1)[l] = (uint32_t)source[k];
            r64(k + 1)[l] = source[k];
            r16(k + 1)[l] = (uint16_t)source[k];
        }
    }
}

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

/* ---- collectives ------------------------------------------------------------------------------------------------ */

static void test_shuffles(void **state) {
    (void)state;
    static const char *const mode[] = {"up", "down", "bfly", "idx"};
    for (int m = 0; m < 4; m++) {
        for (int width = 8; width <= 32; width *= 2) {
            char text[128];
            snprintf(text, sizeof text, "shfl.sync.%s.b32 %%r0|%%p0, %%r1, %%r2, %%r3, -1", mode[m]);
            const gs_instr *i = parsed(text, 0);
            const int amount = 3;
            assert_int_equal(i->control, GS_COLLECTIVE);
            assert_int_equal(i->member_mask, 4);
            for (int l = 0; l < 32; l++) {
                r32(1)[l] = 100U + (uint32_t)l;
                r32(2)[l] = (uint32_t)amount;
                r32(3)[l] = (uint32_t)((32 - width) << 8 | (m == 0 ? 0 : 31));
            }
            i->run(&warp, i, UINT32_MAX);
            for (int l = 0; l < 32; l++) {
                /* CUDA's __shfl_*_sync with this width */
                const int begin = l / width * width;
                int from = m == 0 ? l - amount : m == 1 ? l + amount : m == 2 ? l ^ amount : begin + amount % width;
                const bool inside = m == 0 ? from >= begin : m == 1 ? from < begin + width : true;
                from = inside ? from : l;
                assert_int_equal(r32(0)[l], 100 + from);
                assert_int_equal(*pred(0) >> l & 1, inside);
            }
        }
    }
    const gs_instr *i = parsed("shfl.sync.idx.b32 %r0, %r1, 9, 31, 255", 0);
    stub_reports = 0;
    i->run(&warp, i, 255);
    assert_int_equal(stub_reports, 8); /* lane 9 is not there */
}

static uint32_t voted(const char *text, uint32_t p, uint32_t lanes) {
    const gs_instr *i = parsed(text, 0);
    *pred(1) = p;
    *pred(0) = 0;
    for (int l = 0; l < 32; l++) {
        r32(0)[l] = 0;
        r32(1)[l] = (uint32_t)(l % 5) - 2;
        r32(2)[l] = 7;
        r64(1)[l] = (uint64_t)(l % 3) << 40;
    }
    i->run(&warp, i, lanes);
    return strstr(text, "%r0") != NULL ? r32(0)[__builtin_ctz(lanes)] : *pred(0);
}
static void test_votes(void **state) {
    (void)state;
    assert_int_equal(voted("vote.sync.all.pred %p0, %p1, -1", 0xFF, 0xFF), 0xFF);
    assert_int_equal(voted("vote.sync.all.pred %p0, %p1, -1", 0xFF, 0x1FF), 0);
    assert_int_equal(voted("vote.sync.any.pred %p0, !%p1, -1", 0xFF, 0x1FF), 0x1FF);
    assert_int_equal(voted("vote.sync.uni.pred %p0, %p1, -1", 0, 0xF0), 0xF0);
    assert_int_equal(voted("vote.sync.ballot.b32 %r0, %p1, -1", 0xABCD, 0xFF0), 0xBC0);
    assert_int_equal(voted("activemask.b32 %r0", 0, 0x1234), 0x1234);
    assert_int_equal(voted("match.any.sync.b32 %r0, %r1, -1", 0, UINT32_MAX), 0x42108421);
    assert_int_equal(voted("match.any.sync.b64 %r0, %d1, -1", 0, 0xFF), 0x49);
    assert_int_equal(voted("match.all.sync.b32 %r0|%p0, %r2, 15", 0, 0xF), 0xF);
    assert_int_equal(voted("match.all.sync.b32 %r0|%p0, %r1, 15", 0, 0xF), 0);
    assert_int_equal(voted("match.all.sync.b64 _|%p0, %d1, 9", 0, 0x9), 0x9);
    assert_int_equal(voted("redux.sync.add.s32 %r0, %r1, 31", 0, 0x1F), 0);
    assert_int_equal(voted("redux.sync.min.s32 %r0, %r1, 31", 0, 0x1F), UINT32_MAX - 1);
    assert_int_equal(voted("redux.sync.min.u32 %r0, %r1, 31", 0, 0x1F), 0);
    assert_int_equal(voted("redux.sync.max.u32 %r0, %r1, 31", 0, 0x1F), UINT32_MAX);
    assert_int_equal(voted("redux.sync.xor.b32 %r0, %r2, 31", 0, 0x1F), 7);
    assert_int_equal(voted("redux.sync.and.b32 %r0, %r2, 31", 0, 0x1F), 7);
    assert_int_equal(voted("redux.sync.or.b32 %r0, %r1, 31", 0, 0x1F), UINT32_MAX);
    assert_int_equal(voted("elect.sync %r0|%p1, -1", 0, 0x18), 3);
}

/* ---- matrices -----------------------------------------------------------------------------------------------------
 */

/* A[row][k] = row - 2 k + 1, B[k][n] = 3 n - k, C = row n: small whole numbers are exact in every format. */
static double a_at(int row, int k) {
    return (row - 2 * k) % 7;
}
static double b_at(int k, int n) {
    return (3 * n - k) % 5;
}
static uint32_t bits_of(double v, int e, int j, bool brain) {
    const float x = (float)v;
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (e == 1) {
        return bits | 0x1FFF; /* what tf32 does not see */
    }
    if (e == 4) {
        return (uint32_t)(uint8_t)(int8_t)v << (8 * j);
    }
    if (brain) {
        return bits >> 16 << (16 * j);
    }
    const uint32_t half = bits << 1 == 0 ? 0 : (bits >> 16 & 0x8000) | ((bits >> 13 & 0x3FFFF) - (112 << 10)) % 0x8000;
    return half << (16 * j);
}
static void check_mma(const char *text, int k_size, int e, bool brain, bool half_sum, bool whole) {
    const gs_instr *i = parsed(text, 0);
    const int registers = k_size / (4 * e);
    for (int l = 0; l < 32; l++) {
        const int g = l / 4, t = l % 4;
        for (int r = 0; r < 2 * registers; r++) {
            r32(4 + r)[l] = 0;
            r32(8 + r / 2)[l] = r % 2 == 0 ? 0 : r32(8 + r / 2)[l];
            for (int j = 0; j < e; j++) {
                r32(4 + r)[l] |= bits_of(a_at(g + 8 * (r & 1), e * t + j + 4 * e * (r >> 1)), e, j, brain);
                r32(8 + r / 2)[l] |= r % 2 == 0 ? bits_of(b_at(e * t + j + 4 * e * (r / 2), g), e, j, brain) : 0;
            }
        }
        for (int r = 0; r < 4; r++) {
            const float c = (float)(r + 1);
            const uint32_t bits = whole ? (uint32_t)(r + 1) : bits_of(c, 2, r % 2, false);
            memcpy(&r32(12 + r)[l], &c, 4);
            if (whole) {
                r32(12 + r)[l] = bits;
            }
        }
        if (half_sum) {
            r32(12)[l] = bits_of(1, 2, 0, false) | bits_of(2, 2, 1, false);
            r32(13)[l] = bits_of(3, 2, 0, false) | bits_of(4, 2, 1, false);
        }
    }
    i->run(&warp, i, UINT32_MAX);
    for (int l = 0; l < 32; l++) {
        for (int r = 0; r < 4; r++) {
            double sum = r + 1;
            for (int k = 0; k < k_size; k++) {
                sum += a_at(l / 4 + 8 * (r / 2), k) * b_at(k, 2 * (l % 4) + r % 2);
            }
            float got;
            memcpy(&got, &r32(16 + r)[l], 4);
            if (whole) {
                assert_int_equal((int32_t)r32(16 + r)[l], (int32_t)sum);
            } else if (half_sum) {
                assert_int_equal(r32(16 + r / 2)[l] >> (16 * (r % 2)) & 0xFFFF, bits_of(sum, 2, 0, false));
            } else if (fabs(got - sum) > (e == 1 ? 0.2 : 0.0)) {
                fail_msg("%s lane %d register %d: %g, not %g", text, l, r, (double)got, sum);
            }
        }
    }
}
#define D4 "{%r16, %r17, %r18, %r19}"
#define C4 "{%r12, %r13, %r14, %r15}"
static void test_matrices(void **state) {
    (void)state;
    check_mma("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 " D4 ", {%r4, %r5, %r6, %r7}, {%r8, %r9}, " C4, 8, 1,
              false, false, false);
    check_mma("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 " D4 ", {%r4, %r5}, {%r8}, " C4, 4, 1, false, false,
              false);
    check_mma("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 " D4 ", {%r4, %r5, %r6, %r7}, {%r8, %r9}, " C4, 16, 2,
              false, false, false);
    check_mma("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 " D4 ", {%r4, %r5}, {%r8}, " C4, 8, 2, false, false,
              false);
    check_mma("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 " D4 ", {%r4, %r5, %r6, %r7}, {%r8, %r9}, " C4, 16,
              2, true, false, false);
    check_mma(
        "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r16, %r17}, {%r4, %r5, %r6, %r7}, {%r8, %r9}, {%r12, "
        "%r13}",
        16, 2, false, true, false);
    check_mma("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 " D4 ", {%r4, %r5, %r6, %r7}, {%r8, %r9}, " C4, 32, 4,
              false, false, true);
}

static void test_matrix_rows(void **state) {
    (void)state;
    for (int transposed = 0; transposed < 2; transposed++) {
        char text[128];
        snprintf(text, sizeof text, "ldmatrix.sync.aligned.m8n8.x4%s.shared.b16 {%%r4, %%r5, %%r6, %%r7}, [%%r1]",
                 transposed != 0 ? ".trans" : "");
        const gs_instr *i = parsed(text, 0);
        for (int l = 0; l < 32; l++) {
            r32(1)[l] = 16U * (uint32_t)l;
            for (int c = 0; c < 8; c++) {
                const uint16_t v = (uint16_t)(l * 8 + c);
                memcpy(&stub_row[l][2 * c], &v, 2);
            }
        }
        i->run(&warp, i, UINT32_MAX);
        for (int m = 0; m < 4; m++) {
            for (int l = 0; l < 32; l++) {
                for (int h = 0; h < 2; h++) {
                    const int p = l / 4, q = 2 * (l % 4) + h;
                    const int expected = 64 * m + (transposed != 0 ? q * 8 + p : p * 8 + q);
                    assert_int_equal(r32(4 + m)[l] >> (16 * h) & 0xFFFF, expected);
                }
            }
        }
        memset(stub_row, 0, sizeof stub_row);
        snprintf(text, sizeof text, "stmatrix.sync.aligned.m8n8.x4%s.shared.b16 [%%r1], {%%r4, %%r5, %%r6, %%r7}",
                 transposed != 0 ? ".trans" : "");
        const gs_instr *s = parsed(text, 0);
        s->run(&warp, s, UINT32_MAX);
        for (int l = 0; l < 32; l++) {
            for (int c = 0; c < 8; c++) {
                uint16_t v;
                memcpy(&v, &stub_row[l][2 * c], 2);
                assert_int_equal(v, l * 8 + c);
            }
        }
    }
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

/* ---- what is not known --------------------------------------------------------------------------------------------
 */

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
        cmocka_unit_test(test_values),   cmocka_unit_test(test_divisions),   cmocka_unit_test(test_approximations),
        cmocka_unit_test(test_carries),  cmocka_unit_test(test_shuffles),    cmocka_unit_test(test_votes),
        cmocka_unit_test(test_matrices), cmocka_unit_test(test_matrix_rows), cmocka_unit_test(test_undefined),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
