/* What is exported, image by image: a data set, or the kept samples of a generated one. */
#include <stdlib.h>
#include <string.h>

#include "export.h"

const char *const HO_PART_NAME[HO_N_PARTS] = {"train", "test", "unlabelled"};

static const char *name_of(ho_part part, const char *what, char name[64]) {
    (void)snprintf(name, 64, "%s/%s", HO_PART_NAME[part], what);
    return name;
}

/* True when the data set of a part is there; then it must have this shape. */
static ho_status find(ho_export_set *set, ho_part part, const char *what, int rank, const int64_t *dim, bool *is) {
    char name[64];
    ho_store_info info;
    *is = ho_store_has(set->store, name_of(part, what, name));
    if (!*is) {
        return HO_OK;
    }
    HO_TRY(ho_store_info_of(set->store, name, &info));
    bool same = info.rank == rank && info.dtype == (strcmp(what, "label") == 0 ? HO_U8 : HO_F32);
    for (int i = 0; same && i < rank; i++) {
        same = info.dim[i] == dim[i];
    }
    if (!same) {
        HO_FAIL(HO_EFORMAT, "%s: data set '%s' does not fit '%s/image' in type or shape", set->path, name,
                HO_PART_NAME[part]);
    }
    return HO_OK;
}

static ho_status read_names(ho_export_set *set, ho_part number) {
    ho_export_part *part = &set->part[number];
    char name[64];
    int n = 0;
    if (!ho_store_has(set->store, name_of(number, "name", name))) {
        return HO_OK;
    }
    HO_TRY(ho_store_read_strings(set->store, name, &n, &part->names));
    if (n != part->n) {
        HO_FAIL(HO_EFORMAT, "%s: data set '%s' has %d names for %lld images", set->path, name, n, (long long)part->n);
    }
    return HO_OK;
}

static ho_status open_part(ho_export_set *set, ho_part number) {
    ho_export_part *part = &set->part[number];
    char name[64];
    ho_store_info info;
    if (!ho_store_has(set->store, name_of(number, "image", name))) {
        return HO_OK;
    }
    HO_TRY(ho_store_info_of(set->store, name, &info));
    if (info.rank != 4 || info.dim[3] != 3 || info.dtype != HO_U8 || info.dim[1] < 1 || info.dim[2] < 1 ||
        info.dim[1] > 16384 || info.dim[2] > 16384) {
        HO_FAIL(HO_EFORMAT, "%s: data set '%s' must be bytes (n, H, W, 3) with H and W from 1 to 16384", set->path,
                name);
    }
    const int64_t points[3] = {info.dim[0], set->n_keypoints, 3};
    part->n = info.dim[0];
    part->height = (int)info.dim[1];
    part->width = (int)info.dim[2];
    HO_TRY(find(set, number, "label", 3, info.dim, &part->labels));
    HO_TRY(find(set, number, "depth", 3, info.dim, &part->depth));
    HO_TRY(find(set, number, "keypoint", 3, points, &part->points));
    if (part->labels && set->n_classes == 0) {
        HO_FAIL(HO_EFORMAT, "%s: '%s/label' is there, but no list 'class_name'", set->path, HO_PART_NAME[number]);
    }
    return read_names(set, number);
}

static ho_status read_palette(ho_export_set *set) {
    const int64_t dim[2] = {set->n_classes, 3};
    set->palette = calloc((size_t)set->n_classes + 1, sizeof *set->palette);
    if (set->palette == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d classes", set->path, set->n_classes);
    }
    if (set->store != NULL && ho_store_has(set->store, "palette")) {
        return ho_store_read(set->store, "palette", HO_U8, 2, dim, set->palette);
    }
    ho_spread_colours(set->n_classes, set->palette);
    return HO_OK;
}

static ho_status open_dataset(ho_export_set *set) {
    bool any = false;
    HO_TRY(ho_store_check_schema(set->store));
    if (ho_store_has(set->store, "class_name")) {
        HO_TRY(ho_store_read_strings(set->store, "class_name", &set->n_classes, &set->class_names));
    }
    if (set->n_classes > 255) {
        HO_FAIL(HO_EFORMAT, "%s: %d classes; at most 255 are possible", set->path, set->n_classes);
    }
    if (ho_store_has(set->store, "keypoint_name")) {
        HO_TRY(ho_store_read_strings(set->store, "keypoint_name", &set->n_keypoints, &set->keypoint_names));
    }
    HO_TRY(read_palette(set));
    for (int p = 0; p < HO_N_PARTS; p++) {
        HO_TRY(open_part(set, (ho_part)p));
        any = any || set->part[p].n > 0;
    }
    if (!any) {
        HO_FAIL(HO_EFORMAT,
                "%s: neither a data set (train/image, test/image, unlabelled/image) nor the index of a generated set "
                "(synthetic_N.h5, which 'generate' writes)",
                set->path);
    }
    return HO_OK;
}

/* The samples that the filter left are a training part. */
static ho_status open_synthetic(ho_export_set *set) {
    HO_TRY(ho_synthetic_open(set->path, &set->synthetic));
    const ho_synthetic_info *info = ho_synthetic_info_of(set->synthetic);
    if (info->height > 16384 || info->width > 16384 || info->n_classes > 255) {
        HO_FAIL(HO_EFORMAT, "%s: images of %lld x %lld and %lld classes; at most 16384 and 255 are possible", set->path,
                (long long)info->width, (long long)info->height, (long long)info->n_classes);
    }
    set->part[HO_PART_TRAIN] =
        (ho_export_part){.n = info->n_kept, .height = (int)info->height, .width = (int)info->width, .labels = true};
    set->n_classes = (int)info->n_classes;
    set->class_names = info->class_names;
    return read_palette(set);
}

ho_status ho_export_open(const char *path, ho_export_set *set) {
    memset(set, 0, sizeof *set);
    set->path = path;
    HO_TRY(ho_store_open(path, &set->store));
    ho_status status;
    if (ho_store_has_attribute(set->store, "shard_size")) {
        ho_store_close(set->store);
        set->store = NULL;
        status = open_synthetic(set);
    } else {
        status = open_dataset(set);
    }
    if (status != HO_OK) {
        ho_export_close(set);
    }
    return status;
}

void ho_export_close(ho_export_set *set) {
    for (int p = 0; p < HO_N_PARTS; p++) {
        free((void *)set->part[p].names);
    }
    if (set->synthetic == NULL) { /* whose names are its own */
        free((void *)set->class_names);
    }
    free((void *)set->keypoint_names);
    free(set->palette);
    ho_store_close(set->store);
    ho_synthetic_close(set->synthetic);
    memset(set, 0, sizeof *set);
}

ho_status ho_export_sample_new(const ho_export_set *set, ho_part part, ho_export_sample *sample) {
    const ho_export_part *p = &set->part[part];
    memset(sample, 0, sizeof *sample);
    HO_TRY(ho_image_new(p->width, p->height, 3, &sample->image));
    ho_status status = p->labels ? ho_image_new(p->width, p->height, 1, &sample->label) : HO_OK;
    if (status == HO_OK && p->points) {
        sample->points = calloc((size_t)set->n_keypoints + 1, 3 * sizeof *sample->points);
        if (sample->points == NULL) {
            status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "%s: no memory for key points", set->path);
        }
    }
    if (status != HO_OK) {
        ho_export_sample_free(sample);
    }
    return status;
}

void ho_export_sample_free(ho_export_sample *sample) {
    ho_image_free(&sample->image);
    ho_image_free(&sample->label);
    free(sample->points);
    free(sample->text);
    memset(sample, 0, sizeof *sample);
}

static ho_status check_labels(const ho_export_set *set, ho_part part, const ho_export_sample *sample) {
    const ho_image *label = &sample->label;
    for (int64_t p = 0; label->pixels != NULL && p < (int64_t)label->width * label->height; p++) {
        const int value = label->pixels[p];
        if (value >= set->n_classes && value != HO_LABEL_IGNORED) {
            HO_FAIL(HO_EFORMAT,
                    "%s: %s image %lld, x %lld, y %lld has class %d; the %d classes are 0 to %d, 255: ignore",
                    set->path, HO_PART_NAME[part], (long long)sample->i, (long long)(p % label->width),
                    (long long)(p / label->width), value, set->n_classes, set->n_classes - 1);
        }
    }
    return HO_OK;
}

ho_status ho_export_read(ho_export_set *set, ho_part part, int64_t i, ho_export_sample *sample) {
    char name[64];
    sample->i = i;
    if (set->synthetic != NULL) {
        const int64_t *kept = ho_synthetic_info_of(set->synthetic)->kept;
        const ho_synthetic_buffers to = {sample->image.pixels, sample->label.pixels, NULL, NULL};
        HO_TRY(ho_synthetic_samples(set->synthetic, kept[i], 1, &to));
        return check_labels(set, part, sample);
    }
    HO_TRY(ho_store_read_rows(set->store, name_of(part, "image", name), i, 1, sample->image.pixels));
    if (sample->label.pixels != NULL) {
        HO_TRY(ho_store_read_rows(set->store, name_of(part, "label", name), i, 1, sample->label.pixels));
    }
    if (sample->points != NULL) {
        HO_TRY(ho_store_read_rows(set->store, name_of(part, "keypoint", name), i, 1, sample->points));
    }
    return check_labels(set, part, sample);
}
