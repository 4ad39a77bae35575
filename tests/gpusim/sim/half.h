/* Narrow floating-point formats. */
#ifndef GPUSIM_HALF_H
#define GPUSIM_HALF_H

#include <stdbool.h>
#include <stdint.h>

/* x rounded to `bits` bits of mantissa (the leading one counted), exponents not below min_exponent (then subnormal);
 * results above max become infinity or max, as the mode (FE_TONEAREST ...) says. */
double gs_round_to(double x, int bits, int min_exponent, double max, int mode);
uint16_t gs_double_to_bfloat(double x, int mode);
/* Exact. */
float gs_half_to_float(uint16_t x);
/* To nearest; brain: bf16, else f16. */
uint16_t gs_pack_half(double x, bool brain);

#endif
