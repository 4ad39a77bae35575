/* The one table of operations: every operation of src/ops and every kernel that no operation reaches has an entry here,
 * with the kernels it covers, its cases, the call and the truth: plain loops in double, written from the formula.
 *
 * To add an operation: a `shape` that says inputs and output from the case's numbers, a `run` that calls it, a `truth`,
 * the cases, and one line in its family's array. What the table does with them (run.c):
 *   forward   |got - truth| / scale; scale is the largest of the truths and of the sums |x dy/dx| that lead to them
 *   gradient  of sum_i r_i y_i, r random, at the first, the last and some 60 random elements of each input, against
 *             central differences of the truth; once overwritten and once added; scale is the largest sum |r dy/dx|
 *   budget    (8 + 4 sqrt(terms)) eps, the error of a plain float sum of `terms` numbers, times the entry's `gain`
 * An element within 1e-5 of a kink (the two one-sided differences disagree) has no derivative to compare with: it is
 * left out, and more than 2 % of them fail. */
#ifndef HANDSOFF_OPTABLE_H
#define HANDSOFF_OPTABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "handsoff/ops.h"
#include "handsoff/tensor.h"

enum { OT_INPUTS = 8, OT_NUMBERS = 10, OT_SAMPLES = 64 };

typedef enum {
    OT_NORMAL,   /* standard normal                 */
    OT_AWAY,     /* standard normal, 0.1 off 0      */
    OT_POSITIVE, /* uniform in [0.5, 1.5)           */
    OT_TINY,     /* standard normal times 1e-4      */
    OT_LARGE,    /* standard normal times 100       */
    OT_STEPS,    /* -1, 0 or 1                      */
} ot_values;

typedef struct {
    int rank;
    int64_t dim[HO_MAX_RANK], count;
    ot_values values;
    bool no_grad;
} ot_array;

typedef struct {
    int64_t n[OT_NUMBERS]; /* what they mean, the entry's `shape` says */
    const void *options;
} ot_case;

typedef struct {
    const int64_t *n;
    const void *options;
    int n_inputs;
    ot_array input[OT_INPUTS], output;
    double terms; /* length of the longest sum, forward or backward */
} ot_problem;

/* For `shape`: the next input, ot_in(p, OT_NORMAL, HO_SHAPE(N, C)); one that gets no gradient; the output. */
void ot_in(ot_problem *p, ot_values values, int rank, const int64_t *dim);
void ot_in_constant(ot_problem *p, ot_values values, int rank, const int64_t *dim);
void ot_out(ot_problem *p, double terms, int rank, const int64_t *dim);

typedef struct {
    const char *name;
    const char *kernels; /* names as in kernels/, separated by spaces */
    void (*shape)(ot_problem *p);
    ho_status (*run)(ho_context *context, const ot_problem *p, ho_tensor *const *x, ho_tensor **y);
    void (*truth)(const ot_problem *p, const double *const *x, double *y);
    const ot_case *cases;
    int n_cases;
    bool forward_only; /* the call is no differentiable operation */
    bool tensor_cores; /* operands rounded to TF32: the cuda target's fused kernels; not run on cpu */
    bool bf16;         /* to bf16, with tensor_cores                                               */
    bool exact;        /* with tensor_cores: operands that rounding leaves as they are             */
    double gain;       /* 0 counts as 1 */
} ot_entry;

#define OT_CASES(array) (array), (int)(sizeof(array) / sizeof *(array))

/* One family of entries, an array in its own file that ends with an entry without name. */
extern const ot_entry ot_pointwise[], ot_linear[], ot_style[], ot_modconv[], ot_resampling[], ot_norm[], ot_loss[],
    ot_kernels[], ot_head[], ot_augment[], ot_fused[];
extern const ot_entry *const ot_families[];

/* A number that depends on (seed, index) alone. */
double ot_uniform(uint64_t seed, uint64_t index);
double ot_normal(uint64_t seed, uint64_t index);

/* ---- comparator (compare.c) -------------------------------------------------------------------------------------- */

/* The largest |got - want| / scale; HUGE_VAL where a number is not finite, nothing is compared or scale is not
 * positive. */
double ot_error(const float *got, const double *want, int64_t n, double scale);
/* True when error is a number and within the budget. */
bool ot_within(double error, double budget);
int ot_self_test(void); /* number of failures; prints one line a check */

/* ---- running (run.c) --------------------------------------------------------------------------------------------- */

typedef struct {
    int cases, kinks, compared;
    double forward, gradient;               /* largest error / budget decides; these are the errors there */
    double forward_budget, gradient_budget; /* gradient budget 0: there is none */
    bool failed;
    const char *not_run; /* the reason, or NULL */
    char message[512];
} ot_result;

/* Elements of each input whose gradient is compared; OT_SAMPLES without. */
void ot_set_samples(int n);
/* An entry ends at its first case that fails. */
void ot_set_stop(void);
void ot_run(const ot_entry *entry, ot_result *result);
void ot_close(void);
const char *ot_target(void);

/* ---- beyond 2^31 elements (huge.h) ------------------------------------------------------------------------------- */

/* Runs the huge cases that are named (n = 0: all), or lists them with their kernels; a line each. Returns the exit
 * status. */
int ot_huge_main(bool list, int n, char **names);

#endif
