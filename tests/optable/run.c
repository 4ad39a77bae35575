/* Runs the cases of an entry: see table.h. Device memory begins undefined or full of NaN (arena.c), so that what was
 * never written shows. Host code touches device memory through the device's copies only. */
#include "table.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double STEP = 1e-5, KINKS = 0.02;

typedef struct {
    const ot_entry *entry;
    ot_problem p;
    ho_context *context;
    double *x[OT_INPUTS], *y, *r, *up, *down, *terms; /* terms: sum |x dy/dx| of each output */
    double slope[OT_INPUTS][OT_SAMPLES];
    int64_t at[OT_INPUTS][OT_SAMPLES];
    int n_at[OT_INPUTS];
    double slope_scale[OT_INPUTS];
    float *got;
    ot_result *result;
} job;

static ho_device *devices[3]; /* one for each precision: float, TF32, bf16 */
static int samples = OT_SAMPLES;
static bool stop;

void ot_set_stop(void) {
    stop = true;
}

void ot_set_samples(int n) {
    samples = n < 2 ? 2 : n > OT_SAMPLES ? OT_SAMPLES : n;
}

const char *ot_target(void) {
#ifdef HO_TARGET_CUDA
    return "cuda";
#else
    return "cpu";
#endif
}

void ot_close(void) {
    for (int i = 0; i < 3; ++i) {
        ho_device_close(devices[i]);
    }
}

/* The finaliser of SplitMix64. */
static uint64_t mix(uint64_t seed, uint64_t index) {
    uint64_t v = seed * 0xd1342543de82ef95U + index * 0x9e3779b97f4a7c15U + 0x632be59bd9b4e019U;
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9U;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebU;
    return v ^ (v >> 31);
}

double ot_uniform(uint64_t seed, uint64_t index) {
    return (double)(mix(seed, index) >> 11) * 0x1p-53;
}

double ot_normal(uint64_t seed, uint64_t index) {
    const double u = ot_uniform(seed, 2 * index), v = ot_uniform(seed, 2 * index + 1);
    return sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * v);
}

static double draw(ot_values values, uint64_t seed, uint64_t index) {
    double v = ot_normal(seed, index);
    if (values == OT_AWAY) {
        v += v < 0.0 ? -0.1 : 0.1;
    } else if (values == OT_POSITIVE) {
        v = 0.5 + ot_uniform(seed, index);
    } else if (values == OT_TINY) {
        v *= 1e-4;
    } else if (values == OT_LARGE) {
        v *= 100.0;
    } else if (values == OT_STEPS) {
        v = floor(3.0 * ot_uniform(seed, index)) - 1.0;
    }
    return (double)(float)v;
}

static ot_array array_of(ot_values values, bool no_grad, int rank, const int64_t *dim) {
    ot_array a = {rank, {0}, 1, values, no_grad};
    for (int i = 0; i < rank; ++i) {
        a.dim[i] = dim[i];
        a.count *= dim[i];
    }
    return a;
}

void ot_in(ot_problem *p, ot_values values, int rank, const int64_t *dim) {
    p->input[p->n_inputs++] = array_of(values, false, rank, dim);
}

void ot_in_constant(ot_problem *p, ot_values values, int rank, const int64_t *dim) {
    p->input[p->n_inputs++] = array_of(values, true, rank, dim);
}

void ot_out(ot_problem *p, double terms, int rank, const int64_t *dim) {
    p->output = array_of(OT_NORMAL, true, rank, dim);
    p->terms = terms;
}

static void *take(int64_t n, size_t size) {
    void *memory = calloc((size_t)(n > 0 ? n : 1), size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void job_open(job *j, const ot_entry *entry, const ot_case *c, uint64_t seed, ot_result *result) {
    *j = (job){.entry = entry, .p = {.n = c->n, .options = c->options}, .result = result};
    entry->shape(&j->p);
    int64_t most = j->p.output.count;
    for (int i = 0; i < j->p.n_inputs; ++i) {
        const ot_array *a = &j->p.input[i];
        j->x[i] = take(a->count, sizeof(double));
        for (int64_t e = 0; e < a->count; ++e) {
            j->x[i][e] = draw(a->values, seed + (uint64_t)i, (uint64_t)e);
        }
        most = a->count > most ? a->count : most;
    }
    j->y = take(j->p.output.count, sizeof(double));
    j->r = take(j->p.output.count, sizeof(double));
    j->up = take(j->p.output.count, sizeof(double));
    j->down = take(j->p.output.count, sizeof(double));
    j->terms = take(j->p.output.count, sizeof(double));
    j->got = take(most, sizeof(float));
    for (int64_t e = 0; e < j->p.output.count; ++e) {
        j->r[e] = draw(OT_NORMAL, seed + 100, (uint64_t)e);
    }
}

static void job_close(job *j) {
    ho_context_free(j->context);
    for (int i = 0; i < j->p.n_inputs; ++i) {
        free(j->x[i]);
    }
    free(j->y);
    free(j->r);
    free(j->up);
    free(j->down);
    free(j->terms);
    free(j->got);
}

/* Moves one element both ways. False where the truth has a kink between. */
static bool differentiate(job *j, int input, int64_t e, double *slope, double *scale) {
    const double *const *x = (const double *const *)j->x;
    double *v = &j->x[input][e];
    const double keep = *v;
    *v = keep + STEP;
    j->entry->truth(&j->p, x, j->up);
    *v = keep - STEP;
    j->entry->truth(&j->p, x, j->down);
    *v = keep;
    bool smooth = true;
    *slope = *scale = 0.0;
    for (int64_t i = 0; i < j->p.output.count; ++i) {
        const double above = (j->up[i] - j->y[i]) / STEP, below = (j->y[i] - j->down[i]) / STEP;
        const double d = (j->up[i] - j->down[i]) / (2.0 * STEP);
        *slope += j->r[i] * d;
        *scale += fabs(j->r[i] * d);
        j->terms[i] += fabs(keep * d);
        smooth = smooth && fabs(above - below) <= 1e-2 * (fabs(above) + fabs(below)) + 1e-4;
    }
    return smooth;
}

/* The truth, and its derivatives at the first, the last and random elements of every input. */
static void find_truth(job *j, uint64_t seed) {
    j->entry->truth(&j->p, (const double *const *)j->x, j->y);
    for (int i = 0; i < j->p.n_inputs && !j->entry->forward_only; ++i) {
        const int64_t n = j->p.input[i].count, few = n < samples ? n : samples;
        for (int64_t k = 0; k < few && !j->p.input[i].no_grad; ++k) {
            double scale, slope;
            int64_t e = n <= samples ? k : (int64_t)(mix(seed + 7, (uint64_t)k) % (uint64_t)n);
            e = k == 0 ? 0 : k == few - 1 ? n - 1 : e;
            if (!differentiate(j, i, e, &slope, &scale)) {
                ++j->result->kinks;
                continue;
            }
            j->slope[i][j->n_at[i]] = slope;
            j->at[i][j->n_at[i]++] = e;
            j->slope_scale[i] = fmax(j->slope_scale[i], scale);
        }
    }
}

static ho_status upload(const job *j, ho_tensor *t, const double *host) {
    const int64_t n = ho_tensor_count(t);
    float *f = take(n, sizeof *f);
    for (int64_t e = 0; e < n; ++e) {
        f[e] = (float)host[e];
    }
    const ho_status status = ho_tensor_set_host(j->context, t, f);
    free(f);
    return status;
}

/* Keeps the error that uses most of its budget. */
static void judge(job *j, const char *what, int input, double error) {
    ot_result *r = j->result;
    const double gain = j->entry->gain > 0.0 ? j->entry->gain : 1.0;
    const bool rounded = j->entry->tensor_cores && !j->entry->exact;
    const double eps = !rounded ? FLT_EPSILON : j->entry->bf16 ? 0x1p-7 / 12.0 : 0x1p-10 / 12.0;
    const double budget = (8.0 + 4.0 * sqrt(fmax(j->p.terms, 1.0))) * eps * gain;
    double *worst = input < 0 ? &r->forward : &r->gradient, *of = input < 0 ? &r->forward_budget : &r->gradient_budget;
    if (!(error / budget <= (*of > 0.0 ? *worst / *of : -1.0))) {
        *worst = error;
        *of = budget;
    }
    if (!ot_within(error, budget) && !r->failed) {
        char sizes[128] = "";
        for (int i = 0; i < OT_NUMBERS; ++i) {
            (void)snprintf(sizes + strlen(sizes), sizeof sizes - strlen(sizes), " %lld", (long long)j->p.n[i]);
        }
        r->failed = true;
        (void)snprintf(r->message, sizeof r->message, "%s of %d, case%s: error %.3g, budget %.3g", what, input, sizes,
                       error, budget);
    }
}

static double largest(const double *v, int64_t n) {
    double most = 0.0;
    for (int64_t e = 0; e < n; ++e) {
        most = fmax(most, fabs(v[e]));
    }
    return most;
}

/* A result that is zero by cancellation (cross entropy of one class; the style's gradient of one demodulated channel)
 * is measured against what cancels. */
static double scale_or(double scale, double cancels) {
    return scale > 1e-6 * cancels ? scale : cancels > 0.0 ? cancels : 1.0;
}

static double forward_scale(const job *j) {
    const int64_t n = j->p.output.count;
    const double inputs = j->p.n_inputs > 0 ? largest(j->x[0], j->p.input[0].count) : 0.0;
    return scale_or(fmax(largest(j->y, n), largest(j->terms, n)), inputs);
}

static double gradient_scale(const job *j, int input) {
    const double inputs = largest(j->x[input], j->p.input[input].count);
    double sum = 0.0, seed = 0.0;
    for (int64_t e = 0; e < j->p.output.count; ++e) {
        sum += fabs(j->r[e] * j->y[e]);
        seed += fabs(j->r[e]) / (double)j->p.output.count;
    }
    return scale_or(j->slope_scale[input], fmax(sum, seed * forward_scale(j)) / inputs);
}

/* got - times * slope at the sampled elements. */
static ho_status compare_gradients(job *j, ho_tensor *const *x, double times, const char *what) {
    for (int i = 0; i < j->p.n_inputs; ++i) {
        double want[OT_SAMPLES];
        float got[OT_SAMPLES];
        if (j->p.input[i].no_grad || j->n_at[i] == 0) {
            continue;
        }
        HO_REQUIRE(x[i]->has_grad && x[i]->grad != NULL, "no gradient reached input %d", i);
        HO_TRY(ho_tensor_grad_to_host(j->context, x[i], j->got));
        for (int k = 0; k < j->n_at[i]; ++k) {
            want[k] = times * j->slope[i][k];
            got[k] = j->got[j->at[i][k]];
        }
        j->result->compared += j->n_at[i];
        judge(j, what, i, ot_error(got, want, j->n_at[i], times * gradient_scale(j, i)));
    }
    return HO_OK;
}

static ho_status run_once(job *j) {
    ho_tensor *x[OT_INPUTS], *y = NULL, *seed = NULL;
    for (int i = 0; i < j->p.n_inputs; ++i) {
        HO_TRY(ho_tensor_new(j->context, j->p.input[i].rank, j->p.input[i].dim, &x[i]));
        HO_TRY(upload(j, x[i], j->x[i]));
        x[i]->needs_grad = !j->p.input[i].no_grad && !j->entry->forward_only;
    }
    ho_context_record(j->context, !j->entry->forward_only);
    HO_TRY(j->entry->run(j->context, &j->p, x, &y));
    HO_REQUIRE(y->rank == j->p.output.rank && memcmp(y->dim, j->p.output.dim, (size_t)y->rank * sizeof *y->dim) == 0,
               "the output has shape %s", ho_tensor_shape_text(y));
    HO_TRY(ho_tensor_to_host(j->context, y, j->got));
    judge(j, "forward", -1, ot_error(j->got, j->y, j->p.output.count, forward_scale(j)));
    if (j->entry->forward_only) {
        return HO_OK;
    }
    HO_TRY(ho_tensor_new(j->context, j->p.output.rank, j->p.output.dim, &seed));
    HO_TRY(upload(j, seed, j->r));
    HO_TRY(ho_backward_seed(j->context, y, seed));
    HO_TRY(compare_gradients(j, x, 1.0, "gradient"));
    ho_tape_clear(j->context);
    HO_TRY(j->entry->run(j->context, &j->p, x, &y));
    HO_TRY(ho_backward_seed(j->context, y, seed));
    return compare_gradients(j, x, 2.0, "added gradient");
}

static ho_status run_case(const ot_entry *entry, const ot_case *c, uint64_t seed, ot_result *result) {
    static const ho_precision precision[3] = {HO_PRECISION_FP32, HO_PRECISION_TF32, HO_PRECISION_BF16};
    const int kind = entry->bf16 ? 2 : entry->tensor_cores ? 1 : 0;
    job j;
    if (devices[kind] == NULL) {
        HO_TRY(ho_device_open(0, 0, &devices[kind]));
        HO_TRY(ho_device_set_precision(devices[kind], precision[kind], kind > 0));
    }
    job_open(&j, entry, c, seed, result);
    find_truth(&j, seed);
    ho_status status = ho_context_create(devices[kind], &j.context);
    status = status == HO_OK ? run_once(&j) : status;
    job_close(&j);
    ++result->cases;
    return status;
}

void ot_run(const ot_entry *entry, ot_result *result) {
    *result = (ot_result){0};
    if (entry->tensor_cores && strcmp(ot_target(), "cpu") == 0) {
        result->not_run = "tensor cores: the cuda target alone";
        return;
    }
    for (int k = 0; k < entry->n_cases && !(stop && result->failed); ++k) {
        if (run_case(entry, &entry->cases[k], 1000 * (uint64_t)(k + 1), result) != HO_OK) {
            result->failed = true;
            (void)snprintf(result->message, sizeof result->message, "case %d: %s", k, ho_error());
        }
    }
    if (!result->failed && result->kinks > KINKS * (result->kinks + result->compared) + 1) {
        result->failed = true;
        (void)snprintf(result->message, sizeof result->message, "%d elements at kinks", result->kinks);
    }
    if (entry->n_cases == 0 || (!entry->forward_only && result->compared == 0 && !result->failed)) {
        result->failed = true;
        (void)snprintf(result->message, sizeof result->message, "nothing was compared");
    }
}
