/* Networks as other programs keep them: PyTorch's .pt and .pth (zip and the older form), NVIDIA's .pkl, NumPy's .npy
 * and .npz, .safetensors. No code in a file is ever run: of a pickle only data is taken (src/io/pickle_read.h).
 *
 * A file is a list of named tensors. What holds others gives its name to theirs: a dict {"g_ema": {"conv1.bias": t}}
 * has the tensor "g_ema.conv1.bias". Values stay in the file until they are read, so that a file may be larger than
 * memory.
 */
#ifndef HANDSOFF_WEIGHTS_H
#define HANDSOFF_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    HO_WEIGHT_F32,
    HO_WEIGHT_F64,
    HO_WEIGHT_F16,
    HO_WEIGHT_BF16,
    HO_WEIGHT_U8,
    HO_WEIGHT_I8,
    HO_WEIGHT_I16,
    HO_WEIGHT_I32,
    HO_WEIGHT_I64,
    HO_WEIGHT_BOOL,
} ho_weight_type;
const char *ho_weight_type_name(ho_weight_type type); /* "float32" */

enum { HO_WEIGHT_RANK = 8 };

/* Element i, j, ... is number offset + i stride[0] + j stride[1] + ... of a run of n_bytes bytes, which is in the file:
 * from byte `first` of member number `member` of the archive, or of the file itself where that is -1. */
typedef struct {
    char *name;
    ho_weight_type type;
    int rank;
    int64_t dim[HO_WEIGHT_RANK], stride[HO_WEIGHT_RANK];
    int64_t offset;
    int64_t member, first, n_bytes;
    bool swap; /* the highest byte is first */
} ho_weight;

typedef struct ho_weights ho_weights;
/* Reads the list of tensors. HO_EFORMAT says at which byte the file is none of the above, or which tensor lies outside
 * of it. */
ho_status ho_weights_open(const char *path, ho_weights **weights);
void ho_weights_close(ho_weights *weights); /* NULL is allowed */
const char *ho_weights_path(const ho_weights *weights);
const char *ho_weights_container(const ho_weights *weights); /* "PyTorch zip" ... */
int64_t ho_weights_n(const ho_weights *weights);
const ho_weight *ho_weights_at(const ho_weights *weights, int64_t i);
const ho_weight *ho_weights_find(const ho_weights *weights, const char *name); /* the first of that name, or NULL */
int64_t ho_weight_count(const ho_weight *weight);                              /* elements */
/* All elements as floats, the last index fastest. */
ho_status ho_weights_read(ho_weights *weights, const ho_weight *weight, float *values);

/* What `handsoff import-weights` is asked for. */
typedef struct {
    int n_files; /* 1; a label head may come as one file a member */
    const char *const *files;
    const char *kind;      /* NULL: found out from names and shapes */
    const char *lpips;     /* LPIPS's linear layers for a feature network, or NULL: unit weights */
    const char *generator; /* HDF5 of the generator that a label head belongs to, or NULL: told by the head's width */
    int64_t height, width; /* of a label head's labels; 0: 512 */
} ho_import_options;

/* Writes the network as the HDF5 file that this program uses. `report` gets lines that say what was taken and what was
 * not, cut to `size` bytes. HO_EFORMAT says what was expected and what was found. */
ho_status ho_weights_import(const ho_import_options *options, const char *out, char *report, size_t size);
/* The kind that names and shapes show, or NULL. `name` numbers the kinds from 0: NULL behind the last one. */
const char *ho_weights_kind(const ho_weights *weights);
const char *ho_weights_kind_name(int i, const char **what);

/* A generator.h5 as rosinality/stylegan2-pytorch keeps it: {"g_ema": ..., "latent_avg": ...}, PyTorch's zip form. */
ho_status ho_weights_export(const char *generator, const char *out);

#ifdef __cplusplus
}
#endif
#endif
