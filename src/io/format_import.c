/* Data sets of every format -> dataset.h5: lists the samples, then reads, squares and writes them a few at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats.h"
#include "sha256.h"
#include "suggest.h"

static const char *const PARTS[HO_N_PARTS] = {"train", "test", "unlabelled"};
enum { FORMATS_MOST = 32 };

typedef struct {
    const ho_import_request *request;
    ho_store *store;
    ho_import_counts *counts;
    int n_listings;
    ho_listing *listings;
    ho_merge merge;
} import;

static ho_status find_format(const char *name, const ho_format **format) {
    const char *names[FORMATS_MOST];
    int n = 0;
    *format = &HO_FORMATS[0];
    for (; HO_FORMATS[n].name != NULL; n++) {
        names[n] = HO_FORMATS[n].name;
        if (strcmp(name, names[n]) == 0) {
            *format = &HO_FORMATS[n];
            return HO_OK;
        }
    }
    const char *nearest = ho_nearest(name, n, names);
    HO_FAIL(HO_EUSAGE, "unknown format '%.60s'%s%s; 'handsoff help import-data' lists them", name,
            nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "");
}

static bool says_car_parts(const ho_import_folder *folder) {
    return strcmp(folder->format, "car-parts") == 0;
}

static ho_status list_folder(const ho_import_folder *folder, ho_listing *listing) {
    const ho_format *format = &HO_FORMATS[0];
    HO_TRY(find_format(folder->format, &format));
    if (!ho_is_folder(folder->folder)) {
        HO_FAIL(HO_EIO, "folder %s: there is no such folder; format %s reads %s", folder->folder, format->name,
                format->reads);
    }
    listing->folder = folder->folder;
    listing->aspect = folder->aspect;
    listing->read = ho_read_pair;
    HO_TRY(format->list(listing));
    for (int i = 0; i < listing->n && folder->part != HO_PART_AS_PUBLISHED; i++) {
        listing->samples[i].part = folder->part;
    }
    if (listing->n == 0) {
        return ho_wrong_folder(listing, format->name, format->reads);
    }
    return HO_OK;
}

static ho_status list_all(import *m) {
    const ho_import_request *r = m->request;
    m->listings = calloc((size_t)r->n_folders + 1, sizeof *m->listings);
    if (m->listings == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %d folders", r->n_folders);
    }
    m->n_listings = r->n_folders;
    for (int i = 0; i < r->n_folders; i++) {
        HO_TRY(list_folder(&r->folders[i], &m->listings[i]));
    }
    return r->split != NULL ? ho_split_apply(r->split, m->n_listings, m->listings, &m->counts->n_missing) : HO_OK;
}

/* ---- one part ---------------------------------------------------------------------------------------------------- */

static ho_status gather(const import *m, ho_batch *b) {
    int room = 1;
    for (int l = 0; l < m->n_listings; l++) {
        room += m->listings[l].n;
    }
    b->items = calloc((size_t)room, sizeof *b->items);
    if (b->items == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory to list %d images", room);
    }
    for (int l = 0; l < m->n_listings; l++) {
        const ho_listing *listing = &m->listings[l];
        for (int i = 0; i < listing->n && (m->request->limit == 0 || b->n < m->request->limit); i++) {
            const ho_sample *sample = &listing->samples[i];
            if (sample->part == b->part) {
                const bool seen = b->part != HO_PART_UNLABELLED;
                b->items[b->n++] = (ho_item){listing, sample};
                b->label = b->label || (seen && sample->label != NULL);
                b->depth = b->depth || (seen && sample->depth != NULL);
                b->points = b->points || (seen && listing->points != NULL);
            }
        }
    }
    return HO_OK;
}

static ho_status reserve_one(const import *m, const ho_batch *b, const char *what, ho_dtype dtype, int rank,
                             const int64_t *dim, ho_store_rows *rows) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", PARTS[b->part], what);
    return ho_store_reserve_rows(m->store, name, dtype, rank, dim, rows);
}

static ho_status reserve(const import *m, ho_batch *b) {
    const int64_t S = m->request->size, J = m->counts->n_keypoints;
    const int64_t dim[4] = {b->n, S, S, 3}, point_dim[3] = {b->n, J, 3};
    b->n_points = (int)J;
    HO_TRY(reserve_one(m, b, "image", HO_U8, 4, dim, &b->image_rows));
    HO_TRY(b->label ? reserve_one(m, b, "label", HO_U8, 3, dim, &b->label_rows) : HO_OK);
    HO_TRY(b->depth ? reserve_one(m, b, "depth", HO_F32, 3, dim, &b->depth_rows) : HO_OK);
    return b->points ? reserve_one(m, b, "keypoint", HO_F32, 3, point_dim, &b->point_rows) : HO_OK;
}

static ho_status write_names(const import *m, const ho_batch *b) {
    char name[64];
    const char **names = calloc((size_t)b->n + 1, sizeof *names);
    if (names == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %d names", b->n);
    }
    for (int i = 0; i < b->n; i++) {
        names[i] = b->items[i].sample->name;
    }
    snprintf(name, sizeof name, "%s/name", PARTS[b->part]);
    const ho_status status = ho_store_write_strings(m->store, name, b->n, names);
    free(names);
    return status;
}

/* Of the training images, where they lie beside all of them. */
static ho_status write_latents(const import *m, const ho_batch *b) {
    const ho_listing *first = b->items[0].listing;
    const int64_t size = first->latent_rows * first->latent_width,
                  dim[3] = {b->n, first->latent_rows, first->latent_width};
    if (b->part != HO_PART_TRAIN || first->latents == NULL || m->n_listings != 1) {
        return HO_OK;
    }
    float *rows = malloc((size_t)(b->n * size) * sizeof *rows);
    if (rows == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for %d latents", b->n);
    }
    for (int i = 0; i < b->n; i++) {
        memcpy(rows + i * size, first->latents + b->items[i].sample->index * size, (size_t)size * sizeof *rows);
    }
    const ho_status status = ho_store_write(m->store, "train/latent", HO_F32, 3, dim, rows);
    free(rows);
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static ho_status write_classes(import *m) {
    const int64_t dim[2] = {m->merge.n_classes, 3};
    m->counts->n_classes = m->merge.n_classes;
    if (m->merge.n_classes == 0) {
        return HO_OK;
    }
    HO_TRY(ho_store_write_strings(m->store, "class_name", m->merge.n_classes, (const char *const *)m->merge.names));
    return ho_store_write(m->store, "palette", HO_U8, 2, dim, m->merge.palette);
}

/* Counts the names of key points, and writes them unless an earlier process has. */
static ho_status write_point_names(import *m, bool write) {
    const char *names[HO_MERGE_IDS];
    char *rest = NULL, *copy = NULL;
    for (int l = 0; l < m->n_listings && copy == NULL; l++) {
        copy = m->listings[l].points != NULL ? strdup(m->listings[l].points) : NULL;
    }
    int n = 0;
    for (char *at = copy != NULL ? strtok_r(copy, "|", &rest) : NULL; at != NULL && n < HO_MERGE_IDS;) {
        names[n++] = at;
        at = strtok_r(NULL, "|", &rest);
    }
    m->counts->n_keypoints = n;
    const ho_status status = n > 0 && write ? ho_store_write_strings(m->store, "keypoint_name", n, names) : HO_OK;
    free(copy);
    return status;
}

static void add_text(ho_sha256 *sum, const char *text) {
    ho_sha256_add(sum, text, strlen(text) + 1);
}

static void add_file(ho_sha256 *sum, const char *path) {
    struct stat facts;
    int64_t numbers[3] = {0, 0, 0};
    if (path != NULL && stat(path, &facts) == 0) {
        numbers[0] = (int64_t)facts.st_size;
        numbers[1] = (int64_t)facts.st_mtim.tv_sec;
        numbers[2] = (int64_t)facts.st_mtim.tv_nsec;
    }
    ho_sha256_add(sum, numbers, sizeof numbers);
}

/* What is being imported: a half-done file of another request, or of files that have changed since, is begun anew. */
static ho_status task_of(const import *m, const ho_batch *batches, char task[65]) {
    const ho_import_request *r = m->request;
    const int64_t numbers[4] = {r->size, (int64_t)r->rule, r->limit, r->n_folders};
    char hex[65] = "";
    ho_sha256 sum;
    ho_sha256_start(&sum);
    add_text(&sum, HO_VERSION);
    ho_sha256_add(&sum, numbers, sizeof numbers);
    for (int i = 0; i < r->n_folders; i++) {
        add_text(&sum, r->folders[i].format);
        add_text(&sum, r->folders[i].folder);
        ho_sha256_add(&sum, &r->folders[i].aspect, sizeof r->folders[i].aspect);
    }
    if (r->merge != NULL) {
        HO_TRY(ho_file_sha256(r->merge, hex));
        add_text(&sum, hex);
    }
    for (int p = 0; p < HO_N_PARTS; p++) {
        ho_sha256_add(&sum, &batches[p].n, sizeof batches[p].n);
        for (int i = 0; i < batches[p].n; i++) {
            add_text(&sum, batches[p].items[i].sample->name);
            add_file(&sum, batches[p].items[i].sample->image);
            add_file(&sum, batches[p].items[i].sample->label);
        }
    }
    ho_sha256_end(&sum, task);
    return HO_OK;
}

/* Reserves the file, or finds the one that an earlier process left and how far that came. */
static ho_status start(import *m, ho_batch *batches, bool goes_on, int64_t marks[HO_STORE_MARKS]) {
    HO_TRY(write_point_names(m, !goes_on));
    for (int p = 0; p < HO_N_PARTS; p++) {
        if (batches[p].n > 0) {
            HO_TRY(reserve(m, &batches[p]));
            HO_TRY(goes_on ? HO_OK : write_names(m, &batches[p]));
            HO_TRY(goes_on ? HO_OK : write_latents(m, &batches[p]));
        }
    }
    marks[0] = 0;
    marks[1] = -1;
    HO_TRY(goes_on ? ho_store_marks(m->store, marks) : HO_OK);
    return ho_store_start_rows(m->store);
}

static ho_status fill_store(import *m, ho_batch *batches, bool goes_on) {
    const ho_import_request *r = m->request;
    const ho_squaring how = {r->size, r->rule, m->merge.v2, r->merge != NULL ? r->merge : "the classes of this format"};
    ho_flow flow = {.store = m->store, .request = r, .how = &how, .batches = batches};
    int64_t marks[HO_STORE_MARKS];
    HO_TRY(start(m, batches, goes_on, marks));
    flow.first = marks[0];
    flow.highest = (int)marks[1];
    HO_TRY(ho_flow_run(&flow));
    HO_TRY(ho_store_end_rows(m->store));
    if (m->merge.n_classes == 0 && flow.highest >= 0) {
        HO_TRY(ho_number_classes(flow.highest + 1, &m->merge));
    }
    HO_TRY(write_classes(m));
    HO_TRY(r->finish != NULL ? r->finish(r->user, m->store) : HO_OK);
    return ho_store_commit(m->store);
}

static ho_status import_parts(import *m, ho_batch *batches, const char *path) {
    bool goes_on = false, labels = false;
    char task[65];
    for (int p = 0; p < HO_N_PARTS; p++) {
        batches[p].part = (ho_part)p;
        HO_TRY(gather(m, &batches[p]));
        m->counts->n[p] = batches[p].n;
        labels = labels || batches[p].label;
    }
    HO_TRY(labels ? ho_classes_of(m->request, m->n_listings, m->listings, &m->merge) : HO_OK);
    HO_TRY(task_of(m, batches, task));
    HO_TRY(ho_store_resume(path, task, &m->store, &goes_on));
    const ho_status status = fill_store(m, batches, goes_on);
    if (status == HO_OK || status == HO_EINTERRUPT) {
        ho_store_close(m->store);
    } else {
        ho_store_drop(m->store);
    }
    return status;
}

ho_status ho_import_data(const ho_import_request *request, const char *path, ho_import_counts *counts) {
import m;
    ho_batch batches[HO_N_PARTS];
    memset(&m, 0, sizeof m);
    memset(batches, 0, sizeof batches);
    memset(counts, 0, sizeof *counts);
    m.request = request;
    m.counts = counts;
    if (request->n_folders > 0 && says_car_parts(&request->folders[0])) {
        return ho_import_car_parts(request, path, counts);
    }
    ho_status status = list_all(&m);
    status = status == HO_OK ? import_parts(&m, batches, path) : status;
    for (int p = 0; p < HO_N_PARTS; p++) {
        free(batches[p].items);
    }
    for (int i = 0; i < m.n_listings; i++) {
        ho_listing_free(&m.listings[i]);
    }
    free(m.listings);
    ho_merge_free(&m.merge);
    return status;
}
