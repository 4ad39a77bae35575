/* Ticks, tick texts and drawn plots. */
#include "handsoff/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void same_ticks(double low, double high, bool log_scale, int n, const char *const *want) {
    double ticks[HO_PLOT_TICKS];
    char text[24];
    assert_int_equal(ho_plot_ticks(low, high, log_scale, ticks), n);
    for (int i = 0; i < n; ++i) {
        ho_plot_tick_text(n, ticks, i, text);
        assert_string_equal(text, want[i]);
    }
}

static void ticks_are_round_and_inside(void **state) {
    (void)state;
    same_ticks(0, 1, false, 6, (const char *const[]){"0", "0.2", "0.4", "0.6", "0.8", "1"});
    same_ticks(-0.31, 0.29, false, 6, (const char *const[]){"-0.3", "-0.2", "-0.1", "0", "0.1", "0.2"});
    same_ticks(0, 5000, false, 6, (const char *const[]){"0", "1000", "2000", "3000", "4000", "5000"});
    same_ticks(1.0011, 1.0029, false, 3, (const char *const[]){"1.0015", "1.002", "1.0025"});
}

static void logarithmic_ticks_are_powers(void **state) {
    (void)state;
    same_ticks(1e-4, 2, true, 5, (const char *const[]){"0.0001", "0.001", "0.01", "0.1", "1"});
    same_ticks(0.04, 0.6, true, 4, (const char *const[]){"0.05", "0.1", "0.2", "0.5"});
    same_ticks(3, 4, true, 6, (const char *const[]){"3", "3.2", "3.4", "3.6", "3.8", "4"});
}

static void any_range_gets_few_ticks_with_different_texts(void **state) {
    (void)state;
    for (int i = 0; i < 4000; ++i) {
        const bool log_scale = i % 2 == 1;
        const double low =
            log_scale ? pow(10, 12 * check_uniform(1, (uint64_t)i) - 8) : 20 * check_normal(1, (uint64_t)i);
        const double high = log_scale ? low * pow(10, 0.01 + 14 * check_uniform(2, (uint64_t)i))
                                      : low + pow(10, 9 * check_uniform(2, (uint64_t)i) - 4);
        double ticks[HO_PLOT_TICKS];
        const int n = ho_plot_ticks(low, high, log_scale, ticks);
        assert_in_range(n, 2, 12);
        for (int t = 0; t < n; ++t) {
            char text[24], before[24] = "";
            const double room = 1e-6 * (high - low);
            assert_true(ticks[t] >= low - room && ticks[t] <= high + room && (t == 0 || ticks[t] > ticks[t - 1]));
            ho_plot_tick_text(n, ticks, t, text);
            if (t > 0) {
                ho_plot_tick_text(n, ticks, t - 1, before);
            }
            assert_string_not_equal(text, before);
            assert_true(fabs(strtod(text, NULL) - ticks[t]) <= 1e-9 * fabs(ticks[t]) + 1e-12);
        }
    }
}

static void ranges_that_are_none_get_no_ticks(void **state) {
    (void)state;
    double ticks[HO_PLOT_TICKS];
    assert_int_equal(ho_plot_ticks(1, 1, false, ticks), 0);
    assert_int_equal(ho_plot_ticks(2, 1, false, ticks), 0);
    assert_int_equal(ho_plot_ticks(0, 1, true, ticks), 0);
    assert_int_equal(ho_plot_ticks(NAN, 1, false, ticks), 0);
    assert_int_equal(ho_plot_ticks(0, INFINITY, false, ticks), 0);
}

static int64_t count_colour(const ho_image *image, const uint8_t *colour, int left, int top, int right, int bottom) {
    int64_t n = 0;
    for (int y = top; y < bottom; ++y) {
        for (int x = left; x < right; ++x) {
            n += memcmp(image->pixels + ((size_t)y * image->width + x) * 3, colour, 3) == 0;
        }
    }
    return n;
}

/* Rows in which the colour occurs in a column range: the first and the last. */
static void rows_of(const ho_image *image, const uint8_t *colour, int left, int right, int top, int *first, int *last) {
    *first = *last = -1;
    for (int y = top; y < image->height; ++y) {
        if (count_colour(image, colour, left, y, right, y + 1) > 0) {
            *first = *first < 0 ? y : *first;
            *last = y;
        }
    }
}

static void a_rising_line_rises(void **state) {
    (void)state;
    const double x[] = {0, 1, 2, 3}, y[] = {0, 1, 2, 3}, down[] = {3, 2, 1, 0};
    const ho_plot_series series[] = {{"up", 4, x, y}, {"down", 4, x, down}};
    const ho_plot plot = {"title", "step", false, 2, series, 640, 400};
    ho_image image;
    CHECK_OK(ho_plot_draw(&plot, &image));
    assert_true(image.width == 640 && image.height == 400 && image.channels == 3);
    const int area = 100; /* below title and legend, right of the labels */
    for (int s = 0; s < 2; ++s) {
        int first, last, other, right_first;
        rows_of(&image, ho_plot_colour(s), 100, 140, area, &first, &last);
        rows_of(&image, ho_plot_colour(s), 560, 600, area, &right_first, &other);
        assert_true(first >= 0 && right_first >= 0);
        assert_true(s == 0 ? last > other + 150 : other > last + 150);
        assert_true(count_colour(&image, ho_plot_colour(s), 0, 0, 640, area) >= 22 * 4); /* legend */
    }
    ho_image_free(&image);
}

/* What cannot be drawn leaves a gap: neither a crash nor a line through it. */
static void values_that_are_not_finite_leave_gaps(void **state) {
    (void)state;
    const double x[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13},
                 y[] = {1, 1, 1, 1, 1, NAN, NAN, INFINITY, -1, 0, 1, 1, 1, 2};
    const ho_plot_series series = {"loss", 14, x, y};
    const ho_plot plot = {"title", "step", true, 1, &series, 640, 400};
    ho_image image;
    CHECK_OK(ho_plot_draw(&plot, &image));
    int64_t n_gap = 0, n_line = 0;
    n_gap = count_colour(&image, ho_plot_colour(0), 300, 90, 420, 400);
    n_line = count_colour(&image, ho_plot_colour(0), 100, 90, 220, 400);
    assert_int_equal(n_gap, 0);
    assert_true(n_line >= 240);
    ho_image_free(&image);
}

static void odd_inputs_are_drawn(void **state) {
    (void)state;
    const double one = 5, none = NAN, x = 1;
    const ho_plot_series series[] = {{"one point", 1, &x, &one}, {"no point", 1, &x, &none}, {"empty", 0, &x, &one}};
    for (int i = 0; i < 8; ++i) {
        const ho_plot plot = {i & 4 ? "a title that is far longer than the picture is wide, and goes on and on" : "t",
                              "x",
                              (i & 1) != 0,
                              i & 2 ? 0 : 3,
                              series,
                              320,
                              200};
        ho_image image;
        CHECK_OK(ho_plot_draw(&plot, &image));
        ho_image_free(&image);
    }
    const ho_plot small = {"t", "x", false, 0, series, 319, 200};
    ho_image image;
    CHECK_FAILS(ho_plot_draw(&small, &image), HO_ESHAPE, "319 x 200");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_round_and_inside),
        cmocka_unit_test(logarithmic_ticks_are_powers),
        cmocka_unit_test(any_range_gets_few_ticks_with_different_texts),
        cmocka_unit_test(ranges_that_are_none_get_no_ticks),
        cmocka_unit_test(a_rising_line_rises),
        cmocka_unit_test(values_that_are_not_finite_leave_gaps),
        cmocka_unit_test(odd_inputs_are_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
