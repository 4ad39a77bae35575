/* Images as an encoder sees them. */
#ifndef HANDSOFF_STAGES_ENCODER_VIEW_H
#define HANDSOFF_STAGES_ENCODER_VIEW_H

#include "handsoff/encoder.h"

/* N images (H, W, 3) of bytes, of the generator's size, as input (N, height, width, 3) of the encoder: resized by
 * Pillow's BILINEAR, as the data of ReStyle are; of a square image the rows in the middle where the input is wide. */
ho_status ho_encoder_view(ho_context *context, const ho_encoder *encoder, const uint8_t *images, int64_t N, int64_t H,
                          int64_t W, ho_tensor **input);

#endif
