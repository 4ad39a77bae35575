/* The parser: declarations, initial values, addresses, calls, layouts. The PTX of all our kernels is read where they
 * run: tests/cli/test_optable.sh, tests/cli/test_gpusim_demo.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core.h"

static const char text[] =
    ".version 9.0\n.target sm_80\n.address_size 64\n"
    ".global .align 8 .b8 bytes[8] = {1, 2, 255};\n"
    ".visible .const .align 4 .f32 numbers[3] = {0f3F800000, 2.5};\n"
    ".global .align 8 .u64 places[2] = {generic(bytes), numbers+4};\n"
    ".shared .align 4 .b8 first[40];\n"
    ".shared .align 16 .b8 second[32];\n"
    ".extern .shared .align 16 .b8 dynamic[];\n"
    ".func (.param .b32 back) twice (.param .b32 a, .param .align 8 .b8 s[24]);\n"
    ".visible .entry one(\n\t.param .u64 one_0,\n\t.param .align 8 .b8 one_1[20],\n\t.param .u8 one_2\n)\n"
    ".maxntid 128, 2\n.minnctapersm 3\n{\n"
    ".reg .pred %p<3>;\n.reg.b32 %r<9>;\n.reg .b64 %rd<5>;\n"
    ".local .align 16 .b8 depot[48];\n"
    ".loc 2 5 1\n"
    "mov.u64 %rd1, second;\n"
    "ld.param.u64 %rd2, [one_1+8]; // a comment\n"
    "@!%p1 bra $here;\n"
    "ld.shared.f32 %r1, [second+-4];\n"
    "mov.u32 %r2, dynamic; /* another\n one */\n"
    "{\n.param .b32 p0;\n.param .align 8 .b8 p1[24];\n.param .b32 r0;\n"
    "st.param.b32 [p0], %r1;\n"
    "call (r0), twice, (p0, p1);\n"
    "ld.param.b32 %r3, [r0];\n}\n"
    "$here:\n"
    ".loc 1 9 1, function_name $name, inlined_at 2 7 3\n"
    "st.local.v2.b32 [depot+8], {%r1, 7};\n"
    "mov.u64 %rd3, places;\n"
    "bar.sync 0;\n"
    "ld.global.u32 %r4, [%rd3+4];\n"
    "atom.global.cas.b32 %r5, [%rd3+4], %r4, 1;\n"
    "{ .reg .b32 t; bra L; L: mov.b32 t, 1; }\n"
    "{ .reg .b32 t; bra.uni L; mov.b32 t, 1; L: }\n"
    "ret;\n}\n"
    ".func (.param .b32 back) twice (.param .b32 a, .param .align 8 .b8 s[24])\n{\n"
    ".reg .b32 %r<3>;\nld.param.b32 %r1, [a];\nadd.s32 %r1, %r1, %r1;\nst.param.b32 [back], %r1;\nret;\n}\n"
    ".entry two() { .reg .b32 %r<2>; mov.u32 %r1, first; trap; }\n"
    ".file 2 \"kernels/some.cu\"\n.file 1 \"/usr/local/cuda/include/math.hpp\", 3, 4\n"
    ".section .debug_str\n{\n.b8 1,2\n}\n";

static gs_module *module;

static int setup(void **state) {
    (void)state;
    module = gs_module_parse("test", text);
    return 0;
}

static void test_variables(void **state) {
    (void)state;
    const gs_variable *bytes = gs_module_variable(module, "bytes"), *numbers = gs_module_variable(module, "numbers");
    const gs_variable *places = gs_module_variable(module, "places");
    assert_int_equal(bytes->size, 8);
    assert_memory_equal(bytes->memory, "\1\2\377\0\0\0\0\0", 8);
    const float expected[3] = {1.0F, 2.5F, 0.0F};
    assert_int_equal(numbers->space, GS_CONST);
    assert_memory_equal(numbers->memory, expected, sizeof expected);
    const uint64_t address[2] = {(uint64_t)(uintptr_t)bytes->memory, (uint64_t)(uintptr_t)numbers->memory + 4};
    assert_memory_equal(places->memory, address, sizeof address);
    assert_null(gs_module_variable(module, "first"));
    assert_int_equal(module->target, 80);
}

static void test_function(void **state) {
    (void)state;
    const gs_function *f = gs_module_find(module, "one");
    assert_true(f->entry && f->calls);
    assert_int_equal(f->n_params, 3);
    assert_int_equal(f->param[1].offset, 8);
    assert_int_equal(f->param[2].offset, 28);
    assert_int_equal(f->param_bytes, 29);
    assert_int_equal(f->max_threads[0], 128);
    assert_int_equal(f->max_threads[1], 2);
    assert_int_equal(f->max_threads[2], 1);
    assert_false(f->required_threads);
    assert_int_equal(f->local_bytes, 48);
    assert_int_equal(f->shared_bytes, 32); /* it names `second` only */
    assert_int_equal(f->dynamic_offset, 32);
    assert_int_equal(gs_module_find(module, "two")->shared_bytes, 40);
    assert_null(gs_module_find(module, "three"));
}

static uint64_t constant(const gs_function *f, const gs_operand *o) {
    assert_int_equal(o->bank, GS_BANK_CONST);
    if (o->size == 8) {
        return ((const uint64_t *)(const void *)(f->constants + o->offset))[31];
    }
    return ((const uint32_t *)(const void *)(f->constants + o->offset))[31];
}

static void test_instructions(void **state) {
    (void)state;
    const gs_function *f = gs_module_find(module, "one");
    const gs_instr *i = f->instr;
    assert_int_equal(constant(f, &i[0].operand[1]), 0);
    assert_string_equal(module->file[i[0].file], "kernels/some.cu");
    assert_int_equal(i[0].line, 5);
    assert_int_equal(i[1].operand[1].displacement, 16);
    assert_int_equal(i[1].space, GS_PARAM);
    assert_true(i[2].guarded && i[2].guard_negated && i[2].control == GS_BRANCH);
    assert_int_equal(i[2].guard, 4);
    assert_int_equal(i[2].operand[0].target, 8);
    assert_int_equal(i[3].operand[1].displacement, -4);
    assert_int_equal(constant(f, &i[4].operand[1]), 32);
    assert_int_equal(i[5].operand[0].displacement, GS_PARAM_FRAME);
    assert_int_equal(i[6].control, GS_CALL);
    assert_string_equal(module->function[i[6].operand[1].target].name, "twice");
    assert_int_equal(i[6].operand[2].n, 2);
    assert_int_equal(f->list[i[6].operand[2].first + 1].displacement, GS_PARAM_FRAME + 8);
    assert_int_equal(f->list[i[6].operand[0].first].displacement, GS_PARAM_FRAME + 32);
    assert_int_equal(i[8].line, 7); /* where CUDA's header was called */
    assert_int_equal(i[8].vector, 2);
    assert_int_equal(i[8].operand[0].displacement, 8);
    assert_int_equal(constant(f, &f->list[i[8].operand[1].first + 1]), 7);
    assert_int_equal(i[10].control, GS_BARRIER);
    assert_true(i[11].guards_cas);
    assert_int_equal(i[13].operand[0].target, 14);
    assert_int_equal(i[15].operand[0].target, 17);
    assert_int_equal(i[17].control, GS_EXIT);
    assert_int_equal(f->n_instrs, 19); /* with the return at the end */
    assert_string_equal(i[12].text, "atom.global.cas.b32 %r5, [%rd3+4], %r4, 1");
}

static void test_callee(void **state) {
    (void)state;
    const gs_function *f = gs_module_find(module, "twice");
    assert_false(f->entry || f->declared_only);
    assert_int_equal(f->n_results, 1);
    assert_int_equal(f->result[0].offset, 0);
    assert_int_equal(f->param[0].offset, 4);
    assert_int_equal(f->param[1].offset, 8);
    assert_int_equal(f->param[1].size, 24);
    assert_int_equal(f->frame_bytes, 32);
    assert_int_equal(f->instr[0].operand[1].displacement, GS_PARAM_FRAME + 4);
    assert_int_equal(f->instr[3].control, GS_RETURN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_function),
        cmocka_unit_test(test_instructions),
        cmocka_unit_test(test_callee),
    };
    return cmocka_run_group_tests_name("parse", tests, setup, NULL);
}
