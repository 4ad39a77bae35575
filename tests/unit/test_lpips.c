/* LPIPS against PyTorch: distances, features and image gradients of three narrow random networks (tests/golden), the
 * features of the published SqueezeNet where test data is present, and the order of distances of the network that
 * ships. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "check.h"
#include "handsoff/perceptual.h"
#include "handsoff/random.h"
#include "handsoff/store.h"

static ho_context *context;

static int setup(void **state) {
    (void)state;
    return ho_context_create(check_device(), &context) == HO_OK ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    ho_context_free(context);
    return 0;
}

/* A whole data set of floats; *count receives its size. */
static float *read_floats(ho_store *store, const char *name, ho_dtype dtype, ho_store_info *info, int64_t *count) {
    CHECK_OK(ho_store_info_of(store, name, info));
    *count = 1;
    for (int i = 0; i < info->rank; ++i) {
        *count *= info->dim[i];
    }
    float *values = malloc((size_t)*count * sizeof *values);
    assert_non_null(values);
    CHECK_OK(ho_store_read(store, name, dtype, info->rank, info->dim, values));
    return values;
}

static double *widened(const float *values, int64_t n) {
    double *wide = malloc((size_t)n * sizeof *wide);
    assert_non_null(wide);
    for (int64_t i = 0; i < n; ++i) {
        wide[i] = values[i];
    }
    return wide;
}

/* The gradient of sum_n (n + 1) distance[n] at image a, as first and as second argument. */
static void check_golden_gradient(ho_perceptual *net, ho_tensor *a, ho_tensor *b, const float *want, int64_t count) {
    double *wide = widened(want, count);
    float *got = malloc((size_t)count * sizeof *got);
    assert_non_null(got);
    for (int swapped = 0; swapped < 2; ++swapped) {
        ho_tensor *d, *seed;
        ho_context_record(context, true);
        a->needs_grad = true;
        a->has_grad = false;
        CHECK_OK(swapped ? ho_lpips(context, net, b, a, &d) : ho_lpips(context, net, a, b, &d));
        CHECK_OK(ho_tensor_from_host(context, (const float[]){1, 2}, HO_SHAPE(2), &seed));
        CHECK_OK(ho_backward_seed(context, d, seed));
        CHECK_OK(ho_tensor_grad_to_host(context, a, got));
        /* about 20 layers of float sums: 1e-4 of the largest element, 20 times what was seen */
        check_close_f32("gradient", got, count, wide, count, 1e-4 * check_max_abs(wide, count));
        ho_context_record(context, false);
        ho_tape_clear(context);
    }
    for (int i = 0; i < ho_params_n(ho_perceptual_params(net)); ++i) {
        assert_false(ho_params_at(ho_perceptual_params(net), i)->tensor.has_grad);
    }
    free(wide), free(got);
}

/* Features of sample 0, stored as (C, H, W). */
static void check_golden_taps(ho_store *store, const ho_taps *taps) {
    for (int k = 0; k < taps->n; ++k) {
        char name[32];
        ho_store_info info;
        int64_t count;
        (void)snprintf(name, sizeof name, "golden/tap%d", k);
        float *stored = read_floats(store, name, HO_F32, &info, &count);
        const int64_t *dim = taps->map[k]->dim;
        assert_true(info.rank == 3 && dim[3] == info.dim[0] && dim[1] == info.dim[1] && dim[2] == info.dim[2]);
        float *got = malloc((size_t)ho_tensor_count(taps->map[k]) * sizeof *got);
        double *want = malloc((size_t)count * sizeof *want);
        assert_non_null(got);
        assert_non_null(want);
        for (int64_t i = 0; i < count; ++i) {
            want[i] = stored[i % dim[3] * dim[1] * dim[2] + i / dim[3]];
        }
        CHECK_OK(ho_tensor_to_host(context, taps->map[k], got));
        check_close_f32(name, got, count, want, count, 1e-5 * check_max_abs(want, count));
        free(stored), free(got), free(want);
    }
    char beyond[32];
    (void)snprintf(beyond, sizeof beyond, "golden/tap%d", taps->n);
    assert_false(ho_store_has(store, beyond));
}

static void check_golden(const char *topology) {
    char path[96];
    ho_store *store;
    ho_perceptual *net;
    ho_store_info info;
    int64_t count;
    ho_tensor *image[2], *d;
    double distance[2];
    float got[2];
    (void)snprintf(path, sizeof path, "tests/golden/lpips_%s.h5", topology);
    ho_context_reset(context);
    CHECK_OK(ho_perceptual_load(check_device(), path, &net));
    assert_string_equal(ho_perceptual_topology(net), topology);
    CHECK_OK(ho_store_open(path, &store));
    for (int i = 0; i < 2; ++i) {
        float *host = read_floats(store, i == 0 ? "golden/a" : "golden/b", HO_F16, &info, &count);
        CHECK_OK(ho_tensor_from_host(context, host, info.rank, info.dim, &image[i]));
        free(host);
    }
    ho_taps taps[2];
    CHECK_OK(ho_perceptual_features(context, net, image[0], &taps[0]));
    CHECK_OK(ho_perceptual_features(context, net, image[1], &taps[1]));
    check_golden_taps(store, &taps[0]);
    CHECK_OK(ho_perceptual_distance(context, net, &taps[0], &taps[1], &d));
    CHECK_OK(ho_tensor_to_host(context, d, got));
    CHECK_OK(ho_store_read(store, "golden/distance", HO_F64, 1, (const int64_t[]){2}, distance));
    check_close_f32("distance", got, 2, distance, 2, 1e-5);
    float *gradient = read_floats(store, "golden/g_a", HO_F32, &info, &count);
    check_golden_gradient(net, image[0], image[1], gradient, count);
    free(gradient);
    ho_store_close(store);
    ho_perceptual_free(net);
}

static void test_vgg16(void **state) {
    (void)state;
    check_golden("vgg16");
}
static void test_alexnet(void **state) {
    (void)state;
    check_golden("alexnet");
}
static void test_squeezenet(void **state) {
    (void)state;
    check_golden("squeezenet1_1");
}

/* ---- the network that ships -------------------------------------------------------------------------------------- */

enum { SIZE = 64, COUNT = SIZE * SIZE * 3 };

/* A picture of rectangles and stripes that depends on the seed. */
static void draw(uint64_t seed, float *image) {
    double v[3] = {0, 0, 0};
    for (int part = 0; part < 12; ++part) {
        double u[8];
        for (int i = 0; i < 8; ++i) {
            u[i] = check_uniform(seed, 8 * (uint64_t)part + (uint64_t)i);
        }
        for (int i = 0; i < SIZE * SIZE; ++i) {
            const int row = i / SIZE, column = i % SIZE;
            const double y = (double)row / SIZE, x = (double)column / SIZE;
            const bool inside =
                part == 0 || (fabs(y - u[0]) < 0.05 + 0.25 * u[2] && fabs(x - u[1]) < 0.05 + 0.25 * u[3]);
            const double wave = part % 3 == 2 ? 0.4 * sin(60.0 * (x * u[6] + y * u[7])) : 0.0;
            for (int c = 0; inside && c < 3; ++c) {
                v[c] = 2.0 * u[4 + (size_t)c % 3] - 1.0 + wave;
                image[3 * i + c] = (float)fmax(-1.0, fmin(1.0, v[c]));
            }
        }
    }
}

/* Gaussian blur, border repeated. */
static void blur(const float *from, double sigma, float *to) {
    float *half = malloc(COUNT * sizeof *half);
    assert_non_null(half);
    for (int pass = 0; pass < 2; ++pass) {
        const float *in = pass == 0 ? from : half;
        float *out = pass == 0 ? half : to;
        for (int i = 0; i < COUNT; ++i) {
            const int c = i % 3, x = i / 3 % SIZE, y = i / 3 / SIZE;
            double sum = 0.0, weights = 0.0;
            for (int t = -12; t <= 12; ++t) {
                int at = (pass == 0 ? x : y) + t;
                at = at < 0 ? 0 : at >= SIZE ? SIZE - 1 : at;
                const double w = exp(-0.5 * t * t / (sigma * sigma));
                sum += w * (double)in[3 * (pass == 0 ? y * SIZE + at : at * SIZE + x) + c];
                weights += w;
            }
            out[i] = (float)(sum / weights);
        }
    }
    free(half);
}

static void add_noise(const float *from, double std, uint64_t seed, float *to) {
    for (int i = 0; i < COUNT; ++i) {
        to[i] = (float)fmax(-1.0, fmin(1.0, (double)from[i] + std * check_normal(seed, (uint64_t)i)));
    }
}

static double distance_of(ho_perceptual *net, const float *a, const float *b) {
    ho_tensor *x, *y, *d;
    float value;
    ho_context_reset(context);
    CHECK_OK(ho_tensor_from_host(context, a, HO_SHAPE(1, SIZE, SIZE, 3), &x));
    CHECK_OK(ho_tensor_from_host(context, b, HO_SHAPE(1, SIZE, SIZE, 3), &y));
    CHECK_OK(ho_lpips(context, net, x, y, &d));
    CHECK_OK(ho_tensor_to_host(context, d, &value));
    assert_true(check_is_finite((double)value));
    return (double)value;
}

/* Equal images are at 0 but for rounding; blur and noise grow with their strength; another picture is further than a
 * strong blur, 2 of 64 pixels. (After 4 of 64 nothing of a picture is left: even ImageNet features then find another
 * picture hardly further away.) */
static void check_order(const char *path) {
    static const double BLUR[] = {0.5, 1.0, 2.0, 4.0}, NOISE[] = {0.02, 0.05, 0.1, 0.2, 0.4};
    ho_perceptual *net;
    float *image = malloc(COUNT * sizeof *image), *other = malloc(COUNT * sizeof *other);
    assert_true(image != NULL && other != NULL);
    CHECK_OK(ho_perceptual_load(check_device(), path, &net));
    for (uint64_t seed = 0; seed < 8; ++seed) {
        draw(100 + seed, image);
        assert_true(distance_of(net, image, image) < 1e-12); /* rounding of fused multiply-adds */
        double before = 0.0, strong_blur = INFINITY;
        for (int i = 0; i < CHECK_LEN(BLUR); ++i) {
            blur(image, BLUR[i], other);
            const double d = distance_of(net, image, other);
            if (!(d > before)) {
                fail_msg("picture %d: blur %g is at %g, the weaker one at %g", (int)seed, BLUR[i], d, before);
            }
            strong_blur = BLUR[i] == 2.0 ? d : strong_blur;
            before = d;
        }
        before = 0.0;
        for (int i = 0; i < CHECK_LEN(NOISE); ++i) {
            add_noise(image, NOISE[i], 7 + seed, other);
            const double d = distance_of(net, image, other);
            if (!(d > before)) {
                fail_msg("picture %d: noise %g is at %g, the weaker one at %g", (int)seed, NOISE[i], d, before);
            }
            before = d;
        }
        draw(200 + seed, other);
        const double apart = distance_of(net, image, other);
        if (!(apart > strong_blur)) {
            fail_msg("picture %d: another picture is at %g, the strong blur at %g", (int)seed, apart, strong_blur);
        }
    }
    ho_perceptual_free(net);
    free(image), free(other);
}

static void test_order_of_shipped_network(void **state) {
    (void)state;
    check_order("data/pretext/vgg_narrow.h5");
}

/* ---- the published SqueezeNet ------------------------------------------------------------------------------------ */

/* Taps 0, 1, 2, 3 ... are the outputs of conv1, fire3, fire5, fire6, fire7, fire8, fire9 (Caffe's numbers). The numbers
 * are those of the data set's expected.json: mean, maximum, sum of squares. */
static const double PUBLISHED[7][3] = {
    {25.551179, 365.96827, 503849321.492},   {99.045749, 1483.67132, 3220506095.69},
    {82.403391, 2103.28462, 1499182610.327}, {54.701759, 1833.74308, 335215637.092},
    {28.417306, 987.03253, 89325673.987},    {20.804315, 619.59697, 58739842.837},
    {3.523296, 242.15957, 5762193.772},
};

/* Writes the weights file by the script that users run; false when the data or the interpreter is missing. */
static bool convert_published(char *path, size_t size) {
    const char *data = getenv("HANDSOFF_TEST_DATA");
    const char *folder = "weights/squeezenet1.1-features/squeezenet1.1_features_oihw.npz";
    char source[512], command[1400];
    (void)snprintf(source, sizeof source, "%s/%s", data == NULL ? "../shared/data" : data, folder);
    if (access(source, R_OK) != 0) {
        return false;
    }
    (void)snprintf(path, size, "/tmp/handsoff_squeezenet_%d.h5", (int)getpid());
    (void)snprintf(command, sizeof command,
                   "/usr/bin/python3 -c 'import h5py' 2>/dev/null && "
                   "/usr/bin/python3 experiments/weights/squeezenet_to_h5.py '%s' '%s'",
                   source, path);
    return system(command) == 0; /* NOLINT(bugprone-command-processor,cert-env33-c): fixed command on test data */
}

static void test_published_squeezenet(void **state) {
    (void)state;
    enum { SIDE = 99 };
    char path[128];
    ho_perceptual *net;
    ho_tensor *image;
    ho_taps taps;
    if (!convert_published(path, sizeof path)) {
        skip();
    }
    float *host = malloc((size_t)SIDE * SIDE * 3 * sizeof *host);
    assert_non_null(host);
    for (int i = 0; i < SIDE * SIDE; ++i) {
        for (int c = 0; c < 3; ++c) { /* channel c of B, G, R is element 2 - c; the network subtracts the mean itself */
            const int byte = (31 * c + 7 * (i / SIDE) + 13 * (i % SIDE)) % 256;
            host[3 * i + 2 - c] = (float)(byte / 127.5 - 1.0);
        }
    }
    ho_context_reset(context);
    CHECK_OK(ho_perceptual_load(check_device(), path, &net));
    CHECK_OK(ho_tensor_from_host(context, host, HO_SHAPE(1, SIDE, SIDE, 3), &image));
    CHECK_OK(ho_perceptual_features(context, net, image, &taps));
    assert_int_equal(taps.n, 7);
    free(host);
    for (int k = 0; k < taps.n; ++k) {
        const int64_t count = ho_tensor_count(taps.map[k]);
        float *values = malloc((size_t)count * sizeof *values);
        assert_non_null(values);
        CHECK_OK(ho_tensor_to_host(context, taps.map[k], values));
        double sum = 0.0, top = 0.0, squares = 0.0;
        for (int64_t i = 0; i < count; ++i) {
            sum += (double)values[i];
            top = fmax(top, (double)values[i]);
            squares += (double)values[i] * (double)values[i];
        }
        const double got[3] = {sum / (double)count, top, squares};
        for (int i = 0; i < 3; ++i) {
            check_close_f64("published features", &got[i], 1, &PUBLISHED[k][i], 1, 2e-5 * PUBLISHED[k][i]);
        }
        free(values);
    }
    ho_perceptual_free(net);
    check_order(path);
    (void)remove(path);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void test_refuses(void **state) {
    (void)state;
    ho_perceptual *net;
    ho_tensor *small, *grey;
    ho_taps taps;
    CHECK_FAILS(ho_perceptual_load(check_device(), "tests/golden/none.h5", &net), HO_EIO, "tests/golden/none.h5");
    CHECK_FAILS(ho_perceptual_load(check_device(), "tests/golden/generator_16.h5", &net), HO_EFORMAT, "topology");
    CHECK_OK(ho_perceptual_load(check_device(), "tests/golden/lpips_alexnet.h5", &net));
    ho_context_reset(context);
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, 62, 80, 3), &small));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(1, 80, 80, 1), &grey));
    CHECK_FAILS(ho_perceptual_features(context, net, small, &taps), HO_ESHAPE, "alexnet", "(1, 62, 80, 3)", "63");
    CHECK_FAILS(ho_perceptual_features(context, net, grey, &taps), HO_ESHAPE, "(1, 80, 80, 1)");
    ho_perceptual_free(net);
}

/* A file whose first convolution takes two colours, and one of an unknown network. */
static void test_refuses_files(void **state) {
    (void)state;
    static const float W[4 * 2 * 3 * 3];
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/handsoff_lpips_%d.h5", (int)getpid());
    for (int known = 0; known < 2; ++known) {
        ho_store *store;
        ho_perceptual *net;
        CHECK_OK(ho_store_create(path, &store));
        CHECK_OK(ho_store_set_text(store, "topology", known ? "vgg16" : "vgg61"));
        CHECK_OK(ho_store_set_number(store, "pool_ceil", 0.0));
        CHECK_OK(ho_store_write(store, "features.0.weight", HO_F32, 4, (const int64_t[]){4, 2, 3, 3}, W));
        CHECK_OK(ho_store_commit(store));
        ho_store_close(store);
        const ho_status status = ho_perceptual_load(check_device(), path, &net);
        if (known) {
            CHECK_FAILS(status, HO_EFORMAT, path, "features.0.weight", "(O, 3, 3, 3)", "(4, 2, ...)");
        } else {
            CHECK_FAILS(status, HO_EFORMAT, path, "\"vgg61\"", "vgg16, alexnet, squeezenet1_1");
        }
    }
    (void)remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vgg16),
        cmocka_unit_test(test_alexnet),
        cmocka_unit_test(test_squeezenet),
        cmocka_unit_test(test_published_squeezenet),
        cmocka_unit_test(test_order_of_shipped_network),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_refuses_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
