/* What the files of the stand-in for NCCL share. */
#ifndef GPUSIM_NCCL_PARTS_H
#define GPUSIM_NCCL_PARTS_H

#include <nccl.h>
#include <pthread.h>

#include "runtime.h"

enum { GS_MAX_RANKS = 64, GS_CHUNK = 1 << 16 };

typedef enum { ALL_REDUCE, BROADCAST, REDUCE, ALL_GATHER, REDUCE_SCATTER } gs_collective;

/* What a rank wants to do now; all must want the same. */
typedef struct {
    uint64_t serial, count;
    int32_t operation, type, reduction, root;
} gs_wish;

/* In shared memory. */
typedef struct {
    uint32_t ready;
    int n_ranks;
    pthread_mutex_t lock;
    pthread_cond_t all_here;
    int arrived;
    uint64_t generation;
    uint64_t came[GS_MAX_RANKS];  /* the meeting, from 1, that the rank came to last */
    uint32_t taken[GS_MAX_RANKS]; /* 1: a process has this rank                      */
    gs_wish wishes[GS_MAX_RANKS];
    char mailbox[]; /* GS_MAX_RANKS * GS_CHUNK */
} gs_segment;

struct ncclComm {
    struct ncclComm *next;
    gs_segment *shared;
    size_t bytes;
    int rank, n_ranks;
    uint64_t serial, number; /* number: of all that this process made, never used again */
    ncclResult_t failure;    /* what went wrong in a stream; nothing more is done then  */
    char name[64];
};

/* The communicator if it lives; else a report and NULL. */
struct ncclComm *gs_comm_alive(ncclComm_t comm, const char *where);
/* All ranks wait here for one another; false, with a report, when one does not come in time. */
bool gs_meet(ncclComm_t comm, const char *where);

#endif
