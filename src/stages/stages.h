/* The stages of the pipeline, one file each. */
#ifndef HANDSOFF_STAGES_H
#define HANDSOFF_STAGES_H

#include "handsoff/run.h"

extern const ho_stage HO_STAGE_IMPORT_DATA;
extern const ho_stage HO_STAGE_TRAIN_GAN;
extern const ho_stage HO_STAGE_TRAIN_ENCODER;
extern const ho_stage HO_STAGE_FINETUNE_ENCODER;
extern const ho_stage HO_STAGE_INVERT;
extern const ho_stage HO_STAGE_TRAIN_HEAD;
extern const ho_stage HO_STAGE_GENERATE;
extern const ho_stage HO_STAGE_TRAIN_DOWNSTREAM;
extern const ho_stage HO_STAGE_EVALUATE;
extern const ho_stage HO_STAGE_REPORT;

#endif
