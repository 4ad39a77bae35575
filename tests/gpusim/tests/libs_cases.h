/* What the tests of the stand-in libraries share: cases in processes of their own, since a report ends a process with
 * status 86. */
#ifndef GPUSIM_LIBS_CASES_H
#define GPUSIM_LIBS_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <cuda_runtime_api.h>

/* Ends the child with status 1 and a line that says which expression was false. */
#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "MUST %s:%d: %s\n", __FILE__, __LINE__, #condition);                                       \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

/* Runs `body` in a child with GPUSIM=options; its stderr comes back in text. Returns the exit status, or 1000 + signal.
 */
static inline int in_child(const char *options, void (*body)(void), char *text, size_t size) {
    int ends[2];
    if (pipe(ends) != 0) {
        return -1;
    }
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        setenv("GPUSIM", options, 1);
        body();
        exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t n;
    while (used + 1 < size && (n = read(ends[0], text + used, size - 1 - used)) > 0) {
        used += (size_t)n;
    }
    text[used] = '\0';
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* The body passes and nothing is reported. */
static inline void expect_right(const char *options, void (*body)(void)) {
    char text[8192];
    const int status = in_child(options, body, text, sizeof text);
    if (status != 0 || strstr(text, " 0 reports") == NULL) {
        fail_msg("%s: status %d: %s", options, status, text);
    }
}

/* Exactly one report, which says `want`. */
static inline void expect_report(void (*body)(void), const char *want) {
    char text[8192];
    const int status = in_child("order=forward", body, text, sizeof text);
    if (status != 86 || strstr(text, want) == NULL || strstr(text, " 1 reports") == NULL) {
        fail_msg("wanted one report with '%s', status 86; status %d: %s", want, status, text);
    }
}

#endif
