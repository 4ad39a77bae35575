/* What train-encoder and finetune-encoder share: the loop over steps with its checkpoints and records, ReStyle's
 * passes, and the errors on held-out pairs. */
#ifndef HANDSOFF_STAGES_ENCODER_TRAINING_H
#define HANDSOFF_STAGES_ENCODER_TRAINING_H

#include "handsoff/encoder.h"
#include "handsoff/perceptual.h"
#include "handsoff/run.h"
#include "pairs.h"

enum { HO_TRAINING_INPUTS = 3 };
typedef struct ho_encoder_training ho_encoder_training;

/* The loss of one pass, recorded in `context`: w_plus is what the encoder answers; truth and image are the pair. A loss
 * that makes the image of w_plus returns it in *guess, and leaves it alone otherwise. */
typedef ho_status (*ho_encoder_loss)(ho_encoder_training *training, ho_context *context, ho_tensor *w_plus,
                                     ho_tensor **guess, ho_tensor **loss);

/* What the two stages differ in. */
typedef struct {
    const char *name;        /* also the stream of its training pairs                          */
    const char *artefact;    /* name in the run's directory                                    */
    const char *const *keys; /* config keys that the result depends on, for its record         */
    int n_keys;
    int (*inputs)(ho_run *run, const char *path[HO_TRAINING_INPUTS]); /* lists the files that it is made from */
    const char *steps, *batch, *lr;                                   /* config keys                          */
    bool batch_statistics; /* of batch norm; otherwise the running ones are used and kept    */
    ho_status (*make_encoder)(ho_encoder_training *training); /* sets training->encoder, which the loop frees */
    ho_encoder_loss loss;
} ho_encoder_stage;

struct ho_encoder_training {
    ho_run *run;
    const ho_encoder_stage *stage;
    int64_t steps, batch, held_out;
    double lr;
    ho_encoder *encoder;
    ho_generator *generator; /* frozen */
    ho_perceptual *net;
    ho_pairs pairs;
    ho_adam *adam;
    void *graph;                   /* of a step */
    ho_context *lasting, *passing; /* reset once a step; once a pass                     */
    ho_tensor *truth, *image;      /* the pairs of this step, in `lasting`               */
    ho_taps image_taps;            /* features of image, when the loss asked for them    */
    bool has_taps;
    int64_t step; /* steps taken                                        */
    ho_pair_errors before;
};

/* Features of the pair's images, computed at the first call of a step. */
ho_status ho_encoder_training_taps(ho_encoder_training *training, const ho_taps **taps);
/* Measures the encoder on held-out pairs, trains it (from the checkpoint, if there is one of the same config and
 * inputs), measures again, writes the artefact. */
ho_status ho_encoder_stage_execute(const ho_encoder_stage *stage, ho_run *run);
/* Allocates what a run of the stage would, measures the first held-out pairs and takes one step, without files: the
 * caller has set the networks, and frees all. For devices that count (handsoff/dry.h); *flops is set to those of the
 * step. */
ho_status ho_encoder_stage_rehearse(ho_encoder_training *training, double *flops);
void ho_encoder_training_free(ho_encoder_training *training);
/* The stages. */
extern const ho_encoder_stage HO_ENCODER_TRAINING, HO_ENCODER_FINETUNING;
/* Sets training->encoder to a new one of the config's shape, for training->generator. */
ho_status ho_encoder_for_training(ho_encoder_training *training);
/* Whether the artefact is that of the config and the inputs; *why says what is not. */
ho_status ho_encoder_stage_current(const ho_encoder_stage *stage, ho_run *run, bool *is_current, const char **why);

#endif
