/* Procedural pictures for the pretext task: one textured shape before a textured background, under random light. */
#ifndef HANDSOFF_PRETEXT_IMAGES_H
#define HANDSOFF_PRETEXT_IMAGES_H

#include <stdint.h>

enum {
    PRETEXT_SIZE = 64,
    PRETEXT_SHAPES = 8,
    PRETEXT_TEXTURES = 6,
    PRETEXT_CLASSES = PRETEXT_SHAPES * PRETEXT_TEXTURES
};

/* Picture `index` of the stream, (SIZE, SIZE, 3) in [-1, 1]; returns its class, shape * PRETEXT_TEXTURES + texture. A
 * function of the arguments alone. */
int pretext_draw(uint64_t seed, uint64_t stream, uint64_t index, float *image);

#endif
