/* StyleGAN2 generator: its parameters, named as in stylegan2-ada-pytorch, and its file. */
#include "stylegan2_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Weights are stored without their equalised-learning-rate gain: the mapping's learning-rate multiplier of 0.01 makes
 * its stored weights N(0, 1) / 0.01. */
static const double MAPPING_STD = 100.0;

static ho_status add_mapping(ho_generator *g) {
    const int64_t D = g->shape.w_dim;
    for (int64_t i = 0; i < g->shape.mapping_layers; i++) {
        const int64_t inputs = i == 0 ? g->shape.z_dim : D;
        HO_TRY(ho_params_add(g->params, HO_PARAM, HO_INIT_NORMAL(MAPPING_STD), HO_FILE_SAME, HO_SHAPE(D, inputs),
                             &g->fc_weight[i], "mapping.fc%" PRId64 ".weight", i));
        HO_TRY(ho_params_add(g->params, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(D), &g->fc_bias[i],
                             "mapping.fc%" PRId64 ".bias", i));
    }
    return ho_params_add(g->params, HO_BUFFER, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(D), &g->w_avg, "mapping.w_avg");
}

/* Layer `name` of the block of height r: I -> O channels, 3x3 with noise, or 1x1 without (toRGB). */
static ho_status add_styled(ho_generator *g, ho_styled_conv *layer, int64_t r, const char *name, int64_t I, int64_t O,
                            int64_t kernel) {
    ho_params *p = g->params;
    const int64_t D = g->shape.w_dim;
    HO_TRY(ho_params_add(p, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_SAME, HO_SHAPE(I, D), &layer->affine_weight,
                         "synthesis.b%" PRId64 ".%s.affine.weight", r, name));
    HO_TRY(ho_params_add(p, HO_PARAM, HO_INIT_ONE, HO_FILE_SAME, HO_SHAPE(I), &layer->affine_bias,
                         "synthesis.b%" PRId64 ".%s.affine.bias", r, name));
    HO_TRY(ho_params_add(p, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_OIHW, HO_SHAPE(O, kernel, kernel, I), &layer->weight,
                         "synthesis.b%" PRId64 ".%s.weight", r, name));
    if (kernel == 3) {
        HO_TRY(ho_params_add(p, HO_BUFFER, HO_INIT_NORMAL(1.0), HO_FILE_SAME,
                             HO_SHAPE(r, ho_stylegan2_width(&g->shape, r)), &layer->noise_const,
                             "synthesis.b%" PRId64 ".%s.noise_const", r, name));
        HO_TRY(ho_params_add(p, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(1), &layer->strength,
                             "synthesis.b%" PRId64 ".%s.noise_strength", r, name));
    }
    return ho_params_add(p, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(O), &layer->bias,
                         "synthesis.b%" PRId64 ".%s.bias", r, name);
}

static ho_status add_synthesis(ho_generator *g) {
    const int64_t C4 = ho_stylegan2_channels(&g->shape, 4);
    HO_TRY(ho_params_add(g->params, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_CHW,
                         HO_SHAPE(4, ho_stylegan2_width(&g->shape, 4), C4), &g->constant, "synthesis.b4.const"));
    const int64_t n_blocks = ho_stylegan2_n_blocks(&g->shape);
    for (int64_t k = 0; k < n_blocks; k++) {
        const int64_t r = (int64_t)4 << k;
        const int64_t C = ho_stylegan2_channels(&g->shape, r);
        if (k > 0) {
            const int64_t I = ho_stylegan2_channels(&g->shape, r / 2);
            HO_TRY(add_styled(g, &g->conv[2 * k - 1], r, "conv0", I, C, 3));
        }
        HO_TRY(add_styled(g, &g->conv[2 * k], r, "conv1", C, C, 3));
        HO_TRY(add_styled(g, &g->torgb[k], r, "torgb", C, 3, 1));
    }
    return HO_OK;
}

ho_status ho_generator_create(ho_device *device, const ho_stylegan2_shape *shape, uint64_t seed,
                              ho_generator **generator) {
    *generator = NULL;
    HO_TRY(ho_stylegan2_check(shape, true));
    ho_generator *g = calloc(1, sizeof *g);
    if (g == NULL) {
        (void)ho_fail(HO_EMEMORY, __FILE__, __LINE__, "generator: no memory for %zu bytes", sizeof *g);
        return HO_EMEMORY;
    }
    ho_status status = HO_OK;
    g->device = device;
    g->shape = *shape;
    HO_TRY_DONE(ho_params_create(device, &g->params));
    HO_TRY_DONE(add_mapping(g));
    HO_TRY_DONE(add_synthesis(g));
    HO_TRY_DONE(ho_params_commit(g->params, seed));
    *generator = g;
    return HO_OK;
done:
    ho_generator_free(g);
    return status;
}

void ho_generator_free(ho_generator *generator) {
    if (generator != NULL) {
        ho_params_free(generator->params);
        free(generator);
    }
}

ho_params *ho_generator_params(ho_generator *generator) {
    return generator->params;
}

const ho_stylegan2_shape *ho_generator_shape(const ho_generator *generator) {
    return &generator->shape;
}

ho_status ho_generator_w_avg(ho_generator *generator, float *w_avg) {
    const ho_param *param = ho_params_find(generator->params, "mapping.w_avg");
    return ho_param_get(generator->params, param, w_avg);
}

/* ---- file -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *key;
    size_t offset; /* of an int64_t in ho_stylegan2_shape */
} shape_field;
static const shape_field SHAPE_FIELDS[] = {
    {"height", offsetof(ho_stylegan2_shape, height)},
    {"width", offsetof(ho_stylegan2_shape, width)},
    {"z_dim", offsetof(ho_stylegan2_shape, z_dim)},
    {"w_dim", offsetof(ho_stylegan2_shape, w_dim)},
    {"channel_base", offsetof(ho_stylegan2_shape, channel_base)},
    {"channel_max", offsetof(ho_stylegan2_shape, channel_max)},
    {"mapping_layers", offsetof(ho_stylegan2_shape, mapping_layers)},
};
enum { N_SHAPE_FIELDS = sizeof SHAPE_FIELDS / sizeof SHAPE_FIELDS[0] };

ho_status ho_generator_write(ho_generator *generator, ho_store *store) {
    HO_TRY(ho_store_set_text(store, "kind", "generator"));
    for (int i = 0; i < N_SHAPE_FIELDS; i++) {
        int64_t value = 0;
        memcpy(&value, (const char *)&generator->shape + SHAPE_FIELDS[i].offset, sizeof value);
        HO_TRY(ho_store_set_number(store, SHAPE_FIELDS[i].key, (double)value));
    }
    return ho_store_write_params(store, "", generator->params);
}

static ho_status read_shape(ho_store *store, ho_stylegan2_shape *shape) {
    char kind[32] = "";
    HO_TRY(ho_store_check_schema(store));
    if (ho_store_has_attribute(store, "kind")) {
        HO_TRY(ho_store_get_text(store, "kind", kind, sizeof kind));
    }
    if (strcmp(kind, "generator") != 0) {
        HO_FAIL(HO_EFORMAT, "%s: not a generator file: its attribute 'kind' is '%s', not 'generator'",
                ho_store_path(store), kind);
    }
    for (int i = 0; i < N_SHAPE_FIELDS; i++) {
        double number = 0.0;
        if (!ho_store_has_attribute(store, SHAPE_FIELDS[i].key)) {
            HO_FAIL(HO_EFORMAT, "%s: the attribute '%s' is missing", ho_store_path(store), SHAPE_FIELDS[i].key);
        }
        HO_TRY(ho_store_get_number(store, SHAPE_FIELDS[i].key, &number));
        if (!(number >= 1.0 && number <= 1e9 && number == floor(number))) {
            HO_FAIL(HO_EFORMAT, "%s: the attribute '%s' is %g, not a positive whole number", ho_store_path(store),
                    SHAPE_FIELDS[i].key, number);
        }
        const int64_t value = (int64_t)number;
        memcpy((char *)shape + SHAPE_FIELDS[i].offset, &value, sizeof value);
    }
    const ho_status status = ho_stylegan2_check(shape, true);
    return status == HO_OK ? HO_OK : ho_fail_context(HO_EFORMAT, "%s", ho_store_path(store));
}

ho_status ho_generator_file_shape(const char *path, ho_stylegan2_shape *shape) {
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = read_shape(store, shape);
    ho_store_close(store);
    return status;
}

ho_status ho_generator_load(ho_device *device, const char *path, ho_generator **generator) {
    ho_status status = HO_OK;
    ho_store *store = NULL;
    ho_generator *g = NULL;
    ho_stylegan2_shape shape = {0};
    *generator = NULL;
    HO_TRY_DONE(ho_store_open(path, &store));
    HO_TRY_DONE(read_shape(store, &shape));
    HO_TRY_DONE(ho_generator_create(device, &shape, 0, &g));
    HO_TRY_DONE(ho_store_read_params(store, "", g->params));
    *generator = g;
    g = NULL;
done:
    ho_generator_free(g);
    ho_store_close(store);
    return status;
}
