/* A device that computes nothing and counts: programs that are run on it allocate what they would allocate, launch
 * kernels that are left out, and ask for products that are left out. What a step needs is thus told by its own code,
 * for any shape, in a fraction of a second. Of the cpu target alone; it answers for the cuda target too.
 *
 * Its memory is address space that cannot be read: what is downloaded from it are zeros. */
#ifndef HANDSOFF_DRY_H
#define HANDSOFF_DRY_H

#include "handsoff/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whose memory is counted: of the cpu target, or of a GPU with the cuda target (which convolutions it fuses, and what
 * scratch these need). */
typedef enum { HO_DRY_CPU, HO_DRY_CUDA } ho_dry_target;

/* n_threads as in ho_device_open: scratch of the cpu target grows with it. Closed by ho_device_close. HO_EDEVICE in the
 * cuda target and in the double build. */
ho_status ho_device_open_dry(ho_dry_target target, int n_threads, ho_device **device);

typedef struct {
    double peak_bytes;    /* most that was ever allocated, scratch of library calls included: what a GPU must have */
    double touched_bytes; /* most that was ever written to: what of it is resident on a host                        */
    double flops;         /* of convolutions (as direct sums) and products since ho_device_dry_restart              */
} ho_dry_count;

ho_dry_count ho_device_dry_count(const ho_device *device);
/* Counts flops from zero again. */
void ho_device_dry_restart(ho_device *device);

#ifdef __cplusplus
}
#endif
#endif
