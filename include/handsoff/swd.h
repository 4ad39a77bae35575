/* Sliced Wasserstein distance between two sets of images (Karras et al. 2018, "Progressive growing of GANs", section 5
 * and appendix G): how far the distribution of local patches of one set is from that of the other, scale by scale.
 * Needs no pretrained network. Host code: it runs once a snapshot. */
#ifndef HANDSOFF_SWD_H
#define HANDSOFF_SWD_H

#include <stdint.h>

#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HO_SWD_MAX_LEVELS = 8 };
typedef struct {
    int n_levels;
    int64_t size[HO_SWD_MAX_LEVELS];    /* smaller side of the level in pixels, finest first     */
    double distance[HO_SWD_MAX_LEVELS]; /* times 1000                                            */
    double mean;                        /* over levels, times 1000: lower is better, 0 for equal */
} ho_swd_result;

/* One set as a number of descriptors: for each level of a Laplacian pyramid (levels of at least 16 pixels; the finest
 * is the image's own size), `per_image` patches of 7x7x3 from each image at places that are a function of (seed, level,
 * image, patch). */
typedef struct ho_swd_set ho_swd_set;
ho_status ho_swd_set_create(int64_t H, int64_t W, int64_t capacity, int64_t per_image, uint64_t seed, ho_swd_set **set);
void ho_swd_set_free(ho_swd_set *set);
/* Adds n images (n, H, W, 3) of bytes; beyond the capacity is an error. */
ho_status ho_swd_set_add(ho_swd_set *set, int64_t n, const uint8_t *images);

/* Distance between sets of the same size and number of images: descriptors are normalised per colour channel over each
 * set, projected onto `projections` random directions, sorted, and compared by mean absolute difference. Both sets are
 * normalised in place by the first comparison, after which no images can be added. */
ho_status ho_swd_compare(ho_swd_set *a, ho_swd_set *b, int projections, uint64_t seed, ho_swd_result *result);

#ifdef __cplusplus
}
#endif
#endif
