/* For stages that write several files: which of them are still to be made. */
#ifndef HANDSOFF_STAGES_OUTPUTS_H
#define HANDSOFF_STAGES_OUTPUTS_H

#include "handsoff/run.h"

/* False when `path` stood already before a forced run of the stage began (the mark checkpoints/STAGE.forced is newer
 * than it): it then has to be made again, however current its record is. */
bool ho_output_survives_force(ho_run *run, const char *stage, const char *path);

#endif
