/* The formats of the export but COCO: what each writes for an image and for its list. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "pickle.h"

/* ---- folder: train/images/N.png, train/masks/N.png, names.txt ---------------------------------------------------- */

static ho_status folder_begin(ho_exporting *x, ho_part part) {
    char below[64];
    const bool labels = x->set.part[part].labels;
    (void)snprintf(below, sizeof below, "%s/images", HO_PART_NAME[part]);
    HO_TRY(ho_export_make_folder(x, below));
    (void)snprintf(below, sizeof below, "%s/masks", HO_PART_NAME[part]);
    HO_TRY(labels ? ho_export_make_folder(x, below) : HO_OK);
    (void)snprintf(below, sizeof below, "%s/names.txt", HO_PART_NAME[part]);
    return ho_export_open_list(x, 0, below);
}

static ho_status folder_write(const ho_exporting *x, ho_part part, ho_export_sample *s) {
    char path[HO_PATH];
    HO_TRY(ho_export_path(x, path, "%s/images/%06lld.png", HO_PART_NAME[part], (long long)s->i));
    HO_TRY(ho_image_write_png(path, &s->image));
    if (s->label.pixels == NULL) {
        return HO_OK;
    }
    HO_TRY(ho_export_path(x, path, "%s/masks/%06lld.png", HO_PART_NAME[part], (long long)s->i));
    return ho_image_write_png(path, &s->label);
}

/* What the image was called where it came from; of a generated one, the number of its sample. */
static void print_name(const ho_exporting *x, ho_part part, int64_t i) {
    const ho_export_part *p = &x->set.part[part];
    if (x->set.synthetic != NULL) {
        (void)fprintf(x->list[0].file, "sample %lld", (long long)ho_synthetic_info_of(x->set.synthetic)->kept[i]);
    }
    for (const char *at = p->names != NULL ? p->names[i] : ""; *at != '\0'; at++) {
        (void)fputc((unsigned char)*at < 32 ? '?' : *at, x->list[0].file);
    }
    (void)fputc('\n', x->list[0].file);
}

static ho_status folder_list(ho_exporting *x, ho_part part, const ho_export_sample *s) {
    (void)fprintf(x->list[0].file, "%06lld.png\t", (long long)s->i);
    print_name(x, part, s->i);
    return HO_OK;
}

static ho_status close_list(ho_exporting *x, ho_part part) {
    (void)part;
    return ho_export_close_list(x, 0);
}

/* ---- handsoff: train/image_N.png, image_maskN.npy, label_N.png, and the list M_0.pickle -------------------------- */

static ho_status handsoff_begin(ho_exporting *x, ho_part part) {
    char below[64];
    HO_TRY(ho_export_make_folder(x, HO_PART_NAME[part]));
    (void)snprintf(below, sizeof below, "%s/%lld_0.pickle", HO_PART_NAME[part], (long long)x->set.part[part].n);
    HO_TRY(ho_export_open_list(x, 0, below));
    ho_pickle_begin(x->list[0].file);
    return HO_OK;
}

static ho_status write_mask(const char *path, const ho_image *label) {
    FILE *file = fopen(path, "wbe");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", path, strerror(errno));
    }
    const size_t n = (size_t)label->width * (size_t)label->height;
    const bool whole =
        ho_npy_write_header(file, "|u1", label->height, label->width) && fwrite(label->pixels, 1, n, file) == n;
    if (fclose(file) != 0 || !whole) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", path, strerror(errno));
    }
    return HO_OK;
}

static ho_status handsoff_write(const ho_exporting *x, ho_part part, ho_export_sample *s) {
    char path[HO_PATH];
    HO_TRY(ho_export_path(x, path, "%s/image_%lld.png", HO_PART_NAME[part], (long long)s->i));
    HO_TRY(ho_image_write_png(path, &s->image));
    HO_TRY(ho_export_path(x, path, "%s/label_%lld.png", HO_PART_NAME[part], (long long)s->i));
    HO_TRY(ho_image_write_png(path, &s->label));
    HO_TRY(ho_export_path(x, path, "%s/image_mask%lld.npy", HO_PART_NAME[part], (long long)s->i));
    return write_mask(path, &s->label);
}

/* Labels that people drew are certain: their score is 0. The list has no latents and no maps of uncertainty. */
static ho_status handsoff_list(ho_exporting *x, ho_part part, const ho_export_sample *s) {
    char path[HO_PATH + 64];
    ho_pickle_dict_begin(x->list[0].file);
    (void)snprintf(path, sizeof path, "%s/%s/image_%lld.png", x->folder, HO_PART_NAME[part], (long long)s->i);
    ho_pickle_text(x->list[0].file, "image_name", path);
    (void)snprintf(path, sizeof path, "%s/%s/label_%lld.png", x->folder, HO_PART_NAME[part], (long long)s->i);
    ho_pickle_text(x->list[0].file, "image_label_name", path);
    ho_pickle_number(x->list[0].file, "uncertrainty_score", 0.0); /* the released code's spelling */
    ho_pickle_dict_end(x->list[0].file);
    return HO_OK;
}

static ho_status handsoff_end(ho_exporting *x, ho_part part) {
    (void)part;
    ho_pickle_end(x->list[0].file);
    return ho_export_close_list(x, 0);
}

/* ---- cityscapes: leftImg8bit/SPLIT/handsoff/handsoff_SSSSSS_FFFFFF_leftImg8bit.png, gtFine/ ---------------------- */

enum { FRAMES = 1000000 };
static const char *const SPLIT[HO_N_PARTS] = {"train", "val", "test"};

static ho_status cityscapes_begin(ho_exporting *x, ho_part part) {
    char below[64];
    (void)snprintf(below, sizeof below, "leftImg8bit/%s/handsoff", SPLIT[part]);
    HO_TRY(ho_export_make_folder(x, below));
    (void)snprintf(below, sizeof below, "gtFine/%s/handsoff", SPLIT[part]);
    return x->set.part[part].labels ? ho_export_make_folder(x, below) : HO_OK;
}

static ho_status city_path(const ho_exporting *x, char path[HO_PATH], ho_part part, int64_t i, const char *type,
                           const char *ending) {
    return ho_export_path(x, path, "%s/%s/handsoff/handsoff_%06lld_%06lld_%s%s.png", type, SPLIT[part],
                          (long long)(i / FRAMES), (long long)(i % FRAMES), type, ending);
}

/* Labels in the colours of the classes; what is to be ignored is black, as there. */
static ho_status write_colours(const ho_export_set *set, const char *path, const ho_image *label) {
    ho_image colours;
    HO_TRY(ho_image_new(label->width, label->height, 3, &colours));
    for (int64_t p = 0; p < (int64_t)label->width * label->height; p++) {
        if (label->pixels[p] != HO_LABEL_IGNORED) {
            memcpy(colours.pixels + 3 * p, set->palette[label->pixels[p]], 3);
        }
    }
    const ho_status status = ho_image_write_png(path, &colours);
    ho_image_free(&colours);
    return status;
}

static ho_status cityscapes_write(const ho_exporting *x, ho_part part, ho_export_sample *s) {
    char path[HO_PATH];
    HO_TRY(city_path(x, path, part, s->i, "leftImg8bit", ""));
    HO_TRY(ho_image_write_png(path, &s->image));
    if (s->label.pixels == NULL) {
        return HO_OK;
    }
    HO_TRY(city_path(x, path, part, s->i, "gtFine", "_labelIds"));
    HO_TRY(ho_image_write_png(path, &s->label));
    HO_TRY(city_path(x, path, part, s->i, "gtFine", "_color"));
    return write_colours(&x->set, path, &s->label);
}

static ho_status cityscapes_end(ho_exporting *x, ho_part part) {
    (void)x, (void)part;
    return HO_OK;
}

const ho_export_format HO_EXPORT_FORMATS[] = {
    {"handsoff",
     "train/ and test/ with image_N.png, image_maskN.npy, label_N.png and the list M_0.pickle; of a generated set "
     "N.png, label_N.png, N.npy (uncertainty) and M_0.pickle with latents and scores, all samples",
     false, false, true, handsoff_begin, handsoff_write, handsoff_list, handsoff_end},
    {"coco",
     "train/N.png + annotations/instances_train.json (run lengths, a region a class), keypoints_train.json; likewise "
     "test, unlabelled",
     true, true, false, ho_export_coco_begin, ho_export_coco_write, ho_export_coco_list, ho_export_coco_end},
    {"cityscapes",
     "leftImg8bit/ and gtFine/ (labelIds: class numbers, color) with train, val (the test images) and, without labels, "
     "test",
     true, false, false, cityscapes_begin, cityscapes_write, NULL, cityscapes_end},
    {"folder",
     "train/images/N.png + train/masks/N.png (class numbers, 255: ignore) + names.txt; likewise test, unlabelled", true,
     false, false, folder_begin, folder_write, folder_list, close_list},
    {NULL, NULL, false, false, false, NULL, NULL, NULL, NULL},
};
