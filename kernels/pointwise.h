/* Bias, activation, scaled sums and strided copies; formulas in pointwise.cu. Matrices are row-major (rows, C). */
#ifndef HANDSOFF_KERNELS_POINTWISE_H
#define HANDSOFF_KERNELS_POINTWISE_H

#include <stdbool.h>

#include "handsoff/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y = gain * act(x_gain * x + b_gain * b[c]); act is v > 0 ? v : slope * v (slope 1: linear) or the logistic function.
 */
typedef struct {
    bool sigmoid;
    ho_real slope, x_gain, b_gain, gain;
} ho_k_act;

/* b NULL: no bias. */
ho_status ho_k_bias_act(ho_stream stream, int64_t rows, int64_t C, const ho_k_act *act, const ho_real *x,
                        const ho_real *b, ho_real *y);
/* g_x (+)= x_gain * gain act'(y) * g_y over n elements. Also the tangent, with x_dot for g_y. */
ho_status ho_k_act_backward(ho_stream stream, int64_t n, const ho_k_act *act, const ho_real *y, const ho_real *g_y,
                            bool accumulate, ho_real *g_x);
/* The same and, in the same pass, g_b (+)= b_gain * column sums of gain act'(y) g_y. g_x may be NULL. scratch holds
 * ho_k_bias_act_scratch elements. */
typedef struct {
    int64_t rows, C;
    const ho_real *y, *g_y;
    ho_real *g_x, *g_b, *scratch;
    bool accumulate_x, accumulate_b;
} ho_k_bias_act_gradients;
int64_t ho_k_bias_act_scratch(int64_t rows, int64_t C);
ho_status ho_k_bias_act_backward(ho_stream stream, const ho_k_act *act, const ho_k_bias_act_gradients *g);

/* The two steps above on one array, for the piecewise linear activations (not the logistic function): y becomes
 * gain * act(x_gain * y + b_gain * b[c]); and g becomes x_gain * gain act'(y) * g, with g_b as above where it is not
 * NULL (scratch is needed with it only). */
ho_status ho_k_bias_act_in_place(ho_stream stream, int64_t rows, int64_t C, const ho_k_act *act, const ho_real *b,
                                 ho_real *y);
typedef struct {
    int64_t rows, C;
    const ho_real *y;
    ho_real *g, *g_b, *scratch;
    bool accumulate_b;
} ho_k_bias_act_in_place_gradients;
ho_status ho_k_bias_act_backward_in_place(ho_stream stream, const ho_k_act *act,
                                          const ho_k_bias_act_in_place_gradients *g);

/* y = x > 0 ? x : a[c] * x (PReLU). */
ho_status ho_k_prelu(ho_stream stream, int64_t rows, int64_t C, const ho_real *x, const ho_real *a, ho_real *y);
/* g_x (+)= (x > 0 ? 1 : a[c]) * g_y and, in the same pass, g_a (+)= column sums of min(x, 0) g_y. g_x and g_a may be
 * NULL. scratch holds ho_k_prelu_scratch elements. */
typedef struct {
    int64_t rows, C;
    const ho_real *x, *a, *g_y;
    ho_real *g_x, *g_a, *scratch;
    bool accumulate_x, accumulate_a;
} ho_k_prelu_gradients;
int64_t ho_k_prelu_scratch(int64_t rows, int64_t C);
ho_status ho_k_prelu_backward(ho_stream stream, const ho_k_prelu_gradients *g);

/* y = a_gain * a + b_gain * b. */
ho_status ho_k_add(ho_stream stream, int64_t n, ho_real a_gain, const ho_real *a, ho_real b_gain, const ho_real *b,
                   ho_real *y);
/* y (+)= gain * x. */
ho_status ho_k_scale(ho_stream stream, int64_t n, ho_real gain, const ho_real *x, bool accumulate, ho_real *y);
/* y (+)= gain * factor[0] * x; x NULL counts as ones. */
ho_status ho_k_scale_by(ho_stream stream, int64_t n, ho_real gain, const ho_real *factor, const ho_real *x,
                        bool accumulate, ho_real *y);
/* y[r, c] (+)= x[r, c] for c < C; row r begins at x + r * ld_x and y + r * ld_y. */
ho_status ho_k_copy_columns(ho_stream stream, int64_t rows, int64_t C, const ho_real *x, int64_t ld_x, bool accumulate,
                            ho_real *y, int64_t ld_y);
/* y[n, c, r] (+)= x[n, r, c] for N matrices of rows x C. */
ho_status ho_k_transpose(ho_stream stream, int64_t N, int64_t rows, int64_t C, const ho_real *x, bool accumulate,
                         ho_real *y);

#ifdef __cplusplus
}
#endif
#endif
