/* The progress line of the commands that go through many images. */
#include <stdio.h>
#include <unistd.h>

#include "cli.h"

ho_progress_line ho_progress_line_begin(const char *command) {
    const double now = ho_seconds();
    return (ho_progress_line){command, now, now, isatty(2) != 0, 0};
}

bool ho_progress_line_show(void *user, int64_t done, int64_t total) {
    ho_progress_line *p = user;
    const double now = ho_seconds(), spent = now - p->start;
    const double rate = spent > 0.0 ? (double)(done - p->first) / spent : 0.0;
    if (now - p->said >= (p->terminal ? 0.2 : 10.0) || (p->terminal && done == total)) {
        fprintf(stderr, "%s%s: %lld of %lld images, %.1f a second, %.0f s left%s", p->terminal ? "\r" : "", p->command,
                (long long)done, (long long)total, rate, rate > 0.0 ? (double)(total - done) / rate : 0.0,
                p->terminal && done < total ? "   " : "\n");
        p->said = now;
    }
    return !ho_run_interrupted();
}
