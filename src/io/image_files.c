/* PNG files, and the choice between PNG and JPEG. */
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_internal.h"
#include "leftovers.h"

ho_status ho_image_check_size(const char *path, unsigned long width, unsigned long height) {
    if (width < 1 || height < 1 || width > HO_IMAGE_LARGEST || height > HO_IMAGE_LARGEST) {
        HO_FAIL(HO_EFORMAT, "%s is %lu x %lu pixels; 1 to %d on a side can be read", path, width, height,
                (int)HO_IMAGE_LARGEST);
    }
    return HO_OK;
}

ho_status ho_image_check_bytes(const char *path, FILE *file, unsigned long width, unsigned long height,
                               uint64_t least) {
    struct stat info;
    if (fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size < least) {
        HO_FAIL(HO_EFORMAT, "%s is cut off or damaged: %lu x %lu pixels take %llu bytes at the least, it has %lld",
                path, width, height, (unsigned long long)least, (long long)info.st_size);
    }
    return HO_OK;
}

/* ---- PNG: what reading and writing share ----------------------------------------------------------------------------
 */

/* libpng reports errors by a function that must not return. Everything that has to survive the jump lives here. */
typedef struct {
    jmp_buf jump;
    char text[160];
    png_structp png;
    png_infop info;
    png_bytep *rows;
} png_job;

static void on_png_error(png_structp png, png_const_charp text) {
    png_job *job = png_get_error_ptr(png);
    snprintf(job->text, sizeof job->text, "%s", text);
    longjmp(job->jump, 1); // NOLINT(bugprone-*)
}

static void on_png_warning(png_structp png, png_const_charp text) {
    (void)png, (void)text;
}

/* Pointers to the rows of an image, as libpng wants them. */
static bool point_to_rows(png_job *job, const ho_image *image) {
    job->rows = malloc((size_t)image->height * sizeof *job->rows);
    for (int y = 0; job->rows != NULL && y < image->height; y++) {
        job->rows[y] = image->pixels + (size_t)y * image->width * image->channels;
    }
    return job->rows != NULL;
}

enum { DEFLATE_MOST = 1032 }; /* bytes that one of a deflate stream becomes: 258 from 2 bits */

/* ---- reading --------------------------------------------------------------------------------------------------------
 */

/* Sets the conversions to RGB (alpha is dropped, as Pillow's convert("RGB") does) or checks that labels come as they
 * are. */
static ho_status choose_format(const char *path, png_job *job, bool labels) {
    const int type = png_get_color_type(job->png, job->info), depth = png_get_bit_depth(job->png, job->info);
    if (labels) {
        /* Grey of fewer bits is refused: a file shrinker turns 0 and 255 into 0 and 1. */
        if (!(type == PNG_COLOR_TYPE_GRAY && depth == 8) && type != PNG_COLOR_TYPE_PALETTE) {
            HO_FAIL(HO_EFORMAT, "%s is a PNG with %d channels of %d bits; labels are 8-bit grey or palette indices",
                    path, png_get_channels(job->png, job->info), depth);
        }
        png_set_packing(job->png);
        return HO_OK;
    }
    png_set_scale_16(job->png);
    png_set_palette_to_rgb(job->png);
    if (type == PNG_COLOR_TYPE_GRAY && depth < 8) {
        png_set_expand_gray_1_2_4_to_8(job->png);
    }
    png_set_gray_to_rgb(job->png);
    png_set_strip_alpha(job->png);
    return HO_OK;
}

static ho_status decode_png(const char *path, FILE *file, bool labels, png_job *job, ho_image *image) {
    if (setjmp(job->jump) != 0) { // NOLINT(bugprone-*)
        HO_FAIL(HO_EFORMAT, "%s is not a complete PNG file: %s", path, job->text);
    }
    job->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, job, on_png_error, on_png_warning);
    job->info = job->png != NULL ? png_create_info_struct(job->png) : NULL;
    if (job->info == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to read the PNG file", path);
    }
    png_init_io(job->png, file);
    png_set_user_limits(job->png, 0x7fffffff, 0x7fffffff); /* the size is checked below, with a message of ours */
    png_read_info(job->png, job->info);
    const png_uint_32 width = png_get_image_width(job->png, job->info);
    const png_uint_32 height = png_get_image_height(job->png, job->info);
    HO_TRY(ho_image_check_size(path, width, height));
    HO_TRY(
        ho_image_check_bytes(path, file, width, height, png_get_rowbytes(job->png, job->info) * height / DEFLATE_MOST));
    HO_TRY(choose_format(path, job, labels));
    png_set_interlace_handling(job->png);
    png_read_update_info(job->png, job->info);
    const int channels = labels ? 1 : 3;
    if (png_get_rowbytes(job->png, job->info) != (size_t)width * (size_t)channels) {
        HO_FAIL(HO_EFORMAT, "%s is a PNG of a kind that cannot be converted to %d channels of 8 bits", path, channels);
    }
    HO_TRY(ho_image_new((int)width, (int)height, channels, image));
    if (!point_to_rows(job, image)) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for an image of %u x %u pixels", path, width, height);
    }
    png_read_image(job->png, job->rows);
    png_read_end(job->png, NULL);
    return HO_OK;
}

static ho_status read_png(const char *path, FILE *file, bool labels, ho_image *image) {
    png_job job = {.text = ""};
    const ho_status status = decode_png(path, file, labels, &job, image);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    free(job.rows);
    if (status != HO_OK) {
        ho_image_free(image);
    }
    return status;
}

static ho_status read_any(const char *path, bool labels, ho_image *image) {
    *image = (ho_image){0, 0, 0, NULL};
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "cannot open the image %s: %s", path, strerror(errno));
    }
    static const uint8_t PNG[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, JPEG[3] = {0xff, 0xd8, 0xff};
    uint8_t first[8] = {0};
    const size_t n = fread(first, 1, sizeof first, file);
    const bool is_png = n == 8 && memcmp(first, PNG, 8) == 0, is_jpeg = n >= 3 && memcmp(first, JPEG, 3) == 0;
    const bool is_bmp = n == 8 && memcmp(first, "BM", 2) == 0;
    ho_status status;
    if (ferror(file)) {
        status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot read the image %s: %s", path, strerror(errno));
    } else if (n == 0) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "the image %s is empty", path);
    } else if (labels && !is_png) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s is not a PNG file; labels are PNG files%s", path,
                         is_jpeg ? " (JPEG changes their values)" : "");
    } else if (!is_png && !is_jpeg && !is_bmp) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s is neither a PNG nor a JPEG file (nor BMP)", path);
    } else if (is_bmp) {
        rewind(file);
        status = ho_image_read_bmp(path, file, image);
    } else {
        rewind(file);
        status = is_png ? read_png(path, file, labels, image) : ho_image_read_jpeg(path, file, image);
    }
    fclose(file);
    return status;
}

ho_status ho_image_read(const char *path, ho_image *image) {
    return read_any(path, false, image);
}

ho_status ho_image_read_labels(const char *path, ho_image *image) {
    return read_any(path, true, image);
}

/* ---- writing --------------------------------------------------------------------------------------------------------
 */

/* No time, no text, fixed filter and compression: equal images give equal bytes. */
static ho_status encode_png(const char *path, FILE *file, png_job *job, const ho_image *image) {
    if (setjmp(job->jump) != 0) { // NOLINT(bugprone-*)
        HO_FAIL(HO_EIO, "cannot write %s: %s", path, errno != 0 ? strerror(errno) : job->text);
    }
    job->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, job, on_png_error, on_png_warning);
    job->info = job->png != NULL ? png_create_info_struct(job->png) : NULL;
    if (job->info == NULL || !point_to_rows(job, image)) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to write the PNG file", path);
    }
    errno = 0;
    png_init_io(job->png, file);
    png_set_compression_level(job->png, 6);
    png_set_IHDR(job->png, job->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 image->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(job->png, job->info);
    png_write_image(job->png, job->rows);
    png_write_end(job->png, job->info);
    return HO_OK;
}

static ho_status write_file(const char *path, const char *temporary, const ho_image *image) {
    FILE *file = fopen(temporary, "wbe");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "cannot write %s: cannot create %s beside it: %s", path, temporary, strerror(errno));
    }
    png_job job = {.text = ""};
    ho_status status = encode_png(path, file, &job, image);
    png_destroy_write_struct(&job.png, &job.info);
    free(job.rows);
    /* A full disk may show only when the last bytes leave the buffer. */
    if (fclose(file) != 0 && status == HO_OK) {
        status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot write %s: %s", path, strerror(errno));
    }
    if (status == HO_OK && rename(temporary, path) != 0) {
        status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot write %s: %s", path, strerror(errno));
    }
    if (status != HO_OK) {
        unlink(temporary);
    }
    return status;
}

/* A folder of thousands of files is looked through when the first of them is written, not for each; an export writes
 * to several by turns. */
static void sweep_once(const char *path) {
    enum { FOLDERS = 4 };
    static _Thread_local char swept[FOLDERS][1024];
    static _Thread_local int next = 0;
    const char *slash = strrchr(path, '/');
    const size_t length = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    for (int i = 0; i < FOLDERS && length > 0; i++) {
        if (strlen(swept[i]) == length && strncmp(swept[i], path, length) == 0) {
            return;
        }
    }
    ho_remove_folder_leftovers(path);
    snprintf(swept[next], sizeof swept[next], "%.*s", length < sizeof swept[next] ? (int)length : 0, path);
    next = (next + 1) % FOLDERS;
}

ho_status ho_image_write_png(const char *path, const ho_image *image) {
    HO_REQUIRE(image->channels == 1 || image->channels == 3, "%s: a PNG file takes 1 or 3 channels, not %d", path,
               image->channels);
    HO_TRY(ho_image_check_size(path, (unsigned long)image->width, (unsigned long)image->height));
    const size_t size = strlen(path) + 32;
    char *temporary = malloc(size);
    if (temporary == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to write the PNG file", path);
    }
    snprintf(temporary, size, "%s.tmp.%ld", path, (long)getpid());
    sweep_once(path);
    const ho_status status = write_file(path, temporary, image);
    free(temporary);
    return status;
}
