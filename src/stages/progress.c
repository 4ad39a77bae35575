/* Progress for people on stderr, records for programs in runs/NAME/logs/STAGE.jsonl. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "run_internal.h"

static const double TERMINAL_S = 0.1, PLAIN_S = 10.0; /* least time between two lines */

void ho_progress_end_line(ho_run *run) {
    if (run->progress.open) {
        fputc('\n', stderr);
        run->progress.open = false;
    }
}

/* "2 h 05 min", "3 min 20 s", "12 s". */
static void duration_text(double seconds, char *text, size_t size) {
    const long long s = seconds < 1e9 ? (long long)(seconds + 0.5) : 1000000000LL;
    if (s >= 3600) {
        snprintf(text, size, "%lld h %02lld min", s / 3600, s / 60 % 60);
    } else if (s >= 60) {
        snprintf(text, size, "%lld min %02lld s", s / 60, s % 60);
    } else {
        snprintf(text, size, "%lld s", s);
    }
}

static int terminal_width(void) {
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/* Rate and time left, from the part that this process did. */
static void rate_text(const ho_progress *progress, double now, int64_t done, int64_t total, const char *unit,
                      char *text, size_t size) {
    const double elapsed = now - progress->started;
    const double rate = elapsed > 0.0 ? (double)(done - progress->first) / elapsed : 0.0;
    char left[48];
    text[0] = '\0';
    if (rate <= 0.0) {
        return;
    }
    duration_text(done < total ? (double)(total - done) / rate : elapsed, left, sizeof left);
    snprintf(text, size, "  %.3g %s/s, %s%s", rate, unit, left, done < total ? " left" : "");
}

void ho_run_progress(ho_run *run, const char *stage, int64_t done, int64_t total, const char *unit, const char *format,
                     ...) {
    ho_progress *progress = &run->progress;
    const double now = ho_seconds();
    const bool terminal = isatty(STDERR_FILENO) != 0;
    if (strcmp(progress->stage, stage) != 0 || done < progress->first) {
        ho_progress_end_line(run);
        *progress = (ho_progress){.started = now, .printed = -1e30, .first = done};
        snprintf(progress->stage, sizeof progress->stage, "%s", stage);
    }
    const bool last = done >= total;
    if (!last && now - progress->printed < (terminal ? TERMINAL_S : PLAIN_S)) {
        return;
    }
    progress->printed = now;
    char text[512] = "", rate[128], line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    rate_text(progress, now, done, total, unit, rate, sizeof rate);
    snprintf(line, sizeof line, "%s: %lld/%lld %s (%.0f %%)%s%s%s", stage, (long long)done, (long long)total, unit,
             total > 0 ? floor(100.0 * (double)done / (double)total) : 100.0, rate, text[0] != '\0' ? "  " : "", text);
    if (terminal) {
        fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, line);
        progress->open = true;
        if (last) {
            ho_progress_end_line(run);
        }
    } else {
        fprintf(stderr, "%s\n", line);
    }
    fflush(stderr);
    if (last) {
        progress->stage[0] = '\0'; /* the next call begins a new measurement, also of the same stage */
    }
}

void ho_run_say(ho_run *run, const char *format, ...) {
    ho_progress_end_line(run);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
}

void ho_run_log(ho_run *run, const char *stage, ...) {
    json_t *record = json_object();
    va_list fields;
    va_start(fields, stage);
    for (const char *name = va_arg(fields, const char *); name != NULL; name = va_arg(fields, const char *)) {
        const double value = va_arg(fields, double);
        json_t *number = !isfinite(value)                                            ? json_null()
                         : value == floor(value) && fabs(value) < 9007199254740992.0 ? json_integer((json_int_t)value)
                                                                                     : json_real(value);
        json_object_set_new(record, name, number);
    }
    va_end(fields);
    char *line = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(record);
    /* A log that cannot be written must not stop the work; the stage's artefact will tell of a full disk. */
    FILE *file = line != NULL ? fopen(ho_run_path(run, "logs/%s.jsonl", stage), "a") : NULL;
    if (file != NULL) {
        fprintf(file, "%s\n", line);
        fclose(file);
    }
    free(line);
}

/* True for a whole record whose `field` is a number below `from`. */
static bool keeps(const char *line, const char *field, double from) {
    json_t *record = json_loads(line, 0, NULL);
    json_t *value = json_object_get(record, field);
    const bool kept = json_is_number(value) && json_number_value(value) < from;
    json_decref(record);
    return kept;
}

ho_status ho_run_log_restart(ho_run *run, const char *stage, const char *field, double from) {
    const char *path = ho_run_path(run, "logs/%s.jsonl", stage);
    const char *fresh = ho_run_path(run, "logs/%s.jsonl.part", stage);
    FILE *old = fopen(path, "r");
    if (old == NULL && errno == ENOENT) {
        return HO_OK;
    }
    FILE *out = old != NULL ? fopen(fresh, "w") : NULL;
    bool failed = out == NULL;
    char *line = NULL;
    size_t size = 0;
    while (!failed && getline(&line, &size, old) > 0) {
        failed = keeps(line, field, from) && fputs(line, out) < 0;
    }
    const int error = errno;
    free(line);
    if (old != NULL) {
        fclose(old);
    }
    failed = (out != NULL && fclose(out) != 0) || failed;
    if (failed || rename(fresh, path) != 0) {
        remove(fresh);
        HO_FAIL(HO_EIO, "cannot rewrite %s: %s", path, strerror(failed ? error : errno));
    }
    return HO_OK;
}
