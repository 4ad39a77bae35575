/* Declarations of variables with their initial values. */
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "sim.h"

gs_declaration gs_parse_declaration(gs_parser *p) {
    gs_declaration d = {.count = 1};
    int elements = 1;
    for (;;) {
        if (gs_accept(p, ".align")) {
            d.align = (int)gs_take_integer(p);
        } else if (gs_accept(p, ".v2")) {
            elements = 2;
        } else if (gs_accept(p, ".v4")) {
            elements = 4;
        } else if (gs_accept(p, ".ptr")) {
            /* what a pointer parameter points to: not needed */
            while (gs_accept(p, ".global") || gs_accept(p, ".shared") || gs_accept(p, ".const") ||
                   gs_accept(p, ".local") || gs_accept(p, ".align")) {
                if (p->token.kind == GS_TOKEN_NUMBER) {
                    gs_next(p);
                }
            }
        } else {
            break;
        }
    }
    if (p->token.kind == GS_TOKEN_WORD && p->token.begin[0] == '.') {
        d.type = gs_type_named(p->token.begin + 1, p->token.length - 1);
    }
    if (gs_type_size(d.type) == 0) {
        gs_parse_fatal(p, "a type of a variable expected");
    }
    gs_next(p);
    if (gs_accept(p, ".ptr")) {
        while (gs_accept(p, ".global") || gs_accept(p, ".shared") || gs_accept(p, ".const") || gs_accept(p, ".local")) {
        }
        if (gs_accept(p, ".align")) {
            gs_next(p);
        }
    }
    d.name = gs_take_word(p, "a name");
    while (gs_accept(p, "[")) {
        if (gs_at(p, "]")) {
            d.count = -1;
        } else {
            d.count *= gs_take_integer(p);
        }
        gs_expect(p, "]");
    }
    if (d.align == 0) {
        d.align = elements * gs_type_size(d.type);
    }
    d.count *= elements;
    return d;
}

/* name, name+4, generic(name): the device address of a global variable */
static uint64_t initial_address(gs_parser *p) {
    const bool generic = gs_accept(p, "generic");
    if (generic) {
        gs_expect(p, "(");
    }
    const gs_variable *found = NULL;
    for (int i = 0; i < p->module->n_variables; i++) {
        const gs_variable *v = &p->module->variable[i];
        if (p->owner[i] < 0 && v->memory != NULL && (int)strlen(v->name) == p->token.length &&
            strncmp(v->name, p->token.begin, (size_t)p->token.length) == 0) {
            found = v;
        }
    }
    if (found == NULL) {
        gs_parse_fatal(p, "an initial value that is not a number and not the address of a global variable");
    }
    gs_next(p);
    if (generic) {
        gs_expect(p, ")");
    }
    uint64_t address = (uint64_t)(uintptr_t)found->memory;
    if (gs_accept(p, "+")) {
        address += (uint64_t)gs_take_integer(p);
    }
    return address;
}

static int64_t parse_initial(gs_parser *p, gs_type type, uint8_t *to, int64_t at, int64_t size) {
    if (gs_accept(p, "{")) {
        while (!gs_at(p, "}")) {
            at = parse_initial(p, type, to, at, size);
            if (!gs_accept(p, ",")) {
                break;
            }
        }
        gs_expect(p, "}");
        return at;
    }
    const int bytes = gs_type_size(type);
    if (at + bytes > size) {
        gs_parse_fatal(p, "more initial values than elements");
    }
    const bool named = p->token.kind == GS_TOKEN_WORD;
    if (named && bytes != 8) {
        gs_parse_fatal(p, "an address in an element of %d bytes", bytes);
    }
    const uint64_t bits = named ? initial_address(p) : gs_take_number(p, type);
    memcpy(to + at, &bits, (size_t)bytes);
    return at + bytes;
}

void gs_parse_variable(gs_parser *p, gs_space space, bool external) {
    const gs_declaration d = gs_parse_declaration(p);
    gs_module *m = p->module;
    m->variable = gs_grow(m->variable, &p->variable_room, m->n_variables + 1, sizeof *m->variable);
    p->owner = gs_grow(p->owner, &p->owner_room, m->n_variables + 1, sizeof *p->owner);
    gs_variable *v = &m->variable[m->n_variables];
    *v = (gs_variable){.name = d.name,
                       .space = (uint8_t)space,
                       .external = external,
                       .size = d.count < 0 ? 0 : d.count * gs_type_size(d.type),
                       .align = d.align};
    p->owner[m->n_variables] = p->function != NULL ? (int)(p->function - m->function) : -1;
    if (gs_accept(p, "=")) {
        if (space != GS_GLOBAL && space != GS_CONST) {
            gs_parse_fatal(p, "an initial value of a shared or local variable");
        }
        v->initial = calloc(1, (size_t)v->size + 1);
        if (v->initial == NULL) {
            gs_fatal("out of memory for variable %s", v->name);
        }
        parse_initial(p, d.type, v->initial, 0, v->size);
    }
    if ((space == GS_GLOBAL || space == GS_CONST) && !external) {
        v->memory = gs_memory_alloc((size_t)(v->size > 0 ? v->size : 1), v->name);
        gs_memory_keep(v->memory);
        if (v->memory == NULL) {
            gs_parse_fatal(p, "no device memory for variable %s of %lld bytes", v->name, (long long)v->size);
        }
    }
    gs_symbol_add(p, GS_SYMBOL_VARIABLE, d.name)->base = m->n_variables++;
    gs_expect(p, ";");
}
