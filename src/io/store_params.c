/* The parameters of a network as data sets, one per tensor, in the order of axes that the field's viewers expect. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

enum { NAME_SIZE = 256 };

/* The shape in the file: ho_param_get and ho_param_set order the values to match (params.h). */
static void file_shape(const ho_param *param, int64_t dim[HO_MAX_RANK]) {
    const ho_tensor *tensor = &param->tensor;
    memcpy(dim, tensor->dim, sizeof tensor->dim);
    /* (O, k, k, I) -> (O, I, k, k) and (H, W, C) -> (C, H, W): the last axis moves before the two spatial ones. */
    const int first = param->order == HO_FILE_OIHW ? 1 : 0;
    if (param->order != HO_FILE_SAME && tensor->rank == first + 3) {
        dim[first] = tensor->dim[first + 2];
        dim[first + 1] = tensor->dim[first];
        dim[first + 2] = tensor->dim[first + 1];
    }
}

static ho_status full_name(const ho_store *store, const char *prefix, const ho_param *param, char name[NAME_SIZE]) {
    if (snprintf(name, NAME_SIZE, "%s%s", prefix, param->name) >= NAME_SIZE) {
        HO_FAIL(HO_EFORMAT, "%s: the name '%s%s' is longer than %d characters", ho_store_path(store), prefix,
                param->name, NAME_SIZE - 1);
    }
    return HO_OK;
}

/* Host memory for the largest tensor. */
static ho_status new_buffer(const ho_params *params, float **buffer) {
    int64_t most = 1;
    for (int i = 0; i < ho_params_n(params); i++) {
        const int64_t count = ho_tensor_count(&ho_params_at(params, i)->tensor);
        most = count > most ? count : most;
    }
    *buffer = malloc((size_t)most * sizeof **buffer);
    if (*buffer == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a tensor of %lld values on its way between file and device",
                (long long)most);
    }
    return HO_OK;
}

static ho_status write_one(ho_store *store, const char *prefix, ho_params *params, const ho_param *param,
                           float *buffer) {
    char name[NAME_SIZE];
    int64_t dim[HO_MAX_RANK];
    HO_TRY(full_name(store, prefix, param, name));
    HO_TRY(ho_param_get(params, param, buffer));
    file_shape(param, dim);
    return ho_store_write(store, name, HO_F32, param->tensor.rank, dim, buffer);
}

ho_status ho_store_write_params(ho_store *store, const char *prefix, ho_params *params) {
    float *buffer = NULL;
    HO_TRY(new_buffer(params, &buffer));
    ho_status status = HO_OK;
    for (int i = 0; status == HO_OK && i < ho_params_n(params); i++) {
        status = write_one(store, prefix, params, ho_params_at(params, i), buffer);
    }
    free(buffer);
    return status;
}

/* Says in `text` why the tensor cannot be loaded; leaves it empty when it can. */
static ho_status compare_one(ho_store *store, const char *name, const ho_param *param, char *text, size_t size) {
    char expected[HO_SHAPE_TEXT], found[HO_SHAPE_TEXT];
    int64_t dim[HO_MAX_RANK];
    const int rank = param->tensor.rank;
    text[0] = '\0';
    file_shape(param, dim);
    ho_store_shape_text(expected, rank, dim);
    if (!ho_store_has(store, name)) {
        snprintf(text, size, "'%s' of shape %s is missing", name, expected);
        return HO_OK;
    }
    ho_store_info info;
    HO_TRY(ho_store_info_of(store, name, &info));
    bool same = info.rank == rank;
    for (int i = 0; same && i < rank; i++) {
        same = info.dim[i] == dim[i];
    }
    if (!same) {
        snprintf(text, size, "'%s' has the shape %s, expected %s", name,
                 ho_store_shape_text(found, info.rank, info.dim), expected);
    } else if (info.dtype < HO_F16) {
        snprintf(text, size, "'%s' holds whole numbers, expected floats", name);
    }
    return HO_OK;
}

/* Names and shapes of all tensors are looked at before the first is changed, so that the file of another network leaves
 * this one as it was. */
static ho_status check_all(ho_store *store, const char *prefix, const ho_params *params) {
    char name[NAME_SIZE], text[3 * NAME_SIZE], first[3 * NAME_SIZE] = "";
    int n_wrong = 0;
    const int n = ho_params_n(params);
    for (int i = 0; i < n; i++) {
        const ho_param *param = ho_params_at(params, i);
        HO_TRY(full_name(store, prefix, param, name));
        HO_TRY(compare_one(store, name, param, text, sizeof text));
        if (text[0] != '\0' && n_wrong++ == 0) {
            memcpy(first, text, sizeof first);
        }
    }
    if (n_wrong > 0) {
        HO_FAIL(HO_EFORMAT, "%s does not fit the network: %s (%d of %d tensors are missing or differ)",
                ho_store_path(store), first, n_wrong, n);
    }
    return HO_OK;
}

/* One number that is not finite makes every later result so, far from its cause. */
static ho_status check_finite(const ho_store *store, const char *name, int64_t n, const float *values) {
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            HO_FAIL(HO_EFORMAT,
                    "%s: '%s' holds %g as value %lld of %lld: the file is damaged, or the training that wrote it "
                    "diverged; make the file again",
                    ho_store_path(store), name, (double)values[i], (long long)i, (long long)n);
        }
    }
    return HO_OK;
}

static ho_status read_one(ho_store *store, const char *prefix, ho_params *params, ho_param *param, float *buffer) {
    char name[NAME_SIZE];
    int64_t dim[HO_MAX_RANK];
    HO_TRY(full_name(store, prefix, param, name));
    file_shape(param, dim);
    HO_TRY(ho_store_read(store, name, HO_F32, param->tensor.rank, dim, buffer));
    HO_TRY(check_finite(store, name, ho_tensor_count(&param->tensor), buffer));
    return ho_param_set(params, param, buffer);
}

ho_status ho_store_read_params(ho_store *store, const char *prefix, ho_params *params) {
    HO_TRY(check_all(store, prefix, params));
    float *buffer = NULL;
    HO_TRY(new_buffer(params, &buffer));
    ho_status status = HO_OK;
    for (int i = 0; status == HO_OK && i < ho_params_n(params); i++) {
        status = read_one(store, prefix, params, ho_params_at(params, i), buffer);
    }
    free(buffer);
    return status;
}

ho_status ho_store_read_fitting_params(ho_store *store, const char *prefix, ho_params *params, int *n_read) {
    char name[NAME_SIZE], why[3 * NAME_SIZE];
    float *buffer = NULL;
    HO_TRY(new_buffer(params, &buffer));
    ho_status status = HO_OK;
    *n_read = 0;
    for (int i = 0; status == HO_OK && i < ho_params_n(params); i++) {
        ho_param *param = ho_params_at(params, i);
        status = full_name(store, prefix, param, name);
        status = status == HO_OK ? compare_one(store, name, param, why, sizeof why) : status;
        if (status == HO_OK && why[0] == '\0') {
            status = read_one(store, prefix, params, param, buffer);
            ++*n_read;
        }
    }
    free(buffer);
    return status;
}
