/* Arena, tape, parameters, Adam, random numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handsoff/params.h"
#include "handsoff/random.h"
#include "handsoff/tensor.h"

static ho_device *device;
static ho_context *context;

static int setup(void **state) {
    (void)state;
    return ho_device_open(0, 0, &device) == HO_OK && ho_context_create(device, &context) == HO_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    ho_context_free(context);
    ho_device_close(device);
    return 0;
}

static void test_arena_repeats_addresses(void **state) {
    (void)state;
    void *first[3];
    for (int round = 0; round < 3; ++round) {
        ho_context_reset(context);
        ho_tensor *a, *b, *c;
        assert_int_equal(ho_tensor_new(context, HO_SHAPE(1000, 1000), &a), HO_OK);
        assert_int_equal(ho_tensor_new(context, HO_SHAPE(7), &b), HO_OK);
        ho_tensor_release(context, a);
        assert_int_equal(ho_tensor_new(context, HO_SHAPE(300, 300), &c), HO_OK);
        void *now[3] = {b->data, c->data, NULL};
        if (round == 0) {
            memcpy(first, now, sizeof now);
        }
        assert_memory_equal(first, now, sizeof now);
    }
}

static void test_arena_takes_back_its_own_blocks_only(void **state) {
    (void)state;
    ho_context_reset(context);
    ho_real *a, *b;
    assert_int_equal(ho_scratch(context, 1000, &a), HO_OK);
    ho_scratch_free(context, a);
    assert_int_equal(ho_scratch(context, 1000, &b), HO_OK);
    assert_ptr_equal(a, b);
    int outside;
    ho_scratch_free(context, &outside); /* not the arena's: left alone */
}

static void test_arena_never_overlaps(void **state) {
    (void)state;
    ho_context_reset(context);
    enum { N = 400 };
    static ho_real host[3001];
    ho_real *block[N] = {NULL};
    int64_t size[N] = {0};
    for (int step = 0; step < 4000; ++step) {
        const int i = (int)ho_uniform_int(1, 2, (uint64_t)step, N);
        if (block[i] != NULL) {
            assert_int_equal(ho_device_download(device, host, block[i], (size_t)size[i] * sizeof *host), HO_OK);
            for (int64_t j = 0; j < size[i]; ++j) {
                assert_true(host[j] == (ho_real)i); /* nobody else wrote here */
            }
            ho_scratch_free(context, block[i]);
            block[i] = NULL;
        } else {
            size[i] = 1 + ho_uniform_int(1, 3, (uint64_t)step, 3000);
            assert_int_equal(ho_scratch(context, size[i], &block[i]), HO_OK);
            for (int64_t j = 0; j < size[i]; ++j) {
                host[j] = (ho_real)i;
            }
            assert_int_equal(ho_device_upload(device, block[i], host, (size_t)size[i] * sizeof *host), HO_OK);
        }
    }
}

static void test_random(void **state) {
    (void)state;
    /* Known answers of the reference implementation, Random123's kat_vectors: philox4x32, 10 rounds. */
    uint32_t out[4];
    ho_philox(0, 0, 0, out);
    const uint32_t zeros[4] = {0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U};
    assert_memory_equal(out, zeros, sizeof out);
    ho_philox(~0ULL, ~0ULL, ~0ULL, out);
    const uint32_t ones[4] = {0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU};
    assert_memory_equal(out, ones, sizeof out);
    double sum = 0, square = 0;
    for (uint64_t i = 0; i < 100000; ++i) {
        const double v = ho_normal(3, 4, i);
        sum += v;
        square += v * v;
    }
    assert_true(fabs(sum / 1e5) < 0.015 && fabs(square / 1e5 - 1) < 0.02);
    int64_t order[100], seen[100] = {0};
    ho_permutation(1, 2, 100, order);
    for (int i = 0; i < 100; ++i) {
        ++seen[order[i]];
    }
    for (int i = 0; i < 100; ++i) {
        assert_int_equal(seen[i], 1);
    }
}

static void test_fill_is_a_function_of_the_index(void **state) {
    (void)state;
    ho_context_reset(context);
    ho_tensor *t;
    float host[37];
    assert_int_equal(ho_tensor_new(context, HO_SHAPE(37), &t), HO_OK);
    for (uint64_t first = 0; first < 3; ++first) {
        assert_int_equal(ho_fill_normal(context, t, 11, 12, first, 1.0, 2.0), HO_OK);
        assert_int_equal(ho_tensor_to_host(context, t, host), HO_OK);
        for (uint64_t i = 0; i < 37; ++i) {
            assert_true(fabs(host[i] - (1.0 + 2.0 * ho_normal(11, 12, first + i))) < 1e-6);
        }
    }
}

static void test_numpy_random(void **state) {
    (void)state;
    ho_numpy_random random;
    ho_numpy_seed(&random, 0);
    const double zero[3] = {1.764052345967664, 0.4001572083672233, 0.9787379841057392};
    double last = 0;
    for (int i = 0; i < 512; ++i) {
        last = ho_numpy_randn(&random);
        assert_true(i > 2 || last == zero[i]);
    }
    assert_true(last == 1.3749640663929898);
    ho_numpy_seed(&random, 85);
    assert_true(ho_numpy_randn(&random) == 0.1768507210788626);
    assert_true(ho_numpy_randn(&random) == 2.3777541249700573);
    ho_numpy_seed(&random, 1);
    assert_true(ho_numpy_randn(&random) == 1.6243453636632417);
}

static ho_status make_params(ho_params **params, ho_tensor **w, ho_tensor **b) {
    HO_TRY(ho_params_create(device, params));
    HO_TRY(ho_params_add(*params, HO_PARAM, HO_INIT_NORMAL(0.5), HO_FILE_OIHW, HO_SHAPE(4, 3, 3, 5), w, "conv%d.weight",
                         1));
    HO_TRY(ho_params_add(*params, HO_BUFFER, HO_INIT_ONE, HO_FILE_SAME, HO_SHAPE(5), b, "running"));
    return ho_params_commit(*params, 9);
}

static void test_params_file_order(void **state) {
    (void)state;
    ho_params *params;
    ho_tensor *w, *b;
    assert_int_equal(make_params(&params, &w, &b), HO_OK);
    float file[180], memory[180], back[180];
    ho_param *param = ho_params_find(params, "conv1.weight");
    assert_non_null(param);
    assert_int_equal(ho_tensor_to_host(context, w, memory), HO_OK);
    assert_int_equal(ho_param_get(params, param, file), HO_OK);
    for (int o = 0; o < 4; ++o) {
        for (int tap = 0; tap < 9; ++tap) {
            for (int i = 0; i < 5; ++i) {
                assert_true(file[(o * 5 + i) * 9 + tap] == memory[(o * 9 + tap) * 5 + i]);
            }
        }
    }
    assert_true(fabs(memory[7] - 0.5 * ho_normal(9, ho_stream_id("conv1.weight"), 7)) < 1e-6);
    assert_int_equal(ho_param_set(params, param, file), HO_OK);
    assert_int_equal(ho_tensor_to_host(context, w, back), HO_OK);
    assert_memory_equal(memory, back, sizeof memory);
    ho_params_free(params);
}

static void test_params_refuse_other_networks(void **state) {
    (void)state;
    ho_params *params, *other;
    ho_tensor *w, *b, *c;
    assert_int_equal(make_params(&params, &w, &b), HO_OK);
    assert_int_equal(ho_params_create(device, &other), HO_OK);
    assert_int_equal(ho_params_add(other, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(2), &c, "a"), HO_OK);
    assert_int_equal(ho_params_add(other, HO_PARAM, HO_INIT_ZERO, HO_FILE_SAME, HO_SHAPE(2), &c, "%c", 'a'), HO_ESHAPE);
    assert_non_null(strstr(ho_error(), "'a'"));
    assert_int_equal(ho_params_commit(other, 0), HO_OK);
    assert_int_equal(ho_params_copy(params, other), HO_ESHAPE);
    ho_params_free(other);
    ho_params_free(params);
}

/* The moving average: trained values move towards the others by the share t, buffers are copied. */
static void test_params_lerp(void **state) {
    (void)state;
    ho_params *to, *from;
    ho_tensor *w_to, *w_from, *b_to, *b_from;
    float before[180], target[180], after[180], ones[5];
    assert_int_equal(make_params(&to, &w_to, &b_to), HO_OK);
    assert_int_equal(make_params(&from, &w_from, &b_from), HO_OK);
    assert_int_equal(ho_params_init(from, 10), HO_OK);
    assert_int_equal(ho_tensor_set_host(context, b_to, (const float[5]){7, 7, 7, 7, 7}), HO_OK);
    assert_int_equal(ho_tensor_to_host(context, w_to, before), HO_OK);
    assert_int_equal(ho_tensor_to_host(context, w_from, target), HO_OK);
    assert_int_equal(ho_params_lerp(to, from, 0.25), HO_OK);
    assert_int_equal(ho_tensor_to_host(context, w_to, after), HO_OK);
    assert_int_equal(ho_tensor_to_host(context, b_to, ones), HO_OK);
    for (int i = 0; i < 180; ++i) {
        assert_true(before[i] != target[i]);
        assert_true(fabs(after[i] - (0.75 * before[i] + 0.25 * target[i])) < 1e-6);
        assert_true(ones[i % 5] == 1.0F);
    }
    ho_params_free(to);
    ho_params_free(from);
}

/* Adam against its formula in double, with NaN, infinite and missing gradients. */
static void test_adam(void **state) {
    (void)state;
    ho_params *params;
    ho_tensor *w, *b;
    assert_int_equal(make_params(&params, &w, &b), HO_OK);
    ho_adam *adam;
    assert_int_equal(ho_adam_create(params, &adam), HO_OK);
    float value[180], grad[180];
    double want[180], m[180] = {0}, v[180] = {0};
    assert_int_equal(ho_tensor_to_host(context, w, value), HO_OK);
    for (int i = 0; i < 180; ++i) {
        want[i] = value[i];
    }
    const ho_adam_options options = {0.01, 0.9, 0.99, 1e-8, 0.0};
    for (int step = 1; step <= 5; ++step) {
        for (int i = 0; i < 180; ++i) {
            grad[i] = (float)ho_normal(1, 1, (uint64_t)(step * 180 + i));
        }
        grad[3] = NAN;
        grad[4] = INFINITY;
        ho_real *target;
        bool accumulate;
        if (step != 4) {
            assert_int_equal(ho_grad_target(context, w, &target, &accumulate), HO_OK);
            assert_false(accumulate);
            assert_int_equal(ho_device_upload(device, target, grad, sizeof grad), HO_OK);
        }
        assert_int_equal(ho_adam_step(adam, &options, 0.5), HO_OK);
        assert_false(w->has_grad);
        for (int i = 0; i < 180; ++i) {
            const double g = step == 4 || i == 3 ? 0.0 : i == 4 ? 1e5 : 0.5 * grad[i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.99 * v[i] + 0.01 * g * g;
            want[i] -= 0.01 * (m[i] / (1 - pow(0.9, step))) / (sqrt(v[i] / (1 - pow(0.99, step))) + 1e-8);
        }
    }
    assert_int_equal(ho_tensor_to_host(context, w, value), HO_OK);
    for (int i = 0; i < 180; ++i) {
        assert_true(fabs(value[i] - want[i]) < 1e-6);
    }
    ho_adam_free(adam);
    ho_params_free(params);
}

static void test_backward_needs_a_scalar(void **state) {
    (void)state;
    ho_context_reset(context);
    ho_tensor *t;
    assert_int_equal(ho_tensor_new(context, HO_SHAPE(2, 3), &t), HO_OK);
    assert_int_equal(ho_backward(context, t), HO_ESHAPE);
    assert_non_null(strstr(ho_error(), "(2, 3)"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_repeats_addresses),
        cmocka_unit_test(test_arena_takes_back_its_own_blocks_only),
        cmocka_unit_test(test_arena_never_overlaps),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_numpy_random),
        cmocka_unit_test(test_fill_is_a_function_of_the_index),
        cmocka_unit_test(test_params_file_order),
        cmocka_unit_test(test_params_refuse_other_networks),
        cmocka_unit_test(test_params_lerp),
        cmocka_unit_test(test_adam),
        cmocka_unit_test(test_backward_needs_a_scalar),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
