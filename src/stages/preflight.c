/* What is known to be wrong before any stage has run: keys that contradict each other, weights that are missing or
 * are something else, results that a newer program wrote. Stages far down the pipeline would say so after hours of
 * work. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/deeplab.h"
#include "handsoff/encoder.h"
#include "handsoff/perceptual.h"
#include "handsoff/store.h"
#include "handsoff/stylegan2.h"
#include "run_internal.h"

/* ---- keys -------------------------------------------------------------------------------------------------- */

static bool is_default(const ho_config *config, const char *key) {
    return strcmp(ho_config_where(config, key), ho_config_path(config)) == 0;
}

/* Where the first of two keys was given, or the second where the first has its default. */
static const char *place(const ho_config *config, const char *first, const char *second) {
    return ho_config_where(config, is_default(config, first) ? second : first);
}

/* How many photos a folder has is known when it has been read. */
static ho_status check_labelled(const ho_config *config) {
    const int64_t *counts = NULL, n_train = ho_config_int(config, "data.n_train");
    const int n = ho_config_ints(config, "labelled", &counts);
    for (int i = 0; i < n && strcmp(ho_config_text(config, "data.format"), "toy_faces") == 0; ++i) {
        if (counts[i] > n_train) {
            HO_FAIL(HO_ECONFIG, "%s: labelled: %lld images are asked for%s, data.n_train makes %lld",
                    place(config, "labelled", "data.n_train"), (long long)counts[i],
                    is_default(config, "labelled") ? " (the default)" : "", (long long)n_train);
        }
    }
    return HO_OK;
}

static ho_status check_gan(const ho_config *config) {
    const int64_t batch = ho_config_int(config, "gan.batch"), wanted = ho_config_int(config, "gan.mbstd_group");
    const int64_t group = wanted < batch ? wanted : batch, base = ho_config_int(config, "gan.channel_base");
    const int64_t size = ho_config_int(config, "data.size");
    if (ho_config_text(config, "gan.weights")[0] != '\0') {
        return HO_OK;
    }
    if (batch % group != 0) {
        HO_FAIL(HO_ECONFIG, "%s: gan.batch: %lld is no multiple of gan.mbstd_group, %lld",
                place(config, "gan.batch", "gan.mbstd_group"), (long long)batch, (long long)group);
    }
    if (base < size) {
        HO_FAIL(HO_ECONFIG, "%s: gan.channel_base: %lld leaves no channel at data.size %lld; right is %lld or more",
                place(config, "gan.channel_base", "data.size"), (long long)base, (long long)size, (long long)size);
    }
    return HO_OK;
}

static ho_status check_head(const ho_config *config) {
    const ho_stylegan2_shape shape = {.height = ho_config_int(config, "data.size")};
    const int64_t *hidden = NULL, *blocks = NULL, n_maps = ho_stylegan2_n_ws(&shape);
    const int n_hidden = ho_config_ints(config, "head.hidden", &hidden);
    const int n_blocks = ho_config_ints(config, "head.blocks", &blocks);
    if (n_hidden != 2) {
        HO_FAIL(HO_ECONFIG, "%s: head.hidden: found %d widths; right are two, such as 128,32",
                ho_config_where(config, "head.hidden"), n_hidden);
    }
    for (int l = 0; l < n_blocks; ++l) {
        if (blocks[l] >= n_maps || (l > 0 && blocks[l] <= blocks[l - 1])) {
            HO_FAIL(HO_ECONFIG,
                    "%s: head.blocks: %lld as entry %d; right are ascending numbers of style blocks, 0 to %lld at "
                    "data.size %lld",
                    place(config, "head.blocks", "data.size"), (long long)blocks[l], l + 1, (long long)n_maps - 1,
                    (long long)shape.height);
        }
    }
    return HO_OK;
}

ho_status ho_preflight_config(const ho_config *config) {
    HO_TRY(check_labelled(config));
    HO_TRY(check_gan(config));
    return check_head(config);
}

/* ---- files ------------------------------------------------------------------------------------------------- */

static ho_status check_generator(const ho_config *config, const char *path) {
    const int64_t size = ho_config_int(config, "data.size");
    ho_stylegan2_shape shape = {0};
    HO_TRY(ho_generator_file_shape(path, &shape));
    if (shape.height != size || shape.width != size) {
        HO_FAIL(HO_ECONFIG, "%s makes images of %lldx%lld, not data.size %lld", path, (long long)shape.height,
                (long long)shape.width, (long long)size);
    }
    return HO_OK;
}

static ho_status check_encoder(const ho_config *config, const char *path) {
    const int64_t size = ho_config_int(config, "data.size");
    ho_encoder_shape shape;
    HO_TRY(ho_encoder_file_shape(path, &shape));
    const ho_status status =
        ho_encoder_suits(&shape, &(ho_stylegan2_shape){.height = size, .width = size, .w_dim = shape.D});
    return status == HO_OK ? HO_OK : ho_fail_context(status, "%s with data.size %lld", path, (long long)size);
}

static ho_status check_training(const ho_config *config, const char *path) {
    (void)config;
    ho_store *store = NULL;
    HO_TRY(ho_store_open(path, &store));
    const bool is_training = ho_store_has(store, "generator_ema/mapping.w_avg");
    ho_store_close(store);
    if (!is_training) {
        HO_FAIL(HO_EFORMAT, "%s is no checkpoint of train-gan (checkpoints/train-gan.h5 of a run)", path);
    }
    return HO_OK;
}

static ho_status check_perceptual(const ho_config *config, const char *path) {
    (void)config;
    return ho_perceptual_check_file(path);
}

static ho_status check_transfer(const ho_config *config, const char *path) {
    return ho_backbone_check_file(path, ho_config_int(config, "downstream.channels"),
                                  ho_config_int(config, "downstream.blocks"));
}

/* True when "a,b" names the stage; NULL and "" name all. */
static bool names_stage(const char *only, const char *stage) {
    const size_t length = strlen(stage);
    for (const char *at = only; at != NULL && *at != '\0'; at += *at == ',') {
        const size_t n = strcspn(at, ",");
        if (n == length && strncmp(at, stage, n) == 0) {
            return true;
        }
        at += n;
    }
    return only == NULL || only[0] == '\0';
}

/* A training that has begun does not ask for gan.init again, unless --force ends it (and not where the forced one has
 * begun); gan.weights stands in its place. */
static bool starts_from_init(ho_run *run, bool force) {
    const bool begun = access(ho_run_path(run, "checkpoints/train-gan.h5"), F_OK) == 0 ||
                       access(ho_run_path(run, "generator.h5"), F_OK) == 0;
    const bool ends = force && access(ho_run_path(run, "checkpoints/train-gan.forced"), F_OK) != 0;
    return ho_config_text(ho_run_config(run), "gan.weights")[0] == '\0' && (!begun || ends);
}

/* Files that cannot be read at all are left to the stages. */
static ho_status check_schema(const char *path) {
    ho_store *store = NULL;
    if (ho_store_open(path, &store) != HO_OK) {
        return HO_OK;
    }
    const ho_status status = ho_store_check_schema(store);
    ho_store_close(store);
    return status;
}

/* Artefacts and checkpoints of a newer program would count as out of date here and be written over. */
static ho_status check_schemas(const char *folder) {
    DIR *entries = opendir(folder);
    ho_status status = HO_OK;
    for (const struct dirent *e = entries != NULL ? readdir(entries) : NULL; e != NULL && status == HO_OK;
         e = readdir(entries)) {
        char path[HO_PATH_SIZE + 300];
        const size_t length = strlen(e->d_name);
        if (length > 3 && strcmp(e->d_name + length - 3, ".h5") == 0) {
            (void)!snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            status = check_schema(path);
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
    return status;
}

ho_status ho_preflight_files(ho_run *run, const char *only, bool force) {
    static const struct {
        const char *key, *stages[2];
        ho_status (*check)(const ho_config *config, const char *path);
    } FILES[] = {{"gan.weights", {"train-gan", "train-gan"}, check_generator},
                 {"gan.init", {"train-gan", "train-gan"}, check_training},
                 {"encoder.weights", {"train-encoder", "train-encoder"}, check_encoder},
                 {"perceptual.weights", {"finetune-encoder", "invert"}, check_perceptual},
                 {"transfer.weights", {"train-downstream", "train-downstream"}, check_transfer}};
    const ho_config *config = ho_run_config(run);
    HO_TRY(check_schemas(ho_run_dir(run)));
    HO_TRY(check_schemas(ho_run_path(run, "checkpoints")));
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; ++i) {
        const char *key = FILES[i].key, *name = ho_config_text(config, key), *path = ho_run_data_path(run, name);
        if (name[0] == '\0' || (strcmp(key, "gan.init") == 0 && !starts_from_init(run, force)) ||
            !(names_stage(only, FILES[i].stages[0]) || names_stage(only, FILES[i].stages[1]))) {
            continue;
        }
        const ho_status status = access(path, R_OK) == 0
                                     ? FILES[i].check(config, path)
                                     : ho_fail(HO_EIO, __FILE__, __LINE__, "%s: %s", path, strerror(errno));
        if (status != HO_OK) {
            return ho_fail_context(status, "%s: %s", ho_config_where(config, key), key);
        }
    }
    return HO_OK;
}
