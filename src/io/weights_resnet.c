/* torchvision's ResNet-50 and -101, and DeepLabV3 on them. The data sets keep torchvision's names, those of the ResNet
 * below "backbone.". */
#include <stdio.h>
#include <string.h>

#include "weights_plan.h"

enum { NAME = 96 };

static bool has_block(const ho_weights *w, const char *prefix, int stage, int block) {
    char name[2 * HO_WEIGHT_NAME];
    (void)snprintf(name, sizeof name, "%slayer%d.%d.conv3.weight", prefix, stage, block);
    return ho_weights_find(w, name) != NULL;
}

static bool fits(const ho_weights *weights, char *prefix, int third, bool deeplab) {
    char inner[HO_WEIGHT_NAME];
    if (deeplab) {
        if (!ho_find_anchor(weights, "classifier.0.project.0.weight", prefix) || strlen(prefix) + 10 > sizeof inner) {
            return false;
        }
        memcpy(inner, prefix, strlen(prefix) + 1);
        memcpy(inner + strlen(prefix), "backbone.", 10);
    } else {
        if (!ho_find_anchor(weights, "layer4.2.conv3.weight", prefix)) {
            return false;
        }
        memcpy(inner, prefix, strlen(prefix) + 1);
    }
    return has_block(weights, inner, 3, third - 1) && !has_block(weights, inner, 3, third) &&
           has_block(weights, inner, 4, 2);
}

bool ho_fits_resnet50(const ho_weights *weights, char *prefix) {
    return fits(weights, prefix, 6, false);
}

bool ho_fits_resnet101(const ho_weights *weights, char *prefix) {
    return fits(weights, prefix, 23, false);
}

bool ho_fits_deeplab50(const ho_weights *weights, char *prefix) {
    return fits(weights, prefix, 6, true);
}

bool ho_fits_deeplab101(const ho_weights *weights, char *prefix) {
    return fits(weights, prefix, 23, true);
}

/* ---- moves ------------------------------------------------------------------------------------------------------- */

/* Names in the file stand below `inner`, ours below `outer`. */
typedef struct {
    ho_plan *plan;
    const char *inner, *outer;
} place;

static ho_status move(const place *p, const char *name, int rank, const int64_t *dim) {
    char from[2 * NAME], to[2 * NAME];
    (void)snprintf(from, sizeof from, "%s%s", p->inner, name);
    (void)snprintf(to, sizeof to, "%s%s", p->outer, name);
    return ho_plan_move(p->plan, from, to, rank, dim);
}

static ho_status move_norm(const place *p, const char *name, int64_t C) {
    static const char *const LEAVES[] = {"weight", "bias", "running_mean", "running_var"};
    for (int i = 0; i < 4; ++i) {
        char full[NAME];
        (void)snprintf(full, sizeof full, "%s.%s", name, LEAVES[i]);
        HO_TRY(move(p, full, 1, &C));
    }
    return HO_OK;
}

/* A convolution "name.weight" without bias and its batch norm; *C is the input's width, then the output's. */
static ho_status move_conv_norm(const place *p, const char *name, const char *norm, int64_t size, int64_t *C) {
    char full[NAME];
    (void)snprintf(full, sizeof full, "%s.weight", name);
    const ho_weight *weight = ho_plan_find(p->plan, "%s%s", p->inner, full);
    const int64_t O = weight != NULL && weight->rank == 4 ? weight->dim[0] : 1;
    HO_TRY(move(p, full, 4, (int64_t[]){O, *C, size, size}));
    *C = O;
    return move_norm(p, norm, O);
}

static ho_status move_bottleneck(const place *p, int stage, int block, int64_t *C) {
    static const int SIZE[3] = {1, 3, 1};
    char conv[NAME], norm[NAME];
    int64_t width = *C, around = *C;
    for (int i = 0; i < 3; ++i) {
        (void)snprintf(conv, sizeof conv, "layer%d.%d.conv%d", stage, block, i + 1);
        (void)snprintf(norm, sizeof norm, "layer%d.%d.bn%d", stage, block, i + 1);
        HO_TRY(move_conv_norm(p, conv, norm, SIZE[i], &width));
    }
    if (block == 0) {
        (void)snprintf(conv, sizeof conv, "layer%d.%d.downsample.0", stage, block);
        (void)snprintf(norm, sizeof norm, "layer%d.%d.downsample.1", stage, block);
        HO_TRY(move_conv_norm(p, conv, norm, 1, &around));
    }
    *C = width;
    return HO_OK;
}

static ho_status move_resnet(const place *p, int third, int64_t *C) {
    const int blocks[4] = {3, 4, third, 3};
    *C = 3;
    HO_TRY(move_conv_norm(p, "conv1", "bn1", 7, C));
    for (int stage = 1; stage <= 4; ++stage) {
        for (int block = 0; block < blocks[stage - 1]; ++block) {
            HO_TRY(move_bottleneck(p, stage, block, C));
        }
    }
    return HO_OK;
}

/* C: of the ResNet's features. */
static ho_status move_head(const place *p, int64_t C, int64_t *K) {
    static const char *const PART[5][2] = {{"classifier.0.convs.0.0", "classifier.0.convs.0.1"},
                                           {"classifier.0.convs.1.0", "classifier.0.convs.1.1"},
                                           {"classifier.0.convs.2.0", "classifier.0.convs.2.1"},
                                           {"classifier.0.convs.3.0", "classifier.0.convs.3.1"},
                                           {"classifier.0.convs.4.1", "classifier.0.convs.4.2"}};
    int64_t joined = 0;
    for (int i = 0; i < 5; ++i) {
        int64_t A = C;
        HO_TRY(move_conv_norm(p, PART[i][0], PART[i][1], i == 0 || i == 4 ? 1 : 3, &A));
        joined += A;
    }
    HO_TRY(move_conv_norm(p, "classifier.0.project.0", "classifier.0.project.1", 1, &joined));
    HO_TRY(move_conv_norm(p, "classifier.1", "classifier.2", 3, &joined));
    const ho_weight *last = ho_plan_find(p->plan, "classifier.4.weight");
    *K = last != NULL && last->rank == 4 ? last->dim[0] : 1;
    HO_TRY(move(p, "classifier.4.weight", 4, (int64_t[]){*K, joined, 1, 1}));
    return move(p, "classifier.4.bias", 1, K);
}

static ho_status plan_resnet(ho_plan *plan, bool deeplab, int third, int64_t *K) {
    const place backbone = {plan, deeplab ? "backbone." : "", "backbone."}, head = {plan, "", ""};
    int64_t C;
    HO_TRY(move_resnet(&backbone, third, &C));
    if (deeplab) {
        HO_TRY(move_head(&head, C, K));
    }
    ho_plan_ignore(plan, "num_batches_tracked");
    ho_plan_ignore_below(plan, "fc.");
    ho_plan_ignore_below(plan, "aux_classifier.");
    return HO_OK;
}

ho_status ho_import_resnet(ho_import *import) {
    const bool deeplab = strncmp(import->kind, "deeplab", 7) == 0;
    const int third = strstr(import->kind, "101") != NULL ? 23 : 6;
    int64_t K = 0;
    ho_plan plan = {0};
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_plan_start(import->weights, import->prefix, &plan));
    HO_TRY_DONE(plan_resnet(&plan, deeplab, third, &K));
    HO_TRY_DONE(ho_plan_check(&plan, import->kind));
    ho_notes_add(import->notes, "%s, %lld tensors", import->kind, (long long)plan.n);
    ho_notes_add(import->notes, deeplab ? ", %lld classes\n" : "\n", (long long)K);
    ho_notes_add(import->notes, "no stage computes with bottleneck blocks yet: the file is for other programs\n");
    HO_TRY_DONE(ho_store_set_text(import->store, "network", import->kind));
    if (deeplab) {
        HO_TRY_DONE(ho_store_set_number(import->store, "classes", (double)K));
    }
    HO_TRY_DONE(ho_plan_write(&plan, import->store, ""));
done:
    ho_plan_free(&plan);
    return status;
}
