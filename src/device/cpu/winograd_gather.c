/* Reading tiles: see winograd_tiles.h. Bound by memory: the lines that the next tile of the row adds are asked for
 * while this one is transformed. */
#include "winograd_tiles.h"

#ifndef HO_REAL_DOUBLE

#include <string.h>

/* 6x6 vectors d -> B^T d B at positions `apart` floats from each other. */
static inline __attribute__((always_inline)) void transform_store(const vec *d, int64_t apart, float *to) {
    vec half[POSITIONS], full[TILE];
    for (int column = 0; column < TILE; ++column) {
        transform_input(d + column, TILE, half + column, TILE);
    }
    for (int line = 0; line < TILE; ++line) {
        transform_input(half + line * TILE, 1, full, 1);
        for (int column = 0; column < TILE; ++column) {
            vec_store(to + (line * TILE + column) * apart, full[column]);
        }
    }
}

/* 4x4 vectors d -> A d A^T. */
static inline __attribute__((always_inline)) void transform_store_outputs(const vec *d, int64_t apart, float *to) {
    vec half[TILE * OUT], full[TILE];
    for (int column = 0; column < OUT; ++column) {
        transform_output_adjoint(d + column, OUT, half + column, OUT);
    }
    for (int line = 0; line < TILE; ++line) {
        transform_output_adjoint(half + line * OUT, 1, full, 1);
        for (int column = 0; column < TILE; ++column) {
            vec_store(to + (line * TILE + column) * apart, full[column]);
        }
    }
}

/* What reading a square of pixels needs: side 6 with its first pixel above and left of the tile, or side 4. */
typedef struct {
    const view *v;
    const float *origin;  /* first pixel of the square */
    const float *scale;   /* of this image, or NULL */
    int64_t apart, block; /* floats from position to position and from block of 16 channels to the next */
    float *to;
} square;

static inline __attribute__((always_inline)) void read_inside(const square *q, const int side) {
    const int64_t line = q->v->line, pixel = q->v->pixel;
    vec d[POSITIONS];
    float *to = q->to;
    for (int64_t c = 0; c < q->v->C; c += LANES, to += q->block) {
        const float *from = q->origin + c;
        for (int i = 0; i < side; ++i) {
            for (int j = 0; j < side; ++j) {
                d[i * side + j] = vec_load(from + i * line + j * pixel);
            }
            for (int j = 0; j < OUT; ++j) { /* the next tile's lines */
                __builtin_prefetch(from + i * line + (side + j) * pixel);
            }
        }
        if (q->scale != NULL) {
            const vec factor = vec_load(q->scale + c);
            for (int i = 0; i < side * side; ++i) {
                d[i] *= factor;
            }
        }
        if (side == TILE) {
            transform_store(d, q->apart, to);
        } else {
            transform_store_outputs(d, q->apart, to);
        }
    }
}

/* The same where some pixels lie outside: from has every pixel's place, C zeros for those outside. */
static inline __attribute__((always_inline)) void read_border(const square *q, const float *const *from,
                                                              const int side) {
    vec d[POSITIONS];
    float *to = q->to;
    for (int64_t c = 0; c < q->v->C; c += LANES, to += q->block) {
        for (int i = 0; i < side * side; ++i) {
            d[i] = vec_load(from[i] + c);
        }
        if (q->scale != NULL) {
            const vec factor = vec_load(q->scale + c);
            for (int i = 0; i < side * side; ++i) {
                d[i] *= factor;
            }
        }
        if (side == TILE) {
            transform_store(d, q->apart, to);
        } else {
            transform_store_outputs(d, q->apart, to);
        }
    }
}

/* The square whose first pixel is (h, w) in the sparse image of the tile. */
static inline __attribute__((always_inline)) void gather_tile(const square *q, const tile_place *at, int64_t h0,
                                                              int64_t w0, const float *zeros, const int side) {
    if (h0 >= 0 && w0 >= 0 && h0 + side <= at->H && w0 + side <= at->W) {
        read_inside(q, side);
        return;
    }
    const float *from[POSITIONS];
    for (int i = 0; i < side * side; ++i) {
        const int64_t h = h0 + i / side, w = w0 + i % side;
        const bool inside = h >= 0 && h < at->H && w >= 0 && w < at->W;
        from[i] = inside ? q->origin + i / side * q->v->line + i % side * q->v->pixel : zeros;
    }
    read_border(q, from, side);
}

/* Rows n..R-1 of a group, which stand for no tile. */
static void clear_rows(int64_t channels, int64_t n, int64_t R, float *U) {
    for (int64_t i = 0; n < R && i < POSITIONS * channels / LANES; ++i) {
        memset(U + (i * R + n) * LANES, 0, (size_t)((R - n) * LANES) * sizeof *U);
    }
}

void ho_winograd_gather(const tiling *t, const view *v, const float *x, const float *scale, const float *zeros,
                        int64_t first, int64_t n, int64_t R, float *U) {
    for (int64_t row = 0; row < n; ++row) {
        const tile_place at = place_of(t, first + row);
        const int64_t h = at.h - 1, w = at.w - 1;
        const square q = {.v = v,
                          .origin = x + offset_of(t, v, &at, h, w),
                          .scale = scale != NULL ? scale + at.n * v->C : NULL,
                          .apart = R * LANES,
                          .block = POSITIONS * R * LANES,
                          .to = U + row * LANES};
        gather_tile(&q, &at, h, w, zeros, TILE);
    }
    clear_rows(v->C, n, R, U);
}

void ho_winograd_gather_outputs(const tiling *t, const view *v, const float *g_y, const float *zeros, int64_t first,
                                int64_t n, int64_t R, float *D) {
    for (int64_t row = 0; row < n; ++row) {
        const tile_place at = place_of(t, first + row);
        const square q = {.v = v,
                          .origin = g_y + offset_of(t, v, &at, at.h, at.w),
                          .apart = R * LANES,
                          .block = POSITIONS * R * LANES,
                          .to = D + row * LANES};
        gather_tile(&q, &at, at.h, at.w, zeros, OUT);
    }
    clear_rows(v->C, n, R, D);
}

#endif
