/* Training of the label head: it learns, stops, resumes bit for bit; its files; the image score. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "src/stages/head_training.h"

enum { SIZE = 16, IMAGES = 3, CLASSES = 4, PIXELS = SIZE * SIZE };

static const ho_stylegan2_shape GENERATOR = {SIZE, SIZE, 8, 8, 64, 8, 2};
static const int64_t BLOCKS[] = {0, 1, 2, 3, 4, 5};
static const ho_head_training_options OPTIONS = {3, 0.003, 64, 20, 5, 400, 0.2};

/* Maps of random numbers; the class is told by the signs of two channels of the last, full-size map. */
typedef struct {
    ho_context *context;
    ho_feature_cache *cache;
    ho_style_blocks blocks;
    ho_label_head_shape shape;
    uint8_t labels[IMAGES * PIXELS];
} world;

static void make_world(world *w, bool learnable) {
    memset(w, 0, sizeof *w);
    CHECK_OK(ho_context_create(check_device(), &w->context));
    const ho_feature_cache_options options = {&GENERATOR, 6, BLOCKS, IMAGES, SIZE, SIZE, 1e9};
    CHECK_OK(ho_feature_cache_create(check_device(), &options, &w->cache));
    w->shape = (ho_label_head_shape){3, 16, 8, CLASSES, SIZE, SIZE, 6, {0, 1, 2, 3, 4, 5}, {0}};
    w->blocks.n = 6;
    for (int l = 0; l < 6; ++l) {
        const int64_t h = ho_style_block_height(&GENERATOR, l), C = ho_style_block_channels(&GENERATOR, l);
        float *map = malloc(sizeof(float) * (size_t)(IMAGES * h * h * C));
        w->shape.channels[l] = C;
        for (int64_t i = 0; i < IMAGES * h * h * C; ++i) {
            map[i] = (float)check_normal(40 + (uint64_t)l, (uint64_t)i);
        }
        CHECK_OK(ho_tensor_from_host(w->context, map, HO_SHAPE(IMAGES, h, h, C), &w->blocks.map[l]));
        for (int64_t p = 0; l == 5 && p < IMAGES * PIXELS; ++p) {
            w->labels[p] = learnable ? (uint8_t)((map[p * C] > 0) + 2 * (map[p * C + 1] > 0))
                                     : (uint8_t)(check_uniform(77, (uint64_t)p) * CLASSES);
        }
        free(map);
    }
    w->labels[5] = 255;
    CHECK_OK(ho_feature_cache_put(w->context, w->cache, 0, &w->blocks));
}

static void free_world(world *w) {
    ho_feature_cache_free(w->cache);
    ho_context_free(w->context);
}

static ho_head_training *start(const world *w, const ho_head_training_options *options) {
    ho_head_training *training = NULL;
    CHECK_OK(ho_head_training_create(check_device(), options, &w->shape, w->cache, w->labels, IMAGES, &training));
    return training;
}

static void run_to_end(ho_head_training *training) {
    bool done = false;
    while (!done) {
        CHECK_OK(ho_head_training_advance(training, NULL, &done));
    }
}

/* All values of the resulting head, as they go to files. */
static float *values(ho_label_head *head, int64_t *count) {
    ho_params *params = ho_label_head_params(head);
    *count = 0;
    for (int i = 0; i < ho_params_n(params); ++i) {
        *count += ho_tensor_count(&ho_params_at(params, i)->tensor);
    }
    float *all = malloc(sizeof(float) * (size_t)*count), *at = all;
    for (int i = 0; i < ho_params_n(params); ++i) {
        CHECK_OK(ho_param_get(params, ho_params_at(params, i), at));
        at += ho_tensor_count(&ho_params_at(params, i)->tensor);
    }
    return all;
}

static void assert_same_head(ho_label_head *a, ho_label_head *b) {
    int64_t n = 0, m = 0;
    float *x = values(a, &n), *y = values(b, &m);
    assert_true(n == m && n > 0);
    assert_memory_equal(x, y, sizeof(float) * (size_t)n);
    free(x);
    free(y);
}

static void it_learns_what_the_features_tell(void **state) {
    (void)state;
    world w;
    make_world(&w, true);
    ho_head_training *training = start(&w, &OPTIONS);
    run_to_end(training);
    const ho_head_progress at = ho_head_training_progress(training);
    assert_int_equal(at.n_train + at.n_held, IMAGES * PIXELS - 1);
    assert_true(at.n_held > 100 && at.n_held < 210);
    assert_true(at.best < 0.5); /* guessing has log 4 = 1.39 */
    uint8_t label[IMAGES * PIXELS];
    float score[IMAGES];
    const ho_label_prediction prediction = {label, NULL, score};
    CHECK_OK(ho_label_head_predict(w.context, ho_head_training_result(training), &w.blocks, &prediction));
    int right = 0;
    for (int p = 0; p < IMAGES * PIXELS; ++p) {
        right += label[p] == w.labels[p];
    }
    assert_true(right > IMAGES * PIXELS * 85 / 100);
    ho_head_training_free(training);
    free_world(&w);
}

static void it_stops_when_held_out_pixels_stop_improving(void **state) {
    (void)state;
    world w;
    make_world(&w, false);
    ho_head_training_options options = OPTIONS;
    options.max_steps = 4000;
    ho_head_training *training = start(&w, &options);
    run_to_end(training);
    const ho_head_progress at = ho_head_training_progress(training);
    assert_int_equal(at.waits, options.patience);
    assert_int_equal(at.step, at.best_step + options.patience * options.check_every);
    assert_true(at.step < options.max_steps && at.best <= at.held_out);
    ho_head_training_free(training);
    options.held_out = 0; /* no rule: all steps */
    options.max_steps = 50;
    training = start(&w, &options);
    run_to_end(training);
    assert_int_equal(ho_head_training_progress(training).step, 50);
    ho_head_training_free(training);
    free_world(&w);
}

static int calls_left;
static bool interrupt_soon(void) {
    return calls_left-- <= 0;
}

static void resumed_training_ends_with_the_same_bits(void **state) {
    (void)state;
    char path[64] = "/tmp/handsoff_head_XXXXXX";
    world w;
    make_world(&w, true);
    ho_head_training_options options = OPTIONS;
    options.max_steps = 110;
    ho_head_training *whole = start(&w, &options), *first = start(&w, &options), *second = start(&w, &options);
    run_to_end(whole);
    bool done = true;
    calls_left = 37; /* in the middle between two looks */
    while (ho_head_training_progress(first).step < 37) {
        CHECK_OK(ho_head_training_advance(first, interrupt_soon, &done));
    }
    assert_int_equal(ho_head_training_progress(first).step, 37);
    assert_false(done);
    close(mkstemp(path));
    ho_store *store = NULL;
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_head_training_save(first, store));
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
    CHECK_OK(ho_store_open(path, &store));
    CHECK_OK(ho_head_training_restore(second, store));
    ho_store_close(store);
    run_to_end(second);
    assert_same_head(ho_head_training_result(whole), ho_head_training_result(second));
    assert_true(ho_head_training_progress(whole).best == ho_head_training_progress(second).best);
    unlink(path);
    ho_head_training_free(whole);
    ho_head_training_free(first);
    ho_head_training_free(second);
    free_world(&w);
}

static void members_differ_and_the_seed_decides(void **state) {
    (void)state;
    world w;
    make_world(&w, true);
    ho_head_training_options options = OPTIONS;
    options.max_steps = 20;
    ho_head_training *a = start(&w, &options), *b = start(&w, &options);
    options.seed = 4;
    ho_head_training *c = start(&w, &options);
    run_to_end(a);
    run_to_end(b);
    run_to_end(c);
    assert_same_head(ho_head_training_result(a), ho_head_training_result(b));
    int64_t n = 0;
    float *x = values(ho_head_training_result(a), &n), *y = values(ho_head_training_result(c), &n);
    const size_t member = sizeof(float) * (size_t)(w.shape.h1 * ho_label_head_channels(&w.shape));
    assert_memory_not_equal(x, y, member);
    assert_memory_not_equal(x, (const char *)x + member, member);
    free(x);
    free(y);
    ho_head_training_free(a);
    ho_head_training_free(b);
    ho_head_training_free(c);
    free_world(&w);
}

static void a_head_survives_its_file(void **state) {
    (void)state;
    char path[64] = "/tmp/handsoff_head_XXXXXX";
    world w;
    ho_label_head *made = NULL, *read = NULL;
    ho_store *store = NULL;
    make_world(&w, true);
    close(mkstemp(path));
    CHECK_OK(ho_label_head_create(check_device(), &w.shape, 9, &made));
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_label_head_write(made, store));
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
    CHECK_OK(ho_label_head_load(check_device(), path, &read));
    assert_memory_equal(ho_label_head_shape_of(read), &w.shape, sizeof w.shape);
    assert_same_head(made, read);
    ho_label_head_free(read);
    CHECK_FAILS(ho_label_head_load(check_device(), "/nonexistent/head.h5", &read), HO_EIO, "/nonexistent/head.h5");
    unlink(path);
    ho_label_head_free(made);
    free_world(&w);
}

static void labels_are_checked(void **state) {
    (void)state;
    world w;
    ho_head_training *training = NULL;
    make_world(&w, true);
    w.labels[9] = CLASSES;
    CHECK_FAILS(ho_head_training_create(check_device(), &OPTIONS, &w.shape, w.cache, w.labels, IMAGES, &training),
                HO_EFORMAT, "label 4", "pixel 9");
    memset(w.labels, 255, sizeof w.labels);
    CHECK_FAILS(ho_head_training_create(check_device(), &OPTIONS, &w.shape, w.cache, w.labels, IMAGES, &training),
                HO_EFORMAT, "ignored");
    free_world(&w);
}

static void rare_labels_become_background(void **state) {
    (void)state;
    uint8_t labels[] = {1, 1, 2, 255, 0, 0, 1, 2, 2, 2, 2, 0};
    static const uint8_t want[] = {1, 1, 0, 255, 0, 0, 0, 2, 2, 2, 2, 0};
    ho_clean_rare_labels(labels, 2, 6, 2);
    assert_memory_equal(labels, want, sizeof want);
}

static int descending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static void the_score_is_the_mean_of_the_largest(void **state) {
    (void)state;
    enum { N = 1009 };
    static const int64_t counts[] = {1, 2, 100, N - 1, N};
    float values_[N], sorted[N];
    for (int i = 0; i < N; ++i) { /* with many equal values and zeros */
        values_[i] = i % 3 == 0 ? 0.0F : (float)(floor(check_uniform(8, (uint64_t)i) * 50) / 50);
    }
    memcpy(sorted, values_, sizeof values_);
    qsort(sorted, N, sizeof *sorted, descending);
    for (int c = 0; c < CHECK_LEN(counts); ++c) {
        double sum = 0.0;
        for (int64_t i = 0; i < counts[c]; ++i) {
            sum += sorted[i];
        }
        assert_true(fabs(ho_top_mean(values_, N, counts[c]) - sum / (double)counts[c]) < 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_what_the_features_tell),
        cmocka_unit_test(it_stops_when_held_out_pixels_stop_improving),
        cmocka_unit_test(resumed_training_ends_with_the_same_bits),
        cmocka_unit_test(members_differ_and_the_seed_decides),
        cmocka_unit_test(a_head_survives_its_file),
        cmocka_unit_test(labels_are_checked),
        cmocka_unit_test(rare_labels_become_background),
        cmocka_unit_test(the_score_is_the_mean_of_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
