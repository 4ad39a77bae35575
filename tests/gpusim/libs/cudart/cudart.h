/* What the files of the stand-in for cudart share. */
#ifndef GPUSIM_CUDART_H
#define GPUSIM_CUDART_H

#include <pthread.h>

#include "runtime.h"

/* Ends a call: keeps its result for cudaGetLastError. */
cudaError_t gs_result(cudaError_t result);

/* The lock of all libraries; calls of host functions run without it. */
void gs_lock(void);
void gs_unlock(void);

/* One entry of a queue or node of a graph. */
typedef struct gs_work gs_work;
struct gs_work {
    gs_work *next;
    gs_work_run run;
    void *data;
    size_t size;
    const void *shape;
    const char *where;
    struct CUevent_st *event; /* recorded here, or waited for: `run` is NULL                                        */
    uint64_t wanted;          /* waits: for this recording of the event                                            */
    bool waits;
};
gs_work *gs_work_new(const char *where, gs_work_run run, const void *data, size_t size, const void *shape);
void gs_work_free(gs_work *list);

struct CUstream_st {
    struct CUstream_st *next; /* all streams                                                                       */
    gs_work *first, **last;
    bool running;
    struct CUgraph_st *capture; /* not NULL: work goes here                                                          */
    enum cudaStreamCaptureMode mode;
    unsigned flags;
};

struct CUevent_st {
    struct CUevent_st *next;
    uint64_t recorded, done;    /* numbers of the last recording asked for and of the last that was reached          */
    struct CUstream_st *stream; /* of the last recording                                                             */
    double time;
    unsigned flags;
};

struct CUgraph_st {
    struct CUgraph_st *next;
    gs_work *first, **last;
    int n_nodes;
};

struct CUgraphExec_st {
    struct CUgraphExec_st *next;
    gs_work *first;
    int n_nodes;
};

/* streams.c */
struct CUstream_st *gs_stream_of(cudaStream_t stream, const char *where); /* NULL: dead, and said so                  */
void gs_stream_finish(struct CUstream_st *stream);                        /* runs all that it waits for               */
void gs_stream_finish_all(void);
void gs_stream_append(struct CUstream_st *stream, gs_work *work);
/* Runs what must be run until the event's recording has come about, and, but in random order, no more. */
void gs_event_reach(struct CUevent_st *event, uint64_t recording);

/* kernels.c */
const void *gs_symbol_memory(const void *symbol, size_t *bytes);

#endif
