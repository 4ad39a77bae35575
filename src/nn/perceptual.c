/* LPIPS: loads a frozen feature network of any width and compares images by its taps. */
#include "handsoff/perceptual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/store.h"
#include "perceptual_topology.h"

/* Up to three convolutions a layer: CONV uses the first, FIRE squeeze, expand 1x1, expand 3x3. */
typedef struct {
    ho_tensor *weight[3], *bias[3];
} layer_weights;

struct ho_perceptual {
    const ho_perceptual_topology_table *table;
    ho_params *params; /* what the file holds */
    ho_params *input;  /* (3, 3) and (3): (x - shift) / scale and the order of colours as one affine map */
    ho_tensor *input_weight, *input_bias;
    layer_weights layer[HO_MOST_LAYERS];
    ho_tensor *lin[HO_MAX_TAPS]; /* NULL = unit weights */
    bool pool_ceil;
};

static const char *const FIRE_PARTS[3] = {".squeeze", ".expand1x1", ".expand3x3"};

/* VGG16's width at layer `name`: what a network without a file has. */
static int64_t vgg16_width(const char *name) {
    const long feature = strtol(name + strlen("features."), NULL, 10);
    return feature < 5 ? 64 : feature < 10 ? 128 : feature < 17 ? 256 : 512;
}

/* Declares convolution `name` with the width that the file says; *C is its input width, then its output width. */
static ho_status add_conv(ho_perceptual *net, ho_store *store, const char *name, int64_t kernel, int64_t *C,
                          ho_tensor **weight, ho_tensor **bias) {
    char key[96];
    ho_store_info info;
    (void)snprintf(key, sizeof key, "%s.weight", name);
    if (store == NULL) {
        info = (ho_store_info){.rank = 4, .dim = {vgg16_width(name), *C, kernel, kernel}};
    } else {
        HO_TRY(ho_store_info_of(store, key, &info));
    }
    if (info.rank != 4 || info.dim[0] < 1 || info.dim[1] != *C || info.dim[2] != kernel || info.dim[3] != kernel) {
        HO_FAIL(HO_EFORMAT,
                "%s: %s must be (O, %lld, %lld, %lld) for a %s; it has rank %d and begins (%lld, %lld, ...)",
                ho_store_path(store), key, (long long)*C, (long long)kernel, (long long)kernel, net->table->name,
                info.rank, (long long)info.dim[0], info.rank > 1 ? (long long)info.dim[1] : 0LL);
    }
    *C = info.dim[0];
    HO_TRY(ho_params_add(net->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_OIHW, HO_SHAPE(*C, kernel, kernel, info.dim[1]),
                         weight, "%s.weight", name));
    return ho_params_add(net->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(*C), bias, "%s.bias", name);
}

static ho_status add_fire(ho_perceptual *net, ho_store *store, int feature, int64_t *C, layer_weights *layer) {
    int64_t width[3] = {*C, 0, 0};
    for (int part = 0; part < 3; ++part) {
        char name[64];
        (void)snprintf(name, sizeof name, "features.%d%s", feature, FIRE_PARTS[part]);
        width[part] = part == 0 ? *C : width[0];
        HO_TRY(add_conv(net, store, name, part == 2 ? 3 : 1, &width[part], &layer->weight[part], &layer->bias[part]));
    }
    *C = width[1] + width[2];
    return HO_OK;
}

static ho_status add_layers(ho_perceptual *net, ho_store *store) {
    int64_t C = 3;
    int taps = 0;
    for (int i = 0; i < net->table->n_layers; ++i) {
        const ho_perceptual_layer *l = &net->table->layer[i];
        layer_weights *layer = &net->layer[i];
        char name[64];
        if (l->kind == HO_LAYER_CONV) {
            (void)snprintf(name, sizeof name, "features.%d", l->feature);
            HO_TRY(add_conv(net, store, name, l->kernel, &C, &layer->weight[0], &layer->bias[0]));
        } else if (l->kind == HO_LAYER_FIRE) {
            HO_TRY(add_fire(net, store, l->feature, &C, layer));
        } else if (l->kind == HO_LAYER_TAP) {
            (void)snprintf(name, sizeof name, "lin%d", taps);
            if (store == NULL || ho_store_has(store, name)) {
                HO_TRY(ho_params_add(net->params, HO_PARAM, HO_INIT_ONE, HO_FILE_SAME, HO_SHAPE(C), &net->lin[taps],
                                     "%s", name));
            }
            ++taps;
        }
    }
    return HO_OK;
}

/* The affine map of the input: row o takes colour c = o, or 2 - o when the network wants blue first. */
static ho_status load_input(ho_perceptual *net, ho_store *store) {
    static const int64_t THREE[1] = {3};
    float shift[3], scale[3], weight[9] = {0}, bias[3];
    double bgr;
    HO_TRY(ho_store_read(store, "shift", HO_F32, 1, THREE, shift));
    HO_TRY(ho_store_read(store, "scale", HO_F32, 1, THREE, scale));
    HO_TRY(ho_store_get_number(store, "bgr", &bgr));
    for (int o = 0; o < 3; ++o) {
        const int c = bgr != 0.0 ? 2 - o : o;
        if (!(scale[c] > 0.0F)) {
            HO_FAIL(HO_EFORMAT, "%s: scale %g of colour %d must be positive", ho_store_path(store), (double)scale[c],
                    c);
        }
        weight[3 * o + c] = 1.0F / scale[c];
        bias[o] = -shift[c] / scale[c];
    }
    HO_TRY(ho_params_commit(net->input, 0));
    ho_params_set_trainable(net->input, false);
    HO_TRY(ho_param_set(net->input, ho_params_find(net->input, "weight"), weight));
    return ho_param_set(net->input, ho_params_find(net->input, "bias"), bias);
}

static ho_status read_topology(ho_store *store, const ho_perceptual_topology_table **table) {
    char name[32];
    HO_TRY(ho_store_check_schema(store));
    if (!ho_store_has_attribute(store, "topology")) {
        HO_FAIL(HO_EFORMAT, "%s: not an LPIPS network: it has no attribute 'topology'", ho_store_path(store));
    }
    HO_TRY(ho_store_get_text(store, "topology", name, sizeof name));
    *table = ho_find_perceptual_topology(name);
    if (*table == NULL) {
        HO_FAIL(HO_EFORMAT, "%s: topology \"%s\" is not one of vgg16, alexnet, squeezenet1_1", ho_store_path(store),
                name);
    }
    return HO_OK;
}

ho_status ho_perceptual_check_file(const char *path) {
    ho_store *store = NULL;
    const ho_perceptual_topology_table *table;
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = read_topology(store, &table);
    ho_store_close(store);
    return status;
}

/* The network of net->table, as the store has it; NULL: of standard width and without values. */
static ho_status build(ho_perceptual *net, ho_device *device, ho_store *store) {
    HO_TRY(ho_params_create(device, &net->params));
    HO_TRY(add_layers(net, store));
    HO_TRY(ho_params_commit(net->params, 0));
    HO_TRY(store != NULL ? ho_store_read_params(store, "", net->params) : HO_OK);
    ho_params_set_trainable(net->params, false);
    HO_TRY(ho_params_hold(net->params, true));
    HO_TRY(ho_params_create(device, &net->input));
    HO_TRY(
        ho_params_add(net->input, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(3, 3), &net->input_weight, "weight"));
    HO_TRY(ho_params_add(net->input, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(3), &net->input_bias, "bias"));
    return store != NULL ? load_input(net, store) : ho_params_commit(net->input, 0);
}

static ho_status load(ho_perceptual *net, ho_device *device, ho_store *store) {
    double pool_ceil;
    HO_TRY(read_topology(store, &net->table));
    HO_TRY(ho_store_get_number(store, "pool_ceil", &pool_ceil));
    net->pool_ceil = pool_ceil != 0.0;
    return build(net, device, store);
}

ho_status ho_perceptual_create_blank(ho_device *device, ho_perceptual **net) {
    ho_perceptual *made = calloc(1, sizeof *made);
    if (made == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %zu bytes for a feature network", sizeof *made);
    }
    made->table = ho_find_perceptual_topology("vgg16");
    const ho_status status = build(made, device, NULL);
    if (status != HO_OK) {
        ho_perceptual_free(made);
        return status;
    }
    *net = made;
    return HO_OK;
}

ho_status ho_perceptual_load(ho_device *device, const char *path, ho_perceptual **net) {
    ho_store *store = NULL;
    *net = NULL;
    HO_TRY(ho_store_open(path, &store));
    ho_perceptual *made = calloc(1, sizeof *made);
    if (made == NULL) {
        ho_store_close(store);
        HO_FAIL(HO_EMEMORY, "cannot allocate %zu bytes for a feature network", sizeof *made);
    }
    const ho_status status = load(made, device, store);
    ho_store_close(store);
    if (status != HO_OK) {
        ho_perceptual_free(made);
        return ho_fail_context(status, "feature network of LPIPS");
    }
    *net = made;
    return HO_OK;
}

void ho_perceptual_free(ho_perceptual *net) {
    if (net != NULL) {
        ho_params_free(net->params);
        ho_params_free(net->input);
        free(net);
    }
}

ho_params *ho_perceptual_params(ho_perceptual *net) {
    return net->params;
}

const char *ho_perceptual_topology(const ho_perceptual *net) {
    return net->table->name;
}

/* y = relu(conv(x) + b). */
static ho_status conv_relu(ho_context *context, ho_tensor *x, const layer_weights *layer, int part,
                           const ho_conv_options *options, ho_tensor **y) {
    const ho_act relu = HO_ACT_RELU;
    return ho_conv2d_act(context, x, layer->weight[part], layer->bias[part], options, &relu, y);
}

static ho_status fire(ho_context *context, ho_tensor *x, const layer_weights *layer, ho_tensor **y) {
    const ho_conv_options one = {1, 0, 1}, three = {1, 1, 1};
    ho_tensor *squeezed, *expand1, *expand3;
    HO_TRY(conv_relu(context, x, layer, 0, &one, &squeezed));
    HO_TRY(conv_relu(context, squeezed, layer, 1, &one, &expand1));
    HO_TRY(conv_relu(context, squeezed, layer, 2, &three, &expand3));
    HO_TRY(ho_concat(context, expand1, expand3, y));
    ho_tensor_release(context, squeezed);
    ho_tensor_release(context, expand1);
    ho_tensor_release(context, expand3);
    return HO_OK;
}

static ho_status run_layer(ho_context *context, const ho_perceptual *net, int i, ho_tensor *x, ho_tensor **y) {
    const ho_perceptual_layer *l = &net->table->layer[i];
    const ho_conv_options conv = {l->stride, l->pad, 1};
    const ho_pool_options pool = {l->kernel, l->stride, l->pad, net->pool_ceil};
    switch (l->kind) {
    case HO_LAYER_CONV:
        return conv_relu(context, x, &net->layer[i], 0, &conv, y);
    case HO_LAYER_FIRE:
        return fire(context, x, &net->layer[i], y);
    case HO_LAYER_POOL:
        return ho_max_pool(context, x, &pool, y);
    default: /* a tap changes nothing */
        *y = x;
        return HO_OK;
    }
}

ho_status ho_perceptual_fit(ho_context *context, const ho_perceptual *net, ho_tensor *image, ho_tensor **fitted) {
    HO_REQUIRE(image->rank == 4 && image->dim[1] > 0 && image->dim[2] > 0,
               "%s features: the image must be (N, H, W, 3), not %s", net->table->name, ho_tensor_shape_text(image));
    int64_t H = image->dim[1], W = image->dim[2];
    while (H < net->table->least || W < net->table->least) {
        H *= 2;
        W *= 2;
    }
    *fitted = image;
    return H == image->dim[1] ? HO_OK : ho_resize_bilinear(context, image, H, W, fitted);
}

/* Runs the layers; x is freed as soon as it is no longer needed, where nothing is recorded. */
static ho_status run_layers(ho_context *context, const ho_perceptual *net, ho_tensor *image, ho_taps *taps) {
    const ho_act linear = HO_ACT_LINEAR;
    ho_tensor *mixed, *x;
    HO_TRY(ho_dense(context, image, net->input_weight, &mixed));
    HO_TRY(ho_bias_act(context, mixed, net->input_bias, &linear, &x));
    ho_tensor_release(context, mixed);
    taps->n = 0;
    bool kept = false; /* x is a tap: it outlives this call */
    for (int i = 0; i < net->table->n_layers; ++i) {
        if (net->table->layer[i].kind == HO_LAYER_TAP) {
            taps->map[taps->n++] = x;
            kept = true;
            continue;
        }
        ho_tensor *y;
        HO_TRY(run_layer(context, net, i, x, &y));
        if (!kept) {
            ho_tensor_release(context, x);
        }
        x = y;
        kept = false;
    }
    return HO_OK;
}

static bool trains(const ho_params *params) {
    for (int i = 0; i < ho_params_n(params); ++i) {
        if (ho_params_at(params, i)->tensor.needs_grad) {
            return true;
        }
    }
    return false;
}

ho_status ho_perceptual_features(ho_context *context, ho_perceptual *net, ho_tensor *image, ho_taps *taps) {
    const int64_t least = net->table->least;
    HO_REQUIRE(image->rank == 4 && image->dim[3] == 3 && image->dim[1] >= least && image->dim[2] >= least,
               "%s features: the image must be (N, H, W, 3) with H and W at least %lld, not %s", net->table->name,
               (long long)least, ho_tensor_shape_text(image));
    /* Where no gradient can come back, nothing but the taps has to stay. */
    const bool recording = ho_context_recording(context);
    ho_context_record(context, recording && (image->needs_grad || trains(net->params)));
    const ho_status status = run_layers(context, net, image, taps);
    ho_context_record(context, recording);
    return status;
}

ho_status ho_perceptual_distance(ho_context *context, ho_perceptual *net, const ho_taps *a, const ho_taps *b,
                                 ho_tensor **distance) {
    HO_REQUIRE(a->n == b->n && a->n > 0, "LPIPS: %d taps on one side, %d on the other", a->n, b->n);
    *distance = NULL;
    for (int i = 0; i < a->n; ++i) {
        ho_tensor *tap, *sum;
        HO_TRY(ho_lpips_tap(context, a->map[i], b->map[i], net->lin[i], &tap));
        if (*distance == NULL) {
            *distance = tap;
            continue;
        }
        HO_TRY(ho_add(context, *distance, 1.0, tap, 1.0, &sum));
        *distance = sum;
    }
    return HO_OK;
}

ho_status ho_lpips(ho_context *context, ho_perceptual *net, ho_tensor *a, ho_tensor *b, ho_tensor **distance) {
    ho_taps taps_a = {0}, taps_b = {0};
    HO_TRY(ho_perceptual_features(context, net, a, &taps_a));
    HO_TRY(ho_perceptual_features(context, net, b, &taps_b));
    return ho_perceptual_distance(context, net, &taps_a, &taps_b, distance);
}
