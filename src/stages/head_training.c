/* Every step, each member draws its own batch of pixels, uniformly with replacement from all training pixels of all
 * images; a draw is a function of (seed, member, step, slot). Best members are kept all together, at the look with the
 * lowest mean held-out loss. */
#include "head_training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/ops.h"
#include "handsoff/random.h"

enum { LOOK_CHUNK = 512 }; /* held-out pixels evaluated at a time */

struct ho_head_training {
    ho_head_training_options options;
    ho_label_head_shape shape;
    const ho_feature_cache *cache;
    const uint8_t *labels;
    ho_device *device;
    ho_context *context;
    ho_label_head *head, *best;
    ho_adam *adam;
    void *graph;     /* of a step */
    int64_t *pixels; /* training pixels, then the held-out ones */
    int64_t *drawn;
    uint8_t *drawn_labels;
    uint64_t *streams; /* one a member */
    ho_head_progress at;
};

void ho_clean_rare_labels(uint8_t *labels, int64_t n, int64_t pixels, int64_t min_pixels) {
    for (int64_t i = 0; i < n; ++i) {
        uint8_t *image = labels + i * pixels;
        int64_t count[256] = {0};
        for (int64_t p = 0; p < pixels; ++p) {
            ++count[image[p]];
        }
        for (int64_t p = 0; p < pixels; ++p) {
            if (image[p] != 255 && count[image[p]] < min_pixels) {
                image[p] = 0;
            }
        }
    }
}

/* ---- life ------------------------------------------------------------------------------------------------ */

/* Splits the labelled pixels: each is held out with the same probability. */
static ho_status split_pixels(ho_head_training *t, int64_t n) {
    const int64_t total = n * t->shape.H * t->shape.W;
    const uint64_t stream = ho_stream_id("train-head/held-out");
    int64_t counted = 0;
    for (int64_t p = 0; p < total; ++p) {
        if (t->labels[p] != 255 && t->labels[p] >= t->shape.K) {
            HO_FAIL(HO_EFORMAT, "label %d of pixel %lld; right are classes below %lld, or 255 for ignored pixels",
                    t->labels[p], (long long)p, (long long)t->shape.K);
        }
        counted += t->labels[p] != 255;
    }
    if (counted == 0) {
        HO_FAIL(HO_EFORMAT, "none of the %lld labelled images has a pixel with a class: all are ignored (255)",
                (long long)n);
    }
    t->pixels = malloc(sizeof *t->pixels * (size_t)counted);
    if (t->pixels == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the numbers of %lld labelled pixels", (long long)counted);
    }
    const double fraction = fmin(t->options.held_out, (double)HO_HEAD_MAX_HELD_OUT / (double)counted);
    for (int64_t p = 0; p < total; ++p) {
        if (t->labels[p] == 255) {
            continue;
        }
        if (ho_uniform(t->options.seed, stream, (uint64_t)p) < fraction) {
            t->pixels[counted - ++t->at.n_held] = p;
        } else {
            t->pixels[t->at.n_train++] = p;
        }
    }
    if (t->at.n_train == 0) {
        HO_FAIL(HO_EFORMAT, "all %lld labelled pixels are held out: lower head.held_out", (long long)counted);
    }
    return HO_OK;
}

static ho_status prepare(ho_head_training *t, int64_t n) {
    const int64_t M = t->shape.members, room = M * (t->options.batch > LOOK_CHUNK ? t->options.batch : LOOK_CHUNK);
    HO_TRY(split_pixels(t, n));
    t->drawn = malloc(sizeof *t->drawn * (size_t)room);
    t->drawn_labels = malloc((size_t)room);
    t->streams = malloc(sizeof *t->streams * (size_t)M);
    if (t->drawn == NULL || t->drawn_labels == NULL || t->streams == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a batch of %lld pixels", (long long)room);
    }
    for (int64_t m = 0; m < M; ++m) {
        char name[64];
        snprintf(name, sizeof name, "train-head/pixels/%lld", (long long)m);
        t->streams[m] = ho_stream_id(name);
    }
    HO_TRY(ho_context_create(t->device, &t->context));
    HO_TRY(ho_label_head_create(t->device, &t->shape, t->options.seed, &t->head));
    HO_TRY(ho_label_head_create(t->device, &t->shape, t->options.seed, &t->best));
    ho_params_set_trainable(ho_label_head_params(t->head), true);
    return ho_adam_create(ho_label_head_params(t->head), &t->adam);
}

ho_status ho_head_training_create(ho_device *device, const ho_head_training_options *options,
                                  const ho_label_head_shape *shape, const ho_feature_cache *cache,
                                  const uint8_t *labels, int64_t n, ho_head_training **training) {
    HO_REQUIRE(ho_label_head_channels(shape) == ho_feature_cache_channels(cache),
               "train-head: the head takes %lld channels, the features have %lld",
               (long long)ho_label_head_channels(shape), (long long)ho_feature_cache_channels(cache));
    ho_head_training *t = calloc(1, sizeof *t);
    if (t == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the training of a label head");
    }
    t->options = *options;
    t->shape = *shape;
    t->cache = cache;
    t->labels = labels;
    t->device = device;
    t->at.best = INFINITY;
    const ho_status status = prepare(t, n);
    if (status != HO_OK) {
        ho_head_training_free(t);
        return status;
    }
    *training = t;
    return HO_OK;
}

void ho_head_training_free(ho_head_training *training) {
    if (training == NULL) {
        return;
    }
    if (training->context != NULL) {
        ho_device_graph_free(ho_context_device(training->context), training->graph);
    }
    ho_adam_free(training->adam);
    ho_label_head_free(training->head);
    ho_label_head_free(training->best);
    ho_context_free(training->context);
    free(training->pixels);
    free(training->drawn);
    free(training->drawn_labels);
    free(training->streams);
    free(training);
}

ho_head_progress ho_head_training_progress(const ho_head_training *training) {
    return training->at;
}

ho_label_head *ho_head_training_result(ho_head_training *training) {
    return training->at.n_held > 0 ? training->best : training->head;
}

/* ---- steps ----------------------------------------------------------------------------------------------- */

/* Mean loss over pixels and members for logits (B, M K). */
static ho_status member_loss(ho_head_training *t, ho_tensor *logits, ho_tensor **loss) {
    ho_tensor *rows = NULL;
    HO_TRY(ho_reshape(t->context, logits, HO_SHAPE(logits->dim[0] * t->shape.members, t->shape.K), &rows));
    return ho_cross_entropy(t->context, rows, t->drawn_labels, loss);
}

/* Everything of a step but the reading of its loss. */
static ho_status learn(ho_head_training *t, ho_tensor **loss) {
    const int64_t M = t->shape.members, B = t->options.batch;
    const ho_adam_options adam = {t->options.lr, 0.9, 0.999, 1e-8, 0.0};
    ho_tensor *x = NULL, *logits = NULL;
    ho_context_record(t->context, true);
    HO_TRY(ho_feature_cache_gather(t->context, t->cache, t->drawn, B * M, M, &x));
    HO_TRY(ho_label_head_logits(t->context, t->head, x, true, &logits));
    HO_TRY(member_loss(t, logits, loss));
    HO_TRY(ho_backward(t->context, *loss));
    ho_context_record(t->context, false);
    /* The loss is a mean over members; each member's own gradient is M times that. */
    return ho_adam_step(t->adam, &adam, (double)M);
}

static ho_status take_step(ho_head_training *t, double *value) {
    const int64_t M = t->shape.members, B = t->options.batch;
    ho_device *device = ho_context_device(t->context);
    ho_tensor *loss = NULL;
    for (int64_t i = 0; i < B * M; ++i) {
        const uint64_t number = (uint64_t)(t->at.step * B + i / M);
        t->drawn[i] = t->pixels[ho_uniform_int(t->options.seed, t->streams[i % M], number, t->at.n_train)];
        t->drawn_labels[i] = t->labels[t->drawn[i]];
    }
    ho_context_reset(t->context);
    HO_TRY(ho_device_record_begin(device, &t->graph));
    HO_TRY(ho_device_record_end(device, &t->graph, learn(t, &loss)));
    ++t->at.step;
    return value == NULL ? HO_OK : ho_tensor_scalar(t->context, loss, value);
}

static ho_status held_out_loss(ho_head_training *t, double *mean) {
    const int64_t M = t->shape.members, n = t->at.n_held;
    const int64_t *pixels = t->pixels + t->at.n_train;
    *mean = 0.0;
    for (int64_t first = 0; first < n; first += LOOK_CHUNK) {
        const int64_t count = n - first < LOOK_CHUNK ? n - first : LOOK_CHUNK;
        ho_tensor *x = NULL, *logits = NULL, *loss = NULL;
        double value = 0.0;
        for (int64_t i = 0; i < count * M; ++i) {
            t->drawn_labels[i] = t->labels[pixels[first + i / M]];
        }
        ho_context_reset(t->context);
        HO_TRY(ho_feature_cache_gather(t->context, t->cache, pixels + first, count, 1, &x));
        HO_TRY(ho_label_head_logits(t->context, t->head, x, false, &logits));
        HO_TRY(member_loss(t, logits, &loss));
        HO_TRY(ho_tensor_scalar(t->context, loss, &value));
        *mean += value * (double)count / (double)n;
    }
    return HO_OK;
}

static ho_status look(ho_head_training *t) {
    HO_TRY(held_out_loss(t, &t->at.held_out));
    if (!isfinite(t->at.held_out)) {
        HO_FAIL(HO_ENUMERIC, "train-head: the held-out loss is %g after %lld steps; a lower head.lr may help",
                t->at.held_out, (long long)t->at.step);
    }
    if (t->at.held_out < t->at.best) {
        t->at.best = t->at.held_out;
        t->at.best_step = t->at.step;
        t->at.waits = 0;
        return ho_params_copy(ho_label_head_params(t->best), ho_label_head_params(t->head));
    }
    ++t->at.waits;
    return HO_OK;
}

ho_status ho_head_training_advance(ho_head_training *training, bool (*interrupted)(void), bool *done) {
    ho_head_training *t = training;
    const int64_t next = (t->at.step / t->options.check_every + 1) * t->options.check_every;
    const int64_t end = next < t->options.max_steps ? next : t->options.max_steps;
    *done = false;
    while (t->at.step < end) {
        if (interrupted != NULL && interrupted()) {
            return HO_OK;
        }
        HO_TRY(take_step(t, t->at.step + 1 == end ? &t->at.loss : NULL));
    }
    if (t->at.n_held > 0) {
        HO_TRY(look(t));
    }
    *done = t->at.step >= t->options.max_steps || (t->at.n_held > 0 && t->at.waits >= t->options.patience);
    return HO_OK;
}

/* ---- checkpoint ------------------------------------------------------------------------------------------ */

ho_status ho_head_training_save(ho_head_training *training, ho_store *store) {
    const ho_head_progress *at = &training->at;
    int64_t count = 0;
    ho_params_values(ho_label_head_params(training->head), &count);
    float *moments = malloc(sizeof(float) * 2 * (size_t)count);
    if (moments == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the optimiser's state");
    }
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_store_write_params(store, "head/", ho_label_head_params(training->head)));
    HO_TRY_DONE(ho_store_write_params(store, "best/", ho_label_head_params(training->best)));
    HO_TRY_DONE(ho_adam_get(training->adam, moments, moments + count));
    HO_TRY_DONE(ho_store_write(store, "adam", HO_F32, 2, (const int64_t[]){2, count}, moments));
    const double state[] = {(double)at->step,      at->loss,         at->held_out, at->best,
                            (double)at->best_step, (double)at->waits};
    HO_TRY_DONE(ho_store_write(store, "state", HO_F64, 1, (const int64_t[]){6}, state));
done:
    free(moments);
    return status;
}

ho_status ho_head_training_restore(ho_head_training *training, ho_store *store) {
    ho_head_progress *at = &training->at;
    double state[6];
    int64_t count = 0;
    ho_params_values(ho_label_head_params(training->head), &count);
    float *moments = malloc(sizeof(float) * 2 * (size_t)count);
    if (moments == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the optimiser's state");
    }
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_store_read(store, "state", HO_F64, 1, (const int64_t[]){6}, state));
    HO_TRY_DONE(ho_store_read(store, "adam", HO_F32, 2, (const int64_t[]){2, count}, moments));
    HO_TRY_DONE(ho_store_read_params(store, "head/", ho_label_head_params(training->head)));
    HO_TRY_DONE(ho_store_read_params(store, "best/", ho_label_head_params(training->best)));
    HO_TRY_DONE(ho_adam_set(training->adam, (int64_t)state[0], moments, moments + count));
    at->step = (int64_t)state[0];
    at->loss = state[1];
    at->held_out = state[2];
    at->best = state[3];
    at->best_step = (int64_t)state[4];
    at->waits = (int64_t)state[5];
done:
    free(moments);
    return status;
}
