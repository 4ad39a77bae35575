/* Generated pairs: latents from Philox streams, images from the generator. */
#include "pairs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "handsoff/random.h"

enum { MEASURE_BATCH = 16, SCALE_DRAWS = 4096, SCALE_BATCH = 512 };

/* w (N, D) of the draws first .. first + N - 1 of a stream. */
static ho_status draw_w(ho_context *context, const ho_pairs *pairs, const char *stream, int64_t first, int64_t N,
                        ho_tensor **w) {
    const int64_t Z = ho_generator_shape(pairs->generator)->z_dim;
    ho_tensor *z = NULL, *whole = NULL;
    HO_TRY(ho_tensor_new(context, HO_SHAPE(N, Z), &z));
    HO_TRY(ho_fill_normal(context, z, pairs->seed, ho_stream_id(stream), (uint64_t)(first * Z), 0.0, 1.0));
    HO_TRY(ho_generator_map(context, pairs->generator, z, &whole));
    HO_TRY(ho_generator_truncate(context, pairs->generator, whole, pairs->truncation, w));
    ho_tensor_release(context, whole);
    ho_tensor_release(context, z);
    return HO_OK;
}

/* cut[n]: the first row that comes from the second w, L where none does. True when one does. */
static bool draw_cuts(const ho_pairs *pairs, const char *stream, int64_t first, int64_t N, int64_t *cut) {
    const int64_t L = ho_stylegan2_n_ws(ho_generator_shape(pairs->generator));
    const uint64_t id = ho_stream_id(stream);
    bool any = false;
    for (int64_t n = 0; n < N; ++n) {
        const uint64_t draw = 2 * (uint64_t)(first + n);
        const bool mix = ho_uniform(pairs->seed, id, draw) < pairs->mixing;
        cut[n] = mix ? 1 + ho_uniform_int(pairs->seed, id, draw + 1, L - 1) : L;
        any = any || mix;
    }
    return any;
}

static ho_status draw_latents(ho_context *context, const ho_pairs *pairs, int64_t first, int64_t N,
                              ho_tensor **w_plus) {
    const int64_t L = ho_stylegan2_n_ws(ho_generator_shape(pairs->generator));
    char stream[3][96];
    void *cut = NULL;
    ho_tensor *w = NULL, *w_mix = NULL, *rows = NULL;
    snprintf(stream[0], sizeof stream[0], "%s/z", pairs->stream);
    snprintf(stream[1], sizeof stream[1], "%s/z-mix", pairs->stream);
    snprintf(stream[2], sizeof stream[2], "%s/cut", pairs->stream);
    HO_TRY(draw_w(context, pairs, stream[0], first, N, &w));
    HO_TRY(ho_w_to_w_plus(context, w, L, w_plus));
    HO_TRY(ho_host_scratch(context, sizeof(int64_t) * (size_t)N, &cut));
    if (draw_cuts(pairs, stream[2], first, N, cut)) {
        HO_TRY(draw_w(context, pairs, stream[1], first, N, &w_mix));
        HO_TRY(ho_w_to_w_plus(context, w_mix, L, &rows));
        HO_TRY(ho_mix_rows(context, *w_plus, rows, cut, w_plus));
    }
    return HO_OK;
}

ho_status ho_pairs_draw(ho_context *context, const ho_pairs *pairs, int64_t first, int64_t N, ho_tensor **w_plus,
                        ho_tensor **image) {
    const bool recording = ho_context_recording(context);
    ho_context_record(context, false);
    ho_status status = draw_latents(context, pairs, first, N, w_plus);
    if (status == HO_OK && image != NULL) {
        status = ho_generator_synthesize(context, pairs->generator, *w_plus, NULL, NULL, image);
    }
    ho_context_record(context, recording);
    return status;
}

ho_status ho_latent_scale(ho_context *context, ho_generator *generator, uint64_t seed, double *scale) {
    const ho_pairs plain = {generator, seed, "encoder/scale", 1.0, 0.0};
    double sum = 0.0;
    for (int64_t first = 0; first < SCALE_DRAWS; first += SCALE_BATCH) {
        ho_tensor *w = NULL, *centre = NULL, *mse = NULL;
        double value = 0.0;
        ho_context_reset(context);
        HO_TRY(draw_w(context, &plain, plain.stream, first, SCALE_BATCH, &w));
        HO_TRY(ho_generator_truncate(context, generator, w, 0.0, &centre));
        HO_TRY(ho_mse(context, w, centre, &mse));
        HO_TRY(ho_tensor_scalar(context, mse, &value));
        sum += value * SCALE_BATCH / SCALE_DRAWS;
    }
    ho_context_reset(context);
    if (!isfinite(sum)) {
        HO_FAIL(HO_ENUMERIC, "the generator's mapping answers with numbers that are not finite");
    }
    *scale = sum > 0.0 ? sqrt(sum) : 1.0;
    return HO_OK;
}

/* Adds the sums over N pairs. */
static ho_status add_errors(ho_context *context, const ho_pairs *pairs, ho_encoder *encoder, ho_perceptual *net,
                            int64_t first, int64_t N, ho_pair_errors *sum) {
    ho_tensor *w_plus = NULL, *image = NULL, *w_guess = NULL, *guess = NULL, *a = NULL, *b = NULL, *lpips = NULL;
    ho_tensor *value[3] = {NULL};
    double number[3];
    ho_context_reset(context);
    HO_TRY(ho_pairs_draw(context, pairs, first, N, &w_plus, &image));
    HO_TRY(ho_encoder_invert(context, encoder, pairs->generator, image, &w_guess));
    HO_TRY(ho_generator_synthesize(context, pairs->generator, w_guess, NULL, NULL, &guess));
    HO_TRY(ho_perceptual_fit(context, net, image, &a));
    HO_TRY(ho_perceptual_fit(context, net, guess, &b));
    HO_TRY(ho_lpips(context, net, a, b, &lpips));
    HO_TRY(ho_mse(context, w_plus, w_guess, &value[0]));
    HO_TRY(ho_sum(context, lpips, 1.0 / (double)N, &value[1]));
    HO_TRY(ho_mse(context, image, guess, &value[2]));
    for (int i = 0; i < 3; ++i) {
        HO_TRY(ho_tensor_scalar(context, value[i], &number[i]));
    }
    sum->latent += (double)N * number[0];
    sum->lpips += (double)N * number[1];
    sum->mse += (double)N * 0.25 * number[2];
    return HO_OK;
}

ho_status ho_pairs_errors(ho_context *context, const ho_pairs *pairs, ho_encoder *encoder, ho_perceptual *net,
                          int64_t n, ho_pair_errors *errors) {
    ho_pair_errors sum = {0.0, 0.0, 0.0};
    for (int64_t first = 0; first < n; first += MEASURE_BATCH) {
        const int64_t N = n - first < MEASURE_BATCH ? n - first : MEASURE_BATCH;
        HO_TRY(add_errors(context, pairs, encoder, net, first, N, &sum));
    }
    ho_context_reset(context);
    *errors = (ho_pair_errors){sum.latent / (double)n, sum.lpips / (double)n, sum.mse / (double)n};
    return HO_OK;
}
