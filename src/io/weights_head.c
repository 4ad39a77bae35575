/* Pixel classifiers of HandsOff, EditGAN and DatasetGAN (layers.0 Linear, 2 BatchNorm1d, 3 Linear, 5 BatchNorm1d, 6
 * Linear), one file a member, as one label head (handsoff/label_head.h): the members' rows one after another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weights_plan.h"

enum { MOST_MEMBERS = 64, MOST_BLOCKS = 18, N_TENSORS = 14 };

static const char *const TENSORS[N_TENSORS] = {
    "layers.0.weight",       "layers.0.bias",        "layers.2.weight", "layers.2.bias",   "layers.2.running_mean",
    "layers.2.running_var",  "layers.3.weight",      "layers.3.bias",   "layers.5.weight", "layers.5.bias",
    "layers.5.running_mean", "layers.5.running_var", "layers.6.weight", "layers.6.bias"};

typedef struct {
    int64_t C, h1, h2, K;
    int n_blocks;
    int64_t channels[MOST_BLOCKS];
} head;

bool ho_fits_classifier(const ho_weights *weights, char *prefix) {
    char name[2 * HO_WEIGHT_NAME];
    if (!ho_find_anchor(weights, "layers.5.running_var", prefix)) {
        return false;
    }
    (void)snprintf(name, sizeof name, "%slayers.6.weight", prefix);
    return ho_weights_find(weights, name) != NULL;
}

/* ---- style blocks ------------------------------------------------------------------------------------------------ */

/* Channels of the style blocks of a StyleGAN2 of n_blocks resolutions: two maps each. Their sum. */
static int64_t list_channels(int64_t base, int64_t most, int resolutions, head *h) {
    int64_t sum = 0;
    h->n_blocks = 2 * resolutions;
    for (int l = 0; l < h->n_blocks; ++l) {
        const int64_t wide = base / (4LL << (l / 2));
        h->channels[l] = wide < most ? wide : most;
        sum += h->channels[l];
    }
    return sum;
}

static ho_status channels_of(const char *path, head *h) {
    ho_store *store = NULL;
    double height = 0, base = 0, most = 0;
    ho_status status = HO_OK;
    int resolutions = 0;
    HO_TRY(ho_store_open(path, &store));
    HO_TRY_DONE(ho_store_get_number(store, "height", &height));
    HO_TRY_DONE(ho_store_get_number(store, "channel_base", &base));
    HO_TRY_DONE(ho_store_get_number(store, "channel_max", &most));
    for (int r = 4; resolutions < 9 && r <= (int)height; r *= 2) {
        ++resolutions;
    }
    const int64_t sum = list_channels((int64_t)base, (int64_t)most, resolutions, h);
    if (sum != h->C) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                         "%s: its style blocks have %lld channels, the classifier takes %lld: it belongs to another "
                         "generator",
                         path, (long long)sum, (long long)h->C);
    }
done:
    ho_store_close(store);
    return status;
}

static ho_status find_channels(const ho_import *import, head *h) {
    static const int64_t BASES[] = {32768, 16384};
    if (import->options->generator != NULL) {
        return channels_of(import->options->generator, h);
    }
    for (int b = 0; b < 2; ++b) {
        for (int resolutions = 5; resolutions <= 9; ++resolutions) {
            if (list_channels(BASES[b], 512, resolutions, h) == h->C) {
                return HO_OK;
            }
        }
    }
    HO_FAIL(
        HO_EFORMAT,
        "%s: takes %lld channels, which is no sum of the style blocks of a published StyleGAN2; say which generator it "
        "belongs to: --generator G.h5",
        import->weights->path, (long long)h->C);
}

/* ---- members ----------------------------------------------------------------------------------------------------- */

static int64_t outputs(const ho_plan *plan, const char *name, int i) {
    const ho_weight *weight = ho_plan_find(plan, "%s", name);
    return weight != NULL && weight->rank == 2 ? weight->dim[i] : 1;
}

static void shape_of(const head *h, int i, int64_t dim[2], int *rank) {
    const int64_t width = i < 6 ? h->h1 : i < 12 ? h->h2 : h->K;
    *rank = i == 0 || i == 6 || i == 12 ? 2 : 1;
    dim[0] = width;
    dim[1] = i == 0 ? h->C : i == 6 ? h->h1 : h->h2;
}

static ho_status plan_member(ho_plan *plan, const head *h) {
    for (int i = 0; i < N_TENSORS; ++i) {
        int64_t dim[2];
        int rank;
        shape_of(h, i, dim, &rank);
        HO_TRY(ho_plan_move(plan, TENSORS[i], TENSORS[i], rank, dim));
    }
    ho_plan_ignore(plan, "num_batches_tracked");
    return ho_plan_check(plan, "pixel classifier of this shape");
}

/* Rows of member m. */
static ho_status write_member(const ho_plan *plan, ho_store *store, int m) {
    for (int64_t i = 0; i < plan->n; ++i) {
        const ho_move *move = &plan->move[i];
        float *values = NULL;
        HO_TRY(ho_plan_values(plan->weights, &plan->weights->tensor[move->from], &values));
        const ho_status status = ho_store_write_rows(store, move->to, m * move->dim[0], move->dim[0], values);
        free(values);
        HO_TRY(status);
    }
    return HO_OK;
}

static ho_status import_member(ho_import *import, const char *path, const head *h, int m) {
    ho_weights *weights = NULL;
    char prefix[HO_WEIGHT_NAME] = "";
    ho_plan plan = {0};
    ho_status status = HO_OK;
    HO_TRY_DONE(ho_weights_open(path, &weights));
    if (!ho_fits_classifier(weights, prefix)) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: is no pixel classifier, as %s is", path,
                         import->options->files[0]);
        goto done;
    }
    HO_TRY_DONE(ho_plan_start(weights, prefix, &plan));
    HO_TRY_DONE(plan_member(&plan, h));
    HO_TRY_DONE(write_member(&plan, import->store, m));
done:
    ho_plan_free(&plan);
    ho_weights_close(weights);
    return status;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static ho_status write_shape(ho_import *import, const head *h, int64_t members) {
    const int64_t n[1] = {h->n_blocks}, H = import->options->height, W = import->options->width;
    int64_t number[MOST_BLOCKS];
    for (int l = 0; l < MOST_BLOCKS; ++l) {
        number[l] = l;
    }
    HO_TRY(ho_store_set_number(import->store, "members", (double)members));
    HO_TRY(ho_store_set_number(import->store, "h1", (double)h->h1));
    HO_TRY(ho_store_set_number(import->store, "h2", (double)h->h2));
    HO_TRY(ho_store_set_number(import->store, "classes", (double)h->K));
    HO_TRY(ho_store_set_number(import->store, "height", (double)(H > 0 ? H : 512)));
    HO_TRY(ho_store_set_number(import->store, "width", (double)(W > 0 ? W : 512)));
    HO_TRY(ho_store_write(import->store, "blocks/number", HO_I64, 1, n, number));
    HO_TRY(ho_store_write(import->store, "blocks/channels", HO_I64, 1, n, h->channels));
    for (int i = 0; i < N_TENSORS; ++i) {
        int64_t dim[2];
        int rank;
        shape_of(h, i, dim, &rank);
        dim[0] *= members;
        HO_TRY(ho_store_reserve(import->store, TENSORS[i], HO_F32, rank, dim));
    }
    return HO_OK;
}

ho_status ho_import_classifier(ho_import *import) {
    ho_plan plan = {0};
    head h = {0};
    const int n = import->options->n_files;
    if (n > MOST_MEMBERS) {
        HO_FAIL(HO_EUSAGE, "%d classifiers; right are 1 to %d members", n, MOST_MEMBERS);
    }
    HO_TRY(ho_plan_start(import->weights, import->prefix, &plan));
    h.C = outputs(&plan, "layers.0.weight", 1);
    h.h1 = outputs(&plan, "layers.0.weight", 0);
    h.h2 = outputs(&plan, "layers.3.weight", 0);
    h.K = outputs(&plan, "layers.6.weight", 0);
    ho_status status = h.K > 255 ? ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: has %lld classes; right are 1 to 255",
                                           import->weights->path, (long long)h.K)
                                 : plan_member(&plan, &h);
    ho_plan_free(&plan);
    HO_TRY(status);
    HO_TRY(find_channels(import, &h));
    HO_TRY(write_shape(import, &h, n));
    for (int m = 0; m < n; ++m) {
        HO_TRY(import_member(import, import->options->files[m], &h, m));
    }
    ho_notes_add(import->notes, "label head, %d %s, %lld channels, %lld classes\n", n, n == 1 ? "member" : "members",
                 (long long)h.C, (long long)h.K);
    return HO_OK;
}
