/* Inputs that a run needs and that are not there, and where to get them. */
#include <string.h>
#include <unistd.h>

#include "plan_parts.h"
#include "stages.h"

static const struct {
    const char *format, *from;
} SETS[] = {
    {"car-parts", "Car-Parts-Segmentation: github.com/dsmlr/Car-Parts-Segmentation, folders trainingset and testset"},
    {"celebamask-hq",
     "CelebAMask-HQ: github.com/switchablenorms/CelebAMask-HQ (links there, 3 GB; non-commercial research); it "
     "holds CelebA-HQ-img and CelebAMask-HQ-mask-anno"},
    {"deepfashion-multimodal",
     "DeepFashion-MultiModal: github.com/yumingj/DeepFashion-MultiModal (links there; non-commercial "
     "research)"},
    {"cityscapes", "Cityscapes: www.cityscapes-dataset.com (registration): leftImg8bit_trainvaltest.zip (11 GB) and "
                   "gtFine_trainvaltest.zip (0.3 GB)"},
    {"camvid", "CamVid: mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid"},
    {"clothing-co-parsing", "Clothing Co-Parsing: github.com/bearpaw/clothing-co-parsing"},
    {"nyu-depth-v2", "NYU Depth v2: cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html"},
};

/* Files of weights, the stages that read them, and where they come from. */
static const struct {
    const char *key, *stages[2], *from;
} WEIGHTS[] = {
    {"gan.weights",
     {"train-gan", "train-gan"},
     "a StyleGAN2 of this size: 'handsoff import-weights FILE OUT.h5' takes NVIDIA's .pkl and rosinality's .pt "
     "(data/README.md "
     "lists them); leave the key empty to train one"},
    {"gan.init", {"train-gan", "train-gan"}, "checkpoints/train-gan.h5 of another run"},
    {"encoder.weights",
     {"train-encoder", "train-encoder"},
     "encoder.h5 of another run, or what 'handsoff import-weights FILE OUT.h5' makes of a checkpoint of ReStyle, pSp "
     "or "
     "e4e; leave the key empty to train one"},
    {"perceptual.weights",
     {"finetune-encoder", "invert"},
     "an LPIPS network: 'handsoff import-weights vgg16-397923af.pth OUT.h5 --lpips vgg.pth', of "
     "download.pytorch.org/models and lpips/weights/v0.1 of github.com/richzhang/PerceptualSimilarity; "
     "build/squeezenet1_1.h5 "
     "is made by 'make squeezenet'"},
    {"transfer.weights",
     {"train-downstream", "train-downstream"},
     "a backbone of downstream.channels and downstream.blocks; leave the key empty for no such baseline"},
};

static bool will_run(const bool *runs, const char *stage) {
    for (int i = 0; HO_STAGES[i] != NULL; ++i) {
        if (runs[i] && strcmp(HO_STAGES[i]->name, stage) == 0) {
            return true;
        }
    }
    return false;
}

static const char *set_from(const char *format) {
    for (size_t i = 0; i < sizeof SETS / sizeof SETS[0]; ++i) {
        if (strcmp(SETS[i].format, format) == 0) {
            return SETS[i].from;
        }
    }
    return "data/README.md tells its layout and where it is published";
}

static void print_missing(ho_run *run, const char *key, const char *path, const char *from, FILE *out) {
    fprintf(out, "missing: %s (%s: %s)\n         from %s\n", path, ho_config_where(ho_run_config(run), key), key, from);
}

static void check_data(ho_run *run, FILE *out, int *n) {
    static const char *const KEYS[] = {"data.dir",   "data.train_dir", "data.test_dir", "data.unlabelled_dir",
                                       "data.merge", "data.split"};
    const ho_config *c = ho_run_config(run);
    const char *format = ho_config_text(c, "data.format");
    if (strcmp(format, "toy_faces") == 0) {
        return;
    }
    if (*ho_config_text(c, "data.dir") == '\0' && *ho_config_text(c, "data.train_dir") == '\0') {
        fprintf(out, "missing: data.dir or data.train_dir: data.format %s needs a folder\n         from %s\n", format,
                set_from(format));
        ++*n;
    }
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; ++i) {
        const char *name = ho_config_text(c, KEYS[i]), *path = ho_run_data_path(run, name);
        if (*name != '\0' && access(path, R_OK) != 0) {
            print_missing(run, KEYS[i], path,
                          i < 3   ? set_from(format)
                          : i < 4 ? "any folder of photos of the same kind"
                          : i < 5 ? "data/merges of this program's sources"
                                  : "a list of yours: lines of NAME train, NAME test",
                          out);
            ++*n;
        }
    }
}

void ho_plan_missing(ho_run *run, const bool *runs, bool force, FILE *out, int *n) {
    const ho_config *c = ho_run_config(run);
    *n = 0;
    if (will_run(runs, "import-data")) {
        check_data(run, out, n);
    }
    const bool begun = access(ho_run_path(run, "checkpoints/train-gan.h5"), F_OK) == 0;
    for (size_t i = 0; i < sizeof WEIGHTS / sizeof WEIGHTS[0]; ++i) {
        const char *key = WEIGHTS[i].key, *name = ho_config_text(c, key), *path = ho_run_data_path(run, name);
        const bool unused =
            strcmp(key, "gan.init") == 0 && ((begun && !force) || *ho_config_text(c, "gan.weights") != '\0');
        if (*name != '\0' && !unused && access(path, R_OK) != 0 &&
            (will_run(runs, WEIGHTS[i].stages[0]) || will_run(runs, WEIGHTS[i].stages[1]))) {
            print_missing(run, key, path, WEIGHTS[i].from, out);
            ++*n;
        }
    }
}
