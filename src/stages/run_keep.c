/* What keeps a run's files from being written over: a lock on its folder, and a place for what a stage made earlier. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run_internal.h"

/* "process 123 on HOST", as the process that has the lock wrote it. */
static void read_holder(int lock, char *text, size_t size) {
    const ssize_t n = pread(lock, text, size - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (text[0] == '\0') {
        snprintf(text, size, "another process");
    }
}

/* For people alone: a disk too full for it does not matter. */
static void write_holder(int lock) {
    char host[65] = "", text[128];
    (void)gethostname(host, sizeof host - 1);
    const int n = snprintf(text, sizeof text, "process %ld on %s\n", (long)getpid(), host);
    if (ftruncate(lock, 0) == 0) {
        (void)!pwrite(lock, text, (size_t)n, 0);
    }
}

/* The file stays when the lock goes: were it removed, two processes could lock two files of its name. */
ho_status ho_run_lock(ho_run *run) {
    char path[HO_PATH_SIZE + 8], holder[128];
    snprintf(path, sizeof path, "%s/.lock", run->dir);
    run->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (run->lock < 0) {
        HO_FAIL(HO_EIO, "cannot open %s: %s", path, strerror(errno));
    }
    if (flock(run->lock, LOCK_EX | LOCK_NB) == 0) {
        write_holder(run->lock);
        return HO_OK;
    }
    const int error = errno;
    if (error == EWOULDBLOCK) {
        read_holder(run->lock, holder, sizeof holder);
    }
    (void)close(run->lock);
    run->lock = -1;
    if (error == EWOULDBLOCK) {
        HO_FAIL(HO_EIO, "run folder %s is in use by %s: wait until it ends, or give this run another name", run->dir,
                holder);
    }
    ho_run_say(run, "%s cannot be locked (%s): take care that no other process works in this folder", path,
               strerror(error));
    return HO_OK;
}

/* Makes the first old/STAGE-N that does not exist. */
static ho_status new_folder(ho_run *run, const char *stage, const char **folder) {
    for (int number = 1;; ++number) {
        *folder = ho_run_path(run, "old/%s-%d", stage, number);
        if (mkdir(*folder, 0777) == 0) {
            return HO_OK;
        }
        if (errno != EEXIST) {
            HO_FAIL(HO_EIO, "cannot make folder %s: %s", *folder, strerror(errno));
        }
    }
}

ho_status ho_run_set_aside(ho_run *run, const char *stage, int n, const char *const *names, const char **folder) {
    HO_TRY(new_folder(run, stage, folder));
    for (int i = 0; i < n; ++i) {
        char to[HO_PATH_SIZE + 80];
        const char *from = ho_run_path(run, "%s", names[i]), *slash = strrchr(from, '/');
        snprintf(to, sizeof to, "%.4000s%.90s", *folder, slash);
        if (rename(from, to) != 0 && errno != ENOENT) {
            HO_FAIL(HO_EIO, "cannot move %s to %s: %s", from, *folder, strerror(errno));
        }
    }
    return HO_OK;
}
