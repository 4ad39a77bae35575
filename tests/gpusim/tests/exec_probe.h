/* What the tests of single instructions share: a function with one instruction, a warp and its registers. */
#ifndef GPUSIM_EXEC_PROBE_H
#define GPUSIM_EXEC_PROBE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core.h"
#include "exec_stubs.h"

/* Registers of the test's function, in the order of its declarations: 32 predicates, 32 of 32, 64 and 16 bits. */
enum { R32 = 128, R64 = R32 + 32 * 128, R16 = R64 + 32 * 256, BANK = R16 + 32 * 128 };
static _Alignas(64) uint8_t bank[BANK], special[GS_N_SPECIALS * GS_SPECIAL_SLOT];
static uint32_t undefined[BANK / 4];
static gs_warp warp;

static inline const gs_instr *parsed(const char *instruction, int n) {
    static char *text; /* the module needs it as long as the process lives */
    text = malloc(strlen(instruction) + 512);
    assert_non_null(text);
    sprintf(
        text,
        ".version 9.0\n.target sm_80\n.address_size 64\n.file 1 \"kernels/probe.cu\"\n.visible .entry probe()\n{\n"
        ".reg .pred %%p<32>;\n.reg .b32 %%r<32>;\n.reg .b64 %%d<32>;\n.reg .b16 %%s<32>;\n.loc 1 77 3\n%s;\nret;\n}\n",
        instruction);
    const gs_module *m = gs_module_parse("test", text);
    assert_int_equal(m->function[0].register_bytes, BANK);
    warp = (gs_warp){.bank = {bank, m->function[0].constants, special}, .undefined = undefined, .members = UINT32_MAX};
    return &m->function[0].instr[n];
}

static inline uint32_t *r32(int n) {
    return (uint32_t *)(void *)(bank + R32 + 128 * n);
}
static inline uint64_t *r64(int n) {
    return (uint64_t *)(void *)(bank + R64 + 256 * n);
}
static inline uint32_t *r16(int n) {
    return (uint32_t *)(void *)(bank + R16 + 128 * n);
}
static inline uint32_t *pred(int n) {
    return (uint32_t *)(void *)(bank + 4 * n);
}

static inline void fill(const uint64_t source[3]) {
    memset(bank, 0, sizeof bank);
    for (int k = 0; k < 3; k++) {
        *pred(k + 1) = source[k] & 1 ? UINT32_MAX : 0;
        for (int l = 0; l < 32; l++) {
            r32(k + 1)[l] = (uint32_t)source[k];
            r64(k + 1)[l] = source[k];
            r16(k + 1)[l] = (uint16_t)source[k];
        }
    }
}

#endif
