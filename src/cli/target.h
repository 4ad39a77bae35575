/* The target that a command computes on. bin/handsoff is the cpu target; the cuda target, the same program built for
 * GPUs, is the shared object bin/handsoff-cuda.so, so that the program starts where no CUDA library is installed. */
#ifndef HANDSOFF_TARGET_H
#define HANDSOFF_TARGET_H

#include <stddef.h>

#include "handsoff/status.h"

typedef struct {
    int (*program)(int argc, char **argv); /* ho_program of that target */
} ho_target;

/* Takes "--device auto|cpu|cuda" out of the command line (without it, HANDSOFF_DEVICE counts; without that, auto) and
 * chooses: cpu for commands that compute nothing; with auto, cuda where a GPU can be used. `note` (size bytes) says in
 * one line why auto did not choose the cuda target that was built, or stays empty. HO_EUSAGE for another word;
 * HO_EDEVICE when cuda was asked for and cannot be used. */
ho_status ho_target_choose(int *argc, char **argv, ho_target *target, char *note, size_t size);

/* Prints what each target sees on this machine, a line a device, to standard output. */
ho_status ho_target_print_devices(void);

#endif
