/* What the parts of the HDF5 store share: the handle, and how an HDF5 failure becomes a message. */
#ifndef HANDSOFF_STORE_INTERNAL_H
#define HANDSOFF_STORE_INTERNAL_H

#include <hdf5.h>

#include "handsoff/store.h"

struct ho_store {
    hid_t file;    /* negative once committed */
    bool writing;  /* created, not opened */
    bool broken;   /* a write failed: commit refuses */
    bool kept;     /* close leaves the file under its temporary name: it can be gone on with */
    int64_t bytes; /* of the file, when it was opened to be read */
    int rows;      /* the same file for row writes; -1: none */
    ho_store_rows marks;
    char *path;      /* the name that the user knows */
    char *temporary; /* the name while writing; NULL when reading */
};

enum { HO_SHAPE_TEXT = 160 };

/* Turns off HDF5's printing of error stacks for the calling thread and prepares half precision. Every public function
 * calls it first. */
void ho_h5_quiet(void);
void ho_h5_register_half(void);
/* Releases any HDF5 identifier; a negative one is ignored. Negative when data could not be written out. */
herr_t ho_h5_release(hid_t id);
/* Records "PATH: data set 'NAME': WHAT: REASON", REASON from HDF5's error stack (the system's text where there is one).
 * `name` may be NULL. Returns HO_EIO when writing (and marks the store broken), HO_EFORMAT when reading. */
ho_status ho_h5_fail(ho_store *store, const char *name, const char *what, const char *source, int line);
#define HO_H5_FAIL(store, name, what) ho_h5_fail((store), (name), (what), __FILE__, __LINE__)

ho_store *ho_store_new(const char *path, const char *temporary_suffix); /* suffix NULL: to read. NULL: no memory */
void ho_store_free(ho_store *store);

/* Fails unless the store can be written to (writing) or read from. A store being written can be read, too. */
ho_status ho_store_usable(const ho_store *store, bool writing);
/* Fails unless the data set can hold what its shape promises: a file of some bytes is not believed to have terabytes,
 * and values of other files (external storage, virtual data sets) are not read. */
ho_status ho_store_check_promise(const ho_store *store, const char *name, hid_t set);
/* True when `name` leads to an object; sets *type to its kind when type is not NULL. */
bool ho_store_find(ho_store *store, const char *name, H5O_type_t *type);
/* Creates a data set (groups as needed) that must be new. Chunked and compressed where that pays. */
ho_status ho_store_make(ho_store *store, const char *name, hid_t type, int rank, const int64_t *dim, hid_t *set);
hid_t ho_store_file_type(ho_dtype dtype);        /* release it */
hid_t ho_store_host_type(ho_dtype dtype);        /* borrowed: HDF5 owns its native types */
int ho_store_dtype_of(hid_t type);               /* -1 for a type that has no ho_dtype */
const char *ho_store_dtype_name(ho_dtype dtype); /* "f32" */
/* Floats convert into each other; integers only where every value fits. */
bool ho_store_readable_as(ho_dtype stored, ho_dtype wanted);
/* "(2, 3, *)"; a size of -1 is *. */
const char *ho_store_shape_text(char text[HO_SHAPE_TEXT], int rank, const int64_t *dim);

#endif
