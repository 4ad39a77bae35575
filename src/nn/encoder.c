/* Encoders: what all of them share. */
#include "handsoff/encoder.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoder_parts.h"

int64_t ho_encoder_stage_width(const ho_encoder_shape *shape, int64_t stage) {
    int64_t width = shape->channels < shape->max_channels ? shape->channels : shape->max_channels;
    for (int64_t s = 0; s < stage && width < shape->max_channels; ++s) {
        width = 2 * width < shape->max_channels ? 2 * width : shape->max_channels;
    }
    return width;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

ho_status ho_encoder_create(ho_device *device, const ho_encoder_shape *shape, uint64_t seed, ho_encoder **encoder) {
    const bool plain = shape->body == HO_ENCODER_PLAIN;
    const ho_encoder_network *network = plain ? &ho_encoder_plain : &ho_encoder_published;
    ho_tensor *scale = NULL;
    *encoder = NULL;
    HO_TRY(network->check(shape));
    ho_encoder *e = calloc(1, sizeof *e);
    if (e == NULL) {
        HO_FAIL(HO_EMEMORY, "encoder: no memory for its layers");
    }
    ho_status status = HO_OK;
    *e = (ho_encoder){.shape = *shape, .network = network, .scale = 1.0};
    HO_TRY_DONE(ho_params_create(device, &e->params));
    HO_TRY_DONE(network->declare(e->params, shape, &e->layers));
    if (plain) {
        HO_TRY_DONE(
            ho_params_add(e->params, HO_BUFFER, HO_INIT_ONE, HO_FILE_SAME, HO_SHAPE(1), &scale, "latent_scale"));
    } else {
        HO_TRY_DONE(ho_params_add(e->params, HO_BUFFER, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(shape->L, shape->D),
                                  &e->latent_avg, "latent_avg"));
    }
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
        free(encoder->layers);
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
    HO_REQUIRE(encoder->shape.body == HO_ENCODER_PLAIN, "encoder: a published network has no scale of latents");
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
    {"height", offsetof(ho_encoder_shape, height)},         {"width", offsetof(ho_encoder_shape, width)},
    {"style_rows", offsetof(ho_encoder_shape, L)},          {"w_dim", offsetof(ho_encoder_shape, D)},
    {"channels", offsetof(ho_encoder_shape, channels)},     {"max_channels", offsetof(ho_encoder_shape, max_channels)},
    {"iterations", offsetof(ho_encoder_shape, iterations)}, {"blocks", offsetof(ho_encoder_shape, blocks)},
};
enum { N_FIELDS = sizeof FIELDS / sizeof FIELDS[0], N_PUBLISHED = N_FIELDS - 1 /* blocks is the plain one's */ };

/* The attributes `network` and `heads` of a published encoder. */
static const char *const BODIES[] = {"plain", "irse50", "resnet34"};
static const char *const HEADS[] = {"psp", "e4e", "psp-pyramid", "e4e-pyramid"};

ho_status ho_encoder_write(ho_encoder *encoder, ho_store *store) {
    const ho_encoder_shape *s = &encoder->shape;
    const bool plain = s->body == HO_ENCODER_PLAIN;
    HO_TRY(ho_store_set_text(store, "kind", "encoder"));
    if (!plain) {
        HO_TRY(ho_store_set_text(store, "network", BODIES[s->body]));
        HO_TRY(ho_store_set_text(store, "heads", HEADS[(s->deltas ? 1 : 0) + (s->pyramid ? 2 : 0)]));
    }
    for (int i = 0; i < (plain ? N_FIELDS : N_PUBLISHED); ++i) {
        int64_t value = 0;
        memcpy(&value, (const char *)s + FIELDS[i].offset, sizeof value);
        HO_TRY(ho_store_set_number(store, FIELDS[i].key, (double)value));
    }
    return ho_store_write_params(store, "", encoder->params);
}

/* Number of the attribute's text in a list. */
static ho_status read_choice(ho_store *store, const char *key, int n, const char *const *names, int *choice) {
    char text[32] = "";
    HO_TRY(ho_store_get_text(store, key, text, sizeof text));
    for (*choice = 0; *choice < n; ++*choice) {
        if (strcmp(text, names[*choice]) == 0) {
            return HO_OK;
        }
    }
    HO_FAIL(HO_EFORMAT, "%s: its attribute '%s' is '%s', which this program does not know", ho_store_path(store), key,
            text);
}

/* Keys and names of an encoder that stands beside its generator have a prefix. */
static ho_status read_shape(ho_store *store, const char *prefix, ho_encoder_shape *shape) {
    char key[64];
    int body = 0, heads = 0;
    *shape = (ho_encoder_shape){.blocks = 1};
    snprintf(key, sizeof key, "%snetwork", prefix);
    if (ho_store_has_attribute(store, key)) {
        HO_TRY(read_choice(store, key, sizeof BODIES / sizeof *BODIES, BODIES, &body));
        snprintf(key, sizeof key, "%sheads", prefix);
        HO_TRY(read_choice(store, key, sizeof HEADS / sizeof *HEADS, HEADS, &heads));
        shape->body = (ho_encoder_body)body;
        shape->deltas = heads % 2 == 1;
        shape->pyramid = heads >= 2;
    }
    for (int i = 0; i < (body == 0 ? N_FIELDS : N_PUBLISHED); ++i) {
        double number = 0.0;
        snprintf(key, sizeof key, "%s%s", prefix, FIELDS[i].key);
        HO_TRY(ho_store_get_number(store, key, &number));
        if (!(number >= 1.0 && number <= 1e6 && number == floor(number))) {
            HO_FAIL(HO_EFORMAT, "%s: the attribute '%s' is %g, not a whole number of 1 to 1e6", ho_store_path(store),
                    key, number);
        }
        const int64_t value = (int64_t)number;
        memcpy((char *)shape + FIELDS[i].offset, &value, sizeof value);
    }
    return HO_OK;
}

/* *group: where its tensors are. */
static ho_status find_encoder(ho_store *store, ho_encoder_shape *shape, const char **group) {
    char kind[32] = "";
    HO_TRY(ho_store_check_schema(store));
    if (ho_store_has_attribute(store, "kind")) {
        HO_TRY(ho_store_get_text(store, "kind", kind, sizeof kind));
    }
    const bool beside = strcmp(kind, "generator") == 0 && ho_store_has_attribute(store, "encoder_network");
    if (strcmp(kind, "encoder") != 0 && !beside) {
        HO_FAIL(HO_EFORMAT, "%s: not an encoder file: its attribute 'kind' is '%s', not 'encoder'%s",
                ho_store_path(store), kind,
                strcmp(kind, "generator") == 0 ? ", and no encoder stands beside the generator" : "");
    }
    *group = beside ? "encoder/" : "";
    return read_shape(store, beside ? "encoder_" : "", shape);
}

ho_status ho_encoder_file_shape(const char *path, ho_encoder_shape *shape) {
    ho_store *store = NULL;
    const char *group = "";
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = find_encoder(store, shape, &group);
    ho_store_close(store);
    return status;
}

ho_status ho_encoder_read_params(ho_encoder *encoder, ho_store *store, const char *prefix) {
    float scale = 0.0F;
    HO_TRY(ho_store_read_params(store, prefix, encoder->params));
    if (encoder->shape.body != HO_ENCODER_PLAIN) {
        return HO_OK;
    }
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
    ho_encoder_shape shape;
    const char *group = "";
    *encoder = NULL;
    HO_TRY_DONE(ho_store_open(path, &store));
    HO_TRY_DONE(find_encoder(store, &shape, &group));
    status = ho_encoder_create(device, &shape, 0, &e);
    if (status != HO_OK) {
        status = ho_fail_context(status, "%s", path);
        goto done;
    }
    HO_TRY_DONE(ho_encoder_read_params(e, store, group));
    *encoder = e;
    e = NULL;
done:
    ho_encoder_free(e);
    ho_store_close(store);
    return status;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

/* True where an image of H x W is k times the encoder's input, or that with rows above and below. */
static bool fits(const ho_encoder_shape *s, int64_t H, int64_t W, int64_t *k) {
    *k = W / s->width;
    if (s->body == HO_ENCODER_PLAIN) {
        return H == s->height && W == s->width;
    }
    const int64_t left = H - *k * s->height;
    return *k >= 1 && W == *k * s->width && (s->width > s->height ? left >= 0 && left % 2 == 0 : left == 0);
}

ho_status ho_encoder_suits(const ho_encoder_shape *e, const ho_stylegan2_shape *g) {
    int64_t k = 1;
    HO_REQUIRE(fits(e, g->height, g->width, &k) && e->L == ho_stylegan2_n_ws(g) && e->D == g->w_dim,
               "encoder for images of %" PRId64 "x%" PRId64 " and W+ of (%" PRId64 ", %" PRId64
               "); the generator makes %" PRId64 "x%" PRId64 " from (%" PRId64 ", %" PRId64 ")",
               e->height, e->width, e->L, e->D, g->height, g->width, ho_stylegan2_n_ws(g), g->w_dim);
    return HO_OK;
}

ho_status ho_encoder_fit(ho_context *context, const ho_encoder *encoder, ho_tensor *image, ho_tensor **input) {
    const ho_encoder_shape *s = &encoder->shape;
    int64_t k = 1;
    HO_REQUIRE(image->rank == 4 && image->dim[0] >= 1 && image->dim[3] == 3 &&
                   fits(s, image->dim[1], image->dim[2], &k),
               "encoder: image %s; right is (N, %" PRId64 ", %" PRId64 ", 3)%s", ho_tensor_shape_text(image), s->height,
               s->width, s->body == HO_ENCODER_PLAIN ? "" : ", or that times a whole number");
    *input = image;
    if (image->dim[1] != k * s->height) {
        HO_TRY(ho_crop_rows(context, image, (image->dim[1] - k * s->height) / 2, k * s->height, input));
    }
    if (k > 1) {
        ho_tensor *rows = *input;
        HO_TRY(ho_avg_pool(context, rows, k, input));
        if (rows != image) {
            ho_tensor_release(context, rows);
        }
    }
    return HO_OK;
}

static ho_status check_inputs(const ho_encoder_shape *s, const ho_tensor *image, const ho_tensor *current,
                              const ho_tensor *start) {
    HO_REQUIRE((current != NULL) == (s->iterations > 1),
               "encoder: one of %" PRId64 " iterations %s the current reconstruction", s->iterations,
               current == NULL ? "needs" : "does not take");
    HO_REQUIRE(current == NULL || current->dim[0] == image->dim[0],
               "encoder: the current reconstruction %s is not one for each image of %s", ho_tensor_shape_text(current),
               ho_tensor_shape_text(image));
    HO_REQUIRE(start->rank == 3 && start->dim[0] == image->dim[0] && start->dim[1] == s->L && start->dim[2] == s->D,
               "encoder: start latent %s; right is (%" PRId64 ", %" PRId64 ", %" PRId64 ")",
               ho_tensor_shape_text(start), image->dim[0], s->L, s->D);
    return HO_OK;
}

ho_status ho_encoder_pass(ho_context *context, ho_encoder *encoder, ho_tensor *image, ho_tensor *current,
                          ho_tensor *start, bool training, ho_tensor **w_plus) {
    ho_tensor *seen = NULL, *made = NULL, *x = NULL, *correction = NULL;
    HO_TRY(ho_encoder_fit(context, encoder, image, &seen));
    HO_TRY(check_inputs(&encoder->shape, image, current, start));
    x = seen;
    if (current != NULL) {
        HO_TRY(ho_encoder_fit(context, encoder, current, &made));
        HO_TRY(ho_concat(context, seen, made, &x));
        if (made != current) {
            ho_tensor_release(context, made);
        }
        if (seen != image) {
            ho_tensor_release(context, seen);
        }
    }
    HO_TRY(encoder->network->correct(context, encoder, x, training, &correction));
    if (x != image) {
        ho_tensor_release(context, x);
    }
    HO_TRY(ho_add(context, start, 1.0, correction, 1.0, w_plus));
    ho_tensor_release(context, correction);
    return HO_OK;
}
