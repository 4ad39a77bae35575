/* Filtering of generated images by their uncertainty score. */
#include "handsoff/filter.h"

#include <stdlib.h>
#include <string.h>

enum { SLICE_SHIFT = 30 }; /* of the released code's slice */

ho_status ho_filter_rule_from_text(const char *text, ho_filter_rule *rule) {
    static const char *const NAMES[] = {"none", "highest", "handsoff"};
    for (int i = 0; i < 3; ++i) {
        if (strcmp(text, NAMES[i]) == 0) {
            *rule = (ho_filter_rule)i;
            return HO_OK;
        }
    }
    HO_FAIL(HO_ECONFIG, "filter.rule is '%s'; right are none, highest and handsoff", text);
}

typedef struct {
    float score;
    int64_t number;
} scored;

static int by_score(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) {
        return x->score < y->score ? -1 : 1;
    }
    return (x->number > y->number) - (x->number < y->number);
}

/* Positions [first, end) of the images sorted by score that stay. */
static ho_status kept_slice(ho_filter_rule rule, double fraction, int64_t N, int64_t *first, int64_t *end) {
    const int64_t n = rule == HO_FILTER_NONE ? 0 : (int64_t)((double)N * fraction);
    if (!(fraction >= 0 && fraction < 1) || N < 1) {
        HO_FAIL(HO_ECONFIG,
                "a filter of fraction %g over %lld images; right are 0 <= fraction < 1 and at least one image",
                fraction, (long long)N);
    }
    *first = 0;
    *end = N - n;
    if (rule == HO_FILTER_HANDSOFF && n > 0) {
        if (n <= SLICE_SHIFT) {
            HO_FAIL(HO_ECONFIG,
                    "filter.rule handsoff keeps nothing where filter.fraction removes %d images or fewer: it removes "
                    "%lld of "
                    "%lld here; generate more images, raise filter.fraction or use filter.rule highest",
                    SLICE_SHIFT, (long long)n, (long long)N);
        }
        *first = SLICE_SHIFT;
        *end = N - n + SLICE_SHIFT;
    }
    return HO_OK;
}

ho_status ho_filter_check(ho_filter_rule rule, double fraction, int64_t N) {
    int64_t first = 0, end = 0;
    return kept_slice(rule, fraction, N, &first, &end);
}

ho_status ho_filter_scores(ho_filter_rule rule, double fraction, const float *score, int64_t N, int64_t *kept,
                           int64_t *n_kept) {
    int64_t first = 0, end = 0;
    HO_TRY(kept_slice(rule, fraction, N, &first, &end));
    scored *order = malloc(sizeof *order * (size_t)N);
    uint8_t *stays = calloc((size_t)N, 1);
    if (order == NULL || stays == NULL) {
        free(order);
        free(stays);
        HO_FAIL(HO_EMEMORY, "no memory to sort %lld scores", (long long)N);
    }
    for (int64_t i = 0; i < N; ++i) {
        order[i] = (scored){score[i], i};
    }
    qsort(order, (size_t)N, sizeof *order, by_score);
    for (int64_t i = first; i < end; ++i) {
        stays[order[i].number] = 1;
    }
    *n_kept = 0;
    for (int64_t i = 0; i < N; ++i) {
        if (stays[i]) {
            kept[(*n_kept)++] = i;
        }
    }
    free(order);
    free(stays);
    return HO_OK;
}
