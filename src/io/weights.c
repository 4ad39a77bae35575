/* Weight files: which container it is, the list of tensors, and the values of one. */
#include "handsoff/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weights_internal.h"

static const struct {
    const char *name;
    int size;
} TYPES[] = {{"float32", 4}, {"float64", 8}, {"float16", 2}, {"bfloat16", 2}, {"uint8", 1},
             {"int8", 1},    {"int16", 2},   {"int32", 4},   {"int64", 8},    {"bool", 1}};

const char *ho_weight_type_name(ho_weight_type type) {
    return TYPES[type].name;
}

int ho_weight_type_size(ho_weight_type type) {
    return TYPES[type].size;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static ho_status read_file(const ho_source *source, int64_t offset, int64_t n, void *bytes) {
    const ho_weights *w = source->user;
    for (int64_t done = 0; done < n;) {
        const ssize_t got = pread(w->fd, (char *)bytes + done, (size_t)(n - done), offset + done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            HO_FAIL(HO_EIO, "%s: cannot read at byte %lld: %s", w->path, (long long)(offset + done), strerror(errno));
        }
        if (got == 0) {
            HO_FAIL(HO_EFORMAT, "%s: ends at byte %lld: it became shorter while it was read", w->path,
                    (long long)(offset + done));
        }
        done += got;
    }
    return HO_OK;
}

static ho_status open_file(ho_weights *w, const char *path) {
    struct stat about;
    w->path = strdup(path);
    if (w->path == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to open it", path);
    }
    w->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (w->fd < 0 || fstat(w->fd, &about) != 0) {
        HO_FAIL(HO_EIO, "%s: cannot open: %s", path, strerror(errno));
    }
    if (!S_ISREG(about.st_mode)) {
        HO_FAIL(HO_EIO, "%s: is no file but %s", path, S_ISDIR(about.st_mode) ? "a folder" : "something else");
    }
    w->file = (ho_source){w->path, about.st_size, read_file, w, 0};
    return HO_OK;
}

static ho_status open_legacy(ho_weights *w) {
    ho_legacy *legacy = NULL;
    HO_TRY(ho_legacy_read(&w->file, 0, -1, &legacy));
    ho_tensor_walk walk = {w, &w->file, -1, ho_legacy_locate, legacy, 0};
    const ho_status status = ho_walk_tensors(&walk, ho_legacy_root(legacy));
    ho_legacy_free(legacy);
    return status;
}

static ho_status no_storages(void *user, const char *key, ho_weight_type type, ho_storage *storage) {
    (void)type;
    (void)storage;
    HO_FAIL(HO_EFORMAT, "%s: its pickle refers to a storage '%.80s' outside of it", (const char *)user, key);
}

/* (G, D, Gs) of TensorFlow's networks. */
static bool is_tensorflow(const ho_node *root) {
    const bool row = ho_node_is(root, HO_NODE_TUPLE) || ho_node_is(root, HO_NODE_LIST);
    return row && root->n_items > 0 && ho_node_is_call(root->item[0], "dnnlib.tflib.network Network");
}

static ho_status open_pickle(ho_weights *w) {
    ho_pickle *pickle = NULL;
    HO_TRY(ho_pickle_read(&w->file, 0, &pickle));
    ho_tensor_walk walk = {w, &w->file, -1, no_storages, w->path, 0};
    const ho_status status =
        is_tensorflow(ho_pickle_root(pickle))
            ? ho_fail(
                  HO_EFORMAT, __FILE__, __LINE__,
                  "%s: is a pickle of the TensorFlow StyleGAN2; expected PyTorch's: legacy.py of stylegan2-ada-pytorch "
                  "writes it",
                  w->path)
            : ho_walk_tensors(&walk, ho_pickle_root(pickle));
    ho_pickle_free(pickle);
    return status;
}

static ho_status open_container(ho_weights *w) {
    uint8_t head[16] = {0};
    const int64_t n = w->file.size < (int64_t)sizeof head ? w->file.size : (int64_t)sizeof head;
    HO_TRY(ho_source_read(&w->file, 0, n, head));
    if (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0) {
        return ho_weights_open_zip(w);
    }
    if (memcmp(head, "\x93NUMPY", 6) == 0) {
        w->container = "NumPy array";
        return ho_weights_open_npy(w, "array", -1, &w->file);
    }
    if (ho_is_torch_legacy(&w->file, 0)) {
        w->container = "PyTorch, the form before 1.6";
        return open_legacy(w);
    }
    if (head[8] == '{' && n == sizeof head) {
        w->container = "safetensors";
        return ho_weights_open_safetensors(w);
    }
    if (head[0] == 0x80) {
        w->container = "pickle";
        return open_pickle(w);
    }
    if (memcmp(head, "\x89HDF\r\n", 6) == 0) {
        HO_FAIL(HO_EFORMAT, "%s: is an HDF5 file; 'handsoff info' says what is in it", w->path);
    }
    HO_FAIL(
        HO_EFORMAT,
        "%s: is no weight file: expected PyTorch's .pt or .pth, a .pkl, .npz, .npy or .safetensors, and found a file "
        "of %lld bytes that begins with %02x %02x %02x %02x",
        w->path, (long long)w->file.size, head[0], head[1], head[2], head[3]);
}

ho_status ho_weights_open(const char *path, ho_weights **weights) {
    *weights = NULL;
    ho_weights *w = calloc(1, sizeof *w);
    if (w == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to open it", path);
    }
    w->fd = -1;
    w->container = "unknown";
    ho_status status = open_file(w, path);
    status = status == HO_OK ? open_container(w) : status;
    if (status == HO_OK && w->n == 0) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: holds no tensor (%s)", path, w->container);
    }
    if (status != HO_OK) {
        ho_weights_close(w);
        return status;
    }
    *weights = w;
    return HO_OK;
}

void ho_weights_close(ho_weights *weights) {
    if (weights == NULL) {
        return;
    }
    if (weights->reader.file != NULL) {
        (void)zip_fclose(weights->reader.file);
    }
    if (weights->zip != NULL) {
        zip_discard(weights->zip);
    }
    if (weights->fd >= 0) {
        (void)close(weights->fd);
    }
    for (int64_t i = 0; i < weights->n; ++i) {
        free(weights->tensor[i].name);
    }
    free(weights->tensor);
    free(weights->options);
    free(weights->path);
    free(weights);
}

const char *ho_weights_path(const ho_weights *weights) {
    return weights->path;
}

const char *ho_weights_container(const ho_weights *weights) {
    return weights->container;
}

int64_t ho_weights_n(const ho_weights *weights) {
    return weights->n;
}

const ho_weight *ho_weights_at(const ho_weights *weights, int64_t i) {
    return &weights->tensor[i];
}

const ho_weight *ho_weights_find(const ho_weights *weights, const char *name) {
    for (int64_t i = 0; i < weights->n; ++i) {
        if (strcmp(weights->tensor[i].name, name) == 0) {
            return &weights->tensor[i];
        }
    }
    return NULL;
}

int64_t ho_weight_count(const ho_weight *weight) {
    int64_t count = 1;
    for (int i = 0; i < weight->rank; ++i) {
        count *= weight->dim[i];
    }
    return count;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

void ho_weight_contiguous(ho_weight *tensor) {
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; --i) {
        tensor->stride[i] = stride;
        /* Sizes of a hostile file: beyond any file's length it no longer matters by how much. */
        stride =
            tensor->dim[i] > 0 && stride > INT64_MAX / 16 / tensor->dim[i] ? INT64_MAX / 16 : stride * tensor->dim[i];
    }
}

/* The last element's number, and that there are fewer than 2^40 of them; false where a size is out of the question. */
static bool extent(const ho_weight *t, int64_t *count, int64_t *last) {
    static const int64_t MOST = (int64_t)1 << 40;
    *count = 1;
    *last = t->offset;
    if (t->offset < 0 || t->offset > MOST) {
        return false;
    }
    for (int i = 0; i < t->rank; ++i) {
        if (t->dim[i] < 0 || t->dim[i] > MOST || t->stride[i] < 0 || t->stride[i] > MOST ||
            (t->dim[i] > 0 && *count > MOST / t->dim[i])) {
            return false;
        }
        *count *= t->dim[i];
    }
    for (int i = 0; *count > 0 && i < t->rank; ++i) {
        if (t->stride[i] > 0 && t->dim[i] - 1 > (MOST - *last) / t->stride[i]) {
            return false;
        }
        *last += (t->dim[i] - 1) * t->stride[i];
    }
    return true;
}

ho_status ho_weights_add(ho_weights *weights, const char *name, const ho_weight *tensor) {
    int64_t count, last, size = weights->file.size;
    if (tensor->member >= 0) {
        HO_TRY(ho_zip_size(weights, tensor->member, &size));
    }
    if (tensor->first < 0 || tensor->n_bytes < 0 || tensor->first > size || tensor->n_bytes > size - tensor->first) {
        HO_FAIL(HO_EFORMAT,
                "%s: the bytes of '%.200s' should be %lld from byte %lld on, but there are %lld in all: the "
                "file is cut off",
                weights->path, name, (long long)tensor->n_bytes, (long long)tensor->first, (long long)size);
    }
    if (!extent(tensor, &count, &last) ||
        (count > 0 && last + 1 > tensor->n_bytes / ho_weight_type_size(tensor->type))) {
        HO_FAIL(HO_EFORMAT, "%s: sizes and strides of '%.200s' lead outside of its %lld bytes", weights->path, name,
                (long long)tensor->n_bytes);
    }
    if (weights->n == HO_WEIGHT_MOST) {
        HO_FAIL(HO_EFORMAT, "%s: holds more than %d tensors", weights->path, HO_WEIGHT_MOST);
    }
    if (weights->n == weights->room) {
        const int64_t room = weights->room < 64 ? 64 : 2 * weights->room;
        ho_weight *larger = realloc(weights->tensor, (size_t)room * sizeof *larger);
        if (larger == NULL) {
            HO_FAIL(HO_EMEMORY, "%s: no memory for its list of tensors", weights->path);
        }
        weights->tensor = larger;
        weights->room = room;
    }
    ho_weight *added = &weights->tensor[weights->n];
    *added = *tensor;
    added->name = strdup(name);
    if (added->name == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for its list of tensors", weights->path);
    }
    ++weights->n;
    return HO_OK;
}
