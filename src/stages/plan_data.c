/* How much data a run has: from its dataset.h5, else counted in the folders, else as the set is published. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "handsoff/dataset.h"
#include "handsoff/import.h"
#include "handsoff/store.h"
#include "plan_parts.h"

/* Images that data.dir has in each part, and classes without a merge table. */
static const struct {
    const char *format;
    int64_t n_train, n_test, n_unlabelled, n_classes;
    bool depth;
} PUBLISHED[] = {
    {"car-parts", 400, 100, 0, 19, false},
    {"celebamask-hq", 24183, 2824, 2993, 19, false},
    {"deepfashion-multimodal", 12701, 0, 31395, 24, false},
    {"cityscapes", 2975, 500, 1525, 35, true},
    {"camvid", 468, 233, 0, 32, false},
    {"clothing-co-parsing", 1004, 0, 1094, 59, false},
    {"fasseg", 50, 20, 0, 6, false},
    {"helen", 2000, 330, 0, 11, false},
    {"nyu-depth-v2", 795, 654, 0, 41, true},
    {"seven-scenes", 26000, 17000, 0, 2, true},
    {"face-keypoints", 7049, 0, 1783, 2, false},
    {"datasetgan", 16, 20, 0, 34, false},
    {"handsoff", 50, 50, 0, 19, false},
};

static int64_t counted; /* photos that count_photo has seen */

static int count_photo(const char *path, const struct stat *about, int kind, struct FTW *at) {
    static const char *const ENDS[] = {".jpg", ".jpeg", ".png"};
    const char *dot = strrchr(path + at->base, '.');
    (void)about;
    for (size_t i = 0; dot != NULL && kind == FTW_F && i < sizeof ENDS / sizeof ENDS[0]; ++i) {
        counted += strcasecmp(dot, ENDS[i]) == 0;
    }
    return 0;
}

/* Photos below the folder of a key; `otherwise` where there is none. */
static int64_t photos(ho_run *run, const char *key, int64_t otherwise) {
    const char *folder = ho_config_text(ho_run_config(run), key);
    if (*folder == '\0') {
        return 0;
    }
    counted = 0;
    return nftw(ho_run_data_path(run, folder), count_photo, 16, FTW_PHYS) == 0 && counted > 0 ? counted : otherwise;
}

static int64_t at_most(int64_t n, int64_t limit) {
    return limit > 0 && n > limit ? limit : n;
}

static void from_config(ho_run *run, ho_plan_data *data) {
    const ho_config *c = ho_run_config(run);
    const char *format = ho_config_text(c, "data.format");
    const int64_t limit = ho_config_int(c, "data.limit");
    ho_merge merge;
    *data = (ho_plan_data){.n_train = 1000, .n_classes = 2, .size = ho_config_int(c, "data.size")};
    if (strcmp(format, "toy_faces") == 0) {
        *data = (ho_plan_data){ho_config_int(c, "data.n_train"),
                               ho_config_int(c, "data.n_test"),
                               ho_config_int(c, "data.n_unlabelled"),
                               HO_TOY_FACE_CLASSES,
                               data->size,
                               true};
        return;
    }
    for (size_t i = 0; i < sizeof PUBLISHED / sizeof PUBLISHED[0]; ++i) {
        if (strcmp(PUBLISHED[i].format, format) == 0) {
            *data = (ho_plan_data){PUBLISHED[i].n_train,   PUBLISHED[i].n_test, PUBLISHED[i].n_unlabelled,
                                   PUBLISHED[i].n_classes, data->size,          PUBLISHED[i].depth};
        }
    }
    if (*ho_config_text(c, "data.dir") == '\0') {
        data->n_train = photos(run, "data.train_dir", data->n_train);
        data->n_test = photos(run, "data.test_dir", data->n_test);
        data->n_unlabelled = 0;
    }
    if (*ho_config_text(c, "data.unlabelled_dir") != '\0') {
        data->n_unlabelled = photos(run, "data.unlabelled_dir", 10000);
    }
    data->n_train = at_most(data->n_train, limit);
    data->n_test = at_most(data->n_test, limit);
    data->n_unlabelled = at_most(data->n_unlabelled, limit);
    if (*ho_config_text(c, "data.merge") != '\0' &&
        ho_merge_read(ho_run_data_path(run, ho_config_text(c, "data.merge")), &merge) == HO_OK) {
        data->n_classes = merge.n_classes;
        ho_merge_free(&merge);
    }
}

static int64_t rows(ho_store *store, const char *name) {
    ho_store_info info;
    return ho_store_has(store, name) && ho_store_info_of(store, name, &info) == HO_OK ? info.dim[0] : 0;
}

ho_status ho_plan_data_of(ho_run *run, ho_plan_data *data) {
    const char *path = ho_run_path(run, "dataset.h5");
    ho_store *store = NULL;
    ho_store_info info;
    from_config(run, data);
    if (access(path, R_OK) != 0 || ho_store_open(path, &store) != HO_OK) {
        return HO_OK;
    }
    /* Of another size it is going to be made anew. */
    if (ho_store_has(store, "train/image") && ho_store_info_of(store, "train/image", &info) == HO_OK &&
        info.rank == 4 && info.dim[1] == data->size) {
        data->n_train = info.dim[0];
        data->n_test = rows(store, "test/image");
        data->n_unlabelled = rows(store, "unlabelled/image");
        data->n_classes = rows(store, "palette") > 0 ? rows(store, "palette") : data->n_classes;
        data->depth = ho_store_has(store, "train/depth");
    }
    ho_store_close(store);
    return HO_OK;
}

double ho_plan_data_bytes(const ho_plan_data *data) {
    const double pixels = (double)data->size * (double)data->size;
    return pixels *
           ((double)(data->n_train + data->n_test) * (data->depth ? 8.0 : 4.0) + 3.0 * (double)data->n_unlabelled);
}
