/* What augmentations are drawn from: uniform and normal numbers that know nothing of each other. */
#include <math.h>

#include "check.h"
#include "handsoff/augment.h"

static const double PI = 3.14159265358979323846;

/* The uniform number behind the hue of a change that has every step: the colour matrix turns the plane across the
 * greys by it and scales that plane by a positive number. */
static double hue_number(const ho_augmentation *a) {
    const double(*m)[4] = a->matrix;
    const double grey = m[0][0] + m[0][1] + m[0][2];
    const double cosine = 0.5 * (m[0][0] + m[1][1] + m[2][2] - grey), sine = 0.5 * sqrt(3.0) * (m[1][0] - m[0][1]);
    return 0.5 * (atan2(sine, cosine) / PI + 1.0);
}

/* The uniform number behind the length of the fractional shift, which is a pair of normals by Box-Muller. Images of
 * 2 x 2 pixels have no shift by whole pixels: the shift stands alone behind the linear part. */
static double shift_number(const ho_augmentation *a) {
    const double(*g)[3] = a->inverse;
    const double determinant = g[0][0] * g[1][1] - g[0][1] * g[1][0];
    const double x = (g[1][1] * g[0][2] - g[0][1] * g[1][2]) / determinant / (2 * 0.125);
    const double y = (g[0][0] * g[1][2] - g[1][0] * g[0][2]) / determinant / (2 * 0.125);
    return 1.0 - exp(-0.5 * (x * x + y * y));
}

/* Of two uniform numbers on [0, 1]: 1 for equal ones, 0 +- 1 / sqrt(n) for independent ones. */
static double correlation(int n, const double *u, const double *v) {
    double sum = 0.0;
    for (int i = 0; i < n; ++i) {
        sum += 12.0 * (u[i] - 0.5) * (v[i] - 0.5) / n;
    }
    return sum;
}

static void shifts_do_not_follow_from_hues(void **state) {
    (void)state;
    enum { N = 2000 };
    double hue[2 * N + 2], shift[2 * N + 2], far[2][N];
    for (int i = 0; i < 2 * N + 2; ++i) {
        ho_augmentation a;
        ho_augment_draw(1.0, 2, 2, 3, 21, (uint64_t)i, &a);
        hue[i] = hue_number(&a);
        shift[i] = shift_number(&a);
    }
    for (int i = 0; i < N; ++i) { /* normal j is made of the words of uniform j / 2: images 2 i and 2 i + 1 of i */
        far[0][i] = shift[2 * i];
        far[1][i] = shift[2 * i + 1];
    }
    /* The numbers are what they are taken for: uniform, variance 1 / 12. */
    assert_float_equal(correlation(N, hue, hue), 1.0, 0.1);
    assert_float_equal(correlation(N, shift, shift), 1.0, 0.1);
    const double bound = 4.5 / sqrt(N);
    assert_float_equal(correlation(N, hue, shift), 0.0, bound);
    assert_float_equal(correlation(N, hue, far[0]), 0.0, bound);
    assert_float_equal(correlation(N, hue, far[1]), 0.0, bound);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(shifts_do_not_follow_from_hues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
