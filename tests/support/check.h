/* How tests compare numbers. A comparison passes only when sizes agree, nothing is empty, every number is finite (an
 * integer test on the bits, which no compiler flag can remove) and every element is within the tolerance. */
#ifndef HANDSOFF_TESTS_CHECK_H
#define HANDSOFF_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "handsoff/device.h"
#include "handsoff/status.h"
#include "handsoff/types.h"

#define CHECK_LEN(array) ((int)(sizeof(array) / sizeof *(array)))

typedef struct {
    int64_t n_bad;    /* 0: accepted; sizes that differ, or nothing to compare, count as one bad element */
    int64_t worst;    /* index of the worst element, -1 when sizes are wrong                             */
    double got, want; /* its two values                                                                  */
} check_result;

bool check_is_finite(double v);

/* |got - want| <= tolerance for every element; tolerance is finite and not negative, or nothing passes. */
check_result check_compare_f32(const float *got, int64_t n_got, const double *want, int64_t n_want, double tolerance);
check_result check_compare_f64(const double *got, int64_t n_got, const double *want, int64_t n_want, double tolerance);

/* The same, failing the running test with `what`, the worst index and both values. */
void check_close_f32(const char *what, const float *got, int64_t n_got, const double *want, int64_t n_want,
                     double tolerance);
void check_close_f64(const char *what, const double *got, int64_t n_got, const double *want, int64_t n_want,
                     double tolerance);
#ifdef HO_REAL_DOUBLE
#define check_close check_close_f64
#else
#define check_close check_close_f32
#endif

/* Fails the running test unless the call returns HO_OK; prints the text and place of the failure. */
#define CHECK_OK(call) check_ok((call), #call, __FILE__, __LINE__)
void check_ok(ho_status status, const char *call, const char *file, int line);

/* Fails the running test unless `status` is `code` and ho_error() contains each of the texts (NULL-terminated list). */
#define CHECK_FAILS(status, code, ...)                                                                                 \
    check_fails((status), (code), (const char *const[]){__VA_ARGS__, NULL}, __FILE__, __LINE__)
void check_fails(ho_status status, ho_status code, const char *const *texts, const char *file, int line);

/* Whether ho_error() contains the text; prints both where it does not. */
bool check_says(const char *text);
#define CHECK_SAYS(text) assert_true(check_says(text))

/* The device of this test program, opened at the first call and closed at exit. */
ho_device *check_device(void);

/* Test data that depends on (seed, index) alone and on nothing of the library: standard normal and uniform in [0, 1).
 */
double check_normal(uint64_t seed, uint64_t index);
double check_uniform(uint64_t seed, uint64_t index);

/* Largest absolute value. */
double check_max_abs(const double *v, int64_t n);

#endif
