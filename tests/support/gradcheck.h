/* The test of a differentiable operation: a table of cases, each with the operation, a naive reference and shapes.
 *
 * For each case, on inputs drawn from a fixed seed:
 *   forward   shape and values against the reference (plain double loops, written in the test)
 *   gradient  of sum_i r_i y_i (r random) with respect to every element of every input, against central differences:
 *             in the double build of the operation itself, in the float build of the reference;
 *             once with gradients overwritten, and once with the operation used twice on the same inputs
 *             (y = op(x) + op(x) / 2), so that gradients accumulate.
 * Device memory is filled with NaN beforehand, so that a read of memory that was never written shows.
 *
 * Tolerances. Double: forward 1e-12, gradient 1e-7, each relative to the largest value of the array, plus the rounding
 * of the difference quotient, 16 eps sum|r y| / h with h = 1e-5. Float: (8 + 4 sqrt(terms)) eps relative to the largest
 * value, the error of a plain float sum of that many terms; `terms` is the length of the operation's longest sum. A
 * `gain` (default 1) multiplies the float tolerance where the result cancels. Kinks: an element where the two one-sided
 * differences disagree straddles one; it is skipped and counted, and more than the case's `kinks` fraction of them
 * fails. The decision uses forward values only. */
#ifndef HANDSOFF_TESTS_GRADCHECK_H
#define HANDSOFF_TESTS_GRADCHECK_H

#include "check.h"
#include "handsoff/ops.h"
#include "handsoff/tensor.h"

enum { GC_MAX_INPUTS = 6 };

typedef enum {
    GC_NORMAL,   /* standard normal                                      */
    GC_AWAY,     /* standard normal, moved 0.1 away from 0               */
    GC_POSITIVE, /* uniform in [0.5, 1.5)                                */
} gc_values;

typedef struct {
    int rank;
    int64_t dim[HO_MAX_RANK];
    gc_values values;
    bool no_grad; /* an input to which the operation gives no gradient */
} gc_input;

typedef struct gc_case gc_case;
struct gc_case { /* NOLINT(clang-analyzer-optin.performance.Padding): in reading order */
    const char *name;
    /* Calls the operation under test on tensors of the inputs' shapes. */
    ho_status (*build)(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y);
    /* The same in plain double loops: x[i] holds input i, y has room for the output. */
    void (*reference)(const gc_case *c, const double *const *x, double *y);
    int n_inputs;
    gc_input input[GC_MAX_INPUTS];
    int out_rank;
    int64_t out_dim[HO_MAX_RANK];
    double terms;     /* length of the longest sum, >= 1 */
    double gain;      /* 0 counts as 1 */
    double kinks;     /* allowed fraction of skipped elements, 0 for smooth operations */
    const void *user; /* options for build and reference */
    double cancels;   /* size of the terms of a gradient that cancel, where it exceeds the gradient; 0: none */
};

/* Runs all cases; a failing one fails the running cmocka test. No cases, or nothing compared, is a failure. */
void gc_run(const char *what, const gc_case *cases, int n);

#endif
