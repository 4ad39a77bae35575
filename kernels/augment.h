/* Launchers of the augmentation kernels; formulas and layout in augment.cu. */
#ifndef HANDSOFF_KERNELS_AUGMENT_H
#define HANDSOFF_KERNELS_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/status.h"
#include "handsoff/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What happens to one image; an array of these lies in device memory. */
typedef struct {
    int64_t geometry;       /* 0: pixels stay where they are, the fields below are unused            */
    int64_t pad_x, pad_y;   /* pixels of reflected border on each side                               */
    int64_t at_up_y, at_up; /* where this image's part of the buffers up_y and up begins, in numbers */
    ho_real map[6];         /* (u, v) of `up` from (s, t) of `sampled`: u = map[0] s + map[1] t + map[2], v likewise */
    ho_real color[12];      /* rows of the 3x4 colour matrix                                         */
} ho_k_augment_image;

/* A launch: `count` images of (H, W, 3). Buffers hold the intermediate results, in the backward their gradients. */
typedef struct {
    const ho_k_augment_image *images;
    int64_t count, H, W;
    int64_t max_rows; /* most rows of `up` of any image */
    ho_real *up_y;    /* (2 (H + 2 pad_y), W, 3) an image                 */
    ho_real *up;      /* (2 (H + 2 pad_y), 2 (W + 2 pad_x), 3) an image   */
    ho_real *sampled; /* (count, 2 H + 12, 2 W + 12, 3)                   */
    ho_real *down_y;  /* (count, H, 2 W + 12, 3)                          */
    ho_real *plain;   /* (count, H, W, 3); backward only                  */
} ho_k_augment;

/* y = the augmented x; `offset` false leaves out the constant column of the colour matrix. */
ho_status ho_k_augment_forward(const ho_k_augment *a, const ho_real *x, ho_real *y, bool offset, ho_stream stream);
/* g_x (+)= adjoint of the linear part of the above, applied to g_y. */
ho_status ho_k_augment_backward(const ho_k_augment *a, const ho_real *g_y, ho_real *g_x, bool accumulate,
                                ho_stream stream);

#ifdef __cplusplus
}
#endif
#endif
