/* libFuzzer target: HDF5 files that the library itself wrote, of any content. The input is a program: each step makes
 * an attribute, a data set or a link under one of the names that our readers ask for, of any type, shape and layout.
 * The library reads such a file soundly, so that whatever goes wrong is ours (fuzz_hdf5_bytes.c damages files). */
#include <hdf5.h>

#include "fuzz_hdf5_read.h"

enum { STEPS = 12, MOST_RANK = 8, ROOM = 1 << 12 };

typedef struct {
    const uint8_t *at;
    size_t left;
} program;

static int next(program *p) {
    if (p->left == 0) {
        return 0;
    }
    p->left--;
    return *p->at++;
}

static hid_t text_of(int size) {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size == 0 ? H5T_VARIABLE : (size_t)size);
    return type;
}

static hid_t compound(hid_t member) {
    const hid_t type = H5Tcreate(H5T_COMPOUND, 16);
    H5Tinsert(type, "a", 0, member);
    return type;
}

static hid_t truth(void) {
    const hid_t type = H5Tenum_create(H5T_NATIVE_INT8);
    const int8_t values[2] = {0, 1};
    H5Tenum_insert(type, "FALSE", values);
    H5Tenum_insert(type, "TRUE", values + 1);
    return type;
}

static hid_t half(void) {
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

static hid_t make_type(int code) {
    const hid_t plain[] = {H5T_STD_U8LE,   H5T_STD_U8BE,    H5T_STD_I8LE,   H5T_STD_U16LE,  H5T_STD_I32LE,
                           H5T_STD_I32BE,  H5T_STD_U32LE,   H5T_STD_I64LE,  H5T_STD_I64BE,  H5T_STD_U64LE,
                           H5T_IEEE_F32LE, H5T_IEEE_F32BE,  H5T_IEEE_F64LE, H5T_IEEE_F64BE, H5T_NATIVE_LDOUBLE,
                           H5T_STD_B8LE,   H5T_STD_REF_OBJ, H5T_UNIX_D32LE};
    const int n = (int)(sizeof plain / sizeof *plain);
    switch (code % 32) {
    case 18:
        return half();
    case 19:
        return compound(H5T_NATIVE_INT);
    case 20:
        return truth();
    case 21:
        return H5Tarray_create2(H5T_NATIVE_INT, 1, (const hsize_t[]){3});
    case 22:
        return H5Tvlen_create(H5T_NATIVE_INT);
    case 23:
        return H5Tcreate(H5T_OPAQUE, 7);
    case 24:
    case 25:
    case 26:
        return text_of(0);
    default:
        return code % 32 < n ? H5Tcopy(plain[code % 32]) : text_of(code % 32 - 26);
    }
}

/* Sides of 0 to 6; of a data set also enormous ones (the library allocates what an attribute promises). */
static hid_t make_space(program *p, bool attribute, int *rank, hsize_t dim[MOST_RANK]) {
    const int shape = next(p);
    *rank = shape % (MOST_RANK + 2);
    if (*rank == 0) {
        return H5Screate(H5S_SCALAR);
    }
    if (*rank == MOST_RANK + 1) {
        *rank = -1;
        return H5Screate(H5S_NULL);
    }
    for (int i = 0; i < *rank; i++) {
        const int side = next(p);
        dim[i] = side < 240 || attribute ? (hsize_t)(side % 7) : (hsize_t)1 << (side - 240) * 3;
    }
    return H5Screate_simple(*rank, dim, NULL);
}

/* Values for `type`: text where it is text of any length, else the program's own bytes. NULL: more than there is room
 * for. */
static void *make_values(program *p, hid_t type, hid_t space) {
    static uint8_t bytes[ROOM];
    static char text[8][8];
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const size_t size = H5Tget_size(type);
    if (n < 0 || n > ROOM || (size_t)n * size > ROOM || H5Tget_class(type) == H5T_VLEN ||
        H5Tget_class(type) == H5T_REFERENCE) {
        return NULL;
    }
    if (H5Tis_variable_str(type) > 0) {
        for (int i = 0; i < 8; i++) {
            for (int c = 0; c < 7; c++) {
                text[i][c] = (char)next(p);
            }
        }
        for (hssize_t i = 0; i < n; i++) {
            ((char **)(void *)bytes)[i] = i % 9 == 8 ? NULL : text[i % 9];
        }
        return bytes;
    }
    const int pattern = next(p);
    for (size_t i = 0; i < (size_t)n * size; i++) {
        bytes[i] = (uint8_t)(p->left > 0 && pattern % 2 == 0 ? next(p) : pattern);
    }
    return bytes;
}

static hid_t make_layout(program *p, int rank) {
    const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    const int kind = next(p);
    hsize_t chunk[MOST_RANK];
    for (int i = 0; i < rank; i++) {
        chunk[i] = 1 + (hsize_t)(kind / 8 % 3);
    }
    if (kind % 4 == 1 && rank > 0) {
        H5Pset_chunk(layout, rank, chunk);
        if (kind % 8 == 5) {
            H5Pset_shuffle(layout);
            H5Pset_deflate(layout, 1);
        }
    } else if (kind % 4 == 2) {
        H5Pset_layout(layout, H5D_COMPACT);
    } else if (kind % 16 == 3) {
        H5Pset_external(layout, "/dev/zero", 0, H5F_UNLIMITED);
    }
    return layout;
}

static void make_item(program *p, hid_t file, const char *name, bool attribute) {
    hsize_t dim[MOST_RANK];
    int rank = 0;
    const hid_t type = make_type(next(p)), space = make_space(p, attribute, &rank, dim),
                links = H5Pcreate(H5P_LINK_CREATE);
    const hid_t layout = make_layout(p, rank);
    H5Pset_create_intermediate_group(links, 1);
    const hid_t made = attribute ? H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT)
                                 : H5Dcreate2(file, name, type, space, links, layout, H5P_DEFAULT);
    const bool filled = next(p) % 8 != 7;
    void *values = made >= 0 && filled ? make_values(p, type, space) : NULL;
    if (values != NULL && attribute) {
        H5Awrite(made, type, values);
    } else if (values != NULL) {
        H5Dwrite(made, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    }
    if (made >= 0) {
        H5Idec_ref(made);
    }
    H5Pclose(layout);
    H5Pclose(links);
    H5Sclose(space);
    H5Tclose(type);
}

static void make_link(program *p, hid_t file, const char *name) {
    const char *to = FUZZ_NAME[next(p) % FUZZ_NAMES];
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    switch (next(p) % 5) {
    case 0:
        H5Lcreate_soft(to, file, name, links, H5P_DEFAULT);
        break;
    case 1:
        H5Lcreate_hard(file, "/", file, name, links, H5P_DEFAULT);
        break;
    case 2:
        H5Lcreate_external(FUZZ_HDF5, to, file, name, links, H5P_DEFAULT);
        break;
    case 3:
        H5Lcreate_hard(file, to, file, name, links, H5P_DEFAULT);
        break;
    default: {
        const hid_t group = H5Gcreate2(file, name, links, H5P_DEFAULT, H5P_DEFAULT);
        if (group >= 0) {
            H5Gclose(group);
        }
    }
    }
    H5Pclose(links);
}

static void make_file(program *p) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_libver_bounds(access, next(p) % 2 == 0 ? H5F_LIBVER_EARLIEST : H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    const hid_t file = H5Fcreate(FUZZ_HDF5, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    for (int step = 0; step < STEPS && p->left > 0 && file >= 0; step++) {
        const int what = next(p);
        const char *name = FUZZ_NAME[next(p) % FUZZ_NAMES];
        if (what % 8 < 7) {
            make_item(p, file, name, what % 8 < 2);
        } else {
            make_link(p, file, name);
        }
    }
    if (file >= 0) {
        H5Fclose(file);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool made = false;
    program p = {data, size};
    if (!made) {
        H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
        fuzz_make_folders(FUZZ_HDF5);
        made = true;
    }
    make_file(&p);
    fuzz_read_hdf5(FUZZ_HDF5);
    return 0;
}
