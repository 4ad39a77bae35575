/* What ho_store_visit leaves out, for people who look at a file: attributes of the root, lists of strings, and what
 * this program does not read. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

enum { TEXT_SIZE = 1 << 16, MOST_NUMBERS = 64 };

typedef struct {
    ho_store *store;
    ho_store_attribute_visitor visit;
    void *user;
    char *text; /* TEXT_SIZE */
    ho_status status;
} visiting;

/* "1, 2.5, 3" of a numeric attribute. */
static ho_status numbers_text(ho_store *store, const char *key, hid_t attribute, hssize_t n, char *text) {
    double numbers[MOST_NUMBERS];
    if (H5Aread(attribute, H5T_NATIVE_DOUBLE, numbers) < 0) {
        HO_FAIL(HO_EFORMAT, "%s: attribute '%s' cannot be read", ho_store_path(store), key);
    }
    size_t used = 0;
    for (hssize_t i = 0; i < n; ++i) {
        used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%.15g", i > 0 ? ", " : "", numbers[i]);
    }
    return HO_OK;
}

static ho_status attribute_text(ho_store *store, const char *key, char *text) {
    const hid_t attribute = H5Aopen(store->file, key, H5P_DEFAULT);
    if (attribute < 0) {
        HO_FAIL(HO_EFORMAT, "%s: attribute '%s' cannot be opened", ho_store_path(store), key);
    }
    const hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    const H5T_class_t class = H5Tget_class(type);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    ho_status status = HO_OK;
    if (class == H5T_STRING && n == 1) {
        status = ho_store_get_text(store, key, text, TEXT_SIZE);
    } else if ((class == H5T_INTEGER || class == H5T_FLOAT) && n > 0 && n <= MOST_NUMBERS) {
        status = numbers_text(store, key, attribute, n, text);
    } else {
        snprintf(text, TEXT_SIZE, "(%lld values)", (long long)n);
    }
    ho_h5_release(space);
    ho_h5_release(type);
    ho_h5_release(attribute);
    return status;
}

static herr_t visit_one(hid_t root, const char *key, const H5A_info_t *about, void *user) {
    (void)root;
    (void)about;
    visiting *state = user;
    state->text[0] = '\0';
    state->status = attribute_text(state->store, key, state->text);
    if (state->status == HO_OK) {
        state->status = state->visit(state->user, key, state->text);
    }
    return state->status == HO_OK ? 0 : 1;
}

ho_status ho_store_visit_attributes(ho_store *store, ho_store_attribute_visitor visit, void *user) {
    HO_TRY(ho_store_usable(store, false));
    visiting state = {store, visit, user, malloc(TEXT_SIZE), HO_OK};
    if (state.text == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory to list the attributes of %s", ho_store_path(store));
    }
    hsize_t at = 0;
    if (H5Aiterate2(store->file, H5_INDEX_NAME, H5_ITER_INC, &at, visit_one, &state) < 0) {
        state.status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: cannot list the attributes", ho_store_path(store));
    }
    free(state.text);
    return state.status;
}

typedef struct {
    ho_strings_visitor visit;
    void *user;
    ho_status status;
} visiting_strings;

static herr_t visit_strings(hid_t root, const char *name, const H5O_info_t *facts, void *user) {
    visiting_strings *state = user;
    if (facts->type != H5O_TYPE_DATASET) {
        return 0;
    }
    const hid_t set = H5Dopen2(root, name, H5P_DEFAULT);
    const hid_t type = set < 0 ? H5I_INVALID_HID : H5Dget_type(set),
                space = set < 0 ? H5I_INVALID_HID : H5Dget_space(set);
    if (type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING) {
        state->status = state->visit(state->user, name, (int64_t)H5Sget_simple_extent_npoints(space));
    }
    ho_h5_release(space);
    ho_h5_release(type);
    ho_h5_release(set);
    return state->status == HO_OK ? 0 : 1;
}

ho_status ho_store_visit_strings(ho_store *store, ho_strings_visitor visit, void *user) {
    HO_TRY(ho_store_usable(store, false));
    visiting_strings state = {visit, user, HO_OK};
    if (H5Ovisit(store->file, H5_INDEX_NAME, H5_ITER_INC, visit_strings, &state) < 0) {
        return HO_H5_FAIL(store, NULL, "cannot list the data sets");
    }
    return state.status;
}

/* ---- what is not read ----------------------------------------------------------------------------------------------
 */

typedef struct {
    ho_other_visitor visit;
    void *user;
    ho_status status;
} visiting_others;

/* h5py writes truth values as an enumeration of FALSE and TRUE. */
static bool is_truth(hid_t type) {
    char *name = H5Tget_nmembers(type) == 2 ? H5Tget_member_name(type, 0) : NULL;
    const bool is = name != NULL && strcmp(name, "FALSE") == 0;
    H5free_memory(name);
    return is;
}

static void type_text(hid_t type, char *text, size_t size) {
    const int bits = (int)(8 * H5Tget_size(type));
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        snprintf(text, size, "%d-bit integer %s sign", bits, H5Tget_sign(type) == H5T_SGN_NONE ? "without" : "with");
        break;
    case H5T_FLOAT:
        snprintf(text, size, "%d-bit float", bits);
        break;
    case H5T_COMPOUND:
        snprintf(text, size, "compound");
        break;
    case H5T_ENUM:
        snprintf(text, size, "%s", is_truth(type) ? "bool" : "enumeration");
        break;
    case H5T_ARRAY:
        snprintf(text, size, "array");
        break;
    case H5T_VLEN:
        snprintf(text, size, "variable length");
        break;
    case H5T_REFERENCE:
        snprintf(text, size, "reference");
        break;
    default:
        snprintf(text, size, "raw bits");
        break;
    }
}

/* "" for a data set that ho_store_visit or ho_store_visit_strings shows. */
static void set_text(hid_t set, char *text, size_t size) {
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    hsize_t dim[H5S_MAX_RANK] = {0};
    const int rank = H5Sget_simple_extent_dims(space, dim, NULL);
    const bool known = ho_store_dtype_of(type) >= 0 || H5Tget_class(type) == H5T_STRING;
    text[0] = '\0';
    if (!known || rank > HO_STORE_RANK) {
        int64_t shown[HO_STORE_RANK];
        char shape[HO_SHAPE_TEXT] = "", name[64];
        for (int i = 0; i < rank && i < HO_STORE_RANK; ++i) {
            shown[i] = (int64_t)dim[i];
        }
        type_text(type, name, sizeof name);
        if (rank <= HO_STORE_RANK) {
            ho_store_shape_text(shape, rank, shown);
        } else {
            snprintf(shape, sizeof shape, "of %d dimensions", rank);
        }
        snprintf(text, size, "%s %s", name, shape);
    }
    ho_h5_release(space);
    ho_h5_release(type);
}

/* What a name stands for, in words; "" for what the other visitors show and for groups that have members. */
static void entry_text(hid_t root, const char *name, const H5L_info_t *link, char *text, size_t size) {
    text[0] = '\0';
    if (link->type != H5L_TYPE_HARD) {
        const char *kind = link->type == H5L_TYPE_SOFT ? "link" : "link to another file";
        const bool leads = H5Oexists_by_name(root, name, H5P_DEFAULT) > 0;
        snprintf(text, size, "%s%s", kind, leads ? "" : " that leads nowhere");
        return;
    }
    const hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    const H5I_type_t kind = H5Iget_type(object);
    H5G_info_t members = {0};
    if (kind == H5I_DATASET) {
        set_text(object, text, size);
    } else if (kind == H5I_GROUP && H5Gget_info(object, &members) >= 0 && members.nlinks == 0) {
        snprintf(text, size, "empty group");
    } else if (kind == H5I_DATATYPE) {
        snprintf(text, size, "named type");
    } else if (kind != H5I_GROUP) {
        snprintf(text, size, "cannot be opened");
    }
    ho_h5_release(object);
}

static herr_t visit_other(hid_t root, const char *name, const H5L_info_t *link, void *user) {
    visiting_others *state = user;
    char text[HO_SHAPE_TEXT + 80];
    entry_text(root, name, link, text, sizeof text);
    H5Eclear2(H5E_DEFAULT);
    if (text[0] != '\0') {
        state->status = state->visit(state->user, name, text);
    }
    return state->status == HO_OK ? 0 : 1;
}

ho_status ho_store_visit_others(ho_store *store, ho_other_visitor visit, void *user) {
    HO_TRY(ho_store_usable(store, false));
    visiting_others state = {visit, user, HO_OK};
    if (H5Lvisit(store->file, H5_INDEX_NAME, H5_ITER_INC, visit_other, &state) < 0) {
        return HO_H5_FAIL(store, NULL, "cannot list the entries");
    }
    return state.status;
}
