/* Labels of whole images: the first layer commutes with the resampling of features (mathematics in
 * kernels/head.cu).
 *
 * Coarse blocks, those with fewer pixels than the labels, are multiplied at their own size; blocks of one resolution
 * share a level. A level whose products G (h, w, M h1) are small is multiplied once an image; a large one strip by
 * strip, for the rows that the strip's labels need. Fine blocks are resampled to the labels' pixels and multiplied
 * there. Within a strip, tiles of pixels go through the whole network, some members at a time, while they are in
 * cache; tiles run side by side on the target's lanes. Batch norm at inference is an affine map and is folded into the
 * next layer. */
#include "label_predict.h"

#include <stdlib.h>
#include <string.h>

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- one image ------------------------------------------------------------------------------------------- */

static const ho_real *map_of(const ho_label_predictor *p, int entry, int64_t n) {
    const ho_tensor *map = p->blocks->map[p->head->shape.block[entry]];
    return map->data + n * map->dim[1] * map->dim[2] * map->dim[3];
}

/* Rows low .. high of the level's products for image n: G = sum over its blocks of F_l W1_l, which is one product of
 * the blocks' channels side by side. */
static ho_status multiply_level(ho_label_predictor *p, ho_label_level *at, int64_t n, int64_t low, int64_t high) {
    const ho_label_head_shape *s = &p->head->shape;
    const int64_t units = s->members * s->h1, C = p->offset[at->first + at->n_blocks] - p->offset[at->first];
    const ho_k_head_tile rows = {low, 0, high - low + 1, at->width};
    const ho_real *map = map_of(p, at->first, n) + low * at->width * C;
    at->low = low;
    if (at->n_blocks > 1) {
        ho_k_head_maps maps = {.n = at->n_blocks, .H = at->height, .W = at->width};
        for (int i = 0; i < at->n_blocks; ++i) {
            maps.map[i] =
                (ho_k_head_map){map_of(p, at->first + i, n), at->height, at->width, s->channels[at->first + i]};
        }
        HO_TRY(ho_k_head_resample(&maps, &rows, p->joined, ho_context_stream(p->context)));
        map = p->joined;
    }
    return ho_gemm(p->head->device, false, false, rows.height * rows.width, units, C, 1, map, C,
                   p->w1 + p->offset[at->first] * units, units, 0, at->products, units);
}

/* Logits of members m .. m + group - 1 for the tile's pixels. */
static ho_status classify_members(const ho_label_predictor *p, const ho_label_lane *l, const ho_k_head_tile *tile,
                                  int64_t m, int64_t group) {
    const ho_label_head_shape *s = &p->head->shape;
    ho_device *device = p->head->device;
    const ho_stream stream = ho_context_stream(p->context);
    const int64_t count = tile->height * tile->width, all = s->members * s->h1, units = group * s->h1;
    const int64_t C = p->offset[s->n_blocks] - p->offset[p->first_fine];
    const ho_k_head_part part = {*tile, m * s->h1, units, C > 0};
    if (C > 0) {
        HO_TRY(ho_gemm(device, false, false, count, units, C, 1, l->fine, C,
                       p->w1 + p->offset[p->first_fine] * all + part.first, all, 0, l->hidden1, units));
    }
    HO_TRY(ho_k_head_hidden(&p->products, &part, p->head->b1->data, l->hidden1, stream));
    HO_TRY(ho_gemm_batched(device, false, false, count, s->h2, s->h1, 1, l->hidden1, units, s->h1,
                           p->w2 + m * s->h1 * s->h2, s->h2, s->h1 * s->h2, 0, l->hidden2, group * s->h2, s->h2,
                           group));
    HO_TRY(ho_k_head_bias_relu(l->hidden2, p->b2 + m * s->h2, count, group * s->h2, stream));
    return ho_gemm_batched(device, false, false, count, s->K, s->h2, 1, l->hidden2, group * s->h2, s->h2,
                           p->w3 + m * s->h2 * s->K, s->K, s->h2 * s->K, 0, l->logits + m * s->K, s->members * s->K,
                           s->K, group);
}

static ho_status vote_tile(const ho_label_predictor *p, const ho_label_lane *l, const ho_k_head_tile *tile) {
    const ho_label_head_shape *s = &p->head->shape;
    const int64_t lines = tile->width == s->W ? 1 : tile->height, count = tile->height * tile->width / lines;
    for (int64_t i = 0; i < lines; ++i) {
        const int64_t first = (tile->y + i) * s->W + tile->x;
        HO_TRY(ho_k_head_vote(l->logits + i * count * s->members * s->K, p->b3, count, s->members, s->K,
                              p->label + first, p->js + first, ho_context_stream(p->context)));
    }
    return HO_OK;
}

/* Tile i of the strip under way. */
static ho_status classify_tile(void *state, int64_t i, int which) {
    const ho_label_predictor *p = state;
    const ho_label_head_shape *s = &p->head->shape;
    const ho_label_lane *l = &p->lanes[which];
    const int64_t across = (s->W + p->cut.width - 1) / p->cut.width;
    ho_k_head_tile tile = {.y = p->y + i / across * p->cut.height, .x = i % across * p->cut.width};
    tile.height = least(p->cut.height, p->end - tile.y);
    tile.width = least(p->cut.width, s->W - tile.x);
    if (p->fine.n > 0) {
        HO_TRY(ho_k_head_resample(&p->fine, &tile, l->fine, ho_context_stream(p->context)));
    }
    for (int64_t m = 0; m < s->members; m += p->cut.members) {
        HO_TRY(classify_members(p, l, &tile, m, least(p->cut.members, s->members - m)));
    }
    return vote_tile(p, l, &tile);
}

static ho_status classify_strip(ho_label_predictor *p, int64_t n) {
    const ho_label_head_shape *s = &p->head->shape;
    for (int i = 0; i < p->n_levels; ++i) {
        ho_label_level *at = &p->levels[i];
        int64_t low = 0, high = 0;
        if (!at->whole) {
            ho_label_source_rows(p, at, p->y, p->end, &low, &high);
            HO_TRY(multiply_level(p, at, n, low, high));
        }
        p->products.level[i] = (ho_k_head_level){at->products, at->width, at->low, at->rows, at->columns};
    }
    const int64_t across = (s->W + p->cut.width - 1) / p->cut.width;
    const int64_t down = (p->end - p->y + p->cut.height - 1) / p->cut.height;
    return ho_device_each(p->head->device, across * down, classify_tile, p);
}

/* Copies the results of image n to the host and scores it. */
static ho_status deliver(const ho_label_predictor *p, int64_t n, const ho_label_prediction *to) {
    const int64_t HW = p->head->shape.H * p->head->shape.W;
    ho_device *device = p->head->device;
    HO_TRY(ho_device_download(device, to->label + n * HW, p->label, (size_t)HW));
    ho_real *js = malloc((size_t)HW * sizeof *js);
    float *values = malloc((size_t)HW * sizeof *values);
    if (js == NULL || values == NULL) {
        free(js);
        free(values);
        HO_FAIL(HO_EMEMORY, "no memory for the uncertainty of %lld pixels", (long long)HW);
    }
    const ho_status status = ho_device_download(device, js, p->js, (size_t)HW * sizeof *js);
    double check = 0;
    for (int64_t i = 0; status == HO_OK && i < HW; ++i) {
        values[i] = js[i] > 0 ? (float)js[i] : 0.0F;
        check += js[i];
    }
    const bool finite = check - check == 0;
    if (status == HO_OK && finite) {
        to->score[n] = (float)ho_top_mean(values, HW, HW < 10 ? 1 : HW / 10);
        if (to->js != NULL) {
            memcpy(to->js + n * HW, values, (size_t)HW * sizeof *values);
        }
    }
    free(js);
    free(values);
    if (status == HO_OK && !finite) {
        HO_FAIL(HO_ENUMERIC,
                "label head: the uncertainty of image %lld of the batch is not finite: weights or style "
                "blocks hold NaN or infinity",
                (long long)n);
    }
    return status;
}

static ho_status predict_image(ho_label_predictor *p, int64_t n, const ho_label_prediction *to) {
    const ho_label_head_shape *s = &p->head->shape;
    p->products = (ho_k_head_levels){.n = p->n_levels, .units = s->members * s->h1};
    p->fine = (ho_k_head_maps){.n = s->n_blocks - p->first_fine, .H = s->H, .W = s->W};
    for (int i = 0; i < p->fine.n; ++i) {
        const int64_t *dim = p->blocks->map[s->block[p->first_fine + i]]->dim;
        p->fine.map[i] = (ho_k_head_map){map_of(p, p->first_fine + i, n), dim[1], dim[2], dim[3]};
    }
    for (int i = 0; i < p->n_levels; ++i) {
        if (p->levels[i].whole) {
            HO_TRY(multiply_level(p, &p->levels[i], n, 0, p->levels[i].height - 1));
        }
    }
    for (p->y = 0; p->y < s->H; p->y = p->end) {
        p->end = least(p->y + p->strip_rows, s->H);
        HO_TRY(classify_strip(p, n));
    }
    return deliver(p, n, to);
}

ho_status ho_label_head_predict(ho_context *context, ho_label_head *head, const ho_style_blocks *blocks,
                                const ho_label_prediction *prediction) {
    ho_label_predictor p;
    memset(&p, 0, sizeof p);
    p.context = context;
    p.head = head;
    p.blocks = blocks;
    ho_status status = ho_label_plan(&p);
    const int64_t N = status == HO_OK ? blocks->map[head->shape.block[0]]->dim[0] : 0;
    for (int64_t n = 0; n < N && status == HO_OK; ++n) {
        status = predict_image(&p, n, prediction);
    }
    ho_label_release(&p);
    return status;
}
