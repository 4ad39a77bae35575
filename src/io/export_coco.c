/* COCO: annotations/instances_PART.json and, where the set has key points, keypoints_PART.json; for images without
 * either image_info_PART.json. All pixels of a class in an image are one region, as run lengths: columns from the left,
 * each from the top; runs of outside and inside by turns, beginning with outside. In the text each run from the fourth
 * on is its difference to the one two before it, and a number is written in groups of 5 bits, the lowest first: a
 * character is 48 + the bits + 32 where more follow; the highest bit of the last group is the sign. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "export.h"

enum { INSTANCES, POINTS, IDS_AN_IMAGE = 256 };

/* A class called background is what no region covers. */
static bool is_background(const ho_export_set *set, int class) {
    static const char *const NAME[] = {"background", "_background_", "unlabelled", "unlabeled"};
    bool is = false;
    for (int i = 0; class == 0 && i < 4; i++) {
        is = is || strcasecmp(set->class_names[class], NAME[i]) == 0;
    }
    return is;
}

/* ---- regions ----------------------------------------------------------------------------------------------------- */

typedef struct {
    FILE *text;
    int64_t last[2]; /* the runs before, by turns */
    int64_t n;
    int64_t area;
    int left, top, right, bottom; /* the last two belong to it */
} region;

static void put_run(region *r, int64_t run) {
    int64_t value = r->n > 2 ? run - r->last[r->n % 2] : run;
    bool more = true;
    while (more) {
        const int bits = (int)(value & 31);
        value = (value - bits) / 32;
        more = (bits & 16) != 0 ? value != -1 : value != 0;
        const char character = (char)(48 + bits + (more ? 32 : 0));
        if (character == '\\') {
            (void)fputc('\\', r->text);
        }
        (void)fputc(character, r->text);
    }
    r->last[r->n % 2] = run;
    r->n++;
}

static void cover(region *r, int x, int y) {
    r->area++;
    r->left = x < r->left ? x : r->left;
    r->right = x > r->right ? x : r->right;
    r->top = y < r->top ? y : r->top;
    r->bottom = y > r->bottom ? y : r->bottom;
}

/* Writes the run lengths of a class. */
static void trace(const ho_image *label, int class, region *r) {
    int64_t run = 0;
    bool inside = false;
    for (int x = 0; x < label->width; x++) {
        for (int y = 0; y < label->height; y++) {
            const bool is = label->pixels[(int64_t)y * label->width + x] == class;
            if (is) {
                cover(r, x, y);
            }
            if (is != inside) {
                put_run(r, run);
                run = 0;
                inside = is;
            }
            run++;
        }
    }
    put_run(r, run);
}

static void put_region(FILE *text, const ho_export_sample *s, int class, bool first) {
    const ho_image *label = &s->label;
    region r = {.text = text, .left = label->width, .top = label->height, .right = -1, .bottom = -1};
    (void)fprintf(text, "%s{\"id\": %lld, \"image_id\": %lld, \"category_id\": %d, \"iscrowd\": 0, ",
                  first ? "" : ",\n", (long long)s->i * IDS_AN_IMAGE + class + 1, (long long)s->i + 1, class);
    (void)fprintf(text, "\"segmentation\": {\"size\": [%d, %d], \"counts\": \"", label->height, label->width);
    trace(label, class, &r);
    (void)fprintf(text, "\"}, \"area\": %lld, \"bbox\": [%d, %d, %d, %d]}", (long long)r.area, r.left, r.top,
                  r.right - r.left + 1, r.bottom - r.top + 1);
}

ho_status ho_export_coco_write(const ho_exporting *x, ho_part part, ho_export_sample *s) {
    char path[HO_PATH];
    HO_TRY(ho_export_path(x, path, "%s/%06lld.png", HO_PART_NAME[part], (long long)s->i));
    HO_TRY(ho_image_write_png(path, &s->image));
    if (s->label.pixels == NULL) {
        return HO_OK;
    }
    bool there[IDS_AN_IMAGE] = {false}, first = true;
    for (int64_t p = 0; p < (int64_t)s->label.width * s->label.height; p++) {
        there[s->label.pixels[p]] = true;
    }
    size_t size = 0;
    FILE *text = open_memstream(&s->text, &size);
    for (int class = 0; class < x->set.n_classes && text != NULL; class ++) {
        if (there[class] && !is_background(&x->set, class)) {
            put_region(text, s, class, first);
            first = false;
        }
    }
    const bool failed = text == NULL || ferror(text) != 0;
    if ((text != NULL && fclose(text) != 0) || failed) {
        HO_FAIL(HO_EMEMORY, "no memory for the regions of an image of %d x %d", s->label.width, s->label.height);
    }
    return HO_OK;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void put_images(const ho_exporting *x, ho_part part, FILE *file) {
    const ho_export_part *p = &x->set.part[part];
    (void)fputs("{\"info\": {\"description\": \"written by handsoff\"}, \"licenses\": [],\n\"images\": [", file);
    for (int64_t i = 0; i < p->n; i++) {
        (void)fprintf(file, "%s\n{\"id\": %lld, \"file_name\": \"%06lld.png\", \"width\": %d, \"height\": %d",
                      i > 0 ? "," : "", (long long)i + 1, (long long)i, p->width, p->height);
        if (p->names != NULL) {
            (void)fputs(", \"source\": ", file);
            ho_export_quote(file, p->names[i]);
        }
        (void)fputc('}', file);
    }
    (void)fputs("\n],\n", file);
}

static void put_classes(const ho_export_set *set, FILE *file) {
    bool first = true;
    (void)fputs("\"categories\": [", file);
    for (int class = 0; class < set->n_classes; class ++) {
        if (!is_background(set, class)) {
            (void)fprintf(file, "%s\n{\"id\": %d, \"supercategory\": \"\", \"name\": ", first ? "" : ",", class);
            ho_export_quote(file, set->class_names[class]);
            (void)fputc('}', file);
            first = false;
        }
    }
    (void)fputs("\n]", file);
}

/* All points of an image are those of one object. */
static void put_object(const ho_export_set *set, FILE *file) {
    (void)fputs("\"categories\": [{\"id\": 1, \"supercategory\": \"\", \"name\": \"object\", \"skeleton\": [], "
                "\"keypoints\": [",
                file);
    for (int j = 0; j < set->n_keypoints; j++) {
        (void)fputs(j > 0 ? ", " : "", file);
        ho_export_quote(file, set->keypoint_names[j]);
    }
    (void)fputs("]}]", file);
}

static ho_status open_file(ho_exporting *x, ho_part part, int which, const char *kind) {
    char below[64];
    (void)snprintf(below, sizeof below, "annotations/%s_%s.json", kind, HO_PART_NAME[part]);
    HO_TRY(ho_export_open_list(x, which, below));
    put_images(x, part, x->list[which].file);
    return HO_OK;
}

ho_status ho_export_coco_begin(ho_exporting *x, ho_part part) {
    const ho_export_part *p = &x->set.part[part];
    HO_TRY(ho_export_make_folder(x, HO_PART_NAME[part]));
    HO_TRY(ho_export_make_folder(x, "annotations"));
    if (p->labels || !p->points) {
        HO_TRY(open_file(x, part, INSTANCES, p->labels ? "instances" : "image_info"));
        put_classes(&x->set, x->list[INSTANCES].file);
        (void)fputs(p->labels ? ",\n\"annotations\": [" : "", x->list[INSTANCES].file);
    }
    if (p->points) {
        HO_TRY(open_file(x, part, POINTS, "keypoints"));
        put_object(&x->set, x->list[POINTS].file);
        (void)fputs(",\n\"annotations\": [", x->list[POINTS].file);
    }
    return HO_OK;
}

/* COCO counts pixels from their centres, we from their corners; a point that is not seen is 0, 0, 0. */
static void put_points(ho_exporting *x, const ho_export_sample *s) {
    FILE *file = x->list[POINTS].file;
    double low[2] = {1e9, 1e9}, high[2] = {-1e9, -1e9};
    int n = 0;
    for (int j = 0; j < x->set.n_keypoints; j++) {
        const float *point = s->points + 3 * (int64_t)j;
        for (int d = 0; d < 2 && point[2] > 0.5F; d++) {
            low[d] = point[d] < low[d] ? point[d] : low[d];
            high[d] = point[d] > high[d] ? point[d] : high[d];
        }
        n += point[2] > 0.5F;
    }
    if (n == 0) {
        return;
    }
    (void)fprintf(file, "%s\n{\"id\": %lld, \"image_id\": %lld, \"category_id\": 1, \"iscrowd\": 0, \"keypoints\": [",
                  x->list[POINTS].has_items ? "," : "", (long long)s->i + 1, (long long)s->i + 1);
    for (int j = 0; j < x->set.n_keypoints; j++) {
        const float *point = s->points + 3 * (int64_t)j;
        const bool seen = point[2] > 0.5F;
        (void)fprintf(file, "%s%.9g, %.9g, %d", j > 0 ? ", " : "", seen ? point[0] - 0.5 : 0.0,
                      seen ? point[1] - 0.5 : 0.0, seen ? 2 : 0);
    }
    (void)fprintf(file, "], \"num_keypoints\": %d, \"bbox\": [%.9g, %.9g, %.9g, %.9g], \"area\": %.9g}", n, low[0],
                  low[1], high[0] - low[0], high[1] - low[1], (high[0] - low[0]) * (high[1] - low[1]));
    x->list[POINTS].has_items = true;
}

ho_status ho_export_coco_list(ho_exporting *x, ho_part part, const ho_export_sample *s) {
    (void)part;
    if (s->points != NULL) {
        put_points(x, s);
    }
    if (s->text != NULL && s->text[0] != '\0') {
        (void)fprintf(x->list[INSTANCES].file, "%s\n%s", x->list[INSTANCES].has_items ? "," : "", s->text);
        x->list[INSTANCES].has_items = true;
    }
    return HO_OK;
}

ho_status ho_export_coco_end(ho_exporting *x, ho_part part) {
    const ho_export_part *p = &x->set.part[part];
    for (int which = INSTANCES; which <= POINTS; which++) {
        if (x->list[which].file != NULL) {
            (void)fputs(which == POINTS || p->labels ? "\n]}\n" : "}\n", x->list[which].file);
            HO_TRY(ho_export_close_list(x, which));
        }
    }
    return HO_OK;
}
