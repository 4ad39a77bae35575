/* The comparator, and its own test: it must refuse what is wrong before it is asked about anything else. */
#include "table.h"

#include <math.h>
#include <string.h>

/* On the bits, which no compiler flag can remove. */
static bool is_finite(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (bits & 0x7ff0000000000000U) != 0x7ff0000000000000U;
}

double ot_error(const float *got, const double *want, int64_t n, double scale) {
    if (n <= 0 || !is_finite(scale) || !(scale > 0.0)) {
        return HUGE_VAL;
    }
    double worst = 0.0;
    for (int64_t i = 0; i < n; ++i) {
        if (!is_finite((double)got[i]) || !is_finite(want[i])) {
            return HUGE_VAL;
        }
        worst = fmax(worst, fabs((double)got[i] - want[i]) / scale);
    }
    return worst;
}

bool ot_within(double error, double budget) {
    return is_finite(error) && is_finite(budget) && error >= 0.0 && budget > 0.0 && error <= budget;
}

int ot_self_test(void) {
    static const float good[3] = {1.0F, 2.0F, 3.0F}, wrong[3] = {1.0F, 2.0F, 3.001F}, missing[3] = {1.0F, NAN, 3.0F};
    static const float endless[3] = {HUGE_VALF, 2.0F, 3.0F};
    static const double want[3] = {1.0, 2.0, 3.0}, unknown[3] = {1.0, 2.0, NAN};
    const struct {
        const char *name;
        bool accepted, expected;
    } check[] = {
        {"comparator_accepts_equal", ot_within(ot_error(good, want, 3, 3.0), 1e-6), true},
        {"comparator_refuses_wrong", ot_within(ot_error(wrong, want, 3, 3.0), 1e-6), false},
        {"comparator_refuses_nan", ot_within(ot_error(missing, want, 3, 3.0), 1e-6), false},
        {"comparator_refuses_infinity", ot_within(ot_error(endless, want, 3, 3.0), 1e-6), false},
        {"comparator_refuses_nan_truth", ot_within(ot_error(good, unknown, 3, 3.0), 1e-6), false},
        {"comparator_refuses_nothing", ot_within(ot_error(good, want, 0, 3.0), 1e-6), false},
        {"comparator_refuses_no_scale", ot_within(ot_error(good, want, 3, 0.0), 1e-6), false},
        {"comparator_refuses_nan_budget", ot_within(ot_error(good, want, 3, 3.0), NAN), false},
        {"comparator_refuses_endless_budget", ot_within(ot_error(good, want, 3, 3.0), HUGE_VAL), false},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof check / sizeof *check; ++i) {
        const bool ok = check[i].accepted == check[i].expected;
        printf("%s %s\n", ok ? "ok" : "not ok", check[i].name);
        failed += ok ? 0 : 1;
    }
    return failed;
}
