/* A folder of photos without labels. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "handsoff/import.h"

static int is_photo(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot != NULL &&
           (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0);
}

/* Not alphasort: the order must not depend on the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static ho_status read_photo(const char *folder, const char *name, int size, ho_aspect aspect, uint8_t *pixels) {
    char path[4096];
    ho_image photo = {0}, square = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    HO_TRY(ho_image_read(path, &photo));
    const ho_status status = ho_photo_to_square(&photo, size, aspect, &square);
    if (status == HO_OK) {
        memcpy(pixels, square.pixels, (size_t)size * (size_t)size * 3);
    }
    ho_image_free(&photo);
    ho_image_free(&square);
    return status;
}

static ho_status read_entries(const char *folder, int n, struct dirent *const *entries, ho_aspect aspect,
                              ho_split *split) {
    const int64_t bytes = (int64_t)split->height * split->width * 3;
    const char **names = calloc((size_t)n + 1, sizeof *names);
    if (names == NULL) {
        HO_FAIL(HO_EMEMORY, "folder %s: no memory for %d names", folder, n);
    }
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; i++) {
        names[i] = entries[i]->d_name;
        status = read_photo(folder, names[i], split->width, aspect, split->images + i * bytes);
    }
    if (status == HO_OK) {
        status = ho_strings_copy(n, names, &split->names);
    }
    free(names);
    return status;
}

ho_status ho_photo_folder_read(const char *folder, int size, ho_aspect aspect, ho_split *split) {
    memset(split, 0, sizeof *split);
    struct dirent **entries = NULL;
    const int n = scandir(folder, &entries, is_photo, by_bytes);
    if (n < 0) {
        HO_FAIL(HO_EIO, "folder %s: %s; {data} in a config stands for the folder that HANDSOFF_DATA names", folder,
                strerror(errno));
    }
    ho_status status = HO_OK;
    if (n == 0) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "folder %s: no PNG or JPEG file in it", folder);
    } else {
        status = ho_split_new(&(ho_split_shape){.n = n, .size = size}, split);
    }
    if (status == HO_OK) {
        status = read_entries(folder, n, entries, aspect, split);
    }
    if (status != HO_OK) {
        ho_split_free(split);
    }
    for (int i = 0; i < n; i++) {
        free(entries[i]);
    }
    free(entries);
    return status;
}
