/* StyleGAN2 generator: mapping and synthesis (stylegan2-ada-pytorch, training/networks.py: MappingNetwork,
 * SynthesisNetwork).
 *
 * The style of the convolution l comes from row l of w_plus; the toRGB layer of the block k from row 2 k + 1, which is
 * also the row of the next block's first convolution. */
#include "stylegan2_parts.h"

#include <inttypes.h>
#include <math.h>

#include "handsoff/random.h"

static const double MAPPING_LR = 0.01;  /* lr_mul of the mapping network    */
static const double W_AVG_BETA = 0.995; /* how much of w_avg a batch leaves */
static const double SQRT2 = 1.4142135623730951;

/* ---- mapping ----------------------------------------------------------------------------------------------------- */

ho_status ho_generator_map(ho_context *context, ho_generator *generator, ho_tensor *z, ho_tensor **w) {
    HO_REQUIRE(z->rank == 2 && z->dim[1] == generator->shape.z_dim,
               "mapping: z %s does not fit the generator, which wants (N, %" PRId64 ")", ho_tensor_shape_text(z),
               generator->shape.z_dim);
    ho_tensor *x = NULL;
    HO_TRY(ho_normalize_z(context, z, &x));
    for (int64_t i = 0; i < generator->shape.mapping_layers; i++) {
        const double fan_in = (double)x->dim[1];
        const ho_act act = {HO_LRELU, 0.2, MAPPING_LR / sqrt(fan_in), MAPPING_LR, SQRT2};
        ho_tensor *product = NULL;
        ho_tensor *next = NULL;
        HO_TRY(ho_dense(context, x, generator->fc_weight[i], &product));
        ho_tensor_release(context, x);
        HO_TRY(ho_bias_act(context, product, generator->fc_bias[i], &act, &next));
        ho_tensor_release(context, product);
        x = next;
    }
    *w = x;
    return HO_OK;
}

ho_status ho_generator_update_w_avg(ho_context *context, ho_generator *generator, const ho_tensor *w) {
    const int64_t D = generator->shape.w_dim;
    HO_REQUIRE(w->rank == 2 && w->dim[0] >= 1 && w->dim[1] == D, "update of w_avg: w %s is not (N, %" PRId64 ")",
               ho_tensor_shape_text(w), D);
    const int64_t N = w->dim[0];
    ho_tensor *ones = NULL; /* the mean over the batch is a product with (1, ..., 1) / N: nothing leaves the device */
    HO_TRY(ho_tensor_new(context, HO_SHAPE(1, N), &ones));
    HO_TRY(ho_fill_normal(context, ones, 0, 0, 0, 1.0, 0.0));
    HO_TRY(ho_gemm(generator->device, false, false, 1, D, N, (ho_real)((1.0 - W_AVG_BETA) / (double)N), ones->data, N,
                   w->data, D, (ho_real)W_AVG_BETA, generator->w_avg->data, D));
    ho_tensor_release(context, ones);
    return HO_OK;
}

ho_status ho_generator_truncate(ho_context *context, ho_generator *generator, ho_tensor *w, double psi, ho_tensor **y) {
    const int64_t D = generator->shape.w_dim;
    HO_REQUIRE((w->rank == 2 || w->rank == 3) && w->dim[w->rank - 1] == D,
               "truncation: %s is neither (N, %" PRId64 ") nor (N, L, %" PRId64 ")", ho_tensor_shape_text(w), D, D);
    const ho_act blend = {HO_LINEAR, 0.0, psi, 1.0 - psi, 1.0}; /* psi w + (1 - psi) w_avg */
    return ho_bias_act(context, w, generator->w_avg, &blend, y);
}

/* ---- synthesis --------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_context *context;
    ho_generator *generator;
    const ho_noise *noise;
    ho_tensor *w_plus;
    ho_style_blocks *blocks; /* NULL when the caller wants the image alone */
} synthesis;

/* s (N, I) = affine(row l of w_plus) for the layer's input channels. */
static ho_status style_of(const synthesis *s, const ho_styled_conv *layer, int64_t l, ho_tensor **style) {
    const ho_act act = {HO_LINEAR, 0.0, 1.0 / sqrt((double)s->generator->shape.w_dim), 1.0, 1.0};
    ho_tensor *row = NULL;
    ho_tensor *product = NULL;
    HO_TRY(ho_w_plus_row(s->context, s->w_plus, l, &row));
    HO_TRY(ho_dense(s->context, row, layer->affine_weight, &product));
    ho_tensor_release(s->context, row);
    HO_TRY(ho_bias_act(s->context, product, layer->affine_bias, &act, style));
    ho_tensor_release(s->context, product);
    return HO_OK;
}

/* The noise of convolution l: NULL, its stored plane, or one fresh plane a sample. */
static ho_status noise_of(const synthesis *s, const ho_styled_conv *layer, int64_t l, ho_tensor **noise) {
    const ho_noise_mode mode = s->noise == NULL ? HO_NOISE_CONST : s->noise->mode;
    *noise = mode == HO_NOISE_CONST ? layer->noise_const : NULL;
    if (mode != HO_NOISE_RANDOM) {
        return HO_OK;
    }
    const int64_t h = layer->noise_const->dim[0];
    const int64_t w = layer->noise_const->dim[1];
    HO_TRY(ho_tensor_new(s->context, HO_SHAPE(s->w_plus->dim[0], h, w), noise));
    return ho_fill_normal(s->context, *noise, s->noise->seed, s->noise->stream + (uint64_t)l,
                          s->noise->first * (uint64_t)(h * w), 0.0, 1.0);
}

static ho_status styled_conv(const synthesis *s, int64_t l, bool up, ho_tensor *x, ho_tensor **y) {
    const ho_styled_conv *layer = &s->generator->conv[l];
    ho_modconv_args args = {.weight = layer->weight,
                            .bias = layer->bias,
                            .up = up,
                            .demodulate = true,
                            .w_gain = 1.0,
                            .act = HO_ACT_LRELU2};
    HO_TRY(style_of(s, layer, l, &args.style));
    HO_TRY(noise_of(s, layer, l, &args.noise));
    args.strength = args.noise == NULL ? NULL : layer->strength;
    HO_TRY(ho_modconv(s->context, x, &args, y));
    ho_tensor_release(s->context, args.style);
    if (args.noise != NULL && args.noise != layer->noise_const) {
        ho_tensor_release(s->context, args.noise);
    }
    return HO_OK;
}

/* rgb = toRGB_k(x) + Up(rgb); *rgb is NULL before the first block. */
static ho_status add_rgb(const synthesis *s, int64_t k, ho_tensor *x, ho_tensor **rgb) {
    const ho_styled_conv *layer = &s->generator->torgb[k];
    ho_modconv_args args = {
        .weight = layer->weight, .bias = layer->bias, .w_gain = 1.0 / sqrt((double)x->dim[3]), .act = HO_ACT_LINEAR};
    ho_tensor *colour = NULL;
    ho_tensor *wide = NULL;
    ho_tensor *sum = NULL;
    HO_TRY(style_of(s, layer, 2 * k + 1, &args.style));
    HO_TRY(ho_modconv(s->context, x, &args, &colour));
    ho_tensor_release(s->context, args.style);
    if (*rgb == NULL) {
        *rgb = colour;
        return HO_OK;
    }
    HO_TRY(ho_fir(s->context, *rgb, &HO_FIR_UP2, &wide));
    ho_tensor_release(s->context, *rgb);
    HO_TRY(ho_add(s->context, colour, 1.0, wide, 1.0, &sum));
    ho_tensor_release(s->context, colour);
    ho_tensor_release(s->context, wide);
    *rgb = sum;
    return HO_OK;
}

/* *x becomes its successor `next`. The old map is handed to the caller, or its memory back to the arena. */
static void step_map(const synthesis *s, ho_tensor **x, ho_tensor *next) {
    if (s->blocks == NULL) {
        ho_tensor_release(s->context, *x);
    } else {
        s->blocks->map[s->blocks->n++] = next;
    }
    *x = next;
}

static ho_status synthesize(const synthesis *s, ho_tensor **image) {
    ho_tensor *x = NULL;
    ho_tensor *next = NULL;
    ho_tensor *rgb = NULL;
    HO_TRY(ho_broadcast_batch(s->context, s->generator->constant, s->w_plus->dim[0], &x));
    if (s->blocks != NULL) {
        s->blocks->map[0] = x;
        s->blocks->n = 1;
    }
    const int64_t n_blocks = ho_stylegan2_n_blocks(&s->generator->shape);
    for (int64_t k = 0; k < n_blocks; k++) {
        if (k > 0) {
            HO_TRY(styled_conv(s, 2 * k - 1, true, x, &next));
            step_map(s, &x, next);
        }
        HO_TRY(styled_conv(s, 2 * k, false, x, &next));
        step_map(s, &x, next);
        HO_TRY(add_rgb(s, k, x, &rgb));
    }
    if (s->blocks == NULL) {
        ho_tensor_release(s->context, x);
    }
    *image = rgb;
    return HO_OK;
}

ho_status ho_generator_synthesize(ho_context *context, ho_generator *generator, ho_tensor *w_plus,
                                  const ho_noise *noise, ho_style_blocks *blocks, ho_tensor **image) {
    const int64_t L = ho_stylegan2_n_ws(&generator->shape);
    const int64_t D = generator->shape.w_dim;
    HO_REQUIRE(w_plus->rank == 3 && w_plus->dim[1] == L && w_plus->dim[2] == D,
               "synthesis: w_plus %s does not fit the generator, which wants (N, %" PRId64 ", %" PRId64 ")",
               ho_tensor_shape_text(w_plus), L, D);
    const synthesis s = {context, generator, noise, w_plus, blocks};
    return synthesize(&s, image);
}
