/* Trains the residual backbone that ships as data/pretext/backbone.h5: where the transfer-learning baseline starts
 * from. It learns to tell 8 shapes x 6 textures apart in procedural pictures (images.c), by a linear layer on the mean
 * of its features; only the backbone is written.
 *
 *   backbone OUT.h5 CHANNELS BLOCKS STEPS SEED     OUT.h5.checkpoint every 100 steps, from which it goes on */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/backbone.h"
#include "handsoff/image.h"
#include "handsoff/random.h"
#include "handsoff/store.h"
#include "images.h"
#include "training.h"

enum { BATCH = 32, HELD_OUT = 2048, SAVE_EVERY = 100, PIXELS = PRETEXT_SIZE * PRETEXT_SIZE };
/* What is asked about a picture. */
enum { SHAPE, TEXTURE, QUESTIONS };
static const int64_t ANSWERS[QUESTIONS] = {PRETEXT_SHAPES, PRETEXT_TEXTURES};
static const char *const QUESTION[QUESTIONS] = {"shape", "texture"};
static const double RATE = 4e-3;

typedef struct {
    ho_device *device;
    ho_context *context;
    ho_params *params;
    ho_adam *adam;
    ho_backbone backbone;
    ho_tensor *weight[QUESTIONS], *bias[QUESTIONS];
    uint64_t seed;
    int64_t step, steps, channels, blocks;
    float images[BATCH * PIXELS * 3];
    uint8_t bytes[BATCH * PIXELS * 3], labels[QUESTIONS][BATCH];
} trainer;

/* Right answers so far, to each question and to both. */
typedef struct {
    int of[QUESTIONS], both, asked;
} score;

static ho_status declare(trainer *t) {
    const ho_backbone_shape shape = {t->channels, t->blocks, PRETEXT_SIZE, PRETEXT_SIZE};
    const int64_t F = ho_backbone_channels(&shape);
    HO_TRY(ho_params_create(t->device, &t->params));
    HO_TRY(ho_backbone_declare(t->params, &shape, "backbone.", &t->backbone));
    for (int q = 0; q < QUESTIONS; ++q) {
        HO_TRY(ho_params_add(t->params, HO_PARAM, HO_INIT_NORMAL(sqrt(1.0 / (double)F)), HO_FILE_SAME,
                             HO_SHAPE(ANSWERS[q], F), &t->weight[q], "%s.weight", QUESTION[q]));
        HO_TRY(ho_params_add(t->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(ANSWERS[q]), &t->bias[q],
                             "%s.bias", QUESTION[q]));
    }
    HO_TRY(ho_params_commit(t->params, t->seed));
    ho_params_set_trainable(t->params, true);
    return ho_adam_create(t->params, &t->adam);
}

static ho_status logits_of(trainer *t, ho_tensor *x, bool training, ho_tensor *logits[QUESTIONS]) {
    const ho_act linear = HO_ACT_LINEAR;
    HO_TRY(ho_backbone_features(t->context, &t->backbone, x, training, &x));
    HO_TRY(ho_global_mean(t->context, x, &x));
    for (int q = 0; q < QUESTIONS; ++q) {
        ho_tensor *product;
        HO_TRY(ho_dense(t->context, x, t->weight[q], &product));
        HO_TRY(ho_bias_act(t->context, product, t->bias[q], &linear, &logits[q]));
    }
    return HO_OK;
}

/* Pictures first ... first + BATCH - 1 of the stream, rounded to bytes and scaled as photos are. */
static ho_status load_batch(trainer *t, const char *stream, int64_t first, ho_tensor **x) {
    for (int n = 0; n < BATCH; ++n) {
        float *image = t->images + (size_t)n * PIXELS * 3;
        const int class = pretext_draw(t->seed, ho_stream_id(stream), (uint64_t)(first + n), image);
        t->labels[SHAPE][n] = (uint8_t)(class / PRETEXT_TEXTURES);
        t->labels[TEXTURE][n] = (uint8_t)(class % PRETEXT_TEXTURES);
    }
    ho_floats_to_bytes(t->images, (int64_t)BATCH * PIXELS * 3, t->bytes);
    ho_normalise_pixels(t->bytes, (int64_t)BATCH * PIXELS, t->images);
    ho_context_reset(t->context);
    return ho_tensor_from_host(t->context, t->images, HO_SHAPE(BATCH, PRETEXT_SIZE, PRETEXT_SIZE, 3), x);
}

static ho_status count_right(trainer *t, ho_tensor *logits[QUESTIONS], score *right) {
    float host[BATCH * (PRETEXT_SHAPES + PRETEXT_TEXTURES)];
    bool all[BATCH];
    memset(all, true, sizeof all);
    for (int q = 0; q < QUESTIONS; ++q) {
        const int K = (int)ANSWERS[q];
        HO_TRY(ho_tensor_to_host(t->context, logits[q], host));
        for (int n = 0; n < BATCH; ++n) {
            int best = 0;
            for (int k = 1; k < K; ++k) {
                best = host[n * K + k] > host[n * K + best] ? k : best;
            }
            right->of[q] += best == t->labels[q][n];
            all[n] = all[n] && best == t->labels[q][n];
        }
    }
    for (int n = 0; n < BATCH; ++n) {
        right->both += all[n];
    }
    right->asked += BATCH;
    return HO_OK;
}

static ho_status train_step(trainer *t, double *loss, score *right) {
    ho_tensor *x, *logits[QUESTIONS], *entropy[QUESTIONS], *sum;
    const ho_adam_options options = {pretext_rate(RATE, t->step, t->steps), 0.9, 0.999, 1e-8, 0.0};
    HO_TRY(load_batch(t, "pretext/train", t->step * BATCH, &x));
    ho_context_record(t->context, true);
    HO_TRY(logits_of(t, x, true, logits));
    for (int q = 0; q < QUESTIONS; ++q) {
        HO_TRY(ho_cross_entropy(t->context, logits[q], t->labels[q], &entropy[q]));
    }
    HO_TRY(ho_add(t->context, entropy[SHAPE], 1.0, entropy[TEXTURE], 1.0, &sum));
    HO_TRY(ho_backward(t->context, sum));
    ho_context_record(t->context, false);
    HO_TRY(ho_adam_step(t->adam, &options, 1.0));
    HO_TRY(ho_tensor_scalar(t->context, sum, loss));
    ++t->step;
    return count_right(t, logits, right);
}

static ho_status held_out_score(trainer *t, score *right) {
    for (int64_t first = 0; first < HELD_OUT; first += BATCH) {
        ho_tensor *x, *logits[QUESTIONS];
        HO_TRY(load_batch(t, "pretext/held-out", first, &x));
        HO_TRY(logits_of(t, x, false, logits));
        HO_TRY(count_right(t, logits, right));
    }
    return HO_OK;
}

/* The backbone alone: the trained values under the names that it has in a segmentation network. */
static ho_status write_backbone(trainer *t, ho_store *store, const score *held_out) {
    const ho_backbone_shape shape = t->backbone.shape;
    ho_params *params = NULL;
    ho_backbone backbone;
    HO_TRY(ho_params_create(t->device, &params));
    ho_status status = ho_backbone_declare(params, &shape, "backbone.", &backbone);
    status = status == HO_OK ? ho_params_commit(params, 0) : status;
    for (int i = 0; status == HO_OK && i < ho_params_n(params); ++i) {
        ho_param *to = ho_params_at(params, i);
        float *host = malloc(sizeof *host * (size_t)ho_tensor_count(&to->tensor));
        status = host == NULL ? HO_EMEMORY : ho_param_get(t->params, ho_params_find(t->params, to->name), host);
        status = status == HO_OK ? ho_param_set(params, to, host) : status;
        free(host);
    }
    status = status == HO_OK ? ho_store_write_params(store, "", params) : status;
    ho_params_free(params);
    HO_TRY(status);
    HO_TRY(ho_store_set_text(store, "network", "residual backbone"));
    HO_TRY(ho_store_set_text(store, "origin", "experiments/pretext: procedural pictures, 8 shapes x 6 textures"));
    HO_TRY(ho_store_set_number(store, "channels", (double)shape.channels));
    HO_TRY(ho_store_set_number(store, "blocks", (double)shape.blocks));
    HO_TRY(ho_store_set_number(store, "seed", (double)t->seed));
    HO_TRY(ho_store_set_number(store, "steps", (double)t->steps));
    HO_TRY(ho_store_set_number(store, "held_out_shape_accuracy", (double)held_out->of[SHAPE] / held_out->asked));
    HO_TRY(ho_store_set_number(store, "held_out_texture_accuracy", (double)held_out->of[TEXTURE] / held_out->asked));
    return ho_store_commit(store);
}

static ho_status train(trainer *t, const char *path) {
    char saved[1024];
    double loss = 0.0, sum = 0.0;
    score right = {0}, held_out = {0};
    HO_TRY(ho_device_open(0, 0, &t->device));
    HO_TRY(ho_context_create(t->device, &t->context));
    HO_TRY(declare(t));
    (void)snprintf(saved, sizeof saved, "%s.checkpoint", path);
    if (access(saved, R_OK) == 0) {
        HO_TRY(pretext_load(saved, t->params, t->adam, &t->step));
        printf("goes on after step %" PRId64 "\n", t->step);
    }
    while (t->step < t->steps) {
        HO_TRY(train_step(t, &loss, &right));
        sum += loss;
        if (t->step % SAVE_EVERY == 0) {
            printf("step %5" PRId64 "  loss %.4f  shape %.4f  texture %.4f  both %.4f\n", t->step, sum / SAVE_EVERY,
                   (double)right.of[SHAPE] / right.asked, (double)right.of[TEXTURE] / right.asked,
                   (double)right.both / right.asked);
            (void)fflush(stdout);
            sum = 0.0;
            right = (score){0};
            HO_TRY(pretext_save(saved, t->params, t->adam, t->step));
        }
    }
    HO_TRY(held_out_score(t, &held_out));
    printf("held out: of %d pictures %.4f shapes right (chance %.4f), %.4f textures (chance %.4f), %.4f both\n",
           held_out.asked, (double)held_out.of[SHAPE] / held_out.asked, 1.0 / PRETEXT_SHAPES,
           (double)held_out.of[TEXTURE] / held_out.asked, 1.0 / PRETEXT_TEXTURES,
           (double)held_out.both / held_out.asked);
    ho_store *store = NULL;
    HO_TRY(ho_store_create(path, &store));
    const ho_status status = write_backbone(t, store, &held_out);
    ho_store_close(store);
    return status;
}

int main(int argc, char **argv) {
    static trainer t;
    if (argc != 6 || atoll(argv[4]) % SAVE_EVERY != 0 || atoll(argv[4]) <= 0) {
        (void)fprintf(stderr, "usage: backbone OUT.h5 CHANNELS BLOCKS STEPS SEED (STEPS: a multiple of %d)\n",
                      SAVE_EVERY);
        return 2;
    }
    t.channels = atoll(argv[2]);
    t.blocks = atoll(argv[3]);
    t.steps = atoll(argv[4]);
    t.seed = strtoull(argv[5], NULL, 10);
    const ho_status status = train(&t, argv[1]);
    if (status != HO_OK) {
        (void)fprintf(stderr, "backbone: %s (%s)\n", ho_error(), ho_error_source());
    }
    ho_adam_free(t.adam);
    ho_params_free(t.params);
    ho_context_free(t.context);
    ho_device_close(t.device);
    return status == HO_OK ? 0 : 1;
}
