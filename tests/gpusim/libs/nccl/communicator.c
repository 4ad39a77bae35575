/* NCCL for several processes on one machine: the unique id names a segment of shared memory, where the ranks meet. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "nccl_parts.h"

enum { SECONDS = 60, READY = 0x6e63636c };

/* The header declares these without (void). */
ncclResult_t ncclGroupStart(void);
ncclResult_t ncclGroupEnd(void);

/* ---- the segment -------------------------------------------------------------------------------------------- */

GS_EXPORT ncclResult_t ncclGetVersion(int *version) {
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}

GS_EXPORT ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    struct timespec now;
    if (gs_call_fails("ncclGetUniqueId")) {
        return ncclSystemError;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "/gpusim-%d-%llx", (int)getpid(),
             (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec);
    return ncclSuccess;
}

static void initialise(gs_segment *s, int n_ranks) {
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&s->lock, &mutex);
    pthread_condattr_init(&condition);
    pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&s->all_here, &condition);
    s->n_ranks = n_ranks;
    __atomic_store_n(&s->ready, READY, __ATOMIC_RELEASE);
}

bool gs_meet(ncclComm_t comm, const char *where) {
    gs_segment *s = comm->shared;
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += SECONDS;
    pthread_mutex_lock(&s->lock);
    const uint64_t generation = s->generation;
    int result = 0;
    if (++s->arrived == s->n_ranks) {
        s->arrived = 0;
        ++s->generation;
        pthread_cond_broadcast(&s->all_here);
    }
    while (s->generation == generation && result == 0) {
        result = pthread_cond_timedwait(&s->all_here, &s->lock, &limit);
    }
    if (result != 0) {
        --s->arrived;
    }
    const int missing = s->n_ranks - s->arrived - 1;
    pthread_mutex_unlock(&s->lock);
    if (result != 0) {
        GS_WRONG_CALL(where, "rank %d of %d: %d of the others did not come within %d seconds", comm->rank,
                      comm->n_ranks, missing, SECONDS);
    }
    return result == 0;
}

GS_EXPORT ncclResult_t ncclCommInitRank(ncclComm_t *comm, int n_ranks, ncclUniqueId id, int rank) {
    static const char NAME[] = "ncclCommInitRank";
    if (gs_call_fails(NAME)) {
        return ncclSystemError;
    }
    if (n_ranks < 1 || n_ranks > GS_MAX_RANKS || rank < 0 || rank >= n_ranks) {
        GS_WRONG_CALL(NAME, "rank %d of %d", rank, n_ranks);
        return ncclInvalidArgument;
    }
    struct ncclComm *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return ncclSystemError;
    }
    snprintf(made->name, sizeof made->name, "%.60s", id.internal);
    made->bytes = sizeof(gs_segment) + (size_t)n_ranks * GS_CHUNK;
    const int file = shm_open(made->name, O_CREAT | O_RDWR, 0600);
    gs_segment *s = MAP_FAILED;
    if (file >= 0 && ftruncate(file, (off_t)made->bytes) == 0) {
        s = mmap(NULL, made->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (file >= 0) {
        close(file);
    }
    if (s == MAP_FAILED) {
        GS_WRONG_CALL(NAME, "shared memory %s: %s", made->name, strerror(errno));
        free(made);
        return ncclSystemError;
    }
    made->shared = s;
    made->rank = rank;
    made->n_ranks = n_ranks;
    if (rank == 0) {
        initialise(s, n_ranks);
    }
    for (int i = 0; i < SECONDS * 1000 && __atomic_load_n(&s->ready, __ATOMIC_ACQUIRE) != READY; ++i) {
        usleep(1000);
    }
    gs_live("NCCL communicators", 1);
    *comm = made;
    return s->ready == READY && gs_meet(made, NAME) ? ncclSuccess : ncclSystemError;
}

static ncclResult_t end(ncclComm_t comm) {
    if (comm->rank == 0) {
        (void)shm_unlink(comm->name);
    }
    munmap(comm->shared, comm->bytes);
    free(comm);
    gs_live("NCCL communicators", -1);
    return ncclSuccess;
}

GS_EXPORT ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    return end(comm);
}
GS_EXPORT ncclResult_t ncclCommAbort(ncclComm_t comm) {
    return end(comm);
}
GS_EXPORT ncclResult_t ncclCommCount(const ncclComm_t comm, int *count) {
    *count = comm->n_ranks;
    return ncclSuccess;
}
GS_EXPORT ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank) {
    *rank = comm->rank;
    return ncclSuccess;
}
GS_EXPORT ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    (void)comm;
    *error = ncclSuccess;
    return ncclSuccess;
}

GS_EXPORT const char *ncclGetErrorString(ncclResult_t result) {
    static const char *const TEXTS[] = {"no error",
                                        "unhandled cuda error",
                                        "unhandled system error",
                                        "internal error",
                                        "invalid argument",
                                        "invalid usage",
                                        "remote process exited or there was a network error"};
    return (size_t)result < sizeof TEXTS / sizeof TEXTS[0] ? TEXTS[result] : "unknown result code";
}

/* Work is queued on streams and meets there: a group needs nothing more. */
GS_EXPORT ncclResult_t ncclGroupStart(void) {
    return ncclSuccess;
}
GS_EXPORT ncclResult_t ncclGroupEnd(void) {
    return ncclSuccess;
}
