/* Refinement of latents, with a random 16-pixel generator and the small random VGG of tests/golden. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "handsoff/refine.h"

enum { SIZE = 16, L = 6, D = 8, M = L * D, P = SIZE * SIZE * 3, MOST = 3 };
static const ho_stylegan2_shape GENERATOR = {SIZE, SIZE, 8, D, 64, 8, 2};
static const char *const NET = "tests/golden/lpips_vgg16.h5";

static ho_generator *new_generator(void) {
    ho_generator *generator = NULL;
    CHECK_OK(ho_generator_create(check_device(), &GENERATOR, 1, &generator));
    ho_params_set_trainable(ho_generator_params(generator), false);
    return generator;
}

typedef struct {
    float target[MOST * P], w_init[MOST * M], w_plus[MOST * M], image[MOST * P];
    float lpips[2][MOST], mse[2][MOST];
    int64_t best[MOST];
} problem;

/* Images of known latents, and starts around the mean latent. */
static void make_problem(ho_generator *generator, problem *p) {
    ho_context *context = NULL;
    ho_tensor *w = NULL, *image = NULL;
    float w_true[MOST * M];
    for (int i = 0; i < MOST * M; ++i) {
        w_true[i] = (float)check_normal(5, (uint64_t)i);
        p->w_init[i] = 0.1F * (float)check_normal(6, (uint64_t)i);
    }
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_from_host(context, w_true, HO_SHAPE(MOST, L, D), &w));
    CHECK_OK(ho_generator_synthesize(context, generator, w, NULL, NULL, &image));
    CHECK_OK(ho_tensor_to_host(context, image, p->target));
    ho_context_free(context);
}

static ho_status solve(ho_generator *generator, const ho_refine_options *options, int first, int N, problem *p,
                       ho_refine_progress progress) {
    ho_perceptual *net = NULL;
    CHECK_OK(ho_perceptual_load(check_device(), NET, &net));
    const ho_refine_job job = {p->target + (ptrdiff_t)first * P,
                               p->w_init + (ptrdiff_t)first * M,
                               p->w_plus + (ptrdiff_t)first * M,
                               p->image + (ptrdiff_t)first * P,
                               p->lpips[0] + first,
                               p->lpips[1] + first,
                               p->mse[0] + first,
                               p->mse[1] + first,
                               p->best + first};
    const ho_status status = ho_refine(check_device(), generator, net, options, N, &job, progress, NULL);
    ho_perceptual_free(net);
    return status;
}

static void step_sizes_are_those_of_the_original(void **state) {
    (void)state;
    const ho_refine_options options = {500, 0.1, 0.05, 0.25, 10, 1, 1};
    static const int64_t k[] = {1, 10, 25, 250, 375, 400, 450, 499};
    static const double want[] = {0.004, 0.04, 0.1, 0.1, 0.1, 0.09045085, 0.03454915, 1.5791e-05};
    for (int i = 0; i < CHECK_LEN(k); ++i) {
        assert_true(fabs(ho_refine_lr(&options, k[i]) - want[i]) < 1e-4 * want[i]);
    }
    const ho_refine_options flat = {10, 0.2, 0, 0, 10, 1, 1};
    assert_true(fabs(ho_refine_lr(&flat, 1) - 0.2) < 1e-12 && fabs(ho_refine_lr(&flat, 9) - 0.2) < 1e-12);
}

static void known_latents_are_found_again(void **state) {
    (void)state;
    static problem p;
    ho_generator *generator = new_generator();
    const ho_refine_options options = {200, 0.1, 0.05, 0.25, 10, 10, 0};
    make_problem(generator, &p);
    CHECK_OK(solve(generator, &options, 0, MOST, &p, NULL));
    for (int n = 0; n < MOST; ++n) {
        assert_true(10 * p.lpips[1][n] + 10 * p.mse[1][n] < 0.1F * (10 * p.lpips[0][n] + 10 * p.mse[0][n]));
        assert_true(p.best[n] > 100);
        double mse = 0;
        for (int i = 0; i < P; ++i) {
            mse += pow((p.image[n * P + i] - p.target[n * P + i]) / 2, 2) / P;
        }
        assert_true(fabs(mse - p.mse[1][n]) < 1e-3 * mse + 1e-9); /* the image is that of the kept latent */
    }
    ho_generator_free(generator);
}

/* Steps that only make it worse: the start itself is kept, untouched by the updates of the iterate. */
static void the_best_iterate_is_a_copy(void **state) {
    (void)state;
    static problem p;
    ho_generator *generator = new_generator();
    const ho_refine_options good = {200, 0.1, 0.05, 0.25, 10, 1, 0}, wild = {6, 1000, 0, 0, 10, 1, 0};
    make_problem(generator, &p);
    CHECK_OK(solve(generator, &good, 0, MOST, &p, NULL));
    memcpy(p.w_init, p.w_plus, sizeof p.w_init);
    CHECK_OK(solve(generator, &wild, 0, MOST, &p, NULL));
    assert_memory_equal(p.w_init, p.w_plus, sizeof p.w_init);
    for (int n = 0; n < MOST; ++n) {
        assert_int_equal(p.best[n], 0);
        assert_true(p.lpips[0][n] == p.lpips[1][n] && p.mse[0][n] == p.mse[1][n]);
    }
    const ho_refine_options none = {0, 0.1, 0.05, 0.25, 10, 1, 0};
    memset(p.w_plus, 0, sizeof p.w_plus);
    CHECK_OK(solve(generator, &none, 0, MOST, &p, NULL));
    assert_memory_equal(p.w_init, p.w_plus, sizeof p.w_init);
    ho_generator_free(generator);
}

static void images_do_not_influence_one_another(void **state) {
    (void)state;
    static problem together, alone;
    ho_generator *generator = new_generator();
    const ho_refine_options options = {12, 0.05, 0.05, 0.25, 10, 1, 1};
    make_problem(generator, &together);
    make_problem(generator, &alone);
    CHECK_OK(solve(generator, &options, 0, MOST, &together, NULL));
    for (int n = 0; n < MOST; ++n) {
        CHECK_OK(solve(generator, &options, n, 1, &alone, NULL));
    }
    double moved = 0;
    for (int i = 0; i < MOST * M; ++i) {
        assert_true(fabsf(together.w_plus[i] - alone.w_plus[i]) < 2e-4F); /* Adam moves by up to 0.05 a step */
        moved = fmax(moved, fabs(together.w_plus[i] - together.w_init[i]));
    }
    assert_true(moved > 0.2);
    ho_generator_free(generator);
}

/* A strong pull to the start keeps the latent there. */
static void the_regulariser_holds_the_latent(void **state) {
    (void)state;
    static problem p;
    double moved[2] = {0, 0};
    ho_generator *generator = new_generator();
    make_problem(generator, &p);
    for (int k = 0; k < 2; ++k) {
        const ho_refine_options options = {60, 0.05, 0.05, 0.25, 10, 1, k == 0 ? 0 : 1000};
        CHECK_OK(solve(generator, &options, 0, MOST, &p, NULL));
        for (int i = 0; i < MOST * M; ++i) {
            moved[k] += pow(p.w_plus[i] - p.w_init[i], 2);
        }
    }
    assert_true(moved[1] < 0.1 * moved[0] && moved[1] > 0);
    ho_generator_free(generator);
}

static int64_t steps_seen;
static bool stop_after_five(void *user, int64_t step, double loss) {
    (void)user;
    steps_seen = step;
    return step < 5 && isfinite(loss);
}

static void refinement_stops_when_told_and_refuses_nan(void **state) {
    (void)state;
    static problem p;
    ho_generator *generator = new_generator();
    const ho_refine_options options = {60, 0.05, 0.05, 0.25, 10, 1, 1};
    make_problem(generator, &p);
    CHECK_FAILS(solve(generator, &options, 0, MOST, &p, stop_after_five), HO_EINTERRUPT, "step 5 of 60");
    assert_int_equal(steps_seen, 5);
    p.target[P + 7] = NAN;
    CHECK_FAILS(solve(generator, &options, 0, MOST, &p, NULL), HO_ENUMERIC, "image 1");
    ho_generator_free(generator);
}

/* A VGG wants 16 pixels: smaller images are doubled until they have them, on both sides alike. */
static void small_images_are_compared_at_twice_their_size(void **state) {
    (void)state;
    static const int64_t sides[][4] = {{16, 20, 16, 20}, {8, 16, 16, 32}, {4, 8, 16, 32}};
    static float pixels[16 * 20 * 3];
    ho_perceptual *net = NULL;
    ho_context *context = NULL;
    CHECK_OK(ho_perceptual_load(check_device(), NET, &net));
    CHECK_OK(ho_context_create(check_device(), &context));
    for (int k = 0; k < CHECK_LEN(sides); ++k) {
        ho_tensor *image = NULL, *fitted = NULL, *distance = NULL;
        double value = 1;
        CHECK_OK(ho_tensor_from_host(context, pixels, HO_SHAPE(1, sides[k][0], sides[k][1], 3), &image));
        CHECK_OK(ho_perceptual_fit(context, net, image, &fitted));
        assert_true(fitted->dim[1] == sides[k][2] && fitted->dim[2] == sides[k][3]);
        assert_true((fitted == image) == (k == 0));
        CHECK_OK(ho_lpips(context, net, fitted, fitted, &distance));
        CHECK_OK(ho_tensor_scalar(context, distance, &value));
        assert_true(fabs(value) < 1e-6);
    }
    ho_context_free(context);
    ho_perceptual_free(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step_sizes_are_those_of_the_original),
        cmocka_unit_test(known_latents_are_found_again),
        cmocka_unit_test(the_best_iterate_is_a_copy),
        cmocka_unit_test(images_do_not_influence_one_another),
        cmocka_unit_test(the_regulariser_holds_the_latent),
        cmocka_unit_test(refinement_stops_when_told_and_refuses_nan),
        cmocka_unit_test(small_images_are_compared_at_twice_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
