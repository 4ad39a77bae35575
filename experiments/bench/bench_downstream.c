/* The segmentation network at its default width and depth and 8 classes: labels of images, and one step of its
 * training on a ready batch. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "handsoff/deeplab.h"
#include "handsoff/random.h"

enum { WIDTH = 16, BLOCKS = 1, CLASSES = 8 };

typedef struct {
    ho_deeplab *network;
    ho_adam *adam;
    ho_tensor *x;
    uint8_t *images, *labels;
    int64_t size, N, step;
} segmentation;

static ho_status run_inference(bench_work *work) {
    const segmentation *s = work->state;
    return ho_deeplab_predict(work->context, s->network, s->images, s->N, s->N, s->labels);
}

static ho_status learn(bench_work *work, const segmentation *s) {
    const ho_deeplab_mode mode = {true, 1, s->step};
    ho_tensor *logits = NULL, *loss = NULL;
    HO_TRY(ho_deeplab_logits(work->context, s->network, s->x, &mode, &logits));
    HO_TRY(ho_cross_entropy(work->context, logits, s->labels, &loss));
    return ho_backward(work->context, loss);
}

static ho_status run_training(bench_work *work) {
    static const ho_adam_options ADAM = {1e-3, 0.9, 0.999, 1e-8, 0.0};
    segmentation *s = work->state;
    ++s->step;
    ho_context_reset(work->context);
    ho_context_record(work->context, true);
    const ho_status status = learn(work, s);
    ho_context_record(work->context, false);
    HO_TRY(status);
    return ho_adam_step(s->adam, &ADAM, 1.0);
}

/* FLOPs of one image's convolutions, direct; those of the stem apart, as nobody wants the gradient of the image. Maps
 * of stem and layer1 at half the size, all others at a quarter (multiples of 4 in 33 .. 64; backbone.h). */
static double flop_forward(int64_t size, double *stem) {
    const double pixels = (double)(size * size), half = pixels / 4.0, quarter = pixels / 16.0;
    const double C = WIDTH, F = 4.0 * C, A = 2.0 * C;
    *stem = 2.0 * half * 9.0 * 3.0 * C;
    const double layer1 = 2.0 * half * 9.0 * (C * C + C * C);
    const double layer2 = 2.0 * quarter * (9.0 * (C * A + A * A) + C * A);
    const double layer3 = 2.0 * quarter * (9.0 * (A * F + F * F) + A * F);
    const double layer4 = 2.0 * quarter * 9.0 * (F * F + F * F);
    const double pyramid = 2.0 * quarter * (F * A + 3.0 * 9.0 * F * A + 5.0 * A * A) + 2.0 * F * A;
    const double head = 2.0 * quarter * (9.0 * A * A + A * CLASSES);
    return *stem + layer1 + layer2 + layer3 + layer4 + pyramid + head;
}

static ho_status make_batch(bench_work *work, segmentation *s) {
    const int64_t pixels = s->N * s->size * s->size;
    s->images = malloc((size_t)(3 * pixels));
    s->labels = malloc((size_t)pixels);
    if (s->images == NULL || s->labels == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %lld images", (long long)s->N);
    }
    for (int64_t i = 0; i < 3 * pixels; ++i) {
        s->images[i] = (uint8_t)ho_uniform_int(1, 1, (uint64_t)i, 256);
    }
    for (int64_t i = 0; i < pixels; ++i) {
        s->labels[i] = (uint8_t)ho_uniform_int(1, 2, (uint64_t)i, CLASSES);
    }
    return bench_normal(work, HO_SHAPE(s->N, s->size, s->size, 3), 3, &s->x);
}

ho_status bench_make_deeplab(bench_work *work, int64_t size, int64_t N, int64_t training) {
    static segmentation s;
    const ho_deeplab_shape shape = {{WIDTH, BLOCKS, size, size}, CLASSES};
    s.size = size;
    s.N = N;
    HO_TRY(make_batch(work, &s));
    HO_TRY(ho_deeplab_create(work->device, &shape, 1, &s.network));
    ho_params_set_trainable(ho_deeplab_params(s.network), training != 0);
    if (training != 0) {
        HO_TRY(ho_adam_create(ho_deeplab_params(s.network), &s.adam));
    }
    double stem;
    const double forward = flop_forward(size, &stem);
    work->state = &s;
    work->run = training != 0 ? run_training : run_inference;
    work->recordable = training != 0;
    work->images = (double)N;
    work->flop = (double)N * (training != 0 ? 3.0 * forward - stem : forward);
    (void)snprintf(work->shape, sizeof work->shape,
                   "N%lld %lldx%lld DeepLabV3 of %d channels, %d block a stage, %d "
                   "classes: %s",
                   (long long)N, (long long)size, (long long)size, (int)WIDTH, (int)BLOCKS, (int)CLASSES,
                   training != 0 ? "forward, backward, Adam" : "bytes to labels");
    return HO_OK;
}
