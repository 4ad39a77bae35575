/* Reading the generated, labelled set. */
#include "handsoff/synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/store.h"

struct ho_synthetic_file {
    char folder[4096]; /* of the index file, with the last slash; "" for the current one */
    ho_synthetic_info info;
    float *scores;
    int64_t *kept;
    int n_shards;
    char **shards;
    ho_store *open; /* the shard read last */
    int64_t open_number;
};

static ho_status read_number(ho_store *store, const char *key, int64_t low, int64_t *value) {
    double number = 0;
    HO_TRY(ho_store_get_number(store, key, &number));
    if (!(number >= (double)low && number <= 1e12)) {
        HO_FAIL(HO_EFORMAT, "%s: attribute %s is %g; right is %lld or more", ho_store_path(store), key, number,
                (long long)low);
    }
    *value = (int64_t)number;
    return HO_OK;
}

static ho_status check_index(const ho_synthetic_file *file, const char *path) {
    const ho_synthetic_info *info = &file->info;
    const int64_t shards = (info->n_generated + info->shard_size - 1) / info->shard_size;
    if (file->n_shards != shards) {
        HO_FAIL(HO_EFORMAT, "%s: %lld samples at %lld a shard need %lld shards, it names %d", path,
                (long long)info->n_generated, (long long)info->shard_size, (long long)shards, file->n_shards);
    }
    for (int64_t i = 0; i < info->n_kept; ++i) {
        if (file->kept[i] < 0 || file->kept[i] >= info->n_generated || (i > 0 && file->kept[i] <= file->kept[i - 1])) {
            HO_FAIL(HO_EFORMAT, "%s: kept[%lld] is %lld; right are ascending numbers below %lld", path, (long long)i,
                    (long long)file->kept[i], (long long)info->n_generated);
        }
    }
    return HO_OK;
}

static ho_status read_index(ho_synthetic_file *file, ho_store *store) {
    ho_synthetic_info *info = &file->info;
    int n_names = 0;
    HO_TRY(ho_store_check_schema(store));
    HO_TRY(read_number(store, "samples", 1, &info->n_generated));
    HO_TRY(read_number(store, "kept", 0, &info->n_kept));
    HO_TRY(read_number(store, "height", 1, &info->height));
    HO_TRY(read_number(store, "width", 1, &info->width));
    HO_TRY(read_number(store, "classes", 1, &info->n_classes));
    HO_TRY(read_number(store, "z_dim", 1, &info->z_dim));
    HO_TRY(read_number(store, "shard_size", 1, &info->shard_size));
    file->scores = malloc(sizeof(float) * (size_t)(info->n_generated + 1));
    file->kept = malloc(sizeof(int64_t) * (size_t)(info->n_kept + 1));
    if (file->scores == NULL || file->kept == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for the index of %lld samples", (long long)info->n_generated);
    }
    info->scores = file->scores;
    info->kept = file->kept;
    HO_TRY(ho_store_read(store, "score", HO_F32, 1, &info->n_generated, file->scores));
    HO_TRY(ho_store_read(store, "kept", HO_I64, 1, &info->n_kept, file->kept));
    HO_TRY(ho_store_read_strings(store, "shard", &file->n_shards, &file->shards));
    HO_TRY(ho_store_read_strings(store, "class_name", &n_names, &info->class_names));
    if (n_names != info->n_classes) {
        HO_FAIL(HO_EFORMAT, "%s: %d class names for %lld classes", ho_store_path(store), n_names,
                (long long)info->n_classes);
    }
    return check_index(file, ho_store_path(store));
}

ho_status ho_synthetic_open(const char *path, ho_synthetic_file **file) {
    const char *slash = strrchr(path, '/');
    const int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    ho_synthetic_file *made = calloc(1, sizeof *made);
    if (made == NULL) {
        ho_store_close(store);
        HO_FAIL(HO_EMEMORY, "%s: no memory to read it", path);
    }
    made->open_number = -1;
    (void)snprintf(made->folder, sizeof made->folder, "%.*s", folder, path);
    const ho_status status = read_index(made, store);
    ho_store_close(store);
    if (status != HO_OK) {
        ho_synthetic_close(made);
        return status;
    }
    *file = made;
    return HO_OK;
}

void ho_synthetic_close(ho_synthetic_file *file) {
    if (file != NULL) {
        ho_store_close(file->open);
        free(file->scores);
        free(file->kept);
        free((void *)file->shards);
        free((void *)file->info.class_names);
        free(file);
    }
}

const ho_synthetic_info *ho_synthetic_info_of(const ho_synthetic_file *file) {
    return &file->info;
}

/* ---- samples --------------------------------------------------------------------------------------------- */

/* Makes shard `number` the open one and checks that it holds the samples that it should. */
static ho_status open_shard(ho_synthetic_file *file, int64_t number) {
    if (file->open_number == number) {
        return HO_OK;
    }
    const ho_synthetic_info *info = &file->info;
    char path[8192];
    ho_store *store = NULL;
    int64_t first = 0;
    const int64_t expected_first = number * info->shard_size;
    (void)snprintf(path, sizeof path, "%s%s", file->folder, file->shards[number]);
    const int64_t left = info->n_generated - number * info->shard_size;
    const int64_t rows = left < info->shard_size ? left : info->shard_size;
    const struct {
        const char *name;
        int rank;
        int64_t dim[4];
    } expected[] = {{"image", 4, {rows, info->height, info->width, 3}},
                    {"label", 3, {rows, info->height, info->width}},
                    {"uncertainty", 3, {rows, info->height, info->width}},
                    {"latent", 2, {rows, info->z_dim}},
                    {"index", 1, {rows}}};
    HO_TRY(ho_store_open(path, &store));
    ho_status status = HO_OK;
    for (int i = 0; i < 5; ++i) {
        ho_store_info found;
        HO_TRY_DONE(ho_store_info_of(store, expected[i].name, &found));
        if (found.rank != expected[i].rank ||
            memcmp(found.dim, expected[i].dim, sizeof(int64_t) * (size_t)found.rank) != 0) {
            status =
                ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                        "%s: data set '%s' has not the shape that the index of the set asks for (%lld rows, %lld x "
                        "%lld): run generate again",
                        path, expected[i].name, (long long)rows, (long long)info->height, (long long)info->width);
            goto done;
        }
    }
    HO_TRY_DONE(ho_store_read_rows(store, "index", 0, 1, &first));
    if (first != expected_first) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: begins with sample %lld; right is %lld", path,
                         (long long)first, (long long)expected_first);
    }
done:
    if (status != HO_OK) {
        ho_store_close(store);
        return status;
    }
    ho_store_close(file->open);
    file->open = store;
    file->open_number = number;
    return HO_OK;
}

/* Rows row .. row + n - 1 of the open shard, to position `at` of the buffers. */
static ho_status read_part(ho_synthetic_file *file, int64_t row, int64_t n, int64_t at,
                           const ho_synthetic_buffers *to) {
    const int64_t HW = file->info.height * file->info.width;
    if (to->images != NULL) {
        HO_TRY(ho_store_read_rows(file->open, "image", row, n, to->images + at * HW * 3));
    }
    if (to->labels != NULL) {
        HO_TRY(ho_store_read_rows(file->open, "label", row, n, to->labels + at * HW));
    }
    if (to->uncertainty != NULL) {
        HO_TRY(ho_store_read_rows(file->open, "uncertainty", row, n, to->uncertainty + at * HW));
    }
    if (to->latents != NULL) {
        HO_TRY(ho_store_read_rows(file->open, "latent", row, n, to->latents + at * file->info.z_dim));
    }
    return HO_OK;
}

ho_status ho_synthetic_samples(ho_synthetic_file *file, int64_t first, int64_t n, const ho_synthetic_buffers *buffers) {
    const ho_synthetic_info *info = &file->info;
    HO_REQUIRE(first >= 0 && n >= 0 && first + n <= info->n_generated, "samples %lld to %lld of a set of %lld",
               (long long)first, (long long)(first + n - 1), (long long)info->n_generated);
    for (int64_t i = first; i < first + n;) {
        const int64_t number = i / info->shard_size, row = i - number * info->shard_size;
        const int64_t in_shard = info->shard_size - row, left = first + n - i;
        const int64_t part = in_shard < left ? in_shard : left;
        HO_TRY(open_shard(file, number));
        HO_TRY(read_part(file, row, part, i - first, buffers));
        i += part;
    }
    return HO_OK;
}

/* ---- the kept samples ------------------------------------------------------------------------------------ */

static ho_status check_labels(const ho_synthetic *set, const char *path) {
    for (int64_t p = 0; p < set->n * set->height * set->width; ++p) {
        if (set->labels[p] >= set->n_classes) {
            HO_FAIL(HO_EFORMAT, "%s: a shard holds the label %d; right are classes below %d", path, set->labels[p],
                    set->n_classes);
        }
    }
    return HO_OK;
}

static ho_status read_kept(ho_synthetic_file *file, ho_synthetic *set) {
    const int64_t HW = file->info.height * file->info.width;
    for (int64_t at = 0; at < set->n;) {
        int64_t run = 1; /* neighbours are read together */
        while (at + run < set->n && file->kept[at + run] == file->kept[at] + run) {
            ++run;
        }
        const ho_synthetic_buffers to = {set->images + at * HW * 3, set->labels + at * HW, NULL, NULL};
        HO_TRY(ho_synthetic_samples(file, file->kept[at], run, &to));
        for (int64_t i = at; i < at + run; ++i) {
            set->index[i] = file->kept[i];
            set->scores[i] = file->scores[file->kept[i]];
        }
        at += run;
    }
    return HO_OK;
}

ho_status ho_synthetic_read(const char *path, ho_synthetic *set) {
    ho_synthetic_file *file = NULL;
    memset(set, 0, sizeof *set);
    ho_status status = ho_synthetic_open(path, &file);
    if (status != HO_OK || file == NULL) {
        return status;
    }
    ho_synthetic_info *info = &file->info;
    const size_t pixels = (size_t)(info->n_kept * info->height * info->width);
    set->n = info->n_kept;
    set->n_generated = info->n_generated;
    set->height = (int)info->height;
    set->width = (int)info->width;
    set->n_classes = (int)info->n_classes;
    set->class_names = info->class_names;
    info->class_names = NULL;
    set->images = malloc(pixels * 3 + 1);
    set->labels = calloc(pixels + 1, 1);
    set->scores = malloc(sizeof(float) * (size_t)(set->n + 1));
    set->index = malloc(sizeof(int64_t) * (size_t)(set->n + 1));
    if (set->images == NULL || set->labels == NULL || set->scores == NULL || set->index == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "%s: no memory for %lld images of %d x %d", path,
                         (long long)set->n, set->height, set->width);
        goto done;
    }
    HO_TRY_DONE(read_kept(file, set));
    status = check_labels(set, path);
done:
    ho_synthetic_close(file);
    if (status != HO_OK) {
        ho_synthetic_free(set);
    }
    return status;
}

void ho_synthetic_free(ho_synthetic *set) {
    free(set->images);
    free(set->labels);
    free(set->scores);
    free(set->index);
    free((void *)set->class_names);
    memset(set, 0, sizeof *set);
}
