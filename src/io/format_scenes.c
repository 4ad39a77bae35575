/* Streets and rooms: CamVid, Cityscapes, NYU Depth v2, 7-Scenes. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

static bool has(const ho_listing *listing, const char *name) {
    char path[HO_PATH];
    return ho_path_join(path, listing->folder, name) == HO_OK && ho_is_folder(path);
}

ho_status ho_list_camvid(ho_listing *listing) {
    static const struct {
        const char *images, *labels;
        ho_part part;
    } SETS[2][3] = {{{"train", "trainannot", HO_PART_TRAIN},
                     {"val", "valannot", HO_PART_TEST},
                     {"test", "testannot", HO_PART_TEST}},
                    {{"CamVid/train", "CamVid/trainannot", HO_PART_TRAIN},
                     {"CamVid/val", "CamVid/valannot", HO_PART_TEST},
                     {"CamVid/test", "CamVid/testannot", HO_PART_TEST}}};
    const int down = has(listing, "CamVid") ? 1 : 0;
    listing->classes = "sky|building|pole|road|pavement|tree|sign|fence|car|pedestrian|bicyclist";
    listing->ignored[0] = 11;
    for (int i = 0; i < 3; i++) {
        if (has(listing, SETS[down][i].labels)) {
            HO_TRY(ho_list_pairs(listing, &(ho_pairing){SETS[down][i].images, SETS[down][i].labels, ".png", ".png",
                                                        SETS[down][i].part, false}));
        }
    }
    return listing->n > 0 ? HO_OK : ho_wrong_folder(listing, "camvid", "train/ and trainannot/, val/ and valannot/");
}

/* ---- Cityscapes -------------------------------------------------------------------------------------------------- */

/* Z = baseline fx / d with d = (p - 1) / 256, from the camera file. */
static ho_status camera_code(const char *path, ho_depth_code *code) {
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL) {
        HO_FAIL(HO_EFORMAT, "%s:%d: cannot be read as JSON: %s", path, error.line, error.text);
    }
    const double baseline = json_number_value(json_object_get(json_object_get(root, "extrinsic"), "baseline"));
    const double fx = json_number_value(json_object_get(json_object_get(root, "intrinsic"), "fx"));
    json_decref(root);
    if (!(baseline > 0.0) || !(fx > 0.0)) {
        HO_FAIL(HO_EFORMAT, "%s: extrinsic.baseline and intrinsic.fx must be above 0, found %g and %g", path, baseline,
                fx);
    }
    *code = (ho_depth_code){baseline * fx * 256.0, 1.0, true, -1};
    return HO_OK;
}

static ho_status read_city(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    ho_depth_code code;
    HO_TRY(ho_read_pair(listing, sample, reading));
    if (sample->depth == NULL) {
        return HO_OK;
    }
    HO_TRY(camera_code(sample->camera, &code));
    return ho_read_depth(sample->depth, &code, sample->image, reading);
}

/* Disparity and camera of the samples from `first` on, where both files are. */
static ho_status find_disparity(ho_listing *listing, int first) {
    static const char IMAGE[] = "_leftImg8bit.png";
    for (int i = first; i < listing->n; i++) {
        ho_sample *s = &listing->samples[i];
        char depth[HO_PATH], camera[HO_PATH];
        const char *below = strchr(s->name, '/');
        const int n = below != NULL ? (int)(strlen(below) - strlen(IMAGE)) : 0;
        if (n < 1 || snprintf(depth, HO_PATH, "%s/disparity%.*s_disparity.png", listing->folder, n, below) >= HO_PATH ||
            snprintf(camera, HO_PATH, "%s/camera%.*s_camera.json", listing->folder, n, below) >= HO_PATH ||
            !ho_is_file(depth)) {
            continue;
        }
        if (!ho_is_file(camera)) {
            HO_FAIL(HO_EFORMAT, "%s: its camera file %s is missing; disparity becomes metres by it", depth, camera);
        }
        s->depth = strdup(depth);
        s->camera = strdup(camera);
        if (s->depth == NULL || s->camera == NULL) {
            HO_FAIL(HO_EMEMORY, "%s: no memory for names", depth);
        }
    }
    return HO_OK;
}

static ho_status list_cities(ho_listing *listing, const char *split, ho_part part) {
    char folder[HO_PATH], images[128], labels[128];
    char **cities = NULL;
    int n = 0;
    const int first = listing->n;
    snprintf(images, sizeof images, "leftImg8bit/%s", split);
    snprintf(labels, sizeof labels, "gtFine/%s", split);
    if (!has(listing, images) || !has(listing, labels)) {
        return HO_OK;
    }
    HO_TRY(ho_path_join(folder, listing->folder, images));
    HO_TRY(ho_folder_names(folder, &n, &cities));
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; i++) {
        char image_city[HO_PATH], label_city[HO_PATH];
        status = ho_path_join(image_city, images, cities[i]);
        status = status == HO_OK ? ho_path_join(label_city, labels, cities[i]) : status;
        const ho_pairing pairing = {image_city, label_city, "_leftImg8bit.png", "_gtFine_labelIds.png", part, false};
        status = status == HO_OK ? ho_list_pairs(listing, &pairing) : status;
    }
    free(cities);
    return status == HO_OK ? find_disparity(listing, first) : status;
}

ho_status ho_list_cityscapes(ho_listing *listing) {
    listing->classes = "unlabeled|ego vehicle|rectification border|out of roi|static|dynamic|ground|road|sidewalk|"
                       "parking|rail track|building|wall|fence|guard rail|bridge|tunnel|pole|polegroup|traffic light|"
                       "traffic sign|vegetation|terrain|sky|person|rider|car|truck|bus|caravan|trailer|train|"
                       "motorcycle|bicycle";
    listing->read = read_city;
    HO_TRY(list_cities(listing, "train", HO_PART_TRAIN));
    HO_TRY(list_cities(listing, "val", HO_PART_TEST));
    return listing->n > 0 ? HO_OK
                          : ho_wrong_folder(listing, "cityscapes", "leftImg8bit/train/CITY and gtFine/train/CITY");
}

/* ---- 7-Scenes ---------------------------------------------------------------------------------------------------- */

static ho_status read_kinect(const ho_listing *listing, const ho_sample *sample, ho_reading *reading) {
    const ho_depth_code millimetres = {0.001, 0.0, false, 65535};
    HO_TRY(ho_read_pair(listing, sample, reading));
    return ho_read_depth(sample->depth, &millimetres, sample->image, reading);
}

ho_status ho_list_seven_scenes(ho_listing *listing) {
    char **names = NULL, image[HO_PATH], depth[HO_PATH];
    int n = 0;
    listing->read = read_kinect;
    HO_TRY(ho_folder_names(listing->folder, &n, &names));
    ho_status status = HO_OK;
    for (int i = 0; i < n && status == HO_OK; i++) {
        const int stem = ho_stem_length(names[i]) - 6;
        if (!ho_is_photo_name(names[i]) || stem < 1 || strncmp(names[i] + stem, ".color", 6) != 0) {
            continue;
        }
        status = ho_path_join(image, listing->folder, names[i]);
        if (snprintf(depth, sizeof depth, "%s/%.*s.depth.png", listing->folder, stem, names[i]) >= HO_PATH ||
            !ho_is_file(depth)) {
            status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: its depth %.200s is missing", image, depth);
        }
        if (status == HO_OK) {
            status = ho_listing_add(listing, &(ho_sample){.name = names[i], .image = image, .depth = depth});
        }
    }
    free(names);
    HO_TRY(status);
    return listing->n > 0 ? HO_OK : ho_wrong_folder(listing, "seven-scenes", "frame-N.color.jpg, frame-N.depth.png");
}
