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

enum { READY = 0x6e63636c };

static struct ncclComm *communicators;
static uint64_t n_made;
static int group_depth;

/* The header declares these without (void). */
ncclResult_t ncclGroupStart(void); /* NOLINT(readability-redundant-declaration) */
ncclResult_t ncclGroupEnd(void);   /* NOLINT(readability-redundant-declaration) */

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

/* The ranks that are missing, as text. */
static void absent(const gs_segment *s, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int r = 0; r < s->n_ranks && used < size; ++r) {
        if (s->came[r] != s->generation + 1) {
            used += (size_t)snprintf(text + used, size - used, "%s%d", used == 0 ? "" : ", ", r);
        }
    }
}

bool gs_meet(ncclComm_t comm, const char *where) {
    gs_segment *s = comm->shared;
    char missing[300];
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += gs_get_options()->wait;
    pthread_mutex_lock(&s->lock);
    const uint64_t generation = s->generation;
    int result = 0;
    s->came[comm->rank] = generation + 1;
    if (++s->arrived == s->n_ranks) {
        s->arrived = 0;
        ++s->generation;
        pthread_cond_broadcast(&s->all_here);
    }
    while (s->generation == generation && result == 0) {
        result = pthread_cond_timedwait(&s->all_here, &s->lock, &limit);
    }
    const bool met = s->generation != generation;
    if (!met) {
        --s->arrived;
        absent(s, missing, sizeof missing);
    }
    pthread_mutex_unlock(&s->lock);
    if (!met) {
        GS_WRONG_CALL(where, "rank %d of %d waited %d seconds for rank %s", comm->rank, comm->n_ranks,
                      gs_get_options()->wait, missing[0] != '\0' ? missing : "(all have come, and some have left)");
    }
    return met;
}

struct ncclComm *gs_comm_alive(ncclComm_t comm, const char *where) {
    for (struct ncclComm *c = communicators; c != NULL; c = c->next) {
        if (c == comm) {
            return c;
        }
    }
    GS_WRONG_CALL(where, "%p is no communicator, or one that was destroyed", (void *)comm);
    return NULL;
}

/* ---- communicators ----------------------------------------------------------------------------------------- */

/* NULL: said why not. */
static gs_segment *map_segment(const char *name, size_t bytes, const char *where) {
    const int file = shm_open(name, O_CREAT | O_RDWR, 0600);
    gs_segment *s = MAP_FAILED;
    if (file >= 0 && ftruncate(file, (off_t)bytes) == 0) {
        s = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (s == MAP_FAILED) {
        GS_WRONG_CALL(where, "shared memory %s: %s", name, strerror(errno));
    }
    if (file >= 0) {
        close(file);
    }
    return s == MAP_FAILED ? NULL : s;
}

/* True once rank 0 has prepared the segment. */
static bool prepared(ncclComm_t comm, const char *where) {
    gs_segment *s = comm->shared;
    if (comm->rank == 0 && __atomic_load_n(&s->ready, __ATOMIC_ACQUIRE) != READY) {
        initialise(s, comm->n_ranks);
    }
    const int limit = gs_get_options()->wait;
    for (int i = 0; i < limit * 1000 && __atomic_load_n(&s->ready, __ATOMIC_ACQUIRE) != READY; ++i) {
        usleep(1000);
    }
    if (__atomic_load_n(&s->ready, __ATOMIC_ACQUIRE) != READY) {
        GS_WRONG_CALL(where, "rank %d of %d waited %d seconds for rank 0", comm->rank, comm->n_ranks, limit);
        return false;
    }
    return true;
}

/* The rank does not belong to those who meet in the segment. */
static bool refused(ncclComm_t comm, const char *where) {
    gs_segment *s = comm->shared;
    if (s->n_ranks != comm->n_ranks) {
        GS_WRONG_CALL(where, "rank %d says %d ranks, rank 0 said %d", comm->rank, comm->n_ranks, s->n_ranks);
        return true;
    }
    if (__atomic_exchange_n(&s->taken[comm->rank], 1, __ATOMIC_ACQ_REL) != 0) {
        GS_WRONG_CALL(where, "rank %d of %d is another process already", comm->rank, comm->n_ranks);
        return true;
    }
    return false;
}

GS_EXPORT ncclResult_t ncclCommInitRank(ncclComm_t *comm, int n_ranks, ncclUniqueId id, int rank) {
    static const char NAME[] = "ncclCommInitRank";
    if (gs_call_fails(NAME)) {
        return ncclSystemError;
    }
    if (comm == NULL || n_ranks < 1 || n_ranks > GS_MAX_RANKS || rank < 0 || rank >= n_ranks) {
        GS_WRONG_CALL(NAME, comm == NULL ? "nowhere to put the communicator" : "rank %d of %d", rank, n_ranks);
        return ncclInvalidArgument;
    }
    *comm = NULL;
    if (gs_capture_forbids(NAME)) { /* it allocates device memory */
        return ncclUnhandledCudaError;
    }
    struct ncclComm *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return ncclSystemError;
    }
    snprintf(made->name, sizeof made->name, "%.60s", id.internal);
    made->bytes =
        sizeof(gs_segment) + (size_t)GS_MAX_RANKS * GS_CHUNK; /* the same whatever a rank thinks their number is */
    made->rank = rank;
    made->n_ranks = n_ranks;
    made->shared = map_segment(made->name, made->bytes, NAME);
    bool joined = false, over = true;
    if (made->shared != NULL && prepared(made, NAME)) {
        over = !refused(made, NAME);
        joined = over && gs_meet(made, NAME);
    }
    if (over) { /* all that belong here have the segment, or have not come in time */
        (void)shm_unlink(made->name);
    }
    if (!joined) {
        if (made->shared != NULL) {
            munmap(made->shared, made->bytes);
        }
        free(made);
        return ncclSystemError;
    }
    made->number = ++n_made;
    made->next = communicators;
    communicators = made;
    gs_live("NCCL communicators", 1);
    *comm = made;
    return ncclSuccess;
}

static ncclResult_t end(ncclComm_t comm, const char *where) {
    if (gs_comm_alive(comm, where) == NULL) {
        return ncclInvalidArgument;
    }
    struct ncclComm **link = &communicators;
    while (*link != comm) {
        link = &(*link)->next;
    }
    *link = comm->next;
    munmap(comm->shared, comm->bytes);
    free(comm);
    gs_live("NCCL communicators", -1);
    return ncclSuccess;
}

GS_EXPORT ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    return end(comm, "ncclCommDestroy");
}
GS_EXPORT ncclResult_t ncclCommAbort(ncclComm_t comm) {
    return end(comm, "ncclCommAbort");
}
GS_EXPORT ncclResult_t ncclCommCount(const ncclComm_t comm, int *count) {
    if (gs_comm_alive(comm, "ncclCommCount") == NULL) {
        return ncclInvalidArgument;
    }
    *count = comm->n_ranks;
    return ncclSuccess;
}
GS_EXPORT ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank) {
    if (gs_comm_alive(comm, "ncclCommUserRank") == NULL) {
        return ncclInvalidArgument;
    }
    *rank = comm->rank;
    return ncclSuccess;
}
/* What a collective that is done in a stream could not return. */
GS_EXPORT ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    if (gs_comm_alive(comm, "ncclCommGetAsyncError") == NULL) {
        return ncclInvalidArgument;
    }
    *error = comm->failure;
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
    ++group_depth;
    return ncclSuccess;
}
GS_EXPORT ncclResult_t ncclGroupEnd(void) {
    if (group_depth == 0) {
        GS_WRONG_CALL("ncclGroupEnd", "no group was started");
        return ncclInvalidUsage;
    }
    --group_depth;
    return ncclSuccess;
}
