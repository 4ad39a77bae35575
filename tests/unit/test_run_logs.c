/* What a run leaves besides its artefacts: logs, metrics, progress; and how signals stop it. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
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

/* A stage that is due. */
static bool ran;
static ho_status never_current(ho_run *of, bool *current, const char **why) {
    (void)of;
    *current = false;
    *why = "never ran";
    return HO_OK;
}
static ho_status note_that_it_ran(ho_run *of) {
    (void)of;
    ran = true;
    return HO_OK;
}
static const ho_stage STAGE = {"make-a", "makes a", never_current, note_that_it_ran};
static const ho_stage *const STAGES[] = {&STAGE, NULL};

static void test_log(void **state) {
    (void)state;
    ho_run_log(run, "s", "step", 1.0, "loss", 0.25, NULL);
    ho_run_log(run, "s", "step", 2.0, "loss", (double)NAN, "x", -(double)INFINITY, NULL);
    ho_run_log(run, "s", "step", 3.0, "loss", 1e-30, NULL);
    const char *path = ho_run_path(run, "logs/s.jsonl");
    assert_string_equal(read_text(path), "{\"step\":1,\"loss\":0.25}\n{\"step\":2,\"loss\":null,\"x\":null}\n"
                                         "{\"step\":3,\"loss\":1e-30}\n");
    FILE *file = fopen(path, "a");
    fputs("{\"step\":0,\"lo", file); /* cut short by a crash */
    fclose(file);
    assert_int_equal(ho_run_log_restart(run, "s", "step", 3.0), HO_OK);
    assert_string_equal(read_text(path), "{\"step\":1,\"loss\":0.25}\n{\"step\":2,\"loss\":null,\"x\":null}\n");
    assert_int_equal(ho_run_log_restart(run, "s", "step", 0.0), HO_OK);
    assert_string_equal(read_text(path), "");
    assert_int_equal(ho_run_log_restart(run, "never", "step", 0.0), HO_OK);
}

static void test_metrics(void **state) {
    (void)state;
    static const char *const CLASSES[] = {"skin", "hair"};
    const double iou[] = {0.5, (double)NAN};
    const uint64_t seeds[] = {0, 1};
    ho_result result = {"handsoff", "segmentation", 16, 2, 2, seeds, 0.25, 0.01, 0.5, CLASSES, iou};
    assert_int_equal(ho_metrics_result(run, &result), HO_OK);
    result.labelled = 50;
    assert_int_equal(ho_metrics_result(run, &result), HO_OK);
    result.miou_mean = 0.75;
    assert_int_equal(ho_metrics_result(run, &result), HO_OK);
    assert_int_equal(ho_metrics_inversion(run, "refine", "before", 0.5, 0.25, 1.0), HO_OK);
    assert_int_equal(ho_metrics_inversion(run, "refine", "after", 0.25, 0.125, 2.0), HO_OK);
    json_t *root = json_load_file(ho_run_path(run, "metrics.json"), 0, NULL);
    json_t *results = json_object_get(root, "results");
    assert_int_equal(json_array_size(results), 2);
    const json_t *second = json_array_get(results, 1);
    assert_true(json_number_value(json_object_get(second, "miou_mean")) == 0.75);
    assert_true(json_number_value(json_object_get(second, "miou_std")) == 0.01);
    assert_true(json_number_value(json_object_get(second, "miou_present_mean")) == 0.5);
    assert_int_equal(json_integer_value(json_object_get(second, "labelled")), 50);
    assert_int_equal(json_array_size(json_object_get(second, "seeds")), 2);
    const json_t *per_class = json_object_get(second, "per_class");
    assert_true(json_number_value(json_object_get(per_class, "skin")) == 0.5);
    assert_true(json_is_null(json_object_get(per_class, "hair")));
    const json_t *refine = json_object_get(json_object_get(root, "inversion"), "refine");
    assert_true(json_number_value(json_object_get(json_object_get(refine, "before"), "lpips")) == 0.5);
    assert_true(json_number_value(json_object_get(json_object_get(refine, "after"), "latent_mse")) == 2.0);
    json_decref(root);

    result.task = "depth";
    assert_int_equal(ho_metrics_result(run, &result), HO_OK);
    assert_int_equal(ho_metrics_clear_results(run, "segmentation"), HO_OK);
    root = json_load_file(ho_run_path(run, "metrics.json"), 0, NULL);
    results = json_object_get(root, "results");
    assert_int_equal(json_array_size(results), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(results, 0), "task")), "depth");
    json_decref(root);

    /* A damaged file stops the run before any work, and stays as it is. */
    write_text(ho_run_path(run, "metrics.json"), "{\"stages\": [\n");
    assert_int_equal(ho_run_stages(run, STAGES, NULL, false), HO_EFORMAT);
    assert_false(ran);
    assert_non_null(strstr(ho_error(), "metrics.json:"));
    assert_string_equal(read_text(ho_run_path(run, "metrics.json")), "{\"stages\": [\n");
    write_text(ho_run_path(run, "metrics.json"), "{\"results\": {}}");
    assert_int_equal(ho_metrics_stage(run, "a", 1.0, 1.0), HO_EFORMAT);
}

static void test_peak_rss_is_per_stage(void **state) {
    (void)state;
    const size_t bytes = (size_t)64 << 20;
    char *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(block != MAP_FAILED);
    memset(block, 1, bytes);
    const double with = ho_peak_rss_mb();
    assert_true(block[bytes / 2] == 1);
    assert_int_equal(munmap(block, bytes), 0);
    ho_peak_rss_reset();
    const double without = ho_peak_rss_mb();
    assert_true(with > 64.0);
    if (access("/proc/self/clear_refs", W_OK) == 0) {
        assert_true(without < with - 32.0);
    }
}

/* In a child: the first signal sets the flag, one at once after it changes nothing, a later one ends the process. */
static void test_signals(void **state) {
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        ho_run_catch_signals();
        const bool before = ho_run_interrupted();
        raise(SIGTERM);
        const bool after = ho_run_interrupted();
        const bool stops = ho_run_stages(run, STAGES, NULL, false) == HO_EINTERRUPT && !ran;
        raise(SIGINT);
        if (before || !after || !stops) {
            _exit(9);
        }
        const struct timespec pause = {.tv_sec = 1, .tv_nsec = 100000000};
        nanosleep(&pause, NULL);
        raise(SIGINT);
        _exit(8);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

/* Each of the signals that batch systems and terminals send sets the flag; an ignored SIGHUP (nohup) does not. */
static void test_signals_that_stop(void **state) {
    (void)state;
    static const int NUMBERS[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP, SIGHUP};
    for (int i = 0; i < 5; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            signal(SIGHUP, i == 4 ? SIG_IGN : SIG_DFL);
            ho_run_catch_signals();
            raise(NUMBERS[i]);
            _exit(ho_run_interrupted() ? 7 : 6);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), i == 4 ? 6 : 7);
    }
}

/* Without a terminal: the first line, and the one at 100 %; nothing in between within ten seconds. */
static void test_progress_without_terminal(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/stderr", folder);
    fflush(stderr);
    const int kept = dup(STDERR_FILENO), file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0666);
    assert_true(kept >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    for (int i = 0; i <= 1000; ++i) {
        ho_run_progress(run, "work", i, 1000, "steps", "loss %.2f", 1.0 / (i + 1));
    }
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(file);
    const char *text = read_text(path);
    assert_true(strncmp(text, "work: 0/1000 steps (0 %)  loss 1.00\n", 36) == 0);
    assert_non_null(strstr(text, "work: 1000/1000 steps (100 %)"));
    assert_true(strchr(strchr(text, '\n') + 1, '\n')[1] == '\0');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log, fresh_run, end_run),
        cmocka_unit_test_setup_teardown(test_metrics, fresh_run, end_run),
        cmocka_unit_test(test_peak_rss_is_per_stage),
        cmocka_unit_test_setup_teardown(test_signals, fresh_run, end_run),
        cmocka_unit_test(test_signals_that_stop),
        cmocka_unit_test_setup_teardown(test_progress_without_terminal, fresh_run, end_run),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
