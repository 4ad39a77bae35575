/* Feature networks for LPIPS: torchvision's vgg16, alexnet and squeezenet1_1, the package lpips's own files, and
 * SqueezeNet with Caffe's names; with LPIPS's linear layers beside them (handsoff/perceptual.h has the layout of the
 * result). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_plan.h"

enum { MOST_CONVS = 13, MOST_TAPS = 7 };

/* Convolutions by torchvision's index within `features`; a size of 0 is a fire module. */
typedef struct {
    int index, size;
    bool tap; /* LPIPS compares its output */
} layer;
typedef struct {
    const char *name;
    int n;
    layer at[MOST_CONVS];
    bool pool_ceil;
    double sum_v00; /* of the first linear layer of LPIPS v0.0 */
} topology;

static const topology VGG16 = {"vgg16",
                               13,
                               {{0, 3, false},
                                {2, 3, true},
                                {5, 3, false},
                                {7, 3, true},
                                {10, 3, false},
                                {12, 3, false},
                                {14, 3, true},
                                {17, 3, false},
                                {19, 3, false},
                                {21, 3, true},
                                {24, 3, false},
                                {26, 3, false},
                                {28, 3, true}},
                               false,
                               3.641608};
static const topology ALEXNET = {
    "alexnet", 5, {{0, 11, true}, {3, 5, true}, {6, 3, true}, {8, 3, true}, {10, 3, true}}, false, 2.565887};
static const topology SQUEEZENET = {"squeezenet1_1",
                                    9,
                                    {{0, 3, true},
                                     {3, 0, false},
                                     {4, 0, true},
                                     {6, 0, false},
                                     {7, 0, true},
                                     {9, 0, true},
                                     {10, 0, true},
                                     {11, 0, true},
                                     {12, 0, true}},
                                    true,
                                    5.301839};

/* How the file names a convolution. */
typedef enum { NAMES_TORCHVISION, NAMES_LPIPS, NAMES_CAFFE } naming;

/* ---- which ------------------------------------------------------------------------------------------------------- */

static bool has(const ho_weights *w, const char *prefix, const char *name) {
    char full[2 * HO_WEIGHT_NAME];
    (void)snprintf(full, sizeof full, "%s%s", prefix, name);
    return ho_weights_find(w, full) != NULL;
}

bool ho_fits_vgg16(const ho_weights *weights, char *prefix) {
    return ho_find_anchor(weights, "features.28.weight", prefix) && has(weights, prefix, "features.24.weight") &&
           has(weights, prefix, "features.2.weight") && !has(weights, prefix, "features.1.weight") &&
           !has(weights, prefix, "features.30.weight");
}

bool ho_fits_alexnet(const ho_weights *weights, char *prefix) {
    return ho_find_anchor(weights, "features.8.weight", prefix) && has(weights, prefix, "features.10.weight") &&
           has(weights, prefix, "features.3.weight") && !has(weights, prefix, "features.12.weight");
}

bool ho_fits_squeezenet(const ho_weights *weights, char *prefix) {
    return ho_find_anchor(weights, "features.12.squeeze.weight", prefix) &&
           has(weights, prefix, "features.3.squeeze.weight");
}

bool ho_fits_squeezenet_caffe(const ho_weights *weights, char *prefix) {
    return ho_find_anchor(weights, "fire9/expand3x3.weight", prefix) && has(weights, prefix, "conv1.weight");
}

bool ho_fits_lpips(const ho_weights *weights, char *prefix) {
    return ho_find_anchor(weights, "scaling_layer.shift", prefix) && has(weights, prefix, "net.slice1.0.weight");
}

static const topology *topology_of(const ho_import *import) {
    if (strcmp(import->kind, "lpips") == 0) {
        return has(import->weights, import->prefix, "net.slice5.28.weight")   ? &VGG16
               : has(import->weights, import->prefix, "net.slice5.10.weight") ? &ALEXNET
                                                                              : &SQUEEZENET;
    }
    return strcmp(import->kind, "vgg16") == 0 ? &VGG16 : strcmp(import->kind, "alexnet") == 0 ? &ALEXNET : &SQUEEZENET;
}

/* ---- convolutions ------------------------------------------------------------------------------------------------ */

/* "features.3.squeeze" as the file has it; `part` is "" or ".squeeze" ... */
static void source_name(const ho_plan *plan, naming names, int index, const char *part, char name[64]) {
    static const int FIRE[13] = {0, 0, 0, 2, 3, 0, 4, 5, 0, 6, 7, 8, 9}; /* Caffe's numbers by torchvision's */
    if (names == NAMES_TORCHVISION) {
        (void)snprintf(name, 64, "features.%d%s", index, part);
    } else if (names == NAMES_CAFFE && part[0] == '\0') {
        (void)snprintf(name, 64, "conv1");
    } else if (names == NAMES_CAFFE) {
        (void)snprintf(name, 64, "fire%d/%s%s", FIRE[index], part + 1, strcmp(part, ".squeeze") == 0 ? "1x1" : "");
    } else {
        for (int slice = 1; slice <= 7; ++slice) {
            (void)snprintf(name, 64, "net.slice%d.%d%s", slice, index, part);
            if (ho_plan_find(plan, "%s.weight", name) != NULL) {
                return;
            }
        }
    }
}

/* *C is the input's width, then the output's. */
static ho_status move_conv(ho_plan *plan, naming names, int index, const char *part, int64_t size, int64_t *C) {
    char source[64], from[80], to[80];
    source_name(plan, names, index, part, source);
    const ho_weight *weight = ho_plan_find(plan, "%s.weight", source);
    const int64_t O = weight != NULL && weight->rank == 4 ? weight->dim[0] : 1;
    (void)snprintf(from, sizeof from, "%s.weight", source);
    (void)snprintf(to, sizeof to, "features.%d%s.weight", index, part);
    HO_TRY(ho_plan_move(plan, from, to, 4, (int64_t[]){O, *C, size, size}));
    (void)snprintf(from, sizeof from, "%s.bias", source);
    (void)snprintf(to, sizeof to, "features.%d%s.bias", index, part);
    HO_TRY(ho_plan_move(plan, from, to, 1, &O));
    *C = O;
    return HO_OK;
}

/* The widths of the taps go to tap. */
static ho_status move_convs(ho_plan *plan, naming names, const topology *t, int64_t tap[MOST_TAPS], int *n_taps) {
    int64_t C = 3;
    *n_taps = 0;
    for (int i = 0; i < t->n; ++i) {
        const layer *l = &t->at[i];
        if (l->size > 0) {
            HO_TRY(move_conv(plan, names, l->index, "", l->size, &C));
        } else {
            HO_TRY(move_conv(plan, names, l->index, ".squeeze", 1, &C));
            int64_t one = C, three = C;
            HO_TRY(move_conv(plan, names, l->index, ".expand1x1", 1, &one));
            HO_TRY(move_conv(plan, names, l->index, ".expand3x3", 3, &three));
            C = one + three;
        }
        if (l->tap) {
            tap[(*n_taps)++] = C;
        }
    }
    return HO_OK;
}

/* ---- LPIPS's linear layers --------------------------------------------------------------------------------------- */

static ho_status move_lins(ho_plan *plan, const int64_t *tap, int n_taps) {
    for (int i = 0; i < n_taps; ++i) {
        char from[64], to[16];
        (void)snprintf(from, sizeof from, "lin%d.model.1.weight", i);
        (void)snprintf(to, sizeof to, "lin%d", i);
        HO_TRY(ho_plan_move(plan, from, to, 1, &tap[i]));
    }
    return HO_OK;
}

/* v0.0 has the names and shapes of v0.1; its sums are known. It takes the image as it is (lpips/lpips.py). */
static ho_status is_v00(const ho_plan *plan, const topology *t, bool *v00) {
    const ho_weight *first = ho_plan_find(plan, "lin0.model.1.weight");
    float *values = NULL;
    double sum = 0.0;
    HO_TRY(ho_plan_values(plan->weights, first, &values));
    for (int64_t i = 0; i < ho_weight_count(first); ++i) {
        sum += (double)values[i];
    }
    free(values);
    *v00 = fabs(sum - t->sum_v00) < 1e-4;
    return HO_OK;
}

static ho_status write_lins_of(ho_import *import, ho_weights *lins, const topology *t, const int64_t *tap, int n_taps,
                               bool *v00) {
    ho_plan plan = {0};
    char prefix[HO_WEIGHT_NAME] = "", what[64];
    ho_status status = HO_OK;
    (void)ho_find_anchor(lins, "lin0.model.1.weight", prefix);
    (void)snprintf(what, sizeof what, "set of LPIPS's linear layers for %s", t->name);
    HO_TRY_DONE(ho_plan_start(lins, prefix, &plan));
    HO_TRY_DONE(move_lins(&plan, tap, n_taps));
    HO_TRY_DONE(ho_plan_check(&plan, what));
    HO_TRY_DONE(is_v00(&plan, t, v00));
    HO_TRY_DONE(ho_plan_write(&plan, import->store, ""));
    ho_notes_add(import->notes, "with the linear layers of LPIPS %s from %s\n", *v00 ? "v0.0" : "v0.1",
                 import->options->lpips);
done:
    ho_plan_free(&plan);
    return status;
}

static ho_status write_lins(ho_import *import, const topology *t, const int64_t *tap, int n_taps, bool *v00) {
    ho_weights *lins = NULL;
    HO_TRY(ho_weights_open(import->options->lpips, &lins));
    const ho_status status = write_lins_of(import, lins, t, tap, n_taps, v00);
    ho_weights_close(lins);
    return status;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static ho_status write_input(ho_import *import, const topology *t, bool caffe, bool v00) {
    /* lpips/lpips.py: ImageNet's mean and deviation, moved to [-1, 1] */
    float shift[3] = {-0.030F, -0.088F, -0.188F}, scale[3] = {0.458F, 0.448F, 0.450F};
    static const float MEAN[3] = {123.0F, 117.0F, 104.0F}; /* Caffe's, of 0..255, as R, G, B */
    for (int c = 0; c < 3; ++c) {
        shift[c] = caffe ? MEAN[c] / 127.5F - 1.0F : v00 ? 0.0F : shift[c];
        scale[c] = caffe ? 1.0F / 127.5F : v00 ? 1.0F : scale[c];
    }
    HO_TRY(ho_store_set_text(import->store, "topology", t->name));
    HO_TRY(ho_store_set_number(import->store, "bgr", caffe ? 1.0 : 0.0));
    HO_TRY(ho_store_set_number(import->store, "pool_ceil", t->pool_ceil ? 1.0 : 0.0));
    HO_TRY(ho_store_write(import->store, "shift", HO_F32, 1, (int64_t[]){3}, shift));
    return ho_store_write(import->store, "scale", HO_F32, 1, (int64_t[]){3}, scale);
}

ho_status ho_import_features(ho_import *import) {
    const topology *t = topology_of(import);
    const naming names = strcmp(import->kind, "lpips") == 0                 ? NAMES_LPIPS
                         : strcmp(import->kind, "squeezenet1_1-caffe") == 0 ? NAMES_CAFFE
                                                                            : NAMES_TORCHVISION;
    int64_t tap[MOST_TAPS];
    int n_taps = 0;
    bool v00 = false;
    ho_plan plan = {0};
    ho_status status = HO_OK;
    if (import->options->lpips != NULL && names != NAMES_TORCHVISION) {
        HO_FAIL(HO_EUSAGE, "--lpips: %s %s", import->weights->path,
                names == NAMES_LPIPS ? "has its linear layers"
                                     : "has Caffe's weights, to which LPIPS's linear layers do not belong");
    }
    HO_TRY_DONE(ho_plan_start(import->weights, import->prefix, &plan));
    HO_TRY_DONE(move_convs(&plan, names, t, tap, &n_taps));
    if (names == NAMES_LPIPS) {
        HO_TRY_DONE(move_lins(&plan, tap, n_taps));
        ho_plan_ignore_below(&plan, "scaling_layer.");
        ho_plan_ignore_below(&plan, "lins.");
    }
    ho_plan_ignore_below(&plan, "classifier.");
    HO_TRY_DONE(ho_plan_check(&plan, t->name));
    if (names == NAMES_LPIPS) {
        HO_TRY_DONE(is_v00(&plan, t, &v00));
    }
    ho_notes_add(import->notes, "%s for LPIPS, %lld to %lld channels\n", t->name, (long long)tap[0],
                 (long long)tap[n_taps - 1]);
    HO_TRY_DONE(ho_plan_write(&plan, import->store, ""));
    if (import->options->lpips != NULL) {
        HO_TRY_DONE(write_lins(import, t, tap, n_taps, &v00));
    } else if (names != NAMES_LPIPS) {
        ho_notes_add(import->notes, "no linear layers: all channels count alike (--lpips FILE adds LPIPS's)\n");
    }
    HO_TRY_DONE(write_input(import, t, names == NAMES_CAFFE, v00));
done:
    ho_plan_free(&plan);
    return status;
}
