/* COCO, as export-data writes it: annotations/instances_PART.json with the photos in PART/ (train*, val* and test* are
 * told by their beginning; images/PART/ is looked for, too). A region is a list of polygons, or run lengths: a list of
 * numbers or text (export_coco.c describes it). The largest region is painted first. Class numbers are category ids, 0
 * is what no region covers. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

typedef struct {
    int64_t image;
    double area;
    const json_t *record;
} region;

typedef struct {
    char path[HO_PATH];
    json_t *root;
    int64_t n;
    region *regions; /* by image, the largest first */
} document;

enum { DOCUMENTS = 8 };
typedef struct {
    int n;
    document documents[DOCUMENTS];
    char *classes;
} coco;

static void free_coco(void *own) {
    coco *c = own;
    for (int i = 0; i < c->n; i++) {
        json_decref(c->documents[i].root);
        free(c->documents[i].regions);
    }
    free(c->classes);
    free(c);
}

/* ---- regions ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const json_t *list; /* of numbers, or */
    const char *text;
    size_t at;
    int64_t before[2]; /* the last two runs */
    int64_t n;
} runs;

/* The next run; -1 behind the last one or where the text is wrong. */
static int64_t next_run(runs *r) {
    int64_t value = 0;
    if (r->list != NULL) {
        return r->at < json_array_size(r->list) ? json_integer_value(json_array_get(r->list, r->at++)) : -1;
    }
    int bits = 32;
    for (int shift = 0; (bits & 32) != 0; shift += 5) {
        bits = r->text[r->at] - 48;
        if (bits < 0 || bits > 63 || shift > 50) {
            return -1;
        }
        r->at++;
        value += (int64_t)(bits & 31) * (INT64_C(1) << shift);
        value -= (bits & 48) == 16 ? INT64_C(32) << shift : 0;
    }
    value += r->n > 2 ? r->before[r->n % 2] : 0;
    r->before[r->n % 2] = value;
    r->n++;
    return value;
}

static ho_status paint_runs(const document *d, const region *g, const json_t *shape, uint8_t class, ho_image *label) {
    const json_t *size = json_object_get(shape, "size"), *counts = json_object_get(shape, "counts");
    const int64_t H = label->height, W = label->width, id = json_integer_value(json_object_get(g->record, "id"));
    runs r = {.list = json_is_array(counts) ? counts : NULL, .text = json_string_value(counts)};
    if (json_integer_value(json_array_get(size, 0)) != H || json_integer_value(json_array_get(size, 1)) != W ||
        (r.list == NULL && r.text == NULL)) {
        HO_FAIL(HO_EFORMAT, "%s: annotation %lld: run lengths for an image of %lld x %lld are expected", d->path,
                (long long)id, (long long)W, (long long)H);
    }
    int64_t at = 0, run;
    for (bool inside = false; (run = next_run(&r)) >= 0 && run <= H * W - at; inside = !inside) {
        for (int64_t end = at + run; at < end; at++) {
            if (inside) {
                label->pixels[at % H * W + at / H] = class;
            }
        }
    }
    if (at != H * W) {
        HO_FAIL(HO_EFORMAT, "%s: annotation %lld: its run lengths cover %lld of %lld pixels", d->path, (long long)id,
                (long long)at, (long long)(H * W));
    }
    return HO_OK;
}

static ho_status paint_polygon(const document *d, const region *g, const json_t *polygon, uint8_t class,
                               ho_image *label) {
    const size_t n = json_array_size(polygon);
    double *points = calloc(n + 1, sizeof *points);
    if (points == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for a polygon of %zu numbers", d->path, n);
    }
    bool sound = n >= 6 && n % 2 == 0;
    for (size_t i = 0; i < n; i++) {
        sound = sound && json_is_number(json_array_get(polygon, i));
        points[i] = json_number_value(json_array_get(polygon, i));
    }
    ho_status status = HO_OK;
    if (!sound) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                         "%s: annotation %lld: a polygon is no list of x, y of 3 points or more", d->path,
                         (long long)json_integer_value(json_object_get(g->record, "id")));
    } else {
        status = ho_polygon_fill(label->pixels, label->width, label->height, (int)(n / 2), points, class);
    }
    free(points);
    return status;
}

static ho_status paint(const document *d, const region *g, ho_image *label) {
    const json_t *shape = json_object_get(g->record, "segmentation");
    const uint8_t class = (uint8_t)json_integer_value(json_object_get(g->record, "category_id"));
    if (json_is_object(shape)) {
        return paint_runs(d, g, shape, class, label);
    }
    for (size_t i = 0; i < json_array_size(shape); i++) {
        HO_TRY(paint_polygon(d, g, json_array_get(shape, i), class, label));
    }
    return HO_OK;
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static int by_image(const void *a, const void *b) {
    const region *x = a, *y = b;
    if (x->image != y->image) {
        return x->image < y->image ? -1 : 1;
    }
    return (x->area < y->area) - (x->area > y->area);
}

/* sample->index: the document's number in the upper half, the image's id in the lower. */
static ho_status read_sample(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    const coco *c = listing->own;
    const document *d = &c->documents[sample->index >> 32];
    const int64_t image = sample->index & UINT32_MAX;
    HO_TRY(ho_image_read(sample->image, &reading->image));
    HO_TRY(ho_image_new(reading->image.width, reading->image.height, 1, &reading->label));
    int64_t low = 0, high = d->n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (d->regions[middle].image < image) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < d->n && d->regions[low].image == image; low++) {
        HO_TRY(paint(d, &d->regions[low], &reading->label));
    }
    return HO_OK;
}

static ho_status read_regions(document *d, const bool known[HO_MERGE_IDS]) {
    const json_t *annotations = json_object_get(d->root, "annotations"), *record = NULL;
    size_t i;
    d->regions = calloc(json_array_size(annotations) + 1, sizeof *d->regions);
    if (d->regions == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %zu annotations", d->path, json_array_size(annotations));
    }
    json_array_foreach(annotations, i, record) {
        const json_int_t class = json_integer_value(json_object_get(record, "category_id"));
        if (!json_is_integer(json_object_get(record, "image_id")) || class < 0 || class >= HO_LABEL_IGNORED ||
            !known[class]) {
            HO_FAIL(HO_EFORMAT,
                    "%s: annotations[%zu]: image_id must be a whole number and category_id one of 'categories', below "
                    "255",
                    d->path, i);
        }
        d->regions[d->n++] = (region){json_integer_value(json_object_get(record, "image_id")),
                                      json_number_value(json_object_get(record, "area")), record};
    }
    qsort(d->regions, (size_t)d->n, sizeof *d->regions, by_image);
    return HO_OK;
}

/* "background|NAME of 1|..." up to the highest category. */
static ho_status read_classes(coco *c, const document *d, bool known[HO_MERGE_IDS]) {
    const json_t *categories = json_object_get(d->root, "categories"), *record = NULL;
    const char *names[HO_MERGE_IDS] = {"background"};
    size_t i, length = 0;
    int highest = 0;
    json_array_foreach(categories, i, record) {
        const json_t *id = json_object_get(record, "id");
        const json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
        if (value < 0 || value >= HO_LABEL_IGNORED) {
            HO_FAIL(HO_EFORMAT, "%s: categories[%zu]: 'id' must be a whole number from 0 to 254", d->path, i);
        }
        known[value] = true;
        names[value] = json_string_value(json_object_get(record, "name"));
        highest = value > highest ? (int)value : highest;
    }
    for (int k = 0; k <= highest; k++) {
        names[k] = names[k] != NULL && names[k][0] != '\0' ? names[k] : "unnamed";
        length += strlen(names[k]) + 1;
    }
    if (c->classes != NULL) {
        return HO_OK; /* of the first document */
    }
    c->classes = calloc(length + 1, 1);
    if (c->classes == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d classes", d->path, highest + 1);
    }
    for (int k = 0, at = 0; k <= highest; k++) {
        for (const char *name = names[k]; *name != '\0'; name++) {
            c->classes[at++] = (char)(*name == '|' ? '/' : *name); /* which parts the list of names */
        }
        c->classes[at++] = (char)(k < highest ? '|' : '\0');
    }
    return HO_OK;
}

/* ---- listing ----------------------------------------------------------------------------------------------------- */

static ho_status add_image(ho_listing *listing, int number, const char *photos, const json_t *record, ho_part part) {
    const document *d = &((coco *)listing->own)->documents[number];
    const json_t *id = json_object_get(record, "id");
    const char *file = json_string_value(json_object_get(record, "file_name"));
    const int64_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    char name[HO_PATH], image[HO_PATH];
    if (value < 0 || value > UINT32_MAX || file == NULL) {
        HO_FAIL(HO_EFORMAT, "%s: an image has no whole number 'id' or no text 'file_name'", d->path);
    }
    HO_TRY(ho_path_join(name, photos, file));
    HO_TRY(ho_path_join(image, listing->folder, name));
    return ho_listing_add(listing, &(ho_sample){.name = name,
                                                .image = image,
                                                .label = part == HO_PART_UNLABELLED ? NULL : (char *)d->path,
                                                .index = (int64_t)number << 32 | value,
                                                .part = part});
}

static ho_status list_document(ho_listing *listing, const char *file, const char *stem, ho_part part) {
    coco *c = listing->own;
    char photos[HO_PATH], folder[HO_PATH];
    if (c->n == DOCUMENTS) {
        HO_FAIL(HO_EFORMAT, "folder %s/annotations: more than %d files", listing->folder, (int)DOCUMENTS);
    }
    document *d = &c->documents[c->n++];
    HO_TRY(ho_path_join(folder, listing->folder, "annotations"));
    HO_TRY(ho_path_join(d->path, folder, file));
    (void)snprintf(photos, sizeof photos, "%.*s", ho_stem_length(stem), stem);
    HO_TRY(ho_path_join(folder, listing->folder, photos));
    if (!ho_is_folder(folder)) {
        (void)snprintf(photos, sizeof photos, "images/%.*s", ho_stem_length(stem), stem);
    }
    json_error_t error;
    d->root = json_load_file(d->path, 0, &error);
    if (d->root == NULL) {
        HO_FAIL(HO_EFORMAT, "%s:%d: cannot be read as JSON: %s", d->path, error.line, error.text);
    }
    bool known[HO_MERGE_IDS] = {false};
    HO_TRY(read_classes(c, d, known));
    HO_TRY(read_regions(d, known));
    const json_t *images = json_object_get(d->root, "images"), *record = NULL;
    size_t i;
    json_array_foreach(images, i, record) {
        HO_TRY(add_image(listing, c->n - 1, photos, record, part));
    }
    return HO_OK;
}

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* The part that a file of annotations is for; HO_N_PARTS: another kind of file. */
static ho_part part_of(const char *file, const char **stem) {
    *stem = strchr(file, '_') != NULL ? strchr(file, '_') + 1 : file;
    if (begins(file, "image_info_")) {
        *stem = file + strlen("image_info_");
        return HO_PART_UNLABELLED;
    }
    if (!begins(file, "instances_")) {
        return HO_N_PARTS;
    }
    return begins(*stem, "train") ? HO_PART_TRAIN
                                  : (begins(*stem, "val") || begins(*stem, "test") ? HO_PART_TEST : HO_N_PARTS);
}

ho_status ho_list_coco(ho_listing *listing) {
    static const char EXPECTED[] = "annotations/instances_train*.json and the photos in train*/ or images/train*/";
    char folder[HO_PATH], **names = NULL;
    const char *stem = NULL;
    int n = 0;
    HO_TRY(ho_path_join(folder, listing->folder, "annotations"));
    if (!ho_is_folder(folder)) {
        return ho_wrong_folder(listing, "coco", EXPECTED);
    }
    listing->own = calloc(1, sizeof(coco));
    listing->free_own = free_coco;
    listing->read = read_sample;
    if (listing->own == NULL) {
        HO_FAIL(HO_EMEMORY, "folder %s: no memory to list it", listing->folder);
    }
    HO_TRY(ho_folder_names(folder, &n, &names));
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; i++) {
        const ho_part part = part_of(names[i], &stem);
        status = part != HO_N_PARTS && ho_has_ending(names[i], ".json") ? list_document(listing, names[i], stem, part)
                                                                        : HO_OK;
    }
    free(names);
    HO_TRY(status);
    listing->classes = ((coco *)listing->own)->classes;
    return listing->n > 0 ? HO_OK : ho_wrong_folder(listing, "coco", EXPECTED);
}
