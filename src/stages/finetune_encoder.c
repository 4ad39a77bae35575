/* finetune-encoder: encoder.h5 -> encoder_finetuned.h5. The encoder learns, for at most finetune.cap steps, to answer
 * with latents whose images look like the images of the true latents; the generator stays as it is. Batch norm keeps
 * the statistics of train-encoder: what is fine-tuned is then what is used. */
#include "encoder_training.h"
#include "stages.h"

static const char *const KEYS[] = {"seed", "finetune.", "encoder.truncation", "encoder.mixing"};

static int list_inputs(ho_run *run, const char *path[HO_TRAINING_INPUTS]) {
    path[0] = ho_run_path(run, "encoder.h5");
    path[1] = ho_run_path(run, "generator.h5");
    path[2] = ho_run_data_path(run, ho_config_text(ho_run_config(run), "perceptual.weights"));
    return 3;
}

/* finetune.lpips * LPIPS + finetune.mse * squared pixel error (images in [0, 1]) + finetune.latent * squared latent
 * error. */
static ho_status image_loss(ho_encoder_training *t, ho_context *context, ho_tensor *w_plus, ho_tensor **guess,
                            ho_tensor **loss) {
    const ho_config *config = ho_run_config(t->run);
    const double N = (double)t->batch, mse_weight = 0.25 * ho_config_real(config, "finetune.mse");
    ho_tensor *fitted = NULL, *lpips = NULL, *mean = NULL, *mse = NULL, *sum = NULL, *latent = NULL;
    ho_taps taps = {0};
    const ho_taps *truth = NULL;
    HO_TRY(ho_encoder_training_taps(t, &truth));
    HO_TRY(ho_generator_synthesize(context, t->generator, w_plus, NULL, NULL, guess));
    HO_TRY(ho_perceptual_fit(context, t->net, *guess, &fitted));
    HO_TRY(ho_perceptual_features(context, t->net, fitted, &taps));
    HO_TRY(ho_perceptual_distance(context, t->net, &taps, truth, &lpips));
    HO_TRY(ho_sum(context, lpips, ho_config_real(config, "finetune.lpips") / N, &mean));
    HO_TRY(ho_mse(context, *guess, t->image, &mse));
    HO_TRY(ho_add(context, mean, 1.0, mse, mse_weight, &sum));
    HO_TRY(ho_mse(context, w_plus, t->truth, &latent));
    return ho_add(context, sum, 1.0, latent, ho_config_real(config, "finetune.latent"), loss);
}

static ho_status open_encoder(ho_encoder_training *t) {
    const char *path = ho_run_path(t->run, "encoder.h5");
    ho_device *device = NULL;
    HO_TRY(ho_run_need(t->run, path));
    HO_TRY(ho_run_device(t->run, &device));
    HO_TRY(ho_encoder_load(device, path, &t->encoder));
    if (ho_encoder_suits(ho_encoder_shape_of(t->encoder), ho_generator_shape(t->generator)) != HO_OK) {
        HO_FAIL(HO_EFORMAT, "%s was made for another generator than generator.h5: run train-encoder again", path);
    }
    return HO_OK;
}

const ho_encoder_stage HO_ENCODER_FINETUNING = {.name = "finetune-encoder",
                                                .artefact = "encoder_finetuned.h5",
                                                .keys = KEYS,
                                                .n_keys = sizeof KEYS / sizeof *KEYS,
                                                .inputs = list_inputs,
                                                .steps = "finetune.cap",
                                                .batch = "finetune.batch",
                                                .lr = "finetune.lr",
                                                .batch_statistics = false,
                                                .make_encoder = open_encoder,
                                                .loss = image_loss};

static ho_status execute(ho_run *run) {
    return ho_encoder_stage_execute(&HO_ENCODER_FINETUNING, run);
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    return ho_encoder_stage_current(&HO_ENCODER_FINETUNING, run, is_current, why);
}

const ho_stage HO_STAGE_FINETUNE_ENCODER = {
    "finetune-encoder",
    "fine-tunes the encoder by LPIPS between true and predicted image, for a capped number of steps", current, execute};
