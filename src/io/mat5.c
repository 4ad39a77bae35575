/* MATLAB 5 files, as far as label maps need them: a header of 128 bytes ending in version 0x0100 and "IM" (little
 * endian), then data elements (type u32, bytes u32, content, padded to 8). Element 15 is zlib-compressed and holds
 * another; 14 is a matrix: array flags (its class in the lowest byte; 9 = uint8), dimensions (i32), name, values
 * (element 2 = uint8), column by column. An element of at most 4 bytes may have its length in the upper half of its
 * type and the content in place of the length. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "formats.h"
#include "source.h"

enum { MI_INT8 = 1, MI_UINT8 = 2, MI_INT32 = 5, MI_UINT32 = 6, MI_MATRIX = 14, MI_COMPRESSED = 15 };
enum { HEADER = 128, LARGEST = 1 << 28, CLASS_UINT8 = 9, CLASS_DOUBLE = 6, MI_DOUBLE = 9 };

typedef struct {
    const char *path;
    const uint8_t *bytes;
    size_t n, at;
} reader;

typedef struct {
    uint32_t type;
    size_t n;
    const uint8_t *bytes;
} element;

static ho_status next(reader *r, element *e) {
    if (r->n - r->at < 8) {
        HO_FAIL(HO_EFORMAT, "%s: a MATLAB 5 file that is cut off at byte %zu", r->path, r->at);
    }
    const uint8_t *head = r->bytes + r->at;
    const uint32_t type = (uint32_t)ho_little(head, 4);
    const bool small = type >> 16 != 0;
    e->type = type & 0xffff;
    e->n = small ? type >> 16 : (size_t)ho_little(head + 4, 4);
    e->bytes = head + (small ? 4 : 8);
    if ((small && e->n > 4) || (!small && e->n > r->n - r->at - 8)) {
        HO_FAIL(HO_EFORMAT, "%s: a MATLAB 5 file whose element at byte %zu is longer than the file", r->path, r->at);
    }
    const size_t padded = small ? 8 : 8 + (e->type == MI_COMPRESSED ? e->n : (e->n + 7) / 8 * 8);
    r->at = padded < r->n - r->at ? r->at + padded : r->n;
    return HO_OK;
}

/* The content of a compressed element; *bytes is malloc'd. It grows as it comes: a length in a file is not believed. */
static ho_status inflate_all(const char *path, const element *e, uint8_t **bytes, size_t *n) {
    z_stream z;
    memset(&z, 0, sizeof z);
    *bytes = NULL;
    *n = 0;
    size_t room = 1 << 16;
    int code = inflateInit(&z);
    z.next_in = (Bytef *)e->bytes;
    z.avail_in = (uInt)e->n;
    while (code == Z_OK && room <= LARGEST) {
        room *= 2;
        uint8_t *more = realloc(*bytes, room);
        if (more == NULL) {
            code = Z_MEM_ERROR;
            break;
        }
        *bytes = more;
        z.next_out = more + *n;
        z.avail_out = (uInt)(room - *n);
        code = inflate(&z, Z_NO_FLUSH);
        *n = room - z.avail_out;
        if (code == Z_OK && z.avail_out > 0) { /* it wants more bytes than there are */
            code = Z_DATA_ERROR;
        }
    }
    (void)inflateEnd(&z);
    if (code != Z_STREAM_END) {
        free(*bytes);
        *bytes = NULL;
        HO_FAIL(code == Z_MEM_ERROR ? HO_EMEMORY : HO_EFORMAT,
                "%s: the compressed part of this MATLAB 5 file is damaged, cut off or of more than 256 MB", path);
    }
    return HO_OK;
}

static ho_status read_matrix(const char *path, const element *matrix, ho_image *label) {
    reader r = {path, matrix->bytes, matrix->n, 0};
    element flags, dims, name, values;
    HO_TRY(next(&r, &flags));
    HO_TRY(next(&r, &dims));
    HO_TRY(next(&r, &name));
    HO_TRY(next(&r, &values));
    const int class = flags.n == 8 && flags.type == MI_UINT32 ? flags.bytes[0] : 0;
    if (dims.type != MI_INT32 || dims.n != 8) {
        HO_FAIL(HO_EFORMAT, "%s: its variable '%.*s' is no matrix of two dimensions", path, (int)(name.n & 63),
                (const char *)name.bytes);
    }
    const int64_t height = (int64_t)ho_little(dims.bytes, 4), width = (int64_t)ho_little(dims.bytes + 4, 4);
    const bool wide = class == CLASS_DOUBLE && values.type == MI_DOUBLE;
    if ((class != CLASS_UINT8 && class != CLASS_DOUBLE) || (values.type != MI_UINT8 && !wide)) {
        HO_FAIL(HO_EFORMAT, "%s: its matrix is of class %d (elements of type %u); uint8 is expected", path, class,
                values.type);
    }
    if (height < 1 || width < 1 || height > 16384 || width > 16384 ||
        (size_t)(height * width) * (wide ? 8 : 1) != values.n) {
        HO_FAIL(HO_EFORMAT, "%s: a matrix of %lld x %lld with %zu bytes", path, (long long)height, (long long)width,
                values.n);
    }
    HO_TRY(ho_image_new((int)width, (int)height, 1, label));
    for (int64_t x = 0; x < width; x++) {
        for (int64_t y = 0; y < height; y++) {
            double value = 0.0;
            if (wide) {
                memcpy(&value, values.bytes + 8 * (x * height + y), sizeof value);
            }
            label->pixels[y * width + x] = wide ? (value >= 0.0 && value <= 255.0 ? (uint8_t)value : HO_LABEL_IGNORED)
                                                : values.bytes[x * height + y];
        }
    }
    return HO_OK;
}

static ho_status read_file(const char *path, const uint8_t *bytes, size_t n, ho_image *label) {
    if (n < HEADER || ho_little(bytes + 124, 2) != 0x0100 || memcmp(bytes + 126, "IM", 2) != 0) {
        HO_FAIL(HO_EFORMAT, "%s: not a little-endian MATLAB 5 file (MATLAB 7.3 files are HDF5, others text)", path);
    }
    reader r = {path, bytes, n, HEADER};
    element e;
    HO_TRY(next(&r, &e));
    uint8_t *inflated = NULL;
    ho_status status = HO_OK;
    if (e.type == MI_COMPRESSED) {
        size_t size = 0;
        HO_TRY(inflate_all(path, &e, &inflated, &size));
        reader inner = {path, inflated, size, 0};
        status = next(&inner, &e);
    }
    if (status == HO_OK && e.type != MI_MATRIX) {
        status = ho_fail(HO_EFORMAT, __FILE__, __LINE__, "%s: its first element is of type %u, not a matrix (14)", path,
                         e.type);
    }
    status = status == HO_OK ? read_matrix(path, &e, label) : status;
    free(inflated);
    return status;
}

ho_status ho_mat5_read_labels(const char *path, ho_image *label) {
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        HO_FAIL(HO_EIO, "%s: cannot be opened", path);
    }
    const long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    rewind(file);
    uint8_t *bytes = size >= 0 && size <= LARGEST ? malloc((size_t)size + 1) : NULL;
    ho_status status;
    if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size) {
        status = ho_fail(HO_EIO, __FILE__, __LINE__, "%s: %ld bytes cannot be read", path, size);
    } else {
        status = read_file(path, bytes, (size_t)size, label);
    }
    free(bytes);
    fclose(file);
    return status;
}
