/* Sliced Wasserstein distance on Laplacian pyramids. See swd.h. */
#include "handsoff/swd.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "handsoff/random.h"

enum { PATCH = 7, AREA = PATCH * PATCH, NUMBERS = 3 * AREA, SMALLEST = 16, BITS = 11, BUCKETS = 1 << BITS };

typedef struct {
    int64_t H, W;
    float *patches; /* (capacity * per_image, 3, 7, 7) */
} swd_level;

struct ho_swd_set {
    int64_t H, W, capacity, per_image, n;
    uint64_t seed;
    bool normalized;
    int n_levels;
    swd_level level[HO_SWD_MAX_LEVELS];
};

/* ---- pyramid --------------------------------------------------------------------------------------------- */

static int64_t mirror(int64_t i, int64_t n) {
    return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

static const float BINOMIAL[5] = {1.0F / 16, 4.0F / 16, 6.0F / 16, 4.0F / 16, 1.0F / 16};

/* y (H/2, W/2, 3) = binomial filter of x (H, W, 3), every second pixel; `row` holds (H/2, W, 3). */
static void pyramid_down(const float *x, int64_t H, int64_t W, float *row, float *y) {
    memset(row, 0, (size_t)(H / 2 * W * 3) * sizeof *row);
    for (int64_t h = 0; h < H / 2; ++h) {
        for (int64_t k = 0; k < 5; ++k) {
            const float *from = x + mirror(2 * h + k - 2, H) * W * 3;
            for (int64_t e = 0; e < 3 * W; ++e) {
                row[h * 3 * W + e] += BINOMIAL[k] * from[e];
            }
        }
        for (int64_t w = 0; w < W / 2; ++w) {
            for (int c = 0; c < 3; ++c) {
                float sum = 0.0F;
                for (int64_t k = 0; k < 5; ++k) {
                    sum += BINOMIAL[k] * row[(h * W + mirror(2 * w + k - 2, W)) * 3 + c];
                }
                y[(h * (W / 2) + w) * 3 + c] = sum;
            }
        }
    }
}

/* x (H, W, 3) -= binomial filter of the coarse (H/2, W/2, 3) with zeros between its pixels, times 4. */
static void subtract_up(float *x, int64_t H, int64_t W, const float *coarse, float *row) {
    for (int64_t h = 0; h < H; ++h) {
        memset(row, 0, (size_t)(W / 2 * 3) * sizeof *row);
        for (int64_t k = h % 2; k < 5; k += 2) { /* h + k - 2 is even: a row that is not zero */
            const float *from = coarse + mirror(h + k - 2, H) / 2 * (W / 2) * 3;
            for (int64_t e = 0; e < W / 2 * 3; ++e) {
                row[e] += 2.0F * BINOMIAL[k] * from[e];
            }
        }
        for (int64_t w = 0; w < W; ++w) {
            for (int64_t k = w % 2; k < 5; k += 2) {
                const float *from = row + mirror(w + k - 2, W) / 2 * 3;
                for (int c = 0; c < 3; ++c) {
                    x[(h * W + w) * 3 + c] -= 2.0F * BINOMIAL[k] * from[c];
                }
            }
        }
    }
}

/* ---- sets ------------------------------------------------------------------------------------------------ */

ho_status ho_swd_set_create(int64_t H, int64_t W, int64_t capacity, int64_t per_image, uint64_t seed,
                            ho_swd_set **set) {
    HO_REQUIRE(H >= PATCH && W >= PATCH, "sliced Wasserstein distance: images of %dx%d are smaller than a patch of 7x7",
               (int)H, (int)W);
    ho_swd_set *s = calloc(1, sizeof *s);
    if (s == NULL) {
        HO_FAIL(HO_EMEMORY, "sliced Wasserstein distance: out of memory");
    }
    *s = (ho_swd_set){.H = H, .W = W, .capacity = capacity, .per_image = per_image, .seed = seed};
    bool more = true;
    while (more && s->n_levels < HO_SWD_MAX_LEVELS) {
        swd_level *level = &s->level[s->n_levels++];
        level->H = H;
        level->W = W;
        level->patches = malloc((size_t)(capacity * per_image * NUMBERS) * sizeof(float));
        if (level->patches == NULL) {
            ho_swd_set_free(s);
            HO_FAIL(HO_EMEMORY, "sliced Wasserstein distance: no memory for %d x %d patches", (int)capacity,
                    (int)per_image);
        }
        more = H % 2 == 0 && W % 2 == 0 && H / 2 >= SMALLEST && W / 2 >= SMALLEST;
        H /= 2;
        W /= 2;
    }
    *set = s;
    return HO_OK;
}

void ho_swd_set_free(ho_swd_set *set) {
    if (set != NULL) {
        for (int l = 0; l < set->n_levels; ++l) {
            free(set->level[l].patches);
        }
        free(set);
    }
}

static void take_patches(ho_swd_set *s, int l, int64_t image, const float *x) {
    const swd_level *level = &s->level[l];
    const uint64_t stream = ho_stream_id("swd/place") + (uint64_t)l;
    for (int64_t p = 0; p < s->per_image; ++p) {
        const uint64_t draw = (uint64_t)(image * s->per_image + p);
        const int64_t top = ho_uniform_int(s->seed, stream, 2 * draw, level->H - PATCH + 1);
        const int64_t left = ho_uniform_int(s->seed, stream, 2 * draw + 1, level->W - PATCH + 1);
        float *to = level->patches + (int64_t)draw * NUMBERS;
        for (int64_t e = 0; e < AREA; ++e) {
            for (int64_t c = 0; c < 3; ++c) {
                to[c * AREA + e] = x[((top + e / PATCH) * level->W + left + e % PATCH) * 3 + c];
            }
        }
    }
}

ho_status ho_swd_set_add(ho_swd_set *set, int64_t n, const uint8_t *images) {
    HO_REQUIRE(set->n + n <= set->capacity && !set->normalized,
               "sliced Wasserstein distance: %d images added to a set of %d of %d", (int)n, (int)set->n,
               (int)set->capacity);
    const int64_t count = set->H * set->W * 3;
    float *memory = malloc((size_t)(3 * count) * sizeof *memory); /* the levels, less than 4/3; a filtered half, 1/2 */
    if (memory == NULL) {
        HO_FAIL(HO_EMEMORY, "sliced Wasserstein distance: out of memory");
    }
    for (int64_t i = 0; i < n; ++i) {
        float *x = memory, *row = memory + 2 * count;
        for (int64_t e = 0; e < count; ++e) {
            x[e] = (float)images[i * count + e];
        }
        for (int l = 0; l < set->n_levels; ++l) {
            const int64_t H = set->level[l].H, W = set->level[l].W;
            float *coarse = x + H * W * 3;
            if (l + 1 < set->n_levels) {
                pyramid_down(x, H, W, row, coarse);
                subtract_up(x, H, W, coarse, row);
            }
            take_patches(set, l, set->n + i, x);
            x = coarse;
        }
    }
    set->n += n;
    free(memory);
    return HO_OK;
}

/* Mean 0 and variance 1 for each colour channel over the whole set. */
static void normalize(ho_swd_set *s) {
    const int64_t rows = s->n * s->per_image;
    for (int l = 0; l < s->n_levels && !s->normalized; ++l) {
        for (int64_t c = 0; c < 3; ++c) {
            double sum = 0.0, squares = 0.0;
            for (int64_t r = 0; r < rows; ++r) {
                const float *x = s->level[l].patches + r * NUMBERS + c * AREA;
                for (int e = 0; e < AREA; ++e) {
                    sum += x[e];
                    squares += (double)x[e] * x[e];
                }
            }
            const double count = (double)(rows * AREA), mean = sum / count, variance = squares / count - mean * mean;
            const double gain = 1.0 / sqrt(variance > 1e-8 ? variance : 1e-8);
            for (int64_t r = 0; r < rows; ++r) {
                float *x = s->level[l].patches + r * NUMBERS + c * AREA;
                for (int e = 0; e < AREA; ++e) {
                    x[e] = (float)(gain * (x[e] - mean));
                }
            }
        }
    }
    s->normalized = true;
}

/* ---- comparison ------------------------------------------------------------------------------------------ */

/* Ascending, in 3 passes over the bits of the floats; `spare` holds n. The result lies in `key`. */
static void sort_floats(uint32_t *key, uint32_t *spare, int64_t n) {
    for (int64_t i = 0; i < n; ++i) { /* order of unsigned numbers = order of floats */
        key[i] ^= (key[i] >> 31) != 0 ? 0xFFFFFFFFU : 0x80000000U;
    }
    uint32_t *from = key, *to = spare;
    for (int pass = 0; pass < 3; ++pass) {
        int64_t start[BUCKETS + 1] = {0};
        const int shift = pass * BITS;
        for (int64_t i = 0; i < n; ++i) {
            ++start[((from[i] >> shift) & (BUCKETS - 1)) + 1];
        }
        for (int b = 0; b < BUCKETS; ++b) {
            start[b + 1] += start[b];
        }
        for (int64_t i = 0; i < n; ++i) {
            to[start[(from[i] >> shift) & (BUCKETS - 1)]++] = from[i];
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    for (int64_t i = 0; i < n; ++i) {
        key[i] = from[i] ^ ((from[i] >> 31) != 0 ? 0x80000000U : 0xFFFFFFFFU);
    }
}

static void project(const float *patches, int64_t rows, const float *direction, uint32_t *key) {
    for (int64_t r = 0; r < rows; ++r) {
        float part[16] = {0};
        for (int e = 0; e < NUMBERS; ++e) {
            part[e % 16] += patches[r * NUMBERS + e] * direction[e];
        }
        for (int e = 1; e < 16; ++e) {
            part[0] += part[e];
        }
        memcpy(&key[r], &part[0], sizeof part[0]);
    }
}

static void draw_direction(uint64_t seed, int64_t number, float *direction) {
    const uint64_t stream = ho_stream_id("swd/direction");
    double squares = 0.0, x[NUMBERS];
    for (int e = 0; e < NUMBERS; ++e) {
        x[e] = ho_normal(seed, stream, (uint64_t)(number * NUMBERS + e));
        squares += x[e] * x[e];
    }
    for (int e = 0; e < NUMBERS; ++e) {
        direction[e] = (float)(x[e] / sqrt(squares));
    }
}

/* Mean absolute difference of the sorted projections on one direction; memory holds 3 * rows. */
static double distance_along(const float *a, const float *b, int64_t rows, const float *direction, uint32_t *memory) {
    uint32_t *key_a = memory, *key_b = memory + rows, *spare = memory + 2 * rows;
    project(a, rows, direction, key_a);
    project(b, rows, direction, key_b);
    sort_floats(key_a, spare, rows);
    sort_floats(key_b, spare, rows);
    double sum = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
        float va, vb;
        memcpy(&va, &key_a[r], sizeof va);
        memcpy(&vb, &key_b[r], sizeof vb);
        sum += fabs((double)va - vb);
    }
    return sum / (double)rows;
}

static ho_status compare_level(const ho_swd_set *a, const ho_swd_set *b, int l, int projections, uint64_t seed,
                               double *distance) {
    const int64_t rows = a->n * a->per_image;
    double *part = calloc((size_t)projections, sizeof *part);
    if (part == NULL) {
        HO_FAIL(HO_EMEMORY, "sliced Wasserstein distance: no memory for %d projections", projections);
    }
    bool enough = true;
#pragma omp parallel for schedule(static) reduction(&& : enough)
    for (int d = 0; d < projections; ++d) {
        float direction[NUMBERS];
        uint32_t *memory = malloc((size_t)(3 * rows) * sizeof *memory);
        enough = enough && memory != NULL;
        if (enough) {
            draw_direction(seed, (int64_t)l * projections + d, direction);
            part[d] = distance_along(a->level[l].patches, b->level[l].patches, rows, direction, memory);
        }
        free(memory);
    }
    *distance = 0.0;
    for (int d = 0; enough && d < projections; ++d) {
        *distance += 1e3 * part[d] / projections;
    }
    free(part);
    if (!enough) {
        HO_FAIL(HO_EMEMORY, "sliced Wasserstein distance: no memory to sort %lld numbers", (long long)rows);
    }
    return HO_OK;
}

ho_status ho_swd_compare(ho_swd_set *a, ho_swd_set *b, int projections, uint64_t seed, ho_swd_result *result) {
    HO_REQUIRE(a->H == b->H && a->W == b->W && a->n == b->n && a->per_image == b->per_image && a->n > 0,
               "sliced Wasserstein distance: sets of %d images of %dx%d and %d of %dx%d cannot be compared", (int)a->n,
               (int)a->H, (int)a->W, (int)b->n, (int)b->H, (int)b->W);
    normalize(a);
    normalize(b);
    memset(result, 0, sizeof *result);
    result->n_levels = a->n_levels;
    for (int l = 0; l < a->n_levels; ++l) {
        result->size[l] = a->level[l].H < a->level[l].W ? a->level[l].H : a->level[l].W;
        HO_TRY(compare_level(a, b, l, projections, seed, &result->distance[l]));
        result->mean += result->distance[l] / a->n_levels;
    }
    return HO_OK;
}
