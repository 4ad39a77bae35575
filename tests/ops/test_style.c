/* Latents, the FIR filter and the minibatch standard deviation against plain loops. */
#include "gradcheck.h"

#include <math.h>
#include <stdlib.h>

/* ---- latents ----------------------------------------------------------------------------------------------------- */

static ho_status build_normalize(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    (void)c;
    return ho_normalize_z(context, x[0], y);
}

static void reference_normalize(const gc_case *c, const double *const *x, double *y) {
    const int64_t D = c->out_dim[1];
    for (int64_t n = 0; n < c->out_dim[0]; ++n) {
        double sum = 0.0;
        for (int64_t i = 0; i < D; ++i) {
            sum += x[0][n * D + i] * x[0][n * D + i];
        }
        for (int64_t i = 0; i < D; ++i) {
            y[n * D + i] = x[0][n * D + i] / sqrt(sum / (double)D + 1e-8);
        }
    }
}

static ho_status build_w_plus(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_w_to_w_plus(context, x[0], c->out_dim[1], y);
}

static void reference_w_plus(const gc_case *c, const double *const *x, double *y) {
    const int64_t L = c->out_dim[1], D = c->out_dim[2];
    for (int64_t i = 0; i < c->out_dim[0] * L * D; ++i) {
        y[i] = x[0][i / (L * D) * D + i % D];
    }
}

static ho_status build_broadcast(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_broadcast_batch(context, x[0], c->out_dim[0], y);
}

static void reference_broadcast(const gc_case *c, const double *const *x, double *y) {
    const int64_t size = c->out_dim[1] * c->out_dim[2] * c->out_dim[3];
    for (int64_t i = 0; i < c->out_dim[0] * size; ++i) {
        y[i] = x[0][i % size];
    }
}

static ho_status build_row(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_w_plus_row(context, x[0], *(const int64_t *)c->user, y);
}

static void reference_row(const gc_case *c, const double *const *x, double *y) {
    const int64_t L = c->input[0].dim[1], D = c->input[0].dim[2];
    for (int64_t i = 0; i < c->out_dim[0] * D; ++i) {
        y[i] = x[0][(i / D * L + *(const int64_t *)c->user) * D + i % D];
    }
}

static ho_status build_mix(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_mix_rows(context, x[0], x[1], c->user, y);
}

static void reference_mix(const gc_case *c, const double *const *x, double *y) {
    const int64_t L = c->out_dim[1], D = c->out_dim[2], *cut = c->user;
    for (int64_t i = 0; i < c->out_dim[0] * L * D; ++i) {
        y[i] = x[i / D % L >= cut[i / D / L]][i];
    }
}

static const int64_t FIRST = 0, THIRD = 2;
static const int64_t CUTS[4] = {1, 0, 5, 3}; /* 0: all of b; L: all of a */

#define NORMALIZE(n, d)                                                                                                \
    {                                                                                                                  \
        "normalize_z", build_normalize, reference_normalize, 1, {{2, {n, d}, GC_AWAY, false}}, 2, {n, d}, d, 0, 0,     \
            .user = NULL                                                                                               \
    }
#define W_PLUS(n, l, d)                                                                                                \
    {                                                                                                                  \
        "w_to_w_plus", build_w_plus, reference_w_plus, 1, {{2, {n, d}, GC_NORMAL, false}}, 3, {n, l, d}, l, 0, 0,      \
            .user = NULL                                                                                               \
    }
#define BROADCAST(n, h, w, c)                                                                                          \
    {                                                                                                                  \
        "broadcast_batch", build_broadcast, reference_broadcast, 1, {{3, {h, w, c}, GC_NORMAL, false}}, 4,             \
            {n, h, w, c}, n, 0, 0, .user = NULL                                                                        \
    }
#define ROW(n, l, d, row)                                                                                              \
    {                                                                                                                  \
        "w_plus_row", build_row, reference_row, 1, {{3, {n, l, d}, GC_NORMAL, false}}, 2, {n, d}, 1, 0, 0,             \
            .user = &(row)                                                                                             \
    }
#define MIX(n, l, d)                                                                                                   \
    {                                                                                                                  \
        "mix_rows", build_mix, reference_mix, 2, {{3, {n, l, d}, GC_NORMAL, false}, {3, {n, l, d}, GC_NORMAL, false}}, \
            3, {n, l, d}, 1, 0, 0, .user = CUTS                                                                        \
    }

static void latents(void **state) {
    (void)state;
    const gc_case cases[] = {
        NORMALIZE(1, 2),     NORMALIZE(3, 7),       NORMALIZE(2, 33),      W_PLUS(1, 1, 1),       W_PLUS(3, 5, 7),
        W_PLUS(2, 4, 16),    BROADCAST(1, 1, 1, 1), BROADCAST(3, 2, 3, 5), BROADCAST(7, 4, 4, 2), ROW(1, 1, 1, FIRST),
        ROW(3, 5, 7, THIRD), ROW(2, 3, 17, THIRD),  MIX(1, 1, 1),          MIX(4, 5, 3),          MIX(3, 5, 17),
    };
    gc_run("latents", cases, CHECK_LEN(cases));
}

/* ---- FIR --------------------------------------------------------------------------------------------------------- */

static ho_status build_fir(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_fir(context, x[0], c->user, y);
}

/* The definition: zeros inserted and padding made explicit, 16 taps. */
static void reference_fir(const gc_case *c, const double *const *x, double *y) {
    static const double TAP[4] = {0.125, 0.375, 0.375, 0.125};
    const ho_fir_options *v = c->user;
    const int64_t *d = c->input[0].dim, C = d[3], P = c->out_dim[1], Q = c->out_dim[2];
    const int64_t H = d[1] * v->up + v->before + v->after, W = d[2] * v->up + v->before + v->after;
    double *u = calloc((size_t)(H * W), sizeof *u);
    for (int64_t plane = 0; plane < d[0] * C; ++plane) {
        const int64_t n = plane / C, k = plane % C;
        for (int64_t p = 0; p < d[1] * d[2]; ++p) {
            u[(p / d[2] * v->up + v->before) * W + p % d[2] * v->up + v->before] = x[0][(n * d[1] * d[2] + p) * C + k];
        }
        for (int64_t at = 0; at < P * Q; ++at) {
            double sum = 0.0;
            for (int t = 0; t < 16; ++t) {
                sum += TAP[t / 4] * TAP[t % 4] * u[(at / Q * v->down + t / 4) * W + at % Q * v->down + t % 4];
            }
            y[(n * P * Q + at) * C + k] = v->gain * sum;
        }
    }
    free(u);
}

static const ho_fir_options UP2 = {2, 1, 2, 1, 4.0}, DOWN2 = {1, 2, 1, 1, 1.0}, BLUR = {1, 1, 2, 2, 1.0};
static const ho_fir_options UP3 = {3, 1, 1, 3, 9.0}, BOTH = {2, 3, 3, 2, 2.0}, DOWN5 = {1, 5, 0, 0, 0.5};

#define FIR(n, h, w, c, p, q, options)                                                                                 \
    {                                                                                                                  \
        "fir " #options, build_fir, reference_fir, 1, {{4, {n, h, w, c}, GC_NORMAL, false}}, 4, {n, p, q, c}, 16, 0,   \
            0, .user = &(options)                                                                                      \
    }

static void fir(void **state) {
    (void)state;
    const gc_case cases[] = {
        FIR(1, 1, 1, 1, 2, 2, UP2),    FIR(2, 3, 5, 3, 6, 10, UP2),  FIR(1, 4, 4, 17, 8, 8, UP2),
        FIR(1, 2, 2, 1, 1, 1, DOWN2),  FIR(2, 7, 6, 3, 3, 3, DOWN2), FIR(1, 8, 5, 16, 4, 2, DOWN2),
        FIR(1, 1, 1, 1, 2, 2, BLUR),   FIR(2, 3, 4, 5, 4, 5, BLUR),  FIR(1, 7, 3, 2, 8, 4, BLUR),
        FIR(1, 3, 2, 2, 10, 7, UP3),   FIR(1, 5, 4, 3, 4, 4, BOTH),  FIR(1, 9, 11, 2, 2, 2, DOWN5),
        FIR(1, 2, 1, 259, 3, 2, BLUR),
    };
    gc_run("fir", cases, CHECK_LEN(cases));
}

/* What one pixel becomes, twice as large: the first row of the filter times the gain 4, and its sum. */
static void published_filter(void **state) {
    (void)state;
    static const float X[9] = {0, 0, 0, 0, 1, 0, 0, 0, 0};
    static const double ROW[4] = {0.0625, 0.1875, 0.1875, 0.0625}, CENTRE = 4.0 * 9.0 / 64.0;
    ho_context *context;
    ho_tensor *x, *y;
    float got[36];
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_from_host(context, X, HO_SHAPE(1, 3, 3, 1), &x));
    CHECK_OK(ho_fir(context, x, &UP2, &y));
    CHECK_OK(ho_tensor_to_host(context, y, got));
    check_close_f32("first row of the filter", got + 6 + 1, 4, ROW, 4, 1e-7);
    check_close_f32("centre of the filter", &got[2 * 6 + 2], 1, &CENTRE, 1, 1e-7);
    ho_context_free(context);
}

/* ---- minibatch standard deviation -------------------------------------------------------------------------------- */

static ho_status build_mbstd(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_minibatch_std(context, x[0], *(const int64_t *)c->user, y);
}

static ho_status build_mbstd_tangent(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_minibatch_std_tangent(context, x[0], x[1], *(const int64_t *)c->user, y);
}

/* sd of value f over the group m, and with x_dot its derivative along x_dot by the chain rule of mean and variance. */
static double deviation(const gc_case *c, const double *x, const double *x_dot, int64_t m, int64_t f) {
    const int64_t *d = c->input[0].dim, F = d[1] * d[2] * d[3], group = *(const int64_t *)c->user;
    const int64_t G = group < d[0] ? group : d[0], M = d[0] / G;
    double mean = 0.0, mean_dot = 0.0, var = 0.0, var_dot = 0.0;
    for (int64_t n = m; n < d[0]; n += M) {
        mean += x[n * F + f] / (double)G;
        mean_dot += x_dot != NULL ? x_dot[n * F + f] / (double)G : 0.0;
    }
    for (int64_t n = m; n < d[0]; n += M) {
        const double u = x[n * F + f] - mean;
        var += u * u / (double)G;
        var_dot += x_dot != NULL ? 2.0 * u * (x_dot[n * F + f] - mean_dot) / (double)G : 0.0;
    }
    const double sd = sqrt(var + 1e-8);
    return x_dot != NULL ? var_dot / (2.0 * sd) : sd;
}

static void reference_mbstd(const gc_case *c, const double *const *x, double *y) {
    const int64_t *d = c->input[0].dim, C = d[3], pixels = d[1] * d[2], group = *(const int64_t *)c->user;
    const int64_t M = d[0] / (group < d[0] ? group : d[0]);
    const double *x_dot = c->n_inputs > 1 ? x[1] : NULL, *passed = c->n_inputs > 1 ? x[1] : x[0];
    for (int64_t n = 0; n < d[0]; ++n) {
        double stat = 0.0;
        for (int64_t f = 0; f < pixels * C; ++f) {
            stat += deviation(c, x[0], x_dot, n % M, f) / (double)(pixels * C);
        }
        for (int64_t i = 0; i < pixels * (C + 1); ++i) {
            y[n * pixels * (C + 1) + i] = i % (C + 1) < C ? passed[(n * pixels + i / (C + 1)) * C + i % (C + 1)] : stat;
        }
    }
}

static const int64_t ALONE = 1, PAIR = 2, THREE = 3, FOUR = 4;

#define MBSTD(n, h, w, c, group)                                                                                       \
    {                                                                                                                  \
        "minibatch_std " #group, build_mbstd, reference_mbstd, 1, {{4, {n, h, w, c}, GC_NORMAL, false}}, 4,            \
            {n, h, w, (c) + 1}, (n) * (h) * (w) * (c), 0, 0, .user = &(group)                                          \
    }
#define MBSTD_DOT(n, h, w, c, group)                                                                                   \
    {                                                                                                                  \
        "minibatch_std_tangent " #group, build_mbstd_tangent, reference_mbstd, 2,                                      \
            {{4, {n, h, w, c}, GC_NORMAL, false}, {4, {n, h, w, c}, GC_NORMAL, false}}, 4, {n, h, w, (c) + 1},         \
            (n) * (h) * (w) * (c), 8, 0, .user = &(group), .cancels = (n) <= 4 ? 0.3 : 0.0                             \
    }

static void minibatch_std(void **state) {
    (void)state;
    const gc_case cases[] = {
        MBSTD(2, 1, 1, 1, FOUR),     MBSTD(6, 3, 2, 5, THREE),    MBSTD(8, 2, 2, 3, FOUR),
        MBSTD(4, 2, 3, 7, PAIR),     MBSTD_DOT(2, 1, 1, 1, FOUR), MBSTD_DOT(6, 3, 2, 5, THREE),
        MBSTD_DOT(8, 2, 2, 3, FOUR), MBSTD_DOT(4, 2, 3, 7, PAIR),
    };
    gc_run("minibatch_std", cases, CHECK_LEN(cases));
}

/* A group of one: no deviation, sqrt(1e-8) everywhere, and no gradient but that of the channels passed through. */
static void minibatch_of_one(void **state) {
    (void)state;
    const float image[6] = {1, -2, 3, -4, 5, -6};
    const double want[8] = {1, -2, 3, 1e-4, -4, 5, -6, 1e-4};
    float y_host[8], g_host[6];
    ho_context *context;
    ho_tensor *x, *y, *loss;
    CHECK_OK(ho_context_create(check_device(), &context));
    ho_context_record(context, true);
    CHECK_OK(ho_tensor_from_host(context, image, HO_SHAPE(1, 1, 2, 3), &x));
    x->needs_grad = true;
    CHECK_OK(ho_minibatch_std(context, x, ALONE, &y));
    CHECK_OK(ho_tensor_to_host(context, y, y_host));
    check_close_f32("minibatch_std of one", y_host, 8, want, 8, 1e-10);
    CHECK_OK(ho_sum(context, y, 1.0, &loss));
    CHECK_OK(ho_backward(context, loss));
    CHECK_OK(ho_tensor_grad_to_host(context, x, g_host));
    check_close_f32("its gradient", g_host, 6, (const double[6]){1, 1, 1, 1, 1, 1}, 6, 0.0);
    ho_context_free(context);
}

static void wrong_shapes(void **state) {
    (void)state;
    ho_context *context;
    ho_tensor *x, *w, *y;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(6, 1, 1, 3), &x));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(2, 3, 4), &w));
    CHECK_FAILS(ho_minibatch_std(context, x, 4, &y), HO_ESHAPE, "minibatch_std", "(6, 1, 1, 3)", "4");
    CHECK_FAILS(ho_fir(context, x, &DOWN5, &y), HO_ESHAPE, "fir", "(6, 1, 1, 3)");
    CHECK_FAILS(ho_w_plus_row(context, w, 3, &y), HO_ESHAPE, "w_plus_row", "3", "(2, 3, 4)");
    CHECK_FAILS(ho_mix_rows(context, w, x, CUTS, &y), HO_ESHAPE, "mix_rows", "(2, 3, 4)");
    CHECK_FAILS(ho_normalize_z(context, w, &y), HO_ESHAPE, "normalize_z", "(2, 3, 4)");
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latents),          cmocka_unit_test(fir),          cmocka_unit_test(minibatch_std),
        cmocka_unit_test(minibatch_of_one), cmocka_unit_test(wrong_shapes), cmocka_unit_test(published_filter),
    };
    return cmocka_run_group_tests_name("style", tests, NULL, NULL);
}
