/* import-weights: finds out which network a file holds and writes it as ours. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suggest.h"
#include "weights_plan.h"

typedef struct {
    const char *name, *what;
    bool (*fits)(const ho_weights *weights, char *prefix);
    ho_status (*import)(ho_import *import);
} kind;

/* The first that fits counts: those that hold others come before them. */
static const kind KINDS[] = {
    {"stylegan2-ada", "NVIDIA's StyleGAN2 (.pkl of stylegan2-ada-pytorch, StyleGAN-Human)", ho_fits_stylegan2_ada,
     ho_import_stylegan2},
    {"restyle", "ReStyle, pSp or e4e: generator and encoder", ho_fits_restyle, ho_import_stylegan2},
    {"restyle-psp", "restyle with pSp's heads", ho_fits_restyle, ho_import_stylegan2},
    {"restyle-e4e", "restyle with e4e's heads", ho_fits_restyle, ho_import_stylegan2},
    {"restyle-generator", "restyle without its encoder", ho_fits_restyle, ho_import_stylegan2},
    {"rosinality", "StyleGAN2 of rosinality/stylegan2-pytorch", ho_fits_rosinality, ho_import_stylegan2},
    {"deeplabv3_resnet101", "torchvision's DeepLabV3", ho_fits_deeplab101, ho_import_resnet},
    {"deeplabv3_resnet50", "torchvision's DeepLabV3", ho_fits_deeplab50, ho_import_resnet},
    {"resnet101", "torchvision's ResNet", ho_fits_resnet101, ho_import_resnet},
    {"resnet50", "torchvision's ResNet", ho_fits_resnet50, ho_import_resnet},
    {"lpips", "LPIPS with its network, as the package lpips keeps it", ho_fits_lpips, ho_import_features},
    {"vgg16", "torchvision's VGG16, for LPIPS", ho_fits_vgg16, ho_import_features},
    {"alexnet", "torchvision's AlexNet, for LPIPS", ho_fits_alexnet, ho_import_features},
    {"squeezenet1_1", "torchvision's SqueezeNet 1.1, for LPIPS", ho_fits_squeezenet, ho_import_features},
    {"squeezenet1_1-caffe", "SqueezeNet 1.1 with Caffe's names", ho_fits_squeezenet_caffe, ho_import_features},
    {"classifier", "pixel classifiers of HandsOff, EditGAN, DatasetGAN", ho_fits_classifier, ho_import_classifier},
};
enum { N_KINDS = sizeof KINDS / sizeof *KINDS };

const char *ho_weights_kind_name(int i, const char **what) {
    if (i < 0 || i >= N_KINDS) {
        return NULL;
    }
    *what = KINDS[i].what;
    return KINDS[i].name;
}

static const kind *detect(const ho_weights *weights, char prefix[HO_WEIGHT_NAME]) {
    for (int i = 0; i < N_KINDS; ++i) {
        if (KINDS[i].fits(weights, prefix)) {
            return &KINDS[i];
        }
    }
    return NULL;
}

const char *ho_weights_kind(const ho_weights *weights) {
    char prefix[HO_WEIGHT_NAME] = "";
    const kind *found = detect(weights, prefix);
    return found != NULL ? found->name : NULL;
}

static ho_status named_kind(const char *name, const kind **found) {
    const char *names[N_KINDS];
    for (int i = 0; i < N_KINDS; ++i) {
        names[i] = KINDS[i].name;
        if (strcmp(name, names[i]) == 0) {
            *found = &KINDS[i];
            return HO_OK;
        }
    }
    const char *nearest = ho_nearest(name, N_KINDS, names);
    HO_FAIL(HO_EUSAGE, "unknown kind '%.80s'%s%s%s; 'handsoff help import-weights' lists them", name,
            nearest != NULL ? ", did you mean '" : "", nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

/* What stands in the file, for messages: the first names. */
static void first_names(const ho_weights *w, char text[512]) {
    size_t n = 0;
    text[0] = '\0';
    for (int64_t i = 0; i < w->n && i < 4 && n < 400; ++i) {
        char shape[160];
        n += (size_t)snprintf(text + n, 512 - n, "%s'%.80s' %.40s", i > 0 ? ", " : "", w->tensor[i].name,
                              ho_weight_shape_text(shape, w->tensor[i].rank, w->tensor[i].dim));
    }
}

static ho_status choose(ho_weights *w, const char *wanted, const kind **chosen, char prefix[HO_WEIGHT_NAME]) {
    char names[512];
    first_names(w, names);
    *chosen = NULL;
    const kind *found = detect(w, prefix);
    if (wanted != NULL) {
        HO_TRY(named_kind(wanted, chosen));
        if ((*chosen)->fits(w, prefix)) {
            return HO_OK;
        }
        HO_FAIL(HO_EFORMAT, "%s: is no %s (%s): %s%s; it has %" PRId64 " tensors and begins with %s", w->path,
                (*chosen)->name, (*chosen)->what, found != NULL ? "it looks like " : "its names fit no known network",
                found != NULL ? found->name : "", w->n, names);
    }
    if (found == NULL && ho_find_anchor(w, "lin0.model.1.weight", prefix)) {
        HO_FAIL(HO_EFORMAT,
                "%s: holds LPIPS's linear layers alone; give it with --lpips beside the network that they "
                "belong to: handsoff import-weights vgg16.pth OUT.h5 --lpips %s",
                w->path, w->path);
    }
    if (found == NULL) {
        HO_FAIL(HO_EFORMAT,
                "%s: its names fit no known network: %" PRId64 " tensors, which begin with %s; 'handsoff help "
                "import-weights' lists the kinds",
                w->path, w->n, names);
    }
    *chosen = found;
    return HO_OK;
}

static ho_status write_store(ho_import *import, const kind *chosen, const char *out) {
    ho_store *store = NULL;
    const char *slash = strrchr(import->weights->path, '/');
    HO_TRY(ho_store_create(out, &store));
    import->store = store;
    ho_status status = chosen->import(import);
    status = status == HO_OK
                 ? ho_store_set_text(store, "imported_from", slash != NULL ? slash + 1 : import->weights->path)
                 : status;
    status = status == HO_OK ? ho_store_set_text(store, "imported_kind", chosen->name) : status;
    status = status == HO_OK ? ho_store_commit(store) : status;
    ho_store_close(store);
    return status;
}

ho_status ho_weights_import(const ho_import_options *options, const char *out, char *report, size_t size) {
    ho_notes lines = {report, size, 0};
    ho_import import = {.options = options, .notes = &lines};
    const kind *chosen = NULL;
    report[0] = '\0';
    HO_TRY(ho_weights_open(options->files[0], &import.weights));
    ho_status status = choose(import.weights, options->kind, &chosen, import.prefix);
    if (chosen == NULL) {
        ho_weights_close(import.weights);
        return status;
    }
    if (status == HO_OK && options->n_files > 1 && chosen->import != ho_import_classifier) {
        status = ho_fail(HO_EUSAGE, __FILE__, __LINE__, "%s: is a %s: that is one file, not %d", options->files[0],
                         chosen->name, options->n_files);
    }
    if (status == HO_OK && options->lpips != NULL && chosen->import != ho_import_features) {
        status = ho_fail(HO_EUSAGE, __FILE__, __LINE__, "--lpips: %s is a %s, which has no use for linear layers",
                         options->files[0], chosen->name);
    }
    if (status == HO_OK) {
        import.kind = chosen->name;
        status = write_store(&import, chosen, out);
    }
    ho_weights_close(import.weights);
    return status;
}
