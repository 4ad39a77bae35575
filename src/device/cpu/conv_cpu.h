/* The algorithms among which src/device/cpu/conv.c chooses. Same arguments as in handsoff/device.h. */
#ifndef HANDSOFF_CONV_CPU_H
#define HANDSOFF_CONV_CPU_H

#include "device_cpu.h"

/* Direct convolution: oneDNN (float), plain loops (double build). */
ho_status ho_cpu_conv_direct_forward(ho_device *device, const ho_conv_shape *s, const ho_real *x, const ho_real *w,
                                     ho_real *y);
ho_status ho_cpu_conv_direct_backward_data(ho_device *device, const ho_conv_shape *s, const ho_real *g_y,
                                           const ho_real *w, ho_real *g_x);
ho_status ho_cpu_conv_direct_backward_weights(ho_device *device, const ho_conv_shape *s, const ho_real *x,
                                              const ho_real *g_y, ho_real *g_w);

#ifndef HO_REAL_DOUBLE
/* True for filters that reach further than the image, whose gradient goes tap by tap: a function of the shape. */
bool ho_cpu_conv_overreaches(const ho_conv_shape *s);
ho_status ho_cpu_conv_taps_backward_weights(ho_device *device, const ho_conv_shape *s, const ho_real *x,
                                            const ho_real *g_y, ho_real *g_w);
#endif

#endif
