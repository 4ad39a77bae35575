/* What the cpu target keeps beside weights that do not change: see ho_device_hold in handsoff/device.h. */
#ifndef HANDSOFF_KEPT_H
#define HANDSOFF_KEPT_H

#include "device_cpu.h"

/* One derived array. Whoever asks first finds `ready` false, fills `memory` and sets it. */
typedef struct {
    void *memory;
    bool ready;
} ho_kept;

/* The array of `bytes` derived from the weights at `source`; layout tells arrays of one source apart. NULL where source
 * is not held, or no memory is left: the caller then derives into a workspace at each call. Valid until memory is freed
 * or changed through the device. */
ho_kept *ho_cpu_keep(ho_device *device, const void *source, size_t source_bytes, int layout, size_t bytes);
/* The bytes at `memory` changed: what was derived from them is dropped. */
void ho_cpu_changed(ho_device *device, const void *memory, size_t bytes);
/* The bytes at `memory` go: they are no longer held either. */
void ho_cpu_forget(ho_device *device, const void *memory, size_t bytes);
void ho_cpu_kept_close(ho_device *device);

#endif
