/* NumPy's .npy as values: label maps and latents. Layout: magic, version, length of the header, a Python dict as text,
 * the elements, either the last index fastest (C) or the first (Fortran). */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats.h"
#include "source.h"

typedef struct {
    const char *path;
    FILE *file;
    char kind; /* b, i, u, f */
    int bytes; /* of an element */
    bool fortran;
    int rank;
    int64_t dim[4], n;
} array;

static const char *value_of(const char *header, const char *key) {
    const char *at = strstr(header, key);
    at = at != NULL ? at + strlen(key) : NULL;
    while (at != NULL && (*at == ' ' || *at == ':')) {
        ++at;
    }
    return at;
}

static ho_status parse_shape(array *a, const char *at) {
    a->n = 1;
    for (++at; *at != ')';) {
        char *end = NULL;
        if (!isdigit((unsigned char)*at) || a->rank == 4) {
            HO_FAIL(HO_EFORMAT, "%s: its shape has more than 4 numbers or something else", a->path);
        }
        a->dim[a->rank] = strtoll(at, &end, 10);
        if (a->dim[a->rank] < 1 || a->dim[a->rank] > 1 << 28 || a->n > (INT64_C(1) << 31) / a->dim[a->rank]) {
            HO_FAIL(HO_EFORMAT, "%s: its shape is empty or has more than 2^31 elements", a->path);
        }
        a->n *= a->dim[a->rank++];
        for (at = end; *at == ',' || *at == ' ';) {
            ++at;
        }
    }
    return HO_OK;
}

static ho_status parse_header(array *a, const char *header) {
    const char *descr = value_of(header, "'descr'"), *order = value_of(header, "'fortran_order'");
    const char *shape = value_of(header, "'shape'");
    if (descr == NULL || *descr != '\'' || strnlen(descr, 5) < 5 || order == NULL || shape == NULL || *shape != '(') {
        HO_FAIL(HO_EFORMAT, "%s: not a sound NumPy array: its header lacks descr, fortran_order or shape", a->path);
    }
    a->kind = descr[2];
    a->bytes = descr[3] - '0';
    a->fortran = strncmp(order, "True", 4) == 0;
    if (descr[1] == '>' || strchr("biuf", a->kind) == NULL || descr[4] != '\'' ||
        (a->bytes != 1 && a->bytes != 2 && a->bytes != 4 && a->bytes != 8) || (a->kind == 'f' && a->bytes < 4)) {
        HO_FAIL(HO_EFORMAT, "%s: elements of type '%.4s'; whole numbers or floats of this machine's order are expected",
                a->path, descr + 1);
    }
    return parse_shape(a, shape);
}

static ho_status read_header(array *a) {
    uint8_t head[12];
    if (fread(head, 1, 10, a->file) != 10 || memcmp(head, "\x93NUMPY", 6) != 0 || head[6] < 1 || head[6] > 3) {
        HO_FAIL(HO_EFORMAT, "%s: not a NumPy array (.npy)", a->path);
    }
    if (head[6] > 1 && fread(head + 10, 1, 2, a->file) != 2) {
        HO_FAIL(HO_EFORMAT, "%s: the file is cut off", a->path);
    }
    const size_t n = (size_t)ho_little(head + 8, head[6] == 1 ? 2 : 4);
    char *header = n <= 65535 ? calloc(n + 1, 1) : NULL;
    ho_status status;
    if (header == NULL || fread(header, 1, n, a->file) != n) {
        status =
            ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: its header is cut off or of more than 65535 bytes", a->path);
    } else {
        status = parse_header(a, header);
    }
    free(header);
    return status;
}

/* What the header promises must be there before memory is taken for it. */
static ho_status check_length(const array *a) {
    struct stat info;
    const long at = ftell(a->file);
    const int64_t bytes = a->n * a->bytes;
    if (at < 0 || fstat(fileno(a->file), &info) != 0 || info.st_size - at < bytes) {
        HO_FAIL(HO_EFORMAT, "%s: the file is cut off: %lld elements of %d bytes are promised", a->path, (long long)a->n,
                a->bytes);
    }
    return HO_OK;
}

static double element(const array *a, const uint8_t *at) {
    const uint64_t bits = ho_little(at, a->bytes);
    float single;
    double wide;
    if (a->kind == 'f' && a->bytes == 4) {
        memcpy(&single, at, sizeof single);
        return single;
    }
    if (a->kind == 'f') {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    const bool negative = a->kind == 'i' && (bits >> (8 * a->bytes - 1)) != 0;
    return negative ? -(double)(~bits & (UINT64_MAX >> (64 - 8 * a->bytes))) - 1.0 : (double)bits;
}

/* Where element number i of the file belongs when the last index is to be the fastest. */
static int64_t place_of(const array *a, int64_t i) {
    int64_t index[4], at = 0;
    if (!a->fortran) {
        return i;
    }
    for (int d = 0; d < a->rank; d++) {
        index[d] = i % a->dim[d];
        i /= a->dim[d];
    }
    for (int d = 0; d < a->rank; d++) {
        at = at * a->dim[d] + index[d];
    }
    return at;
}

typedef ho_status (*element_taker)(void *user, const array *a, int64_t at, double value);

static ho_status read_elements(array *a, element_taker take, void *user) {
    uint8_t bytes[8 * 1024];
    for (int64_t done = 0; done < a->n;) {
        const int64_t left = a->n - done, now = left < 1024 ? left : 1024;
        if (fread(bytes, (size_t)a->bytes, (size_t)now, a->file) != (size_t)now) {
            HO_FAIL(HO_EFORMAT, "%s: the file is cut off: %lld elements are promised", a->path, (long long)a->n);
        }
        for (int64_t i = 0; i < now; i++) {
            HO_TRY(take(user, a, place_of(a, done + i), element(a, bytes + i * a->bytes)));
        }
        done += now;
    }
    return HO_OK;
}

static ho_status open_array(const char *path, array *a) {
    memset(a, 0, sizeof *a);
    a->path = path;
    a->file = fopen(path, "rbe");
    if (a->file == NULL) {
        HO_FAIL(HO_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    ho_status status = read_header(a);
    status = status == HO_OK ? check_length(a) : status;
    if (status != HO_OK) {
        fclose(a->file);
    }
    return status;
}

static ho_status take_label(void *user, const array *a, int64_t at, double value) {
    ho_image *label = user;
    const int whole = value >= -1.0 && value <= 255.0 ? (int)value : -2;
    if (whole < -1 || (double)whole < value || (double)whole > value) {
        HO_FAIL(HO_EFORMAT, "%s: value %g at row %lld, column %lld; class numbers are whole, -1 to 255", a->path, value,
                (long long)(at / label->width), (long long)(at % label->width));
    }
    label->pixels[at] = (uint8_t)(whole < 0 ? HO_LABEL_IGNORED : whole);
    return HO_OK;
}

ho_status ho_npy_read_labels(const char *path, ho_image *label) {
    array a;
    HO_TRY(open_array(path, &a));
    const int first = a.rank == 3 && a.dim[0] == 1 ? 1 : 0; /* (1, H, W) */
    const int rank = a.rank == 3 && (first == 1 || a.dim[2] == 1) ? 2 : a.rank;
    ho_status status;
    if (rank != 2 || a.dim[first] > 16384 || a.dim[first + 1] > 16384) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__,
                         "%s: an array of %d dimensions; (H, W), (H, W, 1) or (1, H, W) of at most 16384 is expected",
                         path, a.rank);
    } else {
        status = ho_image_new((int)a.dim[first + 1], (int)a.dim[first], 1, label);
        status = status == HO_OK ? read_elements(&a, take_label, label) : status;
    }
    fclose(a.file);
    return status;
}

static ho_status take_float(void *user, const array *a, int64_t at, double value) {
    (void)a;
    ((float *)user)[at] = (float)value;
    return HO_OK;
}

ho_status ho_npy_read_floats(const char *path, int *rank, int64_t dim[4], float **values) {
    array a;
    *values = NULL;
    HO_TRY(open_array(path, &a));
    ho_status status;
    *rank = a.rank;
    memcpy(dim, a.dim, sizeof a.dim);
    float *made = malloc(((size_t)a.n + 1) * sizeof *made);
    if (made == NULL) {
        status = ho_fail(HO_EMEMORY, __FILE__, __LINE__, "%s: no memory for %lld numbers", path, (long long)a.n);
    } else {
        status = read_elements(&a, take_float, made);
    }
    if (status == HO_OK) {
        *values = made;
    } else {
        free(made);
    }
    fclose(a.file);
    return status;
}

/* Version 1.0: magic, header length, a Python dict padded with spaces to a multiple of 64 bytes. */
bool ho_npy_write_header(FILE *file, const char *type, int64_t height, int64_t width) {
    static const unsigned char MAGIC[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0}; /* 118 bytes follow */
    char header[128];
    memset(header, ' ', sizeof header);
    memcpy(header, MAGIC, sizeof MAGIC);
    const int n = snprintf(header + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld, %lld), }", type,
                           (long long)height, (long long)width);
    header[10 + n] = ' ';
    header[127] = '\n';
    return fwrite(header, 1, sizeof header, file) == sizeof header;
}
