/* GAN training at 8 pixels: equal seeds give equal bits, a resumed run ends in the file of an uninterrupted one, and
 * the stage leaves what it promises. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/dataset.h"
#include "handsoff/gan_trainer.h"
#include "handsoff/image.h"
#include "opened_run.h"
#include "src/stages/stages.h"

enum { SIZE = 8, FACES = 10 };

static uint8_t faces[FACES][SIZE * SIZE * 3];
static const uint8_t *pointers[FACES];

static int setup(void **state) {
    for (int i = 0; i < FACES; ++i) {
        ho_draw_toy_face(5, (uint64_t)i, SIZE, faces[i], NULL, NULL, NULL);
        pointers[i] = faces[i];
    }
    return make_folder(state);
}

static ho_gan_options tiny(uint64_t seed) {
    return (ho_gan_options){.shape = {SIZE, SIZE, 8, 8, 64, 8, 2},
                            .seed = seed,
                            .batch = 4,
                            .mbstd_group = 2,
                            .r1_interval = 3,
                            .lr = 0.0025,
                            .beta1 = 0.0,
                            .beta2 = 0.99,
                            .r1_gamma = 0.1,
                            .mixing = 0.5,
                            .ema_kimg = 0.1,
                            .ema_rampup = 0.05,
                            .mirror = true,
                            .augment = HO_AUGMENT_ADA,
                            .augment_p = 0.5,
                            .ada_target = 0.6,
                            .ada_kimg = 0.1};
}

static ho_gan_trainer *trainer_new(const ho_gan_options *options) {
    ho_gan_trainer *t;
    CHECK_OK(ho_gan_trainer_create(check_device(), options, FACES, pointers, &t));
    return t;
}

static void save(ho_gan_trainer *t, const char *name, char hex[65]) {
    ho_store *store;
    CHECK_OK(ho_store_create(in_folder(name), &store));
    CHECK_OK(ho_gan_trainer_write(t, store));
    commit(store);
    CHECK_OK(ho_file_sha256(in_folder(name), hex));
}

/* Trains `iterations` steps, from `from` when given; the SHA-256 of the state goes to hex. */
static ho_gan_report run_steps(const ho_gan_options *options, const char *from, int iterations, const char *to,
                               char hex[65]) {
    ho_gan_trainer *t = trainer_new(options);
    ho_gan_report report = {0};
    if (from != NULL) {
        ho_store *store;
        CHECK_OK(ho_store_open(in_folder(from), &store));
        CHECK_OK(ho_gan_trainer_read(t, store));
        ho_store_close(store);
    }
    for (int i = 0; i < iterations; ++i) {
        CHECK_OK(ho_gan_trainer_step(t, &report));
    }
    save(t, to, hex);
    ho_gan_trainer_free(t);
    return report;
}

static void test_same_seed_same_bits(void **state) {
    (void)state;
    const ho_gan_options one = tiny(1), two = tiny(2);
    char a[65], b[65], c[65];
    const ho_gan_report report = run_steps(&one, NULL, 6, "a.h5", a);
    run_steps(&one, NULL, 6, "b.h5", b);
    run_steps(&two, NULL, 6, "c.h5", c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    assert_true(report.loss_g > 0.0 && report.loss_d > 0.0 && report.r1 > 0.0);
    assert_true(report.p > 0.0 && report.p <= 1.0 && report.p != 0.5); /* moved once, after four iterations */
}

static void test_resumed_equals_uninterrupted(void **state) {
    (void)state;
    const ho_gan_options options = tiny(3);
    char whole[65], part[65], resumed[65];
    run_steps(&options, NULL, 11, "whole.h5", whole); /* crosses an epoch, moves of p, R1 steps */
    run_steps(&options, NULL, 5, "part.h5", part);
    run_steps(&options, "part.h5", 6, "resumed.h5", resumed);
    assert_string_equal(whole, resumed);
    assert_string_not_equal(whole, part);
}

static void test_mode_matters(void **state) {
    (void)state;
    ho_gan_options options = tiny(4);
    char a[65], b[65], c[65];
    run_steps(&options, NULL, 2, "a.h5", a);
    options.augment = HO_AUGMENT_NONE;
    run_steps(&options, NULL, 2, "b.h5", b);
    options.r1_gamma = 0.0;
    run_steps(&options, NULL, 2, "c.h5", c);
    assert_string_not_equal(a, b);
    assert_string_not_equal(b, c);
}

/* One weight of the generator as a saved state has it: trained, and its moving average. */
static void read_weights(const char *name, float trained[64], float average[64]) {
    ho_store *store;
    CHECK_OK(ho_store_open(in_folder(name), &store));
    CHECK_OK(ho_store_read(store, "generator/mapping.fc0.weight", HO_F32, HO_SHAPE(8, 8), trained));
    CHECK_OK(ho_store_read(store, "generator_ema/mapping.fc0.weight", HO_F32, HO_SHAPE(8, 8), average));
    ho_store_close(store);
}

/* The half-life rule of stylegan2-ada-pytorch (training/training_loop.py): beta = 0.5^(batch / min(1000 ema_kimg,
 * images seen * rampup)), here 0.5^(4 / 10) after 20 images. */
static void test_moving_average(void **state) {
    (void)state;
    ho_gan_options options = tiny(6);
    options.ema_rampup = 0.5;
    float trained[64], before[64], after[64];
    char hex[65];
    run_steps(&options, NULL, 5, "ema5.h5", hex);
    run_steps(&options, "ema5.h5", 1, "ema6.h5", hex);
    read_weights("ema5.h5", trained, before);
    read_weights("ema6.h5", trained, after);
    const double beta = pow(0.5, 0.4);
    bool moved = false;
    for (int i = 0; i < 64; ++i) {
        const double want = beta * before[i] + (1.0 - beta) * trained[i];
        assert_true(fabs(after[i] - want) <= 1e-6 * fabs(want) + 1e-6);
        moved = moved || fabs(before[i] - trained[i]) > 1e-3;
    }
    assert_true(moved);
}

/* The control of stylegan2-ada-pytorch (training/training_loop.py): every fourth iteration p moves by 4 batch / (1000
 * ada_kimg), here 0.16, towards the target sign. */
static void test_control_of_p(void **state) {
    (void)state;
    for (int high = 0; high < 2; ++high) {
        ho_gan_options options = tiny(8);
        options.ada_target = high ? 2.0 : -2.0; /* signs lie below, or above */
        ho_gan_trainer *t = trainer_new(&options);
        ho_gan_report report = {0};
        double sum = 0.0;
        for (int i = 0; i < 4; ++i) {
            assert_true(report.p == 0.0 || report.p == 0.5);
            CHECK_OK(ho_gan_trainer_step(t, &report));
            sum += report.sign;
        }
        assert_true(fabs(report.r_t - sum / 4.0) < 1e-12);
        assert_true(fabs(report.p - (high ? 0.34 : 0.66)) < 1e-12);
        ho_gan_trainer_free(t);
    }
}

static void test_samples(void **state) {
    (void)state;
    const ho_gan_options options = tiny(5);
    enum { N = 40, COUNT = SIZE * SIZE * 3 };
    static uint8_t all[N * COUNT], some[COUNT], other[COUNT];
    ho_gan_trainer *t = trainer_new(&options);
    CHECK_OK(ho_gan_trainer_samples(t, "x", 0, N, all));
    CHECK_OK(ho_gan_trainer_samples(t, "x", 35, 1, some));
    CHECK_OK(ho_gan_trainer_samples(t, "y", 35, 1, other));
    for (int i = 0; i < COUNT; ++i) { /* a batch of another size may sum in another order */
        assert_true(abs((int)some[i] - (int)all[35 * COUNT + i]) <= 1);
    }
    assert_memory_not_equal(some, other, COUNT);
    ho_gan_trainer_free(t);
}

static void test_refuses(void **state) {
    (void)state;
    ho_gan_options options = tiny(6);
    ho_gan_trainer *t;
    options.mbstd_group = 3;
    CHECK_FAILS(ho_gan_trainer_create(check_device(), &options, FACES, pointers, &t), HO_ECONFIG, "gan.batch 4", "3");
    options = tiny(6);
    CHECK_FAILS(ho_gan_trainer_create(check_device(), &options, 0, pointers, &t), HO_ESHAPE, "no images");
    options.lr = 1e30; /* weights blow up */
    t = trainer_new(&options);
    ho_gan_report report;
    ho_status status = HO_OK;
    for (int i = 0; i < 4 && status == HO_OK; ++i) {
        status = ho_gan_trainer_step(t, &report);
    }
    CHECK_FAILS(status, HO_ENUMERIC, "iteration", "gan.lr");
    ho_gan_trainer_free(t);
}

/* ---- the stage ------------------------------------------------------------------------------------------- */

static void open_run_from(const char *name, const char *size, const char *kimg, const char *from) {
    const char *const overrides[] = {size, kimg, from};
    open_run_of(name,
                "seed: 7\ndata: {n_train: 6, n_test: 2, n_unlabelled: 4}\n"
                "gan: {z_dim: 8, w_dim: 8, channel_max: 8, mapping_layers: 2, batch: 4, r1_interval: 2, "
                "snapshot_kimg: 0.016}\n",
                CHECK_LEN(overrides), overrides);
}

static void open_run(const char *name, const char *size, const char *kimg, const char *weights) {
    char last[320];
    snprintf(last, sizeof last, "gan.weights=%s", weights);
    open_run_from(name, size, kimg, last);
}

static void execute(void) {
    if (!is_current(&HO_STAGE_IMPORT_DATA)) {
        CHECK_OK(HO_STAGE_IMPORT_DATA.execute(run));
    }
    CHECK_OK(HO_STAGE_TRAIN_GAN.execute(run));
    assert_true(is_current(&HO_STAGE_TRAIN_GAN));
}

static void test_stage_goes_on_to_the_same_file(void **state) {
    (void)state;
    char whole[65], resumed[65];
    open_run("whole", "data.size=8", "gan.kimg=0.032", "");
    execute();
    CHECK_OK(ho_file_sha256(ho_run_path(run, "generator.h5"), whole));
    ho_image grid;
    CHECK_OK(ho_image_read(ho_run_path(run, "samples/reals.png"), &grid));
    ho_image_free(&grid);
    for (int images = 16; images <= 32; images += 16) { /* snapshots below a thousand images apart keep their names */
        CHECK_OK(ho_image_read(ho_run_path(run, "samples/fakes000000_%03d.png", images), &grid));
        assert_int_equal(grid.width, 8 * SIZE);
        ho_image_free(&grid);
    }
    close_run();
    open_run("half", "data.size=8", "gan.kimg=0.012", "");
    execute();
    close_run();
    open_run("half", "data.size=8", "gan.kimg=0.032", ""); /* longer: not current, goes on from the checkpoint */
    assert_false(is_current(&HO_STAGE_TRAIN_GAN));
    execute();
    CHECK_OK(ho_file_sha256(ho_run_path(run, "generator.h5"), resumed));
    close_run();
    assert_string_equal(whole, resumed);
    open_run("taken", "data.size=8", "gan.kimg=0.032",
             in_folder("runs/whole/generator.h5")); /* a trained generator in place of training */
    execute();
    ho_generator *generator;
    CHECK_OK(ho_generator_load(check_device(), ho_run_path(run, "generator.h5"), &generator));
    assert_int_equal(ho_generator_shape(generator)->height, SIZE);
    ho_generator_free(generator);
    close_run();
}

/* From a training at half the size: what both have is taken, training differs from one that starts at random, goes on
 * after a stop even when that file is gone, and the generator says what it started from. */
static void test_stage_starts_from_another_training(void **state) {
    (void)state;
    char init[400], hex[65], random[65], text[1200];
    snprintf(init, sizeof init, "gan.init=%s", in_folder("runs/whole/checkpoints/train-gan.h5"));
    const char *sizes = "data.size=16";
    open_run("random16", sizes, "gan.kimg=0.004", "");
    execute();
    CHECK_OK(ho_file_sha256(ho_run_path(run, "generator.h5"), random));
    close_run();
    for (int part = 0; part < 2; ++part) {
        open_run_from("from8", sizes, part == 0 ? "gan.kimg=0.004" : "gan.kimg=0.008", init);
        execute();
        ho_store *store;
        CHECK_OK(ho_store_open(ho_run_path(run, "generator.h5"), &store));
        CHECK_OK(ho_store_get_text(store, "init", text, sizeof text));
        assert_non_null(strstr(text, "runs/whole/checkpoints/train-gan.h5 "));
        ho_store_close(store);
        CHECK_OK(ho_file_sha256(ho_run_path(run, "generator.h5"), hex));
        assert_string_not_equal(hex, random);
        close_run();
        unlink(in_folder("runs/whole/checkpoints/train-gan.h5"));
    }
    open_run_from("from9", sizes, "gan.kimg=0.004", init);
    CHECK_OK(HO_STAGE_IMPORT_DATA.execute(run));
    CHECK_FAILS(HO_STAGE_TRAIN_GAN.execute(run), HO_EIO, "train-gan.h5");
    close_run();
}

/* A checkpoint that cannot be gone on from is kept with its log and samples: of another config, and damaged. */
static void test_stage_keeps_the_earlier_training(void **state) {
    (void)state;
    char before[65], kept[65];
    open_run_from("kept", "data.size=8", "gan.kimg=0.016", "gan.lr=0.002");
    execute();
    CHECK_OK(ho_file_sha256(ho_run_path(run, "checkpoints/train-gan.h5"), before));
    close_run();
    open_run_from("kept", "data.size=8", "gan.kimg=0.016", "gan.lr=0.003");
    execute();
    CHECK_OK(ho_file_sha256(ho_run_path(run, "old/train-gan-1/train-gan.h5"), kept));
    assert_string_equal(kept, before);
    assert_non_null(strstr(read_text(ho_run_path(run, "old/train-gan-1/train-gan.jsonl")), "\"kimg\":0.016"));
    assert_true(exists(ho_run_path(run, "old/train-gan-1/samples/fakes000000_016.png")));
    assert_true(exists(ho_run_path(run, "samples/fakes000000_016.png")));
    write_text(ho_run_path(run, "checkpoints/train-gan.h5"), "no HDF5 file");
    CHECK_OK(HO_STAGE_TRAIN_GAN.execute(run));
    assert_string_equal(read_text(ho_run_path(run, "old/train-gan-2/train-gan.h5")), "no HDF5 file");
    CHECK_OK(HO_STAGE_TRAIN_GAN.execute(run)); /* goes on: nothing to set aside */
    assert_false(exists(in_folder("runs/kept/old/train-gan-3")));
    close_run();
}

static void test_init_takes_what_fits(void **state) {
    (void)state;
    ho_gan_options small = tiny(1), large = tiny(2);
    large.shape.height = large.shape.width = 16;
    char hex[65];
    run_steps(&small, NULL, 2, "small.h5", hex);
    float want[64], want_average[64], got[64], got_average[64];
    read_weights("small.h5", want, want_average);
    ho_store *store;
    int n_taken, n;
    CHECK_OK(ho_store_open(in_folder("small.h5"), &store));
    ho_gan_trainer *t = trainer_new(&large);
    CHECK_OK(ho_gan_trainer_init(t, store, &n_taken, &n));
    assert_true(n_taken > 20 && n_taken < n);
    assert_int_equal(ho_gan_trainer_images_seen(t), 0);
    ho_store_close(store);
    save(t, "large.h5", hex);
    ho_gan_trainer_free(t);
    read_weights("large.h5", got, got_average);
    assert_memory_equal(got, want, sizeof want);
    assert_memory_equal(got_average, want_average, sizeof want_average);
    CHECK_OK(ho_store_create(in_folder("empty.h5"), &store));
    commit(store);
    CHECK_OK(ho_store_open(in_folder("empty.h5"), &store));
    t = trainer_new(&large);
    CHECK_FAILS(ho_gan_trainer_init(t, store, &n_taken, &n), HO_EFORMAT, "empty.h5", "checkpoints/train-gan.h5");
    ho_gan_trainer_free(t);
    ho_store_close(store);
}

static void test_stage_refuses_weights_of_another_size(void **state) {
    (void)state;
    open_run("other", "data.size=16", "gan.kimg=0.032", in_folder("runs/whole/generator.h5"));
    CHECK_FAILS(HO_STAGE_TRAIN_GAN.execute(run), HO_ECONFIG, "8x8", "data.size 16");
    close_run();
    open_run("other", "data.size=8", "gan.kimg=0.032", in_folder("missing.h5"));
    CHECK_FAILS(HO_STAGE_TRAIN_GAN.execute(run), HO_EIO, "missing.h5");
    close_run();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bits),
        cmocka_unit_test(test_resumed_equals_uninterrupted),
        cmocka_unit_test(test_mode_matters),
        cmocka_unit_test(test_moving_average),
        cmocka_unit_test(test_control_of_p),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_stage_goes_on_to_the_same_file),
        cmocka_unit_test(test_stage_refuses_weights_of_another_size),
        cmocka_unit_test(test_init_takes_what_fits),
        cmocka_unit_test(test_stage_keeps_the_earlier_training),
        cmocka_unit_test(test_stage_starts_from_another_training),
    };
    return cmocka_run_group_tests(tests, setup, remove_folder);
}
