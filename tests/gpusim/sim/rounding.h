/* The processor's rounding mode for SSE/AVX arithmetic, cheaper than fesetround where that is possible. The compiler
 * moves no access to memory over it: what lies in register banks is read after and written before. */
#ifndef GPUSIM_ROUNDING_H
#define GPUSIM_ROUNDING_H

#include <fenv.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

static inline void gs_set_rounding(int mode) {
#ifdef __SSE__
    /* FE_ constants of x86 are those of the x87 control word; the SSE field lies 3 bits higher */
    __asm__ volatile("" ::: "memory");
    _mm_setcsr((_mm_getcsr() & ~_MM_ROUND_MASK) | (unsigned)mode << 3);
    __asm__ volatile("" ::: "memory");
#else
    fesetround(mode);
#endif
}

void gs_run_rz(struct gs_warp *w, const struct gs_instr *i, unsigned lanes);
void gs_run_rm(struct gs_warp *w, const struct gs_instr *i, unsigned lanes);
void gs_run_rp(struct gs_warp *w, const struct gs_instr *i, unsigned lanes);

#endif
