/* Folders, names, and the list of samples that a format makes of them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "formats.h"

ho_status ho_path_join(char path[HO_PATH], const char *folder, const char *name) {
    if (snprintf(path, HO_PATH, "%s/%s", folder, name) >= HO_PATH) {
        HO_FAIL(HO_EIO, "a path of more than %d characters: %.60s.../%.60s", HO_PATH - 1, folder, name);
    }
    return HO_OK;
}

bool ho_is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool ho_is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* Not alphasort: the order must not depend on the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

ho_status ho_folder_names(const char *folder, int *n, char ***names) {
    struct dirent **entries = NULL;
    *n = 0;
    *names = NULL;
    const int found = scandir(folder, &entries, not_hidden, by_bytes);
    if (found < 0) {
        HO_FAIL(HO_EIO, "folder %s: %s", folder, strerror(errno));
    }
    const char **list = calloc((size_t)found + 1, sizeof *list);
    ho_status status = HO_OK;
    if (list == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "folder %s: no memory for %d names", folder, found);
    }
    for (int i = 0; i < found && list != NULL; i++) {
        list[i] = entries[i]->d_name;
    }
    status = status == HO_OK ? ho_strings_copy(found, list, names) : status;
    *n = status == HO_OK ? found : 0;
    for (int i = 0; i < found; i++) {
        free(entries[i]);
    }
    free(entries);
    free(list);
    return status;
}

bool ho_has_ending(const char *name, const char *ending) {
    const size_t n = strlen(name), m = strlen(ending);
    return n > m && strcasecmp(name + n - m, ending) == 0;
}

bool ho_is_photo_name(const char *name) {
    return ho_has_ending(name, ".png") || ho_has_ending(name, ".jpg") || ho_has_ending(name, ".jpeg") ||
           ho_has_ending(name, ".bmp");
}

int ho_stem_length(const char *name) {
    const char *dot = strrchr(name, '.'), *slash = strrchr(name, '/');
    return (int)(dot != NULL && dot != name && (slash == NULL || dot > slash + 1) ? (size_t)(dot - name)
                                                                                  : strlen(name));
}

static bool copy_text(const char *from, char **to) {
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

static void free_sample(ho_sample *sample) {
    free(sample->name);
    free(sample->image);
    free(sample->label);
    free(sample->depth);
    free(sample->camera);
}

ho_status ho_listing_add(ho_listing *listing, const ho_sample *sample) {
    if (listing->n == listing->room) {
        const int room = listing->room > 0 ? 2 * listing->room : 256;
        ho_sample *samples = realloc(listing->samples, (size_t)room * sizeof *samples);
        if (samples == NULL) {
            HO_FAIL(HO_EMEMORY, "folder %s: no memory to list %d images", listing->folder, room);
        }
        listing->samples = samples;
        listing->room = room;
    }
    ho_sample copy = *sample;
    const bool made = copy_text(sample->name, &copy.name) & copy_text(sample->image, &copy.image) &
                      copy_text(sample->label, &copy.label) & copy_text(sample->depth, &copy.depth) &
                      copy_text(sample->camera, &copy.camera);
    if (!made) {
        free_sample(&copy);
        HO_FAIL(HO_EMEMORY, "folder %s: no memory to list %d images", listing->folder, listing->n + 1);
    }
    listing->samples[listing->n++] = copy;
    return HO_OK;
}

void ho_listing_drop(ho_listing *listing, int sample) {
    free_sample(&listing->samples[sample]);
    memset(&listing->samples[sample], 0, sizeof *listing->samples);
}

void ho_listing_pack(ho_listing *listing) {
    int n = 0;
    for (int i = 0; i < listing->n; i++) {
        if (listing->samples[i].name != NULL) {
            listing->samples[n++] = listing->samples[i];
        }
    }
    listing->n = n;
}

void ho_listing_free(ho_listing *listing) {
    for (int i = 0; i < listing->n; i++) {
        free_sample(&listing->samples[i]);
    }
    free(listing->samples);
    free(listing->latents);
    if (listing->free_own != NULL) {
        listing->free_own(listing->own);
    }
    memset(listing, 0, sizeof *listing);
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The name without what every name of its kind ends with; 0: not of that kind. */
static int shared_stem(const char *name, const char *suffix) {
    if (suffix == NULL) {
        return ho_is_photo_name(name) ? ho_stem_length(name) : 0;
    }
    return ho_has_ending(name, suffix) ? (int)(strlen(name) - strlen(suffix)) : 0;
}

static ho_status add_pair(ho_listing *listing, const ho_pairing *p, const char *name, const char *label) {
    char below[HO_PATH], image_path[HO_PATH], label_folder[HO_PATH], label_path[HO_PATH];
    const bool here = strcmp(p->images, ".") == 0;
    HO_TRY(ho_path_join(below, here ? name : p->images, here ? "" : name));
    below[strlen(below) - (here ? 1 : 0)] = '\0';
    HO_TRY(ho_path_join(image_path, listing->folder, below));
    if (label != NULL) {
        HO_TRY(ho_path_join(label_folder, listing->folder, p->labels));
        HO_TRY(ho_path_join(label_path, label_folder, label));
    }
    return ho_listing_add(
        listing,
        &(ho_sample){.name = below, .image = image_path, .label = label != NULL ? label_path : NULL, .part = p->part});
}

typedef struct {
    int n_images, n_labels;
    char **images, **labels;
} two_folders;

/* Samples in the order of the photos; counts the labels that no photo has and the photos without label. */
static ho_status match_names(ho_listing *listing, const ho_pairing *p, const two_folders *two) {
    int n_pairs = 0, n_images = 0, n_labels = 0;
    const char *lonely = NULL;
    for (int i = 0; i < two->n_labels; i++) {
        n_labels += shared_stem(two->labels[i], p->label_suffix) > 0;
    }
    for (int i = 0; i < two->n_images; i++) {
        const int stem = shared_stem(two->images[i], p->image_suffix);
        char wanted[HO_PATH], *key = wanted, **found = NULL;
        if (stem == 0) {
            continue;
        }
        n_images++;
        if (p->labels == NULL) {
            HO_TRY(add_pair(listing, p, two->images[i], NULL));
            continue;
        }
        snprintf(wanted, sizeof wanted, "%.*s%s", stem, two->images[i], p->label_suffix);
        found = bsearch(&key, two->labels, (size_t)two->n_labels, sizeof *two->labels, compare_names);
        if (found != NULL) {
            HO_TRY(add_pair(listing, p, two->images[i], *found));
            n_pairs++;
        } else if (lonely == NULL) {
            lonely = two->images[i];
        }
    }
    if (n_images == 0) {
        HO_FAIL(HO_EFORMAT, "folder %s/%s: no image in it; expected files that end in %s", listing->folder, p->images,
                p->image_suffix != NULL ? p->image_suffix : ".png or .jpg");
    }
    if (p->labels != NULL && n_pairs < n_images && !p->some) {
        HO_FAIL(HO_EFORMAT,
                "folder %s: %d of the %d images in %s have no label in %s (%d labels there); the first is %s, whose "
                "label would be %.*s%s",
                listing->folder, n_images - n_pairs, n_images, p->images, p->labels, n_labels, lonely,
                shared_stem(lonely, p->image_suffix), lonely, p->label_suffix);
    }
    if (p->labels != NULL && n_pairs < n_labels) {
        HO_FAIL(HO_EFORMAT, "folder %s: %d of the %d labels in %s have no image in %s: part of the set is missing",
                listing->folder, n_labels - n_pairs, n_labels, p->labels, p->images);
    }
    return HO_OK;
}

ho_status ho_list_pairs(ho_listing *listing, const ho_pairing *pairing) {
    char path[HO_PATH];
    two_folders two = {0, 0, NULL, NULL};
    HO_TRY(ho_path_join(path, listing->folder, pairing->images));
    ho_status status = ho_folder_names(path, &two.n_images, &two.images);
    if (status == HO_OK && pairing->labels != NULL) {
        status = ho_path_join(path, listing->folder, pairing->labels);
        status = status == HO_OK ? ho_folder_names(path, &two.n_labels, &two.labels) : status;
    }
    status = status == HO_OK ? match_names(listing, pairing, &two) : status;
    free(two.images);
    free(two.labels);
    return status;
}

ho_status ho_wrong_folder(const ho_listing *listing, const char *format, const char *expected) {
    char found[256] = "nothing";
    int n = 0;
    char **names = NULL;
    HO_TRY(ho_folder_names(listing->folder, &n, &names));
    for (int i = 0, at = 0; i < n && i < 5 && at < (int)sizeof found; i++) {
        at += snprintf(found + at, sizeof found - (size_t)at, "%s%s%s", i > 0 ? ", " : "", names[i],
                       i == 4 && n > 5 ? ", ..." : "");
    }
    free(names);
    HO_FAIL(HO_EFORMAT, "folder %s: not a folder of format %s: expected %s; found %s", listing->folder, format,
            expected, found);
}
