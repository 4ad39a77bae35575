/* The label head: an ensemble of pixel classifiers on style-block maps (Zhang et al. 2021, "DatasetGAN"; Xu et al.
 * 2023, "HandsOff"; austinxu87/handsoff, train_label_generator.py and generate_data.py). Each member is Linear(C, h1)
 * -> ReLU -> batch norm -> Linear(h1, h2) -> ReLU -> batch norm -> Linear(h2, K), C the channels of all used style
 * blocks. Letters: M members, B pixels of a batch, K classes, H W label pixels.
 *
 * Tensors carry PyTorch's names, the members stacked along the first dimension: "layers.0.weight" (M h1, C),
 * "layers.0.bias" (M h1), "layers.2.weight|bias|running_mean|running_var" (M h1), "layers.3.weight" (M h2, h1),
 * "layers.3.bias" (M h2), "layers.5...." (M h2), "layers.6.weight" (M K, h2), "layers.6.bias" (M K): rows m h1 .. of
 * layers.0.weight are member m. */
#ifndef HANDSOFF_LABEL_HEAD_H
#define HANDSOFF_LABEL_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/params.h"
#include "handsoff/store.h"
#include "handsoff/stylegan2.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    int64_t members, h1, h2, K;            /* K at most 255                                   */
    int64_t H, W;                          /* of the labels                                   */
    int n_blocks;                          /* style blocks used                               */
    int64_t block[HO_MAX_STYLE_BLOCKS];    /* which, ascending                                */
    int64_t channels[HO_MAX_STYLE_BLOCKS]; /* their channels: the order within a hypercolumn  */
} ho_label_head_shape;
int64_t ho_label_head_channels(const ho_label_head_shape *shape); /* C */

typedef struct ho_label_head ho_label_head;
/* Weights N(0, 0.02), biases 0, batch norm weight 1 and bias 0, as in the original; every member draws its own. */
ho_status ho_label_head_create(ho_device *device, const ho_label_head_shape *shape, uint64_t seed,
                               ho_label_head **head);
ho_status ho_label_head_load(ho_device *device, const char *path, ho_label_head **head);
ho_status ho_label_head_write(ho_label_head *head, ho_store *store); /* tensors and shape attributes */
void ho_label_head_free(ho_label_head *head);                        /* NULL is allowed */
ho_params *ho_label_head_params(ho_label_head *head);
const ho_label_head_shape *ho_label_head_shape_of(const ho_label_head *head);

/* Hypercolumns -> logits (B, M K), differentiable. x (B, M C): every member has pixels of its own; x (B, C): all
 * members see the same pixels. training: batch norm by batch statistics, else by the running ones. */
ho_status ho_label_head_logits(ho_context *context, ho_label_head *head, ho_tensor *x, bool training,
                               ho_tensor **logits);

/* Labels of whole images from the style-block maps (N images), on the host; the hypercolumn is never formed.
 *   label (N, H, W): the members' vote, ties to the smallest class;
 *   js (N, H, W): Jensen-Shannon divergence of the members' distributions, natural logarithm; NULL = not wanted;
 *   score (N): mean of the largest floor(H W / 10) values of js (at least one).
 * Vote, divergence and score as austinxu87/handsoff, generate_data.py. Each image's result is a function of its maps
 * alone. Scratch returns to the arena. */
typedef struct {
    uint8_t *label;
    float *js, *score;
} ho_label_prediction;
ho_status ho_label_head_predict(ho_context *context, ho_label_head *head, const ho_style_blocks *blocks,
                                const ho_label_prediction *prediction);

/* Mean of the k largest of n finite, non-negative numbers, 1 <= k <= n; a sum in double, the same for any order of
 * them. */
double ho_top_mean(const float *values, int64_t n, int64_t k);

#ifdef __cplusplus
}
#endif
#endif
