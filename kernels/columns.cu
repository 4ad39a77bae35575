/* Column sums of N row-major matrices (rows, C):  y[n,c] = gain * sum_r term(n,r,c), with the terms
 *   a,   a (b - m[c]),   (a - m[c])^2.
 * Two passes: the rows are split into S segments, S a function of the number of rows; pass one writes partial (N,S,C),
 * pass two adds the S partial sums. A block works on one segment and each of its threads on its own columns, so that
 * reads are contiguous and no barrier is needed. */
#include "columns.h"

#include <stddef.h>

#include "segments.h"

enum { SUM, PRODUCT, SQUARE };

typedef struct {
    const ho_real *a, *b, *m; /* b is a where there is no second matrix; m may be NULL in a plain sum */
} ho_columns_in;

/* Neighbouring columns that one thread sums in registers: one on a GPU, where the threads of a block are neighbours; a
 * cache line on the host, as a vector, since the compiler makes scalars of an array so short. ho_lanes_at: the same
 * anywhere in a row. */
#ifdef __CUDACC__
typedef ho_real ho_lanes, ho_lanes_at;
#else
typedef ho_real ho_lanes __attribute__((vector_size(64)));
typedef ho_real ho_lanes_at __attribute__((vector_size(64), aligned(sizeof(ho_real))));
#endif
enum { CHUNK = sizeof(ho_lanes) / sizeof(ho_real) };

/* sum[c] over rows begin ... end - 1, in columns c = first ... first + CHUNK - 1. */
HO_DEVICE void ho_chunk_sums(int term, int64_t C, int64_t first, int64_t begin, int64_t end, ho_columns_in in,
                             ho_real *HO_RESTRICT sum) {
    ho_lanes total = {0}, centre = {0};
    if (in.m != NULL) {
        centre = *(const ho_lanes_at *)(in.m + first);
    }
    if (term == SUM) {
        for (int64_t r = begin; r < end; ++r) {
            total += *(const ho_lanes_at *)(in.a + r * C + first);
        }
    } else if (term == PRODUCT) {
        for (int64_t r = begin; r < end; ++r) {
            const ho_lanes other = *(const ho_lanes_at *)(in.b + r * C + first);
            total += *(const ho_lanes_at *)(in.a + r * C + first) * (other - centre);
        }
    } else {
        for (int64_t r = begin; r < end; ++r) {
            const ho_lanes away = *(const ho_lanes_at *)(in.a + r * C + first) - centre;
            total += away * away;
        }
    }
    *(ho_lanes_at *)(sum + first) = total;
}

/* The same in one column. */
HO_DEVICE void ho_column_sum(int term, int64_t C, int64_t c, int64_t begin, int64_t end, ho_columns_in in,
                             ho_real *HO_RESTRICT sum) {
    const ho_real centre = in.m == NULL ? HO_R(0.0) : in.m[c];
    ho_real total = HO_R(0.0);
    for (int64_t r = begin; r < end; ++r) {
        const ho_real a = in.a[r * C + c];
        total += term == SUM ? a : (term == PRODUCT ? a * (in.b[r * C + c] - centre) : (a - centre) * (a - centre));
    }
    sum[c] = total;
}

HO_KERNEL column_partials(ho_columns_shape s, int64_t S, int term, ho_columns_in in, ho_real *HO_RESTRICT partial) {
    HO_GRID_BLOCKS (segment, s.N * S) {
        const int64_t n = segment / S, k = segment % S;
        const int64_t begin = n * s.rows + s.rows * k / S, end = n * s.rows + s.rows * (k + 1) / S;
        ho_real *HO_RESTRICT sum = partial + segment * s.C;
        HO_BLOCK_LOOP (chunk, (s.C + CHUNK - 1) / CHUNK) {
            const int64_t first = chunk * CHUNK;
            if (s.C - first >= CHUNK) {
                ho_chunk_sums(term, s.C, first, begin, end, in, sum);
                continue;
            }
            for (int64_t c = first; c < s.C; ++c) {
                ho_column_sum(term, s.C, c, begin, end, in, sum);
            }
        }
    }
}

HO_KERNEL column_totals(int64_t N, int64_t S, int64_t C, ho_real gain, const ho_real *HO_RESTRICT partial,
                        ho_real *HO_RESTRICT y) {
    HO_GRID_BLOCKS (n, N) {
        ho_real *HO_RESTRICT sum = y + n * C;
        HO_BLOCK_LOOP (c, C) {
            sum[c] = HO_R(0.0);
        }
        for (int64_t k = 0; k < S; ++k) {
            const ho_real *HO_RESTRICT row = partial + (n * S + k) * C;
            HO_BLOCK_LOOP (c, C) {
                sum[c] += gain * row[c];
            }
        }
    }
}

static int64_t column_segments(const ho_columns_shape *s) {
    return ho_segments(s->rows, 128);
}

int64_t ho_k_column_scratch(const ho_columns_shape *s) {
    return s->N * column_segments(s) * s->C;
}

static ho_status column_sums(ho_stream stream, const ho_columns_shape *s, int term, ho_columns_in in, ho_real gain,
                             ho_real *scratch, ho_real *y) {
    const int64_t S = column_segments(s), width = ho_row_width(s->C);
    HO_LAUNCH(column_partials, ho_grid_blocks(s->N * S, s->rows / S * s->C), width, 0, stream, *s, S, term, in,
              scratch);
    HO_LAUNCH(column_totals, ho_grid_blocks(s->N, S * s->C), width, 0, stream, s->N, S, s->C, gain, scratch, y);
    return HO_LAUNCH_STATUS("column sums");
}

ho_status ho_k_column_sums(ho_stream stream, const ho_columns_shape *s, const ho_real *a, ho_real gain,
                           ho_real *scratch, ho_real *y) {
    const ho_columns_in in = {a, a, NULL};
    return column_sums(stream, s, SUM, in, gain, scratch, y);
}

ho_status ho_k_column_products(ho_stream stream, const ho_columns_shape *s, const ho_real *a, const ho_real *b,
                               const ho_real *m, ho_real gain, ho_real *scratch, ho_real *y) {
    const ho_columns_in in = {a, b, m};
    return column_sums(stream, s, PRODUCT, in, gain, scratch, y);
}

ho_status ho_k_column_squares(ho_stream stream, const ho_columns_shape *s, const ho_real *a, const ho_real *m,
                              ho_real gain, ho_real *scratch, ho_real *y) {
    const ho_columns_in in = {a, a, m};
    return column_sums(stream, s, SQUARE, in, gain, scratch, y);
}
