/* Polygon fill by scanlines: on the line through a row's pixel centres, the crossings with the edges, in order, switch
 * between outside and inside. */
#include <math.h>
#include <stdlib.h>

#include "handsoff/import.h"

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* An edge crosses the line where exactly one of its ends lies at or above it: no corner counts twice. */
static int crossings(int n, const double *points, double y, double *x) {
    int count = 0;
    for (int i = 0, j = n - 1; i < n; j = i++) {
        const double x0 = points[2 * j], y0 = points[2 * j + 1], x1 = points[2 * i], y1 = points[2 * i + 1];
        if ((y0 <= y) != (y1 <= y)) {
            x[count++] = x0 + (y - y0) * (x1 - x0) / (y1 - y0);
        }
    }
    qsort(x, (size_t)count, sizeof *x, ascending);
    return count;
}

/* First pixel whose centre is at or right of x, cut to 0..width. Coordinates of 1e300 may have made x no number. */
static int first_pixel(double x, int width) {
    const double column = ceil(x - 0.5);
    return !(column > 0.0) ? 0 : (column >= width ? width : (int)column);
}

ho_status ho_polygon_fill(uint8_t *label, int width, int height, int n, const double *points, uint8_t value) {
    if (n < 3) {
        return HO_OK;
    }
    double *x = malloc(sizeof *x * (size_t)n);
    if (x == NULL) {
        HO_FAIL(HO_EMEMORY, "no memory for a polygon of %d points", n);
    }
    double low = points[1], high = points[1];
    for (int i = 1; i < n; i++) {
        low = fmin(low, points[2 * i + 1]);
        high = fmax(high, points[2 * i + 1]);
    }
    const int last = first_pixel(high, height);
    for (int row = first_pixel(low, height); row < last; row++) {
        const int count = crossings(n, points, row + 0.5, x);
        for (int k = 0; k + 1 < count; k += 2) {
            const int end = first_pixel(x[k + 1], width);
            for (int column = first_pixel(x[k], width); column < end; column++) {
                label[(int64_t)row * width + column] = value;
            }
        }
    }
    free(x);
    return HO_OK;
}
