/* Bytes to read from: a file, a part of one, or a member of an archive. */
#ifndef HANDSOFF_IO_SOURCE_H
#define HANDSOFF_IO_SOURCE_H

#include <stdint.h>

#include "handsoff/status.h"

typedef struct ho_source ho_source;
struct ho_source {
    const char *name; /* for messages; borrowed */
    int64_t size;
    /* Bytes offset .. offset + n - 1, which the source has; use ho_source_read, which checks that. */
    ho_status (*read)(const ho_source *source, int64_t offset, int64_t n, void *bytes);
    void *user;    /* the reader's own */
    int64_t first; /* the reader's own: where the part begins */
};

/* Bytes offset .. offset + n - 1. HO_EFORMAT where the source ends before them, HO_EIO where the disk refuses. */
ho_status ho_source_read(const ho_source *source, int64_t offset, int64_t n, void *bytes);
/* n bytes of the source from offset on, as a source of their own. HO_EFORMAT where it ends before them. */
ho_status ho_source_part(const ho_source *source, int64_t offset, int64_t n, ho_source *part);

/* The first n bytes as an unsigned number, the lowest first. */
uint64_t ho_little(const uint8_t *bytes, int n);

/* Control characters become '?': names in a file may end up in a message or on a terminal. */
void ho_printable(char *text);

#endif
