/* Published data sets in the layouts of their authors -> dataset.h5 (dataset.h). Photos are read a few at a time, on
 * all threads, so that memory does not grow with the set. Labels are brought to size by their nearest pixel, depth too;
 * key points and both follow the same geometry as the photo. */
#ifndef HANDSOFF_FORMATS_H
#define HANDSOFF_FORMATS_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/import.h"
#include "handsoff/status.h"
#include "handsoff/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where an image goes. AS_PUBLISHED: as the set's own folders or lists say. */
typedef enum { HO_PART_TRAIN, HO_PART_TEST, HO_PART_UNLABELLED, HO_N_PARTS, HO_PART_AS_PUBLISHED } ho_part;

/* SOUND: a triangle filter whose support grows with the shrinking factor. HANDSOFF: the bicubic filter of Pillow
 * (a = -0.5, support growing likewise), which the original's Image.resize uses; labels nearest in both. */
typedef enum { HO_RESIZE_SOUND, HO_RESIZE_HANDSOFF } ho_resize_rule;

typedef struct {
    const char *format;
    const char *folder;
    ho_part part;
    ho_aspect aspect;
} ho_import_folder;

typedef struct {
    int n_folders;
    const ho_import_folder *folders;
    int size; /* pixels along a side of what is written */
    ho_resize_rule rule;
    const char *merge; /* YAML table; NULL: the classes of the set */
    const char
        *split;    /* list of names, one a line and behind it train, test or unlabelled; or HandsOff's JSON; or NULL */
    int64_t limit; /* most images of each part, the first ones; 0: all */
    /* Called now and then from one thread; false stops the import with HO_EINTERRUPT. May be NULL. `first` of the
     * `done` images came from an earlier process. */
    bool (*progress)(void *user, int64_t first, int64_t done, int64_t total);
    /* Adds attributes to the whole file before it gets its name. May be NULL. */
    ho_status (*finish)(void *user, ho_store *store);
    void *user;
} ho_import_request;

typedef struct {
    int n[HO_N_PARTS], n_classes, n_keypoints;
    int n_missing; /* names of the split file that the set does not have */
} ho_import_counts;

/* Writes the data set to `path`. What an interrupted or killed process had done (PATH.part) is gone on with, if it was
 * the same request and the files are the same. Errors name the file, what was expected and what was found: HO_EUSAGE
 * (no such format), HO_EIO, HO_EFORMAT, HO_EMEMORY, HO_EINTERRUPT. */
ho_status ho_import_data(const ho_import_request *request, const char *path, ho_import_counts *counts);

/* Format number i, what it reads and where that comes from (NULL: a layout, not a set); NULL behind the last one. */
const char *ho_format_name(int i, const char **reads, const char **from);

#ifdef __cplusplus
}
#endif
#endif
