/* The StyleGAN2 networks against golden values: outputs and every gradient, at four sizes (tests/golden/
 * stylegan2_golden.py), and the published values of the original implementation for a tiny generator and discriminator.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "handsoff/stylegan2.h"

/* Float: about ten times the error of plain float loops, through up to 14 layers and back. The R1 gradient divides by
 * the standard deviation of a minibatch, whose derivative cancels when a group has two members. */
#ifdef HO_REAL_DOUBLE
static const double FORWARD = 1e-11, GRADIENT = 1e-11, R1 = 1e-9;
#else
static const double FORWARD = 2e-5, GRADIENT = 2e-4, R1 = 3e-3;
#endif

static bool ends_with(const char *name, const char *end) {
    const size_t n = strlen(name);
    return n >= strlen(end) && strcmp(name + n - strlen(end), end) == 0;
}

/* Element j (file order) of parameter number t, w_avg not counted. */
typedef double (*fill_rule)(int t, const char *name, int64_t j);

static double golden_rule(int t, const char *name, int64_t j) {
    const double v = golden_draw((uint32_t)t, j);
    if (strncmp(name, "mapping.", 8) == 0) {
        return (ends_with(name, ".weight") ? 175.0 : 50.0) * v;
    }
    if (ends_with(name, ".bias")) {
        return (ends_with(name, ".affine.bias") ? 1.0 : 0.0) + 0.5 * v;
    }
    return ends_with(name, ".noise_strength") ? 0.25 + 0.5 * v : 1.75 * v;
}

static double tiny_generator_rule(int t, const char *name, int64_t j) {
    return (ends_with(name, ".affine.bias") ? 1.0 : 0.0) + (t < 4 ? 50.0 : 0.5) * sin(1.0 + t + 0.7 * (double)j);
}

static double tiny_discriminator_rule(int t, const char *name, int64_t j) {
    (void)name;
    return sin(1.0 + t + 0.7 * (double)j);
}

static void fill_params(ho_params *params, fill_rule rule) {
    int t = 0;
    for (int i = 0; i < ho_params_n(params); i++) {
        ho_param *param = ho_params_at(params, i);
        if (strcmp(param->name, "mapping.w_avg") == 0) {
            continue;
        }
        const int64_t count = ho_tensor_count(&param->tensor);
        float *host = malloc((size_t)count * sizeof *host);
        assert_non_null(host);
        for (int64_t j = 0; j < count; j++) {
            host[j] = (float)rule(t, param->name, j);
        }
        CHECK_OK(ho_param_set(params, param, host));
        free(host);
        t++;
    }
}

static ho_context *new_context(void) {
    ho_context *context = NULL;
    CHECK_OK(ho_context_create(check_device(), &context));
    return context;
}

/* ---- golden files ------------------------------------------------------------------------------------------------ */

static ho_stylegan2_shape golden_shape(const golden *file) {
    return (ho_stylegan2_shape){
        .height = (int64_t)golden_number(file, "height"),
        .width = (int64_t)golden_number(file, "width"),
        .z_dim = (int64_t)golden_number(file, "z_dim"),
        .w_dim = (int64_t)golden_number(file, "w_dim"),
        .channel_base = (int64_t)golden_number(file, "channel_base"),
        .channel_max = (int64_t)golden_number(file, "channel_max"),
        .mapping_layers = (int64_t)golden_number(file, "mapping_layers"),
    };
}

static double check_values(const golden *file, const char *name, ho_context *context, const ho_tensor *tensor,
                           bool gradient) {
    double *got = golden_fetch(context, tensor, gradient, tensor->rank == 4);
    return golden_check(file, name, got, ho_tensor_count(tensor), gradient ? GRADIENT : FORWARD, 0.0);
}

/* Every trained parameter's gradient; the file must know as many tensors as were compared. The R1 gradient of a bias
 * comes through the minibatch standard deviation alone and may cancel: `share` of the largest mean gradient is then the
 * scale. */
static double check_grads(const golden *file, const char *group, ho_context *context, ho_params *params, int n_inputs,
                          bool r1) {
    double worst = 0.0;
    double largest = 0.0;
    int n = n_inputs;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < ho_params_n(params); i++) {
            const ho_param *param = ho_params_at(params, i);
            char name[160];
            (void)snprintf(name, sizeof name, "%s/%s", group, param->name);
            if (param->kind == HO_PARAM && pass == 0) {
                largest = fmax(largest, golden_mean_abs(file, name));
                n++;
            } else if (param->kind == HO_PARAM) {
                double *got = golden_fetch_grad(context, param);
                const int64_t count = ho_tensor_count(&param->tensor);
                worst =
                    fmax(worst, golden_check(file, name, got, count, r1 ? R1 : GRADIENT, r1 ? 1e-2 * largest : 0.0));
            }
        }
    }
    assert_int_equal(n, golden_n_tensors(file, group));
    return worst;
}

/* loss = <image, y> + sum_l <map l, y_l> for drawn y. */
static ho_tensor *drawn_loss(ho_context *context, ho_tensor *image, const ho_style_blocks *blocks) {
    ho_tensor *loss = NULL;
    CHECK_OK(ho_dot(context, image, golden_drawn(context, 1002, 1.0, image->rank, image->dim), 1.0, &loss));
    for (int l = 0; l < blocks->n; l++) {
        ho_tensor *map = blocks->map[l];
        ho_tensor *term = NULL;
        ho_tensor *sum = NULL;
        ho_tensor *y = golden_drawn(context, 1010 + (uint32_t)l, 1.0, map->rank, map->dim);
        CHECK_OK(ho_dot(context, map, y, 1.0, &term));
        CHECK_OK(ho_add(context, loss, 1.0, term, 1.0, &sum));
        loss = sum;
    }
    return loss;
}

static void check_generator(const char *path) {
    golden *file = golden_open(path);
    const ho_stylegan2_shape shape = golden_shape(file);
    const int64_t N = (int64_t)golden_number(file, "N");
    const int64_t L = ho_stylegan2_n_ws(&shape);
    ho_generator *generator = NULL;
    ho_context *context = new_context();
    CHECK_OK(ho_generator_create(check_device(), &shape, 1, &generator));
    fill_params(ho_generator_params(generator), golden_rule);
    ho_context_record(context, true);
    ho_tensor *z = golden_drawn(context, 1000, 1.75, HO_SHAPE(N, shape.z_dim));
    ho_tensor *offset = golden_drawn(context, 1001, 0.5, HO_SHAPE(N, L, shape.w_dim));
    z->needs_grad = true;
    offset->needs_grad = true; /* w_plus = w + offset: its gradient is that of w_plus */
    ho_tensor *w = NULL;
    ho_tensor *rows = NULL;
    ho_tensor *w_plus = NULL;
    ho_tensor *image = NULL;
    ho_tensor *plain = NULL;
    ho_style_blocks blocks = {0};
    CHECK_OK(ho_generator_map(context, generator, z, &w));
    CHECK_OK(ho_w_to_w_plus(context, w, L, &rows));
    CHECK_OK(ho_add(context, rows, 1.0, offset, 1.0, &w_plus));
    CHECK_OK(ho_generator_synthesize(context, generator, w_plus, &(ho_noise){.mode = HO_NOISE_CONST}, &blocks, &image));
    double worst = check_values(file, "w", context, w, false);
    worst = fmax(worst, check_values(file, "image", context, image, false));
    assert_int_equal(blocks.n, L);
    for (int l = 0; l < blocks.n; l++) {
        char name[32];
        (void)snprintf(name, sizeof name, "block%d", l);
        assert_int_equal(blocks.map[l]->dim[1], ho_style_block_height(&shape, l));
        assert_int_equal(blocks.map[l]->dim[3], ho_style_block_channels(&shape, l));
        worst = fmax(worst, check_values(file, name, context, blocks.map[l], false));
    }
    CHECK_OK(ho_backward(context, drawn_loss(context, image, &blocks)));
    double worst_grad = check_values(file, "grad/z", context, z, true);
    worst_grad = fmax(worst_grad, check_values(file, "grad/w_plus", context, offset, true));
    worst_grad = fmax(worst_grad, check_grads(file, "grad", context, ho_generator_params(generator), 2, false));
    ho_context_record(context, false); /* maps are released on the way: the image must not notice */
    CHECK_OK(ho_generator_synthesize(context, generator, w_plus, NULL, NULL, &plain));
    worst = fmax(worst, check_values(file, "image", context, plain, false));
    CHECK_OK(ho_generator_synthesize(context, generator, w_plus, &(ho_noise){.mode = HO_NOISE_NONE}, NULL, &plain));
    worst = fmax(worst, check_values(file, "image_no_noise", context, plain, false));
    print_message("%s: worst error %.2g forward, %.2g backward\n", path, worst, worst_grad);
    ho_generator_free(generator);
    ho_context_free(context);
    golden_close(file);
}

static void generator_golden(void **state) {
    (void)state;
    check_generator("generator_16.h5");
    check_generator("generator_32x16.h5");
    check_generator("generator_64.h5");
    check_generator("generator_256.h5");
}

/* The gradient of half the squared norm of g = d sum(logits) / d image, by way of the tangent along g. */
static double check_r1(const golden *file, ho_context *context, ho_discriminator *discriminator, ho_tensor *image) {
    ho_params *params = ho_discriminator_params(discriminator);
    ho_tensor *logits = NULL;
    ho_tensor *logits_dot = NULL;
    ho_tensor *loss = NULL;
    ho_tensor *g = NULL;
    const size_t bytes = ho_tensor_bytes(image);
    ho_params_set_trainable(params, false);
    image->needs_grad = true;
    ho_context_record(context, true);
    CHECK_OK(ho_discriminator_forward(context, discriminator, image, NULL, &logits, NULL));
    CHECK_OK(ho_sum(context, logits, 1.0, &loss));
    CHECK_OK(ho_backward(context, loss));
    CHECK_OK(ho_tensor_like(context, image, &g));
    CHECK_OK(ho_device_copy(check_device(), g->data, image->grad, bytes));
    double worst = check_values(file, "r1/image_grad", context, image, true);
    ho_tape_clear(context);
    ho_params_set_trainable(params, true);
    image->needs_grad = false;
    CHECK_OK(ho_discriminator_forward(context, discriminator, image, g, &logits, &logits_dot));
    CHECK_OK(ho_sum(context, logits_dot, 1.0, &loss));
    CHECK_OK(ho_backward(context, loss));
    worst = fmax(worst, check_grads(file, "r1/grad", context, params, 0, true));
    double *squared = golden_fetch(context, logits_dot, false, false);
    double total = 0.0;
    for (int64_t n = 0; n < image->dim[0]; n++) {
        total += squared[n];
    }
    free(squared);
    double *slope = golden_fetch(context, g, false, false);
    double want = 0.0;
    for (int64_t i = 0; i < ho_tensor_count(g); i++) {
        want += slope[i] * slope[i];
    }
    free(slope);
    assert_true(fabs(total - want) <= GRADIENT * want);
    return worst;
}

static void check_discriminator(const char *path) {
    golden *file = golden_open(path);
    const ho_stylegan2_shape shape = golden_shape(file);
    const int64_t N = (int64_t)golden_number(file, "N");
    ho_discriminator *discriminator = NULL;
    ho_context *context = new_context();
    CHECK_OK(ho_discriminator_create(check_device(), &shape, (int64_t)golden_number(file, "group"), 1, &discriminator));
    fill_params(ho_discriminator_params(discriminator), golden_rule);
    ho_context_record(context, true);
    ho_tensor *image = golden_drawn(context, 1000, 1.75, HO_SHAPE(N, shape.height, shape.width, 3));
    ho_tensor *logits = NULL;
    ho_tensor *loss = NULL;
    image->needs_grad = true;
    CHECK_OK(ho_discriminator_forward(context, discriminator, image, NULL, &logits, NULL));
    double worst = check_values(file, "logits", context, logits, false);
    CHECK_OK(ho_dot(context, logits, golden_drawn(context, 1001, 1.0, HO_SHAPE(N, 1)), 1.0, &loss));
    CHECK_OK(ho_backward(context, loss));
    double worst_grad = check_values(file, "grad/image", context, image, true);
    worst_grad = fmax(worst_grad, check_grads(file, "grad", context, ho_discriminator_params(discriminator), 1, false));
    ho_params_zero_grad(ho_discriminator_params(discriminator));
    ho_context_reset(context);
    ho_context_record(context, true);
    image = golden_drawn(context, 1000, 1.75, HO_SHAPE(N, shape.height, shape.width, 3));
    const double worst_r1 = check_r1(file, context, discriminator, image);
    print_message("%s: worst error %.2g forward, %.2g backward, %.2g R1\n", path, worst, worst_grad, worst_r1);
    ho_discriminator_free(discriminator);
    ho_context_free(context);
    golden_close(file);
}

static void discriminator_golden(void **state) {
    (void)state;
    check_discriminator("discriminator_16.h5");
    check_discriminator("discriminator_32x16.h5");
    check_discriminator("discriminator_64.h5");
    check_discriminator("discriminator_256.h5");
}

/* ---- published values (six decimals) ----------------------------------------------------------------------------- */

static void check_published(const char *what, const double *got, const double *want, int n) {
    check_close_f64(what, got, n, want, n, 3e-6 + 1e-6 * check_max_abs(want, n));
}

/* Sum, sum of absolute values, first four, last. */
static void check_summary(const char *what, ho_context *context, const ho_tensor *tensor, const double want[7]) {
    const int64_t count = ho_tensor_count(tensor);
    double *v = golden_fetch(context, tensor, false, true);
    double got[7] = {0.0, 0.0, v[0], v[1], v[2], v[3], v[count - 1]};
    for (int64_t i = 0; i < count; i++) {
        got[0] += v[i];
        got[1] += fabs(v[i]);
    }
    free(v);
    check_published(what, got, want, 7);
}

static double cosine(const void *user, int64_t j) {
    (void)user;
    return cos(0.5 * (double)j);
}

static double rising_rows(const void *user, int64_t j) {
    const int64_t row = j / 8;
    return ((const double *)user)[j % 8] + 0.1 * (double)row;
}

static double wave(const void *user, int64_t j) {
    (void)user;
    return sin(0.3 * (double)j);
}

static void published_generator(void **state) {
    (void)state;
    static const double W[8] = {-0.136521, -0.024864, 0.504929, 0.919253, 0.923715, 0.506058, -0.030596, -0.151523};
    static const double MAPS[4][7] = {
        {5.997628, 15.430375, -0.121400, -0.046990, -0.013139, -0.058586, -0.032683},
        {60.651395, 74.021480, 0.748349, 1.118624, 1.370125, 1.435242, -0.098004},
        {117.896633, 131.105302, 0.931661, 1.662150, 2.306452, 2.682754, 0.112309},
        {20.148995, 32.476720, -0.169031, -0.180595, -0.208788, -0.214345, 0.130378},
    };
    static const double SLOPES[7] = {-0.000292, 0.024473, 0.037728, -0.003786, -0.000685, 0.002738, 0.056212};
    const ho_stylegan2_shape shape = {8, 8, 8, 8, 24, 4, 2};
    ho_generator *generator = NULL;
    ho_context *context = new_context();
    CHECK_OK(ho_generator_create(check_device(), &shape, 1, &generator));
    fill_params(ho_generator_params(generator), tiny_generator_rule);
    ho_tensor *w = NULL;
    CHECK_OK(ho_generator_map(context, generator, golden_tensor(context, cosine, NULL, HO_SHAPE(1, 8)), &w));
    double *w_host = golden_fetch(context, w, false, false);
    check_published("w", w_host, W, 8);
    ho_context_record(context, true);
    ho_tensor *w_plus = golden_tensor(context, rising_rows, w_host, HO_SHAPE(1, 4, 8));
    ho_tensor *image = NULL;
    ho_tensor *loss = NULL;
    ho_style_blocks blocks = {0};
    w_plus->needs_grad = true;
    CHECK_OK(ho_generator_synthesize(context, generator, w_plus, NULL, &blocks, &image));
    for (int l = 1; l < 4; l++) {
        check_summary("style block", context, blocks.map[l], MAPS[l - 1]);
    }
    check_summary("image", context, image, MAPS[3]);
    CHECK_OK(ho_sum(context, image, 1.0 / 8.0, &loss));
    CHECK_OK(ho_backward(context, loss));
    double *g = golden_fetch(context, w_plus, true, false);
    double squares = 0.0;
    for (int i = 0; i < 4 * 8; i++) {
        squares += g[i] * g[i];
    }
    check_published("gradient of w_plus", (double[]){g[0], g[1], g[2], g[24], g[25], g[26], sqrt(squares / 4.0)},
                    SLOPES, 7);
    free(g);
    free(w_host);
    ho_generator_free(generator);
    ho_context_free(context);
}

static void published_discriminator(void **state) {
    (void)state;
    static const double LOGITS[4] = {0.850207, 0.860662, 0.863241, 0.833891};
    static const double SQUARES[4] = {0.000234, 0.000620, 0.000238, 0.000275};
    const ho_stylegan2_shape shape = {.height = 8, .width = 8, .channel_base = 24, .channel_max = 4};
    ho_discriminator *discriminator = NULL;
    ho_context *context = new_context();
    CHECK_OK(ho_discriminator_create(check_device(), &shape, 4, 1, &discriminator));
    fill_params(ho_discriminator_params(discriminator), tiny_discriminator_rule);
    ho_context_record(context, true);
    ho_tensor *image = golden_tensor(context, wave, NULL, HO_SHAPE(4, 8, 8, 3));
    ho_tensor *logits = NULL;
    ho_tensor *loss = NULL;
    image->needs_grad = true;
    CHECK_OK(ho_discriminator_forward(context, discriminator, image, NULL, &logits, NULL));
    double *got = golden_fetch(context, logits, false, false);
    check_published("logits", got, LOGITS, 4);
    free(got);
    CHECK_OK(ho_sum(context, logits, 1.0, &loss));
    CHECK_OK(ho_backward(context, loss));
    double *g = golden_fetch(context, image, true, false);
    double squares[4] = {0.0, 0.0, 0.0, 0.0};
    for (int i = 0; i < 4 * 3 * 8 * 8; i++) {
        squares[i / (3 * 8 * 8)] += g[i] * g[i];
    }
    free(g);
    check_close_f64("squared input gradients", squares, 4, SQUARES, 4, 6e-7);
    ho_discriminator_free(discriminator);
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_generator),
        cmocka_unit_test(published_discriminator),
        cmocka_unit_test(generator_golden),
        cmocka_unit_test(discriminator_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
