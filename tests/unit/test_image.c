/* Image files, resizing against Pillow, drawing. */
#include "handsoff/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>

#include "handsoff/store.h"
#include "tests/golden/resize_pillow.h"

#define OK(call)   assert_int_equal((call), HO_OK)
#define SAYS(text) assert_true(says(text))

static char folder[] = "/tmp/ho_test_image_XXXXXX";
static char path[64], other[64];
static const uint8_t RED[3] = {255, 0, 0}, WHITE[3] = {255, 255, 255};

static bool says(const char *text) {
    const bool found = strstr(ho_error(), text) != NULL;
    if (!found) {
        fprintf(stderr, "'%s' does not say '%s'\n", ho_error(), text);
    }
    return found;
}

static int remove_files(void **state) {
    (void)state;
    unlink(path);
    unlink(other);
    return 0;
}

/* The formula of tests/golden/resize_pillow.py. */
static int value(int x, int y, int c) {
    return (x * x * 7 + y * 31 * (c + 1) + (x * y) % 11 * 19 + (x > 11 ? 90 : 0)) % 256;
}

static ho_image make_picture(int width, int height, int channels) {
    ho_image image;
    OK(ho_image_new(width, height, channels, &image));
    for (int i = 0; i < width * height * channels; i++) {
        image.pixels[i] = (uint8_t)value(i / channels % width, i / channels / width, i % channels);
    }
    return image;
}

static long size_of(const char *name) {
    struct stat facts;
    return stat(name, &facts) == 0 ? (long)facts.st_size : -1;
}

static void png_round_trips(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        ho_image image = make_picture(23, 17, channels), back;
        char first[65], second[65];
        OK(ho_image_write_png(path, &image));
        OK(ho_image_write_png(other, &image));
        OK(ho_file_sha256(path, first));
        OK(ho_file_sha256(other, second));
        assert_string_equal(first, second);
        OK(ho_image_read(path, &back));
        assert_int_equal(back.width, 23);
        assert_int_equal(back.height, 17);
        assert_int_equal(back.channels, 3);
        for (int i = 0; i < 23 * 17 * 3; i++) {
            assert_int_equal(back.pixels[i], image.pixels[channels == 3 ? i : i / 3]);
        }
        ho_image_free(&back);
        if (channels == 1) {
            OK(ho_image_read_labels(path, &back));
            assert_int_equal(back.channels, 1);
            assert_memory_equal(back.pixels, image.pixels, 23 * 17);
            ho_image_free(&back);
        } else {
            assert_int_equal(ho_image_read_labels(path, &back), HO_EFORMAT);
            SAYS("3 channels of 8 bits; labels are 8-bit grey or palette");
            assert_null(back.pixels);
        }
        ho_image_free(&image);
        assert_null(image.pixels);
    }
}

/* Any kind of PNG, straight from libpng: `samples` are the packed rows. */
static void write_raw_png(int type, int depth, int width, int height, const uint8_t *samples, int row_bytes) {
    FILE *file = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, depth, type, PNG_INTERLACE_NONE, 0, 0);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        const png_color colours[4] = {{0, 0, 0}, {10, 20, 30}, {40, 50, 60}, {70, 80, 90}};
        png_set_PLTE(png, info, colours, 4);
    }
    png_write_info(png, info);
    for (int y = 0; y < height; y++) {
        png_write_row(png, samples + y * row_bytes);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

static void reads_as(const uint8_t *want, int n) {
    ho_image image;
    OK(ho_image_read(path, &image));
    assert_int_equal(image.channels, 3);
    assert_int_equal(image.width * image.height * 3, n);
    assert_memory_equal(image.pixels, want, (size_t)n);
    ho_image_free(&image);
}

static void other_kinds_of_png_become_rgb(void **state) {
    (void)state;
    ho_image labels;
    write_raw_png(PNG_COLOR_TYPE_PALETTE, 2, 4, 1, (const uint8_t[]){0x1b}, 1); /* indices 0 1 2 3 */
    reads_as((const uint8_t[]){0, 0, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90}, 12);
    OK(ho_image_read_labels(path, &labels));
    assert_memory_equal(labels.pixels, ((const uint8_t[]){0, 1, 2, 3}), 4);
    ho_image_free(&labels);
    write_raw_png(PNG_COLOR_TYPE_GRAY, 1, 3, 1, (const uint8_t[]){0xa0}, 1);
    reads_as((const uint8_t[]){255, 255, 255, 0, 0, 0, 255, 255, 255}, 9);
    assert_int_equal(ho_image_read_labels(path, &labels), HO_EFORMAT);
    SAYS("1 channels of 1 bits");
    write_raw_png(PNG_COLOR_TYPE_RGB_ALPHA, 8, 2, 1, (const uint8_t[]){1, 2, 3, 0, 4, 5, 6, 128}, 8);
    reads_as((const uint8_t[]){1, 2, 3, 4, 5, 6}, 6);
    write_raw_png(PNG_COLOR_TYPE_GRAY_ALPHA, 8, 2, 1, (const uint8_t[]){9, 0, 7, 255}, 4);
    reads_as((const uint8_t[]){9, 9, 9, 7, 7, 7}, 6);
    write_raw_png(PNG_COLOR_TYPE_RGB, 16, 1, 1, (const uint8_t[]){0x10, 0x10, 0x80, 0x80, 0xff, 0xff}, 6);
    reads_as((const uint8_t[]){0x10, 0x80, 0xff}, 3);
    write_raw_png(PNG_COLOR_TYPE_GRAY, 16, 1, 1, (const uint8_t[]){0x40, 0x40}, 2);
    reads_as((const uint8_t[]){0x40, 0x40, 0x40}, 3);
}

static void write_jpeg(const ho_image *image, bool cmyk) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    FILE *file = fopen(path, "wb");
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = (JDIMENSION)image->width;
    jpeg.image_height = (JDIMENSION)image->height;
    jpeg.input_components = cmyk ? 4 : image->channels;
    jpeg.in_color_space = cmyk ? JCS_CMYK : image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    uint8_t *row = calloc((size_t)image->width, 4);
    for (int y = 0; y < image->height; y++) {
        const uint8_t *from = image->pixels + (size_t)y * image->width * image->channels;
        for (int x = 0; cmyk && x < image->width; x++) {
            memcpy(row + 4 * (size_t)x, from + 3 * (size_t)x, 3); /* inverted inks, as Adobe does; black is 255: none */
            row[4 * x + 3] = 255;
        }
        if (!cmyk) {
            memcpy(row, from, (size_t)image->width * (size_t)image->channels);
        }
        JSAMPROW rows[1] = {row};
        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(file);
    free(row);
}

static ho_image make_ramp(int channels) {
    ho_image image;
    OK(ho_image_new(40, 24, channels, &image));
    for (int i = 0; i < 40 * 24 * channels; i++) {
        image.pixels[i] = (uint8_t)(40 + i / channels % 40 * 3 + i / channels / 40 * 2 + i % channels * 10);
    }
    return image;
}

static void jpeg_is_read_as_rgb(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) { /* grey, RGB, CMYK */
        ho_image image = make_ramp(kind == 0 ? 1 : 3), back;
        write_jpeg(&image, kind == 2);
        OK(ho_image_read(path, &back));
        assert_int_equal(back.width, 40);
        assert_int_equal(back.height, 24);
        assert_int_equal(back.channels, 3);
        for (int i = 0; i < 40 * 24 * 3; i++) {
            const int want = image.pixels[kind == 0 ? i / 3 : i];
            assert_in_range(back.pixels[i] + 6, want, want + 12);
        }
        ho_image_free(&back);
        assert_int_equal(ho_image_read_labels(path, &back), HO_EFORMAT);
        SAYS("JPEG changes their values");
        ho_image_free(&image);
    }
}

static void truncated_files_are_refused(void **state) {
    (void)state;
    for (int jpeg = 0; jpeg < 2; jpeg++) {
        ho_image image = make_picture(64, 64, 3), back;
        if (jpeg) {
            write_jpeg(&image, false);
        } else {
            OK(ho_image_write_png(path, &image));
        }
        for (long size = size_of(path) * 3 / 4; size > 0; size /= 2) {
            assert_int_equal(truncate(path, size), 0);
            assert_int_equal(ho_image_read(path, &back), HO_EFORMAT);
            assert_null(back.pixels);
            SAYS(path);
        }
        ho_image_free(&image);
    }
}

static void flip_bytes(long from, int n) {
    FILE *file = fopen(path, "r+b");
    for (int i = 0; i < n; i++) {
        fseek(file, from + i, SEEK_SET);
        const int byte = fgetc(file);
        fseek(file, from + i, SEEK_SET);
        fputc(byte ^ 0x5a, file);
    }
    fclose(file);
}

static void damaged_png_is_refused(void **state) {
    (void)state;
    ho_image image = make_picture(64, 64, 3), back;
    OK(ho_image_write_png(path, &image));
    flip_bytes(size_of(path) / 2, 3);
    assert_int_equal(ho_image_read(path, &back), HO_EFORMAT);
    SAYS("is not a complete PNG file");
    ho_image_free(&image);
}

static void other_files_are_refused(void **state) {
    (void)state;
    ho_image image;
    assert_int_equal(ho_image_read(path, &image), HO_EIO);
    SAYS("No such file");
    assert_int_equal(ho_image_read(folder, &image), HO_EIO);
    SAYS("directory");
    FILE *file = fopen(path, "w");
    fclose(file);
    assert_int_equal(ho_image_read(path, &image), HO_EFORMAT);
    SAYS("is empty");
    file = fopen(path, "w");
    fputs("a text file\n", file);
    fclose(file);
    assert_int_equal(ho_image_read(path, &image), HO_EFORMAT);
    SAYS("neither a PNG nor a JPEG");
    assert_int_equal(ho_image_read_labels(path, &image), HO_EFORMAT);
    SAYS("is not a PNG file");
    uint8_t *row = calloc(20000, 1);
    write_raw_png(PNG_COLOR_TYPE_GRAY, 8, 20000, 1, row, 20000);
    free(row);
    assert_int_equal(ho_image_read(path, &image), HO_EFORMAT);
    SAYS("20000 x 1 pixels; 1 to 16384");
    assert_int_equal(ho_image_new(0, 5, 3, &image), HO_ESHAPE);
    assert_int_equal(ho_image_new(5, 5, 2, &image), HO_ESHAPE);
}

static void writing_fails_with_reason_and_without_rest(void **state) {
    (void)state;
    ho_image image = make_picture(8, 8, 3);
    assert_int_equal(ho_image_write_png("/tmp/ho_no_such_folder/x.png", &image), HO_EIO);
    SAYS("/tmp/ho_no_such_folder/x.png");
    SAYS("No such file");
    char temporary[128];
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    assert_int_equal(symlink("/dev/full", temporary), 0); /* every write fails: the disk is full */
    assert_int_equal(ho_image_write_png(path, &image), HO_EIO);
    SAYS("No space left");
    assert_int_equal(size_of(path), -1);
    assert_int_equal(access(temporary, F_OK), -1);
    ho_image empty = {0, 0, 3, NULL};
    assert_int_equal(ho_image_write_png(path, &empty), HO_EFORMAT);
    ho_image_free(&image);
}

static void resizes_as_pillow(void **state) {
    (void)state;
    ho_image image = make_picture(23, 17, 3), small;
    for (size_t k = 0; k < sizeof PILLOW / sizeof *PILLOW; k++) {
        OK(ho_image_resize(&image, PILLOW[k].width, PILLOW[k].height, &small));
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
    OK(ho_image_resize(&image, 23, 17, &small));
    assert_memory_equal(small.pixels, image.pixels, 23 * 17 * 3);
    ho_image_free(&small);
    assert_int_equal(ho_image_resize(&image, 0, 17, &small), HO_ESHAPE);
    ho_image_free(&image);
}

/* One channel behaves as each of three, and a constant stays what it is at the ends of the range. */
static void resize_keeps_constants_and_channels(void **state) {
    (void)state;
    ho_image white, grey = make_picture(50, 41, 1), colour, a, b;
    OK(ho_image_new(101, 67, 3, &white));
    memset(white.pixels, 255, 101 * 67 * 3);
    OK(ho_image_resize(&white, 13, 200, &a));
    for (int i = 0; i < 13 * 200 * 3; i++) {
        assert_int_equal(a.pixels[i], 255);
    }
    ho_image_free(&a);
    OK(ho_image_new(50, 41, 3, &colour));
    ho_image_paste(&colour, 0, 0, &grey);
    OK(ho_image_resize(&grey, 17, 60, &a));
    OK(ho_image_resize(&colour, 17, 60, &b));
    for (int i = 0; i < 17 * 60 * 3; i++) {
        assert_int_equal(b.pixels[i], a.pixels[i / 3]);
    }
    ho_image_free(&a);
    ho_image_free(&b);
    ho_image_free(&white);
    ho_image_free(&grey);
    ho_image_free(&colour);
}

static void labels_take_the_nearest_centre(void **state) {
    (void)state;
    static const int SIZES[][2] = {{1, 1}, {3, 2}, {7, 11}, {20, 19}, {50, 64}};
    ho_image labels = make_picture(20, 19, 1), made;
    for (size_t k = 0; k < sizeof SIZES / sizeof *SIZES; k++) {
        const int width = SIZES[k][0], height = SIZES[k][1];
        OK(ho_image_resize_labels(&labels, width, height, &made));
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                const int from_x = (int)floor((x + 0.5) * (20.0 / width) + 1e-9);
                const int from_y = (int)floor((y + 0.5) * (19.0 / height) + 1e-9);
                assert_int_equal(made.pixels[y * width + x], labels.pixels[from_y * 20 + from_x]);
            }
        }
        ho_image_free(&made);
    }
    ho_image_free(&labels);
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
    OK(ho_image_new(10, 8, 3, &image));
    OK(ho_image_new(4, 4, 3, &stamp));
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
        OK(ho_image_new(8, 12, 3, &cells[i]));
        assert_int_equal(ho_image_text(&cells[i], 1, 1, 1, RED, text), 6);
        assert_true((count_colour(&cells[i], RED) > 0) == (i > 0));
        for (int k = 0; k < i; k++) {
            assert_memory_not_equal(cells[i].pixels, cells[k].pixels, (size_t)8 * 12 * 3);
        }
        OK(ho_image_new(16, 24, 3, &large));
        assert_int_equal(ho_image_text(&large, 2, 2, 2, RED, text), 12);
        assert_int_equal(count_colour(&large, RED), 4 * count_colour(&cells[i], RED));
        ho_image_free(&large);
    }
    OK(ho_image_new(8, 12, 3, &large));
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
    OK(ho_image_grid(images, 5, 2, 3, 2, &grid));
    assert_int_equal(grid.width, 6);
    assert_int_equal(grid.height, 6);
    for (int i = 0; i < 5; i++) {
        for (int y = 0; y < 2; y++) {
            assert_memory_equal(grid.pixels + ((i / 2 * 2 + y) * 6 + i % 2 * 3) * 3, images + (i * 2 + y) * 9, 9);
        }
    }
    assert_int_equal(grid.pixels[(5 * 6 + 5) * 3], 0); /* the place of a sixth image stays black */
    ho_image_free(&grid);
    OK(ho_image_grid(images, 5, 2, 3, 99, &grid));
    assert_int_equal(grid.width, 15);
    ho_image_free(&grid);
    assert_int_equal(ho_image_grid(images, 0, 2, 3, 2, &grid), HO_ESHAPE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(png_round_trips, remove_files),
        cmocka_unit_test_teardown(other_kinds_of_png_become_rgb, remove_files),
        cmocka_unit_test_teardown(jpeg_is_read_as_rgb, remove_files),
        cmocka_unit_test_teardown(truncated_files_are_refused, remove_files),
        cmocka_unit_test_teardown(damaged_png_is_refused, remove_files),
        cmocka_unit_test_teardown(other_files_are_refused, remove_files),
        cmocka_unit_test_teardown(writing_fails_with_reason_and_without_rest, remove_files),
        cmocka_unit_test(resizes_as_pillow),
        cmocka_unit_test(resize_keeps_constants_and_channels),
        cmocka_unit_test(labels_take_the_nearest_centre),
        cmocka_unit_test(bytes_and_floats),
        cmocka_unit_test(drawing_is_clipped),
        cmocka_unit_test(every_character_differs),
        cmocka_unit_test(grid_places_images),
    };
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(other, sizeof other, "%s/b", folder);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
