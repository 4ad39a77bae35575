#include "small_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/import.h"
#include "handsoff/stylegan2.h"
#include "handsoff/synthetic.h"
#include "src/stages/stages.h"

static const ho_stylegan2_shape GENERATOR = {SIZE, SIZE, Z, 8, 64, 8, 2};

void open_run(const char *name, int n, const char *const *more) {
    open_run_of(name,
                "threads: 2\nlabelled: 4\n"
                "head: {members: 2, hidden: [8, 4], batch: 16, max_steps: 30, check_every: 10, min_pixels: 2}\n"
                "generate: {n: 23, batch: 4, shard: 10}\nfilter: {fraction: 0.2}\n",
                n, more);
}

/* generator.h5, dataset.h5 and latents.h5 of the open run. */
void make_inputs(void) {
    ho_generator *generator = NULL;
    ho_store *store = NULL;
    CHECK_OK(ho_generator_create(run_device(), &GENERATOR, 1, &generator));
    CHECK_OK(ho_store_create(ho_run_path(run, "generator.h5"), &store));
    CHECK_OK(ho_generator_write(generator, store));
    commit(store);
    ho_generator_free(generator);

    static const char *const names[] = {"background", "left", "right"};
    static uint8_t palette[CLASSES][3] = {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}};
    const ho_split_shape shape = {TRAIN, SIZE, 0, true, false};
    ho_dataset dataset;
    memset(&dataset, 0, sizeof dataset);
    CHECK_OK(ho_split_new(&shape, &dataset.train));
    static const char *const files[TRAIN] = {"a", "b", "c", "d"};
    CHECK_OK(ho_strings_copy(TRAIN, files, &dataset.train.names));
    for (int64_t p = 0; p < TRAIN * HW; ++p) {
        dataset.train.labels[p] = (uint8_t)(p % SIZE < 8 ? p / SIZE % SIZE < 8 : 2);
    }
    dataset.n_classes = CLASSES;
    CHECK_OK(ho_strings_copy(CLASSES, names, &dataset.class_names));
    dataset.palette = malloc(sizeof palette);
    memcpy(dataset.palette, palette, sizeof palette);
    CHECK_OK(ho_store_create(ho_run_path(run, "dataset.h5"), &store));
    CHECK_OK(ho_dataset_write(store, &dataset));
    commit(store);
    ho_dataset_free(&dataset);

    float w_plus[TRAIN * 6 * 8];
    const int64_t index[TRAIN] = {2, 0, 3, 1}, L = ho_stylegan2_n_ws(&GENERATOR);
    for (int i = 0; i < TRAIN * 6 * 8; ++i) {
        w_plus[i] = (float)check_normal(4, (uint64_t)i);
    }
    CHECK_OK(ho_store_create(ho_run_path(run, "latents.h5"), &store));
    CHECK_OK(ho_store_write(store, "w_plus", HO_F32, 3, (const int64_t[]){TRAIN, L, 8}, w_plus));
    CHECK_OK(ho_store_write(store, "index", HO_I64, 1, (const int64_t[]){TRAIN}, index));
    commit(store);
}

samples read_samples(void) {
    ho_synthetic_file *file = NULL;
    CHECK_OK(ho_synthetic_open(ho_run_path(run, "synthetic_4.h5"), &file));
    const ho_synthetic_info *info = ho_synthetic_info_of(file);
    const size_t n = (size_t)info->n_generated;
    assert_true(info->height == SIZE && info->width == SIZE && info->n_classes == CLASSES && info->z_dim == Z);
    samples s = {info->n_generated,
                 malloc(n * HW * 3),
                 malloc(n * HW),
                 malloc(sizeof(float) * n * HW),
                 malloc(sizeof(float) * n * Z),
                 malloc(sizeof(float) * n)};
    const ho_synthetic_buffers buffers = {s.image, s.label, s.js, s.latent};
    CHECK_OK(ho_synthetic_samples(file, 0, s.n, &buffers));
    memcpy(s.score, info->scores, sizeof(float) * n);
    ho_synthetic_close(file);
    return s;
}

void free_samples(samples *s) {
    free(s->image);
    free(s->label);
    free(s->js);
    free(s->latent);
    free(s->score);
}

/* The samples that both have are the same bits. */
void assert_same_samples(const samples *a, const samples *b) {
    const size_t n = (size_t)(a->n < b->n ? a->n : b->n);
    assert_memory_equal(a->image, b->image, n * HW * 3);
    assert_memory_equal(a->label, b->label, n * HW);
    assert_memory_equal(a->js, b->js, n * HW * sizeof(float));
    assert_memory_equal(a->latent, b->latent, n * Z * sizeof(float));
    assert_memory_equal(a->score, b->score, n * sizeof(float));
}

void make_set(const char *name, int n, const char *const *more) {
    open_run(name, n, more);
    make_inputs();
    CHECK_OK(HO_STAGE_TRAIN_HEAD.execute(run));
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
}
