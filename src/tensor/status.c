#include "handsoff/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 2048, SOURCE_SIZE = 256 };

/* Per thread: two threads that fail at once (a writer and the training loop) keep their own texts. */
static _Thread_local char error_text[TEXT_SIZE];
static _Thread_local char error_source[SOURCE_SIZE];

/* Marks a text that did not fit, so that nobody takes the rest for the whole. */
static void mark_cut(int wanted) {
    if (wanted >= TEXT_SIZE) {
        memcpy(error_text + TEXT_SIZE - 4, "...", 4);
    }
}

/* In brackets: for the analyzer a macro has the name (mk/lint.h). */
ho_status(ho_fail)(ho_status code, const char *source, int line, const char *format, ...) {
    /* Formatted aside first: an argument may be ho_error() itself. */
    char text[TEXT_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    const int wanted = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(error_text, text, sizeof error_text);
    mark_cut(wanted);
    snprintf(error_source, sizeof error_source, "%s:%d", source, line);
    return code;
}

ho_status ho_fail_context(ho_status code, const char *format, ...) {
    char text[TEXT_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char joined[2 * TEXT_SIZE + 4];
    const int wanted = snprintf(joined, sizeof joined, "%s: %s", text, error_text);
    memcpy(error_text, joined, TEXT_SIZE);
    error_text[TEXT_SIZE - 1] = '\0';
    mark_cut(wanted);
    return code;
}

const char *ho_error(void) {
    return error_text;
}

const char *ho_error_source(void) {
    return error_source;
}
