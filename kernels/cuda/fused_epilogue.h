/* The epilogue y = gain act(d[n,o] c + strength noise[h,w] + b[o]), act(v) = v > 0 ? v : slope v, of one value. */
#ifndef HANDSOFF_KERNELS_CUDA_FUSED_EPILOGUE_H
#define HANDSOFF_KERNELS_CUDA_FUSED_EPILOGUE_H

#include <stddef.h>

#include "handsoff/device.h"
#include "handsoff/kernel.h"

/* strength * noise at pixel `at` of sample n; 0 without noise. */
HO_DEVICE float ho_fused_plane(const ho_conv_epilogue &e, int64_t n, int64_t at) {
    return e.noise != NULL ? e.strength[0] * e.noise[n * e.noise_stride + at] : 0.0F;
}
/* d[n,o] and b[o]; 1 and 0 where there is none, and beyond the last channel. */
HO_DEVICE float ho_fused_demodulation(const ho_conv_epilogue &e, int64_t n, int o, int O) {
    return e.d != NULL && o < O ? e.d[n * O + o] : 1.0F;
}
HO_DEVICE float ho_fused_bias(const ho_conv_epilogue &e, int o, int O) {
    return e.b != NULL && o < O ? e.b[o] : 0.0F;
}
HO_DEVICE float ho_fused_value(const ho_conv_epilogue &e, float c, float d, float plane, float b) {
    const float v = d * c + (plane + b);
    return e.gain * (v > 0.0F ? v : e.slope * v);
}

#endif
