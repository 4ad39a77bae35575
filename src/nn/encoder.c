/* The encoder: a residual network from an image to a correction of W+.
 *
 *   stem    3x3 convolution of the image (with ReStyle: image and reconstruction side by side) to `channels` maps
 *   stages  log2(height) - 2 of them, each halving the size, until the maps are 4 high; widths channels * 2^stage, at
 *           most max_channels; `blocks` residual blocks of two 3x3 convolutions, the first with stride 2 and a skip of
 *           means over 2x2 and a 1x1 convolution
 *   hidden  dense layer from all features of the last maps, to 512 or, for wider latents, D: with fewer than D a head
 *           could not reach every latent
 *   heads   one linear head per style row, stacked: rows l D .. l D + D - 1 of heads.weight are the head of row l
 *
 * Convolutions have no bias; batch norm and ReLU follow each. Heads begin at zero, so that the untrained encoder
 * answers with its start latent; they work in units of latent_scale. */
#include "handsoff/encoder.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/backbone.h"

enum { MAX_STAGES = 16, LEAST_HIDDEN = 512 };

typedef struct {
    ho_tensor *weight; /* (O, k, k, I) or (O, I) */
    ho_batch_norm_params norm;
} layer;

typedef struct {
    layer conv0, conv1, skip; /* skip of the first block of a stage only */
} block;

struct ho_encoder {
    ho_encoder_shape shape;
    int64_t n_stages;
    ho_params *params;
    layer stem, hidden;
    block *blocks; /* (n_stages, shape.blocks) */
    ho_tensor *heads_weight, *heads_bias, *latent_scale;
    double scale; /* the value of latent_scale on the host */
};

/* ---- parameters -------------------------------------------------------------------------------------------------- */

/* I -> O maps, or features where kernel is 0. */
static ho_status add_layer(ho_params *params, layer *l, int64_t I, int64_t O, int64_t kernel, const char *name) {
    const double fan_in = (double)(I * (kernel == 0 ? 1 : kernel * kernel));
    const ho_init init = HO_INIT_NORMAL(sqrt(2.0 / fan_in));
    if (kernel == 0) {
        HO_TRY(ho_params_add(params, HO_PARAM, init, HO_FILE_SAME, HO_SHAPE(O, I), &l->weight, "%s.weight", name));
    } else {
        HO_TRY(ho_params_add(params, HO_PARAM, init, HO_FILE_OIHW, HO_SHAPE(O, kernel, kernel, I), &l->weight,
                             "%s.weight", name));
    }
    char norm[80];
    snprintf(norm, sizeof norm, "%s.norm", name);
    return ho_batch_norm_declare(params, O, norm, &l->norm);
}

static int64_t hidden_width(const ho_encoder_shape *shape) {
    return shape->D > LEAST_HIDDEN ? shape->D : LEAST_HIDDEN;
}

static int64_t stage_width(const ho_encoder_shape *shape, int64_t stage) {
    int64_t width = shape->channels < shape->max_channels ? shape->channels : shape->max_channels;
    for (int64_t s = 0; s < stage && width < shape->max_channels; ++s) {
        width = 2 * width < shape->max_channels ? 2 * width : shape->max_channels;
    }
    return width;
}

static ho_status add_stages(ho_encoder *e) {
    char name[64];
    int64_t I = stage_width(&e->shape, 0);
    for (int64_t s = 0; s < e->n_stages; ++s) {
        const int64_t O = stage_width(&e->shape, s);
        for (int64_t k = 0; k < e->shape.blocks; ++k) {
            block *b = &e->blocks[s * e->shape.blocks + k];
            snprintf(name, sizeof name, "stage%" PRId64 ".block%" PRId64 ".conv0", s, k);
            HO_TRY(add_layer(e->params, &b->conv0, I, O, 3, name));
            snprintf(name, sizeof name, "stage%" PRId64 ".block%" PRId64 ".conv1", s, k);
            HO_TRY(add_layer(e->params, &b->conv1, O, O, 3, name));
            if (k == 0) {
                snprintf(name, sizeof name, "stage%" PRId64 ".skip", s);
                HO_TRY(add_layer(e->params, &b->skip, I, O, 1, name));
            }
            I = O;
        }
    }
    return HO_OK;
}

static ho_status add_all(ho_encoder *e) {
    const ho_encoder_shape *s = &e->shape;
    const int64_t last = stage_width(s, e->n_stages > 0 ? e->n_stages - 1 : 0);
    const int64_t n_features = 4 * (s->width >> e->n_stages) * last, outputs = s->L * s->D;
    const int64_t hidden = hidden_width(s);
    HO_TRY(add_layer(e->params, &e->stem, s->iterations > 1 ? 6 : 3, stage_width(s, 0), 3, "stem"));
    HO_TRY(add_stages(e));
    HO_TRY(add_layer(e->params, &e->hidden, n_features, hidden, 0, "hidden"));
    HO_TRY(ho_params_add(e->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(outputs, hidden), &e->heads_weight,
                         "heads.weight"));
    HO_TRY(ho_params_add(e->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(outputs), &e->heads_bias,
                         "heads.bias"));
    return ho_params_add(e->params, HO_BUFFER, HO_INIT_ONE, HO_FILE_SAME, HO_SHAPE(1), &e->latent_scale,
                         "latent_scale");
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static ho_status check_shape(const ho_encoder_shape *s, int64_t *n_stages) {
    *n_stages = 0;
    while (((int64_t)4 << *n_stages) < s->height && *n_stages < MAX_STAGES) {
        ++*n_stages;
    }
    HO_REQUIRE(((int64_t)4 << *n_stages) == s->height && s->width > 0 && s->width % (s->height / 4) == 0,
               "encoder: images of %" PRId64 "x%" PRId64 "; right are heights that are powers of two, at least 4, and "
               "widths that are multiples of a quarter of the height",
               s->height, s->width);
    HO_REQUIRE(s->L >= 1 && s->D >= 1 && s->channels >= 1 && s->max_channels >= 1 && s->blocks >= 1 &&
                   s->iterations >= 1,
               "encoder: rows %" PRId64 ", width of W+ %" PRId64 ", channels %" PRId64 " to %" PRId64
               ", blocks %" PRId64 ", iterations %" PRId64 ": each must be at least 1",
               s->L, s->D, s->channels, s->max_channels, s->blocks, s->iterations);
    return HO_OK;
}

ho_status ho_encoder_create(ho_device *device, const ho_encoder_shape *shape, uint64_t seed, ho_encoder **encoder) {
    int64_t n_stages = 0;
    *encoder = NULL;
    HO_TRY(check_shape(shape, &n_stages));
    ho_encoder *e = calloc(1, sizeof *e);
    block *blocks = calloc((size_t)(n_stages * shape->blocks + 1), sizeof *blocks);
    if (e == NULL || blocks == NULL) {
        free(e);
        free(blocks);
        (void)ho_fail(HO_EMEMORY, __FILE__, __LINE__, "encoder: no memory for its layers");
        return HO_EMEMORY;
    }
    ho_status status = HO_OK;
    *e = (ho_encoder){.shape = *shape, .n_stages = n_stages, .blocks = blocks, .scale = 1.0};
    HO_TRY_DONE(ho_params_create(device, &e->params));
    HO_TRY_DONE(add_all(e));
    HO_TRY_DONE(ho_params_commit(e->params, seed));
    *encoder = e;
    return HO_OK;
done:
    ho_encoder_free(e);
    return status;
}

void ho_encoder_free(ho_encoder *encoder) {
    if (encoder != NULL) {
        ho_params_free(encoder->params);
        free(encoder->blocks);
        free(encoder);
    }
}

ho_params *ho_encoder_params(ho_encoder *encoder) {
    return encoder->params;
}

const ho_encoder_shape *ho_encoder_shape_of(const ho_encoder *encoder) {
    return &encoder->shape;
}

double ho_encoder_latent_scale(const ho_encoder *encoder) {
    return encoder->scale;
}

ho_status ho_encoder_set_latent_scale(ho_encoder *encoder, double scale) {
    HO_REQUIRE(isfinite(scale) && scale > 0.0, "encoder: the scale of latents must be positive, not %g", scale);
    const float value = (float)scale;
    encoder->scale = (double)value;
    return ho_param_set(encoder->params, ho_params_find(encoder->params, "latent_scale"), &value);
}

/* ---- file -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *key;
    size_t offset; /* of an int64_t in ho_encoder_shape */
} shape_field;
static const shape_field FIELDS[] = {
    {"height", offsetof(ho_encoder_shape, height)},     {"width", offsetof(ho_encoder_shape, width)},
    {"style_rows", offsetof(ho_encoder_shape, L)},      {"w_dim", offsetof(ho_encoder_shape, D)},
    {"channels", offsetof(ho_encoder_shape, channels)}, {"max_channels", offsetof(ho_encoder_shape, max_channels)},
    {"blocks", offsetof(ho_encoder_shape, blocks)},     {"iterations", offsetof(ho_encoder_shape, iterations)},
};
enum { N_FIELDS = sizeof FIELDS / sizeof FIELDS[0] };

ho_status ho_encoder_write(ho_encoder *encoder, ho_store *store) {
    HO_TRY(ho_store_set_text(store, "kind", "encoder"));
    for (int i = 0; i < N_FIELDS; ++i) {
        int64_t value = 0;
        memcpy(&value, (const char *)&encoder->shape + FIELDS[i].offset, sizeof value);
        HO_TRY(ho_store_set_number(store, FIELDS[i].key, (double)value));
    }
    return ho_store_write_params(store, "", encoder->params);
}

static ho_status read_shape(ho_store *store, ho_encoder_shape *shape) {
    char kind[32] = "";
    HO_TRY(ho_store_check_schema(store));
    if (ho_store_has_attribute(store, "kind")) {
        HO_TRY(ho_store_get_text(store, "kind", kind, sizeof kind));
    }
    if (strcmp(kind, "encoder") != 0) {
        HO_FAIL(HO_EFORMAT, "%s: not an encoder file: its attribute 'kind' is '%s', not 'encoder'",
                ho_store_path(store), kind);
    }
    for (int i = 0; i < N_FIELDS; ++i) {
        double number = 0.0;
        HO_TRY(ho_store_get_number(store, FIELDS[i].key, &number));
        if (!(number >= 1.0 && number <= 1e6 && number == floor(number))) {
            HO_FAIL(HO_EFORMAT, "%s: the attribute '%s' is %g, not a whole number of 1 to 1e6", ho_store_path(store),
                    FIELDS[i].key, number);
        }
        const int64_t value = (int64_t)number;
        memcpy((char *)shape + FIELDS[i].offset, &value, sizeof value);
    }
    return HO_OK;
}

ho_status ho_encoder_read_params(ho_encoder *encoder, ho_store *store, const char *prefix) {
    float scale = 0.0F;
    HO_TRY(ho_store_read_params(store, prefix, encoder->params));
    HO_TRY(ho_param_get(encoder->params, ho_params_find(encoder->params, "latent_scale"), &scale));
    if (!(isfinite(scale) && scale > 0.0F)) {
        HO_FAIL(HO_EFORMAT, "%s: latent_scale is %g, not a positive number", ho_store_path(store), (double)scale);
    }
    encoder->scale = (double)scale;
    return HO_OK;
}

ho_status ho_encoder_load(ho_device *device, const char *path, ho_encoder **encoder) {
    ho_status status = HO_OK;
    ho_store *store = NULL;
    ho_encoder *e = NULL;
    ho_encoder_shape shape = {0};
    *encoder = NULL;
    HO_TRY_DONE(ho_store_open(path, &store));
    HO_TRY_DONE(read_shape(store, &shape));
    status = ho_encoder_create(device, &shape, 0, &e);
    if (status != HO_OK) {
        status = ho_fail_context(status, "%s", path);
        goto done;
    }
    HO_TRY_DONE(ho_encoder_read_params(e, store, ""));
    *encoder = e;
    e = NULL;
done:
    ho_encoder_free(e);
    ho_store_close(store);
    return status;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_context *context;
    bool training; /* statistics of the batch; otherwise the running ones */
} mode;

static ho_status normalise(const mode *m, ho_tensor *x, const layer *l, ho_tensor **y) {
    HO_TRY(ho_batch_norm(m->context, x, &l->norm, m->training, y));
    ho_tensor_release(m->context, x);
    return HO_OK;
}

static ho_status relu(const mode *m, ho_tensor *x, ho_tensor **y) {
    const ho_act act = HO_ACT_RELU;
    HO_TRY(ho_bias_act(m->context, x, NULL, &act, y));
    ho_tensor_release(m->context, x);
    return HO_OK;
}

static ho_status conv_norm(const mode *m, ho_tensor *x, const layer *l, int64_t stride, ho_tensor **y) {
    const ho_conv_options options = {stride, l->weight->dim[1] / 2, 1};
    ho_tensor *maps = NULL;
    HO_TRY(ho_conv2d(m->context, x, l->weight, &options, &maps));
    return normalise(m, maps, l, y);
}

/* relu(norm(conv(relu(norm(conv(x))))) + skip(x)); takes x over. */
static ho_status residual(const mode *m, ho_tensor *x, const block *b, ho_tensor **y) {
    const bool halve = b->skip.weight != NULL;
    ho_tensor *inner = NULL, *rectified = NULL, *outer = NULL, *skip = x, *sum = NULL;
    HO_TRY(conv_norm(m, x, &b->conv0, halve ? 2 : 1, &inner));
    HO_TRY(relu(m, inner, &rectified));
    HO_TRY(conv_norm(m, rectified, &b->conv1, 1, &outer));
    ho_tensor_release(m->context, rectified);
    if (halve) {
        ho_tensor *means = NULL;
        HO_TRY(ho_avg_pool(m->context, x, 2, &means));
        ho_tensor_release(m->context, x);
        HO_TRY(conv_norm(m, means, &b->skip, 1, &skip));
        ho_tensor_release(m->context, means);
    }
    HO_TRY(ho_add(m->context, outer, 1.0, skip, 1.0, &sum));
    ho_tensor_release(m->context, outer);
    ho_tensor_release(m->context, skip);
    return relu(m, sum, y);
}

/* Image (and reconstruction) -> (N, hidden width). */
static ho_status features(const mode *m, const ho_encoder *e, ho_tensor *x, ho_tensor **y) {
    ho_tensor *maps = NULL, *next = NULL, *flat = NULL, *product = NULL;
    HO_TRY(conv_norm(m, x, &e->stem, 1, &next));
    HO_TRY(relu(m, next, &maps));
    for (int64_t k = 0; k < e->n_stages * e->shape.blocks; ++k) {
        HO_TRY(residual(m, maps, &e->blocks[k], &next));
        maps = next;
    }
    HO_TRY(ho_reshape(m->context, maps, HO_SHAPE(x->dim[0], ho_tensor_count(maps) / x->dim[0]), &flat));
    HO_TRY(ho_dense(m->context, flat, e->hidden.weight, &product));
    ho_tensor_release(m->context, flat);
    ho_tensor_release(m->context, maps);
    HO_TRY(normalise(m, product, &e->hidden, &next));
    return relu(m, next, y);
}

static ho_status check_inputs(const ho_encoder_shape *s, const ho_tensor *image, const ho_tensor *current,
                              const ho_tensor *start) {
    HO_REQUIRE(image->rank == 4 && image->dim[0] >= 1 && image->dim[1] == s->height && image->dim[2] == s->width &&
                   image->dim[3] == 3,
               "encoder: image %s; right is (N, %" PRId64 ", %" PRId64 ", 3)", ho_tensor_shape_text(image), s->height,
               s->width);
    HO_REQUIRE((current != NULL) == (s->iterations > 1),
               "encoder: one of %" PRId64 " iterations %s the current reconstruction", s->iterations,
               current == NULL ? "needs" : "does not take");
    HO_REQUIRE(current == NULL || ho_tensor_same_shape(image, current),
               "encoder: the current reconstruction %s does not have the shape of the image %s",
               ho_tensor_shape_text(current), ho_tensor_shape_text(image));
    HO_REQUIRE(start->rank == 3 && start->dim[0] == image->dim[0] && start->dim[1] == s->L && start->dim[2] == s->D,
               "encoder: start latent %s; right is (%" PRId64 ", %" PRId64 ", %" PRId64 ")",
               ho_tensor_shape_text(start), image->dim[0], s->L, s->D);
    return HO_OK;
}

ho_status ho_encoder_pass(ho_context *context, ho_encoder *encoder, ho_tensor *image, ho_tensor *current,
                          ho_tensor *start, bool training, ho_tensor **w_plus) {
    const mode m = {context, training};
    const ho_act act = {HO_LINEAR, 0.0, encoder->scale, encoder->scale, 1.0};
    HO_TRY(check_inputs(&encoder->shape, image, current, start));
    ho_tensor *x = image, *hidden = NULL, *product = NULL, *flat = NULL, *correction = NULL;
    if (current != NULL) {
        HO_TRY(ho_concat(context, image, current, &x));
    }
    HO_TRY(features(&m, encoder, x, &hidden));
    if (x != image) {
        ho_tensor_release(context, x);
    }
    HO_TRY(ho_dense(context, hidden, encoder->heads_weight, &product));
    ho_tensor_release(context, hidden);
    HO_TRY(ho_bias_act(context, product, encoder->heads_bias, &act, &flat));
    ho_tensor_release(context, product);
    HO_TRY(ho_reshape(context, flat, start->rank, start->dim, &correction));
    HO_TRY(ho_add(context, start, 1.0, correction, 1.0, w_plus));
    ho_tensor_release(context, correction);
    ho_tensor_release(context, flat);
    return HO_OK;
}
