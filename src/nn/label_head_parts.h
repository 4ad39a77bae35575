/* The parts of a label head that its two files share. */
#ifndef HANDSOFF_NN_LABEL_HEAD_PARTS_H
#define HANDSOFF_NN_LABEL_HEAD_PARTS_H

#include "handsoff/label_head.h"
#include "handsoff/ops.h"

struct ho_label_head {
    ho_label_head_shape shape;
    ho_device *device;
    ho_params *params;
    ho_tensor *w1, *b1, *w2, *b2, *w3, *b3; /* layers.0, layers.3, layers.6  */
    ho_batch_norm_params norm1, norm2;      /* layers.2, layers.5            */
};

#endif
