/* Archives: PyTorch's zip form (data.pkl beside data/KEY) and NumPy's .npz. Sizes come from the central directory:
 * PyTorch leaves those of the local headers zero. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_internal.h"

enum { SMALL_MEMBER = 256 << 20 }; /* bytes of a member that is read whole: a pickle, a header */

static ho_status zip_failed(const ho_weights *w, int64_t member, const char *why) {
    char name[HO_WEIGHT_NAME];
    const char *found = member >= 0 ? zip_get_name(w->zip, (zip_uint64_t)member, 0) : NULL;
    (void)snprintf(name, sizeof name, "%s", found != NULL ? found : "");
    ho_printable(name);
    HO_FAIL(HO_EFORMAT, "%s: cannot read '%s' of the archive: %s", w->path, name, why);
}

int64_t ho_zip_find(const ho_weights *weights, const char *name) {
    return zip_name_locate(weights->zip, name, 0);
}

ho_status ho_zip_size(const ho_weights *weights, int64_t member, int64_t *size) {
    zip_stat_t about;
    zip_stat_init(&about);
    *size = 0;
    if (zip_stat_index(weights->zip, (zip_uint64_t)member, 0, &about) != 0 || (about.valid & ZIP_STAT_SIZE) == 0 ||
        about.size > INT64_MAX / 2) {
        return zip_failed(weights, member, zip_strerror(weights->zip));
    }
    *size = (int64_t)about.size;
    return HO_OK;
}

static ho_status restart(ho_weights *w, int64_t member) {
    if (w->reader.file != NULL) {
        (void)zip_fclose(w->reader.file);
    }
    zip_stat_t about;
    zip_stat_init(&about);
    const bool stored = zip_stat_index(w->zip, (zip_uint64_t)member, 0, &about) == 0 &&
                        (about.valid & ZIP_STAT_COMP_METHOD) != 0 && about.comp_method == ZIP_CM_STORE;
    w->reader = (ho_member_reader){zip_fopen_index(w->zip, (zip_uint64_t)member, 0), member, 0, stored};
    return w->reader.file != NULL ? HO_OK : zip_failed(w, member, zip_strerror(w->zip));
}

/* Bytes in order; NULL steps over them. */
static ho_status read_on(ho_weights *w, int64_t n, uint8_t *bytes) {
    uint8_t waste[1 << 14] = {0};
    for (int64_t done = 0; done < n;) {
        const int64_t left = n - done, most = (int64_t)sizeof waste;
        const int64_t now = bytes != NULL || left < most ? left : most;
        const zip_int64_t got = zip_fread(w->reader.file, bytes != NULL ? bytes + done : waste, (zip_uint64_t)now);
        if (got <= 0) {
            const char *why = got < 0 ? zip_file_strerror(w->reader.file) : "it ends early: the file is cut off";
            return zip_failed(w, w->reader.member, why);
        }
        done += got;
        w->reader.at += got;
    }
    return HO_OK;
}

ho_status ho_zip_read(ho_weights *weights, int64_t member, int64_t first, int64_t n, void *bytes) {
    ho_member_reader *r = &weights->reader;
    if (r->file == NULL || r->member != member || r->at > first) {
        HO_TRY(restart(weights, member));
    }
    /* A stored member can be entered anywhere, a compressed one only from its beginning. */
    if (r->at < first && r->stored && zip_fseek(r->file, first, SEEK_SET) == 0) {
        r->at = first;
    }
    HO_TRY(read_on(weights, first - r->at, NULL));
    return read_on(weights, n, bytes);
}

/* ---- members that are read whole --------------------------------------------------------------------------------- */

static ho_status read_memory(const ho_source *source, int64_t offset, int64_t n, void *bytes) {
    memcpy(bytes, (const char *)source->user + offset, (size_t)n);
    return HO_OK;
}

/* At most `most` bytes from the member's beginning; free(source->user) frees them. */
static ho_status load_member(ho_weights *w, int64_t member, int64_t most, ho_source *source) {
    int64_t size = 0;
    HO_TRY(ho_zip_size(w, member, &size));
    size = size < most ? size : most;
    void *bytes = malloc((size_t)size + 1);
    if (bytes == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %lld bytes of it", w->path, (long long)size);
    }
    *source = (ho_source){w->path, size, read_memory, bytes, 0};
    const ho_status status = ho_zip_read(w, member, 0, size, bytes);
    if (status != HO_OK) {
        free(bytes);
        source->user = NULL;
    }
    return status;
}

/* ---- PyTorch ----------------------------------------------------------------------------------------------------- */

typedef struct {
    ho_weights *weights;
    char top[HO_WEIGHT_NAME]; /* with its slash */
    bool swap;
} torch_archive;

static ho_status locate(void *user, const char *key, ho_weight_type type, ho_storage *storage) {
    const torch_archive *a = user;
    char name[2 * HO_WEIGHT_NAME];
    (void)type;
    if (snprintf(name, sizeof name, "%sdata/%s", a->top, key) >= (int)sizeof name) {
        HO_FAIL(HO_EFORMAT, "%s: a storage has the name '%.80s...'", a->weights->path, key);
    }
    const int64_t member = ho_zip_find(a->weights, name);
    if (member < 0) {
        HO_FAIL(HO_EFORMAT, "%s: the archive lacks '%.200s'", a->weights->path, name);
    }
    *storage = (ho_storage){member, 0, 0, a->swap};
    return ho_zip_size(a->weights, member, &storage->n_bytes);
}

static ho_status byte_order(torch_archive *a) {
    char name[2 * HO_WEIGHT_NAME];
    ho_source text = {0};
    (void)snprintf(name, sizeof name, "%sbyteorder", a->top);
    const int64_t member = ho_zip_find(a->weights, name);
    if (member < 0) {
        return HO_OK;
    }
    HO_TRY(load_member(a->weights, member, 3, &text));
    a->swap = text.size == 3 && memcmp(text.user, "big", 3) == 0;
    free(text.user);
    return HO_OK;
}

static ho_status open_torch(ho_weights *w, int64_t member, const char *name) {
    torch_archive archive = {w, "", false};
    ho_source source;
    ho_pickle *pickle = NULL;
    int64_t size = 0;
    const size_t n = strlen(name) - strlen("data.pkl");
    if (n >= sizeof archive.top) {
        HO_FAIL(HO_EFORMAT, "%s: the archive's folder has a name of %zu characters", w->path, n);
    }
    memcpy(archive.top, name, n);
    w->container = "PyTorch zip";
    HO_TRY(byte_order(&archive));
    HO_TRY(ho_zip_size(w, member, &size));
    if (size > SMALL_MEMBER) {
        HO_FAIL(HO_EFORMAT, "%s: its data.pkl has %lld bytes: that is no list of tensors", w->path, (long long)size);
    }
    HO_TRY(load_member(w, member, size, &source));
    ho_tensor_walk walk = {w, &source, member, locate, &archive, 0};
    ho_status status = ho_pickle_read(&source, 0, &pickle);
    status = status == HO_OK ? ho_walk_tensors(&walk, ho_pickle_root(pickle)) : status;
    ho_pickle_free(pickle);
    free(source.user);
    return status;
}

/* ---- NumPy ------------------------------------------------------------------------------------------------------- */

static ho_status open_array(ho_weights *w, int64_t member, const char *name) {
    enum { HEADER = 1 << 17 };
    char array[HO_WEIGHT_NAME];
    ho_source source;
    if (snprintf(array, sizeof array, "%.*s", (int)(strlen(name) - strlen(".npy")), name) >= (int)sizeof array) {
        HO_FAIL(HO_EFORMAT, "%s: an array has a name of %zu characters", w->path, strlen(name));
    }
    ho_printable(array);
    HO_TRY(load_member(w, member, HEADER, &source));
    const ho_status status = ho_weights_open_npy(w, array, member, &source);
    free(source.user);
    return status;
}

static bool ends_with(const char *name, const char *end) {
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

ho_status ho_weights_open_zip(ho_weights *weights) {
    int code = 0;
    ho_weights *w = weights;
    w->container = "NumPy .npz";
    w->zip = zip_open(w->path, ZIP_RDONLY, &code);
    if (w->zip == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        const ho_status status =
            ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                    "%s: cannot read its list of members at the end: the file is cut off or damaged "
                    "(%s)",
                    w->path, zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    const zip_int64_t n = zip_get_num_entries(w->zip, 0);
    for (zip_int64_t i = 0; i < n; ++i) {
        const char *name = zip_get_name(w->zip, (zip_uint64_t)i, 0);
        if (name != NULL && (strcmp(name, "data.pkl") == 0 || ends_with(name, "/data.pkl"))) {
            return open_torch(w, i, name);
        }
    }
    for (zip_int64_t i = 0; i < n; ++i) {
        const char *name = zip_get_name(w->zip, (zip_uint64_t)i, 0);
        if (name != NULL && ends_with(name, ".npy")) {
            HO_TRY(open_array(w, i, name));
        }
    }
    return HO_OK;
}
