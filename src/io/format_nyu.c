/* NYU Depth v2: the published HDF5 file (MATLAB 7.3: images (n, 3, W, H) u8, depths (n, W, H) f32 in metres; its 894
 * classes are not read), or the re-encoded folders nyu_images/N.jpg, nyu_depths/N.png (8 bits, 255 = 10 m),
 * nyu_labels40/N.png (NYU-40 less one; 39 holds what was unlabelled). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

static const char MATLAB_FILE[] = "nyu_depth_v2_labeled.mat";

typedef struct {
    ho_store *store;
    int64_t width, height;
} matlab;

static void free_matlab(void *own) {
    matlab *m = own;
    ho_store_close(m->store);
    free(m);
}

/* One row of a data set, as wide as the photo; the library is not meant for several threads. */
static ho_status read_row(const matlab *m, const char *name, int64_t row, void *host) {
    ho_status status;
    char text[1024] = "";
#pragma omp critical(ho_format_hdf5)
    {
        status = ho_store_read_rows(m->store, name, row, 1, host);
        if (status != HO_OK) {
            snprintf(text, sizeof text, "%s", ho_error());
        }
    }
    return status == HO_OK ? HO_OK : ho_fail(status, __FILE__, __LINE__, "%s", text);
}

static ho_status read_planes(const matlab *m, int64_t row, uint8_t *planes, float *columns, ho_reading *r) {
    const int64_t W = m->width, H = m->height;
    if (planes == NULL || columns == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for a frame of %lld x %lld", ho_store_path(m->store), (long long)W,
                (long long)H);
    }
    HO_TRY(read_row(m, "images", row, planes));
    HO_TRY(read_row(m, "depths", row, columns));
    HO_TRY(ho_image_new((int)W, (int)H, 3, &r->image));
    r->depth = malloc((size_t)(W * H) * sizeof *r->depth);
    if (r->depth == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory for a frame", ho_store_path(m->store));
    }
    for (int64_t y = 0; y < H; y++) {
        for (int64_t x = 0; x < W; x++) {
            for (int64_t c = 0; c < 3; c++) {
                r->image.pixels[(y * W + x) * 3 + c] = planes[(c * W + x) * H + y];
            }
            r->depth[y * W + x] = columns[x * H + y];
        }
    }
    return HO_OK;
}

static ho_status read_matlab(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    const matlab *m = listing->own;
    const size_t pixels = (size_t)(m->width * m->height);
    uint8_t *planes = malloc(pixels * 3);
    float *columns = malloc(pixels * sizeof *columns);
    const ho_status status = read_planes(m, sample->index, planes, columns, reading);
    free(planes);
    free(columns);
    return status;
}

static ho_status list_matlab(ho_listing *listing, const char *path) {
    matlab *m = calloc(1, sizeof *m);
    ho_store_info images, depths;
    if (m == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to read it", path);
    }
    listing->own = m;
    listing->free_own = free_matlab;
    listing->read = read_matlab;
    HO_TRY(ho_store_open(path, &m->store));
    HO_TRY(ho_store_info_of(m->store, "images", &images));
    HO_TRY(ho_store_info_of(m->store, "depths", &depths));
    if (images.dtype != HO_U8 || images.rank != 4 || images.dim[1] != 3 || depths.dtype != HO_F32 || depths.rank != 3 ||
        depths.dim[0] != images.dim[0] || depths.dim[1] != images.dim[2] || depths.dim[2] != images.dim[3] ||
        images.dim[2] > 16384 || images.dim[3] > 16384) {
        HO_FAIL(HO_EFORMAT, "%s: data sets images (n, 3, W, H) of bytes and depths (n, W, H) of floats are expected",
                path);
    }
    m->width = images.dim[2];
    m->height = images.dim[3];
    for (int64_t i = 0; i < images.dim[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "%lld", (long long)i);
        HO_TRY(ho_listing_add(
            listing,
            &(ho_sample){.name = name, .image = (char *)MATLAB_FILE, .depth = (char *)MATLAB_FILE, .index = i}));
    }
    return HO_OK;
}

static ho_status read_frame(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    const ho_depth_code code = {10.0 / 255.0, 0.0, false, -1};
    HO_TRY(ho_read_pair(listing, sample, reading));
    return ho_read_depth(sample->depth, &code, sample->image, reading);
}

static ho_status find_depths(ho_listing *listing) {
    int n_missing = 0;
    const ho_sample *first = NULL;
    for (int i = 0; i < listing->n; i++) {
        ho_sample *s = &listing->samples[i];
        const char *file = strrchr(s->name, '/') + 1;
        char depth[HO_PATH];
        if (snprintf(depth, HO_PATH, "%s/nyu_depths/%.*s.png", listing->folder, ho_stem_length(file), file) >=
                HO_PATH ||
            !ho_is_file(depth)) {
            n_missing++;
            first = first != NULL ? first : s;
            continue;
        }
        s->depth = strdup(depth);
        if (s->depth == NULL) {
            HO_FAIL(HO_EMEMORY, "%s: no memory for names", depth);
        }
    }
    if (n_missing > 0) {
        HO_FAIL(HO_EFORMAT, "folder %s: %d of the %d images have no depth nyu_depths/N.png; the first is %s",
                listing->folder, n_missing, listing->n, first->name);
    }
    return HO_OK;
}

ho_status ho_list_nyu(ho_listing *listing) {
    char path[HO_PATH];
    HO_TRY(ho_path_join(path, listing->folder, MATLAB_FILE));
    if (ho_is_file(path)) {
        return list_matlab(listing, path);
    }
    HO_TRY(ho_path_join(path, listing->folder, "nyu_images"));
    if (!ho_is_folder(path)) {
        return ho_wrong_folder(listing, "nyu-depth-v2",
                               "nyu_depth_v2_labeled.mat, or nyu_images/ with nyu_depths/ and "
                               "nyu_labels40/");
    }
    listing->classes = "wall|floor|cabinet|bed|chair|sofa|table|door|window|bookshelf|picture|counter|blinds|desk|"
                       "shelves|curtain|dresser|pillow|mirror|floor mat|clothes|ceiling|books|refrigerator|television|"
                       "paper|towel|shower curtain|box|whiteboard|person|night stand|toilet|sink|lamp|bathtub|bag|"
                       "other structure|other furniture";
    listing->ignored[0] = 39;
    listing->read = read_frame;
    HO_TRY(ho_list_pairs(listing, &(ho_pairing){"nyu_images", "nyu_labels40", NULL, ".png", HO_PART_TRAIN, false}));
    return find_depths(listing);
}
