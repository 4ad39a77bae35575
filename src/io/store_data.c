/* Numeric data sets of a store: whole, by rows, and the walk over all of them. */
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

bool ho_store_find(ho_store *store, const char *name, H5O_type_t *type) {
    char *part = strdup(name);
    bool found = part != NULL && name[0] != '\0';
    /* H5Lexists fails on a missing group in the middle, so the path is tried group by group. */
    for (char *slash = part; found && slash != NULL;) {
        slash = strchr(slash + 1, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        found = H5Lexists(store->file, part, H5P_DEFAULT) > 0;
        if (slash != NULL) {
            *slash = '/';
        }
    }
    free(part);
    H5O_info_t facts;
    found = found && H5Oget_info_by_name(store->file, name, &facts, H5P_DEFAULT) >= 0;
    if (found && type != NULL) {
        *type = facts.type;
    }
    H5Eclear2(H5E_DEFAULT);
    return found;
}

bool ho_store_has(ho_store *store, const char *name) {
    if (store->file < 0) {
        return false;
    }
    ho_h5_quiet();
    H5O_type_t type = H5O_TYPE_UNKNOWN;
    return ho_store_find(store, name, &type) && type == H5O_TYPE_DATASET;
}

/* ---- writing --------------------------------------------------------------------------------------------------------
 */

/* Large byte data sets (images, labels) are compressed. A chunk is one row (image) where that is 64 KiB or more, so
 * that reading images in random order decompresses nothing else; small rows share a chunk and very large ones are cut.
 */
static void set_chunks(hid_t creation, int rank, const int64_t *dim) {
    const int64_t small = 64 << 10, large = 8 << 20;
    hsize_t chunk[HO_STORE_RANK];
    int64_t row = 1;
    for (int i = 1; i < rank; i++) {
        chunk[i] = (hsize_t)dim[i];
        row *= dim[i];
    }
    const int64_t rows = row >= small ? 1 : (small + row - 1) / row;
    chunk[0] = (hsize_t)(rows < dim[0] ? rows : dim[0]);
    for (int i = 1; i < rank; i++) {
        while (row > large && chunk[i] > 1) {
            row = row / (int64_t)chunk[i] * (int64_t)((chunk[i] + 1) / 2);
            chunk[i] = (chunk[i] + 1) / 2;
        }
    }
    H5Pset_chunk(creation, rank, chunk);
    H5Pset_shuffle(creation);
    H5Pset_deflate(creation, 1);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_INCR);
    H5Pset_fill_time(creation, H5D_FILL_TIME_ALLOC);
}

static ho_status check_new(ho_store *store, const char *name, int rank, const int64_t *dim) {
    HO_TRY(ho_store_usable(store, true));
    HO_REQUIRE(rank >= 0 && rank <= HO_STORE_RANK, "%s: data set '%s' has %d dimensions; 0 to %d can be stored",
               store->path, name, rank, (int)HO_STORE_RANK);
    char text[HO_SHAPE_TEXT];
    for (int i = 0; i < rank; i++) {
        HO_REQUIRE(dim[i] >= 0, "%s: data set '%s' cannot have the shape %s", store->path, name,
                   ho_store_shape_text(text, rank, dim));
    }
    if (ho_store_find(store, name, NULL)) {
        HO_FAIL(HO_EIO, "%s: '%s' exists already; a data set is written once", store->path, name);
    }
    return HO_OK;
}

ho_status ho_store_make(ho_store *store, const char *name, hid_t type, int rank, const int64_t *dim, hid_t *set) {
    HO_TRY(check_new(store, name, rank, dim));
    hsize_t size[HO_STORE_RANK];
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        size[i] = (hsize_t)dim[i];
        count *= dim[i];
    }
    const hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, size, NULL);
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_obj_track_times(creation, false);
    if (H5Tequal(type, H5T_STD_U8LE) > 0 && rank > 0 && count > 1000000) {
        set_chunks(creation, rank, dim);
    }
    *set = H5Dcreate2(store->file, name, type, space, links, creation, H5P_DEFAULT);
    const ho_status status = *set < 0 ? HO_H5_FAIL(store, name, "cannot be created") : HO_OK;
    ho_h5_release(creation);
    ho_h5_release(links);
    ho_h5_release(space);
    return status;
}

/* Closing writes what is still cached, so that it can fail as a write does. */
static ho_status close_written(ho_store *store, const char *name, hid_t set, ho_status status) {
    if (ho_h5_release(set) < 0 && status == HO_OK) {
        return HO_H5_FAIL(store, name, "cannot be written");
    }
    return status;
}

ho_status ho_store_reserve(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim) {
    HO_REQUIRE(rank >= 1, "%s: data set '%s' needs a leading dimension to be written by rows", store->path, name);
    ho_h5_quiet();
    const hid_t type = ho_store_file_type(dtype);
    hid_t set = -1;
    const ho_status status = ho_store_make(store, name, type, rank, dim, &set);
    ho_h5_release(type);
    return close_written(store, name, set, status);
}

ho_status ho_store_write(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim,
                         const void *host) {
    ho_h5_quiet();
    const hid_t type = ho_store_file_type(dtype);
    hid_t set = -1;
    ho_status status = ho_store_make(store, name, type, rank, dim, &set);
    bool empty = false;
    for (int i = 0; status == HO_OK && i < rank; i++) {
        empty = empty || dim[i] == 0;
    }
    if (status == HO_OK && !empty &&
        H5Dwrite(set, ho_store_host_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, host) < 0) {
        status = HO_H5_FAIL(store, name, "cannot be written");
    }
    ho_h5_release(type);
    return close_written(store, name, set, status);
}

/* ---- reading --------------------------------------------------------------------------------------------------------
 */

/* Fills info of an open data set. *known is false (and the status HO_OK) where it holds no numbers of a known type. */
static ho_status describe(ho_store *store, const char *name, hid_t set, ho_store_info *info, bool *known) {
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    const int dtype = type < 0 ? -1 : ho_store_dtype_of(type);
    hsize_t size[H5S_MAX_RANK] = {0};
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, size, NULL);
    ho_h5_release(type);
    ho_h5_release(space);
    *known = dtype >= 0;
    if (rank < 0) {
        return HO_H5_FAIL(store, name, "has no readable shape");
    }
    if (rank > HO_STORE_RANK) {
        HO_FAIL(HO_EFORMAT, "%s: data set '%s' has %d dimensions; at most %d can be read", store->path, name, rank,
                (int)HO_STORE_RANK);
    }
    *info = (ho_store_info){*known ? (ho_dtype)dtype : HO_U8, rank, {0}};
    for (int i = 0; i < rank; i++) {
        info->dim[i] = (int64_t)size[i];
    }
    return HO_OK;
}

/* Each byte of a data set that deflate shrank takes a 1032nd at the least; others are in the file as they are. Chunks
 * that were never written take none, but no data set of ours is without all of them. */
ho_status ho_store_check_promise(const ho_store *store, const char *name, hid_t set) {
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set), creation = H5Dget_create_plist(set);
    const H5D_layout_t layout = creation < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(creation);
    const bool elsewhere = layout == H5D_VIRTUAL || (creation >= 0 && H5Pget_external_count(creation) > 0);
    const hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    const size_t size = type < 0 ? 0 : H5Tget_size(type);
    const int64_t most = store->bytes * (layout == H5D_CHUNKED ? 1032 : 1);
    ho_h5_release(creation);
    ho_h5_release(space);
    ho_h5_release(type);
    if (store->writing) {
        return HO_OK;
    }
    if (elsewhere) {
        HO_FAIL(HO_EFORMAT, "%s: data set '%s' keeps its values in other files; copy it into one file (h5repack)",
                store->path, name);
    }
    if (n < 0 || size == 0 || n > most / (int64_t)size) {
        HO_FAIL(HO_EFORMAT,
                "%s: data set '%s' promises %lld elements of %zu bytes, more than a file of %lld bytes can hold "
                "(incomplete or damaged?)",
                store->path, name, (long long)n, size, (long long)store->bytes);
    }
    return HO_OK;
}

static ho_status open_set(ho_store *store, const char *name, hid_t *set, ho_store_info *info) {
    *set = -1;
    HO_TRY(ho_store_usable(store, false));
    H5O_type_t kind = H5O_TYPE_UNKNOWN;
    if (!ho_store_find(store, name, &kind)) {
        HO_FAIL(HO_EFORMAT, "%s has no data set '%s'", store->path, name);
    }
    if (kind != H5O_TYPE_DATASET) {
        HO_FAIL(HO_EFORMAT, "%s: '%s' is a group, not a data set", store->path, name);
    }
    const hid_t opened = H5Dopen2(store->file, name, H5P_DEFAULT);
    if (opened < 0) {
        return HO_H5_FAIL(store, name, "cannot be opened");
    }
    bool known = false;
    ho_status status = describe(store, name, opened, info, &known);
    status = status == HO_OK && known ? ho_store_check_promise(store, name, opened) : status;
    if (status == HO_OK && !known) {
        status =
            ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                    "%s: data set '%s' holds a type that is not one of u8, i32, i64, f16, f32, f64", store->path, name);
    }
    if (status != HO_OK) {
        ho_h5_release(opened);
        return status;
    }
    *set = opened;
    return HO_OK;
}

ho_status ho_store_info_of(ho_store *store, const char *name, ho_store_info *info) {
    hid_t set;
    const ho_status status = open_set(store, name, &set, info);
    ho_h5_release(set);
    return status;
}

static ho_status check_matches(const ho_store *store, const char *name, const ho_store_info *info, ho_dtype dtype,
                               int rank, const int64_t *dim) {
    bool same = info->rank == rank && rank <= HO_STORE_RANK;
    for (int i = 0; same && i < rank; i++) {
        same = dim[i] < 0 || dim[i] == info->dim[i];
    }
    if (!same) {
        char found[HO_SHAPE_TEXT], expected[HO_SHAPE_TEXT];
        HO_FAIL(HO_EFORMAT, "%s: data set '%s' has the shape %s, expected %s", store->path, name,
                ho_store_shape_text(found, info->rank, info->dim), ho_store_shape_text(expected, rank, dim));
    }
    if (!ho_store_readable_as(info->dtype, dtype)) {
        HO_FAIL(HO_EFORMAT, "%s: data set '%s' holds %s, expected %s", store->path, name,
                ho_store_dtype_name(info->dtype), ho_store_dtype_name(dtype));
    }
    return HO_OK;
}

ho_status ho_store_read(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim, void *host) {
    hid_t set = -1;
    ho_store_info info = {HO_U8, 0, {0}};
    HO_TRY(open_set(store, name, &set, &info));
    ho_status status = check_matches(store, name, &info, dtype, rank, dim);
    bool empty = false;
    for (int i = 0; i < info.rank; i++) {
        empty = empty || info.dim[i] == 0;
    }
    if (status == HO_OK && !empty && H5Dread(set, ho_store_host_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, host) < 0) {
        status = HO_H5_FAIL(store, name, "cannot be read (incomplete or damaged?)");
    }
    ho_h5_release(set);
    return status;
}

/* ---- rows -----------------------------------------------------------------------------------------------------------
 */

typedef struct {
    int64_t first, n;
    void *to;         /* reading */
    const void *from; /* writing: then `to` is NULL */
} row_job;

static ho_status move_rows(ho_store *store, const char *name, hid_t set, const ho_store_info *info,
                           const row_job *job) {
    char text[HO_SHAPE_TEXT];
    HO_REQUIRE(info->rank >= 1 && job->first >= 0 && job->n >= 0 && job->first <= info->dim[0] - job->n,
               "%s: data set '%s' of shape %s has no rows %lld to %lld", store->path, name,
               ho_store_shape_text(text, info->rank, info->dim), (long long)job->first,
               (long long)(job->first + job->n - 1));
    hsize_t start[HO_STORE_RANK] = {(hsize_t)job->first}, count[HO_STORE_RANK] = {(hsize_t)job->n};
    bool empty = job->n == 0;
    for (int i = 1; i < info->rank; i++) {
        count[i] = (hsize_t)info->dim[i];
        empty = empty || info->dim[i] == 0;
    }
    if (empty) {
        return HO_OK;
    }
    const hid_t rows = H5Dget_space(set), memory = H5Screate_simple(info->rank, count, NULL);
    herr_t moved = H5Sselect_hyperslab(rows, H5S_SELECT_SET, start, NULL, count, NULL);
    if (moved >= 0) {
        moved = job->to != NULL ? H5Dread(set, ho_store_host_type(info->dtype), memory, rows, H5P_DEFAULT, job->to)
                                : H5Dwrite(set, ho_store_host_type(info->dtype), memory, rows, H5P_DEFAULT, job->from);
    }
    const ho_status status = moved >= 0        ? HO_OK
                             : job->to != NULL ? HO_H5_FAIL(store, name, "rows cannot be read (incomplete or damaged?)")
                                               : HO_H5_FAIL(store, name, "rows cannot be written");
    ho_h5_release(memory);
    ho_h5_release(rows);
    return status;
}

ho_status ho_store_write_rows(ho_store *store, const char *name, int64_t first, int64_t n, const void *host) {
    HO_TRY(ho_store_usable(store, true));
    hid_t set = -1;
    ho_store_info info = {HO_U8, 0, {0}};
    HO_TRY(open_set(store, name, &set, &info));
    const ho_status status = move_rows(store, name, set, &info, &(row_job){first, n, NULL, host});
    return close_written(store, name, set, status);
}

ho_status ho_store_read_rows(ho_store *store, const char *name, int64_t first, int64_t n, void *host) {
    hid_t set = -1;
    ho_store_info info = {HO_U8, 0, {0}};
    HO_TRY(open_set(store, name, &set, &info));
    const ho_status status = move_rows(store, name, set, &info, &(row_job){first, n, host, NULL});
    ho_h5_release(set);
    return status;
}

/* ---- all of them ----------------------------------------------------------------------------------------------------
 */

typedef struct {
    ho_store *store;
    ho_store_visitor visit;
    void *user;
    ho_status status;
} visiting;

static herr_t visit_object(hid_t root, const char *name, const H5O_info_t *facts, void *user) {
    visiting *state = user;
    if (facts->type != H5O_TYPE_DATASET) {
        return 0;
    }
    const hid_t set = H5Dopen2(root, name, H5P_DEFAULT), space = set < 0 ? H5I_INVALID_HID : H5Dget_space(set);
    ho_store_info info;
    bool known = false;
    if (set < 0) {
        state->status = HO_H5_FAIL(state->store, name, "cannot be opened");
    } else if (H5Sget_simple_extent_ndims(space) <= HO_STORE_RANK) {
        state->status = describe(state->store, name, set, &info, &known);
    }
    ho_h5_release(space);
    ho_h5_release(set);
    if (state->status == HO_OK && known) {
        state->status = state->visit(state->user, name, &info);
    }
    return state->status == HO_OK ? 0 : 1;
}

ho_status ho_store_visit(ho_store *store, ho_store_visitor visit, void *user) {
    HO_TRY(ho_store_usable(store, false));
    visiting state = {store, visit, user, HO_OK};
    if (H5Ovisit(store->file, H5_INDEX_NAME, H5_ITER_INC, visit_object, &state) < 0) {
        return HO_H5_FAIL(store, NULL, "cannot list the data sets");
    }
    return state.status;
}
