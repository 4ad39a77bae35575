/* The device that computes nothing (handsoff/dry.h), as the other files of the cpu target see it. */
#ifndef HANDSOFF_CPU_DRY_H
#define HANDSOFF_CPU_DRY_H

#include "device_cpu.h"
#include "handsoff/dry.h"

/* All of these are for devices whose `dry` is not NULL. */
ho_status ho_dry_alloc(ho_device *device, size_t bytes, void **memory);
void ho_dry_free(ho_device *device, void *memory);
/* The bytes are written to: they become resident. */
void ho_dry_touch(ho_device *device, const void *memory, size_t bytes);
/* Scratch of a library call. */
ho_status ho_dry_workspace(ho_device *device, size_t bytes, void **workspace);
void ho_dry_flops(ho_device *device, double flops);
void ho_dry_close(ho_device *device);

bool ho_dry_is_cuda(const ho_device *device); /* false where `dry` is NULL */
/* Of a device that answers for cuda: whether it fuses, and the scratch (bytes) of the gradients of its fused
 * convolutions. */
void ho_dry_set_fusing(ho_device *device, bool on);
bool ho_dry_fuses(const ho_device *device);
size_t ho_dry_input_scratch(const ho_fused_shape *s);
size_t ho_dry_weights_scratch(const ho_fused_shape *s);

#endif
