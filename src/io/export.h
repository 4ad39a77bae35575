/* What the parts of the export share: the set that is read, and what a format is. */
#ifndef HANDSOFF_IO_EXPORT_H
#define HANDSOFF_IO_EXPORT_H

#include <stdio.h>

#include "formats.h"
#include "handsoff/export.h"
#include "handsoff/synthetic.h"

typedef struct {
    int64_t n;
    int height, width;
    bool labels, points, depth;
    char **names; /* n names, or NULL */
} ho_export_part;

/* One of store (dataset.h5) and synthetic is open. */
typedef struct {
    const char *path;
    ho_store *store;
    ho_synthetic_file *synthetic;
    ho_export_part part[HO_N_PARTS];
    int n_classes, n_keypoints;
    char **class_names, **keypoint_names;
    uint8_t (*palette)[3];
} ho_export_set;

ho_status ho_export_open(const char *path, ho_export_set *set);
void ho_export_close(ho_export_set *set);

/* An image of a part with what belongs to it; label and points are NULL where the part has none. `text` is malloc'd
 * by the format. */
typedef struct {
    int64_t i; /* within its part */
    ho_image image, label;
    float *points; /* (J, 3) */
    char *text;
} ho_export_sample;
/* Room for one sample of the part; free with ho_export_sample_free. */
ho_status ho_export_sample_new(const ho_export_set *set, ho_part part, ho_export_sample *sample);
void ho_export_sample_free(ho_export_sample *sample);
/* Reads number i and checks that its labels are classes or 255. Not from several threads. */
ho_status ho_export_read(ho_export_set *set, ho_part part, int64_t i, ho_export_sample *sample);

/* An export under way. */
typedef struct {
    ho_export_set set;
    const char *folder;     /* the name that it will have */
    const char *unfinished; /* where it is written */
    struct {
        FILE *file; /* open while the part is written */
        char path[HO_PATH];
        bool has_items;
    } list[2]; /* the format's own */
} ho_exporting;

/* A format. A part is begun, its images are written (several at a time, on all threads), each is listed in order on one
 * thread, and the part is ended. `list` may be NULL. */
typedef struct {
    const char *name, *writes;
    bool keeps_unlabelled, keeps_points;
    bool generated; /* a generated set is written whole, with scores and latents, by ho_synthetic_export_png_as */
    ho_status (*begin)(ho_exporting *x, ho_part part);
    ho_status (*write)(const ho_exporting *x, ho_part part, ho_export_sample *sample);
    ho_status (*list)(ho_exporting *x, ho_part part, const ho_export_sample *sample);
    ho_status (*end)(ho_exporting *x, ho_part part);
} ho_export_format;
extern const ho_export_format HO_EXPORT_FORMATS[]; /* ended by a NULL name */

extern const char *const HO_PART_NAME[HO_N_PARTS]; /* "train", "test", "unlabelled" */

/* The path of a file of the export, printf's format behind it; HO_EIO when it is too long. */
ho_status ho_export_path(const ho_exporting *x, char path[HO_PATH], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Makes a folder of the export and those above it. */
ho_status ho_export_make_folder(const ho_exporting *x, const char *below);
/* Opens and closes a list of a part. A full disk shows when it is closed. */
ho_status ho_export_open_list(ho_exporting *x, int which, const char *below);
ho_status ho_export_close_list(ho_exporting *x, int which);
/* classes.yml: names and colours as a merge table, by which the set is imported again. */
ho_status ho_export_classes(const ho_exporting *x);
/* Writes text in double quotes, as JSON and YAML understand it. */
void ho_export_quote(FILE *file, const char *text);

ho_status ho_export_coco_begin(ho_exporting *x, ho_part part);
ho_status ho_export_coco_write(const ho_exporting *x, ho_part part, ho_export_sample *sample);
ho_status ho_export_coco_list(ho_exporting *x, ho_part part, const ho_export_sample *sample);
ho_status ho_export_coco_end(ho_exporting *x, ho_part part);

#endif
