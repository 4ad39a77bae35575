/* Functions of one ho_real, in its own precision on both targets. */
#ifndef HANDSOFF_KERNELS_REAL_H
#define HANDSOFF_KERNELS_REAL_H

#include <string.h>

#include "handsoff/kernel.h"

#ifdef HO_REAL_DOUBLE
HO_DEVICE ho_real ho_exp(ho_real v) {
    return exp(v);
}
HO_DEVICE ho_real ho_log(ho_real v) {
    return log(v);
}
HO_DEVICE ho_real ho_sqrt(ho_real v) {
    return sqrt(v);
}
#else
HO_DEVICE ho_real ho_exp(ho_real v) {
    return expf(v);
}
HO_DEVICE ho_real ho_log(ho_real v) {
    return logf(v);
}
HO_DEVICE ho_real ho_sqrt(ho_real v) {
    return sqrtf(v);
}
#endif

/* e^v for v <= 0 in a loop. On the host in float a form that the compiler makes vectors of: v = n ln 2 + r with whole
 * n and |r| <= ln 2 / 2, e^r by its series up to r^7 / 7! (what is left is below 6e-9), 2^n by the bits of its
 * exponent. Below -87, where e^v is 2e-38, v counts as -87. */
#if defined(__CUDACC__) || defined(HO_REAL_DOUBLE)
HO_DEVICE ho_real ho_exp_falling(ho_real v) {
    return ho_exp(v);
}
#else
HO_DEVICE ho_real ho_exp_falling(ho_real v) {
    v = v < HO_R(-87.0) ? HO_R(-87.0) : v; /* NaN stays */
    const ho_real n = rintf(v * HO_R(1.4426950408889634)), r = v - n * HO_R(0.6931471805599453);
    const uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    ho_real power, series = HO_R(1.0) / HO_R(5040.0);
    memcpy(&power, &bits, sizeof power);
    series = series * r + HO_R(1.0) / HO_R(720.0);
    series = series * r + HO_R(1.0) / HO_R(120.0);
    series = series * r + HO_R(1.0) / HO_R(24.0);
    series = series * r + HO_R(1.0) / HO_R(6.0);
    series = series * r + HO_R(0.5);
    series = series * r + HO_R(1.0);
    series = series * r + HO_R(1.0);
    return series * power;
}
#endif

#endif
