/* Tensors: making, moving to and from the host, describing. */
#include "context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t ho_tensor_count(const ho_tensor *tensor) {
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; ++i) {
        count *= tensor->dim[i];
    }
    return count;
}

size_t ho_tensor_bytes(const ho_tensor *tensor) {
    return (size_t)ho_tensor_count(tensor) * sizeof(ho_real);
}

bool ho_tensor_same_shape(const ho_tensor *a, const ho_tensor *b) {
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0;
}

const char *ho_tensor_shape_text(const ho_tensor *tensor) {
    enum { TEXTS = 8, LENGTH = 128 };
    static _Thread_local char texts[TEXTS][LENGTH];
    static _Thread_local int next = 0;
    char *text = texts[next];
    next = (next + 1) % TEXTS;
    int used = snprintf(text, LENGTH, "(");
    for (int i = 0; i < tensor->rank; ++i) {
        used += snprintf(text + used, (size_t)(LENGTH - used), i == 0 ? "%lld" : ", %lld", (long long)tensor->dim[i]);
    }
    snprintf(text + used, (size_t)(LENGTH - used), ")");
    return text;
}

ho_status ho_tensor_new(ho_context *context, int rank, const int64_t *dim, ho_tensor **tensor) {
    HO_REQUIRE(rank >= 0 && rank <= HO_MAX_RANK, "a tensor has at most %d dimensions, not %d", HO_MAX_RANK, rank);
    void *memory = NULL;
    HO_TRY(ho_host_scratch(context, sizeof **tensor, &memory));
    ho_tensor *made = memory;
    made->rank = rank;
    for (int i = 0; i < rank; ++i) {
        HO_REQUIRE(dim[i] >= 0, "dimension %d of a tensor is %lld", i, (long long)dim[i]);
        made->dim[i] = dim[i];
    }
    HO_TRY(ho_scratch(context, ho_tensor_count(made), &made->data));
    *tensor = made;
    return HO_OK;
}

ho_status ho_tensor_like(ho_context *context, const ho_tensor *model, ho_tensor **tensor) {
    return ho_tensor_new(context, model->rank, model->dim, tensor);
}

void ho_tensor_release(ho_context *context, ho_tensor *tensor) {
    if (tensor == NULL || context->recording) {
        return;
    }
    ho_scratch_free(context, tensor->data);
    tensor->data = NULL;
}

#ifdef HO_REAL_DOUBLE

static ho_status upload_floats(ho_device *device, ho_real *to, const float *host, int64_t count) {
    ho_real *wide = malloc((size_t)(count + 1) * sizeof *wide);
    if (wide == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %lld numbers", (long long)count);
    }
    for (int64_t i = 0; i < count; ++i) {
        wide[i] = host[i];
    }
    const ho_status status = ho_device_upload(device, to, wide, (size_t)count * sizeof *wide);
    free(wide);
    return status;
}

static ho_status download_floats(ho_device *device, float *host, const ho_real *from, int64_t count) {
    ho_real *wide = malloc((size_t)(count + 1) * sizeof *wide);
    if (wide == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %lld numbers", (long long)count);
    }
    const ho_status status = ho_device_download(device, wide, from, (size_t)count * sizeof *wide);
    for (int64_t i = 0; i < count && status == HO_OK; ++i) {
        host[i] = (float)wide[i];
    }
    free(wide);
    return status;
}

#else

static ho_status upload_floats(ho_device *device, ho_real *to, const float *host, int64_t count) {
    return ho_device_upload(device, to, host, (size_t)count * sizeof *host);
}

static ho_status download_floats(ho_device *device, float *host, const ho_real *from, int64_t count) {
    return ho_device_download(device, host, from, (size_t)count * sizeof *host);
}

#endif

ho_status ho_tensor_set_host(ho_context *context, ho_tensor *tensor, const float *host) {
    return upload_floats(context->device, tensor->data, host, ho_tensor_count(tensor));
}

ho_status ho_tensor_from_host(ho_context *context, const float *host, int rank, const int64_t *dim,
                              ho_tensor **tensor) {
    HO_TRY(ho_tensor_new(context, rank, dim, tensor));
    return ho_tensor_set_host(context, *tensor, host);
}

ho_status ho_tensor_to_host(ho_context *context, const ho_tensor *tensor, float *host) {
    return download_floats(context->device, host, tensor->data, ho_tensor_count(tensor));
}

ho_status ho_tensor_grad_to_host(ho_context *context, const ho_tensor *tensor, float *host) {
    const int64_t count = ho_tensor_count(tensor);
    if (!tensor->has_grad) {
        memset(host, 0, (size_t)count * sizeof *host);
        return HO_OK;
    }
    return download_floats(context->device, host, tensor->grad, count);
}

ho_status ho_tensor_scalar(ho_context *context, const ho_tensor *tensor, double *value) {
    HO_REQUIRE(ho_tensor_count(tensor) == 1, "a tensor of shape %s is not one number", ho_tensor_shape_text(tensor));
    ho_real number = 0;
    HO_TRY(ho_device_download(context->device, &number, tensor->data, sizeof number));
    *value = (double)number;
    return HO_OK;
}
