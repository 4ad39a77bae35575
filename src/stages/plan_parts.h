/* What the files of the plan (handsoff/plan.h) share. */
#ifndef HANDSOFF_STAGES_PLAN_PARTS_H
#define HANDSOFF_STAGES_PLAN_PARTS_H

#include "handsoff/dry.h"
#include "handsoff/encoder.h"
#include "handsoff/gan_trainer.h"
#include "handsoff/label_head.h"
#include "handsoff/perceptual.h"
#include "handsoff/plan.h"

/* The data set: counted where it is, else as published. */
typedef struct {
    int64_t n_train, n_test, n_unlabelled, n_classes, size;
    bool depth;
} ho_plan_data;
ho_status ho_plan_data_of(ho_run *run, ho_plan_data *data);
double ho_plan_data_bytes(const ho_plan_data *data); /* of dataset.h5 in memory, and on disk before compression */

/* A stage on a device that counts. */
typedef struct {
    ho_run *run; /* its device is the one that counts */
    ho_device *device;
    const ho_config *config;
    ho_plan_data data;
    ho_stylegan2_shape shape; /* of the generator */
} ho_plan_case;

/* What a rehearsal tells beside the device's own counts. */
typedef struct {
    double arrays; /* bytes that the stage keeps on the host                       */
    double disk;   /* bytes                                                        */
    double flops;  /* of the whole stage                                           */
    double busy;   /* seconds of host work (files, pictures) on the machine of HO_PLAN_MACHINE */
} ho_plan_sums;

typedef ho_status (*ho_plan_rehearsal)(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_import(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_gan(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_encoder(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_finetune(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_invert(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_head(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_generate(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_downstream(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_evaluate(const ho_plan_case *c, ho_plan_sums *sums);
ho_status ho_plan_report(const ho_plan_case *c, ho_plan_sums *sums);

/* The largest number in `labelled`; how many there are, and their sum. */
int64_t ho_plan_labelled(const ho_config *config, int64_t *sum);
/* Frozen and held, as the stages load it. */
ho_status ho_plan_generator(const ho_plan_case *c, ho_generator **generator);
/* The LPIPS network of the config, or VGG16 while the file is not there. */
ho_status ho_plan_perceptual(const ho_plan_case *c, ho_perceptual **net);
double ho_plan_parameter_bytes(const ho_params *params);
/* Of train_gan.c: the options of the config. */
void ho_gan_options_of(const ho_config *c, uint64_t seed, ho_gan_options *o);

/* Prints what is missing for the stages that will run (runs[i] of HO_STAGES), and where to get it; *n counts them. */
void ho_plan_missing(ho_run *run, const bool *runs, bool force, FILE *out, int *n);

#endif
