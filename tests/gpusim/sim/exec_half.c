/* f16, f16x2, bf16, bf16x2: add sub mul fma min max neg abs. The exact result as a double, rounded once. PTX ISA 9.0,
 * "Half Precision Floating Point Instructions". */
#include <fenv.h>

#include "exec.h"
#include "half.h"

/* ---- formats ---------------------------------------------------------------------------------------------- */

double gs_round_to(double x, int bits, int min_exponent, double max, int mode) {
    if (x == 0.0 || isinf(x) || isnan(x)) {
        return x;
    }
    int exponent = ilogb(x);
    exponent = exponent < min_exponent ? min_exponent : exponent;
    const double scaled = scalbn(x, bits - 1 - exponent);
    double whole = floor(scaled);
    const double rest = scaled - whole; /* exact */
    if (mode == FE_TONEAREST) {
        whole += rest > 0.5 || (rest == 0.5 && fmod(whole, 2.0) != 0.0) ? 1.0 : 0.0;
    } else if (mode == FE_UPWARD || (mode == FE_TOWARDZERO && x < 0.0)) {
        whole += rest > 0.0 ? 1.0 : 0.0;
    }
    const double r = copysign(scalbn(whole, exponent + 1 - bits), x);
    if (fabs(r) <= max) {
        return r;
    }
    const bool to_max = mode == FE_TOWARDZERO || (mode == FE_UPWARD && x < 0.0) || (mode == FE_DOWNWARD && x > 0.0);
    return copysign(to_max ? max : (double)INFINITY, x);
}

float gs_half_to_float(uint16_t x) {
    const int exponent = x >> 10 & 31;
    const int mantissa = x & 1023;
    float r = ldexpf((float)(exponent == 0 ? mantissa : mantissa | 1024), (exponent == 0 ? 1 : exponent) - 25);
    if (exponent == 31) {
        r = mantissa != 0 ? NAN : INFINITY;
    }
    return (x & 0x8000) != 0 ? -r : r;
}

uint16_t gs_double_to_half(double x, int mode) {
    if (isnan(x)) {
        return 0x7FFF;
    }
    const double r = gs_round_to(x, 11, -14, 65504.0, mode);
    const uint16_t sign = signbit(r) ? 0x8000 : 0;
    const double a = fabs(r);
    if (isinf(a)) {
        return sign | 0x7C00;
    }
    if (a < 0x1p-14) {
        return (uint16_t)(sign | (uint16_t)(a * 0x1p24));
    }
    const int exponent = ilogb(a);
    return (uint16_t)(sign | (exponent + 15) << 10 | ((int)scalbn(a, 10 - exponent) & 1023));
}

uint16_t gs_float_to_half(float x) {
    return gs_double_to_half((double)x, FE_TONEAREST);
}

float gs_bfloat_to_float(uint16_t x) {
    return gs_bits_float((uint32_t)x << 16);
}

uint16_t gs_double_to_bfloat(double x, int mode) {
    if (isnan(x)) {
        return 0x7FFF;
    }
    return (uint16_t)(gs_float_bits((float)gs_round_to(x, 8, -126, 0x1.FEp127, mode)) >> 16);
}

uint16_t gs_float_to_bfloat(float x) {
    return gs_double_to_bfloat((double)x, FE_TONEAREST);
}

/* The error of a sum is exact (Knuth's two-sum); with it the sum is made odd towards the true value. */
double gs_fma_odd(double a, double b, double c) {
    const double p = a * b;
    const double s = p + c;
    if (isnan(s) || isinf(s)) {
        return s;
    }
    const double t = s - p;
    const double error = (p - (s - t)) + (c - t);
    uint64_t bits = gs_double_bits(s);
    if (error == 0.0 || (bits & 1) != 0) {
        return s;
    }
    bits += (error > 0.0) == (s > 0.0) ? 1 : UINT64_MAX;
    return gs_bits_double(bits);
}

/* ---- operations ------------------------------------------------------------------------------------------- */

typedef enum { HALF_ADD, HALF_SUB, HALF_MUL, HALF_FMA, HALF_MIN, HALF_MAX, HALF_NEG, HALF_ABS } half_op;
enum { SATURATE = 1, RELU = 2 };

static double extreme(double x, double y, bool least, bool keep_nan) {
    if (isnan(x) || isnan(y)) {
        return keep_nan || (isnan(x) && isnan(y)) ? (double)NAN : isnan(x) ? y : x;
    }
    if (x == y) {
        return (signbit(x) != 0) == least ? x : y;
    }
    return (x < y) == least ? x : y;
}

/* detail[0] ftz; [1] of arithmetic: SATURATE or RELU; of min and max: NaN. */
static uint16_t half_result(half_op op, const uint16_t s[3], const gs_instr *i, bool brain) {
    const bool flush = i->detail[0] != 0;
    double v[3];
    for (int k = 0; k < 3; k++) {
        v[k] = brain ? gs_bfloat_to_float(s[k]) : gs_half_to_float(s[k]);
        v[k] = flush && !brain && fabs(v[k]) < 0x1p-14 ? copysign(0.0, v[k]) : v[k];
    }
    double r;
    switch (op) {
    case HALF_ADD:
        r = gs_fma_odd(v[0], 1.0, v[1]);
        break;
    case HALF_SUB:
        r = gs_fma_odd(v[0], 1.0, -v[1]);
        break;
    case HALF_MUL:
        r = v[0] * v[1];
        break;
    case HALF_FMA:
        r = gs_fma_odd(v[0], v[1], v[2]);
        break;
    case HALF_NEG:
        return isnan(v[0]) ? s[0] ^ 0x8000 : gs_pack_half(-v[0], brain);
    case HALF_ABS:
        return isnan(v[0]) ? s[0] & 0x7FFF : gs_pack_half(fabs(v[0]), brain);
    default:
        return gs_pack_half(extreme(v[0], v[1], op == HALF_MIN, i->detail[1] != 0), brain);
    }
    const uint16_t packed = gs_pack_half(r, brain);
    r = brain ? gs_bfloat_to_float(packed) : gs_half_to_float(packed);
    r = flush && !brain && fabs(r) < 0x1p-14 ? copysign(0.0, r) : r;
    if (i->detail[1] == SATURATE) {
        r = gs_saturate64(r);
    } else if (i->detail[1] == RELU) {
        r = r < 0.0 ? 0.0 : r;
    }
    return gs_pack_half(r, brain);
}

uint16_t gs_pack_half(double x, bool brain) {
    return brain ? gs_double_to_bfloat(x, FE_TONEAREST) : gs_double_to_half(x, FE_TONEAREST);
}

static void half_run(const gs_warp *w, const gs_instr *i, uint32_t lanes, half_op op, int sources) {
    const bool brain = i->type == GS_BF16 || i->type == GS_BF16X2;
    const int halves = i->type == GS_F16X2 || i->type == GS_BF16X2 ? 2 : 1;
    uint32_t *d = gs_u32(w, &i->operand[0]);
    for (int l = 0; l < GS_LANES; l++) {
        uint32_t r = 0;
        for (int h = 0; h < halves && (lanes >> l & 1) != 0; h++) {
            uint16_t s[3] = {0, 0, 0};
            for (int k = 0; k < sources; k++) {
                s[k] = (uint16_t)(gs_u32(w, &i->operand[1 + k])[l] >> (16 * h));
            }
            r |= (uint32_t)half_result(op, s, i, brain) << (16 * h);
        }
        d[l] = (lanes >> l & 1) != 0 ? r : d[l];
    }
}
#define GS_HALF(name, op, sources)                                                                                     \
    static void name(gs_warp *w, const gs_instr *i, uint32_t lanes) {                                                  \
        half_run(w, i, lanes, op, sources);                                                                            \
    }
GS_HALF(half_add, HALF_ADD, 2)
GS_HALF(half_sub, HALF_SUB, 2)
GS_HALF(half_mul, HALF_MUL, 2)
GS_HALF(half_fma, HALF_FMA, 3)
GS_HALF(half_min, HALF_MIN, 2)
GS_HALF(half_max, HALF_MAX, 2)
GS_HALF(half_neg, HALF_NEG, 1)
GS_HALF(half_abs, HALF_ABS, 1)

#define HALVES "<f16 f16x2 bf16 bf16x2>"

const gs_pattern gs_half_patterns[] = {
    {"add", "{rn} [ftz] [sat] " HALVES, "444", 1, GS_PLAIN, GS_RUNS(half_add)},
    {"sub", "{rn} [ftz] [sat] " HALVES, "444", 1, GS_PLAIN, GS_RUNS(half_sub)},
    {"mul", "{rn} [ftz] [sat] " HALVES, "444", 1, GS_PLAIN, GS_RUNS(half_mul)},
    {"fma", "{rn} [ftz] [sat relu] " HALVES, "4444", 1, GS_PLAIN, GS_RUNS(half_fma)},
    {"min", "[ftz] [NaN] " HALVES, "444", 1, GS_PLAIN, GS_RUNS(half_min)},
    {"max", "[ftz] [NaN] " HALVES, "444", 1, GS_PLAIN, GS_RUNS(half_max)},
    {"neg", "[ftz] " HALVES, "44", 1, GS_PLAIN, GS_RUNS(half_neg)},
    {"abs", "[ftz] " HALVES, "44", 1, GS_PLAIN, GS_RUNS(half_abs)},
    {0},
};
