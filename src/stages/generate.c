/* generate: for each number c of labelled images, images and labels from the generator and head_c.h5, in shards, and
 * the index synthetic_c.h5 with what the filter left.
 *
 * Sample i is number i % batch of batch i / batch, and batches are always full (the surplus of the last one is
 * dropped), so that a sample depends on the seed, i and generate.batch alone, bit for bit. Latents do not depend on
 * generate.batch; images do in their last bit, because convolutions of other sizes add in another order: a byte may
 * differ by 1, and a label where two classes are all but equally likely. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "generate_png.h"
#include "handsoff/filter.h"
#include "handsoff/image.h"
#include "handsoff/label_head.h"
#include "handsoff/random.h"
#include "handsoff/synthetic.h"
#include "outputs.h"
#include "stages.h"

static const char *const STAGE = "generate";
static const char *const KEYS[] = {"seed",       "generate.batch", "generate.shard", "generate.truncation",
                                   "generate.n", "filter."}; /* shards depend on the first four */
enum { N_KEYS = 6, N_SHARD_KEYS = 4, N_INPUTS = 2 };

typedef struct {
    ho_run *run;
    ho_device *device;
    ho_context *context;
    ho_generator *generator;
    ho_label_head *head;
    int64_t count;           /* labelled images the head learned from */
    int64_t n, batch, shard; /* samples; images at a time and a file  */
    double psi;
    /* one batch on the host */
    float *pixels, *js, *score, *latent;
    uint8_t *image, *label;
    int64_t *number;
} job;

static void list_inputs(ho_run *run, int64_t count, const char *inputs[N_INPUTS]) {
    inputs[0] = ho_run_path(run, "generator.h5");
    inputs[1] = ho_run_path(run, "head_%lld.h5", (long long)count);
}

static const char *index_path(ho_run *run, int64_t count) {
    return ho_run_path(run, "synthetic_%lld.h5", (long long)count);
}

/* In the run's folder, and relative to it as the index names it. */
static const char *shard_path(ho_run *run, int64_t count, int64_t number) {
    return ho_run_path(run, "synthetic_%lld/shard-%05lld.h5", (long long)count, (long long)number);
}

/* ---- what is there --------------------------------------------------------------------------------------- */

static int64_t n_shards(const ho_config *config) {
    const int64_t n = ho_config_int(config, "generate.n"), shard = ho_config_int(config, "generate.shard");
    return (n + shard - 1) / shard;
}

/* A whole shard with the right record and number of rows. */
static bool shard_is_current(ho_run *run, int64_t count, int64_t number, const char **why) {
    const ho_config *config = ho_run_config(run);
    const int64_t shard = ho_config_int(config, "generate.shard");
    const int64_t left = ho_config_int(config, "generate.n") - number * shard, rows = left < shard ? left : shard;
    const char *inputs[N_INPUTS], *path = shard_path(run, count, number);
    ho_store *store = NULL;
    ho_store_info info = {0};
    list_inputs(run, count, inputs);
    if (!ho_run_is_current(run, path, STAGE, N_SHARD_KEYS, KEYS, N_INPUTS, inputs, why) ||
        !ho_output_survives_force(run, STAGE, path) || ho_store_open(path, &store) != HO_OK) {
        return false;
    }
    const bool is_current = ho_store_info_of(store, "index", &info) == HO_OK && info.rank == 1 && info.dim[0] == rows;
    ho_store_close(store);
    *why = is_current ? *why : "a shard has another number of images";
    return is_current;
}

static bool set_is_current(ho_run *run, int64_t count, const char **why) {
    const char *inputs[N_INPUTS], *path = index_path(run, count);
    list_inputs(run, count, inputs);
    if (!ho_run_is_current(run, path, STAGE, N_KEYS, KEYS, N_INPUTS, inputs, why) ||
        !ho_output_survives_force(run, STAGE, path)) {
        return false;
    }
    for (int64_t i = 0; i < n_shards(ho_run_config(run)); ++i) {
        if (!shard_is_current(run, count, i, why)) {
            return false;
        }
    }
    return true;
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    const int64_t *counts = NULL;
    const int n = ho_config_ints(ho_run_config(run), "labelled", &counts);
    *is_current = true;
    for (int i = 0; i < n && *is_current; ++i) {
        *is_current = set_is_current(run, counts[i], why);
        if (*is_current && ho_config_bool(ho_run_config(run), "generate.png") &&
            !ho_png_folder_is_there(run, counts[i])) {
            *is_current = false;
            *why = "the PNG folder is missing";
        }
    }
    return HO_OK;
}

/* ---- one batch ------------------------------------------------------------------------------------------- */

/* Latents, images and labels of batch `number`, into the job's buffers. */
static ho_status make_batch(job *j, int64_t number) {
    const ho_stylegan2_shape *shape = ho_generator_shape(j->generator);
    const ho_label_head_shape *labels = ho_label_head_shape_of(j->head);
    const uint64_t stream = ho_stream_id("generate/z");
    const ho_noise noise = {HO_NOISE_CONST, 0, 0, 0};
    const ho_label_prediction prediction = {j->label, j->js, j->score};
    ho_context *context = j->context;
    ho_style_blocks blocks;
    ho_tensor *z = NULL, *w = NULL, *w_plus = NULL, *image = NULL;
    ho_context_reset(context);
    HO_TRY(ho_tensor_new(context, HO_SHAPE(j->batch, shape->z_dim), &z));
    HO_TRY(ho_fill_normal(context, z, ho_run_seed(j->run), stream, (uint64_t)(number * j->batch * shape->z_dim), 0, 1));
    HO_TRY(ho_tensor_to_host(context, z, j->latent));
    HO_TRY(ho_generator_map(context, j->generator, z, &w));
    HO_TRY(ho_generator_truncate(context, j->generator, w, j->psi, &w));
    HO_TRY(ho_w_to_w_plus(context, w, ho_stylegan2_n_ws(shape), &w_plus));
    HO_TRY(ho_generator_synthesize(context, j->generator, w_plus, &noise, &blocks, &image));
    if (image->dim[1] != labels->H || image->dim[2] != labels->W) {
        HO_TRY(ho_resize_bilinear(context, image, labels->H, labels->W, &image));
    }
    HO_TRY(ho_tensor_to_host(context, image, j->pixels));
    ho_floats_to_bytes(j->pixels, ho_tensor_count(image), j->image);
    return ho_label_head_predict(context, j->head, &blocks, &prediction);
}

/* Rows of the open shard from the samples begin .. end - 1 of batch `number`; the shard's first sample is `first`. */
static ho_status write_batch(const job *j, ho_store *store, int64_t number, int64_t first, int64_t begin, int64_t end) {
    const ho_label_head_shape *s = ho_label_head_shape_of(j->head);
    const int64_t at = begin - number * j->batch, n = end - begin, row = begin - first, HW = s->H * s->W;
    for (int64_t i = 0; i < n; ++i) {
        j->number[i] = begin + i;
    }
    HO_TRY(ho_store_write_rows(store, "image", row, n, j->image + at * HW * 3));
    HO_TRY(ho_store_write_rows(store, "label", row, n, j->label + at * HW));
    HO_TRY(ho_store_write_rows(store, "uncertainty", row, n, j->js + at * HW));
    HO_TRY(ho_store_write_rows(store, "score", row, n, j->score + at));
    HO_TRY(ho_store_write_rows(store, "latent", row, n, j->latent + at * ho_generator_shape(j->generator)->z_dim));
    return ho_store_write_rows(store, "index", row, n, j->number);
}

static ho_status reserve_shard(const job *j, ho_store *store, int64_t rows) {
    const ho_label_head_shape *s = ho_label_head_shape_of(j->head);
    const int64_t dim[4] = {rows, s->H, s->W, 3};
    const int64_t latent[2] = {rows, ho_generator_shape(j->generator)->z_dim};
    HO_TRY(ho_store_reserve(store, "image", HO_U8, 4, dim));
    HO_TRY(ho_store_reserve(store, "label", HO_U8, 3, dim));
    HO_TRY(ho_store_reserve(store, "uncertainty", HO_F16, 3, dim));
    HO_TRY(ho_store_reserve(store, "score", HO_F32, 1, dim));
    HO_TRY(ho_store_reserve(store, "latent", HO_F32, 2, latent));
    return ho_store_reserve(store, "index", HO_I64, 1, dim);
}

static ho_status fill_shard(job *j, ho_store *store, int64_t first, int64_t end) {
    HO_TRY(reserve_shard(j, store, end - first));
    for (int64_t number = first / j->batch; number * j->batch < end; ++number) {
        const int64_t begin = number * j->batch > first ? number * j->batch : first;
        const int64_t stop = (number + 1) * j->batch < end ? (number + 1) * j->batch : end;
        if (ho_run_interrupted()) {
            HO_FAIL(HO_EINTERRUPT, "stopped before sample %lld; whole shards are kept", (long long)begin);
        }
        HO_TRY(make_batch(j, number));
        HO_TRY(write_batch(j, store, number, first, begin, stop));
        ho_run_progress(j->run, STAGE, stop, j->n, "images", "%lld labelled", (long long)j->count);
    }
    return HO_OK;
}

static ho_status make_shard(job *j, int64_t number) {
    const int64_t first = number * j->shard, end = first + j->shard < j->n ? first + j->shard : j->n;
    const char *inputs[N_INPUTS], *why = "";
    if (shard_is_current(j->run, j->count, number, &why)) {
        return HO_OK;
    }
    ho_store *store = NULL;
    HO_TRY(ho_store_create(shard_path(j->run, j->count, number), &store));
    ho_status status = HO_OK;
    HO_TRY_DONE(fill_shard(j, store, first, end));
    list_inputs(j->run, j->count, inputs);
    HO_TRY_DONE(ho_run_record(j->run, store, STAGE, "synthetic shard", N_SHARD_KEYS, KEYS, N_INPUTS, inputs));
    status = ho_store_commit(store);
done:
    ho_store_close(store);
    return status;
}

/* ---- the index ------------------------------------------------------------------------------------------- */

static ho_status read_scores(const job *j, float *score) {
    for (int64_t first = 0; first < j->n; first += j->shard) {
        const int64_t rows = j->n - first < j->shard ? j->n - first : j->shard;
        ho_store *store = NULL;
        HO_TRY(ho_store_open(shard_path(j->run, j->count, first / j->shard), &store));
        const ho_status status = ho_store_read(store, "score", HO_F32, 1, &rows, score + first);
        ho_store_close(store);
        HO_TRY(status);
    }
    return HO_OK;
}

static ho_status write_shard_names(const job *j, ho_store *store) {
    const int n = (int)((j->n + j->shard - 1) / j->shard);
    enum { SIZE = 64 };
    char *text = malloc((size_t)n * SIZE);
    const char **names = malloc((size_t)n * sizeof *names);
    ho_status status = HO_OK;
    if (text == NULL || names == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for the names of %d shards", n);
        goto done;
    }
    for (int i = 0; i < n; ++i) {
        (void)snprintf(text + (size_t)i * SIZE, SIZE, "synthetic_%lld/shard-%05d.h5", (long long)j->count, i);
        names[i] = text + (size_t)i * SIZE;
    }
    status = ho_store_write_strings(store, "shard", n, names);
done:
    free(text);
    free((void *)names);
    return status;
}

static ho_status copy_class_names(const job *j, ho_store *store) {
    ho_store *head = NULL;
    int n = 0;
    char **names = NULL;
    HO_TRY(ho_store_open(ho_run_path(j->run, "head_%lld.h5", (long long)j->count), &head));
    ho_status status = ho_store_read_strings(head, "class_name", &n, &names);
    ho_store_close(head);
    HO_TRY(status);
    status = ho_store_write_strings(store, "class_name", n, (const char *const *)names);
    free((void *)names);
    return status;
}

static ho_status write_index_data(const job *j, ho_store *store, const float *score, const int64_t *kept,
                                  int64_t n_kept) {
    const ho_label_head_shape *s = ho_label_head_shape_of(j->head);
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"samples", j->n},        {"kept", n_kept},      {"height", s->H},
                   {"width", s->W},          {"classes", s->K},     {"z_dim", ho_generator_shape(j->generator)->z_dim},
                   {"shard_size", j->shard}, {"labelled", j->count}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        HO_TRY(ho_store_set_number(store, numbers[i].key, (double)numbers[i].value));
    }
    HO_TRY(ho_store_write(store, "score", HO_F32, 1, &j->n, score));
    HO_TRY(ho_store_write(store, "kept", HO_I64, 1, &n_kept, kept));
    HO_TRY(write_shard_names(j, store));
    return copy_class_names(j, store);
}

static ho_status write_index(const job *j) {
    const ho_config *config = ho_run_config(j->run);
    const char *inputs[N_INPUTS];
    ho_filter_rule rule = HO_FILTER_NONE;
    ho_store *store = NULL;
    int64_t n_kept = 0;
    float *score = malloc(sizeof(float) * (size_t)j->n);
    int64_t *kept = malloc(sizeof(int64_t) * (size_t)j->n);
    ho_status status = HO_OK;
    if (score == NULL || kept == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for the scores of %lld images", (long long)j->n);
        goto done;
    }
    HO_TRY_DONE(read_scores(j, score));
    HO_TRY_DONE(ho_filter_rule_from_text(ho_config_text(config, "filter.rule"), &rule));
    HO_TRY_DONE(ho_filter_scores(rule, ho_config_real(config, "filter.fraction"), score, j->n, kept, &n_kept));
    HO_TRY_DONE(ho_store_create(index_path(j->run, j->count), &store));
    HO_TRY_DONE(write_index_data(j, store, score, kept, n_kept));
    list_inputs(j->run, j->count, inputs);
    HO_TRY_DONE(ho_run_record(j->run, store, STAGE, "synthetic set", N_KEYS, KEYS, N_INPUTS, inputs));
    HO_TRY_DONE(ho_store_commit(store));
    ho_run_say(j->run, "generate: %lld images with %lld labelled ones, %lld kept by the filter (%s)", (long long)j->n,
               (long long)j->count, (long long)n_kept, ho_config_text(config, "filter.rule"));
done:
    ho_store_close(store);
    free(score);
    free(kept);
    return status;
}

/* ---- one set --------------------------------------------------------------------------------------------- */

static ho_status make_buffers(job *j) {
    const ho_stylegan2_shape *shape = ho_generator_shape(j->generator);
    const ho_label_head_shape *s = ho_label_head_shape_of(j->head);
    const size_t batch = (size_t)j->batch, labels = batch * (size_t)(s->H * s->W);
    const size_t pixels = batch * (size_t)(shape->height * shape->width);
    j->pixels = malloc(sizeof(float) * 3 * (pixels > labels ? pixels : labels));
    j->js = malloc(sizeof(float) * labels);
    j->score = malloc(sizeof(float) * batch);
    j->latent = malloc(sizeof(float) * batch * (size_t)shape->z_dim);
    j->image = malloc(3 * labels);
    j->label = malloc(labels);
    j->number = malloc(sizeof(int64_t) * batch);
    if (j->pixels == NULL || j->js == NULL || j->score == NULL || j->latent == NULL || j->image == NULL ||
        j->label == NULL || j->number == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a batch of %lld images of %lld x %lld: lower generate.batch",
                (long long)j->batch, (long long)s->H, (long long)s->W);
    }
    return HO_OK;
}

static ho_status open_job(job *j) {
    const ho_config *config = ho_run_config(j->run);
    j->n = ho_config_int(config, "generate.n");
    j->batch = ho_config_int(config, "generate.batch");
    j->shard = ho_config_int(config, "generate.shard");
    j->psi = ho_config_real(config, "generate.truncation");
    ho_filter_rule rule = HO_FILTER_NONE;
    HO_TRY(ho_filter_rule_from_text(ho_config_text(config, "filter.rule"), &rule));
    HO_TRY(ho_filter_check(rule, ho_config_real(config, "filter.fraction"), j->n));
    const char *inputs[N_INPUTS];
    list_inputs(j->run, j->count, inputs);
    for (int i = 0; i < N_INPUTS; ++i) {
        HO_TRY(ho_run_need(j->run, inputs[i]));
    }
    HO_TRY(ho_run_device(j->run, &j->device));
    HO_TRY(ho_context_create(j->device, &j->context));
    HO_TRY(ho_generator_load(j->device, ho_run_path(j->run, "generator.h5"), &j->generator));
    HO_TRY(ho_params_hold(ho_generator_params(j->generator), true));
    HO_TRY(ho_label_head_load(j->device, ho_run_path(j->run, "head_%lld.h5", (long long)j->count), &j->head));
    return make_buffers(j);
}

static void close_job(job *j) {
    void *const buffers[] = {j->pixels, j->js, j->score, j->latent, j->image, j->label, j->number};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; ++i) {
        free(buffers[i]);
    }
    ho_label_head_free(j->head);
    ho_generator_free(j->generator);
    ho_context_free(j->context);
}

/* Shards of a longer set that stood here before: the index does not name them. */
static void remove_surplus(const job *j) {
    for (int64_t i = n_shards(ho_run_config(j->run)); unlink(shard_path(j->run, j->count, i)) == 0; ++i) {
    }
}

static ho_status make_set(ho_run *run, int64_t count) {
    job j;
    memset(&j, 0, sizeof j);
    j.run = run;
    j.count = count;
    ho_status status = HO_OK;
    HO_TRY_DONE(open_job(&j));
    for (int64_t i = 0; i < n_shards(ho_run_config(run)); ++i) {
        HO_TRY_DONE(make_shard(&j, i));
    }
    remove_surplus(&j);
    status = write_index(&j);
done:
    close_job(&j);
    return status;
}

static ho_status execute(ho_run *run) {
    const int64_t *counts = NULL;
    const int n = ho_config_ints(ho_run_config(run), "labelled", &counts);
    for (int i = 0; i < n; ++i) {
        const char *why = "";
        if (!set_is_current(run, counts[i], &why)) {
            ho_png_folder_forget(run, counts[i]);
            ho_synthetic_remove_png(ho_run_path(run, "synthetic_%lld_png", (long long)counts[i]));
            HO_TRY(make_set(run, counts[i]));
        }
        if (ho_config_bool(ho_run_config(run), "generate.png") && !ho_png_folder_is_there(run, counts[i])) {
            HO_TRY(ho_png_folder_write(run, counts[i]));
        }
    }
    return HO_OK;
}

const ho_stage HO_STAGE_GENERATE = {"generate", "draws images, labels them and filters by uncertainty", current,
                                    execute};
