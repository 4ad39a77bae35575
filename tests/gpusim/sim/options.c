/* Options: GPUSIM=key=value,key=value in the environment. */
#include "engine.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static gs_options options;

typedef enum { IS_ORDER, IS_BOOL, IS_INT, IS_U64, IS_I64, IS_TEXT, IS_FAIL, IS_STREAMS } kind;

static const struct {
    const char *key;
    kind kind;
    void *value;
    int64_t low, high;
} keys[] = {
    {"order", IS_ORDER, &options.order, 0, 0},
    {"seed", IS_U64, &options.seed, 0, 0},
    {"preempt", IS_BOOL, &options.preempt, 0, 1},
    {"threads", IS_INT, &options.threads, 1, 64},
    {"edge_blocks", IS_INT, &options.edge_blocks, 0, 1 << 30},
    {"block", IS_INT, &options.block_width, 0, 1024},
    {"grid", IS_INT, &options.grid_blocks, 0, 1 << 30},
    {"more_blocks", IS_INT, &options.more_blocks, 0, 1 << 20},
    {"slice", IS_I64, &options.slice, 1, INT64_C(1) << 40},
    {"arch", IS_INT, &options.architecture, 80, 120},
    {"memory", IS_I64, &options.memory, 1, INT64_C(1) << 20},
    {"ptx", IS_TEXT, &options.ptx, 0, 0},
    {"report", IS_TEXT, &options.report, 0, 0},
    {"stop", IS_BOOL, &options.stop, 0, 1},
    {"exact", IS_BOOL, &options.exact, 0, 1},
    {"fail", IS_FAIL, NULL, 0, 0},
    {"streams", IS_STREAMS, &options.lazy_streams, 0, 0},
    {"protect", IS_BOOL, &options.protect, 0, 1},
    {"wait", IS_INT, &options.wait, 1, 3600},
};

static __attribute__((noreturn)) void wrong(const char *key, const char *value, const char *right) {
    gs_fatal("GPUSIM: %s=%s is not valid: %s", key, value, right);
}

static int64_t number(const char *key, const char *value, int64_t low, int64_t high) {
    char *end = NULL;
    errno = 0;
    const long long n = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != 0 || n < low || n > high) {
        char right[80];
        snprintf(right, sizeof right, "a number from %lld to %lld is expected", (long long)low, (long long)high);
        wrong(key, value, right);
    }
    return n;
}

static void set_order(const char *key, const char *value) {
    static const char *const names[] = {"forward", "reverse", "random"};
    for (int n = 0; n < 3; n++) {
        if (strcmp(value, names[n]) == 0) {
            options.order = (gs_order)n;
            return;
        }
    }
    wrong(key, value, "forward, reverse or random");
}

/* NAME:N */
static void set_fail(const char *key, const char *value) {
    const char *colon = strchr(value, ':');
    if (colon == NULL || colon == value || (size_t)(colon - value) >= sizeof options.fail_call) {
        wrong(key, value, "NAME:N, the N-th call of the library function NAME");
    }
    memcpy(options.fail_call, value, (size_t)(colon - value));
    options.fail_call[colon - value] = 0;
    options.fail_at = (int)number(key, colon + 1, 1, 1 << 30);
}

static void set_key(size_t k, const char *value) {
    const char *key = keys[k].key;
    void *to = keys[k].value;
    switch (keys[k].kind) {
    case IS_ORDER:
        set_order(key, value);
        break;
    case IS_BOOL:
        *(bool *)to = number(key, value, 0, 1) != 0;
        break;
    case IS_INT:
        *(int *)to = (int)number(key, value, keys[k].low, keys[k].high);
        break;
    case IS_I64:
        *(int64_t *)to = number(key, value, keys[k].low, keys[k].high);
        break;
    case IS_U64:
        *(uint64_t *)to = (uint64_t)number(key, value, 0, INT64_MAX);
        break;
    case IS_TEXT:
        *(const char **)to = strdup(value);
        break;
    case IS_FAIL:
        set_fail(key, value);
        break;
    case IS_STREAMS:
        if (strcmp(value, "lazy") != 0 && strcmp(value, "eager") != 0) {
            wrong(key, value, "lazy or eager");
        }
        *(bool *)to = strcmp(value, "lazy") == 0;
        break;
    }
}

static void set_pair(char *pair) {
    char *value = strchr(pair, '=');
    if (value == NULL) {
        gs_fatal("GPUSIM: \"%s\" is not of the form key=value", pair);
    }
    *value++ = 0;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        if (strcmp(pair, keys[k].key) == 0) {
            set_key(k, value);
            return;
        }
    }
    gs_fatal("GPUSIM: there is no option \"%s\"", pair);
}

/* %p in the name of the report file is the process id: several processes, several files. */
static void expand_report(void) {
    const char *p = options.report != NULL ? strstr(options.report, "%p") : NULL;
    if (p != NULL) {
        char name[4096];
        snprintf(name, sizeof name, "%.*s%d%s", (int)(p - options.report), options.report, (int)getpid(), p + 2);
        options.report = strdup(name);
    }
}

static void read_options(void) {
    options = (gs_options){.order = GS_FORWARD,
                           .seed = 1,
                           .preempt = true,
                           .threads = 2,
                           .slice = 50,
                           .architecture = 80,
                           .memory = 16384,
                           .lazy_streams = true,
                           .protect = true,
                           .wait = 60};
    const char *text = getenv("GPUSIM");
    if (text != NULL) {
        char *copy = strdup(text), *rest = copy;
        for (char *pair; (pair = strsep(&rest, ",")) != NULL;) {
            if (*pair != 0) {
                set_pair(pair);
            }
        }
        free(copy);
    }
    if (options.architecture != 80 && options.architecture != 90 && options.architecture != 100 &&
        options.architecture != 120) {
        gs_fatal("GPUSIM: arch=%d is not simulated: 80, 90, 100 or 120", options.architecture);
    }
    if (options.block_width % GS_LANES != 0) {
        gs_fatal("GPUSIM: block=%d is not a multiple of 32", options.block_width);
    }
    expand_report();
}

const gs_options *gs_get_options(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_options);
    return &options;
}
