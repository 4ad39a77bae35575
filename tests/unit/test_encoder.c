/* The encoder, and the stages train-encoder and finetune-encoder, with a random 16-pixel generator and the small random
 * VGG of tests/golden. One thread: the test of interruption forks. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "handsoff/encoder.h"
#include "opened_run.h"
#include "src/stages/pairs.h"
#include "src/stages/stages.h"

enum { SIZE = 16, L = 6, D = 8, M = L * D, N = 3, P = SIZE * SIZE * 3 };
static const ho_stylegan2_shape GENERATOR = {SIZE, SIZE, 8, D, 64, 8, 2};

static void open_run(const char *name, int n, const char *const *more) {
    open_run_of(name,
                "threads: 1\nperceptual: {weights: tests/golden/lpips_vgg16.h5}\n"
                "encoder: {channels: 8, max_channels: 16, blocks: 1, steps: 150, batch: 8, lr: 0.005, held_out: 20}\n"
                "finetune: {cap: 100, batch: 8, lr: 0.0002}\n",
                n, more);
}

static void make_generator(void) {
    ho_generator *generator = NULL;
    ho_store *store = NULL;
    CHECK_OK(ho_generator_create(run_device(), &GENERATOR, 1, &generator));
    CHECK_OK(ho_store_create(ho_run_path(run, "generator.h5"), &store));
    CHECK_OK(ho_generator_write(generator, store));
    commit(store);
    ho_generator_free(generator);
}

/* ---- the network ------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_context *context;
    ho_encoder *encoder;
    ho_tensor *image, *current, *start;
} world;

static ho_encoder_shape shape_of(int64_t iterations) {
    return (ho_encoder_shape){SIZE, SIZE, L, D, 8, 16, 2, iterations, HO_ENCODER_PLAIN, false, false};
}

/* Heads away from zero, so that answers depend on the image. */
static void shake_heads(ho_encoder *encoder) {
    ho_params *params = ho_encoder_params(encoder);
    ho_param *heads = ho_params_find(params, "heads.weight");
    const int64_t count = ho_tensor_count(&heads->tensor);
    float *values = malloc(sizeof(float) * (size_t)count);
    for (int64_t i = 0; i < count; ++i) {
        values[i] = 0.1F * (float)check_normal(9, (uint64_t)i);
    }
    CHECK_OK(ho_param_set(params, heads, values));
    free(values);
}

static void new_tensor(world *w, uint64_t seed, int rank, const int64_t *dim, ho_tensor **tensor) {
    int64_t count = 1;
    for (int i = 0; i < rank; ++i) {
        count *= dim[i];
    }
    float *values = malloc(sizeof(float) * (size_t)count);
    for (int64_t i = 0; i < count; ++i) {
        values[i] = (float)check_normal(seed, (uint64_t)i);
    }
    CHECK_OK(ho_tensor_from_host(w->context, values, rank, dim, tensor));
    free(values);
}

static world make_world(int64_t iterations, bool shaken) {
    world w = {0};
    const ho_encoder_shape shape = shape_of(iterations);
    open_run("network", 0, NULL);
    CHECK_OK(ho_context_create(run_device(), &w.context));
    CHECK_OK(ho_encoder_create(run_device(), &shape, 7, &w.encoder));
    if (shaken) {
        shake_heads(w.encoder);
    }
    new_tensor(&w, 1, HO_SHAPE(N, SIZE, SIZE, 3), &w.image);
    new_tensor(&w, 2, HO_SHAPE(N, SIZE, SIZE, 3), &w.current);
    new_tensor(&w, 3, HO_SHAPE(N, L, D), &w.start);
    return w;
}

static void free_world(world *w) {
    ho_encoder_free(w->encoder);
    ho_context_free(w->context);
    close_run();
}

static void answer(world *w, ho_tensor *current, bool training, float *w_plus) {
    ho_tensor *y = NULL;
    CHECK_OK(ho_encoder_pass(w->context, w->encoder, w->image, current, w->start, training, &y));
    assert_true(y->rank == 3 && y->dim[0] == w->image->dim[0] && y->dim[1] == L && y->dim[2] == D);
    CHECK_OK(ho_tensor_to_host(w->context, y, w_plus));
}

static void untrained_it_answers_with_the_start(void **state) {
    (void)state;
    float got[N * M], start[N * M];
    world w = make_world(1, false);
    answer(&w, NULL, false, got);
    CHECK_OK(ho_tensor_to_host(w.context, w.start, start));
    assert_memory_equal(got, start, sizeof got);
    free_world(&w);
}

/* A change of the rows l D .. of heads.weight and of heads.bias changes style row l alone, and the bias by the scale.
 */
static void every_style_row_has_its_head(void **state) {
    (void)state;
    enum { ROW = 4 };
    float before[N * M], after[N * M], bias[M] = {0};
    world w = make_world(1, true);
    ho_params *params = ho_encoder_params(w.encoder);
    CHECK_OK(ho_encoder_set_latent_scale(w.encoder, 0.5));
    answer(&w, NULL, false, before);
    bias[ROW * D + 3] = 2;
    CHECK_OK(ho_param_set(params, ho_params_find(params, "heads.bias"), bias));
    answer(&w, NULL, false, after);
    for (int i = 0; i < N * M; ++i) {
        const float want = i % M == ROW * D + 3 ? 1.0F : 0.0F;
        assert_true(fabsf(after[i] - before[i] - want) < 1e-5F);
    }
    free_world(&w);
}

/* The running statistics: in use, an image's answer does not depend on the rest of the batch; in training it does, and
 * use afterwards is another one. */
static void use_goes_by_the_running_statistics(void **state) {
    (void)state;
    float all[N * M], one[M], trained[N * M], after[N * M], pixels[N * P];
    world w = make_world(1, true);
    answer(&w, NULL, false, all);
    answer(&w, NULL, true, trained);
    answer(&w, NULL, false, after);
    assert_memory_not_equal(all, trained, sizeof all);
    assert_memory_not_equal(all, after, sizeof all);
    CHECK_OK(ho_tensor_to_host(w.context, w.image, pixels));
    CHECK_OK(ho_tensor_from_host(w.context, pixels + P, HO_SHAPE(1, SIZE, SIZE, 3), &w.image));
    float start[N * M];
    CHECK_OK(ho_tensor_to_host(w.context, w.start, start));
    CHECK_OK(ho_tensor_from_host(w.context, start + M, HO_SHAPE(1, L, D), &w.start));
    answer(&w, NULL, false, one);
    double want[M];
    for (int i = 0; i < M; ++i) {
        want[i] = after[M + i];
    }
    check_close_f32("one image of the batch", one, M, want, M, 1e-5);
    free_world(&w);
}

static void restyle_sees_the_reconstruction(void **state) {
    (void)state;
    float a[N * M], b[N * M];
    ho_tensor *y = NULL;
    world w = make_world(3, true);
    answer(&w, w.current, false, a);
    answer(&w, w.image, false, b);
    assert_memory_not_equal(a, b, sizeof a);
    CHECK_FAILS(ho_encoder_pass(w.context, w.encoder, w.image, NULL, w.start, false, &y), HO_ESHAPE,
                "3 iterations needs");
    CHECK_FAILS(ho_encoder_pass(w.context, w.encoder, w.start, w.current, w.start, false, &y), HO_ESHAPE, "(3, 6, 8)",
                "(N, 16, 16, 3)");
    free_world(&w);
}

static void its_file_brings_it_back(void **state) {
    (void)state;
    float a[N * M], b[N * M];
    ho_store *store = NULL;
    world w = make_world(1, true);
    CHECK_OK(ho_encoder_set_latent_scale(w.encoder, 0.3));
    answer(&w, NULL, true, a); /* moves the running statistics: they are in the file */
    answer(&w, NULL, false, a);
    const char *path = ho_run_path(run, "e.h5");
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_encoder_write(w.encoder, store));
    commit(store);
    ho_encoder_free(w.encoder);
    CHECK_OK(ho_encoder_load(run_device(), path, &w.encoder));
    answer(&w, NULL, false, b);
    assert_memory_equal(a, b, sizeof a);
    make_generator();
    ho_encoder *wrong = NULL;
    CHECK_FAILS(ho_encoder_load(run_device(), ho_run_path(run, "generator.h5"), &wrong), HO_EFORMAT,
                "not an encoder file");
    free_world(&w);
    const ho_encoder_shape odd = {12, 12, L, D, 8, 16, 1, 1, HO_ENCODER_PLAIN, false, false};
    open_run("network", 0, NULL);
    CHECK_FAILS(ho_encoder_create(run_device(), &odd, 0, &wrong), HO_ESHAPE, "12x12", "powers of two");
    close_run();
}

/* ---- generated pairs --------------------------------------------------------------------------------------------- */

static void pairs_depend_on_their_number_alone(void **state) {
    (void)state;
    enum { MANY = 40 };
    static float all[MANY * M], some[2 * M], plain[MANY * M];
    ho_generator *generator = NULL;
    ho_context *context = NULL;
    ho_tensor *w = NULL;
    open_run("pairs", 0, NULL);
    CHECK_OK(ho_generator_create(run_device(), &GENERATOR, 1, &generator));
    CHECK_OK(ho_context_create(run_device(), &context));
    ho_pairs pairs = {generator, 3, "test", 1.0, 0.5};
    CHECK_OK(ho_pairs_draw(context, &pairs, 0, MANY, &w, NULL));
    CHECK_OK(ho_tensor_to_host(context, w, all));
    CHECK_OK(ho_pairs_draw(context, &pairs, 30, 2, &w, NULL));
    CHECK_OK(ho_tensor_to_host(context, w, some));
    double want[2 * M];
    for (int i = 0; i < 2 * M; ++i) {
        want[i] = all[30 * M + i];
    }
    check_close_f32("pairs 30 and 31", some, 2 * M, want, 2 * M, 1e-5);
    int mixed = 0;
    for (int n = 0; n < MANY; ++n) {
        int cuts = 0;
        for (int l = 1; l < L; ++l) {
            cuts += memcmp(all + n * M + l * D, all + n * M + (l - 1) * D, sizeof(float) * D) != 0;
        }
        assert_true(cuts <= 1);
        mixed += cuts;
    }
    assert_true(mixed > MANY / 4 && mixed < 3 * MANY / 4);
    pairs.mixing = 0;
    pairs.truncation = 0;
    CHECK_OK(ho_pairs_draw(context, &pairs, 0, MANY, &w, NULL));
    CHECK_OK(ho_tensor_to_host(context, w, plain));
    for (int i = 0; i < MANY * M; ++i) {
        assert_true(plain[i] == 0); /* w_avg of an untrained generator */
    }
    ho_context_free(context);
    ho_generator_free(generator);
    close_run();
}

/* ---- the stages -------------------------------------------------------------------------------------------------- */

static double metric(const char *stage, const char *when, const char *name) {
    json_t *root = json_load_file(ho_run_path(run, "metrics.json"), 0, NULL);
    const json_t *value =
        json_object_get(json_object_get(json_object_get(json_object_get(root, "inversion"), stage), when), name);
    assert_true(json_is_number(value));
    const double number = json_number_value(value);
    json_decref(root);
    return number;
}

static void training_beats_the_mean_latent_and_fine_tuning_the_training(void **state) {
    (void)state;
    static const char *const off[] = {"finetune.cap=0"}, *const shown[] = {"encoder.held_out=12"};
    open_run("stages", 0, NULL);
    CHECK_FAILS(HO_STAGE_TRAIN_ENCODER.execute(run), HO_EIO, "generator.h5", "run train-gan first");
    make_generator();
    CHECK_FAILS(HO_STAGE_FINETUNE_ENCODER.execute(run), HO_EIO, "encoder.h5", "run train-encoder first");
    CHECK_OK(HO_STAGE_TRAIN_ENCODER.execute(run));
    assert_true(is_current(&HO_STAGE_TRAIN_ENCODER));
    const double mean_latent = metric("train-encoder", "before", "latent_mse");
    assert_true(metric("train-encoder", "after", "latent_mse") < 0.8 * mean_latent);
    assert_true(metric("train-encoder", "after", "lpips") < 0.8 * metric("train-encoder", "before", "lpips"));
    assert_false(is_current(&HO_STAGE_FINETUNE_ENCODER));
    CHECK_OK(HO_STAGE_FINETUNE_ENCODER.execute(run));
    assert_true(is_current(&HO_STAGE_FINETUNE_ENCODER));
    assert_true(metric("finetune-encoder", "before", "lpips") == metric("train-encoder", "after", "lpips"));
    assert_true(metric("finetune-encoder", "after", "lpips") < 0.95 * metric("finetune-encoder", "before", "lpips"));
    close_run();
    open_run("stages", 1, shown);
    assert_true(is_current(&HO_STAGE_TRAIN_ENCODER)); /* what is only measured does not count */
    close_run();
    open_run("stages", 1, off);
    assert_false(is_current(&HO_STAGE_FINETUNE_ENCODER));
    CHECK_OK(HO_STAGE_FINETUNE_ENCODER.execute(run));
    assert_true(metric("finetune-encoder", "after", "lpips") == metric("finetune-encoder", "before", "lpips"));
    close_run();
}

/* With and without ReStyle: a run that is stopped after its first step and goes on ends in the same file. */
static void resumed_trainings_end_with_the_same_bits(void **state) {
    (void)state;
    static const char *const short_runs[2][3] = {{"encoder.steps=7", "finetune.cap=5", "encoder.iterations=1"},
                                                 {"encoder.steps=4", "finetune.cap=3", "encoder.iterations=2"}};
    const ho_stage *const stages[2] = {&HO_STAGE_TRAIN_ENCODER, &HO_STAGE_FINETUNE_ENCODER};
    static const char *const files[2] = {"encoder.h5", "encoder_finetuned.h5"};
    for (int k = 0; k < 2; ++k) {
        char hex[2][2][65];
        open_run(k == 0 ? "whole" : "whole_restyle", 3, short_runs[k]);
        make_generator();
        for (int s = 0; s < 2; ++s) {
            CHECK_OK(stages[s]->execute(run));
            CHECK_OK(ho_file_sha256(ho_run_path(run, "%s", files[s]), hex[0][s]));
        }
        close_run();
        open_run(k == 0 ? "halves" : "halves_restyle", 3, short_runs[k]);
        make_generator();
        for (int s = 0; s < 2; ++s) {
            const pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0) {
                ho_run_catch_signals();
                raise(SIGTERM);
                _exit(stages[s]->execute(run) == HO_EINTERRUPT ? 7 : 2);
            }
            int status = 0;
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
            assert_int_equal(access(ho_run_path(run, "checkpoints/%s.h5", stages[s]->name), F_OK), 0);
            CHECK_OK(stages[s]->execute(run));
            CHECK_OK(ho_file_sha256(ho_run_path(run, "%s", files[s]), hex[1][s]));
            assert_string_equal(hex[0][s], hex[1][s]);
        }
        close_run();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untrained_it_answers_with_the_start),
        cmocka_unit_test(every_style_row_has_its_head),
        cmocka_unit_test(use_goes_by_the_running_statistics),
        cmocka_unit_test(restyle_sees_the_reconstruction),
        cmocka_unit_test(its_file_brings_it_back),
        cmocka_unit_test(pairs_depend_on_their_number_alone),
        cmocka_unit_test(training_beats_the_mean_latent_and_fine_tuning_the_training),
        cmocka_unit_test(resumed_trainings_end_with_the_same_bits),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
