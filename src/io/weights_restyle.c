/* The encoder of a checkpoint of pSp, e4e or ReStyle (handsoff/encoder.h, src/nn/encoder_published.c). Data sets keep
 * the checkpoint's names, below "encoder/"; the shape is in the attributes encoder_*. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_stylegan2.h"

enum { STAGES = 4, SQUEEZE = 16, FIRST_MEDIUM = 3, FIRST_FINE = 7, ITERATIONS = 5, MOST_ITERATIONS = 64 };

static const char INSTEAD[] = "--kind restyle-generator takes the generator alone";

typedef struct {
    ho_plan *plan;
    int64_t height, width, inputs, channels, L, D, iterations;
    bool irse, deltas, pyramid, from_average;
} shape;

/* ---- shape ------------------------------------------------------------------------------------------------------- */

/* Which heads it has is said by opts.encoder_type alone: the tensors of pSp and e4e are the same. */
static ho_status find_heads(const ho_import *import, bool *deltas) {
    static const struct {
        const char *type;
        bool deltas;
    } KNOWN[] = {{"BackboneEncoder", false},
                 {"ResNetBackboneEncoder", false},
                 {"GradualStyleEncoder", false},
                 {"ProgressiveBackboneEncoder", true},
                 {"ResNetProgressiveBackboneEncoder", true},
                 {"Encoder4Editing", true}};
    const char *type = ho_weights_option(import->weights, "encoder_type");
    *deltas = strcmp(import->kind, "restyle-e4e") == 0;
    if (*deltas || strcmp(import->kind, "restyle-psp") == 0) {
        return HO_OK;
    }
    for (size_t i = 0; type != NULL && i < sizeof KNOWN / sizeof *KNOWN; ++i) {
        if (strcmp(type, KNOWN[i].type) == 0) {
            *deltas = KNOWN[i].deltas;
            return HO_OK;
        }
    }
    HO_FAIL(HO_EFORMAT,
            "%s: %s%s%s; expected opts.encoder_type to be BackboneEncoder, ResNetBackboneEncoder, GradualStyleEncoder "
            "(pSp), ProgressiveBackboneEncoder, ResNetProgressiveBackboneEncoder or Encoder4Editing (e4e). --kind "
            "restyle-psp and restyle-e4e insist on one; %s",
            import->weights->path, type != NULL ? "its encoder is a '" : "does not say which heads its encoder has",
            type != NULL ? type : "", type != NULL ? "'" : "", INSTEAD);
}

/* Passes over an image: the option's, or five. */
static int64_t find_iterations(const ho_weights *weights, int64_t inputs) {
    const char *text = ho_weights_option(weights, "n_iters_per_batch");
    const long n = text != NULL ? strtol(text, NULL, 10) : 0;
    return inputs == 3 ? 1 : n >= 2 && n <= MOST_ITERATIONS ? n : ITERATIONS;
}

static ho_status find_shape(const ho_import *import, const ho_sg2 *s, shape *e) {
    const ho_weights *w = import->weights;
    const char *data = ho_weights_option(w, "dataset_type"), *start = ho_weights_option(w, "start_from_latent_avg");
    const ho_weight *irse = ho_plan_find(e->plan, "input_layer.0.weight"),
                    *resnet = ho_plan_find(e->plan, "conv1.weight");
    const ho_weight *stem = irse != NULL ? irse : resnet;
    HO_TRY(find_heads(import, &e->deltas));
    if (stem == NULL || stem->rank != 4 || (stem->dim[1] != 3 && stem->dim[1] != 6)) {
        char text[160];
        HO_FAIL(HO_EFORMAT,
                "%s: its encoder is none of ReStyle's: expected '%sinput_layer.0.weight' (64, 6, 3, 3) or "
                "'%sconv1.weight' (64, 6, 7, 7), found %s; %s",
                w->path, e->plan->prefix, e->plan->prefix,
                stem != NULL ? ho_weight_shape_text(text, stem->rank, stem->dim) : "neither", INSTEAD);
    }
    e->irse = irse != NULL;
    e->pyramid = ho_plan_find(e->plan, "latlayer1.weight") != NULL;
    e->channels = stem->dim[0];
    e->inputs = stem->dim[1];
    e->iterations = find_iterations(w, e->inputs);
    e->height = data != NULL && strstr(data, "cars") != NULL ? 192 : 256;
    e->width = 256;
    e->L = 2 * s->n_blocks;
    e->D = s->w_dim;
    e->from_average = e->inputs == 6 || start == NULL || strcmp(start, "0") != 0;
    if (e->pyramid && !e->irse) {
        HO_FAIL(HO_EFORMAT, "%s: its encoder is a ResNet-34 with a pyramid, which this program does not know; %s",
                w->path, INSTEAD);
    }
    if (e->irse && e->channels % SQUEEZE != 0) {
        HO_FAIL(HO_EFORMAT, "%s: its encoder begins with %lld maps; right are multiples of %d", w->path,
                (long long)e->channels, SQUEEZE);
    }
    return HO_OK;
}

/* ---- moves ------------------------------------------------------------------------------------------------------- */

static ho_status move(const shape *e, int rank, const int64_t *dim, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static ho_status move(const shape *e, int rank, const int64_t *dim, const char *format, ...) {
    char name[HO_NAME];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return ho_plan_move(e->plan, name, name, rank, dim);
}

static ho_status move_conv(const shape *e, const char *name, int64_t O, int64_t size, int64_t I) {
    return move(e, 4, (int64_t[]){O, I, size, size}, "%s.weight", name);
}

static ho_status move_norm(const shape *e, const char *name, int64_t C) {
    static const char *const LEAVES[] = {"weight", "bias", "running_mean", "running_var"};
    for (int i = 0; i < 4; ++i) {
        HO_TRY(move(e, 1, &C, "%s.%s", name, LEAVES[i]));
    }
    return HO_OK;
}

static const char *part(char text[HO_NAME], int unit, const char *name) {
    (void)snprintf(text, HO_NAME, "body.%d.%s", unit, name);
    return text;
}

static ho_status move_irse_unit(const shape *e, int u, int64_t O, int64_t I) {
    char name[HO_NAME];
    HO_TRY(move_norm(e, part(name, u, "res_layer.0"), I));
    HO_TRY(move_conv(e, part(name, u, "res_layer.1"), O, 3, I));
    HO_TRY(move(e, 1, &O, "body.%d.res_layer.2.weight", u));
    HO_TRY(move_conv(e, part(name, u, "res_layer.3"), O, 3, O));
    HO_TRY(move_norm(e, part(name, u, "res_layer.4"), O));
    HO_TRY(move_conv(e, part(name, u, "res_layer.5.fc1"), O / SQUEEZE, 1, O));
    HO_TRY(move_conv(e, part(name, u, "res_layer.5.fc2"), O, 1, O / SQUEEZE));
    if (O != I) {
        HO_TRY(move_conv(e, part(name, u, "shortcut_layer.0"), O, 1, I));
        HO_TRY(move_norm(e, part(name, u, "shortcut_layer.1"), O));
    }
    return HO_OK;
}

static ho_status move_basic_block(const shape *e, int u, int64_t O, int64_t I) {
    char name[HO_NAME];
    HO_TRY(move_conv(e, part(name, u, "conv1"), O, 3, I));
    HO_TRY(move_norm(e, part(name, u, "bn1"), O));
    HO_TRY(move_conv(e, part(name, u, "conv2"), O, 3, O));
    HO_TRY(move_norm(e, part(name, u, "bn2"), O));
    if (O != I) {
        HO_TRY(move_conv(e, part(name, u, "downsample.0"), O, 1, I));
        HO_TRY(move_norm(e, part(name, u, "downsample.1"), O));
    }
    return HO_OK;
}

static ho_status move_body(const shape *e) {
    static const int UNITS[2][STAGES] = {{3, 4, 14, 3}, {3, 4, 6, 3}};
    const int64_t C = e->channels;
    int u = 0;
    HO_TRY(move_conv(e, e->irse ? "input_layer.0" : "conv1", C, e->irse ? 3 : 7, e->inputs));
    HO_TRY(move_norm(e, e->irse ? "input_layer.1" : "bn1", C));
    HO_TRY(move(e, 1, &C, e->irse ? "input_layer.2.weight" : "relu.weight"));
    int64_t I = C;
    for (int stage = 0; stage < STAGES; ++stage) {
        const int64_t O = C << stage;
        for (int k = 0; k < UNITS[e->irse ? 0 : 1][stage]; ++k, ++u, I = O) {
            HO_TRY(e->irse ? move_irse_unit(e, u, O, I) : move_basic_block(e, u, O, I));
        }
    }
    return HO_OK;
}

static ho_status move_heads(const shape *e) {
    const int64_t C = 8 * e->channels, D = e->D;
    for (int i = 0; i < (int)e->L; ++i) {
        const int n = 4 + (!e->pyramid || i < FIRST_MEDIUM ? 0 : i < FIRST_FINE ? 1 : 2);
        for (int k = 0; k < n; ++k) {
            HO_TRY(move(e, 4, (int64_t[]){D, k == 0 ? C : D, 3, 3}, "styles.%d.convs.%d.weight", i, 2 * k));
            HO_TRY(move(e, 1, &D, "styles.%d.convs.%d.bias", i, 2 * k));
        }
        HO_TRY(move(e, 2, (int64_t[]){D, D}, "styles.%d.linear.weight", i));
        HO_TRY(move(e, 1, &D, "styles.%d.linear.bias", i));
    }
    for (int k = 0; e->pyramid && k < 2; ++k) {
        HO_TRY(move(e, 4, (int64_t[]){C, C >> (k + 1), 1, 1}, "latlayer%d.weight", k + 1));
        HO_TRY(move(e, 1, &C, "latlayer%d.bias", k + 1));
    }
    return HO_OK;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static ho_status write_attributes(ho_store *store, const shape *e) {
    HO_TRY(ho_store_set_text(store, "encoder_network", e->irse ? "irse50" : "resnet34"));
    HO_TRY(ho_store_set_text(store, "encoder_heads",
                             e->pyramid ? (e->deltas ? "e4e-pyramid" : "psp-pyramid") : (e->deltas ? "e4e" : "psp")));
    HO_TRY(ho_store_set_number(store, "encoder_height", (double)e->height));
    HO_TRY(ho_store_set_number(store, "encoder_width", (double)e->width));
    HO_TRY(ho_store_set_number(store, "encoder_style_rows", (double)e->L));
    HO_TRY(ho_store_set_number(store, "encoder_w_dim", (double)e->D));
    HO_TRY(ho_store_set_number(store, "encoder_channels", (double)e->channels));
    HO_TRY(ho_store_set_number(store, "encoder_max_channels", (double)(8 * e->channels)));
    return ho_store_set_number(store, "encoder_iterations", (double)e->iterations);
}

/* Where passes begin, (L, D): the file's average in as many rows as it has or one for all; what the generator got where
 * the file has none; zeros where the encoder was trained without. */
static ho_status write_average(ho_import *import, const shape *e) {
    char text[160];
    const ho_weight *average = ho_sg2_average(e->plan);
    const int64_t rows = average == NULL ? 1 : ho_weight_count(average) / e->D, D = e->D;
    float *read = NULL, *all = calloc((size_t)(e->L * D), sizeof *all);
    ho_status status = HO_OK;
    if (all == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the average latent");
    }
    if (average != NULL && rows != 1 && rows != e->L) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: '%s' has the shape %s; right is (%lld) or (%lld, %lld)",
                         import->weights->path, average->name, ho_weight_shape_text(text, average->rank, average->dim),
                         (long long)D, (long long)e->L, (long long)D);
        goto done;
    }
    if (average != NULL) {
        HO_TRY_DONE(ho_plan_values(import->weights, average, &read));
    } else {
        read = calloc((size_t)D, sizeof *read);
        HO_TRY_DONE(read == NULL ? HO_EMEMORY : ho_store_read(import->store, "mapping.w_avg", HO_F32, 1, &D, read));
    }
    for (int64_t i = 0; e->from_average && i < e->L; ++i) {
        memcpy(all + i * D, read + (rows == 1 ? 0 : i) * D, (size_t)D * sizeof *all);
    }
    status = ho_store_write(import->store, "encoder/latent_avg", HO_F32, 2, (int64_t[]){e->L, D}, all);
done:
    free(read);
    free(all);
    return status;
}

static ho_status take_encoder(ho_import *import, const ho_sg2 *s, ho_plan *plan) {
    shape e = {.plan = plan};
    HO_TRY(find_shape(import, s, &e));
    HO_TRY(move_body(&e));
    HO_TRY(move_heads(&e));
    ho_plan_ignore(plan, "num_batches_tracked");
    HO_TRY(ho_plan_check(plan, e.irse ? "checkpoint with an IR-SE50 encoder that fits its generator"
                                      : "checkpoint with a ResNet-34 encoder that fits its generator"));
    HO_TRY(write_attributes(import->store, &e));
    HO_TRY(ho_plan_write(plan, import->store, "encoder/"));
    HO_TRY(write_average(import, &e));
    ho_notes_add(import->notes,
                 "encoder: %s, %s heads for %lld rows of %lld%s, input of %lld x %lld pixels and %lld channels, %lld "
                 "%s: encoder.weights uses it\n",
                 e.irse ? "IR-SE50" : "ResNet-34", e.deltas ? "e4e" : "pSp", (long long)e.L, (long long)e.D,
                 e.pyramid ? " on a pyramid" : "", (long long)e.height, (long long)e.width, (long long)e.inputs,
                 (long long)e.iterations, e.iterations == 1 ? "pass" : "passes");
    return HO_OK;
}

ho_status ho_restyle_encoder(ho_import *import, const ho_sg2 *s, bool *used) {
    char prefix[HO_WEIGHT_NAME];
    const size_t n = strlen(import->prefix) - strlen("decoder.");
    ho_plan plan = {0};
    bool any = false;
    if (n + strlen("encoder.") >= sizeof prefix) {
        HO_FAIL(HO_EFORMAT, "%s: a name within it is too long", import->weights->path);
    }
    (void)snprintf(prefix, sizeof prefix, "%.*sencoder.", (int)n, import->prefix);
    for (int64_t i = 0; i < import->weights->n && !any; ++i) {
        any = strncmp(import->weights->tensor[i].name, prefix, strlen(prefix)) == 0;
    }
    if (!any) {
        ho_notes_add(import->notes, "the file has no encoder: the generator alone was taken\n");
        return HO_OK;
    }
    HO_TRY(ho_plan_start(import->weights, prefix, &plan));
    const ho_status status = take_encoder(import, s, &plan);
    for (int64_t i = 0; i < import->weights->n; ++i) {
        used[i] = used[i] || plan.used[i];
    }
    ho_plan_free(&plan);
    return status;
}
