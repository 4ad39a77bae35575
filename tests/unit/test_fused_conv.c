/* Convolutions that the target may fuse. The modulated one: a batch that is large enough for that against its samples
 * one by one, which are not; outputs and every gradient must agree. The activation is linear here: a leaky ReLU's kink
 * would make two rightly rounded results differ (its fused form is tested in test_device.c). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "handsoff/ops.h"
#include "handsoff/tensor.h"

enum { N = 2, SIDE = 16, INPUTS = 4 };

/* One of x, style, weight, bias: per sample or shared. */
typedef struct {
    int rank;
    int64_t dim[4];
    bool shared;
    float *value, *grad; /* of the whole batch */
} input;

typedef struct {
    input in[INPUTS];
    int64_t y_dim[4];
    float *y, *seed, *noise;
} problem;

static int64_t count_of(const input *in) {
    int64_t n = 1;
    for (int i = 0; i < in->rank; ++i) {
        n *= in->dim[i];
    }
    return n;
}

static float *normals(int64_t n, uint64_t seed) {
    float *v = calloc((size_t)n, sizeof *v);
    assert_non_null(v);
    for (int64_t i = 0; seed > 0 && i < n; ++i) {
        v[i] = (float)check_normal(seed, (uint64_t)i);
    }
    return v;
}

static ho_status build(ho_context *context, const problem *p, ho_tensor *const *x, int64_t first, ho_tensor **y) {
    const int64_t n = x[0]->dim[0];
    ho_tensor *noise, *strength;
    const float half = 0.5F;
    HO_TRY(ho_tensor_from_host(context, p->noise + first * SIDE * SIDE, 3, (const int64_t[]){n, SIDE, SIDE}, &noise));
    HO_TRY(ho_tensor_from_host(context, &half, 1, (const int64_t[]){1}, &strength));
    const ho_modconv_args args = {.style = x[2],
                                  .weight = x[1],
                                  .bias = x[3],
                                  .noise = noise,
                                  .strength = strength,
                                  .demodulate = true,
                                  .w_gain = 1.0,
                                  .act = HO_ACT_LINEAR};
    return ho_modconv(context, x[0], &args, y);
}

/* Samples first..first+n-1: outputs, and gradients added to or written into out. twice: the operation is used a second
 * time on the same inputs, so that gradients accumulate. */
static void run(const problem *p, int64_t first, int64_t n, problem *out) {
    ho_context *context;
    ho_tensor *x[INPUTS] = {NULL}, *y, *again, *sum, *seed;
    CHECK_OK(ho_context_create(check_device(), &context));
    ho_context_record(context, true);
    for (int i = 0; i < INPUTS; ++i) {
        const input *in = &p->in[i];
        int64_t dim[4];
        memcpy(dim, in->dim, sizeof dim);
        dim[0] = in->shared ? dim[0] : n;
        CHECK_OK(ho_tensor_from_host(context, in->value + (in->shared ? 0 : first * count_of(in) / N), in->rank, dim,
                                     &x[i]));
        x[i]->needs_grad = true;
    }
    int64_t y_dim[4];
    memcpy(y_dim, p->y_dim, sizeof y_dim);
    y_dim[0] = n;
    const int64_t per_sample = y_dim[1] * y_dim[2] * y_dim[3];
    CHECK_OK(build(context, p, x, first, &y));
    CHECK_OK(build(context, p, x, first, &again));
    CHECK_OK(ho_add(context, y, 1.0, again, 0.5, &sum));
    CHECK_OK(ho_tensor_to_host(context, y, out->y + first * per_sample));
    CHECK_OK(ho_tensor_from_host(context, p->seed + first * per_sample, 4, y_dim, &seed));
    CHECK_OK(ho_backward_seed(context, sum, seed));
    for (int i = 0; i < INPUTS; ++i) {
        const int64_t count = count_of(&p->in[i]) / (p->in[i].shared ? 1 : N) * (p->in[i].shared ? 1 : n);
        float *g = malloc((size_t)count * sizeof *g), *to = out->in[i].grad;
        CHECK_OK(ho_tensor_grad_to_host(context, x[i], g));
        for (int64_t k = 0; k < count; ++k) {
            to[(p->in[i].shared ? 0 : first * count) + k] += g[k];
        }
        free(g);
    }
    ho_context_free(context);
}

static void compare(const char *what, const float *got, const float *want, int64_t n) {
    double *truth = malloc((size_t)n * sizeof *truth), largest = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        truth[i] = want[i];
        largest = fmax(largest, fabs(truth[i]));
    }
    assert_true(largest > 0.0);
    check_close_f32(what, got, n, truth, n, 2e-5 * largest);
    free(truth);
}

static void check_modconv(int64_t C, int64_t O) {
    const int64_t n_y = N * SIDE * SIDE * O;
    problem p = {.y_dim = {N, SIDE, SIDE, O}};
    p.in[0] = (input){4, {N, SIDE, SIDE, C}, false, NULL, NULL};
    p.in[1] = (input){4, {O, 3, 3, C}, true, NULL, NULL};
    p.in[2] = (input){2, {N, C}, false, NULL, NULL};
    p.in[3] = (input){1, {O}, true, NULL, NULL};
    assert_true(ho_conv_fuses(check_device(), &(ho_fused_shape){N, SIDE, SIDE, C, O, 0}));
    assert_false(ho_conv_fuses(check_device(), &(ho_fused_shape){1, SIDE, SIDE, C, O, 0}));
    p.seed = normals(n_y, 11);
    p.noise = normals(N * SIDE * SIDE, 12);
    problem one = p, all = p;
    one.y = normals(n_y, 0);
    all.y = normals(n_y, 0);
    for (int i = 0; i < INPUTS; ++i) {
        p.in[i].value = normals(count_of(&p.in[i]), 20 + (uint64_t)i);
        one.in[i].grad = normals(count_of(&p.in[i]), 0);
        all.in[i].grad = normals(count_of(&p.in[i]), 0);
    }
    run(&p, 0, N, &all);
    for (int64_t n = 0; n < N; ++n) {
        run(&p, n, 1, &one);
    }
    compare("output", all.y, one.y, n_y);
    static const char *const names[INPUTS] = {"gradient of x", "gradient of the weight", "gradient of the style",
                                              "gradient of the bias"};
    for (int i = 0; i < INPUTS; ++i) {
        compare(names[i], all.in[i].grad, one.in[i].grad, count_of(&p.in[i]));
        free(p.in[i].value);
        free(one.in[i].grad);
        free(all.in[i].grad);
    }
    free(p.seed);
    free(p.noise);
    free(one.y);
    free(all.y);
}

static void modconv(void **state) {
    (void)state;
    check_modconv(32, 48);
    check_modconv(48, 32);
}

/* ---- conv2d_act on a shape that the target fuses, against its two steps ------------------------------------------ */

enum { C_IN = 32, C_OUT = 48, N_IMAGE = N * SIDE * SIDE * C_IN, N_WEIGHT = C_OUT * 9 * C_IN };
enum { N_OUT = N * SIDE * SIDE * C_OUT, N_RESULTS = N_OUT + N_IMAGE + N_WEIGHT + C_OUT };

/* The output, then the gradients of x, weight and bias, from one to the next in `results`. */
static void run_act(bool one_step, float *results) {
    static const ho_conv_options same = {1, 1, 1};
    static const ho_act act = {HO_LRELU, 0.2, 0.7, 1.0, 1.4142135623730951};
    ho_context *context;
    ho_tensor *x, *w, *b, *sum, *y, *seed;
    float *host = normals(N_IMAGE + N_WEIGHT + C_OUT + N_OUT, 31);
    CHECK_OK(ho_context_create(check_device(), &context));
    ho_context_record(context, true);
    CHECK_OK(ho_tensor_from_host(context, host, HO_SHAPE(N, SIDE, SIDE, C_IN), &x));
    CHECK_OK(ho_tensor_from_host(context, host + N_IMAGE, HO_SHAPE(C_OUT, 3, 3, C_IN), &w));
    CHECK_OK(ho_tensor_from_host(context, host + N_IMAGE + N_WEIGHT, HO_SHAPE(C_OUT), &b));
    CHECK_OK(ho_tensor_from_host(context, host + N_IMAGE + N_WEIGHT + C_OUT, HO_SHAPE(N, SIDE, SIDE, C_OUT), &seed));
    x->needs_grad = w->needs_grad = b->needs_grad = true;
    if (one_step) {
        CHECK_OK(ho_conv2d_act(context, x, w, b, &same, &act, &y));
    } else {
        CHECK_OK(ho_conv2d(context, x, w, &same, &sum));
        CHECK_OK(ho_bias_act(context, sum, b, &act, &y));
    }
    CHECK_OK(ho_tensor_to_host(context, y, results));
    CHECK_OK(ho_backward_seed(context, y, seed));
    CHECK_OK(ho_tensor_grad_to_host(context, x, results + N_OUT));
    CHECK_OK(ho_tensor_grad_to_host(context, w, results + N_OUT + N_IMAGE));
    CHECK_OK(ho_tensor_grad_to_host(context, b, results + N_OUT + N_IMAGE + N_WEIGHT));
    ho_context_free(context);
    free(host);
}

static void conv2d_act(void **state) {
    (void)state;
    assert_true(ho_conv_fuses(check_device(), &(ho_fused_shape){N, SIDE, SIDE, C_IN, C_OUT, 0}));
    float *one = normals(N_RESULTS, 0), *two = normals(N_RESULTS, 0);
    run_act(true, one);
    run_act(false, two);
    compare("output", one, two, N_OUT);
    compare("gradient of x", one + N_OUT, two + N_OUT, N_IMAGE);
    compare("gradient of the weight", one + N_OUT + N_IMAGE, two + N_OUT + N_IMAGE, N_WEIGHT);
    compare("gradient of the bias", one + N_RESULTS - C_OUT, two + N_RESULTS - C_OUT, C_OUT);
    free(one);
    free(two);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(modconv), cmocka_unit_test(conv2d_act)};
    return cmocka_run_group_tests_name("fused convolutions", tests, NULL, NULL);
}
