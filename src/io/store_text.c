/* Text in a store: lists of strings, and the attributes of the root group. Strings are variable-length UTF-8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

static hid_t text_type(void) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

ho_status ho_store_write_strings(ho_store *store, const char *name, int n, const char *const *strings) {
    ho_h5_quiet();
    const hid_t type = text_type();
    hid_t set = -1;
    ho_status status = ho_store_make(store, name, type, 1, (const int64_t[]){n}, &set);
    if (status == HO_OK && n > 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, (const void *)strings) < 0) {
        status = HO_H5_FAIL(store, name, "cannot be written");
    }
    if (ho_h5_release(set) < 0 && status == HO_OK) {
        status = HO_H5_FAIL(store, name, "cannot be written");
    }
    ho_h5_release(type);
    return status;
}

/* Copies n strings into one block: the pointers first, then the characters. HDF5 gives NULL for an empty string. */
static char **pack_strings(int n, char *const *strings) {
    size_t bytes = sizeof(char *) * ((size_t)n + 1);
    for (int i = 0; i < n; i++) {
        bytes += (strings[i] != NULL ? strlen(strings[i]) : 0) + 1;
    }
    char **packed = malloc(bytes);
    if (packed == NULL) {
        return NULL;
    }
    char *at = (char *)(packed + n + 1);
    for (int i = 0; i < n; i++) {
        const char *text = strings[i] != NULL ? strings[i] : "";
        const size_t size = strlen(text) + 1;
        memcpy(at, text, size);
        packed[i] = at;
        at += size;
    }
    packed[n] = NULL;
    return packed;
}

static ho_status read_strings(ho_store *store, const char *name, hid_t set, int *n, char ***strings) {
    HO_TRY(ho_store_check_promise(store, name, set));
    const hid_t space = H5Dget_space(set), stored = H5Dget_type(set), type = text_type();
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    char **raw = calloc((size_t)(count > 0 ? count : 0) + 1, sizeof *raw);
    ho_status status = HO_OK;
    if (H5Sget_simple_extent_ndims(space) != 1 || H5Tis_variable_str(stored) <= 0 || count > INT32_MAX) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                         "%s: data set '%s' is not a list of strings (one dimension, variable-length text)",
                         store->path, name);
    } else if (raw == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "%s: data set '%s': no memory for %lld strings", store->path,
                         name, (long long)count);
    } else {
        /* The stored type keeps its character set (ASCII in some files); HDF5 does not convert between the two. */
        H5Tset_cset(type, H5Tget_cset(stored));
        if (count > 0 && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, (void *)raw) < 0) {
            status = HO_H5_FAIL(store, name, "cannot be read (incomplete or damaged?)");
        } else {
            *n = (int)count;
            *strings = pack_strings((int)count, raw);
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, (void *)raw);
            if (*strings == NULL) {
                status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "%s: data set '%s': no memory for %lld strings",
                                 store->path, name, (long long)count);
            }
        }
    }
    free((void *)raw);
    ho_h5_release(type);
    ho_h5_release(stored);
    ho_h5_release(space);
    return status;
}

ho_status ho_store_read_strings(ho_store *store, const char *name, int *n, char ***strings) {
    *n = 0;
    *strings = NULL;
    HO_TRY(ho_store_usable(store, false));
    H5O_type_t kind = H5O_TYPE_UNKNOWN;
    if (!ho_store_find(store, name, &kind) || kind != H5O_TYPE_DATASET) {
        HO_FAIL(HO_EFORMAT, "%s has no data set '%s'", store->path, name);
    }
    const hid_t set = H5Dopen2(store->file, name, H5P_DEFAULT);
    if (set < 0) {
        return HO_H5_FAIL(store, name, "cannot be opened");
    }
    const ho_status status = read_strings(store, name, set, n, strings);
    ho_h5_release(set);
    return status;
}

/* ---- attributes -----------------------------------------------------------------------------------------------------
 */

static ho_status attribute_failed(ho_store *store, const char *key, const char *what) {
    char place[256];
    snprintf(place, sizeof place, "attribute '%s' %s", key, what);
    return HO_H5_FAIL(store, NULL, place);
}

/* Replaces an attribute of that name. */
static ho_status write_attribute(ho_store *store, const char *key, hid_t type, hid_t host, const void *value) {
    HO_TRY(ho_store_usable(store, true));
    if (H5Aexists(store->file, key) > 0 && H5Adelete(store->file, key) < 0) {
        return attribute_failed(store, key, "cannot be replaced");
    }
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(store->file, key, type, space, H5P_DEFAULT, H5P_DEFAULT);
    ho_status status = HO_OK;
    if (attribute < 0 || H5Awrite(attribute, host, value) < 0) {
        status = attribute_failed(store, key, "cannot be written");
    }
    ho_h5_release(attribute);
    ho_h5_release(space);
    return status;
}

ho_status ho_store_set_text(ho_store *store, const char *key, const char *text) {
    ho_h5_quiet();
    const hid_t type = text_type();
    const ho_status status = write_attribute(store, key, type, type, (const void *)&text);
    ho_h5_release(type);
    return status;
}

ho_status ho_store_set_number(ho_store *store, const char *key, double number) {
    ho_h5_quiet();
    return write_attribute(store, key, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &number);
}

bool ho_store_has_attribute(ho_store *store, const char *key) {
    ho_h5_quiet();
    return store->file >= 0 && H5Aexists(store->file, key) > 0;
}

static ho_status open_attribute(ho_store *store, const char *key, hid_t *attribute) {
    HO_TRY(ho_store_usable(store, false));
    if (H5Aexists(store->file, key) <= 0) {
        HO_FAIL(HO_EFORMAT, "%s has no attribute '%s'", store->path, key);
    }
    *attribute = H5Aopen(store->file, key, H5P_DEFAULT);
    if (*attribute < 0) {
        return attribute_failed(store, key, "cannot be opened");
    }
    return HO_OK;
}

/* Fixed-length text, as other programs write it: padded with zeros or spaces, perhaps not terminated. */
static herr_t read_fixed_text(hid_t attribute, hid_t stored, char *text, size_t size) {
    const size_t length = H5Tget_size(stored);
    char *raw = calloc(length + 1, 1);
    if (raw == NULL) {
        return -1;
    }
    const herr_t got = H5Aread(attribute, stored, raw);
    if (got >= 0) {
        snprintf(text, size, "%s", raw);
    }
    free(raw);
    return got;
}

static herr_t read_variable_text(hid_t attribute, hid_t stored, char *text, size_t size) {
    char *raw = NULL;
    const herr_t got = H5Aread(attribute, stored, (void *)&raw);
    if (got >= 0) {
        snprintf(text, size, "%s", raw != NULL ? raw : "");
    }
    H5free_memory(raw);
    return got;
}

ho_status ho_store_get_text(ho_store *store, const char *key, char *text, size_t size) {
    hid_t attribute = -1;
    HO_TRY(open_attribute(store, key, &attribute));
    const hid_t stored = H5Aget_type(attribute), space = H5Aget_space(attribute);
    ho_status status = HO_OK;
    if (H5Tget_class(stored) != H5T_STRING || H5Sget_simple_extent_npoints(space) != 1) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: attribute '%s' is not a text", store->path, key);
    } else {
        const herr_t got = H5Tis_variable_str(stored) > 0 ? read_variable_text(attribute, stored, text, size)
                                                          : read_fixed_text(attribute, stored, text, size);
        status = got < 0 ? attribute_failed(store, key, "cannot be read") : HO_OK;
    }
    ho_h5_release(space);
    ho_h5_release(stored);
    ho_h5_release(attribute);
    return status;
}

ho_status ho_store_get_number(ho_store *store, const char *key, double *number) {
    hid_t attribute = -1;
    HO_TRY(open_attribute(store, key, &attribute));
    const hid_t stored = H5Aget_type(attribute), space = H5Aget_space(attribute);
    const H5T_class_t class = H5Tget_class(stored);
    ho_status status = HO_OK;
    if ((class != H5T_FLOAT && class != H5T_INTEGER) || H5Sget_simple_extent_npoints(space) != 1) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: attribute '%s' is not a number", store->path, key);
    } else if (H5Aread(attribute, H5T_NATIVE_DOUBLE, number) < 0) {
        status = attribute_failed(store, key, "cannot be read");
    }
    ho_h5_release(space);
    ho_h5_release(stored);
    ho_h5_release(attribute);
    return status;
}

ho_status ho_store_check_schema(ho_store *store) {
    double schema = 0.0;
    if (!ho_store_has_attribute(store, "schema")) {
        return HO_OK;
    }
    HO_TRY(ho_store_get_number(store, "schema", &schema));
    if (schema > HO_STORE_SCHEMA) {
        HO_FAIL(HO_EFORMAT, "%s: schema %g is newer than this program, which reads up to %d", store->path, schema,
                (int)HO_STORE_SCHEMA);
    }
    return HO_OK;
}
