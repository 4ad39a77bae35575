/* f32 and f64 arithmetic with IEEE rounding: add sub mul fma mad div rcp sqrt neg abs min max copysign testp. PTX ISA
 * 9.0, "Floating Point Instructions". Rounding to zero, down and up is the processor's own: the same loop runs with its
 * rounding mode changed. Approximate forms: approx.c. This file must be compiled with -ffp-contract=off. */
#include <fenv.h>

#include "exec.h"
#include "rounding.h"

/* ---- rounding modes ----------------------------------------------------------------------------------------- */

static void run_rounded(gs_warp *w, const gs_instr *i, uint32_t lanes, int mode) {
    gs_set_rounding(mode);
    i->inner(w, i, lanes);
    gs_set_rounding(FE_TONEAREST);
}
void gs_run_rz(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    run_rounded(w, i, lanes, FE_TOWARDZERO);
}
void gs_run_rm(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    run_rounded(w, i, lanes, FE_DOWNWARD);
}
void gs_run_rp(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    run_rounded(w, i, lanes, FE_UPWARD);
}

/* ---- arithmetic: four functions an operation, ftz * 2 + sat ----------------------------------------------------- */

#define GS_FLOAT1(op, value)                                                                                           \
    GS_OP1(op##_f32, f32, f32, value(x))                                                                               \
    GS_OP1(op##_ftz_f32, f32, f32, gs_flush(value(gs_flush(x))))
#define GS_FLOAT2(op, value)                                                                                           \
    GS_OP2(op##_f32, f32, f32, f32, value(x, y))                                                                       \
    GS_OP2(op##_sat_f32, f32, f32, f32, gs_saturate(value(x, y)))                                                      \
    GS_OP2(op##_ftz_f32, f32, f32, f32, gs_flush(value(gs_flush(x), gs_flush(y))))                                     \
    GS_OP2(op##_ftz_sat_f32, f32, f32, f32, gs_saturate(gs_flush(value(gs_flush(x), gs_flush(y)))))
#define GS_FLOAT3(op, value)                                                                                           \
    GS_OP3(op##_f32, f32, f32, f32, f32, value(x, y, z))                                                               \
    GS_OP3(op##_sat_f32, f32, f32, f32, f32, gs_saturate(value(x, y, z)))                                              \
    GS_OP3(op##_ftz_f32, f32, f32, f32, f32, gs_flush(value(gs_flush(x), gs_flush(y), gs_flush(z))))                   \
    GS_OP3(op##_ftz_sat_f32, f32, f32, f32, f32, gs_saturate(gs_flush(value(gs_flush(x), gs_flush(y), gs_flush(z)))))
#define ADD(x, y) ((x) + (y))
#define SUB(x, y) ((x) - (y))
#define MUL(x, y) ((x) * (y))
#define DIV(x, y) ((x) / (y))
#define RCP(x)    (1.0F / (x))
GS_FLOAT2(add, ADD)
GS_FLOAT2(sub, SUB)
GS_FLOAT2(mul, MUL)
GS_FLOAT3(fma, fmaf)
GS_OP2(div_f32, f32, f32, f32, x / y)
GS_OP2(div_ftz_f32, f32, f32, f32, gs_flush(gs_flush(x) / gs_flush(y)))
GS_FLOAT1(rcp, RCP)
GS_FLOAT1(sqrt, sqrtf)

GS_OP2(add_f64, f64, f64, f64, x + y)
GS_OP2(sub_f64, f64, f64, f64, x - y)
GS_OP2(mul_f64, f64, f64, f64, x *y)
GS_OP3(fma_f64, f64, f64, f64, f64, fma(x, y, z))
GS_OP2(div_f64, f64, f64, f64, x / y)
GS_OP1(rcp_f64, f64, f64, 1.0 / x)
GS_OP1(sqrt_f64, f64, f64, sqrt(x))

/* ---- signs ------------------------------------------------------------------------------------------------------ */

static inline uint32_t flushed_bits(uint32_t x) {
    return (x & 0x7F800000U) == 0 ? x & 0x80000000U : x;
}
GS_OP1(neg_f32, u32, u32, x ^ 0x80000000U)
GS_OP1(neg_ftz_f32, u32, u32, flushed_bits(x) ^ 0x80000000U)
GS_OP1(neg_f64, u64, u64, x ^ 0x8000000000000000U)
GS_OP1(abs_f32, u32, u32, x & 0x7FFFFFFFU)
GS_OP1(abs_ftz_f32, u32, u32, flushed_bits(x) & 0x7FFFFFFFU)
GS_OP1(abs_f64, u64, u64, x & 0x7FFFFFFFFFFFFFFFU)
/* copysign d, a, b: the sign of a and the rest of b */
GS_OP2(copysign_f32, u32, u32, u32, (x & 0x80000000U) | (y & 0x7FFFFFFFU))
GS_OP2(copysign_f64, u64, u64, u64, (x & 0x8000000000000000U) | (y & 0x7FFFFFFFFFFFFFFFU))

/* ---- min, max: a number wins over NaN (not with .NaN), -0 is below +0 ------------------------------------------ */

static inline float smaller(float x, float y) {
    const float equal = gs_bits_float(gs_float_bits(x) | gs_float_bits(y));
    const float r = x < y ? x : x == y ? equal : y;
    return y != y ? x : r;
}
static inline float larger(float x, float y) {
    const float equal = gs_bits_float(gs_float_bits(x) & gs_float_bits(y));
    const float r = x > y ? x : x == y ? equal : y;
    return y != y ? x : r;
}
static inline double smaller64(double x, double y) {
    const double equal = gs_bits_double(gs_double_bits(x) | gs_double_bits(y));
    const double r = x < y ? x : x == y ? equal : y;
    return y != y ? x : r;
}
static inline double larger64(double x, double y) {
    const double equal = gs_bits_double(gs_double_bits(x) & gs_double_bits(y));
    const double r = x > y ? x : x == y ? equal : y;
    return y != y ? x : r;
}
static inline float nan_or(float x, float y, float r) {
    return x != x || y != y ? __builtin_nanf("0x3fffff") : r;
}
/* .xorsign.abs: of the absolute values, with the signs' exclusive or */
static inline float xor_sign(float x, float y, float r) {
    return gs_bits_float((gs_float_bits(r) & 0x7FFFFFFFU) | ((gs_float_bits(x) ^ gs_float_bits(y)) & 0x80000000U));
}
#define GS_EXTREME(op, value)                                                                                          \
    GS_OP2(op##_f32, f32, f32, f32, value(x, y))                                                                       \
    GS_OP2(op##_ftz_f32, f32, f32, f32, value(gs_flush(x), gs_flush(y)))                                               \
    GS_OP2(op##_nan_f32, f32, f32, f32, nan_or(x, y, value(x, y)))                                                     \
    GS_OP2(op##_ftz_nan_f32, f32, f32, f32, nan_or(x, y, value(gs_flush(x), gs_flush(y))))                             \
    GS_OP2(op##_xor_f32, f32, f32, f32, xor_sign(x, y, value(fabsf(x), fabsf(y))))                                     \
    GS_OP2(op##_xor_nan_f32, f32, f32, f32, nan_or(x, y, xor_sign(x, y, value(fabsf(x), fabsf(y)))))                   \
    GS_OP2(op##_f64, f64, f64, f64, value##64(x, y))
GS_EXTREME(smaller, smaller)
GS_EXTREME(larger, larger)

/* ---- testp ------------------------------------------------------------------------------------------------------- */

enum { TEST_FINITE, TEST_INFINITE, TEST_NUMBER, TEST_NAN, TEST_NORMAL, TEST_SUBNORMAL };

static bool tested(int class, int what) {
    switch (what) {
    case TEST_FINITE:
        return class != FP_INFINITE && class != FP_NAN;
    case TEST_INFINITE:
        return class == FP_INFINITE;
    case TEST_NUMBER:
        return class != FP_NAN;
    case TEST_NAN:
        return class == FP_NAN;
    case TEST_NORMAL:
        return class == FP_NORMAL; /* zero is neither normal nor subnormal */
    default:
        return class == FP_SUBNORMAL;
    }
}
static void testp(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const gs_operand *a = &i->operand[1];
    uint32_t r = 0;
    for (int l = 0; l < GS_LANES; l++) {
        const int class = i->type == GS_F32 ? fpclassify(gs_bits_float(gs_u32(w, a)[l]))
                                            : fpclassify(gs_bits_double(gs_u64(w, a)[l]));
        r |= (uint32_t)tested(class, i->detail[0]) << l;
    }
    uint32_t *d = gs_u32(w, &i->operand[0]);
    *d = (*d & ~lanes) | (r & lanes);
}

#define GS_FLOAT_RUNS(op) GS_RUNS(op##_f32, op##_sat_f32, op##_ftz_f32, op##_ftz_sat_f32)
#define RND               "{rn rz rm rp} "

const gs_pattern gs_float_patterns[] = {
    {"add", RND "[ftz] [sat] f32", "444", 1, GS_PLAIN, GS_FLOAT_RUNS(add)},
    {"sub", RND "[ftz] [sat] f32", "444", 1, GS_PLAIN, GS_FLOAT_RUNS(sub)},
    {"mul", RND "[ftz] [sat] f32", "444", 1, GS_PLAIN, GS_FLOAT_RUNS(mul)},
    {"fma", RND "[ftz] [sat] f32", "4444", 1, GS_PLAIN, GS_FLOAT_RUNS(fma)},
    {"mad", RND "[ftz] [sat] f32", "4444", 1, GS_PLAIN, GS_FLOAT_RUNS(fma)},
    {"div", RND "[ftz] f32", "444", 1, GS_PLAIN, GS_RUNS(div_f32, div_ftz_f32)},
    {"rcp", RND "[ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(rcp_f32, rcp_ftz_f32)},
    {"sqrt", RND "[ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(sqrt_f32, sqrt_ftz_f32)},
    {"add", RND "f64", "888", 1, GS_PLAIN, GS_RUNS(add_f64)},
    {"sub", RND "f64", "888", 1, GS_PLAIN, GS_RUNS(sub_f64)},
    {"mul", RND "f64", "888", 1, GS_PLAIN, GS_RUNS(mul_f64)},
    {"fma", RND "f64", "8888", 1, GS_PLAIN, GS_RUNS(fma_f64)},
    {"mad", RND "f64", "8888", 1, GS_PLAIN, GS_RUNS(fma_f64)},
    {"div", RND "f64", "888", 1, GS_PLAIN, GS_RUNS(div_f64)},
    {"rcp", RND "f64", "88", 1, GS_PLAIN, GS_RUNS(rcp_f64)},
    {"sqrt", RND "f64", "88", 1, GS_PLAIN, GS_RUNS(sqrt_f64)},
    {"neg", "[ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(neg_f32, neg_ftz_f32)},
    {"neg", "f64", "88", 1, GS_PLAIN, GS_RUNS(neg_f64)},
    {"abs", "[ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(abs_f32, abs_ftz_f32)},
    {"abs", "f64", "88", 1, GS_PLAIN, GS_RUNS(abs_f64)},
    {"copysign", "f32", "444", 1, GS_PLAIN, GS_RUNS(copysign_f32)},
    {"copysign", "f64", "888", 1, GS_PLAIN, GS_RUNS(copysign_f64)},
    {"min", "[ftz] [NaN] f32", "444", 1, GS_PLAIN,
     GS_RUNS(smaller_f32, smaller_nan_f32, smaller_ftz_f32, smaller_ftz_nan_f32)},
    {"max", "[ftz] [NaN] f32", "444", 1, GS_PLAIN,
     GS_RUNS(larger_f32, larger_nan_f32, larger_ftz_f32, larger_ftz_nan_f32)},
    {"min", "[NaN] xorsign abs f32", "444", 1, GS_PLAIN, GS_RUNS(smaller_xor_f32, smaller_xor_nan_f32)},
    {"max", "[NaN] xorsign abs f32", "444", 1, GS_PLAIN, GS_RUNS(larger_xor_f32, larger_xor_nan_f32)},
    {"min", "f64", "888", 1, GS_PLAIN, GS_RUNS(smaller_f64)},
    {"max", "f64", "888", 1, GS_PLAIN, GS_RUNS(larger_f64)},
    {"testp", "<finite infinite number notanumber normal subnormal> f32", "p4", 1, GS_PLAIN, GS_RUNS(testp)},
    {"testp", "<finite infinite number notanumber normal subnormal> f64", "p8", 1, GS_PLAIN, GS_RUNS(testp)},
    {0},
};
