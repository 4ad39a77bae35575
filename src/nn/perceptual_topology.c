/* Layers and taps of LPIPS's networks (richzhang/PerceptualSimilarity, lpips/pretrained_networks.py); indices are those
 * of torchvision's `features`. */
#include "perceptual_topology.h"

#include <stddef.h>
#include <string.h>

#define CONV(feature, kernel, stride, pad)                                                                             \
    { HO_LAYER_CONV, feature, kernel, stride, pad }
#define CONV3(feature) CONV(feature, 3, 1, 1)
#define FIRE(feature)                                                                                                  \
    { HO_LAYER_FIRE, feature, 3, 1, 1 }
#define POOL(kernel)                                                                                                   \
    { HO_LAYER_POOL, 0, kernel, 2, 0 }
#define TAP                                                                                                            \
    { HO_LAYER_TAP, 0, 0, 0, 0 }

static const ho_perceptual_topology_table TABLES[] = {
    {"vgg16", 16, 22, {CONV3(0),  CONV3(2),  TAP,       POOL(2),          /* */
                       CONV3(5),  CONV3(7),  TAP,       POOL(2),          /* */
                       CONV3(10), CONV3(12), CONV3(14), TAP,     POOL(2), /* */
                       CONV3(17), CONV3(19), CONV3(21), TAP,     POOL(2), /* */
                       CONV3(24), CONV3(26), CONV3(28), TAP}},
    {"alexnet",
     63,
     12,
     {CONV(0, 11, 4, 2), TAP, POOL(3), /* */
      CONV(3, 5, 1, 2), TAP, POOL(3),  /* */
      CONV3(6), TAP, CONV3(8), TAP, CONV3(10), TAP}},
    {"squeezenet1_1",
     17,
     19,
     {CONV(0, 3, 2, 0), TAP, POOL(3), /* */
      FIRE(3), FIRE(4), TAP, POOL(3), /* */
      FIRE(6), FIRE(7), TAP, POOL(3), /* */
      FIRE(9), TAP, FIRE(10), TAP, FIRE(11), TAP, FIRE(12), TAP}},
};

const ho_perceptual_topology_table *ho_find_perceptual_topology(const char *name) {
    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; ++i) {
        if (strcmp(name, TABLES[i].name) == 0) {
            return &TABLES[i];
        }
    }
    return NULL;
}
