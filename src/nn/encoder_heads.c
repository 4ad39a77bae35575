/* Heads of pSp's, e4e's and ReStyle's encoders (Richardson et al. 2021, "Encoding in Style"): one a style row, each
 *   convolutions 3x3 of stride 2, padding 1, with bias and leaky ReLU 0.01, until one pixel is left; D maps
 *   linear D -> D with equalised weights: y = x w^T / sqrt(D) + b
 * What they say, h_i, is row i (pSp); or row 0 is h_0 and row i is h_0 + h_i (e4e; Tov et al. 2021).
 *
 * A pyramid feeds rows 0-2, 3-6 and the rest from the maps of the last three stages, p0 = c0,
 * p1 = up(p0) + lateral1(c1), p2 = up(p1) + lateral2(c2), with 1x1 convolutions and bilinear interpolation that keeps
 * corners; without it all heads read c0. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "encoder_parts.h"

enum { FIRST_MEDIUM = 3, FIRST_FINE = 7 };

/* Level of the pyramid that head i reads. */
static int level_of(const ho_encoder_shape *s, int64_t i) {
    return !s->pyramid || i < FIRST_MEDIUM ? 0 : i < FIRST_FINE ? 1 : 2;
}

/* Convolutions from a map of the size of level 0, a sixteenth of the input, times 2^level. */
static int convolutions(const ho_encoder_shape *s, int level) {
    int64_t side = (s->height > s->width ? s->height : s->width) / 16 << level;
    int n = 0;
    for (; side > 1; side = (side + 1) / 2) {
        ++n;
    }
    return n;
}

static ho_status declare_head(ho_params *params, const ho_encoder_shape *s, int64_t i, ho_style_head *head) {
    const int64_t D = s->D;
    int64_t I = ho_encoder_stage_width(s, 3);
    head->n = convolutions(s, level_of(s, i));
    for (int k = 0; k < head->n; ++k, I = D) {
        HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_NORMAL(sqrt(2.0 / (double)(9 * I))), HO_FILE_OIHW,
                             HO_SHAPE(D, 3, 3, I), &head->weight[k], "styles.%" PRId64 ".convs.%d.weight", i, 2 * k));
        HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(D), &head->bias[k],
                             "styles.%" PRId64 ".convs.%d.bias", i, 2 * k));
    }
    HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_SAME, HO_SHAPE(D, D), &head->linear_weight,
                         "styles.%" PRId64 ".linear.weight", i));
    return ho_params_add(params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(D), &head->linear_bias,
                         "styles.%" PRId64 ".linear.bias", i);
}

ho_status ho_style_heads_declare(ho_params *params, const ho_encoder_shape *shape, ho_style_heads *heads) {
    const int64_t C = ho_encoder_stage_width(shape, 3);
    for (int64_t i = 0; i < shape->L; ++i) {
        HO_TRY(declare_head(params, shape, i, &heads->style[i]));
    }
    for (int k = 0; shape->pyramid && k < 2; ++k) {
        const int64_t I = ho_encoder_stage_width(shape, 2 - k);
        HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_NORMAL(sqrt(1.0 / (double)I)), HO_FILE_OIHW,
                             HO_SHAPE(C, 1, 1, I), &heads->lateral_weight[k], "latlayer%d.weight", k + 1));
        HO_TRY(ho_params_add(params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(C), &heads->lateral_bias[k],
                             "latlayer%d.bias", k + 1));
    }
    return HO_OK;
}

/* maps become the pyramid's levels. */
static ho_status build_pyramid(ho_context *context, const ho_style_heads *heads, ho_tensor *maps[3]) {
    const ho_conv_options point = {1, 0, 1};
    const ho_act linear = HO_ACT_LINEAR;
    for (int k = 1; k < 3; ++k) {
        ho_tensor *from = maps[k], *up = NULL, *side = NULL;
        HO_TRY(ho_resize_corners(context, maps[k - 1], from->dim[1], from->dim[2], &up));
        HO_TRY(ho_conv2d_act(context, from, heads->lateral_weight[k - 1], heads->lateral_bias[k - 1], &point, &linear,
                             &side));
        ho_tensor_release(context, from);
        HO_TRY(ho_add(context, up, 1.0, side, 1.0, &maps[k]));
        ho_tensor_release(context, up);
        ho_tensor_release(context, side);
    }
    return HO_OK;
}

/* maps (N,h,w,C), which stay -> (N, D). */
static ho_status apply_head(ho_context *context, const ho_style_head *head, ho_tensor *maps, ho_tensor **y) {
    const ho_conv_options halve = {2, 1, 1};
    const ho_act leaky = {HO_LRELU, 0.01, 1.0, 1.0, 1.0};
    const int64_t N = maps->dim[0], D = head->linear_bias->dim[0];
    const ho_act equalised = {HO_LINEAR, 0.0, 1.0 / sqrt((double)D), 1.0, 1.0};
    ho_tensor *x = maps, *next = NULL;
    for (int k = 0; k < head->n; ++k) {
        HO_TRY(ho_conv2d_act(context, x, head->weight[k], head->bias[k], &halve, &leaky, &next));
        if (x != maps) {
            ho_tensor_release(context, x);
        }
        x = next;
    }
    HO_TRY(ho_reshape(context, x, HO_SHAPE(N, D), &next));
    ho_tensor_release(context, x);
    HO_TRY(ho_dense(context, next, head->linear_weight, &x));
    ho_tensor_release(context, next);
    HO_TRY(ho_bias_act(context, x, head->linear_bias, &equalised, y));
    ho_tensor_release(context, x);
    return HO_OK;
}

/* Rows (N, D), one a style -> (N, L, D); takes them over. */
static ho_status join(ho_context *context, const ho_encoder_shape *s, int64_t N, ho_tensor *rows[],
                      ho_tensor **joined) {
    const int64_t n = s->L;
    ho_tensor *all = rows[0];
    for (int64_t first = 1; first < n; first += HO_MOST_CONCAT - 1) {
        const int64_t left = n - first, more = left < HO_MOST_CONCAT - 1 ? left : HO_MOST_CONCAT - 1;
        ho_tensor *parts[HO_MOST_CONCAT] = {all}, *wider = NULL;
        for (int64_t i = 0; i < more; ++i) {
            parts[1 + i] = rows[first + i];
        }
        HO_TRY(ho_concat_all(context, (int)(1 + more), parts, &wider));
        for (int64_t i = 0; i <= more; ++i) {
            ho_tensor_release(context, parts[i]);
        }
        all = wider;
    }
    HO_TRY(ho_reshape(context, all, HO_SHAPE(N, n, s->D), joined));
    ho_tensor_release(context, all);
    return HO_OK;
}

ho_status ho_style_heads_apply(ho_context *context, const ho_encoder *encoder, const ho_style_heads *heads,
                               ho_tensor *maps[3], ho_tensor **correction) {
    const ho_encoder_shape *s = &encoder->shape;
    const int64_t N = maps[0]->dim[0];
    ho_tensor *row[HO_HEAD_STYLES] = {NULL}, *own = NULL;
    if (s->pyramid) {
        HO_TRY(build_pyramid(context, heads, maps));
    }
    for (int64_t i = 0; i < s->L; ++i) {
        HO_TRY(apply_head(context, &heads->style[i], maps[level_of(s, i)], &row[i]));
        if (s->deltas && i > 0) {
            own = row[i];
            HO_TRY(ho_add(context, row[0], 1.0, own, 1.0, &row[i]));
            ho_tensor_release(context, own);
        }
    }
    for (int k = 0; k < (s->pyramid ? 3 : 1); ++k) {
        ho_tensor_release(context, maps[k]);
    }
    return join(context, s, N, row, correction);
}
