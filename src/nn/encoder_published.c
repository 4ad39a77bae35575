/* The encoders that pSp, e4e and ReStyle were published with; tensors keep the names of their code
 * (yuval-alaluf/restyle-encoder, models/encoders), so that a checkpoint is taken over as it is.
 *
 * IR-SE50 (Deng et al. 2019, "ArcFace"; Hu et al. 2018, "Squeeze-and-excitation networks"), input (N,H,W,3 or 6):
 *   input_layer  3x3 convolution, batch norm, PReLU; stride 1
 *   body.0-23    stages of 3, 4, 14 and 3 units of widths C, 2C, 4C, 8C; the first of each has stride s = 2, else s =
 * 1: r = norm(x), 3x3 convolution, PReLU, 3x3 convolution of stride s, norm; r * sigmoid(W2 relu(W1 mean_pixels(r))),
 * W1 to a 16th of the width and W2 back; plus x, every s-th pixel of it, or where the width changes norm(1x1
 * convolution of stride s) ResNet-34 (He et al. 2016): conv1, bn1, relu   7x7 convolution of stride 2, batch norm,
 * PReLU; no pooling body.0-15          3, 4, 6 and 3 basic blocks, the first of stages 2 to 4 with stride 2 Both end at
 * a 16th of the input's size; heads (encoder_heads.c) read latents off. No convolution has a bias. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "encoder_parts.h"
#include "handsoff/backbone.h"

enum { STAGES = 4, MOST_UNITS = 24, SQUEEZE = 16 };

static const int UNITS[2][STAGES] = {{3, 4, 14, 3}, {3, 4, 6, 3}};

typedef struct {
    int64_t stride;
    ho_batch_norm_params before;  /* IR-SE50 only */
    ho_conv_norm conv[2];         /* IR-SE50: conv[0].norm is not used */
    ho_conv_norm shortcut;        /* weight NULL: none */
    ho_tensor *slope, *down, *up; /* IR-SE50: of the PReLU; of the excitation */
} unit;

typedef struct {
    int n_units, tap[2]; /* units behind which the pyramid reads its finer levels */
    ho_conv_norm stem;
    ho_tensor *stem_slope;
    unit units[MOST_UNITS];
    ho_style_heads heads;
} published_layers;

/* ---- declaration ------------------------------------------------------------------------------------------------- */

static ho_status check(const ho_encoder_shape *s) {
    HO_REQUIRE(s->height >= 64 && s->width >= 64 && s->height <= 512 && s->width <= 512 && s->height % 64 == 0 &&
                   s->width % 64 == 0,
               "encoder: input of %" PRId64 "x%" PRId64 "; right are multiples of 64 from 64 to 512", s->height,
               s->width);
    HO_REQUIRE(s->L >= 1 && s->L <= HO_HEAD_STYLES && s->D >= 1 && s->iterations >= 1,
               "encoder: rows %" PRId64 " (1 to %d), width of W+ %" PRId64 ", iterations %" PRId64 " (at least 1 each)",
               s->L, HO_HEAD_STYLES, s->D, s->iterations);
    HO_REQUIRE(s->channels >= 1 && s->max_channels == 8 * s->channels &&
                   (s->body != HO_ENCODER_IRSE50 || s->channels % SQUEEZE == 0),
               "encoder: channels %" PRId64 " to %" PRId64
               "; right is a width that doubles three times, for IR-SE50 a multiple of %d",
               s->channels, s->max_channels, SQUEEZE);
    HO_REQUIRE(!s->pyramid || s->body == HO_ENCODER_IRSE50, "encoder: heads on a pyramid belong to IR-SE50");
    return HO_OK;
}

static ho_status add_conv(ho_params *params, int64_t O, int64_t k, int64_t I, ho_tensor **weight, const char *name) {
    return ho_params_add(params, HO_PARAM, HO_INIT_NORMAL(sqrt(2.0 / (double)(k * k * O))), HO_FILE_OIHW,
                         HO_SHAPE(O, k, k, I), weight, "%s", name);
}

static ho_status add_slope(ho_params *params, int64_t C, ho_tensor **slope, const char *name) {
    return ho_params_add(params, HO_PARAM, (ho_init){0.25, 0.0}, HO_FILE_SAME, HO_SHAPE(C), slope, "%s", name);
}

static ho_status declare_irse_unit(ho_params *params, int i, int64_t O, int64_t I, unit *u) {
    enum { BEFORE, CONV0, SLOPE, CONV1, NORM1, DOWN, UP, SHORTCUT, SHORTCUT_NORM, N };
    static const char *const PARTS[N] = {
        "res_layer.0",      "res_layer.1.weight",     "res_layer.2.weight",     "res_layer.3.weight",
        "res_layer.4",      "res_layer.5.fc1.weight", "res_layer.5.fc2.weight", "shortcut_layer.0.weight",
        "shortcut_layer.1",
    };
    char name[N][64];
    for (int k = 0; k < N; ++k) {
        snprintf(name[k], sizeof name[k], "body.%d.%s", i, PARTS[k]);
    }
    HO_TRY(ho_batch_norm_declare(params, I, name[BEFORE], &u->before));
    HO_TRY(add_conv(params, O, 3, I, &u->conv[0].weight, name[CONV0]));
    HO_TRY(add_slope(params, O, &u->slope, name[SLOPE]));
    HO_TRY(ho_conv_norm_declare(params, O, 3, O, name[CONV1], name[NORM1], &u->conv[1]));
    HO_TRY(add_conv(params, O / SQUEEZE, 1, O, &u->down, name[DOWN]));
    HO_TRY(add_conv(params, O, 1, O / SQUEEZE, &u->up, name[UP]));
    return I == O ? HO_OK : ho_conv_norm_declare(params, O, 1, I, name[SHORTCUT], name[SHORTCUT_NORM], &u->shortcut);
}

static ho_status declare_basic_block(ho_params *params, int i, int64_t O, int64_t I, unit *u) {
    char weight[64], norm[64];
    for (int k = 0; k < 2; ++k) {
        snprintf(weight, sizeof weight, "body.%d.conv%d.weight", i, k + 1);
        snprintf(norm, sizeof norm, "body.%d.bn%d", i, k + 1);
        HO_TRY(ho_conv_norm_declare(params, O, 3, k == 0 ? I : O, weight, norm, &u->conv[k]));
    }
    if (I == O) {
        return HO_OK;
    }
    snprintf(weight, sizeof weight, "body.%d.downsample.0.weight", i);
    snprintf(norm, sizeof norm, "body.%d.downsample.1", i);
    return ho_conv_norm_declare(params, O, 1, I, weight, norm, &u->shortcut);
}

static ho_status declare_stem(ho_params *params, const ho_encoder_shape *s, published_layers *p) {
    const int64_t C = s->channels, inputs = s->iterations > 1 ? 6 : 3;
    if (s->body == HO_ENCODER_IRSE50) {
        HO_TRY(ho_conv_norm_declare(params, C, 3, inputs, "input_layer.0.weight", "input_layer.1", &p->stem));
        return add_slope(params, C, &p->stem_slope, "input_layer.2.weight");
    }
    HO_TRY(ho_conv_norm_declare(params, C, 7, inputs, "conv1.weight", "bn1", &p->stem));
    return add_slope(params, C, &p->stem_slope, "relu.weight");
}

static ho_status declare(ho_params *params, const ho_encoder_shape *shape, void **layers) {
    const bool irse = shape->body == HO_ENCODER_IRSE50;
    published_layers *p = calloc(1, sizeof *p);
    *layers = p;
    if (p == NULL) {
        HO_FAIL(HO_EMEMORY, "encoder: no memory for its layers");
    }
    HO_TRY(declare_stem(params, shape, p));
    int64_t I = shape->channels;
    for (int stage = 0; stage < STAGES; ++stage) {
        const int64_t O = ho_encoder_stage_width(shape, stage);
        for (int k = 0; k < UNITS[irse ? 0 : 1][stage]; ++k, I = O) {
            unit *u = &p->units[p->n_units];
            u->stride = k == 0 && (irse || stage > 0) ? 2 : 1;
            HO_TRY(irse ? declare_irse_unit(params, p->n_units, O, I, u)
                        : declare_basic_block(params, p->n_units, O, I, u));
            ++p->n_units;
        }
        if (stage == 1 || stage == 2) {
            p->tap[2 - stage] = p->n_units - 1;
        }
    }
    return ho_style_heads_declare(params, shape, &p->heads);
}

/* ---- evaluation -------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_context *context;
    bool training;
} mode;

static ho_status conv(const mode *m, ho_tensor *x, ho_tensor *weight, int64_t stride, ho_tensor **y) {
    const ho_conv_options options = {stride, weight->dim[1] / 2, 1};
    return ho_conv2d(m->context, x, weight, &options, y);
}

/* Takes x over. */
static ho_status norm(const mode *m, ho_tensor *x, const ho_batch_norm_params *params, ho_tensor **y) {
    HO_TRY(ho_batch_norm(m->context, x, params, m->training, y));
    ho_tensor_release(m->context, x);
    return HO_OK;
}

static ho_status conv_norm(const mode *m, ho_tensor *x, const ho_conv_norm *l, int64_t stride, ho_tensor **y) {
    ho_tensor *maps = NULL;
    HO_TRY(conv(m, x, l->weight, stride, &maps));
    return norm(m, maps, &l->norm, y);
}

/* x * sigmoid(up relu(down mean(x))); takes x over. */
static ho_status excite(const mode *m, ho_tensor *x, const unit *u, ho_tensor **y) {
    const ho_act relu = HO_ACT_RELU, logistic = {HO_SIGMOID, 0.0, 1.0, 1.0, 1.0};
    const int64_t N = x->dim[0], C = x->dim[3];
    ho_tensor *mean = NULL, *pixel = NULL, *a = NULL, *b = NULL, *flat = NULL;
    HO_TRY(ho_global_mean(m->context, x, &mean));
    HO_TRY(ho_reshape(m->context, mean, HO_SHAPE(N, 1, 1, C), &pixel));
    ho_tensor_release(m->context, mean);
    HO_TRY(conv(m, pixel, u->down, 1, &a));
    ho_tensor_release(m->context, pixel);
    HO_TRY(ho_bias_act(m->context, a, NULL, &relu, &b));
    ho_tensor_release(m->context, a);
    HO_TRY(conv(m, b, u->up, 1, &a));
    ho_tensor_release(m->context, b);
    HO_TRY(ho_bias_act(m->context, a, NULL, &logistic, &b));
    ho_tensor_release(m->context, a);
    HO_TRY(ho_reshape(m->context, b, HO_SHAPE(N, C), &flat));
    ho_tensor_release(m->context, b);
    HO_TRY(ho_scale_channels(m->context, x, flat, y));
    ho_tensor_release(m->context, flat);
    ho_tensor_release(m->context, x);
    return HO_OK;
}

/* What a unit adds: x itself where *around == x. */
static ho_status go_around(const mode *m, ho_tensor *x, const unit *u, ho_tensor **around) {
    const ho_pool_options every = {1, u->stride, 0, false};
    *around = x;
    if (u->shortcut.weight != NULL) {
        return conv_norm(m, x, &u->shortcut, u->stride, around);
    }
    return u->stride > 1 ? ho_max_pool(m->context, x, &every, around) : HO_OK;
}

/* Takes x over, unless it is kept. */
static ho_status irse_unit(const mode *m, ho_tensor *x, bool keep, const unit *u, ho_tensor **y) {
    ho_tensor *a = NULL, *b = NULL, *around = NULL;
    HO_TRY(ho_batch_norm(m->context, x, &u->before, m->training, &a));
    HO_TRY(conv(m, a, u->conv[0].weight, 1, &b));
    ho_tensor_release(m->context, a);
    HO_TRY(ho_prelu(m->context, b, u->slope, &a));
    ho_tensor_release(m->context, b);
    HO_TRY(conv_norm(m, a, &u->conv[1], u->stride, &b));
    ho_tensor_release(m->context, a);
    HO_TRY(excite(m, b, u, &a));
    HO_TRY(go_around(m, x, u, &around));
    HO_TRY(ho_add(m->context, a, 1.0, around, 1.0, y));
    ho_tensor_release(m->context, a);
    if (around != x) {
        ho_tensor_release(m->context, around);
    }
    if (!keep) {
        ho_tensor_release(m->context, x);
    }
    return HO_OK;
}

/* Takes x over. */
static ho_status basic_block(const mode *m, ho_tensor *x, const unit *u, ho_tensor **y) {
    const ho_act relu = HO_ACT_RELU;
    ho_tensor *a = NULL, *b = NULL, *around = NULL;
    HO_TRY(conv_norm(m, x, &u->conv[0], u->stride, &a));
    HO_TRY(ho_bias_act(m->context, a, NULL, &relu, &b));
    ho_tensor_release(m->context, a);
    HO_TRY(conv_norm(m, b, &u->conv[1], 1, &a));
    ho_tensor_release(m->context, b);
    HO_TRY(go_around(m, x, u, &around));
    HO_TRY(ho_add(m->context, a, 1.0, around, 1.0, &b));
    ho_tensor_release(m->context, a);
    if (around != x) {
        ho_tensor_release(m->context, around);
    }
    ho_tensor_release(m->context, x);
    HO_TRY(ho_bias_act(m->context, b, NULL, &relu, y));
    ho_tensor_release(m->context, b);
    return HO_OK;
}

static ho_status correct(ho_context *context, const ho_encoder *encoder, ho_tensor *x, bool training,
                         ho_tensor **correction) {
    const mode m = {context, training};
    const ho_encoder_shape *s = &encoder->shape;
    const published_layers *p = encoder->layers;
    const bool irse = s->body == HO_ENCODER_IRSE50;
    ho_tensor *maps[3] = {NULL}, *at = NULL, *next = NULL;
    HO_TRY(conv_norm(&m, x, &p->stem, irse ? 1 : 2, &next));
    HO_TRY(ho_prelu(context, next, p->stem_slope, &at));
    ho_tensor_release(context, next);
    for (int i = 0; i < p->n_units; ++i) {
        const bool tapped = s->pyramid && (i == p->tap[0] + 1 || i == p->tap[1] + 1);
        HO_TRY(irse ? irse_unit(&m, at, tapped, &p->units[i], &next) : basic_block(&m, at, &p->units[i], &next));
        at = next;
        if (s->pyramid && (i == p->tap[0] || i == p->tap[1])) {
            maps[i == p->tap[0] ? 1 : 2] = at;
        }
    }
    maps[0] = at;
    return ho_style_heads_apply(context, encoder, &p->heads, maps, correction);
}

const ho_encoder_network ho_encoder_published = {check, declare, correct};
