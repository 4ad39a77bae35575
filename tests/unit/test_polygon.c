/* Polygon fill and merge tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "handsoff/import.h"
#include "handsoff/random.h"

#define OK(call) assert_int_equal((call), HO_OK)

static void says(const char *text) {
    if (strstr(ho_error(), text) == NULL) {
        fail_msg("'%s' does not say '%s'", ho_error(), text);
    }
}

/* Even-odd by a ray to the right, one pixel at a time. */
static bool inside(int n, const double *points, double x, double y) {
    bool odd = false;
    for (int i = 0; i < n; i++) {
        const int j = (i + 1) % n;
        const double x0 = points[2 * i], y0 = points[2 * i + 1], x1 = points[2 * j], y1 = points[2 * j + 1];
        if ((y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)) {
            odd = !odd;
        }
    }
    return odd;
}

/* Random polygons, self-crossing ones too, with corners inside and outside the image. */
static void fill_equals_point_in_polygon(void **state) {
    (void)state;
    enum { W = 37, H = 23, MOST = 12 };
    uint8_t label[W * H];
    int filled = 0;
    for (uint64_t trial = 0; trial < 300; trial++) {
        double points[2 * MOST];
        const int n = 3 + (int)ho_uniform_int(1, trial, 1000, MOST - 2);
        for (int i = 0; i < n; i++) {
            points[2 * i] = ho_uniform(1, trial, 2 * (uint64_t)i) * (W + 30) - 15.0;
            points[2 * i + 1] = ho_uniform(1, trial, 2 * (uint64_t)i + 1) * (H + 30) - 15.0;
        }
        memset(label, 3, sizeof label);
        OK(ho_polygon_fill(label, W, H, n, points, 7));
        for (int i = 0; i < W * H; i++) {
            const bool in = inside(n, points, i % W + 0.5, i / W + 0.5);
            filled += in;
            if (label[i] != (in ? 7 : 3)) {
                fail_msg("polygon %d, pixel (%d, %d): %d", (int)trial, i % W, i / W, label[i]);
            }
        }
    }
    assert_true(filled > 10000);
}

/* Corners on pixel centres: neighbours share every pixel exactly once. */
static void neighbours_leave_no_gap(void **state) {
    (void)state;
    enum { W = 16, H = 16 };
    uint8_t a[W * H] = {0}, b[W * H] = {0};
    const double left[] = {0.5, 0.5, 7.5, 0.5, 9.5, 12.5, 0.5, 12.5},
                 right[] = {7.5, 0.5, 14.5, 0.5, 14.5, 12.5, 9.5, 12.5};
    OK(ho_polygon_fill(a, W, H, 4, left, 1));
    OK(ho_polygon_fill(b, W, H, 4, right, 1));
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            const bool in =
                x < 14 && y < 12; /* a centre on the left or upper edge is in, on the right or lower one out */
            assert_int_equal(a[y * W + x] + b[y * W + x], in);
        }
    }
    OK(ho_polygon_fill(a, W, H, 2, left, 9));
    assert_null(memchr(a, 9, sizeof a));
}

static void framings(void **state) {
    (void)state;
    const ho_framing squash = ho_framing_of(200, 100, 50, HO_ASPECT_SQUASH);
    assert_true(squash.x0 == 0.0 && squash.y0 == 0.0 && squash.scale_x == 0.25 && squash.scale_y == 0.5);
    const ho_framing crop = ho_framing_of(200, 100, 50, HO_ASPECT_CROP);
    assert_true(crop.x0 == 50.0 && crop.y0 == 0.0 && crop.scale_x == 0.5 && crop.scale_y == 0.5);
    const ho_framing pad = ho_framing_of(200, 100, 50, HO_ASPECT_PAD);
    assert_true(pad.x0 == 0.0 && pad.y0 == -50.0 && pad.scale_x == 0.25 && pad.scale_y == 0.25);
}

/* A photo of flat quarters: where each framing puts them. */
static void photos_become_square(void **state) {
    (void)state;
    ho_image photo, square;
    OK(ho_image_new(40, 20, 3, &photo));
    for (int i = 0; i < 40 * 20; i++) {
        photo.pixels[3 * i] = i % 40 < 20 ? 200 : 40;
        photo.pixels[3 * i + 1] = i / 40 < 10 ? 180 : 60;
    }
    static const struct {
        ho_aspect aspect;
        int x, y, red, green;
    } WANT[] = {
        {HO_ASPECT_SQUASH, 1, 1, 200, 180}, {HO_ASPECT_SQUASH, 8, 8, 40, 60}, {HO_ASPECT_CROP, 1, 1, 200, 180},
        {HO_ASPECT_CROP, 8, 8, 40, 60},     {HO_ASPECT_PAD, 1, 0, 200, 180},  {HO_ASPECT_PAD, 8, 9, 40, 60},
        {HO_ASPECT_PAD, 1, 6, 200, 60},
    };
    for (size_t i = 0; i < sizeof WANT / sizeof WANT[0]; i++) {
        OK(ho_photo_to_square(&photo, 10, WANT[i].aspect, &square));
        assert_int_equal(square.width, 10);
        assert_int_equal(square.height, 10);
        const uint8_t *at = square.pixels + 3 * (WANT[i].y * 10 + WANT[i].x);
        assert_int_equal(at[0], WANT[i].red);
        assert_int_equal(at[1], WANT[i].green);
        ho_image_free(&square);
    }
    ho_image_free(&photo);
}

static ho_status read_text(const char *text, ho_merge *merge) {
    char path[] = "/tmp/ho_test_merge_XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (int)strlen(text));
    close(file);
    const ho_status status = ho_merge_read(path, merge);
    unlink(path);
    return status;
}

#define CLASS(name, ids) "  - name: " name "\n    colour: [1, 2, 3]\n    v2: " ids "\n"

static void merge_tables(void **state) {
    (void)state;
    ho_merge merge;
    OK(read_text("classes:\n" CLASS("a", "[1]") CLASS("b", "[3, 2]") "    v1: [0]\n", &merge));
    assert_int_equal(merge.n_classes, 2);
    assert_string_equal(merge.names[1], "b");
    assert_int_equal(merge.palette[1][2], 3);
    assert_true(merge.v2[1] == 0 && merge.v2[2] == 1 && merge.v2[3] == 1 && merge.v2[4] == -1);
    assert_true(merge.v1[0] == 1 && merge.v1[1] == -1);
    ho_merge_free(&merge);
    static const struct {
        const char *text, *says;
    } BAD[] = {
        {"", "the file is empty"},
        {"class: 1\n", "expected one key, classes:"},
        {"classes:\n" CLASS("a", "[1]"), "1 classes"},
        {"classes:\n" CLASS("a", "[1]") CLASS("b", "[1]"), "source class 1 is listed twice"},
        {"classes:\n" CLASS("a", "[1]") CLASS("b", "[x]"), "expected a whole number from 0 to 255, found 'x'"},
        {"classes:\n" CLASS("a", "[1]") CLASS("b", "[300]"), ":7: expected a whole number"},
        {"classes:\n" CLASS("a", "[1]") CLASS("b", "3"), "expected a list"},
        {"classes:\n" CLASS("a", "[1]") "  - name: b\n", "class 'b' needs colour"},
        {"classes:\n" CLASS("a", "[1]") "  - colour: [1, 2, 3]\n", "has no name"},
        {"classes:\n" CLASS("a", "[1]") CLASS("b", "[2]") "    v3: [1]\n", "unknown key 'v3'"},
        {"classes: [1, 2\n", "not YAML"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_int_equal(read_text(BAD[i].text, &merge), HO_EFORMAT);
        says(BAD[i].says);
        assert_null(merge.names);
    }
    assert_int_equal(ho_merge_read("/nowhere/table.yml", &merge), HO_EIO);
    says("/nowhere/table.yml");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fill_equals_point_in_polygon),
        cmocka_unit_test(neighbours_leave_no_gap),
        cmocka_unit_test(framings),
        cmocka_unit_test(photos_become_square),
        cmocka_unit_test(merge_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
