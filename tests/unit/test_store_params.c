/* The parameters of a network in a store: file order of the axes, round trip, and what is said when they do not fit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "handsoff/store.h"

#define OK(call)   assert_int_equal((call), HO_OK)
#define SAYS(text) assert_true(says(text))

static char path[] = "/tmp/ho_test_params_XXXXXX";

static bool says(const char *text) {
    const bool found = strstr(ho_error(), text) != NULL;
    if (!found) {
        fprintf(stderr, "'%s' does not say '%s'\n", ho_error(), text);
    }
    return found;
}

/* A convolution (O 2, k 3, k 3, I 4) and a constant (H 5, W 6, C 2) in memory order, a bias. */
static ho_params *make_params(ho_device *device, int bias, uint64_t seed) {
    ho_params *params;
    ho_tensor *tensor;
    OK(ho_params_create(device, &params));
    OK(ho_params_add(params, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_OIHW, HO_SHAPE(2, 3, 3, 4), &tensor,
                     "conv.weight"));
    OK(ho_params_add(params, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_CHW, HO_SHAPE(5, 6, 2), &tensor, "const"));
    OK(ho_params_add(params, HO_PARAM, HO_INIT_NORMAL(1.0), HO_FILE_SAME, HO_SHAPE(bias), &tensor, "conv.bias"));
    OK(ho_params_add(params, HO_BUFFER, HO_INIT_NORMAL(1.0), HO_FILE_SAME, HO_SHAPE(3), &tensor, "w_avg"));
    OK(ho_params_commit(params, seed));
    return params;
}

static void write_params(ho_params *params) {
    ho_store *store;
    OK(ho_store_create(path, &store));
    OK(ho_store_write_params(store, "g/", params));
    OK(ho_store_commit(store));
    ho_store_close(store);
}

static void round_trip_in_file_order(void **state) {
    ho_params *from = make_params(*state, 2, 1), *to = make_params(*state, 2, 2);
    write_params(from);
    ho_store *store;
    ho_store_info info;
    OK(ho_store_open(path, &store));
    OK(ho_store_info_of(store, "g/conv.weight", &info));
    assert_int_equal(info.rank, 4);
    assert_int_equal(info.dim[0], 2);
    assert_int_equal(info.dim[1], 4);
    assert_int_equal(info.dim[2], 3);
    OK(ho_store_info_of(store, "g/const", &info));
    assert_int_equal(info.rank, 3);
    assert_int_equal(info.dim[0], 2);
    assert_int_equal(info.dim[1], 5);
    assert_int_equal(info.dim[2], 6);
    OK(ho_store_read_params(store, "g/", to));
    float a[72], b[72];
    for (int i = 0; i < ho_params_n(from); i++) {
        const size_t bytes = (size_t)ho_tensor_count(&ho_params_at(from, i)->tensor) * sizeof *a;
        OK(ho_param_get(from, ho_params_at(from, i), a));
        OK(ho_param_get(to, ho_params_at(to, i), b));
        assert_memory_equal(a, b, bytes);
        OK(ho_store_read(store,
                         i == 0   ? "g/conv.weight"
                         : i == 1 ? "g/const"
                         : i == 2 ? "g/conv.bias"
                                  : "g/w_avg",
                         HO_F32,
                         i == 0   ? 4
                         : i == 1 ? 3
                                  : 1,
                         (int64_t[]){-1, -1, -1, -1}, b));
        assert_memory_equal(a, b, bytes);
    }
    ho_store_close(store);
    ho_params_free(from);
    ho_params_free(to);
}

static void names_the_first_that_does_not_fit(void **state) {
    ho_params *from = make_params(*state, 2, 1), *to = make_params(*state, 7, 2);
    float before[72], after[72];
    write_params(from);
    ho_store *store;
    OK(ho_store_open(path, &store));
    OK(ho_param_get(to, ho_params_at(to, 0), before));
    assert_int_equal(ho_store_read_params(store, "g/", to), HO_EFORMAT);
    SAYS(path);
    SAYS("'g/conv.bias' has the shape (2), expected (7)");
    SAYS("(1 of 4 tensors");
    assert_int_equal(ho_store_read_params(store, "e/", to), HO_EFORMAT);
    SAYS("'e/conv.weight' of shape (2, 4, 3, 3) is missing");
    SAYS("(4 of 4 tensors");
    OK(ho_param_get(to, ho_params_at(to, 0), after));
    assert_memory_equal(before, after, sizeof before); /* nothing was half loaded */
    ho_store_close(store);
    ho_params_free(from);
    ho_params_free(to);
}

static void refuses_what_is_not_finite(void **state) {
    ho_params *from = make_params(*state, 2, 1), *to = make_params(*state, 2, 2);
    const float bad[2][3] = {{0.5F, NAN, 1.0F}, {0.5F, 1.0F, -INFINITY}};
    const char *const said[2] = {"'g/w_avg' holds nan as value 1 of 3", "'g/w_avg' holds -inf as value 2 of 3"};
    for (int i = 0; i < 2; i++) {
        ho_store *store;
        OK(ho_param_set(from, ho_params_at(from, 3), bad[i]));
        write_params(from);
        OK(ho_store_open(path, &store));
        assert_int_equal(ho_store_read_params(store, "g/", to), HO_EFORMAT);
        SAYS(path);
        SAYS(said[i]);
        ho_store_close(store);
    }
    ho_params_free(from);
    ho_params_free(to);
}

static int open_device(void **state) {
    const int file = mkstemp(path);
    close(file);
    return file < 0 || ho_device_open(1, 0, (ho_device **)state) != HO_OK;
}

static int close_device(void **state) {
    ho_device_close(*state);
    unlink(path);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_in_file_order),
        cmocka_unit_test(names_the_first_that_does_not_fit),
        cmocka_unit_test(refuses_what_is_not_finite),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
