/* Refinement and the stage invert, with a random 16-pixel generator and the small random VGG of tests/golden. One
 * thread: the test of interruption forks. */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "handsoff/image.h"
#include "handsoff/import.h"
#include "handsoff/refine.h"
#include "src/stages/stages.h"

enum { SIZE = 16, TRAIN = 5, LABELLED = 4, L = 6, D = 8, M = L * D, P = SIZE * SIZE * 3 };
static const ho_stylegan2_shape GENERATOR = {SIZE, SIZE, 8, D, 64, 8, 2};
static const char *const NET = "tests/golden/lpips_vgg16.h5";

static char folder[64] = "/tmp/handsoff_invert_XXXXXX";
static ho_config *config;
static ho_run *run;

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void close_run(void) {
    ho_run_close(run);
    ho_config_free(config);
    run = NULL;
    config = NULL;
}

static void open_run(const char *name, int n, const char *const *more) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s.yml", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "name: %s\nruns_dir: %s/runs\nthreads: 1\nlabelled: %d\nperceptual: {weights: %s}\n", name, folder,
            LABELLED, NET);
    fputs("invert: {steps: 40, batch: 1, start: mean}\n", file);
    fclose(file);
    CHECK_OK(ho_config_load(path, n, more, &config));
    CHECK_OK(ho_run_open(config, &run));
}

static ho_device *device(void) {
    ho_device *opened = NULL;
    CHECK_OK(ho_run_device(run, &opened));
    return opened;
}

static ho_generator *new_generator(void) {
    ho_generator *generator = NULL;
    CHECK_OK(ho_generator_create(device(), &GENERATOR, 1, &generator));
    ho_params_set_trainable(ho_generator_params(generator), false);
    return generator;
}

/* generator.h5 and a dataset.h5 of drawn faces. */
static void make_inputs(void) {
    ho_generator *generator = new_generator();
    ho_store *store = NULL;
    CHECK_OK(ho_store_create(ho_run_path(run, "generator.h5"), &store));
    CHECK_OK(ho_generator_write(generator, store));
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
    ho_generator_free(generator);

    static const char *const files[TRAIN] = {"a", "b", "c", "d", "e"};
    static uint8_t palette[HO_TOY_FACE_CLASSES][3];
    const ho_split_shape shape = {TRAIN, SIZE, 0, true, false};
    ho_dataset dataset;
    memset(&dataset, 0, sizeof dataset);
    CHECK_OK(ho_split_new(&shape, &dataset.train));
    CHECK_OK(ho_strings_copy(TRAIN, files, &dataset.train.names));
    for (int i = 0; i < TRAIN; ++i) {
        ho_draw_toy_face(3, (uint64_t)i, SIZE, dataset.train.images + (ptrdiff_t)i * P,
                         dataset.train.labels + (ptrdiff_t)i * SIZE * SIZE, NULL, NULL);
    }
    dataset.n_classes = HO_TOY_FACE_CLASSES;
    CHECK_OK(ho_strings_copy(HO_TOY_FACE_CLASSES, HO_TOY_FACE_CLASS_NAMES, &dataset.class_names));
    dataset.palette = malloc(sizeof palette);
    memcpy(dataset.palette, palette, sizeof palette);
    CHECK_OK(ho_store_create(ho_run_path(run, "dataset.h5"), &store));
    CHECK_OK(ho_dataset_write(store, &dataset));
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
    ho_dataset_free(&dataset);
}

/* ---- refinement -------------------------------------------------------------------------------------------------- */

enum { MOST = 3 };
typedef struct {
    float target[MOST * P], w_init[MOST * M], w_plus[MOST * M], image[MOST * P];
    float lpips[2][MOST], mse[2][MOST];
    int64_t best[MOST];
} problem;

/* Images of known latents, and starts around the mean latent. */
static void make_problem(ho_generator *generator, problem *p) {
    ho_context *context = NULL;
    ho_tensor *w = NULL, *image = NULL;
    float w_true[MOST * M];
    for (int i = 0; i < MOST * M; ++i) {
        w_true[i] = (float)check_normal(5, (uint64_t)i);
        p->w_init[i] = 0.1F * (float)check_normal(6, (uint64_t)i);
    }
    CHECK_OK(ho_context_create(device(), &context));
    CHECK_OK(ho_tensor_from_host(context, w_true, HO_SHAPE(MOST, L, D), &w));
    CHECK_OK(ho_generator_synthesize(context, generator, w, NULL, NULL, &image));
    CHECK_OK(ho_tensor_to_host(context, image, p->target));
    ho_context_free(context);
}

static ho_status solve(ho_generator *generator, const ho_refine_options *options, int first, int N, problem *p,
                       ho_refine_progress progress) {
    ho_perceptual *net = NULL;
    CHECK_OK(ho_perceptual_load(device(), NET, &net));
    const ho_refine_job job = {p->target + (ptrdiff_t)first * P,
                               p->w_init + (ptrdiff_t)first * M,
                               p->w_plus + (ptrdiff_t)first * M,
                               p->image + (ptrdiff_t)first * P,
                               p->lpips[0] + first,
                               p->lpips[1] + first,
                               p->mse[0] + first,
                               p->mse[1] + first,
                               p->best + first};
    const ho_status status = ho_refine(device(), generator, net, options, N, &job, progress, NULL);
    ho_perceptual_free(net);
    return status;
}

static void step_sizes_are_those_of_the_original(void **state) {
    (void)state;
    const ho_refine_options options = {500, 0.1, 0.05, 0.25, 10, 1, 1};
    static const int64_t k[] = {1, 10, 25, 250, 375, 400, 450, 499};
    static const double want[] = {0.004, 0.04, 0.1, 0.1, 0.1, 0.09045085, 0.03454915, 1.5791e-05};
    for (int i = 0; i < CHECK_LEN(k); ++i) {
        assert_true(fabs(ho_refine_lr(&options, k[i]) - want[i]) < 1e-4 * want[i]);
    }
    const ho_refine_options flat = {10, 0.2, 0, 0, 10, 1, 1};
    assert_true(fabs(ho_refine_lr(&flat, 1) - 0.2) < 1e-12 && fabs(ho_refine_lr(&flat, 9) - 0.2) < 1e-12);
}

static void known_latents_are_found_again(void **state) {
    (void)state;
    static problem p;
    open_run("known", 0, NULL);
    ho_generator *generator = new_generator();
    const ho_refine_options options = {200, 0.1, 0.05, 0.25, 10, 10, 0};
    make_problem(generator, &p);
    CHECK_OK(solve(generator, &options, 0, MOST, &p, NULL));
    for (int n = 0; n < MOST; ++n) {
        assert_true(10 * p.lpips[1][n] + 10 * p.mse[1][n] < 0.1F * (10 * p.lpips[0][n] + 10 * p.mse[0][n]));
        assert_true(p.best[n] > 100);
        double mse = 0;
        for (int i = 0; i < P; ++i) {
            mse += pow((p.image[n * P + i] - p.target[n * P + i]) / 2, 2) / P;
        }
        assert_true(fabs(mse - p.mse[1][n]) < 1e-3 * mse + 1e-9); /* the image is that of the kept latent */
    }
    ho_generator_free(generator);
    close_run();
}

/* Steps that only make it worse: the start itself is kept, untouched by the updates of the iterate. */
static void the_best_iterate_is_a_copy(void **state) {
    (void)state;
    static problem p;
    open_run("worse", 0, NULL);
    ho_generator *generator = new_generator();
    const ho_refine_options good = {200, 0.1, 0.05, 0.25, 10, 1, 0}, wild = {6, 1000, 0, 0, 10, 1, 0};
    make_problem(generator, &p);
    CHECK_OK(solve(generator, &good, 0, MOST, &p, NULL));
    memcpy(p.w_init, p.w_plus, sizeof p.w_init);
    CHECK_OK(solve(generator, &wild, 0, MOST, &p, NULL));
    assert_memory_equal(p.w_init, p.w_plus, sizeof p.w_init);
    for (int n = 0; n < MOST; ++n) {
        assert_int_equal(p.best[n], 0);
        assert_true(p.lpips[0][n] == p.lpips[1][n] && p.mse[0][n] == p.mse[1][n]);
    }
    const ho_refine_options none = {0, 0.1, 0.05, 0.25, 10, 1, 0};
    memset(p.w_plus, 0, sizeof p.w_plus);
    CHECK_OK(solve(generator, &none, 0, MOST, &p, NULL));
    assert_memory_equal(p.w_init, p.w_plus, sizeof p.w_init);
    ho_generator_free(generator);
    close_run();
}

static void images_do_not_influence_one_another(void **state) {
    (void)state;
    static problem together, alone;
    open_run("alone", 0, NULL);
    ho_generator *generator = new_generator();
    const ho_refine_options options = {12, 0.05, 0.05, 0.25, 10, 1, 1};
    make_problem(generator, &together);
    make_problem(generator, &alone);
    CHECK_OK(solve(generator, &options, 0, MOST, &together, NULL));
    for (int n = 0; n < MOST; ++n) {
        CHECK_OK(solve(generator, &options, n, 1, &alone, NULL));
    }
    double moved = 0;
    for (int i = 0; i < MOST * M; ++i) {
        assert_true(fabsf(together.w_plus[i] - alone.w_plus[i]) < 2e-4F); /* Adam moves by up to 0.05 a step */
        moved = fmax(moved, fabs(together.w_plus[i] - together.w_init[i]));
    }
    assert_true(moved > 0.2);
    ho_generator_free(generator);
    close_run();
}

/* A strong pull to the start keeps the latent there. */
static void the_regulariser_holds_the_latent(void **state) {
    (void)state;
    static problem p;
    double moved[2] = {0, 0};
    open_run("held", 0, NULL);
    ho_generator *generator = new_generator();
    make_problem(generator, &p);
    for (int k = 0; k < 2; ++k) {
        const ho_refine_options options = {60, 0.05, 0.05, 0.25, 10, 1, k == 0 ? 0 : 1000};
        CHECK_OK(solve(generator, &options, 0, MOST, &p, NULL));
        for (int i = 0; i < MOST * M; ++i) {
            moved[k] += pow(p.w_plus[i] - p.w_init[i], 2);
        }
    }
    assert_true(moved[1] < 0.1 * moved[0] && moved[1] > 0);
    ho_generator_free(generator);
    close_run();
}

static int64_t steps_seen;
static bool stop_after_five(void *user, int64_t step, double loss) {
    (void)user;
    steps_seen = step;
    return step < 5 && isfinite(loss);
}

static void refinement_stops_when_told_and_refuses_nan(void **state) {
    (void)state;
    static problem p;
    open_run("stops", 0, NULL);
    ho_generator *generator = new_generator();
    const ho_refine_options options = {60, 0.05, 0.05, 0.25, 10, 1, 1};
    make_problem(generator, &p);
    CHECK_FAILS(solve(generator, &options, 0, MOST, &p, stop_after_five), HO_EINTERRUPT, "step 5 of 60");
    assert_int_equal(steps_seen, 5);
    p.target[P + 7] = NAN;
    CHECK_FAILS(solve(generator, &options, 0, MOST, &p, NULL), HO_ENUMERIC, "image 1");
    ho_generator_free(generator);
    close_run();
}

/* A VGG wants 16 pixels: smaller images are doubled until they have them, on both sides alike. */
static void small_images_are_compared_at_twice_their_size(void **state) {
    (void)state;
    static const int64_t sides[][4] = {{16, 20, 16, 20}, {8, 16, 16, 32}, {4, 8, 16, 32}};
    static float pixels[16 * 20 * 3];
    ho_perceptual *net = NULL;
    ho_context *context = NULL;
    open_run("small", 0, NULL);
    CHECK_OK(ho_perceptual_load(device(), NET, &net));
    CHECK_OK(ho_context_create(device(), &context));
    for (int k = 0; k < CHECK_LEN(sides); ++k) {
        ho_tensor *image = NULL, *fitted = NULL, *distance = NULL;
        double value = 1;
        CHECK_OK(ho_tensor_from_host(context, pixels, HO_SHAPE(1, sides[k][0], sides[k][1], 3), &image));
        CHECK_OK(ho_perceptual_fit(context, net, image, &fitted));
        assert_true(fitted->dim[1] == sides[k][2] && fitted->dim[2] == sides[k][3]);
        assert_true((fitted == image) == (k == 0));
        CHECK_OK(ho_lpips(context, net, fitted, fitted, &distance));
        CHECK_OK(ho_tensor_scalar(context, distance, &value));
        assert_true(fabs(value) < 1e-6);
    }
    ho_context_free(context);
    ho_perceptual_free(net);
    close_run();
}

/* ---- the stage --------------------------------------------------------------------------------------------------- */

static bool is_current(void) {
    bool current = false;
    const char *why = NULL;
    CHECK_OK(HO_STAGE_INVERT.current(run, &current, &why));
    return current;
}

static void the_stage_writes_latents(void **state) {
    (void)state;
    static float w_plus[LABELLED * M], w_init[LABELLED * M], lpips[2][LABELLED], mse[2][LABELLED];
    static uint8_t target[LABELLED * P], reconstruction[LABELLED * P];
    int64_t index[LABELLED], chosen[LABELLED];
    static const char *const fewer[] = {"labelled=2"}, *const more[] = {"labelled=5"};
    ho_store *store = NULL;
    ho_dataset dataset;
    open_run("stage", 0, NULL);
    make_inputs();
    assert_false(is_current());
    CHECK_OK(HO_STAGE_INVERT.execute(run));
    assert_true(is_current());
    assert_int_not_equal(access(ho_run_path(run, "checkpoints/invert.h5"), F_OK), 0);
    CHECK_OK(ho_store_open(ho_run_path(run, "latents.h5"), &store));
    CHECK_OK(ho_store_read(store, "w_plus", HO_F32, HO_SHAPE(LABELLED, L, D), w_plus));
    CHECK_OK(ho_store_read(store, "w_init", HO_F32, HO_SHAPE(LABELLED, L, D), w_init));
    CHECK_OK(ho_store_read(store, "index", HO_I64, HO_SHAPE(LABELLED), index));
    CHECK_OK(ho_store_read(store, "lpips_before", HO_F32, HO_SHAPE(LABELLED), lpips[0]));
    CHECK_OK(ho_store_read(store, "lpips_after", HO_F32, HO_SHAPE(LABELLED), lpips[1]));
    CHECK_OK(ho_store_read(store, "mse_before", HO_F32, HO_SHAPE(LABELLED), mse[0]));
    CHECK_OK(ho_store_read(store, "mse_after", HO_F32, HO_SHAPE(LABELLED), mse[1]));
    CHECK_OK(ho_store_read(store, "target", HO_U8, HO_SHAPE(LABELLED, SIZE, SIZE, 3), target));
    CHECK_OK(ho_store_read(store, "reconstruction", HO_U8, HO_SHAPE(LABELLED, SIZE, SIZE, 3), reconstruction));
    ho_store_close(store);
    CHECK_OK(ho_dataset_read(ho_run_path(run, "dataset.h5"), &dataset));
    CHECK_OK(ho_dataset_choose(&dataset, LABELLED, 0, chosen));
    for (int n = 0; n < LABELLED; ++n) {
        double pixels = 0;
        assert_int_equal(index[n], chosen[n]);
        assert_memory_equal(target + n * P, dataset.train.images + index[n] * P, P);
        for (int i = 0; i < P; ++i) {
            pixels += pow((target[n * P + i] - reconstruction[n * P + i]) / 255.0, 2) / P;
        }
        assert_true(10 * lpips[1][n] + mse[1][n] < 10 * lpips[0][n] + mse[0][n]);
        assert_true(pixels <= mse[1][n] + 1e-3); /* bytes are clamped: no further away, but for rounding */
        for (int i = 0; i < M; ++i) {
            assert_true(w_init[n * M + i] == 0); /* w_avg of an untrained generator */
        }
        assert_memory_not_equal(w_plus + n * M, w_init + n * M, sizeof(float) * M);
    }
    ho_dataset_free(&dataset);
    close_run();
    open_run("stage", 1, fewer);
    assert_true(is_current());
    close_run();
    open_run("stage", 1, more);
    assert_false(is_current());
    close_run();
}

static void wrong_set_ups_are_told(void **state) {
    (void)state;
    static const char *const many[] = {"labelled=6"}, *const encoder[] = {"invert.start=encoder"};
    open_run("stage", 1, many);
    CHECK_FAILS(HO_STAGE_INVERT.execute(run), HO_ECONFIG, "labelled asks for 6", "has 5");
    close_run();
    open_run("stage", 1, encoder);
    CHECK_FAILS(HO_STAGE_INVERT.execute(run), HO_EIO, "encoder_finetuned.h5", "run finetune-encoder first");
    close_run();
}

/* SIGTERM as soon as the first batch is finished. */
static void *stop_at_checkpoint(void *path) {
    while (access(path, F_OK) != 0) {
        usleep(500);
    }
    raise(SIGTERM);
    return NULL;
}

static void resumed_inversion_ends_with_the_same_bits(void **state) {
    (void)state;
    char hex[2][65];
    open_run("whole", 0, NULL);
    make_inputs();
    CHECK_OK(HO_STAGE_INVERT.execute(run));
    CHECK_OK(ho_file_sha256(ho_run_path(run, "latents.h5"), hex[0]));
    close_run();
    open_run("halves", 0, NULL);
    make_inputs();
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static char path[256];
        pthread_t watch;
        snprintf(path, sizeof path, "%s", ho_run_path(run, "checkpoints/invert.h5"));
        ho_run_catch_signals();
        if (pthread_create(&watch, NULL, stop_at_checkpoint, path) != 0) {
            _exit(1);
        }
        const ho_status status = HO_STAGE_INVERT.execute(run);
        _exit(status == HO_EINTERRUPT ? 7 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(access(ho_run_path(run, "checkpoints/invert.h5"), F_OK), 0);
    assert_false(is_current());
    CHECK_OK(HO_STAGE_INVERT.execute(run));
    CHECK_OK(ho_file_sha256(ho_run_path(run, "latents.h5"), hex[1]));
    assert_string_equal(hex[0], hex[1]);
    close_run();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_sizes_are_those_of_the_original),
        cmocka_unit_test(known_latents_are_found_again),
        cmocka_unit_test(the_best_iterate_is_a_copy),
        cmocka_unit_test(images_do_not_influence_one_another),
        cmocka_unit_test(the_regulariser_holds_the_latent),
        cmocka_unit_test(refinement_stops_when_told_and_refuses_nan),
        cmocka_unit_test(small_images_are_compared_at_twice_their_size),
        cmocka_unit_test(the_stage_writes_latents),
        cmocka_unit_test(wrong_set_ups_are_told),
        cmocka_unit_test(resumed_inversion_ends_with_the_same_bits),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
