/* What the parser and the executing functions need of the rest of the simulator, for tests of them alone. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec_stubs.h"
#include "parse.h"
#include "sim.h"

int stub_reports;
uint8_t stub_row[32][16];

void gs_fatal(const char *what, ...) {
    va_list arguments;
    va_start(arguments, what);
    vfprintf(stderr, what, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(99);
}
const char *gs_where(const gs_instr *i, char text[512]) {
    const gs_module *m = i->function->module;
    snprintf(text, 512, "%s:%d", i->file >= 0 && i->file < m->n_files ? m->file[i->file] : "unknown", i->line);
    return text;
}
void gs_report(gs_check check, gs_warp *w, const gs_instr *i, int lane, const char *what, ...) {
    (void)check;
    (void)w;
    (void)i;
    (void)lane;
    (void)what;
    stub_reports++;
}
const gs_options *gs_get_options(void) {
    static gs_options options;
    options.exact = getenv("STUB_EXACT") != NULL;
    return &options;
}
void *gs_memory_alloc(size_t bytes, const char *what) {
    (void)what;
    return calloc(1, bytes);
}
void gs_memory_keep(void *memory) {
    (void)memory;
}
bool gs_memory_begin(const void *address, size_t bytes, bool write, bool defined, const char *where) {
    (void)address;
    (void)bytes;
    (void)write;
    (void)defined;
    (void)where;
    return true;
}
void gs_memory_end(const void *address, size_t bytes) {
    (void)address;
    (void)bytes;
}
#define STUB(name)                                                                                                     \
    void name(gs_warp *w, const gs_instr *i, uint32_t lanes) {                                                         \
        (void)w;                                                                                                       \
        (void)i;                                                                                                       \
        (void)lanes;                                                                                                   \
    }
STUB(gs_load)
STUB(gs_store)
STUB(gs_atomic)
STUB(gs_cp_async)
STUB(gs_fence)
STUB(gs_cvta)
void gs_matrix_row_load(gs_warp *w, const gs_instr *i, int lane, uint64_t address, uint8_t row[16]) {
    (void)w;
    (void)i;
    (void)lane;
    memcpy(row, stub_row[address / 16 % 32], 16);
}
void gs_matrix_row_store(gs_warp *w, const gs_instr *i, int lane, uint64_t address, const uint8_t row[16]) {
    (void)w;
    (void)i;
    (void)lane;
    memcpy(stub_row[address / 16 % 32], row, 16);
}
