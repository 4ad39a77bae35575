/* Sliced Wasserstein distance: against a plain computation in double, and what it must tell apart. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handsoff/random.h"
#include "handsoff/swd.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        if ((call) != HO_OK) {                                                                                         \
            fail_msg("%s: %s", #call, ho_error());                                                                     \
        }                                                                                                              \
    } while (0)

/* n smooth random images; contrast and `grain` (independent noise) differ from set to set. */
static uint8_t *images(int n, int size, uint64_t seed, double contrast, double grain) {
    uint8_t *x = malloc((size_t)(n * size * size * 3));
    for (int i = 0; i < n; ++i) {
        for (int e = 0; e < size * size * 3; ++e) {
            const double fx = 0.1 + 0.4 * ho_uniform(seed, 1, (uint64_t)(2 * i)),
                         fy = 0.1 + 0.4 * ho_uniform(seed, 1, (uint64_t)(2 * i + 1));
            const int w = e / 3 % size, h = e / 3 / size;
            const double v = 128 + contrast * sin(fx * w + e % 3) * cos(fy * h) +
                             grain * ho_normal(seed, 2, (uint64_t)(i * size * size * 3 + e));
            x[i * size * size * 3 + e] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
    return x;
}

static ho_swd_result compare(int n, int size, const uint8_t *a, const uint8_t *b) {
    ho_swd_set *sa, *sb;
    ho_swd_result result;
    OK(ho_swd_set_create(size, size, n, 8, 3, &sa));
    OK(ho_swd_set_create(size, size, n, 8, 3, &sb));
    OK(ho_swd_set_add(sa, n, a));
    OK(ho_swd_set_add(sb, n / 2, b));
    OK(ho_swd_set_add(sb, n - n / 2, b + (int64_t)(n / 2) * size * size * 3));
    OK(ho_swd_compare(sa, sb, 64, 5, &result));
    ho_swd_set_free(sa);
    ho_swd_set_free(sb);
    return result;
}

static void test_tells_sets_apart(void **state) {
    (void)state;
    enum { N = 64, SIZE = 64 };
    uint8_t *a = images(N, SIZE, 1, 60, 3), *same_law = images(N, SIZE, 2, 60, 3), *grainy = images(N, SIZE, 3, 60, 20);
    const ho_swd_result equal = compare(N, SIZE, a, a), near_ = compare(N, SIZE, a, same_law),
                        far_ = compare(N, SIZE, a, grainy);
    assert_int_equal(equal.n_levels, 3);
    assert_int_equal(equal.size[0], 64);
    assert_int_equal(equal.size[2], 16);
    assert_true(equal.mean == 0.0);
    /* The grain sits in the finest level; what separates sets of one law is that they are small. */
    assert_true(near_.mean > 0.0 && near_.mean < far_.mean);
    assert_true(far_.distance[0] > 2.0 * near_.distance[0]);
    assert_true(fabs(far_.mean - (far_.distance[0] + far_.distance[1] + far_.distance[2]) / 3) < 1e-9);
    free(a), free(same_law), free(grainy);
}

/* Two samples of one law are far nearer to one another than samples of two laws, at every scale, and the distance falls
 * with each step that a set is blended toward the reference. */
static void test_follows_the_distribution(void **state) {
    (void)state;
    enum { N = 256, SIZE = 32, STEPS = 5, COUNT = N * SIZE * SIZE * 3 };
    uint8_t *reference = images(N, SIZE, 11, 70, 4), *same_law = images(N, SIZE, 12, 70, 4),
            *other = images(N, SIZE, 13, 25, 60), *blend = malloc(COUNT);
    const ho_swd_result near_ = compare(N, SIZE, reference, same_law), far_ = compare(N, SIZE, reference, other);
    assert_true(far_.mean > 4.0 * near_.mean);
    double before = far_.mean;
    for (int step = 1; step <= STEPS; ++step) {
        for (int e = 0; e < COUNT; ++e) {
            blend[e] = (uint8_t)(((STEPS - step) * other[e] + step * reference[e]) / STEPS);
        }
        const ho_swd_result at = compare(N, SIZE, reference, blend);
        assert_true(at.mean < before);
        before = at.mean;
    }
    assert_true(before == 0.0);
    free(reference), free(same_law), free(other), free(blend);
}

static int by_value(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* The whole definition for one level (an 8-pixel image has only one), in double, from the same random numbers. */
static void test_matches_plain_computation(void **state) {
    (void)state;
    enum { N = 5, SIZE = 8, PER = 8, ROWS = N * PER, DIM = 147, PROJECTIONS = 64 };
    uint8_t *set[2] = {images(N, SIZE, 7, 60, 9), images(N, SIZE, 8, 30, 2)};
    static double rows[2][ROWS][DIM];
    for (int k = 0; k < 2; ++k) {
        for (int r = 0; r < ROWS; ++r) {
            const int64_t top = ho_uniform_int(3, ho_stream_id("swd/place"), (uint64_t)(2 * r), 2);
            const int64_t left = ho_uniform_int(3, ho_stream_id("swd/place"), (uint64_t)(2 * r + 1), 2);
            for (int e = 0; e < DIM; ++e) {
                const int64_t h = top + e % 49 / 7, w = left + e % 7;
                rows[k][r][e] = set[k][((r / PER * SIZE + h) * SIZE + w) * 3 + e / 49];
            }
        }
        for (int c = 0; c < 3; ++c) {
            double mean = 0.0, variance = 0.0;
            for (int i = 0; i < ROWS * 49; ++i) {
                mean += rows[k][i / 49][c * 49 + i % 49] / (ROWS * 49);
            }
            for (int i = 0; i < ROWS * 49; ++i) {
                variance += pow(rows[k][i / 49][c * 49 + i % 49] - mean, 2.0) / (ROWS * 49);
            }
            for (int i = 0; i < ROWS * 49; ++i) {
                double *v = &rows[k][i / 49][c * 49 + i % 49];
                *v = (*v - mean) / sqrt(variance);
            }
        }
    }
    double want = 0.0;
    for (int d = 0; d < PROJECTIONS; ++d) {
        double direction[DIM], length = 0.0, value[2][ROWS];
        for (int e = 0; e < DIM; ++e) {
            direction[e] = ho_normal(5, ho_stream_id("swd/direction"), (uint64_t)(d * DIM + e));
            length += direction[e] * direction[e];
        }
        for (int k = 0; k < 2; ++k) {
            for (int r = 0; r < ROWS; ++r) {
                value[k][r] = 0.0;
                for (int e = 0; e < DIM; ++e) {
                    value[k][r] += rows[k][r][e] * direction[e] / sqrt(length);
                }
            }
            qsort(value[k], ROWS, sizeof(double), by_value);
        }
        for (int r = 0; r < ROWS; ++r) {
            want += 1e3 * fabs(value[0][r] - value[1][r]) / ROWS / PROJECTIONS;
        }
    }
    const ho_swd_result got = compare(N, SIZE, set[0], set[1]);
    assert_int_equal(got.n_levels, 1);
    assert_true(fabs(got.mean - want) <= 1e-4 * want);
    free(set[0]), free(set[1]);
}

/* A constant image has nothing in any level but the coarsest; a difference of mean alone is normalised away. */
static void test_pyramid_of_constants(void **state) {
    (void)state;
    enum { N = 2, SIZE = 32 };
    static uint8_t a[N * SIZE * SIZE * 3], b[N * SIZE * SIZE * 3];
    memset(a, 50, sizeof a);
    memset(b, 200, sizeof b);
    const ho_swd_result result = compare(N, SIZE, a, b);
    assert_int_equal(result.n_levels, 2);
    assert_true(result.distance[0] < 1e3 * 0.5 && result.distance[1] < 1e3 * 0.5);
}

static void test_refuses(void **state) {
    (void)state;
    ho_swd_set *a, *b;
    ho_swd_result result;
    static uint8_t x[2 * 8 * 8 * 3];
    assert_int_equal(ho_swd_set_create(6, 8, 2, 4, 0, &a), HO_ESHAPE);
    OK(ho_swd_set_create(8, 8, 2, 4, 0, &a));
    OK(ho_swd_set_create(8, 8, 2, 4, 0, &b));
    OK(ho_swd_set_add(a, 2, x));
    OK(ho_swd_set_add(b, 1, x));
    assert_int_equal(ho_swd_set_add(a, 1, x), HO_ESHAPE);
    assert_int_equal(ho_swd_compare(a, b, 4, 0, &result), HO_ESHAPE);
    ho_swd_set_free(a);
    ho_swd_set_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tells_sets_apart),
        cmocka_unit_test(test_follows_the_distribution),
        cmocka_unit_test(test_matches_plain_computation),
        cmocka_unit_test(test_pyramid_of_constants),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
