/* cvt. PTX ISA 9.0, "Data Movement and Conversion Instructions: cvt". Source and destination types are type and type2;
 * registers wider than the types: decode.c. */
#include <fenv.h>

#include "exec.h"
#include "half.h"
#include "rounding.h"

/* ---- integers to integers ------------------------------------------------------------------------------------ */

typedef __int128 whole;
static inline int64_t clamped(whole x, int64_t low, whole high) {
    return (int64_t)(uint64_t)(x < low ? low : x > high ? high : x);
}
#define LOW_u8   0
#define HIGH_u8  UINT8_MAX
#define LOW_s8   INT8_MIN
#define HIGH_s8  INT8_MAX
#define LOW_u16  0
#define HIGH_u16 UINT16_MAX
#define LOW_s16  INT16_MIN
#define HIGH_s16 INT16_MAX
#define LOW_u32  0
#define HIGH_u32 UINT32_MAX
#define LOW_s32  INT32_MIN
#define HIGH_s32 INT32_MAX
#define LOW_u64  0
#define HIGH_u64 UINT64_MAX
#define LOW_s64  INT64_MIN
#define HIGH_s64 INT64_MAX

#define EACH_INTEGER(X, A) X(u8, A) X(s8, A) X(u16, A) X(s16, A) X(u32, A) X(s32, A) X(u64, A) X(s64, A)
#define INT_TO_INT(D, S)                                                                                               \
    GS_OP1(D##_##S, D, S, x)                                                                                           \
    GS_OP1(D##_sat_##S, D, S, clamped(x, LOW_##D, HIGH_##D))
EACH_INTEGER(INT_TO_INT, u8)
EACH_INTEGER(INT_TO_INT, s8)
EACH_INTEGER(INT_TO_INT, u16)
EACH_INTEGER(INT_TO_INT, s16)
EACH_INTEGER(INT_TO_INT, u32)
EACH_INTEGER(INT_TO_INT, s32)
EACH_INTEGER(INT_TO_INT, u64)
EACH_INTEGER(INT_TO_INT, s64)

/* ---- integers to f32, f64: the processor rounds ----------------------------------------------------------------- */

#define INT_TO_FLOAT(S, F)                                                                                             \
    GS_OP1(F##_##S, F, S, (__typeof__(GS_GET_##F((gs_slot_##F)0)))x)                                                   \
    GS_OP1(F##_sat_##S, F, S, x > 0)
EACH_INTEGER(INT_TO_FLOAT, f32)
EACH_INTEGER(INT_TO_FLOAT, f64)

/* ---- f32, f64 to integers: to the nearest representable; NaN becomes 0, or 2^(bits - 1) where a 64-bit type takes
 * part
 * ------ */

enum { RNI, RZI, RMI, RPI };
static inline double to_whole64(double x, int mode) {
    return mode == RNI ? rint(x) : mode == RZI ? trunc(x) : mode == RMI ? floor(x) : ceil(x);
}
static inline float to_whole(float x, int mode) {
    return mode == RNI ? rintf(x) : mode == RZI ? truncf(x) : mode == RMI ? floorf(x) : ceilf(x);
}
#define NAN_f32_u8  0
#define NAN_f32_s8  0
#define NAN_f32_u16 0
#define NAN_f32_s16 0
#define NAN_f32_u32 0
#define NAN_f32_s32 0
#define NAN_f32_u64 0x8000000000000000U
#define NAN_f32_s64 INT64_MIN
#define NAN_f64_u8  0x80
#define NAN_f64_s8  INT8_MIN
#define NAN_f64_u16 0x8000
#define NAN_f64_s16 INT16_MIN
#define NAN_f64_u32 0x80000000U
#define NAN_f64_s32 INT32_MIN
#define NAN_f64_u64 0x8000000000000000U
#define NAN_f64_s64 INT64_MIN
#define C_u8        uint8_t
#define C_s8        int8_t
#define C_u16       uint16_t
#define C_s16       int16_t
#define C_u32       uint32_t
#define C_s32       int32_t
#define C_u64       uint64_t
#define C_s64       int64_t
/* The first float above the type's range is HIGH + 1, exactly. */
#define ABOVE_u8  0x1p8F
#define ABOVE_s8  0x1p7F
#define ABOVE_u16 0x1p16F
#define ABOVE_s16 0x1p15F
#define ABOVE_u32 0x1p32F
#define ABOVE_s32 0x1p31F
#define ABOVE_u64 0x1p64F
#define ABOVE_s64 0x1p63F
#define BELOW_u8  0.0F
#define BELOW_s8  (-0x1p7F)
#define BELOW_u16 0.0F
#define BELOW_s16 (-0x1p15F)
#define BELOW_u32 0.0F
#define BELOW_s32 (-0x1p31F)
#define BELOW_u64 0.0F
#define BELOW_s64 (-0x1p63F)

#define FLOAT_TO_INT_FUNCTION(D, F, T)                                                                                 \
    static inline C_##D D##_of_##F(T x) {                                                                              \
        const C_##D r = x >= (T)ABOVE_##D ? HIGH_##D : x <= (T)BELOW_##D ? LOW_##D : (C_##D)x;                         \
        return x != x ? (C_##D)NAN_##F##_##D : r;                                                                      \
    }
#define FLOAT_TO_INT(D, unused)                                                                                        \
    FLOAT_TO_INT_FUNCTION(D, f32, float)                                                                               \
    FLOAT_TO_INT_FUNCTION(D, f64, double)                                                                              \
    GS_OP1(D##_rni_f32, D, f32, D##_of_f32(to_whole(x, RNI)))                                                          \
    GS_OP1(D##_rzi_f32, D, f32, D##_of_f32(to_whole(x, RZI)))                                                          \
    GS_OP1(D##_rmi_f32, D, f32, D##_of_f32(to_whole(x, RMI)))                                                          \
    GS_OP1(D##_rpi_f32, D, f32, D##_of_f32(to_whole(x, RPI)))                                                          \
    GS_OP1(D##_rni_ftz_f32, D, f32, D##_of_f32(to_whole(gs_flush(x), RNI)))                                            \
    GS_OP1(D##_rzi_ftz_f32, D, f32, D##_of_f32(to_whole(gs_flush(x), RZI)))                                            \
    GS_OP1(D##_rmi_ftz_f32, D, f32, D##_of_f32(to_whole(gs_flush(x), RMI)))                                            \
    GS_OP1(D##_rpi_ftz_f32, D, f32, D##_of_f32(to_whole(gs_flush(x), RPI)))                                            \
    GS_OP1(D##_rni_f64, D, f64, D##_of_f64(to_whole64(x, RNI)))                                                        \
    GS_OP1(D##_rzi_f64, D, f64, D##_of_f64(to_whole64(x, RZI)))                                                        \
    GS_OP1(D##_rmi_f64, D, f64, D##_of_f64(to_whole64(x, RMI)))                                                        \
    GS_OP1(D##_rpi_f64, D, f64, D##_of_f64(to_whole64(x, RPI)))
EACH_INTEGER(FLOAT_TO_INT, )

/* ---- f32 and f64 ----------------------------------------------------------------------------------------------------
 */

#define FLOAT_TO_WHOLE(suffix, mode)                                                                                   \
    GS_OP1(f32_##suffix##_f32, f32, f32, to_whole(x, mode))                                                            \
    GS_OP1(f32_##suffix##_sat_f32, f32, f32, gs_saturate(to_whole(x, mode)))                                           \
    GS_OP1(f32_##suffix##_ftz_f32, f32, f32, to_whole(gs_flush(x), mode))                                              \
    GS_OP1(f32_##suffix##_ftz_sat_f32, f32, f32, gs_saturate(to_whole(gs_flush(x), mode)))                             \
    GS_OP1(f64_##suffix##_f64, f64, f64, to_whole64(x, mode))                                                          \
    GS_OP1(f64_##suffix##_sat_f64, f64, f64, gs_saturate64(to_whole64(x, mode)))
FLOAT_TO_WHOLE(rni, RNI)
FLOAT_TO_WHOLE(rzi, RZI)
FLOAT_TO_WHOLE(rmi, RMI)
FLOAT_TO_WHOLE(rpi, RPI)
GS_OP1(f32_f32, f32, f32, x)
GS_OP1(f32_sat_f32, f32, f32, gs_saturate(x))
GS_OP1(f32_ftz_f32, f32, f32, gs_flush(x))
GS_OP1(f32_ftz_sat_f32, f32, f32, gs_saturate(gs_flush(x)))
GS_OP1(f64_f64, f64, f64, x)
GS_OP1(f64_sat_f64, f64, f64, gs_saturate64(x))
GS_OP1(f32_f64, f32, f64, (float)x)
GS_OP1(f32_sat_f64, f32, f64, gs_saturate((float)x))
GS_OP1(f32_ftz_f64, f32, f64, gs_flush((float)x))
GS_OP1(f32_ftz_sat_f64, f32, f64, gs_saturate(gs_flush((float)x)))
GS_OP1(f64_f32, f64, f32, (double)x)
GS_OP1(f64_sat_f32, f64, f32, gs_saturate64((double)x))
GS_OP1(f64_ftz_f32, f64, f32, (double)gs_flush(x))
GS_OP1(f64_ftz_sat_f32, f64, f32, gs_saturate64((double)gs_flush(x)))

/* ---- rows
 * ------------------------------------------------------------------------------------------------------------- */

#define INTS           "<u8 s8 u16 s16 u32 s32 u64 s64>"
#define RUNS_OF(p, s)  p##u8##s, p##s8##s, p##u16##s, p##s16##s, p##u32##s, p##s32##s, p##u64##s, p##s64##s
#define TO_INTS(S)     RUNS_OF(, _##S)
#define TO_INTS_SAT(S) RUNS_OF(, _sat_##S)
#define INT_ROWS(S)                                                                                                    \
    {"cvt", INTS " " #S, "cc", 1, GS_PLAIN, GS_RUNS(TO_INTS(S))}, {                                                    \
        "cvt", "sat " INTS " " #S, "cc", 1, GS_PLAIN, GS_RUNS(TO_INTS_SAT(S))                                          \
    }

const gs_pattern gs_convert_patterns[] = {
    INT_ROWS(u8),
    INT_ROWS(s8),
    INT_ROWS(u16),
    INT_ROWS(s16),
    INT_ROWS(u32),
    INT_ROWS(s32),
    INT_ROWS(u64),
    INT_ROWS(s64),
    {"cvt", "{rn rz rm rp} f32 " INTS, "cc", 1, GS_PLAIN, GS_RUNS(RUNS_OF(f32_, ))},
    {"cvt", "{rn rz rm rp} f64 " INTS, "cc", 1, GS_PLAIN, GS_RUNS(RUNS_OF(f64_, ))},
    {"cvt", "{rn rz rm rp} sat f32 " INTS, "cc", 1, GS_PLAIN, GS_RUNS(RUNS_OF(f32_sat_, ))},
    {"cvt", "{rn rz rm rp} sat f64 " INTS, "cc", 1, GS_PLAIN, GS_RUNS(RUNS_OF(f64_sat_, ))},
    {"cvt", "<rni rzi rmi rpi> [sat] f32 f32", "cc", 1, GS_PLAIN,
     GS_RUNS(f32_rni_f32, f32_rni_sat_f32, f32_rzi_f32, f32_rzi_sat_f32, f32_rmi_f32, f32_rmi_sat_f32, f32_rpi_f32,
             f32_rpi_sat_f32)},
    {"cvt", "<rni rzi rmi rpi> ftz [sat] f32 f32", "cc", 1, GS_PLAIN,
     GS_RUNS(f32_rni_ftz_f32, f32_rni_ftz_sat_f32, f32_rzi_ftz_f32, f32_rzi_ftz_sat_f32, f32_rmi_ftz_f32,
             f32_rmi_ftz_sat_f32, f32_rpi_ftz_f32, f32_rpi_ftz_sat_f32)},
    {"cvt", "<rni rzi rmi rpi> [sat] f64 f64", "cc", 1, GS_PLAIN,
     GS_RUNS(f64_rni_f64, f64_rni_sat_f64, f64_rzi_f64, f64_rzi_sat_f64, f64_rmi_f64, f64_rmi_sat_f64, f64_rpi_f64,
             f64_rpi_sat_f64)},
    {"cvt", "[ftz] [sat] f32 f32", "cc", 1, GS_PLAIN, GS_RUNS(f32_f32, f32_sat_f32, f32_ftz_f32, f32_ftz_sat_f32)},
    {"cvt", "[sat] f64 f64", "cc", 1, GS_PLAIN, GS_RUNS(f64_f64, f64_sat_f64)},
    {"cvt", "[ftz] [sat] f64 f32", "cc", 1, GS_PLAIN, GS_RUNS(f64_f32, f64_sat_f32, f64_ftz_f32, f64_ftz_sat_f32)},
    {"cvt", "{rn rz rm rp} [ftz] [sat] f32 f64", "cc", 1, GS_PLAIN,
     GS_RUNS(f32_f64, f32_sat_f64, f32_ftz_f64, f32_ftz_sat_f64)},
#define WHOLE_ROWS(mode)                                                                                               \
    {"cvt",    #mode " [sat] " INTS " f64",                                                                            \
     "cc",     1,                                                                                                      \
     GS_PLAIN, GS_RUNS(RUNS_OF(, _##mode##_f64), RUNS_OF(, _##mode##_f64))},                                           \
        {"cvt",    #mode " [sat] " INTS " f32",                                                                        \
         "cc",     1,                                                                                                  \
         GS_PLAIN, GS_RUNS(RUNS_OF(, _##mode##_f32), RUNS_OF(, _##mode##_f32))},                                       \
    {                                                                                                                  \
        "cvt", #mode " ftz [sat] " INTS " f32", "cc", 1, GS_PLAIN,                                                     \
            GS_RUNS(RUNS_OF(, _##mode##_ftz_f32), RUNS_OF(, _##mode##_ftz_f32))                                        \
    }
    WHOLE_ROWS(rni),
    WHOLE_ROWS(rzi),
    WHOLE_ROWS(rmi),
    WHOLE_ROWS(rpi),
    {0},
};
