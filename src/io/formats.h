/* What the readers of data sets share. A format lists its samples first (names and paths, no pixels) and reads each of
 * them on its own later, from any thread. */
#ifndef HANDSOFF_IO_FORMATS_H
#define HANDSOFF_IO_FORMATS_H

#include <stdio.h>

#include "handsoff/formats.h"

enum { HO_LABEL_IGNORED = 255, HO_PATH = 4096 };

typedef struct {
    char *name;  /* below the set's folder, '/' between folders: what split files and dataset.h5 call it */
    char *image; /* paths; NULL where there is none */
    char *label;
    char *depth;
    char *camera;
    int64_t index; /* the format's own number */
    ho_part part;
} ho_sample;

/* A sample at its published size. Pixels NULL: without that. */
typedef struct {
    ho_image image;
    ho_image label; /* one channel: class numbers of the source */
    float *depth;   /* metres, 0 = unknown, of the image's size */
    float *points;  /* (J, 3): x, y in pixels of the image, visibility */
} ho_reading;

typedef struct ho_listing ho_listing;
typedef ho_status (*ho_sample_reader)(const ho_listing *listing, const ho_sample *sample, ho_reading *reading);

struct ho_listing {
    const char *folder;
    ho_aspect aspect;
    ho_sample *samples;
    int n, room;
    const char *classes; /* "a|b|c", numbered from 0; NULL: as many as the labels have */
    int ignored[4];      /* class numbers that mean "do not look", ended by -1 or the array's end */
    const char *points;  /* "a|b|c" or NULL */
    bool depth;
    /* Latents that lie beside the images, (n_latents, rows, width); row sample->index belongs to a sample. */
    float *latents;
    int64_t n_latents, latent_rows, latent_width;
    bool label_scales; /* labels may be smaller than the photo, with the same aspect */
    ho_sample_reader read;
    void *own;
    void (*free_own)(void *own);
};

typedef struct {
    const char *name, *reads;
    const char *from; /* where to get it, its licence, how many images; NULL: a layout, not a set */
    ho_status (*list)(ho_listing *listing);
} ho_format;
extern const ho_format HO_FORMATS[]; /* ended by a NULL name */

/* ---- listing ----------------------------------------------------------------------------------------------------- */

/* "A/B" into a path; HO_EIO when it is longer than a path may be. */
ho_status ho_path_join(char path[HO_PATH], const char *folder, const char *name);
bool ho_is_folder(const char *path);
bool ho_is_file(const char *path);
/* The names in a folder in byte order, hidden ones left out; *names is freed by free(). HO_EIO. */
ho_status ho_folder_names(const char *folder, int *n, char ***names);
bool ho_has_ending(const char *name, const char *ending); /* letters of either case */
bool ho_is_photo_name(const char *name);                  /* .png, .jpg, .jpeg, .bmp */
/* The length of the name without its last ending. */
int ho_stem_length(const char *name);

/* A new sample at the end, its strings copied (NULL stays NULL). */
ho_status ho_listing_add(ho_listing *listing, const ho_sample *sample);
void ho_listing_free(ho_listing *listing);
/* Forgets a sample, whose place stays empty until the listing is packed. */
void ho_listing_drop(ho_listing *listing, int sample);
void ho_listing_pack(ho_listing *listing);

/* Photos of one folder with labels of another. */
typedef struct {
    const char *images, *labels; /* below the set's folder; labels NULL: none */
    const char *image_suffix;    /* what follows the stem both share, ending included; NULL: any photo's ending */
    const char *label_suffix;    /* ".png" */
    ho_part part;
    bool some; /* photos without label are left out */
} ho_pairing;
/* Lists them. HO_EFORMAT where some photos have no label or some labels no photo: how many, and the first of them. */
ho_status ho_list_pairs(ho_listing *listing, const ho_pairing *pairing);

/* Says that the folder is not what the format reads; `expected` describes it, and what lies there is listed. */
ho_status ho_wrong_folder(const ho_listing *listing, const char *format, const char *expected);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The sample's photo and, where it has one, its label PNG. */
ho_status ho_read_pair(const ho_listing *listing, const ho_sample *sample, ho_reading *reading);
void ho_reading_free(ho_reading *reading);

/* A grey PNG of 8 or 16 bits; *pixels is malloc'd, *bits says which. */
ho_status ho_png_read_grey(const char *path, int *width, int *height, int *bits, uint16_t **pixels);
/* Metres = (value - shift) * scale, 0 where the value is 0 or `hole`; of the photo's size. */
typedef struct {
    double scale, shift;
    bool inverse; /* scale / (value - shift) */
    int hole;
} ho_depth_code;
ho_status ho_read_depth(const char *path, const ho_depth_code *code, const char *photo, ho_reading *reading);

/* Reads a text file whole, with a NUL behind it; *text is malloc'd. At most `most` bytes. */
ho_status ho_text_read(const char *path, int64_t most, char **text);

/* A matrix of small whole numbers as an image of one channel. -1 becomes 255. */
ho_status ho_npy_read_labels(const char *path, ho_image *label);
/* The header of an array (height, width) of elements such as "|u1" or "<f4"; the elements follow. False: not written.
 */
bool ho_npy_write_header(FILE *file, const char *type, int64_t height, int64_t width);
/* An array of floats of any rank; *values is malloc'd. */
ho_status ho_npy_read_floats(const char *path, int *rank, int64_t dim[4], float **values);
/* The first variable of a MATLAB 5 file, a uint8 matrix, as an image of one channel. */
ho_status ho_mat5_read_labels(const char *path, ho_image *label);

/* ---- the sets ---------------------------------------------------------------------------------------------------- */

ho_status ho_list_folder(ho_listing *listing);
ho_status ho_list_coco(ho_listing *listing);
ho_status ho_list_handsoff(ho_listing *listing);
ho_status ho_list_datasetgan(ho_listing *listing);
ho_status ho_list_celebamask(ho_listing *listing);
ho_status ho_list_camvid(ho_listing *listing);
ho_status ho_list_cityscapes(ho_listing *listing);
ho_status ho_list_face_keypoints(ho_listing *listing);
ho_status ho_list_clothing(ho_listing *listing);
ho_status ho_list_fasseg(ho_listing *listing);
ho_status ho_list_helen(ho_listing *listing);
ho_status ho_list_nyu(ho_listing *listing);
ho_status ho_list_seven_scenes(ho_listing *listing);
ho_status ho_list_deepfashion(ho_listing *listing);

/* ---- bringing to size -------------------------------------------------------------------------------------------- */

/* One sample's square: the photo is made, free it; where the others go, NULL: not wanted. */
typedef struct {
    ho_image image;
    uint8_t *label;
    float *depth, *points;
} ho_square;
/* `classes` maps class numbers of the source to ours, -1: unknown. */
typedef struct {
    int size;
    ho_resize_rule rule;
    const int16_t *classes;
    const char *table; /* its name for messages */
} ho_squaring;
/* *highest: the highest class number of the source, 255 left out; -1 without labels. */
ho_status ho_square_sample(const ho_listing *listing, const ho_sample *sample, const ho_squaring *how,
                           ho_square *square, int *highest);

/* ---- writing ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const ho_listing *listing;
    const ho_sample *sample;
} ho_item;

/* One part of the data set: its samples, what they have, and where their rows lie. */
typedef struct {
    ho_part part;
    int n;
    ho_item *items;
    bool label, depth, points;
    int n_points;
    ho_store_rows image_rows, label_rows, depth_rows, point_rows;
} ho_batch;

typedef struct {
    ho_store *store;
    const ho_import_request *request;
    const ho_squaring *how;
    const ho_batch *batches; /* HO_N_PARTS of them */
    int64_t first;           /* samples of all parts that are there already */
    int highest;             /* class number of the source so far */
} ho_flow;
/* Reads, squares and writes every sample from `first` on, on all threads. */
ho_status ho_flow_run(ho_flow *flow);

/* The reading of car-parts. */
ho_status ho_import_car_parts(const ho_import_request *request, const char *path, ho_import_counts *counts);

/* Which source classes become which: of the merge file, or those of the listings. Where a format has no names for its
 * classes n_classes stays 0, and ho_number_classes names them when all labels are known. */
ho_status ho_classes_of(const ho_import_request *request, int n, const ho_listing *listings, ho_merge *merge);
ho_status ho_number_classes(int n, ho_merge *merge);
/* Colours spread around the colour circle; the first is white. */
void ho_spread_colours(int n, uint8_t (*palette)[3]);
/* Keeps the samples that the split file names, each in its part. *n_missing counts the names that no sample has. */
ho_status ho_split_apply(const char *path, int n, ho_listing *listings, int *n_missing);

#endif
