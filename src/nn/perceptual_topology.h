/* The three networks on whose features LPIPS is defined, as tables: what perceptual.c builds and runs. */
#ifndef HANDSOFF_PERCEPTUAL_TOPOLOGY_H
#define HANDSOFF_PERCEPTUAL_TOPOLOGY_H

#include <stdint.h>

typedef enum {
    HO_LAYER_CONV, /* convolution, bias, ReLU: features.F.weight and .bias                                          */
    HO_LAYER_FIRE, /* squeeze 1x1, then expand 1x1 and 3x3 side by side, joined 1x1 first: features.F.squeeze ...   */
    HO_LAYER_POOL, /* maximum                                                                                       */
    HO_LAYER_TAP,  /* the features at this point are compared                                                       */
} ho_layer_kind;

typedef struct {
    ho_layer_kind kind;
    int feature; /* torchvision's index within `features` */
    int64_t kernel, stride, pad;
} ho_perceptual_layer;

enum { HO_MOST_LAYERS = 24 };
typedef struct {
    const char *name;
    int64_t least; /* pixels on the shorter side */
    int n_layers;
    ho_perceptual_layer layer[HO_MOST_LAYERS];
} ho_perceptual_topology_table;

/* NULL when there is none of that name. */
const ho_perceptual_topology_table *ho_find_perceptual_topology(const char *name);

#endif
