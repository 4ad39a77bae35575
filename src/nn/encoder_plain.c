/* This program's own encoder: a residual network from an image to a correction of W+.
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
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "encoder_parts.h"
#include "handsoff/backbone.h"

enum { MAX_STAGES = 16, LEAST_HIDDEN = 512 };

typedef struct {
    ho_tensor *weight; /* (O, k, k, I) or (O, I) */
    ho_batch_norm_params norm;
} layer;

typedef struct {
    layer conv0, conv1, skip; /* skip of the first block of a stage only */
} block;

typedef struct {
    int64_t n_stages;
    layer stem, hidden;
    ho_tensor *heads_weight, *heads_bias;
    block blocks[]; /* (n_stages, shape.blocks) */
} plain_layers;

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

static ho_status add_stages(ho_params *params, const ho_encoder_shape *shape, plain_layers *e) {
    char name[64];
    int64_t I = ho_encoder_stage_width(shape, 0);
    for (int64_t s = 0; s < e->n_stages; ++s) {
        const int64_t O = ho_encoder_stage_width(shape, s);
        for (int64_t k = 0; k < shape->blocks; ++k) {
            block *b = &e->blocks[s * shape->blocks + k];
            snprintf(name, sizeof name, "stage%" PRId64 ".block%" PRId64 ".conv0", s, k);
            HO_TRY(add_layer(params, &b->conv0, I, O, 3, name));
            snprintf(name, sizeof name, "stage%" PRId64 ".block%" PRId64 ".conv1", s, k);
            HO_TRY(add_layer(params, &b->conv1, O, O, 3, name));
            if (k == 0) {
                snprintf(name, sizeof name, "stage%" PRId64 ".skip", s);
                HO_TRY(add_layer(params, &b->skip, I, O, 1, name));
            }
            I = O;
        }
    }
    return HO_OK;
}

static ho_status add_all(ho_params *params, const ho_encoder_shape *s, plain_layers *e) {
    const int64_t last = ho_encoder_stage_width(s, e->n_stages > 0 ? e->n_stages - 1 : 0);
    const int64_t n_features = 4 * (s->width >> e->n_stages) * last, outputs = s->L * s->D;
    const int64_t hidden = hidden_width(s);
    HO_TRY(add_layer(params, &e->stem, s->iterations > 1 ? 6 : 3, ho_encoder_stage_width(s, 0), 3, "stem"));
    HO_TRY(add_stages(params, s, e));
    HO_TRY(add_layer(params, &e->hidden, n_features, hidden, 0, "hidden"));
    HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(outputs, hidden), &e->heads_weight,
                         "heads.weight"));
    return ho_params_add(params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(outputs), &e->heads_bias, "heads.bias");
}

static int64_t count_stages(const ho_encoder_shape *s) {
    int64_t n_stages = 0;
    while (((int64_t)4 << n_stages) < s->height && n_stages < MAX_STAGES) {
        ++n_stages;
    }
    return n_stages;
}

static ho_status check_shape(const ho_encoder_shape *s) {
    const int64_t n_stages = count_stages(s);
    HO_REQUIRE(((int64_t)4 << n_stages) == s->height && s->width > 0 && s->width % (s->height / 4) == 0,
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

static ho_status declare(ho_params *params, const ho_encoder_shape *shape, void **layers) {
    const int64_t n_stages = count_stages(shape);
    plain_layers *e = calloc(1, sizeof *e + (size_t)(n_stages * shape->blocks) * sizeof e->blocks[0]);
    *layers = e;
    if (e == NULL) {
        HO_FAIL(HO_EMEMORY, "encoder: no memory for its layers");
    }
    e->n_stages = n_stages;
    return add_all(params, shape, e);
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
static ho_status features(const mode *m, const plain_layers *e, int64_t blocks, ho_tensor *x, ho_tensor **y) {
    ho_tensor *maps = NULL, *next = NULL, *flat = NULL, *product = NULL;
    HO_TRY(conv_norm(m, x, &e->stem, 1, &next));
    HO_TRY(relu(m, next, &maps));
    for (int64_t k = 0; k < e->n_stages * blocks; ++k) {
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

/* Heads work in units of latent_scale. */
static ho_status correct(ho_context *context, const ho_encoder *encoder, ho_tensor *x, bool training,
                         ho_tensor **correction) {
    const mode m = {context, training};
    const plain_layers *e = encoder->layers;
    const ho_encoder_shape *s = &encoder->shape;
    const ho_act act = {HO_LINEAR, 0.0, encoder->scale, encoder->scale, 1.0};
    const int64_t N = x->dim[0];
    ho_tensor *hidden = NULL, *product = NULL, *flat = NULL;
    HO_TRY(features(&m, e, s->blocks, x, &hidden));
    HO_TRY(ho_dense(context, hidden, e->heads_weight, &product));
    ho_tensor_release(context, hidden);
    HO_TRY(ho_bias_act(context, product, e->heads_bias, &act, &flat));
    ho_tensor_release(context, product);
    HO_TRY(ho_reshape(context, flat, HO_SHAPE(N, s->L, s->D), correction));
    ho_tensor_release(context, flat);
    return HO_OK;
}

const ho_encoder_network ho_encoder_plain = {check_shape, declare, correct};
