/* The generated, labelled set.
 *
 *   synthetic_c.h5                    attributes: samples N, kept, height, width, classes, z_dim, shard_size
 *     /shard       strings            files beside this one, "synthetic_c/shard-00000.h5" ...: sample i is row
 *                                     i % shard_size of shard i / shard_size
 *     /score       (N) f32            uncertainty of each image, mean of the largest tenth of its JS divergences
 *     /kept        (n) i64            the samples that the filter left, ascending
 *     /class_name  (K) strings
 *   synthetic_c/shard-%05d.h5
 *     /image (n, H, W, 3) u8   /label (n, H, W) u8   /uncertainty (n, H, W) f16: JS divergence, natural logarithm
 *     /score (n) f32           /latent (n, z_dim) f32: z   /index (n) i64: sample numbers                            */
#ifndef HANDSOFF_SYNTHETIC_H
#define HANDSOFF_SYNTHETIC_H

#include <stdint.h>

#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The kept samples in memory: what downstream training needs. */
typedef struct {
    int64_t n;           /* kept samples                */
    int64_t n_generated; /* before the filter           */
    int height, width, n_classes;
    uint8_t *images;    /* (n, H, W, 3)                */
    uint8_t *labels;    /* (n, H, W), classes below K  */
    float *scores;      /* (n)                         */
    int64_t *index;     /* (n) sample numbers          */
    char **class_names; /* n_classes strings, one block */
} ho_synthetic;

/* Reads synthetic_c.h5 and the kept rows of its shards. */
ho_status ho_synthetic_read(const char *path, ho_synthetic *set);
void ho_synthetic_free(ho_synthetic *set);

/* Access by sample number, a few at a time, without the rest in memory. */
typedef struct ho_synthetic_file ho_synthetic_file;
ho_status ho_synthetic_open(const char *path, ho_synthetic_file **file);
void ho_synthetic_close(ho_synthetic_file *file);
typedef struct {
    int64_t n_generated, n_kept, height, width, n_classes, z_dim, shard_size;
    const float *scores; /* (n_generated), owned by the file */
    const int64_t *kept; /* (n_kept), owned by the file      */
    char **class_names;  /* owned by the file                */
} ho_synthetic_info;
const ho_synthetic_info *ho_synthetic_info_of(const ho_synthetic_file *file);
/* Samples first .. first + n - 1; each buffer NULL = not wanted. */
typedef struct {
    uint8_t *images;    /* (n, H, W, 3) */
    uint8_t *labels;    /* (n, H, W)    */
    float *uncertainty; /* (n, H, W)    */
    float *latents;     /* (n, z_dim)   */
} ho_synthetic_buffers;
ho_status ho_synthetic_samples(ho_synthetic_file *file, int64_t first, int64_t n, const ho_synthetic_buffers *buffers);

/* With the same seed and generate.batch every sample is the same bits, whatever generate.n and generate.shard are. With
 * another generate.batch latents are the same bits, an image's bytes differ by at most 1, and a label differs only
 * where two classes are all but equally likely. */

/* The folder that austinxu87/handsoff writes (generate_data.py), all samples: K.png, label_K.png (8-bit, one channel),
 * K.npy (float32 JS map) and N_0.pickle: a list of dicts latent (float64 (1, z_dim)), uncertrainty_score (this
 * spelling), image_name, image_label_name, js_name, paths under `folder`. The pickle is written last.
 *
 * Samples below `first` stand already, from an export of the same set that was stopped. `step` (or NULL) is called
 * after each image with the number of images that stand, and while the pickle is written with all of them; a status
 * other than HO_OK ends the export, which returns it. */
typedef ho_status (*ho_export_step)(void *user, int64_t done, int64_t total);
ho_status ho_synthetic_export_png(const char *path, const char *folder, int64_t first, ho_export_step step, void *user);
/* The same with another folder in the paths of the list: the name that `folder` will have. */
ho_status ho_synthetic_export_png_as(const char *path, const char *folder, const char *listed, int64_t first,
                                     ho_export_step step, void *user);
/* Removes those files, unfinished ones too, and the folder unless somebody else has put files there. */
void ho_synthetic_remove_png(const char *folder);

#ifdef __cplusplus
}
#endif
#endif
