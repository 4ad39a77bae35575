/* Inside of run.h: what a ho_run holds. */
#ifndef HANDSOFF_RUN_INTERNAL_H
#define HANDSOFF_RUN_INTERNAL_H

#include <stdio.h>
#include <time.h>

#include "handsoff/run.h"

enum { HO_PATH_SIZE = 4096, HO_N_PATHS = 16 };

/* The digest of a file as it was when it had this size and time. */
typedef struct {
    char *path;
    int64_t size, mtime_ns, inode;
    char hex[65];
} ho_digest;

/* What the last call of ho_run_progress said. */
typedef struct {
    char stage[64];
    double started, printed; /* seconds; printed is below 0 before the first line */
    int64_t first;           /* `done` at the first call: a resumed stage does not count it as its own speed */
    bool open;               /* the terminal's line is not ended yet */
} ho_progress;

struct ho_run {
    ho_config *config; /* the caller's */
    char dir[HO_PATH_SIZE];
    int lock; /* open file dir/.lock, which is locked while the run is open; -1: this file system has no locks */
    ho_device *device;
    bool inspecting; /* ho_run_inspect: nothing is made */
    char path[HO_N_PATHS][HO_PATH_SIZE];
    int next_path;
    char why[2048];
    char missing[2048]; /* the message about an input that ho_run_is_current did not find, or "" */
    ho_digest *digest;
    int n_digests;
    ho_progress progress;
};

/* Locks the run's folder for this process, until run->lock is closed or the process ends, however it ends. HO_EIO that
 * names the process that has it. */
ho_status ho_run_lock(ho_run *run);
/* One of the rotating buffers behind ho_run_path. */
char *ho_run_buffer(ho_run *run);
/* Creates the folders that `path` lies in, or with `whole` the folder `path` itself. */
ho_status ho_make_folders(const char *path, bool whole);
/* SHA-256 of a file, or of the sorted names and digests in a folder and its sub-folders. Remembers files by size and
 * time. */
ho_status ho_run_digest(ho_run *run, const char *path, char hex[65]);
void ho_run_forget_digests(ho_run *run);
/* The message "PATH is missing: run STAGE first" for a file of the run, "PATH is missing" for another. */
void ho_run_missing_text(const ho_run *run, const char *path, char *text, size_t size);
/* metrics.json can be read and changed: asked before hours of work. */
ho_status ho_metrics_check(ho_run *run);
/* Ends an unfinished progress line on the terminal. */
void ho_progress_end_line(ho_run *run);

#endif
