#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hdf5.h>

enum { N_HEAD = 3, N_SAMPLES = 64 };

struct golden {
    hid_t file;
    char name[64];
};

double golden_draw(uint32_t tag, int64_t index) {
    uint32_t h = (uint32_t)index * 0x9E3779B1U + tag * 0x85EBCA77U;
    h ^= h >> 15;
    h *= 0x2C1B3C6DU;
    h ^= h >> 12;
    return (double)(h & 0xFFFFU) / 32768.0 - 1.0;
}

golden *golden_open(const char *name) {
    char path[128];
    golden *file = calloc(1, sizeof *file);
    assert_non_null(file);
    (void)snprintf(path, sizeof path, "tests/golden/%s", name);
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    file->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file->file < 0) {
        fail_msg("%s cannot be opened: run the tests in the repository's root", path);
    }
    return file;
}

void golden_close(golden *file) {
    (void)H5Fclose(file->file);
    free(file);
}

double golden_number(const golden *file, const char *key) {
    double number = NAN;
    const hid_t attribute = H5Aopen(file->file, key, H5P_DEFAULT);
    if (attribute < 0 || H5Aread(attribute, H5T_NATIVE_DOUBLE, &number) < 0) {
        fail_msg("%s: no attribute '%s'", file->name, key);
    }
    (void)H5Aclose(attribute);
    return number;
}

int golden_n_tensors(const golden *file, const char *group) {
    H5G_info_t info = {0};
    assert_true(H5Gget_info_by_name(file->file, group, &info, H5P_DEFAULT) >= 0);
    return (int)info.nlinks;
}

static double *read_set(const golden *file, const char *name, int64_t *n) {
    const hid_t set = H5Dopen2(file->file, name, H5P_DEFAULT);
    if (set < 0) {
        fail_msg("%s: no data set '%s'", file->name, name);
    }
    const hid_t space = H5Dget_space(set);
    *n = (int64_t)H5Sget_simple_extent_npoints(space);
    double *values = malloc((size_t)*n * sizeof *values);
    assert_non_null(values);
    assert_true(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    (void)H5Sclose(space);
    (void)H5Dclose(set);
    return values;
}

/* Fails unless |got - want| <= tolerance * scale; returns the error in units of scale. */
static double check_one(const golden *file, const char *name, const char *what, int64_t at, double got, double want,
                        double scale, double tolerance) {
    const double error = fabs(got - want);
    if (!check_is_finite(got) || !(error <= tolerance * scale)) {
        fail_msg("%s, %s: %s %lld is %.9g, not %.9g: off by %.3g, allowed %.3g", file->name, name, what, (long long)at,
                 got, want, error, tolerance * scale);
    }
    return scale > 0.0 ? error / scale : 0.0;
}

double golden_check(const golden *file, const char *name, double *got, int64_t n_got, double tolerance, double least) {
    int64_t n = 0;
    double *stored = read_set(file, name, &n);
    assert_true(n > N_HEAD);
    const int64_t count = (int64_t)stored[2];
    if (count != n_got || count < 1) {
        fail_msg("%s, %s: %lld elements, not %lld", file->name, name, (long long)n_got, (long long)count);
    }
    double sum = 0.0;
    double abs_sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += got[i];
        abs_sum += fabs(got[i]);
    }
    const bool whole = (double)count <= golden_number(file, "whole");
    const int64_t n_values = whole ? count : N_SAMPLES;
    assert_int_equal(n - N_HEAD, n_values);
    const double all = stored[1] + (double)count * least;
    double worst = check_one(file, name, "sum over", count, sum, stored[0], all, tolerance);
    worst = fmax(worst, check_one(file, name, "sum of |.| over", count, abs_sum, stored[1], all, tolerance));
    for (int64_t k = 0; k < n_values; k++) {
        const int64_t i = whole ? k : (2 * k + 1) * count / (2 * N_SAMPLES);
        const double want = stored[N_HEAD + k];
        const double scale = all / (double)count + fabs(want);
        worst = fmax(worst, check_one(file, name, "element", i, got[i], want, scale, tolerance));
    }
    free(stored);
    free(got);
    return worst;
}

double golden_mean_abs(const golden *file, const char *name) {
    int64_t n = 0;
    double *stored = read_set(file, name, &n);
    const double mean = stored[1] / stored[2];
    free(stored);
    return mean;
}

/* Position in memory of element j of PyTorch's order: rows of `pixels` x C, stored as rows of C x pixels. */
static int64_t memory_index(int64_t j, int64_t pixels, int64_t C) {
    const int64_t row = j / (pixels * C);
    const int64_t c = j / pixels % C;
    return row * pixels * C + j % pixels * C + c;
}

static double *fetch(ho_context *context, const ho_tensor *tensor, const ho_real *data, int64_t rows,
                     bool channels_first) {
    const int64_t count = ho_tensor_count(tensor);
    const int64_t C = channels_first ? tensor->dim[tensor->rank - 1] : 1;
    ho_real *host = calloc((size_t)count, sizeof *host);
    double *values = malloc((size_t)count * sizeof *values);
    assert_non_null(host);
    assert_non_null(values);
    if (data != NULL) {
        CHECK_OK(ho_device_download(ho_context_device(context), host, data, ho_tensor_bytes(tensor)));
    }
    for (int64_t j = 0; j < count; j++) {
        values[j] = (double)host[memory_index(j, count / rows / C, C)];
    }
    free(host);
    return values;
}

double *golden_fetch(ho_context *context, const ho_tensor *tensor, bool gradient, bool channels_first) {
    const ho_real *data = gradient ? (tensor->has_grad ? tensor->grad : NULL) : tensor->data;
    return fetch(context, tensor, data, tensor->rank > 0 ? tensor->dim[0] : 1, channels_first);
}

double *golden_fetch_grad(ho_context *context, const ho_param *param) {
    const ho_tensor *tensor = &param->tensor;
    const int64_t rows = param->order == HO_FILE_OIHW ? tensor->dim[0] : 1;
    return fetch(context, tensor, tensor->has_grad ? tensor->grad : NULL, rows, param->order != HO_FILE_SAME);
}

ho_tensor *golden_tensor(ho_context *context, golden_fill at, const void *user, int rank, const int64_t *dim) {
    ho_tensor *tensor = NULL;
    CHECK_OK(ho_tensor_new(context, rank, dim, &tensor));
    const int64_t count = ho_tensor_count(tensor);
    const int64_t C = rank == 4 ? dim[3] : 1;
    ho_real *host = malloc((size_t)count * sizeof *host);
    assert_non_null(host);
    for (int64_t j = 0; j < count; j++) {
        host[memory_index(j, count / dim[0] / C, C)] = (ho_real)at(user, j);
    }
    CHECK_OK(ho_device_upload(ho_context_device(context), tensor->data, host, ho_tensor_bytes(tensor)));
    free(host);
    return tensor;
}

typedef struct {
    uint32_t tag;
    double amplitude;
} draw_options;

static double draw_at(const void *user, int64_t j) {
    const draw_options *options = user;
    return options->amplitude * golden_draw(options->tag, j);
}

ho_tensor *golden_drawn(ho_context *context, uint32_t tag, double amplitude, int rank, const int64_t *dim) {
    const draw_options options = {tag, amplitude};
    return golden_tensor(context, draw_at, &options, rank, dim);
}
