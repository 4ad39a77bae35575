/* The StyleGAN2 networks: sizes, initial values, noise, truncation, memory. Values and gradients are compared in
 * tests/ops/test_stylegan2.c, files written and read in test_stylegan2_file.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "handsoff/random.h"
#include "handsoff/stylegan2.h"

static const ho_stylegan2_shape SMALL = {16, 16, 5, 6, 80, 9, 2};

static ho_stylegan2_shape official(int64_t height, int64_t base) {
    return (ho_stylegan2_shape){height, height, 512, 512, base, 512, 8};
}

static ho_context *new_context(void) {
    ho_context *context = NULL;
    CHECK_OK(ho_context_create(check_device(), &context));
    return context;
}

static ho_generator *new_generator(const ho_stylegan2_shape *shape, uint64_t seed) {
    ho_generator *generator = NULL;
    CHECK_OK(ho_generator_create(check_device(), shape, seed, &generator));
    return generator;
}

/* A parameter as floats in file order, to be freed. */
static float *values_of(ho_params *params, const char *name, int64_t *count) {
    const ho_param *param = ho_params_find(params, name);
    assert_non_null(param);
    *count = ho_tensor_count(&param->tensor);
    float *host = malloc((size_t)*count * sizeof *host);
    assert_non_null(host);
    CHECK_OK(ho_param_get(params, param, host));
    return host;
}

/* Noise is off at the start of training: give it strength, so that tests see it. */
static void set_strengths(ho_generator *generator, float strength) {
    ho_params *params = ho_generator_params(generator);
    for (int i = 0; i < ho_params_n(params); i++) {
        ho_param *param = ho_params_at(params, i);
        if (strstr(param->name, "noise_strength") != NULL) {
            CHECK_OK(ho_param_set(params, param, &strength));
        }
    }
}

static ho_tensor *drawn(ho_context *context, uint64_t seed, int rank, const int64_t *dim) {
    ho_tensor *tensor = NULL;
    CHECK_OK(ho_tensor_new(context, rank, dim, &tensor));
    float *host = malloc((size_t)ho_tensor_count(tensor) * sizeof *host);
    assert_non_null(host);
    for (int64_t i = 0; i < ho_tensor_count(tensor); i++) {
        host[i] = (float)check_normal(seed, (uint64_t)i);
    }
    CHECK_OK(ho_tensor_set_host(context, tensor, host));
    free(host);
    return tensor;
}

static float *host_of(ho_context *context, const ho_tensor *tensor) {
    float *host = malloc((size_t)ho_tensor_count(tensor) * sizeof *host);
    assert_non_null(host);
    CHECK_OK(ho_tensor_to_host(context, tensor, host));
    return host;
}

/* The image of w_plus as floats, to be freed. */
static float *image_of(ho_context *context, ho_generator *generator, ho_tensor *w_plus, const ho_noise *noise) {
    ho_tensor *image = NULL;
    CHECK_OK(ho_generator_synthesize(context, generator, w_plus, noise, NULL, &image));
    return host_of(context, image);
}

static void sizes(void **state) {
    (void)state;
    static const int64_t HEIGHT[] = {64, 128, 256, 512, 1024};
    static const int64_t SUM[2][5] = {{5120, 5632, 5888, 6016, 6080}, {4608, 4864, 4992, 5056, 5088}};
    static const int64_t N_WS[] = {10, 12, 14, 16, 18};
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < 5; i++) {
            const ho_stylegan2_shape shape = official(HEIGHT[i], 32768 >> half);
            int64_t sum = 0;
            assert_int_equal(ho_stylegan2_n_ws(&shape), N_WS[i]);
            for (int64_t l = 0; l < ho_stylegan2_n_ws(&shape); l++) {
                sum += ho_style_block_channels(&shape, l);
            }
            assert_int_equal(sum, SUM[half][i]);
            assert_int_equal(ho_style_block_height(&shape, ho_stylegan2_n_ws(&shape) - 1), HEIGHT[i]);
        }
    }
    const ho_stylegan2_shape largest = official(1024, 32768);
    int64_t elements = 0;
    for (int64_t l = 0; l < 18; l++) {
        elements += ho_style_block_channels(&largest, l) * ho_style_block_height(&largest, l) *
                    ho_style_block_height(&largest, l);
    }
    assert_int_equal(elements, 131416064);
}

/* Numbers of trained elements of the official networks. */
static void parameter_counts(void **state) {
    (void)state;
    const ho_stylegan2_shape shape = official(256, 32768);
    ho_generator *generator = new_generator(&shape, 0);
    assert_int_equal(ho_params_count(ho_generator_params(generator), HO_PARAM), 30034338);
    ho_generator_free(generator);
    ho_discriminator *discriminator = NULL;
    CHECK_OK(ho_discriminator_create(check_device(), &shape, 4, 0, &discriminator));
    assert_int_equal(ho_params_count(ho_discriminator_params(discriminator), HO_PARAM), 28864129);
    ho_discriminator_free(discriminator);
}

static void refusals(void **state) {
    (void)state;
    ho_generator *generator = NULL;
    ho_discriminator *discriminator = NULL;
    const ho_stylegan2_shape odd = {48, 48, 5, 6, 80, 9, 2};
    const ho_stylegan2_shape wide = {16, 32, 5, 6, 80, 9, 2};
    const ho_stylegan2_shape thin = {64, 64, 5, 6, 32, 9, 2};
    const ho_stylegan2_shape deep = {16, 16, 5, 6, 80, 9, 1000};
    ho_device *device = check_device();
    CHECK_FAILS(ho_generator_create(device, &odd, 0, &generator), HO_ESHAPE, "height 48", "power of two");
    assert_null(generator);
    CHECK_FAILS(ho_generator_create(device, &wide, 0, &generator), HO_ESHAPE, "width 32", "16 or 8");
    CHECK_FAILS(ho_generator_create(device, &thin, 0, &generator), HO_ESHAPE, "channel_base 32", "at least 64");
    CHECK_FAILS(ho_generator_create(device, &deep, 0, &generator), HO_ESHAPE, "mapping_layers 1000");
    CHECK_FAILS(ho_discriminator_create(device, &odd, 4, 0, &discriminator), HO_ESHAPE, "height 48");
    CHECK_FAILS(ho_discriminator_create(device, &SMALL, 0, 0, &discriminator), HO_ESHAPE, "group 0");
    assert_null(discriminator);
    ho_context *context = new_context();
    ho_tensor *y = NULL;
    generator = new_generator(&SMALL, 0);
    CHECK_OK(ho_discriminator_create(device, &SMALL, 4, 0, &discriminator));
    CHECK_FAILS(ho_generator_map(context, generator, drawn(context, 1, HO_SHAPE(2, 6)), &y), HO_ESHAPE, "(2, 6)",
                "(N, 5)");
    CHECK_FAILS(ho_generator_synthesize(context, generator, drawn(context, 1, HO_SHAPE(2, 5, 6)), NULL, NULL, &y),
                HO_ESHAPE, "(2, 5, 6)", "(N, 6, 6)");
    CHECK_FAILS(
        ho_discriminator_forward(context, discriminator, drawn(context, 1, HO_SHAPE(2, 16, 8, 3)), NULL, &y, NULL),
        HO_ESHAPE, "(2, 16, 8, 3)", "(N, 16, 16, 3)");
    ho_discriminator_free(discriminator);
    ho_generator_free(generator);
    ho_context_free(context);
}

/* Every size runs, square and 2:1, down to one channel. */
static void every_size(void **state) {
    (void)state;
    for (int64_t height = 8; height <= 1024; height *= 2) {
        for (int64_t width = height / 2; width <= height; width *= 2) {
            const ho_stylegan2_shape shape = {height, width, 3, 4, 1024, 3, 1};
            ho_context *context = new_context();
            ho_generator *generator = new_generator(&shape, 1);
            ho_discriminator *discriminator = NULL;
            ho_tensor *image = NULL;
            ho_tensor *logits = NULL;
            ho_tensor *w_plus = drawn(context, 1, HO_SHAPE(1, ho_stylegan2_n_ws(&shape), 4));
            CHECK_OK(ho_discriminator_create(check_device(), &shape, 4, 1, &discriminator));
            CHECK_OK(ho_generator_synthesize(context, generator, w_plus, NULL, NULL, &image));
            assert_int_equal(image->dim[1], height);
            assert_int_equal(image->dim[2], width);
            CHECK_OK(ho_discriminator_forward(context, discriminator, image, NULL, &logits, NULL));
            double logit = 0.0;
            CHECK_OK(ho_tensor_scalar(context, logits, &logit));
            assert_true(check_is_finite(logit) && logit != 0.0);
            ho_discriminator_free(discriminator);
            ho_generator_free(generator);
            ho_context_free(context);
        }
    }
}

static double spread(const float *v, int64_t n) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)v[i] * v[i];
    }
    return sqrt(sum / (double)n);
}

static void initial_values(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double spread, tolerance;
    } WANT[] = {
        {"mapping.fc0.weight", 100.0, 10.0},
        {"mapping.fc1.bias", 0.0, 0.0},
        {"mapping.w_avg", 0.0, 0.0},
        {"synthesis.b4.const", 1.0, 0.1},
        {"synthesis.b8.conv0.weight", 1.0, 0.05},
        {"synthesis.b8.conv0.affine.bias", 1.0, 0.0},
        {"synthesis.b8.conv0.noise_const", 1.0, 0.2},
        {"synthesis.b8.conv0.noise_strength", 0.0, 0.0},
        {"synthesis.b8.torgb.bias", 0.0, 0.0},
    };
    const ho_stylegan2_shape shape = {16, 16, 32, 24, 512, 32, 2};
    ho_generator *generator = new_generator(&shape, 7);
    for (int i = 0; i < CHECK_LEN(WANT); i++) {
        int64_t count = 0;
        float *v = values_of(ho_generator_params(generator), WANT[i].name, &count);
        assert_true(fabs(spread(v, count) - WANT[i].spread) <= WANT[i].tolerance);
        free(v);
    }
    ho_generator_free(generator);
}

/* ---- noise, w_avg, truncation, memory ---------------------------------------------------------------------------- */

static void random_noise(void **state) {
    (void)state;
    ho_context *context = new_context();
    ho_generator *generator = new_generator(&SMALL, 3);
    ho_params *params = ho_generator_params(generator);
    set_strengths(generator, 0.7F);
    const int64_t pixels = 16 * 16 * 3;
    const int64_t row[3] = {2, ho_stylegan2_n_ws(&SMALL), SMALL.w_dim};
    const int64_t half = row[1] * row[2];
    ho_tensor *pair = drawn(context, 5, 3, row);
    float *w = host_of(context, pair);
    ho_tensor *second = NULL;
    CHECK_OK(ho_tensor_from_host(context, w + half, HO_SHAPE(1, row[1], row[2]), &second));
    const ho_noise batch = {HO_NOISE_RANDOM, 11, 100, 5};
    const ho_noise single = {HO_NOISE_RANDOM, 11, 100, 6};
    float *both = image_of(context, generator, pair, &batch);
    float *one = image_of(context, generator, second, &single);
    float *stored = image_of(context, generator, second, NULL);
    double want[16 * 16 * 3];
    double change = 0.0;
    for (int64_t i = 0; i < pixels; i++) {
        want[i] = both[pixels + i];
        change = fmax(change, fabs((double)one[i] - stored[i]));
    }
    check_close_f32("sample 6 alone", one, pixels, want, pixels, 1e-5);
    assert_true(change > 0.01);
    /* The same draws written into the stored planes. */
    int l = 0;
    for (int i = 0; i < ho_params_n(params); i++) {
        ho_param *param = ho_params_at(params, i);
        if (strstr(param->name, "noise_const") == NULL) {
            continue;
        }
        const int64_t count = ho_tensor_count(&param->tensor);
        float *plane = malloc((size_t)count * sizeof *plane);
        assert_non_null(plane);
        for (int64_t j = 0; j < count; j++) {
            plane[j] = (float)ho_normal(11, 100 + (uint64_t)l, (uint64_t)(6 * count + j));
        }
        CHECK_OK(ho_param_set(params, param, plane));
        free(plane);
        l++;
    }
    assert_int_equal(l, 5);
    float *planted = image_of(context, generator, second, NULL);
    check_close_f32("planted noise", planted, pixels, want, pixels, 2e-5);
    free(planted);
    free(stored);
    free(one);
    free(both);
    free(w);
    ho_generator_free(generator);
    ho_context_free(context);
}

static void average_and_truncation(void **state) {
    (void)state;
    enum { N = 3, D = 6 };
    ho_context *context = new_context();
    ho_generator *generator = new_generator(&SMALL, 3);
    ho_tensor *w = drawn(context, 5, HO_SHAPE(N, D));
    float *host = host_of(context, w);
    float got[D];
    double want[D];
    for (int step = 1; step <= 2; step++) {
        CHECK_OK(ho_generator_update_w_avg(context, generator, w));
        CHECK_OK(ho_generator_w_avg(generator, got));
        for (int i = 0; i < D; i++) {
            const double mean = (host[i] + host[D + i] + host[2 * D + i]) / 3.0;
            want[i] = mean * (1.0 - pow(0.995, step));
        }
        check_close_f32("w_avg", got, D, want, D, 1e-8);
    }
    for (int rank = 2; rank <= 3; rank++) {
        ho_tensor *y = NULL;
        ho_tensor *x = rank == 2 ? w : NULL;
        double truth[N * D];
        if (rank == 3) {
            CHECK_OK(ho_tensor_from_host(context, host, HO_SHAPE(1, N, D), &x));
        }
        for (int i = 0; i < N * D; i++) {
            truth[i] = got[i % D] + 0.7 * (host[i] - (double)got[i % D]);
        }
        CHECK_OK(ho_generator_truncate(context, generator, x, 0.7, &y));
        assert_true(ho_tensor_same_shape(x, y));
        float *shrunk = host_of(context, y);
        check_close_f32("truncated", shrunk, N * D, truth, N * D, 1e-6);
        free(shrunk);
    }
    free(host);
    ho_generator_free(generator);
    ho_context_free(context);
}

/* Without style blocks to hand out, the maps' memory is used again; a frozen network gets no gradients. */
static void memory_and_freezing(void **state) {
    (void)state;
    const ho_stylegan2_shape shape = {128, 128, 5, 6, 2048, 16, 2};
    ho_generator *generator = new_generator(&shape, 3);
    size_t peak[2];
    for (int keep = 0; keep < 2; keep++) {
        ho_context *context = new_context();
        ho_style_blocks blocks = {0};
        ho_tensor *image = NULL;
        ho_tensor *w_plus = drawn(context, 5, HO_SHAPE(2, ho_stylegan2_n_ws(&shape), 6));
        CHECK_OK(ho_generator_synthesize(context, generator, w_plus, NULL, keep ? &blocks : NULL, &image));
        peak[keep] = ho_context_peak_bytes(context);
        ho_context_free(context);
    }
    const size_t map_bytes = (size_t)(2 * 128 * 128 * 16) * sizeof(float);
    assert_true(peak[0] + map_bytes / 2 <= peak[1]);
    assert_true(peak[0] < 5 * map_bytes);
    ho_context *context = new_context();
    ho_tensor *image = NULL;
    ho_tensor *loss = NULL;
    ho_tensor *w_plus = drawn(context, 5, HO_SHAPE(1, ho_stylegan2_n_ws(&shape), 6));
    ho_params *params = ho_generator_params(generator);
    w_plus->needs_grad = true;
    ho_params_set_trainable(params, false);
    ho_context_record(context, true);
    CHECK_OK(ho_generator_synthesize(context, generator, w_plus, NULL, NULL, &image));
    CHECK_OK(ho_sum(context, image, 1.0, &loss));
    CHECK_OK(ho_backward(context, loss));
    assert_true(w_plus->has_grad);
    for (int i = 0; i < ho_params_n(params); i++) {
        assert_false(ho_params_at(params, i)->tensor.has_grad);
    }
    ho_context_free(context);
    ho_generator_free(generator);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(parameter_counts),
        cmocka_unit_test(refusals),
        cmocka_unit_test(every_size),
        cmocka_unit_test(initial_values),
        cmocka_unit_test(random_noise),
        cmocka_unit_test(average_and_truncation),
        cmocka_unit_test(memory_and_freezing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
