/* dataset.h5: what is written comes back; bad files are refused with a message that says where; the choice of labelled
 * images nests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "handsoff/import.h"

#define OK(call) assert_int_equal((call), HO_OK)

enum { SIZE = 16, N_TRAIN = 5, N_TEST = 3, N_UNLABELLED = 2 };
static char path[] = "/tmp/ho_test_dataset_XXXXXX";

static void says(const char *text) {
    if (strstr(ho_error(), text) == NULL) {
        fail_msg("'%s' does not say '%s'", ho_error(), text);
    }
}

static void new_split(int n, bool labelled, uint64_t first, ho_split *split) {
    const ho_split_shape shape = {.n = n,
                                  .size = SIZE,
                                  .n_keypoints = labelled ? HO_TOY_FACE_KEYPOINTS : 0,
                                  .labels = labelled,
                                  .depth = labelled};
    static const char *const NAMES[N_TRAIN] = {"a.jpg", "", "c d.jpg", "\xc3\xa9.png", "e"};
    OK(ho_split_new(&shape, split));
    ho_toy_faces_fill(1, first, 0, n, split);
    OK(ho_strings_copy(n, NAMES, &split->names));
}

static void new_dataset(ho_dataset *dataset) {
    memset(dataset, 0, sizeof *dataset);
    new_split(N_TRAIN, true, 0, &dataset->train);
    new_split(N_TEST, true, 100, &dataset->test);
    new_split(N_UNLABELLED, false, 200, &dataset->unlabelled);
    dataset->n_classes = HO_TOY_FACE_CLASSES;
    dataset->n_keypoints = HO_TOY_FACE_KEYPOINTS;
    dataset->palette = malloc(sizeof HO_TOY_FACE_PALETTE);
    assert_non_null(dataset->palette);
    memcpy(dataset->palette, HO_TOY_FACE_PALETTE, sizeof HO_TOY_FACE_PALETTE);
    OK(ho_strings_copy(HO_TOY_FACE_CLASSES, HO_TOY_FACE_CLASS_NAMES, &dataset->class_names));
    OK(ho_strings_copy(HO_TOY_FACE_KEYPOINTS, HO_TOY_FACE_KEYPOINT_NAMES, &dataset->keypoint_names));
}

static void write_file(const ho_dataset *dataset) {
    ho_store *store = NULL;
    OK(ho_store_create(path, &store));
    OK(ho_dataset_write(store, dataset));
    OK(ho_store_commit(store));
    ho_store_close(store);
}

static void same_split(const ho_split *a, const ho_split *b) {
    const size_t pixels = (size_t)a->n * SIZE * SIZE;
    assert_int_equal(a->n, b->n);
    assert_int_equal(b->height, SIZE);
    assert_int_equal(b->width, SIZE);
    assert_memory_equal(a->images, b->images, 3 * pixels);
    assert_int_equal(a->labels == NULL, b->labels == NULL);
    assert_int_equal(a->keypoints == NULL, b->keypoints == NULL);
    assert_int_equal(a->depth == NULL, b->depth == NULL);
    if (a->labels != NULL) {
        assert_memory_equal(a->labels, b->labels, pixels);
        assert_memory_equal(a->depth, b->depth, pixels * sizeof(float));
        assert_memory_equal(a->keypoints, b->keypoints, (size_t)a->n * HO_TOY_FACE_KEYPOINTS * 3 * sizeof(float));
    }
    for (int i = 0; i < a->n; i++) {
        assert_string_equal(a->names[i], b->names[i]);
    }
}

static void comes_back(void **state) {
    (void)state;
    ho_dataset wrote, read;
    new_dataset(&wrote);
    write_file(&wrote);
    OK(ho_dataset_read(path, &read));
    same_split(&wrote.train, &read.train);
    same_split(&wrote.test, &read.test);
    same_split(&wrote.unlabelled, &read.unlabelled);
    assert_int_equal(read.n_classes, HO_TOY_FACE_CLASSES);
    assert_int_equal(read.n_keypoints, HO_TOY_FACE_KEYPOINTS);
    assert_memory_equal(read.palette, HO_TOY_FACE_PALETTE, sizeof HO_TOY_FACE_PALETTE);
    assert_string_equal(read.class_names[6], "mouth");
    assert_string_equal(read.keypoint_names[2], "nose_tip");
    ho_dataset_free(&read);
    ho_dataset_free(&wrote);
    assert_null(wrote.train.images);
}

static void labels_out_of_range_are_refused(void **state) {
    (void)state;
    ho_dataset wrote, read;
    new_dataset(&wrote);
    uint8_t *at = &wrote.test.labels[2 * SIZE * SIZE + 3 * SIZE + 5];
    *at = 255; /* ignore */
    write_file(&wrote);
    OK(ho_dataset_read(path, &read));
    ho_dataset_free(&read);
    *at = HO_TOY_FACE_CLASSES;
    write_file(&wrote);
    assert_int_equal(ho_dataset_read(path, &read), HO_EFORMAT);
    says("test/label");
    says("image 2 (c d.jpg), pixel x 5, y 3 has class 8");
    says(path);
    assert_null(read.train.images);
    ho_dataset_free(&wrote);
}

static void other_files_are_refused(void **state) {
    (void)state;
    ho_dataset read;
    ho_store *store = NULL;
    OK(ho_store_create(path, &store));
    const int64_t dim[3] = {2, SIZE, SIZE};
    static const uint8_t zeros[2 * SIZE * SIZE * 3];
    OK(ho_store_write(store, "train/image", HO_U8, 3, dim, zeros));
    OK(ho_store_commit(store));
    ho_store_close(store);
    assert_int_equal(ho_dataset_read(path, &read), HO_EFORMAT);
    says("'train/image' must be (n, H, W, 3)");

    OK(ho_store_create(path, &store));
    OK(ho_store_set_number(store, "x", 1.0));
    OK(ho_store_commit(store));
    ho_store_close(store);
    assert_int_equal(ho_dataset_read(path, &read), HO_EFORMAT);
    says("this is not a dataset.h5");

    assert_int_equal(truncate(path, 200), 0);
    assert_int_not_equal(ho_dataset_read(path, &read), HO_OK);
    says(path);
    unlink(path);
    assert_int_equal(ho_dataset_read(path, &read), HO_EIO);
    says(path);
}

static void label_of_another_shape_is_refused(void **state) {
    (void)state;
    ho_dataset read;
    ho_store *store = NULL;
    static const uint8_t zeros[4 * SIZE * SIZE * 3];
    OK(ho_store_create(path, &store));
    OK(ho_store_write(store, "train/image", HO_U8, 4, (const int64_t[]){4, SIZE, SIZE, 3}, zeros));
    OK(ho_store_write(store, "train/label", HO_U8, 3, (const int64_t[]){3, SIZE, SIZE}, zeros));
    OK(ho_store_commit(store));
    ho_store_close(store);
    assert_int_not_equal(ho_dataset_read(path, &read), HO_OK);
    says("train/label");
}

static void choices_nest(void **state) {
    (void)state;
    ho_dataset dataset;
    memset(&dataset, 0, sizeof dataset);
    dataset.train.n = 60;
    int64_t few[16], many[50], other[16], all[61];
    bool seen[60] = {false};
    OK(ho_dataset_choose(&dataset, 16, 4, few));
    OK(ho_dataset_choose(&dataset, 50, 4, many));
    OK(ho_dataset_choose(&dataset, 16, 5, other));
    assert_memory_equal(few, many, sizeof few);
    assert_memory_not_equal(few, other, sizeof few);
    OK(ho_dataset_choose(&dataset, 60, 4, all));
    for (int i = 0; i < 60; i++) {
        assert_in_range(all[i], 0, 59);
        assert_false(seen[all[i]]);
        seen[all[i]] = true;
    }
    assert_int_equal(ho_dataset_choose(&dataset, 61, 4, all), HO_ECONFIG);
    says("61 labelled images asked for, the data set has 60");
}

int main(void) {
    const int file = mkstemp(path);
    if (file < 0 || close(file) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(labels_out_of_range_are_refused),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(label_of_another_shape_is_refused),
        cmocka_unit_test(choices_nest),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
