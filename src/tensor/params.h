/* What the files behind handsoff/params.h share. */
#ifndef HANDSOFF_PARAMS_PRIVATE_H
#define HANDSOFF_PARAMS_PRIVATE_H

#include "handsoff/params.h"

struct ho_params {
    ho_device *device;
    ho_param **items; /* each allocated by itself: tensor handles stay valid while the list grows */
    int n, room;
    bool committed;
    /* Flat blocks: all HO_PARAM values, their gradients, all HO_BUFFER values. */
    ho_real *values, *grads, *buffers;
    int64_t n_values, n_buffers; /* with padding */
};

/* Kernels wrote to the values. */
void ho_params_changed(const ho_params *params);

#endif
