/* What the files of the cpu target share. */
#ifndef HANDSOFF_DEVICE_CPU_H
#define HANDSOFF_DEVICE_CPU_H

#include "handsoff/device.h"
#include "handsoff/kernel.h"

typedef struct ho_conv_cache ho_conv_cache;
typedef struct ho_held ho_held;
typedef struct ho_kept_entry ho_kept_entry;
typedef struct ho_dry ho_dry;

struct ho_device {
    char name[64];
    size_t bytes, peak_bytes;
    void *workspace; /* scratch of library calls, grows to the largest request */
    size_t workspace_bytes;
    ho_conv_cache *conv;
    ho_held *held; /* kept.h */
    ho_kept_entry *kept;
    ho_dry *dry; /* dry.h; NULL on a device that computes */
};

/* Scratch until the next call that asks for some. */
ho_status ho_cpu_workspace(ho_device *device, size_t bytes, void **workspace);

ho_status ho_cpu_conv_open(ho_device *device);
void ho_cpu_conv_close(ho_device *device);

#endif
