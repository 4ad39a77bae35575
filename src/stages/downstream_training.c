/* One training: batches, steps, checkpoints. All draws are functions of (seed, step), so that a restored training goes
 * on with the same bits. */
#include "downstream_training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/random.h"

struct ho_downstream_training {
    ho_downstream_options options;
    ho_deeplab_shape shape;
    ho_downstream_images from;
    ho_context *context;
    ho_deeplab *network;
    ho_adam *adam;
    void *graph; /* of a step */
    int64_t step;
    int64_t epoch, *order;  /* the order of images in that epoch */
    int64_t *row;           /* of the images of one batch */
    uint8_t *image, *label; /* one batch */
    float *pixels;
};

/* ---- life
 * ------------------------------------------------------------------------------------------------------------ */

static int64_t row_of(const ho_downstream_images *images, int64_t i) {
    return images->index == NULL ? i : images->index[i];
}

static ho_status check_labels(const ho_downstream_images *images, int64_t HW, int64_t K) {
    for (int64_t i = 0; i < images->n; ++i) {
        const uint8_t *label = images->labels + row_of(images, i) * HW;
        for (int64_t p = 0; p < HW; ++p) {
            if (label[p] != 255 && label[p] >= K) {
                HO_FAIL(HO_EFORMAT, "training image %lld: label %d at pixel %lld; right are classes below %lld, or 255",
                        (long long)i, label[p], (long long)p, (long long)K);
            }
        }
    }
    return HO_OK;
}

static ho_status prepare(ho_downstream_training *t, ho_device *device) {
    const int64_t HW = t->shape.backbone.height * t->shape.backbone.width, N = t->options.batch;
    HO_TRY(check_labels(&t->from, HW, t->shape.K));
    t->order = malloc(sizeof *t->order * (size_t)t->from.n);
    t->row = malloc(sizeof *t->row * (size_t)N);
    t->image = malloc((size_t)(N * HW * 3));
    t->label = malloc((size_t)(N * HW));
    t->pixels = malloc(sizeof *t->pixels * (size_t)(N * HW * 3));
    if (t->order == NULL || t->row == NULL || t->image == NULL || t->label == NULL || t->pixels == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a batch of %lld images", (long long)N);
    }
    HO_TRY(ho_context_create(device, &t->context));
    HO_TRY(ho_deeplab_create(device, &t->shape, t->options.seed, &t->network));
    ho_params_set_trainable(ho_deeplab_params(t->network), true);
    return ho_adam_create(ho_deeplab_params(t->network), &t->adam);
}

ho_status ho_downstream_training_create(ho_device *device, const ho_downstream_options *options,
                                        const ho_deeplab_shape *shape, const ho_downstream_images *images,
                                        ho_downstream_training **training) {
    HO_REQUIRE(images->n >= 1 && options->batch >= 2, "training of a segmentation network: %lld images, batch %lld",
               (long long)images->n, (long long)options->batch);
    ho_downstream_training *t = calloc(1, sizeof *t);
    if (t == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the training of a segmentation network");
    }
    t->options = *options;
    t->shape = *shape;
    t->from = *images;
    t->epoch = -1;
    const ho_status status = prepare(t, device);
    if (status != HO_OK) {
        ho_downstream_training_free(t);
        return status;
    }
    *training = t;
    return HO_OK;
}

void ho_downstream_training_free(ho_downstream_training *training) {
    if (training == NULL) {
        return;
    }
    if (training->context != NULL) {
        ho_device_graph_free(ho_context_device(training->context), training->graph);
    }
    ho_adam_free(training->adam);
    ho_deeplab_free(training->network);
    ho_context_free(training->context);
    free(training->order);
    free(training->row);
    free(training->image);
    free(training->label);
    free(training->pixels);
    free(training);
}

int64_t ho_downstream_training_steps(const ho_downstream_training *training) {
    return training->step;
}

ho_deeplab *ho_downstream_training_network(const ho_downstream_training *training) {
    return training->network;
}

/* ---- steps
 * ------------------------------------------------------------------------------------------------------------ */

/* Row of the image that is shown as number `shown` since the beginning. */
static int64_t image_shown(ho_downstream_training *t, int64_t shown) {
    const int64_t epoch = shown / t->from.n;
    if (epoch != t->epoch) {
        char name[64];
        snprintf(name, sizeof name, "train-downstream/order/%lld", (long long)epoch);
        ho_permutation(t->options.seed, ho_stream_id(name), t->from.n, t->order);
        t->epoch = epoch;
    }
    return row_of(&t->from, t->order[shown % t->from.n]);
}

/* Image n of the batch: row `row` of the images, changed as is drawn for the image number `shown`. */
static void load_image(ho_downstream_training *t, int64_t n, int64_t row, uint64_t shown) {
    const int64_t H = t->shape.backbone.height, W = t->shape.backbone.width;
    const uint64_t stream = ho_stream_id("train-downstream/augment");
    const ho_labelled_image job = {(int)H,
                                   (int)W,
                                   t->from.images + row * H * W * 3,
                                   t->from.labels + row * H * W,
                                   t->image + n * H * W * 3,
                                   t->label + n * H * W};
    const ho_labelled_change change = ho_draw_labelled_change(&t->options.augmentation, t->options.seed, stream, shown);
    ho_change_labelled(&job, &change);
    ho_normalise_pixels(job.to_image, H * W, t->pixels + n * H * W * 3);
}

static ho_status load_batch(ho_downstream_training *t, ho_tensor **x) {
    const int64_t H = t->shape.backbone.height, W = t->shape.backbone.width, N = t->options.batch;
    for (int64_t n = 0; n < N; ++n) {
        t->row[n] = image_shown(t, t->step * N + n);
    }
#pragma omp parallel for schedule(static)
    for (int64_t n = 0; n < N; ++n) {
        load_image(t, n, t->row[n], (uint64_t)(t->step * N + n));
    }
    return ho_tensor_from_host(t->context, t->pixels, HO_SHAPE(N, H, W, 3), x);
}

/* Everything of a step but the reading of its loss. */
static ho_status learn(ho_downstream_training *t, ho_tensor **entropy) {
    const double fallen = 0.5 + 0.5 * cos(3.141592653589793 * (double)t->step / (double)t->options.steps);
    const ho_adam_options adam = {t->options.lr * fallen, 0.9, 0.999, 1e-8, 0.0};
    const ho_deeplab_mode mode = {true, t->options.seed, t->step};
    ho_tensor *x, *logits;
    HO_TRY(load_batch(t, &x));
    ho_context_record(t->context, true);
    HO_TRY(ho_deeplab_logits(t->context, t->network, x, &mode, &logits));
    HO_TRY(ho_cross_entropy(t->context, logits, t->label, entropy));
    HO_TRY(ho_backward(t->context, *entropy));
    ho_context_record(t->context, false);
    return ho_adam_step(t->adam, &adam, 1.0);
}

ho_status ho_downstream_training_step(ho_downstream_training *training, double *loss) {
    ho_downstream_training *t = training;
    ho_device *device = ho_context_device(t->context);
    ho_tensor *entropy = NULL;
    ho_context_reset(t->context);
    HO_TRY(ho_device_record_begin(device, &t->graph));
    HO_TRY(ho_device_record_end(device, &t->graph, learn(t, &entropy)));
    HO_TRY(ho_tensor_scalar(t->context, entropy, loss));
    if (!isfinite(*loss)) {
        HO_FAIL(HO_ENUMERIC, "the loss is %g at step %lld: lower downstream.lr", *loss, (long long)t->step);
    }
    ++t->step;
    return HO_OK;
}

/* ---- checkpoints
 * ------------------------------------------------------------------------------------------------------------ */

static ho_status exchange(ho_downstream_training *t, ho_store *store, bool load, float *m, float *v, int64_t count) {
    ho_params *params = ho_deeplab_params(t->network);
    double step = (double)t->step;
    if (!load) {
        HO_TRY(ho_store_write_params(store, "network/", params));
        HO_TRY(ho_adam_get(t->adam, m, v));
        HO_TRY(ho_store_write(store, "adam/m", HO_F32, 1, &count, m));
        HO_TRY(ho_store_write(store, "adam/v", HO_F32, 1, &count, v));
        return ho_store_set_number(store, "step", step);
    }
    HO_TRY(ho_store_read_params(store, "network/", params));
    HO_TRY(ho_store_read(store, "adam/m", HO_F32, 1, &count, m));
    HO_TRY(ho_store_read(store, "adam/v", HO_F32, 1, &count, v));
    HO_TRY(ho_store_get_number(store, "step", &step));
    if (!(step >= 0.0 && step <= (double)t->options.steps)) {
        HO_FAIL(HO_EFORMAT, "%s: step %g of %lld", ho_store_path(store), step, (long long)t->options.steps);
    }
    HO_TRY(ho_adam_set(t->adam, (int64_t)step, m, v));
    t->step = (int64_t)step;
    return HO_OK;
}

static ho_status checkpoint(ho_downstream_training *t, ho_store *store, bool load) {
    int64_t count;
    (void)ho_params_values(ho_deeplab_params(t->network), &count);
    float *moments = calloc(2 * (size_t)count, sizeof *moments);
    if (moments == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the state of Adam");
    }
    const ho_status status = exchange(t, store, load, moments, moments + count, count);
    free(moments);
    return status;
}

ho_status ho_downstream_training_save(ho_downstream_training *training, ho_store *store) {
    return checkpoint(training, store, false);
}

ho_status ho_downstream_training_restore(ho_downstream_training *training, ho_store *store) {
    return checkpoint(training, store, true);
}
