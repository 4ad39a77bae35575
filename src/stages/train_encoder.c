/* train-encoder: generator.h5 -> encoder.h5. The encoder learns to regress the latents of generated images; with
 * encoder.weights, that file takes its place. */
#include "encoder_training.h"
#include "stages.h"

/* Everything of encoder. but held_out, which changes the printed errors alone. */
static const char *const KEYS[] = {
    "seed",          "encoder.channels", "encoder.max_channels", "encoder.blocks",     "encoder.iterations",
    "encoder.steps", "encoder.batch",    "encoder.lr",           "encoder.truncation", "encoder.mixing"};

static int list_inputs(ho_run *run, const char *path[HO_TRAINING_INPUTS]) {
    path[0] = ho_run_path(run, "generator.h5");
    return 1;
}

/* Mean squared latent error in units of the latents' spread: 1 is about the error of the mean latent. */
static ho_status latent_loss(ho_encoder_training *t, ho_context *context, ho_tensor *w_plus, ho_tensor **guess,
                             ho_tensor **loss) {
    const double scale = ho_encoder_latent_scale(t->encoder);
    ho_tensor *mse = NULL;
    (void)guess;
    HO_TRY(ho_mse(context, w_plus, t->truth, &mse));
    return ho_add(context, mse, 1.0 / (scale * scale), NULL, 0.0, loss);
}

ho_status ho_encoder_for_training(ho_encoder_training *training) {
    ho_encoder_training *t = training;
    const ho_config *config = ho_run_config(t->run);
    const ho_stylegan2_shape *g = ho_generator_shape(t->generator);
    const char *weights = ho_config_text(config, "encoder.weights");
    ho_encoder_shape published = {0};
    const ho_encoder_shape shape = {.height = g->height,
                                    .width = g->width,
                                    .L = ho_stylegan2_n_ws(g),
                                    .D = g->w_dim,
                                    .channels = ho_config_int(config, "encoder.channels"),
                                    .max_channels = ho_config_int(config, "encoder.max_channels"),
                                    .blocks = ho_config_int(config, "encoder.blocks"),
                                    .iterations = ho_config_int(config, "encoder.iterations")};
    ho_device *device = NULL;
    ho_context *context = NULL;
    double scale = 1.0;
    HO_TRY(ho_run_device(t->run, &device));
    if (weights[0] != '\0' && ho_encoder_file_shape(ho_run_data_path(t->run, weights), &published) == HO_OK &&
        published.body != HO_ENCODER_PLAIN) {
        return ho_encoder_create(device, &published, 0, &t->encoder); /* a rehearsal: its shape is what counts */
    }
    HO_TRY(ho_encoder_create(device, &shape, ho_run_seed(t->run), &t->encoder));
    HO_TRY(ho_context_create(device, &context));
    const ho_status status = ho_latent_scale(context, t->generator, ho_run_seed(t->run), &scale);
    ho_context_free(context);
    HO_TRY(status);
    return ho_encoder_set_latent_scale(t->encoder, scale);
}

const ho_encoder_stage HO_ENCODER_TRAINING = {.name = "train-encoder",
                                              .artefact = "encoder.h5",
                                              .keys = KEYS,
                                              .n_keys = sizeof KEYS / sizeof *KEYS,
                                              .inputs = list_inputs,
                                              .steps = "encoder.steps",
                                              .batch = "encoder.batch",
                                              .lr = "encoder.lr",
                                              .batch_statistics = true,
                                              .make_encoder = ho_encoder_for_training,
                                              .loss = latent_loss};

/* ---- an encoder that somebody else trained ------------------------------------------------------------------------
 */

static const char *const WEIGHTS_KEYS[] = {"encoder.weights"};

/* NULL where there is none. */
static const char *weights_path(ho_run *run) {
    const char *name = ho_config_text(ho_run_config(run), "encoder.weights");
    return name[0] != '\0' ? ho_run_data_path(run, name) : NULL;
}

static ho_status write_copy(ho_run *run, ho_encoder *encoder, const char *input) {
    ho_store *store = NULL;
    HO_TRY(ho_store_create(ho_run_path(run, "encoder.h5"), &store));
    ho_status status = ho_run_record(run, store, "train-encoder", "encoder", 1, WEIGHTS_KEYS, 1, &input);
    status = status == HO_OK ? ho_encoder_write(encoder, store) : status;
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    return status;
}

static ho_status copy_weights(ho_run *run, const char *path) {
    const char *generator = ho_run_path(run, "generator.h5");
    ho_stylegan2_shape shape = {0};
    ho_device *device = NULL;
    ho_encoder *encoder = NULL;
    HO_TRY(ho_run_need(run, path));
    HO_TRY(ho_run_need(run, generator));
    HO_TRY(ho_generator_file_shape(generator, &shape));
    HO_TRY(ho_run_device(run, &device));
    HO_TRY(ho_encoder_load(device, path, &encoder));
    ho_status status = ho_encoder_suits(ho_encoder_shape_of(encoder), &shape);
    if (status != HO_OK) {
        status = ho_fail_context(status, "encoder.weights %s", path);
    }
    status = status == HO_OK ? write_copy(run, encoder, path) : status;
    ho_encoder_free(encoder);
    return status;
}

static ho_status execute(ho_run *run) {
    const char *weights = weights_path(run);
    if (weights != NULL) {
        return copy_weights(run, weights);
    }
    const int64_t batch = ho_config_int(ho_run_config(run), "encoder.batch");
    if (batch < 2) {
        HO_FAIL(HO_ECONFIG, "encoder.batch %lld: batch norm needs at least 2 pairs", (long long)batch);
    }
    return ho_encoder_stage_execute(&HO_ENCODER_TRAINING, run);
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    const char *weights = weights_path(run);
    if (weights != NULL) {
        *is_current =
            ho_run_is_current(run, ho_run_path(run, "encoder.h5"), "train-encoder", 1, WEIGHTS_KEYS, 1, &weights, why);
        return HO_OK;
    }
    return ho_encoder_stage_current(&HO_ENCODER_TRAINING, run, is_current, why);
}

const ho_stage HO_STAGE_TRAIN_ENCODER = {
    "train-encoder", "trains the encoder to find the latents of generated images, or takes encoder.weights", current,
    execute};
