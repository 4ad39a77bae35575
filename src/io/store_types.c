/* The element types of a store: in the file, on the host, and the conversion to half precision. */
#include <pthread.h>
#include <string.h>

#include "store_internal.h"

const char *ho_store_dtype_name(ho_dtype dtype) {
    static const char *const NAME[] = {"u8", "i32", "i64", "f16", "f32", "f64"};
    return NAME[dtype];
}

/* IEEE 754 half precision: 1 sign, 5 exponent (bias 15), 10 mantissa bits, as h5py and NumPy write it. */
static hid_t half_type(void) {
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

/* Rounds to nearest even. Normal numbers: the exponent's bias changes from 127 to 15 and 13 mantissa bits are rounded
 * off, all in whole numbers, so that a carry runs into the exponent as it should. Subnormal halves are multiples of
 * 2^-24: adding 0.5 makes the float unit round to just that. */
static uint16_t to_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    uint32_t half;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00; /* NaN */
    } else if (magnitude >= 0x477ff000u) {
        half = 0x7c00; /* 65520 and more: infinity */
    } else if (magnitude >= 0x38800000u) {
        half = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    } else {
        float shifted;
        memcpy(&shifted, &magnitude, sizeof shifted);
        shifted += 0.5f;
        memcpy(&half, &shifted, sizeof half);
        half -= 0x3f000000u; /* the bits of 0.5f */
    }
    return (uint16_t)(sign | half);
}

static float from_half(uint16_t half) {
    const uint32_t exponent = half >> 10 & 31u, mantissa = half & 1023u;
    uint32_t bits;
    float value;
    if (exponent == 0) {
        value = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
    } else {
        bits = (exponent == 31 ? 255u : exponent + 112u) << 23 | mantissa << 13;
    }
    bits |= (uint32_t)(half & 0x8000u) << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* float <-> half in HDF5's conversion buffer, in place. HDF5 1.10's own conversion halves values that round up from the
 * largest subnormal to the smallest normal number, and is slower. */
static herr_t convert_half(hid_t from, hid_t to, H5T_cdata_t *data, size_t n, size_t stride, size_t background_stride,
                           void *buffer, void *background, hid_t properties) {
    (void)to, (void)background_stride, (void)background, (void)properties;
    if (data->command != H5T_CONV_CONV) {
        data->need_bkg = H5T_BKG_NO;
        return 0;
    }
    char *bytes = buffer;
    uint16_t half;
    float single;
    const size_t half_step = stride != 0 ? stride : sizeof half, float_step = stride != 0 ? stride : sizeof single;
    if (H5Tget_size(from) == sizeof single) {
        for (size_t i = 0; i < n; i++) {
            memcpy(&single, bytes + i * float_step, sizeof single);
            half = to_half(single);
            memcpy(bytes + i * half_step, &half, sizeof half);
        }
    } else {
        for (size_t i = n; i-- > 0;) { /* the results are larger: from the end, so that none covers a value to come */
            memcpy(&half, bytes + i * half_step, sizeof half);
            single = from_half(half);
            memcpy(bytes + i * float_step, &single, sizeof single);
        }
    }
    return 0;
}

static void register_half(void) {
    const hid_t half = half_type();
    H5Tregister(H5T_PERS_HARD, "float to half", H5T_NATIVE_FLOAT, half, convert_half);
    H5Tregister(H5T_PERS_HARD, "half to float", half, H5T_NATIVE_FLOAT, convert_half);
    H5Tclose(half);
}

void ho_h5_register_half(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_half);
}

hid_t ho_store_file_type(ho_dtype dtype) {
    switch (dtype) {
    case HO_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case HO_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case HO_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case HO_F16:
        return half_type();
    case HO_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    default:
        return H5Tcopy(H5T_IEEE_F64LE);
    }
}

hid_t ho_store_host_type(ho_dtype dtype) {
    switch (dtype) {
    case HO_U8:
        return H5T_NATIVE_UINT8;
    case HO_I32:
        return H5T_NATIVE_INT32;
    case HO_I64:
        return H5T_NATIVE_INT64;
    case HO_F64:
        return H5T_NATIVE_DOUBLE;
    default:
        return H5T_NATIVE_FLOAT;
    }
}

int ho_store_dtype_of(hid_t type) {
    const size_t size = H5Tget_size(type);
    const H5T_class_t class = H5Tget_class(type);
    if (class == H5T_FLOAT) {
        return size == 2 ? HO_F16 : size == 4 ? HO_F32 : size == 8 ? HO_F64 : -1;
    }
    if (class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_NONE) {
        return size == 1 ? HO_U8 : -1;
    }
    if (class == H5T_INTEGER) {
        return size == 4 ? HO_I32 : size == 8 ? HO_I64 : -1;
    }
    return -1;
}

bool ho_store_readable_as(ho_dtype stored, ho_dtype wanted) {
    return stored >= HO_F16 ? wanted >= HO_F16 : wanted < HO_F16 && stored <= wanted;
}
