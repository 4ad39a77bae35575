/* The stand-in for cuDNN, used rightly: convolutions and both gradients against a loop in double precision. */
#include "libs_cudnn_cases.h"

#include <math.h>

/* 10 bits of fraction, to the nearest, ties to even. */
static double operand(float x, bool rounded) {
    int exponent;
    const double fraction = frexp((double)x, &exponent);
    return rounded ? ldexp(nearbyint(ldexp(fraction, 11)), exponent - 11) : (double)x;
}

/* Adds to want[] what every pair of operands gives to the result of the pass, and to size[] its absolute value. */
static void accumulate(const conv_case *s, int pass, double *want, double *size) {
    const bool rounded = s->math != CUDNN_FMA_MATH;
    const int taps = s->R * s->S;
    for (int i = 0; i < s->N * P * Q * s->O * taps * s->C; ++i) {
        const int c = i % s->C, tap = i / s->C % taps, o = i / s->C / taps % s->O, q = i / s->C / taps / s->O % Q;
        const int p = i / s->C / taps / s->O / Q % P, n = i / s->C / taps / s->O / Q / P;
        const int h = p * s->stride[0] - s->pad[0] + tap / s->S * s->dilation[0];
        const int w = q * s->stride[1] - s->pad[1] + tap % s->S * s->dilation[1];
        if (h < 0 || h >= s->H || w < 0 || w >= s->W) {
            continue;
        }
        const int at[3] = {((n * P + p) * Q + q) * s->O + o, ((n * s->H + h) * s->W + w) * s->C + c,
                           (o * taps + tap) * s->C + c};
        double product = 1.0;
        for (int part = 0; part < 3; ++part) {
            product *= part == pass ? 1.0 : operand(host[part][at[part]], rounded);
        }
        want[at[pass]] += product;
        size[at[pass]] += fabs(product);
    }
}

/* Bounds: the stand-in rounds to float once for each sample (the gradient for the weights) or each tap (that for x),
 * and sums in double between. */
static void check(const conv_case *s, int pass) {
    const size_t n = floats[pass], bytes = n * sizeof(float);
    double *want = calloc(n, sizeof *want), *size = calloc(n, sizeof *size);
    float *got = malloc(bytes);
    MUST(want != NULL && size != NULL && got != NULL);
    MUST(convolve(pass) == CUDNN_STATUS_SUCCESS);
    MUST(cudaMemcpyAsync(got, device[pass], bytes, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    MUST(cudaStreamSynchronize(stream) == cudaSuccess);
    accumulate(s, pass, want, size);
    const int roundings = pass == FORWARD ? 1 : pass == DATA ? 2 * s->R * s->S : 2 * s->N;
    for (size_t i = 0; i < n; ++i) {
        if (!(fabs((double)got[i] - want[i]) <= size[i] * (roundings * 0x1p-24 + 1e-14))) {
            fprintf(stderr, "pass %d, element %d: %.9g, not %.9g\n", pass, (int)i, (double)got[i], want[i]);
            _exit(1);
        }
    }
    MUST(cudaMemcpy(device[pass], host[pass], bytes, cudaMemcpyHostToDevice) == cudaSuccess);
    free(want);
    free(size);
    free(got);
}

/* Ours are NHWC with square kernels of 1 and 3, strides 1 and 2; the others show that height and width are not mixed
 * up. */
static const conv_case CASES[] = {
    {1, 1, 1, 1, 1, 1, 1, {0, 0}, {1, 1}, {1, 1}, CUDNN_FMA_MATH},
    {2, 3, 8, 8, 5, 3, 3, {1, 1}, {1, 1}, {1, 1}, CUDNN_FMA_MATH},
    {3, 16, 4, 4, 7, 1, 1, {0, 0}, {1, 1}, {1, 1}, CUDNN_FMA_MATH},
    {2, 5, 9, 9, 4, 3, 3, {0, 0}, {2, 2}, {1, 1}, CUDNN_FMA_MATH},
    {1, 7, 11, 5, 3, 3, 3, {2, 2}, {1, 1}, {2, 2}, CUDNN_FMA_MATH},
    {2, 3, 7, 10, 2, 2, 3, {1, 0}, {1, 2}, {2, 1}, CUDNN_FMA_MATH},
    {2, 3, 8, 8, 5, 3, 3, {1, 1}, {1, 1}, {1, 1}, CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION},
    {1, 33, 6, 6, 17, 3, 3, {1, 1}, {2, 2}, {1, 1}, CUDNN_DEFAULT_MATH},
};

static void passes(void) {
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        begin(&CASES[i]);
        for (int pass = FORWARD; pass <= FILTER; ++pass) {
            check(&CASES[i], pass);
        }
        end();
    }
}

/* The result need not have been written before. Work waits for the stream; the workspace is not left as it was. */
static void late(void) {
    float *y = NULL;
    unsigned char scratch = 7;
    begin(&CASES[1]);
    MUST(cudaMalloc((void **)&y, floats[FORWARD] * sizeof *y) == cudaSuccess);
    MUST(cudaMemset(workspace, 7, 1) == cudaSuccess && cudaFree(device[FORWARD]) == cudaSuccess);
    device[FORWARD] = y;
    MUST(convolve(FORWARD) == CUDNN_STATUS_SUCCESS && cudaStreamQuery(stream) == cudaErrorNotReady);
    MUST(cudaMemcpyAsync(host[FORWARD], y, floats[FORWARD] * sizeof *y, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    MUST(cudaMemcpyAsync(&scratch, workspace, 1, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    MUST(cudaStreamSynchronize(stream) == cudaSuccess && scratch != 7);
    end();
}

/* A recorded convolution is done at each launch; destroyed descriptors do not matter to it. */
static void recorded(void) {
    cudaGraph_t graph = NULL;
    cudaGraphExec_t ready = NULL;
    begin(&CASES[2]);
    float *got = malloc(floats[FORWARD] * sizeof *got);
    MUST(got != NULL);
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    MUST(convolve(FORWARD) == CUDNN_STATUS_SUCCESS);
    MUST(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    MUST(cudaGraphInstantiate(&ready, graph, 0) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    for (int round = 0; round < 2; ++round) {
        MUST(cudaMemsetAsync(device[DATA], 0, (size_t)round * floats[DATA] * sizeof(float), stream) == cudaSuccess);
        MUST(cudaGraphLaunch(ready, stream) == cudaSuccess);
        MUST(cudaMemcpyAsync(got, device[FORWARD], floats[FORWARD] * sizeof *got, cudaMemcpyDeviceToHost, stream) ==
             cudaSuccess);
        MUST(cudaStreamSynchronize(stream) == cudaSuccess && (got[5] == 0.0F) == (round == 1));
    }
    MUST(cudaGraphExecDestroy(ready) == cudaSuccess);
    free(got);
    end();
}

static void right_use(void **state) {
    (void)state;
    expect_right("order=forward", passes);
    expect_right("order=forward", late);
    expect_right("order=forward", recorded);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(right_use)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
