/* cvt with f16, bf16, f16x2, bf16x2, tf32. The value as a double (a 64-bit integer rounded to odd, so that rounding
 * again is right), then rounded once to the destination. */
#include <fenv.h>

#include "exec.h"
#include "half.h"

typedef struct {
    gs_type from, to;
    int mode; /* FE_TONEAREST ... */
    bool ftz, sat, relu, finite;
} conversion;

static double odd_double(uint64_t magnitude) {
    if (magnitude >> 53 == 0) {
        return (double)magnitude;
    }
    const int drop = 11 - __builtin_clzll(magnitude);
    const uint64_t kept = magnitude >> drop;
    const bool sticky = (magnitude & ((UINT64_C(1) << drop) - 1)) != 0;
    return scalbn((double)(kept | (uint64_t)sticky), drop);
}

static double value_of(gs_type type, uint64_t bits) {
    switch (type) {
    case GS_F16:
        return gs_half_to_float((uint16_t)bits);
    case GS_BF16:
        return gs_bfloat_to_float((uint16_t)bits);
    case GS_F32:
        return gs_bits_float((uint32_t)bits);
    case GS_F64:
        return gs_bits_double(bits);
    default:
        break;
    }
    const int shift = 64 - 8 * gs_type_size(type);
    if (type >= GS_S8 && type <= GS_S64) {
        const int64_t x = (int64_t)(bits << shift) >> shift;
        return x < 0 ? -odd_double(0 - (uint64_t)x) : odd_double((uint64_t)x);
    }
    return odd_double(bits << shift >> shift);
}

static uint64_t integer_of(double x, const conversion *c) {
    const int bits = 8 * gs_type_size(c->to);
    const bool is_signed = c->to >= GS_S8 && c->to <= GS_S64;
    const uint64_t mask = UINT64_MAX >> (64 - bits);
    if (isnan(x)) {
        return bits == 64 || c->from == GS_F64 ? UINT64_C(1) << (bits - 1) : 0;
    }
    const double whole = c->mode == FE_TONEAREST    ? rint(x)
                         : c->mode == FE_TOWARDZERO ? trunc(x)
                         : c->mode == FE_DOWNWARD   ? floor(x)
                                                    : ceil(x);
    if (!is_signed) {
        return whole <= 0.0 ? 0 : whole >= scalbn(1.0, bits) ? mask : (uint64_t)whole;
    }
    const double top = scalbn(1.0, bits - 1);
    return (whole >= top ? mask >> 1 : whole <= -top ? UINT64_C(1) << (bits - 1) : (uint64_t)(int64_t)whole) & mask;
}

static uint64_t packed(double x, const conversion *c) {
    double r = x;
    if (c->sat) {
        r = gs_saturate64(r);
    } else if (c->relu) {
        r = r < 0.0 ? 0.0 : r;
    }
    const bool brain = c->to == GS_BF16 || c->to == GS_BF16X2;
    const double max = brain ? 0x1.FEp127 : 65504.0;
    if (c->finite && fabs(r) > max) {
        r = copysign(max, r);
    }
    return brain ? gs_double_to_bfloat(r, c->mode) : gs_double_to_half(r, c->mode);
}

static uint64_t converted(uint64_t bits, const conversion *c) {
    double x = value_of(c->from, bits);
    const double least = c->from == GS_F16 ? 0x1p-14 : 0x1p-126;
    x = c->ftz && fabs(x) < least ? copysign(0.0, x) : x;
    switch (c->to) {
    case GS_F16:
    case GS_BF16:
    case GS_F16X2:
    case GS_BF16X2:
        return packed(x, c);
    case GS_F32:
        return gs_float_bits(gs_canonical((float)(c->sat ? gs_saturate64(x) : x)));
    case GS_F64:
        return gs_double_bits(c->sat ? gs_saturate64(x) : x);
    default:
        return integer_of(x, c);
    }
}

static conversion conversion_of(const gs_instr *i, int mode) {
    return (conversion){.from = (gs_type)i->type,
                        .to = (gs_type)i->type2,
                        .mode = mode,
                        .ftz = gs_has_part(i, "ftz"),
                        .sat = gs_has_part(i, "sat"),
                        .relu = gs_has_part(i, "relu"),
                        .finite = gs_has_part(i, "satfinite")};
}

static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

static void convert_mode(const gs_warp *w, const gs_instr *i, uint32_t lanes, int mode) {
    const conversion c = conversion_of(i, mode);
    const gs_operand *d = &i->operand[0], *s = &i->operand[1];
    for (int l = 0; l < GS_LANES; l++) {
        if ((lanes >> l & 1) == 0) {
            continue;
        }
        const uint64_t r = converted(gs_type_size(c.from) == 8 ? gs_u64(w, s)[l] : gs_u32(w, s)[l], &c);
        if (gs_type_size(c.to) == 8) {
            gs_u64(w, d)[l] = r;
        } else {
            gs_u32(w, d)[l] = (uint32_t)r;
        }
    }
}
/* detail[0]: index of the rounding mode; widening conversions are exact */
static void convert(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    convert_mode(w, i, lanes, modes[i->detail[0]]);
}
static void widen(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    convert_mode(w, i, lanes, FE_TONEAREST);
}

/* d = {a, b}: b is the lower half */
static void convert_pair(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const conversion c = conversion_of(i, modes[i->detail[0]]);
    uint32_t *d = gs_u32(w, &i->operand[0]);
    const uint32_t *a = gs_u32(w, &i->operand[1]), *b = gs_u32(w, &i->operand[2]);
    for (int l = 0; l < GS_LANES; l++) {
        if ((lanes >> l & 1) != 0) {
            d[l] = (uint32_t)converted(b[l], &c) | (uint32_t)converted(a[l], &c) << 16;
        }
    }
}

/* Whole numbers in a half. */
static void convert_whole(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const conversion c = conversion_of(i, FE_TONEAREST);
    uint32_t *d = gs_u32(w, &i->operand[0]);
    const uint32_t *a = gs_u32(w, &i->operand[1]);
    for (int l = 0; l < GS_LANES; l++) {
        const double x = value_of(c.from, a[l]);
        const double r = i->detail[0] == 0   ? rint(x)
                         : i->detail[0] == 1 ? trunc(x)
                         : i->detail[0] == 2 ? floor(x)
                                             : ceil(x);
        d[l] = (lanes >> l & 1) != 0 ? (uint32_t)packed(r, &c) : d[l];
    }
}

/* tf32: 10 bits of mantissa, the lower 13 are zero. rna: ties away from zero. */
static uint32_t tf32(uint32_t x, int mode, bool relu, bool finite) {
    const uint32_t magnitude = x & 0x7FFFFFFFU, sign = x & 0x80000000U;
    if (magnitude > 0x7F800000U) {
        return 0x7FFFFFFFU;
    }
    if (relu && sign != 0) {
        return 0;
    }
    const uint32_t half = mode == 0 ? 0x1000U : mode == 1 ? 0xFFFU + (magnitude >> 13 & 1) : 0;
    uint32_t r = magnitude < 0x7F800000U ? (magnitude + half) & 0xFFFFE000U : magnitude;
    r = finite && r >= 0x7F800000U ? 0x7F7FE000U : r;
    return sign | r;
}
static void tf32_run(const gs_warp *w, const gs_instr *i, uint32_t lanes, int mode) {
    const conversion c = conversion_of(i, FE_TONEAREST);
    uint32_t *d = gs_u32(w, &i->operand[0]);
    const uint32_t *a = gs_u32(w, &i->operand[1]);
    for (int l = 0; l < GS_LANES; l++) {
        d[l] = (lanes >> l & 1) != 0 ? tf32(a[l], mode, c.relu, c.finite) : d[l];
    }
}
static void tf32_rna(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    tf32_run(w, i, lanes, 0);
}
static void tf32_other(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    tf32_run(w, i, lanes, 1 + i->detail[0]);
}

#define INTS "<u8 s8 u16 s16 u32 s32 u64 s64>"

const gs_pattern gs_convert_half_patterns[] = {
    {"cvt", "<rn rz rm rp> [ftz] [sat relu] [satfinite] <f16 bf16> <f32 f64>", "cc", 1, GS_PLAIN, GS_RUNS(convert)},
    {"cvt", "<rn rz rm rp> [sat] <f16 bf16> " INTS, "cc", 1, GS_PLAIN, GS_RUNS(convert)},
    {"cvt", "<rn rz rm rp> [sat] f16 bf16", "cc", 1, GS_PLAIN, GS_RUNS(convert)},
    {"cvt", "<rn rz rm rp> [sat] bf16 <f16 bf16>", "cc", 1, GS_PLAIN, GS_RUNS(convert)},
    {"cvt", "<rni rzi rmi rpi> [ftz] [sat] " INTS " <f16 bf16>", "cc", 1, GS_PLAIN, GS_RUNS(convert)},
    {"cvt", "<rni rzi rmi rpi> [ftz] [sat] f16 f16", "44", 1, GS_PLAIN, GS_RUNS(convert_whole)},
    {"cvt", "<rni rzi rmi rpi> bf16 bf16", "44", 1, GS_PLAIN, GS_RUNS(convert_whole)},
    {"cvt", "[ftz] [sat] <f32 f64> <f16 bf16>", "cc", 1, GS_PLAIN, GS_RUNS(widen)},
    {"cvt", "[ftz] [sat] f16 f16", "cc", 1, GS_PLAIN, GS_RUNS(widen)},
    {"cvt", "<rn rz> [relu] [satfinite] <f16x2 bf16x2> f32", "444", 1, GS_PLAIN, GS_RUNS(convert_pair)},
    {"cvt", "rna [satfinite] tf32 f32", "44", 1, GS_PLAIN, GS_RUNS(tf32_rna)},
    {"cvt", "<rn rz> [relu] [satfinite] tf32 f32", "44", 1, GS_PLAIN, GS_RUNS(tf32_other)},
    {0},
};
