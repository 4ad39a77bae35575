/* train-head and generate end to end with a random 16-pixel generator: shards, index, filter, reader, PNG folder. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handsoff/image.h"
#include "handsoff/label_head.h"
#include "handsoff/random.h"
#include "handsoff/synthetic.h"
#include "small_run.h"
#include "src/stages/stages.h"

static void the_set_holds_what_it_should(void **state) {
    (void)state;
    open_run("a", 0, NULL);
    make_inputs();
    assert_false(is_current(&HO_STAGE_TRAIN_HEAD));
    CHECK_OK(HO_STAGE_TRAIN_HEAD.execute(run));
    assert_true(is_current(&HO_STAGE_TRAIN_HEAD));
    assert_false(is_current(&HO_STAGE_GENERATE));
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_true(is_current(&HO_STAGE_GENERATE));
    samples s = read_samples();
    assert_int_equal(s.n, 23);
    ho_label_head *head = NULL;
    CHECK_OK(ho_label_head_load(check_device(), ho_run_path(run, "head_4.h5"), &head));
    assert_int_equal(ho_label_head_shape_of(head)->K, CLASSES);
    ho_label_head_free(head);
    for (int64_t i = 0; i < s.n; ++i) {
        /* z is drawn as random.h says; the score follows from the map, which the file keeps in half precision */
        for (int64_t c = 0; c < Z; ++c) {
            const double want = ho_normal(0, ho_stream_id("generate/z"), (uint64_t)(i * Z + c));
            assert_true(fabs(s.latent[i * Z + c] - want) < 1e-5);
        }
        assert_true(fabs(ho_top_mean(s.js + i * HW, HW, HW / 10) - s.score[i]) < 1e-3 * s.score[i] + 1e-6);
        assert_true(s.score[i] >= 0 && s.score[i] <= logf(2)); /* two members */
        assert_memory_not_equal(s.image + i * HW * 3, s.image + (i + 1) % s.n * HW * 3, HW * 3);
    }
    free_samples(&s);
    close_run();
}

static void the_filter_drops_the_highest_scores(void **state) {
    (void)state;
    open_run("a", 0, NULL);
    ho_synthetic set;
    CHECK_OK(ho_synthetic_read(ho_run_path(run, "synthetic_4.h5"), &set));
    samples s = read_samples();
    assert_true(set.n == 19 && set.n_generated == 23); /* floor(23 * 0.2) = 4 */
    assert_true(set.height == SIZE && set.width == SIZE && set.n_classes == CLASSES);
    assert_string_equal(set.class_names[2], "right");
    float highest_kept = 0;
    for (int64_t k = 0; k < set.n; ++k) {
        const int64_t i = set.index[k];
        assert_true(k == 0 || i > set.index[k - 1]);
        assert_true(set.scores[k] == s.score[i]);
        assert_memory_equal(set.images + k * HW * 3, s.image + i * HW * 3, HW * 3);
        assert_memory_equal(set.labels + k * HW, s.label + i * HW, HW);
        highest_kept = fmaxf(highest_kept, set.scores[k]);
    }
    int above = 0;
    for (int64_t i = 0; i < s.n; ++i) {
        above += s.score[i] > highest_kept;
    }
    assert_int_equal(above, 4);
    free_samples(&s);
    ho_synthetic_free(&set);
    close_run();
}

static void a_sample_depends_on_seed_and_number_alone(void **state) {
    (void)state;
    static const char *const longer[] = {"generate.n=30", "generate.shard=7"};
    static const char *const other[] = {"seed=1"};
    open_run("a", 0, NULL);
    samples a = read_samples();
    close_run();
    make_set("b", 2, longer);
    samples b = read_samples();
    assert_int_equal(b.n, 30);
    assert_same_samples(&a, &b);
    close_run();
    make_set("c", 1, other);
    samples c = read_samples();
    assert_memory_not_equal(a.latent, c.latent, sizeof(float) * Z);
    close_run();
    free_samples(&a);
    free_samples(&b);
    free_samples(&c);
}

static void whole_shards_are_kept_and_missing_ones_made_again(void **state) {
    (void)state;
    open_run("a", 0, NULL);
    samples before = read_samples();
    char hex[3][65];
    struct stat kept, again;
    CHECK_OK(ho_file_sha256(ho_run_path(run, "synthetic_4/shard-00001.h5"), hex[0]));
    CHECK_OK(ho_file_sha256(ho_run_path(run, "synthetic_4.h5"), hex[1]));
    assert_int_equal(stat(ho_run_path(run, "synthetic_4/shard-00000.h5"), &kept), 0);
    assert_int_equal(unlink(ho_run_path(run, "synthetic_4/shard-00001.h5")), 0);
    assert_false(is_current(&HO_STAGE_GENERATE));
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_true(is_current(&HO_STAGE_GENERATE));
    assert_int_equal(stat(ho_run_path(run, "synthetic_4/shard-00000.h5"), &again), 0);
    assert_true(kept.st_ino == again.st_ino && kept.st_mtim.tv_nsec == again.st_mtim.tv_nsec);
    CHECK_OK(ho_file_sha256(ho_run_path(run, "synthetic_4/shard-00001.h5"), hex[2]));
    assert_string_equal(hex[0], hex[2]);
    CHECK_OK(ho_file_sha256(ho_run_path(run, "synthetic_4.h5"), hex[2]));
    assert_string_equal(hex[1], hex[2]);
    samples after = read_samples();
    assert_same_samples(&before, &after);
    free_samples(&before);
    free_samples(&after);
    close_run();
}

static void a_changed_filter_makes_a_new_index_from_the_same_shards(void **state) {
    (void)state;
    static const char *const none[] = {"filter.rule=none"}, *const shorter[] = {"generate.n=12"};
    static const char *const impossible[] = {"filter.rule=handsoff"};
    ho_synthetic set;
    struct stat kept, again;
    open_run("a", 1, none);
    assert_int_equal(stat(ho_run_path(run, "synthetic_4/shard-00000.h5"), &kept), 0);
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_int_equal(stat(ho_run_path(run, "synthetic_4/shard-00000.h5"), &again), 0);
    assert_true(kept.st_ino == again.st_ino && kept.st_mtim.tv_nsec == again.st_mtim.tv_nsec);
    CHECK_OK(ho_synthetic_read(ho_run_path(run, "synthetic_4.h5"), &set));
    assert_int_equal(set.n, 23);
    ho_synthetic_free(&set);
    close_run();
    open_run("a", 1, impossible);
    CHECK_FAILS(HO_STAGE_GENERATE.execute(run), HO_ECONFIG, "filter.rule handsoff", "4 of 23");
    close_run();
    open_run("a", 1, shorter);
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    CHECK_OK(ho_synthetic_read(ho_run_path(run, "synthetic_4.h5"), &set));
    assert_int_equal(set.n_generated, 12);
    assert_int_equal(access(ho_run_path(run, "synthetic_4/shard-00002.h5"), F_OK), -1);
    ho_synthetic_free(&set);
    close_run();
}

/* Convolutions of another batch size may add in another order. */
static void the_batch_size_changes_last_bits_of_images_only(void **state) {
    (void)state;
    static const char *const batches[] = {"generate.batch=1", "generate.batch=7", "generate.batch=23"};
    make_set("batch", 0, NULL);
    samples first = read_samples();
    close_run();
    for (int b = 0; b < 3; ++b) {
        open_run("batch", 1, &batches[b]);
        CHECK_OK(HO_STAGE_GENERATE.execute(run));
        samples other = read_samples();
        assert_int_equal(other.n, first.n);
        assert_memory_equal(other.latent, first.latent, sizeof(float) * (size_t)(first.n * Z));
        assert_memory_equal(other.label, first.label, (size_t)(first.n * HW));
        for (int64_t i = 0; i < first.n * HW * 3; ++i) {
            if (abs(other.image[i] - first.image[i]) > 1) {
                fail_msg("%s: byte %lld is %d, was %d", batches[b], (long long)i, other.image[i], first.image[i]);
            }
        }
        free_samples(&other);
        close_run();
    }
    free_samples(&first);
}

static void force_makes_everything_again(void **state) {
    (void)state;
    static const ho_stage *const stages[] = {&HO_STAGE_TRAIN_HEAD, &HO_STAGE_GENERATE, NULL};
    static const char *const names[] = {"head_4.h5", "synthetic_4/shard-00001.h5", "synthetic_4.h5"};
    struct stat before[3], after[3];
    make_set("forced", 0, NULL);
    samples first = read_samples();
    for (int round = 0; round < 2; ++round) { /* up to date, then forced */
        for (int i = 0; i < 3; ++i) {
            assert_int_equal(stat(ho_run_path(run, "%s", names[i]), &before[i]), 0);
        }
        CHECK_OK(ho_run_stages(run, stages, NULL, round == 1));
        for (int i = 0; i < 3; ++i) {
            assert_int_equal(stat(ho_run_path(run, "%s", names[i]), &after[i]), 0);
            const bool same = before[i].st_mtim.tv_sec == after[i].st_mtim.tv_sec &&
                              before[i].st_mtim.tv_nsec == after[i].st_mtim.tv_nsec;
            assert_true(same == (round == 0));
        }
    }
    samples second = read_samples();
    assert_same_samples(&first, &second);
    free_samples(&first);
    free_samples(&second);
    close_run();
}

static void damage_is_named(void **state) {
    (void)state;
    ho_synthetic set;
    static const char *const too_many[] = {"labelled=5"};
    open_run("a", 0, NULL);
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_int_equal(truncate(ho_run_path(run, "synthetic_4/shard-00001.h5"), 1000), 0);
    const ho_status status = ho_synthetic_read(ho_run_path(run, "synthetic_4.h5"), &set);
    assert_int_not_equal(status, HO_OK);
    assert_non_null(strstr(ho_error(), "shard-00001.h5"));
    CHECK_OK(
        HO_STAGE_GENERATE.execute(run)); /* the index is current: nothing happens; without it the shard is made again */
    assert_int_equal(unlink(ho_run_path(run, "synthetic_4.h5")), 0);
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    CHECK_OK(ho_synthetic_read(ho_run_path(run, "synthetic_4.h5"), &set));
    ho_synthetic_free(&set);
    close_run();
    open_run("empty", 0, NULL);
    CHECK_FAILS(HO_STAGE_TRAIN_HEAD.execute(run), HO_EIO, "latents.h5 is missing: run invert first");
    CHECK_FAILS(HO_STAGE_GENERATE.execute(run), HO_EIO, "generator.h5 is missing: run train-gan first");
    close_run();
    open_run("a", 1, too_many);
    CHECK_FAILS(HO_STAGE_TRAIN_HEAD.execute(run), HO_ECONFIG, "labelled asks for 5", "holds 4");
    close_run();
}

static const char *const READ_WITH_NUMPY =
    "import pickle, sys, numpy as np\n"
    "folder = sys.argv[1]\n"
    "entries = pickle.load(open(folder + '/23_0.pickle', 'rb'))\n"
    "assert len(entries) == 23\n"
    "for i, e in enumerate(entries):\n"
    "    assert sorted(e) == ['image_label_name', 'image_name', 'js_name', 'latent', 'uncertrainty_score']\n"
    "    assert e['latent'].shape == (1, 8) and e['latent'].dtype == np.float64\n"
    "    assert e['image_name'] == '%s/%d.png' % (folder, i)\n"
    "    assert e['image_label_name'] == '%s/label_%d.png' % (folder, i)\n"
    "    js = np.load(e['js_name'])\n"
    "    assert js.shape == (16, 16) and js.dtype == np.float32\n"
    "    top = np.sort(js.ravel())[-25:].astype(np.float64).mean()\n"
    "    assert abs(top - e['uncertrainty_score']) < 1e-3 * top + 1e-6\n"
    "z = np.array([e['latent'][0] for e in entries])\n"
    "assert abs(z.mean()) < 0.3 and 0.7 < z.std() < 1.3\n";

static void the_png_folder_is_that_of_the_released_code(void **state) {
    (void)state;
    static const char *const png[] = {"generate.png=true"};
    static const char *const python = "/usr/bin/python3 -c 'import numpy' 2>/dev/null";
    char path[256], command[1024];
    open_run("a", 1, png);
    assert_false(is_current(&HO_STAGE_GENERATE));
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_true(is_current(&HO_STAGE_GENERATE));
    samples s = read_samples();
    ho_image image, label;
    CHECK_OK(ho_image_read(ho_run_path(run, "synthetic_4_png/22.png"), &image));
    CHECK_OK(ho_image_read_labels(ho_run_path(run, "synthetic_4_png/label_22.png"), &label));
    assert_true(image.width == SIZE && image.height == SIZE && label.width == SIZE && label.channels == 1);
    assert_memory_equal(image.pixels, s.image + 22 * HW * 3, HW * 3);
    assert_memory_equal(label.pixels, s.label + 22 * HW, HW);
    ho_image_free(&image);
    ho_image_free(&label);
    free_samples(&s);
    snprintf(path, sizeof path, "%s", ho_run_path(run, "synthetic_4_png"));
    close_run();
    if (system(python) != 0) {
        skip(); /* no NumPy here */
    }
    char script[128];
    snprintf(script, sizeof script, "%s/read.py", folder);
    FILE *file = fopen(script, "w");
    assert_non_null(file);
    fputs(READ_WITH_NUMPY, file);
    fclose(file);
    snprintf(command, sizeof command, "/usr/bin/python3 -W ignore %s %s", script, path);
    assert_int_equal(system(command), 0);
}

/* Signals are for a process: this program calls itself as "test_generate FOLDER STAGE", is interrupted before the
 * stage's first step and tells the stage's status. */
static const char *own_path;

static int interrupted_child(const char *in, const char *stage) {
    snprintf(folder, sizeof folder, "%s", in);
    open_run("stopped", 0, NULL);
    ho_run_catch_signals();
    raise(SIGINT);
    const ho_status status = (strcmp(stage, "train-head") == 0 ? HO_STAGE_TRAIN_HEAD : HO_STAGE_GENERATE).execute(run);
    close_run();
    return (int)status;
}

/* The run is closed meanwhile: one process at a time has it. */
static void stop(const char *stage) {
    char command[512];
    close_run();
    snprintf(command, sizeof command, "%s %s %s", own_path, folder, stage);
    const int code = system(command);
    open_run("stopped", 0, NULL);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), HO_EINTERRUPT);
}

static void interrupted_stages_go_on_to_the_same_bits(void **state) {
    (void)state;
    static const char *const names[] = {"head_4.h5", "synthetic_4.h5", "synthetic_4/shard-00002.h5"};
    char want[3][65], got[65];
    make_set("whole", 0, NULL);
    for (int i = 0; i < 3; ++i) {
        CHECK_OK(ho_file_sha256(ho_run_path(run, "%s", names[i]), want[i]));
    }
    close_run();
    open_run("stopped", 0, NULL);
    make_inputs();
    stop("train-head");
    assert_int_equal(access(ho_run_path(run, "checkpoints/train-head_4.h5"), F_OK), 0);
    assert_int_equal(access(ho_run_path(run, "head_4.h5"), F_OK), -1);
    CHECK_OK(HO_STAGE_TRAIN_HEAD.execute(run));
    assert_int_equal(access(ho_run_path(run, "checkpoints/train-head_4.h5"), F_OK), -1);
    stop("generate");
    assert_int_equal(access(ho_run_path(run, "synthetic_4/shard-00000.h5"), F_OK), -1);
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    for (int i = 0; i < 3; ++i) {
        CHECK_OK(ho_file_sha256(ho_run_path(run, "%s", names[i]), got));
        assert_string_equal(got, want[i]);
    }
    close_run();
}

static void fewer_images_leave_no_others_in_the_png_folder(void **state) {
    (void)state;
    static const char *const png[] = {"generate.png=true", "generate.n=20"};
    open_run("a", 2, png);
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_int_equal(access(ho_run_path(run, "synthetic_4_png/19.png"), F_OK), 0);
    assert_int_equal(access(ho_run_path(run, "synthetic_4_png/20_0.pickle"), F_OK), 0);
    static const char *const gone[] = {"20.png", "label_22.png", "20.npy", "23_0.pickle"};
    for (int i = 0; i < 4; ++i) {
        assert_int_not_equal(access(ho_run_path(run, "synthetic_4_png/%s", gone[i]), F_OK), 0);
    }
    close_run();
}

int main(int argc, char **argv) {
    own_path = argv[0];
    if (argc == 3) {
        return interrupted_child(argv[1], argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_set_holds_what_it_should),
        cmocka_unit_test(the_filter_drops_the_highest_scores),
        cmocka_unit_test(a_sample_depends_on_seed_and_number_alone),
        cmocka_unit_test(whole_shards_are_kept_and_missing_ones_made_again),
        cmocka_unit_test(a_changed_filter_makes_a_new_index_from_the_same_shards),
        cmocka_unit_test(the_batch_size_changes_last_bits_of_images_only),
        cmocka_unit_test(force_makes_everything_again),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(interrupted_stages_go_on_to_the_same_bits),
        cmocka_unit_test(the_png_folder_is_that_of_the_released_code),
        cmocka_unit_test(fewer_images_leave_no_others_in_the_png_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
