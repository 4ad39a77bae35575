/* Golden files (tests/golden/): values computed by independent float64 PyTorch programs. Each data set holds the sum,
 * the sum of absolute values and the count of a tensor in PyTorch's order, then its elements: all of them up to the
 * file's attribute "whole", else the 64 at (2 k + 1) count / 128. Parameters and inputs are not stored: both sides draw
 * them from golden_draw(). */
#ifndef HANDSOFF_TESTS_GOLDEN_H
#define HANDSOFF_TESTS_GOLDEN_H

#include "check.h"
#include "handsoff/params.h"
#include "handsoff/tensor.h"

/* In [-1, 1), a function of (tag, index), exact in float. */
double golden_draw(uint32_t tag, int64_t index);

typedef struct golden golden;
golden *golden_open(const char *name); /* a file of tests/golden/; fails the running test when it cannot be read */
void golden_close(golden *file);
double golden_number(const golden *file, const char *key);
int golden_n_tensors(const golden *file, const char *group);
/* Compares `got` (PyTorch's order) with the data set: each element within tolerance * (mean |want| + |want| + least),
 * the sum and the sum of absolute values within tolerance * (sum of absolute values + count * least). Frees got.
 * Returns the worst error in these units. `least` is for tensors whose values cancel to nothing. */
double golden_check(const golden *file, const char *name, double *got, int64_t n_got, double tolerance, double least);
/* Mean of the absolute values. */
double golden_mean_abs(const golden *file, const char *name);

/* Values (or gradients) of a tensor as host doubles in PyTorch's order, to be freed: channels_first moves the last
 * dimension before the ones between it and the first (NHWC -> NCHW, O k k I -> O I k k). No precision is lost in the
 * double build. */
double *golden_fetch(ho_context *context, const ho_tensor *tensor, bool gradient, bool channels_first);
double *golden_fetch_grad(ho_context *context, const ho_param *param);
/* A tensor with the values at(user, j), j counting in PyTorch's order: rank 4 means NHWC in memory. */
typedef double (*golden_fill)(const void *user, int64_t j);
ho_tensor *golden_tensor(ho_context *context, golden_fill at, const void *user, int rank, const int64_t *dim);
/* amplitude * golden_draw(tag, j). */
ho_tensor *golden_drawn(ho_context *context, uint32_t tag, double amplitude, int rank, const int64_t *dim);

#endif
