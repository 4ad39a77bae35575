/* Files filled row by row in place. Their data sets are contiguous and allocated before the first row, so that nothing
 * of the HDF5 structure changes while rows are written: those go to the file directly, and a file that a killed process
 * left is sound at any time. The marks, one small data set, say up to where the rows had reached the disk. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "leftovers.h"
#include "store_internal.h"

static const char MARKS[] = "checkpoint", TASK[] = "checkpoint_task";
static const int64_t MARKS_DIM[2] = {1, HO_STORE_MARKS};

static size_t size_of(ho_dtype dtype) {
    return dtype == HO_U8 ? 1 : dtype == HO_I32 || dtype == HO_F32 ? 4 : dtype == HO_F16 ? 2 : 8;
}

/* An open descriptor with the file's lock, or why not. Locks of this kind are the descriptor's: they end with the
 * process, and HDF5's own are of another kind. Where the file system has none, there is no protection. */
static ho_status lock_file(ho_store *store) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat mine, named;
    for (int attempt = 0; attempt < 3; attempt++) {
        store->rows = open(store->temporary, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (store->rows < 0) {
            HO_FAIL(HO_EIO, "cannot write %s: cannot create %s beside it: %s", store->path, store->temporary,
                    strerror(errno));
        }
        if (fcntl(store->rows, F_OFD_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES)) {
            HO_FAIL(HO_EIO, "%s: another process is writing it (it holds %s)", store->path, store->temporary);
        }
        /* The other process may have finished and renamed it between opening and locking. */
        if (fstat(store->rows, &mine) == 0 && stat(store->temporary, &named) == 0 && mine.st_ino == named.st_ino) {
            return HO_OK;
        }
        close(store->rows);
        store->rows = -1;
    }
    HO_FAIL(HO_EIO, "%s: other processes are writing it", store->path);
}

static hid_t unlocked_access(void) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_file_locking(access, false, true);
    return access;
}

/* True when the file is one of this task with a checkpoint. */
static bool reopen(ho_store *store, hid_t access, const char *task) {
    char found[128] = "";
    int64_t marks[HO_STORE_MARKS] = {0};
    struct stat facts;
    if (fstat(store->rows, &facts) != 0 || facts.st_size == 0 || H5Fis_hdf5(store->temporary) <= 0) {
        return false;
    }
    store->file = H5Fopen(store->temporary, H5F_ACC_RDWR, access);
    if (store->file < 0) {
        return false;
    }
    const bool same = ho_store_get_text(store, TASK, found, sizeof found) == HO_OK && strcmp(found, task) == 0 &&
                      ho_store_find(store, MARKS, NULL) &&
                      ho_store_reserve_rows(store, MARKS, HO_I64, 2, MARKS_DIM, &store->marks) == HO_OK &&
                      ho_store_marks(store, marks) == HO_OK && marks[0] > 0;
    if (!same) {
        H5Fclose(store->file);
        store->file = -1;
    }
    return same;
}

static ho_status begin(ho_store *store, hid_t access, const char *task) {
    const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(creation, false); /* equal content gives equal bytes */
    store->file = H5Fcreate(store->temporary, H5F_ACC_TRUNC, creation, access);
    const ho_status status = store->file < 0 ? HO_H5_FAIL(store, NULL, "cannot create the HDF5 file") : HO_OK;
    ho_h5_release(creation);
    HO_TRY(status);
    HO_TRY(ho_store_set_text(store, TASK, task));
    return ho_store_reserve_rows(store, MARKS, HO_I64, 2, MARKS_DIM, &store->marks);
}

ho_status ho_store_resume(const char *path, const char *task, ho_store **store, bool *goes_on) {
    struct stat facts;
    *store = NULL;
    *goes_on = false;
    ho_h5_quiet();
    if (stat(path, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        HO_FAIL(HO_EIO, "cannot write %s: it is a folder", path);
    }
    ho_remove_leftovers(path);
    ho_store *made = ho_store_new(path, ".part");
    if (made == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to write the file", path);
    }
    const hid_t access = unlocked_access();
    ho_status status = lock_file(made);
    const bool mine = status == HO_OK;
    if (mine) {
        *goes_on = reopen(made, access, task);
        H5Eclear2(H5E_DEFAULT);
        made->kept = *goes_on;
        status = *goes_on ? HO_OK : begin(made, access, task);
    }
    ho_h5_release(access);
    if (status != HO_OK) {
        if (mine && made->file < 0) {
            unlink(made->temporary);
        }
        ho_store_close(made);
        return status;
    }
    *store = made;
    return HO_OK;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static ho_status make_rows(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim,
                           hid_t *set) {
    hsize_t size[HO_STORE_RANK];
    for (int i = 0; i < rank; i++) {
        size[i] = (hsize_t)dim[i];
    }
    const hid_t space = H5Screate_simple(rank, size, NULL), type = ho_store_file_type(dtype);
    const hid_t links = H5Pcreate(H5P_LINK_CREATE), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_obj_track_times(creation, false);
    H5Pset_layout(creation, H5D_CONTIGUOUS);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER); /* the file is sparse, and sparse parts read as zeros */
    *set = H5Dcreate2(store->file, name, type, space, links, creation, H5P_DEFAULT);
    const ho_status status = *set < 0 ? HO_H5_FAIL(store, name, "cannot be created") : HO_OK;
    ho_h5_release(creation);
    ho_h5_release(links);
    ho_h5_release(type);
    ho_h5_release(space);
    return status;
}

ho_status ho_store_reserve_rows(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim,
                                ho_store_rows *rows) {
    HO_TRY(ho_store_usable(store, true));
    HO_REQUIRE(rank >= 1 && rank <= HO_STORE_RANK && dtype != HO_F16, "%s: data set '%s' of rank %d cannot have rows",
               store->path, name, rank);
    hid_t set = -1;
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        HO_REQUIRE(dim[i] >= 1, "%s: data set '%s' has no elements", store->path, name);
        count *= dim[i];
    }
    if (ho_store_find(store, name, NULL)) {
        set = H5Dopen2(store->file, name, H5P_DEFAULT);
    } else {
        HO_TRY(make_rows(store, name, dtype, rank, dim, &set));
    }
    const haddr_t offset = set < 0 ? HADDR_UNDEF : H5Dget_offset(set);
    const hsize_t stored = set < 0 ? 0 : H5Dget_storage_size(set);
    ho_h5_release(set);
    *rows = (ho_store_rows){(int64_t)offset, count / dim[0] * (int64_t)size_of(dtype), dim[0]};
    if (offset == HADDR_UNDEF || (int64_t)stored != rows->bytes * rows->n) {
        HO_FAIL(HO_EFORMAT, "%s: data set '%s' has %lld bytes in one piece, %lld are expected; delete %s to begin anew",
                store->path, name, (long long)stored, (long long)(rows->bytes * rows->n), store->temporary);
    }
    return HO_OK;
}

/* What the file will have more than it has now, against what the disk has. */
static ho_status check_room(const ho_store *store) {
    struct stat facts;
    struct statvfs disk;
    if (fstat(store->rows, &facts) != 0 || fstatvfs(store->rows, &disk) != 0) {
        return HO_OK; /* a file system that does not say: the writes will */
    }
    const double have = (double)disk.f_bavail * (double)disk.f_frsize, taken = (double)facts.st_blocks * 512.0;
    if ((double)facts.st_size - taken > have) {
        char *copy = strdup(store->path);
        const ho_status status =
            ho_fail(HO_EIO, __FILE__, __LINE__, "%s takes %.2f GB, but the disk of folder %s has only %.2f GB free",
                    store->path, (double)facts.st_size / 1e9, copy != NULL ? dirname(copy) : ".", have / 1e9);
        free(copy);
        return status;
    }
    return HO_OK;
}

/* Closed and opened again, HDF5 goes on as it would in another process: a file written in one go and one that was gone
 * on with then have the same bytes. */
ho_status ho_store_start_rows(ho_store *store) {
    HO_TRY(ho_store_usable(store, true));
    if (H5Fflush(store->file, H5F_SCOPE_GLOBAL) < 0) {
        return HO_H5_FAIL(store, NULL, "cannot write the file");
    }
    HO_TRY(check_room(store));
    if (H5Fclose(store->file) < 0) {
        store->file = -1;
        return HO_H5_FAIL(store, NULL, "cannot write the file");
    }
    const hid_t access = unlocked_access();
    store->file = H5Fopen(store->temporary, H5F_ACC_RDWR, access);
    const ho_status status = store->file < 0 ? HO_H5_FAIL(store, NULL, "cannot be opened again") : HO_OK;
    ho_h5_release(access);
    return status;
}

static ho_status put(const ho_store *store, int64_t offset, int64_t n, const void *host) {
    for (int64_t done = 0; done < n;) {
        const ssize_t now = pwrite(store->rows, (const char *)host + done, (size_t)(n - done), offset + done);
        if (now < 0 && errno != EINTR) {
            HO_FAIL(HO_EIO, "cannot write %s: %s", store->path, strerror(errno));
        }
        done += now > 0 ? now : 0;
    }
    return HO_OK;
}

ho_status ho_store_put_row(const ho_store *store, const ho_store_rows *rows, int64_t row, const void *host) {
    HO_REQUIRE(row >= 0 && row < rows->n, "%s: there is no row %lld of %lld", store->path, (long long)row,
               (long long)rows->n);
    return put(store, rows->offset + row * rows->bytes, rows->bytes, host);
}

/* ---- marks ------------------------------------------------------------------------------------------------------- */

ho_status ho_store_checkpoint(ho_store *store, const int64_t marks[HO_STORE_MARKS]) {
    if (fdatasync(store->rows) != 0 && errno != EINVAL) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", store->path, strerror(errno));
    }
    HO_TRY(ho_store_put_row(store, &store->marks, 0, marks));
    store->kept = true;
    return HO_OK;
}

ho_status ho_store_marks(ho_store *store, int64_t marks[HO_STORE_MARKS]) {
    memset(marks, 0, sizeof *marks * HO_STORE_MARKS);
    if (pread(store->rows, marks, (size_t)store->marks.bytes, store->marks.offset) < 0) {
        HO_FAIL(HO_EIO, "%s: cannot be read: %s", store->path, strerror(errno));
    }
    return HO_OK;
}

ho_status ho_store_end_rows(ho_store *store) {
    static const int64_t none[HO_STORE_MARKS];
    HO_TRY(ho_store_checkpoint(store, none));
    store->kept = false;
    if (H5Ldelete(store->file, MARKS, H5P_DEFAULT) < 0 || H5Adelete(store->file, TASK) < 0) {
        return HO_H5_FAIL(store, NULL, "the checkpoint cannot be removed");
    }
    return HO_OK;
}
