/* dataset.h5: reading, writing, choosing. */
#include "handsoff/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/import.h"
#include "handsoff/random.h"

ho_status ho_strings_copy(int n, const char *const *strings, char ***block) {
    size_t bytes = sizeof(char *) * ((size_t)n + 1);
    for (int i = 0; i < n; i++) {
        bytes += strlen(strings[i]) + 1;
    }
    char **copy = malloc(bytes);
    if (copy == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %d names", n);
    }
    char *at = (char *)(copy + n + 1);
    for (int i = 0; i < n; i++) {
        const size_t size = strlen(strings[i]) + 1;
        memcpy(at, strings[i], size);
        copy[i] = at;
        at += size;
    }
    copy[n] = NULL;
    *block = copy;
    return HO_OK;
}

ho_status ho_split_new(const ho_split_shape *shape, ho_split *split) {
    const size_t n = (size_t)shape->n, pixels = (size_t)shape->size * (size_t)shape->size;
    memset(split, 0, sizeof *split);
    split->n = shape->n;
    split->height = shape->size;
    split->width = shape->size;
    split->images = calloc(n * pixels, 3);
    split->labels = shape->labels ? calloc(n, pixels) : NULL;
    split->depth = shape->depth ? calloc(n * pixels, sizeof *split->depth) : NULL;
    split->keypoints =
        shape->n_keypoints > 0 ? calloc(n * (size_t)shape->n_keypoints, 3 * sizeof *split->keypoints) : NULL;
    if (split->images == NULL || (shape->labels && split->labels == NULL) || (shape->depth && split->depth == NULL) ||
        (shape->n_keypoints > 0 && split->keypoints == NULL)) {
        ho_split_free(split);
        HO_FAIL(HO_EMEMORY, "no memory for %d images of %d x %d", shape->n, shape->size, shape->size);
    }
    return HO_OK;
}

void ho_split_free(ho_split *split) {
    free(split->images);
    free(split->labels);
    free(split->keypoints);
    free(split->depth);
    free(split->names);
    memset(split, 0, sizeof *split);
}

void ho_dataset_free(ho_dataset *dataset) {
    ho_split_free(&dataset->train);
    ho_split_free(&dataset->test);
    ho_split_free(&dataset->unlabelled);
    free(dataset->class_names);
    free(dataset->keypoint_names);
    free(dataset->palette);
    memset(dataset, 0, sizeof *dataset);
}

static ho_status write_split(ho_store *store, const char *split_name, const ho_split *split, int n_keypoints) {
    const int64_t dim[4] = {split->n, split->height, split->width, 3};
    char name[64];
    if (split->n == 0) {
        return HO_OK;
    }
    snprintf(name, sizeof name, "%s/image", split_name);
    HO_TRY(ho_store_write(store, name, HO_U8, 4, dim, split->images));
    if (split->labels != NULL) {
        snprintf(name, sizeof name, "%s/label", split_name);
        HO_TRY(ho_store_write(store, name, HO_U8, 3, dim, split->labels));
    }
    if (split->keypoints != NULL) {
        const int64_t point_dim[3] = {split->n, n_keypoints, 3};
        snprintf(name, sizeof name, "%s/keypoint", split_name);
        HO_TRY(ho_store_write(store, name, HO_F32, 3, point_dim, split->keypoints));
    }
    if (split->depth != NULL) {
        snprintf(name, sizeof name, "%s/depth", split_name);
        HO_TRY(ho_store_write(store, name, HO_F32, 3, dim, split->depth));
    }
    if (split->names != NULL) {
        snprintf(name, sizeof name, "%s/name", split_name);
        HO_TRY(ho_store_write_strings(store, name, split->n, (const char *const *)split->names));
    }
    return HO_OK;
}

ho_status ho_dataset_write(ho_store *store, const ho_dataset *dataset) {
    HO_TRY(write_split(store, "train", &dataset->train, dataset->n_keypoints));
    HO_TRY(write_split(store, "test", &dataset->test, dataset->n_keypoints));
    HO_TRY(write_split(store, "unlabelled", &dataset->unlabelled, dataset->n_keypoints));
    if (dataset->n_classes > 0) {
        const int64_t dim[2] = {dataset->n_classes, 3};
        HO_TRY(
            ho_store_write_strings(store, "class_name", dataset->n_classes, (const char *const *)dataset->class_names));
        HO_TRY(ho_store_write(store, "palette", HO_U8, 2, dim, dataset->palette));
    }
    if (dataset->n_keypoints > 0) {
        HO_TRY(ho_store_write_strings(store, "keypoint_name", dataset->n_keypoints,
                                      (const char *const *)dataset->keypoint_names));
    }
    return HO_OK;
}

/* Allocates and reads one data set of a split; *data stays NULL where the file has none. */
static ho_status read_part(ho_store *store, const char *name, ho_dtype dtype, int rank, const int64_t *dim,
                           void **data) {
    size_t bytes = dtype == HO_U8 ? 1 : sizeof(float);
    if (!ho_store_has(store, name)) {
        return HO_OK;
    }
    for (int i = 0; i < rank; i++) {
        bytes *= (size_t)dim[i];
    }
    *data = malloc(bytes > 0 ? bytes : 1);
    if (*data == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for data set '%s' (%zu bytes)", ho_store_path(store), name, bytes);
    }
    return ho_store_read(store, name, dtype, rank, dim, *data);
}

static ho_status check_labels(const char *path, const char *split_name, const ho_split *split, int n_classes) {
    const int64_t pixels = (int64_t)split->height * split->width;
    for (int64_t i = 0; split->labels != NULL && i < split->n * pixels; i++) {
        const int value = split->labels[i];
        if (value >= n_classes && value != 255) {
            const int64_t image = i / pixels, at = i % pixels;
            HO_FAIL(HO_EFORMAT,
                    "%s: data set '%s/label': image %lld (%s), pixel x %lld, y %lld has class %d; the %d classes are "
                    "0 to %d, 255 means ignore",
                    path, split_name, (long long)image, split->names != NULL ? split->names[image] : "no name",
                    (long long)(at % split->width), (long long)(at / split->width), value, n_classes, n_classes - 1);
        }
    }
    return HO_OK;
}

static ho_status read_split(ho_store *store, const char *split_name, const ho_dataset *dataset, ho_split *split) {
    char name[5][64];
    static const char *const PARTS[5] = {"image", "label", "keypoint", "depth", "name"};
    for (int i = 0; i < 5; i++) {
        snprintf(name[i], sizeof name[i], "%s/%s", split_name, PARTS[i]);
    }
    if (!ho_store_has(store, name[0])) {
        return HO_OK;
    }
    ho_store_info info;
    HO_TRY(ho_store_info_of(store, name[0], &info));
    if (info.rank != 4 || info.dim[3] != 3 || info.dim[0] < 1 || info.dim[0] > INT32_MAX || info.dim[1] > 16384 ||
        info.dim[2] > 16384) {
        HO_FAIL(HO_EFORMAT, "%s: data set '%s' must be (n, H, W, 3) with n, H, W at least 1 and H, W at most 16384",
                ho_store_path(store), name[0]);
    }
    split->n = (int)info.dim[0];
    split->height = (int)info.dim[1];
    split->width = (int)info.dim[2];
    const int64_t points[3] = {split->n, dataset->n_keypoints, 3};
    HO_TRY(read_part(store, name[0], HO_U8, 4, info.dim, (void **)&split->images));
    HO_TRY(read_part(store, name[1], HO_U8, 3, info.dim, (void **)&split->labels));
    HO_TRY(read_part(store, name[2], HO_F32, 3, points, (void **)&split->keypoints));
    HO_TRY(read_part(store, name[3], HO_F32, 3, info.dim, (void **)&split->depth));
    if (ho_store_has(store, name[4])) {
        int n = 0;
        HO_TRY(ho_store_read_strings(store, name[4], &n, &split->names));
        if (n != split->n) {
            HO_FAIL(HO_EFORMAT, "%s: data set '%s' has %d names for %d images", ho_store_path(store), name[4], n,
                    split->n);
        }
    }
    return check_labels(ho_store_path(store), split_name, split, dataset->n_classes);
}

static ho_status read_all(ho_store *store, ho_dataset *dataset) {
    HO_TRY(ho_store_check_schema(store));
    if (ho_store_has(store, "class_name")) {
        HO_TRY(ho_store_read_strings(store, "class_name", &dataset->n_classes, &dataset->class_names));
        const int64_t dim[2] = {dataset->n_classes, 3};
        HO_TRY(read_part(store, "palette", HO_U8, 2, dim, (void **)&dataset->palette));
        if (dataset->palette == NULL) {
            HO_FAIL(HO_EFORMAT, "%s: data set 'palette' (%d, 3) is missing", ho_store_path(store), dataset->n_classes);
        }
    }
    if (ho_store_has(store, "keypoint_name")) {
        HO_TRY(ho_store_read_strings(store, "keypoint_name", &dataset->n_keypoints, &dataset->keypoint_names));
    }
    HO_TRY(read_split(store, "train", dataset, &dataset->train));
    HO_TRY(read_split(store, "test", dataset, &dataset->test));
    HO_TRY(read_split(store, "unlabelled", dataset, &dataset->unlabelled));
    if (dataset->train.n == 0 && dataset->unlabelled.n == 0) {
        HO_FAIL(HO_EFORMAT, "%s: no data set 'train/image' and no 'unlabelled/image': this is not a dataset.h5",
                ho_store_path(store));
    }
    return HO_OK;
}

ho_status ho_dataset_read(const char *path, ho_dataset *dataset) {
    memset(dataset, 0, sizeof *dataset);
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    const ho_status status = read_all(store, dataset);
    ho_store_close(store);
    if (status != HO_OK) {
        ho_dataset_free(dataset);
    }
    return status;
}

ho_status ho_dataset_choose(const ho_dataset *dataset, int n, uint64_t seed, int64_t *indices) {
    const int n_train = dataset->train.n;
    if (n > n_train || n < 0) {
        HO_FAIL(HO_ECONFIG, "config key 'labelled': %d labelled images asked for, the data set has %d", n, n_train);
    }
    int64_t *order = malloc(sizeof *order * ((size_t)n_train + 1));
    if (order == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory to order %d images", n_train);
    }
    ho_permutation(seed, ho_stream_id("dataset/choose"), n_train, order);
    memcpy(indices, order, sizeof *order * (size_t)n);
    free(order);
    return HO_OK;
}
