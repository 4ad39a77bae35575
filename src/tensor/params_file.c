/* Parameter values in the order that files have: (O, I, k, k) for convolutions, (C, H, W) for the learned constant. */
#include "params.h"

#include <stdlib.h>

/* Memory is (a, b, c, d) and the file (a, d, b, c): (O,k,k,I) <-> (O,I,k,k), and (1,H,W,C) <-> (1,C,H,W). */
static void to_file_order(const ho_real *memory, const int64_t dim[4], float *file) {
    const int64_t pixels = dim[1] * dim[2], C = dim[3];
    for (int64_t o = 0; o < dim[0]; ++o) {
        for (int64_t p = 0; p < pixels; ++p) {
            for (int64_t c = 0; c < C; ++c) {
                file[(o * C + c) * pixels + p] = (float)memory[(o * pixels + p) * C + c];
            }
        }
    }
}

static void from_file_order(const float *file, const int64_t dim[4], ho_real *memory) {
    const int64_t pixels = dim[1] * dim[2], C = dim[3];
    for (int64_t o = 0; o < dim[0]; ++o) {
        for (int64_t p = 0; p < pixels; ++p) {
            for (int64_t c = 0; c < C; ++c) {
                memory[(o * pixels + p) * C + c] = file[(o * C + c) * pixels + p];
            }
        }
    }
}

/* The tensor seen as four dimensions, so that one loop serves every order. */
static void four_dims(const ho_param *param, int64_t dim[4]) {
    const ho_tensor *t = &param->tensor;
    if (param->order == HO_FILE_OIHW && t->rank == 4) {
        for (int i = 0; i < 4; ++i) {
            dim[i] = t->dim[i];
        }
    } else if (param->order == HO_FILE_CHW && t->rank == 3) {
        dim[0] = 1;
        for (int i = 0; i < 3; ++i) {
            dim[i + 1] = t->dim[i];
        }
    } else {
        dim[0] = 1;
        dim[1] = 1;
        dim[2] = 1;
        dim[3] = ho_tensor_count(t);
    }
}

ho_status ho_param_get(ho_params *params, const ho_param *param, float *host) {
    const size_t bytes = ho_tensor_bytes(&param->tensor);
    ho_real *memory = malloc(bytes + sizeof *memory);
    if (memory == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %zu bytes for %s", bytes, param->name);
    }
    const ho_status status = ho_device_download(params->device, memory, param->tensor.data, bytes);
    if (status == HO_OK) {
        int64_t dim[4];
        four_dims(param, dim);
        to_file_order(memory, dim, host);
    }
    free(memory);
    return status;
}

ho_status ho_param_set(ho_params *params, ho_param *param, const float *host) {
    const size_t bytes = ho_tensor_bytes(&param->tensor);
    ho_real *memory = malloc(bytes + sizeof *memory);
    if (memory == NULL) {
        HO_FAIL(HO_EMEMORY, "cannot allocate %zu bytes for %s", bytes, param->name);
    }
    int64_t dim[4];
    four_dims(param, dim);
    from_file_order(host, dim, memory);
    const ho_status status = ho_device_upload(params->device, param->tensor.data, memory, bytes);
    free(memory);
    return status;
}
