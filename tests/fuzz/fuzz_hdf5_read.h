/* Every reader of HDF5 files over one file. */
#include "fuzz.h"
#include "handsoff/dataset.h"
#include "handsoff/store.h"
#include "handsoff/synthetic.h"
#include "src/io/formats.h"

static const char *const FUZZ_NAME[] = {
    "train/image", "train/label",      "train/keypoint", "train/depth", "train/name",  "test/image", "test/label",
    "class_name",  "palette",          "keypoint_name",  "images",      "depths",      "shard",      "score",
    "kept",        "schema",           "kind",           "samples",     "height",      "width",      "classes",
    "z_dim",       "shard_size",       "image",          "label",       "uncertainty", "latent",     "index",
    "unlabelled",  "unlabelled/image", "train",          "conv.weight"};
enum { FUZZ_NAMES = sizeof FUZZ_NAME / sizeof *FUZZ_NAME, FUZZ_ELEMENTS = 4096 };

static inline ho_status fuzz_attribute(void *user, const char *key, const char *text) {
    *(size_t *)user += strlen(key) + strlen(text);
    return HO_OK;
}

static inline ho_status fuzz_set(void *user, const char *name, const ho_store_info *info) {
    *(size_t *)user += strlen(name) + (size_t)info->rank;
    return HO_OK;
}

static inline ho_status fuzz_strings(void *user, const char *name, int64_t n) {
    *(size_t *)user += strlen(name) + (size_t)n;
    return HO_OK;
}

static inline void fuzz_read_name(ho_store *store, const char *name) {
    static double values[FUZZ_ELEMENTS];
    const int64_t any[HO_STORE_RANK] = {-1, -1, -1, -1, -1, -1};
    char text[64], **strings = NULL;
    double number = 0.0;
    int n = 0;
    ho_store_info info;
    (void)ho_store_has_attribute(store, name);
    (void)ho_store_get_text(store, name, text, sizeof text);
    (void)ho_store_get_number(store, name, &number);
    if (ho_store_read_strings(store, name, &n, &strings) == HO_OK) {
        for (int i = 0; i < n; i++) {
            number += (double)strlen(strings[i]);
        }
        free((void *)strings);
    }
    if (ho_store_has(store, name) && ho_store_info_of(store, name, &info) == HO_OK) {
        int64_t count = 1;
        for (int i = 0; i < info.rank; i++) {
            count = info.dim[i] == 0 || count <= FUZZ_ELEMENTS / info.dim[i] ? count * info.dim[i] : FUZZ_ELEMENTS + 1;
        }
        if (count <= FUZZ_ELEMENTS) {
            for (int dtype = HO_U8; dtype <= HO_F64; dtype++) {
                (void)ho_store_read(store, name, (ho_dtype)dtype, info.rank, any, values);
            }
            (void)ho_store_read_rows(store, name, 0, 1, values);
            (void)ho_store_read_rows(store, name, INT64_MAX - 1, 1, values);
        }
    }
}

static inline void fuzz_read_nyu(void) {
    ho_listing listing = {.folder = "nyu"};
    ho_reading reading;
    memset(&reading, 0, sizeof reading);
    if (ho_list_nyu(&listing) == HO_OK && listing.n > 0) {
        (void)listing.read(&listing, &listing.samples[0], &reading);
    }
    ho_reading_free(&reading);
    ho_listing_free(&listing);
}

static inline void fuzz_read_synthetic(const char *path) {
    static uint8_t images[3 * FUZZ_ELEMENTS], labels[FUZZ_ELEMENTS];
    static float floats[FUZZ_ELEMENTS], latents[FUZZ_ELEMENTS];
    ho_synthetic_file *file = NULL;
    ho_synthetic set;
    if (ho_synthetic_open(path, &file) == HO_OK) {
        const ho_synthetic_info *info = ho_synthetic_info_of(file);
        if (info->height <= 64 && info->width <= 64 && info->z_dim <= FUZZ_ELEMENTS) {
            (void)ho_synthetic_samples(file, 0, 1, &(ho_synthetic_buffers){images, labels, floats, latents});
        }
        ho_synthetic_close(file);
        if (ho_synthetic_read(path, &set) == HO_OK) {
            ho_synthetic_free(&set);
        }
    }
}

/* `path` is nyu/nyu_depth_v2_labeled.mat, so that the reader of that set finds it, too. */
static inline void fuzz_read_hdf5(const char *path) {
    ho_store *store = NULL;
    ho_dataset dataset;
    size_t sum = 0;
    if (ho_store_open(path, &store) != HO_OK) {
        return;
    }
    (void)ho_store_check_schema(store);
    (void)ho_store_visit_attributes(store, fuzz_attribute, &sum);
    (void)ho_store_visit(store, fuzz_set, &sum);
    (void)ho_store_visit_strings(store, fuzz_strings, &sum);
    (void)ho_store_visit_others(store, fuzz_attribute, &sum);
    for (int i = 0; i < FUZZ_NAMES; i++) {
        fuzz_read_name(store, FUZZ_NAME[i]);
    }
    ho_store_close(store);
    if (ho_dataset_read(path, &dataset) == HO_OK) {
        ho_dataset_free(&dataset);
    }
    fuzz_read_synthetic(path);
    fuzz_read_nyu();
}

static const char FUZZ_HDF5[] = "nyu/nyu_depth_v2_labeled.mat";
