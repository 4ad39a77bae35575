/* The trainings of the comparison and the files that they leave: shared by train-downstream and evaluate. */
#ifndef HANDSOFF_STAGES_DOWNSTREAM_FILES_H
#define HANDSOFF_STAGES_DOWNSTREAM_FILES_H

#include "handsoff/run.h"

typedef enum { HO_METHOD_HANDSOFF, HO_METHOD_LABELS_ONLY, HO_METHOD_TRANSFER, HO_N_METHODS } ho_method;
extern const char *const HO_METHOD_NAMES[HO_N_METHODS]; /* handsoff, labels_only, transfer */

/* One training: a method, a number of labelled images, a seed. */
typedef struct {
    ho_method method;
    int64_t count, seed;
} ho_downstream_job;

/* All trainings that the config asks for, counts outermost, then methods, then seeds. malloc'd. Without
 * transfer.weights there are none of the transfer baseline. HO_ECONFIG for a list without an entry. */
ho_status ho_downstream_jobs(ho_run *run, int *n, ho_downstream_job **jobs);
/* runs/NAME/downstream/METHOD_COUNT_seedSEED.h5; the name alone for logs and checkpoints. */
const char *ho_downstream_path(ho_run *run, const ho_downstream_job *job);
const char *ho_downstream_checkpoint_path(ho_run *run, const ho_downstream_job *job);
/* "train-downstream_METHOD_COUNT_seedSEED" into text: the name of its log. */
enum { HO_DOWNSTREAM_NAME = 96 };
void ho_downstream_log_name(const ho_downstream_job *job, char text[HO_DOWNSTREAM_NAME]);

/* Writes the record of a training's file or checkpoint, and compares with it. */
ho_status ho_downstream_record(ho_run *run, ho_store *store, const ho_downstream_job *job, const char *kind);
bool ho_downstream_is_current(ho_run *run, const char *path, const ho_downstream_job *job, const char **why);

#endif
