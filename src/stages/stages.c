/* The pipeline, in order. */
#include "stages.h"

#include <stddef.h>

const ho_stage *const HO_STAGES[] = {
    &HO_STAGE_IMPORT_DATA,
    &HO_STAGE_TRAIN_GAN,
    &HO_STAGE_TRAIN_ENCODER,
    &HO_STAGE_FINETUNE_ENCODER,
    &HO_STAGE_INVERT,
    &HO_STAGE_TRAIN_HEAD,
    &HO_STAGE_GENERATE,
    &HO_STAGE_TRAIN_DOWNSTREAM,
    &HO_STAGE_EVALUATE,
    &HO_STAGE_REPORT,
    NULL,
};
