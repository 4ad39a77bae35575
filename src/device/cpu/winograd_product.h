/* The matrix product inside Winograd's convolution. */
#ifndef HANDSOFF_WINOGRAD_PRODUCT_H
#define HANDSOFF_WINOGRAD_PRODUCT_H

#include "winograd_parts.h"

enum { PANEL = MOST_VECTORS * LANES };

/* Where weight (input i, outputs o..o+15) lies in a position's panels: [panel][in][width of the panel]. */
static inline int64_t panel_offset(int64_t in, int64_t out, int64_t i, int64_t o) {
    const int64_t panel = o / PANEL * PANEL;
    const int64_t width = out - panel < PANEL ? out - panel : PANEL;
    return panel * in + i * width + (o - panel);
}

/* All `n` rows of the product; width is 16, 32, 48 or 64. */
void ho_winograd_product(const product *all, int64_t n, int64_t width);

#endif
