/* NCCL's collectives in rounds: each rank writes a chunk of its data into its mailbox, all meet, each reads what it
 * needs, all meet again. Ranks that do not come in time, or that ask for something else, are reported. */
#include <stdlib.h>
#include <string.h>

#include "nccl_parts.h"

static const char *const NAMES[] = {"ncclAllReduce", "ncclBroadcast", "ncclReduce", "ncclAllGather",
                                    "ncclReduceScatter"};

typedef struct {
    ncclComm_t comm;
    uint64_t number; /* the communicator's: another one may lie at its address when the work is done */
    gs_wish wish;
    const void *send;
    void *receive;
} queued;

static size_t size_of(ncclDataType_t type) {
    switch (type) {
    case ncclInt8:
    case ncclUint8:
        return 1;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
        return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
        return 8;
    default:
        gs_fatal("NCCL: data type %d is not simulated", (int)type);
    }
}

#define COMBINE(TYPE)                                                                                                  \
    for (size_t i = 0; i < n; ++i) {                                                                                   \
        TYPE a, b;                                                                                                     \
        memcpy(&a, to + i * sizeof a, sizeof a);                                                                       \
        memcpy(&b, from + i * sizeof b, sizeof b);                                                                     \
        a = reduction == ncclMax    ? (a > b ? a : b)                                                                  \
            : reduction == ncclMin  ? (a < b ? a : b)                                                                  \
            : reduction == ncclProd ? (TYPE)(a * b)                                                                    \
                                    : (TYPE)(a + b);                                                                   \
        memcpy(to + i * sizeof a, &a, sizeof a);                                                                       \
    }

static void combine(char *to, const char *from, size_t n, ncclDataType_t type, int reduction) {
    switch (type) {
    case ncclInt8:
        COMBINE(int8_t) break;
    case ncclUint8:
        COMBINE(uint8_t) break;
    case ncclInt32:
        COMBINE(int32_t) break;
    case ncclUint32:
        COMBINE(uint32_t) break;
    case ncclInt64:
        COMBINE(int64_t) break;
    case ncclUint64:
        COMBINE(uint64_t) break;
    case ncclFloat32:
        COMBINE(float) break;
    default:
        COMBINE(double) break;
    }
}

static void divide(char *at, size_t n, ncclDataType_t type, int by) {
    for (size_t i = 0; i < n; ++i) {
        if (type == ncclFloat32) {
            float x;
            memcpy(&x, at + i * sizeof x, sizeof x);
            x /= (float)by;
            memcpy(at + i * sizeof x, &x, sizeof x);
        } else {
            double x;
            memcpy(&x, at + i * sizeof x, sizeof x);
            x /= (double)by;
            memcpy(at + i * sizeof x, &x, sizeof x);
        }
    }
}

/* All ranks must want the same; true then. The first to differ from rank 0 is named. */
static bool agree(const queued *q) {
    const gs_segment *s = q->comm->shared;
    const char *name = NAMES[q->wish.operation];
    q->comm->shared->wishes[q->comm->rank] = q->wish;
    if (!gs_meet(q->comm, name)) {
        q->comm->failure = ncclRemoteError;
        return false;
    }
    bool same = true;
    for (int r = 1; r < q->comm->n_ranks && same; ++r) {
        same = memcmp(&s->wishes[r], &s->wishes[0], sizeof(gs_wish)) == 0;
        if (!same) {
            const gs_wish *a = &s->wishes[0], *b = &s->wishes[r];
            GS_WRONG_CALL(name,
                          "rank 0 wants %s of %llu elements of type %d (reduction %d, root %d), rank %d wants %s of "
                          "%llu of type %d (%d, %d)",
                          NAMES[a->operation], (unsigned long long)a->count, a->type, a->reduction, a->root, r,
                          NAMES[b->operation], (unsigned long long)b->count, b->type, b->reduction, b->root);
        }
    }
    const bool met = gs_meet(q->comm, name);
    q->comm->failure = !met ? ncclRemoteError : !same ? ncclInvalidUsage : ncclSuccess;
    return met && same;
}

/* Elements `first` .. `first + n` of the send buffer go to the mailbox; the reduction of all mailboxes, in the order of
 * the ranks, comes back in `sum`. */
static void exchange(const queued *q, const char *from, size_t n, char *sum) {
    gs_segment *s = q->comm->shared;
    const size_t size = size_of((ncclDataType_t)q->wish.type), bytes = n * size;
    memcpy(s->mailbox + (size_t)q->comm->rank * GS_CHUNK, from, bytes);
    (void)gs_meet(q->comm, NAMES[q->wish.operation]);
    if (sum != NULL) {
        memcpy(sum, s->mailbox, bytes);
        for (int r = 1; r < q->comm->n_ranks; ++r) {
            combine(sum, s->mailbox + (size_t)r * GS_CHUNK, n, (ncclDataType_t)q->wish.type, q->wish.reduction);
        }
        if (q->wish.reduction == ncclAvg) {
            divide(sum, n, (ncclDataType_t)q->wish.type, q->comm->n_ranks);
        }
    }
}

static void rounds(const queued *q, const char *send, char *receive) {
    const size_t size = size_of((ncclDataType_t)q->wish.type), count = q->wish.count, most = GS_CHUNK / size;
    const size_t ranks = (size_t)q->comm->n_ranks, rank = (size_t)q->comm->rank;
    const size_t total = q->wish.operation == REDUCE_SCATTER ? count * ranks : count;
    char sum[GS_CHUNK];
    for (size_t first = 0; first < total; first += most) {
        const size_t n = total - first < most ? total - first : most;
        const bool reduces = q->wish.operation != BROADCAST && q->wish.operation != ALL_GATHER;
        exchange(q, send + first * size, n, reduces ? sum : NULL);
        const char *mailbox = q->comm->shared->mailbox;
        if (q->wish.operation == ALL_REDUCE || (q->wish.operation == REDUCE && (int)rank == q->wish.root)) {
            memcpy(receive + first * size, sum, n * size);
        } else if (q->wish.operation == BROADCAST) {
            memcpy(receive + first * size, mailbox + (size_t)q->wish.root * GS_CHUNK, n * size);
        } else if (q->wish.operation == ALL_GATHER) {
            for (size_t r = 0; r < ranks; ++r) {
                memcpy(receive + (r * count + first) * size, mailbox + r * GS_CHUNK, n * size);
            }
        } else if (q->wish.operation == REDUCE_SCATTER) {
            for (size_t i = first; i < first + n; ++i) {
                if (i / count == rank) {
                    memcpy(receive + (i - rank * count) * size, sum + (i - first) * size, size);
                }
            }
        }
        (void)gs_meet(q->comm, NAMES[q->wish.operation]); /* nobody writes before all have read */
    }
}

static size_t send_bytes(const queued *q) {
    return q->wish.count * size_of((ncclDataType_t)q->wish.type) *
           (q->wish.operation == REDUCE_SCATTER ? (size_t)q->comm->n_ranks : 1);
}

/* 0 where this rank gets nothing. */
static size_t receive_bytes(const queued *q) {
    if (q->wish.operation == REDUCE && q->comm->rank != q->wish.root) {
        return 0;
    }
    return q->wish.count * size_of((ncclDataType_t)q->wish.type) *
           (q->wish.operation == ALL_GATHER ? (size_t)q->comm->n_ranks : 1);
}

/* Through host copies: send and receive buffer may be one. */
static void run_collective(void *data) {
    const queued *q = data;
    const char *name = NAMES[q->wish.operation];
    if (gs_comm_alive(q->comm, name) == NULL) {
        return;
    }
    if (q->comm->number != q->number) {
        GS_WRONG_CALL(name, "its communicator was destroyed before the stream came to it");
        return;
    }
    if (q->comm->failure != ncclSuccess) {
        return; /* was reported when it came about */
    }
    const size_t in = send_bytes(q), out = receive_bytes(q);
    char *send = malloc(in + 1), *receive = malloc(out + 1);
    if (send == NULL || receive == NULL) {
        gs_fatal("%s: no memory for %zu bytes", name, in + out);
    }
    const bool reads = q->wish.operation != BROADCAST || q->comm->rank == q->wish.root;
    if (reads && gs_memory_begin(q->send, in, false, true, name)) {
        memcpy(send, q->send, in);
        gs_memory_end(q->send, in);
    }
    if (agree(q)) {
        rounds(q, send, receive);
        if (out > 0 && gs_memory_begin(q->receive, out, true, false, name)) {
            memcpy(q->receive, receive, out);
            gs_memory_end(q->receive, out);
        }
    }
    free(send);
    free(receive);
}

/* The receive buffer is apart from the send buffer, or one with it in the way that the collective allows. */
static bool in_place_or_apart(const queued *q) {
    const char *send = q->send, *receive = q->receive;
    const size_t in = send_bytes(q), out = receive_bytes(q), rank = (size_t)q->comm->rank;
    if (in == 0 || out == 0 || send + in <= receive || receive + out <= send) {
        return true;
    }
    return q->wish.operation == ALL_GATHER       ? send == receive + rank * in
           : q->wish.operation == REDUCE_SCATTER ? receive == send + rank * out
                                                 : send == receive;
}

static bool check(const queued *q) {
    const char *name = NAMES[q->wish.operation];
    if (q->wish.root < 0 || q->wish.root >= q->comm->n_ranks) {
        GS_WRONG_CALL(name, "root %d of %d ranks", q->wish.root, q->comm->n_ranks);
        return false;
    }
    if (q->wish.reduction < ncclSum || q->wish.reduction > ncclAvg || q->wish.type < 0 ||
        q->wish.type >= ncclNumTypes) {
        GS_WRONG_CALL(name, "reduction %d of type %d: no such", q->wish.reduction, q->wish.type);
        return false;
    }
    if (q->wish.reduction == ncclAvg && q->wish.type != ncclFloat32 && q->wish.type != ncclFloat64) {
        gs_fatal("%s: an average of whole numbers is not simulated", name);
    }
    const size_t size = size_of((ncclDataType_t)q->wish.type);
    const bool reads = q->wish.operation != BROADCAST || q->comm->rank == q->wish.root;
    if ((reads && !gs_device_range(q->send, send_bytes(q), name, "send buffer")) ||
        !gs_device_range(q->receive, receive_bytes(q), name, "receive buffer")) {
        return false;
    }
    if ((reads && (uintptr_t)q->send % size != 0) || (receive_bytes(q) > 0 && (uintptr_t)q->receive % size != 0)) {
        GS_WRONG_CALL(name, "send buffer %p, receive buffer %p: not aligned to %zu bytes", q->send, q->receive, size);
        return false;
    }
    if (reads && !in_place_or_apart(q)) {
        GS_WRONG_CALL(name, "send and receive buffer overlap and are not in place");
        return false;
    }
    return true;
}

static ncclResult_t submit(ncclComm_t comm, gs_wish w, const void *send, void *receive, cudaStream_t stream) {
    const char *name = NAMES[w.operation];
    if (gs_call_fails(name)) {
        return ncclUnhandledCudaError;
    }
    if (gs_comm_alive(comm, name) == NULL) {
        return ncclInvalidArgument;
    }
    if (comm->failure != ncclSuccess) {
        return comm->failure;
    }
    const queued q = {comm, comm->number, w, send, receive};
    if (!check(&q)) {
        return ncclInvalidArgument;
    }
    queued numbered = q;
    numbered.wish.serial = comm->serial++;
    return gs_submit(stream, name, run_collective, &numbered, sizeof numbered, name) == cudaSuccess
               ? ncclSuccess
               : ncclUnhandledCudaError;
}

GS_EXPORT ncclResult_t ncclAllReduce(const void *send, void *receive, size_t count, ncclDataType_t type,
                                     ncclRedOp_t reduction, ncclComm_t comm, cudaStream_t stream) {
    return submit(comm, (gs_wish){0, count, ALL_REDUCE, (int)type, (int)reduction, 0}, send, receive, stream);
}

GS_EXPORT ncclResult_t ncclBroadcast(const void *send, void *receive, size_t count, ncclDataType_t type, int root,
                                     ncclComm_t comm, cudaStream_t stream) {
    return submit(comm, (gs_wish){0, count, BROADCAST, (int)type, 0, root}, send, receive, stream);
}

GS_EXPORT ncclResult_t ncclReduce(const void *send, void *receive, size_t count, ncclDataType_t type,
                                  ncclRedOp_t reduction, int root, ncclComm_t comm, cudaStream_t stream) {
    return submit(comm, (gs_wish){0, count, REDUCE, (int)type, (int)reduction, root}, send, receive, stream);
}

GS_EXPORT ncclResult_t ncclAllGather(const void *send, void *receive, size_t count, ncclDataType_t type,
                                     ncclComm_t comm, cudaStream_t stream) {
    return submit(comm, (gs_wish){0, count, ALL_GATHER, (int)type, 0, 0}, send, receive, stream);
}

GS_EXPORT ncclResult_t ncclReduceScatter(const void *send, void *receive, size_t count, ncclDataType_t type,
                                         ncclRedOp_t reduction, ncclComm_t comm, cudaStream_t stream) {
    return submit(comm, (gs_wish){0, count, REDUCE_SCATTER, (int)type, (int)reduction, 0}, send, receive, stream);
}
