/* Instructions of whole warps: shuffles, votes, matrices. */
#include "exec_probe.h"

#include <math.h>

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

/* ---- matrices ---------------------------------------------------------------------------------------------- */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shuffles),
        cmocka_unit_test(test_votes),
        cmocka_unit_test(test_matrices),
        cmocka_unit_test(test_matrix_rows),
    };
    return cmocka_run_group_tests_name("exec_warp", tests, NULL, NULL);
}
