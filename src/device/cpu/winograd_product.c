#include "winograd_product.h"

/* One instance a row count and width, so that the accumulators are registers. */
#define ROW_CASE(r, vectors)                                                                                           \
    case r:                                                                                                            \
        product_rows(p, r, vectors);                                                                                   \
        break

#define ROWS_FUNCTION(name, vectors)                                                                                   \
    static void name(const product *p, int rows) {                                                                     \
        switch (rows) {                                                                                                \
            ROW_CASE(1, vectors);                                                                                      \
            ROW_CASE(2, vectors);                                                                                      \
            ROW_CASE(3, vectors);                                                                                      \
            ROW_CASE(4, vectors);                                                                                      \
            ROW_CASE(5, vectors);                                                                                      \
            ROW_CASE(6, vectors);                                                                                      \
            ROW_CASE(7, vectors);                                                                                      \
            ROW_CASE(8, vectors);                                                                                      \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
    }

ROWS_FUNCTION(rows_16, 1)
ROWS_FUNCTION(rows_32, 2)
ROWS_FUNCTION(rows_48, 3)

static void rows_64(const product *p, int rows) {
    switch (rows) {
        ROW_CASE(1, 4);
        ROW_CASE(2, 4);
        ROW_CASE(3, 4);
        ROW_CASE(4, 4);
        ROW_CASE(5, 4);
        ROW_CASE(6, 4);
    default:
        break;
    }
}

void ho_winograd_product(const product *all, int64_t n, int64_t width) {
    static void (*const instance[MOST_VECTORS])(const product *, int) = {rows_16, rows_32, rows_48, rows_64};
    void (*const run)(const product *, int) = instance[width / LANES - 1];
    const int64_t step = width == PANEL ? 6 : MOST_ROWS;
    for (int64_t row = 0; row < n; row += step) {
        product part = *all;
        part.a += row * all->a_row;
        part.c += row * all->c_row;
        run(&part, (int)(n - row < step ? n - row : step));
    }
}
