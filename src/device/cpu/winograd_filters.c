/* V = A_a w A_b^T for each phase (a, b), with A = G fold: 6x3 matrices. fold is what the resampling filter f =
 * [1,3,3,1] makes of three taps on one axis (derivation in winograd.h): same:  the identity;   up:  fold_a[m][i] = f[2m
 * + i - a - 1] / 4;   down:  fold_a[m][i] = f[2m + a - i] / 8; for the gradient of the input the rows m are reversed.
 */
#include "winograd_filters.h"

#ifndef HO_REAL_DOUBLE

typedef struct {
    float m[2][TILE][3]; /* [phase of the axis][position][tap] */
} filter_maps;

static filter_maps maps_of(const filter_case *f) {
    static const double G[TILE][3] = {{0.25, 0.0, 0.0},
                                      {-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0},
                                      {-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0},
                                      {1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0},
                                      {1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0},
                                      {0.0, 0.0, 1.0}};
    static const double taps[4] = {1.0, 3.0, 3.0, 1.0};
    filter_maps maps = {0};
    for (int a = 0; a < (f->grid == HO_GRID_SAME ? 1 : 2); ++a) {
        for (int m = 0; m < 3; ++m) {
            const int row = f->turned ? 2 - m : m;
            for (int i = 0; i < 3; ++i) {
                const int t = f->grid == HO_GRID_UP ? 2 * m + i - a - 1 : 2 * m + a - i;
                const double folded = t < 0 || t > 3 ? 0.0 : taps[t] / (f->grid == HO_GRID_UP ? 4.0 : 8.0);
                const double value = f->grid == HO_GRID_SAME ? (m == i ? 1.0 : 0.0) : folded;
                for (int position = 0; position < TILE; ++position) {
                    maps.m[a][position][i] += (float)(G[position][row] * value);
                }
            }
        }
    }
    return maps;
}

int64_t ho_winograd_phases_in(const filter_case *f) {
    return f->grid == (f->turned ? HO_GRID_UP : HO_GRID_DOWN) ? 4 : 1;
}

int64_t ho_winograd_phases_out(const filter_case *f) {
    return f->grid == (f->turned ? HO_GRID_DOWN : HO_GRID_UP) ? 4 : 1;
}

/* 16 outputs of 3x3 taps for each of 16 inputs: each tap a vector over outputs. */
typedef vec taps_of[9];

/* rows[l][k] -> rows[k][l]. */
static void transpose(vec *rows) {
    typedef int index_vec __attribute__((vector_size(64)));
    for (int s = 1; s < LANES; s *= 2) {
        index_vec low, high;
        for (int lane = 0; lane < LANES; ++lane) {
            low[lane] = (lane & s) != 0 ? lane - s + LANES : lane;
            high[lane] = (lane & s) != 0 ? lane + LANES : lane + s;
        }
        for (int i = 0; i < LANES; ++i) {
            if ((i & s) == 0) {
                const vec upper = rows[i], lower = rows[i + s];
                rows[i] = __builtin_shuffle(upper, lower, low);
                rows[i + s] = __builtin_shuffle(upper, lower, high);
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

/* out[6][6] = A taps B^T. */
static inline void transform_filter(const float A[TILE][3], const float B[TILE][3], const vec *taps, vec *out) {
    for (int row = 0; row < TILE; ++row) {
        vec half[3];
        for (int j = 0; j < 3; ++j) {
            half[j] = A[row][0] * taps[j] + A[row][1] * taps[3 + j] + A[row][2] * taps[6 + j];
        }
        for (int column = 0; column < TILE; ++column) {
            out[row * TILE + column] = B[column][0] * half[0] + B[column][1] * half[1] + B[column][2] * half[2];
        }
    }
}

void ho_winograd_transform_filters(const filter_case *f, const float *w, int64_t panel, float *V) {
    const filter_maps maps = maps_of(f);
    const int64_t in = f->turned ? f->O : f->C, out = f->turned ? f->C : f->O;
    const int64_t phases_in = ho_winograd_phases_in(f), phases_out = ho_winograd_phases_out(f);
    const int64_t all_in = phases_in * in, all_out = phases_out * out, step = position_step(all_in * all_out);
    const int64_t in_blocks = in / LANES, out_blocks = out / LANES;
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < in_blocks * out_blocks; ++b) {
        const int64_t i0 = b % in_blocks * LANES, o0 = b / in_blocks * LANES;
        taps_of of_input[LANES];
        load_taps(f, w, i0, o0, of_input);
        for (int64_t phase = 0; phase < phases_in * phases_out; ++phase) {
            const int64_t i = i0 + (phases_in > 1 ? phase * in : 0), o = o0 + (phases_out > 1 ? phase * out : 0);
            const int64_t first = o / panel * panel, width = all_out - first < panel ? all_out - first : panel;
            float *to = V + panel_offset(all_in, first) + i * width + o - first;
            for (int k = 0; k < LANES; ++k) {
                vec full[POSITIONS];
                transform_filter(maps.m[phase / 2], maps.m[phase % 2], of_input[k], full);
                for (int position = 0; position < POSITIONS; ++position) {
                    vec_store(to + position * step + k * width, full[position]);
                }
            }
        }
    }
}

/* taps[3][3] += A^T m B for m[6][6]. */
static inline void add_filter_back(const float A[TILE][3], const float B[TILE][3], const vec *m, vec *taps) {
    for (int j = 0; j < 3; ++j) {
        vec half[TILE];
        for (int row = 0; row < TILE; ++row) {
            half[row] = (vec){0};
            for (int column = 0; column < TILE; ++column) {
                half[row] += B[column][j] * m[row * TILE + column];
            }
        }
        for (int i = 0; i < 3; ++i) {
            for (int row = 0; row < TILE; ++row) {
                taps[i * 3 + j] += A[row][i] * half[row];
            }
        }
    }
}

void ho_winograd_transform_filters_back(const filter_case *f, const float *S, float *g_w) {
    const filter_maps maps = maps_of(f);
    const int64_t phases_in = ho_winograd_phases_in(f), phases_out = ho_winograd_phases_out(f);
    const int64_t all_in = phases_in * f->C, step = position_step(all_in * phases_out * f->O);
#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < f->O; ++o) {
        for (int64_t c = 0; c < f->C; c += LANES) {
            vec taps[9] = {{0}};
            for (int64_t phase = 0; phase < phases_in * phases_out; ++phase) {
                const int64_t row = o + (phases_out > 1 ? phase * f->O : 0);
                const int64_t column = c + (phases_in > 1 ? phase * f->C : 0);
                vec m[POSITIONS];
                for (int position = 0; position < POSITIONS; ++position) {
                    m[position] = vec_load(S + position * step + row * all_in + column);
                }
                add_filter_back(maps.m[phase / 2], maps.m[phase % 2], m, taps);
            }
            for (int tap = 0; tap < 9; ++tap) {
                vec_store(g_w + (o * 9 + tap) * f->C + c, taps[tap]);
            }
        }
    }
}

#endif
