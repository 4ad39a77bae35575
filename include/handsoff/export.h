/* dataset.h5 and generated sets (synthetic_c.h5) in the layouts that other programs read. A few images are in memory at
 * a time. Everything is written below a temporary name beside the folder, which gets its own name when it is whole. */
#ifndef HANDSOFF_EXPORT_H
#define HANDSOFF_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "handsoff/formats.h"
#include "handsoff/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const char *format;
    const char *path;   /* dataset.h5 or synthetic_c.h5: of the latter the samples that the filter kept; format handsoff
                         * writes all of them, since its list holds their scores */
    const char *folder; /* new, or there and empty */
    /* Called now and then from one thread; false stops the export with HO_EINTERRUPT, and nothing is left of it. May be
     * NULL. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} ho_export_request;

typedef struct {
    int64_t n[HO_N_PARTS];        /* images written */
    int64_t left_out[HO_N_PARTS]; /* images of a part that the format has no place for */
    bool depth;                   /* the set has depth maps; no format keeps them */
    bool points;                  /* it has key points, and the format does not keep them */
} ho_export_counts;

/* Errors name file or folder: HO_EUSAGE (no such format, the folder is not empty), HO_EIO, HO_EFORMAT (no labels, a
 * label beyond the classes), HO_EMEMORY, HO_EINTERRUPT. */
ho_status ho_export_data(const ho_export_request *request, ho_export_counts *counts);

/* Format number i and what it writes; NULL behind the last one. */
const char *ho_export_format_name(int i, const char **writes);

#ifdef __cplusplus
}
#endif
#endif
