/* Sums and products of several words: the carry flag goes from instruction to instruction. PTX ISA 9.0, "Extended
 * Precision Arithmetic Instructions". sub.cc sets the flag to the borrow. */
#include "exec.h"

/* What the steps take from the previous flag and leave for the next. */
#define GS_CARRIED(name, W, in, out, n_sources, sum)                                                                   \
    static void name(gs_warp *w, const gs_instr *i, uint32_t lanes) {                                                  \
        typedef uint##W##_t word;                                                                                      \
        typedef unsigned __int128 wide;                                                                                \
        word *d = gs_u##W(w, &i->operand[0]);                                                                          \
        const word *a = gs_u##W(w, &i->operand[1]), *b = gs_u##W(w, &i->operand[2]);                                   \
        const word *c = (n_sources) == 3 ? gs_u##W(w, &i->operand[3]) : a;                                             \
        uint32_t carries = 0;                                                                                          \
        for (int l = 0; l < GS_LANES; l++) {                                                                           \
            const wide x = a[l], y = b[l], z = c[l], flag = (in) ? w->carry >> l & 1 : 0;                              \
            (void)z;                                                                                                   \
            const wide r = (sum);                                                                                      \
            carries |= (uint32_t)(r >> W & 1) << l;                                                                    \
            d[l] = (lanes >> l & 1) != 0 ? (word)r : d[l];                                                             \
        }                                                                                                              \
        if (out) {                                                                                                     \
            w->carry = (w->carry & ~lanes) | (carries & lanes);                                                        \
        }                                                                                                              \
    }
#define LOW(W)           ((wide)(word)(x * y))
#define HIGH_UNSIGNED(W) ((x * y) >> (W))
/* The upper word of the product of two signed words. */
#define HIGH_SIGNED(W) ((wide)(word)(((x * y) >> (W)) - ((x >> ((W)-1)) != 0 ? y : 0) - ((y >> ((W)-1)) != 0 ? x : 0)))

#define GS_CARRIED_ALL(W)                                                                                              \
    GS_CARRIED(add_cc_##W, W, false, true, 2, x + y + flag)                                                            \
    GS_CARRIED(addc_##W, W, true, false, 2, x + y + flag)                                                              \
    GS_CARRIED(addc_cc_##W, W, true, true, 2, x + y + flag)                                                            \
    GS_CARRIED(sub_cc_##W, W, false, true, 2, x - y - flag)                                                            \
    GS_CARRIED(subc_##W, W, true, false, 2, x - y - flag)                                                              \
    GS_CARRIED(subc_cc_##W, W, true, true, 2, x - y - flag)                                                            \
    GS_CARRIED(mad_lo_cc_##W, W, false, true, 3, LOW(W) + z + flag)                                                    \
    GS_CARRIED(madc_lo_##W, W, true, false, 3, LOW(W) + z + flag)                                                      \
    GS_CARRIED(madc_lo_cc_##W, W, true, true, 3, LOW(W) + z + flag)                                                    \
    GS_CARRIED(mad_hi_cc_u##W, W, false, true, 3, HIGH_UNSIGNED(W) + z + flag)                                         \
    GS_CARRIED(madc_hi_u##W, W, true, false, 3, HIGH_UNSIGNED(W) + z + flag)                                           \
    GS_CARRIED(madc_hi_cc_u##W, W, true, true, 3, HIGH_UNSIGNED(W) + z + flag)                                         \
    GS_CARRIED(mad_hi_cc_s##W, W, false, true, 3, HIGH_SIGNED(W) + z + flag)                                           \
    GS_CARRIED(madc_hi_s##W, W, true, false, 3, HIGH_SIGNED(W) + z + flag)                                             \
    GS_CARRIED(madc_hi_cc_s##W, W, true, true, 3, HIGH_SIGNED(W) + z + flag)
GS_CARRIED_ALL(32)
GS_CARRIED_ALL(64)

#define GS_CARRY_ROWS(W, types, s3, s4)                                                                                 \
    {"add", "cc " types, s3, 1, GS_PLAIN, GS_RUNS(add_cc_##W, add_cc_##W)},                                             \
        {"addc", "[cc] " types, s3, 1, GS_PLAIN, GS_RUNS(addc_##W, addc_##W, addc_cc_##W, addc_cc_##W)},                \
        {"sub", "cc " types, s3, 1, GS_PLAIN, GS_RUNS(sub_cc_##W, sub_cc_##W)},                                         \
        {"subc", "[cc] " types, s3, 1, GS_PLAIN, GS_RUNS(subc_##W, subc_##W, subc_cc_##W, subc_cc_##W)},                \
        {"mad", "lo cc " types, s4, 1, GS_PLAIN, GS_RUNS(mad_lo_cc_##W, mad_lo_cc_##W)},                                \
        {"mad", "hi cc " types, s4, 1, GS_PLAIN, GS_RUNS(mad_hi_cc_u##W, mad_hi_cc_s##W)},                              \
        {"madc", "lo [cc] " types, s4, 1, GS_PLAIN, GS_RUNS(madc_lo_##W, madc_lo_##W, madc_lo_cc_##W, madc_lo_cc_##W)}, \
        {"madc", "hi [cc] " types, s4,                                                                                  \
         1,      GS_PLAIN,         GS_RUNS(madc_hi_u##W, madc_hi_s##W, madc_hi_cc_u##W, madc_hi_cc_s##W)},

const gs_pattern gs_carry_patterns[] = {
    GS_CARRY_ROWS(32, "<u32 s32>", "444", "4444") GS_CARRY_ROWS(64, "<u64 s64>", "888", "8888"){0},
};
