/* The stage invert, with a random 16-pixel generator and the small random VGG of tests/golden. One thread: the test of
 * interruption forks. */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handsoff/image.h"
#include "handsoff/import.h"
#include "handsoff/stylegan2.h"
#include "opened_run.h"
#include "src/stages/stages.h"

enum { SIZE = 16, TRAIN = 5, LABELLED = 4, L = 6, D = 8, M = L * D, P = SIZE * SIZE * 3 };
static const ho_stylegan2_shape GENERATOR = {SIZE, SIZE, 8, D, 64, 8, 2};

static void open_run(const char *name, int n, const char *const *more) {
    open_run_of(name,
                "threads: 1\nlabelled: 4\nperceptual: {weights: tests/golden/lpips_vgg16.h5}\n"
                "invert: {steps: 40, batch: 1, start: mean}\n",
                n, more);
}

/* generator.h5 and a dataset.h5 of drawn faces. */
static void make_inputs(void) {
    ho_generator *generator = NULL;
    ho_store *store = NULL;
    CHECK_OK(ho_generator_create(run_device(), &GENERATOR, 1, &generator));
    CHECK_OK(ho_store_create(ho_run_path(run, "generator.h5"), &store));
    CHECK_OK(ho_generator_write(generator, store));
    commit(store);
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
    commit(store);
    ho_dataset_free(&dataset);
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
    assert_false(is_current(&HO_STAGE_INVERT));
    CHECK_OK(HO_STAGE_INVERT.execute(run));
    assert_true(is_current(&HO_STAGE_INVERT));
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
    assert_true(is_current(&HO_STAGE_INVERT));
    close_run();
    open_run("stage", 1, more);
    assert_false(is_current(&HO_STAGE_INVERT));
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
    assert_false(is_current(&HO_STAGE_INVERT));
    CHECK_OK(HO_STAGE_INVERT.execute(run));
    CHECK_OK(ho_file_sha256(ho_run_path(run, "latents.h5"), hex[1]));
    assert_string_equal(hex[0], hex[1]);
    close_run();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stage_writes_latents),
        cmocka_unit_test(wrong_set_ups_are_told),
        cmocka_unit_test(resumed_inversion_ends_with_the_same_bits),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
