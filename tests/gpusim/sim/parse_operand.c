/* Operands: registers, immediates, special registers, addresses, vectors, labels. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* A constant's place in the bank: u64[32], then u32[32]; the decoder takes the second for 32-bit operands. */
enum { GS_CONSTANT_BYTES = 32 * 8 + 32 * 4 };

gs_symbol *gs_symbol_add(gs_parser *p, gs_symbol_kind kind, const char *name) {
    p->symbol = gs_grow(p->symbol, &p->symbol_room, p->n_symbols + 1, sizeof *p->symbol);
    gs_symbol *s = &p->symbol[p->n_symbols++];
    *s = (gs_symbol){.kind = kind, .name = name, .length = (int)strlen(name), .depth = p->depth, .count = -1};
    return s;
}

gs_symbol *gs_symbol_find(gs_parser *p, const char *name, int length) {
    for (int i = p->n_symbols - 1; i >= 0; i--) {
        gs_symbol *s = &p->symbol[i];
        if (length < s->length || strncmp(name, s->name, (size_t)s->length) != 0) {
            continue;
        }
        if (s->count < 0) {
            if (length == s->length) {
                return s;
            }
            continue;
        }
        int digits = s->length;
        while (digits < length && isdigit((unsigned char)name[digits])) {
            digits++;
        }
        if (digits == length && length > s->length && atoi(name + s->length) < s->count) {
            return s;
        }
    }
    return NULL;
}

static int register_bytes(int width) {
    return width == 1 ? 4 : width == 64 ? 256 : 128;
}

/* ---- the constant bank ----------------------------------------------------------------------------------------- */

static int new_constant(gs_parser *p, uint64_t bits) {
    gs_function *f = p->function;
    const int offset = f->constant_bytes;
    f->constants = gs_grow(f->constants, &p->constant_room, offset + GS_CONSTANT_BYTES, 1);
    f->constant_bytes += GS_CONSTANT_BYTES;
    uint64_t *wide = (uint64_t *)(void *)(f->constants + offset);
    uint32_t *narrow = (uint32_t *)(void *)(f->constants + offset + 256);
    for (int l = 0; l < GS_LANES; l++) {
        wide[l] = bits;
        narrow[l] = (uint32_t)bits;
    }
    return offset;
}

static bool is_address(const gs_parser *p, int offset) {
    for (int i = p->n_fixups - 1; i >= 0 && p->fixup[i].function == (int)(p->function - p->module->function); i--) {
        if (p->fixup[i].constant == offset) {
            return true;
        }
    }
    return false;
}

static gs_operand constant(gs_parser *p, uint64_t bits, int width) {
    const gs_function *f = p->function;
    int offset = 0;
    while (offset < f->constant_bytes &&
           (*(const uint64_t *)(const void *)(f->constants + offset) != bits || is_address(p, offset))) {
        offset += GS_CONSTANT_BYTES;
    }
    if (offset == f->constant_bytes) {
        offset = new_constant(p, bits);
    }
    return (gs_operand){
        .kind = GS_REG, .bank = GS_BANK_CONST, .size = 8, .width = (uint8_t)width, .offset = offset, .pair = -1};
}

/* ---- special registers ------------------------------------------------------------------------------------------- */

static const char *const special_name[GS_N_SPECIALS] = {
    [GS_TID_X] = "%tid.x",
    [GS_TID_Y] = "%tid.y",
    [GS_TID_Z] = "%tid.z",
    [GS_NTID_X] = "%ntid.x",
    [GS_NTID_Y] = "%ntid.y",
    [GS_NTID_Z] = "%ntid.z",
    [GS_CTAID_X] = "%ctaid.x",
    [GS_CTAID_Y] = "%ctaid.y",
    [GS_CTAID_Z] = "%ctaid.z",
    [GS_NCTAID_X] = "%nctaid.x",
    [GS_NCTAID_Y] = "%nctaid.y",
    [GS_NCTAID_Z] = "%nctaid.z",
    [GS_LANEID] = "%laneid",
    [GS_WARPID] = "%warpid",
    [GS_LANEMASK_EQ] = "%lanemask_eq",
    [GS_LANEMASK_LT] = "%lanemask_lt",
    [GS_LANEMASK_LE] = "%lanemask_le",
    [GS_LANEMASK_GT] = "%lanemask_gt",
    [GS_LANEMASK_GE] = "%lanemask_ge",
    [GS_SMID] = "%smid",
    [GS_CLOCK] = "%clock",
    [GS_DYNAMIC_SMEM_SIZE] = "%dynamic_smem_size",
    [GS_CLOCK64] = "%clock64",
    [GS_GLOBALTIMER] = "%globaltimer",
};

static bool special(const char *name, int length, gs_operand *o) {
    for (int i = 0; i < GS_N_SPECIALS; i++) {
        if ((int)strlen(special_name[i]) == length && strncmp(special_name[i], name, (size_t)length) == 0) {
            const int size = i == GS_CLOCK64 || i == GS_GLOBALTIMER ? 8 : 4;
            *o = (gs_operand){.kind = GS_REG,
                              .bank = GS_BANK_SPECIAL,
                              .size = (uint8_t)size,
                              .width = (uint8_t)(8 * size),
                              .offset = i * GS_SPECIAL_SLOT,
                              .pair = -1};
            return true;
        }
    }
    return false;
}

/* ---- words
 * ----------------------------------------------------------------------------------------------------------- */

static gs_operand register_operand(const gs_symbol *s, const char *name) {
    const int number = s->count < 0 ? 0 : atoi(name + s->length);
    return (gs_operand){.kind = GS_REG,
                        .bank = GS_BANK_WARP,
                        .size = (uint8_t)(s->width == 1    ? 0
                                          : s->width == 64 ? 8
                                                           : 4),
                        .width = (uint8_t)s->width,
                        .offset = s->base + number * register_bytes(s->width),
                        .pair = -1};
}

static void add_fixup(gs_parser *p, gs_fixup fixup) {
    p->fixup = gs_grow(p->fixup, &p->fixup_room, p->n_fixups + 1, sizeof *p->fixup);
    fixup.function = (int)(p->function - p->module->function);
    p->fixup[p->n_fixups++] = fixup;
}

static int64_t take_plus(gs_parser *p) {
    int64_t plus = 0;
    while (gs_at(p, "+") || gs_at(p, "-")) {
        if (gs_at(p, "+")) {
            gs_next(p);
        }
        plus += gs_take_integer(p);
    }
    return plus;
}

/* The address of a variable or parameter as a value. */
static gs_operand address_value(gs_parser *p, const gs_symbol *s) {
    const int64_t plus = take_plus(p);
    if (s->kind == GS_SYMBOL_PARAM) {
        return constant(p, (uint64_t)(s->base + plus), 64);
    }
    const gs_variable *v = &p->module->variable[s->base];
    if (v->space == GS_SHARED || v->space == GS_LOCAL) {
        const int offset = new_constant(p, 0);
        add_fixup(p, (gs_fixup){.variable = s->base, .constant = offset, .plus = plus});
        return (gs_operand){
            .kind = GS_REG, .bank = GS_BANK_CONST, .size = 8, .width = 64, .offset = offset, .pair = -1};
    }
    if (v->memory == NULL) {
        gs_parse_fatal(p, "variable %s is declared elsewhere only", v->name);
    }
    return constant(p, (uint64_t)(uintptr_t)v->memory + (uint64_t)plus, 64);
}

static gs_operand named_operand(gs_parser *p) {
    const char *name = p->token.begin;
    const int length = p->token.length;
    gs_operand o = {.kind = GS_SINK, .pair = -1};
    if (gs_accept(p, "_") || special(name, length, &o)) {
        if (o.kind == GS_REG) {
            gs_next(p);
        }
        return o;
    }
    if (gs_accept(p, "WARP_SZ")) {
        return constant(p, GS_LANES, 32);
    }
    const gs_symbol *s = gs_symbol_find(p, name, length);
    if (s != NULL) {
        gs_next(p);
        return s->kind == GS_SYMBOL_REGISTERS ? register_operand(s, name) : address_value(p, s);
    }
    if (name[0] == '%') {
        gs_parse_fatal(p, "no register %.*s", length, name);
    }
    for (int i = 0; i < p->module->n_functions; i++) {
        if ((int)strlen(p->module->function[i].name) == length &&
            strncmp(p->module->function[i].name, name, (size_t)length) == 0) {
            gs_next(p);
            return (gs_operand){.kind = GS_CALLEE, .target = i, .pair = -1};
        }
    }
    if (strcmp(p->instr->part[0], "bra") != 0) {
        gs_parse_fatal(p, "no register, variable or function %.*s", length, name);
    }
    p->branch = gs_grow(p->branch, &p->branch_room, p->n_branches + 1, sizeof *p->branch);
    p->branch[p->n_branches++] =
        (gs_label){.name = gs_take_word(p, "a label"), .depth = p->depth, .instr = p->function->n_instrs};
    return (gs_operand){.kind = GS_LABEL, .target = -1, .pair = -1};
}

/* ---- addresses, vectors -------------------------------------------------------------------------------------------
 */

static gs_operand address_operand(gs_parser *p) {
    gs_operand o = {.kind = GS_ADDR, .pair = -1, .offset = -1, .space = GS_GENERIC};
    if (p->token.kind == GS_TOKEN_NUMBER) {
        o.displacement = gs_take_integer(p);
        return o;
    }
    const char *name = p->token.begin;
    const gs_symbol *s = p->token.kind == GS_TOKEN_WORD ? gs_symbol_find(p, name, p->token.length) : NULL;
    if (s == NULL) {
        gs_parse_fatal(p, "no register or variable of this name for an address");
    }
    gs_next(p);
    if (s->kind == GS_SYMBOL_REGISTERS) {
        const gs_operand base = register_operand(s, name);
        if (base.width < 32) {
            gs_parse_fatal(p, "an address in a register of %d bits", base.width);
        }
        o.bank = base.bank;
        o.offset = base.offset;
        o.size = base.size;
        o.width = base.width;
        o.has_base = true;
        o.displacement = take_plus(p);
        return o;
    }
    const int64_t plus = take_plus(p);
    if (s->kind == GS_SYMBOL_PARAM) {
        o.space = GS_PARAM;
        o.displacement = s->base + plus;
        return o;
    }
    const gs_variable *v = &p->module->variable[s->base];
    o.space = v->space;
    o.displacement = plus;
    if (v->space == GS_SHARED || v->space == GS_LOCAL) {
        add_fixup(p, (gs_fixup){.variable = s->base,
                                .constant = -1,
                                .instr = p->function->n_instrs,
                                .operand = p->operand,
                                .plus = plus});
    } else if (v->memory == NULL) {
        gs_parse_fatal(p, "variable %s is declared elsewhere only", v->name);
    } else {
        o.displacement += (int64_t)(uintptr_t)v->memory;
    }
    return o;
}

/* Immediates of predicates are 0 or all lanes; but the member mask of vote.sync.any.pred is a number. */
static gs_type immediate_type(const gs_instr *i) {
    static const char *const logical[] = {"mov", "and", "or", "xor", "not"};
    if (i->type == GS_PRED) {
        for (size_t k = 0; k < sizeof logical / sizeof logical[0]; k++) {
            if (strcmp(i->part[0], logical[k]) == 0) {
                return GS_PRED;
            }
        }
        return GS_B32;
    }
    return (gs_type)i->type;
}

static gs_operand immediate(gs_parser *p) {
    const gs_type type = immediate_type(p->instr);
    const uint64_t bits = gs_take_number(p, type);
    if (type == GS_PRED) {
        gs_operand o = constant(p, bits != 0 ? UINT32_MAX : 0, 1);
        o.size = 0;
        return o;
    }
    return constant(p, bits, 8 * (gs_type_size(type) != 0 ? gs_type_size(type) : 4));
}

static gs_operand scalar_operand(gs_parser *p) {
    if (gs_accept(p, "!")) {
        gs_operand o = named_operand(p);
        if (o.kind != GS_REG || o.width != 1) {
            gs_parse_fatal(p, "'!' before something that is not a predicate");
        }
        o.negated = true;
        return o;
    }
    gs_operand o = p->token.kind == GS_TOKEN_WORD ? named_operand(p) : immediate(p);
    if (gs_accept(p, "|")) {
        const gs_operand second = named_operand(p);
        if (second.kind == GS_REG && second.width == 1) {
            o.pair = second.offset;
        } else if (second.kind != GS_SINK) {
            gs_parse_fatal(p, "a predicate expected after '|'");
        }
    }
    return o;
}

/* Elements of a vector or of a call's list: `close` ends it. A call's elements are addresses of .param variables. */
static gs_operand vector_operand(gs_parser *p, const char *close, bool params) {
    gs_operand element[64];
    int n = 0;
    while (!gs_at(p, close)) {
        if (n == 64) {
            gs_parse_fatal(p, "more than 64 elements");
        }
        element[n] = params ? address_operand(p) : scalar_operand(p);
        if (params && element[n].space != GS_PARAM) {
            gs_parse_fatal(p, "only .param variables can be passed in a call");
        }
        n++;
        if (!gs_accept(p, ",")) {
            break;
        }
    }
    gs_expect(p, close);
    gs_function *f = p->function;
    f->list = gs_grow(f->list, &p->list_room, f->n_list + n + 1, sizeof *f->list);
    memcpy(f->list + f->n_list, element, (size_t)n * sizeof *element);
    f->n_list += n;
    return (gs_operand){.kind = GS_VECTOR, .first = f->n_list - n, .n = n, .pair = -1};
}

/* call (results), f, (arguments); either list may be missing */
static void parse_call(gs_parser *p) {
    gs_operand *o = p->instr->operand;
    const gs_operand none = {.kind = GS_VECTOR, .pair = -1};
    o[0] = none;
    o[2] = none;
    if (gs_accept(p, "(")) {
        o[0] = vector_operand(p, ")", true);
        gs_expect(p, ",");
    }
    o[1] = named_operand(p);
    if (o[1].kind != GS_CALLEE) {
        gs_parse_fatal(p, "an indirect call");
    }
    if (gs_accept(p, ",")) {
        gs_expect(p, "(");
        o[2] = vector_operand(p, ")", true);
    }
    p->instr->n_operands = 3;
    p->function->calls = true;
}

void gs_parse_operands(gs_parser *p) {
    gs_instr *i = p->instr;
    if (strcmp(i->part[0], "call") == 0) {
        parse_call(p);
        return;
    }
    while (!gs_at(p, ";")) {
        if (i->n_operands == GS_MAX_OPERANDS) {
            gs_parse_fatal(p, "more than %d operands", GS_MAX_OPERANDS);
        }
        p->operand = i->n_operands;
        gs_operand *o = &i->operand[i->n_operands++];
        if (gs_accept(p, "[")) {
            *o = address_operand(p);
            gs_expect(p, "]");
        } else if (gs_accept(p, "{")) {
            *o = vector_operand(p, "}", false);
        } else {
            *o = scalar_operand(p);
        }
        if (!gs_accept(p, ",")) {
            break;
        }
    }
}
