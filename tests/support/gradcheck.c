#include "gradcheck.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double STEP = 1e-5;
enum { POISON = 1 << 18 }; /* elements of the arena filled with NaN: more than any case uses */

typedef struct {
    const gc_case *c;
    ho_context *context;
    int64_t n_x[GC_MAX_INPUTS], n_y;
    double *x[GC_MAX_INPUTS]; /* inputs; central differences move one element at a time */
    double *y, *r;            /* reference output; the weights of the sum that is differentiated */
    double *y_plus, *y_minus;
    int64_t n_compared, n_kinks;
} gc_state;

static int64_t count_of(int rank, const int64_t *dim) {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) {
        n *= dim[i];
    }
    return n;
}

static void *take(int64_t n, size_t size) {
    void *memory = calloc((size_t)(n > 0 ? n : 1), size);
    assert_non_null(memory);
    return memory;
}

static double draw(gc_values values, uint64_t seed, uint64_t index) {
    double v = check_normal(seed, index);
    if (values == GC_AWAY) {
        v += v < 0.0 ? -0.1 : 0.1;
    } else if (values == GC_POSITIVE) {
        v = 0.5 + check_uniform(seed, index);
    }
    return (double)(float)v; /* both builds see the same numbers */
}

static void state_open(gc_state *s, const gc_case *c, uint64_t seed) {
    memset(s, 0, sizeof *s);
    s->c = c;
    CHECK_OK(ho_context_create(check_device(), &s->context));
    for (int i = 0; i < c->n_inputs; ++i) {
        s->n_x[i] = count_of(c->input[i].rank, c->input[i].dim);
        s->x[i] = take(s->n_x[i], sizeof(double));
        for (int64_t j = 0; j < s->n_x[i]; ++j) {
            s->x[i][j] = draw(c->input[i].values, seed + (uint64_t)i, (uint64_t)j);
        }
    }
    s->n_y = count_of(c->out_rank, c->out_dim);
    s->y = take(s->n_y, sizeof(double));
    s->r = take(s->n_y, sizeof(double));
    s->y_plus = take(s->n_y, sizeof(double));
    s->y_minus = take(s->n_y, sizeof(double));
    for (int64_t j = 0; j < s->n_y; ++j) {
        s->r[j] = draw(GC_NORMAL, seed + 100, (uint64_t)j);
    }
}

static void state_close(gc_state *s) {
    ho_context_free(s->context);
    for (int i = 0; i < s->c->n_inputs; ++i) {
        free(s->x[i]);
    }
    free(s->y);
    free(s->r);
    free(s->y_plus);
    free(s->y_minus);
}

static void upload(gc_state *s, ho_tensor *tensor, const double *host) {
    const int64_t n = ho_tensor_count(tensor);
    ho_real *real = take(n, sizeof *real);
    for (int64_t i = 0; i < n; ++i) {
        real[i] = (ho_real)host[i];
    }
    CHECK_OK(ho_device_upload(ho_context_device(s->context), tensor->data, real, (size_t)n * sizeof *real));
    free(real);
}

static void download(gc_state *s, const ho_real *from, int64_t n, ho_real *host) {
    CHECK_OK(ho_device_download(ho_context_device(s->context), host, from, (size_t)n * sizeof *host));
}

static void poison(gc_state *s) {
    ho_real *scratch, *nan = take(POISON, sizeof *nan);
    memset(nan, 0xff, POISON * sizeof *nan);
    CHECK_OK(ho_scratch(s->context, POISON, &scratch));
    CHECK_OK(ho_device_upload(ho_context_device(s->context), scratch, nan, POISON * sizeof *nan));
    ho_scratch_free(s->context, scratch);
    free(nan);
}

/* Inputs and one run of the operation, in a context that was just reset. */
static ho_tensor *run_operation(gc_state *s, ho_tensor **x) {
    ho_tensor *y = NULL;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the analyser thinks that n_inputs changes on the way */
    for (int i = 0; i < s->c->n_inputs; ++i) {
        CHECK_OK(ho_tensor_new(s->context, s->c->input[i].rank, s->c->input[i].dim, &x[i]));
        x[i]->needs_grad = !s->c->input[i].no_grad;
        upload(s, x[i], s->x[i]);
    }
    CHECK_OK(s->c->build(s->context, s->c, x, &y));
    return y;
}

static void check_forward(gc_state *s) {
    ho_tensor *x[GC_MAX_INPUTS];
    char what[160];
    (void)snprintf(what, sizeof what, "%s forward", s->c->name);
    ho_context_reset(s->context);
    poison(s);
    ho_tensor *y = run_operation(s, x);
    if (y->rank != s->c->out_rank || memcmp(y->dim, s->c->out_dim, (size_t)y->rank * sizeof *y->dim) != 0) {
        fail_msg("%s: shape %s", what, ho_tensor_shape_text(y));
    }
    ho_real *got = take(s->n_y, sizeof *got);
    download(s, y->data, s->n_y, got);
    s->c->reference(s->c, (const double *const *)s->x, s->y);
    const double gain = s->c->gain > 0.0 ? s->c->gain : 1.0, largest = check_max_abs(s->y, s->n_y);
    const double tolerance = sizeof(ho_real) == sizeof(double)
                                 ? 1e-12 * largest * gain + 1e-15
                                 : (8.0 + 4.0 * sqrt(s->c->terms)) * gain * FLT_EPSILON * largest + 1e-12;
    check_close(what, got, s->n_y, s->y, s->n_y, tolerance);
    free(got);
}

/* Forward values for the difference quotient: of the operation in the double build, else of the reference. */
static void forward_values(gc_state *s, double *y) {
#ifdef HO_REAL_DOUBLE
    ho_tensor *x[GC_MAX_INPUTS];
    ho_context_reset(s->context);
    ho_context_record(s->context, false);
    download(s, run_operation(s, x)->data, s->n_y, y);
#else
    s->c->reference(s->c, (const double *const *)s->x, y);
#endif
}

/* d sum r y / d x[input][j] into *slope; false at a kink. */
static bool difference(gc_state *s, int input, int64_t j, double *slope) {
    double *v = &s->x[input][j];
    const double keep = *v;
    *v = keep + STEP;
    forward_values(s, s->y_plus);
    *v = keep - STEP;
    forward_values(s, s->y_minus);
    *v = keep;
    double sum = 0.0;
    bool smooth = true;
    for (int64_t i = 0; i < s->n_y; ++i) {
        const double up = (s->y_plus[i] - s->y[i]) / STEP, down = (s->y[i] - s->y_minus[i]) / STEP;
        sum += s->r[i] * (s->y_plus[i] - s->y_minus[i]);
        smooth = smooth && fabs(up - down) <= 1e-2 * (fabs(up) + fabs(down)) + 1e-4;
    }
    *slope = sum / (2.0 * STEP);
    return smooth;
}

static void check_input_gradient(gc_state *s, int input, const double *const want, const bool *kink, const ho_tensor *x,
                                 double times) {
    const int64_t n = s->n_x[input];
    char what[160];
    (void)snprintf(what, sizeof what, "%s gradient of input %d%s", s->c->name, input,
                   times == 1.0 ? "" : " (accumulated)");
    if (x->grad == NULL || !x->has_grad) {
        fail_msg("%s: none arrived", what);
    }
    ho_real *got = take(n, sizeof *got);
    double *scaled = take(n, sizeof *scaled);
    download(s, x->grad, n, got);
    double floor = 0.0;
    for (int64_t i = 0; i < s->n_y; ++i) {
        floor += fabs(s->r[i] * s->y[i]);
    }
    for (int64_t j = 0; j < n; ++j) {
        scaled[j] = times * want[j];
        if (kink[j] && check_is_finite((double)got[j])) {
            got[j] = (ho_real)scaled[j];
        }
    }
    const double largest = check_max_abs(scaled, n), rounding = 16.0 * DBL_EPSILON * floor / STEP;
    const double gain = s->c->gain > 0.0 ? s->c->gain : 1.0;
    double tolerance = 1e-7 * largest + rounding;
    if (sizeof(ho_real) == sizeof(float)) {
        tolerance += (8.0 + 4.0 * sqrt(s->c->terms)) * gain * FLT_EPSILON * fmax(largest, s->c->cancels);
    }
    check_close(what, got, n, scaled, n, tolerance);
    free(got);
    free(scaled);
}

/* One recorded run; with `twice` the operation is used two times on the same inputs. */
static void check_gradients(gc_state *s, double *const *want, bool *const *kink, bool twice) {
    ho_tensor *x[GC_MAX_INPUTS], *again, *seed;
    ho_context_reset(s->context);
    poison(s);
    ho_context_record(s->context, true);
    ho_tensor *y = run_operation(s, x);
    if (twice) {
        CHECK_OK(s->c->build(s->context, s->c, x, &again));
        CHECK_OK(ho_add(s->context, y, 1.0, again, 0.5, &y));
    }
    CHECK_OK(ho_tensor_like(s->context, y, &seed));
    upload(s, seed, s->r);
    CHECK_OK(ho_backward_seed(s->context, y, seed));
    for (int i = 0; i < s->c->n_inputs; ++i) {
        if (want[i] != NULL) {
            check_input_gradient(s, i, want[i], kink[i], x[i], twice ? 1.5 : 1.0);
        }
    }
    ho_context_record(s->context, false);
}

static void run_case(const gc_case *c, uint64_t seed, int64_t *n_compared, int64_t *n_kinks) {
    gc_state s;
    double *want[GC_MAX_INPUTS] = {NULL};
    bool *kink[GC_MAX_INPUTS] = {NULL};
    state_open(&s, c, seed);
    check_forward(&s);
#ifdef HO_REAL_DOUBLE
    forward_values(&s, s.y);
#endif
    int64_t n_checked = 0;
    for (int i = 0; i < c->n_inputs; ++i) {
        if (c->input[i].no_grad) {
            continue;
        }
        want[i] = take(s.n_x[i], sizeof(double));
        kink[i] = take(s.n_x[i], sizeof(bool));
        for (int64_t j = 0; j < s.n_x[i]; ++j) {
            kink[i][j] = !difference(&s, i, j, &want[i][j]);
            s.n_kinks += kink[i][j];
            n_checked += 1;
        }
    }
    if ((double)s.n_kinks > c->kinks * (double)n_checked) {
        fail_msg("%s: %lld of %lld elements lie at kinks, at most %g of them may", c->name, (long long)s.n_kinks,
                 (long long)n_checked, c->kinks);
    }
    if (n_checked > 0) {
        check_gradients(&s, want, kink, false);
        check_gradients(&s, want, kink, true);
    }
    *n_compared += n_checked - s.n_kinks;
    *n_kinks += s.n_kinks;
    for (int i = 0; i < c->n_inputs; ++i) {
        free(want[i]);
        free(kink[i]);
    }
    state_close(&s);
}

void gc_run(const char *what, const gc_case *cases, int n) {
    int64_t n_compared = 0, n_kinks = 0;
    for (int i = 0; i < n; ++i) {
        assert_true(cases[i].n_inputs >= 1 && cases[i].n_inputs <= GC_MAX_INPUTS && cases[i].terms >= 1.0);
        run_case(&cases[i], 1000 + 7919 * (uint64_t)i, &n_compared, &n_kinks);
    }
    if (n <= 0 || n_compared == 0) {
        fail_msg("%s: nothing was checked (%d cases)", what, n);
    }
    print_message("%s: %d cases, %lld derivatives compared in both modes, %lld at kinks (seeds 1000 + 7919 i)\n", what,
                  n, (long long)n_compared, (long long)n_kinks);
}
