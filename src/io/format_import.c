/* Data sets of every format -> dataset.h5: lists the samples, then reads, squares and writes them a few at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"
#include "suggest.h"

static const char *const PARTS[HO_N_PARTS] = {"train", "test", "unlabelled"};
enum { CHUNK_BYTES = 64 << 20, CHUNK_LEAST = 8, CHUNK_MOST = 256, FORMATS_MOST = 32 };

typedef struct {
    const ho_listing *listing;
    const ho_sample *sample;
} item;

typedef struct {
    const ho_import_request *request;
    ho_store *store;
    ho_import_counts *counts;
    int n_listings;
    ho_listing *listings;
    ho_merge merge;
    int64_t done, total;
} import;

/* One part of the data set: its samples and what each of them has. */
typedef struct {
    ho_part part;
    int n;
    item *items;
    bool label, depth, points;
    int n_chunk;
    uint8_t *images, *labels;
    float *depths, *keypoints;
} batch;

static ho_status find_format(const char *name, const ho_format **format) {
    const char *names[FORMATS_MOST];
    int n = 0;
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
    const ho_format *format = NULL;
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

static ho_status gather(const import *m, batch *b) {
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
                b->items[b->n++] = (item){listing, sample};
                b->label = b->label || (seen && sample->label != NULL);
                b->depth = b->depth || (seen && sample->depth != NULL);
                b->points = b->points || (seen && listing->points != NULL);
            }
        }
    }
    return HO_OK;
}

static ho_status reserve_one(const import *m, const batch *b, const char *what, ho_dtype dtype, int rank,
                             const int64_t *dim) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", PARTS[b->part], what);
    return ho_store_reserve(m->store, name, dtype, rank, dim);
}

static ho_status reserve(const import *m, batch *b) {
    const int64_t S = m->request->size, J = m->counts->n_keypoints;
    const int64_t dim[4] = {b->n, S, S, 3}, point_dim[3] = {b->n, J, 3};
    const int64_t bytes = S * S * (4 + (b->depth ? 4 : 0)), wanted = CHUNK_BYTES / bytes;
    b->n_chunk = (int)(wanted < CHUNK_LEAST ? CHUNK_LEAST : wanted > CHUNK_MOST ? CHUNK_MOST : wanted);
    const size_t n = (size_t)b->n_chunk, pixels = (size_t)(S * S);
    b->images = calloc(n * pixels, 3);
    b->labels = b->label ? calloc(n, pixels) : NULL;
    b->depths = b->depth ? calloc(n * pixels, sizeof *b->depths) : NULL;
    b->keypoints = b->points ? calloc(n * (size_t)J, 3 * sizeof *b->keypoints) : NULL;
    if (b->images == NULL || (b->label && b->labels == NULL) || (b->depth && b->depths == NULL) ||
        (b->points && b->keypoints == NULL)) {
        HO_FAIL(HO_EMEMORY, "no memory for %d images of %lld x %lld", b->n_chunk, (long long)S, (long long)S);
    }
    HO_TRY(reserve_one(m, b, "image", HO_U8, 4, dim));
    HO_TRY(b->label ? reserve_one(m, b, "label", HO_U8, 3, dim) : HO_OK);
    HO_TRY(b->depth ? reserve_one(m, b, "depth", HO_F32, 3, dim) : HO_OK);
    return b->points ? reserve_one(m, b, "keypoint", HO_F32, 3, point_dim) : HO_OK;
}

static ho_status write_one(const import *m, const batch *b, const char *what, int first, int n, const void *rows) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", PARTS[b->part], what);
    return rows != NULL ? ho_store_write_rows(m->store, name, first, n, rows) : HO_OK;
}

/* Samples first .. first + n - 1 on all threads. Of several that fail the first in order is reported. */
static ho_status read_chunk(const import *m, const batch *b, int first, int n) {
    const int64_t pixels = (int64_t)m->request->size * m->request->size, J = m->counts->n_keypoints;
    const ho_squaring how = {m->request->size, m->request->rule, m->merge.v2,
                             m->request->merge != NULL ? m->request->merge : "the classes of this format"};
    ho_status failed = HO_OK;
    int where = n;
    char text[1024] = "";
    if (b->depths != NULL) {
        memset(b->depths, 0, (size_t)(n * pixels) * sizeof *b->depths);
    }
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++) {
        const item *it = &b->items[first + i];
        const ho_square square = {b->images + i * pixels * 3, b->labels != NULL ? b->labels + i * pixels : NULL,
                                  b->depths != NULL ? b->depths + i * pixels : NULL,
                                  b->keypoints != NULL ? b->keypoints + i * J * 3 : NULL};
        const ho_status status = ho_square_sample(it->listing, it->sample, &how, &square);
        if (status != HO_OK) {
#pragma omp critical(ho_import_failed)
            if (i < where) {
                where = i;
                failed = status;
                snprintf(text, sizeof text, "%s", ho_error());
            }
        }
    }
    return failed == HO_OK ? HO_OK : ho_fail(failed, __FILE__, __LINE__, "%s", text);
}

static ho_status write_names(const import *m, const batch *b) {
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

static ho_status import_part(import *m, batch *b) {
    HO_TRY(reserve(m, b));
    for (int first = 0; first < b->n; first += b->n_chunk) {
        const int n = b->n - first < b->n_chunk ? b->n - first : b->n_chunk;
        HO_TRY(read_chunk(m, b, first, n));
        HO_TRY(write_one(m, b, "image", first, n, b->images));
        HO_TRY(write_one(m, b, "label", first, n, b->labels));
        HO_TRY(write_one(m, b, "depth", first, n, b->depths));
        HO_TRY(write_one(m, b, "keypoint", first, n, b->keypoints));
        m->done += n;
        if (m->request->progress != NULL && !m->request->progress(m->request->user, m->done, m->total)) {
            HO_FAIL(HO_EINTERRUPT, "stopped after %lld of %lld images", (long long)m->done, (long long)m->total);
        }
    }
    m->counts->n[b->part] = b->n;
    return write_names(m, b);
}

static void free_batch(batch *b) {
    free(b->items);
    free(b->images);
    free(b->labels);
    free(b->depths);
    free(b->keypoints);
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

static ho_status write_point_names(import *m) {
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
    const ho_status status = n > 0 ? ho_store_write_strings(m->store, "keypoint_name", n, names) : HO_OK;
    free(copy);
    return status;
}

static ho_status import_parts(import *m) {
    batch batches[HO_N_PARTS];
    ho_status status = HO_OK;
    bool labels = false;
    memset(batches, 0, sizeof batches);
    for (int p = 0; p < HO_N_PARTS && status == HO_OK; p++) {
        batches[p].part = (ho_part)p;
        status = gather(m, &batches[p]);
        m->total += batches[p].n;
        labels = labels || batches[p].label;
    }
    status = status == HO_OK ? write_point_names(m) : status;
    if (status == HO_OK && labels) {
        status = ho_classes_of(m->request, m->n_listings, m->listings, &m->merge);
        status = status == HO_OK ? write_classes(m) : status;
    }
    for (int p = 0; p < HO_N_PARTS; p++) {
        status = status == HO_OK && batches[p].n > 0 ? import_part(m, &batches[p]) : status;
        free_batch(&batches[p]);
    }
    return status;
}

ho_status ho_import_data(const ho_import_request *request, ho_store *store, ho_import_counts *counts) {
import m = {.request = request, .store = store, .counts = counts };
    memset(counts, 0, sizeof *counts);
    if (request->n_folders > 0 && says_car_parts(&request->folders[0])) {
        return ho_import_car_parts(request, store, counts);
    }
    ho_status status = list_all(&m);
    status = status == HO_OK ? import_parts(&m) : status;
    for (int i = 0; i < m.n_listings; i++) {
        ho_listing_free(&m.listings[i]);
    }
    free(m.listings);
    ho_merge_free(&m.merge);
    return status;
}
