/* The block-diagonal dense layer: values, gradients, refusals. */
#include "gradcheck.h"
#include "handsoff/grouped.h"

static ho_status build_grouped(ho_context *context, const gc_case *c, ho_tensor *const *x, ho_tensor **y) {
    return ho_grouped_dense(context, x[0], x[1], *(const int64_t *)c->user, y);
}

static void reference_grouped(const gc_case *c, const double *const *x, double *y) {
    const int64_t G = *(const int64_t *)c->user, B = c->input[0].dim[0], I = c->input[1].dim[1];
    const int64_t O = c->input[1].dim[0] / G;
    for (int64_t b = 0; b < B; ++b) {
        for (int64_t r = 0; r < G * O; ++r) {
            double sum = 0.0;
            for (int64_t i = 0; i < I; ++i) {
                sum += x[0][(b * G + r / O) * I + i] * x[1][r * I + i];
            }
            y[b * G * O + r] = sum;
        }
    }
}

static void grouped_dense(void **state) {
    (void)state;
    static const int64_t groups[] = {1, 3, 10};
    static const gc_case cases[] = {
        {.name = "one group",
         .build = build_grouped,
         .reference = reference_grouped,
         .n_inputs = 2,
         .input = {{2, {5, 7}, GC_NORMAL, false}, {2, {4, 7}, GC_NORMAL, false}},
         .out_rank = 2,
         .out_dim = {5, 4},
         .terms = 7,
         .user = &groups[0]},
        {.name = "three groups",
         .build = build_grouped,
         .reference = reference_grouped,
         .n_inputs = 2,
         .input = {{2, {4, 15}, GC_NORMAL, false}, {2, {6, 5}, GC_NORMAL, false}},
         .out_rank = 2,
         .out_dim = {4, 6},
         .terms = 6,
         .user = &groups[1]},
        {.name = "ten groups of one",
         .build = build_grouped,
         .reference = reference_grouped,
         .n_inputs = 2,
         .input = {{2, {1, 10}, GC_NORMAL, false}, {2, {10, 1}, GC_NORMAL, false}},
         .out_rank = 2,
         .out_dim = {1, 10},
         .terms = 2,
         .user = &groups[2]},
    };
    gc_run("grouped_dense", cases, CHECK_LEN(cases));
}

static void grouped_dense_refuses_shapes_that_do_not_fit(void **state) {
    (void)state;
    ho_context *context = NULL;
    ho_tensor *x = NULL, *w = NULL, *y = NULL;
    CHECK_OK(ho_context_create(check_device(), &context));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(4, 15), &x));
    CHECK_OK(ho_tensor_new(context, HO_SHAPE(6, 4), &w));
    CHECK_FAILS(ho_grouped_dense(context, x, w, 3, &y), HO_ESHAPE, "grouped_dense", "(4, 15)", "(6, 4)");
    ho_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grouped_dense),
        cmocka_unit_test(grouped_dense_refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
