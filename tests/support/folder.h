/* A temporary folder for one test program. */
#ifndef HANDSOFF_TESTS_FOLDER_H
#define HANDSOFF_TESTS_FOLDER_H

#include <stdbool.h>

extern char folder[64];

/* Set-up and teardown of the whole group. HANDSOFF_KEEP_TESTS=1 leaves the folder for a look at what is in it. */
int make_folder(void **state);
int remove_folder(void **state);
/* Teardown of one test: removes what is in the folder. */
int empty_folder(void **state);

/* "FOLDER/NAME", in one of 16 buffers in turn. */
const char *in_folder(const char *name);
bool exists(const char *path);
/* Whether the file exists that this process writes before it takes the name `path`. */
bool temporary_exists(const char *path);
void write_text(const char *path, const char *text);
/* The whole file (less than 128 KiB) in a static buffer; fails the running test where there is none. */
const char *read_text(const char *path);

#endif
