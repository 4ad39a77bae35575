/* The generated set as the released code writes it: PNG files, .npy maps and a pickle with the list
 * (austinxu87/handsoff, generate_data.py). */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats.h"
#include "handsoff/image.h"
#include "handsoff/synthetic.h"
#include "pickle.h"

typedef struct {
    ho_synthetic_file *file;
    const ho_synthetic_info *info;
    const char *folder, *listed; /* where the files are, and where the list says that they are */
    uint8_t *image, *label;
    float *uncertainty, *latent;
    double *row;
    ho_export_step step; /* or NULL */
    void *user;
} export;

static ho_status tell(const export *e, int64_t done) {
    return e->step != NULL ? e->step(e->user, done, e->info->n_generated) : HO_OK;
}

static ho_status write_npy(const char *path, const float *values, int64_t height, int64_t width) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", path, strerror(errno));
    }
    const size_t count = (size_t)(height * width);
    const bool whole =
        ho_npy_write_header(file, "<f4", height, width) && fwrite(values, sizeof *values, count, file) == count;
    if (fclose(file) != 0 || !whole) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", path, strerror(errno));
    }
    return HO_OK;
}

static ho_status export_sample(const export *e, int64_t i) {
    char path[8192];
    const int height = (int)e->info->height, width = (int)e->info->width;
    const ho_image image = {width, height, 3, e->image}, label = {width, height, 1, e->label};
    const ho_synthetic_buffers buffers = {e->image, e->label, e->uncertainty, NULL};
    HO_TRY(ho_synthetic_samples(e->file, i, 1, &buffers));
    (void)snprintf(path, sizeof path, "%s/%lld.png", e->folder, (long long)i);
    HO_TRY(ho_image_write_png(path, &image));
    (void)snprintf(path, sizeof path, "%s/label_%lld.png", e->folder, (long long)i);
    HO_TRY(ho_image_write_png(path, &label));
    (void)snprintf(path, sizeof path, "%s/%lld.npy", e->folder, (long long)i);
    return write_npy(path, e->uncertainty, height, width);
}

static ho_status list_sample(const export *e, FILE *file, int64_t i) {
    char path[8192];
    const ho_synthetic_buffers buffers = {NULL, NULL, NULL, e->latent};
    HO_TRY(ho_synthetic_samples(e->file, i, 1, &buffers));
    for (int64_t c = 0; c < e->info->z_dim; ++c) {
        e->row[c] = e->latent[c];
    }
    ho_pickle_dict_begin(file);
    ho_pickle_row(file, "latent", e->row, e->info->z_dim);
    ho_pickle_number(file, "uncertrainty_score", e->info->scores[i]); /* the released code's spelling */
    (void)snprintf(path, sizeof path, "%s/%lld.png", e->listed, (long long)i);
    ho_pickle_text(file, "image_name", path);
    (void)snprintf(path, sizeof path, "%s/label_%lld.png", e->listed, (long long)i);
    ho_pickle_text(file, "image_label_name", path);
    (void)snprintf(path, sizeof path, "%s/%lld.npy", e->listed, (long long)i);
    ho_pickle_text(file, "js_name", path);
    ho_pickle_dict_end(file);
    return HO_OK;
}

/* Written under a temporary name: it stands only when everything does. */
static ho_status export_list(const export *e) {
    char path[8192], unfinished[8200];
    (void)snprintf(path, sizeof path, "%s/%lld_0.pickle", e->folder, (long long)e->info->n_generated);
    (void)snprintf(unfinished, sizeof unfinished, "%s.part", path);
    FILE *file = fopen(unfinished, "wb");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "cannot write %s: %s", unfinished, strerror(errno));
    }
    ho_pickle_begin(file);
    ho_status status = HO_OK;
    for (int64_t i = 0; i < e->info->n_generated && status == HO_OK; ++i) {
        status = list_sample(e, file, i);
        status = status == HO_OK ? tell(e, e->info->n_generated) : status;
    }
    ho_pickle_end(file);
    const bool failed = ferror(file) != 0;
    if ((fclose(file) != 0 || failed) && status == HO_OK) {
        status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot write %s: %s", unfinished, strerror(errno));
    }
    if (status == HO_OK && rename(unfinished, path) != 0) {
        status = ho_fail(HO_EIO, __FILE__, __LINE__, "cannot rename %s to %s: %s", unfinished, path, strerror(errno));
    }
    if (status != HO_OK) {
        (void)remove(unfinished);
    }
    return status;
}

/* Samples and lists of another number of images that stood here before. */
static void remove_surplus(const export *e) {
    char path[8192];
    for (int64_t i = e->info->n_generated;; ++i) {
        (void)snprintf(path, sizeof path, "%s/label_%lld.png", e->folder, (long long)i);
        (void)unlink(path);
        (void)snprintf(path, sizeof path, "%s/%lld.npy", e->folder, (long long)i);
        (void)unlink(path);
        (void)snprintf(path, sizeof path, "%s/%lld.png", e->folder, (long long)i);
        if (unlink(path) != 0) {
            break;
        }
    }
    DIR *folder = opendir(e->folder);
    for (struct dirent *entry = NULL; folder != NULL && (entry = readdir(folder)) != NULL;) {
        const size_t digits = strspn(entry->d_name, "0123456789");
        if (digits > 0 && strncmp(entry->d_name + digits, "_0.pickle", 9) == 0) {
            (void)snprintf(path, sizeof path, "%s/%s", e->folder, entry->d_name);
            (void)unlink(path);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

static ho_status export_all(export *e, int64_t first) {
    const size_t pixels = (size_t)(e->info->height * e->info->width), z_dim = (size_t)e->info->z_dim;
    e->image = malloc(3 * pixels + 1);
    e->label = malloc(pixels + 1);
    e->uncertainty = malloc(sizeof(float) * (pixels + 1));
    e->latent = malloc(sizeof(float) * (z_dim + 1));
    e->row = malloc(sizeof(double) * (z_dim + 1));
    if (e->image == NULL || e->label == NULL || e->uncertainty == NULL || e->latent == NULL || e->row == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for an image of %lld x %lld", (long long)e->info->height,
                (long long)e->info->width);
    }
    if (mkdir(e->folder, 0777) != 0 && errno != EEXIST) {
        HO_FAIL(HO_EIO, "cannot make the folder %s: %s", e->folder, strerror(errno));
    }
    remove_surplus(e);
    for (int64_t i = first; i < e->info->n_generated; ++i) {
        HO_TRY(export_sample(e, i));
        HO_TRY(tell(e, i + 1));
    }
    return export_list(e);
}

ho_status ho_synthetic_export_png(const char *path, const char *folder, int64_t first, ho_export_step step,
                                  void *user) {
    return ho_synthetic_export_png_as(path, folder, folder, first, step, user);
}

ho_status ho_synthetic_export_png_as(const char *path, const char *folder, const char *listed, int64_t first,
                                     ho_export_step step, void *user) {
    export e = {.folder = folder, .listed = listed, .step = step, .user = user};
    HO_TRY(ho_synthetic_open(path, &e.file));
    e.info = ho_synthetic_info_of(e.file);
    const ho_status status = export_all(&e, first);
    ho_synthetic_close(e.file);
    free(e.image);
    free(e.label);
    free(e.uncertainty);
    free(e.latent);
    free(e.row);
    return status;
}

/* "label_12.png", "12.png", "12.npy", "23_0.pickle", and what begins so: an unfinished file. */
static bool is_of_export(const char *name) {
    static const char *const ENDINGS[] = {".png", ".npy", "_0.pickle"};
    static const char LABEL[] = "label_";
    name += strncmp(name, LABEL, sizeof LABEL - 1) == 0 ? sizeof LABEL - 1 : 0;
    const size_t digits = strspn(name, "0123456789");
    bool is = false;
    for (size_t i = 0; digits > 0 && i < sizeof ENDINGS / sizeof *ENDINGS; ++i) {
        const size_t length = strlen(ENDINGS[i]);
        is = is || (strncmp(name + digits, ENDINGS[i], length) == 0 && strchr(".", name[digits + length]) != NULL);
    }
    return is;
}

void ho_synthetic_remove_png(const char *folder) {
    DIR *listing = opendir(folder);
    for (struct dirent *entry = NULL; listing != NULL && (entry = readdir(listing)) != NULL;) {
        char path[8192];
        if (is_of_export(entry->d_name)) {
            (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            (void)unlink(path);
        }
    }
    if (listing != NULL) {
        closedir(listing);
        (void)rmdir(folder);
    }
}
