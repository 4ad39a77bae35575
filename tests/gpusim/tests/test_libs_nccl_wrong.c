/* The stand-in for NCCL, used wrongly by one process alone: each call gives its error code and one report. */
#include "libs_cases.h"

#include <nccl.h>

enum { N = 16 };

static ncclComm_t comm;
static cudaStream_t stream;
static float *a, *b, host[N];

/* A communicator of one rank, N floats a and b. */
static void begin(void) {
    ncclUniqueId id;
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    MUST(ncclGetUniqueId(&id) == ncclSuccess && ncclCommInitRank(&comm, 1, id, 0) == ncclSuccess);
    MUST(cudaMalloc((void **)&a, N * sizeof *a) == cudaSuccess && cudaMemset(a, 0, N * sizeof *a) == cudaSuccess);
    MUST(cudaMalloc((void **)&b, N * sizeof *b) == cudaSuccess);
}
static void end(void) {
    MUST(cudaStreamSynchronize(stream) == cudaSuccess);
    MUST(ncclCommDestroy(comm) == ncclSuccess && cudaStreamDestroy(stream) == cudaSuccess);
    MUST(cudaFree(a) == cudaSuccess && cudaFree(b) == cudaSuccess);
}

#define REDUCE(send, receive, count, type, reduction, status)                                                          \
    MUST(ncclAllReduce(send, receive, count, type, reduction, comm, stream) == (status))

static void alone(void) {
    begin();
    REDUCE(a, b, N, ncclFloat, ncclSum, ncclSuccess);
    REDUCE(b, b, N, ncclFloat, ncclSum, ncclSuccess);
    MUST(ncclAllGather(b, b, N, ncclFloat, comm, stream) == ncclSuccess);
    end();
}
static void host_send(void) {
    begin();
    REDUCE(host, b, N, ncclFloat, ncclSum, ncclInvalidArgument);
    end();
}
static void host_receive(void) {
    begin();
    REDUCE(a, host, N, ncclFloat, ncclSum, ncclInvalidArgument);
    end();
}
static void beyond_send(void) {
    begin();
    REDUCE(a + 1, b, N, ncclFloat, ncclSum, ncclInvalidArgument);
    end();
}
static void beyond_receive(void) {
    begin();
    REDUCE(a, b, N / 2 + 1, ncclFloat64, ncclSum, ncclInvalidArgument);
    end();
}
static void partly_in_place(void) {
    begin();
    REDUCE(a, a + 4, N / 2, ncclFloat, ncclSum, ncclInvalidArgument);
    end();
}
static void misaligned(void) {
    begin();
    REDUCE((char *)a + 2, b, 4, ncclFloat, ncclSum, ncclInvalidArgument);
    end();
}
static void undefined_send(void) {
    begin();
    REDUCE(b, a, N, ncclFloat, ncclSum, ncclSuccess);
    end();
}
static void unknown_type(void) {
    begin();
    REDUCE(a, b, N, (ncclDataType_t)50, ncclSum, ncclInvalidArgument);
    end();
}
static void unknown_reduction(void) {
    begin();
    REDUCE(a, b, N, ncclFloat, (ncclRedOp_t)9, ncclInvalidArgument);
    end();
}
static void wrong_root(void) {
    begin();
    MUST(ncclBroadcast(a, b, N, ncclFloat, 1, comm, stream) == ncclInvalidArgument);
    end();
}
static void dead_communicator(void) {
    ncclUniqueId id;
    begin();
    MUST(ncclCommDestroy(comm) == ncclSuccess);
    REDUCE(a, b, N, ncclFloat, ncclSum, ncclInvalidArgument);
    MUST(ncclGetUniqueId(&id) == ncclSuccess && ncclCommInitRank(&comm, 1, id, 0) == ncclSuccess);
    end();
}
/* The stream has the work still before it. */
static void destroyed_early(void) {
    begin();
    REDUCE(a, b, N, ncclFloat, ncclSum, ncclSuccess);
    MUST(ncclCommDestroy(comm) == ncclSuccess);
    MUST(cudaFree(a) == cudaSuccess && cudaFree(b) == cudaSuccess && cudaStreamDestroy(stream) == cudaSuccess);
}
static void dead_stream(void) {
    begin();
    cudaStream_t dead = NULL;
    MUST(cudaStreamCreate(&dead) == cudaSuccess && cudaStreamDestroy(dead) == cudaSuccess);
    MUST(ncclAllReduce(a, b, N, ncclFloat, ncclSum, comm, dead) == ncclUnhandledCudaError);
    end();
}
static void wrong_rank(void) {
    ncclUniqueId id;
    MUST(ncclGetUniqueId(&id) == ncclSuccess && ncclCommInitRank(&comm, 2, id, 2) == ncclInvalidArgument);
}
static void group_without_begin(void) {
    MUST(ncclGroupEnd() == ncclInvalidUsage);
}
static void made_in_capture(void) {
    cudaGraph_t graph = NULL;
    ncclComm_t made = NULL;
    ncclUniqueId id;
    begin();
    MUST(ncclGetUniqueId(&id) == ncclSuccess);
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    MUST(ncclCommInitRank(&made, 1, id, 0) == ncclUnhandledCudaError && made == NULL);
    MUST(cudaStreamEndCapture(stream, &graph) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    end();
}
static void leaked(void) {
    ncclUniqueId id;
    MUST(ncclGetUniqueId(&id) == ncclSuccess && ncclCommInitRank(&comm, 1, id, 0) == ncclSuccess);
}

static void right_use(void **state) {
    (void)state;
    expect_right("order=forward", alone);
}

static void wrong_use(void **state) {
    (void)state;
    static const struct {
        void (*body)(void);
        const char *want;
    } CASES[] = {
        {host_send, "bad-call: send buffer ("},
        {host_receive, "bad-call: receive buffer ("},
        {beyond_send, "bad-call: send buffer ("},
        {beyond_receive, "bad-call: send buffer ("},
        {partly_in_place, "overlap and are not in place"},
        {misaligned, "not aligned to 4 bytes"},
        {undefined_send, "uninitialised"},
        {unknown_type, "reduction 0 of type 50: no such"},
        {unknown_reduction, "reduction 9 of type 7: no such"},
        {wrong_root, "root 1 of 1 ranks"},
        {dead_communicator, "is no communicator"},
        {destroyed_early, "is no communicator, or one that was destroyed; ncclAllReduce"},
        {dead_stream, "is no stream"},
        {wrong_rank, "rank 2 of 2"},
        {group_without_begin, "no group was started"},
        {made_in_capture, "is not permitted while a stream is captured; ncclCommInitRank"},
        {leaked, "1 NCCL communicators never destroyed"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; ++i) {
        expect_report(CASES[i].body, CASES[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_use),
        cmocka_unit_test(wrong_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
