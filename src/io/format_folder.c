/* Sets without a form of their own: photos with masks of the same name, and HandsOff's and DatasetGAN's folders. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

static bool has_folder(const ho_listing *listing, const char *name) {
    char path[HO_PATH];
    return ho_path_join(path, listing->folder, name) == HO_OK && ho_is_folder(path);
}

/* ---- folder ------------------------------------------------------------------------------------------------------ */

static ho_status list_masked(ho_listing *listing, const char *below, ho_part part) {
    char images[HO_PATH], masks[HO_PATH];
    HO_TRY(ho_path_join(images, below, "images"));
    HO_TRY(ho_path_join(masks, below, "masks"));
    const bool here = strcmp(below, ".") == 0;
    if (!has_folder(listing, masks)) {
        HO_FAIL(HO_EFORMAT, "folder %s/%s: has images/ but no masks/; without labels, name the folder images itself",
                listing->folder, below);
    }
    return ho_list_pairs(listing,
                         &(ho_pairing){here ? "images" : images, here ? "masks" : masks, NULL, ".png", part, false});
}

ho_status ho_list_folder(ho_listing *listing) {
    const bool train = has_folder(listing, "train/images"), test = has_folder(listing, "test/images");
    const bool unlabelled = has_folder(listing, "unlabelled/images");
    if (train || test || unlabelled) {
        const ho_pairing bare = {.images = "unlabelled/images", .part = HO_PART_UNLABELLED};
        HO_TRY(train ? list_masked(listing, "train", HO_PART_TRAIN) : HO_OK);
        HO_TRY(test ? list_masked(listing, "test", HO_PART_TEST) : HO_OK);
        return unlabelled ? ho_list_pairs(listing, &bare) : HO_OK;
    }
    if (has_folder(listing, "images")) {
        return list_masked(listing, ".", HO_PART_TRAIN);
    }
    return ho_list_pairs(listing, &(ho_pairing){".", NULL, NULL, NULL, HO_PART_UNLABELLED, false});
}

/* ---- handsoff ---------------------------------------------------------------------------------------------------- */

static ho_status read_masked(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    (void)listing;
    HO_TRY(ho_image_read(sample->image, &reading->image));
    if (sample->label == NULL) {
        return HO_OK;
    }
    return ho_has_ending(sample->label, ".png") ? ho_image_read_labels(sample->label, &reading->label)
                                                : ho_npy_read_labels(sample->label, &reading->label);
}

static int by_number(const void *a, const void *b) {
    const ho_sample *x = a, *y = b;
    if (x->part != y->part) {
        return x->part < y->part ? -1 : 1;
    }
    return x->index != y->index ? (x->index < y->index ? -1 : 1) : strcmp(x->name, y->name);
}

/* The digits that a stem ends with; -1: none. */
static int64_t number_of(const char *name) {
    int end = ho_stem_length(name), at = end;
    while (at > 0 && isdigit((unsigned char)name[at - 1])) {
        at--;
    }
    const long long number = at < end ? strtoll(name + at, NULL, 10) : -1;
    return number < INT64_MAX ? number : -1; /* more digits than a number has: not one of ours */
}

/* The labels of photo N: image_maskN.npy, or label_N.png, which HandsOff's generated folders have. False: neither. */
static bool find_mask(const char *folder, int64_t number, char path[HO_PATH]) {
    return (snprintf(path, HO_PATH, "%s/image_mask%lld.npy", folder, (long long)number) < HO_PATH &&
            ho_is_file(path)) ||
           (snprintf(path, HO_PATH, "%s/label_%lld.png", folder, (long long)number) < HO_PATH && ho_is_file(path));
}

/* Photos image_N.png or N.png beside their labels. */
static ho_status list_numbered(ho_listing *listing, const char *below, ho_part part) {
    char folder[HO_PATH], image[HO_PATH], label[HO_PATH], name[HO_PATH];
    char **names = NULL;
    int n = 0, n_images = 0, n_masks = 0, n_pairs = 0;
    HO_TRY(ho_path_join(folder, listing->folder, below));
    HO_TRY(ho_folder_names(folder, &n, &names));
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; i++) {
        n_masks += strncmp(names[i], "image_mask", 10) == 0 && ho_has_ending(names[i], ".npy");
        const bool photo = ho_is_photo_name(names[i]) && strncmp(names[i], "label_", 6) != 0;
        const int64_t number = photo ? number_of(names[i]) : -1;
        if (number < 0) {
            continue;
        }
        n_images++;
        status = ho_path_join(image, folder, names[i]);
        status = status == HO_OK ? ho_path_join(name, below, names[i]) : status;
        if (status == HO_OK && find_mask(folder, number, label)) {
            n_pairs++;
            status = ho_listing_add(listing, &(ho_sample){.name = strcmp(below, ".") == 0 ? names[i] : name,
                                                          .image = image,
                                                          .label = label,
                                                          .index = number,
                                                          .part = part});
        }
    }
    free(names);
    HO_TRY(status);
    if (n_pairs == 0 || n_pairs < n_images || n_pairs < n_masks) {
        HO_FAIL(HO_EFORMAT,
                "folder %s: %d images with a number at the end of their name (image_N.png) and %d masks "
                "(image_maskN.npy, or label_N.png), of which %d go together; expected as many of each",
                folder, n_images, n_masks > 0 ? n_masks : n_pairs, n_pairs);
    }
    return HO_OK;
}

/* ---- latents.npy ------------------------------------------------------------------------------------------------- */

/* (N, rows, width), or (rows, N, width) as a comment in the original has it. `wanted` rows are needed. A network of
 * 2^k pixels has 2 k - 2 rows, 18 at most (1024). */
static bool rows_come_first(const int64_t dim[3], int64_t wanted) {
    const bool possible = dim[0] % 2 == 0 && dim[0] <= 18;
    return dim[0] != wanted && possible && (dim[1] == wanted || (dim[0] < wanted && dim[1] > wanted));
}

static void swap_axes(const float *from, const int64_t dim[3], float *to) {
    for (int64_t i = 0; i < dim[0]; i++) {
        for (int64_t j = 0; j < dim[1]; j++) {
            memcpy(to + (j * dim[0] + i) * dim[2], from + (i * dim[1] + j) * dim[2], (size_t)dim[2] * sizeof *to);
        }
    }
}

/* The latents of the training images, where there are any: row i belongs to image i. */
static ho_status read_latents(ho_listing *listing, const char *below) {
    char folder[HO_PATH], path[HO_PATH];
    int rank = 0;
    int64_t dim[4] = {0}, wanted = 0;
    HO_TRY(ho_path_join(folder, listing->folder, below));
    HO_TRY(ho_path_join(path, folder, "latents.npy"));
    if (!ho_is_file(path)) {
        return HO_OK;
    }
    for (int i = 0; i < listing->n; i++) {
        const ho_sample *s = &listing->samples[i];
        wanted = s->part == HO_PART_TRAIN && s->index >= wanted ? s->index + 1 : wanted;
    }
    HO_TRY(ho_npy_read_floats(path, &rank, dim, &listing->latents));
    if (rank == 2) { /* (N, width): z, or a w that all rows share */
        dim[2] = dim[1];
        dim[1] = 1;
    }
    const bool swapped = rank == 3 && rows_come_first(dim, wanted);
    if ((rank != 2 && rank != 3) || (swapped ? dim[1] : dim[0]) < wanted) {
        HO_FAIL(HO_EFORMAT,
                "%s: an array of shape (%lld, %lld, %lld); (N, rows, width) is expected with N at least %lld, one more "
                "than the highest number of an image",
                path, (long long)dim[0], (long long)dim[1], (long long)dim[2], (long long)wanted);
    }
    if (swapped) {
        float *turned = malloc((size_t)(dim[0] * dim[1] * dim[2]) * sizeof *turned);
        if (turned == NULL) {
            HO_FAIL(HO_EMEMORY, "%s: no memory to read it", path);
        }
        swap_axes(listing->latents, dim, turned);
        free(listing->latents);
        listing->latents = turned;
    }
    listing->n_latents = swapped ? dim[1] : dim[0];
    listing->latent_rows = swapped ? dim[0] : dim[1];
    listing->latent_width = dim[2];
    return HO_OK;
}

ho_status ho_list_handsoff(ho_listing *listing) {
    const bool train = has_folder(listing, "train"), test = has_folder(listing, "test");
    listing->read = read_masked;
    if (train || test) {
        HO_TRY(train ? list_numbered(listing, "train", HO_PART_TRAIN) : HO_OK);
        HO_TRY(test ? list_numbered(listing, "test", HO_PART_TEST) : HO_OK);
    } else {
        HO_TRY(list_numbered(listing, ".", HO_PART_TRAIN));
    }
    qsort(listing->samples, (size_t)listing->n, sizeof *listing->samples, by_number);
    return read_latents(listing, train ? "train" : ".");
}

/* ---- datasetgan -------------------------------------------------------------------------------------------------- */

/* The one folder below `parent`; where there are several, they are named. */
static ho_status only_folder(const ho_listing *listing, const char *parent, char below[HO_PATH]) {
    char path[HO_PATH], **names = NULL;
    int n = 0;
    HO_TRY(ho_path_join(path, listing->folder, parent));
    HO_TRY(ho_folder_names(path, &n, &names));
    ho_status status = HO_OK;
    if (n != 1) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                         "folder %s: %d folders in it (%s%s%s ...); keep one class, or use format handsoff on one of "
                         "them",
                         path, n, n > 0 ? names[0] : "none", n > 1 ? ", " : "", n > 1 ? names[1] : "");
    } else {
        status = ho_path_join(below, parent, names[0]);
    }
    free(names);
    return status;
}

ho_status ho_list_datasetgan(ho_listing *listing) {
    char below[HO_PATH];
    listing->read = read_masked;
    if (!has_folder(listing, "training_data")) {
        return ho_wrong_folder(listing, "datasetgan", "training_data/NAME_processed (dataset_release/annotation)");
    }
    HO_TRY(only_folder(listing, "training_data", below));
    HO_TRY(list_numbered(listing, below, HO_PART_TRAIN));
    if (has_folder(listing, "testing_data")) {
        HO_TRY(only_folder(listing, "testing_data", below));
        HO_TRY(list_numbered(listing, below, HO_PART_TEST));
    }
    qsort(listing->samples, (size_t)listing->n, sizeof *listing->samples, by_number);
    return HO_OK;
}
