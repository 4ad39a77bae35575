/* Adam over the flat blocks of a ho_params. */
#include "params.h"

#include <math.h>
#include <stdlib.h>

#include "update.h"

struct ho_adam {
    ho_params *params;
    ho_real *m, *v;
    int64_t steps;
};

static ho_status allocate(ho_params *params, ho_real **block) {
    void *memory = NULL;
    HO_TRY(ho_device_alloc(params->device, (size_t)params->n_values * sizeof(ho_real), &memory));
    *block = memory;
    return ho_device_zero(params->device, memory, (size_t)params->n_values * sizeof(ho_real));
}

ho_status ho_adam_create(ho_params *params, ho_adam **adam) {
    ho_adam *created = calloc(1, sizeof *created);
    if (created == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate an optimiser");
    }
    created->params = params;
    ho_status status = allocate(params, &created->m);
    if (status == HO_OK) {
        status = allocate(params, &created->v);
    }
    if (status != HO_OK) {
        ho_adam_free(created);
        return status;
    }
    *adam = created;
    return HO_OK;
}

void ho_adam_free(ho_adam *adam) {
    if (adam == NULL) {
        return;
    }
    ho_device_free(adam->params->device, adam->m);
    ho_device_free(adam->params->device, adam->v);
    free(adam);
}

ho_status ho_adam_step(ho_adam *adam, const ho_adam_options *options, double grad_scale) {
    ho_params *params = adam->params;
    for (int i = 0; i < params->n; ++i) {
        const ho_tensor *t = &params->items[i]->tensor;
        if (params->items[i]->kind == HO_PARAM && !t->has_grad) {
            HO_TRY(ho_device_zero(params->device, t->grad, ho_tensor_bytes(t)));
        }
    }
    ++adam->steps;
    const double t = (double)adam->steps;
    const ho_adam_step_args args = {
        .lr = (ho_real)(options->lr / (1.0 - pow(options->beta1, t))),
        .beta1 = (ho_real)options->beta1,
        .beta2 = (ho_real)options->beta2,
        .v_correction = (ho_real)(1.0 / (1.0 - pow(options->beta2, t))),
        .eps = (ho_real)options->eps,
        .weight_decay = (ho_real)options->weight_decay,
        .grad_scale = (ho_real)grad_scale,
    };
    HO_TRY(ho_k_adam(params->values, params->grads, adam->m, adam->v, params->n_values, &args,
                     ho_device_stream(params->device)));
    ho_params_zero_grad(params);
    ho_params_changed(params);
    return HO_OK;
}

int64_t ho_adam_steps(const ho_adam *adam) {
    return adam->steps;
}

/* Device numbers to host floats and back, through a buffer of the device's number type. */
static ho_status download(const ho_adam *adam, const ho_real *from, float *host) {
    const size_t bytes = (size_t)adam->params->n_values * sizeof(ho_real);
    ho_real *memory = malloc(bytes + sizeof *memory);
    if (memory == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %zu bytes", bytes);
    }
    const ho_status status = ho_device_download(adam->params->device, memory, from, bytes);
    for (int64_t i = 0; i < adam->params->n_values && status == HO_OK; ++i) {
        host[i] = (float)memory[i];
    }
    free(memory);
    return status;
}

static ho_status upload(const ho_adam *adam, ho_real *to, const float *host) {
    const size_t bytes = (size_t)adam->params->n_values * sizeof(ho_real);
    ho_real *memory = malloc(bytes + sizeof *memory);
    if (memory == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %zu bytes", bytes);
    }
    for (int64_t i = 0; i < adam->params->n_values; ++i) {
        memory[i] = host[i];
    }
    const ho_status status = ho_device_upload(adam->params->device, to, memory, bytes);
    free(memory);
    return status;
}

ho_status ho_adam_get(ho_adam *adam, float *m, float *v) {
    HO_TRY(download(adam, adam->m, m));
    return download(adam, adam->v, v);
}

ho_status ho_adam_set(ho_adam *adam, int64_t steps, const float *m, const float *v) {
    adam->steps = steps;
    HO_TRY(upload(adam, adam->m, m));
    return upload(adam, adam->v, v);
}
