#include "core_cases.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *core_a, *core_b;
enum { WORDS = 1024 };

static const char *const head =
    ".version 9.0\n.target sm_80\n.address_size 64\n"
    ".extern .shared .align 16 .b8 dynamic[];\n"
    ".visible .entry k(.param .u64 k_a, .param .u64 k_b, .param .u32 k_n)\n{\n"
    "  .reg .pred %p<10>;\n  .reg .b16 %rs<10>;\n  .reg .b32 %r<40>;\n  .reg .f32 %f<20>;\n  .reg .b64 %rd<30>;\n"
    "  .shared .align 16 .b8 s[1024];\n"
    "  ld.param.u64 %rd1, [k_a];\n  ld.param.u64 %rd2, [k_b];\n  ld.param.u32 %r1, [k_n];\n"
    "  mov.u32 %r2, %tid.x;\n  mov.u32 %r3, %ctaid.x;\n  mov.u32 %r4, %ntid.x;\n"
    "  mad.lo.s32 %r8, %r3, %r4, %r2;\n"
    "  mul.wide.u32 %rd3, %r2, 4;\n  add.s64 %rd4, %rd1, %rd3;\n  add.s64 %rd5, %rd2, %rd3;\n"
    "  mul.wide.u32 %rd3, %r8, 4;\n  add.s64 %rd6, %rd1, %rd3;\n  add.s64 %rd7, %rd2, %rd3;\n"
    "  mov.u32 %r5, s;\n  shl.b32 %r6, %r2, 2;\n  add.s32 %r7, %r5, %r6;\n";

void core_read(const void *from, uint32_t *to, size_t words) {
    assert_true(gs_memory_begin(from, 4 * words, false, true, "core_read"));
    memcpy(to, from, 4 * words);
    gs_memory_end(from, 4 * words);
}

void core_write(void *to, const uint32_t *from, size_t words) {
    assert_true(gs_memory_begin(to, 4 * words, true, false, "core_write"));
    memcpy(to, from, 4 * words);
    gs_memory_end(to, 4 * words);
}

void core_begin(void) {
    uint32_t zeros[WORDS] = {0};
    core_a = gs_memory_alloc(sizeof zeros, "a");
    core_b = gs_memory_alloc(sizeof zeros, "b");
    assert_non_null(core_a);
    assert_non_null(core_b);
    core_write(core_a, zeros, WORDS);
}

void core_end(void) {
    assert_true(gs_memory_free(core_a));
    assert_true(gs_memory_free(core_b));
}

static size_t said_so_far(void) {
    gs_said said;
    size_t n = 0;
    while (gs_get_said(n, &said)) {
        n++;
    }
    return n;
}

core_result core_run(const core_case *c, bool right) {
    char *text = malloc(65536); /* lives as long as the module                                                    */
    assert_non_null(text);
    const char *body = right ? c->right : c->wrong;
    snprintf(text, 65536, "%s%s\n  ret;\n}\n", head, body);
    gs_module *m = gs_module_parse(c->name, text);
    gs_function *f = gs_module_find(m, "k");
    assert_non_null(f);
    const uint32_t n = c->grid * c->block;
    const void *args[] = {&core_a, &core_b, &n};
    const gs_launch_config config = {.function = f,
                                     .grid = {c->grid, 1, 1},
                                     .block = {c->block, 1, 1},
                                     .dynamic_shared = c->shared,
                                     .args = args,
                                     .max_dynamic_shared = 49152};
    assert_int_equal(gs_launch_check(&config), 0);
    const size_t before = said_so_far();
    gs_launch_run(&config);
    core_result r = {0};
    gs_said said;
    for (size_t k = before; gs_get_said(k, &said); k++) {
        if (said.check != c->check) {
            r.others++;
        } else if (r.expected++ == 0 && said.instr != NULL) {
            r.at = said.instr->text;
            r.text = said.text;
        }
    }
    return r;
}

void core_check(const core_case *c) {
    core_begin();
    core_result r = core_run(c, true);
    if (r.expected + r.others != 0) {
        fail_msg("%s: the corrected kernel is reported", c->name);
    }
    core_end();
    core_begin();
    r = core_run(c, false);
    if (r.expected == 0) {
        fail_msg("%s: not reported", c->name);
    }
    if (strncmp(r.at, c->at, strlen(c->at)) != 0) {
        fail_msg("%s: reported at \"%s\", not at \"%s\"", c->name, r.at, c->at);
    }
    core_end();
}
