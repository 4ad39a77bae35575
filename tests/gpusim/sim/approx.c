/* Approximate instructions: ex2 lg2 rcp rsqrt sqrt sin cos tanh div. The result is the exact one with an error that is
 * a fixed pseudo-random function of the operands, at most what the PTX ISA 9.0 documents for the instruction (named at
 * each below); so a program that needs more than the bound has something to fail on. exact=1 switches the errors off.
 */
#include <fenv.h>

#include "exec.h"
#include "half.h"
#include "sim.h"

/* In [-1, 1], from the operands' bits (a step of splitmix64). */
static double error_of(uint64_t bits) {
    uint64_t z = bits + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return (double)(int64_t)z * 0x1p-63;
}

/* 1, or 0 with exact=1 */
static double amplitude(void) {
    static double known = -1.0;
    if (known < 0.0) {
        known = gs_get_options()->exact ? 0.0 : 1.0; /* the same for every thread */
    }
    return known;
}

/* Rounding to f32 adds up to 2^-24 to a relative error. */
static float relative(double exact, uint64_t bits, double bound) {
    return (float)(exact * (1.0 + error_of(bits) * (bound - 0x1p-24) * amplitude()));
}
static float absolute(double exact, uint64_t bits, double bound) {
    return (float)(exact + error_of(bits) * (bound - 0x1p-25) * amplitude());
}

/* ex2: at most 2 ulp, taken as 2^-22.5 of the value; ex2(0) = 1. */
static float ex2(float x) {
    return x == 0.0F || isinf(x) ? exp2f(x) : relative(exp2((double)x), gs_float_bits(x), 0x1p-22 * 0.7);
}
/* lg2: absolute error 2^-22 for operands in (0.5, 2), relative error 2^-22 outside. */
static float lg2(float x) {
    const double exact = log2((double)x);
    if (x == 1.0F || x <= 0.0F || !isfinite(x)) {
        return (float)exact;
    }
    return x > 0.5F && x < 2.0F ? absolute(exact, gs_float_bits(x), 0x1p-22)
                                : relative(exact, gs_float_bits(x), 0x1p-22);
}
/* rcp: 1 ulp. */
static float rcp(float x) {
    return relative(1.0 / (double)x, gs_float_bits(x), 0x1p-23);
}
/* rsqrt: relative error 2^-22.9; -0 gives -inf. */
static float rsqrt(float x) {
    return x == 0.0F ? copysignf(INFINITY, x) : relative(1.0 / sqrt((double)x), gs_float_bits(x), 0x1p-23 * 1.0717);
}
/* sqrt: relative error 2^-23. */
static float square_root(float x) {
    return relative(sqrt((double)x), gs_float_bits(x), 0x1p-23);
}
/* sin, cos: absolute error 2^-20.5 in [-2 pi, 2 pi], 2^-14.7 in [-100 pi, 100 pi]; beyond, nothing is promised. sin
 * keeps the sign of zero. */
static double angle_bound(float x) {
    return fabsf(x) <= 6.2831853F ? 0x1p-21 * 1.4142 : 0x1p-15 * 1.2311;
}
static float sine(float x) {
    return x == 0.0F ? x : absolute(sin((double)x), gs_float_bits(x), angle_bound(x));
}
static float cosine(float x) {
    return absolute(cos((double)x), gs_float_bits(x), angle_bound(x));
}
/* tanh: relative error 2^-11; not above 1. */
static float tangent(float x) {
    const float r = relative(tanh((double)x), gs_float_bits(x), 0x1p-11);
    return r > 1.0F ? 1.0F : r < -1.0F ? -1.0F : r;
}
/* div.full: 2 ulp in the whole range. div.approx: 2 ulp for |y| in [2^-126, 2^126]; above, x / y is 0, or NaN if x is
 * infinite. */
static float div_full(float x, float y) {
    return relative((double)x / (double)y, (uint64_t)gs_float_bits(x) << 32 | gs_float_bits(y), 0x1p-23 * 1.9);
}
static float div_approx(float x, float y) {
    if (fabsf(y) > 0x1p126F && !isinf(y)) {
        return isinf(x) ? NAN : copysignf(0.0F, signbit(x) != signbit(y) ? -1.0F : 1.0F);
    }
    return div_full(x, y);
}

#define GS_APPROX1(op)                                                                                                 \
    GS_OP1(op##_f32, f32, f32, op(x))                                                                                  \
    GS_OP1(op##_ftz_f32, f32, f32, gs_flush(op(gs_flush(x))))
GS_APPROX1(ex2)
GS_APPROX1(lg2)
GS_APPROX1(rcp)
GS_APPROX1(rsqrt)
GS_APPROX1(square_root)
GS_APPROX1(sine)
GS_APPROX1(cosine)
GS_OP1(tangent_f32, f32, f32, tangent(x))
GS_OP2(div_full_f32, f32, f32, f32, div_full(x, y))
GS_OP2(div_full_ftz_f32, f32, f32, f32, gs_flush(div_full(gs_flush(x), gs_flush(y))))
GS_OP2(div_approx_f32, f32, f32, f32, div_approx(x, y))
GS_OP2(div_approx_ftz_f32, f32, f32, f32, gs_flush(div_approx(gs_flush(x), gs_flush(y))))

/* rcp, rsqrt .approx.ftz.f64: subnormal numbers are zero; computed from the upper 32 bits, the lower 32 of the result
 * are zero ("a gross approximation", about 20 bits). */
static double upper_word(double x) {
    return gs_bits_double(gs_double_bits(x) & UINT64_C(0xFFFFFFFF00000000));
}
static double flush64(double x) {
    return fabs(x) < 0x1p-1022 ? copysign(0.0, x) : x;
}
GS_OP1(rcp_f64, f64, f64, upper_word(flush64(1.0 / upper_word(flush64(x)))))
GS_OP1(rsqrt_f64, f64, f64, upper_word(1.0 / sqrt(upper_word(flush64(x)))))
GS_OP1(rsqrt_full_f64, f64, f64, x == 0.0 ? copysign((double)INFINITY, x) : upper_word(1.0 / sqrt(x)))

/* tanh.approx: f16 absolute error 2^-10.987, bf16 relative 2^-8. ex2.approx: f16 relative 2^-9.9, bf16 2^-7. */
static uint16_t half_value(uint16_t s, bool is_tanh, bool brain) {
    const double x = brain ? gs_bfloat_to_float(s) : gs_half_to_float(s);
    const double exact = is_tanh ? tanh(x) : exp2(x);
    const double bound = brain ? 0x1p-9 : is_tanh ? 0x1p-13 : 0x1p-11; /* what rounding leaves of it */
    return gs_pack_half(exact * (1.0 + (x == 0.0 ? 0.0 : error_of(s) * bound * amplitude())), brain);
}
static void half_approx(const gs_warp *w, const gs_instr *i, uint32_t lanes, bool is_tanh) {
    const bool brain = i->type == GS_BF16 || i->type == GS_BF16X2;
    const bool two = i->type == GS_F16X2 || i->type == GS_BF16X2;
    uint32_t *d = gs_u32(w, &i->operand[0]);
    const uint32_t *a = gs_u32(w, &i->operand[1]);
    for (int l = 0; l < GS_LANES; l++) {
        if ((lanes >> l & 1) != 0) {
            const uint32_t low = half_value((uint16_t)a[l], is_tanh, brain);
            d[l] = two ? low | (uint32_t)half_value((uint16_t)(a[l] >> 16), is_tanh, brain) << 16 : low;
        }
    }
}
static void half_tanh(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    half_approx(w, i, lanes, true);
}
static void half_ex2(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    half_approx(w, i, lanes, false);
}

#define HALVES "<f16 f16x2 bf16 bf16x2>"

const gs_pattern gs_approx_patterns[] = {
    {"ex2", "approx [ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(ex2_f32, ex2_ftz_f32)},
    {"lg2", "approx [ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(lg2_f32, lg2_ftz_f32)},
    {"rcp", "approx [ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(rcp_f32, rcp_ftz_f32)},
    {"rsqrt", "approx [ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(rsqrt_f32, rsqrt_ftz_f32)},
    {"sqrt", "approx [ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(square_root_f32, square_root_ftz_f32)},
    {"sin", "approx [ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(sine_f32, sine_ftz_f32)},
    {"cos", "approx [ftz] f32", "44", 1, GS_PLAIN, GS_RUNS(cosine_f32, cosine_ftz_f32)},
    {"tanh", "approx f32", "44", 1, GS_PLAIN, GS_RUNS(tangent_f32)},
    {"div", "full [ftz] f32", "444", 1, GS_PLAIN, GS_RUNS(div_full_f32, div_full_ftz_f32)},
    {"div", "approx [ftz] f32", "444", 1, GS_PLAIN, GS_RUNS(div_approx_f32, div_approx_ftz_f32)},
    {"rcp", "approx ftz f64", "88", 1, GS_PLAIN, GS_RUNS(rcp_f64)},
    {"rsqrt", "approx ftz f64", "88", 1, GS_PLAIN, GS_RUNS(rsqrt_f64)},
    {"rsqrt", "approx f64", "88", 1, GS_PLAIN, GS_RUNS(rsqrt_full_f64)},
    {"tanh", "approx " HALVES, "44", 1, GS_PLAIN, GS_RUNS(half_tanh)},
    {"ex2", "approx [ftz] " HALVES, "44", 1, GS_PLAIN, GS_RUNS(half_ex2)},
    {0},
};
