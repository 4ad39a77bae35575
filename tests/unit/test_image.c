/* Image files: PNG and JPEG of every kind, and what is said of others. */
#include "handsoff/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>

#include "check.h"
#include "folder.h"
#include "handsoff/store.h"
#include "picture.h"

static char path[80], other[80];

static int make_paths(void **state) {
    const int failed = make_folder(state);
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(other, sizeof other, "%s/b", folder);
    return failed;
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
        CHECK_OK(ho_image_write_png(path, &image));
        CHECK_OK(ho_image_write_png(other, &image));
        CHECK_OK(ho_file_sha256(path, first));
        CHECK_OK(ho_file_sha256(other, second));
        assert_string_equal(first, second);
        CHECK_OK(ho_image_read(path, &back));
        assert_int_equal(back.width, 23);
        assert_int_equal(back.height, 17);
        assert_int_equal(back.channels, 3);
        for (int i = 0; i < 23 * 17 * 3; i++) {
            assert_int_equal(back.pixels[i], image.pixels[channels == 3 ? i : i / 3]);
        }
        ho_image_free(&back);
        if (channels == 1) {
            CHECK_OK(ho_image_read_labels(path, &back));
            assert_int_equal(back.channels, 1);
            assert_memory_equal(back.pixels, image.pixels, 23 * 17);
            ho_image_free(&back);
        } else {
            assert_int_equal(ho_image_read_labels(path, &back), HO_EFORMAT);
            CHECK_SAYS("3 channels of 8 bits; labels are 8-bit grey or palette");
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
    CHECK_OK(ho_image_read(path, &image));
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
    CHECK_OK(ho_image_read_labels(path, &labels));
    assert_memory_equal(labels.pixels, ((const uint8_t[]){0, 1, 2, 3}), 4);
    ho_image_free(&labels);
    write_raw_png(PNG_COLOR_TYPE_GRAY, 1, 3, 1, (const uint8_t[]){0xa0}, 1);
    reads_as((const uint8_t[]){255, 255, 255, 0, 0, 0, 255, 255, 255}, 9);
    assert_int_equal(ho_image_read_labels(path, &labels), HO_EFORMAT);
    CHECK_SAYS("1 channels of 1 bits");
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
    CHECK_OK(ho_image_new(40, 24, channels, &image));
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
        CHECK_OK(ho_image_read(path, &back));
        assert_int_equal(back.width, 40);
        assert_int_equal(back.height, 24);
        assert_int_equal(back.channels, 3);
        for (int i = 0; i < 40 * 24 * 3; i++) {
            const int want = image.pixels[kind == 0 ? i / 3 : i];
            assert_in_range(back.pixels[i] + 6, want, want + 12);
        }
        ho_image_free(&back);
        assert_int_equal(ho_image_read_labels(path, &back), HO_EFORMAT);
        CHECK_SAYS("JPEG changes their values");
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
            CHECK_OK(ho_image_write_png(path, &image));
        }
        for (long size = size_of(path) * 3 / 4; size > 0; size /= 2) {
            assert_int_equal(truncate(path, size), 0);
            assert_int_equal(ho_image_read(path, &back), HO_EFORMAT);
            assert_null(back.pixels);
            CHECK_SAYS(path);
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
    CHECK_OK(ho_image_write_png(path, &image));
    flip_bytes(size_of(path) / 2, 3);
    assert_int_equal(ho_image_read(path, &back), HO_EFORMAT);
    CHECK_SAYS("is not a complete PNG file");
    ho_image_free(&image);
}

static void other_files_are_refused(void **state) {
    (void)state;
    ho_image image;
    assert_int_equal(ho_image_read(path, &image), HO_EIO);
    CHECK_SAYS("No such file");
    assert_int_equal(ho_image_read(folder, &image), HO_EIO);
    CHECK_SAYS("directory");
    write_text(path, "");
    assert_int_equal(ho_image_read(path, &image), HO_EFORMAT);
    CHECK_SAYS("is empty");
    write_text(path, "a text file\n");
    assert_int_equal(ho_image_read(path, &image), HO_EFORMAT);
    CHECK_SAYS("neither a PNG nor a JPEG");
    assert_int_equal(ho_image_read_labels(path, &image), HO_EFORMAT);
    CHECK_SAYS("is not a PNG file");
    uint8_t *row = calloc(20000, 1);
    write_raw_png(PNG_COLOR_TYPE_GRAY, 8, 20000, 1, row, 20000);
    free(row);
    assert_int_equal(ho_image_read(path, &image), HO_EFORMAT);
    CHECK_SAYS("20000 x 1 pixels; 1 to 16384");
    assert_int_equal(ho_image_new(0, 5, 3, &image), HO_ESHAPE);
    assert_int_equal(ho_image_new(5, 5, 2, &image), HO_ESHAPE);
}

static void writing_fails_with_reason_and_without_rest(void **state) {
    (void)state;
    ho_image image = make_picture(8, 8, 3);
    assert_int_equal(ho_image_write_png("/tmp/ho_no_such_folder/x.png", &image), HO_EIO);
    CHECK_SAYS("/tmp/ho_no_such_folder/x.png");
    CHECK_SAYS("No such file");
    char temporary[128];
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    assert_int_equal(symlink("/dev/full", temporary), 0); /* every write fails: the disk is full */
    assert_int_equal(ho_image_write_png(path, &image), HO_EIO);
    CHECK_SAYS("No space left");
    assert_int_equal(size_of(path), -1);
    assert_int_equal(access(temporary, F_OK), -1);
    ho_image empty = {0, 0, 3, NULL};
    assert_int_equal(ho_image_write_png(path, &empty), HO_EFORMAT);
    ho_image_free(&image);
}

/* The first image that a process writes into a folder clears what killed ones left there, of any image. */
static void unfinished_files_of_dead_processes_go(void **state) {
    (void)state;
    static const char *const NAMES[] = {"x.png.tmp.", "label_9.png.tmp.", "x.h5.tmp.", "x.png.tmp.x"};
    const bool stays[] = {false, false, true, true};
    char name[128];
    ho_image image = make_picture(8, 8, 3);
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, NULL, 0) == child);
    assert_int_equal(mkdir(in_folder("d"), 0777), 0);
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 4; ++i) {
            snprintf(name, sizeof name, "%s/%s%ld", in_folder("d"), NAMES[i], (long)child);
            if (round == 0) {
                write_text(name, "");
            } else if (exists(name) != stays[i]) {
                fail_msg("%s %s", name, stays[i] ? "was removed" : "was left");
            }
        }
        snprintf(name, sizeof name, "%s/x.png.tmp.%ld", in_folder("d"), (long)getppid());
        if (round == 0) {
            write_text(name, "");
            CHECK_OK(ho_image_write_png(in_folder("d/x.png"), &image));
        }
        assert_true(exists(name)); /* somebody may be writing it */
    }
    ho_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(png_round_trips, empty_folder),
        cmocka_unit_test_teardown(other_kinds_of_png_become_rgb, empty_folder),
        cmocka_unit_test_teardown(jpeg_is_read_as_rgb, empty_folder),
        cmocka_unit_test_teardown(truncated_files_are_refused, empty_folder),
        cmocka_unit_test_teardown(damaged_png_is_refused, empty_folder),
        cmocka_unit_test_teardown(other_files_are_refused, empty_folder),
        cmocka_unit_test_teardown(writing_fails_with_reason_and_without_rest, empty_folder),
        cmocka_unit_test(unfinished_files_of_dead_processes_go),
    };
    return cmocka_run_group_tests(tests, make_paths, remove_folder);
}
