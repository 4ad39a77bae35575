/* What the fuzz targets share: an input as a file, and the files that a folder of a data set needs besides. Targets
 * write below the current folder, which whoever starts them makes and removes. */
#ifndef HANDSOFF_TESTS_FUZZ_H
#define HANDSOFF_TESTS_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "handsoff/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char FUZZ_FILE[] = "/proc/self/fd/100";

/* Makes the bytes the content of FUZZ_FILE, which is in memory. */
static inline void fuzz_file(const uint8_t *data, size_t size) {
    static bool made = false;
    if (!made) {
        const int file = memfd_create("fuzz", 0);
        if (file < 0 || dup2(file, 100) != 100 || close(file) != 0) {
            abort();
        }
        made = true;
    }
    if (ftruncate(100, 0) != 0 || pwrite(100, data, size, 0) != (ssize_t)size) {
        abort();
    }
}

static inline void fuzz_make_folders(const char *name) {
    char folder[256];
    (void)snprintf(folder, sizeof folder, "%s", name);
    for (char *slash = strchr(folder, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(folder, 0777);
        *slash = '/';
    }
}

/* The bytes as a file of its own, for a reader that wants a place in the file system (HDF5 does). */
static inline void fuzz_write(const char *name, const uint8_t *data, size_t size) {
    FILE *file = fopen(name, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        abort();
    }
}

/* FUZZ_FILE under a name; folders are made as needed. */
static inline void fuzz_name(const char *name) {
    fuzz_make_folders(name);
    (void)unlink(name);
    if (symlink(FUZZ_FILE, name) != 0) {
        abort();
    }
}

/* Two by two pixels of grey as PNG: a photo and a label map. */
static inline void fuzz_write_picture(const char *name) {
    uint8_t grey[4] = {0, 1, 1, 0};
    fuzz_make_folders(name);
    if (ho_image_write_png(name, &(ho_image){2, 2, 1, grey}) != HO_OK) {
        abort();
    }
}

#endif
