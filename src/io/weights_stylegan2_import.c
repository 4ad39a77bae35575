/* A StyleGAN2 checkpoint as generator.h5. Where the file has a discriminator, too, the groups generator, generator_ema
 * and discriminator are added: that is what a training begins from (gan.init). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/random.h"
#include "weights_stylegan2.h"

enum { SAMPLES = 10000, BATCH = 64 }; /* for the mean of w */

/* ---- what older checkpoints lack --------------------------------------------------------------------------------- */

static ho_status draw_noise(ho_store *store, const char *group, const char *name, int64_t h, int64_t w) {
    char full[256];
    float *values = malloc((size_t)(h * w) * sizeof *values);
    if (values == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a noise plane of %lld x %lld", (long long)h, (long long)w);
    }
    for (int64_t i = 0; i < h * w; ++i) {
        values[i] = (float)ho_normal(0, ho_stream_id(name), (uint64_t)i);
    }
    (void)snprintf(full, sizeof full, "%s%s", group, name);
    const ho_status status = ho_store_write(store, full, HO_F32, 2, (int64_t[]){h, w}, values);
    free(values);
    return status;
}

static ho_status complete_noise(const ho_plan *plan, bool ros, const ho_sg2 *s, ho_import *import, const char *group) {
    int n = 0;
    for (int64_t k = 0; k < s->n_blocks; ++k) {
        for (int j = k == 0 ? 1 : 0; j < 2; ++j) {
            const char *layer = j == 0 ? "conv0" : "conv1";
            char from[HO_NAME], to[HO_NAME];
            ho_stylegan2_name(ros, k, layer, "noise_const", from);
            ho_stylegan2_name(false, k, layer, "noise_const", to);
            if (ho_plan_find(plan, "%s", from) == NULL) {
                HO_TRY(draw_noise(import->store, group, to, 4LL << k, ho_sg2_wide(s, 4LL << k)));
                ++n;
            }
        }
    }
    if (n > 0 && group[0] == '\0') {
        ho_notes_add(import->notes, "the file has no noise planes: %d were drawn from seed 0\n", n);
    }
    return HO_OK;
}

/* y = act(x W' + b): x (BATCH, I), weight (O, I) turned (I, O) so that the inner loop runs over outputs. */
static void dense_lrelu(const float *x, const float *turned, const float *bias, int64_t I, int64_t O, float *y) {
    for (int64_t n = 0; n < BATCH; ++n) {
        float *row = y + n * O;
        memcpy(row, bias, (size_t)O * sizeof *row);
        for (int64_t i = 0; i < I; ++i) {
            const float factor = x[n * I + i];
            for (int64_t o = 0; o < O; ++o) {
                row[o] += factor * turned[i * O + o];
            }
        }
        for (int64_t o = 0; o < O; ++o) {
            row[o] = (row[o] < 0.0F ? 0.2F * row[o] : row[o]) * 1.41421356F;
        }
    }
}

typedef struct {
    float *turned[64], *bias[64]; /* with their run-time gains */
} mapping;

static void free_mapping(mapping *m) {
    for (int i = 0; i < 64; ++i) {
        free(m->turned[i]);
        free(m->bias[i]);
    }
}

/* Weights with the gains that the network applies: 0.01 / sqrt(inputs) and 0.01. */
static ho_status load_mapping(const ho_plan *plan, bool ros, const ho_sg2 *s, mapping *m) {
    char name[HO_NAME];
    for (int64_t l = 0; l < s->mapping_layers; ++l) {
        const int64_t I = l == 0 ? s->z_dim : s->w_dim, O = s->w_dim;
        float *weight = NULL;
        const float gain = 0.01F / sqrtf((float)I);
        HO_TRY(ho_plan_values(plan->weights, ho_plan_find(plan, "%s", ho_stylegan2_fc_name(ros, l, "weight", name)),
                              &weight));
        m->turned[l] = malloc((size_t)(I * O) * sizeof(float));
        for (int64_t o = 0; m->turned[l] != NULL && o < O; ++o) {
            for (int64_t i = 0; i < I; ++i) {
                m->turned[l][i * O + o] = gain * weight[o * I + i];
            }
        }
        free(weight);
        if (m->turned[l] == NULL) {
            HO_FAIL(HO_EMEMORY, "%s: no memory for its mapping network", plan->weights->path);
        }
        HO_TRY(ho_plan_values(plan->weights, ho_plan_find(plan, "%s", ho_stylegan2_fc_name(ros, l, "bias", name)),
                              &m->bias[l]));
        for (int64_t o = 0; o < O; ++o) {
            m->bias[l][o] *= 0.01F;
        }
    }
    return HO_OK;
}

static void draw_z(int64_t first, int64_t z_dim, float *z) {
    const uint64_t stream = ho_stream_id("import-weights/z");
    for (int64_t n = 0; n < BATCH; ++n) {
        float *row = z + n * z_dim, squares = 0.0F;
        for (int64_t i = 0; i < z_dim; ++i) {
            row[i] = (float)ho_normal(0, stream, (uint64_t)((first + n) * z_dim + i));
            squares += row[i] * row[i];
        }
        const float gain = 1.0F / sqrtf(squares / (float)z_dim + 1e-8F);
        for (int64_t i = 0; i < z_dim; ++i) {
            row[i] *= gain;
        }
    }
}

/* Sums of w over SAMPLES z, rounded up to whole batches; x and y have room for a batch each. */
static int64_t sum_latents(const mapping *m, const ho_sg2 *s, float *x, float *y, double *sum) {
    int64_t n = 0;
    for (; n < SAMPLES; n += BATCH) {
        draw_z(n, s->z_dim, x);
        for (int64_t l = 0; l < s->mapping_layers && m->bias[l] != NULL; ++l) {
            dense_lrelu(x, m->turned[l], m->bias[l], l == 0 ? s->z_dim : s->w_dim, s->w_dim, y);
            memcpy(x, y, (size_t)(BATCH * s->w_dim) * sizeof *x);
        }
        for (int64_t i = 0; i < BATCH * s->w_dim; ++i) {
            sum[i % s->w_dim] += (double)x[i];
        }
    }
    return n;
}

static ho_status estimate_mean(const ho_plan *plan, bool ros, const ho_sg2 *s, float *mean) {
    mapping m = {{0}, {0}};
    const int64_t widest = s->z_dim > s->w_dim ? s->z_dim : s->w_dim;
    float *x = malloc((size_t)(2 * BATCH * widest) * sizeof *x);
    double *sum = calloc((size_t)s->w_dim, sizeof *sum);
    if (x == NULL || sum == NULL) {
        free(x);
        free(sum);
        HO_FAIL(HO_EMEMORY, "no memory to find the mean of w");
    }
    const ho_status status = load_mapping(plan, ros, s, &m);
    if (status == HO_OK) {
        const int64_t n = sum_latents(&m, s, x, x + BATCH * widest, sum);
        for (int64_t i = 0; i < s->w_dim; ++i) {
            mean[i] = (float)(sum[i] / (double)n);
        }
    }
    free_mapping(&m);
    free(x);
    free(sum);
    return status;
}

const ho_weight *ho_sg2_average(const ho_plan *plan) {
    static const char *const NAMES[] = {"latent_avg", "state_dict.latent_avg", "w_avg"};
    for (int i = 0; i < 3; ++i) {
        const ho_weight *found = ho_weights_find(plan->weights, NAMES[i]);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

/* The mean over the rows of the file's average, which are one and the same in most files. */
static ho_status take_average(const ho_plan *plan, const ho_weight *average, int64_t D, float *mean) {
    char shape[160];
    float *values = NULL;
    const int64_t rows = ho_weight_count(average) / D;
    if (ho_weight_count(average) != rows * D || rows < 1) {
        HO_FAIL(HO_EFORMAT, "%s: '%s' has the shape %s; right is (%lld), or that in several rows", plan->weights->path,
                average->name, ho_weight_shape_text(shape, average->rank, average->dim), (long long)D);
    }
    HO_TRY(ho_plan_values(plan->weights, average, &values));
    for (int64_t i = 0; i < D; ++i) {
        double sum = 0.0;
        for (int64_t row = 0; row < rows; ++row) {
            sum += (double)values[row * D + i];
        }
        mean[i] = (float)(sum / (double)rows);
    }
    free(values);
    return HO_OK;
}

static ho_status complete_average(const ho_plan *plan, bool ros, const ho_sg2 *s, ho_import *import,
                                  const char *group) {
    char name[256];
    if (!ros && ho_plan_find(plan, "mapping.w_avg") != NULL) {
        return HO_OK;
    }
    const ho_weight *average = ros ? ho_sg2_average(plan) : NULL;
    float *mean = malloc((size_t)s->w_dim * sizeof *mean);
    if (mean == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the mean of w");
    }
    ho_status status = HO_OK;
    if (average != NULL) {
        status = take_average(plan, average, s->w_dim, mean);
        ho_plan_use((ho_plan *)plan, average);
    } else {
        status = estimate_mean(plan, ros, s, mean);
        if (group[0] == '\0') {
            ho_notes_add(import->notes, "the file has no average latent: the mean of %d mapped z was taken\n",
                         (SAMPLES + BATCH - 1) / BATCH * BATCH);
        }
    }
    (void)snprintf(name, sizeof name, "%smapping.w_avg", group);
    status = status == HO_OK ? ho_store_write(import->store, name, HO_F32, 1, &s->w_dim, mean) : status;
    free(mean);
    return status;
}

ho_status ho_sg2_complete(const ho_plan *plan, bool ros, const ho_sg2 *s, ho_import *import, const char *group) {
    HO_TRY(complete_noise(plan, ros, s, import, group));
    return complete_average(plan, ros, s, import, group);
}

/* ---- the whole file ---------------------------------------------------------------------------------------------- */

static ho_status write_attributes(ho_store *store, const ho_sg2 *s) {
    HO_TRY(ho_store_set_text(store, "kind", "generator"));
    HO_TRY(ho_store_set_number(store, "height", (double)s->height));
    HO_TRY(ho_store_set_number(store, "width", (double)s->width));
    HO_TRY(ho_store_set_number(store, "z_dim", (double)s->z_dim));
    HO_TRY(ho_store_set_number(store, "w_dim", (double)s->w_dim));
    HO_TRY(ho_store_set_number(store, "channel_base", (double)s->channel_base));
    HO_TRY(ho_store_set_number(store, "channel_max", (double)s->channel_max));
    return ho_store_set_number(store, "mapping_layers", (double)s->mapping_layers);
}

static void merge_used(const ho_plan *from, bool *used) {
    for (int64_t i = 0; i < from->weights->n; ++i) {
        used[i] = used[i] || from->used[i];
    }
}

/* The generator in training, which may be the moving average itself where the file has no other. */
static ho_status write_training(ho_import *import, ho_plan *ema, bool ros, const ho_sg2 *s, bool *used) {
    const char *prefix = ros ? "g." : "G.", *d_prefix = ros ? "d." : "D.";
    ho_plan g = {0}, d = {0};
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_plan_start(import->weights, d_prefix, &d));
    if (ho_plan_find(&d, ros ? "final_linear.1.weight" : "b4.out.weight") == NULL) {
        goto done;
    }
    HO_TRY_DONE(ho_sg2_plan_discriminator(&d, ros, s));
    HO_TRY_DONE(ho_plan_start(import->weights, prefix, &g));
    const bool own = ho_plan_find(&g, ros ? "input.input" : "synthesis.b4.const") != NULL;
    if (own) {
        HO_TRY_DONE(ho_sg2_plan_generator(&g, ros, s));
    }
    HO_TRY_DONE(ho_plan_write(own ? &g : ema, import->store, "generator/"));
    HO_TRY_DONE(ho_sg2_complete(own ? &g : ema, ros, s, import, "generator/"));
    HO_TRY_DONE(ho_plan_write(ema, import->store, "generator_ema/"));
    HO_TRY_DONE(ho_sg2_complete(ema, ros, s, import, "generator_ema/"));
    HO_TRY_DONE(ho_plan_write(&d, import->store, "discriminator/"));
    merge_used(&d, used);
    merge_used(&g, used);
    ho_notes_add(import->notes, "with its discriminator: a training can begin from this file (gan.init)\n");
done:
    ho_plan_free(&g);
    ho_plan_free(&d);
    return status;
}

ho_status ho_import_stylegan2(ho_import *import) {
    const bool ros = strcmp(import->kind, "stylegan2-ada") != 0;
    ho_plan plan = {0};
    ho_sg2 s;
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_plan_start(import->weights, import->prefix, &plan));
    HO_TRY_DONE(ho_sg2_shape(&plan, ros, &s));
    HO_TRY_DONE(ho_sg2_plan_generator(&plan, ros, &s));
    ho_notes_add(import->notes, "StyleGAN2 generator, %lld x %lld pixels, %lld mapping layers, from '%s'\n",
                 (long long)s.height, (long long)s.width, (long long)s.mapping_layers, import->prefix);
    HO_TRY_DONE(write_attributes(import->store, &s));
    HO_TRY_DONE(ho_plan_write(&plan, import->store, ""));
    HO_TRY_DONE(ho_sg2_complete(&plan, ros, &s, import, ""));
    HO_TRY_DONE(write_training(import, &plan, ros, &s, plan.used));
    if (strncmp(import->kind, "restyle", 7) == 0 && strcmp(import->kind, "restyle-generator") != 0) {
        HO_TRY_DONE(ho_restyle_encoder(import, &s, plan.used));
    }
    ho_notes_left(import->notes, import->weights, plan.used);
done:
    ho_plan_free(&plan);
    return status;
}
