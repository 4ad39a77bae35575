/* What the readers of weight files share. */
#ifndef HANDSOFF_IO_WEIGHTS_INTERNAL_H
#define HANDSOFF_IO_WEIGHTS_INTERNAL_H

#include <zip.h>

#include "handsoff/weights.h"
#include "pickle_read.h"
#include "source.h"

/* A member of the archive being read; reading on is cheap, reading back begins anew. */
typedef struct {
    zip_file_t *file;
    int64_t member, at;
    bool stored; /* not compressed */
} ho_member_reader;

/* A word or number of the dict `opts`, as text ("1" for True). */
enum { HO_OPTION_TEXT = 128 };
typedef struct {
    char key[64], text[HO_OPTION_TEXT];
} ho_weight_option;

struct ho_weights {
    char *path;
    const char *container;
    int fd;
    ho_source file; /* the whole file */
    zip_t *zip;     /* NULL: no archive */
    ho_member_reader reader;
    ho_weight *tensor;
    int64_t n, room;
    ho_weight_option *options;
    int64_t n_options;
};

/* Where the elements of a storage are. */
typedef struct {
    int64_t member, first, n_bytes;
    bool swap;
} ho_storage;

enum { HO_WEIGHT_NAME = 512, HO_WEIGHT_MOST = 1 << 18 /* tensors of a file */ };

int ho_weight_type_size(ho_weight_type type);

/* Adds a tensor whose `name` is copied; the other fields are taken as they are. HO_EFORMAT where its elements lie
 * outside of its bytes, or those outside of the file. */
ho_status ho_weights_add(ho_weights *weights, const char *name, const ho_weight *tensor);
/* Strides of an array with the last index fastest. */
void ho_weight_contiguous(ho_weight *tensor);

/* Archives. */
ho_status ho_weights_open_zip(ho_weights *weights);
int64_t ho_zip_find(const ho_weights *weights, const char *name); /* number of the member, or -1 */
ho_status ho_zip_size(const ho_weights *weights, int64_t member, int64_t *size);
ho_status ho_zip_read(ho_weights *weights, int64_t member, int64_t first, int64_t n, void *bytes);

/* Tensors of the pickle that is in `source`, and whose bytes are in archive member `member`, or -1: the file itself. A
 * storage that is named by a key is looked up by `locate`. */
typedef ho_status (*ho_storage_locator)(void *user, const char *key, ho_weight_type type, ho_storage *storage);
typedef struct {
    ho_weights *weights;
    const ho_source *source;
    int64_t member;
    ho_storage_locator locate;
    void *user;
    int64_t visits;
} ho_tensor_walk;
ho_status ho_walk_tensors(ho_tensor_walk *walk, const ho_node *root);
/* Takes the words and numbers of the dict `opts` at the root, where there is one. */
ho_status ho_walk_options(ho_weights *weights, const ho_node *root);
const char *ho_weights_option(const ho_weights *weights, const char *key); /* its text, or NULL */
bool ho_numpy_type(const char *descr, ho_weight_type *type, bool *swap);   /* "<f4" */

/* The older form of torch.save, from byte `first` of the source on. */
bool ho_is_torch_legacy(const ho_source *source, int64_t first);
typedef struct ho_legacy ho_legacy;
ho_status ho_legacy_read(const ho_source *source, int64_t first, int64_t member, ho_legacy **legacy);
void ho_legacy_free(ho_legacy *legacy);
const ho_node *ho_legacy_root(const ho_legacy *legacy);
ho_status ho_legacy_locate(void *legacy, const char *key, ho_weight_type type, ho_storage *storage);
/* Type and key of a storage's persistent id; false where it is none. */
bool ho_storage_id(const ho_node *node, ho_weight_type *type, const char **key);

ho_status ho_weights_open_npy(ho_weights *weights, const char *name, int64_t member, const ho_source *source);
ho_status ho_weights_open_safetensors(ho_weights *weights);

#endif
