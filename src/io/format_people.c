/* People and key points: Clothing Co-Parsing, DeepFashion-MultiModal, 68 facial key points. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

static bool has(const ho_listing *listing, const char *name) {
    char path[HO_PATH];
    return ho_path_join(path, listing->folder, name) == HO_OK && ho_is_folder(path);
}

static ho_status read_clothing(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    (void)listing;
    HO_TRY(ho_image_read(sample->image, &reading->image));
    return sample->label != NULL ? ho_mat5_read_labels(sample->label, &reading->label) : HO_OK;
}

/* Photos with pixel labels train; those that only have tags go to the unlabelled ones. */
ho_status ho_list_clothing(ho_listing *listing) {
    char photos[HO_PATH], image[HO_PATH], label[HO_PATH], tags[HO_PATH], **names = NULL;
    int n = 0, n_bare = 0;
    if (!has(listing, "photos") || !has(listing, "annotations/pixel-level")) {
        return ho_wrong_folder(listing, "clothing-co-parsing", "photos/ and annotations/pixel-level/");
    }
    listing->classes =
        "background|accessories|bag|belt|blazer|blouse|bodysuit|boots|bra|bracelet|cape|cardigan|clogs|coat|dress|"
        "earrings|flats|glasses|gloves|hair|hat|heels|hoodie|intimate|jacket|jeans|jumper|leggings|loafers|necklace|"
        "panties|pants|pumps|purse|ring|romper|sandals|scarf|shirt|shoes|shorts|skin|skirt|sneakers|socks|stockings|"
        "suit|sunglasses|sweater|sweatshirt|swimwear|t-shirt|tie|tights|top|vest|wallet|watch|wedges";
    listing->read = read_clothing;
    HO_TRY(ho_path_join(photos, listing->folder, "photos"));
    HO_TRY(ho_folder_names(photos, &n, &names));
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; i++) {
        const int stem = ho_stem_length(names[i]);
        if (!ho_is_photo_name(names[i])) {
            continue;
        }
        status = ho_path_join(image, photos, names[i]);
        const bool fits =
            snprintf(label, HO_PATH, "%s/annotations/pixel-level/%.*s.mat", listing->folder, stem, names[i]) <
                HO_PATH &&
            snprintf(tags, HO_PATH, "%s/annotations/image-level/%.*s.mat", listing->folder, stem, names[i]) < HO_PATH;
        const bool labelled = fits && ho_is_file(label);
        n_bare += !labelled && !(fits && ho_is_file(tags));
        const ho_sample sample = {.name = names[i],
                                  .image = image,
                                  .label = labelled ? label : NULL,
                                  .part = labelled ? HO_PART_TRAIN : HO_PART_UNLABELLED};
        status = status == HO_OK ? ho_listing_add(listing, &sample) : status;
    }
    free(names);
    HO_TRY(status);
    if (n_bare > 0) {
        HO_FAIL(HO_EFORMAT,
                "folder %s: %d of %d photos have neither a pixel-level nor an image-level annotation: part "
                "of the set is missing",
                listing->folder, n_bare, listing->n);
    }
    return listing->n > 0 ? HO_OK : ho_wrong_folder(listing, "clothing-co-parsing", "photos/NNNN.jpg");
}

/* ---- tables of key points ---------------------------------------------------------------------------------------- */

/* Rows of a name and numbers. */
typedef struct {
    int n, n_points, room;
    const char **name; /* into text */
    float *points;     /* (n, J, 3) */
    char *text;
} table;

typedef struct {
    table tables[2];
} tables;

static void free_tables(void *own) {
    tables *t = own;
    for (int i = 0; i < 2; i++) {
        free(t->tables[i].name);
        free(t->tables[i].points);
        free(t->tables[i].text);
    }
    free(t);
}

static ho_status make_tables(ho_listing *listing, tables **made) {
    *made = calloc(1, sizeof **made);
    if (*made == NULL) {
        HO_FAIL(HO_EMEMORY, "folder %s: no memory for its key points", listing->folder);
    }
    listing->own = *made;
    listing->free_own = free_tables;
    return HO_OK;
}

static ho_status grow(const char *path, table *t) {
    if (t->n < t->room) {
        return HO_OK;
    }
    const int room = t->room > 0 ? 2 * t->room : 1024;
    const char **names = realloc(t->name, (size_t)room * sizeof *names);
    if (names != NULL) {
        t->name = names;
    }
    float *points = realloc(t->points, (size_t)room * (size_t)t->n_points * 3 * sizeof *points);
    if (points != NULL) {
        t->points = points;
    }
    if (names == NULL || points == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d rows", path, room);
    }
    t->room = room;
    return HO_OK;
}

/* One row: name, then n numbers between the separators. `each` numbers make one point. */
static ho_status read_row(const char *path, int line, char *at, const char *separators, int each, table *t) {
    char *rest = NULL;
    HO_TRY(grow(path, t));
    const char *name = strtok_r(at, separators, &rest);
    float *to = t->points + (size_t)t->n * (size_t)t->n_points * 3;
    const int wanted = t->n_points * each;
    int found = 0;
    for (char *word = strtok_r(NULL, separators, &rest); word != NULL; word = strtok_r(NULL, separators, &rest)) {
        char *end = NULL;
        const double value = strtod(word, &end);
        if (end == word || *end != '\0' || !(value > -1e6 && value < 1e6)) {
            HO_FAIL(HO_EFORMAT, "%s:%d: '%.40s' is no number of a pixel", path, line, word);
        }
        if (found < wanted) {
            to[found / each * 3 + found % each] = (float)value;
        }
        found++;
    }
    if (name == NULL || found != wanted) {
        HO_FAIL(HO_EFORMAT, "%s:%d: %d numbers behind '%.60s'; %d (%d points) are expected", path, line, found,
                name != NULL ? name : "", wanted, t->n_points);
    }
    for (int j = 0; j < t->n_points && each == 2; j++) {
        to[3 * j + 2] = 1.0F;
    }
    t->name[t->n++] = name;
    return HO_OK;
}

static ho_status read_table(const char *path, const char *separators, bool header, int each, table *t) {
    HO_TRY(ho_text_read(path, INT64_C(1) << 30, &t->text));
    int line_number = 0;
    for (char *line = t->text; line != NULL && *line != '\0';) {
        char *end = strpbrk(line, "\n");
        if (end != NULL) {
            *end++ = '\0';
        }
        line[strcspn(line, "\r")] = '\0';
        line_number++;
        if (*line != '\0' && !(header && line_number == 1)) {
            HO_TRY(read_row(path, line_number, line, separators, each, t));
        }
        line = end;
    }
    if (t->n == 0) {
        HO_FAIL(HO_EFORMAT, "%s: no row of key points in it", path);
    }
    return HO_OK;
}

static ho_status copy_points(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    const tables *own = listing->own;
    const table *t = &own->tables[sample->index >> 32];
    const size_t n = (size_t)t->n_points * 3;
    reading->points = malloc(n * sizeof *reading->points);
    if (reading->points == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for its key points", sample->name);
    }
    memcpy(reading->points, t->points + (size_t)(sample->index & INT32_MAX) * n, n * sizeof *reading->points);
    return HO_OK;
}

/* ---- 68 facial key points ---------------------------------------------------------------------------------------- */

static ho_status read_face(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    HO_TRY(ho_image_read(sample->image, &reading->image));
    return copy_points(listing, sample, reading);
}

/* An image for each row of the table; files without a row are left out. */
static ho_status list_rows(ho_listing *listing, const char *below, const char *csv, int number, ho_part part) {
    tables *own = listing->own;
    table *t = &own->tables[number];
    char path[HO_PATH], folder[HO_PATH], name[HO_PATH];
    int n_missing = 0, first = -1;
    HO_TRY(ho_path_join(path, listing->folder, csv));
    HO_TRY(ho_path_join(folder, listing->folder, below));
    t->n_points = 68;
    HO_TRY(read_table(path, ",", true, 2, t));
    for (int i = 0; i < t->n; i++) {
        HO_TRY(ho_path_join(path, folder, t->name[i]));
        HO_TRY(ho_path_join(name, below, t->name[i]));
        if (!ho_is_file(path)) {
            first = first < 0 ? i : first;
            n_missing++;
            continue;
        }
        HO_TRY(ho_listing_add(
            listing, &(ho_sample){.name = name, .image = path, .index = (int64_t)number << 32 | i, .part = part}));
    }
    if (n_missing > 0) {
        HO_FAIL(HO_EFORMAT, "folder %s: %d of the %d images of %s are missing; the first is %s", folder, n_missing,
                t->n, csv, t->name[first]);
    }
    return HO_OK;
}

ho_status ho_list_face_keypoints(ho_listing *listing) {
    static const char *const FOLDERS[2][2] = {{"training", "test"}, {"data/training", "data/test"}};
    static const char *const TABLES[2][2] = {{"training_frames_keypoints.csv", "test_frames_keypoints.csv"},
                                             {"data/training_frames_keypoints.csv", "data/test_frames_keypoints.csv"}};
    const int down = has(listing, "data/training") ? 1 : 0;
    tables *own = NULL;
    HO_TRY(make_tables(listing, &own));
    if (!has(listing, FOLDERS[down][0])) {
        return ho_wrong_folder(listing, "face-keypoints", "training/ and training_frames_keypoints.csv");
    }
    listing->points =
        "jaw 0|jaw 1|jaw 2|jaw 3|jaw 4|jaw 5|jaw 6|jaw 7|jaw 8|jaw 9|jaw 10|jaw 11|jaw 12|jaw 13|jaw 14|jaw 15|jaw 16|"
        "brow 17|brow 18|brow 19|brow 20|brow 21|brow 22|brow 23|brow 24|brow 25|brow 26|nose 27|nose 28|nose 29|"
        "nose 30|nose 31|nose 32|nose 33|nose 34|nose 35|eye 36|eye 37|eye 38|eye 39|eye 40|eye 41|eye 42|eye 43|"
        "eye 44|eye 45|eye 46|eye 47|lip 48|lip 49|lip 50|lip 51|lip 52|lip 53|lip 54|lip 55|lip 56|lip 57|lip 58|"
        "lip 59|lip 60|lip 61|lip 62|lip 63|lip 64|lip 65|lip 66|lip 67";
    listing->read = read_face;
    HO_TRY(list_rows(listing, FOLDERS[down][0], TABLES[down][0], 0, HO_PART_TRAIN));
    return has(listing, FOLDERS[down][1]) ? list_rows(listing, FOLDERS[down][1], TABLES[down][1], 1, HO_PART_TEST)
                                          : HO_OK;
}

/* ---- DeepFashion-MultiModal -------------------------------------------------------------------------------------- */

/* Coordinates from one table, visibility from the other (0 visible, 1 covered, 2 absent), whose rows may stand in
 * another order. Points that are covered or absent count as not visible. */
static ho_status read_dressed(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    const tables *own = listing->own;
    HO_TRY(ho_read_pair(listing, sample, reading));
    if (own == NULL || own->tables[0].n == 0) {
        return HO_OK;
    }
    HO_TRY(copy_points(listing, sample, reading));
    return HO_OK;
}

typedef struct {
    const char *name;
    int row;
} named_row;

static int by_name(const void *a, const void *b) {
    return strcmp(((const named_row *)a)->name, ((const named_row *)b)->name);
}

static ho_status sort_rows(const char *path, const table *t, named_row **rows) {
    *rows = calloc((size_t)t->n + 1, sizeof **rows);
    if (*rows == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for %d rows", path, t->n);
    }
    for (int i = 0; i < t->n; i++) {
        (*rows)[i] = (named_row){t->name[i], i};
    }
    qsort(*rows, (size_t)t->n, sizeof **rows, by_name);
    return HO_OK;
}

static const named_row *find_row(const char *name, const named_row *rows, int n) {
    const named_row key = {name, 0};
    return bsearch(&key, rows, (size_t)n, sizeof *rows, by_name);
}

/* Puts the visibilities beside the coordinates and gives each sample its row. */
static ho_status join_tables(ho_listing *listing, const char *path, const named_row *places, const named_row *seen) {
    tables *own = listing->own;
    const table *place = &own->tables[0], *vis = &own->tables[1];
    for (int i = 0; i < place->n; i++) {
        const named_row *row = find_row(place->name[i], seen, vis->n);
        if (row == NULL) {
            HO_FAIL(HO_EFORMAT, "%s: no row for %.80s, which keypoints_loc.txt has", path, place->name[i]);
        }
        for (int j = 0; j < place->n_points; j++) {
            const float value = vis->points[((size_t)row->row * (size_t)vis->n_points + (size_t)j) * 3];
            place->points[((size_t)i * (size_t)place->n_points + (size_t)j) * 3 + 2] = value < 0.5F ? 1.0F : 0.0F;
        }
    }
    for (int i = 0; i < listing->n; i++) {
        const char *slash = strrchr(listing->samples[i].name, '/');
        const char *file = slash != NULL ? slash + 1 : listing->samples[i].name;
        const named_row *row = find_row(file, places, place->n);
        if (row == NULL) {
            HO_FAIL(HO_EFORMAT, "folder %s: keypoints/keypoints_loc.txt has no row for %s", listing->folder, file);
        }
        listing->samples[i].index = row->row;
    }
    return HO_OK;
}

static ho_status read_points(ho_listing *listing) {
    char loc[HO_PATH], vis[HO_PATH];
    tables *own = NULL;
    named_row *places = NULL, *seen = NULL;
    HO_TRY(make_tables(listing, &own));
    HO_TRY(ho_path_join(loc, listing->folder, "keypoints/keypoints_loc.txt"));
    HO_TRY(ho_path_join(vis, listing->folder, "keypoints/keypoints_vis.txt"));
    own->tables[0].n_points = own->tables[1].n_points = 21;
    HO_TRY(read_table(loc, " \t", false, 2, &own->tables[0]));
    HO_TRY(read_table(vis, " \t", false, 1, &own->tables[1]));
    ho_status status = sort_rows(loc, &own->tables[0], &places);
    status = status == HO_OK ? sort_rows(vis, &own->tables[1], &seen) : status;
    status = status == HO_OK ? join_tables(listing, vis, places, seen) : status;
    free(places);
    free(seen);
    return status;
}

/* The photo of a parsing, X.jpg (or .png in copies) of X_segm.png; false: there is none. */
static bool find_photo(const ho_listing *listing, const char *segm, char name[HO_PATH], char image[HO_PATH]) {
    static const char *const ENDINGS[2] = {"jpg", "png"};
    const int stem = (int)strlen(segm) - (int)strlen("_segm.png");
    for (int i = 0; i < 2; i++) {
        if (snprintf(name, HO_PATH, "%.*s.%s", stem, segm, ENDINGS[i]) < HO_PATH &&
            snprintf(image, HO_PATH, "%s/images/%s", listing->folder, name) < HO_PATH && ho_is_file(image)) {
            return true;
        }
    }
    return false;
}

/* A sample for each parsing of the folder. */
static ho_status list_parsings(ho_listing *listing, const char *segm, int n, char **names) {
    char image[HO_PATH], name[HO_PATH], label[HO_PATH];
    int n_missing = 0, n_parsings = 0;
    const char *first = NULL;
    for (int i = 0; i < n; i++) {
        if (!ho_has_ending(names[i], "_segm.png")) {
            continue;
        }
        n_parsings++;
        if (!find_photo(listing, names[i], name, image)) {
            n_missing++;
            first = first != NULL ? first : names[i];
            continue;
        }
        HO_TRY(ho_path_join(label, segm, names[i]));
        HO_TRY(ho_listing_add(listing, &(ho_sample){.name = name, .image = image, .label = label}));
    }
    if (n_missing > 0) {
        HO_FAIL(HO_EFORMAT, "folder %s: %d of the %d parsings in segm/ have no photo X.jpg in images/; the first is %s",
                listing->folder, n_missing, n_parsings, first);
    }
    return HO_OK;
}

/* The 12701 full-body photos have a parsing; of the others nothing is read. */
ho_status ho_list_deepfashion(ho_listing *listing) {
    char segm[HO_PATH], **names = NULL;
    int n = 0;
    if (!has(listing, "images") || !has(listing, "segm")) {
        return ho_wrong_folder(listing, "deepfashion-multimodal", "images/ and segm/ (parsing), keypoints/");
    }
    listing->classes = "background|top|outer|skirt|dress|pants|leggings|headwear|eyeglass|neckwear|belt|footwear|bag|"
                       "hair|face|skin|ring|wrist wearing|socks|gloves|necklace|rompers|earrings|tie";
    listing->read = read_dressed;
    HO_TRY(ho_path_join(segm, listing->folder, "segm"));
    HO_TRY(ho_folder_names(segm, &n, &names));
    const ho_status status = list_parsings(listing, segm, n, names);
    free(names);
    HO_TRY(status);
    if (has(listing, "keypoints")) {
        /* Left and right are the picture's. */
        listing->points = "head top|left ear|left eye|right eye|right ear|nose|chin|left shoulder|right shoulder|"
                          "left armpit|right armpit|left elbow|right elbow|left wrist 1|left wrist 2|right wrist 1|"
                          "right wrist 2|left knee|right knee|left ankle|right ankle";
        return listing->n > 0 ? read_points(listing) : HO_OK;
    }
    return HO_OK;
}
