/* Python's pickle format, protocol 3 (the first with a bytes type), as the documentation of pickletools lists the
 * opcodes. Containers are built between marks: ']' ( items 'e' for a list, '}' ( key value ... 'u' for a dict. An array
 * is what NumPy's __reduce__ gives: multiarray._reconstruct(ndarray, (0,), b"b"), then BUILD ('b') with the state (1,
 * shape, dtype, is_fortran, bytes). */
#include "pickle.h"

#include <string.h>

static void put(FILE *file, const void *bytes, size_t n) {
    (void)fwrite(bytes, 1, n, file);
}

static void put_text(FILE *file, const char *opcodes) {
    put(file, opcodes, strlen(opcodes));
}

/* n bytes of `value`, the lowest first. */
static void put_little(FILE *file, uint64_t value, int n) {
    for (int i = 0; i < n; ++i) {
        const unsigned char byte = (unsigned char)(value >> (8 * i));
        put(file, &byte, 1);
    }
}

static void put_string(FILE *file, const char *text) {
    put_text(file, "X"); /* BINUNICODE */
    put_little(file, strlen(text), 4);
    put_text(file, text);
}

static void put_integer(FILE *file, int64_t value) {
    put_text(file, "J"); /* BININT: 32 bits */
    put_little(file, (uint64_t)value, 4);
}

static void put_bytes(FILE *file, const void *bytes, size_t n) {
    put_text(file, "B"); /* BINBYTES */
    put_little(file, n, 4);
    put(file, bytes, n);
}

void ho_pickle_begin(FILE *file) {
    put(file, "\x80\x03", 2); /* PROTO 3 */
    put_text(file, "](");
}

void ho_pickle_end(FILE *file) {
    put_text(file, "e.");
}

void ho_pickle_dict_begin(FILE *file) {
    put_text(file, "}(");
}

void ho_pickle_dict_end(FILE *file) {
    put_text(file, "u");
}

void ho_pickle_text(FILE *file, const char *key, const char *value) {
    put_string(file, key);
    put_string(file, value);
}

void ho_pickle_number(FILE *file, const char *key, double value) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    put_string(file, key);
    put_text(file, "G"); /* BINFLOAT: big-endian */
    for (int i = 7; i >= 0; --i) {
        put_little(file, bits >> (8 * i), 1);
    }
}

void ho_pickle_row(FILE *file, const char *key, const double *values, int64_t n) {
    put_string(file, key);
    put_text(file, "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n");
    put_integer(file, 0);
    put_text(file, "\x85"); /* TUPLE1: (0,) */
    put_bytes(file, "b", 1);
    put_text(file, "\x87R"); /* TUPLE3, REDUCE: the empty array */
    put_text(file, "(");     /* its state */
    put_integer(file, 1);
    put_integer(file, 1);
    put_integer(file, n);
    put_text(file, "\x86"); /* TUPLE2: (1, n) */
    put_text(file, "cnumpy\ndtype\n");
    put_string(file, "f8");
    put_text(file, "\x89\x88\x87R("); /* False, True, TUPLE3, REDUCE: dtype("f8"); and its state */
    put_integer(file, 3);
    put_string(file, "<");
    put_text(file, "NNN"); /* no fields */
    put_integer(file, -1);
    put_integer(file, -1);
    put_integer(file, 0);
    put_text(file, "tb\x89"); /* TUPLE, BUILD, False: not in Fortran order */
    put_bytes(file, values, (size_t)n * sizeof *values);
    put_text(file, "tb");
}
