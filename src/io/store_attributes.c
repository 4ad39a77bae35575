/* What ho_store_visit leaves out: attributes of the root and lists of strings, for people who look at a file. */
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
