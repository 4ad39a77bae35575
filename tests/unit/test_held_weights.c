/* Held weights: what the target keeps beside them must never outlive a change. Each way of changing a network is
 * followed by the same convolutions, forward and back, held and not held: bit for bit the same, and not as before. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "handsoff/params.h"

/* A shape whose weights the cpu target re-orders (stride 2), and its output's elements. */
static const ho_conv_shape SHAPE = {1, 9, 9, 32, 48, 3, 2, 0, 1, 0};
enum { N_X = 9 * 9 * 32, N_Y = 4 * 4 * 48, N_W = 48 * 9 * 32, N_ALL = N_X + N_Y };

typedef struct {
    ho_params *params;
    ho_tensor *weight;
} network;

static network make_network(uint64_t seed) {
    network net;
    CHECK_OK(ho_params_create(check_device(), &net.params));
    CHECK_OK(ho_params_add(net.params, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_OIHW, HO_SHAPE(48, 3, 3, 32), &net.weight,
                           "weight"));
    CHECK_OK(ho_params_commit(net.params, seed));
    return net;
}

/* The output, then the gradient of the input, of fixed inputs. */
static void convolve(const network *net, float *out) {
    ho_device *device = check_device();
    ho_context *context;
    ho_tensor *x, *y;
    float host[N_ALL];
    for (int i = 0; i < N_ALL; ++i) {
        host[i] = (float)check_normal(7, (uint64_t)i);
    }
    CHECK_OK(ho_context_create(device, &context));
    CHECK_OK(ho_tensor_from_host(context, host, HO_SHAPE(1, 9, 9, 32), &x));
    CHECK_OK(ho_tensor_from_host(context, host + N_X, HO_SHAPE(1, 4, 4, 48), &y));
    ho_real *result;
    CHECK_OK(ho_scratch(context, N_ALL, &result));
    CHECK_OK(ho_conv_forward(device, &SHAPE, x->data, net->weight->data, result));
    CHECK_OK(ho_conv_backward_data(device, &SHAPE, y->data, net->weight->data, result + N_Y));
    CHECK_OK(ho_device_download(device, out, result, sizeof host));
    ho_context_free(context);
}

/* After a change: fresh results, equal to those of weights that are not held. `before` becomes them. */
static void check_fresh(const char *change, const network *net, float *before) {
    float held[N_ALL], plain[N_ALL];
    convolve(net, held);
    convolve(net, held); /* the second time from what is kept */
    CHECK_OK(ho_params_hold(net->params, false));
    convolve(net, plain);
    CHECK_OK(ho_params_hold(net->params, true));
    if (memcmp(held, plain, sizeof held) != 0 || memcmp(held, before, sizeof held) == 0) {
        fail_msg("%s: the convolution used the weights of before", change);
    }
    convolve(net, before); /* and something is kept for the next change to find */
}

static void changes_are_seen(void **state) {
    (void)state;
    static const ho_adam_options ADAM = {0.1, 0.9, 0.999, 1e-8, 0.0};
    network net = make_network(1), other = make_network(2);
    float before[N_ALL], *values = malloc(N_W * sizeof *values);
    assert_non_null(values);
    for (int i = 0; i < N_W; ++i) {
        values[i] = (float)check_normal(8, (uint64_t)i);
    }
    ho_context *context;
    CHECK_OK(ho_context_create(check_device(), &context));
    ho_adam *adam;
    CHECK_OK(ho_adam_create(net.params, &adam));
    CHECK_OK(ho_params_hold(net.params, true));
    convolve(&net, before);

    CHECK_OK(ho_device_zero(check_device(), net.weight->grad, N_W * sizeof(ho_real)));
    CHECK_OK(ho_device_upload(check_device(), net.weight->grad, values, N_W * sizeof *values));
    net.weight->has_grad = true;
    CHECK_OK(ho_adam_step(adam, &ADAM, 1.0));
    check_fresh("an optimiser's step", &net, before);
    CHECK_OK(ho_param_set(net.params, ho_params_find(net.params, "weight"), values));
    check_fresh("ho_param_set", &net, before);
    CHECK_OK(ho_params_lerp(net.params, other.params, 0.5));
    check_fresh("ho_params_lerp", &net, before);
    CHECK_OK(ho_params_copy(net.params, other.params));
    check_fresh("ho_params_copy", &net, before);
    CHECK_OK(ho_params_init(net.params, 3));
    check_fresh("ho_params_init", &net, before);
    CHECK_OK(ho_tensor_set_host(context, net.weight, values));
    check_fresh("ho_tensor_set_host", &net, before);
    CHECK_OK(ho_device_zero(check_device(), net.weight->data, sizeof(ho_real)));
    check_fresh("one element", &net, before);

    ho_adam_free(adam);
    ho_context_free(context);
    ho_params_free(net.params);
    ho_params_free(other.params);
    free(values);
}

/* What is kept is counted, serves both directions, and goes with the weights: the address may be used again. */
static void kept_memory_goes(void **state) {
    (void)state;
#ifdef HO_TARGET_CUDA
    skip(); /* cuDNN reads weights as they lie: nothing is kept */
#endif
    float first[N_ALL];
    ho_device *device = check_device();
    const size_t empty = ho_device_bytes(device);
    network net = make_network(1);
    const size_t bare = ho_device_bytes(device);
    convolve(&net, first);
    assert_int_equal(ho_device_bytes(device), bare);
    CHECK_OK(ho_params_hold(net.params, true));
    convolve(&net, first);
    const size_t kept = ho_device_bytes(device);
    assert_true(kept > bare);
    convolve(&net, first);
    assert_int_equal(ho_device_bytes(device), kept);
    CHECK_OK(ho_params_hold(net.params, false));
    assert_int_equal(ho_device_bytes(device), bare);
    CHECK_OK(ho_params_hold(net.params, true));
    convolve(&net, first);
    ho_params_free(net.params);
    assert_int_equal(ho_device_bytes(device), empty);
    net = make_network(2);
    CHECK_OK(ho_params_hold(net.params, true));
    check_fresh("another network", &net, first);
    ho_params_free(net.params);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(changes_are_seen), cmocka_unit_test(kept_memory_goes)};
    return cmocka_run_group_tests_name("held weights", tests, NULL, NULL);
}
