/* Reports: one line each on stderr at once, repetitions counted; totals and everything as JSON at the end. */
#include "engine.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const check_name[GS_N_CHECKS] = {
    "out-of-bounds",     "misaligned",    "use-after-free", "uninitialised", "race",
    "divergent-barrier", "stuck-barrier", "bad-lane",       "async-copy",    "bad-launch",
    "read-only",         "device-trap",   "bad-call",       "leak"};

typedef struct {
    gs_check check;
    const gs_instr *instr; /* NULL: outside a kernel                                                              */
    char *where, *kernel, *text;
    uint64_t count;
} report;

typedef struct {
    const gs_function *function;
    uint64_t launches, blocks, instructions;
    double seconds;
} kernel_count;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static report *reports;
static size_t n_reports, report_room;
static kernel_count *kernels;
static size_t n_kernels;
static gs_totals totals;
static gs_call_lister calls;

const gs_totals *gs_get_totals(void) {
    return &totals;
}

void gs_fatal(const char *what, ...) {
    va_list list;
    va_start(list, what);
    fflush(stdout);
    fprintf(stderr, "gpusim: fatal: ");
    vfprintf(stderr, what, list);
    fprintf(stderr, "\n");
    va_end(list);
    fflush(stderr);
    _exit(99);
}

const char *gs_where(const gs_instr *i, char text[512]) {
    const gs_module *m = i->function->module;
    if (i->file >= 0 && i->file < m->n_files && m->file[i->file] != NULL) {
        snprintf(text, 512, "%s:%d", m->file[i->file], i->line);
    } else {
        snprintf(text, 512, "%s, PTX line %d", m->name != NULL ? m->name : "?", i->ptx_line);
    }
    return text;
}

/* The plain name in a mangled one: the length-prefixed part, _Z18fill_normal_kernelPfl -> fill_normal_kernel. */
static const char *plain_name(const char *name, char text[256]) {
    const char *p = name;
    if (strncmp(p, "_Z", 2) == 0) {
        p += 2;
        p += *p == 'N';
        p += *p == 'L';
        char *end = NULL;
        const long n = strtol(p, &end, 10);
        if (n > 0 && n < 255 && (size_t)n <= strlen(end)) {
            memcpy(text, end, (size_t)n);
            text[n] = 0;
            return text;
        }
    }
    snprintf(text, 256, "%s", name);
    return text;
}

/* The entry of this check at this place; NULL when it is new and has been entered. `where` is NULL or a library call.
 */
static report *find_or_enter(gs_check check, const gs_instr *i, const char *where, bool *new) {
    *new = false;
    for (size_t r = 0; r < n_reports; r++) {
        report *e = &reports[r];
        if (e->check == check && e->instr == i && (i != NULL || strcmp(e->where, where) == 0)) {
            e->count++;
            return e;
        }
    }
    if (n_reports == report_room) {
        report_room = report_room == 0 ? 64 : 2 * report_room;
        reports = realloc(reports, report_room * sizeof *reports);
    }
    *new = true;
    reports[n_reports] = (report){.check = check, .instr = i, .where = strdup(where), .count = 1};
    return &reports[n_reports++];
}

static void thread_text(const gs_warp *w, int lane, char text[128]) {
    const uint32_t *size = w->launch->block;
    const uint32_t t = (uint32_t)w->index * GS_LANES + (lane < 0 ? 0 : (uint32_t)lane);
    const int n = snprintf(text, 128, "block (%u,%u,%u) ", w->block->index[0], w->block->index[1], w->block->index[2]);
    if (lane < 0) {
        snprintf(text + n, 128 - (size_t)n, "warp %d", w->index);
    } else {
        snprintf(text + n, 128 - (size_t)n, "thread (%u,%u,%u)", t % size[0], t / size[0] % size[1],
                 t / size[0] / size[1]);
    }
}

void gs_report(gs_check check, gs_warp *w, const gs_instr *i, int lane, const char *what, ...) {
    char place[512], thread[128], name[256], text[1024];
    pthread_mutex_lock(&lock);
    totals.reports[check]++;
    bool new = false;
    report *r = find_or_enter(check, i, gs_where(i, place), &new);
    if (new) {
        va_list list;
        va_start(list, what);
        vsnprintf(text, sizeof text, what, list);
        va_end(list);
        thread_text(w, lane, thread);
        plain_name(w->launch->function->name, name);
        r->kernel = strdup(name);
        r->text = strdup(text);
        fprintf(stderr, "gpusim: %s: %s; kernel %s, launch %llu, %s, %s (PTX line %d: %s)\n", check_name[check], text,
                name, (unsigned long long)w->launch->number, thread, place, i->ptx_line, i->text);
        if (gs_get_options()->stop) {
            gs_finish();
        }
    }
    pthread_mutex_unlock(&lock);
}

void gs_report_host(gs_check check, const char *where, const char *what, ...) {
    pthread_mutex_lock(&lock);
    totals.reports[check]++;
    bool new = false;
    report *r = find_or_enter(check, NULL, where, &new);
    if (new) {
        char text[1024];
        va_list list;
        va_start(list, what);
        vsnprintf(text, sizeof text, what, list);
        va_end(list);
        r->text = strdup(text);
        fprintf(stderr, "gpusim: %s: %s; %s\n", check_name[check], text, where);
    }
    pthread_mutex_unlock(&lock);
}

bool gs_get_said(size_t n, gs_said *said) {
    if (n >= n_reports) {
        return false;
    }
    *said = (gs_said){reports[n].check, reports[n].instr, reports[n].text, reports[n].count};
    return true;
}

void gs_count_launch(const gs_function *f, uint64_t blocks, uint64_t instructions, double seconds) {
    pthread_mutex_lock(&lock);
    size_t k = 0;
    while (k < n_kernels && kernels[k].function != f) {
        k++;
    }
    if (k == n_kernels) {
        kernels = realloc(kernels, (n_kernels + 1) * sizeof *kernels);
        kernels[n_kernels++] = (kernel_count){.function = f};
    }
    kernels[k].launches++;
    kernels[k].blocks += blocks;
    kernels[k].instructions += instructions;
    kernels[k].seconds += seconds;
    totals.launches++;
    totals.blocks += blocks;
    totals.instructions += instructions;
    totals.seconds += seconds;
    pthread_mutex_unlock(&lock);
}

/* ---- the end ------------------------------------------------------------------------------------------------------
 */

static void json_text(FILE *f, const char *text) {
    fputc('"', f);
    for (const char *p = text != NULL ? text : ""; *p != 0; p++) {
        if (*p == '"' || *p == '\\') {
            fprintf(f, "\\%c", *p);
        } else if ((unsigned char)*p < 32) {
            fprintf(f, "\\u%04x", (unsigned)*p);
        } else {
            fputc(*p, f);
        }
    }
    fputc('"', f);
}

static void json_reports(FILE *f) {
    fprintf(f, "\"reports\": [");
    for (size_t n = 0; n < n_reports; n++) {
        const report *r = &reports[n];
        const gs_module *m = r->instr != NULL ? r->instr->function->module : NULL;
        const bool has_file = m != NULL && r->instr->file >= 0 && r->instr->file < m->n_files;
        fprintf(f, "%s{\"check\": \"%s\", \"kernel\": ", n > 0 ? ", " : "", check_name[r->check]);
        json_text(f, r->kernel);
        fprintf(f, ", \"file\": ");
        json_text(f, has_file ? m->file[r->instr->file] : "");
        fprintf(f, ", \"line\": %d, \"ptx_line\": %d, \"ptx\": ", has_file ? r->instr->line : 0,
                r->instr != NULL ? r->instr->ptx_line : 0);
        json_text(f, r->instr != NULL ? r->instr->text : "");
        fprintf(f, ", \"where\": ");
        json_text(f, r->where);
        fprintf(f, ", \"count\": %llu, \"text\": ", (unsigned long long)r->count);
        json_text(f, r->text);
        fprintf(f, "}");
    }
    fprintf(f, "]");
}

void gs_report_calls(gs_call_lister lister) {
    calls = lister;
}

static void json_calls(FILE *f) {
    unsigned long count = 0;
    fprintf(f, "\"calls\": {");
    for (int n = 0; calls != NULL && calls(n, &count) != NULL; n++) {
        fprintf(f, "%s\"%s\": %lu", n > 0 ? ", " : "", calls(n, &count), count);
    }
    fprintf(f, "}");
}

/* One object a process, on one line, appended: several processes may share a file. */
static void write_json(const char *path) {
    FILE *f = fopen(path, "a");
    if (f == NULL) {
        fprintf(stderr, "gpusim: the report file %s cannot be written\n", path);
        return;
    }
    static const char *const orders[] = {"forward", "reverse", "random"};
    const gs_options *o = gs_get_options();
    fprintf(f,
            "{\"pid\": %d, \"order\": \"%s\", \"seed\": %llu, \"launches\": %llu, \"blocks\": %llu, "
            "\"instructions\": %llu, \"seconds\": %.6f, \"kernels\": [",
            (int)getpid(), orders[o->order], (unsigned long long)o->seed, (unsigned long long)totals.launches,
            (unsigned long long)totals.blocks, (unsigned long long)totals.instructions, totals.seconds);
    for (size_t k = 0; k < n_kernels; k++) {
        char name[256];
        fprintf(f, "%s{\"name\": ", k > 0 ? ", " : "");
        json_text(f, plain_name(kernels[k].function->name, name));
        fprintf(f, ", \"symbol\": ");
        json_text(f, kernels[k].function->name);
        fprintf(f, ", \"launches\": %llu, \"blocks\": %llu, \"instructions\": %llu, \"seconds\": %.6f}",
                (unsigned long long)kernels[k].launches, (unsigned long long)kernels[k].blocks,
                (unsigned long long)kernels[k].instructions, kernels[k].seconds);
    }
    fprintf(f, "], ");
    json_calls(f);
    fprintf(f, ", ");
    json_reports(f);
    fprintf(f, "}\n");
    fclose(f);
}

void gs_finish(void) {
    static bool done;
    if (done) {
        return;
    }
    done = true;
    const gs_options *o = gs_get_options();
    char order[64] = "forward order";
    if (o->order == GS_REVERSE) {
        snprintf(order, sizeof order, "reverse order");
    } else if (o->order == GS_RANDOM) {
        snprintf(order, sizeof order, "random order, seed %llu", (unsigned long long)o->seed);
    }
    fflush(stdout);
    for (size_t n = 0; n < n_reports; n++) {
        if (reports[n].count > 1) {
            fprintf(stderr, "gpusim: %s at %s: %llu times\n", check_name[reports[n].check], reports[n].where,
                    (unsigned long long)reports[n].count);
        }
    }
    fprintf(stderr, "gpusim: %llu launches, %llu blocks, %llu instructions, %.2f s, %s, %zu reports\n",
            (unsigned long long)totals.launches, (unsigned long long)totals.blocks,
            (unsigned long long)totals.instructions, totals.seconds, order, n_reports);
    if (o->report != NULL) {
        write_json(o->report);
    }
    if (n_reports > 0) {
        fflush(NULL);
        _exit(86);
    }
}
