/* Labels of whole images: the first layer commutes with the resampling of features (mathematics in
 * kernels/head.cu).
 *
 * Blocks of one resolution share a level. A level whose products G (h, w, M h1) are small is multiplied once an image;
 * a large one strip by strip, for the rows that the strip's labels need. Within a strip, tiles of pixels go through the
 * rest of the network while they are in cache. Batch norm at inference is an affine map and is folded into the next
 * layer. */
#include "label_head_parts.h"

#include <stdlib.h>
#include <string.h>

#include "head.h"

enum { WHOLE_LEVEL_BYTES = 16 << 20 }; /* products of a level up to this size are kept for the whole image */

typedef struct {
    int n_blocks, first; /* entries first .. first + n_blocks - 1 of the shape's list */
    int64_t height, width;
    bool whole;
    int64_t held_rows; /* rows of `products` */
    ho_real *products;
} level;

typedef struct {
    ho_context *context;
    ho_label_head *head;
    const ho_style_blocks *blocks;
    int n_levels;
    level levels[HO_HEAD_MAX_BLOCKS];
    int64_t offset[HO_HEAD_MAX_BLOCKS]; /* of each block's channels in the hypercolumn */
    int64_t strip_rows, tile;           /* label rows a strip, pixels a tile */
    ho_real *w2, *b2, *w3, *b3;         /* with the batch norms folded in */
    ho_real *hidden1, *hidden2, *logits, *js;
    uint8_t *label;
} predictor;

/* ---- plan ------------------------------------------------------------------------------------------------ */

/* Source rows of a level of `height` rows for label rows first .. last of H. */
static void source_rows(int64_t height, int64_t H, int64_t first, int64_t last, int64_t *low, int64_t *high) {
    *low = ho_head_tap_at(first, height, H).low;
    *high = ho_head_tap_at(last, height, H).high;
}

static ho_status plan_levels(predictor *p) {
    const ho_label_head_shape *s = &p->head->shape;
    int64_t offset = 0;
    for (int l = 0; l < s->n_blocks; ++l) {
        HO_REQUIRE(s->block[l] < p->blocks->n, "label head: it uses style block %lld, the generator has %d",
                   (long long)s->block[l], p->blocks->n);
        const ho_tensor *map = p->blocks->map[s->block[l]];
        HO_REQUIRE(map->rank == 4 && map->dim[3] == s->channels[l] &&
                       map->dim[0] == p->blocks->map[s->block[0]]->dim[0],
                   "label head: style block %lld is %s; right are %lld channels, as the head was trained with",
                   (long long)s->block[l], ho_tensor_shape_text(map), (long long)s->channels[l]);
        p->offset[l] = offset;
        offset += s->channels[l];
        level *last = p->n_levels > 0 ? &p->levels[p->n_levels - 1] : NULL;
        if (last != NULL && last->height == map->dim[1] && last->width == map->dim[2]) {
            ++last->n_blocks;
        } else {
            p->levels[p->n_levels++] = (level){1, l, map->dim[1], map->dim[2], false, 0, NULL};
        }
    }
    return HO_OK;
}

static int64_t at_least_one(int64_t n) {
    return n < 1 ? 1 : n;
}

static ho_status plan_memory(predictor *p) {
    const ho_label_head_shape *s = &p->head->shape;
    const int64_t units = s->members * s->h1, row_bytes = s->W * units * (int64_t)sizeof(ho_real);
    const int64_t tile = at_least_one(ho_k_head_tile_bytes() / (units * (int64_t)sizeof(ho_real)));
    p->strip_rows = at_least_one(WHOLE_LEVEL_BYTES / 2 / row_bytes);
    p->strip_rows = p->strip_rows < s->H ? p->strip_rows : s->H;
    p->tile = tile < p->strip_rows * s->W ? tile : p->strip_rows * s->W;
    for (int i = 0; i < p->n_levels; ++i) {
        level *at = &p->levels[i];
        at->whole = at->height * at->width * units * (int64_t)sizeof(ho_real) <= WHOLE_LEVEL_BYTES;
        at->held_rows = at->height;
        if (!at->whole) {
            at->held_rows = 0;
            for (int64_t y = 0; y < s->H; y += p->strip_rows) {
                const int64_t end = y + p->strip_rows < s->H ? y + p->strip_rows : s->H;
                int64_t low = 0, high = 0;
                source_rows(at->height, s->H, y, end - 1, &low, &high);
                at->held_rows = high - low + 1 > at->held_rows ? high - low + 1 : at->held_rows;
            }
        }
        HO_TRY(ho_scratch(p->context, at->held_rows * at->width * units, &at->products));
    }
    HO_TRY(ho_scratch(p->context, p->tile * units, &p->hidden1));
    HO_TRY(ho_scratch(p->context, p->tile * s->members * s->h2, &p->hidden2));
    HO_TRY(ho_scratch(p->context, p->tile * s->members * s->K, &p->logits));
    HO_TRY(ho_scratch(p->context, s->H * s->W, &p->js));
    return ho_scratch_bytes(p->context, (size_t)(s->H * s->W), (void **)&p->label);
}

static ho_status fold_one(predictor *p, const ho_batch_norm_params *norm, const ho_tensor *w, const ho_tensor *b,
                          ho_real **folded, ho_real **folded_bias) {
    const int64_t M = p->head->shape.members;
    HO_TRY(ho_scratch(p->context, ho_tensor_count(w), folded));
    HO_TRY(ho_scratch(p->context, ho_tensor_count(b), folded_bias));
    const ho_k_head_fold_args args = {norm->weight->data,
                                      norm->bias->data,
                                      norm->running_mean->data,
                                      norm->running_var->data,
                                      w->data,
                                      b->data,
                                      *folded,
                                      *folded_bias,
                                      M,
                                      w->dim[0] / M,
                                      w->dim[1]};
    return ho_k_head_fold(&args, ho_context_stream(p->context));
}

static ho_status plan(predictor *p) {
    ho_label_head *head = p->head;
    HO_TRY(plan_levels(p));
    HO_TRY(fold_one(p, &head->norm1, head->w2, head->b2, &p->w2, &p->b2));
    HO_TRY(fold_one(p, &head->norm2, head->w3, head->b3, &p->w3, &p->b3));
    return plan_memory(p);
}

static void release(predictor *p) {
    for (int i = 0; i < p->n_levels; ++i) {
        ho_scratch_free(p->context, p->levels[i].products);
    }
    void *const scratch[] = {p->w2, p->b2, p->w3, p->b3, p->hidden1, p->hidden2, p->logits, p->js, p->label};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; ++i) {
        ho_scratch_free(p->context, scratch[i]);
    }
}

/* ---- one image ------------------------------------------------------------------------------------------- */

/* Rows low .. high of the level's products for image n: G = sum over its blocks of F_l W1_l. */
static ho_status multiply_level(const predictor *p, const level *at, int64_t n, int64_t low, int64_t high) {
    const ho_label_head_shape *s = &p->head->shape;
    const int64_t units = s->members * s->h1, C_total = ho_label_head_channels(s);
    for (int i = 0; i < at->n_blocks; ++i) {
        const int entry = at->first + i;
        const int64_t C = s->channels[entry];
        const ho_real *map = p->blocks->map[s->block[entry]]->data + (n * at->height + low) * at->width * C;
        HO_TRY(ho_gemm(p->head->device, false, true, (high - low + 1) * at->width, units, C, 1, map, C,
                       p->head->w1->data + p->offset[entry], C_total, i == 0 ? 0 : 1, at->products, units));
    }
    return HO_OK;
}

/* The rest of the network for `count` pixels from `first` on. */
static ho_status classify_tile(const predictor *p, const ho_k_head_levels *levels, int64_t first, int64_t count) {
    const ho_label_head_shape *s = &p->head->shape;
    ho_device *device = p->head->device;
    const ho_stream stream = ho_context_stream(p->context);
    const int64_t M = s->members;
    HO_TRY(ho_k_head_hidden(levels, p->head->b1->data, first, count, p->hidden1, stream));
    HO_TRY(ho_gemm_batched(device, false, true, count, s->h2, s->h1, 1, p->hidden1, M * s->h1, s->h1, p->w2, s->h1,
                           s->h2 * s->h1, 0, p->hidden2, M * s->h2, s->h2, M));
    HO_TRY(ho_k_head_bias_relu(p->hidden2, p->b2, count, M * s->h2, stream));
    HO_TRY(ho_gemm_batched(device, false, true, count, s->K, s->h2, 1, p->hidden2, M * s->h2, s->h2, p->w3, s->h2,
                           s->K * s->h2, 0, p->logits, M * s->K, s->K, M));
    return ho_k_head_vote(p->logits, p->b3, count, M, s->K, p->label + first, p->js + first, stream);
}

static ho_status classify_strip(const predictor *p, int64_t n, int64_t y, int64_t end) {
    const ho_label_head_shape *s = &p->head->shape;
    ho_k_head_levels levels;
    memset(&levels, 0, sizeof levels);
    levels.n = p->n_levels;
    levels.H = s->H;
    levels.W = s->W;
    levels.units = s->members * s->h1;
    for (int i = 0; i < p->n_levels; ++i) {
        const level *at = &p->levels[i];
        int64_t low = 0, high = 0;
        if (!at->whole) {
            source_rows(at->height, s->H, y, end - 1, &low, &high);
            HO_TRY(multiply_level(p, at, n, low, high));
        }
        levels.level[i] = (ho_k_head_level){at->products, at->height, at->width, low};
    }
    for (int64_t first = y * s->W; first < end * s->W; first += p->tile) {
        const int64_t left = end * s->W - first;
        HO_TRY(classify_tile(p, &levels, first, left < p->tile ? left : p->tile));
    }
    return HO_OK;
}

/* Copies the results of image n to the host and scores it. */
static ho_status deliver(const predictor *p, int64_t n, const ho_label_prediction *to) {
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
        to->score[n] = (float)ho_top_mean(values, HW, at_least_one(HW / 10));
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

static ho_status predict_image(const predictor *p, int64_t n, const ho_label_prediction *to) {
    const int64_t H = p->head->shape.H;
    for (int i = 0; i < p->n_levels; ++i) {
        if (p->levels[i].whole) {
            HO_TRY(multiply_level(p, &p->levels[i], n, 0, p->levels[i].height - 1));
        }
    }
    for (int64_t y = 0; y < H; y += p->strip_rows) {
        HO_TRY(classify_strip(p, n, y, y + p->strip_rows < H ? y + p->strip_rows : H));
    }
    return deliver(p, n, to);
}

ho_status ho_label_head_predict(ho_context *context, ho_label_head *head, const ho_style_blocks *blocks,
                                const ho_label_prediction *prediction) {
    predictor p;
    memset(&p, 0, sizeof p);
    p.context = context;
    p.head = head;
    p.blocks = blocks;
    ho_status status = plan(&p);
    const int64_t N = status == HO_OK ? blocks->map[head->shape.block[0]]->dim[0] : 0;
    for (int64_t n = 0; n < N && status == HO_OK; ++n) {
        status = predict_image(&p, n, prediction);
    }
    release(&p);
    return status;
}

/* ---- score ----------------------------------------------------------------------------------------------- */

/* Non-negative floats are ordered as their bits. The k-th largest value is found from a histogram of the upper 16 bits
 * and one of the lower 16 bits within the bin found. */
double ho_top_mean(const float *values, int64_t n, int64_t k) {
    static _Thread_local int64_t count[65536];
    uint32_t prefix = 0;
    int64_t above = 0; /* values beyond the bin */
    for (int half = 0; half < 2; ++half) {
        memset(count, 0, sizeof count);
        for (int64_t i = 0; i < n; ++i) {
            uint32_t bits = 0;
            memcpy(&bits, &values[i], sizeof bits);
            if (half == 0) {
                ++count[bits >> 16];
            } else if (bits >> 16 == prefix >> 16) {
                ++count[bits & 0xffffU];
            }
        }
        uint32_t bin = 65535;
        while (above + count[bin] < k && bin > 0) {
            above += count[bin--];
        }
        prefix |= half == 0 ? bin << 16 : bin;
    }
    float kth = 0;
    memcpy(&kth, &prefix, sizeof kth);
    double sum = (double)(k - above) * kth;
    for (int64_t i = 0; i < n; ++i) {
        sum += values[i] > kth ? values[i] : 0.0;
    }
    return sum / (double)k;
}
