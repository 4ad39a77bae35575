/* StyleGAN2's residual discriminator (stylegan2-ada-pytorch, training/networks.py: Discriminator), and its tangent.
 *
 * Every layer carries a pair (value, dot): dot is the derivative of value along image_dot. Convolutions, filters and
 * sums are linear, so that dot takes the same path without the bias; a leaky ReLU multiplies dot by the slope that the
 * value had. The reverse pass of sum(logits_dot), with image_dot = d sum(logits) / d image held fixed, is the gradient
 * of half the squared norm of d sum(logits) / d image: the R1 penalty without differentiating the reverse pass itself.
 */
#include "handsoff/stylegan2.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "stylegan2_parts.h"

static const double SQRT_HALF = 0.7071067811865476;

typedef struct {
    ho_tensor *weight, *bias; /* bias NULL for the skip */
} layer_params;

typedef struct {
    layer_params conv0, conv1, skip;
} block_params;

struct ho_discriminator {
    ho_stylegan2_shape shape;
    int64_t mbstd_group;
    ho_params *params;
    layer_params fromrgb, conv, fc, out; /* conv, fc, out: the epilogue at 4x4 */
    block_params block[HO_MAX_BLOCKS];   /* block[k] has height 4 << k; [0] is unused */
};

/* ---- parameters -------------------------------------------------------------------------------------------------- */

static ho_status add_conv(ho_discriminator *d, layer_params *layer, int64_t r, const char *name, int64_t I, int64_t O,
                          int64_t kernel, bool bias) {
    HO_TRY(ho_params_add(d->params, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_OIHW, HO_SHAPE(O, kernel, kernel, I),
                         &layer->weight, "b%" PRId64 ".%s.weight", r, name));
    if (!bias) {
        return HO_OK;
    }
    return ho_params_add(d->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(O), &layer->bias,
                         "b%" PRId64 ".%s.bias", r, name);
}

static ho_status add_dense(ho_discriminator *d, layer_params *layer, const char *name, int64_t I, int64_t O) {
    HO_TRY(ho_params_add(d->params, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_SAME, HO_SHAPE(O, I), &layer->weight,
                         "b4.%s.weight", name));
    return ho_params_add(d->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(O), &layer->bias, "b4.%s.bias",
                         name);
}

static ho_status add_layers(ho_discriminator *d) {
    const int64_t R = d->shape.height;
    const int64_t C4 = ho_stylegan2_channels(&d->shape, 4);
    HO_TRY(add_conv(d, &d->fromrgb, R, "fromrgb", 3, ho_stylegan2_channels(&d->shape, R), 1, true));
    for (int64_t k = ho_stylegan2_n_blocks(&d->shape) - 1; k > 0; k--) {
        const int64_t r = (int64_t)4 << k;
        const int64_t C = ho_stylegan2_channels(&d->shape, r);
        const int64_t C_half = ho_stylegan2_channels(&d->shape, r / 2);
        HO_TRY(add_conv(d, &d->block[k].conv0, r, "conv0", C, C, 3, true));
        HO_TRY(add_conv(d, &d->block[k].conv1, r, "conv1", C, C_half, 3, true));
        HO_TRY(add_conv(d, &d->block[k].skip, r, "skip", C, C_half, 1, false));
    }
    HO_TRY(add_conv(d, &d->conv, 4, "conv", C4 + 1, C4, 3, true));
    HO_TRY(add_dense(d, &d->fc, "fc", C4 * 4 * ho_stylegan2_width(&d->shape, 4), C4));
    return add_dense(d, &d->out, "out", C4, 1);
}

ho_status ho_discriminator_create(ho_device *device, const ho_stylegan2_shape *shape, int64_t mbstd_group,
                                  uint64_t seed, ho_discriminator **discriminator) {
    *discriminator = NULL;
    HO_TRY(ho_stylegan2_check(shape, false));
    HO_REQUIRE(mbstd_group >= 1, "discriminator: the minibatch-std group %" PRId64 " is not positive", mbstd_group);
    ho_discriminator *d = calloc(1, sizeof *d);
    if (d == NULL) {
        (void)ho_fail(HO_EMEMORY, __FILE__, __LINE__, "discriminator: no memory for %zu bytes", sizeof *d);
        return HO_EMEMORY;
    }
    ho_status status = HO_OK;
    d->shape = *shape;
    d->mbstd_group = mbstd_group;
    HO_TRY_DONE(ho_params_create(device, &d->params));
    HO_TRY_DONE(add_layers(d));
    HO_TRY_DONE(ho_params_commit(d->params, seed));
    *discriminator = d;
    return HO_OK;
done:
    ho_discriminator_free(d);
    return status;
}

void ho_discriminator_free(ho_discriminator *discriminator) {
    if (discriminator != NULL) {
        ho_params_free(discriminator->params);
        free(discriminator);
    }
}

ho_params *ho_discriminator_params(ho_discriminator *discriminator) {
    return discriminator->params;
}

/* ---- layers on (value, dot) -------------------------------------------------------------------------------------- */

typedef struct {
    ho_tensor *value, *dot; /* dot NULL when no tangent is asked for */
} dual;

static void release(ho_context *context, dual x) {
    ho_tensor_release(context, x.value);
    if (x.dot != NULL) {
        ho_tensor_release(context, x.dot);
    }
}

/* 1 / sqrt(inputs of one output): the run-time gain of an equalised weight. */
static double equal_gain(const ho_tensor *weight) {
    return 1.0 / sqrt((double)ho_tensor_count(weight) / (double)weight->dim[0]);
}

static ho_status dual_conv(ho_context *context, dual x, ho_tensor *weight, int64_t stride, int64_t pad, dual *y) {
    const ho_conv_options options = {stride, pad, 1};
    HO_TRY(ho_conv2d(context, x.value, weight, &options, &y->value));
    if (x.dot != NULL) {
        HO_TRY(ho_conv2d(context, x.dot, weight, &options, &y->dot));
    }
    return HO_OK;
}

static ho_status dual_fir(ho_context *context, dual x, const ho_fir_options *options, dual *y) {
    HO_TRY(ho_fir(context, x.value, options, &y->value));
    if (x.dot != NULL) {
        HO_TRY(ho_fir(context, x.dot, options, &y->dot));
    }
    return HO_OK;
}

static ho_act act_of(const layer_params *layer, bool linear) {
    ho_act act = linear ? HO_ACT_LINEAR : HO_ACT_LRELU2;
    act.x_gain = equal_gain(layer->weight);
    return act;
}

/* y = act(gain * conv(x) + bias); x stays. */
static ho_status dual_conv_act(ho_context *context, dual x, const layer_params *layer, int64_t stride, int64_t pad,
                               dual *y) {
    const ho_conv_options options = {stride, pad, 1};
    const ho_act act = act_of(layer, false);
    HO_TRY(ho_conv2d_act(context, x.value, layer->weight, layer->bias, &options, &act, &y->value));
    if (x.dot != NULL) {
        HO_TRY(ho_conv2d_act_tangent(context, y->value, x.dot, layer->weight, &options, &act, &y->dot));
    }
    return HO_OK;
}

/* act(dense); x stays (a few numbers a sample). */
static ho_status dual_dense(ho_context *context, dual x, const layer_params *layer, bool linear, dual *y) {
    dual product = {NULL, NULL};
    HO_TRY(ho_dense(context, x.value, layer->weight, &product.value));
    if (x.dot != NULL) {
        HO_TRY(ho_dense(context, x.dot, layer->weight, &product.dot));
    }
    const ho_act act = act_of(layer, linear);
    HO_TRY(ho_bias_act(context, product.value, layer->bias, &act, &y->value));
    if (x.dot != NULL) {
        HO_TRY(ho_bias_act_tangent(context, y->value, product.dot, &act, &y->dot));
    }
    release(context, product);
    return HO_OK;
}

/* One resolution: y = (conv1(down(conv0(x))) + skip(down(x))) / sqrt 2; x is released. */
static ho_status dual_block(ho_context *context, dual x, const block_params *block, dual *y) {
    static const ho_fir_options blur = {1, 1, 2, 2, 1.0}; /* before the stride-2 convolution: one pixel larger */
    dual main = {NULL, NULL};
    dual smooth = {NULL, NULL};
    dual skip = {NULL, NULL};
    HO_TRY(dual_fir(context, x, &HO_FIR_DOWN2, &smooth));
    HO_TRY(dual_conv(context, smooth, block->skip.weight, 1, 0, &skip));
    release(context, smooth);
    HO_TRY(dual_conv_act(context, x, &block->conv0, 1, 1, &main));
    release(context, x);
    HO_TRY(dual_fir(context, main, &blur, &smooth));
    release(context, main);
    HO_TRY(dual_conv_act(context, smooth, &block->conv1, 2, 0, &main));
    release(context, smooth);
    const double skip_gain = SQRT_HALF * equal_gain(block->skip.weight);
    HO_TRY(ho_add(context, main.value, SQRT_HALF, skip.value, skip_gain, &y->value));
    if (x.dot != NULL) {
        HO_TRY(ho_add(context, main.dot, SQRT_HALF, skip.dot, skip_gain, &y->dot));
    }
    release(context, main);
    release(context, skip);
    return HO_OK;
}

/* (N, H, W, C) -> (N, C H W), features in PyTorch's order; x is released. */
static ho_status flatten(ho_context *context, ho_tensor *x, ho_tensor **y) {
    ho_tensor *planes = NULL;
    const int64_t N = x->dim[0];
    const int64_t features = ho_tensor_count(x) / N;
    HO_TRY(ho_nhwc_to_nchw(context, x, &planes));
    ho_tensor_release(context, x);
    return ho_reshape(context, planes, HO_SHAPE(N, features), y);
}

/* Minibatch standard deviation, 3x3 convolution, two dense layers; x is released. */
static ho_status dual_epilogue(ho_context *context, const ho_discriminator *d, dual x, dual *logits) {
    dual wide = {NULL, NULL};
    dual y = {NULL, NULL};
    dual flat = {NULL, NULL};
    HO_TRY(ho_minibatch_std(context, x.value, d->mbstd_group, &wide.value));
    if (x.dot != NULL) {
        HO_TRY(ho_minibatch_std_tangent(context, x.value, x.dot, d->mbstd_group, &wide.dot));
    }
    release(context, x);
    HO_TRY(dual_conv_act(context, wide, &d->conv, 1, 1, &y));
    release(context, wide);
    HO_TRY(flatten(context, y.value, &flat.value));
    if (y.dot != NULL) {
        HO_TRY(flatten(context, y.dot, &flat.dot));
    }
    HO_TRY(dual_dense(context, flat, &d->fc, false, &y));
    return dual_dense(context, y, &d->out, true, logits);
}

ho_status ho_discriminator_forward(ho_context *context, ho_discriminator *discriminator, ho_tensor *image,
                                   ho_tensor *image_dot, ho_tensor **logits, ho_tensor **logits_dot) {
    ho_discriminator *d = discriminator;
    HO_REQUIRE(image->rank == 4 && image->dim[1] == d->shape.height && image->dim[2] == d->shape.width &&
                   image->dim[3] == 3,
               "discriminator: image %s is not (N, %" PRId64 ", %" PRId64 ", 3)", ho_tensor_shape_text(image),
               d->shape.height, d->shape.width);
    HO_REQUIRE(image_dot == NULL || ho_tensor_same_shape(image, image_dot),
               "discriminator: image_dot %s differs from image %s", ho_tensor_shape_text(image_dot),
               ho_tensor_shape_text(image));
    HO_REQUIRE(logits_dot == NULL || image_dot != NULL, "discriminator: logits_dot is asked for without image_dot");
    dual x = {NULL, NULL};
    dual result = {NULL, NULL};
    HO_TRY(dual_conv_act(context, (dual){image, image_dot}, &d->fromrgb, 1, 0, &x));
    for (int64_t k = ho_stylegan2_n_blocks(&d->shape) - 1; k > 0; k--) {
        dual next = {NULL, NULL};
        HO_TRY(dual_block(context, x, &d->block[k], &next));
        x = next;
    }
    HO_TRY(dual_epilogue(context, d, x, &result));
    if (logits != NULL) {
        *logits = result.value;
    }
    if (logits_dot != NULL) {
        *logits_dot = result.dot;
    }
    return HO_OK;
}
