/* Sources of data sets: drawn faces, Car-Parts-Segmentation, folders of photos. Each fills an ho_split (dataset.h). */
#ifndef HANDSOFF_IMPORT_H
#define HANDSOFF_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/dataset.h"
#include "handsoff/image.h"
#include "handsoff/status.h"
#include "handsoff/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a photo that is not square becomes so. SQUASH changes its aspect, CROP keeps its middle, PAD repeats its border.
 */
typedef enum { HO_ASPECT_SQUASH, HO_ASPECT_CROP, HO_ASPECT_PAD } ho_aspect;
/* From "squash", "crop" or "pad"; anything else counts as squash (the config table admits nothing else). */
ho_aspect ho_aspect_of(const char *text);

/* x' = (x - x0) * scale_x, y' = (y - y0) * scale_y takes a point of the photo to the square of `size` pixels. */
typedef struct {
    double x0, y0, scale_x, scale_y;
} ho_framing;
ho_framing ho_framing_of(int width, int height, int size, ho_aspect aspect);

/* Brings an RGB photo to size x size, antialiased, as ho_framing_of says. Errors: HO_EMEMORY. */
ho_status ho_photo_to_square(const ho_image *photo, int size, ho_aspect aspect, ho_image *square);
/* The same with the filter of ho_image_resize_bicubic. */
ho_status ho_photo_to_square_bicubic(const ho_image *photo, int size, ho_aspect aspect, ho_image *square);

/* Fills a closed polygon of n points (x0, y0, x1, y1, ...): a pixel is inside when its centre (.5, .5) is, by the
 * even-odd rule; parts beyond the image are cut off. Fewer than 3 points fill nothing. Errors: HO_EMEMORY. */
ho_status ho_polygon_fill(uint8_t *label, int width, int height, int n, const double *points, uint8_t value);

/* Classes and which source ids become which. Car-Parts counts its categories from 0 in version 1 and from 1 in
 * version 2; for every other set both tables are one. */
enum { HO_MERGE_IDS = 256 };
typedef struct {
    int n_classes;
    char **names;             /* K strings, one block */
    uint8_t (*palette)[3];    /* K colours            */
    int16_t v1[HO_MERGE_IDS]; /* class of a source id, -1 where the table has none, 255: not looked at */
    int16_t v2[HO_MERGE_IDS];
} ho_merge;

/* Reads a YAML table; data/merges/README.md gives the format. Errors name file and line: HO_EIO, HO_EFORMAT. */
ho_status ho_merge_read(const char *path, ho_merge *merge);
void ho_merge_free(ho_merge *merge);

/* Reads a folder of Car-Parts-Segmentation (annotations.json beside JPEGImages/), in the order of the image ids.
 * Polygons are painted by area, the largest first, so that small parts stay on top. merge NULL: the categories of the
 * file are the classes; *own (may be NULL otherwise) gets them. Errors: HO_EIO, HO_EFORMAT, HO_EMEMORY. */
ho_status ho_car_parts_read(const char *folder, int size, ho_aspect aspect, const ho_merge *merge, ho_merge *own,
                            ho_split *split);

/* Reads every PNG and JPEG file of a folder, in name order, without labels. Errors: HO_EIO, HO_EFORMAT, HO_EMEMORY. */
ho_status ho_photo_folder_read(const char *folder, int size, ho_aspect aspect, ho_split *split);

/* Draws faces first + from .. first + to - 1 of the stream into places from .. to - 1 of the split, on all threads. */
void ho_toy_faces_fill(uint64_t seed, uint64_t first, int from, int to, ho_split *split);
extern const uint8_t HO_TOY_FACE_PALETTE[HO_TOY_FACE_CLASSES][3];
extern const char *const HO_TOY_FACE_KEYPOINT_NAMES[HO_TOY_FACE_KEYPOINTS];

/* Room for n images, zeroed; n_keypoints 0, labels or depth false: without them. names stays NULL. */
typedef struct {
    int n, size, n_keypoints;
    bool labels, depth;
} ho_split_shape;
ho_status ho_split_new(const ho_split_shape *shape, ho_split *split);
void ho_split_free(ho_split *split);

/* Copies n strings into one malloc'd block of pointers and characters. */
ho_status ho_strings_copy(int n, const char *const *strings, char ***block);

/* Writes every part of the data set that is there into a store. */
ho_status ho_dataset_write(ho_store *store, const ho_dataset *dataset);

#ifdef __cplusplus
}
#endif
#endif
