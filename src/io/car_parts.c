/* Car-Parts-Segmentation in its own layout: FOLDER/annotations.json (COCO polygons) and FOLDER/JPEGImages/. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats.h"

/* One annotation: all polygons of one part of one car. */
typedef struct {
    int image; /* place in `pictures` */
    int class;
    double area; /* in square pixels of the photo */
    json_int_t id;
    const json_t *polygons;
} part;

typedef struct {
    json_int_t id;
    const char *name, *path; /* file_name and path of the record; path may be NULL */
    int width, height;       /* as the record has them, or 0 */
} picture;

typedef struct {
    const char *folder;
    char file[4096]; /* the annotations, for messages */
    int size;
    ho_aspect aspect;
    const int16_t *classes; /* class of a category id, HO_MERGE_IDS long */
    bool known[HO_MERGE_IDS];
    picture *pictures;
    int n_pictures;
    part *parts;
    int n_parts;
} reader;

static int by_picture_id(const void *a, const void *b) {
    const json_int_t x = ((const picture *)a)->id, y = ((const picture *)b)->id;
    return (x > y) - (x < y);
}

/* Image by image, the largest area first; equal areas by id, so that the order is always the same. */
static int by_painting_order(const void *a, const void *b) {
    const part *x = a, *y = b;
    if (x->image != y->image) {
        return x->image < y->image ? -1 : 1;
    }
    if (x->area > y->area || x->area < y->area) {
        return x->area > y->area ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

static ho_status read_pictures(reader *r, const json_t *root) {
    const json_t *images = json_object_get(root, "images");
    const size_t n = json_array_size(images);
    if (n == 0) {
        HO_FAIL(HO_EFORMAT, "%s: no list 'images', or an empty one: this is no COCO file", r->file);
    }
    r->pictures = calloc(n, sizeof *r->pictures);
    if (r->pictures == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %zu images", r->file, n);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *record = json_array_get(images, i);
        const json_t *id = json_object_get(record, "id");
        const char *name = json_string_value(json_object_get(record, "file_name"));
        if (!json_is_integer(id) || name == NULL) {
            HO_FAIL(HO_EFORMAT, "%s: images[%zu] has no whole number 'id' or no text 'file_name'", r->file, i);
        }
        const picture one = {json_integer_value(id), name, json_string_value(json_object_get(record, "path")),
                             (int)json_integer_value(json_object_get(record, "width")),
                             (int)json_integer_value(json_object_get(record, "height"))};
        r->pictures[i] = one;
    }
    r->n_pictures = (int)n;
    qsort(r->pictures, n, sizeof *r->pictures, by_picture_id);
    for (int i = 1; i < r->n_pictures; i++) {
        if (r->pictures[i].id == r->pictures[i - 1].id) {
            HO_FAIL(HO_EFORMAT, "%s: two images have the id %lld", r->file, (long long)r->pictures[i].id);
        }
    }
    return HO_OK;
}

/* Marks the category ids that the file declares; *zero tells whether 0 is one of them (version 1 counts from 0). */
static ho_status read_categories(reader *r, const json_t *root, bool *zero) {
    const json_t *categories = json_object_get(root, "categories");
    if (json_array_size(categories) == 0) {
        HO_FAIL(HO_EFORMAT, "%s: no list 'categories', or an empty one: this is no COCO file", r->file);
    }
    for (size_t i = 0; i < json_array_size(categories); i++) {
        const json_t *id = json_object_get(json_array_get(categories, i), "id");
        const json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
        if (value < 0 || value >= HO_MERGE_IDS) {
            HO_FAIL(HO_EFORMAT, "%s: categories[%zu]: 'id' must be a whole number from 0 to %d", r->file, i,
                    HO_MERGE_IDS - 1);
        }
        r->known[value] = true;
    }
    *zero = r->known[0];
    return HO_OK;
}

/* Twice the signed area, by the shoelace formula. */
static double twice_area(const json_t *polygon) {
    const size_t n = json_array_size(polygon) / 2;
    double sum = 0.0;
    for (size_t i = 0, j = n - 1; i < n; j = i++) {
        sum +=
            json_number_value(json_array_get(polygon, 2 * j)) * json_number_value(json_array_get(polygon, 2 * i + 1)) -
            json_number_value(json_array_get(polygon, 2 * i)) * json_number_value(json_array_get(polygon, 2 * j + 1));
    }
    return sum;
}

static ho_status check_polygons(const reader *r, const part *p) {
    const long long id = (long long)p->id;
    if (json_array_size(p->polygons) == 0) {
        HO_FAIL(HO_EFORMAT, "%s: annotation %lld: 'segmentation' must be a list of polygons (no run lengths)", r->file,
                id);
    }
    for (size_t k = 0; k < json_array_size(p->polygons); k++) {
        const json_t *polygon = json_array_get(p->polygons, k);
        const size_t n = json_array_size(polygon);
        if (n < 6 || n % 2 != 0) {
            HO_FAIL(
                HO_EFORMAT,
                "%s: annotation %lld: polygon %zu has %zu numbers; x0, y0, x1, y1, ... of 3 points or more is right",
                r->file, id, k, n);
        }
        for (size_t i = 0; i < n; i++) {
            if (!json_is_number(json_array_get(polygon, i))) {
                HO_FAIL(HO_EFORMAT, "%s: annotation %lld: polygon %zu holds something that is no number", r->file, id,
                        k);
            }
        }
    }
    return HO_OK;
}

static ho_status read_part(const reader *r, const json_t *record, size_t place, part *p) {
    const json_t *id = json_object_get(record, "id"), *image = json_object_get(record, "image_id");
    const json_t *category = json_object_get(record, "category_id");
    if (!json_is_integer(id) || !json_is_integer(image) || !json_is_integer(category)) {
        HO_FAIL(HO_EFORMAT, "%s: annotations[%zu] needs whole numbers 'id', 'image_id' and 'category_id'", r->file,
                place);
    }
    const long long name = json_integer_value(id), class_id = json_integer_value(category);
    const picture key = {.id = json_integer_value(image)};
    const picture *found = bsearch(&key, r->pictures, (size_t)r->n_pictures, sizeof *r->pictures, by_picture_id);
    if (found == NULL) {
        HO_FAIL(HO_EFORMAT, "%s: annotation %lld belongs to image %lld, which 'images' does not list", r->file, name,
                (long long)key.id);
    }
    if (class_id < 0 || class_id >= HO_MERGE_IDS || !r->known[class_id]) {
        HO_FAIL(HO_EFORMAT, "%s: annotation %lld has category %lld, which 'categories' does not list", r->file, name,
                class_id);
    }
    if (r->classes[class_id] < 0) {
        HO_FAIL(HO_EFORMAT, "%s: annotation %lld has category %lld, which the merge table (data.merge) does not list",
                r->file, name, class_id);
    }
    p->image = (int)(found - r->pictures);
    p->class = r->classes[class_id];
    p->id = name;
    p->polygons = json_object_get(record, "segmentation");
    HO_TRY(check_polygons(r, p));
    p->area = 0.0;
    for (size_t k = 0; k < json_array_size(p->polygons); k++) {
        p->area += 0.5 * fabs(twice_area(json_array_get(p->polygons, k)));
    }
    return HO_OK;
}

static ho_status read_parts(reader *r, const json_t *root) {
    const json_t *annotations = json_object_get(root, "annotations");
    const size_t n = json_array_size(annotations);
    if (n == 0) {
        HO_FAIL(HO_EFORMAT, "%s: no list 'annotations', or an empty one: this is no COCO file", r->file);
    }
    r->parts = calloc(n, sizeof *r->parts);
    if (r->parts == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %zu annotations", r->file, n);
    }
    for (size_t i = 0; i < n; i++) {
        HO_TRY(read_part(r, json_array_get(annotations, i), i, &r->parts[i]));
    }
    r->n_parts = (int)n;
    qsort(r->parts, n, sizeof *r->parts, by_painting_order);
    return HO_OK;
}

static ho_status paint_part(const reader *r, const part *p, const ho_framing *framing, uint8_t *label) {
    for (size_t k = 0; k < json_array_size(p->polygons); k++) {
        const json_t *polygon = json_array_get(p->polygons, k);
        const size_t n = json_array_size(polygon) / 2;
        double *points = calloc(n, 2 * sizeof *points);
        if (points == NULL) {
            HO_FAIL(HO_EMEMORY, "%s: no memory for a polygon of %zu points", r->file, n);
        }
        for (size_t i = 0; i < n; i++) {
            const double x = json_number_value(json_array_get(polygon, 2 * i));
            const double y = json_number_value(json_array_get(polygon, 2 * i + 1));
            points[2 * i] = (x - framing->x0) * framing->scale_x;
            points[2 * i + 1] = (y - framing->y0) * framing->scale_y;
        }
        const ho_status status = ho_polygon_fill(label, r->size, r->size, (int)n, points, (uint8_t)p->class);
        free(points);
        HO_TRY(status);
    }
    return HO_OK;
}

/* `path` is "JPEGImages/x.jpg" in the files seen, `file_name` only "x.jpg". */
static void photo_path(const reader *r, const picture *one, char *path, size_t size) {
    struct stat info;
    if (one->path != NULL) {
        snprintf(path, size, "%s/%s", r->folder, one->path);
        if (stat(path, &info) == 0) {
            return;
        }
    }
    snprintf(path, size, "%s/JPEGImages/%s", r->folder, one->name);
}

static ho_status read_photo(const reader *r, int index, ho_split *split, ho_framing *framing) {
    char path[8192];
    ho_image photo = {0}, square = {0};
    photo_path(r, &r->pictures[index], path, sizeof path);
    const ho_status read = ho_image_read(path, &photo);
    if (read != HO_OK) {
        return ho_fail_context(read, "image %lld of %s", (long long)r->pictures[index].id, r->file);
    }
    const picture *one = &r->pictures[index];
    if (one->width > 0 && one->height > 0 && (one->width != photo.width || one->height != photo.height)) {
        const ho_status status =
            ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                    "%s is %d x %d pixels, but its polygons in %s are for %d x %d: the photo was resized", path,
                    photo.width, photo.height, r->file, one->width, one->height);
        ho_image_free(&photo);
        return status;
    }
    *framing = ho_framing_of(photo.width, photo.height, r->size, r->aspect);
    const ho_status status = ho_photo_to_square(&photo, r->size, r->aspect, &square);
    if (status == HO_OK) {
        const size_t bytes = (size_t)r->size * (size_t)r->size * 3;
        memcpy(split->images + (size_t)index * bytes, square.pixels, bytes);
    }
    ho_image_free(&photo);
    ho_image_free(&square);
    return status;
}

static ho_status fill_split(const reader *r, ho_split *split) {
    const int64_t pixels = (int64_t)r->size * r->size;
    HO_TRY(ho_split_new(&(ho_split_shape){.n = r->n_pictures, .size = r->size, .labels = true}, split));
    const char **names = calloc((size_t)r->n_pictures, sizeof *names);
    if (names == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d names", r->file, r->n_pictures);
    }
    ho_status status = HO_OK;
    int next = 0; /* parts are sorted by image */
    for (int i = 0; i < r->n_pictures && status == HO_OK; i++) {
        ho_framing framing = {0};
        names[i] = r->pictures[i].name;
        status = read_photo(r, i, split, &framing);
        for (; next < r->n_parts && r->parts[next].image == i && status == HO_OK; next++) {
            status = paint_part(r, &r->parts[next], &framing, split->labels + i * pixels);
        }
    }
    if (status == HO_OK) {
        status = ho_strings_copy(r->n_pictures, names, &split->names);
    }
    free(names);
    return status;
}

/* The categories of the file as classes, in the order of their ids; colours spread around the colour circle. */
static ho_status own_classes(const reader *r, const json_t *root, ho_merge *own) {
    const json_t *categories = json_object_get(root, "categories");
    const char *names[HO_MERGE_IDS];
    memset(own, 0, sizeof *own);
    memset(own->v1, 0xFF, sizeof own->v1);
    for (int id = 0; id < HO_MERGE_IDS; id++) {
        for (size_t i = 0; r->known[id] && i < json_array_size(categories) && own->v1[id] < 0; i++) {
            const json_t *category = json_array_get(categories, i);
            const char *name = json_string_value(json_object_get(category, "name"));
            if (json_integer_value(json_object_get(category, "id")) == id) {
                names[own->n_classes] = name != NULL ? name : "unnamed";
                own->v1[id] = (int16_t)own->n_classes++;
            }
        }
    }
    memcpy(own->v2, own->v1, sizeof own->v2);
    if (own->n_classes > 255) {
        HO_FAIL(HO_EFORMAT, "%s: %d categories; at most 255 are possible", r->file, own->n_classes);
    }
    own->palette = calloc((size_t)own->n_classes, sizeof *own->palette);
    if (own->palette == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d classes", r->file, own->n_classes);
    }
    ho_spread_colours(own->n_classes, own->palette);
    return ho_strings_copy(own->n_classes, names, &own->names);
}

static ho_status read_document(reader *r, const json_t *root, const ho_merge *merge, ho_merge *own, ho_split *split) {
    bool zero = false;
    HO_TRY(read_pictures(r, root));
    HO_TRY(read_categories(r, root, &zero));
    if (merge == NULL) {
        HO_TRY(own_classes(r, root, own));
        merge = own;
    }
    r->classes = zero ? merge->v1 : merge->v2;
    HO_TRY(read_parts(r, root));
    return fill_split(r, split);
}

ho_status ho_car_parts_read(const char *folder, int size, ho_aspect aspect, const ho_merge *merge, ho_merge *own,
                            ho_split *split) {
    reader r = {.folder = folder, .size = size, .aspect = aspect};
    struct stat info;
    memset(split, 0, sizeof *split);
    if (merge == NULL) {
        memset(own, 0, sizeof *own);
    }
    if (stat(folder, &info) != 0) {
        HO_FAIL(HO_EIO, "folder %s: %s; {data} in a config stands for the folder that HANDSOFF_DATA names", folder,
                strerror(errno));
    }
    snprintf(r.file, sizeof r.file, "%s/annotations.json", folder);
    json_error_t error;
    json_t *root = json_load_file(r.file, 0, &error);
    if (root == NULL) {
        if (error.line < 1) {
            HO_FAIL(HO_EIO, "%s: %s", r.file, error.text);
        }
        HO_FAIL(HO_EFORMAT, "%s:%d: column %d: not JSON: %s", r.file, error.line, error.column, error.text);
    }
    const ho_status status = read_document(&r, root, merge, own, split);
    json_decref(root);
    free(r.pictures);
    free(r.parts);
    if (status != HO_OK) {
        ho_split_free(split);
        if (merge == NULL) {
            ho_merge_free(own);
        }
    }
    return status;
}
