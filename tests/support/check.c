#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TWO_PI = 6.283185307179586;

bool check_is_finite(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (bits & 0x7ff0000000000000U) != 0x7ff0000000000000U;
}

static bool sizes_usable(int64_t n_got, int64_t n_want, double tolerance) {
    return n_got == n_want && n_want > 0 && check_is_finite(tolerance) && tolerance >= 0.0;
}

/* Adds one element to the result. A non-finite element is worse than any finite difference. */
static void compare_element(check_result *result, double *worst_error, int64_t i, double got, double want,
                            double tolerance) {
    const bool finite = check_is_finite(got) && check_is_finite(want);
    const double error = finite ? fabs(got - want) : HUGE_VAL;
    if (!finite || !(error <= tolerance)) {
        ++result->n_bad;
    }
    if (result->worst < 0 || error > *worst_error) {
        result->worst = i;
        result->got = got;
        result->want = want;
        *worst_error = error;
    }
}

check_result check_compare_f32(const float *got, int64_t n_got, const double *want, int64_t n_want, double tolerance) {
    check_result result = {0, -1, 0.0, 0.0};
    if (!sizes_usable(n_got, n_want, tolerance)) {
        result.n_bad = 1;
        return result;
    }
    double worst_error = 0.0;
    for (int64_t i = 0; i < n_want; ++i) {
        compare_element(&result, &worst_error, i, (double)got[i], want[i], tolerance);
    }
    return result;
}

check_result check_compare_f64(const double *got, int64_t n_got, const double *want, int64_t n_want, double tolerance) {
    check_result result = {0, -1, 0.0, 0.0};
    if (!sizes_usable(n_got, n_want, tolerance)) {
        result.n_bad = 1;
        return result;
    }
    double worst_error = 0.0;
    for (int64_t i = 0; i < n_want; ++i) {
        compare_element(&result, &worst_error, i, got[i], want[i], tolerance);
    }
    return result;
}

static void report(const char *what, check_result result, int64_t n_got, int64_t n_want, double tolerance) {
    if (result.n_bad == 0) {
        return;
    }
    if (result.worst < 0) {
        fail_msg("%s: cannot compare %lld values with %lld at tolerance %g", what, (long long)n_got, (long long)n_want,
                 tolerance);
    }
    fail_msg("%s: %lld of %lld differ by more than %.3g; worst at %lld: got %.9g, want %.9g", what,
             (long long)result.n_bad, (long long)n_want, tolerance, (long long)result.worst, result.got, result.want);
}

void check_close_f32(const char *what, const float *got, int64_t n_got, const double *want, int64_t n_want,
                     double tolerance) {
    report(what, check_compare_f32(got, n_got, want, n_want, tolerance), n_got, n_want, tolerance);
}

void check_close_f64(const char *what, const double *got, int64_t n_got, const double *want, int64_t n_want,
                     double tolerance) {
    report(what, check_compare_f64(got, n_got, want, n_want, tolerance), n_got, n_want, tolerance);
}

void check_ok(ho_status status, const char *call, const char *file, int line) {
    if (status != HO_OK) {
        print_error("%s:%d: %s returned %d: %s (%s)\n", file, line, call, (int)status, ho_error(), ho_error_source());
        _fail(file, line);
    }
}

void check_fails(ho_status status, ho_status code, const char *const *texts, const char *file, int line) {
    if (status != code) {
        print_error("%s:%d: status %d, expected %d\n", file, line, (int)status, (int)code);
        _fail(file, line);
    }
    for (; *texts != NULL; ++texts) {
        if (strstr(ho_error(), *texts) == NULL) {
            print_error("%s:%d: the message \"%s\" lacks \"%s\"\n", file, line, ho_error(), *texts);
            _fail(file, line);
        }
    }
}

bool check_says(const char *text) {
    const bool found = strstr(ho_error(), text) != NULL;
    if (!found) {
        print_error("'%s' does not say '%s'\n", ho_error(), text);
    }
    return found;
}

static ho_device *the_device;

static void close_device(void) {
    ho_device_close(the_device);
}

ho_device *check_device(void) {
    if (the_device == NULL) {
        CHECK_OK(ho_device_open(0, 0, &the_device));
        CHECK_OK(ho_device_set_precision(the_device, HO_PRECISION_FP32, false)); /* cuda; what is compared is float */
        (void)atexit(close_device);
    }
    return the_device;
}

/* The finaliser of SplitMix64: one well-mixed word for each (seed, index). */
static uint64_t mix(uint64_t seed, uint64_t index) {
    uint64_t v = seed * 0xd1342543de82ef95U + index * 0x9e3779b97f4a7c15U + 0x632be59bd9b4e019U;
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9U;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebU;
    return v ^ (v >> 31);
}

double check_uniform(uint64_t seed, uint64_t index) {
    return (double)(mix(seed, index) >> 11) * 0x1p-53;
}

double check_normal(uint64_t seed, uint64_t index) {
    const double u = check_uniform(seed, 2 * index), v = check_uniform(seed, 2 * index + 1);
    return sqrt(-2.0 * log(1.0 - u)) * cos(TWO_PI * v);
}

double check_max_abs(const double *v, int64_t n) {
    double most = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        most = fmax(most, fabs(v[i]));
    }
    return most;
}
