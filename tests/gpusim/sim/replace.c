/* ptx=FILE: another text for one module, so that a changed kernel runs without being compiled into the program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "sim.h"

static const char first_line[] = "// replaces ";

/* The file's text, zero byte at its end; read once. */
static const char *file_text(const char *path) {
    static char *text;
    if (text != NULL) {
        return text;
    }
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        gs_fatal("GPUSIM: ptx=%s cannot be read", path);
    }
    const long size = ftell(f);
    rewind(f);
    text = calloc((size_t)size + 1, 1);
    if (text == NULL || fread(text, 1, (size_t)size, f) != (size_t)size) {
        gs_fatal("GPUSIM: ptx=%s cannot be read", path);
    }
    fclose(f);
    if (strncmp(text, first_line, sizeof first_line - 1) != 0) {
        gs_fatal("GPUSIM: ptx=%s does not begin with \"%sENTRY\"", path, first_line);
    }
    return text;
}

const char *gs_replacement(const char *text) {
    const char *path = gs_get_options()->ptx;
    if (path == NULL) {
        return text;
    }
    const char *other = file_text(path), *name = other + sizeof first_line - 1;
    const size_t length = strcspn(name, "\n");
    for (const char *entry = text; (entry = strstr(entry, ".entry ")) != NULL; entry++) {
        const char *found = entry + strlen(".entry ");
        if (strncmp(found, name, length) == 0 && found[length] == '(') {
            return other;
        }
    }
    return text;
}
