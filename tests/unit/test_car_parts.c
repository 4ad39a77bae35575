/* Car-Parts-Segmentation: small folders made here, and the real one where it is (HANDSOFF_TEST_DATA). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "folder.h"
#include "handsoff/import.h"

static char file[128]; /* FOLDER/annotations.json */

static void write_photo(const char *name, int width, int height) {
    char path[256];
    ho_image photo;
    snprintf(path, sizeof path, "%s/JPEGImages/%s", folder, name);
    CHECK_OK(ho_image_new(width, height, 3, &photo));
    memset(photo.pixels, 90, (size_t)width * (size_t)height * 3);
    CHECK_OK(ho_image_write_png(path, &photo));
    ho_image_free(&photo);
}

static int make_photos(void **state) {
    if (make_folder(state) != 0 || mkdir(in_folder("JPEGImages"), 0700) != 0) {
        return 1;
    }
    snprintf(file, sizeof file, "%s/annotations.json", folder);
    write_photo("a.png", 20, 20);
    write_photo("b.png", 40, 10);
    return 0;
}

#define IMAGES                                                                                                         \
    "\"images\": [{\"id\": 9, \"file_name\": \"b.png\"}, {\"id\": 2, \"file_name\": \"a.png\", \"path\": "             \
    "\"x/a.png\"}]"
#define CATEGORIES(first) "\"categories\": [{\"id\": " first ", \"name\": \"p\"}, {\"id\": 2, \"name\": \"q\"}]"
#define PART(id, image, class, polygon)                                                                                \
    "{\"id\": " id ", \"image_id\": " image ", \"category_id\": " class ", \"segmentation\": [" polygon "]}"
#define FILE_OF(first, parts) "{" IMAGES ", " CATEGORIES(first) ", \"annotations\": [" parts "]}"
#define SMALL                 "[4, 4, 8, 4, 8, 8, 4, 8]"
#define LARGE                 "[0, 0, 10, 0, 10, 30, 0, 30]"

/* v2: 1 -> 1, 2 -> 2;  v1: 0 -> 2, 2 -> 1. */
static ho_merge table(void) {
    static char *names[] = {"background", "one", "two"};
    ho_merge merge = {.n_classes = 3, .names = names};
    memset(merge.v1, 0xFF, sizeof merge.v1);
    memset(merge.v2, 0xFF, sizeof merge.v2);
    merge.v2[1] = 1;
    merge.v2[2] = 2;
    merge.v1[0] = 2;
    merge.v1[2] = 1;
    return merge;
}

static ho_status read_file(const char *text, ho_split *split) {
    const ho_merge merge = table();
    write_text(file, text);
    return ho_car_parts_read(folder, 10, HO_ASPECT_SQUASH, &merge, NULL, split);
}

/* The small part stays on top although it comes first; images are in the order of their ids; coordinates are scaled. */
static void large_parts_are_painted_first(void **state) {
    (void)state;
    ho_split split;
    CHECK_OK(read_file(
        FILE_OF("1", PART("5", "2", "1", SMALL) ", " PART("6", "2", "2", LARGE) ", " PART("7", "9", "2", SMALL)),
        &split));
    assert_int_equal(split.n, 2);
    assert_string_equal(split.names[0], "a.png");
    assert_string_equal(split.names[1], "b.png");
    assert_int_equal(split.images[0], 90);
    for (int i = 0; i < 100; i++) {
        const int x = i % 10, y = i / 10;
        const bool small = x >= 2 && x < 4 && y >= 2 && y < 4; /* 20 x 20 pixels became 10 x 10 */
        assert_int_equal(split.labels[i], small ? 1 : (x < 5 ? 2 : 0));
        assert_int_equal(split.labels[100 + i], x == 1 && y >= 4 && y < 8 ? 2 : 0); /* 40 x 10 */
    }
    ho_split_free(&split);
    CHECK_OK(read_file(FILE_OF("0", PART("5", "2", "0", SMALL) ", " PART("6", "2", "2", LARGE)), &split));
    assert_int_equal(split.labels[22], 2); /* a category 0: version 1 */
    assert_int_equal(split.labels[0], 1);
    ho_split_free(&split);
}

static void own_categories_without_a_table(void **state) {
    (void)state;
    ho_split split;
    ho_merge own;
    write_text(file, FILE_OF("1", PART("5", "2", "2", SMALL)));
    CHECK_OK(ho_car_parts_read(folder, 10, HO_ASPECT_SQUASH, NULL, &own, &split));
    assert_int_equal(own.n_classes, 2);
    assert_string_equal(own.names[1], "q");
    assert_int_equal(split.labels[22], 1);
    ho_split_free(&split);
    ho_merge_free(&own);
}

static void bad_files_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } BAD[] = {
        {"{\n \"images\": [,]}", "annotations.json:2: column 13: not JSON"},
        {"[]", "no list 'images'"},
        {FILE_OF("1", ""), "no list 'annotations'"},
        {FILE_OF("1", PART("5", "3", "1", SMALL)), "annotation 5 belongs to image 3, which 'images' does not list"},
        {FILE_OF("1", PART("5", "2", "7", SMALL)), "annotation 5 has category 7, which 'categories' does not list"},
        {FILE_OF("3", PART("5", "2", "3", SMALL)), "category 3, which the merge table (data.merge) does not list"},
        {FILE_OF("1", PART("5", "2", "1", "[1, 2, 3, 4]")), "annotation 5: polygon 0 has 4 numbers"},
        {FILE_OF("1", PART("5", "2", "1", "[1, 2, 3, 4, 5, \"x\"]")), "something that is no number"},
        {FILE_OF("1", PART("5", "2", "1", "")), "must be a list of polygons"},
        {FILE_OF("1", PART("\"x\"", "2", "1", SMALL)), "annotations[0] needs whole numbers"},
        {"{\"images\": [{\"id\": 1, \"file_name\": \"c.png\"}], " CATEGORIES("1") ", \"annotations\": [" PART(
             "5", "1", "1", SMALL) "]}",
         "c.png"},
        {"{\"images\": [{\"id\": 1, \"file_name\": \"a.png\", \"width\": 40, \"height\": 40}], " CATEGORIES(
             "1") ", \"annotations\": [" PART("5", "1", "1", SMALL) "]}",
         "a.png is 20 x 20 pixels, but its polygons in"},
    };
    ho_split split;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_not_equal(read_file(BAD[i].text, &split), HO_OK);
        CHECK_SAYS(BAD[i].says);
        CHECK_SAYS(folder);
        assert_null(split.images);
    }
    char path[256];
    snprintf(path, sizeof path, "%s/JPEGImages/no.jpg", folder);
    write_text(path, "no image");
    assert_int_not_equal(read_file("{\"images\": [{\"id\": 1, \"file_name\": \"no.jpg\"}], " CATEGORIES(
                                       "1") ", \"annotations\": [" PART("5", "1", "1", SMALL) "]}",
                                   &split),
                         HO_OK);
    CHECK_SAYS("no.jpg");
    unlink(file);
    const ho_merge merge = table();
    assert_int_equal(ho_car_parts_read(folder, 10, HO_ASPECT_SQUASH, &merge, NULL, &split), HO_EIO);
    CHECK_SAYS(file);
    assert_int_equal(ho_car_parts_read("/nowhere/cars", 10, HO_ASPECT_SQUASH, &merge, NULL, &split), HO_EIO);
    CHECK_SAYS("/nowhere/cars");
    CHECK_SAYS("HANDSOFF_DATA");
}

static void folders_of_photos(void **state) {
    (void)state;
    char path[256];
    ho_split split;
    snprintf(path, sizeof path, "%s/JPEGImages/no.jpg", folder);
    (void)remove(path);
    snprintf(path, sizeof path, "%s/JPEGImages", folder);
    CHECK_OK(ho_photo_folder_read(path, 8, HO_ASPECT_PAD, &split));
    assert_int_equal(split.n, 2);
    assert_null(split.labels);
    assert_string_equal(split.names[1], "b.png");
    assert_int_equal(split.images[2 * 8 * 8 * 3 - 1], 90);
    ho_split_free(&split);
    assert_int_equal(ho_photo_folder_read(folder, 8, HO_ASPECT_PAD, &split), HO_EFORMAT);
    CHECK_SAYS("no PNG or JPEG file");
    assert_int_equal(ho_photo_folder_read("/nowhere/photos", 8, HO_ASPECT_PAD, &split), HO_EIO);
    CHECK_SAYS("HANDSOFF_DATA");
}

/* The whole published set: instances of each category and its share of the pixels in percent, with large parts painted
 * first, both counted on the full-size training photos with another program. */
static const struct {
    const char *name;
    int instances;
    double share;
} TRUTH[] = {
    {"_background_", 0, 0},
    {"back_bumper", 101, 2.60},
    {"back_glass", 112, 1.14},
    {"back_left_door", 122, 1.27},
    {"back_left_light", 149, 0.31},
    {"back_right_door", 103, 1.13},
    {"back_right_light", 119, 0.31},
    {"front_bumper", 239, 9.50},
    {"front_glass", 218, 3.10},
    {"front_left_door", 132, 1.71},
    {"front_left_light", 236, 0.57},
    {"front_right_door", 105, 1.34},
    {"front_right_light", 211, 0.47},
    {"hood", 228, 3.55},
    {"left_mirror", 240, 0.19},
    {"right_mirror", 233, 0.19},
    {"tailgate", 50, 1.37},
    {"trunk", 82, 1.84},
    {"wheel", 393, 2.74},
};
enum { N_TRUTH = sizeof TRUTH / sizeof TRUTH[0] };

static const char *real_folder(void) {
    static char path[1024];
    struct stat info;
    const char *data = getenv("HANDSOFF_TEST_DATA");
    snprintf(path, sizeof path, "%s/car-parts/trainingset", data != NULL ? data : "../shared/data");
    if (stat(path, &info) != 0) {
        print_message("%s is not there\n", path);
        skip();
    }
    return path;
}

static void real_photos(void **state) {
    (void)state;
    enum { SIZE = 128 };
    const char *path = real_folder();
    ho_merge own;
    ho_split split;
    CHECK_OK(ho_car_parts_read(path, SIZE, HO_ASPECT_SQUASH, NULL, &own, &split));
    assert_int_equal(split.n, 400);
    assert_string_equal(split.names[0], "train1.jpg");
    assert_int_equal(own.n_classes, N_TRUTH);
    double pixels[N_TRUTH] = {0};
    int images[N_TRUTH] = {0};
    for (int n = 0; n < split.n; n++) {
        bool seen[N_TRUTH] = {false};
        for (int i = 0; i < SIZE * SIZE; i++) {
            const int k = split.labels[(size_t)n * SIZE * SIZE + (size_t)i];
            assert_in_range(k, 0, N_TRUTH - 1);
            pixels[k]++;
            seen[k] = true;
        }
        for (int k = 0; k < N_TRUTH; k++) {
            images[k] += seen[k];
        }
    }
    for (int k = 1; k < N_TRUTH; k++) {
        const double share = 100.0 * pixels[k] / (400.0 * SIZE * SIZE);
        assert_string_equal(own.names[k], TRUTH[k].name);
        /* The shares count every pixel that an edge touches: small parts are up to a third larger so. */
        if (!(share > 0.7 * TRUTH[k].share && share < 1.02 * TRUTH[k].share)) {
            fail_msg("%s: %.3f %% of the pixels, not %.2f", own.names[k], share, TRUTH[k].share);
        }
        /* Nearly every instance is in an image of its own; wheels come two at a time. */
        const double least = k == N_TRUTH - 1 ? 0.5 : 0.9;
        if (!(images[k] >= least * TRUTH[k].instances && images[k] <= TRUTH[k].instances)) {
            fail_msg("%s: in %d images, with %d instances", own.names[k], images[k], TRUTH[k].instances);
        }
    }
    ho_split_free(&split);
    ho_merge_free(&own);
}

static void real_merge(void **state) {
    (void)state;
    static const char *const NAMES[] = {"background", "bumper", "back_window", "door",  "light",
                                        "windshield", "hood",   "mirror",      "trunk", "wheel"};
    ho_merge merge;
    CHECK_OK(ho_merge_read("data/merges/car_parts_10.yml", &merge));
    assert_int_equal(merge.n_classes, 10);
    for (int k = 0; k < 10; k++) {
        assert_string_equal(merge.names[k], NAMES[k]);
    }
    for (int id = 0; id < 19; id++) { /* version 2 counts the same 19 categories from 1 */
        assert_true(merge.v1[id] >= 0);
        assert_int_equal(merge.v1[id], merge.v2[id + 1]);
    }
    assert_true(merge.v2[0] == -1 && merge.v2[20] == -1 && merge.v1[19] == -1);
    assert_true(merge.v2[8] == 1 && merge.v2[9] == 5 && merge.v2[16] == 7 && merge.v2[18] == 8);
    ho_merge_free(&merge);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_parts_are_painted_first),
        cmocka_unit_test(own_categories_without_a_table),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(folders_of_photos),
        cmocka_unit_test(real_photos),
        cmocka_unit_test(real_merge),
    };
    return cmocka_run_group_tests(tests, make_photos, remove_folder);
}
