/* Faces: CelebAMask-HQ, FASSEG, Helen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

static bool has(const ho_listing *listing, const char *name) {
    char path[HO_PATH];
    return ho_path_join(path, listing->folder, name) == HO_OK && ho_is_folder(path);
}

/* ---- CelebAMask-HQ: one mask a part, which later parts cover ----------------------------------------------------- */

enum { PARTS = 18, MASKS_A_FOLDER = 2000, TEST_FROM = 182638 };
static const char *const PART[PARTS] = {"skin",   "nose",  "eye_g", "l_eye",  "r_eye", "l_brow",
                                        "r_brow", "l_ear", "r_ear", "mouth",  "u_lip", "l_lip",
                                        "hair",   "hat",   "ear_r", "neck_l", "neck",  "cloth"};

static ho_status add_part(const char *path, int part, ho_image *label) {
    ho_image mask = {0, 0, 0, NULL};
    HO_TRY(ho_image_read(path, &mask));
    ho_status status = HO_OK;
    if (label->pixels == NULL) {
        status = ho_image_new(mask.width, mask.height, 1, label);
    }
    if (status == HO_OK && (mask.width != label->width || mask.height != label->height)) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s is %d x %d pixels, other masks of this face %d x %d", path,
                         mask.width, mask.height, label->width, label->height);
    }
    for (int64_t i = 0; status == HO_OK && i < (int64_t)mask.width * mask.height; i++) {
        label->pixels[i] = mask.pixels[3 * i] != 0 ? (uint8_t)(part + 1) : label->pixels[i];
    }
    ho_image_free(&mask);
    return status;
}

static ho_status read_celebamask(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    char path[HO_PATH];
    (void)listing;
    HO_TRY(ho_image_read(sample->image, &reading->image));
    for (int part = 0; part < PARTS; part++) {
        if (snprintf(path, sizeof path, "%s_%s.png", sample->label, PART[part]) < HO_PATH && ho_is_file(path)) {
            HO_TRY(add_part(path, part, &reading->label));
        }
    }
    if (reading->label.pixels == NULL) {
        HO_FAIL(HO_EFORMAT, "%s: no mask %s_PART.png (skin, nose, hair ...) is there: part of the set is missing",
                sample->image, sample->label);
    }
    return HO_OK;
}

/* The test images are those whose number in CelebA is 182638 or more. The file has a header and lines of
 * "number in CelebA-HQ, number in CelebA, ...". */
static ho_status read_mapping(ho_listing *listing, const char *path) {
    char *text = NULL, *lines = NULL;
    HO_TRY(ho_text_read(path, 64 << 20, &text));
    for (char *line = strtok_r(text, "\r\n", &lines); line != NULL; line = strtok_r(NULL, "\r\n", &lines)) {
        long long index = 0, original = 0;
        if (sscanf(line, "%lld %lld", &index, &original) != 2) { // NOLINT(cert-err34-c)
            continue;
        }
        for (int64_t i = index < listing->n ? index : (int64_t)listing->n - 1; i >= 0 && i < listing->n; i--) {
            if (listing->samples[i].index <= index) { /* sorted by number: none is behind its own place */
                if (listing->samples[i].index == index && original >= TEST_FROM) {
                    listing->samples[i].part = HO_PART_TEST;
                }
                break;
            }
        }
    }
    free(text);
    return HO_OK;
}

/* The names in one folder of masks, read when the first face of it is looked at. */
typedef struct {
    long long number; /* of the folder; -1: none yet */
    int n;
    char **names;
} mask_folder;

/* Whether any mask of this face is there. One listing of a folder is quicker than asking for 18 files a face. */
static bool has_masks(const char *label, long long number, mask_folder *masks) {
    char folder[HO_PATH];
    const char *stem = strrchr(label, '/') + 1;
    const size_t length = strlen(stem);
    if (masks->number != number / MASKS_A_FOLDER) {
        free(masks->names);
        *masks = (mask_folder){number / MASKS_A_FOLDER, 0, NULL};
        snprintf(folder, sizeof folder, "%.*s", (int)(stem - 1 - label), label);
        if (!ho_is_folder(folder) || ho_folder_names(folder, &masks->n, &masks->names) != HO_OK) {
            masks->n = 0;
        }
    }
    int low = 0, high = masks->n; /* the first name that is not before the stem */
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (strcmp(masks->names[middle], stem) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < masks->n && strncmp(masks->names[low], stem, length) == 0 && masks->names[low][length] == '_';
}

static ho_status check_masks(const ho_listing *listing) {
    mask_folder masks = {-1, 0, NULL};
    int n_bare = 0;
    const ho_sample *first = NULL;
    for (int i = 0; i < listing->n; i++) {
        const ho_sample *s = &listing->samples[i];
        if (!has_masks(s->label, s->index, &masks)) {
            n_bare++;
            first = first != NULL ? first : s;
        }
    }
    free(masks.names);
    if (n_bare > 0) {
        HO_FAIL(HO_EFORMAT,
                "folder %s: %d of the %d photos have no mask: part of the set is missing; the first is %s, whose masks "
                "would "
                "be %s_PART.png (skin, nose, hair ...)",
                listing->folder, n_bare, listing->n, first->name, first->label);
    }
    return HO_OK;
}

static int by_index(const void *a, const void *b) {
    const ho_sample *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

ho_status ho_list_celebamask(ho_listing *listing) {
    char folder[HO_PATH], image[HO_PATH], label[HO_PATH], **names = NULL;
    const bool hyphen = has(listing, "CelebAMask-HQ-mask-anno");
    int n = 0;
    if (!has(listing, "CelebA-HQ-img") || (!hyphen && !has(listing, "CelebAMaskHQ-mask-anno"))) {
        return ho_wrong_folder(listing, "celebamask-hq", "CelebA-HQ-img/ and CelebAMask-HQ-mask-anno/");
    }
    listing->classes = "background|skin|nose|glasses|left eye|right eye|left brow|right brow|left ear|right ear|mouth|"
                       "upper lip|lower lip|hair|hat|earring|necklace|neck|cloth";
    listing->read = read_celebamask;
    listing->label_scales = true;
    HO_TRY(ho_path_join(folder, listing->folder, "CelebA-HQ-img"));
    HO_TRY(ho_folder_names(folder, &n, &names));
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; i++) {
        char *end = NULL;
        const long long number = strtoll(names[i], &end, 10);
        if (end == names[i] || number < 0 || !ho_is_photo_name(names[i])) {
            continue;
        }
        status = ho_path_join(image, folder, names[i]);
        if (snprintf(label, sizeof label, "%s/%s/%lld/%05lld", listing->folder,
                     hyphen ? "CelebAMask-HQ-mask-anno" : "CelebAMaskHQ-mask-anno", number / MASKS_A_FOLDER,
                     number) >= HO_PATH) {
            status = ho_fail(HO_EIO, __FILE__, __LINE__, "%s: a path of more than %d characters", image, HO_PATH);
        }
        const ho_sample sample = {.name = names[i], .image = image, .label = label, .index = number};
        status = status == HO_OK ? ho_listing_add(listing, &sample) : status;
    }
    free(names);
    HO_TRY(status);
    qsort(listing->samples, (size_t)listing->n, sizeof *listing->samples, by_index);
    HO_TRY(check_masks(listing));
    HO_TRY(ho_path_join(folder, listing->folder, "CelebA-HQ-to-CelebA-mapping.txt"));
    return ho_is_file(folder) ? read_mapping(listing, folder) : HO_OK;
}

/* ---- FASSEG: classes are colours, whose edges are blurred -------------------------------------------------------- */

static ho_status read_coloured(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    static const uint8_t COLOUR[6][3] = {{255, 0, 0}, {255, 255, 0}, {127, 0, 0},
                                         {0, 0, 255}, {0, 255, 255}, {0, 255, 0}};
    ho_image colours = {0, 0, 0, NULL};
    (void)listing;
    HO_TRY(ho_image_read(sample->image, &reading->image));
    HO_TRY(ho_image_read(sample->label, &colours));
    ho_status status = ho_image_new(colours.width, colours.height, 1, &reading->label);
    for (int64_t i = 0; status == HO_OK && i < (int64_t)colours.width * colours.height; i++) {
        int best = 0, least = INT32_MAX;
        for (int k = 0; k < 6; k++) {
            int distance = 0;
            for (int c = 0; c < 3; c++) {
                const int d = colours.pixels[3 * i + c] - COLOUR[k][c];
                distance += d * d;
            }
            if (distance < least) {
                least = distance;
                best = k;
            }
        }
        reading->label.pixels[i] = (uint8_t)best;
    }
    ho_image_free(&colours);
    return status;
}

static const char *either(const ho_listing *listing, const char *first, const char *second) {
    return has(listing, first) ? first : has(listing, second) ? second : NULL;
}

/* The folder itself, or (V3) its folders of poses. Of V3's test photos only half have a label: the others are left
 * out. */
static ho_status list_fasseg_part(ho_listing *listing, const char *images, const char *labels, ho_part part) {
    char folder[HO_PATH], below[HO_PATH], label_below[HO_PATH], path[HO_PATH], **names = NULL;
    int n = 0;
    bool poses = false;
    HO_TRY(ho_path_join(folder, listing->folder, labels));
    HO_TRY(ho_folder_names(folder, &n, &names));
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; i++) {
        status = ho_path_join(path, folder, names[i]);
        if (status == HO_OK && ho_is_folder(path)) {
            poses = true;
            status = ho_path_join(below, images, names[i]);
            status = status == HO_OK ? ho_path_join(label_below, labels, names[i]) : status;
            status = status == HO_OK ? list_fasseg_part(listing, below, label_below, part) : status;
        }
    }
    const bool bmp = n > 0 && ho_has_ending(names[0], ".bmp");
    free(names);
    if (status == HO_OK && !poses && n > 0) {
        const bool pose = strchr(labels, '/') != NULL;
        status = ho_list_pairs(
            listing, &(ho_pairing){images, labels, NULL, bmp ? ".bmp" : ".png", part, pose && part == HO_PART_TEST});
    }
    return status;
}

ho_status ho_list_fasseg(ho_listing *listing) {
    const char *train = either(listing, "Train_Labels", "Train_labels");
    const char *test = either(listing, "Test_Labels", "Test_labels");
    listing->classes = "background|skin|hair|eyes|nose|mouth";
    listing->read = read_coloured;
    if (train == NULL && test == NULL) {
        return ho_wrong_folder(listing, "fasseg", "Train_RGB/ and Train_Labels/ (of one version: V2 or V3)");
    }
    HO_TRY(train != NULL ? list_fasseg_part(listing, "Train_RGB", train, HO_PART_TRAIN) : HO_OK);
    return test != NULL ? list_fasseg_part(listing, "Test_RGB", test, HO_PART_TEST) : HO_OK;
}

/* ---- Helen ------------------------------------------------------------------------------------------------------- */

static ho_status list_helen_below(ho_listing *listing, const char *below, int depth) {
    char folder[HO_PATH], images[HO_PATH], labels[HO_PATH], path[HO_PATH], **names = NULL;
    const bool here = strcmp(below, ".") == 0;
    int n = 0;
    HO_TRY(ho_path_join(folder, listing->folder, below));
    HO_TRY(ho_folder_names(folder, &n, &names));
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; i++) {
        const int stem = (int)strlen(names[i]) - 4;
        if (snprintf(images, HO_PATH, "%s%s%s", here ? "" : below, here ? "" : "/", names[i]) >= HO_PATH ||
            snprintf(labels, HO_PATH, "%s%s%.*s_label", here ? "" : below, here ? "" : "/", stem > 0 ? stem : 0,
                     names[i]) >= HO_PATH) {
            status = ho_fail(HO_EIO, __FILE__, __LINE__, "folder %s: a path of too many characters", folder);
        } else if (stem > 0 && strcmp(names[i] + stem, "_img") == 0 && has(listing, labels)) {
            status = ho_list_pairs(listing, &(ho_pairing){images, labels, NULL, ".png", HO_PART_TRAIN, false});
        } else if (depth > 0) {
            status = ho_path_join(path, listing->folder, images);
            status = status == HO_OK && ho_is_folder(path) ? list_helen_below(listing, images, depth - 1) : status;
        }
    }
    free(names);
    return status;
}

ho_status ho_list_helen(ho_listing *listing) {
    listing->classes =
        "background|skin|left brow|right brow|left eye|right eye|nose|upper lip|inner mouth|lower lip|hair";
    HO_TRY(list_helen_below(listing, ".", 1));
    return listing->n > 0 ? HO_OK
                          : ho_wrong_folder(listing, "helen", "X_img/ beside X_label/, here or one folder down");
}
