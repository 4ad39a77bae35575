/* Writing of a Python pickle: a list of dicts of text, numbers and NumPy arrays. */
#ifndef HANDSOFF_IO_PICKLE_H
#define HANDSOFF_IO_PICKLE_H

#include <stdint.h>
#include <stdio.h>

/* Order: begin, (dict_begin, entries, dict_end)..., end. Errors show in ferror(file). */
void ho_pickle_begin(FILE *file);
void ho_pickle_end(FILE *file);
void ho_pickle_dict_begin(FILE *file);
void ho_pickle_dict_end(FILE *file);
void ho_pickle_text(FILE *file, const char *key, const char *value);
void ho_pickle_number(FILE *file, const char *key, double value);
/* A float64 array (1, n). */
void ho_pickle_row(FILE *file, const char *key, const double *values, int64_t n);

#endif
