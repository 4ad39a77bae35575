/* Which generated images the uncertainty removes. The rule of the released code: austinxu87/handsoff,
 * train_deeplab.py. */
#ifndef HANDSOFF_FILTER_H
#define HANDSOFF_FILTER_H

#include <stdint.h>

#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    HO_FILTER_NONE,     /* keep all                                                                                  */
    HO_FILTER_HIGHEST,  /* drop the n = floor(N fraction) images with the highest scores                              */
    HO_FILTER_HANDSOFF, /* as the released code: sorted by score, keep the slice [30 : N - n + 30], which drops the 30
                         * lowest scores and the n - 30 highest; an error for 0 < n <= 30, where that slice is empty,
                         * and nothing is dropped for fraction 0                                                      */
} ho_filter_rule;

/* "none", "highest", "handsoff". */
ho_status ho_filter_rule_from_text(const char *text, ho_filter_rule *rule);

/* Whether the rule can be applied to N images: known before any image is made. */
ho_status ho_filter_check(ho_filter_rule rule, double fraction, int64_t N);

/* The kept of N images, as ascending numbers in `kept` (room for N). Equal scores are ordered by number. */
ho_status ho_filter_scores(ho_filter_rule rule, double fraction, const float *score, int64_t N, int64_t *kept,
                           int64_t *n_kept);

#ifdef __cplusplus
}
#endif
#endif
