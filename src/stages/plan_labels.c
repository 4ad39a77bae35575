/* Rehearsals of the stages around labels: import-data, train-head, generate, train-downstream, evaluate, report. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "downstream_training.h"
#include "handsoff/deeplab.h"
#include "handsoff/feature_cache.h"
#include "handsoff/synthetic.h"
#include "head_training.h"
#include "plan_parts.h"

enum { FEATURE_BATCH = 8, LOOK_CHUNK = 512, EVALUATE_BATCH = 16, METHODS = 3, CHECKPOINT_SECONDS = 60 };

static double pixels_of(const ho_plan_case *c) {
    return (double)c->data.size * (double)c->data.size;
}

/* ---- import-data ----------------------------------------------------------------------------------------- */

/* Published sets are read through chunks of 64 MB a data set at most, 8 images at least (format_import.c); photos of
 * one part, decoded, lie beside it. Drawn faces are kept whole. */
ho_status ho_plan_import(const ho_plan_case *c, ho_plan_sums *sums) {
    const bool drawn = strcmp(ho_config_text(c->config, "data.format"), "toy_faces") == 0;
    const double n = (double)(c->data.n_train + c->data.n_test + c->data.n_unlabelled),
                 all = ho_plan_data_bytes(&c->data);
    const double row = pixels_of(c) * 4.0, chunk = fmax(8.0 * row, 64.0 * 1048576.0), photo = 17.0 * 1048576.0;
    sums->disk = all;
    sums->arrays = drawn ? all : fmin(all, chunk) + photo;
    sums->busy = n * (0.002 + pixels_of(c) * 8e-8);
    return HO_OK;
}

/* ---- train-head ------------------------------------------------------------------------------------------ */

static ho_status head_shape(const ho_plan_case *c, ho_label_head_shape *s) {
    const int64_t *hidden = NULL, *blocks = NULL, n_maps = ho_stylegan2_n_ws(&c->shape);
    const int n_blocks = ho_config_ints(c->config, "head.blocks", &blocks);
    (void)ho_config_ints(c->config, "head.hidden", &hidden);
    *s = (ho_label_head_shape){.members = ho_config_int(c->config, "head.members"),
                               .h1 = hidden[0],
                               .h2 = hidden[1],
                               .K = c->data.n_classes,
                               .H = c->data.size,
                               .W = c->data.size,
                               .n_blocks = n_blocks == 0 ? (int)n_maps : n_blocks};
    for (int l = 0; l < s->n_blocks; ++l) {
        s->block[l] = n_blocks == 0 ? l : blocks[l];
        s->channels[l] = ho_style_block_channels(&c->shape, s->block[l]);
    }
    return HO_OK;
}

/* Style-block maps of N images, from a zero latent. */
static ho_status synthesize(const ho_plan_case *c, ho_context *context, ho_generator *generator, int64_t N,
                            ho_style_blocks *blocks, ho_tensor **image) {
    const ho_noise noise = {HO_NOISE_CONST, 0, 0, 0};
    ho_tensor *z = NULL, *w = NULL, *w_plus = NULL;
    ho_context_reset(context);
    HO_TRY(ho_tensor_new(context, HO_SHAPE(N, c->shape.z_dim), &z));
    HO_TRY(ho_generator_map(context, generator, z, &w));
    HO_TRY(ho_generator_truncate(context, generator, w, 0.5, &w));
    HO_TRY(ho_w_to_w_plus(context, w, ho_stylegan2_n_ws(&c->shape), &w_plus));
    return ho_generator_synthesize(context, generator, w_plus, &noise, blocks, image);
}

/* train_head.c: FEATURE_BATCH images at a time into the cache. *flops is that of all. */
static ho_status fill_cache(const ho_plan_case *c, ho_generator *generator, ho_feature_cache *cache, int64_t n,
                            double *flops) {
    const int64_t N = n < FEATURE_BATCH ? n : FEATURE_BATCH;
    ho_context *context = NULL;
    ho_style_blocks blocks;
    ho_tensor *image = NULL;
    HO_TRY(ho_context_create(c->device, &context));
    ho_device_dry_restart(c->device);
    ho_status status = synthesize(c, context, generator, N, &blocks, &image);
    for (int64_t first = 0; first < n && status == HO_OK; first += N) {
        status = ho_feature_cache_put(context, cache, first + N <= n ? first : n - N, &blocks);
    }
    *flops = ho_device_dry_count(c->device).flops * (double)n / (double)N;
    ho_context_free(context);
    return status;
}

/* One step with a look at held-out pixels, or without. */
static ho_status head_step(const ho_plan_case *c, const ho_label_head_shape *shape, const ho_feature_cache *cache,
                           double held_out, double *flops) {
    const ho_head_training_options options = {.lr = 0.001,
                                              .batch = ho_config_int(c->config, "head.batch"),
                                              .check_every = 1,
                                              .patience = 1,
                                              .max_steps = 1,
                                              .held_out = held_out};
    ho_head_training *training = NULL;
    bool done = false;
    uint8_t *labels = calloc((size_t)(shape->H * shape->W), 1);
    if (labels == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the labels of an image");
    }
    ho_status status = ho_head_training_create(c->device, &options, shape, cache, labels, 1, &training);
    ho_device_dry_restart(c->device);
    if (status == HO_OK) {
        status = ho_head_training_advance(training, NULL, &done);
    }
    *flops = ho_device_dry_count(c->device).flops;
    ho_head_training_free(training);
    free(labels);
    return status;
}

static ho_status train_head(const ho_plan_case *c, const ho_label_head_shape *shape, int64_t n, double flops[3]) {
    const ho_feature_cache_options options = {&c->shape, shape->n_blocks, shape->block, n, shape->H, shape->W, 1e18};
    const double held_out = ho_config_real(c->config, "head.held_out");
    ho_generator *generator = NULL;
    ho_feature_cache *cache = NULL;
    ho_status status = ho_plan_generator(c, &generator);
    status = status == HO_OK ? ho_feature_cache_create(c->device, &options, &cache) : status;
    status = status == HO_OK ? fill_cache(c, generator, cache, n, &flops[0]) : status;
    status = status == HO_OK ? head_step(c, shape, cache, 0.0, &flops[1]) : status;
    status = status == HO_OK ? head_step(c, shape, cache, held_out, &flops[2]) : status;
    ho_feature_cache_free(cache);
    ho_generator_free(generator);
    return status;
}

static double head_bytes(const ho_label_head_shape *s) {
    const double C = (double)ho_label_head_channels(s), h1 = (double)s->h1, h2 = (double)s->h2, K = (double)s->K;
    return 4.0 * (double)s->members * (h1 * (C + 5.0) + h2 * (h1 + 5.0) + K * (h2 + 1.0));
}

ho_status ho_plan_head(const ho_plan_case *c, ho_plan_sums *sums) {
    ho_label_head_shape shape;
    int64_t sum = 0;
    const int64_t n = ho_plan_labelled(c->config, &sum), *counts = NULL;
    const double heads = (double)ho_config_ints(c->config, "labelled", &counts);
    double flops[3] = {0.0, 0.0, 0.0};
    HO_TRY(head_shape(c, &shape));
    HO_TRY(train_head(c, &shape, n, flops));
    const double steps = (double)ho_config_int(c->config, "head.max_steps"), pixels = pixels_of(c) * (double)n;
    const double looks = steps / (double)ho_config_int(c->config, "head.check_every");
    const double members = (double)shape.members,
                 drawn = members * fmax(LOOK_CHUNK, (double)ho_config_int(c->config, "head.batch"));
    sums->flops =
        flops[0] * (double)sum / (double)n + heads * (steps * flops[1] + looks * fmax(0.0, flops[2] - flops[1]));
    sums->disk = heads * head_bytes(&shape);
    sums->arrays = ho_plan_data_bytes(&c->data) + 9.0 * pixels + 9.0 * drawn +
                   4.0 * (double)(n * ho_stylegan2_n_ws(&c->shape) * c->shape.w_dim);
    return HO_OK;
}

/* ---- generate -------------------------------------------------------------------------------------------- */

static ho_status one_batch(const ho_plan_case *c, const ho_label_head_shape *shape, ho_label_head *head,
                           ho_generator *generator, ho_context *context) {
    const size_t B = (size_t)ho_config_int(c->config, "generate.batch"), HW = (size_t)(shape->H * shape->W);
    ho_style_blocks blocks;
    ho_tensor *image = NULL;
    uint8_t *label = malloc(B * HW);
    float *js = malloc(sizeof *js * B * HW), *score = malloc(sizeof *score * B);
    const ho_label_prediction prediction = {label, js, score};
    ho_status status = label == NULL || js == NULL || score == NULL
                           ? ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for the labels of a batch")
                           : synthesize(c, context, generator, (int64_t)B, &blocks, &image);
    status = status == HO_OK ? ho_label_head_predict(context, head, &blocks, &prediction) : status;
    free(label);
    free(js);
    free(score);
    return status;
}

ho_status ho_plan_generate(const ho_plan_case *c, ho_plan_sums *sums) {
    ho_label_head_shape shape;
    ho_generator *generator = NULL;
    ho_label_head *head = NULL;
    ho_context *context = NULL;
    const int64_t *counts = NULL;
    const double B = (double)ho_config_int(c->config, "generate.batch"), HW = pixels_of(c);
    const double sets = (double)ho_config_ints(c->config, "labelled", &counts);
    const double n = (double)ho_config_int(c->config, "generate.n");
    HO_TRY(head_shape(c, &shape));
    ho_status status = ho_plan_generator(c, &generator);
    status = status == HO_OK ? ho_label_head_create(c->device, &shape, 0, &head) : status;
    status = status == HO_OK ? ho_context_create(c->device, &context) : status;
    ho_device_dry_restart(c->device);
    status = status == HO_OK ? one_batch(c, &shape, head, generator, context) : status;
    sums->flops = ho_device_dry_count(c->device).flops * sets * ceil(n / B);
    sums->arrays = 20.0 * B * HW + 4.0 * B * (double)c->shape.z_dim;
    sums->disk = sets * n * (6.0 * HW + 4.0 * (double)c->shape.z_dim);
    sums->busy = sets * n * HW * 1.5e-7;
    ho_context_free(context);
    ho_label_head_free(head);
    ho_generator_free(generator);
    return status;
}

/* ---- train-downstream, evaluate -------------------------------------------------------------------------- */

static ho_deeplab_shape network_shape(const ho_plan_case *c) {
    return (ho_deeplab_shape){{ho_config_int(c->config, "downstream.channels"),
                               ho_config_int(c->config, "downstream.blocks"), c->data.size, c->data.size},
                              c->data.n_classes};
}

/* Trainings: numbers of labelled images, methods, seeds. */
static double trainings(const ho_config *config) {
    const int64_t *values = NULL;
    const int counts = ho_config_ints(config, "labelled", &values);
    const int seeds = ho_config_ints(config, "downstream.seeds", &values);
    return (double)counts * (double)seeds *
           (*ho_config_text(config, "transfer.weights") == '\0' ? METHODS - 1 : METHODS);
}

ho_status ho_plan_downstream(const ho_plan_case *c, ho_plan_sums *sums) {
    const ho_deeplab_shape shape = network_shape(c);
    const ho_downstream_options options = {0, 10, ho_config_int(c->config, "downstream.batch"), 0.001,
                                           HO_LABELLED_AUGMENTATION};
    const double HW = pixels_of(c), batch = (double)options.batch, n = trainings(c->config);
    const double steps = n * (double)ho_config_int(c->config, "downstream.steps");
    const double kept =
        (double)ho_config_int(c->config, "generate.n") * (1.0 - ho_config_real(c->config, "filter.fraction"));
    uint8_t *zeros = calloc((size_t)(4.0 * HW), 1);
    double loss = 0.0, bytes = 0.0;
    ho_downstream_training *training = NULL;
    if (zeros == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for an image");
    }
    const ho_downstream_images images = {1, zeros, zeros + (size_t)(3.0 * HW), NULL};
    ho_status status = ho_downstream_training_create(c->device, &options, &shape, &images, &training);
    ho_device_dry_restart(c->device);
    if (status == HO_OK) {
        status = ho_downstream_training_step(training, &loss);
        bytes = ho_plan_parameter_bytes(ho_deeplab_params(ho_downstream_training_network(training)));
    }
    sums->flops = ho_device_dry_count(c->device).flops * steps;
    sums->arrays = ho_plan_data_bytes(&c->data) + 4.0 * HW * kept + 16.0 * HW * batch + 2.0 * bytes;
    sums->disk = n * bytes;
    sums->busy = steps * batch * HW * 6e-8 / 2.0;
    ho_downstream_training_free(training);
    free(zeros);
    return status;
}

static ho_status predict(const ho_plan_case *c, int64_t n, double *flops) {
    const ho_deeplab_shape shape = network_shape(c);
    const size_t pixels = (size_t)(n * c->data.size * c->data.size);
    ho_deeplab *network = NULL;
    ho_context *context = NULL;
    uint8_t *images = calloc(pixels, 4);
    ho_status status = images == NULL
                           ? ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for %lld images", (long long)n)
                           : ho_deeplab_create(c->device, &shape, 0, &network);
    if (status == HO_OK) {
        ho_params_set_trainable(ho_deeplab_params(network), false);
        status = ho_context_create(c->device, &context);
    }
    ho_device_dry_restart(c->device);
    if (status == HO_OK) {
        status = ho_deeplab_predict(context, network, images, n, EVALUATE_BATCH, images + 3 * pixels);
    }
    *flops = ho_device_dry_count(c->device).flops;
    ho_context_free(context);
    ho_deeplab_free(network);
    free(images);
    return status;
}

ho_status ho_plan_evaluate(const ho_plan_case *c, ho_plan_sums *sums) {
    const int64_t n_test = c->data.n_test < 1 ? 1 : c->data.n_test,
                  n = n_test < EVALUATE_BATCH ? n_test : EVALUATE_BATCH;
    const double HW = pixels_of(c), K = fmax(3.0, (double)c->data.n_classes), networks = trainings(c->config);
    const int64_t *seeds = NULL;
    double flops = 0.0;
    HO_TRY(predict(c, n, &flops));
    sums->flops = flops * (double)n_test / (double)n * networks;
    sums->arrays = ho_plan_data_bytes(&c->data) + HW * (double)n_test + 4.0 * EVALUATE_BATCH * HW * K;
    sums->disk = HW * (double)n_test * networks / (double)ho_config_ints(c->config, "downstream.seeds", &seeds);
    return HO_OK;
}

/* ---- report ---------------------------------------------------------------------------------------------- */

/* Sheets of pictures: some hundred tiles at three bytes, before and after compression. */
ho_status ho_plan_report(const ho_plan_case *c, ho_plan_sums *sums) {
    sums->disk = 60.0 * pixels_of(c);
    sums->arrays = ho_plan_data_bytes(&c->data) + 300.0 * pixels_of(c) + 12e6;
    sums->busy = 0.5 + pixels_of(c) * 2e-4;
    return HO_OK;
}
