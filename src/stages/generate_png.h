/* The PNG folder of a generated set, runs/NAME/synthetic_c_png/ (synthetic.h). */
#ifndef HANDSOFF_STAGES_GENERATE_PNG_H
#define HANDSOFF_STAGES_GENERATE_PNG_H

#include "handsoff/run.h"

/* The whole folder of the set from `count` labelled images stands. */
bool ho_png_folder_is_there(ho_run *run, int64_t count);
/* For a set that is about to be made anew. */
void ho_png_folder_forget(ho_run *run, int64_t count);
/* Writes it from synthetic_c.h5, or goes on where an interrupted export stopped. HO_EINTERRUPT after a signal,
 * between two images. */
ho_status ho_png_folder_write(ho_run *run, int64_t count);

#endif
