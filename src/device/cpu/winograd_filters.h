/* Filters in Winograd's domain (see winograd.h). */
#ifndef HANDSOFF_WINOGRAD_FILTERS_H
#define HANDSOFF_WINOGRAD_FILTERS_H

#include <stdbool.h>

#include "winograd_parts.h"

/* Which filters are transformed: w (O,3,3,C); turned: for the gradient of the input, whose inputs are w's outputs. */
typedef struct {
    bool turned;
    int64_t C, O; /* of w */
} filter_case;

/* V[position][panel of outputs][input][width of the panel]. */
void ho_winograd_transform_filters(const filter_case *f, const float *w, int64_t panel, float *V);
/* g_w (O,3,3,C) from S[position][output][input] of the forward direction: the adjoint. */
void ho_winograd_transform_filters_back(const filter_case *f, const float *S, float *g_w);

/* Where the panel that begins with output o lies within a position. */
static inline int64_t panel_offset(int64_t in, int64_t o) {
    return in * o;
}

#endif
