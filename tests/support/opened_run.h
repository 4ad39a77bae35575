/* One run at a time in the folder of the test. */
#ifndef HANDSOFF_TESTS_OPENED_RUN_H
#define HANDSOFF_TESTS_OPENED_RUN_H

#include "check.h"
#include "folder.h"
#include "handsoff/run.h"

extern ho_run *run; /* the open one */

/* Opens run `name` under FOLDER/runs with the config `text` (YAML, name and runs_dir left out) and further overrides.
 */
void open_run_of(const char *name, const char *text, int n, const char *const *more);
void close_run(void);
ho_device *run_device(void);

bool is_current(const ho_stage *stage);
/* Commits and closes. */
void commit(ho_store *store);

#endif
