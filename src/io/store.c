#include "handsoff/store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leftovers.h"
#include "store_internal.h"

/* Raw chunks that HDF5 keeps per data set: holds the chunks that row writes fill bit by bit (ho_store_make). */
static const size_t CHUNK_CACHE_BYTES = (size_t)16 << 20;

void ho_h5_quiet(void) {
    static _Thread_local bool done = false;
    if (!done) {
        /* Every file is closed by its owner. At exit HDF5 would try once more to write what a full disk refused. */
        H5dont_atexit();
        H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
        ho_h5_register_half();
        done = true;
    }
}

herr_t ho_h5_release(hid_t id) {
    return id < 0 ? 0 : (H5Idec_ref(id) < 0 ? -1 : 0);
}

typedef struct {
    char text[256];
    bool from_system;
} reason;

/* Called from the innermost failure outwards: the first text stands, unless a later one quotes the system. */
static herr_t collect_reason(unsigned n, const H5E_error2_t *entry, void *user) {
    reason *found = user;
    const char *text = entry->desc != NULL ? entry->desc : "";
    static const char MARK[] = "error message = '";
    const char *quoted = strstr(text, MARK);
    if (quoted != NULL && !found->from_system) {
        quoted += sizeof MARK - 1;
        const size_t length = strcspn(quoted, "'");
        snprintf(found->text, sizeof found->text, "%.*s", (int)(length < 200 ? length : 200), quoted);
        found->from_system = true;
    } else if (n == 0) {
        snprintf(found->text, sizeof found->text, "%s", text);
    }
    return 0;
}

ho_status ho_h5_fail(ho_store *store, const char *name, const char *what, const char *source, int line) {
    reason why = {"HDF5 gives no reason", false};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect_reason, &why);
    H5Eclear2(H5E_DEFAULT);
    store->broken = store->broken || store->writing;
    const ho_status code = store->writing || why.from_system ? HO_EIO : HO_EFORMAT;
    if (name == NULL) {
        return ho_fail(code, source, line, "%s: %s: %s", store->path, what, why.text);
    }
    return ho_fail(code, source, line, "%s: data set '%s': %s: %s", store->path, name, what, why.text);
}

ho_status ho_store_usable(const ho_store *store, bool writing) {
    ho_h5_quiet();
    if (writing && !store->writing) {
        HO_FAIL(HO_EIO, "%s is open for reading and cannot be written", store->path);
    }
    if (store->file < 0) {
        HO_FAIL(HO_EIO, "%s is committed and closed", store->path);
    }
    return HO_OK;
}

const char *ho_store_shape_text(char text[HO_SHAPE_TEXT], int rank, const int64_t *dim) {
    size_t at = (size_t)snprintf(text, HO_SHAPE_TEXT, "(");
    for (int i = 0; i < rank; i++) {
        const char *comma = i + 1 < rank ? ", " : "";
        if (dim[i] < 0) {
            at += (size_t)snprintf(text + at, HO_SHAPE_TEXT - at, "*%s", comma);
        } else {
            at += (size_t)snprintf(text + at, HO_SHAPE_TEXT - at, "%lld%s", (long long)dim[i], comma);
        }
    }
    snprintf(text + at, HO_SHAPE_TEXT - at, ")");
    return text;
}

/* ---- life of a file -------------------------------------------------------------------------------------------------
 */

void ho_store_free(ho_store *store) {
    if (store->rows >= 0) {
        close(store->rows);
    }
    free(store->path);
    free(store->temporary);
    free(store);
}

ho_store *ho_store_new(const char *path, const char *temporary_suffix) {
    const bool writing = temporary_suffix != NULL;
    ho_store *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    const size_t size = strlen(path) + 32;
    made->file = -1;
    made->rows = -1;
    made->writing = writing;
    made->path = malloc(size);
    made->temporary = writing ? malloc(size) : NULL;
    if (made->path == NULL || (writing && made->temporary == NULL)) {
        ho_store_free(made);
        return NULL;
    }
    snprintf(made->path, size, "%s", path);
    if (writing) {
        snprintf(made->temporary, size, "%s%s", path, temporary_suffix);
    }
    return made;
}

static hid_t access_properties(void) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_cache(access, 0, 1009, CHUNK_CACHE_BYTES, 1.0);
    /* Network file systems without locks are no reason to fail: files are never changed under their final name. */
    H5Pset_file_locking(access, true, true);
    return access;
}

/* The checks whose failure HDF5 would report in its own words. */
static ho_status check_readable(const char *path, int64_t *bytes) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        HO_FAIL(HO_EIO, "cannot open %s: %s", path, strerror(errno));
    }
    struct stat facts;
    const int known = fstat(file, &facts);
    close(file);
    if (known == 0 && S_ISDIR(facts.st_mode)) {
        HO_FAIL(HO_EIO, "cannot open %s: it is a folder, not an HDF5 file", path);
    }
    if (known == 0 && facts.st_size == 0) {
        HO_FAIL(HO_EFORMAT, "%s is empty, not an HDF5 file", path);
    }
    *bytes = known == 0 ? (int64_t)facts.st_size : 0;
    if (H5Fis_hdf5(path) <= 0) {
        H5Eclear2(H5E_DEFAULT);
        HO_FAIL(HO_EFORMAT, "%s is not an HDF5 file", path);
    }
    return HO_OK;
}

ho_status ho_store_open(const char *path, ho_store **store) {
    *store = NULL;
    ho_h5_quiet();
    int64_t bytes = 0;
    HO_TRY(check_readable(path, &bytes));
    ho_store *made = ho_store_new(path, NULL);
    if (made == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to open the file", path);
    }
    const hid_t access = access_properties();
    made->bytes = bytes;
    made->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    ho_status status = HO_OK;
    if (made->file < 0) { /* before the next HDF5 call, which would forget the reason */
        status = HO_H5_FAIL(made, NULL, "cannot open the HDF5 file (incomplete or damaged?)");
    }
    ho_h5_release(access);
    if (status != HO_OK) {
        ho_store_free(made);
        return status;
    }
    *store = made;
    return HO_OK;
}

static ho_status check_writable(const ho_store *store) {
    struct stat facts;
    if (stat(store->path, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        HO_FAIL(HO_EIO, "cannot write %s: it is a folder", store->path);
    }
    ho_remove_leftovers(store->path);
    const int file = open(store->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) {
        HO_FAIL(HO_EIO, "cannot write %s: cannot create %s beside it: %s", store->path, store->temporary,
                strerror(errno));
    }
    close(file);
    return HO_OK;
}

static ho_status create_file(ho_store *store) {
    HO_TRY(check_writable(store));
    const hid_t access = access_properties(), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(creation, false); /* equal content gives equal bytes */
    store->file = H5Fcreate(store->temporary, H5F_ACC_TRUNC, creation, access);
    const ho_status status = store->file < 0 ? HO_H5_FAIL(store, NULL, "cannot create the HDF5 file") : HO_OK;
    ho_h5_release(creation);
    ho_h5_release(access);
    if (status != HO_OK) {
        unlink(store->temporary);
    }
    return status;
}

ho_status ho_store_create(const char *path, ho_store **store) {
    *store = NULL;
    ho_h5_quiet();
    char suffix[32];
    snprintf(suffix, sizeof suffix, ".tmp.%ld", (long)getpid());
    ho_store *made = ho_store_new(path, suffix);
    if (made == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to write the file", path);
    }
    const ho_status status = create_file(made);
    if (status != HO_OK) {
        ho_store_free(made);
        return status;
    }
    *store = made;
    return HO_OK;
}

/* Points HDF5's file descriptor at memory. What the disk refused stays in HDF5's cache, and closing would try to write
 * it again, fail, and keep the file open for ever; into memory it can be written and forgotten. */
static void divert(const ho_store *store) {
    void *handle = NULL;
    if (H5Fget_vfd_handle(store->file, H5P_DEFAULT, &handle) < 0 || handle == NULL) {
        return;
    }
    const int memory = memfd_create("handsoff-discarded", MFD_CLOEXEC);
    if (memory >= 0) {
        dup2(memory, *(const int *)handle);
        close(memory);
    }
}

static void discard(ho_store *store) {
    /* Flushing tells whether closing would fail: a failed H5Fclose leaves an identifier that must not be used again. */
    const bool stuck = store->broken || H5Fflush(store->file, H5F_SCOPE_GLOBAL) < 0;
    struct rlimit limit = {0};
    const bool limited = stuck && getrlimit(RLIMIT_FSIZE, &limit) == 0;
    if (stuck) {
        divert(store);
    }
    if (limited) { /* a soft limit on file sizes holds for memory, too */
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit.rlim_max, limit.rlim_max});
    }
    H5Fclose(store->file);
    if (limited) {
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    H5Eclear2(H5E_DEFAULT);
    store->file = -1;
    if (!store->kept) {
        unlink(store->temporary);
    }
}

static ho_status sync_path(const char *path, int flags) {
    const int file = open(path, flags | O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        HO_FAIL(HO_EIO, "cannot open %s to write it to disk: %s", path, strerror(errno));
    }
    const int failed = fsync(file) != 0 ? errno : 0;
    close(file);
    /* Some network file systems cannot sync folders (EINVAL); the rename is done all the same. */
    if (failed != 0 && !(failed == EINVAL && (flags & O_DIRECTORY))) {
        HO_FAIL(HO_EIO, "cannot write %s to disk: %s", path, strerror(failed));
    }
    return HO_OK;
}

static ho_status sync_folder_of(const char *path) {
    char *copy = strdup(path);
    if (copy == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to commit the file", path);
    }
    const ho_status status = sync_path(dirname(copy), O_DIRECTORY);
    free(copy);
    return status;
}

ho_status ho_store_commit(ho_store *store) {
    HO_TRY(ho_store_usable(store, true));
    if (store->broken) {
        HO_FAIL(HO_EIO, "%s is not written: an earlier write to it failed", store->path);
    }
    if (H5Fflush(store->file, H5F_SCOPE_GLOBAL) < 0) {
        const ho_status status = HO_H5_FAIL(store, NULL, "cannot write the file");
        discard(store);
        return status;
    }
    const bool closed = H5Fclose(store->file) >= 0;
    store->file = -1;
    ho_status status = closed ? sync_path(store->temporary, 0) : HO_H5_FAIL(store, NULL, "cannot finish the file");
    if (status == HO_OK && rename(store->temporary, store->path) != 0) {
        status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot give %s its name (from %s): %s", store->path,
                         store->temporary, strerror(errno));
    }
    if (status != HO_OK) {
        unlink(store->temporary);
        return status;
    }
    return sync_folder_of(store->path);
}

void ho_store_close(ho_store *store) {
    if (store == NULL) {
        return;
    }
    ho_h5_quiet();
    if (store->file >= 0 && store->writing) {
        discard(store);
    } else if (store->file >= 0) {
        H5Fclose(store->file);
    }
    ho_store_free(store);
}

void ho_store_drop(ho_store *store) {
    if (store != NULL) {
        store->kept = false;
    }
    ho_store_close(store);
}

const char *ho_store_path(const ho_store *store) {
    return store->path;
}
