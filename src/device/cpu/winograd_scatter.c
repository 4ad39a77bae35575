/* Writing tiles: see winograd_tiles.h. */
#include "winograd_tiles.h"

#ifndef HO_REAL_DOUBLE

/* One tile: where its pixels lie and which of them exist. */
typedef struct {
    const view *v;
    const ho_conv_epilogue *epilogue;
    int64_t n;             /* image */
    int64_t first, last;   /* channels: first..last-1 */
    int64_t rows, columns; /* pixels inside: 4x4 but at the lower and right border; none if not positive */
    const float *M;        /* this row of the group, first block of its channels */
    int64_t apart, block;
    float *origin;
    float plane[OUT * OUT]; /* strength * noise of each pixel */
} spot;

/* The 16 outputs of one tile for 16 channels. */
static inline __attribute__((always_inline)) void outputs_of(const float *M, int64_t apart, vec *full) {
    vec half[OUT * TILE];
    for (int column = 0; column < TILE; ++column) {
        vec m[TILE], out[OUT];
        for (int line = 0; line < TILE; ++line) {
            m[line] = vec_load(M + (line * TILE + column) * apart);
        }
        transform_output(m, 1, out, 1);
        for (int line = 0; line < OUT; ++line) {
            half[line * TILE + column] = out[line];
        }
    }
    for (int line = 0; line < OUT; ++line) {
        transform_output(half + line * TILE, 1, full + line * OUT, 1);
    }
}

static inline __attribute__((always_inline)) void apply_epilogue(const spot *s, int64_t o, vec *full) {
    const ho_conv_epilogue *e = s->epilogue;
    const vec zero = {0}, d = e->d != NULL ? vec_load(e->d + s->n * s->v->C + o) : zero + 1.0F;
    const vec b = e->b != NULL ? vec_load(e->b + o) : zero;
    typedef int mask __attribute__((vector_size(64)));
    const mask above = (mask)(zero + e->gain), below = (mask)(zero + e->gain * e->slope);
    for (int i = 0; i < OUT * OUT; ++i) {
        const vec pre = d * full[i] + (s->plane[i] + b);
        const mask positive = pre > zero;
        full[i] = (vec)((positive & above) | (~positive & below)) * pre;
    }
}

static inline __attribute__((always_inline)) void write_spot(const spot *s, const bool with_epilogue) {
    const int64_t line = s->v->line, pixel = s->v->pixel;
    for (int64_t o = s->first; o < s->last; o += LANES) {
        vec full[OUT * OUT];
        outputs_of(s->M + (o - s->first) / LANES * s->block, s->apart, full);
        if (with_epilogue) {
            apply_epilogue(s, o, full);
        }
        float *to = s->origin + o;
        if (s->rows == OUT && s->columns == OUT) {
            for (int i = 0; i < OUT * OUT; ++i) {
                vec_store(to + i / OUT * line + i % OUT * pixel, full[i]);
            }
            continue;
        }
        for (int64_t h = 0; h < s->rows; ++h) {
            for (int64_t w = 0; w < s->columns; ++w) {
                vec_store(to + h * line + w * pixel, full[h * OUT + w]);
            }
        }
    }
}

/* strength * noise at the pixels of the spot; zero without noise. Where there is noise, the dilation is 1. */
static void noise_plane(const tiling *t, tile_place at, spot *s) {
    const ho_conv_epilogue *e = s->epilogue;
    const float *noise = e->noise + s->n * e->noise_stride + at.h * t->W + at.w;
    for (int64_t h = 0; h < s->rows; ++h) {
        for (int64_t w = 0; w < s->columns; ++w) {
            s->plane[h * OUT + w] = e->strength[0] * noise[h * t->W + w];
        }
    }
}

void ho_winograd_scatter(const tiling *t, const view *v, int64_t o, int64_t width, const float *M,
                         const ho_conv_epilogue *epilogue, int64_t first, int64_t n, int64_t R, float *y) {
    const int64_t block = POSITIONS * R * LANES;
    for (int64_t row = 0; row < n; ++row) {
        const tile_place at = place_of(t, first + row);
        spot s = {.v = v, .epilogue = epilogue, .n = at.n, .first = o, .last = o + width};
        s.M = M + row * LANES;
        s.apart = R * LANES;
        s.block = block;
        s.origin = y + offset_of(t, v, &at, at.h, at.w);
        s.rows = at.H - at.h < OUT ? at.H - at.h : OUT;
        s.columns = at.W - at.w < OUT ? at.W - at.w : OUT;
        if (epilogue == NULL) {
            write_spot(&s, false);
            continue;
        }
        if (epilogue->noise != NULL) {
            noise_plane(t, at, &s);
        }
        write_spot(&s, true);
    }
}

#endif
