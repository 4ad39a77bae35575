/* The stand-in for cuDNN, used wrongly: each call gives its error code and one report. */
#include "libs_cudnn_cases.h"

static const conv_case PLAIN = {2, 3, 8, 8, 5, 3, 3, {1, 1}, {1, 1}, {1, 1}, CUDNN_FMA_MATH};
static const cudnnStatus_t BAD = CUDNN_STATUS_BAD_PARAM;

/* ---- handles and descriptors ------------------------------------------------------------------------------- */

static void dead_handle(void) {
    begin(&PLAIN);
    const cudnnHandle_t kept = handle;
    MUST(cudnnCreate(&handle) == CUDNN_STATUS_SUCCESS && cudnnDestroy(handle) == CUDNN_STATUS_SUCCESS);
    MUST(convolve(FORWARD) == BAD);
    handle = kept;
    end();
}
static void dead_descriptor(void) {
    begin(&PLAIN);
    MUST(cudnnDestroyFilterDescriptor(w_desc) == CUDNN_STATUS_SUCCESS && convolve(DATA) == BAD);
    MUST(cudnnCreateFilterDescriptor(&w_desc) == CUDNN_STATUS_SUCCESS);
    end();
}
static void unset_descriptor(void) {
    begin(&PLAIN);
    MUST(cudnnDestroyConvolutionDescriptor(conv_desc) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnCreateConvolutionDescriptor(&conv_desc) == CUDNN_STATUS_SUCCESS && convolve(FILTER) == BAD);
    end();
}
static void destroyed_twice(void) {
    cudnnTensorDescriptor_t made = NULL;
    MUST(cudnnCreateTensorDescriptor(&made) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnDestroyTensorDescriptor(made) == CUDNN_STATUS_SUCCESS && cudnnDestroyTensorDescriptor(made) == BAD);
}
static void dead_stream(void) {
    cudaStream_t dead = NULL;
    begin(&PLAIN);
    MUST(cudaStreamCreate(&dead) == cudaSuccess && cudaStreamDestroy(dead) == cudaSuccess);
    MUST(cudnnSetStream(handle, dead) == BAD);
    end();
}
static void size_of_nothing(void) {
    begin(&PLAIN);
    MUST(cudnnSetTensor4dDescriptor(x_desc, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 2, 0, 8, 8) == BAD);
    end();
}
static void too_large(void) {
    begin(&PLAIN);
    MUST(cudnnSetTensor4dDescriptor(x_desc, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 2048, 1024, 32, 32) ==
         CUDNN_STATUS_NOT_SUPPORTED);
    end();
}
static void unknown_type(void) {
    begin(&PLAIN);
    MUST(cudnnSetTensor4dDescriptor(x_desc, CUDNN_TENSOR_NHWC, (cudnnDataType_t)77, 2, 3, 8, 8) == BAD);
    end();
}
static void unknown_math(void) {
    begin(&PLAIN);
    MUST(cudnnSetConvolutionMathType(conv_desc, (cudnnMathType_t)9) == BAD);
    end();
}
static void negative_padding(void) {
    begin(&PLAIN);
    MUST(cudnnSetConvolution2dDescriptor(conv_desc, -1, 0, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT) ==
         BAD);
    end();
}
static void stride_of_zero(void) {
    begin(&PLAIN);
    MUST(cudnnSetConvolution2dDescriptor(conv_desc, 1, 1, 0, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT) ==
         BAD);
    end();
}

/* ---- descriptors that do not go together ------------------------------------------------------------------- */

static void wrong_output(void) {
    begin(&PLAIN);
    MUST(cudnnSetTensor4dDescriptor(y_desc, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 2, 5, 7, 8) == CUDNN_STATUS_SUCCESS);
    MUST(convolve(FORWARD) == BAD);
    end();
}
static void wrong_channels(void) {
    begin(&PLAIN);
    MUST(cudnnSetFilter4dDescriptor(w_desc, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, 5, 4, 3, 3) == CUDNN_STATUS_SUCCESS);
    MUST(convolve(DATA) == BAD);
    end();
}
static void two_types(void) {
    begin(&PLAIN);
    MUST(cudnnSetFilter4dDescriptor(w_desc, CUDNN_DATA_HALF, CUDNN_TENSOR_NHWC, 5, 3, 3, 3) == CUDNN_STATUS_SUCCESS);
    MUST(convolve(FORWARD) == BAD);
    end();
}
static void two_layouts(void) {
    begin(&PLAIN);
    MUST(cudnnSetTensor4dDescriptor(y_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 2, 5, 8, 8) == CUDNN_STATUS_SUCCESS);
    MUST(convolve(FILTER) == BAD);
    end();
}
static void other_algorithm(void) {
    size_t bytes = 0;
    begin(&PLAIN);
    MUST(cudnnGetConvolutionForwardWorkspaceSize(handle, x_desc, w_desc, conv_desc, y_desc,
                                                 CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD,
                                                 &bytes) == CUDNN_STATUS_NOT_SUPPORTED);
    end();
}
static void atomic_algorithm(void) {
    begin(&PLAIN);
    MUST(cudnnConvolutionBackwardFilter(handle, &ONE, x_desc, device[DATA], y_desc, device[FORWARD], conv_desc,
                                        CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, workspace, workspace_bytes[FILTER], &ZERO,
                                        w_desc, device[FILTER]) == CUDNN_STATUS_NOT_SUPPORTED);
    end();
}

/* ---- memory ------------------------------------------------------------------------------------------------ */

static void with_part(int part, float *memory, int pass) {
    begin(&PLAIN);
    float *kept = device[part];
    device[part] = memory == NULL ? kept + 1 : memory;
    MUST(convolve(pass) == BAD);
    device[part] = kept;
    end();
}
static float host_memory[2 * 8 * 8 * 5];
static void host_x(void) {
    with_part(DATA, host_memory, FORWARD);
}
static void host_y(void) {
    with_part(FORWARD, host_memory, FORWARD);
}
static void beyond_w(void) {
    with_part(FILTER, NULL, FILTER);
}
static void misaligned(void) {
    begin(&PLAIN);
    MUST(cudaFree(device[DATA]) == cudaSuccess);
    MUST(cudaMalloc((void **)&device[DATA], (floats[DATA] + 1) * sizeof(float)) == cudaSuccess);
    ++device[DATA];
    MUST(convolve(DATA) == BAD);
    --device[DATA];
    end();
}
static void undefined_input(void) {
    begin(&PLAIN);
    MUST(cudaFree(device[DATA]) == cudaSuccess);
    MUST(cudaMalloc((void **)&device[DATA], floats[DATA] * sizeof(float)) == cudaSuccess);
    MUST(cudaMemset(device[DATA], 0, (floats[DATA] - 1) * sizeof(float)) == cudaSuccess);
    MUST(convolve(FORWARD) == CUDNN_STATUS_SUCCESS);
    end();
}
static void in_place(void) {
    const conv_case square = {1, 4, 4, 4, 4, 1, 1, {0, 0}, {1, 1}, {1, 1}, CUDNN_FMA_MATH};
    begin(&square);
    float *kept = device[FORWARD];
    device[FORWARD] = device[DATA];
    MUST(convolve(FORWARD) == BAD);
    device[FORWARD] = kept;
    end();
}
static void with_workspace(int pass, void *memory, size_t bytes) {
    void *kept = workspace;
    workspace = memory;
    workspace_bytes[pass] = bytes;
    MUST(convolve(pass) == BAD);
    workspace = kept;
    end();
}
static void workspace_small(void) {
    begin(&PLAIN);
    with_workspace(DATA, workspace, workspace_bytes[DATA] - 1);
}
static void workspace_absent(void) {
    begin(&PLAIN);
    with_workspace(FORWARD, NULL, 0);
}
static void workspace_null(void) {
    begin(&PLAIN);
    with_workspace(FILTER, NULL, workspace_bytes[FILTER]);
}
static void workspace_beyond(void) {
    begin(&PLAIN);
    with_workspace(FILTER, workspace, workspace_bytes[FILTER] + 4096);
}
static void workspace_is_x(void) {
    const conv_case large = {2, 8, 64, 64, 1, 1, 1, {0, 0}, {1, 1}, {1, 1}, CUDNN_FMA_MATH};
    begin(&large);
    with_workspace(FORWARD, device[DATA], workspace_bytes[FORWARD]);
}
static void no_alpha(void) {
    begin(&PLAIN);
    MUST(cudnnConvolutionForward(handle, NULL, x_desc, device[DATA], w_desc, device[FILTER], conv_desc,
                                 CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, workspace, workspace_bytes[FORWARD],
                                 &ZERO, y_desc, device[FORWARD]) == BAD);
    end();
}

/* ---- capture, leaks ---------------------------------------------------------------------------------------- */

static void while_capturing(bool create) {
    cudaGraph_t graph = NULL;
    cudnnHandle_t made = NULL;
    begin(&PLAIN);
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    MUST(create ? cudnnCreate(&made) == CUDNN_STATUS_ALLOC_FAILED
                : cudnnDestroy(handle) == CUDNN_STATUS_INTERNAL_ERROR);
    MUST(cudaStreamEndCapture(stream, &graph) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    end();
}
static void create_in_capture(void) {
    while_capturing(true);
}
static void destroy_in_capture(void) {
    while_capturing(false);
}
static void leaked_handle(void) {
    cudnnHandle_t made = NULL;
    MUST(cudnnCreate(&made) == CUDNN_STATUS_SUCCESS);
}
static void leaked_tensor(void) {
    cudnnTensorDescriptor_t made = NULL;
    MUST(cudnnCreateTensorDescriptor(&made) == CUDNN_STATUS_SUCCESS);
}
static void leaked_filter(void) {
    cudnnFilterDescriptor_t made = NULL;
    MUST(cudnnCreateFilterDescriptor(&made) == CUDNN_STATUS_SUCCESS);
}
static void leaked_convolution(void) {
    cudnnConvolutionDescriptor_t made = NULL;
    MUST(cudnnCreateConvolutionDescriptor(&made) == CUDNN_STATUS_SUCCESS);
}

static void wrong_use(void **state) {
    (void)state;
    static const struct {
        void (*body)(void);
        const char *want;
    } CASES[] = {
        {dead_handle, "is none of the live cuDNN handles"},
        {dead_descriptor, "is none of the live cuDNN filter descriptors"},
        {unset_descriptor, "one of the cuDNN convolution descriptors was never set"},
        {destroyed_twice, "is none of the live cuDNN tensor descriptors"},
        {dead_stream, "is no stream"},
        {size_of_nothing, "dimensions 2, 0, 8, 8"},
        {too_large, "more than 2^31 - 1"},
        {unknown_type, "type 77: no such"},
        {unknown_math, "mode 9"},
        {negative_padding, "padding -1, 0"},
        {stride_of_zero, "dimensions 0, 1, 1, 1"},
        {wrong_output, "give y (2,8,8,5), not (2,7,8,5)"},
        {wrong_channels, "w (5,3,3,4)"},
        {two_types, "types 0, 2, 0"},
        {two_layouts, "layouts 1, 1, 0"},
        {other_algorithm, "algorithm 6 does not do this"},
        {atomic_algorithm, "or not the same twice"},
        {host_x, "bad-call: x ("},
        {host_y, "bad-call: y ("},
        {beyond_w, "bad-call: w ("},
        {misaligned, "each must be aligned to 16 bytes"},
        {undefined_input, "uninitialised"},
        {in_place, "the result shares memory with x"},
        {workspace_small, "are needed"},
        {workspace_absent, "a workspace of 0 bytes"},
        {workspace_null, "bad-call: workspace ("},
        {workspace_beyond, "bad-call: workspace ("},
        {workspace_is_x, "the workspace shares memory with x"},
        {no_alpha, "alpha is NULL"},
        {create_in_capture, "is not permitted while a stream is captured; cudnnCreate"},
        {destroy_in_capture, "is not permitted while a stream is captured; cudnnDestroy"},
        {leaked_handle, "1 cuDNN handles never destroyed"},
        {leaked_tensor, "1 cuDNN tensor descriptors never destroyed"},
        {leaked_filter, "1 cuDNN filter descriptors never destroyed"},
        {leaked_convolution, "1 cuDNN convolution descriptors never destroyed"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        expect_report(CASES[i].body, CASES[i].want);
    }
}

/* What the stand-in cannot do ends the program, by name: status 99, no wrong numbers. */
static void other_layout(void) {
    begin(&PLAIN);
    MUST(cudnnSetTensor4dDescriptor(x_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 2, 3, 8, 8) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnSetTensor4dDescriptor(y_desc, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 2, 5, 8, 8) == CUDNN_STATUS_SUCCESS);
    MUST(cudnnSetFilter4dDescriptor(w_desc, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 5, 3, 3, 3) == CUDNN_STATUS_SUCCESS);
    (void)convolve(FORWARD);
}
static void not_simulated(void **state) {
    (void)state;
    char text[4096];
    assert_int_equal(in_child("order=forward", other_layout, text, sizeof text), 99);
    assert_non_null(strstr(text, "only NHWC tensors of floats are simulated"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_use),
        cmocka_unit_test(not_simulated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
