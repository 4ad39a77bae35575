/* V = A w A^T with A = G (winograd.h), its columns reversed for the gradient of the input, which turns the filters. */
#include "winograd_filters.h"

#ifndef HO_REAL_DOUBLE

typedef struct {
    float m[TILE][3]; /* [position][tap] */
} filter_map;

static filter_map map_of(const filter_case *f) {
    static const double G[TILE][3] = {{0.25, 0.0, 0.0},
                                      {-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0},
                                      {-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0},
                                      {1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0},
                                      {1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0},
                                      {0.0, 0.0, 1.0}};
    filter_map map;
    for (int position = 0; position < TILE; ++position) {
        for (int tap = 0; tap < 3; ++tap) {
            map.m[position][tap] = (float)G[position][f->turned ? 2 - tap : tap];
        }
    }
    return map;
}

/* 16 outputs of 3x3 taps for each of 16 inputs: each tap a vector over outputs. */
typedef vec taps_of[9];

typedef int index_vec __attribute__((vector_size(64)));

/* Lanes `at` of a (0..15) and b (16..31). clang has no shuffle by lanes that are no constants. */
static inline vec pick(vec a, vec b, index_vec at) {
#ifdef __clang__
    vec out = {0};
    for (int lane = 0; lane < LANES; ++lane) {
        out[lane] = at[lane] < LANES ? a[at[lane]] : b[at[lane] - LANES];
    }
    return out;
#else
    return __builtin_shuffle(a, b, at);
#endif
}

/* rows[l][k] -> rows[k][l]. */
static void transpose(vec *rows) {
    for (int s = 1; s < LANES; s *= 2) {
        index_vec low = {0}, high = {0};
        for (int lane = 0; lane < LANES; ++lane) {
            low[lane] = (lane & s) != 0 ? lane - s + LANES : lane;
            high[lane] = (lane & s) != 0 ? lane + LANES : lane + s;
        }
        for (int i = 0; i < LANES; ++i) {
            if ((i & s) == 0) {
                const vec upper = rows[i], lower = rows[i + s];
                rows[i] = pick(upper, lower, low);
                rows[i + s] = pick(upper, lower, high);
            }
        }
    }
}

/* Inputs i..i+15 and outputs o..o+15 of the convolution that w is used for. */
static void load_taps(const filter_case *f, const float *w, int64_t i, int64_t o, taps_of *of_input) {
    for (int tap = 0; tap < 9; ++tap) {
        vec rows[LANES];
        for (int lane = 0; lane < LANES; ++lane) {
            rows[lane] = vec_load(w + (((f->turned ? i : o) + lane) * 9 + tap) * f->C + (f->turned ? o : i));
        }
        if (!f->turned) { /* rows are outputs: the vectors run over inputs */
            transpose(rows);
        }
        for (int lane = 0; lane < LANES; ++lane) {
            of_input[lane][tap] = rows[lane];
        }
    }
}

/* out[6][6] = A taps A^T. */
static inline void transform_filter(const float A[TILE][3], const vec *taps, vec *out) {
    for (int row = 0; row < TILE; ++row) {
        vec half[3];
        for (int j = 0; j < 3; ++j) {
            half[j] = A[row][0] * taps[j] + A[row][1] * taps[3 + j] + A[row][2] * taps[6 + j];
        }
        for (int column = 0; column < TILE; ++column) {
            out[row * TILE + column] = A[column][0] * half[0] + A[column][1] * half[1] + A[column][2] * half[2];
        }
    }
}

void ho_winograd_transform_filters(const filter_case *f, const float *w, int64_t panel, float *V) {
    const filter_map map = map_of(f);
    const int64_t in = f->turned ? f->O : f->C, out = f->turned ? f->C : f->O, step = position_step(in * out);
    const int64_t in_blocks = in / LANES, out_blocks = out / LANES;
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < in_blocks * out_blocks; ++b) {
        const int64_t i = b % in_blocks * LANES, o = b / in_blocks * LANES;
        const int64_t first = o / panel * panel, width = out - first < panel ? out - first : panel;
        float *to = V + panel_offset(in, first) + i * width + o - first;
        taps_of of_input[LANES];
        load_taps(f, w, i, o, of_input);
        for (int k = 0; k < LANES; ++k) {
            vec full[POSITIONS];
            transform_filter(map.m, of_input[k], full);
            for (int position = 0; position < POSITIONS; ++position) {
                vec_store(to + position * step + k * width, full[position]);
            }
        }
    }
}

/* taps[3][3] = A^T m A for m[6][6]. */
static inline void transform_filter_back(const float A[TILE][3], const vec *m, vec *taps) {
    for (int j = 0; j < 3; ++j) {
        vec half[TILE];
        for (int row = 0; row < TILE; ++row) {
            half[row] = (vec){0};
            for (int column = 0; column < TILE; ++column) {
                half[row] += A[column][j] * m[row * TILE + column];
            }
        }
        for (int i = 0; i < 3; ++i) {
            taps[i * 3 + j] = (vec){0};
            for (int row = 0; row < TILE; ++row) {
                taps[i * 3 + j] += A[row][i] * half[row];
            }
        }
    }
}

void ho_winograd_transform_filters_back(const filter_case *f, const float *S, float *g_w) {
    const filter_map map = map_of(f);
    const int64_t step = position_step(f->C * f->O);
#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < f->O; ++o) {
        for (int64_t c = 0; c < f->C; c += LANES) {
            vec m[POSITIONS], taps[9];
            for (int position = 0; position < POSITIONS; ++position) {
                m[position] = vec_load(S + position * step + o * f->C + c);
            }
            transform_filter_back(map.m, m, taps);
            for (int tap = 0; tap < 9; ++tap) {
                vec_store(g_w + (o * 9 + tap) * f->C + c, taps[tap]);
            }
        }
    }
}

#endif
