/* How executing functions are made: a loop over the 32 lanes that the compiler turns into vector instructions, and a
 * table row that says which opcode, modifiers, types and operands belong to it. */
#ifndef GPUSIM_EXEC_H
#define GPUSIM_EXEC_H

#include <math.h>
#include <string.h>

#include "core.h"
#include "half.h"

/* A row of the decoder. `rest`: what follows the opcode, a group a part of the instruction:
 *   word     just this          [a b]  one of these or nothing         <a b>  one of these
 *   {rn rz}  a rounding mode or nothing: other than rn, the function runs with the processor's mode changed
 * Every [] and <> is a digit (nothing 0, the k-th word k; in <> the first word is 0) of the index into `runs`; the
 * first six are also left in instr->detail.
 * `operands`, a letter an operand: 4, 8 a register of that many bytes, a lane (or an immediate); p a predicate;
 * P, Q a predicate or 4-byte register that may have a second predicate (p|q); s a 4-byte register or _ with one;
 * m a member mask, the last operand; v, w vectors of 4- and 8-byte elements; a an address; . anything; behind ? they
 * may be missing. */
typedef struct {
    const char *opcode, *rest, *operands;
    int destinations;
    gs_control control;
    const gs_run *runs;
    int n_runs; /* as many as combinations; 1: for all of them, it looks at detail          */
} gs_pattern;

#define GS_RUNS(...) ((const gs_run[]){__VA_ARGS__}), (int)(sizeof((const gs_run[]){__VA_ARGS__}) / sizeof(gs_run))

extern const gs_pattern gs_int_patterns[], gs_bit_patterns[], gs_carry_patterns[], gs_float_patterns[],
    gs_half_patterns[], gs_approx_patterns[], gs_convert_patterns[], gs_convert_half_patterns[], gs_compare_patterns[],
    gs_collective_patterns[], gs_matrix_patterns[], gs_memory_patterns[];

/* The lanes of an operand as what they are. */
typedef uint32_t __attribute__((may_alias)) gs_slot_u32;
typedef uint64_t __attribute__((may_alias)) gs_slot_u64;
typedef int32_t __attribute__((may_alias)) gs_slot_s32;
typedef int64_t __attribute__((may_alias)) gs_slot_s64;
typedef float __attribute__((may_alias)) gs_slot_f32;
typedef double __attribute__((may_alias)) gs_slot_f64;
typedef gs_slot_u32 gs_slot_u8, gs_slot_s8, gs_slot_u16, gs_slot_s16, gs_slot_f16, gs_slot_bf16, gs_slot_f16x2,
    gs_slot_bf16x2;

static inline void *gs_lanes_of(const gs_warp *w, const gs_operand *o) {
    return w->bank[o->bank] + o->offset;
}

/* What a lane's slot means and how a result is put there: registers below 32 bits have zeros above. */
#define GS_GET_u8(x)     ((uint8_t)(x))
#define GS_GET_s8(x)     ((int8_t)(x))
#define GS_GET_u16(x)    ((uint16_t)(x))
#define GS_GET_s16(x)    ((int16_t)(x))
#define GS_GET_u32(x)    (x)
#define GS_GET_s32(x)    (x)
#define GS_GET_u64(x)    (x)
#define GS_GET_s64(x)    (x)
#define GS_GET_f32(x)    (x)
#define GS_GET_f64(x)    (x)
#define GS_GET_f16(x)    gs_half_to_float((uint16_t)(x))
#define GS_GET_bf16(x)   gs_bfloat_to_float((uint16_t)(x))
#define GS_GET_f16x2(x)  (x)
#define GS_GET_bf16x2(x) (x)
#define GS_PUT_u8(x)     ((uint8_t)(x))
#define GS_PUT_s8(x)     ((uint8_t)(x))
#define GS_PUT_u16(x)    ((uint16_t)(x))
#define GS_PUT_s16(x)    ((uint16_t)(x))
#define GS_PUT_u32(x)    ((uint32_t)(x))
#define GS_PUT_s32(x)    ((int32_t)(x))
#define GS_PUT_u64(x)    ((uint64_t)(x))
#define GS_PUT_s64(x)    ((int64_t)(x))
#define GS_PUT_f32(x)    gs_canonical(x)
#define GS_PUT_f64(x)    (x)
#define GS_PUT_f16(x)    gs_float_to_half(x)
#define GS_PUT_bf16(x)   gs_float_to_bfloat(x)
#define GS_PUT_f16x2(x)  ((uint32_t)(x))
#define GS_PUT_bf16x2(x) ((uint32_t)(x))

/* f32 results that are no number: 0x7fffffff (PTX ISA, "Floating Point Instructions"). */
static inline float gs_canonical(float x) {
    return x == x ? x : __builtin_nanf("0x3fffff");
}
static inline float gs_flush(float x) {
    return fabsf(x) < 1.17549435e-38F ? copysignf(0.0F, x) : x;
}
/* [0, 1]; NaN becomes 0 */
static inline float gs_saturate(float x) {
    const float low = x > 0.0F ? x : 0.0F;
    return low < 1.0F ? low : 1.0F;
}
static inline double gs_saturate64(double x) {
    const double low = x > 0.0 ? x : 0.0;
    return low < 1.0 ? low : 1.0;
}
static inline float gs_bits_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline uint32_t gs_float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline double gs_bits_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline uint64_t gs_double_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
int gs_shuffle_source(const gs_instr *i, int l, uint32_t b, uint32_t c, bool *inside);
/* exec_half.c: round to nearest even; NaN is 0x7fff */
uint16_t gs_float_to_half(float x);
uint16_t gs_double_to_half(double x, int mode); /* FE_TONEAREST ... */
float gs_bfloat_to_float(uint16_t x);
uint16_t gs_float_to_bfloat(float x);
/* a * b + c as a double whose last bit is odd where the sum was not exact: rounding it again, to fewer bits, is
 * right. a * b must be exact in double. */
double gs_fma_odd(double a, double b, double c);

/* One of `lanes`: d[l] = expression of x, y, z, v. The compiler may take the lanes in any order and at once: a
 * destination is one of the sources or lies apart from all. */
#define GS_EACH_LANE(lanes, statement, masked)                                                                         \
    if ((lanes) == UINT32_MAX) {                                                                                       \
        _Pragma("GCC ivdep") for (int l = 0; l < GS_LANES; l++) {                                                      \
            statement;                                                                                                 \
        }                                                                                                              \
    } else {                                                                                                           \
        _Pragma("GCC ivdep") for (int l = 0; l < GS_LANES; l++) {                                                      \
            masked;                                                                                                    \
        }                                                                                                              \
    }

/* d = f(x), f(x, y), f(x, y, z) with types TD, TX, TY, TZ. */
#define GS_OP1(name, TD, TX, expression)                                                                               \
    static void name(gs_warp *w, const gs_instr *i, uint32_t lanes) {                                                  \
        gs_slot_##TD *d = gs_lanes_of(w, &i->operand[0]);                                                              \
        const gs_slot_##TX *a = gs_lanes_of(w, &i->operand[1]);                                                        \
        GS_EACH_LANE(lanes, const gs_slot_##TX s = a[l]; const __typeof__(GS_GET_##TX(s)) x = GS_GET_##TX(s);          \
                     d[l] = (gs_slot_##TD)GS_PUT_##TD(expression), const gs_slot_##TX s = a[l];                        \
                     const __typeof__(GS_GET_##TX(s)) x = GS_GET_##TX(s);                                              \
                     const gs_slot_##TD r = (gs_slot_##TD)GS_PUT_##TD(expression);                                     \
                     d[l] = (lanes >> l & 1) != 0 ? r : d[l])                                                          \
    }
#define GS_OP2(name, TD, TX, TY, expression)                                                                           \
    static void name(gs_warp *w, const gs_instr *i, uint32_t lanes) {                                                  \
        gs_slot_##TD *d = gs_lanes_of(w, &i->operand[0]);                                                              \
        const gs_slot_##TX *a = gs_lanes_of(w, &i->operand[1]);                                                        \
        const gs_slot_##TY *b = gs_lanes_of(w, &i->operand[2]);                                                        \
        GS_EACH_LANE(                                                                                                  \
            lanes, const gs_slot_##TX s = a[l]; const gs_slot_##TY t = b[l];                                           \
            const __typeof__(GS_GET_##TX(s)) x = GS_GET_##TX(s); const __typeof__(GS_GET_##TY(t)) y = GS_GET_##TY(t);  \
            d[l] = (gs_slot_##TD)GS_PUT_##TD(expression), const gs_slot_##TX s = a[l]; const gs_slot_##TY t = b[l];    \
            const __typeof__(GS_GET_##TX(s)) x = GS_GET_##TX(s); const __typeof__(GS_GET_##TY(t)) y = GS_GET_##TY(t);  \
            const gs_slot_##TD r = (gs_slot_##TD)GS_PUT_##TD(expression); d[l] = (lanes >> l & 1) != 0 ? r : d[l])     \
    }
#define GS_OP3(name, TD, TX, TY, TZ, expression)                                                                       \
    static void name(gs_warp *w, const gs_instr *i, uint32_t lanes) {                                                  \
        gs_slot_##TD *d = gs_lanes_of(w, &i->operand[0]);                                                              \
        const gs_slot_##TX *a = gs_lanes_of(w, &i->operand[1]);                                                        \
        const gs_slot_##TY *b = gs_lanes_of(w, &i->operand[2]);                                                        \
        const gs_slot_##TZ *c = gs_lanes_of(w, &i->operand[3]);                                                        \
        GS_EACH_LANE(                                                                                                  \
            lanes, const gs_slot_##TX s = a[l]; const gs_slot_##TY t = b[l]; const gs_slot_##TZ u = c[l];              \
            const __typeof__(GS_GET_##TX(s)) x = GS_GET_##TX(s); const __typeof__(GS_GET_##TY(t)) y = GS_GET_##TY(t);  \
            const __typeof__(GS_GET_##TZ(u)) z = GS_GET_##TZ(u);                                                       \
            d[l] = (gs_slot_##TD)GS_PUT_##TD(expression), const gs_slot_##TX s = a[l]; const gs_slot_##TY t = b[l];    \
            const gs_slot_##TZ u = c[l]; const __typeof__(GS_GET_##TX(s)) x = GS_GET_##TX(s);                          \
            const __typeof__(GS_GET_##TY(t)) y = GS_GET_##TY(t); const __typeof__(GS_GET_##TZ(u)) z = GS_GET_##TZ(u);  \
            const gs_slot_##TD r = (gs_slot_##TD)GS_PUT_##TD(expression); d[l] = (lanes >> l & 1) != 0 ? r : d[l])     \
    }

#endif
