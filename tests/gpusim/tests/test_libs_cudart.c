/* The stand-in for cudart: copies, streams, events, graphs; and wrong calls, each with the real error code and a
 * report. */
#include "libs_cases.h"

enum { N = 1000 };

static float *device_floats(size_t n) {
    void *memory = NULL;
    MUST(cudaMalloc(&memory, n * sizeof(float)) == cudaSuccess);
    return memory;
}

static cudaStream_t new_stream(void) {
    cudaStream_t stream = NULL;
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    return stream;
}

/* ---- right use --------------------------------------------------------------------------------------------- */

/* Pageable memory is taken at the call; what is copied to the host appears when the stream is waited for. */
static void pageable_copies(void) {
    float from[N], to[N];
    float *a = device_floats(N), *b = device_floats(N);
    cudaStream_t s = new_stream();
    for (int i = 0; i < N; ++i) {
        from[i] = (float)i;
        to[i] = -1.0F;
    }
    MUST(cudaMemcpyAsync(a, from, sizeof from, cudaMemcpyHostToDevice, s) == cudaSuccess);
    from[7] = 99.0F;
    MUST(cudaMemcpyAsync(b, a, sizeof from, cudaMemcpyDeviceToDevice, s) == cudaSuccess);
    MUST(cudaMemsetAsync(b, 0, sizeof(float), s) == cudaSuccess);
    MUST(cudaMemcpyAsync(to, b, sizeof to, cudaMemcpyDeviceToHost, s) == cudaSuccess);
    MUST(cudaStreamQuery(s) == cudaErrorNotReady);
    uint32_t seen;
    memcpy(&seen, to, sizeof seen);
    MUST(seen == 0xa5a5a5a5U);
    MUST(cudaStreamSynchronize(s) == cudaSuccess && cudaStreamQuery(s) == cudaSuccess);
    MUST(to[0] == 0.0F && to[7] == 7.0F && to[N - 1] == (float)(N - 1));
    MUST(cudaFree(a) == cudaSuccess && cudaFree(b) == cudaSuccess && cudaStreamDestroy(s) == cudaSuccess);
}

/* Pinned memory is read when the stream gets there: a host that overwrites it before is seen. */
static void pinned_copies(void) {
    float *from = NULL, to = 0.0F, *a = device_floats(1);
    cudaStream_t s = new_stream();
    MUST(cudaMallocHost((void **)&from, sizeof *from) == cudaSuccess);
    *from = 1.0F;
    MUST(cudaMemcpyAsync(a, from, sizeof *from, cudaMemcpyHostToDevice, s) == cudaSuccess);
    *from = 2.0F;
    MUST(cudaMemcpyAsync(&to, a, sizeof to, cudaMemcpyDeviceToHost, s) == cudaSuccess);
    MUST(cudaStreamSynchronize(s) == cudaSuccess && to == 2.0F);
    MUST(cudaFreeHost(from) == cudaSuccess && cudaFree(a) == cudaSuccess && cudaStreamDestroy(s) == cudaSuccess);
}

/* Writes 1, then in another stream 5; the copy in a third sees 5 only where an event orders it. */
static float read_after(bool with_event) {
    float *a = device_floats(1), one = 1.0F, five = 5.0F, seen = 0.0F;
    cudaStream_t writer = new_stream(), reader = new_stream();
    cudaEvent_t written = NULL;
    MUST(cudaEventCreate(&written) == cudaSuccess);
    MUST(cudaMemcpyAsync(a, &one, sizeof one, cudaMemcpyHostToDevice, writer) == cudaSuccess);
    MUST(cudaStreamSynchronize(writer) == cudaSuccess);
    MUST(cudaMemcpyAsync(a, &five, sizeof five, cudaMemcpyHostToDevice, writer) == cudaSuccess);
    MUST(cudaEventRecord(written, writer) == cudaSuccess);
    if (with_event) {
        MUST(cudaStreamWaitEvent(reader, written, 0) == cudaSuccess);
    }
    MUST(cudaMemcpyAsync(&seen, a, sizeof seen, cudaMemcpyDeviceToHost, reader) == cudaSuccess);
    MUST(cudaStreamSynchronize(reader) == cudaSuccess);
    MUST(cudaDeviceSynchronize() == cudaSuccess);
    MUST(cudaEventDestroy(written) == cudaSuccess && cudaStreamDestroy(writer) == cudaSuccess);
    MUST(cudaStreamDestroy(reader) == cudaSuccess && cudaFree(a) == cudaSuccess);
    return seen;
}
static void with_event(void) {
    MUST(read_after(true) == 5.0F);
}
static void without_event(void) {
    MUST(read_after(false) == 1.0F);
}

static cudaGraph_t capture(cudaStream_t s, float *a, float *b, int fills) {
    cudaGraph_t graph = NULL;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    for (int i = 0; i < fills; ++i) {
        MUST(cudaMemsetAsync(a + i, 0, sizeof(float), s) == cudaSuccess);
    }
    MUST(cudaMemcpyAsync(b, a, 4 * sizeof(float), cudaMemcpyDeviceToDevice, s) == cudaSuccess);
    MUST(cudaStreamEndCapture(s, &graph) == cudaSuccess);
    return graph;
}

/* Recording does nothing; each launch does it all; an update changes addresses, not operations. */
static void graphs(void) {
    float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1}, seen[4];
    float *a = device_floats(8), *b = device_floats(4), *c = device_floats(4);
    cudaStream_t s = new_stream();
    cudaGraphExec_t ready = NULL;
    cudaGraphExecUpdateResultInfo info;
    MUST(cudaMemcpyAsync(a, ones, sizeof ones, cudaMemcpyHostToDevice, s) == cudaSuccess);
    MUST(cudaMemcpyAsync(b, ones, sizeof seen, cudaMemcpyHostToDevice, s) == cudaSuccess);
    cudaGraph_t first = capture(s, a, b, 2), other = capture(s, a + 1, c, 2), longer = capture(s, a, c, 3);
    MUST(cudaMemcpyAsync(seen, b, sizeof seen, cudaMemcpyDeviceToHost, s) == cudaSuccess);
    MUST(cudaStreamSynchronize(s) == cudaSuccess && seen[0] == 1.0F);
    MUST(cudaGraphInstantiate(&ready, first, 0) == cudaSuccess && cudaGraphDestroy(first) == cudaSuccess);
    MUST(cudaGraphLaunch(ready, s) == cudaSuccess);
    MUST(cudaMemcpyAsync(seen, b, sizeof seen, cudaMemcpyDeviceToHost, s) == cudaSuccess);
    MUST(cudaStreamSynchronize(s) == cudaSuccess && seen[0] == 0.0F && seen[1] == 0.0F && seen[2] == 1.0F);
    MUST(cudaGraphExecUpdate(ready, longer, &info) == cudaErrorGraphExecUpdateFailure);
    MUST(info.result == cudaGraphExecUpdateErrorTopologyChanged && cudaGetLastError() != cudaSuccess);
    MUST(cudaGraphExecUpdate(ready, other, &info) == cudaSuccess && info.result == cudaGraphExecUpdateSuccess);
    MUST(cudaMemcpyAsync(a, ones, sizeof ones, cudaMemcpyHostToDevice, s) == cudaSuccess);
    MUST(cudaGraphLaunch(ready, s) == cudaSuccess);
    MUST(cudaMemcpyAsync(seen, c, sizeof seen, cudaMemcpyDeviceToHost, s) == cudaSuccess);
    MUST(cudaStreamSynchronize(s) == cudaSuccess && seen[0] == 0.0F && seen[1] == 0.0F && seen[2] == 1.0F);
    MUST(cudaMemcpy(seen, a, sizeof seen, cudaMemcpyDeviceToHost) == cudaSuccess && seen[0] == 1.0F);
    MUST(cudaGraphDestroy(other) == cudaSuccess && cudaGraphDestroy(longer) == cudaSuccess);
    MUST(cudaGraphExecDestroy(ready) == cudaSuccess && cudaStreamDestroy(s) == cudaSuccess);
    MUST(cudaFree(a) == cudaSuccess && cudaFree(b) == cudaSuccess && cudaFree(c) == cudaSuccess);
}

static void right_use(void **state) {
    (void)state;
    expect_right("order=forward", pageable_copies);
    expect_right("order=forward", pinned_copies);
    expect_right("order=forward", with_event);
    expect_right("order=random,seed=2", with_event);
    expect_right("order=forward", without_event); /* the missing event shows */
}

static void recorded_work(void **state) {
    (void)state;
    expect_right("order=forward", graphs);
}

/* ---- wrong use ----------------------------------------------------------------------------------------------- */

static void free_twice(void) {
    float *a = device_floats(1);
    MUST(cudaFree(a) == cudaSuccess);
    MUST(cudaFree(a) == cudaErrorInvalidValue);
}
static void free_host(void) {
    float a;
    MUST(cudaFree(&a) == cudaErrorInvalidValue);
}
static void copy_beyond(void) {
    float from[3] = {1, 2, 3}, *a = device_floats(2);
    MUST(cudaMemcpy(a, from, 300, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    MUST(cudaFree(a) == cudaSuccess);
}
static void wrong_direction(void) {
    float from = 1.0F, *a = device_floats(1);
    MUST(cudaMemcpy(a, &from, 4, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
    MUST(cudaFree(a) == cudaSuccess);
}
static void undefined_bytes(void) {
    float to, *a = device_floats(1);
    MUST(cudaMemcpy(&to, a, 4, cudaMemcpyDeviceToHost) == cudaSuccess);
    MUST(cudaFree(a) == cudaSuccess);
}
static void overlapping(void) {
    float *a = device_floats(4);
    MUST(cudaMemcpy(a, a + 1, 8, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
    MUST(cudaFree(a) == cudaSuccess);
}
static void dead_stream(void) {
    cudaStream_t s = new_stream();
    MUST(cudaStreamDestroy(s) == cudaSuccess && cudaStreamSynchronize(s) == cudaErrorInvalidResourceHandle);
}
static void sync_in_capture(void) {
    cudaStream_t s = new_stream();
    cudaGraph_t graph = NULL;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    MUST(cudaStreamSynchronize(s) == cudaErrorStreamCaptureUnsupported);
    MUST(cudaStreamEndCapture(s, &graph) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    MUST(cudaStreamDestroy(s) == cudaSuccess);
}
static void malloc_in_capture(void) {
    cudaStream_t s = new_stream();
    cudaGraph_t graph = NULL;
    void *memory = NULL;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    MUST(cudaMalloc(&memory, 4) == cudaErrorStreamCaptureUnsupported);
    MUST(cudaStreamEndCapture(s, &graph) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    MUST(cudaStreamDestroy(s) == cudaSuccess);
}
static void pageable_in_capture(void) {
    float from = 1.0F, *a = device_floats(1);
    cudaStream_t s = new_stream();
    cudaGraph_t graph = NULL;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    MUST(cudaMemcpyAsync(a, &from, 4, cudaMemcpyHostToDevice, s) == cudaErrorStreamCaptureUnsupported);
    MUST(cudaStreamEndCapture(s, &graph) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    MUST(cudaStreamDestroy(s) == cudaSuccess && cudaFree(a) == cudaSuccess);
}
static void freed_under_a_graph(void) {
    float *a = device_floats(4), *b = device_floats(4);
    cudaStream_t s = new_stream();
    cudaGraphExec_t ready = NULL;
    MUST(cudaMemset(a, 0, 16) == cudaSuccess);
    cudaGraph_t graph = capture(s, a, b, 0);
    MUST(cudaGraphInstantiate(&ready, graph, 0) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    MUST(cudaFree(b) == cudaSuccess && cudaGraphLaunch(ready, s) == cudaSuccess);
    MUST(cudaStreamSynchronize(s) == cudaSuccess && cudaGraphExecDestroy(ready) == cudaSuccess);
    MUST(cudaStreamDestroy(s) == cudaSuccess && cudaFree(a) == cudaSuccess);
}
static void leaked_stream(void) {
    (void)new_stream();
}
static void leaked_memory(void) {
    (void)device_floats(3);
}

static void wrong_use(void **state) {
    (void)state;
    static const struct {
        void (*body)(void);
        const char *want;
    } CASES[] = {
        {free_twice, "cudaFree"},
        {free_host, "cudaFree"},
        {copy_beyond, "destination"},
        {wrong_direction, "source"},
        {undefined_bytes, "uninitialised"},
        {overlapping, "overlap"},
        {dead_stream, "is no stream"},
        {sync_in_capture, "not permitted while the stream is captured"},
        {malloc_in_capture, "not permitted while a stream is captured"},
        {pageable_in_capture, "pageable host memory"},
        {freed_under_a_graph, "use-after-free"},
        {leaked_stream, "1 streams never destroyed"},
        {leaked_memory, "1 device allocations never freed"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        expect_report(CASES[i].body, CASES[i].want);
    }
}

/* The host that reads device memory is stopped, not left to read what happens to lie there. */
static void touch(void) {
    float *a = device_floats(1);
    MUST(cudaMemset(a, 0, 4) == cudaSuccess);
    volatile float seen = *a;
    (void)seen;
}
static void host_access(void **state) {
    (void)state;
    char text[4096];
    const int status = in_child("order=forward", touch, text, sizeof text);
    assert_int_equal(status, 86);
    assert_non_null(strstr(text, "the host touched device memory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_use),
        cmocka_unit_test(recorded_work),
        cmocka_unit_test(wrong_use),
        cmocka_unit_test(host_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
