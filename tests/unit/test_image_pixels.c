/* Pixels: resizing against Pillow, bytes and floats, drawing, text, grids. */
#include "handsoff/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "picture.h"
#include "tests/golden/resize_pillow.h"

static const uint8_t RED[3] = {255, 0, 0}, WHITE[3] = {255, 255, 255};

static void resizes_as_pillow(void **state) {
    (void)state;
    ho_image image = make_picture(23, 17, 3), small;
    for (size_t k = 0; k < sizeof PILLOW / sizeof *PILLOW; k++) {
        CHECK_OK(ho_image_resize(&image, PILLOW[k].width, PILLOW[k].height, &small));
        assert_int_equal(small.width, PILLOW[k].width);
        assert_int_equal(small.height, PILLOW[k].height);
        for (int i = 0; i < small.width * small.height * 3; i++) {
            if (abs(small.pixels[i] - PILLOW[k].pixels[i]) > 1) {
                fail_msg("%d x %d, value %d: Pillow gives %d, got %d", small.width, small.height, i,
                         PILLOW[k].pixels[i], small.pixels[i]);
            }
        }
        ho_image_free(&small);
    }
    CHECK_OK(ho_image_resize(&image, 23, 17, &small));
    assert_memory_equal(small.pixels, image.pixels, 23 * 17 * 3);
    ho_image_free(&small);
    assert_int_equal(ho_image_resize(&image, 0, 17, &small), HO_ESHAPE);
    ho_image_free(&image);
}

/* One channel behaves as each of three, and a constant stays what it is at the ends of the range. */
static void resize_keeps_constants_and_channels(void **state) {
    (void)state;
    ho_image white, grey = make_picture(50, 41, 1), colour, a, b;
    CHECK_OK(ho_image_new(101, 67, 3, &white));
    memset(white.pixels, 255, 101 * 67 * 3);
    CHECK_OK(ho_image_resize(&white, 13, 200, &a));
    for (int i = 0; i < 13 * 200 * 3; i++) {
        assert_int_equal(a.pixels[i], 255);
    }
    ho_image_free(&a);
    CHECK_OK(ho_image_new(50, 41, 3, &colour));
    ho_image_paste(&colour, 0, 0, &grey);
    CHECK_OK(ho_image_resize(&grey, 17, 60, &a));
    CHECK_OK(ho_image_resize(&colour, 17, 60, &b));
    for (int i = 0; i < 17 * 60 * 3; i++) {
        assert_int_equal(b.pixels[i], a.pixels[i / 3]);
    }
    ho_image_free(&a);
    ho_image_free(&b);
    ho_image_free(&white);
    ho_image_free(&grey);
    ho_image_free(&colour);
}

static void bytes_and_floats(void **state) {
    (void)state;
    const float floats[8] = {-1.0f, 1.0f, 0.0f, -1.2f, 7.0f, NAN, 0.99f, -0.9999f};
    const uint8_t want[8] = {0, 255, 128, 0, 255, 0, 254, 0};
    uint8_t bytes[256], back[256];
    float all[256];
    ho_floats_to_bytes(floats, 8, bytes);
    assert_memory_equal(bytes, want, 8);
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    ho_bytes_to_floats(bytes, 256, all);
    assert_true(all[0] == -1.0f && all[255] == 1.0f);
    ho_floats_to_bytes(all, 256, back);
    assert_memory_equal(bytes, back, 256);
}

static int count_colour(const ho_image *image, const uint8_t colour[3]) {
    int n = 0;
    for (int i = 0; i < image->width * image->height; i++) {
        n += memcmp(image->pixels + 3 * i, colour, 3) == 0;
    }
    return n;
}

static void drawing_is_clipped(void **state) {
    (void)state;
    ho_image image, stamp;
    CHECK_OK(ho_image_new(10, 8, 3, &image));
    CHECK_OK(ho_image_new(4, 4, 3, &stamp));
    ho_image_fill(&stamp, 0, 0, 4, 4, WHITE);
    ho_image_fill(&image, -3, 6, 5, 50, RED);
    assert_int_equal(count_colour(&image, RED), 2 * 2);
    ho_image_paste(&image, 8, -2, &stamp);
    assert_int_equal(count_colour(&image, WHITE), 2 * 2);
    ho_image_paste(&image, 50, 50, &stamp);
    ho_image_paste(&image, -50, -50, &stamp);
    assert_int_equal(count_colour(&image, WHITE), 2 * 2);
    ho_image_fill(&image, 0, 0, 10, 8, WHITE);
    ho_image_line(&image, -1e7, -1e7, 1e7, 1e7, RED);
    assert_int_equal(count_colour(&image, RED), 8);
    ho_image_line(&image, NAN, 0, 3, 3, RED);
    ho_image_line(&image, 100, 0, 100, 50, RED);
    assert_int_equal(count_colour(&image, RED), 8);
    ho_image_fill(&image, 0, 0, 10, 8, WHITE);
    ho_image_line(&image, 2, 3, 7, 3, RED);
    ho_image_line(&image, 4, 4, 4, 4, RED);
    assert_int_equal(count_colour(&image, RED), 7);
    assert_memory_equal(image.pixels + (3 * 10 + 7) * 3, RED, 3);
    ho_image_free(&image);
    ho_image_free(&stamp);
}

/* Every printable character has its own picture, inside its cell; scale 2 is scale 1 enlarged. */
static void every_character_differs(void **state) {
    (void)state;
    ho_image cells[95], large;
    for (int i = 0; i < 95; i++) {
        const char text[2] = {(char)(32 + i), '\0'};
        CHECK_OK(ho_image_new(8, 12, 3, &cells[i]));
        assert_int_equal(ho_image_text(&cells[i], 1, 1, 1, RED, text), 6);
        assert_true((count_colour(&cells[i], RED) > 0) == (i > 0));
        for (int k = 0; k < i; k++) {
            assert_memory_not_equal(cells[i].pixels, cells[k].pixels, (size_t)8 * 12 * 3);
        }
        CHECK_OK(ho_image_new(16, 24, 3, &large));
        assert_int_equal(ho_image_text(&large, 2, 2, 2, RED, text), 12);
        assert_int_equal(count_colour(&large, RED), 4 * count_colour(&cells[i], RED));
        ho_image_free(&large);
    }
    CHECK_OK(ho_image_new(8, 12, 3, &large));
    assert_int_equal(ho_image_text(&large, 1, 1, 1, RED, "\n"), 6);
    assert_memory_equal(large.pixels, cells['?' - 32].pixels, (size_t)8 * 12 * 3);
    assert_int_equal(ho_image_text(&large, -3, -3, 3, RED, "long text"), 9 * 18);
    ho_image_free(&large);
    for (int i = 0; i < 95; i++) {
        ho_image_free(&cells[i]);
    }
}

static void grid_places_images(void **state) {
    (void)state;
    uint8_t images[5 * 2 * 3 * 3];
    for (int i = 0; i < (int)sizeof images; i++) {
        images[i] = (uint8_t)(1 + i / (2 * 3 * 3) * 40 + i % 18);
    }
    ho_image grid;
    CHECK_OK(ho_image_grid(images, 5, 2, 3, 2, &grid));
    assert_int_equal(grid.width, 6);
    assert_int_equal(grid.height, 6);
    for (int i = 0; i < 5; i++) {
        for (int y = 0; y < 2; y++) {
            assert_memory_equal(grid.pixels + ((i / 2 * 2 + y) * 6 + i % 2 * 3) * 3, images + (i * 2 + y) * 9, 9);
        }
    }
    assert_int_equal(grid.pixels[(5 * 6 + 5) * 3], 0); /* the place of a sixth image stays black */
    ho_image_free(&grid);
    CHECK_OK(ho_image_grid(images, 5, 2, 3, 99, &grid));
    assert_int_equal(grid.width, 15);
    ho_image_free(&grid);
    assert_int_equal(ho_image_grid(images, 0, 2, 3, 2, &grid), HO_ESHAPE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizes_as_pillow),       cmocka_unit_test(resize_keeps_constants_and_channels),
        cmocka_unit_test(bytes_and_floats),        cmocka_unit_test(drawing_is_clipped),
        cmocka_unit_test(every_character_differs), cmocka_unit_test(grid_places_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
