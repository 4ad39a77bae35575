/* How the labels of whole images are made with bounded memory (label_predict.h): levels, strips, tiles, weights. */
#include "label_predict.h"

#include <string.h>

enum {
    WHOLE_LEVEL_BYTES = 16 << 20, /* products of a level up to this size are kept for the whole image */
    STRIP_BYTES = 128 << 20       /* products of the other levels, of one strip */
};

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static ho_status check_block(const ho_label_predictor *p, int entry) {
    const ho_label_head_shape *s = &p->head->shape;
    HO_REQUIRE(s->block[entry] < p->blocks->n, "label head: it uses style block %lld, the generator has %d",
               (long long)s->block[entry], p->blocks->n);
    const ho_tensor *map = p->blocks->map[s->block[entry]];
    HO_REQUIRE(map->rank == 4 && map->dim[3] == s->channels[entry] &&
                   map->dim[0] == p->blocks->map[s->block[0]]->dim[0],
               "label head: style block %lld is %s; right are %lld channels, as the head was trained with",
               (long long)s->block[entry], ho_tensor_shape_text(map), (long long)s->channels[entry]);
    return HO_OK;
}

/* Smaller than the labels, and larger in neither direction. */
static bool is_coarse(const ho_label_head_shape *s, const ho_tensor *map) {
    return map->dim[1] <= s->H && map->dim[2] <= s->W && map->dim[1] * map->dim[2] < s->H * s->W;
}

static ho_status plan_levels(ho_label_predictor *p) {
    const ho_label_head_shape *s = &p->head->shape;
    p->first_fine = s->n_blocks;
    for (int l = 0; l < s->n_blocks; ++l) {
        HO_TRY(check_block(p, l));
        const ho_tensor *map = p->blocks->map[s->block[l]];
        p->offset[l + 1] = p->offset[l] + s->channels[l];
        if (p->first_fine < l || !is_coarse(s, map)) {
            p->first_fine = least(p->first_fine, l);
            continue;
        }
        ho_label_level *last = p->n_levels > 0 ? &p->levels[p->n_levels - 1] : NULL;
        if (last != NULL && last->height == map->dim[1] && last->width == map->dim[2]) {
            ++last->n_blocks;
        } else {
            p->levels[p->n_levels++] =
                (ho_label_level){.n_blocks = 1, .first = l, .height = map->dim[1], .width = map->dim[2]};
        }
    }
    return HO_OK;
}

void ho_label_source_rows(const ho_label_predictor *p, const ho_label_level *at, int64_t y, int64_t end, int64_t *low,
                          int64_t *high) {
    *low = ho_head_tap_at(y, at->height, p->head->shape.H).low;
    *high = ho_head_tap_at(end - 1, at->height, p->head->shape.H).high;
}

/* The most rows that any strip of strip_rows needs; returns their bytes. */
static int64_t hold_rows(ho_label_predictor *p, ho_label_level *at) {
    const ho_label_head_shape *s = &p->head->shape;
    const int64_t row_bytes = at->width * s->members * s->h1 * (int64_t)sizeof(ho_real);
    at->held_rows = at->whole ? at->height : 0;
    for (int64_t y = 0; y < s->H && !at->whole; y += p->strip_rows) {
        int64_t low = 0, high = 0;
        ho_label_source_rows(p, at, y, least(y + p->strip_rows, s->H), &low, &high);
        at->held_rows = high - low + 1 > at->held_rows ? high - low + 1 : at->held_rows;
    }
    return at->whole ? 0 : at->held_rows * row_bytes;
}

/* The highest strips of whole tiles whose products fit into STRIP_BYTES. */
static void plan_strips(ho_label_predictor *p) {
    const ho_label_head_shape *s = &p->head->shape;
    const int64_t units_bytes = s->members * s->h1 * (int64_t)sizeof(ho_real);
    for (int i = 0; i < p->n_levels; ++i) {
        p->levels[i].whole = p->levels[i].height * p->levels[i].width * units_bytes <= WHOLE_LEVEL_BYTES;
    }
    int64_t tiles = (s->H + p->cut.height - 1) / p->cut.height;
    for (;; tiles = (tiles + 1) / 2) {
        p->strip_rows = tiles * p->cut.height;
        int64_t bytes = 0;
        for (int i = 0; i < p->n_levels; ++i) {
            bytes += hold_rows(p, &p->levels[i]);
        }
        if (bytes <= STRIP_BYTES || tiles == 1) {
            return;
        }
    }
}

/* The level's taps on the device. */
static ho_status plan_resampling(ho_label_predictor *p, ho_label_level *at) {
    const ho_label_head_shape *s = &p->head->shape;
    const int64_t groups = (s->W + HO_HEAD_GROUP - 1) / HO_HEAD_GROUP;
    const size_t row_bytes = (size_t)s->H * sizeof *at->rows, column_bytes = (size_t)groups * sizeof *at->columns;
    ho_head_tap *rows = NULL;
    ho_k_head_columns *columns = NULL;
    HO_TRY(ho_host_scratch(p->context, row_bytes, (void **)&rows));
    HO_TRY(ho_host_scratch(p->context, column_bytes, (void **)&columns));
    for (int64_t y = 0; y < s->H; ++y) {
        rows[y] = ho_head_tap_at(y, at->height, s->H);
    }
    for (int64_t g = 0; g < groups; ++g) {
        columns[g] = ho_head_columns_at(g, at->width, s->W);
    }
    HO_TRY(ho_scratch_bytes(p->context, row_bytes, (void **)&at->rows));
    HO_TRY(ho_scratch_bytes(p->context, column_bytes, (void **)&at->columns));
    HO_TRY(ho_device_upload(p->head->device, at->rows, rows, row_bytes));
    return ho_device_upload(p->head->device, at->columns, columns, column_bytes);
}

static ho_status plan_memory(ho_label_predictor *p) {
    const ho_label_head_shape *s = &p->head->shape;
    const int64_t count = p->cut.height * p->cut.width, group = p->cut.members;
    int64_t joined = 0;
    for (int i = 0; i < p->n_levels; ++i) {
        ho_label_level *at = &p->levels[i];
        const int64_t pixels = at->held_rows * at->width,
                      C = p->offset[at->first + at->n_blocks] - p->offset[at->first];
        joined = at->n_blocks > 1 && pixels * C > joined ? pixels * C : joined;
        HO_TRY(ho_scratch(p->context, pixels * s->members * s->h1, &at->products));
        HO_TRY(plan_resampling(p, at));
    }
    HO_TRY(ho_scratch(p->context, joined, &p->joined));
    p->n_lanes = ho_device_lanes(p->head->device);
    HO_TRY(ho_host_scratch(p->context, (size_t)p->n_lanes * sizeof *p->lanes, (void **)&p->lanes));
    memset(p->lanes, 0, (size_t)p->n_lanes * sizeof *p->lanes);
    for (int i = 0; i < p->n_lanes; ++i) {
        ho_label_lane *to = &p->lanes[i];
        HO_TRY(ho_scratch(p->context, count * (p->offset[s->n_blocks] - p->offset[p->first_fine]), &to->fine));
        HO_TRY(ho_scratch(p->context, count * group * s->h1, &to->hidden1));
        HO_TRY(ho_scratch(p->context, count * group * s->h2, &to->hidden2));
        HO_TRY(ho_scratch(p->context, count * s->members * s->K, &to->logits));
    }
    HO_TRY(ho_scratch(p->context, s->H * s->W, &p->js));
    return ho_scratch_bytes(p->context, (size_t)(s->H * s->W), (void **)&p->label);
}

/* A layer (M O, I) with the batch norm before it folded in, transposed to (M, I, O). */
static ho_status prepare_layer(ho_label_predictor *p, const ho_batch_norm_params *norm, const ho_tensor *w,
                               const ho_tensor *b, ho_real **prepared, ho_real **prepared_bias) {
    const int64_t M = p->head->shape.members, O = w->dim[0] / M, I = w->dim[1];
    const ho_stream stream = ho_context_stream(p->context);
    ho_real *folded = NULL;
    HO_TRY(ho_scratch(p->context, ho_tensor_count(w), prepared));
    HO_TRY(ho_scratch(p->context, ho_tensor_count(b), prepared_bias));
    HO_TRY(ho_scratch(p->context, ho_tensor_count(w), &folded));
    const ho_k_head_fold_args args = {norm->weight->data,
                                      norm->bias->data,
                                      norm->running_mean->data,
                                      norm->running_var->data,
                                      w->data,
                                      b->data,
                                      folded,
                                      *prepared_bias,
                                      M,
                                      O,
                                      I};
    ho_status status = ho_k_head_fold(&args, stream);
    if (status == HO_OK) {
        status = ho_k_head_transpose(folded, M, O, I, *prepared, stream);
    }
    ho_scratch_free(p->context, folded);
    return status;
}

ho_status ho_label_plan(ho_label_predictor *p) {
    ho_label_head *head = p->head;
    const ho_label_head_shape *s = &head->shape;
    p->cut = ho_k_head_cut_for(s->H, s->W, s->members, s->h1);
    HO_TRY(plan_levels(p));
    plan_strips(p);
    HO_TRY(ho_scratch(p->context, ho_tensor_count(head->w1), &p->w1));
    HO_TRY(ho_k_head_transpose(head->w1->data, 1, head->w1->dim[0], head->w1->dim[1], p->w1,
                               ho_context_stream(p->context)));
    HO_TRY(prepare_layer(p, &head->norm1, head->w2, head->b2, &p->w2, &p->b2));
    HO_TRY(prepare_layer(p, &head->norm2, head->w3, head->b3, &p->w3, &p->b3));
    return plan_memory(p);
}

void ho_label_release(ho_label_predictor *p) {
    for (int i = 0; i < p->n_levels; ++i) {
        ho_scratch_free(p->context, p->levels[i].products);
        ho_scratch_free(p->context, p->levels[i].rows);
        ho_scratch_free(p->context, p->levels[i].columns);
    }
    for (int i = 0; p->lanes != NULL && i < p->n_lanes; ++i) {
        ho_scratch_free(p->context, p->lanes[i].fine);
        ho_scratch_free(p->context, p->lanes[i].hidden1);
        ho_scratch_free(p->context, p->lanes[i].hidden2);
        ho_scratch_free(p->context, p->lanes[i].logits);
    }
    void *const scratch[] = {p->w1, p->w2, p->b2, p->w3, p->b3, p->joined, p->js, p->label};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; ++i) {
        ho_scratch_free(p->context, scratch[i]);
    }
}
