/* Named parameter tensors in flat blocks. */
#include "params.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fill.h"
#include "handsoff/random.h"
#include "update.h"

enum { PADDING = 64 };

static int64_t padded(const ho_param *param) {
    return (ho_tensor_count(&param->tensor) + PADDING - 1) / PADDING * PADDING;
}

ho_status ho_params_create(ho_device *device, ho_params **params) {
    *params = calloc(1, sizeof **params);
    if (*params == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate a parameter list");
    }
    (*params)->device = device;
    return HO_OK;
}

void ho_params_free(ho_params *params) {
    if (params == NULL) {
        return;
    }
    for (int i = 0; i < params->n; ++i) {
        free(params->items[i]);
    }
    free(params->items);
    ho_device_free(params->device, params->values);
    ho_device_free(params->device, params->grads);
    ho_device_free(params->device, params->buffers);
    free(params);
}

static ho_status make_room(ho_params *params) {
    if (params->n < params->room) {
        return HO_OK;
    }
    const int room = params->room == 0 ? 32 : 2 * params->room;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
    ho_param **grown = realloc(params->items, (size_t)room * sizeof *grown);
    if (grown == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate a list of %d parameters", room);
    }
    params->items = grown;
    params->room = room;
    return HO_OK;
}

ho_status ho_params_add(ho_params *params, ho_param_kind kind, ho_init init, ho_file_order order, int rank,
                        const int64_t *dim, ho_tensor **tensor, const char *name, ...) {
    HO_REQUIRE(!params->committed, "parameters cannot be added after ho_params_commit");
    HO_REQUIRE(rank >= 0 && rank <= HO_MAX_RANK, "a parameter has at most %d dimensions, not %d", HO_MAX_RANK, rank);
    HO_TRY(make_room(params));
    ho_param *param = calloc(1, sizeof *param);
    if (param == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate a parameter");
    }
    va_list arguments;
    va_start(arguments, name);
    const int length = vsnprintf(param->name, sizeof param->name, name, arguments);
    va_end(arguments);
    const bool fits = length >= 0 && length < (int)sizeof param->name;
    if (!fits || ho_params_find(params, param->name) != NULL) {
        (void)ho_fail(HO_ESHAPE, __FILE__, __LINE__,
                      fits ? "there are two parameters '%s'" : "the parameter name '%s...' has more than 95 characters",
                      param->name);
        free(param);
        return HO_ESHAPE;
    }
    param->kind = kind;
    param->init = init;
    param->order = order;
    param->tensor.name = param->name;
    param->tensor.rank = rank;
    memcpy(param->tensor.dim, dim, (size_t)rank * sizeof *dim);
    param->tensor.needs_grad = kind == HO_PARAM;
    params->items[params->n++] = param;
    *tensor = &param->tensor;
    return HO_OK;
}

static ho_status allocate(ho_device *device, int64_t count, ho_real **block) {
    void *memory = NULL;
    HO_TRY(ho_device_alloc(device, (size_t)(count + PADDING) * sizeof(ho_real), &memory));
    *block = memory;
    return ho_device_zero(device, memory, (size_t)count * sizeof(ho_real));
}

ho_status ho_params_commit(ho_params *params, uint64_t seed) {
    HO_REQUIRE(!params->committed, "ho_params_commit was called twice");
    for (int i = 0; i < params->n; ++i) {
        *(params->items[i]->kind == HO_PARAM ? &params->n_values : &params->n_buffers) += padded(params->items[i]);
    }
    HO_TRY(allocate(params->device, params->n_values, &params->values));
    HO_TRY(allocate(params->device, params->n_values, &params->grads));
    HO_TRY(allocate(params->device, params->n_buffers, &params->buffers));
    int64_t at_value = 0, at_buffer = 0;
    for (int i = 0; i < params->n; ++i) {
        ho_param *param = params->items[i];
        if (param->kind == HO_PARAM) {
            param->tensor.data = params->values + at_value;
            param->tensor.grad = params->grads + at_value;
            at_value += padded(param);
        } else {
            param->tensor.data = params->buffers + at_buffer;
            at_buffer += padded(param);
        }
    }
    params->committed = true;
    return ho_params_init(params, seed);
}

ho_status ho_params_init(ho_params *params, uint64_t seed) {
    for (int i = 0; i < params->n; ++i) {
        const ho_param *param = params->items[i];
        const int64_t count = ho_tensor_count(&param->tensor);
        const ho_stream stream = ho_device_stream(params->device);
        if (param->init.std == 0.0) {
            HO_TRY(ho_k_fill(param->tensor.data, count, (ho_real)param->init.mean, stream));
        } else {
            HO_TRY(ho_k_fill_normal(param->tensor.data, count, seed, ho_stream_id(param->name), 0, param->init.mean,
                                    param->init.std, stream));
        }
    }
    ho_params_zero_grad(params);
    ho_params_changed(params);
    return HO_OK;
}

int ho_params_n(const ho_params *params) {
    return params->n;
}

ho_param *ho_params_at(const ho_params *params, int i) {
    return params->items[i];
}

ho_param *ho_params_find(const ho_params *params, const char *name) {
    for (int i = 0; i < params->n; ++i) {
        if (strcmp(params->items[i]->name, name) == 0) {
            return params->items[i];
        }
    }
    return NULL;
}

int64_t ho_params_count(const ho_params *params, ho_param_kind kind) {
    int64_t count = 0;
    for (int i = 0; i < params->n; ++i) {
        count += params->items[i]->kind == kind ? ho_tensor_count(&params->items[i]->tensor) : 0;
    }
    return count;
}

void ho_params_set_trainable(ho_params *params, bool on) {
    for (int i = 0; i < params->n; ++i) {
        if (params->items[i]->kind == HO_PARAM) {
            params->items[i]->tensor.needs_grad = on;
        }
    }
}

void ho_params_zero_grad(ho_params *params) {
    for (int i = 0; i < params->n; ++i) {
        params->items[i]->tensor.has_grad = false;
    }
}

static ho_status require_same(const ho_params *to, const ho_params *from) {
    HO_REQUIRE(to->n == from->n, "parameter lists of %d and %d tensors are not of one network", to->n, from->n);
    for (int i = 0; i < to->n; ++i) {
        const ho_param *a = to->items[i], *b = from->items[i];
        HO_REQUIRE(strcmp(a->name, b->name) == 0 && ho_tensor_same_shape(&a->tensor, &b->tensor) && a->kind == b->kind,
                   "parameter %d is %s %s in one network and %s %s in the other", i, a->name,
                   ho_tensor_shape_text(&a->tensor), b->name, ho_tensor_shape_text(&b->tensor));
    }
    return HO_OK;
}

ho_status ho_params_lerp(ho_params *to, const ho_params *from, double t) {
    HO_TRY(require_same(to, from));
    HO_TRY(ho_k_lerp(to->values, from->values, to->n_values, (ho_real)t, ho_device_stream(to->device)));
    ho_params_changed(to);
    return ho_device_copy(to->device, to->buffers, from->buffers, (size_t)to->n_buffers * sizeof(ho_real));
}

ho_status ho_params_copy(ho_params *to, const ho_params *from) {
    HO_TRY(require_same(to, from));
    HO_TRY(ho_device_copy(to->device, to->values, from->values, (size_t)to->n_values * sizeof(ho_real)));
    return ho_device_copy(to->device, to->buffers, from->buffers, (size_t)to->n_buffers * sizeof(ho_real));
}

ho_real *ho_params_values(const ho_params *params, int64_t *count) {
    *count = params->n_values;
    return params->values;
}

ho_status ho_params_hold(ho_params *params, bool on) {
    return ho_device_hold(params->device, params->values, (size_t)params->n_values * sizeof(ho_real), on);
}

void ho_params_changed(const ho_params *params) {
    ho_device_changed(params->device, params->values, (size_t)params->n_values * sizeof(ho_real));
}
