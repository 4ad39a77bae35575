/* The PNG folder of generate: it is stopped between images, and goes on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handsoff/store.h"
#include "small_run.h"
#include "src/stages/stages.h"

static const char *own_path;
static const char *const PNG[] = {"generate.png=true"};

static bool there(const char *name) {
    return access(ho_run_path(run, "%s", name), F_OK) == 0;
}

/* Signals are for a process: this program calls itself as "test_generate_png FOLDER". */
static int interrupted_child(const char *in) {
    snprintf(folder, sizeof folder, "%s", in);
    open_run("a", 1, PNG);
    ho_run_catch_signals();
    raise(SIGINT);
    const ho_status status = HO_STAGE_GENERATE.execute(run);
    if (status != HO_OK) {
        fprintf(stderr, "%s\n", ho_error());
    }
    close_run();
    return (int)status;
}

/* The status of generate in a process that gets SIGINT before it begins. The run is closed meanwhile: one process at a
 * time has it. */
static int stop(void) {
    char command[512];
    close_run();
    snprintf(command, sizeof command, "%s %s 2>%s/said", own_path, folder, folder);
    const int code = system(command);
    open_run("a", 1, PNG);
    assert_true(WIFEXITED(code));
    return WEXITSTATUS(code);
}

static bool said(const char *text) {
    char path[128], all[4096];
    snprintf(path, sizeof path, "%s/said", folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    all[fread(all, 1, sizeof all - 1, file)] = '\0';
    fclose(file);
    return strstr(all, text) != NULL;
}

static void an_interrupted_export_goes_on(void **state) {
    (void)state;
    struct stat first, again;
    make_set("a", 0, NULL);
    close_run();
    open_run("a", 1, PNG);
    assert_int_equal(stop(), HO_EINTERRUPT);
    assert_true(said("generate: 1/23 PNG images"));
    assert_true(said("stopped after 1 of 23 PNG images"));
    assert_true(there("synthetic_4_png/0.npy") && there("checkpoints/generate_png_4.h5"));
    assert_false(there("synthetic_4_png/1.png") || there("synthetic_4_png/23_0.pickle"));
    assert_int_equal(stop(), HO_EINTERRUPT);
    assert_true(said("going on from PNG image 1") && said("stopped after 2 of 23"));
    assert_int_equal(stat(ho_run_path(run, "synthetic_4_png/0.png"), &first), 0);
    assert_false(is_current(&HO_STAGE_GENERATE));
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_true(is_current(&HO_STAGE_GENERATE));
    assert_int_equal(stat(ho_run_path(run, "synthetic_4_png/0.png"), &again), 0);
    assert_true(first.st_ino == again.st_ino && first.st_mtim.tv_nsec == again.st_mtim.tv_nsec);
    assert_true(there("synthetic_4_png/22.npy") && there("synthetic_4_png/23_0.pickle"));
    assert_false(there("checkpoints/generate_png_4.h5"));
    close_run();
}

static void its_files_are_those_of_one_export(void **state) {
    (void)state;
    static const char *const begin[] = {"", "label_", ""}, *const end[] = {".png", ".png", ".npy"};
    make_set("b", 1, PNG);
    for (int i = 0; i < 3 * 23; ++i) {
        char name[32], other[160], hex[2][65];
        snprintf(name, sizeof name, "%s%d%s", begin[i % 3], i / 3, end[i % 3]);
        snprintf(other, sizeof other, "%s/runs/a/synthetic_4_png/%s", folder, name);
        CHECK_OK(ho_file_sha256(ho_run_path(run, "synthetic_4_png/%s", name), hex[0]));
        CHECK_OK(ho_file_sha256(other, hex[1]));
        assert_string_equal(hex[0], hex[1]);
    }
    close_run();
}

/* Images of another set, and a folder that is gone, are not gone on from. */
static void an_export_of_something_else_starts_anew(void **state) {
    (void)state;
    static const char *const other[] = {"generate.png=true", "filter.rule=none"};
    open_run("a", 1, PNG);
    for (int i = 0; i < 2; ++i) {
        assert_int_equal(unlink(ho_run_path(run, "synthetic_4_png/23_0.pickle")), 0);
        assert_int_equal(stop(), HO_EINTERRUPT);
        assert_true(said("stopped after 1 of 23") && there("checkpoints/generate_png_4.h5"));
        if (i == 0) {
            assert_int_equal(unlink(ho_run_path(run, "synthetic_4_png/0.npy")), 0);
        } else {
            close_run();
            open_run("a", 2, other);
            assert_int_equal(unlink(ho_run_path(run, "synthetic_4_png/0.png")), 0);
        }
        CHECK_OK(HO_STAGE_GENERATE.execute(run));
        assert_true(there("synthetic_4_png/0.png") && there("synthetic_4_png/0.npy"));
    }
    close_run();
}

/* PNG images of an earlier set would pass for those of the new one. */
static void a_new_set_leaves_no_images_of_the_old_one(void **state) {
    (void)state;
    static const char *const fewer[] = {"generate.png=false", "generate.n=20"};
    make_set("c", 1, PNG);
    assert_true(there("synthetic_4_png/22.png"));
    write_text(ho_run_path(run, "synthetic_4_png/99_0.pickle.part"), "");
    write_text(ho_run_path(run, "synthetic_4_png/5.png.tmp.1"), "");
    close_run();
    open_run("c", 1, (const char *[]){"generate.png=false"}); /* the same set: its images stay */
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_true(there("synthetic_4_png/22.png"));
    close_run();
    open_run("c", 2, fewer);
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_false(there("synthetic_4_png"));
    close_run();
    open_run("c", 1, PNG);
    write_text(ho_run_path(run, "synthetic_4_png/notes.txt"), "");
    CHECK_OK(HO_STAGE_GENERATE.execute(run));
    assert_true(there("synthetic_4_png/22.png") && there("synthetic_4_png/notes.txt"));
    close_run();
}

int main(int argc, char **argv) {
    own_path = argv[0];
    if (argc == 2) {
        return interrupted_child(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interrupted_export_goes_on),
        cmocka_unit_test(its_files_are_those_of_one_export),
        cmocka_unit_test(an_export_of_something_else_starts_anew),
        cmocka_unit_test(a_new_set_leaves_no_images_of_the_old_one),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
