/* The comparator that every other test relies on: what it must reject, and what it must accept. */
#include <math.h>
#include <string.h>

#include "check.h"

enum { N = 1000 };
static const double TOLERANCE = 1e-3;

typedef struct {
    double want[N], got[N];
    float got_f32[N];
} data;

static data *fresh(void) {
    static data d;
    for (int i = 0; i < N; ++i) {
        d.want[i] = d.got[i] = 1.0 + check_uniform(1, (uint64_t)i);
        d.got_f32[i] = (float)d.want[i];
    }
    return &d;
}

/* Number of bad elements that both variants report; they must agree. */
static int64_t bad(const data *d) {
    const check_result wide = check_compare_f64(d->got, N, d->want, N, TOLERANCE);
    const check_result narrow = check_compare_f32(d->got_f32, N, d->want, N, TOLERANCE);
    assert_int_equal(wide.n_bad, narrow.n_bad);
    assert_int_equal(wide.n_bad > 0 ? wide.worst : 0, narrow.n_bad > 0 ? narrow.worst : 0);
    return wide.n_bad;
}

static void put(data *d, int i, double v) {
    d->got[i] = v;
    d->got_f32[i] = (float)v;
}

static void accepts_equal_and_close(void **state) {
    (void)state;
    data *d = fresh();
    assert_int_equal(bad(d), 0);
    for (int i = 0; i < N; ++i) {
        put(d, i, d->want[i] + 0.9 * TOLERANCE);
    }
    assert_int_equal(bad(d), 0);
}

static void rejects_not_finite(void **state) {
    (void)state;
    const double values[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int k = 0; k < CHECK_LEN(values); ++k) {
        data *d = fresh();
        put(d, N - 1, values[k]);
        assert_int_equal(bad(d), 1);
        put(d, 0, values[k]);
        d->want[0] = values[k]; /* not even when the truth has the same */
        assert_int_equal(bad(d), 2);
    }
    data *d = fresh();
    for (int i = 0; i < N; ++i) {
        put(d, i, NAN);
    }
    assert_int_equal(bad(d), N);
}

static void rejects_wrong_sign(void **state) {
    (void)state;
    data *d = fresh();
    for (int i = 0; i < N; ++i) {
        put(d, i, -d->want[i]);
    }
    assert_int_equal(bad(d), N);
}

static void rejects_one_of_many(void **state) {
    (void)state;
    data *d = fresh();
    put(d, 617, d->want[617] + 1.5 * TOLERANCE);
    assert_int_equal(bad(d), 1);
    assert_int_equal(check_compare_f64(d->got, N, d->want, N, TOLERANCE).worst, 617);
}

static void rejects_swapped_rows(void **state) {
    (void)state;
    data *d = fresh();
    const int width = 10;
    double row[10];
    memcpy(row, d->want, sizeof row);
    for (int i = 0; i < width; ++i) {
        put(d, i, d->want[width + i]);
        put(d, width + i, row[i]);
    }
    assert_true(bad(d) > width);
}

static void rejects_sizes(void **state) {
    (void)state;
    const data *d = fresh();
    assert_true(check_compare_f64(d->got, 0, d->want, 0, TOLERANCE).n_bad > 0);
    assert_true(check_compare_f32(d->got_f32, 0, d->want, 0, TOLERANCE).n_bad > 0);
    assert_true(check_compare_f64(d->got, N - 1, d->want, N, TOLERANCE).n_bad > 0);
    assert_true(check_compare_f32(d->got_f32, N, d->want, N - 1, TOLERANCE).n_bad > 0);
}

static void rejects_useless_tolerance(void **state) {
    (void)state;
    const data *d = fresh();
    const double values[] = {NAN, INFINITY, -1.0};
    for (int k = 0; k < CHECK_LEN(values); ++k) {
        assert_true(check_compare_f64(d->got, N, d->want, N, values[k]).n_bad > 0);
        assert_true(check_compare_f32(d->got_f32, N, d->want, N, values[k]).n_bad > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_equal_and_close),   cmocka_unit_test(rejects_not_finite),
        cmocka_unit_test(rejects_wrong_sign),        cmocka_unit_test(rejects_one_of_many),
        cmocka_unit_test(rejects_swapped_rows),      cmocka_unit_test(rejects_sizes),
        cmocka_unit_test(rejects_useless_tolerance),
    };
    return cmocka_run_group_tests_name("comparator", tests, NULL, NULL);
}
