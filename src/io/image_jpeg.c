/* JPEG files (reading only: what the program writes must not lose anything). */
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "image_internal.h"

#include <jpeglib.h>

#include <jerror.h>

enum { SCANS_MOST = 200 };
static const long LARGEST_FILE = 1L << 30;

/* libjpeg reports errors by a function that must not return. Everything that has to survive the jump lives here. */
typedef struct {
    struct jpeg_error_mgr errors; /* first: libjpeg hands back its address */
    jmp_buf jump;
    char text[JMSG_LENGTH_MAX];
    bool damaged;
    uint8_t *row;  /* one row of CMYK */
    uint8_t *file; /* all of it: the decoder is a fifth faster where it need not ask for more */
    size_t size;
    struct jpeg_progress_mgr progress;
} jpeg_job;

static void on_jpeg_error(j_common_ptr jpeg) {
    jpeg_job *job = (jpeg_job *)jpeg->err;
    jpeg->err->format_message(jpeg, job->text);
    longjmp(job->jump, 1); // NOLINT(bugprone-*)
}

/* Warnings that libjpeg answers with grey blocks are errors here; others (stray bytes) are harmless. */
static void on_jpeg_message(j_common_ptr jpeg, int level) {
    jpeg_job *job = (jpeg_job *)jpeg->err;
    const int code = jpeg->err->msg_code;
    if (level < 0 && !job->damaged &&
        (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
         code == JWRN_NOT_SEQUENTIAL)) {
        job->damaged = true;
        jpeg->err->format_message(jpeg, job->text);
    }
}

/* A file of many empty scans would take hours: a tool writes some ten. */
static void on_jpeg_progress(j_common_ptr jpeg) {
    jpeg_job *job = (jpeg_job *)jpeg->err;
    const int scan = ((j_decompress_ptr)jpeg)->input_scan_number;
    if (scan > SCANS_MOST) {
        snprintf(job->text, sizeof job->text, "it has more than %d scans", (int)SCANS_MOST);
        longjmp(job->jump, 1); // NOLINT(bugprone-*)
    }
}

/* At the end of a file libjpeg would make up end markers, two bytes at a time, as often as a damaged length asks. */
static boolean no_more(j_decompress_ptr jpeg) {
    ERREXIT(jpeg, JERR_INPUT_EOF);
    return FALSE;
}

static void on_jpeg_output(j_common_ptr jpeg) {
    (void)jpeg;
}

/* Adobe writes CMYK inverted (255 is no ink). */
static void cmyk_to_rgb(const uint8_t *cmyk, int width, bool inverted, uint8_t *rgb) {
    for (int x = 0; x < width; x++) {
        const int black = inverted ? cmyk[4 * x + 3] : 255 - cmyk[4 * x + 3];
        for (int c = 0; c < 3; c++) {
            const int ink = inverted ? cmyk[4 * x + c] : 255 - cmyk[4 * x + c];
            rgb[3 * x + c] = (uint8_t)((ink * black + 127) / 255);
        }
    }
}

static ho_status read_file(const char *path, FILE *file, jpeg_job *job) {
    const long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    rewind(file);
    if (size < 1 || size > LARGEST_FILE) {
        HO_FAIL(HO_EFORMAT, "%s has %ld bytes; a JPEG file of 1 to %ld is expected", path, size, LARGEST_FILE);
    }
    job->size = (size_t)size;
    job->file = malloc(job->size);
    if (job->file == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for its %ld bytes", path, size);
    }
    if (fread(job->file, 1, job->size, file) != job->size) {
        HO_FAIL(HO_EIO, "cannot read the image %s", path);
    }
    return HO_OK;
}

static ho_status decode_jpeg(const char *path, FILE *file, jpeg_job *job, struct jpeg_decompress_struct *jpeg,
                             ho_image *image) {
    if (setjmp(job->jump) != 0) { // NOLINT(bugprone-*)
        HO_FAIL(HO_EFORMAT, "%s is not a complete JPEG file: %s", path, job->text);
    }
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, job->file, (unsigned long)job->size);
    jpeg->src->fill_input_buffer = no_more;
    jpeg_read_header(jpeg, TRUE);
    HO_TRY(ho_image_check_size(path, jpeg->image_width, jpeg->image_height));
    /* A block of 8 x 8 takes a bit or more, in one component at least; at most half of the blocks may be left out by
     * components of different shapes. */
    const uint64_t pixels = (uint64_t)jpeg->image_width * jpeg->image_height;
    HO_TRY(ho_image_check_bytes(path, file, jpeg->image_width, jpeg->image_height,
                                jpeg->arith_code ? 0 : pixels / 64 / 2 / 8));
    jpeg->progress = &job->progress;
    const bool cmyk = jpeg->num_components == 4;
    jpeg->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(jpeg);
    const int width = (int)jpeg->output_width;
    HO_TRY(ho_image_make(width, (int)jpeg->output_height, 3, image));
    job->row = malloc((size_t)width * 4);
    if (job->row == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to read the JPEG file", path);
    }
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *to = image->pixels + (size_t)jpeg->output_scanline * (size_t)width * 3;
        JSAMPROW row = cmyk ? job->row : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (cmyk) {
            cmyk_to_rgb(row, width, jpeg->saw_Adobe_marker, to);
        }
    }
    jpeg_finish_decompress(jpeg);
    if (job->damaged) {
        HO_FAIL(HO_EFORMAT, "%s is damaged or incomplete: %s", path, job->text);
    }
    return HO_OK;
}

ho_status ho_image_read_jpeg(const char *path, FILE *file, ho_image *image) {
    jpeg_job job;
    memset(&job, 0, sizeof job);
    struct jpeg_decompress_struct jpeg;
    memset(&jpeg, 0, sizeof jpeg);
    jpeg.err = jpeg_std_error(&job.errors);
    job.errors.error_exit = on_jpeg_error;
    job.errors.emit_message = on_jpeg_message;
    job.errors.output_message = on_jpeg_output;
    job.progress.progress_monitor = on_jpeg_progress;
    ho_status status = read_file(path, file, &job);
    status = status == HO_OK ? decode_jpeg(path, file, &job, &jpeg, image) : status;
    jpeg_destroy_decompress(&jpeg);
    free(job.file);
    free(job.row);
    if (status != HO_OK) {
        ho_image_free(image);
    }
    return status;
}
