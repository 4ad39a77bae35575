/* Trains the narrow VGG16 that ships as data/pretext/vgg_narrow.h5: a feature network for LPIPS where ImageNet weights
 * are not at hand. It learns to tell 8 shapes x 6 textures apart in procedural pictures (images.c); batch norm follows
 * every convolution while training and is folded into weights and biases at the end.
 *
 *   pretext OUT.h5 STEPS SEED          writes OUT.h5; OUT.h5.checkpoint every 100 steps, from which it goes on */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/backbone.h"
#include "handsoff/random.h"
#include "handsoff/store.h"
#include "images.h"
#include "training.h"

enum { BATCH = 32, HELD_OUT = 2048, N_CONV = 13, SAVE_EVERY = 100, PIXEL_VALUES = PRETEXT_SIZE * PRETEXT_SIZE * 3 };
static const double RATE = 2e-3;

/* torchvision's index and the width of each convolution; a pool comes before those marked. */
static const struct {
    int feature, width;
    bool pool;
} CONV[N_CONV] = {{0, 16, false},  {2, 16, false},  {5, 32, true},  {7, 32, false},  {10, 64, true},
                  {12, 64, false}, {14, 64, false}, {17, 96, true}, {19, 96, false}, {21, 96, false},
                  {24, 96, true},  {26, 96, false}, {28, 96, false}};
/* LPIPS's constants (richzhang/PerceptualSimilarity, lpips/lpips.py: ScalingLayer). */
static const float SHIFT[3] = {-0.030F, -0.088F, -0.188F}, SCALE[3] = {0.458F, 0.448F, 0.450F};

typedef struct {
    ho_device *device;
    ho_context *context;
    ho_params *params;
    ho_adam *adam;
    ho_conv_norm conv[N_CONV];
    ho_tensor *class_weight, *class_bias;
    uint64_t seed;
    int64_t step, steps;
    float images[BATCH * PIXEL_VALUES];
    uint8_t labels[BATCH];
} trainer;

static ho_status declare(trainer *t) {
    int64_t C = 3;
    HO_TRY(ho_params_create(t->device, &t->params));
    for (int i = 0; i < N_CONV; ++i) {
        const int64_t O = CONV[i].width;
        char norm[32];
        HO_TRY(ho_params_add(t->params, HO_PARAM, HO_INIT_NORMAL(sqrt(2.0 / (double)(9 * C))), HO_FILE_OIHW,
                             HO_SHAPE(O, 3, 3, C), &t->conv[i].weight, "features.%d.weight", CONV[i].feature));
        (void)snprintf(norm, sizeof norm, "features.%d.norm", CONV[i].feature);
        HO_TRY(ho_batch_norm_declare(t->params, O, norm, &t->conv[i].norm));
        C = O;
    }
    HO_TRY(ho_params_add(t->params, HO_PARAM, HO_INIT_NORMAL(sqrt(1.0 / (double)C)), HO_FILE_SAME,
                         HO_SHAPE(PRETEXT_CLASSES, C), &t->class_weight, "classifier.weight"));
    HO_TRY(ho_params_add(t->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(PRETEXT_CLASSES), &t->class_bias,
                         "classifier.bias"));
    HO_TRY(ho_params_commit(t->params, t->seed));
    return ho_adam_create(t->params, &t->adam);
}

static ho_status logits_of(trainer *t, ho_tensor *x, bool training, ho_tensor **logits) {
    const ho_act linear = HO_ACT_LINEAR;
    const ho_conv_options same = {1, 1, 1};
    const ho_pool_options half = {2, 2, 0, false};
    for (int i = 0; i < N_CONV; ++i) {
        if (CONV[i].pool) {
            HO_TRY(ho_max_pool(t->context, x, &half, &x));
        }
        HO_TRY(ho_conv_norm_apply(t->context, &t->conv[i], x, &same, true, training, &x));
    }
    HO_TRY(ho_global_mean(t->context, x, &x));
    HO_TRY(ho_dense(t->context, x, t->class_weight, &x));
    return ho_bias_act(t->context, x, t->class_bias, &linear, logits);
}

/* Pictures first ... first + BATCH - 1 of the stream, scaled as the network wants them. */
static ho_status load_batch(trainer *t, const char *stream, int64_t first, ho_tensor **x) {
    for (int n = 0; n < BATCH; ++n) {
        float *image = t->images + (size_t)n * PIXEL_VALUES;
        t->labels[n] = (uint8_t)pretext_draw(t->seed, ho_stream_id(stream), (uint64_t)(first + n), image);
        for (int i = 0; i < PIXEL_VALUES; ++i) {
            image[i] = (image[i] - SHIFT[i % 3]) / SCALE[i % 3];
        }
    }
    ho_context_reset(t->context);
    return ho_tensor_from_host(t->context, t->images, HO_SHAPE(BATCH, PRETEXT_SIZE, PRETEXT_SIZE, 3), x);
}

static ho_status count_right(trainer *t, const ho_tensor *logits, int *right) {
    float host[BATCH * PRETEXT_CLASSES];
    HO_TRY(ho_tensor_to_host(t->context, logits, host));
    for (int n = 0; n < BATCH; ++n) {
        int best = 0;
        for (int k = 1; k < PRETEXT_CLASSES; ++k) {
            best = host[n * PRETEXT_CLASSES + k] > host[n * PRETEXT_CLASSES + best] ? k : best;
        }
        *right += best == t->labels[n];
    }
    return HO_OK;
}

static ho_status train_step(trainer *t, double *loss, int *right) {
    ho_tensor *x, *logits, *entropy;
    const ho_adam_options options = {pretext_rate(RATE, t->step, t->steps), 0.9, 0.999, 1e-8, 0.0};
    HO_TRY(load_batch(t, "pretext/train", t->step * BATCH, &x));
    ho_context_record(t->context, true);
    HO_TRY(logits_of(t, x, true, &logits));
    HO_TRY(ho_cross_entropy(t->context, logits, t->labels, &entropy));
    HO_TRY(ho_backward(t->context, entropy));
    ho_context_record(t->context, false);
    HO_TRY(ho_adam_step(t->adam, &options, 1.0));
    HO_TRY(ho_tensor_scalar(t->context, entropy, loss));
    ++t->step;
    return count_right(t, logits, right);
}

static ho_status held_out_accuracy(trainer *t, double *accuracy) {
    int right = 0;
    for (int64_t first = 0; first < HELD_OUT; first += BATCH) {
        ho_tensor *x, *logits;
        HO_TRY(load_batch(t, "pretext/held-out", first, &x));
        HO_TRY(logits_of(t, x, false, &logits));
        HO_TRY(count_right(t, logits, &right));
    }
    *accuracy = (double)right / HELD_OUT;
    return HO_OK;
}

/* The values of features.F.PART as they are in files; freed by the caller. */
static float *values_of(trainer *t, int feature, const char *part) {
    char name[96];
    (void)snprintf(name, sizeof name, "features.%d.%s", feature, part);
    const ho_param *param = ho_params_find(t->params, name);
    float *values = malloc((size_t)ho_tensor_count(&param->tensor) * sizeof *values);
    if (values == NULL) {
        (void)ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for %s", name);
    } else if (ho_param_get(t->params, param, values) != HO_OK) {
        free(values);
        values = NULL;
    }
    return values;
}

/* Weight and bias of one convolution with its batch norm folded in: w * g, b - mean * g with g = a / sqrt(var + eps).
 */
static ho_status write_folded(trainer *t, ho_store *store, int i, int64_t C) {
    static const char *const PARTS[5] = {"weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"};
    const int64_t O = CONV[i].width, dim[4] = {O, C, 3, 3};
    float *v[5];
    char name[64];
    ho_status status = HO_OK;
    for (int k = 0; k < 5; ++k) {
        v[k] = values_of(t, CONV[i].feature, PARTS[k]);
        status = v[k] == NULL ? HO_EMEMORY : status;
    }
    for (int64_t o = 0; status == HO_OK && o < O; ++o) {
        const double g = (double)v[1][o] / sqrt((double)v[4][o] + 1e-5);
        for (int64_t k = 0; k < 9 * C; ++k) {
            v[0][9 * C * o + k] = (float)(g * (double)v[0][9 * C * o + k]);
        }
        v[2][o] = (float)((double)v[2][o] - g * (double)v[3][o]);
    }
    if (status == HO_OK) {
        (void)snprintf(name, sizeof name, "features.%d.weight", CONV[i].feature);
        status = ho_store_write(store, name, HO_F32, 4, dim, v[0]);
    }
    if (status == HO_OK) {
        (void)snprintf(name, sizeof name, "features.%d.bias", CONV[i].feature);
        status = ho_store_write(store, name, HO_F32, 1, dim, v[2]);
    }
    for (int k = 0; k < 5; ++k) {
        free(v[k]);
    }
    return status;
}

static ho_status write_network(trainer *t, ho_store *store, double accuracy) {
    static const int64_t THREE[1] = {3};
    for (int i = 0; i < N_CONV; ++i) {
        HO_TRY(write_folded(t, store, i, i == 0 ? 3 : CONV[i - 1].width));
    }
    HO_TRY(ho_store_write(store, "shift", HO_F32, 1, THREE, SHIFT));
    HO_TRY(ho_store_write(store, "scale", HO_F32, 1, THREE, SCALE));
    HO_TRY(ho_store_set_text(store, "topology", "vgg16"));
    HO_TRY(ho_store_set_number(store, "bgr", 0.0));
    HO_TRY(ho_store_set_number(store, "pool_ceil", 0.0));
    HO_TRY(ho_store_set_text(store, "origin", "experiments/pretext: procedural pictures, 8 shapes x 6 textures"));
    HO_TRY(ho_store_set_number(store, "seed", (double)t->seed));
    HO_TRY(ho_store_set_number(store, "steps", (double)t->steps));
    HO_TRY(ho_store_set_number(store, "held_out_accuracy", accuracy));
    return ho_store_commit(store);
}

static ho_status train(trainer *t, const char *path) {
    char saved[1024];
    double loss = 0.0, sum = 0.0, accuracy;
    int right = 0;
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
        if (t->step % SAVE_EVERY == 0 || t->step == t->steps) {
            printf("step %5" PRId64 "  loss %.4f  accuracy %.4f\n", t->step, sum / SAVE_EVERY,
                   (double)right / (SAVE_EVERY * BATCH));
            (void)fflush(stdout);
            sum = 0.0;
            right = 0;
            HO_TRY(pretext_save(saved, t->params, t->adam, t->step));
        }
    }
    HO_TRY(held_out_accuracy(t, &accuracy));
    printf("held out: %.4f of %d pictures right, chance %.4f\n", accuracy, HELD_OUT, 1.0 / PRETEXT_CLASSES);
    ho_store *store = NULL;
    HO_TRY(ho_store_create(path, &store));
    const ho_status status = write_network(t, store, accuracy);
    ho_store_close(store);
    return status;
}

int main(int argc, char **argv) {
    static trainer t;
    if (argc != 4 || atoll(argv[2]) % SAVE_EVERY != 0 || atoll(argv[2]) <= 0) {
        (void)fprintf(stderr, "usage: pretext OUT.h5 STEPS SEED (STEPS: a multiple of %d)\n", SAVE_EVERY);
        return 2;
    }
    t.steps = atoll(argv[2]);
    t.seed = strtoull(argv[3], NULL, 10);
    const ho_status status = train(&t, argv[1]);
    if (status != HO_OK) {
        (void)fprintf(stderr, "pretext: %s (%s)\n", ho_error(), ho_error_source());
    }
    ho_adam_free(t.adam);
    ho_params_free(t.params);
    ho_context_free(t.context);
    ho_device_close(t.device);
    return status == HO_OK ? 0 : 1;
}
