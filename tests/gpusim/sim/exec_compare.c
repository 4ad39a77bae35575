/* setp, set. PTX ISA 9.0, "Comparison and Selection Instructions". A comparison gives a word with a bit a lane. */
#include "exec.h"

typedef uint32_t (*comparison)(const void *a, const void *b);

#define BITS_FROM(l) 1U << (l), 2U << (l), 4U << (l), 8U << (l), 16U << (l), 32U << (l), 64U << (l), 128U << (l)
static const uint32_t bit32[GS_LANES] = {BITS_FROM(0), BITS_FROM(8), BITS_FROM(16), BITS_FROM(24)};
static const uint64_t bit64[GS_LANES] = {BITS_FROM(0), BITS_FROM(8), BITS_FROM(16), BITS_FROM(24)};

/* Lanes for which the condition holds: bits of the size of the operands, so that it is one vector comparison. */
#define GS_COMPARE(name, T, S, condition)                                                                              \
    static uint32_t name(const void *va, const void *vb) {                                                             \
        const gs_slot_##T *a = va, *b = vb;                                                                            \
        uint##S##_t r = 0;                                                                                             \
        for (int l = 0; l < GS_LANES; l++) {                                                                           \
            const __typeof__(GS_GET_##T(a[l])) x = GS_GET_##T(a[l]), y = GS_GET_##T(b[l]);                             \
            r |= bit##S[l] & (0 - (uint##S##_t)(condition));                                                           \
        }                                                                                                              \
        return (uint32_t)r;                                                                                            \
    }

/* eq ne lt le gt ge, for unsigned numbers also lo ls hi hs */
#define GS_COMPARE_INTEGERS(T, S)                                                                                      \
    GS_COMPARE(eq_##T, T, S, x == y)                                                                                   \
    GS_COMPARE(ne_##T, T, S, x != y)                                                                                   \
    GS_COMPARE(lt_##T, T, S, x < y)                                                                                    \
    GS_COMPARE(le_##T, T, S, x <= y)                                                                                   \
    GS_COMPARE(gt_##T, T, S, x > y)                                                                                    \
    GS_COMPARE(ge_##T, T, S, x >= y)
GS_COMPARE_INTEGERS(u16, 32)
GS_COMPARE_INTEGERS(s16, 32)
GS_COMPARE_INTEGERS(u32, 32)
GS_COMPARE_INTEGERS(s32, 32)
GS_COMPARE_INTEGERS(u64, 64)
GS_COMPARE_INTEGERS(s64, 64)
#define INTEGERS(T)                                                                                                    \
    { eq_##T, ne_##T, lt_##T, le_##T, gt_##T, ge_##T, lt_##T, le_##T, gt_##T, ge_##T }

/* Ordered comparisons are false for NaN, those with u are true. */
#define GS_COMPARE_FLOATS(name, T, S, F)                                                                               \
    GS_COMPARE(eq_##name, T, S, F(x) == F(y))                                                                          \
    GS_COMPARE(ne_##name, T, S, F(x) < F(y) || F(x) > F(y))                                                            \
    GS_COMPARE(lt_##name, T, S, F(x) < F(y))                                                                           \
    GS_COMPARE(le_##name, T, S, F(x) <= F(y))                                                                          \
    GS_COMPARE(gt_##name, T, S, F(x) > F(y))                                                                           \
    GS_COMPARE(ge_##name, T, S, F(x) >= F(y))                                                                          \
    GS_COMPARE(equ_##name, T, S, !(F(x) < F(y) || F(x) > F(y)))                                                        \
    GS_COMPARE(neu_##name, T, S, !(F(x) == F(y)))                                                                      \
    GS_COMPARE(ltu_##name, T, S, !(F(x) >= F(y)))                                                                      \
    GS_COMPARE(leu_##name, T, S, !(F(x) > F(y)))                                                                       \
    GS_COMPARE(gtu_##name, T, S, !(F(x) <= F(y)))                                                                      \
    GS_COMPARE(geu_##name, T, S, !(F(x) < F(y)))                                                                       \
    GS_COMPARE(num_##name, T, S, x == x && y == y)                                                                     \
    GS_COMPARE(nan_##name, T, S, x != x || y != y)
static inline float half_flush(float x) {
    return fabsf(x) < 0x1p-14F ? copysignf(0.0F, x) : x;
}
GS_COMPARE_FLOATS(f32, f32, 32, )
GS_COMPARE_FLOATS(ftz_f32, f32, 32, gs_flush)
GS_COMPARE_FLOATS(f64, f64, 64, )
GS_COMPARE_FLOATS(f16, f16, 32, )
GS_COMPARE_FLOATS(ftz_f16, f16, 32, half_flush)
GS_COMPARE_FLOATS(bf16, bf16, 32, )
#define FLOATS(T)                                                                                                      \
    {                                                                                                                  \
        eq_##T, ne_##T, lt_##T, le_##T, gt_##T, ge_##T, equ_##T, neu_##T, ltu_##T, leu_##T, gtu_##T, geu_##T, num_##T, \
            nan_##T                                                                                                    \
    }

static const comparison integers[][10] = {
    [GS_B16] = INTEGERS(u16), [GS_B32] = INTEGERS(u32), [GS_B64] = INTEGERS(u64),
    [GS_U16] = INTEGERS(u16), [GS_U32] = INTEGERS(u32), [GS_U64] = INTEGERS(u64),
    [GS_S16] = INTEGERS(s16), [GS_S32] = INTEGERS(s32), [GS_S64] = INTEGERS(s64),
};
static const comparison floats[][2][14] = {
    [GS_F16] = {FLOATS(f16), FLOATS(ftz_f16)}, [GS_F16X2] = {FLOATS(f16), FLOATS(ftz_f16)},
    [GS_BF16] = {FLOATS(bf16), FLOATS(bf16)},  [GS_BF16X2] = {FLOATS(bf16), FLOATS(bf16)},
    [GS_F32] = {FLOATS(f32), FLOATS(ftz_f32)}, [GS_F64] = {FLOATS(f64), FLOATS(f64)},
};

/* .and .or .xor with the third source */
static uint32_t combined(const gs_warp *w, const gs_instr *i, uint32_t r) {
    if (i->detail[1] == 0) {
        return r;
    }
    const uint32_t c = gs_pred(w, &i->operand[3]);
    return i->detail[1] == 1 ? r & c : i->detail[1] == 2 ? r | c : r ^ c;
}

static uint32_t compare(const gs_warp *w, const gs_instr *i) {
    const void *a = gs_lanes_of(w, &i->operand[1]), *b = gs_lanes_of(w, &i->operand[2]);
    return i->type >= GS_F16 ? floats[i->type][i->detail[2]][i->detail[0]](a, b)
                             : integers[i->type][i->detail[0]](a, b);
}

static void setp(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const gs_operand *o = &i->operand[0];
    const uint32_t r = compare(w, i);
    const uint32_t p = combined(w, i, r);
    if (o->pair >= 0) { /* before p is written, which may be the third source */
        uint32_t *second = (uint32_t *)(void *)(w->bank[GS_BANK_WARP] + o->pair);
        *second = (*second & ~lanes) | (combined(w, i, ~r) & lanes);
    }
    if (o->kind == GS_REG) {
        uint32_t *first = gs_u32(w, o);
        *first = (*first & ~lanes) | (p & lanes);
    }
}

static void set(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const uint32_t r = combined(w, i, compare(w, i));
    const uint32_t one = i->type2 == GS_F32                         ? 0x3F800000U
                         : i->type2 == GS_F16                       ? 0x3C00U
                         : i->type2 == GS_BF16                      ? 0x3F80U
                         : i->type2 == GS_U16 || i->type2 == GS_S16 ? 0xFFFFU
                                                                    : UINT32_MAX;
    uint32_t *d = gs_u32(w, &i->operand[0]);
    for (int l = 0; l < GS_LANES; l++) {
        d[l] = (lanes >> l & 1) == 0 ? d[l] : (r >> l & 1) != 0 ? one : 0;
    }
}

/* set on two halves: each half of the result */
static void set_pairs(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const uint32_t *a = gs_u32(w, &i->operand[1]), *b = gs_u32(w, &i->operand[2]);
    uint32_t high_a[GS_LANES], high_b[GS_LANES];
    for (int l = 0; l < GS_LANES; l++) {
        high_a[l] = a[l] >> 16;
        high_b[l] = b[l] >> 16;
    }
    const uint32_t low = combined(w, i, compare(w, i));
    const uint32_t high = combined(w, i, floats[i->type][i->detail[2]][i->detail[0]](high_a, high_b));
    const uint32_t one = i->type2 == GS_F16X2 ? 0x3C00U : i->type2 == GS_BF16X2 ? 0x3F80U : 0xFFFFU;
    uint32_t *d = gs_u32(w, &i->operand[0]);
    for (int l = 0; l < GS_LANES; l++) {
        const uint32_t r = ((low >> l & 1) != 0 ? one : 0) | ((high >> l & 1) != 0 ? one << 16 : 0);
        d[l] = (lanes >> l & 1) != 0 ? r : d[l];
    }
}

#define BITS   "<eq ne> [and or xor] "
#define ORDER  "<eq ne lt le gt ge> [and or xor] "
#define BOTH   "<eq ne lt le gt ge lo ls hi hs> [and or xor] "
#define NUMBER "<eq ne lt le gt ge equ neu ltu leu gtu geu num nan> [and or xor] [ftz] "

const gs_pattern gs_compare_patterns[] = {
    {"setp", BITS "<b16 b32>", "P44?p", 1, GS_PLAIN, GS_RUNS(setp)},
    {"setp", BITS "b64", "P88?p", 1, GS_PLAIN, GS_RUNS(setp)},
    {"setp", BOTH "<u16 u32>", "P44?p", 1, GS_PLAIN, GS_RUNS(setp)},
    {"setp", BOTH "u64", "P88?p", 1, GS_PLAIN, GS_RUNS(setp)},
    {"setp", ORDER "<s16 s32>", "P44?p", 1, GS_PLAIN, GS_RUNS(setp)},
    {"setp", ORDER "s64", "P88?p", 1, GS_PLAIN, GS_RUNS(setp)},
    {"setp", NUMBER "<f32 f16 bf16>", "P44?p", 1, GS_PLAIN, GS_RUNS(setp)},
    {"setp", NUMBER "f64", "P88?p", 1, GS_PLAIN, GS_RUNS(setp)},
    {"set", BITS "<u32 s32 f32> <b16 b32>", "444?p", 1, GS_PLAIN, GS_RUNS(set)},
    {"set", BITS "<u32 s32 f32> b64", "488?p", 1, GS_PLAIN, GS_RUNS(set)},
    {"set", BOTH "<u32 s32 f32> <u16 u32>", "444?p", 1, GS_PLAIN, GS_RUNS(set)},
    {"set", BOTH "<u32 s32 f32> u64", "488?p", 1, GS_PLAIN, GS_RUNS(set)},
    {"set", ORDER "<u32 s32 f32> <s16 s32>", "444?p", 1, GS_PLAIN, GS_RUNS(set)},
    {"set", ORDER "<u32 s32 f32> s64", "488?p", 1, GS_PLAIN, GS_RUNS(set)},
    {"set", NUMBER "<u32 s32 f32 u16 s16 f16 bf16> <f32 f16 bf16>", "444?p", 1, GS_PLAIN, GS_RUNS(set)},
    {"set", NUMBER "<u32 s32 f32> f64", "488?p", 1, GS_PLAIN, GS_RUNS(set)},
    {"set", NUMBER "<u32 s32 f16x2> f16x2", "444?p", 1, GS_PLAIN, GS_RUNS(set_pairs)},
    {"set", NUMBER "<u32 s32 bf16x2> bf16x2", "444?p", 1, GS_PLAIN, GS_RUNS(set_pairs)},
    {0},
};
