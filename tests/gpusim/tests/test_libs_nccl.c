/* The stand-in for NCCL: several processes that share a machine. Right use against sums of whole numbers, which are
 * exact; ranks that want different things, that do not come, and wrong calls. */
#include "libs_cases.h"

#include <nccl.h>

enum { RANKS = 3, MANY = 40001 }; /* MANY: more than one round through the mailboxes */

typedef struct {
    int status;
    char text[4096];
} outcome;

static int rank, ids[2]; /* of this process; the pipe through which rank 0 gives the others the unique id */
static ncclComm_t comm;
static cudaStream_t stream;

/* Runs `body` as RANKS processes with GPUSIM=options. */
static void run_ranks(const char *options, void (*body)(void), outcome *outcomes) {
    int ends[RANKS][2];
    pid_t children[RANKS];
    assert_int_equal(pipe(ids), 0);
    fflush(NULL);
    for (int r = 0; r < RANKS; ++r) {
        assert_int_equal(pipe(ends[r]), 0);
        children[r] = fork();
        if (children[r] == 0) {
            dup2(ends[r][1], 2);
            for (int q = 0; q <= r; ++q) {
                close(ends[q][0]);
                close(ends[q][1]);
            }
            setenv("GPUSIM", options, 1);
            rank = r;
            body();
            exit(0);
        }
    }
    for (int r = 0; r < RANKS; ++r) {
        close(ends[r][1]);
    }
    for (int r = 0; r < RANKS; ++r) {
        size_t used = 0;
        ssize_t n;
        while (used + 1 < sizeof outcomes[r].text &&
               (n = read(ends[r][0], outcomes[r].text + used, sizeof outcomes[r].text - 1 - used)) > 0) {
            used += (size_t)n;
        }
        outcomes[r].text[used] = '\0';
        close(ends[r][0]);
        int status = 0;
        waitpid(children[r], &status, 0);
        outcomes[r].status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    close(ids[0]);
    close(ids[1]);
}

/* What each rank says: one report with these words, or, NULL, none. */
static void expect_ranks(const char *options, void (*body)(void), const char *const want[RANKS]) {
    outcome outcomes[RANKS];
    run_ranks(options, body, outcomes);
    for (int r = 0; r < RANKS; ++r) {
        const outcome *o = &outcomes[r];
        const bool right = want[r] == NULL ? o->status == 0 && strstr(o->text, " 0 reports") != NULL
                                           : o->status == 86 && strstr(o->text, " 1 reports") != NULL &&
                                                 strstr(o->text, want[r]) != NULL;
        if (!right) {
            fail_msg("rank %d, wanted '%s': status %d: %s", r, want[r] == NULL ? "nothing" : want[r], o->status,
                     o->text);
        }
    }
}

/* ---- what every case needs --------------------------------------------------------------------------------- */

static ncclUniqueId shared_id(void) {
    ncclUniqueId id;
    if (rank == 0) {
        MUST(ncclGetUniqueId(&id) == ncclSuccess);
        for (int r = 1; r < RANKS; ++r) {
            MUST(write(ids[1], &id, sizeof id) == (ssize_t)sizeof id);
        }
    } else {
        MUST(read(ids[0], &id, sizeof id) == (ssize_t)sizeof id);
    }
    return id;
}

static void join(void) {
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    MUST(ncclCommInitRank(&comm, RANKS, shared_id(), rank) == ncclSuccess);
}

static void leave(void) {
    MUST(cudaStreamSynchronize(stream) == cudaSuccess);
    MUST(ncclCommDestroy(comm) == ncclSuccess && cudaStreamDestroy(stream) == cudaSuccess);
}

/* n floats on the device: 1000 r + i % 97 at i, for rank r. */
static float *device_floats(size_t n) {
    float *host = malloc(n * sizeof *host), *memory = NULL;
    MUST(host != NULL && cudaMalloc((void **)&memory, n * sizeof *host) == cudaSuccess);
    for (size_t i = 0; i < n; ++i) {
        host[i] = 1000.0F * (float)rank + (float)(i % 97);
    }
    MUST(cudaMemcpy(memory, host, n * sizeof *host, cudaMemcpyHostToDevice) == cudaSuccess);
    free(host);
    return memory;
}

/* Waits, and compares n floats with factor * (i + offset) % 97 + added. */
static void expect_floats(const float *memory, size_t n, float factor, size_t offset, float added) {
    float *host = malloc(n * sizeof *host);
    MUST(host != NULL);
    MUST(cudaMemcpyAsync(host, memory, n * sizeof *host, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    MUST(cudaStreamSynchronize(stream) == cudaSuccess);
    for (size_t i = 0; i < n; ++i) {
        if (host[i] != factor * (float)((i + offset) % 97) + added) {
            fprintf(stderr, "element %zu is %g\n", i, (double)host[i]);
            _exit(1);
        }
    }
    free(host);
}

/* ---- right use --------------------------------------------------------------------------------------------- */

static void collectives(void) {
    join();
    float *send = device_floats(MANY), *receive = device_floats(RANKS * MANY);
    int count = 0, number = -1;
    MUST(ncclCommCount(comm, &count) == ncclSuccess && count == RANKS);
    MUST(ncclCommUserRank(comm, &number) == ncclSuccess && number == rank);
    MUST(ncclAllReduce(send, receive, MANY, ncclFloat, ncclSum, comm, stream) == ncclSuccess);
    expect_floats(receive, MANY, 3.0F, 0, 3000.0F);
    MUST(ncclAllReduce(send, receive, MANY, ncclFloat, ncclMax, comm, stream) == ncclSuccess);
    expect_floats(receive, MANY, 1.0F, 0, 2000.0F);
    MUST(ncclAllReduce(send, receive, 5, ncclFloat, ncclAvg, comm, stream) == ncclSuccess);
    expect_floats(receive, 5, 1.0F, 0, 1000.0F);
    MUST(ncclAllGather(send, receive, MANY, ncclFloat, comm, stream) == ncclSuccess);
    for (int r = 0; r < RANKS; ++r) {
        expect_floats(receive + (size_t)r * MANY, MANY, 1.0F, 0, 1000.0F * (float)r);
    }
    MUST(ncclBroadcast(send, receive, MANY, ncclFloat, 1, comm, stream) == ncclSuccess);
    expect_floats(receive, MANY, 1.0F, 0, 1000.0F);
    MUST(ncclReduceScatter(send, receive, MANY / RANKS, ncclFloat, ncclSum, comm, stream) == ncclSuccess);
    expect_floats(receive, MANY / RANKS, 3.0F, (size_t)rank * (MANY / RANKS), 3000.0F);
    MUST(ncclReduce(send, send, MANY, ncclFloat, ncclSum, 2, comm, stream) == ncclSuccess);
    expect_floats(send, MANY, rank == 2 ? 3.0F : 1.0F, 0, rank == 2 ? 3000.0F : 1000.0F * (float)rank);
    MUST(cudaFree(send) == cudaSuccess && cudaFree(receive) == cudaSuccess);
    leave();
}

/* As a step of a training does it: in place, in a group, recorded and launched again. */
static void recorded(void) {
    cudaGraph_t graph = NULL;
    cudaGraphExec_t ready = NULL;
    ncclResult_t error = ncclInternalError;
    join();
    float *a = device_floats(7), *b = device_floats(9);
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    MUST(ncclGroupStart() == ncclSuccess);
    MUST(ncclAllReduce(a, a, 7, ncclFloat, ncclSum, comm, stream) == ncclSuccess);
    MUST(ncclAllReduce(b, b, 9, ncclFloat, ncclSum, comm, stream) == ncclSuccess);
    MUST(ncclGroupEnd() == ncclSuccess);
    MUST(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    MUST(cudaGraphInstantiate(&ready, graph, 0) == cudaSuccess && cudaGraphDestroy(graph) == cudaSuccess);
    MUST(cudaGraphLaunch(ready, stream) == cudaSuccess && cudaGraphLaunch(ready, stream) == cudaSuccess);
    expect_floats(a, 7, 9.0F, 0, 9000.0F);
    expect_floats(b, 9, 9.0F, 0, 9000.0F);
    MUST(ncclCommGetAsyncError(comm, &error) == ncclSuccess && error == ncclSuccess);
    MUST(cudaGraphExecDestroy(ready) == cudaSuccess && cudaFree(a) == cudaSuccess && cudaFree(b) == cudaSuccess);
    leave();
}

static void right_use(void **state) {
    (void)state;
    static const char *const NOTHING[RANKS] = {NULL, NULL, NULL};
    expect_ranks("wait=20", collectives, NOTHING);
    expect_ranks("wait=20", recorded, NOTHING);
}

/* ---- ranks that do not agree ------------------------------------------------------------------------------- */

/* One collective, a failed one after which nothing more is done, and the error that tells. */
static void disagree(size_t count, ncclDataType_t type, ncclRedOp_t reduction, ncclResult_t want) {
    ncclResult_t error = ncclSuccess;
    join();
    float *a = device_floats(16);
    MUST(ncclAllReduce(a, a, count, type, reduction, comm, stream) == ncclSuccess);
    MUST(ncclAllReduce(a, a, 16, ncclFloat, ncclSum, comm, stream) == ncclSuccess);
    expect_floats(a, 16, 1.0F, 0, 1000.0F * (float)rank); /* as it was */
    MUST(ncclCommGetAsyncError(comm, &error) == ncclSuccess && error == want);
    MUST(ncclAllReduce(a, a, 16, ncclFloat, ncclSum, comm, stream) == want);
    MUST(cudaFree(a) == cudaSuccess);
    leave();
}
static void other_count(void) {
    disagree(rank == 1 ? 15 : 16, ncclFloat, ncclSum, ncclInvalidUsage);
}
static void other_type(void) {
    disagree(16, rank == 2 ? ncclInt32 : ncclFloat, ncclSum, ncclInvalidUsage);
}
static void other_reduction(void) {
    disagree(16, ncclFloat, rank == 2 ? ncclMax : ncclSum, ncclInvalidUsage);
}
static void other_collective(void) {
    join();
    float *a = device_floats(16);
    MUST(rank == 0 ? ncclBroadcast(a, a, 16, ncclFloat, 0, comm, stream) == ncclSuccess
                   : ncclAllReduce(a, a, 16, ncclFloat, ncclSum, comm, stream) == ncclSuccess);
    MUST(cudaStreamSynchronize(stream) == cudaSuccess && cudaFree(a) == cudaSuccess);
    leave();
}
/* Rank 2 joins and then does not take part. */
static void absent(void) {
    if (rank == 2) {
        join();
        leave();
    } else {
        disagree(16, ncclFloat, ncclSum, ncclRemoteError);
    }
}
/* Rank 2 does not even join. */
static void never_joins(void) {
    if (rank != 2) {
        MUST(ncclCommInitRank(&comm, RANKS, shared_id(), rank) == ncclSystemError && comm == NULL);
    } else {
        MUST(cudaDeviceSynchronize() == cudaSuccess);
    }
}
/* Nobody is rank 0. */
static void no_first(void) {
    const ncclUniqueId id = shared_id();
    if (rank != 0) {
        MUST(ncclCommInitRank(&comm, RANKS, id, rank) == ncclSystemError && comm == NULL);
    } else {
        MUST(cudaDeviceSynchronize() == cudaSuccess);
    }
}
static void other_number(void) {
    const ncclUniqueId id = shared_id();
    MUST(ncclCommInitRank(&comm, rank == 1 ? 2 : RANKS, id, rank) == ncclSystemError);
}

/* Two processes think that they are rank 1. */
static void same_rank(void) {
    const ncclUniqueId id = shared_id();
    MUST(ncclCommInitRank(&comm, RANKS, id, rank == 0 ? 0 : 1) == ncclSystemError);
}

static void different_ranks(void **state) {
    (void)state;
    static const char COUNT[] = "rank 0 wants ncclAllReduce of 16 elements of type 7 (reduction 0, root 0), rank 1 "
                                "wants ncclAllReduce of 15 of type 7 (0, 0)";
    static const char TYPE[] = "rank 2 wants ncclAllReduce of 16 of type 2", MAX[] = "of type 7 (2, 0)";
    static const char OTHER[] = "rank 0 wants ncclBroadcast", LATE_0[] = "rank 0 of 3 waited 2 seconds for rank 2;";
    static const char LATE_1[] = "rank 1 of 3 waited 2 seconds for rank 2;", FIRST[] = "waited 2 seconds for rank 0;";
    static const char NUMBER[] = "rank 1 says 2 ranks, rank 0 said 3";
    static const char NUMBER_0[] = "rank 0 of 3 waited 2 seconds for rank 1;";
    static const char NUMBER_2[] = "rank 2 of 3 waited 2 seconds for rank 1;";
    expect_ranks("wait=20", other_count, (const char *const[]){COUNT, COUNT, COUNT});
    expect_ranks("wait=20", other_type, (const char *const[]){TYPE, TYPE, TYPE});
    expect_ranks("wait=20", other_reduction, (const char *const[]){MAX, MAX, MAX});
    expect_ranks("wait=20", other_collective, (const char *const[]){OTHER, OTHER, OTHER});
    expect_ranks("wait=2", absent, (const char *const[]){LATE_0, LATE_1, NULL});
    expect_ranks("wait=2", never_joins, (const char *const[]){LATE_0, LATE_1, NULL});
    expect_ranks("wait=2", no_first, (const char *const[]){NULL, FIRST, FIRST});
    outcome outcomes[RANKS];
    run_ranks("wait=2", same_rank, outcomes);
    const bool second = strstr(outcomes[2].text, "rank 1 of 3 is another process already") != NULL;
    assert_non_null(strstr(outcomes[second ? 2 : 1].text, "rank 1 of 3 is another process already"));
    assert_non_null(strstr(outcomes[second ? 1 : 2].text, "rank 1 of 3 waited 2 seconds for rank 2;"));
    assert_non_null(strstr(outcomes[0].text, LATE_0));
    expect_ranks("wait=2", other_number, (const char *const[]){NUMBER_0, NUMBER, NUMBER_2});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_use),
        cmocka_unit_test(different_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
