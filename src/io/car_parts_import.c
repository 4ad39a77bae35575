/* Car-Parts-Segmentation into dataset.h5: its polygons are painted at the final size, so that it is read part by part.
 */
#include <stdio.h>
#include <string.h>

#include "formats.h"

typedef struct {
    const ho_import_request *request;
    ho_dataset dataset;
    ho_merge merge;
    bool merged; /* the table is known: read, or taken from the first part */
} import;

static ho_status read_part(import *m, const char *folder, ho_aspect aspect, ho_split *split) {
    if (split->n > 0) {
        HO_FAIL(HO_EUSAGE, "folder %s: a second folder for the same part of the data set", folder);
    }
    HO_TRY(ho_car_parts_read(folder, m->request->size, aspect, m->merged ? &m->merge : NULL,
                             m->merged ? NULL : &m->merge, split));
    m->merged = true;
    if (m->request->limit > 0 && split->n > m->request->limit) {
        split->n = (int)m->request->limit;
    }
    return HO_OK;
}

static ho_status read_set(import *m, const ho_import_folder *folder) {
    char train[HO_PATH], test[HO_PATH];
    HO_TRY(ho_path_join(train, folder->folder, "trainingset"));
    HO_TRY(ho_path_join(test, folder->folder, "testset"));
    if (!ho_is_folder(train)) {
        return read_part(m, folder->folder, folder->aspect, &m->dataset.train);
    }
    HO_TRY(read_part(m, train, folder->aspect, &m->dataset.train));
    return ho_is_folder(test) ? read_part(m, test, folder->aspect, &m->dataset.test) : HO_OK;
}

static ho_status read_folder(import *m, const ho_import_folder *folder) {
    if (strcmp(folder->format, "car-parts") != 0) {
        return ho_photo_folder_read(folder->folder, m->request->size, folder->aspect, &m->dataset.unlabelled);
    }
    if (folder->part == HO_PART_AS_PUBLISHED) {
        return read_set(m, folder);
    }
    return read_part(m, folder->folder, folder->aspect,
                     folder->part == HO_PART_TEST ? &m->dataset.test : &m->dataset.train);
}

static ho_status read_all(import *m) {
    const ho_import_request *r = m->request;
    if (r->split != NULL) {
        HO_FAIL(HO_EUSAGE, "%s: format car-parts takes no split file: its folders are its parts", r->split);
    }
    if (r->merge != NULL) {
        HO_TRY(ho_merge_read(r->merge, &m->merge));
        m->merged = true;
    }
    for (int i = 0; i < r->n_folders; i++) {
        HO_TRY(read_folder(m, &r->folders[i]));
    }
    m->dataset.n_classes = m->merge.n_classes; /* the data set takes names and colours over */
    m->dataset.class_names = m->merge.names;
    m->dataset.palette = m->merge.palette;
    m->merge.names = NULL;
    m->merge.palette = NULL;
    return HO_OK;
}

static ho_status write_all(import *m, const char *path) {
    const ho_import_request *r = m->request;
    ho_store *store = NULL;
    HO_TRY(ho_store_create(path, &store));
    ho_status status = ho_dataset_write(store, &m->dataset);
    status = status == HO_OK && r->finish != NULL ? r->finish(r->user, store) : status;
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    return status;
}

ho_status ho_import_car_parts(const ho_import_request *request, const char *path, ho_import_counts *counts) {
import m;
    memset(&m, 0, sizeof m);
    m.request = request;
    ho_status status = read_all(&m);
    status = status == HO_OK ? write_all(&m, path) : status;
    const ho_split *const splits[HO_N_PARTS] = {&m.dataset.train, &m.dataset.test, &m.dataset.unlabelled};
    for (int p = 0; p < HO_N_PARTS; p++) {
        counts->n[p] = splits[p]->n;
    }
    counts->n_classes = m.dataset.n_classes;
    ho_merge_free(&m.merge);
    ho_dataset_free(&m.dataset);
    return status;
}
