/* Integer arithmetic: add sub mul mad mul24 mad24 sad div rem abs neg min max dp2a dp4a. PTX ISA 9.0, "Integer
 * Arithmetic Instructions". */
#include "exec.h"

/* Sums and low products are the same for signed and unsigned numbers. */
GS_OP2(add_u16, u16, u16, u16, x + y)
GS_OP2(add_u32, u32, u32, u32, x + y)
GS_OP2(add_u64, u64, u64, u64, x + y)
GS_OP2(sub_u16, u16, u16, u16, x - y)
GS_OP2(sub_u32, u32, u32, u32, x - y)
GS_OP2(sub_u64, u64, u64, u64, x - y)
GS_OP2(mul_lo_u16, u16, u16, u16, (uint32_t)x *y)
GS_OP2(mul_lo_u32, u32, u32, u32, x *y)
GS_OP2(mul_lo_u64, u64, u64, u64, x *y)
GS_OP3(mad_lo_u16, u16, u16, u16, u16, (uint32_t)x *y + z)
GS_OP3(mad_lo_u32, u32, u32, u32, u32, x *y + z)
GS_OP3(mad_lo_u64, u64, u64, u64, u64, x *y + z)

static inline int32_t saturated(int64_t x) {
    const int64_t low = x < INT32_MIN ? INT32_MIN : x;
    return (int32_t)(low > INT32_MAX ? INT32_MAX : low);
}
GS_OP2(add_sat_s32, s32, s32, s32, saturated((int64_t)x + y))
GS_OP2(sub_sat_s32, s32, s32, s32, saturated((int64_t)x - y))

GS_OP2(mul_hi_u16, u16, u16, u16, ((uint32_t)x * y) >> 16)
GS_OP2(mul_hi_s16, s16, s16, s16, ((int32_t)x * y) >> 16)
GS_OP2(mul_hi_u32, u32, u32, u32, ((uint64_t)x * y) >> 32)
GS_OP2(mul_hi_s32, s32, s32, s32, ((int64_t)x * y) >> 32)
GS_OP2(mul_hi_u64, u64, u64, u64, ((unsigned __int128)x * y) >> 64)
GS_OP2(mul_hi_s64, s64, s64, s64, ((__int128)x * y) >> 64)
GS_OP2(mul_wide_u16, u32, u16, u16, (uint32_t)x *y)
GS_OP2(mul_wide_s16, s32, s16, s16, (int32_t)x *y)
GS_OP2(mul_wide_u32, u64, u32, u32, (uint64_t)x *y)
GS_OP2(mul_wide_s32, s64, s32, s32, (int64_t)x *y)
GS_OP3(mad_hi_u16, u16, u16, u16, u16, (((uint32_t)x * y) >> 16) + z)
GS_OP3(mad_hi_s16, s16, s16, s16, s16, (((int32_t)x * y) >> 16) + z)
GS_OP3(mad_hi_u32, u32, u32, u32, u32, (uint32_t)(((uint64_t)x * y) >> 32) + z)
GS_OP3(mad_hi_s32, u32, s32, s32, u32, (uint32_t)(((int64_t)x * y) >> 32) + z)
GS_OP3(mad_hi_sat_s32, s32, s32, s32, s32, saturated((((int64_t)x * y) >> 32) + z))
GS_OP3(mad_hi_u64, u64, u64, u64, u64, (uint64_t)(((unsigned __int128)x * y) >> 64) + z)
GS_OP3(mad_hi_s64, u64, s64, s64, u64, (uint64_t)(((__int128)x * y) >> 64) + z)
GS_OP3(mad_wide_u16, u32, u16, u16, u32, (uint32_t)x *y + z)
GS_OP3(mad_wide_s16, u32, s16, s16, u32, (uint32_t)((int32_t)x *y) + z)
GS_OP3(mad_wide_u32, u64, u32, u32, u64, (uint64_t)x *y + z)
GS_OP3(mad_wide_s32, u64, s32, s32, u64, (uint64_t)((int64_t)x *y) + z)

/* 24-bit factors, their upper 8 bits do not count; .hi: bits 16 .. 47 of the product. */
#define U24(x) ((uint64_t)((x)&0xFFFFFF))
#define S24(x) ((int64_t)(int32_t)((uint32_t)(x) << 8) >> 8)
GS_OP2(mul24_lo_u32, u32, u32, u32, U24(x) * U24(y))
GS_OP2(mul24_lo_s32, u32, s32, s32, S24(x) * S24(y))
GS_OP2(mul24_hi_u32, u32, u32, u32, (U24(x) * U24(y)) >> 16)
GS_OP2(mul24_hi_s32, u32, s32, s32, (S24(x) * S24(y)) >> 16)
GS_OP3(mad24_lo_u32, u32, u32, u32, u32, (uint32_t)(U24(x) * U24(y)) + z)
GS_OP3(mad24_lo_s32, u32, s32, s32, u32, (uint32_t)(S24(x) * S24(y)) + z)
GS_OP3(mad24_hi_u32, u32, u32, u32, u32, (uint32_t)((U24(x) * U24(y)) >> 16) + z)
GS_OP3(mad24_hi_s32, u32, s32, s32, u32, (uint32_t)((S24(x) * S24(y)) >> 16) + z)
GS_OP3(mad24_hi_sat_s32, s32, s32, s32, s32, saturated((int64_t)(int32_t)((S24(x) * S24(y)) >> 16) + z))

/* Division by zero: all ones (undefined in the ISA; GPUs give this), the remainder is then x. INT_MIN / -1 = INT_MIN.
 */
#define GS_DIVISIONS(U, S, W)                                                                                          \
    static inline uint##W##_t quotient_##U(uint##W##_t x, uint##W##_t y) {                                             \
        return y == 0 ? (uint##W##_t) - 1 : (uint##W##_t)(x / y);                                                      \
    }                                                                                                                  \
    static inline uint##W##_t remainder_##U(uint##W##_t x, uint##W##_t y) {                                            \
        return y == 0 ? x : (uint##W##_t)(x % y);                                                                      \
    }                                                                                                                  \
    static inline int##W##_t quotient_##S(int##W##_t x, int##W##_t y) {                                                \
        return y == 0 ? (int##W##_t) - 1 : y == -1 ? (int##W##_t)(0 - (uint##W##_t)x) : (int##W##_t)(x / y);           \
    }                                                                                                                  \
    static inline int##W##_t remainder_##S(int##W##_t x, int##W##_t y) {                                               \
        return y == 0 ? x : y == -1 ? (int##W##_t)0 : (int##W##_t)(x % y);                                             \
    }                                                                                                                  \
    GS_OP2(div_##U, U, U, U, quotient_##U(x, y))                                                                       \
    GS_OP2(div_##S, S, S, S, quotient_##S(x, y))                                                                       \
    GS_OP2(rem_##U, U, U, U, remainder_##U(x, y))                                                                      \
    GS_OP2(rem_##S, S, S, S, remainder_##S(x, y))
GS_DIVISIONS(u16, s16, 16)
GS_DIVISIONS(u64, s64, 64)

/* 32-bit quotients in double, which vectorises: |x| < 2^51 makes the truncated quotient right, since x / y differs from
 * the next whole number by 1 / y at least, relatively more than 2^-51. */
static inline uint32_t fast_quotient_u32(uint32_t x, uint32_t y) {
    const uint32_t q = (uint32_t)(int64_t)((double)x / (double)(y == 0 ? 1 : y));
    return y == 0 ? UINT32_MAX : q;
}
static inline int32_t fast_quotient_s32(int32_t x, int32_t y) {
    const int32_t q = (int32_t)(int64_t)((double)x / (double)(y == 0 ? 1 : y));
    return y == 0 ? -1 : q;
}
GS_OP2(div_u32, u32, u32, u32, fast_quotient_u32(x, y))
GS_OP2(div_s32, s32, s32, s32, fast_quotient_s32(x, y))
GS_OP2(rem_u32, u32, u32, u32, y == 0 ? x : x - fast_quotient_u32(x, y) * y)
GS_OP2(rem_s32, u32, s32, s32, y == 0 ? (uint32_t)x : (uint32_t)x - (uint32_t)fast_quotient_s32(x, y) * (uint32_t)y)

/* 64-bit ones likewise where all lanes are below 2^50, as sizes and indices are, and no divisor is zero. */
GS_OP2(small_div_s64, s64, s64, s64, (int64_t)((double)x / (double)y))
GS_OP2(small_rem_s64, s64, s64, s64, x - (int64_t)((double)x / (double)y) * y)
static bool all_small(const gs_warp *w, const gs_instr *i) {
    const uint64_t *a = gs_u64(w, &i->operand[1]), *b = gs_u64(w, &i->operand[2]);
    const uint64_t half = UINT64_C(1) << 50;
    uint64_t large = 0;
    for (int l = 0; l < GS_LANES; l++) {
        large |= (a[l] + half) >> 51 | (b[l] + half) >> 51 | (b[l] == 0);
    }
    return large == 0;
}
#define GS_DIVISION_64(op, T, small)                                                                                   \
    static void fast_##op##_##T(gs_warp *w, const gs_instr *i, uint32_t lanes) {                                       \
        (all_small(w, i) ? small : op##_##T)(w, i, lanes);                                                             \
    }
GS_DIVISION_64(div, s64, small_div_s64)
GS_DIVISION_64(rem, s64, small_rem_s64)
static bool all_positive(const gs_warp *w, const gs_instr *i) {
    const uint64_t *a = gs_u64(w, &i->operand[1]), *b = gs_u64(w, &i->operand[2]);
    uint64_t all = 0;
    for (int l = 0; l < GS_LANES; l++) {
        all |= a[l] | b[l];
    }
    return all >> 63 == 0;
}
static void fast_div_u64(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    (all_positive(w, i) && all_small(w, i) ? small_div_s64 : div_u64)(w, i, lanes);
}
static void fast_rem_u64(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    (all_positive(w, i) && all_small(w, i) ? small_rem_s64 : rem_u64)(w, i, lanes);
}

#define GS_EXTREMES(T)                                                                                                 \
    GS_OP2(min_##T, T, T, T, x < y ? x : y)                                                                            \
    GS_OP2(max_##T, T, T, T, x > y ? x : y)
GS_EXTREMES(u16)
GS_EXTREMES(s16)
GS_EXTREMES(u32)
GS_EXTREMES(s32)
GS_EXTREMES(u64)
GS_EXTREMES(s64)
GS_OP2(min_relu_s32, s32, s32, s32, x < y ? (x > 0 ? x : 0) : (y > 0 ? y : 0))
GS_OP2(max_relu_s32, s32, s32, s32, x > y ? (x > 0 ? x : 0) : (y > 0 ? y : 0))

GS_OP1(neg_s16, u16, u16, 0U - x)
GS_OP1(neg_s32, u32, u32, 0U - x)
GS_OP1(neg_s64, u64, u64, 0U - x)
GS_OP1(abs_s16, u16, s16, x < 0 ? 0 - x : x)
GS_OP1(abs_s32, u32, s32, x < 0 ? 0U - (uint32_t)x : (uint32_t)x)
GS_OP1(abs_s64, u64, s64, x < 0 ? 0U - (uint64_t)x : (uint64_t)x)

GS_OP3(sad_u16, u16, u16, u16, u16, (x < y ? y - x : x - y) + z)
GS_OP3(sad_s16, u16, s16, s16, u16, (x < y ? y - x : x - y) + z)
GS_OP3(sad_u32, u32, u32, u32, u32, (x < y ? y - x : x - y) + z)
GS_OP3(sad_s32, u32, s32, s32, u32, (x < y ? (uint32_t)y - (uint32_t)x : (uint32_t)x - (uint32_t)y) + z)
GS_OP3(sad_u64, u64, u64, u64, u64, (x < y ? y - x : x - y) + z)
GS_OP3(sad_s64, u64, s64, s64, u64, (x < y ? (uint64_t)y - (uint64_t)x : (uint64_t)x - (uint64_t)y) + z)

/* Dot products of four bytes, or of two 16-bit numbers with the lower or upper two bytes. */
static inline int32_t byte_of(uint32_t x, int k, bool is_signed) {
    const uint8_t byte = (uint8_t)(x >> (8 * k));
    return is_signed ? (int8_t)byte : byte;
}
static inline int32_t word_of(uint32_t x, int k, bool is_signed) {
    const uint16_t word = (uint16_t)(x >> (16 * k));
    return is_signed ? (int16_t)word : word;
}
static inline uint32_t dot4(uint32_t x, uint32_t y, bool sx, bool sy) {
    uint32_t sum = 0;
    for (int k = 0; k < 4; k++) {
        sum += (uint32_t)(byte_of(x, k, sx) * byte_of(y, k, sy));
    }
    return sum;
}
static inline uint32_t dot2(uint32_t x, uint32_t y, int half, bool sx, bool sy) {
    return (uint32_t)(word_of(x, 0, sx) * byte_of(y, 2 * half, sy)) +
           (uint32_t)(word_of(x, 1, sx) * byte_of(y, 2 * half + 1, sy));
}
#define GS_DOTS(name, sx, sy)                                                                                          \
    GS_OP3(dp4a_##name, u32, u32, u32, u32, z + dot4(x, y, sx, sy))                                                    \
    GS_OP3(dp2a_lo_##name, u32, u32, u32, u32, z + dot2(x, y, 0, sx, sy))                                              \
    GS_OP3(dp2a_hi_##name, u32, u32, u32, u32, z + dot2(x, y, 1, sx, sy))
GS_DOTS(uu, false, false)
GS_DOTS(us, false, true)
GS_DOTS(su, true, false)
GS_DOTS(ss, true, true)

const gs_pattern gs_int_patterns[] = {
    {"add", "<u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(add_u32, add_u32)},
    {"add", "<u64 s64>", "888", 1, GS_PLAIN, GS_RUNS(add_u64, add_u64)},
    {"add", "<u16 s16>", "444", 1, GS_PLAIN, GS_RUNS(add_u16, add_u16)},
    {"add", "sat s32", "444", 1, GS_PLAIN, GS_RUNS(add_sat_s32)},
    {"sub", "<u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(sub_u32, sub_u32)},
    {"sub", "<u64 s64>", "888", 1, GS_PLAIN, GS_RUNS(sub_u64, sub_u64)},
    {"sub", "<u16 s16>", "444", 1, GS_PLAIN, GS_RUNS(sub_u16, sub_u16)},
    {"sub", "sat s32", "444", 1, GS_PLAIN, GS_RUNS(sub_sat_s32)},
    {"mul", "lo <u16 s16 u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(mul_lo_u16, mul_lo_u16, mul_lo_u32, mul_lo_u32)},
    {"mul", "lo <u64 s64>", "888", 1, GS_PLAIN, GS_RUNS(mul_lo_u64, mul_lo_u64)},
    {"mul", "hi <u16 s16 u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(mul_hi_u16, mul_hi_s16, mul_hi_u32, mul_hi_s32)},
    {"mul", "hi <u64 s64>", "888", 1, GS_PLAIN, GS_RUNS(mul_hi_u64, mul_hi_s64)},
    {"mul", "wide <u16 s16>", "444", 1, GS_PLAIN, GS_RUNS(mul_wide_u16, mul_wide_s16)},
    {"mul", "wide <u32 s32>", "844", 1, GS_PLAIN, GS_RUNS(mul_wide_u32, mul_wide_s32)},
    {"mad", "lo <u16 s16 u32 s32>", "4444", 1, GS_PLAIN, GS_RUNS(mad_lo_u16, mad_lo_u16, mad_lo_u32, mad_lo_u32)},
    {"mad", "lo <u64 s64>", "8888", 1, GS_PLAIN, GS_RUNS(mad_lo_u64, mad_lo_u64)},
    {"mad", "hi <u16 s16 u32 s32>", "4444", 1, GS_PLAIN, GS_RUNS(mad_hi_u16, mad_hi_s16, mad_hi_u32, mad_hi_s32)},
    {"mad", "hi sat s32", "4444", 1, GS_PLAIN, GS_RUNS(mad_hi_sat_s32)},
    {"mad", "hi <u64 s64>", "8888", 1, GS_PLAIN, GS_RUNS(mad_hi_u64, mad_hi_s64)},
    {"mad", "wide <u16 s16>", "4444", 1, GS_PLAIN, GS_RUNS(mad_wide_u16, mad_wide_s16)},
    {"mad", "wide <u32 s32>", "8448", 1, GS_PLAIN, GS_RUNS(mad_wide_u32, mad_wide_s32)},
    {"mul24", "lo <u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(mul24_lo_u32, mul24_lo_s32)},
    {"mul24", "hi <u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(mul24_hi_u32, mul24_hi_s32)},
    {"mad24", "lo <u32 s32>", "4444", 1, GS_PLAIN, GS_RUNS(mad24_lo_u32, mad24_lo_s32)},
    {"mad24", "hi <u32 s32>", "4444", 1, GS_PLAIN, GS_RUNS(mad24_hi_u32, mad24_hi_s32)},
    {"mad24", "hi sat s32", "4444", 1, GS_PLAIN, GS_RUNS(mad24_hi_sat_s32)},
    {"div", "<u16 s16 u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(div_u16, div_s16, div_u32, div_s32)},
    {"div", "<u64 s64>", "888", 1, GS_PLAIN, GS_RUNS(fast_div_u64, fast_div_s64)},
    {"rem", "<u16 s16 u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(rem_u16, rem_s16, rem_u32, rem_s32)},
    {"rem", "<u64 s64>", "888", 1, GS_PLAIN, GS_RUNS(fast_rem_u64, fast_rem_s64)},
    {"min", "<u16 s16 u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(min_u16, min_s16, min_u32, min_s32)},
    {"min", "<u64 s64>", "888", 1, GS_PLAIN, GS_RUNS(min_u64, min_s64)},
    {"min", "relu s32", "444", 1, GS_PLAIN, GS_RUNS(min_relu_s32)},
    {"max", "<u16 s16 u32 s32>", "444", 1, GS_PLAIN, GS_RUNS(max_u16, max_s16, max_u32, max_s32)},
    {"max", "<u64 s64>", "888", 1, GS_PLAIN, GS_RUNS(max_u64, max_s64)},
    {"max", "relu s32", "444", 1, GS_PLAIN, GS_RUNS(max_relu_s32)},
    {"neg", "<s16 s32>", "44", 1, GS_PLAIN, GS_RUNS(neg_s16, neg_s32)},
    {"neg", "s64", "88", 1, GS_PLAIN, GS_RUNS(neg_s64)},
    {"abs", "<s16 s32>", "44", 1, GS_PLAIN, GS_RUNS(abs_s16, abs_s32)},
    {"abs", "s64", "88", 1, GS_PLAIN, GS_RUNS(abs_s64)},
    {"sad", "<u16 s16 u32 s32>", "4444", 1, GS_PLAIN, GS_RUNS(sad_u16, sad_s16, sad_u32, sad_s32)},
    {"sad", "<u64 s64>", "8888", 1, GS_PLAIN, GS_RUNS(sad_u64, sad_s64)},
    {"dp4a", "<u32 s32> <u32 s32>", "4444", 1, GS_PLAIN, GS_RUNS(dp4a_uu, dp4a_us, dp4a_su, dp4a_ss)},
    {"dp2a", "lo <u32 s32> <u32 s32>", "4444", 1, GS_PLAIN, GS_RUNS(dp2a_lo_uu, dp2a_lo_us, dp2a_lo_su, dp2a_lo_ss)},
    {"dp2a", "hi <u32 s32> <u32 s32>", "4444", 1, GS_PLAIN, GS_RUNS(dp2a_hi_uu, dp2a_hi_us, dp2a_hi_su, dp2a_hi_ss)},
    {0},
};
