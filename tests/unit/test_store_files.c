/* HDF5 stores on disk: files that appear only when whole, and what is said of those that cannot be read or written. */
#include "handsoff/store.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hdf5.h>

#include "opened_run.h"

static void refuses_what_is_no_store(void **state) {
    (void)state;
    ho_store *store;
    assert_int_equal(ho_store_open(in_folder("0.h5"), &store), HO_EIO);
    CHECK_SAYS("0.h5: No such file");
    assert_null(store);
    assert_int_equal(ho_store_open(folder, &store), HO_EIO);
    CHECK_SAYS("is a folder");
    assert_int_equal(ho_store_create(folder, &store), HO_EIO);
    CHECK_SAYS("is a folder");
    assert_int_equal(ho_store_create("/tmp/ho_no_such_folder/x.h5", &store), HO_EIO);
    CHECK_SAYS("No such file");
    assert_null(store);
    FILE *file = fopen(in_folder("0.h5"), "w");
    fputs("hello", file);
    fclose(file);
    assert_int_equal(ho_store_open(in_folder("0.h5"), &store), HO_EFORMAT);
    CHECK_SAYS("is not an HDF5 file");
}

static void refuses_a_truncated_file(void **state) {
    (void)state;
    float *values = calloc(5000, sizeof *values);
    ho_store *store;
    CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_write(store, "x", HO_F32, 1, (int64_t[]){5000}, values));
    commit(store);
    assert_int_equal(truncate(in_folder("0.h5"), 10000), 0);
    assert_int_equal(ho_store_open(in_folder("0.h5"), &store), HO_EFORMAT);
    CHECK_SAYS("0.h5");
    CHECK_SAYS("truncated");
    free(values);
}

static void disappears_without_commit(void **state) {
    (void)state;
    ho_store *store;
    uint8_t *bytes = calloc(3000000, 1);
    CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_write(store, "x", HO_U8, 1, (int64_t[]){3000000}, bytes));
    ho_store_close(store);
    assert_false(exists(in_folder("0.h5")));
    assert_false(temporary_exists(in_folder("0.h5")));
    free(bytes);
}

/* A file size limit fails writes as a full disk does. */
static void limit_file_size(rlim_t bytes) {
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes == RLIM_INFINITY ? limit.rlim_max : bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void a_full_disk_leaves_the_old_file(void **state) {
    (void)state;
    const float old = 7.0f;
    float *values = calloc(100000, sizeof *values), back = 0.0f;
    uint8_t *noise = malloc(2000000);
    srand(1);
    for (int i = 0; i < 2000000; i++) {
        noise[i] = (uint8_t)rand();
    }
    ho_store *store;
    CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_write(store, "x", HO_F32, 0, NULL, &old));
    commit(store);
    signal(SIGXFSZ, SIG_IGN);
    for (int chunked = 0; chunked < 2; chunked++) {
        CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
        limit_file_size(100000);
        ho_status status = chunked ? ho_store_write(store, "x", HO_U8, 1, (int64_t[]){2000000}, noise)
                                   : ho_store_write(store, "x", HO_F32, 1, (int64_t[]){100000}, values);
        if (status == HO_OK) {
            status = ho_store_commit(store);
        }
        assert_int_equal(status, HO_EIO);
        CHECK_SAYS("0.h5");
        CHECK_SAYS("File too large");
        assert_int_equal(ho_store_commit(store), HO_EIO);
        ho_store_close(store);
        limit_file_size(RLIM_INFINITY);
        assert_false(temporary_exists(in_folder("0.h5")));
        assert_int_equal(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_FILE), 0);
    }
    CHECK_OK(ho_store_open(in_folder("0.h5"), &store));
    CHECK_OK(ho_store_read(store, "x", HO_F32, 0, NULL, &back));
    assert_true(back == old);
    ho_store_close(store);
    free(values);
    free(noise);
}

/* In a child process that may lose the rights of the superuser. */
static void an_unwritable_folder_is_named(void **state) {
    (void)state;
    chmod(folder, 0555);
    const pid_t child = fork();
    if (child == 0) {
        ho_store *store;
        if (geteuid() == 0 && setuid(65534) != 0) {
            _exit(2);
        }
        _exit(ho_store_create(in_folder("0.h5"), &store) == HO_EIO && check_says("0.h5") &&
                      check_says("Permission denied")
                  ? 0
                  : 1);
    }
    int result = -1;
    waitpid(child, &result, 0);
    chmod(folder, 0700);
    assert_int_equal(result, 0);
}

/* HDF5 prints error stacks unless told not to; nothing may reach stderr. */
static void prints_nothing(void **state) {
    (void)state;
    const char *log = in_folder("stderr");
    const pid_t child = fork();
    if (child == 0) {
        const int file = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(file, 2);
        dup2(file, 1);
        ho_store *store;
        (void)!write(2, "", 0);
        _exit(ho_store_open("/tmp/ho_no_such.h5", &store) == HO_OK || ho_store_open("/dev/null", &store) == HO_OK);
    }
    int result = -1;
    waitpid(child, &result, 0);
    struct stat facts;
    assert_int_equal(stat(log, &facts), 0);
    unlink(log);
    assert_int_equal(result, 0);
    assert_int_equal(facts.st_size, 0);
}

/* A process that is gone: its unfinished file makes way. Those of others, and other names, stay. */
static void sweeps_what_a_killed_process_left(void **state) {
    (void)state;
    char dead[256], alive[256], other[256];
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, NULL, 0) == child);
    snprintf(dead, sizeof dead, "%s.tmp.%ld", in_folder("0.h5"), (long)child);
    snprintf(alive, sizeof alive, "%s.tmp.%ld", in_folder("0.h5"), (long)getppid());
    snprintf(other, sizeof other, "%s.tmp.%ldx", in_folder("0.h5"), (long)child);
    const char *const names[] = {dead, alive, other};
    for (int i = 0; i < 3; i++) {
        FILE *out = fopen(names[i], "w");
        assert_non_null(out);
        assert_int_equal(fclose(out), 0);
    }
    ho_store *store;
    CHECK_OK(ho_store_create(in_folder("0.h5"), &store));
    ho_store_close(store);
    assert_false(exists(dead));
    assert_true(exists(alive));
    assert_true(exists(other));
    assert_int_equal(unlink(alive), 0);
    assert_int_equal(unlink(other), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(prints_nothing, empty_folder),
        cmocka_unit_test_teardown(refuses_what_is_no_store, empty_folder),
        cmocka_unit_test_teardown(refuses_a_truncated_file, empty_folder),
        cmocka_unit_test_teardown(disappears_without_commit, empty_folder),
        cmocka_unit_test_teardown(a_full_disk_leaves_the_old_file, empty_folder),
        cmocka_unit_test_teardown(an_unwritable_folder_is_named, empty_folder),
        cmocka_unit_test_teardown(sweeps_what_a_killed_process_left, empty_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
