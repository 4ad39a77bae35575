/* HDF5 files: what every artefact of a run is. A store being written lives under a temporary name and gets
 * its own name only when whole: ho_store_commit flushes, syncs and renames; ho_store_close without commit removes it.
 * Messages name file and data set, what was found and what would be right. */
#ifndef HANDSOFF_STORE_H
#define HANDSOFF_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handsoff/params.h"
#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { HO_U8, HO_I32, HO_I64, HO_F16, HO_F32, HO_F64 } ho_dtype; /* F16 is float on the host side */

enum { HO_STORE_RANK = 6 };
typedef struct ho_store ho_store;
typedef struct {
    ho_dtype dtype;
    int rank;
    int64_t dim[HO_STORE_RANK];
} ho_store_info;

ho_status ho_store_open(const char *path, ho_store **store);   /* to read */
ho_status ho_store_create(const char *path, ho_store **store); /* to write, under a temporary name beside path */
ho_status ho_store_commit(ho_store *store);                    /* the file now stands under its name; close follows */
void ho_store_close(ho_store *store);                          /* NULL is allowed */
void ho_store_drop(ho_store *store); /* the same, and a PATH.part of ho_store_resume is removed, too */
const char *ho_store_path(const ho_store *store);

/* Whole data sets. `name` may hold slashes: groups are made as needed. Host type: uint8_t, int32_t, int64_t, float
 * (F16, F32), double. Writing: a data set is written once; HO_EIO when the disk refuses, and the store can then not be
 * committed. */
ho_status ho_store_write(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim,
                         const void *host);
/* Type and shape of a data set; HO_EFORMAT when there is none or its type is not one of the above. */
ho_status ho_store_info_of(ho_store *store, const char *name, ho_store_info *info);
bool ho_store_has(ho_store *store, const char *name); /* a data set of this name */
/* Reads all of it into `host`. Demands exactly this shape (a dim of -1 in `dim` accepts any size) and a type of the
 * same class: integers widen, floats convert. HO_EFORMAT otherwise, with what was found. */
ho_status ho_store_read(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim, void *host);
/* Makes a data set of its full size, for row writes. */
ho_status ho_store_reserve(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim);
/* Rows first .. first + n - 1 of the leading dimension, in the host type of the data set. HO_ESHAPE when it has no such
 * rows. */
ho_status ho_store_write_rows(ho_store *store, const char *name, int64_t first, int64_t n, const void *host);
ho_status ho_store_read_rows(ho_store *store, const char *name, int64_t first, int64_t n, void *host);

/* Large files that are filled row by row, from several threads, and that a killed process goes on with. Order of calls:
 * resume; reserve_rows for each data set; other writes, all of them before start_rows; put_row and checkpoint;
 * end_rows; small last writes; commit. Until then the file is PATH.part; ho_store_close without commit leaves it there
 * once a checkpoint was made. */

/* `task` is a text that tells what is being written (a checksum): a PATH.part of another task begins anew. *goes_on
 * says that an earlier process has reserved and started the rows; ho_store_marks then tells what it had done. HO_EIO
 * when another process is writing it. */
ho_status ho_store_resume(const char *path, const char *task, ho_store **store, bool *goes_on);
/* Where a data set's rows lie in the file. */
typedef struct {
    int64_t offset, bytes, n; /* of the first row; of each row; rows */
} ho_store_rows;
/* A data set of u8, i32, i64, f32 or f64, uncompressed and in one piece, its room set aside at once; or the one that is
 * there already. */
ho_status ho_store_reserve_rows(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim,
                                ho_store_rows *rows);
/* Writes out all that was reserved. HO_EIO where the disk has no room for it, with what it takes and what is free. */
ho_status ho_store_start_rows(ho_store *store);
/* One row; any thread may call it at any time between start_rows and end_rows. */
ho_status ho_store_put_row(const ho_store *store, const ho_store_rows *rows, int64_t row, const void *host);
enum { HO_STORE_MARKS = 2 };
/* Brings to disk all rows put so far, then `marks`, whose meaning is the caller's. One thread at a time. */
ho_status ho_store_checkpoint(ho_store *store, const int64_t marks[HO_STORE_MARKS]);
/* Those of the last checkpoint; zeros before the first. A first mark of 0 or less means nothing to go on with. */
ho_status ho_store_marks(ho_store *store, int64_t marks[HO_STORE_MARKS]);
/* The file is no more one to go on with: marks and task are removed. */
ho_status ho_store_end_rows(ho_store *store);

/* Lists of strings (class names, file names) as variable-length UTF-8 data sets. */
ho_status ho_store_write_strings(ho_store *store, const char *name, int n, const char *const *strings);
/* *strings is one malloc'd block, pointers and characters: free(*strings) frees all. */
ho_status ho_store_read_strings(ho_store *store, const char *name, int *n, char ***strings);

/* Attributes of the root group. Setting replaces one of that name. */
ho_status ho_store_set_text(ho_store *store, const char *key, const char *text);
/* The text, cut to `size` bytes with its NUL; HO_EFORMAT when there is none or it is no text. */
ho_status ho_store_get_text(ho_store *store, const char *key, char *text, size_t size);
ho_status ho_store_set_number(ho_store *store, const char *key, double number);
/* HO_EFORMAT when there is none or it is not one number. */
ho_status ho_store_get_number(ho_store *store, const char *key, double *number);
bool ho_store_has_attribute(ho_store *store, const char *key);
/* The newest layout of files that this program reads; every artefact has its own in the attribute `schema`. */
enum { HO_STORE_SCHEMA = 1 };
/* HO_EFORMAT where the file's schema is newer than that. A file without one, as other programs write it, passes. */
ho_status ho_store_check_schema(ho_store *store);
/* Calls visit for every attribute, in name order, with its value as text ("1, 2.5" for numbers); stops at the first
 * status that is not HO_OK. */
typedef ho_status (*ho_store_attribute_visitor)(void *user, const char *key, const char *text);
ho_status ho_store_visit_attributes(ho_store *store, ho_store_attribute_visitor visit, void *user);

/* Calls visit for every data set, in name order; stops at the first status that is not HO_OK. */
typedef ho_status (*ho_store_visitor)(void *user, const char *name, const ho_store_info *info);
ho_status ho_store_visit(ho_store *store, ho_store_visitor visit, void *user);

/* Calls visit for every list of strings, in name order: those are not among the data sets of ho_store_visit. */
typedef ho_status (*ho_strings_visitor)(void *user, const char *name, int64_t n);
ho_status ho_store_visit_strings(ho_store *store, ho_strings_visitor visit, void *user);

/* Calls visit for everything else, in name order: data sets of a type or rank that is not read ("compound (3)", "bool
 * (2, 2)"), empty groups, links. `what` says which. */
typedef ho_status (*ho_other_visitor)(void *user, const char *name, const char *what);
ho_status ho_store_visit_others(ho_store *store, ho_other_visitor visit, void *user);

/* The parameters of a network, each under prefix + its name, in file order. Loading demands every tensor and its exact
 * shape; what is missing or differs is named, with both shapes. A tensor with NaN or infinity is HO_EFORMAT and named.
 */
ho_status ho_store_write_params(ho_store *store, const char *prefix, ho_params *params);
ho_status ho_store_read_params(ho_store *store, const char *prefix, ho_params *params);
/* Those that the file has in the same shape; the others keep their values. *n_read counts them. */
ho_status ho_store_read_fitting_params(ho_store *store, const char *prefix, ho_params *params, int *n_read);

/* Hex SHA-256 of a file's bytes. */
ho_status ho_file_sha256(const char *path, char hex[65]);

#ifdef __cplusplus
}
#endif
#endif
