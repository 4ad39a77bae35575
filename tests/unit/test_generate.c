/* train-head and generate end to end with a random 16-pixel generator: shards, index, filter, reader, PNG folder. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "handsoff/image.h"
#include "handsoff/import.h"
#include "handsoff/label_head.h"
#include "handsoff/random.h"
#include "handsoff/synthetic.h"
#include "src/stages/stages.h"

enum { SIZE = 16, CLASSES = 3, TRAIN = 4, Z = 8, HW = SIZE * SIZE };
static const ho_stylegan2_shape GENERATOR = {SIZE, SIZE, Z, 8, 64, 8, 2};

static char folder[64] = "/tmp/handsoff_generate_XXXXXX";
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

/* Opens run `name` with a small set-up and further overrides. */
static void open_run(const char *name, int n, const char *const *more) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s.yml", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "name: %s\nruns_dir: %s/runs\nthreads: 2\nlabelled: 4\n", name, folder);
    fputs("head: {members: 2, hidden: [8, 4], batch: 16, max_steps: 30, check_every: 10, min_pixels: 2}\n", file);
    fputs("generate: {n: 23, batch: 4, shard: 10}\nfilter: {fraction: 0.2}\n", file);
    fclose(file);
    CHECK_OK(ho_config_load(path, n, more, &config));
    CHECK_OK(ho_run_open(config, &run));
}

static void commit(ho_store *store) {
    CHECK_OK(ho_store_commit(store));
    ho_store_close(store);
}

/* generator.h5, dataset.h5 and latents.h5 of the open run. */
static void make_inputs(void) {
    ho_device *device = NULL;
    ho_generator *generator = NULL;
    ho_store *store = NULL;
    CHECK_OK(ho_run_device(run, &device));
    CHECK_OK(ho_generator_create(device, &GENERATOR, 1, &generator));
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

static bool is_current(const ho_stage *stage) {
    bool current = false;
    const char *why = NULL;
    CHECK_OK(stage->current(run, &current, &why));
    return current;
}

typedef struct {
    int64_t n;
    uint8_t *image, *label;
    float *js, *latent, *score;
} samples;

static samples read_samples(void) {
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

static void free_samples(samples *s) {
    free(s->image);
    free(s->label);
    free(s->js);
    free(s->latent);
    free(s->score);
}

/* The samples that both have are the same bits. */
static void assert_same_samples(const samples *a, const samples *b) {
    const size_t n = (size_t)(a->n < b->n ? a->n : b->n);
    assert_memory_equal(a->image, b->image, n * HW * 3);
    assert_memory_equal(a->label, b->label, n * HW);
    assert_memory_equal(a->js, b->js, n * HW * sizeof(float));
    assert_memory_equal(a->latent, b->latent, n * Z * sizeof(float));
    assert_memory_equal(a->score, b->score, n * sizeof(float));
}

static void make_set(const char *name, int n, const char *const *more) {
    open_run(name, n, more);
    make_inputs();
    CHECK_OK(HO_STAGE_TRAIN_HEAD.execute(run));
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
}

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

static void stop(const char *stage) {
    char command[512];
    snprintf(command, sizeof command, "%s %s %s", own_path, folder, stage);
    const int code = system(command);
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
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(interrupted_stages_go_on_to_the_same_bits),
        cmocka_unit_test(the_png_folder_is_that_of_the_released_code),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
