/* import-data: whatever the images come from, runs/NAME/dataset.h5 holds them in one layout (dataset.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/formats.h"
#include "handsoff/run.h"
#include "stages.h"

static const char *const STAGE = "import-data";
static const char *const PREFIXES[] = {"seed", "data.", "resize."};
enum { N_PREFIXES = 3, MAX_INPUTS = 6, CHUNK = 128 };

/* Test and unlabelled faces come from far along the stream, so that the three sets never share a face. */
static const uint64_t FIRST_TEST = 1000000000, FIRST_UNLABELLED = 2000000000;

static bool is_toy(const ho_config *config) {
    return strcmp(ho_config_text(config, "data.format"), "toy_faces") == 0;
}

static ho_status copy_path(char path[4096], const char *text) {
    if (snprintf(path, 4096, "%s", text) >= 4096) {
        HO_FAIL(HO_ECONFIG, "path of more than 4095 characters: %.80s...", text);
    }
    return HO_OK;
}

/* What decides what comes out: the folders of photos with their annotations, and the merge table. */
typedef struct {
    char path[MAX_INPUTS][4096];
    const char *list[MAX_INPUTS];
    int n;
} input_list;

static ho_status list_inputs(ho_run *run, input_list *inputs) {
    static const char *const KEYS[MAX_INPUTS] = {"data.train_dir", "data.test_dir", "data.unlabelled_dir",
                                                 "data.merge",     "data.dir",      "data.split"};
    const ho_config *config = ho_run_config(run);
    inputs->n = 0;
    for (int i = 0; i < MAX_INPUTS && !is_toy(config); i++) {
        const char *path = ho_config_text(config, KEYS[i]);
        if (*path != '\0') {
            HO_TRY(copy_path(inputs->path[inputs->n], ho_run_data_path(run, path)));
            inputs->list[inputs->n] = inputs->path[inputs->n];
            inputs->n++;
        }
    }
    return HO_OK;
}

/* Face i is called "toy_face SEED/NUMBER". */
static ho_status name_toy_faces(uint64_t seed, uint64_t first, ho_split *split) {
    enum { WIDTH = 56 };
    char(*text)[WIDTH] = calloc((size_t)split->n, sizeof *text);
    const char **names = calloc((size_t)split->n, sizeof *names);
    ho_status status;
    if (text == NULL || names == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "no memory for %d names", split->n);
    } else {
        for (int i = 0; i < split->n; i++) {
            names[i] = text[i];
            snprintf(text[i], WIDTH, "toy_face %" PRIu64 "/%" PRIu64, seed, first + (uint64_t)i);
        }
        status = ho_strings_copy(split->n, names, &split->names);
    }
    free(names);
    free(text);
    return status;
}

static ho_status draw_split(ho_run *run, const char *what, const ho_split_shape *shape, uint64_t first,
                            ho_split *split) {
    const uint64_t seed = ho_run_seed(run);
    if (shape->n == 0) {
        return HO_OK;
    }
    HO_TRY(ho_split_new(shape, split));
    for (int from = 0; from < split->n; from += CHUNK) {
        const int to = from + CHUNK < split->n ? from + CHUNK : split->n;
        if (ho_run_interrupted()) {
            HO_FAIL(HO_EINTERRUPT, "stopped after %d of %d faces", from, split->n);
        }
        ho_toy_faces_fill(seed, first, from, to, split);
        ho_run_progress(run, STAGE, to, split->n, "faces", "%s", what);
    }
    return name_toy_faces(seed, first, split);
}

static ho_status draw_toy_faces(ho_run *run, ho_dataset *dataset) {
    const ho_config *config = ho_run_config(run);
    ho_split_shape shape = {.size = (int)ho_config_int(config, "data.size"),
                            .n = (int)ho_config_int(config, "data.n_train"),
                            .n_keypoints = HO_TOY_FACE_KEYPOINTS,
                            .labels = true,
                            .depth = true};
    HO_TRY(draw_split(run, "train", &shape, 0, &dataset->train));
    shape.n = (int)ho_config_int(config, "data.n_test");
    HO_TRY(draw_split(run, "test", &shape, FIRST_TEST, &dataset->test));
    const ho_split_shape plain = {.size = shape.size, .n = (int)ho_config_int(config, "data.n_unlabelled")};
    HO_TRY(draw_split(run, "unlabelled", &plain, FIRST_UNLABELLED, &dataset->unlabelled));

    dataset->palette = malloc(sizeof HO_TOY_FACE_PALETTE);
    if (dataset->palette == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a palette");
    }
    memcpy(dataset->palette, HO_TOY_FACE_PALETTE, sizeof HO_TOY_FACE_PALETTE);
    dataset->n_classes = HO_TOY_FACE_CLASSES;
    dataset->n_keypoints = HO_TOY_FACE_KEYPOINTS;
    HO_TRY(ho_strings_copy(HO_TOY_FACE_KEYPOINTS, HO_TOY_FACE_KEYPOINT_NAMES, &dataset->keypoint_names));
    return ho_strings_copy(HO_TOY_FACE_CLASSES, HO_TOY_FACE_CLASS_NAMES, &dataset->class_names);
}

/* ---- published data sets ------------------------------------------------------------------------------------------
 */

static bool show_progress(void *user, int64_t first, int64_t done, int64_t total) {
    (void)first;
    ho_run_progress(user, STAGE, done, total, "images", "read");
    return !ho_run_interrupted();
}

typedef struct {
    char path[MAX_INPUTS][4096];
    ho_import_folder folder[MAX_INPUTS];
    int n;
} folder_list;

static ho_status add_folder(ho_run *run, const char *key, const char *format, ho_part part, folder_list *list) {
    const ho_config *config = ho_run_config(run);
    const char *folder = ho_config_text(config, key);
    const bool unlabelled = part == HO_PART_UNLABELLED;
    if (*folder == '\0') {
        return HO_OK;
    }
    HO_TRY(copy_path(list->path[list->n], ho_run_data_path(run, folder)));
    list->folder[list->n] =
        (ho_import_folder){format, list->path[list->n], part,
                           ho_aspect_of(ho_config_text(config, unlabelled ? "data.unlabelled_aspect" : "data.aspect"))};
    list->n++;
    return HO_OK;
}

static ho_status list_folders(ho_run *run, folder_list *list) {
    const ho_config *config = ho_run_config(run);
    const char *format = ho_config_text(config, "data.format");
    const bool whole = *ho_config_text(config, "data.dir") != '\0';
    const bool train = *ho_config_text(config, "data.train_dir") != '\0';
    const bool test = *ho_config_text(config, "data.test_dir") != '\0';
    list->n = 0;
    if (whole == (train || test)) {
        HO_FAIL(HO_ECONFIG, "%s: data.format %s needs either data.dir or data.train_dir (and data.test_dir), found %s",
                ho_config_path(config), format, whole ? "both" : "neither");
    }
    if (!whole && !train) {
        HO_FAIL(HO_ECONFIG, "%s: key 'data.train_dir' is empty; data.format %s needs a folder there",
                ho_config_path(config), format);
    }
    HO_TRY(add_folder(run, "data.dir", format, HO_PART_AS_PUBLISHED, list));
    HO_TRY(add_folder(run, "data.train_dir", format, HO_PART_TRAIN, list));
    HO_TRY(add_folder(run, "data.test_dir", format, HO_PART_TEST, list));
    return add_folder(run, "data.unlabelled_dir", "folder", HO_PART_UNLABELLED, list);
}

/* What the file was made of, so that a later run knows whether it is current. */
static ho_status record(void *user, ho_store *store) {
    ho_run *run = user;
    input_list inputs;
    HO_TRY(list_inputs(run, &inputs));
    return ho_run_record(run, store, STAGE, "dataset", N_PREFIXES, PREFIXES, inputs.n, inputs.list);
}

static ho_status import_published(ho_run *run, ho_import_counts *counts) {
    const ho_config *config = ho_run_config(run);
    folder_list folders;
    char merge[4096], split[4096];
    HO_TRY(list_folders(run, &folders));
    HO_TRY(copy_path(merge, ho_run_data_path(run, ho_config_text(config, "data.merge"))));
    HO_TRY(copy_path(split, ho_run_data_path(run, ho_config_text(config, "data.split"))));
    const ho_import_request request = {
        .n_folders = folders.n,
        .folders = folders.folder,
        .size = (int)ho_config_int(config, "data.size"),
        .rule = strcmp(ho_config_text(config, "resize.rule"), "handsoff") == 0 ? HO_RESIZE_HANDSOFF : HO_RESIZE_SOUND,
        .merge = *ho_config_text(config, "data.merge") != '\0' ? merge : NULL,
        .split = *ho_config_text(config, "data.split") != '\0' ? split : NULL,
        .limit = ho_config_int(config, "data.limit"),
        .progress = show_progress,
        .finish = record,
        .user = run};
    return ho_import_data(&request, ho_run_path(run, "dataset.h5"), counts);
}

static ho_status write_drawn(ho_run *run, const ho_dataset *dataset) {
    ho_store *store = NULL;
    HO_TRY(ho_store_create(ho_run_path(run, "dataset.h5"), &store));
    ho_status status = ho_dataset_write(store, dataset);
    status = status == HO_OK ? record(run, store) : status;
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    return status;
}

static ho_status import_drawn(ho_run *run, ho_import_counts *counts) {
    ho_dataset dataset;
    memset(&dataset, 0, sizeof dataset);
    ho_status status = draw_toy_faces(run, &dataset);
    status = status == HO_OK ? write_drawn(run, &dataset) : status;
    *counts = (ho_import_counts){{dataset.train.n, dataset.test.n, dataset.unlabelled.n}, dataset.n_classes, 0, 0};
    ho_dataset_free(&dataset);
    return status;
}

static ho_status execute(ho_run *run) {
    ho_import_counts counts;
    HO_TRY(is_toy(ho_run_config(run)) ? import_drawn(run, &counts) : import_published(run, &counts));
    const int size = (int)ho_config_int(ho_run_config(run), "data.size");
    ho_run_say(run, "import-data: %d labelled, %d test and %d unlabelled images of %d x %d, %d classes",
               counts.n[HO_PART_TRAIN], counts.n[HO_PART_TEST], counts.n[HO_PART_UNLABELLED], size, size,
               counts.n_classes);
    return HO_OK;
}

static ho_status current(ho_run *run, bool *is_current, const char **why) {
    input_list inputs;
    HO_TRY(list_inputs(run, &inputs));
    *is_current =
        ho_run_is_current(run, ho_run_path(run, "dataset.h5"), STAGE, N_PREFIXES, PREFIXES, inputs.n, inputs.list, why);
    return HO_OK;
}

const ho_stage HO_STAGE_IMPORT_DATA = {
    .name = "import-data",
    .help = "draw or read the labelled, test and unlabelled images into dataset.h5",
    .current = current,
    .execute = execute,
};
