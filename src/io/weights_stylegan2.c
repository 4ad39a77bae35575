/* StyleGAN2 of stylegan2-ada-pytorch and of rosinality/stylegan2-pytorch. Ours has the first one's names; the second's
 * are translated here. Neither needs a flip or a transposition; sizes of 1 differ. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_plan.h"
#include "weights_stylegan2.h"

/* ---- which ------------------------------------------------------------------------------------------------------- */

/* The moving average before the network in training, where a file has both. */
static bool prefer(const ho_weights *w, const char *const *prefixes, const char *anchor, char *prefix) {
    char name[HO_WEIGHT_NAME];
    for (int i = 0; prefixes[i] != NULL; ++i) {
        (void)snprintf(name, sizeof name, "%s%s", prefixes[i], anchor);
        if (ho_weights_find(w, name) != NULL) {
            (void)snprintf(prefix, HO_WEIGHT_NAME, "%s", prefixes[i]);
            return true;
        }
    }
    return ho_find_anchor(w, anchor, prefix);
}

bool ho_fits_stylegan2_ada(const ho_weights *weights, char *prefix) {
    static const char *const PREFIXES[] = {"G_ema.", "Gs.", "G.", NULL};
    return prefer(weights, PREFIXES, "synthesis.b4.const", prefix);
}

bool ho_fits_rosinality(const ho_weights *weights, char *prefix) {
    static const char *const PREFIXES[] = {"g_ema.", "g.", NULL};
    return prefer(weights, PREFIXES, "input.input", prefix);
}

bool ho_fits_restyle(const ho_weights *weights, char *prefix) {
    const bool found = ho_find_anchor(weights, "decoder.input.input", prefix);
    const size_t n = found ? strlen(prefix) : 0;
    (void)snprintf(prefix + n, HO_WEIGHT_NAME - n, found ? "decoder." : "");
    return found;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const char *layer_name(bool ros, int64_t k, const char *layer, char text[HO_NAME]) {
    if (!ros) {
        (void)snprintf(text, HO_NAME, "synthesis.b%lld.%s", 4LL << k, layer);
    } else if (strcmp(layer, "torgb") == 0) {
        (void)snprintf(text, HO_NAME, k == 0 ? "to_rgb1" : "to_rgbs.%lld", (long long)k - 1);
    } else if (k == 0) {
        (void)snprintf(text, HO_NAME, "conv1");
    } else {
        (void)snprintf(text, HO_NAME, "convs.%lld", (long long)(2 * k - (layer[4] == '0' ? 2 : 1)));
    }
    return text;
}

static const char *leaf_name(bool ros, bool rgb, const char *leaf) {
    static const char *const NAMES[][2] = {{"affine.weight", "conv.modulation.weight"},
                                           {"affine.bias", "conv.modulation.bias"},
                                           {"weight", "conv.weight"},
                                           {"bias", "activate.bias"},
                                           {"noise_strength", "noise.weight"}};
    for (int i = 0; ros && i < 5; ++i) {
        if (strcmp(leaf, NAMES[i][0]) == 0) {
            return rgb && i == 3 ? "bias" : NAMES[i][1];
        }
    }
    return leaf;
}

void ho_stylegan2_name(bool ros, int64_t k, const char *layer, const char *leaf, char name[HO_NAME]) {
    char base[HO_NAME];
    if (ros && strcmp(leaf, "noise_const") == 0) {
        (void)snprintf(name, HO_NAME, "noises.noise_%lld", (long long)(2 * k - (layer[4] == '0' ? 1 : 0)));
        return;
    }
    (void)snprintf(name, HO_NAME, "%.60s.%s", layer_name(ros, k, layer, base),
                   leaf_name(ros, strcmp(layer, "torgb") == 0, leaf));
}

static const char *fc_name(bool ros, int64_t i, const char *leaf, char name[HO_NAME]) {
    (void)snprintf(name, HO_NAME, ros ? "style.%lld.%s" : "mapping.fc%lld.%s", (long long)(ros ? i + 1 : i), leaf);
    return name;
}

const char *ho_stylegan2_fc_name(bool ros, int64_t i, const char *leaf, char name[HO_NAME]) {
    return fc_name(ros, i, leaf, name);
}

/* ---- shape ------------------------------------------------------------------------------------------------------- */

static const ho_weight *find_layer(const ho_plan *plan, bool ros, int64_t k, const char *layer, const char *leaf) {
    char name[HO_NAME];
    ho_stylegan2_name(ros, k, layer, leaf, name);
    return ho_plan_find(plan, "%s", name);
}

static int64_t size_from_end(const ho_weight *weight, int i) {
    return weight != NULL && weight->rank >= i ? weight->dim[weight->rank - i] : 0;
}

int64_t ho_sg2_channels(const ho_sg2 *s, int64_t k) {
    const int64_t channels = s->channel_base / (4LL << k);
    return channels < s->channel_max ? channels : s->channel_max;
}

int64_t ho_sg2_wide(const ho_sg2 *s, int64_t r) {
    return s->width == s->height ? r : r / 2;
}

static ho_status check_channels(const ho_plan *plan, bool ros, const ho_sg2 *s) {
    for (int64_t k = 0; k < s->n_blocks; ++k) {
        const int64_t found = size_from_end(find_layer(plan, ros, k, "conv1", "weight"), 4);
        if (found != ho_sg2_channels(s, k)) {
            HO_FAIL(
                HO_EFORMAT,
                "%s: its maps of height %lld have %lld channels; right for a StyleGAN2 whose last maps have %lld and "
                "whose widest %lld are %lld",
                plan->weights->path, 4LL << k, (long long)found, (long long)ho_sg2_channels(s, s->n_blocks - 1),
                (long long)s->channel_max, (long long)ho_sg2_channels(s, k));
        }
    }
    return HO_OK;
}

ho_status ho_sg2_shape(const ho_plan *plan, bool ros, ho_sg2 *s) {
    char name[HO_NAME];
    memset(s, 0, sizeof *s);
    const ho_weight *constant = ho_plan_find(plan, ros ? "input.input" : "synthesis.b4.const");
    while (s->n_blocks < 10 && find_layer(plan, ros, s->n_blocks, "conv1", "weight") != NULL) {
        const int64_t C = size_from_end(find_layer(plan, ros, s->n_blocks, "conv1", "weight"), 4);
        s->channel_max = C > s->channel_max ? C : s->channel_max;
        s->channel_base = C * (4LL << s->n_blocks);
        ++s->n_blocks;
    }
    while (s->mapping_layers < 65 &&
           ho_plan_find(plan, "%s", fc_name(ros, s->mapping_layers, "weight", name)) != NULL) {
        ++s->mapping_layers;
    }
    const ho_weight *first = ho_plan_find(plan, "%s", fc_name(ros, 0, "weight", name));
    s->height = 2LL << s->n_blocks;
    s->width = size_from_end(constant, 1) == 2 ? s->height / 2 : s->height;
    s->z_dim = size_from_end(first, 1);
    s->w_dim = size_from_end(find_layer(plan, ros, 0, "conv1", "affine.weight"), 1);
    if (ho_plan_find(plan, "mapping.embed.weight") != NULL) {
        HO_FAIL(HO_EFORMAT, "%s: is a generator with class labels (mapping.embed); right is one without",
                plan->weights->path);
    }
    if (s->n_blocks < 2 || s->n_blocks > 9 || s->mapping_layers < 1 || s->mapping_layers > 64 || s->z_dim < 1 ||
        s->w_dim < 1 || s->channel_max < 1 || s->channel_max > 65536) {
        HO_FAIL(
            HO_EFORMAT,
            "%s: is no StyleGAN2: %lld blocks, %lld mapping layers, z of %lld, w of %lld, %lld channels; right are 2 "
            "to 9 blocks (8 to 1024 pixels) and at least 1 of the others",
            plan->weights->path, (long long)s->n_blocks, (long long)s->mapping_layers, (long long)s->z_dim,
            (long long)s->w_dim, (long long)s->channel_max);
    }
    return check_channels(plan, ros, s);
}

/* ---- generator --------------------------------------------------------------------------------------------------- */

static ho_status move_leaf(ho_plan *plan, bool ros, int64_t k, const char *layer, const char *leaf, int rank,
                           const int64_t *dim) {
    char from[HO_NAME], to[HO_NAME];
    ho_stylegan2_name(ros, k, layer, leaf, from);
    ho_stylegan2_name(false, k, layer, leaf, to);
    return ho_plan_move(plan, from, to, rank, dim);
}

static ho_status move_layer(ho_plan *plan, bool ros, const ho_sg2 *s, int64_t k, const char *layer) {
    const bool rgb = strcmp(layer, "torgb") == 0;
    const int64_t r = 4LL << k, size = rgb ? 1 : 3, C = ho_sg2_channels(s, k);
    const int64_t I = layer[4] == '0' ? ho_sg2_channels(s, k - 1) : C, O = rgb ? 3 : C;
    HO_TRY(move_leaf(plan, ros, k, layer, "affine.weight", 2, (int64_t[]){I, s->w_dim}));
    HO_TRY(move_leaf(plan, ros, k, layer, "affine.bias", 1, (int64_t[]){I}));
    HO_TRY(move_leaf(plan, ros, k, layer, "weight", 4, (int64_t[]){O, I, size, size}));
    if (!rgb) {
        if (find_layer(plan, ros, k, layer, "noise_const") != NULL) {
            HO_TRY(move_leaf(plan, ros, k, layer, "noise_const", 2, (int64_t[]){r, ho_sg2_wide(s, r)}));
        }
        HO_TRY(move_leaf(plan, ros, k, layer, "noise_strength", 1, (int64_t[]){1}));
    }
    return move_leaf(plan, ros, k, layer, "bias", 1, (int64_t[]){O});
}

/* Every FIR filter of the file must be [1, 3, 3, 1] times itself, up to its gain: no other is in our networks. */
ho_status ho_sg2_check_filters(ho_plan *plan) {
    static const char *const ENDINGS[] = {".resample_filter", ".blur.kernel", ".upsample.kernel", "conv2.0.kernel",
                                          "skip.0.kernel"};
    static const float TAPS[4] = {1, 3, 3, 1};
    for (int e = 0; e < 5; ++e) {
        const size_t m = strlen(ENDINGS[e]);
        for (int64_t i = 0; i < plan->weights->n; ++i) {
            const ho_weight *t = &plan->weights->tensor[i];
            const size_t n = strlen(t->name);
            if (strncmp(t->name, plan->prefix, strlen(plan->prefix)) != 0 || n < m ||
                strcmp(t->name + n - m, ENDINGS[e]) != 0) {
                continue;
            }
            float *values = NULL, sum = 0.0F;
            bool same = ho_weight_count(t) == 16;
            if (same) {
                HO_TRY(ho_plan_values(plan->weights, t, &values));
            }
            for (int j = 0; same && j < 16; ++j) {
                sum += values[j];
            }
            for (int j = 0; same && j < 16; ++j) {
                same = fabsf(values[j] * 64.0F - sum * TAPS[j / 4] * TAPS[j % 4]) < 1e-4F * fabsf(sum) * 9.0F;
            }
            free(values);
            if (!same) {
                HO_FAIL(HO_EFORMAT, "%s: the filter '%s' is not [1, 3, 3, 1] x [1, 3, 3, 1]: this is another network",
                        plan->weights->path, t->name);
            }
            ho_plan_use(plan, t);
        }
    }
    return HO_OK;
}

ho_status ho_sg2_plan_generator(ho_plan *plan, bool ros, const ho_sg2 *s) {
    char from[HO_NAME], to[HO_NAME];
    for (int64_t i = 0; i < s->mapping_layers; ++i) {
        HO_TRY(ho_plan_move(plan, fc_name(ros, i, "weight", from), fc_name(false, i, "weight", to), 2,
                            (int64_t[]){s->w_dim, i == 0 ? s->z_dim : s->w_dim}));
        HO_TRY(
            ho_plan_move(plan, fc_name(ros, i, "bias", from), fc_name(false, i, "bias", to), 1, (int64_t[]){s->w_dim}));
    }
    if (!ros && ho_plan_find(plan, "mapping.w_avg") != NULL) {
        HO_TRY(ho_plan_move(plan, "mapping.w_avg", "mapping.w_avg", 1, (int64_t[]){s->w_dim}));
    }
    HO_TRY(ho_plan_move(plan, ros ? "input.input" : "synthesis.b4.const", "synthesis.b4.const", 3,
                        (int64_t[]){ho_sg2_channels(s, 0), 4, ho_sg2_wide(s, 4)}));
    for (int64_t k = 0; k < s->n_blocks; ++k) {
        if (k > 0) {
            HO_TRY(move_layer(plan, ros, s, k, "conv0"));
        }
        HO_TRY(move_layer(plan, ros, s, k, "conv1"));
        HO_TRY(move_layer(plan, ros, s, k, "torgb"));
    }
    HO_TRY(ho_sg2_check_filters(plan));
    return ho_plan_check(plan,
                         ros ? "generator of rosinality/stylegan2-pytorch" : "generator of stylegan2-ada-pytorch");
}

/* ---- discriminator ----------------------------------------------------------------------------------------------- */

static ho_status move_d(ho_plan *plan, bool ros, const char *ros_name, const char *name, int rank, const int64_t *dim) {
    return ho_plan_move(plan, ros ? ros_name : name, name, rank, dim);
}

static ho_status move_d_block(ho_plan *plan, bool ros, const ho_sg2 *s, int64_t k) {
    const int64_t C = ho_sg2_channels(s, k), half = ho_sg2_channels(s, k - 1), i = s->n_blocks - k, r = 4LL << k;
    const struct {
        const char *ros, *name;
        int rank;
        int64_t dim[4];
    } ROWS[] = {{"conv1.0.weight", "conv0.weight", 4, {C, C, 3, 3}},
                {"conv1.1.bias", "conv0.bias", 1, {C}},
                {"conv2.1.weight", "conv1.weight", 4, {half, C, 3, 3}},
                {"conv2.2.bias", "conv1.bias", 1, {half}},
                {"skip.1.weight", "skip.weight", 4, {half, C, 1, 1}}};
    for (int j = 0; j < 5; ++j) {
        char from[HO_NAME], to[HO_NAME];
        (void)snprintf(from, sizeof from, "convs.%lld.%s", (long long)i, ROWS[j].ros);
        (void)snprintf(to, sizeof to, "b%lld.%s", (long long)r, ROWS[j].name);
        HO_TRY(move_d(plan, ros, from, to, ROWS[j].rank, ROWS[j].dim));
    }
    return HO_OK;
}

ho_status ho_sg2_plan_discriminator(ho_plan *plan, bool ros, const ho_sg2 *s) {
    char name[HO_NAME];
    const int64_t C = ho_sg2_channels(s, s->n_blocks - 1), C4 = ho_sg2_channels(s, 0);
    (void)snprintf(name, sizeof name, "b%lld.fromrgb.weight", (long long)s->height);
    HO_TRY(move_d(plan, ros, "convs.0.0.weight", name, 4, (int64_t[]){C, 3, 1, 1}));
    (void)snprintf(name, sizeof name, "b%lld.fromrgb.bias", (long long)s->height);
    HO_TRY(move_d(plan, ros, "convs.0.1.bias", name, 1, (int64_t[]){C}));
    for (int64_t k = s->n_blocks - 1; k > 0; --k) {
        HO_TRY(move_d_block(plan, ros, s, k));
    }
    HO_TRY(move_d(plan, ros, "final_conv.0.weight", "b4.conv.weight", 4, (int64_t[]){C4, C4 + 1, 3, 3}));
    HO_TRY(move_d(plan, ros, "final_conv.1.bias", "b4.conv.bias", 1, (int64_t[]){C4}));
    HO_TRY(move_d(plan, ros, "final_linear.0.weight", "b4.fc.weight", 2, (int64_t[]){C4, C4 * 4 * ho_sg2_wide(s, 4)}));
    HO_TRY(move_d(plan, ros, "final_linear.0.bias", "b4.fc.bias", 1, (int64_t[]){C4}));
    HO_TRY(move_d(plan, ros, "final_linear.1.weight", "b4.out.weight", 2, (int64_t[]){1, C4}));
    HO_TRY(move_d(plan, ros, "final_linear.1.bias", "b4.out.bias", 1, (int64_t[]){1}));
    HO_TRY(ho_sg2_check_filters(plan));
    return ho_plan_check(plan, "StyleGAN2 discriminator for this generator");
}
