/* DeepLabV3: head, files, prediction. */
#include "handsoff/deeplab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/random.h"

enum { N_RATES = 3, MAX_CLASSES = 255 };
#define DROPOUT 0.1

struct ho_deeplab {
    ho_deeplab_shape shape;
    ho_device *device;
    ho_params *params;
    ho_backbone backbone;
    ho_conv_norm point, dilated[N_RATES], pooled, project, head;
    int64_t rate[N_RATES];
    ho_tensor *classifier, *classifier_bias;
};

ho_params *ho_deeplab_params(ho_deeplab *network) {
    return network->params;
}

const ho_deeplab_shape *ho_deeplab_shape_of(const ho_deeplab *network) {
    return &network->shape;
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------------ */

static void choose_rates(ho_deeplab *d) {
    const ho_backbone_shape *s = &d->shape.backbone;
    const int64_t side = s->height < s->width ? s->height : s->width, stride = ho_backbone_stride(s);
    const int64_t map = (side + stride - 1) / stride;
    for (int i = 0; i < N_RATES; ++i) {
        const int64_t rate = llround(12.0 * (i + 1) * (double)map / 64.0);
        d->rate[i] = rate < 1 ? 1 : rate;
    }
}

static ho_status declare_head(ho_deeplab *d) {
    const int64_t F = ho_backbone_channels(&d->shape.backbone), A = 2 * d->shape.backbone.channels;
    char weight[64], norm[64];
    HO_TRY(
        ho_conv_norm_declare(d->params, A, 1, F, "classifier.0.convs.0.0.weight", "classifier.0.convs.0.1", &d->point));
    for (int i = 0; i < N_RATES; ++i) {
        snprintf(weight, sizeof weight, "classifier.0.convs.%d.0.weight", i + 1);
        snprintf(norm, sizeof norm, "classifier.0.convs.%d.1", i + 1);
        HO_TRY(ho_conv_norm_declare(d->params, A, 3, F, weight, norm, &d->dilated[i]));
    }
    HO_TRY(ho_conv_norm_declare(d->params, A, 1, F, "classifier.0.convs.4.1.weight", "classifier.0.convs.4.2",
                                &d->pooled));
    HO_TRY(ho_conv_norm_declare(d->params, A, 1, (N_RATES + 2) * A, "classifier.0.project.0.weight",
                                "classifier.0.project.1", &d->project));
    HO_TRY(ho_conv_norm_declare(d->params, A, 3, A, "classifier.1.weight", "classifier.2", &d->head));
    HO_TRY(ho_params_add(d->params, HO_PARAM, HO_INIT_NORMAL(sqrt(1.0 / (double)A)), HO_FILE_OIHW,
                         HO_SHAPE(d->shape.K, 1, 1, A), &d->classifier, "classifier.4.weight"));
    return ho_params_add(d->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(d->shape.K), &d->classifier_bias,
                         "classifier.4.bias");
}

static ho_status declare(ho_deeplab *d, uint64_t seed) {
    HO_REQUIRE(d->shape.K >= 1 && d->shape.K <= MAX_CLASSES, "deeplab: %lld classes; right are 1 to %d",
               (long long)d->shape.K, MAX_CLASSES);
    HO_TRY(ho_params_create(d->device, &d->params));
    HO_TRY(ho_backbone_declare(d->params, &d->shape.backbone, "backbone.", &d->backbone));
    choose_rates(d);
    HO_TRY(declare_head(d));
    return ho_params_commit(d->params, seed);
}

ho_status ho_deeplab_create(ho_device *device, const ho_deeplab_shape *shape, uint64_t seed, ho_deeplab **network) {
    ho_deeplab *d = calloc(1, sizeof *d);
    if (d == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a segmentation network");
    }
    d->shape = *shape;
    d->device = device;
    const ho_status status = declare(d, seed);
    if (status != HO_OK) {
        ho_deeplab_free(d);
        return status;
    }
    *network = d;
    return HO_OK;
}

void ho_deeplab_free(ho_deeplab *network) {
    if (network != NULL) {
        ho_params_free(network->params);
        free(network);
    }
}

/* ---- files
 * ------------------------------------------------------------------------------------------------------------ */

static const char *const SHAPE_KEY[] = {"channels", "blocks", "height", "width", "classes"};
enum { N_SHAPE_KEYS = sizeof SHAPE_KEY / sizeof *SHAPE_KEY };

ho_status ho_deeplab_write(ho_deeplab *network, ho_store *store) {
    const ho_backbone_shape *b = &network->shape.backbone;
    const int64_t value[N_SHAPE_KEYS] = {b->channels, b->blocks, b->height, b->width, network->shape.K};
    HO_TRY(ho_store_set_text(store, "network", "deeplabv3"));
    for (int i = 0; i < N_SHAPE_KEYS; ++i) {
        HO_TRY(ho_store_set_number(store, SHAPE_KEY[i], (double)value[i]));
    }
    return ho_store_write_params(store, "", network->params);
}

static ho_status read_network(ho_device *device, ho_store *store, ho_deeplab **network) {
    double value[N_SHAPE_KEYS];
    char kind[32] = "";
    HO_TRY(ho_store_check_schema(store));
    if (!ho_store_has_attribute(store, "network") || ho_store_get_text(store, "network", kind, sizeof kind) != HO_OK ||
        strcmp(kind, "deeplabv3") != 0) {
        HO_FAIL(HO_EFORMAT, "%s: not a segmentation network; train-downstream writes them", ho_store_path(store));
    }
    for (int i = 0; i < N_SHAPE_KEYS; ++i) {
        HO_TRY(ho_store_get_number(store, SHAPE_KEY[i], &value[i]));
        if (!(value[i] >= 1 && value[i] <= 65536)) {
            HO_FAIL(HO_EFORMAT, "%s: attribute %s is %g", ho_store_path(store), SHAPE_KEY[i], value[i]);
        }
    }
    const ho_deeplab_shape shape = {{(int64_t)value[0], (int64_t)value[1], (int64_t)value[2], (int64_t)value[3]},
                                    (int64_t)value[4]};
    HO_TRY(ho_deeplab_create(device, &shape, 0, network));
    const ho_status status = ho_store_read_params(store, "", (*network)->params);
    if (status != HO_OK) {
        ho_deeplab_free(*network);
        *network = NULL;
    }
    return status;
}

ho_status ho_deeplab_load(ho_device *device, const char *path, ho_deeplab **network) {
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = read_network(device, store, network);
    ho_store_close(store);
    return status;
}

/* The backbone in the file must have our width and depth: layer4's last block is there and there is none after it. */
static ho_status check_backbone(int64_t channels, int64_t n_blocks, ho_store *store) {
    ho_store_info info;
    int blocks = 0;
    char name[64];
    HO_TRY(ho_store_check_schema(store));
    if (!ho_store_has(store, "backbone.conv1.weight")) {
        HO_FAIL(HO_EFORMAT, "%s: holds no pretrained backbone (no \"backbone.conv1.weight\")", ho_store_path(store));
    }
    HO_TRY(ho_store_info_of(store, "backbone.conv1.weight", &info));
    do {
        snprintf(name, sizeof name, "backbone.layer4.%d.conv1.weight", blocks);
    } while (ho_store_has(store, name) && ++blocks <= HO_BACKBONE_MAX_BLOCKS);
    if (info.dim[0] != channels || blocks != n_blocks) {
        HO_FAIL(HO_ECONFIG,
                "%s: the pretrained backbone has %lld channels and %d blocks a stage, the config asks for %lld and "
                "%lld: set downstream.channels=%lld downstream.blocks=%d, or give a fitting transfer.weights",
                ho_store_path(store), (long long)info.dim[0], blocks, (long long)channels, (long long)n_blocks,
                (long long)info.dim[0], blocks);
    }
    return HO_OK;
}

ho_status ho_backbone_check_file(const char *path, int64_t channels, int64_t blocks) {
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = check_backbone(channels, blocks, store);
    ho_store_close(store);
    return status;
}

ho_status ho_deeplab_load_backbone(ho_deeplab *network, const char *path) {
    ho_store *store = NULL;
    ho_params *params = NULL;
    ho_backbone backbone;
    HO_TRY(ho_store_open(path, &store));
    ho_status status = HO_OK;
    HO_TRY_DONE(check_backbone(network->shape.backbone.channels, network->shape.backbone.blocks, store));
    HO_TRY_DONE(ho_params_create(network->device, &params));
    HO_TRY_DONE(ho_backbone_declare(params, &network->shape.backbone, "backbone.", &backbone));
    HO_TRY_DONE(ho_params_commit(params, 0));
    HO_TRY_DONE(ho_store_read_params(store, "", params));
    for (int i = 0; i < ho_params_n(params); ++i) {
        ho_param *from = ho_params_at(params, i);
        float *host = malloc((size_t)ho_tensor_count(&from->tensor) * sizeof *host);
        status = host == NULL ? ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for %s", from->name)
                              : ho_param_get(params, from, host);
        status =
            status == HO_OK ? ho_param_set(network->params, ho_params_find(network->params, from->name), host) : status;
        free(host);
        HO_TRY_DONE(status);
    }
done:
    ho_params_free(params);
    ho_store_close(store);
    return status;
}

/* ---- evaluation
 * ------------------------------------------------------------------------------------------------------------ */

/* Mean over the map, 1x1, batch norm, ReLU, spread over the map again. */
static ho_status pooled_branch(ho_context *context, const ho_deeplab *d, ho_tensor *x, bool training, ho_tensor **y) {
    const ho_conv_options point = {1, 0, 1};
    HO_TRY(ho_global_mean(context, x, y));
    HO_TRY(ho_reshape(context, *y, HO_SHAPE(x->dim[0], 1, 1, x->dim[3]), y));
    HO_TRY(ho_conv_norm_apply(context, &d->pooled, *y, &point, true, training, y));
    return ho_resize_bilinear(context, *y, x->dim[1], x->dim[2], y);
}

static ho_status pyramid(ho_context *context, const ho_deeplab *d, ho_tensor *x, const ho_deeplab_mode *mode,
                         ho_tensor **y) {
    const ho_conv_options point = {1, 0, 1};
    ho_tensor *branch[N_RATES + 2];
    HO_TRY(ho_conv_norm_apply(context, &d->point, x, &point, true, mode->training, &branch[0]));
    for (int i = 0; i < N_RATES; ++i) {
        const ho_conv_options dilated = {1, d->rate[i], d->rate[i]};
        HO_TRY(ho_conv_norm_apply(context, &d->dilated[i], x, &dilated, true, mode->training, &branch[i + 1]));
    }
    HO_TRY(pooled_branch(context, d, x, mode->training, &branch[N_RATES + 1]));
    HO_TRY(ho_concat_all(context, N_RATES + 2, branch, y));
    HO_TRY(ho_conv_norm_apply(context, &d->project, *y, &point, true, mode->training, y));
    if (!mode->training) {
        return HO_OK;
    }
    const uint64_t first = (uint64_t)(mode->step * ho_tensor_count(*y));
    return ho_dropout(context, *y, DROPOUT, mode->seed, ho_stream_id("deeplab/dropout"), first, y);
}

ho_status ho_deeplab_logits(ho_context *context, ho_deeplab *network, ho_tensor *x, const ho_deeplab_mode *mode,
                            ho_tensor **logits) {
    const ho_conv_options same = {1, 1, 1}, point = {1, 0, 1};
    const ho_act linear = HO_ACT_LINEAR;
    ho_tensor *y;
    HO_REQUIRE(!mode->training || x->dim[0] >= 2,
               "deeplab: training needs at least 2 images a batch (batch norm after image pooling)");
    HO_TRY(ho_backbone_features(context, &network->backbone, x, mode->training, &y));
    HO_TRY(pyramid(context, network, y, mode, &y));
    HO_TRY(ho_conv_norm_apply(context, &network->head, y, &same, true, mode->training, &y));
    HO_TRY(ho_conv2d(context, y, network->classifier, &point, &y));
    HO_TRY(ho_bias_act(context, y, network->classifier_bias, &linear, &y));
    return ho_resize_bilinear(context, y, x->dim[1], x->dim[2], logits);
}

static void classify(const float *logits, int64_t pixels, int64_t K, uint8_t *labels) {
    for (int64_t p = 0; p < pixels; ++p) {
        const float *v = logits + p * K;
        int64_t best = 0;
        for (int64_t k = 1; k < K; ++k) {
            best = v[k] > v[best] ? k : best;
        }
        labels[p] = (uint8_t)best;
    }
}

ho_status ho_deeplab_predict(ho_context *context, ho_deeplab *network, const uint8_t *images, int64_t n, int64_t batch,
                             uint8_t *labels) {
    const int64_t H = network->shape.backbone.height, W = network->shape.backbone.width, K = network->shape.K;
    const ho_deeplab_mode mode = {false, 0, 0};
    float *host = malloc(sizeof *host * (size_t)(batch * H * W * (K > 3 ? K : 3)));
    if (host == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the logits of %lld images", (long long)batch);
    }
    ho_status status = HO_OK;
    for (int64_t first = 0; first < n; first += batch) {
        const int64_t N = n - first < batch ? n - first : batch;
        ho_tensor *x, *logits;
        ho_context_reset(context);
        ho_normalise_pixels(images + first * H * W * 3, N * H * W, host);
        HO_TRY_DONE(ho_tensor_from_host(context, host, HO_SHAPE(N, H, W, 3), &x));
        HO_TRY_DONE(ho_deeplab_logits(context, network, x, &mode, &logits));
        HO_TRY_DONE(ho_tensor_to_host(context, logits, host));
        classify(host, N * H * W, K, labels + first * H * W);
    }
done:
    free(host);
    return status;
}
