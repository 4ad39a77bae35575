/* train-encoder: generator.h5 -> encoder.h5. The encoder learns to regress the latents of generated images. */
#include "encoder_training.h"
#include "stages.h"

static const char *const STAGE = "train-encoder";
/* Everything of encoder. but held_out, which changes the printed errors alone. */
static const char *const KEYS[] = {
    "seed",          "encoder.channels", "encoder.max_channels", "encoder.blocks",     "encoder.iterations",
    "encoder.steps", "encoder.batch",    "encoder.lr",           "encoder.truncation", "encoder.mixing"};
enum { N_KEYS = sizeof KEYS / sizeof *KEYS };

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

static ho_status create_encoder(ho_encoder_training *t) {
    const ho_config *config = ho_run_config(t->run);
    const ho_stylegan2_shape *g = ho_generator_shape(t->generator);
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
    HO_TRY(ho_encoder_create(device, &shape, ho_run_seed(t->run), &t->encoder));
    HO_TRY(ho_context_create(device, &context));
    const ho_status status = ho_latent_scale(context, t->generator, ho_run_seed(t->run), &scale);
    ho_context_free(context);
    HO_TRY(status);
    return ho_encoder_set_latent_scale(t->encoder, scale);
}

static ho_status execute(ho_run *run) {
    const ho_config *config = ho_run_config(run);
    ho_encoder_training t = {.run = run,
                             .stage = STAGE,
                             .artefact = "encoder.h5",
                             .keys = KEYS,
                             .n_keys = N_KEYS,
                             .inputs = list_inputs,
                             .stream = "train-encoder",
                             .steps = ho_config_int(config, "encoder.steps"),
                             .batch = ho_config_int(config, "encoder.batch"),
                             .held_out = ho_config_int(config, "encoder.held_out"),
                             .lr = ho_config_real(config, "encoder.lr"),
                             .batch_statistics = true,
                             .loss = latent_loss};
    ho_status status = HO_OK;
    if (t.batch < 2) {
        HO_FAIL(HO_ECONFIG, "encoder.batch %lld: batch norm needs at least 2 pairs", (long long)t.batch);
    }
    HO_TRY_DONE(ho_encoder_training_open(&t));
    HO_TRY_DONE(create_encoder(&t));
    status = ho_encoder_training_run(&t);
done:
    ho_encoder_training_free(&t);
    return status;
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    const char *inputs[HO_TRAINING_INPUTS];
    const int n = list_inputs(run, inputs);
    *is_current = ho_run_is_current(run, ho_run_path(run, "encoder.h5"), STAGE, N_KEYS, KEYS, n, inputs, why);
    return HO_OK;
}

const ho_stage HO_STAGE_TRAIN_ENCODER = {STAGE, "trains the encoder to find the latents of generated images", current,
                                         execute};
