/* Functions of one ho_real, in its own precision on both targets. */
#ifndef HANDSOFF_KERNELS_REAL_H
#define HANDSOFF_KERNELS_REAL_H

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

#endif
