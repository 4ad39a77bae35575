/* The filter rules, against their definitions. */
#include "check.h"
#include "handsoff/filter.h"

static void keeps(ho_filter_rule rule, double fraction, const float *score, int64_t N, int64_t n, const int64_t *want) {
    int64_t kept[64], n_kept = -1;
    CHECK_OK(ho_filter_check(rule, fraction, N));
    CHECK_OK(ho_filter_scores(rule, fraction, score, N, kept, &n_kept));
    assert_int_equal(n_kept, n);
    for (int64_t i = 0; i < n; ++i) {
        assert_int_equal(kept[i], want[i]);
    }
}

static void none_and_highest(void **state) {
    (void)state;
    static const float score[] = {0.5F, 0.1F, 0.9F, 0.1F, 0.3F};
    keeps(HO_FILTER_NONE, 0.9, score, 5, 5, (const int64_t[]){0, 1, 2, 3, 4});
    keeps(HO_FILTER_HIGHEST, 0.0, score, 5, 5, (const int64_t[]){0, 1, 2, 3, 4});
    keeps(HO_FILTER_HIGHEST, 0.2, score, 5, 4, (const int64_t[]){0, 1, 3, 4});
    keeps(HO_FILTER_HIGHEST, 0.39, score, 5, 4, (const int64_t[]){0, 1, 3, 4}); /* floor(1.95) */
    keeps(HO_FILTER_HIGHEST, 0.8, score, 5, 1, (const int64_t[]){1});           /* of equal scores the first stays */
}

/* 10,000 images, a tenth: the released code keeps positions 30 .. 9029 of the sorted list. */
static void handsoff_slice(void **state) {
    (void)state;
    enum { N = 10000 };
    static float score[N];
    static int64_t kept[N];
    int64_t n_kept = 0;
    for (int64_t i = 0; i < N; ++i) {
        score[(i * 7919) % N] = (float)i; /* 7919 is prime: a permutation */
    }
    CHECK_OK(ho_filter_scores(HO_FILTER_HANDSOFF, 0.1, score, N, kept, &n_kept));
    assert_int_equal(n_kept, 9000);
    for (int64_t i = 0; i < n_kept; ++i) {
        assert_true(score[kept[i]] >= 30.0F && score[kept[i]] <= 9029.0F);
        assert_true(i == 0 || kept[i] > kept[i - 1]);
    }
    CHECK_OK(ho_filter_scores(HO_FILTER_HANDSOFF, 0.0, score, N, kept, &n_kept));
    assert_int_equal(n_kept, N);
}

static void what_cannot_work_is_refused(void **state) {
    (void)state;
    static const float score[300] = {0};
    int64_t kept[300], n_kept = 0;
    ho_filter_rule rule = HO_FILTER_NONE;
    CHECK_FAILS(ho_filter_scores(HO_FILTER_HANDSOFF, 0.1, score, 300, kept, &n_kept), HO_ECONFIG,
                "filter.rule handsoff", "30 of 300");
    CHECK_FAILS(ho_filter_check(HO_FILTER_HANDSOFF, 0.1, 300), HO_ECONFIG, "filter.rule handsoff");
    CHECK_OK(ho_filter_check(HO_FILTER_HANDSOFF, 0.1, 310)); /* removes 31 */
    CHECK_FAILS(ho_filter_check(HO_FILTER_HIGHEST, 1.0, 300), HO_ECONFIG, "fraction");
    CHECK_FAILS(ho_filter_check(HO_FILTER_HIGHEST, 0.1, 0), HO_ECONFIG, "at least one image");
    CHECK_OK(ho_filter_rule_from_text("handsoff", &rule));
    assert_int_equal(rule, HO_FILTER_HANDSOFF);
    CHECK_FAILS(ho_filter_rule_from_text("lowest", &rule), HO_ECONFIG, "lowest", "highest");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_and_highest),
        cmocka_unit_test(handsoff_slice),
        cmocka_unit_test(what_cannot_work_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
