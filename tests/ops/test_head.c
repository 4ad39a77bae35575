/* The label head against its definition in double loops: hypercolumns are formed here, pixel by pixel. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "handsoff/feature_cache.h"
#include "handsoff/label_head.h"
#include "head.h"

#ifdef HO_REAL_DOUBLE
#define BUDGET 1e-6 /* results and parameters travel as floats */
#else
#define BUDGET 2e-5
#endif
enum { SEED = 5, MAX_UNITS = 32768 };

/* ---- one case: random maps, a head with random parameters, and its labels by definition ------------------ */

typedef struct {
    const char *name;
    int64_t members, h1, h2, K, H, W, N;
    int n_maps;
    int64_t size[4][3]; /* height, width, channels of each map */
    int n_blocks;
    int64_t block[4];
} head_case;

static const head_case CASES[] = {
    {"levels up, equal and down",
     3,
     5,
     4,
     4,
     16,
     16,
     2,
     4,
     {{4, 4, 6}, {4, 4, 3}, {16, 16, 5}, {32, 32, 2}},
     4,
     {0, 1, 2, 3}},
    {"sizes that divide nothing", 2, 3, 7, 3, 13, 7, 1, 3, {{4, 2, 3}, {8, 4, 4}, {16, 8, 1}}, 3, {0, 1, 2}},
    {"one member, some blocks", 1, 8, 2, 2, 8, 8, 1, 3, {{4, 4, 3}, {8, 8, 4}, {8, 8, 2}}, 1, {1}},
    {"two strips, tiles of all kinds",
     128,
     256,
     2,
     2,
     61,
     70,
     1,
     3,
     {{4, 2, 3}, {48, 32, 2}, {80, 72, 1}},
     3,
     {0, 1, 2}},
};

typedef struct {
    const head_case *c;
    ho_context *context;
    ho_label_head *head;
    ho_style_blocks blocks;
    float *map[4];
    float *parameter[14]; /* in order of declaration */
} fixture;

static int64_t map_count(const head_case *c, int l) {
    return c->N * c->size[l][0] * c->size[l][1] * c->size[l][2];
}

static void make_fixture(const head_case *c, fixture *f) {
    ho_label_head_shape shape = {c->members, c->h1, c->h2, c->K, c->H, c->W, c->n_blocks, {0}, {0}};
    memset(f, 0, sizeof *f);
    f->c = c;
    CHECK_OK(ho_context_create(check_device(), &f->context));
    f->blocks.n = c->n_maps;
    for (int l = 0; l < c->n_maps; ++l) {
        f->map[l] = malloc(sizeof(float) * (size_t)map_count(c, l));
        for (int64_t i = 0; i < map_count(c, l); ++i) {
            f->map[l][i] = (float)check_normal(SEED + (uint64_t)l, (uint64_t)i);
        }
        CHECK_OK(ho_tensor_from_host(f->context, f->map[l], HO_SHAPE(c->N, c->size[l][0], c->size[l][1], c->size[l][2]),
                                     &f->blocks.map[l]));
    }
    for (int l = 0; l < c->n_blocks; ++l) {
        shape.block[l] = c->block[l];
        shape.channels[l] = c->size[c->block[l]][2];
    }
    CHECK_OK(ho_label_head_create(check_device(), &shape, SEED, &f->head));
    ho_params *params = ho_label_head_params(f->head);
    assert_int_equal(ho_params_n(params), 14);
    for (int i = 0; i < 14; ++i) {
        ho_param *p = ho_params_at(params, i);
        const int64_t n = ho_tensor_count(&p->tensor);
        f->parameter[i] = malloc(sizeof(float) * (size_t)n);
        for (int64_t j = 0; j < n; ++j) {
            const double v = check_normal(100 + (uint64_t)i, (uint64_t)j);
            f->parameter[i][j] = (float)(strstr(p->name, "running_var") != NULL ? 0.5 + v * v : v * 0.7);
        }
        CHECK_OK(ho_param_set(params, p, f->parameter[i]));
    }
}

static void free_fixture(fixture *f) {
    for (int l = 0; l < 4; ++l) {
        free(f->map[l]);
    }
    for (int i = 0; i < 14; ++i) {
        free(f->parameter[i]);
    }
    ho_label_head_free(f->head);
    ho_context_free(f->context);
}

static double mix(const float *map, const int64_t size[3], int64_t n, double y, double x, int64_t c) {
    const int64_t y0 = (int64_t)floor(y), x0 = (int64_t)floor(x);
    const int64_t y1 = y0 + 1 < size[0] ? y0 + 1 : size[0] - 1, x1 = x0 + 1 < size[1] ? x0 + 1 : size[1] - 1;
    const double fy = y - (double)y0, fx = x - (double)x0;
#define AT(v, u) (double)map[((n * size[0] + (v)) * size[1] + (u)) * size[2] + c]
    return (1 - fy) * ((1 - fx) * AT(y0, x0) + fx * AT(y0, x1)) + fy * ((1 - fx) * AT(y1, x0) + fx * AT(y1, x1));
#undef AT
}

/* The hypercolumn of one pixel (bilinear, pixel centres at .5); returns its length. */
static int64_t hypercolumn(const fixture *f, int64_t n, int64_t h, int64_t w, double *x) {
    int64_t length = 0;
    for (int l = 0; l < f->c->n_blocks; ++l) {
        const int64_t *size = f->c->size[f->c->block[l]];
        const double y = fmax(0.0, ((double)h + 0.5) * (double)size[0] / (double)f->c->H - 0.5);
        const double u = fmax(0.0, ((double)w + 0.5) * (double)size[1] / (double)f->c->W - 0.5);
        for (int64_t c = 0; c < size[2]; ++c) {
            x[length++] = mix(f->map[f->c->block[l]], size, n, y, u, c);
        }
    }
    return length;
}

/* Linear layer from parameter `p` on, of member m; relu and batch norm follow when norm is set. */
static void layer(const fixture *f, int p, bool norm, int64_t m, int64_t I, int64_t O, const double *x, double *y) {
    for (int64_t o = m * O; o < (m + 1) * O; ++o) {
        double sum = f->parameter[p + 1][o];
        for (int64_t i = 0; i < I; ++i) {
            sum += f->parameter[p][o * I + i] * x[i];
        }
        if (norm) {
            sum = (fmax(sum, 0.0) - f->parameter[p + 4][o]) / sqrt(f->parameter[p + 5][o] + 1e-5);
            sum = sum * f->parameter[p + 2][o] + f->parameter[p + 3][o];
        }
        y[o - m * O] = sum;
    }
}

static void member_logits(const fixture *f, int64_t m, const double *x, int64_t C, double *logits) {
    static double a[MAX_UNITS], b[MAX_UNITS];
    layer(f, 0, true, m, C, f->c->h1, x, a);
    layer(f, 6, true, m, f->c->h1, f->c->h2, a, b);
    layer(f, 12, false, m, f->c->h2, f->c->K, b, logits);
}

typedef struct {
    int label;
    double js, margin; /* margin: smallest lead of any member's class over its second */
} truth;

static truth pixel_truth(const fixture *f, int64_t n, int64_t h, int64_t w) {
    const int64_t K = f->c->K, M = f->c->members;
    double x[64], logits[16], mean[16] = {0}, entropy = 0.0;
    int votes[16] = {0};
    truth t = {0, 0.0, INFINITY};
    const int64_t C = hypercolumn(f, n, h, w, x);
    for (int64_t m = 0; m < M; ++m) {
        member_logits(f, m, x, C, logits);
        double sum = 0.0, first = -INFINITY, second = -INFINITY;
        int best = 0;
        for (int k = 0; k < K; ++k) {
            sum += exp(logits[k]);
            if (logits[k] > first) {
                second = first;
                first = logits[k];
                best = k;
            } else if (logits[k] > second) {
                second = logits[k];
            }
        }
        for (int k = 0; k < K; ++k) {
            const double p = exp(logits[k]) / sum;
            mean[k] += p / (double)M;
            entropy -= p > 0 ? p * log(p) / (double)M : 0.0;
        }
        ++votes[best];
        t.margin = fmin(t.margin, first - second);
    }
    t.js = -entropy;
    for (int k = 0; k < K; ++k) {
        t.js -= mean[k] > 0 ? mean[k] * log(mean[k]) : 0.0;
        t.label = votes[k] > votes[t.label] ? k : t.label;
    }
    return t;
}

static int descending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static void whole_images_agree_with_the_definition(void **state) {
    (void)state;
    for (int i = 0; i < CHECK_LEN(CASES); ++i) {
        const head_case *c = &CASES[i];
        const int64_t HW = c->H * c->W, total = c->N * HW;
        fixture f;
        make_fixture(c, &f);
        uint8_t *label = malloc((size_t)total);
        float *js = malloc(sizeof(float) * (size_t)total), score[4];
        double *want = malloc(sizeof(double) * (size_t)total), want_score[4];
        const ho_label_prediction prediction = {label, js, score};
        CHECK_OK(ho_label_head_predict(f.context, f.head, &f.blocks, &prediction));
        int64_t doubtful = 0;
        for (int64_t p = 0; p < total; ++p) {
            const truth t = pixel_truth(&f, p / HW, p % HW / c->W, p % c->W);
            want[p] = t.js;
            if (t.margin < 1e-3) {
                ++doubtful;
            } else {
                assert_int_equal(label[p], t.label);
            }
        }
        assert_true(doubtful < total / 2);
        check_close_f32(c->name, js, total, want, total, BUDGET);
        for (int64_t n = 0; n < c->N; ++n) {
            qsort(want + n * HW, (size_t)HW, sizeof *want, descending);
            const int64_t k = HW / 10;
            want_score[n] = 0.0;
            for (int64_t j = 0; j < k; ++j) {
                want_score[n] += want[n * HW + j] / (double)k;
            }
        }
        check_close_f32("score", score, c->N, want_score, c->N, BUDGET);
        free(label);
        free(js);
        free(want);
        free_fixture(&f);
    }
}

/* Members with the logits (2, 0, 0) and (0, 1, 0). */
static void divergence_of_the_published_logits(void **state) {
    (void)state;
    static const float LOGITS[6] = {2, 0, 0, 0, 1, 0}, BIAS[6] = {0};
    const double want = 0.185749;
    ho_context *context;
    ho_tensor *logits, *bias, *js;
    void *label;
    uint8_t vote = 9;
    float got;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_from_host(context, LOGITS, HO_SHAPE(1, 2, 3), &logits));
    CHECK_OK(ho_tensor_from_host(context, BIAS, HO_SHAPE(2, 3), &bias));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1), &js));
    CHECK_OK(ho_scratch_bytes(context, 1, &label));
    CHECK_OK(ho_k_head_vote(logits->data, bias->data, 1, 2, 3, label, js->data, ho_context_stream(context)));
    CHECK_OK(ho_tensor_to_host(context, js, &got));
    check_close_f32("JS divergence", &got, 1, &want, 1, 1e-6);
    CHECK_OK(ho_device_download(check_device(), &vote, label, 1));
    assert_int_equal(vote, 0); /* one vote each: the smaller class */
    ho_context_free(context);
}

/* ---- hypercolumns of drawn pixels ------------------------------------------------------------------------ */

static void gathered_rows_are_hypercolumns(void **state) {
    (void)state;
    static const ho_stylegan2_shape shapes[] = {{16, 16, 8, 8, 64, 8, 2}, {32, 16, 8, 8, 128, 8, 2}};
    static const int64_t used[] = {0, 2, 3, 5};
    enum { ROWS = 48, SIZE = 16 };
    for (int i = 0; i < CHECK_LEN(shapes); ++i) {
        head_case c = {"gather", 1, 1, 1, 1, SIZE, SIZE, 3, 4, {{0}}, 4, {0, 1, 2, 3}};
        fixture f = {.c = &c};
        CHECK_OK(ho_context_create(check_device(), &f.context));
        for (int l = 0; l < 4; ++l) {
            c.size[l][0] = ho_style_block_height(&shapes[i], used[l]);
            c.size[l][1] = c.size[l][0] * shapes[i].width / shapes[i].height;
            c.size[l][2] = ho_style_block_channels(&shapes[i], used[l]);
            f.map[l] = malloc(sizeof(float) * (size_t)map_count(&c, l));
            for (int64_t j = 0; j < map_count(&c, l); ++j) { /* some values are subnormal halves */
                f.map[l][j] = (float)(check_normal(SEED + (uint64_t)l, (uint64_t)j) * (j % 7 == 0 ? 1e-6 : 1.0));
            }
            f.blocks.n = (int)used[l] + 1;
            CHECK_OK(ho_tensor_from_host(f.context, f.map[l], HO_SHAPE(c.N, c.size[l][0], c.size[l][1], c.size[l][2]),
                                         &f.blocks.map[used[l]]));
        }
        const ho_feature_cache_options options = {&shapes[i], 4, used, c.N, SIZE, SIZE, 1e9};
        ho_feature_cache *cache = NULL;
        CHECK_OK(ho_feature_cache_create(check_device(), &options, &cache));
        CHECK_OK(ho_feature_cache_put(f.context, cache, 0, &f.blocks));
        int64_t pixel[ROWS];
        const int64_t C = ho_feature_cache_channels(cache);
        double *want = malloc(sizeof(double) * (size_t)(ROWS * C));
        float *got = malloc(sizeof(float) * (size_t)(ROWS * C));
        double largest = 0.0;
        for (int r = 0; r < ROWS; ++r) {
            pixel[r] = (int64_t)(check_uniform(9, (uint64_t)r) * (double)(c.N * SIZE * SIZE));
            hypercolumn(&f, pixel[r] / (SIZE * SIZE), pixel[r] % (SIZE * SIZE) / SIZE, pixel[r] % SIZE, want + r * C);
        }
        for (int64_t j = 0; j < ROWS * C; ++j) {
            largest = fmax(largest, fabs(want[j]));
        }
        ho_tensor *rows = NULL;
        CHECK_OK(ho_feature_cache_gather(f.context, cache, pixel, ROWS, 4, &rows));
        assert_int_equal(rows->dim[0], ROWS / 4);
        assert_int_equal(rows->dim[1], 4 * C);
        CHECK_OK(ho_tensor_to_host(f.context, rows, got));
        check_close_f32("hypercolumns", got, ROWS * C, want, ROWS * C, largest / 2048); /* a half has 11 bits */
        CHECK_FAILS(ho_feature_cache_gather(f.context, cache, &(int64_t){c.N * SIZE * SIZE}, 1, 1, &rows), HO_ESHAPE,
                    "pixel 768 of 768");
        ho_feature_cache_free(cache);
        const ho_feature_cache_options small = {&shapes[i], 4, used, c.N, SIZE, SIZE, 100.0};
        CHECK_FAILS(ho_feature_cache_create(check_device(), &small, &cache), HO_ECONFIG, "head.cache_gb");
        free(want);
        free(got);
        free_fixture(&f);
    }
}

/* ---- hypercolumns -> logits ------------------------------------------------------------------------------ */

static void logits_of_shared_and_own_pixels_agree_with_the_definition(void **state) {
    (void)state;
    const head_case *c = &CASES[0];
    enum { B = 6 };
    fixture f;
    make_fixture(c, &f);
    const int64_t C = ho_label_head_channels(ho_label_head_shape_of(f.head)), M = c->members;
    const int64_t n = B * M * c->K;
    float *shared = malloc(sizeof(float) * (size_t)(B * C)), *own = malloc(sizeof(float) * (size_t)(B * M * C));
    float *got = malloc(sizeof(float) * (size_t)n);
    double *want = malloc(sizeof(double) * (size_t)n), x[64];
    for (int64_t b = 0; b < B; ++b) {
        for (int64_t i = 0; i < C; ++i) {
            x[i] = check_normal(3, (uint64_t)(b * C + i));
            shared[b * C + i] = (float)x[i];
        }
        for (int64_t m = 0; m < M; ++m) {
            memcpy(own + (b * M + m) * C, shared + b * C, sizeof(float) * (size_t)C);
            member_logits(&f, m, x, C, want + (b * M + m) * c->K);
        }
    }
    for (int pass = 0; pass < 2; ++pass) {
        ho_tensor *input = NULL, *logits = NULL;
        CHECK_OK(ho_tensor_from_host(f.context, pass == 0 ? shared : own, HO_SHAPE(B, pass == 0 ? C : M * C), &input));
        CHECK_OK(ho_label_head_logits(f.context, f.head, input, false, &logits));
        CHECK_OK(ho_tensor_to_host(f.context, logits, got));
        check_close_f32("logits", got, n, want, n, 10 * BUDGET);
    }
    ho_tensor *wrong = NULL, *logits = NULL;
    CHECK_OK(ho_tensor_new(f.context, HO_SHAPE(B, C + 1), &wrong));
    CHECK_FAILS(ho_label_head_logits(f.context, f.head, wrong, false, &logits), HO_ESHAPE, "hypercolumns");
    free(shared);
    free(own);
    free(got);
    free(want);
    free_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_images_agree_with_the_definition),
        cmocka_unit_test(divergence_of_the_published_logits),
        cmocka_unit_test(gathered_rows_are_hypercolumns),
        cmocka_unit_test(logits_of_shared_and_own_pixels_agree_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
