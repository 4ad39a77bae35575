/* The loop of the encoder's two trainings. Step i learns from the pairs i * batch .. (i + 1) * batch - 1 of the stage's
 * stream; the state of a checkpoint is the encoder, Adam and the number of steps. */
#include "encoder_training.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "handsoff/dry.h"

enum { CHECKPOINT_STEPS = 200, LOG_STEPS = 10, MAX_PASSES = 64 }; /* encoder.iterations goes to 64 */

ho_status ho_encoder_training_taps(ho_encoder_training *training, const ho_taps **taps) {
    ho_encoder_training *t = training;
    *taps = &t->image_taps;
    if (!t->has_taps) {
        ho_tensor *fitted = NULL;
        HO_TRY(ho_perceptual_fit(t->lasting, t->net, t->image, &fitted));
        HO_TRY(ho_perceptual_features(t->lasting, t->net, fitted, &t->image_taps));
        t->has_taps = true;
    }
    return HO_OK;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

static const char *checkpoint_path(ho_encoder_training *t) {
    return ho_run_path(t->run, "checkpoints/%s.h5", t->stage->name);
}

static ho_status write_state(ho_encoder_training *t, ho_store *store) {
    int64_t count = 0;
    ho_params *params = ho_encoder_params(t->encoder);
    ho_params_values(params, &count);
    float *moments = malloc(sizeof(float) * 2 * (size_t)count + 1);
    if (moments == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for a checkpoint of %lld parameters", t->stage->name, (long long)count);
    }
    const int64_t counters[2] = {t->step, ho_adam_steps(t->adam)};
    const double before[3] = {t->before.latent, t->before.lpips, t->before.mse};
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_store_write_params(store, "encoder/", params));
    HO_TRY_DONE(ho_store_write(store, "counters", HO_I64, HO_SHAPE(2), counters));
    HO_TRY_DONE(ho_store_write(store, "before", HO_F64, HO_SHAPE(3), before));
    HO_TRY_DONE(ho_adam_get(t->adam, moments, moments + count));
    status = ho_store_write(store, "adam", HO_F32, HO_SHAPE(2, count), moments);
done:
    free(moments);
    return status;
}

static ho_status read_state(ho_encoder_training *t, ho_store *store) {
    int64_t count = 0, counters[2] = {0, 0};
    double before[3];
    ho_params_values(ho_encoder_params(t->encoder), &count);
    float *moments = malloc(sizeof(float) * 2 * (size_t)count + 1);
    if (moments == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for a checkpoint of %lld parameters", t->stage->name, (long long)count);
    }
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_encoder_read_params(t->encoder, store, "encoder/"));
    HO_TRY_DONE(ho_store_read(store, "counters", HO_I64, HO_SHAPE(2), counters));
    HO_TRY_DONE(ho_store_read(store, "before", HO_F64, HO_SHAPE(3), before));
    HO_TRY_DONE(ho_store_read(store, "adam", HO_F32, HO_SHAPE(2, count), moments));
    HO_TRY_DONE(ho_adam_set(t->adam, counters[1], moments, moments + count));
    t->step = counters[0];
    t->before = (ho_pair_errors){before[0], before[1], before[2]};
done:
    free(moments);
    return status;
}

static ho_status write_store(ho_encoder_training *t, const char *path, const char *kind, bool state) {
    const char *inputs[HO_TRAINING_INPUTS];
    ho_store *store = NULL;
    HO_TRY(ho_store_create(path, &store));
    const int n_inputs = t->stage->inputs(t->run, inputs);
    ho_status status =
        ho_run_record(t->run, store, t->stage->name, kind, t->stage->n_keys, t->stage->keys, n_inputs, inputs);
    if (status == HO_OK) {
        status = state ? write_state(t, store) : ho_encoder_write(t->encoder, store);
    }
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    return status;
}

/* True in *resumed when a checkpoint was there and is loaded. */
static ho_status resume(ho_encoder_training *t, bool *resumed) {
    const char *path = checkpoint_path(t), *why = "", *inputs[HO_TRAINING_INPUTS];
    const int n_inputs = t->stage->inputs(t->run, inputs);
    *resumed = false;
    if (access(path, F_OK) != 0) {
        return ho_run_log_restart(t->run, t->stage->name, "step", 0.0);
    }
    if (!ho_run_is_current(t->run, path, t->stage->name, t->stage->n_keys, t->stage->keys, n_inputs, inputs, &why)) {
        ho_run_say(t->run, "%s: starts anew: %s", t->stage->name, why);
        return ho_run_log_restart(t->run, t->stage->name, "step", 0.0);
    }
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = read_state(t, store);
    ho_store_close(store);
    HO_TRY(status);
    ho_run_say(t->run, "%s: goes on from step %lld", t->stage->name, (long long)t->step);
    *resumed = true;
    return ho_run_log_restart(t->run, t->stage->name, "step", (double)t->step + 0.5);
}

/* ---- errors on held-out pairs ------------------------------------------------------------------------------------ */

static ho_status measure(ho_encoder_training *t, const char *when, ho_pair_errors *errors) {
    ho_pairs held_out = t->pairs;
    held_out.stream = "encoder/held-out";
    HO_TRY(ho_pairs_errors(t->passing, &held_out, t->encoder, t->net, t->held_out, errors));
    if (!isfinite(errors->latent) || !isfinite(errors->lpips) || !isfinite(errors->mse)) {
        HO_FAIL(HO_ENUMERIC, "%s: the errors on held-out pairs are not finite (latent %g, LPIPS %g, MSE %g)",
                t->stage->name, errors->latent, errors->lpips, errors->mse);
    }
    ho_run_log(t->run, t->stage->name, "step", (double)t->step, "held_out_latent", errors->latent, "held_out_lpips",
               errors->lpips, "held_out_mse", errors->mse, NULL);
    ho_run_say(t->run, "%s: %s, %lld held-out pairs: latent error %.4f  LPIPS %.4f  MSE %.5f", t->stage->name, when,
               (long long)t->held_out, errors->latent, errors->lpips, errors->mse);
    return ho_metrics_inversion(t->run, t->stage->name, when, errors->lpips, errors->mse, errors->latent);
}

/* ---- one step ---------------------------------------------------------------------------------------------------- */

/* A copy of `tensor` in t->lasting: passes are detached from one another. */
static ho_status keep(ho_encoder_training *t, const ho_tensor *tensor, ho_tensor **copy) {
    HO_TRY(ho_tensor_like(t->lasting, tensor, copy));
    return ho_device_copy(ho_context_device(t->lasting), (*copy)->data, tensor->data, ho_tensor_bytes(tensor));
}

/* One pass from *latent and *current, which become those of the next pass; *loss lasts as they do. */
static ho_status pass(ho_encoder_training *t, bool last, ho_tensor **latent, ho_tensor **current, ho_tensor **loss) {
    ho_tensor *w_plus = NULL, *guess = NULL, *passing_loss = NULL;
    ho_context_reset(t->passing);
    ho_context_record(t->passing, true);
    HO_TRY(ho_encoder_pass(t->passing, t->encoder, t->image, *current, *latent, t->stage->batch_statistics, &w_plus));
    HO_TRY(t->stage->loss(t, t->passing, w_plus, &guess, &passing_loss));
    HO_TRY(keep(t, passing_loss, loss));
    HO_TRY(ho_backward(t->passing, passing_loss));
    ho_context_record(t->passing, false);
    if (last) {
        return HO_OK;
    }
    if (guess == NULL) {
        HO_TRY(ho_generator_synthesize(t->passing, t->generator, w_plus, NULL, NULL, &guess));
    }
    HO_TRY(keep(t, w_plus, latent));
    return keep(t, guess, current);
}

/* Everything of a step but the reading of its losses, one a pass. */
static ho_status learn(ho_encoder_training *t, int64_t iterations, ho_tensor *losses[]) {
    const double pi = 3.14159265358979323846, done = (double)t->step / (double)t->steps;
    const ho_adam_options adam = {t->lr * 0.5 * (1.0 + cos(pi * done)), 0.9, 0.999, 1e-8, 0.0};
    ho_tensor *latent = NULL, *current = NULL;
    HO_TRY(ho_pairs_draw(t->lasting, &t->pairs, t->step * t->batch, t->batch, &t->truth, &t->image));
    HO_TRY(ho_encoder_start(t->lasting, t->encoder, t->generator, t->batch, &latent, iterations > 1 ? &current : NULL));
    for (int64_t i = 0; i < iterations; ++i) {
        const ho_status status = pass(t, i + 1 == iterations, &latent, &current, &losses[i]);
        ho_context_record(t->passing, false);
        HO_TRY(status);
    }
    return ho_adam_step(t->adam, &adam, 1.0);
}

static ho_status take_step(ho_encoder_training *t, double *loss) {
    const int64_t iterations = ho_encoder_shape_of(t->encoder)->iterations;
    ho_device *device = ho_context_device(t->lasting);
    ho_tensor *losses[MAX_PASSES] = {NULL};
    ho_context_reset(t->lasting);
    t->has_taps = false;
    HO_TRY(ho_device_record_begin(device, &t->graph));
    HO_TRY(ho_device_record_end(device, &t->graph, learn(t, iterations, losses)));
    *loss = 0.0;
    for (int64_t i = 0; i < iterations; ++i) {
        double part = 0.0;
        HO_TRY(ho_tensor_scalar(t->lasting, losses[i], &part));
        *loss += part / (double)iterations;
    }
    if (!isfinite(*loss)) {
        HO_FAIL(HO_ENUMERIC, "%s: the loss of step %lld is %g: lower the step size", t->stage->name, (long long)t->step,
                *loss);
    }
    ++t->step;
    return HO_OK;
}

static ho_status train(ho_encoder_training *t) {
    while (t->step < t->steps) {
        double loss = 0.0;
        HO_TRY(take_step(t, &loss));
        ho_run_progress(t->run, t->stage->name, t->step, t->steps, "steps", "loss %.4f", loss);
        if (t->step % LOG_STEPS == 0 || t->step == t->steps) {
            ho_run_log(t->run, t->stage->name, "step", (double)t->step, "loss", loss, NULL);
        }
        const bool stop = ho_run_interrupted();
        if (stop || (t->step % CHECKPOINT_STEPS == 0 && t->step < t->steps)) {
            HO_TRY(write_store(t, checkpoint_path(t), "checkpoint", true));
        }
        if (stop) {
            HO_FAIL(HO_EINTERRUPT, "stopped after step %lld of %lld", (long long)t->step, (long long)t->steps);
        }
    }
    return HO_OK;
}

/* ---- a stage ----------------------------------------------------------------------------------------------------- */

/* generator.h5, frozen, and the LPIPS network of the config. */
static ho_status open_networks(ho_encoder_training *t) {
    const ho_config *config = ho_run_config(t->run);
    const char *generator = ho_run_path(t->run, "generator.h5");
    const char *net = ho_run_data_path(t->run, ho_config_text(config, "perceptual.weights"));
    ho_device *device = NULL;
    HO_TRY(ho_run_need(t->run, generator));
    HO_TRY(ho_run_need(t->run, net));
    HO_TRY(ho_run_device(t->run, &device));
    HO_TRY(ho_generator_load(device, generator, &t->generator));
    ho_params_set_trainable(ho_generator_params(t->generator), false);
    HO_TRY(ho_params_hold(ho_generator_params(t->generator), true));
    HO_TRY(ho_perceptual_load(device, net, &t->net));
    t->pairs = (ho_pairs){t->generator, ho_run_seed(t->run), t->stage->name,
                          ho_config_real(config, "encoder.truncation"), ho_config_real(config, "encoder.mixing")};
    return HO_OK;
}

void ho_encoder_training_free(ho_encoder_training *training) {
    ho_encoder_training *t = training;
    if (t->lasting != NULL) {
        ho_device_graph_free(ho_context_device(t->lasting), t->graph);
    }
    ho_adam_free(t->adam);
    ho_context_free(t->passing);
    ho_context_free(t->lasting);
    ho_encoder_free(t->encoder);
    ho_perceptual_free(t->net);
    ho_generator_free(t->generator);
}

/* Measures, trains (from the checkpoint, if there is one of the same config and inputs), measures again, writes the
 * artefact. */
static ho_status run_all(ho_encoder_training *t) {
    ho_device *device = NULL;
    bool resumed = false;
    ho_pair_errors after;
    HO_TRY(ho_run_device(t->run, &device));
    HO_TRY(ho_context_create(device, &t->lasting));
    HO_TRY(ho_context_create(device, &t->passing));
    HO_TRY(ho_adam_create(ho_encoder_params(t->encoder), &t->adam));
    HO_TRY(resume(t, &resumed));
    if (!resumed) {
        HO_TRY(measure(t, "before", &t->before));
    }
    HO_TRY(train(t));
    HO_TRY(measure(t, "after", &after));
    HO_TRY(write_store(t, ho_run_path(t->run, "%s", t->stage->artefact), "encoder", false));
    (void)unlink(checkpoint_path(t));
    return HO_OK;
}

ho_status ho_encoder_stage_execute(const ho_encoder_stage *stage, ho_run *run) {
    const ho_config *config = ho_run_config(run);
    ho_encoder_training t = {.run = run,
                             .stage = stage,
                             .steps = ho_config_int(config, stage->steps),
                             .batch = ho_config_int(config, stage->batch),
                             .held_out = ho_config_int(config, "encoder.held_out"),
                             .lr = ho_config_real(config, stage->lr)};
    ho_status status = HO_OK;
    HO_TRY_DONE(open_networks(&t));
    HO_TRY_DONE(stage->make_encoder(&t));
    status = run_all(&t);
done:
    ho_encoder_training_free(&t);
    return status;
}

ho_status ho_encoder_stage_rehearse(ho_encoder_training *training, double *flops) {
    ho_encoder_training *t = training;
    ho_device *device = NULL;
    ho_pair_errors errors;
    double loss = 0.0;
    HO_TRY(ho_run_device(t->run, &device));
    HO_TRY(ho_context_create(device, &t->lasting));
    HO_TRY(ho_context_create(device, &t->passing));
    HO_TRY(ho_adam_create(ho_encoder_params(t->encoder), &t->adam));
    HO_TRY(ho_pairs_errors(t->passing, &t->pairs, t->encoder, t->net, t->held_out, &errors));
    ho_device_dry_restart(device);
    HO_TRY(take_step(t, &loss));
    *flops = ho_device_dry_count(device).flops;
    return HO_OK;
}

ho_status ho_encoder_stage_current(const ho_encoder_stage *stage, ho_run *run, bool *is_current, const char **why) {
    const char *inputs[HO_TRAINING_INPUTS];
    const int n = stage->inputs(run, inputs);
    *is_current = ho_run_is_current(run, ho_run_path(run, "%s", stage->artefact), stage->name, stage->n_keys,
                                    stage->keys, n, inputs, why);
    return HO_OK;
}
