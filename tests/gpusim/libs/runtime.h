/* What the stand-in libraries share: the lock, counted and injected calls, streams as queues of work. */
#ifndef GPUSIM_RUNTIME_H
#define GPUSIM_RUNTIME_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>

#include "sim.h"

#define GS_EXPORT __attribute__((visibility("default")))

/* Every call of a library begins here: counts it, and tells whether it is the one that GPUSIM=fail=NAME:N wants to
 * fail. */
GS_EXPORT bool gs_call_fails(const char *name);
/* Number of calls of each name so far, for the report: index 0, 1, ... until NULL. */
GS_EXPORT const char *gs_call_count(int index, unsigned long *count);

/* A wrong call: one line on stderr and in the report, as everything that the simulator finds. */
#define GS_WRONG_CALL(...) gs_report_host(GS_BAD_CALL, __VA_ARGS__)

/* Queues work on a stream, or adds it to the graph that captures the stream: `run` gets a copy of `data` later, when
 * something waits for the stream. `shape` tells kinds of work apart that cannot take each other's place when a graph is
 * updated (a kernel's function, a library's call). */
typedef void (*gs_work_run)(void *data);
GS_EXPORT cudaError_t gs_submit(cudaStream_t stream, const char *where, gs_work_run run, const void *data, size_t size,
                                const void *shape);
/* True when the handle is a stream that lives (or 0, the default stream); else says so and returns false. */
GS_EXPORT bool gs_stream_alive(cudaStream_t stream, const char *where);
GS_EXPORT bool gs_stream_capturing(cudaStream_t stream);
/* An operation that waits for the device, allocates or frees is not allowed while a stream is captured, but in relaxed
 * mode: true then, and said so. */
GS_EXPORT bool gs_capture_forbids(const char *where);
/* `bytes` from `address` are live device memory; else says so, naming `what`. */
GS_EXPORT bool gs_device_range(const void *address, size_t bytes, const char *where, const char *what);
/* Something that must be destroyed before the program ends: counted by kind, said in the final report. */
GS_EXPORT void gs_live(const char *kind, int change);

#endif
