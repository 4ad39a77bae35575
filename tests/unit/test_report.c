/* The report of a run whose files are made here: drawn faces and plain label maps in place of what networks make. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "handsoff/image.h"
#include "handsoff/import.h"
#include "opened_run.h"
#include "src/stages/report_parts.h"
#include "src/stages/stages.h"

enum { SIZE = 64, HW = SIZE * SIZE, TRAIN = 18, TEST = 30, SAMPLES = 40, SHARD = 25, CLASSES = HO_TOY_FACE_CLASSES };

static void open_run(const char *name) {
    open_run_of(name, "threads: 1\nlabelled: [16]\n", 0, NULL);
}

/* ---- files of a run */

static void fill_split(int n, uint64_t first, ho_split *split) {
    const ho_split_shape shape = {n, SIZE, HO_TOY_FACE_KEYPOINTS, true, true};
    const char *names[64];
    CHECK_OK(ho_split_new(&shape, split));
    ho_toy_faces_fill(5, first, 0, n, split);
    for (int i = 0; i < n; ++i) {
        names[i] = "drawn";
    }
    CHECK_OK(ho_strings_copy(n, names, &split->names));
}

static void make_dataset(ho_dataset *dataset) {
    ho_store *store = NULL;
    memset(dataset, 0, sizeof *dataset);
    fill_split(TRAIN, 0, &dataset->train);
    fill_split(TEST, 1000, &dataset->test);
    memset(dataset->test.labels + 7, 255, 20);
    dataset->n_classes = CLASSES;
    dataset->n_keypoints = HO_TOY_FACE_KEYPOINTS;
    CHECK_OK(ho_strings_copy(CLASSES, HO_TOY_FACE_CLASS_NAMES, &dataset->class_names));
    CHECK_OK(ho_strings_copy(HO_TOY_FACE_KEYPOINTS, HO_TOY_FACE_KEYPOINT_NAMES, &dataset->keypoint_names));
    dataset->palette = malloc(sizeof HO_TOY_FACE_PALETTE);
    memcpy(dataset->palette, HO_TOY_FACE_PALETTE, sizeof HO_TOY_FACE_PALETTE);
    CHECK_OK(ho_store_create(ho_run_path(run, "dataset.h5"), &store));
    CHECK_OK(ho_dataset_write(store, dataset));
    commit(store);
}

static void make_latents(const ho_dataset *dataset, bool with_start) {
    ho_store *store = NULL;
    const int64_t n = TRAIN, dim[4] = {TRAIN, SIZE, SIZE, 3};
    int64_t index[TRAIN];
    float before[TRAIN], after[TRAIN];
    uint8_t *images = malloc((size_t)TRAIN * HW * 3);
    for (int i = 0; i < TRAIN; ++i) {
        index[i] = i;
        before[i] = 0.4F + 0.01F * (float)i;
        after[i] = 0.1F + 0.005F * (float)i;
    }
    CHECK_OK(ho_store_create(ho_run_path(run, "latents.h5"), &store));
    CHECK_OK(ho_store_write(store, "index", HO_I64, 1, &n, index));
    CHECK_OK(ho_store_write(store, "target", HO_U8, 4, dim, dataset->train.images));
    for (int64_t i = 0; i < (int64_t)TRAIN * HW * 3; ++i) {
        images[i] = (uint8_t)(dataset->train.images[i] / 2 + 60);
    }
    if (with_start) {
        CHECK_OK(ho_store_write(store, "reconstruction_init", HO_U8, 4, dim, images));
    }
    CHECK_OK(ho_store_write(store, "reconstruction", HO_U8, 4, dim, dataset->train.images));
    CHECK_OK(ho_store_write(store, "lpips_before", HO_F32, 1, &n, before));
    CHECK_OK(ho_store_write(store, "lpips_after", HO_F32, 1, &n, after));
    CHECK_OK(ho_store_write(store, "mse_before", HO_F32, 1, &n, before));
    CHECK_OK(ho_store_write(store, "mse_after", HO_F32, 1, &n, after));
    commit(store);
    free(images);
}

static void make_shard(int64_t first, int64_t n, const float *score) {
    ho_store *store = NULL;
    uint8_t *image = malloc((size_t)(n * HW * 3)), *label = malloc((size_t)(n * HW));
    float *js = malloc(sizeof(float) * (size_t)(n * HW)), latent[SHARD * 2] = {0};
    int64_t index[SHARD];
    for (int64_t i = 0; i < n; ++i) {
        ho_draw_toy_face(9, (uint64_t)(first + i), SIZE, image + i * HW * 3, label + i * HW, NULL, NULL);
        index[i] = first + i;
        for (int64_t p = 0; p < HW; ++p) {
            const bool border = p % SIZE > 0 && label[i * HW + p] != label[i * HW + p - 1];
            js[i * HW + p] = score[first + i] * (border ? 1.0F : 0.1F);
        }
    }
    CHECK_OK(ho_store_create(ho_run_path(run, "synthetic_16/shard-%05lld.h5", (long long)(first / SHARD)), &store));
    CHECK_OK(ho_store_write(store, "image", HO_U8, 4, (const int64_t[]){n, SIZE, SIZE, 3}, image));
    CHECK_OK(ho_store_write(store, "label", HO_U8, 3, (const int64_t[]){n, SIZE, SIZE}, label));
    CHECK_OK(ho_store_write(store, "uncertainty", HO_F16, 3, (const int64_t[]){n, SIZE, SIZE}, js));
    CHECK_OK(ho_store_write(store, "score", HO_F32, 1, &n, score + first));
    CHECK_OK(ho_store_write(store, "latent", HO_F32, 2, (const int64_t[]){n, 2}, latent));
    CHECK_OK(ho_store_write(store, "index", HO_I64, 1, &n, index));
    commit(store);
    free(image);
    free(label);
    free(js);
}

/* Scores rise with a permutation of the sample numbers; the ten largest are removed. */
static void make_synthetic(void) {
    ho_store *store = NULL;
    float score[SAMPLES];
    int64_t kept[SAMPLES], n_kept = 0;
    const int64_t n = SAMPLES;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t rank = i * 7 % n;
        score[i] = 0.05F + 0.01F * (float)rank;
        if (rank < n - 10) {
            kept[n_kept++] = i;
        }
    }
    make_shard(0, SHARD, score);
    make_shard(SHARD, SAMPLES - SHARD, score);
    CHECK_OK(ho_store_create(ho_run_path(run, "synthetic_16.h5"), &store));
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"samples", SAMPLES}, {"kept", (double)n_kept}, {"height", SIZE},
                   {"width", SIZE},      {"classes", CLASSES},     {"z_dim", 2},
                   {"shard_size", SHARD}};
    for (int i = 0; i < CHECK_LEN(numbers); ++i) {
        CHECK_OK(ho_store_set_number(store, numbers[i].key, numbers[i].value));
    }
    CHECK_OK(ho_store_write(store, "score", HO_F32, 1, &n, score));
    CHECK_OK(ho_store_write(store, "kept", HO_I64, 1, &n_kept, kept));
    CHECK_OK(ho_store_write_strings(
        store, "shard", 2, (const char *const[]){"synthetic_16/shard-00000.h5", "synthetic_16/shard-00001.h5"}));
    CHECK_OK(ho_store_write_strings(store, "class_name", CLASSES, HO_TOY_FACE_CLASS_NAMES));
    commit(store);
}

static void make_predictions(const ho_dataset *dataset, const char *method, int shift) {
    ho_store *store = NULL;
    uint8_t *label = calloc(TEST, HW);
    for (int64_t p = 0; p < (int64_t)TEST * HW; ++p) {
        const int64_t from = p + shift;
        label[p] = from < (int64_t)TEST * HW ? dataset->test.labels[from] : 0;
        label[p] = label[p] == 255 ? 0 : label[p];
    }
    CHECK_OK(ho_store_create(ho_run_path(run, "downstream/predictions_%s_16.h5", method), &store));
    CHECK_OK(ho_store_write(store, "label", HO_U8, 3, (const int64_t[]){TEST, SIZE, SIZE}, label));
    commit(store);
    free(label);
}

static void make_logs(void) {
    for (int i = 0; i < 200; ++i) {
        const double kimg = 0.5 * i, noise = 0.05 * check_normal(3, (uint64_t)i);
        ho_run_log(run, "train-gan", "kimg", kimg, "loss_g", 1.2 + noise, "loss_d", 0.9 - noise, "r1",
                   1e-3 * exp(noise), "p", 0.002 * i, "r_t", 0.5 + noise, "sec_per_kimg", 60.0, NULL);
        if (i % 20 == 19) {
            ho_run_log(run, "train-gan", "kimg", kimg + 0.1, "swd", 300.0 / (1 + 0.1 * i), NULL);
        }
        ho_run_log(run, "train-head_16", "step", 200.0 * i, "loss", exp(-0.02 * i + noise), "held_out",
                   exp(-0.015 * i + noise) + 0.1, NULL);
        ho_run_log(run, "train-downstream_handsoff_16_0", "step", 10.0 * i, "loss", exp(-0.01 * i + noise), NULL);
        ho_run_log(run, "train-downstream_handsoff_16_1", "step", 10.0 * i, "loss", exp(-0.011 * i - noise), NULL);
    }
    FILE *cut = fopen(ho_run_path(run, "logs/train-head_16.jsonl"), "a");
    fputs("{\"step\": 99999, \"lo", cut);
    fclose(cut);
}

static void make_metrics(double handsoff) {
    const uint64_t seeds[3] = {0, 1, 2};
    double iou[CLASSES];
    for (int k = 0; k < CLASSES; ++k) {
        iou[k] = k == 6 ? NAN : 0.9 - 0.1 * k;
    }
    const char *const methods[3] = {"handsoff", "labels_only", "transfer"};
    for (int m = 0; m < 3; ++m) {
        const double mean = m == 0 ? handsoff : 0.5 - 0.05 * m;
        const ho_result result = {methods[m],  "segmentation",          16, 3, CLASSES, seeds, mean, 0.0123,
                                  mean + 0.01, HO_TOY_FACE_CLASS_NAMES, iou};
        CHECK_OK(ho_metrics_result(run, &result));
    }
    CHECK_OK(ho_metrics_inversion(run, "refine", "before", 0.4, 0.05, NAN));
    CHECK_OK(ho_metrics_inversion(run, "refine", "after", 0.1, 0.01, 0.3));
    CHECK_OK(ho_metrics_stage(run, "invert", 12.3, 345.6));
}

static void make_samples(void) {
    uint8_t *images = malloc((size_t)16 * HW * 3);
    ho_image grid;
    for (int number = 0; number < 2; ++number) {
        for (int i = 0; i < 16; ++i) {
            ho_draw_toy_face(77 + (uint64_t)number, (uint64_t)i, SIZE, images + (int64_t)i * HW * 3, NULL, NULL, NULL);
        }
        CHECK_OK(ho_image_grid(images, 16, SIZE, SIZE, 8, &grid));
        CHECK_OK(ho_image_write_png(ho_run_path(run, "samples/fakes%06d.png", 10 * number + 10), &grid));
        ho_image_free(&grid);
    }
    free(images);
}

/* ---- tests */

static bool reported(const char *file) {
    return exists(ho_run_path(run, "report/%s", file));
}

/* The picture is there, no wider than a page, and neither empty nor all of one colour. */
static void check_picture(const char *file, int least_width, int least_height) {
    ho_image image;
    CHECK_OK(ho_image_read(ho_run_path(run, "report/%s", file), &image));
    assert_in_range(image.width, least_width, HO_REPORT_WIDTH);
    assert_true(image.height >= least_height);
    int64_t n = 0;
    for (int64_t p = 1; p < (int64_t)image.width * image.height; ++p) {
        n += memcmp(image.pixels + 3 * p, image.pixels, 3) != 0;
    }
    assert_true(n > (int64_t)image.width * image.height / 100);
    ho_image_free(&image);
}

static char *read_page(void) {
    FILE *file = fopen(ho_run_path(run, "report/index.html"), "r");
    assert_non_null(file);
    char *text = calloc(1, 100000);
    assert_true(fread(text, 1, 99999, file) > 0);
    fclose(file);
    return text;
}

static void a_whole_run_gets_every_picture(void **state) {
    (void)state;
    ho_dataset dataset;
    open_run("whole");
    make_dataset(&dataset);
    make_latents(&dataset, true);
    make_synthetic();
    make_predictions(&dataset, "handsoff", 0);
    make_predictions(&dataset, "labels_only", 3);
    make_predictions(&dataset, "transfer", 130);
    make_logs();
    make_metrics(0.61);
    make_samples();
    assert_false(is_current(&HO_STAGE_REPORT));
    CHECK_OK(HO_STAGE_REPORT.execute(run));
    check_picture("reconstructions.png", 1000, 6 * 128);
    check_picture("synthetic_16.png", 1000, 8 * 128);
    check_picture("predictions_16.png", 1200, 6 * 128);
    check_picture("curves_train-gan.png", 640, 4 * 400);
    check_picture("curves_train-head.png", 640, 400);
    check_picture("curves_train-downstream.png", 640, 400);
    check_picture("gan_samples.png", 512, 128);
    char *page = read_page();
    const char *const texts[] = {"<td>0.6100 +- 0.0123</td>",
                                 "src=\"predictions_16.png\"",
                                 "<td>labels_only</td>",
                                 "<td>0.6200</td>",
                                 "<td>-</td>",
                                 "<td>12.3</td>",
                                 "after 20 thousand images",
                                 "src=\"curves_train-head.png\"",
                                 "<th>hair</th>"};
    for (int i = 0; i < CHECK_LEN(texts); ++i) {
        if (strstr(page, texts[i]) == NULL) {
            fail_msg("the page lacks '%s'", texts[i]);
        }
    }
    assert_null(strstr(page, "Left out"));
    free(page);
    ho_dataset_free(&dataset);
    close_run();
}

static void a_report_is_current_until_something_changes(void **state) {
    (void)state;
    open_run("whole");
    assert_true(is_current(&HO_STAGE_REPORT));
    CHECK_OK(ho_metrics_stage(run, "report", 1.0, 2.0)); /* what the program notes after the stage */
    assert_true(is_current(&HO_STAGE_REPORT));
    make_metrics(0.62);
    assert_false(is_current(&HO_STAGE_REPORT));
    CHECK_OK(HO_STAGE_REPORT.execute(run));
    assert_true(is_current(&HO_STAGE_REPORT));
    ho_run_log(run, "train-head_16", "step", 1e6, "loss", 0.1, NULL);
    assert_false(is_current(&HO_STAGE_REPORT));
    CHECK_OK(HO_STAGE_REPORT.execute(run));
    assert_int_equal(unlink(ho_run_path(run, "report/index.html")), 0);
    assert_false(is_current(&HO_STAGE_REPORT));
    close_run();
}

/* Same inputs, same bytes. */
static void a_report_is_reproducible(void **state) {
    (void)state;
    const char *const files[] = {"index.html", "synthetic_16.png", "predictions_16.png", "curves_train-gan.png"};
    char before[4][65], after[65];
    open_run("whole");
    CHECK_OK(HO_STAGE_REPORT.execute(run));
    for (int i = 0; i < 4; ++i) {
        CHECK_OK(ho_file_sha256(ho_run_path(run, "report/%s", files[i]), before[i]));
    }
    CHECK_OK(HO_STAGE_REPORT.execute(run));
    for (int i = 0; i < 4; ++i) {
        CHECK_OK(ho_file_sha256(ho_run_path(run, "report/%s", files[i]), after));
        assert_string_equal(before[i], after);
    }
    close_run();
}

static void what_is_missing_is_left_out(void **state) {
    (void)state;
    ho_dataset dataset;
    open_run("part");
    CHECK_FAILS(HO_STAGE_REPORT.execute(run), HO_EIO, "dataset.h5", "run import-data first");
    make_dataset(&dataset);
    CHECK_OK(HO_STAGE_REPORT.execute(run));
    assert_false(reported("reconstructions.png") || reported("synthetic_16.png") || reported("predictions_16.png"));
    char *page = read_page();
    assert_non_null(strstr(page, "run invert first"));
    assert_non_null(strstr(page, "run generate first"));
    free(page);
    make_latents(&dataset, false);
    make_predictions(&dataset, "transfer", 5);
    assert_false(is_current(&HO_STAGE_REPORT));
    CHECK_OK(HO_STAGE_REPORT.execute(run));
    assert_true(is_current(&HO_STAGE_REPORT));
    assert_true(reported("reconstructions.png") && reported("predictions_16.png") && !reported("synthetic_16.png"));
    ho_dataset_free(&dataset);
    close_run();
}

static void cut(const char *name) {
    struct stat about;
    const char *path = ho_run_path(run, "%s", name);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(truncate(path, about.st_size / 2), 0);
}

/* A file that is damaged costs what it holds and the stage's success; all else is made. */
static void damage_is_told(void **state) {
    (void)state;
    static const ho_stage *const stages[] = {&HO_STAGE_REPORT, NULL};
    const struct {
        const char *file, *lost, *still;
    } cases[] = {
        {"latents.h5", "reconstructions.png: ", "src=\"synthetic_16.png\""},
        {"synthetic_16/shard-00001.h5", "synthetic_16.png: ", "src=\"predictions_16.png\""},
        {"downstream/predictions_transfer_16.h5", "transfer in predictions_16.png", "src=\"predictions_16.png\""},
        {"samples/fakes000020.png", "gan_samples.png: ", "src=\"curves_train-gan.png\""},
        {"metrics.json", "metrics.json cannot be read", "src=\"predictions_16.png\""},
        {"dataset.h5", "dataset.h5: ", "src=\"curves_train-gan.png\""}};
    open_run("whole");
    CHECK_OK(ho_run_stages(run, stages, NULL, false));
    assert_true(is_current(&HO_STAGE_REPORT));
    for (int i = 0; i < CHECK_LEN(cases); ++i) { /* the damage adds up */
        cut(cases[i].file);
        for (int again = 0; again < 2; ++again) {
            assert_int_not_equal(ho_run_stages(run, stages, NULL, false), HO_OK);
            assert_non_null(strstr(ho_error(), i < 4 ? "report: reconstructions.png left out: "
                                                     : "report: table of results left out: "));
        }
        char *page = read_page();
        if (strstr(page, cases[i].lost) == NULL || strstr(page, cases[i].still) == NULL) {
            fail_msg("%s: the page lacks '%s' or '%s'", cases[i].file, cases[i].lost, cases[i].still);
        }
        free(page);
    }
    close_run();
}

static void a_folder_that_cannot_be_written_stops_it(void **state) {
    (void)state;
    open_run("part");
    char command[200];
    snprintf(command, sizeof command, "rm -r %s/runs/part/report && touch %s/runs/part/report", folder, folder);
    assert_int_equal(system(command), 0);
    CHECK_FAILS(HO_STAGE_REPORT.execute(run), HO_EIO, "report");
    close_run();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_run_gets_every_picture),
        cmocka_unit_test(a_report_is_current_until_something_changes),
        cmocka_unit_test(a_report_is_reproducible),
        cmocka_unit_test(what_is_missing_is_left_out),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(a_folder_that_cannot_be_written_stops_it),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
