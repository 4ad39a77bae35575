/* The plan by which label_predict.c labels whole images. */
#ifndef HANDSOFF_NN_LABEL_PREDICT_H
#define HANDSOFF_NN_LABEL_PREDICT_H

#include "head.h"
#include "label_head_parts.h"

typedef struct {
    int n_blocks, first; /* entries first .. first + n_blocks - 1 of the shape's list */
    int64_t height, width;
    bool whole;
    int64_t held_rows, low; /* rows of `products`, the first of them */
    ho_real *products;
    ho_head_tap *rows; /* how the labels are made from it */
    ho_k_head_columns *columns;
} ho_label_level;

/* Scratch of one lane: what a tile becomes on its way. */
typedef struct {
    ho_real *fine, *hidden1, *hidden2, *logits;
} ho_label_lane;

typedef struct {
    ho_context *context;
    ho_label_head *head;
    const ho_style_blocks *blocks;
    int n_levels, first_fine; /* entries from first_fine on are resampled first */
    ho_label_level levels[HO_HEAD_MAX_BLOCKS];
    int64_t offset[HO_HEAD_MAX_BLOCKS + 1]; /* of each block's channels in the hypercolumn */
    ho_k_head_cut cut;
    int64_t strip_rows;
    ho_real *w1;                /* (C, M h1) */
    ho_real *w2, *b2, *w3, *b3; /* (M, h1, h2), (M, h2, K), with the batch norms folded in */
    ho_real *joined;            /* a level's blocks side by side */
    int n_lanes;
    ho_label_lane *lanes;
    ho_real *js;
    uint8_t *label;
    /* of the strip under way */
    int64_t y, end;
    ho_k_head_levels products;
    ho_k_head_maps fine;
} ho_label_predictor;

/* From context, head and blocks everything up to `label`; ho_label_release frees it, also after a failure. */
ho_status ho_label_plan(ho_label_predictor *p);
void ho_label_release(ho_label_predictor *p);
/* Rows of a level that label rows y .. end - 1 need. */
void ho_label_source_rows(const ho_label_predictor *p, const ho_label_level *at, int64_t y, int64_t end, int64_t *low,
                          int64_t *high);

#endif
