#include "suggest.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

enum { LONGEST = 63 };

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Optimal string alignment: row i of the table of distances between prefixes, with the two rows before it. */
int ho_edit_distance(const char *a, const char *b) {
    const size_t n_a = strlen(a), n_b = strlen(b);
    if (n_a > LONGEST || n_b > LONGEST) {
        return INT_MAX;
    }
    int rows[3][LONGEST + 1];
    int *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n_b; ++j) {
        before[j] = 0;
        last[j] = (int)j;
    }
    for (size_t i = 1; i <= n_a; ++i) {
        row[0] = (int)i;
        for (size_t j = 1; j <= n_b; ++j) {
            row[j] = least(last[j - 1] + (a[i - 1] != b[j - 1]), least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        int *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[n_b];
}

const char *ho_nearest(const char *word, int n, const char *const *candidates) {
    const int length = (int)strlen(word);
    int best = length / 3 > 2 ? length / 3 : 2;
    best = least(best, length > 1 ? length - 1 : 1) + 1;
    const char *nearest = NULL;
    for (int i = 0; i < n; ++i) {
        int distance = ho_edit_distance(word, candidates[i]);
        const char *dot = strrchr(candidates[i], '.');
        if (dot != NULL && strchr(word, '.') == NULL) {
            const int part = ho_edit_distance(word, dot + 1);
            distance = part < distance ? part : distance;
        }
        if (distance < best) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
