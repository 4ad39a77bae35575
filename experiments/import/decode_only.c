/* decode_only FOLDER [SIZE]: decodes every JPEG of a folder to RGB with libjpeg-turbo on all threads, into memory that
 * is used again, and does nothing else: the speed that an import is measured against. */
#include <dirent.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

typedef struct {
    unsigned char *file, *pixels;
    size_t file_room, pixel_room;
} room;

static long read_file(const char *path, room *r) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return -1;
    }
    fseek(file, 0, SEEK_END);
    const size_t size = (size_t)ftell(file);
    rewind(file);
    if (size > r->file_room) {
        free(r->file);
        r->file = malloc(size);
        r->file_room = size;
    }
    const size_t n = r->file != NULL ? fread(r->file, 1, size, file) : 0;
    fclose(file);
    return n == size ? (long)size : -1;
}

static long decode(const char *path, room *r) {
    struct jpeg_error_mgr errors;
    struct jpeg_decompress_struct jpeg;
    const long n = read_file(path, r);
    if (n < 0) {
        return -1;
    }
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, r->file, (unsigned long)n);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg);
    const size_t row = (size_t)jpeg.output_width * 3, size = row * jpeg.output_height;
    if (size > r->pixel_room) {
        free(r->pixels);
        r->pixels = malloc(size);
        r->pixel_room = size;
    }
    while (jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW to = r->pixels + (size_t)jpeg.output_scanline * row;
        jpeg_read_scanlines(&jpeg, &to, 1);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return (long)size;
}

static int is_jpeg(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && strcmp(dot, ".jpg") == 0;
}

int main(int argc, char **argv) {
    struct dirent **names = NULL;
    const int n = argc > 1 ? scandir(argv[1], &names, is_jpeg, alphasort) : -1;
    if (n < 1) {
        fprintf(stderr, "usage: decode_only FOLDER of .jpg files\n");
        return 2;
    }
    room *rooms = calloc((size_t)omp_get_max_threads(), sizeof *rooms);
    long failed = 0;
    const double start = omp_get_wtime();
#pragma omp parallel for schedule(dynamic, 1) reduction(+ : failed)
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], names[i]->d_name);
        failed += decode(path, &rooms[omp_get_thread_num()]) < 0;
    }
    const double seconds = omp_get_wtime() - start;
    printf("decode only: %d images in %.2f s, %.1f a second, %ld failed\n", n, seconds, n / seconds, failed);
    return failed != 0;
}
