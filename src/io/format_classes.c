/* Names and colours of the classes: of a merge table, or of the set itself. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"

void ho_spread_colours(int n, uint8_t (*palette)[3]) {
    for (int k = 0; k < n; k++) {
        for (int c = 0; c < 3; c++) {
            const double turn = 6.283185307179586 * (0.618033988749895 * k + c / 3.0);
            palette[k][c] = k == 0 ? 255 : (uint8_t)(135.0 + (k % 2 == 0 ? 110.0 : 75.0) * cos(turn));
        }
    }
}

/* Copies n names of "a|b|c" and gives them colours. */
static ho_status name_classes(int n, const char *text, ho_merge *merge) {
    char *copy = strdup(text), *rest = NULL;
    const char *names[HO_MERGE_IDS];
    merge->palette = calloc((size_t)n + 1, sizeof *merge->palette);
    if (copy == NULL || merge->palette == NULL) {
        free(copy);
        HO_FAIL(HO_EMEMORY, "no memory for %d classes", n);
    }
    names[0] = strtok_r(copy, "|", &rest);
    for (int k = 1; k < n; k++) {
        names[k] = strtok_r(NULL, "|", &rest);
    }
    ho_spread_colours(n, merge->palette);
    merge->n_classes = n;
    const ho_status status = ho_strings_copy(n, names, &merge->names);
    free(copy);
    return status;
}

ho_status ho_number_classes(int n, ho_merge *merge) {
    char text[HO_MERGE_IDS * 12] = "";
    for (int k = 0, at = 0; k < n; k++) {
        at += snprintf(text + at, sizeof text - (size_t)at, "%sclass %d", k > 0 ? "|" : "", k);
    }
    return name_classes(n, text, merge);
}

static ho_status own_classes(const ho_listing *listing, ho_merge *merge) {
    int count = listing->classes != NULL ? 1 : HO_LABEL_IGNORED;
    for (const char *at = listing->classes; at != NULL && *at != '\0'; at++) {
        count += *at == '|';
    }
    for (int k = 0; k < count; k++) {
        merge->v2[k] = (int16_t)k;
    }
    merge->v2[HO_LABEL_IGNORED] = HO_LABEL_IGNORED;
    for (int i = 0; i < 4 && listing->ignored[i] > 0; i++) {
        merge->v2[listing->ignored[i]] = HO_LABEL_IGNORED;
    }
    return listing->classes != NULL ? name_classes(count, listing->classes, merge) : HO_OK;
}

ho_status ho_classes_of(const ho_import_request *request, int n, const ho_listing *listings, ho_merge *merge) {
    if (request->merge != NULL) {
        HO_TRY(ho_merge_read(request->merge, merge));
        if (merge->v2[HO_LABEL_IGNORED] < 0) { /* readers mark what has no class by it */
            merge->v2[HO_LABEL_IGNORED] = HO_LABEL_IGNORED;
        }
        return HO_OK;
    }
    memset(merge, 0, sizeof *merge);
    memset(merge->v1, 0xFF, sizeof merge->v1);
    memset(merge->v2, 0xFF, sizeof merge->v2);
    const ho_status status = n > 0 ? own_classes(&listings[0], merge) : HO_OK;
    if (status != HO_OK) {
        ho_merge_free(merge);
    }
    return status;
}
