/* train-downstream and evaluate on drawn faces of 16 pixels: what they write, that they resume and skip, and what they
 * say to bad input. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "handsoff/dataset.h"
#include "handsoff/deeplab.h"
#include "opened_run.h"
#include "src/stages/stages.h"

enum { SIZE = 16, HW = SIZE * SIZE, CLASSES = HO_TOY_FACE_CLASSES, SYNTHETIC = 9, KEPT = 7, TEST = 5 };

static void open_run(const char *name, int n, const char *const *more) {
    char text[512];
    snprintf(text, sizeof text,
             "threads: 1\nlabelled: 4\ndata: {format: toy_faces, size: %d, n_train: 6, n_test: %d}\n"
             "downstream: {channels: 4, blocks: 1, steps: 40, batch: 3, lr: 0.01, seeds: [0, 5]}\n"
             "transfer: {weights: %s}\n",
             SIZE, TEST, in_folder("backbone.h5"));
    open_run_of(name, text, n, more);
}

static void make_backbone(const char *path, int64_t channels) {
    ho_deeplab *network = NULL;
    ho_store *store = NULL;
    const ho_deeplab_shape shape = {{channels, 1, 32, 32}, 2};
    CHECK_OK(ho_deeplab_create(check_device(), &shape, 9, &network));
    CHECK_OK(ho_store_create(path, &store));
    CHECK_OK(ho_deeplab_write(network, store));
    commit(store);
    ho_deeplab_free(network);
}

/* synthetic_4.h5 and its shard: other faces; samples 1 and 4 are filtered out. */
static void make_synthetic(int size, int classes) {
    const int64_t kept[KEPT] = {0, 2, 3, 5, 6, 7, 8}, N = SYNTHETIC, n_kept = KEPT;
    const int64_t image_dim[4] = {N, size, size, 3};
    const char *const shard = "synthetic_4/shard-00000.h5";
    const char *names[16];
    uint8_t *image = malloc((size_t)(N * size * size * 3)), *label = malloc((size_t)(N * size * size));
    float score[SYNTHETIC] = {0}, *zero = calloc((size_t)(N * size * size), sizeof *zero);
    int64_t index[SYNTHETIC];
    ho_store *store = NULL;
    assert_true(image != NULL && label != NULL && zero != NULL);
    for (int64_t i = 0; i < N; ++i) {
        ho_draw_toy_face(99, (uint64_t)i, size, image + i * size * size * 3, label + i * size * size, NULL, NULL);
        index[i] = i;
    }
    for (int64_t i = 0; i < N * size * size; ++i) {
        label[i] = label[i] < classes ? label[i] : 0;
    }
    for (int k = 0; k < classes; ++k) {
        names[k] = HO_TOY_FACE_CLASS_NAMES[k];
    }
    CHECK_OK(ho_store_create(ho_run_path(run, "%s", shard), &store));
    CHECK_OK(ho_store_write(store, "image", HO_U8, 4, image_dim, image));
    CHECK_OK(ho_store_write(store, "label", HO_U8, 3, image_dim, label));
    CHECK_OK(ho_store_write(store, "uncertainty", HO_F16, 3, image_dim, zero));
    CHECK_OK(ho_store_write(store, "score", HO_F32, 1, &N, score));
    CHECK_OK(ho_store_write(store, "latent", HO_F32, 2, (const int64_t[]){N, 1}, zero));
    CHECK_OK(ho_store_write(store, "index", HO_I64, 1, &N, index));
    commit(store);
    CHECK_OK(ho_store_create(ho_run_path(run, "synthetic_4.h5"), &store));
    CHECK_OK(ho_store_write_strings(store, "shard", 1, &shard));
    CHECK_OK(ho_store_write_strings(store, "class_name", classes, names));
    CHECK_OK(ho_store_write(store, "score", HO_F32, 1, &N, score));
    CHECK_OK(ho_store_write(store, "kept", HO_I64, 1, &n_kept, kept));
    const char *const key[7] = {"samples", "kept", "height", "width", "classes", "z_dim", "shard_size"};
    const double value[7] = {SYNTHETIC, KEPT, size, size, classes, 1, SYNTHETIC};
    for (int i = 0; i < 7; ++i) {
        CHECK_OK(ho_store_set_number(store, key[i], value[i]));
    }
    commit(store);
    free(image), free(label), free(zero);
}

static void make_inputs(int size, int classes) {
    make_backbone(in_folder("backbone.h5"), 4);
    CHECK_OK(HO_STAGE_IMPORT_DATA.execute(run));
    make_synthetic(size, classes);
}

static const char *const METHODS[3] = {"handsoff", "labels_only", "transfer"};

/* ---- what is written */

static void every_method_and_seed_leaves_a_network(void **state) {
    (void)state;
    open_run("a", 0, NULL);
    make_inputs(SIZE, CLASSES);
    assert_false(is_current(&HO_STAGE_TRAIN_DOWNSTREAM));
    CHECK_OK(HO_STAGE_TRAIN_DOWNSTREAM.execute(run));
    assert_true(is_current(&HO_STAGE_TRAIN_DOWNSTREAM));
    char hex[6][65];
    for (int i = 0; i < 6; ++i) {
        const char *path = ho_run_path(run, "downstream/%s_4_seed%d.h5", METHODS[i / 2], i % 2 == 0 ? 0 : 5);
        ho_deeplab *network = NULL;
        CHECK_OK(ho_deeplab_load(check_device(), path, &network));
        assert_int_equal(ho_deeplab_shape_of(network)->K, CLASSES);
        ho_deeplab_free(network);
        CHECK_OK(ho_file_sha256(path, hex[i]));
        for (int j = 0; j < i; ++j) {
            assert_string_not_equal(hex[i], hex[j]);
        }
    }
    /* One that is missing is made again, to the same bits; the others stay. */
    char again[65];
    assert_int_equal(unlink(ho_run_path(run, "downstream/transfer_4_seed5.h5")), 0);
    assert_int_equal(unlink(ho_run_path(run, "synthetic_4/shard-00000.h5")), 0); /* handsoff would fail now */
    assert_false(is_current(&HO_STAGE_TRAIN_DOWNSTREAM));
    CHECK_OK(HO_STAGE_TRAIN_DOWNSTREAM.execute(run));
    CHECK_OK(ho_file_sha256(ho_run_path(run, "downstream/transfer_4_seed5.h5"), again));
    assert_string_equal(again, hex[5]);
    close_run();
}

static json_t *result_of(const json_t *root, const char *method) {
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(root, "results"), i, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "method")), method) == 0) {
            return entry;
        }
    }
    fail_msg("metrics.json has no result of %s", method);
    return NULL;
}

/* IoU of the stored predictions, computed again in the plain. */
static void check_predictions(const char *method, const ho_dataset *dataset, const double *iou) {
    uint8_t label[TEST * HW];
    ho_store *store = NULL;
    CHECK_OK(ho_store_open(ho_run_path(run, "downstream/predictions_%s_4.h5", method), &store));
    CHECK_OK(ho_store_read(store, "label", HO_U8, 3, (const int64_t[]){TEST, SIZE, SIZE}, label));
    ho_store_close(store);
    for (int k = 0; k < CLASSES; ++k) {
        double both = 0, any = 0;
        for (int p = 0; p < TEST * HW; ++p) {
            const bool t = dataset->test.labels[p] == k, g = label[p] == k;
            both += t && g;
            any += (t || g) && dataset->test.labels[p] != 255;
        }
        assert_float_equal(iou[k], both / (any + 1e-8), 1e-12);
    }
}

static void evaluate_measures_them_on_the_test_images(void **state) {
    (void)state;
    open_run("a", 0, NULL);
    assert_false(is_current(&HO_STAGE_EVALUATE));
    CHECK_OK(HO_STAGE_EVALUATE.execute(run));
    assert_true(is_current(&HO_STAGE_EVALUATE));
    ho_dataset dataset;
    ho_store *store = NULL;
    double iou[3][2][CLASSES], miou[3][2], present_miou[3][2], n_test = 0;
    uint8_t present[CLASSES];
    json_error_t error;
    CHECK_OK(ho_dataset_read(ho_run_path(run, "dataset.h5"), &dataset));
    CHECK_OK(ho_store_open(ho_run_path(run, "evaluation.h5"), &store));
    CHECK_OK(ho_store_read(store, "iou", HO_F64, 3, (const int64_t[]){3, 2, CLASSES}, iou));
    CHECK_OK(ho_store_read(store, "miou", HO_F64, 2, (const int64_t[]){3, 2}, miou));
    CHECK_OK(ho_store_read(store, "miou_present", HO_F64, 2, (const int64_t[]){3, 2}, present_miou));
    CHECK_OK(ho_store_read(store, "present", HO_U8, 1, (const int64_t[]){CLASSES}, present));
    CHECK_OK(ho_store_get_number(store, "test_images", &n_test));
    ho_store_close(store);
    assert_true(n_test == TEST);
    json_t *root = json_load_file(ho_run_path(run, "metrics.json"), 0, &error);
    assert_non_null(root);
    for (int m = 0; m < 3; ++m) {
        const json_t *result = result_of(root, METHODS[m]);
        check_predictions(METHODS[m], &dataset, iou[m][0]);
        for (int s = 0; s < 2; ++s) {
            double all = 0, occurring = 0;
            int n = 0;
            for (int k = 0; k < CLASSES; ++k) {
                all += iou[m][s][k] / CLASSES;
                occurring += present[k] ? iou[m][s][k] : 0;
                n += present[k];
            }
            assert_float_equal(miou[m][s], all, 1e-12);
            assert_float_equal(present_miou[m][s], occurring / n, 1e-12);
        }
        const double mean = (miou[m][0] + miou[m][1]) / 2, spread = fabs(miou[m][0] - miou[m][1]) / 2;
        assert_float_equal(json_real_value(json_object_get(result, "miou_mean")), mean, 1e-9);
        assert_float_equal(json_real_value(json_object_get(result, "miou_std")), spread, 1e-9);
        assert_true(spread > 0);
        assert_int_equal(json_array_size(json_object_get(result, "seeds")), 2);
        const json_t *first = json_object_get(json_object_get(result, "per_class"), HO_TOY_FACE_CLASS_NAMES[0]);
        assert_float_equal(json_real_value(first), (iou[m][0][0] + iou[m][1][0]) / 2, 1e-9);
    }
    json_decref(root);
    ho_dataset_free(&dataset);
    assert_int_equal(unlink(ho_run_path(run, "downstream/predictions_transfer_4.h5")), 0);
    assert_false(is_current(&HO_STAGE_EVALUATE));
    close_run();
}

static void without_weights_there_is_no_transfer_baseline(void **state) {
    (void)state;
    static const char *const none[] = {"transfer.weights=", "downstream.seeds=3", "downstream.steps=2"};
    open_run("b", 3, none);
    make_inputs(SIZE, CLASSES);
    CHECK_OK(HO_STAGE_TRAIN_DOWNSTREAM.execute(run));
    CHECK_OK(HO_STAGE_EVALUATE.execute(run));
    assert_true(access(ho_run_path(run, "downstream/labels_only_4_seed3.h5"), F_OK) == 0);
    assert_true(access(ho_run_path(run, "downstream/transfer_4_seed3.h5"), F_OK) != 0);
    close_run();
}

/* ---- interruption */

/* In a process of its own, which gets SIGTERM before it begins: it stops at the first record. */
static void an_interrupted_training_ends_with_the_same_bits(void **state) {
    (void)state;
    static const char *const one[] = {"transfer.weights=", "downstream.seeds=5"};
    const pid_t child = fork();
    if (child == 0) {
        open_run("c", 2, one);
        make_inputs(SIZE, CLASSES);
        ho_run_catch_signals();
        raise(SIGTERM);
        const ho_status status = HO_STAGE_TRAIN_DOWNSTREAM.execute(run);
        _exit(status == HO_EINTERRUPT && strstr(ho_error(), "step 20 of") != NULL ? 0 : 1);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    open_run("c", 2, one);
    const char *checkpoint = in_folder("runs/c/checkpoints/train-downstream_handsoff_4_seed5.h5");
    assert_true(exists(checkpoint));
    CHECK_OK(HO_STAGE_TRAIN_DOWNSTREAM.execute(run));
    assert_false(exists(checkpoint));
    char hex[2][65];
    CHECK_OK(ho_file_sha256(in_folder("runs/a/downstream/handsoff_4_seed5.h5"), hex[0]));
    CHECK_OK(ho_file_sha256(ho_run_path(run, "downstream/handsoff_4_seed5.h5"), hex[1]));
    assert_string_equal(hex[0], hex[1]);
    close_run();
}

/* ---- bad input */

static void missing_files_name_their_stage(void **state) {
    (void)state;
    open_run("d", 0, NULL);
    CHECK_FAILS(HO_STAGE_TRAIN_DOWNSTREAM.execute(run), HO_EIO, "dataset.h5 is missing", "import-data");
    CHECK_FAILS(HO_STAGE_EVALUATE.execute(run), HO_EIO, "dataset.h5 is missing", "import-data");
    CHECK_OK(HO_STAGE_IMPORT_DATA.execute(run));
    CHECK_FAILS(HO_STAGE_TRAIN_DOWNSTREAM.execute(run), HO_EIO, "synthetic_4.h5 is missing", "generate");
    CHECK_FAILS(HO_STAGE_EVALUATE.execute(run), HO_EIO, "downstream/", "train-downstream");
    close_run();
}

static void sets_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static const char *const many[] = {"labelled=7"};
    open_run("d", 0, NULL);
    make_synthetic(2 * SIZE, CLASSES);
    CHECK_FAILS(HO_STAGE_TRAIN_DOWNSTREAM.execute(run), HO_EFORMAT, "synthetic_4.h5", "32x32", "16x16");
    make_synthetic(SIZE, CLASSES - 1);
    CHECK_FAILS(HO_STAGE_TRAIN_DOWNSTREAM.execute(run), HO_EFORMAT, "synthetic_4.h5", "7 classes", "has 8");
    close_run();
    open_run("d", 1, many);
    CHECK_FAILS(HO_STAGE_TRAIN_DOWNSTREAM.execute(run), HO_EIO, "synthetic_7.h5 is missing");
    close_run();
}

static void backbones_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static const char *const absent[] = {"transfer.weights=no/such.h5", "downstream.steps=1"};
    static const char *const wide[] = {"downstream.channels=8", "downstream.steps=1"};
    open_run("e", 2, absent);
    make_inputs(SIZE, CLASSES);
    CHECK_FAILS(HO_STAGE_TRAIN_DOWNSTREAM.execute(run), HO_EIO, "transfer.weights", "no/such.h5 is missing");
    close_run();
    open_run("e", 2, wide);
    CHECK_FAILS(HO_STAGE_TRAIN_DOWNSTREAM.execute(run), HO_ECONFIG, "transfer.weights", "4 channels",
                "downstream.channels=4");
    close_run();
}

static void evaluate_needs_test_images_of_the_same_kind(void **state) {
    (void)state;
    static const char *const small[] = {"transfer.weights=", "downstream.seeds=5", "data.size=8"};
    static const char *const same[] = {"transfer.weights=", "downstream.seeds=5"};
    open_run("c", 3, small);
    CHECK_OK(HO_STAGE_IMPORT_DATA.execute(run));
    close_run();
    open_run("c", 2, same);
    CHECK_FAILS(HO_STAGE_EVALUATE.execute(run), HO_EFORMAT, "handsoff_4_seed5.h5", "16x16", "8x8");
    ho_dataset dataset;
    ho_store *store = NULL;
    CHECK_OK(ho_dataset_read(ho_run_path(run, "dataset.h5"), &dataset));
    const int64_t dim[4] = {dataset.train.n, 8, 8, 3};
    CHECK_OK(ho_store_create(ho_run_path(run, "dataset.h5"), &store));
    CHECK_OK(ho_store_write(store, "train/image", HO_U8, 4, dim, dataset.train.images));
    CHECK_OK(ho_store_write(store, "train/label", HO_U8, 3, dim, dataset.train.labels));
    CHECK_OK(ho_store_write_strings(store, "train/name", dataset.train.n, (const char *const *)dataset.train.names));
    CHECK_OK(ho_store_write_strings(store, "class_name", CLASSES, (const char *const *)dataset.class_names));
    CHECK_OK(ho_store_write(store, "palette", HO_U8, 2, (const int64_t[]){CLASSES, 3}, dataset.palette));
    commit(store);
    CHECK_FAILS(HO_STAGE_EVALUATE.execute(run), HO_EFORMAT, "no labelled test images", "import-data");
    ho_dataset_free(&dataset);
    close_run();
}

static void copy(const char *from, const char *to) {
    char command[1024];
    snprintf(command, sizeof command, "cp %s %s", ho_run_path(run, "downstream/%s.h5", from),
             ho_run_path(run, "downstream/%s.h5", to));
    assert_int_equal(system(command), 0);
}

/* What stands in the run, but was not made from what is there now, does not count. */
static void evaluate_trusts_only_its_own_results(void **state) {
    (void)state;
    const double iou[1] = {0.5};
    const uint64_t seeds[2] = {0, 5};
    const char *const name[1] = {"skin"};
    const ho_result other = {"handsoff", "segmentation", 4, 2, 1, seeds, 0.99, 0.0, 0.99, name, iou};
    open_run("a", 0, NULL);
    for (int change = 0; change < 4; ++change) {
        CHECK_OK(HO_STAGE_EVALUATE.execute(run));
        assert_true(is_current(&HO_STAGE_EVALUATE));
        switch (change) {
        case 0: /* the file is new and has no results */
            assert_int_equal(unlink(ho_run_path(run, "metrics.json")), 0);
            CHECK_OK(ho_metrics_stage(run, "invert", 1.0, 2.0));
            break;
        case 1: /* of an evaluation that was stopped before evaluation.h5 */
            CHECK_OK(ho_metrics_result(run, &other));
            break;
        case 2: /* of another network */
            copy("predictions_labels_only_4", "predictions_handsoff_4");
            break;
        default:
            copy("transfer_4_seed0", "transfer_4_seed5");
        }
        assert_false(is_current(&HO_STAGE_EVALUATE));
    }
    close_run();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_and_seed_leaves_a_network),
        cmocka_unit_test(evaluate_measures_them_on_the_test_images),
        cmocka_unit_test(without_weights_there_is_no_transfer_baseline),
        cmocka_unit_test(an_interrupted_training_ends_with_the_same_bits),
        cmocka_unit_test(missing_files_name_their_stage),
        cmocka_unit_test(sets_that_do_not_fit_are_refused),
        cmocka_unit_test(backbones_that_do_not_fit_are_refused),
        cmocka_unit_test(evaluate_needs_test_images_of_the_same_kind),
        cmocka_unit_test(evaluate_trusts_only_its_own_results),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
