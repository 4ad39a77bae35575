/* The label head: 10 members on whole images; one member's training step on ready batches. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "handsoff/label_head.h"
#include "handsoff/random.h"

enum { MEMBERS = 10, H1 = 256, H2 = 32, CLASSES = 19, RANDOM_BATCHES = 4 };
enum { SMALL = 700, CARS = 6016 }; /* channels that stand for a generator other than that of 1024 pixels */

typedef struct {
    ho_label_head *head;
    ho_style_blocks blocks;
    ho_label_prediction prediction;
} inference;

static ho_status run_inference(bench_work *work) {
    const inference *s = work->state;
    ho_context_reset(work->context);
    return ho_label_head_predict(work->context, s->head, &s->blocks, &s->prediction);
}

/* 700 channels: 70 in each of the two blocks of 4 .. 64; 6080: those of the generator of 1024 pixels with members of
 * 256, 32, 19; 6016: those of 512 pixels with members of 512, 256, 10, as the original labels cars. */
static void head_shape(int64_t height, int64_t width, int64_t channels, ho_label_head_shape *shape, int64_t *sizes) {
    const ho_stylegan2_shape full = bench_stylegan2(channels == CARS ? 512 : 1024, 512);
    *shape = (ho_label_head_shape){.members = MEMBERS, .h1 = H1, .h2 = H2, .K = CLASSES, .H = height, .W = width};
    if (channels == CARS) {
        shape->h1 = 512;
        shape->h2 = 256;
        shape->K = 10;
    }
    shape->n_blocks = channels == SMALL ? 10 : (int)ho_stylegan2_n_ws(&full);
    for (int l = 0; l < shape->n_blocks; ++l) {
        shape->block[l] = l;
        shape->channels[l] = channels == SMALL ? 70 : ho_style_block_channels(&full, l);
        sizes[l] = ho_style_block_height(&full, l);
    }
}

/* Labels of height x width, height 0: square. */
ho_status bench_make_head_inference(bench_work *work, int64_t width, int64_t channels, int64_t height) {
    static inference s;
    ho_label_head_shape shape;
    int64_t sizes[HO_MAX_STYLE_BLOCKS];
    height = height > 0 ? height : width;
    const int64_t pixels = height * width;
    head_shape(height, width, channels, &shape, sizes);
    HO_TRY(ho_label_head_create(work->device, &shape, 1, &s.head));
    ho_params_set_trainable(ho_label_head_params(s.head), false);
    s.blocks.n = shape.n_blocks;
    for (int l = 0; l < shape.n_blocks; ++l) {
        const int64_t h = sizes[l], own = h * h;
        HO_TRY(bench_normal(work, HO_SHAPE(1, h, h, shape.channels[l]), (uint64_t)l, &s.blocks.map[l]));
        /* at its own size where that is smaller, else at the labels' */
        work->flop += 2.0 * (double)(MEMBERS * shape.h1 * shape.channels[l] * (own < pixels ? own : pixels));
    }
    work->flop += 2.0 * (double)(pixels * MEMBERS * (shape.h1 * shape.h2 + shape.h2 * shape.K));
    s.prediction.label = malloc((size_t)pixels);
    s.prediction.js = malloc((size_t)pixels * sizeof(float));
    s.prediction.score = malloc(sizeof(float));
    if (s.prediction.label == NULL || s.prediction.js == NULL || s.prediction.score == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for labels");
    }
    work->state = &s;
    work->run = run_inference;
    work->images = 1.0;
    work->given_bytes = ho_device_bytes(work->device);
    (void)snprintf(work->shape, sizeof work->shape,
                   "N1 %lldx%lld, %lld channels, 10 heads of %lld, %lld, %lld: labels, JS and score", (long long)height,
                   (long long)width, (long long)channels, (long long)shape.h1, (long long)shape.h2, (long long)shape.K);
    return HO_OK;
}

typedef struct {
    ho_label_head *head;
    ho_adam *adam;
    ho_tensor *x[RANDOM_BATCHES];
    uint8_t *labels;
    int turn;
} training;

static ho_status learn(bench_work *work, training *s) {
    ho_tensor *logits = NULL, *loss = NULL;
    HO_TRY(ho_label_head_logits(work->context, s->head, s->x[s->turn], true, &logits));
    HO_TRY(ho_cross_entropy(work->context, logits, s->labels, &loss));
    return ho_backward(work->context, loss);
}

static ho_status run_training(bench_work *work) {
    static const ho_adam_options ADAM = {1e-3, 0.9, 0.999, 1e-8, 0.0};
    training *s = work->state;
    s->turn = (s->turn + 1) % RANDOM_BATCHES;
    ho_context_reset(work->context);
    ho_context_record(work->context, true);
    const ho_status status = learn(work, s);
    ho_context_record(work->context, false);
    HO_TRY(status);
    return ho_adam_step(s->adam, &ADAM, 1.0);
}

ho_status bench_make_head_training(bench_work *work, int64_t batch, int64_t channels, int64_t unused_c) {
    (void)unused_c;
    static training s;
    ho_label_head_shape shape;
    int64_t height[HO_MAX_STYLE_BLOCKS];
    head_shape(256, 256, channels, &shape, height);
    shape.members = 1;
    HO_TRY(ho_label_head_create(work->device, &shape, 1, &s.head));
    HO_TRY(ho_adam_create(ho_label_head_params(s.head), &s.adam));
    for (int i = 0; i < RANDOM_BATCHES; ++i) {
        HO_TRY(bench_normal(work, HO_SHAPE(batch, channels), (uint64_t)i, &s.x[i]));
    }
    s.labels = malloc((size_t)batch);
    if (s.labels == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for labels");
    }
    for (int64_t i = 0; i < batch; ++i) {
        s.labels[i] = (uint8_t)ho_uniform_int(1, 1, (uint64_t)i, CLASSES);
    }
    work->state = &s;
    work->run = run_training;
    work->recordable = true;
    /* forward, gradients of weights, gradients of inputs but for the first layer's */
    work->flop = 2.0 * (double)batch * (2.0 * (double)(channels * H1) + 3.0 * (H1 * H2 + H2 * CLASSES));
    (void)snprintf(work->shape, sizeof work->shape, "batch %lld, %lld channels, one head of 256, 32, 19, Adam",
                   (long long)batch, (long long)channels);
    return HO_OK;
}
