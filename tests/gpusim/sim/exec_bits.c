/* Moves, selections, logic, shifts, bit fields and bytes. PTX ISA 9.0, "Logic and Shift Instructions", "Data Movement
 * and Conversion Instructions", bit operations of "Integer Arithmetic Instructions". */
#include "exec.h"

/* ---- moves ------------------------------------------------------------------------------------------------ */

GS_OP1(mov_u32, u32, u32, x)
GS_OP1(mov_u64, u64, u64, x)

static int element_bits(const gs_instr *i, const gs_operand *vector) {
    const int bits = 8 * gs_type_size((gs_type)i->type) / vector->n;
    if (bits < 8 || bits * vector->n != 8 * gs_type_size((gs_type)i->type)) {
        gs_fatal("'%s': %d elements do not fill the type", i->text, vector->n);
    }
    return bits;
}

/* mov.b64 d, {a, b}: a has the low bits. */
static void mov_pack(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const gs_operand *d = &i->operand[0], *v = &i->operand[1];
    const int bits = element_bits(i, v);
    uint64_t r[GS_LANES] = {0};
    for (int k = 0; k < v->n; k++) {
        const gs_operand *e = &i->function->list[v->first + k];
        const uint32_t *a = gs_u32(w, e);
        const uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        for (int l = 0; l < GS_LANES; l++) {
            r[l] |= ((e->size == 8 ? gs_u64(w, e)[l] : a[l]) & mask) << (k * bits);
        }
    }
    for (int l = 0; l < GS_LANES; l++) {
        if ((lanes >> l & 1) != 0 && d->size == 8) {
            gs_u64(w, d)[l] = r[l];
        } else if ((lanes >> l & 1) != 0) {
            gs_u32(w, d)[l] = (uint32_t)r[l];
        }
    }
}

static void mov_unpack(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const gs_operand *v = &i->operand[0], *s = &i->operand[1];
    const int bits = element_bits(i, v);
    uint64_t r[GS_LANES];
    for (int l = 0; l < GS_LANES; l++) {
        r[l] = s->size == 8 ? gs_u64(w, s)[l] : gs_u32(w, s)[l];
    }
    for (int k = 0; k < v->n; k++) {
        const gs_operand *e = &i->function->list[v->first + k];
        if (e->kind == GS_SINK) {
            continue;
        }
        for (int l = 0; l < GS_LANES; l++) {
            if ((lanes >> l & 1) != 0 && e->size == 8) {
                gs_u64(w, e)[l] = r[l] >> (k * bits);
            } else if ((lanes >> l & 1) != 0) {
                const uint32_t mask = bits >= 32 ? UINT32_MAX : (1U << bits) - 1;
                gs_u32(w, e)[l] = (uint32_t)(r[l] >> (k * bits)) & mask;
            }
        }
    }
}

/* ---- predicates: a word for all lanes --------------------------------------------------------------------- */

static inline void put_pred(const gs_warp *w, const gs_operand *o, uint32_t value, uint32_t lanes) {
    uint32_t *d = gs_u32(w, o);
    *d = (*d & ~lanes) | (value & lanes);
}
static void mov_pred(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    put_pred(w, &i->operand[0], gs_pred(w, &i->operand[1]), lanes);
}
static void not_pred(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    put_pred(w, &i->operand[0], ~gs_pred(w, &i->operand[1]), lanes);
}
static void and_pred(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    put_pred(w, &i->operand[0], gs_pred(w, &i->operand[1]) & gs_pred(w, &i->operand[2]), lanes);
}
static void or_pred(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    put_pred(w, &i->operand[0], gs_pred(w, &i->operand[1]) | gs_pred(w, &i->operand[2]), lanes);
}
static void xor_pred(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    put_pred(w, &i->operand[0], gs_pred(w, &i->operand[1]) ^ gs_pred(w, &i->operand[2]), lanes);
}

/* ---- selections ------------------------------------------------------------------------------------------- */

#define GS_SELECT(T)                                                                                                   \
    static void selp_##T(gs_warp *w, const gs_instr *i, uint32_t lanes) {                                              \
        gs_slot_##T *d = gs_lanes_of(w, &i->operand[0]);                                                               \
        const gs_slot_##T *a = gs_lanes_of(w, &i->operand[1]);                                                         \
        const gs_slot_##T *b = gs_lanes_of(w, &i->operand[2]);                                                         \
        const uint32_t p = gs_pred(w, &i->operand[3]);                                                                 \
        GS_EACH_LANE(lanes, const gs_slot_##T x = a[l]; const gs_slot_##T y = b[l];                                    \
                     d[l] = (p >> l & 1) != 0 ? x : y, const gs_slot_##T x = a[l]; const gs_slot_##T y = b[l];         \
                     const gs_slot_##T r = (p >> l & 1) != 0 ? x : y; d[l] = (lanes >> l & 1) != 0 ? r : d[l])         \
    }
GS_SELECT(u32)
GS_SELECT(u64)

GS_OP3(slct_u32_s32, u32, u32, u32, s32, z >= 0 ? x : y)
GS_OP3(slct_u32_f32, u32, u32, u32, f32, z >= 0.0F ? x : y)
GS_OP3(slct_u32_ftz_f32, u32, u32, u32, f32, gs_flush(z) >= 0.0F ? x : y)
GS_OP3(slct_u64_s32, u64, u64, u64, s32, z >= 0 ? x : y)
GS_OP3(slct_u64_f32, u64, u64, u64, f32, z >= 0.0F ? x : y)
GS_OP3(slct_u64_ftz_f32, u64, u64, u64, f32, gs_flush(z) >= 0.0F ? x : y)

/* ---- logic, shifts ------------------------------------------------------------------------------------------ */

GS_OP2(and_u32, u32, u32, u32, x &y)
GS_OP2(or_u32, u32, u32, u32, x | y)
GS_OP2(xor_u32, u32, u32, u32, x ^ y)
GS_OP2(and_u64, u64, u64, u64, x &y)
GS_OP2(or_u64, u64, u64, u64, x | y)
GS_OP2(xor_u64, u64, u64, u64, x ^ y)
GS_OP1(not_u16, u16, u16, ~x)
GS_OP1(not_u32, u32, u32, ~x)
GS_OP1(not_u64, u64, u64, ~x)
GS_OP1(cnot_u16, u16, u16, x == 0)
GS_OP1(cnot_u32, u32, u32, x == 0)
GS_OP1(cnot_u64, u64, u64, x == 0)

/* The table's bit 4 x + 2 y + z. */
static inline uint32_t lop3(uint32_t x, uint32_t y, uint32_t z, uint32_t table) {
    uint32_t r = 0;
    for (uint32_t k = 0; k < 8; k++) {
        const uint32_t term = ((k & 4) != 0 ? x : ~x) & ((k & 2) != 0 ? y : ~y) & ((k & 1) != 0 ? z : ~z);
        r |= term & (0U - (table >> k & 1));
    }
    return r;
}
static void lop3_b32(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    uint32_t *d = gs_u32(w, &i->operand[0]);
    const uint32_t *a = gs_u32(w, &i->operand[1]), *b = gs_u32(w, &i->operand[2]), *c = gs_u32(w, &i->operand[3]);
    const uint32_t table = *gs_u32(w, &i->operand[4]);
    _Pragma("GCC ivdep") for (int l = 0; l < GS_LANES; l++) {
        const uint32_t r = lop3(a[l], b[l], c[l], table);
        d[l] = (lanes >> l & 1) != 0 ? r : d[l];
    }
}

/* Amounts of the width and more: all bits shifted out. */
GS_OP2(shl_b16, u16, u16, u32, y > 15 ? 0 : (uint32_t)x << (y & 15))
GS_OP2(shl_b32, u32, u32, u32, y > 31 ? 0 : x << (y & 31))
GS_OP2(shl_b64, u64, u64, u32, y > 63 ? 0 : x << (y & 63))
GS_OP2(shr_u16, u16, u16, u32, y > 15 ? 0 : x >> (y & 15))
GS_OP2(shr_u32, u32, u32, u32, y > 31 ? 0 : x >> (y & 31))
GS_OP2(shr_u64, u64, u64, u32, y > 63 ? 0 : x >> (y & 63))
GS_OP2(shr_s16, s16, s16, u32, x >> (y > 15 ? 15 : y))
GS_OP2(shr_s32, s32, s32, u32, x >> (y > 31 ? 31 : y))
GS_OP2(shr_s64, s64, s64, u32, x >> (y > 63 ? 63 : y))

/* Funnel shift of y:x (y the upper half): left gives the upper word, right the lower one. */
static inline uint32_t funnel_left(uint32_t x, uint32_t y, uint32_t n) {
    return n > 31 ? x : (uint32_t)((((uint64_t)y << 32 | x) << n) >> 32);
}
static inline uint32_t funnel_right(uint32_t x, uint32_t y, uint32_t n) {
    return n > 31 ? y : (uint32_t)(((uint64_t)y << 32 | x) >> n);
}
GS_OP3(shf_l_clamp, u32, u32, u32, u32, funnel_left(x, y, z))
GS_OP3(shf_l_wrap, u32, u32, u32, u32, funnel_left(x, y, z & 31))
GS_OP3(shf_r_clamp, u32, u32, u32, u32, funnel_right(x, y, z))
GS_OP3(shf_r_wrap, u32, u32, u32, u32, funnel_right(x, y, z & 31))

/* ---- counting, reversing -------------------------------------------------------------------------------------- */

static inline uint32_t reversed(uint32_t x) {
    x = (x >> 1 & 0x55555555U) | (x & 0x55555555U) << 1;
    x = (x >> 2 & 0x33333333U) | (x & 0x33333333U) << 2;
    x = (x >> 4 & 0x0F0F0F0FU) | (x & 0x0F0F0F0FU) << 4;
    return __builtin_bswap32(x);
}
GS_OP1(popc_b32, u32, u32, (uint32_t)__builtin_popcount(x))
GS_OP1(popc_b64, u32, u64, (uint32_t)__builtin_popcountll(x))
GS_OP1(clz_b32, u32, u32, x == 0 ? 32 : (uint32_t)__builtin_clz(x | 1))
GS_OP1(clz_b64, u32, u64, x == 0 ? 64 : (uint32_t)__builtin_clzll(x | 1))
GS_OP1(brev_b32, u32, u32, reversed(x))
GS_OP1(brev_b64, u64, u64, (uint64_t)reversed((uint32_t)x) << 32 | reversed((uint32_t)(x >> 32)))

/* Position of the highest bit that differs from the sign, all ones: none. */
static inline uint32_t highest(uint64_t x, uint32_t flip) {
    return x == 0 ? UINT32_MAX : (63U - (uint32_t)__builtin_clzll(x)) ^ flip;
}
GS_OP1(bfind_u32, u32, u32, highest(x, 0))
GS_OP1(bfind_s32, u32, s32, highest((uint32_t)(x < 0 ? ~x : x), 0))
GS_OP1(bfind_u64, u32, u64, highest(x, 0))
GS_OP1(bfind_s64, u32, s64, highest((uint64_t)(x < 0 ? ~x : x), 0))
GS_OP1(bfind_shift_u32, u32, u32, highest(x, 31))
GS_OP1(bfind_shift_s32, u32, s32, highest((uint32_t)(x < 0 ? ~x : x), 31))
GS_OP1(bfind_shift_u64, u32, u64, highest(x, 63))
GS_OP1(bfind_shift_s64, u32, s64, highest((uint64_t)(x < 0 ? ~x : x), 63))

/* The z-th set bit of the mask x from bit y on: up for z > 0, down for z < 0; z = 0: bit y itself. */
static inline uint32_t nth_set(uint32_t x, uint32_t y, int32_t z) {
    if (z == 0) {
        return y < 32 && (x >> y & 1) != 0 ? y : UINT32_MAX;
    }
    int32_t left = z > 0 ? z : -z;
    for (int64_t at = y; at >= 0 && at<32; at += z> 0 ? 1 : -1) {
        if ((x >> at & 1) != 0 && --left == 0) {
            return (uint32_t)at;
        }
    }
    return UINT32_MAX;
}
GS_OP3(fns_b32, u32, u32, u32, s32, nth_set(x, y, z))

/* ---- bit fields ----------------------------------------------------------------------------------------------- */

static inline uint64_t low_bits(uint32_t n) {
    return n > 63 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}
static inline uint64_t extracted(uint64_t x, uint32_t position, uint32_t length, bool is_signed, uint32_t top) {
    position &= 255;
    length &= 255;
    const uint32_t last = position + length - 1 < top ? position + length - 1 : top;
    const bool sign = is_signed && length != 0 && (x >> last & 1) != 0;
    const uint32_t taken = position > top ? 0 : position + length - 1 > top ? top + 1 - position : length;
    const uint64_t field = position > top ? 0 : x >> position & low_bits(taken);
    return length == 0 ? 0 : sign ? field | ~low_bits(taken) : field;
}
static inline uint64_t inserted(uint64_t from, uint64_t into, uint32_t position, uint32_t length, uint32_t top) {
    position &= 255;
    length &= 255;
    const uint64_t mask = position > top ? 0 : low_bits(length) << position;
    return (into & ~mask) | ((position > 63 ? 0 : from << position) & mask);
}
GS_OP3(bfe_u32, u32, u32, u32, u32, extracted(x, y, z, false, 31))
GS_OP3(bfe_s32, u32, u32, u32, u32, extracted(x, y, z, true, 31))
GS_OP3(bfe_u64, u64, u64, u32, u32, extracted(x, y, z, false, 63))
GS_OP3(bfe_s64, u64, u64, u32, u32, extracted(x, y, z, true, 63))

#define GS_INSERT(W, TOP)                                                                                              \
    static void bfi_b##W(gs_warp *w, const gs_instr *i, uint32_t lanes) {                                              \
        uint##W##_t *d = gs_u##W(w, &i->operand[0]);                                                                   \
        const uint##W##_t *a = gs_u##W(w, &i->operand[1]), *b = gs_u##W(w, &i->operand[2]);                            \
        const uint32_t *p = gs_u32(w, &i->operand[3]), *n = gs_u32(w, &i->operand[4]);                                 \
        for (int l = 0; l < GS_LANES; l++) {                                                                           \
            const uint##W##_t r = (uint##W##_t)inserted(a[l], b[l], p[l], n[l], TOP);                                  \
            d[l] = (lanes >> l & 1) != 0 ? r : d[l];                                                                   \
        }                                                                                                              \
    }
GS_INSERT(32, 31)
GS_INSERT(64, 63)

/* y ones from bit x on; clamp: both at most 32, wrap: modulo 32. */
GS_OP2(bmsk_clamp, u32, u32, u32, x > 31 ? 0 : low_bits(y > 32 ? 32 : y) << (x & 31))
GS_OP2(bmsk_wrap, u32, u32, u32, low_bits(y & 31) << (x & 31))

/* Bit y - 1 is the sign; y = 0: 0. */
static inline uint32_t extended(uint32_t x, uint32_t n, bool is_signed) {
    const uint32_t field = n > 31 ? x : x & (uint32_t)low_bits(n);
    return n == 0 || n > 31 || !is_signed || (x >> (n - 1) & 1) == 0 ? field : field | ~(uint32_t)low_bits(n);
}
GS_OP2(szext_clamp_u32, u32, u32, u32, extended(x, y, false))
GS_OP2(szext_clamp_s32, u32, u32, u32, extended(x, y, true))
GS_OP2(szext_wrap_u32, u32, u32, u32, extended(x, y & 31, false))
GS_OP2(szext_wrap_s32, u32, u32, u32, extended(x, y & 31, true))

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

/* Byte k of {y, x} for every nibble k of the selector; a nibble's top bit: the byte's sign eight times. */
static inline uint32_t permuted(uint32_t x, uint32_t y, uint32_t selector) {
    const uint64_t both = (uint64_t)y << 32 | x;
    uint32_t r = 0;
    for (int k = 0; k < 4; k++) {
        const uint32_t nibble = selector >> (4 * k) & 15;
        const uint8_t byte = (uint8_t)(both >> (8 * (nibble & 7)));
        r |= (uint32_t)((nibble & 8) == 0 ? byte : (byte & 0x80) != 0 ? 0xFF : 0) << (8 * k);
    }
    return r;
}
/* Selectors of the other modes, for the lower two bits of z: PTX ISA, table of prmt. */
enum { F4E, B4E, RC8, ECL, ECR, RC16 };
static const uint16_t permutations[6][4] = {
    [F4E] = {0x3210, 0x4321, 0x5432, 0x6543}, [B4E] = {0x5670, 0x6701, 0x7012, 0x0123},
    [RC8] = {0x0000, 0x1111, 0x2222, 0x3333}, [ECL] = {0x3210, 0x3211, 0x3222, 0x3333},
    [ECR] = {0x0000, 0x1110, 0x2210, 0x3210}, [RC16] = {0x1010, 0x3232, 0x1010, 0x3232},
};
GS_OP3(prmt_b32, u32, u32, u32, u32, permuted(x, y, z))
GS_OP3(prmt_f4e, u32, u32, u32, u32, permuted(x, y, permutations[F4E][z & 3]))
GS_OP3(prmt_b4e, u32, u32, u32, u32, permuted(x, y, permutations[B4E][z & 3]))
GS_OP3(prmt_rc8, u32, u32, u32, u32, permuted(x, y, permutations[RC8][z & 3]))
GS_OP3(prmt_ecl, u32, u32, u32, u32, permuted(x, y, permutations[ECL][z & 3]))
GS_OP3(prmt_ecr, u32, u32, u32, u32, permuted(x, y, permutations[ECR][z & 3]))
GS_OP3(prmt_rc16, u32, u32, u32, u32, permuted(x, y, permutations[RC16][z & 3]))

#define ANY32      "<b32 u32 s32 f32>"
#define ANY64      "<b64 u64 s64 f64>"
#define ANY16      "<b16 u16 s16>"
#define FOUR(run)  GS_RUNS(run, run, run, run)
#define THREE(run) GS_RUNS(run, run, run)

const gs_pattern gs_bit_patterns[] = {
    {"mov", ANY32, "44", 1, GS_PLAIN, FOUR(mov_u32)},
    {"mov", ANY64, "88", 1, GS_PLAIN, FOUR(mov_u64)},
    {"mov", ANY16, "44", 1, GS_PLAIN, THREE(mov_u32)},
    {"mov", "pred", "pp", 1, GS_PLAIN, GS_RUNS(mov_pred)},
    {"mov", "<b16 b32>", "4v", 1, GS_PLAIN, GS_RUNS(mov_pack, mov_pack)},
    {"mov", "b64", "8v", 1, GS_PLAIN, GS_RUNS(mov_pack)},
    {"mov", "<b16 b32>", "v4", 1, GS_PLAIN, GS_RUNS(mov_unpack, mov_unpack)},
    {"mov", "b64", "v8", 1, GS_PLAIN, GS_RUNS(mov_unpack)},
    {"selp", ANY32, "444p", 1, GS_PLAIN, FOUR(selp_u32)},
    {"selp", ANY64, "888p", 1, GS_PLAIN, FOUR(selp_u64)},
    {"selp", ANY16, "444p", 1, GS_PLAIN, THREE(selp_u32)},
    {"slct", ANY32 " s32", "4444", 1, GS_PLAIN, FOUR(slct_u32_s32)},
    {"slct", ANY32 " f32", "4444", 1, GS_PLAIN, FOUR(slct_u32_f32)},
    {"slct", "ftz " ANY32 " f32", "4444", 1, GS_PLAIN, FOUR(slct_u32_ftz_f32)},
    {"slct", ANY16 " s32", "4444", 1, GS_PLAIN, THREE(slct_u32_s32)},
    {"slct", ANY64 " s32", "8884", 1, GS_PLAIN, FOUR(slct_u64_s32)},
    {"slct", ANY64 " f32", "8884", 1, GS_PLAIN, FOUR(slct_u64_f32)},
    {"slct", "ftz " ANY64 " f32", "8884", 1, GS_PLAIN, FOUR(slct_u64_ftz_f32)},
    {"and", "<b16 b32>", "444", 1, GS_PLAIN, GS_RUNS(and_u32, and_u32)},
    {"and", "b64", "888", 1, GS_PLAIN, GS_RUNS(and_u64)},
    {"and", "pred", "ppp", 1, GS_PLAIN, GS_RUNS(and_pred)},
    {"or", "<b16 b32>", "444", 1, GS_PLAIN, GS_RUNS(or_u32, or_u32)},
    {"or", "b64", "888", 1, GS_PLAIN, GS_RUNS(or_u64)},
    {"or", "pred", "ppp", 1, GS_PLAIN, GS_RUNS(or_pred)},
    {"xor", "<b16 b32>", "444", 1, GS_PLAIN, GS_RUNS(xor_u32, xor_u32)},
    {"xor", "b64", "888", 1, GS_PLAIN, GS_RUNS(xor_u64)},
    {"xor", "pred", "ppp", 1, GS_PLAIN, GS_RUNS(xor_pred)},
    {"not", "<b16 b32>", "44", 1, GS_PLAIN, GS_RUNS(not_u16, not_u32)},
    {"not", "b64", "88", 1, GS_PLAIN, GS_RUNS(not_u64)},
    {"not", "pred", "pp", 1, GS_PLAIN, GS_RUNS(not_pred)},
    {"cnot", "<b16 b32>", "44", 1, GS_PLAIN, GS_RUNS(cnot_u16, cnot_u32)},
    {"cnot", "b64", "88", 1, GS_PLAIN, GS_RUNS(cnot_u64)},
    {"lop3", "b32", "44444", 1, GS_PLAIN, GS_RUNS(lop3_b32)},
    {"shl", "<b16 b32>", "444", 1, GS_PLAIN, GS_RUNS(shl_b16, shl_b32)},
    {"shl", "b64", "884", 1, GS_PLAIN, GS_RUNS(shl_b64)},
    {"shr", "<b16 u16 s16 b32 u32 s32>", "444", 1, GS_PLAIN,
     GS_RUNS(shr_u16, shr_u16, shr_s16, shr_u32, shr_u32, shr_s32)},
    {"shr", "<b64 u64 s64>", "884", 1, GS_PLAIN, GS_RUNS(shr_u64, shr_u64, shr_s64)},
    {"shf", "l <clamp wrap> b32", "4444", 1, GS_PLAIN, GS_RUNS(shf_l_clamp, shf_l_wrap)},
    {"shf", "r <clamp wrap> b32", "4444", 1, GS_PLAIN, GS_RUNS(shf_r_clamp, shf_r_wrap)},
    {"popc", "b32", "44", 1, GS_PLAIN, GS_RUNS(popc_b32)},
    {"popc", "b64", "48", 1, GS_PLAIN, GS_RUNS(popc_b64)},
    {"clz", "b32", "44", 1, GS_PLAIN, GS_RUNS(clz_b32)},
    {"clz", "b64", "48", 1, GS_PLAIN, GS_RUNS(clz_b64)},
    {"brev", "b32", "44", 1, GS_PLAIN, GS_RUNS(brev_b32)},
    {"brev", "b64", "88", 1, GS_PLAIN, GS_RUNS(brev_b64)},
    {"bfind", "[shiftamt] <u32 s32>", "44", 1, GS_PLAIN,
     GS_RUNS(bfind_u32, bfind_s32, bfind_shift_u32, bfind_shift_s32)},
    {"bfind", "[shiftamt] <u64 s64>", "48", 1, GS_PLAIN,
     GS_RUNS(bfind_u64, bfind_s64, bfind_shift_u64, bfind_shift_s64)},
    {"fns", "b32", "4444", 1, GS_PLAIN, GS_RUNS(fns_b32)},
    {"bfe", "<u32 s32>", "4444", 1, GS_PLAIN, GS_RUNS(bfe_u32, bfe_s32)},
    {"bfe", "<u64 s64>", "8844", 1, GS_PLAIN, GS_RUNS(bfe_u64, bfe_s64)},
    {"bfi", "b32", "44444", 1, GS_PLAIN, GS_RUNS(bfi_b32)},
    {"bfi", "b64", "88844", 1, GS_PLAIN, GS_RUNS(bfi_b64)},
    {"bmsk", "<clamp wrap> b32", "444", 1, GS_PLAIN, GS_RUNS(bmsk_clamp, bmsk_wrap)},
    {"szext", "<clamp wrap> <u32 s32>", "444", 1, GS_PLAIN,
     GS_RUNS(szext_clamp_u32, szext_clamp_s32, szext_wrap_u32, szext_wrap_s32)},
    {"prmt", "b32 [f4e b4e rc8 ecl ecr rc16]", "4444", 1, GS_PLAIN,
     GS_RUNS(prmt_b32, prmt_f4e, prmt_b4e, prmt_rc8, prmt_ecl, prmt_ecr, prmt_rc16)},
    {0},
};
