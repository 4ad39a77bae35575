/* import-data: whatever the images come from, runs/NAME/dataset.h5 holds them in one layout (dataset.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/import.h"
#include "handsoff/run.h"
#include "stages.h"

static const char *const STAGE = "import-data";
static const char *const PREFIXES[] = {"seed", "data."};
enum { N_PREFIXES = 2, MAX_INPUTS = 4, CHUNK = 128 };

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
                                                 "data.merge"};
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

static ho_status read_labelled(ho_run *run, const char *key, const ho_merge *merge, ho_merge *own, ho_split *split) {
    const ho_config *config = ho_run_config(run);
    const char *folder = ho_config_text(config, key);
    if (*folder == '\0') {
        HO_FAIL(HO_ECONFIG, "%s: key '%s' is empty; data.format car-parts needs a folder there", ho_config_path(config),
                key);
    }
    const ho_status status = ho_car_parts_read(ho_run_data_path(run, folder), (int)ho_config_int(config, "data.size"),
                                               ho_aspect_of(ho_config_text(config, "data.aspect")), merge, own, split);
    return status == HO_OK ? HO_OK : ho_fail_context(status, "config key '%s'", key);
}

static ho_status read_car_parts(ho_run *run, ho_dataset *dataset, ho_merge *merge) {
    const ho_config *config = ho_run_config(run);
    const char *table = ho_config_text(config, "data.merge"), *folder = ho_config_text(config, "data.unlabelled_dir");
    const bool merged = *table != '\0';
    if (merged) {
        HO_TRY(ho_merge_read(ho_run_data_path(run, table), merge));
    }
    HO_TRY(read_labelled(run, "data.train_dir", merged ? merge : NULL, merge, &dataset->train));
    HO_TRY(read_labelled(run, "data.test_dir", merge, NULL, &dataset->test));
    if (*folder != '\0') {
        const ho_status status =
            ho_photo_folder_read(ho_run_data_path(run, folder), (int)ho_config_int(config, "data.size"),
                                 ho_aspect_of(ho_config_text(config, "data.unlabelled_aspect")), &dataset->unlabelled);
        if (status != HO_OK) {
            return ho_fail_context(status, "config key 'data.unlabelled_dir'");
        }
    }
    dataset->n_classes = merge->n_classes; /* the data set takes names and colours over */
    dataset->class_names = merge->names;
    dataset->palette = merge->palette;
    merge->names = NULL;
    merge->palette = NULL;
    return HO_OK;
}

static ho_status write_dataset(ho_run *run, const ho_dataset *dataset) {
    input_list inputs;
    ho_store *store = NULL;
    HO_TRY(list_inputs(run, &inputs));
    HO_TRY(ho_store_create(ho_run_path(run, "dataset.h5"), &store));
    ho_status status = ho_dataset_write(store, dataset);
    if (status == HO_OK) {
        status = ho_run_record(run, store, STAGE, "dataset", N_PREFIXES, PREFIXES, inputs.n, inputs.list);
    }
    if (status == HO_OK) {
        status = ho_store_commit(store);
    }
    ho_store_close(store);
    return status;
}

static ho_status execute(ho_run *run) {
    ho_dataset dataset;
    ho_merge merge;
    memset(&dataset, 0, sizeof dataset);
    memset(&merge, 0, sizeof merge);
    ho_status status =
        is_toy(ho_run_config(run)) ? draw_toy_faces(run, &dataset) : read_car_parts(run, &dataset, &merge);
    if (status == HO_OK) {
        status = write_dataset(run, &dataset);
    }
    if (status == HO_OK) {
        ho_run_say(run, "import-data: %d labelled, %d test and %d unlabelled images of %d x %d, %d classes",
                   dataset.train.n, dataset.test.n, dataset.unlabelled.n, dataset.train.width, dataset.train.height,
                   dataset.n_classes);
    }
    ho_merge_free(&merge);
    ho_dataset_free(&dataset);
    return status;
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
