/* Runs: folders, records, what counts as current, the loop over the stages. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "opened_run.h"

static int fresh_run(void **state) {
    if (empty_folder(state) != 0) {
        return -1;
    }
    open_run_of("r", "", 0, NULL);
    return 0;
}

static int end_run(void **state) {
    (void)state;
    close_run();
    return 0;
}

static void test_paths(void **state) {
    (void)state;
    char want[128];
    snprintf(want, sizeof want, "%s/runs/r/a/b/17.png", folder);
    assert_string_equal(ho_run_path(run, "a/b/%d.png", 17), want);
    write_text(want, "x"); /* its folders exist */
    const char *first = ho_run_path(run, "first");
    for (int i = 0; i < 15; ++i) {
        ho_run_path(run, "other%d", i);
    }
    assert_non_null(strstr(first, "/runs/r/first"));
    unsetenv("HANDSOFF_DATA");
    assert_string_equal(ho_run_data_path(run, "{data}/x/y.h5"), "data/x/y.h5");
    setenv("HANDSOFF_DATA", "/elsewhere", 1);
    assert_string_equal(ho_run_data_path(run, "{data}/x/y.h5"), "/elsewhere/x/y.h5");
    assert_string_equal(ho_run_data_path(run, "data/x"), "data/x");
    unsetenv("HANDSOFF_DATA");
}

static void test_bad_folders(void **state) {
    (void)state;
    static const char *const NAMES[] = {"name=", "name=..", "name=a/b", "name=-x", "runs_dir="};
    const char *path = in_folder("c.yml");
    write_text(path, "seed: 0\n");
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; ++i) {
        ho_config *bad = NULL;
        ho_run *none = NULL;
        assert_int_equal(ho_config_load(path, 1, &NAMES[i], &bad), HO_OK);
        assert_int_equal(ho_run_open(bad, &none), HO_ECONFIG);
        assert_null(none);
        ho_config_free(bad);
    }
    static const struct {
        const char *override, *want;
    } CASES[] = {{"runs_dir=/dev/null/x", "cannot make folder /dev/null: a file of this name is in the way"},
                 {"runs_dir=/proc/x", "cannot make folder /proc/x"}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        ho_config *bad = NULL;
        ho_run *none = NULL;
        assert_int_equal(ho_config_load(path, 1, &CASES[i].override, &bad), HO_OK);
        assert_int_equal(ho_run_open(bad, &none), HO_EIO);
        assert_non_null(strstr(ho_error(), CASES[i].want));
        ho_config_free(bad);
    }
}

static const char *const PREFIXES[] = {"invert.", "seed"};

static void write_artefact_of(const char *name, const char *kind, const char *version, int n_inputs,
                              const char *const *inputs) {
    ho_store *store = NULL;
    const float value = 1.0F;
    assert_int_equal(ho_store_create(ho_run_path(run, "%s", name), &store), HO_OK);
    assert_int_equal(ho_store_write(store, "x", HO_F32, 1, (const int64_t[]){1}, &value), HO_OK);
    assert_int_equal(ho_run_record(run, store, "invert", kind, 2, PREFIXES, n_inputs, inputs), HO_OK);
    assert_int_equal(ho_store_set_text(store, "version", version), HO_OK);
    assert_int_equal(ho_store_commit(store), HO_OK);
    ho_store_close(store);
}

static void write_artefact(const char *name, int n_inputs, const char *const *inputs) {
    write_artefact_of(name, "latents", HO_VERSION, n_inputs, inputs);
}

/* Fails unless the artefact's state is `current` and the reason holds `want`. */
static void expect_current(bool current, int n_inputs, const char *const *inputs, const char *want) {
    const char *why = NULL;
    const bool is =
        ho_run_is_current(run, ho_run_path(run, "latents.h5"), "invert", 2, PREFIXES, n_inputs, inputs, &why);
    if (is != current || (want != NULL && strstr(why, want) == NULL)) {
        fail_msg("current: %d, because '%s'; wanted %d, '%s'", is, why, current, want != NULL ? want : "");
    }
}

static void test_record(void **state) {
    (void)state;
    char input[128];
    snprintf(input, sizeof input, "%s", ho_run_path(run, "dataset.h5"));
    const char *const inputs[] = {input};
    expect_current(false, 1, inputs, "dataset.h5 is missing: run import-data first");
    assert_int_equal(ho_run_need(run, input), HO_EIO);
    assert_non_null(strstr(ho_error(), "runs/r/dataset.h5 is missing: run import-data first"));
    write_text(input, "data");
    assert_int_equal(ho_run_need(run, input), HO_OK);
    expect_current(false, 1, inputs, "latents.h5 does not exist yet");
    write_artefact("latents.h5", 1, inputs);
    expect_current(true, 1, inputs, NULL);

    ho_store *store = NULL;
    char text[4096];
    double number = 0.0;
    assert_int_equal(ho_store_open(ho_run_path(run, "latents.h5"), &store), HO_OK);
    assert_int_equal(ho_store_get_text(store, "inputs", text, sizeof text), HO_OK);
    /* sha256sum of the four bytes "data" */
    assert_string_equal(text, "dataset.h5 3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7\n");
    assert_int_equal(ho_store_get_text(store, "config", text, sizeof text), HO_OK);
    assert_true(strncmp(text, "seed: 0\ninvert.start: encoder\n", 30) == 0);
    assert_int_equal(ho_store_get_text(store, "kind", text, sizeof text), HO_OK);
    assert_string_equal(text, "latents");
    assert_int_equal(ho_store_get_text(store, "stage", text, sizeof text), HO_OK);
    assert_string_equal(text, "invert");
    assert_int_equal(ho_store_get_text(store, "version", text, sizeof text), HO_OK);
    assert_string_equal(text, HO_VERSION);
    assert_int_equal(ho_store_get_number(store, "schema", &number), HO_OK);
    assert_true(number == 1.0);
    ho_store_close(store);

    /* The same size and another content: the digest is not taken from the first reading. */
    write_text(input, "atad");
    expect_current(false, 1, inputs, "input dataset.h5 changed");
    write_text(input, "data");
    expect_current(true, 1, inputs, NULL);
    expect_current(false, 0, NULL, "input changed: dataset.h5 is gone");
    const char *const two[] = {input, input};
    expect_current(false, 2, two, "input changed: dataset.h5 is new");
    assert_int_equal(unlink(input), 0);
    expect_current(false, 1, inputs, "is missing: run import-data first");
}

static void test_record_follows_config(void **state) {
    (void)state;
    write_artefact("latents.h5", 0, NULL);
    expect_current(true, 0, NULL, NULL);
    close_run();
    static const struct {
        const char *override;
        bool current;
        const char *want;
    } CASES[] = {{"invert.steps=300", false, "config changed: invert.steps was '500', is '300'"},
                 {"invert.lr=1e-1", true, NULL}, /* the same number */
                 {"gan.lr=0.1", true, NULL},     /* not a key of this stage */
                 {"seed=7", false, "seed changed: was 0, is 7"}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        open_run_of("r", "", 1, &CASES[i].override);
        expect_current(CASES[i].current, 0, NULL, CASES[i].want);
        close_run();
    }
    open_run_of("r", "", 0, NULL);
}

static void test_version_counts_for_results_alone(void **state) {
    (void)state;
    static const struct {
        const char *kind;
        bool current;
    } CASES[] = {{"latents", false}, {"gan checkpoint", true}, {"checkpoint", true}, {"dataset", true}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        write_artefact_of("latents.h5", CASES[i].kind, "0.0.1", 0, NULL);
        expect_current(CASES[i].current, 0, NULL, CASES[i].current ? NULL : "version changed: was '0.0.1'");
    }
}

/* Another process cannot open the run until this one closes it or is killed. */
static void test_lock(void **state) {
    (void)state;
    char pid[64];
    ho_run *second = NULL;
    snprintf(pid, sizeof pid, "runs/r is in use by process %ld on ", (long)getpid());
    assert_int_equal(ho_run_open((ho_config *)ho_run_config(run), &second), HO_EIO);
    assert_null(second);
    assert_non_null(strstr(ho_error(), pid));
    close_run();
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        open_run_of("r", "", 0, NULL);
        (void)!write(ready[1], "x", 1);
        for (;;) {
            pause();
        }
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    char runs_dir[128];
    snprintf(runs_dir, sizeof runs_dir, "runs_dir=%s/runs", folder);
    const char *const overrides[] = {"name=r", runs_dir};
    ho_config *config = NULL;
    assert_int_equal(ho_config_load(in_folder("r.yml"), 2, overrides, &config), HO_OK);
    const ho_status locked = ho_run_open(config, &second);
    snprintf(pid, sizeof pid, "process %ld on ", (long)child);
    const bool named = locked != HO_OK && strstr(ho_error(), pid) != NULL;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(locked, HO_EIO);
    assert_true(named);
    ho_config_free(config);
    open_run_of("r", "", 0, NULL);
}

static void test_set_aside(void **state) {
    (void)state;
    static const char *const NAMES[] = {"pictures", "logs/s.jsonl", "never.h5"};
    for (int number = 1; number <= 2; ++number) {
        const char *kept = NULL;
        char want[128];
        write_text(ho_run_path(run, "pictures/a.png"), number == 1 ? "first" : "second");
        write_text(ho_run_path(run, "logs/s.jsonl"), "log");
        assert_int_equal(ho_run_set_aside(run, "s", 3, NAMES, &kept), HO_OK);
        snprintf(want, sizeof want, "%s/runs/r/old/s-%d", folder, number);
        assert_string_equal(kept, want);
        assert_false(exists(in_folder("runs/r/pictures")));
        assert_string_equal(read_text(ho_run_path(run, "old/s-%d/s.jsonl", number)), "log");
    }
    assert_string_equal(read_text(ho_run_path(run, "old/s-1/pictures/a.png")), "first");
    assert_string_equal(read_text(ho_run_path(run, "old/s-2/pictures/a.png")), "second");
}

static void test_damaged_artefacts(void **state) {
    (void)state;
    write_artefact("latents.h5", 0, NULL);
    const char *path = ho_run_path(run, "latents.h5");
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(truncate(path, about.st_size / 2), 0);
    expect_current(false, 0, NULL, "latents.h5");
    write_text(path, "no HDF5 file");
    expect_current(false, 0, NULL, "latents.h5");
    ho_store *store = NULL;
    assert_int_equal(ho_store_create(path, &store), HO_OK);
    assert_int_equal(ho_store_commit(store), HO_OK);
    ho_store_close(store);
    expect_current(false, 0, NULL, "no record of how it was made");
}

static void test_folder_as_input(void **state) {
    (void)state;
    char images[128];
    snprintf(images, sizeof images, "%s/images", folder);
    assert_int_equal(mkdir(images, 0777), 0);
    char a[160], b[160];
    snprintf(a, sizeof a, "%s/a.png", images);
    snprintf(b, sizeof b, "%s/b.png", images);
    write_text(a, "1");
    write_text(b, "2");
    setenv("HANDSOFF_DATA", folder, 1);
    const char *const inputs[] = {images};
    write_artefact("latents.h5", 1, inputs);
    expect_current(true, 1, inputs, NULL);
    write_text(a, "3");
    expect_current(false, 1, inputs, "input {data}/images changed");
    write_text(a, "1");
    expect_current(true, 1, inputs, NULL);
    assert_int_equal(rename(b, a), 0);
    expect_current(false, 1, inputs, "changed");
    unsetenv("HANDSOFF_DATA");
}

/* ---- the loop ---- */

static int runs_a, runs_b;
static ho_status b_result;
static bool a_current;

static ho_status current_a(ho_run *of, bool *is_current, const char **why) {
    (void)of;
    *is_current = a_current;
    *why = "never ran";
    return HO_OK;
}
static ho_status execute_a(ho_run *of) {
    ++runs_a;
    a_current = true;
    ho_run_progress(of, "a", 1, 1, "step", "loss %g", 0.5);
    write_text(ho_run_path(of, "dataset.h5"), "data");
    return HO_OK;
}
static ho_status current_b(ho_run *of, bool *is_current, const char **why) {
    const char *const inputs[] = {ho_run_path(of, "dataset.h5")};
    *is_current = ho_run_is_current(of, ho_run_path(of, "latents.h5"), "invert", 2, PREFIXES, 1, inputs, why);
    return HO_OK;
}
static ho_status execute_b(ho_run *of) {
    ++runs_b;
    if (b_result != HO_OK) {
        HO_FAIL(b_result, "stopped on purpose");
    }
    const char *const inputs[] = {ho_run_path(of, "dataset.h5")};
    write_artefact("latents.h5", 1, inputs);
    return HO_OK;
}

static const ho_stage STAGE_A = {"make-a", "makes a", current_a, execute_a};
static const ho_stage STAGE_B = {"make-b", "makes b", current_b, execute_b};
static const ho_stage *const STAGES[] = {&STAGE_A, &STAGE_B, NULL};

static int fresh_stages(void **state) {
    runs_a = runs_b = 0;
    b_result = HO_OK;
    a_current = false;
    return fresh_run(state);
}

static void expect_runs(const char *only, bool force, int a, int b) {
    const int before_a = runs_a, before_b = runs_b;
    if (ho_run_stages(run, STAGES, only, force) != HO_OK) {
        fail_msg("%s", ho_error());
    }
    assert_int_equal(runs_a - before_a, a);
    assert_int_equal(runs_b - before_b, b);
}

static void test_stages_run_when_needed(void **state) {
    (void)state;
    assert_int_equal(ho_run_stages(run, STAGES, "make-b", false), HO_EIO);
    assert_non_null(strstr(ho_error(), "make-b: "));
    assert_non_null(strstr(ho_error(), "runs/r/dataset.h5 is missing: run import-data first"));
    assert_int_equal(runs_b, 0);
    assert_int_equal(ho_run_stages(run, STAGES, "make-b", true), HO_EIO); /* force does not make the input */
    expect_runs(NULL, false, 1, 1);
    expect_runs("", false, 0, 0);
    expect_runs("make-b", true, 0, 1);
    expect_runs("make-b,make-a", true, 1, 1);
    write_text(ho_run_path(run, "dataset.h5"), "other");
    expect_runs(NULL, false, 0, 1);
    assert_int_equal(ho_run_stages(run, STAGES, "make-c", false), HO_EUSAGE);
    assert_string_equal(ho_error(), "unknown stage 'make-c', did you mean 'make-a'?");

    json_t *root = json_load_file(ho_run_path(run, "metrics.json"), 0, NULL);
    json_t *stages = json_object_get(root, "stages");
    assert_int_equal(json_array_size(stages), 2);
    const json_t *first = json_array_get(stages, 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "make-a");
    assert_true(json_number_value(json_object_get(first, "seconds")) >= 0.0);
    assert_true(json_number_value(json_object_get(first, "peak_rss_mb")) > 1.0);
    json_decref(root);
}

static void test_forced_stage_goes_on(void **state) {
    (void)state;
    expect_runs(NULL, false, 1, 1);
    char checkpoint[160], other[160];
    snprintf(checkpoint, sizeof checkpoint, "%s", ho_run_path(run, "checkpoints/make-b.h5"));
    snprintf(other, sizeof other, "%s", ho_run_path(run, "checkpoints/make-bb.h5"));
    write_text(checkpoint, "old");
    write_text(other, "of another stage");
    b_result = HO_EINTERRUPT;
    assert_int_equal(ho_run_stages(run, STAGES, "make-b", true), HO_EINTERRUPT);
    assert_string_equal(ho_error(), "make-b: stopped on purpose");
    assert_int_not_equal(access(checkpoint, F_OK), 0); /* forced: from the beginning */
    assert_int_equal(access(other, F_OK), 0);
    write_text(checkpoint, "half done");
    assert_int_equal(ho_run_stages(run, STAGES, "make-b", true), HO_EINTERRUPT);
    assert_int_equal(access(checkpoint, F_OK), 0); /* the second try goes on */
    b_result = HO_OK;
    expect_runs("make-b", false, 0, 1); /* also without force, although the old artefact is current */
    expect_runs("make-b", false, 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_paths, fresh_run, end_run),
        cmocka_unit_test(test_bad_folders),
        cmocka_unit_test_setup_teardown(test_record, fresh_run, end_run),
        cmocka_unit_test_setup_teardown(test_record_follows_config, fresh_run, end_run),
        cmocka_unit_test_setup_teardown(test_version_counts_for_results_alone, fresh_run, end_run),
        cmocka_unit_test_setup_teardown(test_lock, fresh_run, end_run),
        cmocka_unit_test_setup_teardown(test_set_aside, fresh_run, end_run),
        cmocka_unit_test_setup_teardown(test_damaged_artefacts, fresh_run, end_run),
        cmocka_unit_test_setup_teardown(test_folder_as_input, fresh_run, end_run),
        cmocka_unit_test_setup_teardown(test_stages_run_when_needed, fresh_stages, end_run),
        cmocka_unit_test_setup_teardown(test_forced_stage_goes_on, fresh_stages, end_run),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
