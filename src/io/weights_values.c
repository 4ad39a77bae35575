/* The values of a tensor as floats. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "weights_internal.h"

enum { CHUNK = 1 << 20 }; /* bytes; a multiple of every type's size */
static const int64_t MOST_BYTES = (int64_t)1 << 31;

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_half(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const int exponent = half >> 10 & 31;
    const uint32_t fraction = half & 1023;
    if (exponent == 31) {
        return from_bits(sign | 0x7f800000 | fraction << 13);
    }
    if (exponent == 0) {
        const float value = (float)fraction * 0x1p-24F;
        return sign != 0 ? -value : value;
    }
    return from_bits(sign | (uint32_t)(exponent + 112) << 23 | fraction << 13);
}

static float from_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
}

/* The element at `bytes`, which has the lowest byte first. */
static float element(const uint8_t *bytes, ho_weight_type type) {
    const uint64_t bits = ho_little(bytes, ho_weight_type_size(type));
    switch (type) {
    case HO_WEIGHT_F32:
        return from_bits((uint32_t)bits);
    case HO_WEIGHT_F64:
        return from_double(bits);
    case HO_WEIGHT_F16:
        return from_half((uint16_t)bits);
    case HO_WEIGHT_BF16:
        return from_bits((uint32_t)bits << 16);
    case HO_WEIGHT_I8:
        return (float)(int8_t)bits;
    case HO_WEIGHT_I16:
        return (float)(int16_t)bits;
    case HO_WEIGHT_I32:
        return (float)(int32_t)bits;
    case HO_WEIGHT_I64:
        return (float)(int64_t)bits;
    default: /* unsigned bytes and truth values */
        return (float)bits;
    }
}

static void convert(uint8_t *bytes, int64_t n, const ho_weight *t, float *values) {
    const int size = ho_weight_type_size(t->type);
    if (t->type == HO_WEIGHT_F32 && !t->swap) {
        memcpy(values, bytes, (size_t)n * sizeof *values);
        return;
    }
    for (int64_t i = 0; i < n; ++i) {
        uint8_t *at = bytes + i * size;
        for (int b = 0; t->swap && b < size / 2; ++b) {
            const uint8_t kept = at[b];
            at[b] = at[size - 1 - b];
            at[size - 1 - b] = kept;
        }
        values[i] = element(at, t->type);
    }
}

/* n elements from number `first` of the tensor's bytes on. */
static ho_status read_run(ho_weights *w, const ho_weight *t, int64_t first, int64_t n, float *values) {
    const int size = ho_weight_type_size(t->type);
    uint8_t *chunk = malloc(CHUNK);
    ho_status status = HO_OK;
    if (chunk == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to read '%.200s'", w->path, t->name);
    }
    for (int64_t done = 0; status == HO_OK && done < n;) {
        const int64_t now = n - done < CHUNK / size ? n - done : CHUNK / size;
        const int64_t at = t->first + (first + done) * size;
        status = t->member >= 0 ? ho_zip_read(w, t->member, at, now * size, chunk)
                                : ho_source_read(&w->file, at, now * size, chunk);
        if (status == HO_OK) {
            convert(chunk, now, t, values + done);
        }
        done += now;
    }
    free(chunk);
    return status;
}

static bool is_contiguous(const ho_weight *t) {
    ho_weight plain = *t;
    ho_weight_contiguous(&plain);
    for (int i = 0; i < t->rank; ++i) {
        if (t->dim[i] > 1 && t->stride[i] != plain.stride[i]) {
            return false;
        }
    }
    return true;
}

/* Elements of a tensor with other strides, from the run that holds them all. */
static void gather(const ho_weight *t, int64_t count, const float *run, float *values) {
    int64_t index[HO_WEIGHT_RANK] = {0}, at = 0;
    for (int64_t i = 0; i < count; ++i) {
        values[i] = run[at];
        for (int d = t->rank - 1; d >= 0; --d) {
            at += t->stride[d];
            if (++index[d] < t->dim[d]) {
                break;
            }
            at -= t->dim[d] * t->stride[d];
            index[d] = 0;
        }
    }
}

ho_status ho_weights_read(ho_weights *weights, const ho_weight *weight, float *values) {
    const int64_t count = ho_weight_count(weight);
    if (count == 0) {
        return HO_OK;
    }
    if (is_contiguous(weight)) {
        return read_run(weights, weight, weight->offset, count, values);
    }
    int64_t n = 1;
    for (int i = 0; i < weight->rank; ++i) {
        n += (weight->dim[i] - 1) * weight->stride[i];
    }
    if (n > MOST_BYTES / (int64_t)sizeof(float)) {
        HO_FAIL(HO_EFORMAT, "%s: the elements of '%.200s' are strewn over %lld", weights->path, weight->name,
                (long long)n);
    }
    float *run = calloc((size_t)n, sizeof *run);
    if (run == NULL) {
        HO_FAIL(HO_EMEMORY, "%s: no memory to read '%.200s'", weights->path, weight->name);
    }
    const ho_status status = read_run(weights, weight, weight->offset, n, run);
    if (status == HO_OK) {
        gather(weight, count, run, values);
    }
    free(run);
    return status;
}
