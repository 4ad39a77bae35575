/* The R1 penalty of an 8-pixel discriminator that sees augmented images: its value against central differences of the
 * summed logits, and its gradient in the weights against central differences of the penalty. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "handsoff/gan_trainer.h"
#include "handsoff/ops.h"

enum { N = 4, SIZE = 8, COUNT = N * SIZE * SIZE * 3, SEED = 3 };
static const double GAMMA = 2.0;

static ho_context *context;
static ho_discriminator *discriminator;
static float images[COUNT];
static ho_augmentation augmentations[N];

static int setup(void **state) {
    (void)state;
    const ho_stylegan2_shape shape = {SIZE, SIZE, 8, 8, 64, 8, 2};
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_discriminator_create(check_device(), &shape, 2, SEED, &discriminator));
    for (int i = 0; i < COUNT; ++i) {
        images[i] = (float)(0.5 * check_normal(SEED, (uint64_t)i));
    }
    for (int n = 0; n < N; ++n) {
        ho_augment_draw(n == 0 ? 0.0 : 0.7, SIZE, SIZE, SEED, 1, (uint64_t)n, &augmentations[n]);
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    ho_discriminator_free(discriminator);
    ho_context_free(context);
    return 0;
}

static double penalty(const ho_augmentation *a, double weight) {
    const ho_gan_r1_args args = {N, SIZE, SIZE, images, a, GAMMA, weight};
    double value;
    CHECK_OK(ho_gan_r1(context, discriminator, &args, &value));
    return value;
}

static double logits(const float *x, const ho_augmentation *a) {
    ho_tensor *image, *seen, *y;
    float host[N];
    double sum = 0.0;
    ho_context_reset(context);
    CHECK_OK(ho_tensor_from_host(context, x, HO_SHAPE(N, SIZE, SIZE, 3), &image));
    seen = image;
    if (a != NULL) {
        CHECK_OK(ho_augment(context, image, a, &seen));
    }
    CHECK_OK(ho_discriminator_forward(context, discriminator, seen, NULL, &y, NULL));
    CHECK_OK(ho_tensor_to_host(context, y, host));
    for (int n = 0; n < N; ++n) {
        sum += host[n];
    }
    return sum;
}

/* The squared gradient with respect to the un-augmented images, one pixel after the other. The step is large enough for
 * logits that come back as floats; the network is piecewise linear but for the minibatch statistic. */
static void test_value(void **state) {
    (void)state;
    for (int augmented = 0; augmented < 2; ++augmented) {
        const ho_augmentation *a = augmented ? augmentations : NULL;
        const double step = 0.02;
        double want = 0.0;
        static float moved[COUNT];
        for (int i = 0; i < COUNT; ++i) {
            memcpy(moved, images, sizeof moved);
            moved[i] = (float)(images[i] + step);
            const double up = logits(moved, a), right = moved[i];
            moved[i] = (float)(images[i] - step);
            const double slope = (up - logits(moved, a)) / (right - moved[i]);
            want += 0.5 * GAMMA / N * slope * slope;
        }
        const double got = penalty(a, 0.0);
        if (!(fabs(got - want) <= 0.02 * want)) {
            fail_msg("%s: penalty %.9g, differences say %.9g", augmented ? "augmented" : "plain", got, want);
        }
    }
    assert_true(fabs(penalty(augmentations, 0.0) - penalty(NULL, 0.0)) > 1e-3 * penalty(NULL, 0.0));
}

/* Where element e of the file order lies in memory: (O, I, k, k) and (O, k, k, I). */
static int64_t memory_index(const ho_param *param, int64_t e) {
    if (param->order != HO_FILE_OIHW) {
        return e;
    }
    const int64_t kk = param->tensor.dim[1] * param->tensor.dim[2], I = param->tensor.dim[3];
    return (e / (I * kk) * kk + e % kk) * I + e / kk % I;
}

/* d penalty / d weight for the largest gradients of every tensor; weights that a float holds, moved by what a float
 * makes of the step, so that the quotient is exact in its step. */
static void test_gradient(void **state) {
    (void)state;
    if (sizeof(ho_real) != sizeof(double)) {
        skip(); /* the difference quotient needs the double build */
    }
    const double weight = 3.0;
    ho_params *params = ho_discriminator_params(discriminator);
    int checked = 0, kinks = 0;
    for (int i = 0; i < ho_params_n(params); ++i) { /* round all weights to floats */
        ho_param *param = ho_params_at(params, i);
        float *host = malloc((size_t)ho_tensor_count(&param->tensor) * sizeof *host);
        CHECK_OK(ho_param_get(params, param, host));
        CHECK_OK(ho_param_set(params, param, host));
        free(host);
    }
    for (int i = 0; i < ho_params_n(params); ++i) {
        ho_param *param = ho_params_at(params, i);
        const int64_t count = ho_tensor_count(&param->tensor);
        float *value = malloc((size_t)count * sizeof *value), *gradient = malloc((size_t)count * sizeof *gradient);
        ho_params_zero_grad(params);
        const double base = penalty(augmentations, weight);
        CHECK_OK(ho_tensor_grad_to_host(context, &param->tensor, gradient));
        CHECK_OK(ho_param_get(params, param, value));
        for (int64_t e = 0; e < count; e += 1 + count / 5) {
            const float keep = value[e];
            const double step = 1e-5 * (fabs((double)keep) + 0.1);
            value[e] = (float)(keep + step);
            CHECK_OK(ho_param_set(params, param, value));
            const double up = penalty(augmentations, 0.0), right = value[e];
            value[e] = (float)(keep - step);
            CHECK_OK(ho_param_set(params, param, value));
            const double down = penalty(augmentations, 0.0), left = value[e];
            value[e] = keep;
            CHECK_OK(ho_param_set(params, param, value));
            const double slope = (up - down) / (right - left), one = (up - base) / (right - keep),
                         other = (base - down) / (keep - left);
            ++checked;
            if (fabs(one - other) > 1e-3 * (fabs(slope) + base)) {
                ++kinks; /* a leaky ReLU changed its side within the step */
            } else if (!(fabs(gradient[memory_index(param, e)] / weight - slope) <= 1e-5 * (fabs(slope) + base))) {
                fail_msg("%s[%d]: gradient %.9g, differences say %.9g", param->name, (int)e,
                         gradient[memory_index(param, e)] / weight, slope);
            }
        }
        free(value), free(gradient);
    }
    print_message("%d weights checked, %d at kinks\n", checked, kinks);
    assert_true(checked >= 20 && kinks <= checked / 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_value), cmocka_unit_test(test_gradient)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
