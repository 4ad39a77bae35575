/* Latent refinement. Two contexts: one is reset at every step, the other keeps what the whole batch needs - the target,
 * its features, the start. */
#include "handsoff/refine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double ho_refine_lr(const ho_refine_options *options, int64_t k) {
    const double pi = 3.14159265358979323846, t = (double)k / (double)options->steps;
    const double rise = options->lr_rampup > 0.0 ? fmin(1.0, t / options->lr_rampup) : 1.0;
    const double fall = options->lr_rampdown > 0.0 ? fmin(1.0, (1.0 - t) / options->lr_rampdown) : 1.0;
    return options->lr * rise * (0.5 - 0.5 * cos(pi * fall));
}

typedef struct {
    ho_generator *generator;
    ho_perceptual *net;
    const ho_refine_options *options;
    const ho_refine_job *job;
    int64_t N, latent_count; /* images; elements of one latent */
    ho_context *lasting, *step;
    ho_tensor *target, *w_init;
    ho_taps target_taps;
    ho_params *params;
    ho_tensor *w; /* the only parameter */
    ho_adam *adam;
    void *graph;
    float *w_host, *lpips, *mse; /* of the present iterate */
    double *best_loss;
} refinement;

typedef struct {
    ho_tensor *image, *lpips, *mse, *distance; /* mse over [-1, 1]: four times that over [0, 1] */
} iterate;

static ho_status prepare(refinement *r, ho_device *device) {
    const ho_stylegan2_shape *s = ho_generator_shape(r->generator);
    const int64_t L = ho_stylegan2_n_ws(s), D = s->w_dim, N = r->N;
    ho_tensor *fitted = NULL;
    r->latent_count = L * D;
    r->w_host = malloc(sizeof(float) * (size_t)(N * r->latent_count));
    r->lpips = malloc(sizeof(float) * (size_t)N);
    r->mse = malloc(sizeof(float) * (size_t)N);
    r->best_loss = malloc(sizeof(double) * (size_t)N);
    if (r->w_host == NULL || r->lpips == NULL || r->mse == NULL || r->best_loss == NULL) {
        HO_FAIL(HO_EMEMORY, "refinement: no memory for %lld images", (long long)N);
    }
    HO_TRY(ho_context_create(device, &r->lasting));
    HO_TRY(ho_context_create(device, &r->step));
    HO_TRY(ho_tensor_from_host(r->lasting, r->job->target, HO_SHAPE(N, s->height, s->width, 3), &r->target));
    HO_TRY(ho_tensor_from_host(r->lasting, r->job->w_init, HO_SHAPE(N, L, D), &r->w_init));
    HO_TRY(ho_perceptual_fit(r->lasting, r->net, r->target, &fitted));
    HO_TRY(ho_perceptual_features(r->lasting, r->net, fitted, &r->target_taps));
    HO_TRY(ho_params_create(device, &r->params));
    HO_TRY(ho_params_add(r->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(N, L, D), &r->w, "w_plus"));
    HO_TRY(ho_params_commit(r->params, 0));
    HO_TRY(ho_param_set(r->params, ho_params_at(r->params, 0), r->job->w_init));
    return ho_adam_create(r->params, &r->adam);
}

static void release(refinement *r) {
    if (r->step != NULL) {
        ho_device_graph_free(ho_context_device(r->step), r->graph);
    }
    ho_adam_free(r->adam);
    ho_params_free(r->params);
    ho_context_free(r->step);
    ho_context_free(r->lasting);
    free(r->w_host);
    free(r->lpips);
    free(r->mse);
    free(r->best_loss);
}

/* The image of w and its distances. */
static ho_status evaluate(refinement *r, iterate *at) {
    ho_taps taps = {0};
    ho_tensor *fitted = NULL;
    HO_TRY(ho_generator_synthesize(r->step, r->generator, r->w, NULL, NULL, &at->image));
    HO_TRY(ho_perceptual_fit(r->step, r->net, at->image, &fitted));
    HO_TRY(ho_perceptual_features(r->step, r->net, fitted, &taps));
    HO_TRY(ho_perceptual_distance(r->step, r->net, &taps, &r->target_taps, &at->lpips));
    HO_TRY(ho_mse_per_sample(r->step, at->image, r->target, &at->mse));
    return ho_mse_per_sample(r->step, r->w, r->w_init, &at->distance);
}

static ho_status differentiate(refinement *r, const iterate *at) {
    const ho_refine_options *o = r->options;
    ho_tensor *pixels = NULL, *all = NULL, *loss = NULL;
    HO_TRY(ho_add(r->step, at->lpips, o->lpips, at->mse, 0.25 * o->mse, &pixels));
    HO_TRY(ho_add(r->step, pixels, 1.0, at->distance, o->latent, &all));
    HO_TRY(ho_sum(r->step, all, 1.0, &loss));
    return ho_backward(r->step, loss);
}

/* Keeps what is better than everything before; iterate 0 is the start. */
static ho_status judge(refinement *r, const iterate *at, int64_t number, double *mean) {
    const ho_refine_job *job = r->job;
    HO_TRY(ho_tensor_to_host(r->step, at->lpips, r->lpips));
    HO_TRY(ho_tensor_to_host(r->step, at->mse, r->mse));
    HO_TRY(ho_param_get(r->params, ho_params_at(r->params, 0), r->w_host));
    *mean = 0.0;
    for (int64_t n = 0; n < r->N; ++n) {
        r->mse[n] *= 0.25F;
        const double loss = r->options->lpips * (double)r->lpips[n] + r->options->mse * (double)r->mse[n];
        *mean += loss / (double)r->N;
        if (number == 0) {
            if (!isfinite(loss)) {
                HO_FAIL(HO_ENUMERIC, "refinement: the loss of image %lld at its start latent is %g", (long long)n,
                        loss);
            }
            job->lpips_before[n] = r->lpips[n];
            job->mse_before[n] = r->mse[n];
        }
        if (number == 0 || loss < r->best_loss[n]) {
            const int64_t M = r->latent_count;
            memcpy(job->w_plus + n * M, r->w_host + n * M, sizeof(float) * (size_t)M);
            job->lpips_after[n] = r->lpips[n];
            job->mse_after[n] = r->mse[n];
            job->best[n] = number;
            r->best_loss[n] = loss;
        }
    }
    return HO_OK;
}

/* Update k makes iterate k; k == 0 only judges the last iterate. */
static ho_status take_step(refinement *r, int64_t number, int64_t k, double *mean) {
    const ho_adam_options adam = {ho_refine_lr(r->options, k), 0.9, 0.999, 1e-8, 0.0};
    ho_device *device = ho_context_device(r->step);
    iterate at = {0};
    ho_context_reset(r->step);
    HO_TRY(ho_device_record_begin(device, &r->graph));
    ho_context_record(r->step, k > 0);
    ho_status status = evaluate(r, &at);
    if (status == HO_OK && k > 0) {
        status = differentiate(r, &at);
    }
    ho_context_record(r->step, false);
    HO_TRY(ho_device_record_end(device, &r->graph, status));
    HO_TRY(judge(r, &at, number, mean));
    return k > 0 ? ho_adam_step(r->adam, &adam, 1.0) : HO_OK;
}

/* Images of the latents that were kept. */
static ho_status reconstruct(refinement *r) {
    ho_tensor *image = NULL;
    ho_context_reset(r->step);
    HO_TRY(ho_param_set(r->params, ho_params_at(r->params, 0), r->job->w_plus));
    HO_TRY(ho_generator_synthesize(r->step, r->generator, r->w, NULL, NULL, &image));
    return ho_tensor_to_host(r->step, image, r->job->reconstruction);
}

static ho_status refine(refinement *r, ho_refine_progress progress, void *user) {
    double mean = 0.0;
    for (int64_t k = 1; k < r->options->steps; ++k) {
        HO_TRY(take_step(r, k - 1, k, &mean));
        if (progress != NULL && !progress(user, k, mean)) {
            HO_FAIL(HO_EINTERRUPT, "refinement stopped at step %lld of %lld", (long long)k,
                    (long long)r->options->steps);
        }
    }
    HO_TRY(take_step(r, r->options->steps > 0 ? r->options->steps - 1 : 0, 0, &mean));
    return reconstruct(r);
}

ho_status ho_refine(ho_device *device, ho_generator *generator, ho_perceptual *net, const ho_refine_options *options,
                    int64_t N, const ho_refine_job *job, ho_refine_progress progress, void *user) {
    HO_REQUIRE(N >= 1, "refinement: %lld images", (long long)N);
    refinement r = {.generator = generator, .net = net, .options = options, .job = job, .N = N};
    ho_status status = prepare(&r, device);
    if (status == HO_OK) {
        status = refine(&r, progress, user);
    }
    release(&r);
    return status;
}
