/* A PTX module: directives, variables, functions. PTX ISA 9.0, "Directives". */
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* ---- before the parse proper ------------------------------------------------------------------------------ */

static void note_file(gs_parser *p) {
    gs_module *m = p->module;
    const int index = (int)gs_take_integer(p);
    m->file = gs_grow((void *)m->file, &p->file_room, index + 1, sizeof *m->file);
    if (p->token.kind != GS_TOKEN_STRING) {
        gs_parse_fatal(p, "a file name expected");
    }
    m->file[index] = gs_intern(p->token.begin + 1, p->token.length - 2);
    m->n_files = index >= m->n_files ? index + 1 : m->n_files;
}

/* The .file table stands at the end of the text; and the number of functions must be known, because instructions point
 * to theirs. */
static int look_ahead(gs_parser *p) {
    const gs_parser begin = *p;
    int functions = 0;
    for (gs_next(p); p->token.kind != GS_TOKEN_END; gs_next(p)) {
        if (gs_at(p, ".file")) {
            gs_next(p);
            note_file(p);
        }
        functions += gs_at(p, ".entry") || gs_at(p, ".func");
    }
    const int room = p->file_room;
    *p = begin;
    p->file_room = room;
    return functions;
}

/* ---- functions --------------------------------------------------------------------------------------------------- */

/* (.param .b32 a, ...) of a function; an entry's lie in the parameter bank, a .func's in its frame */
static gs_param *parse_params(gs_parser *p, int *n) {
    gs_function *f = p->function;
    gs_param *param = NULL;
    int room = 0;
    *n = 0;
    gs_expect(p, "(");
    while (!gs_at(p, ")")) {
        gs_expect(p, ".param");
        const gs_declaration d = gs_parse_declaration(p);
        param = gs_grow(param, &room, *n + 1, sizeof *param);
        gs_param *q = &param[(*n)++];
        *q = (gs_param){.name = d.name, .align = d.align};
        q->size = (int32_t)(d.count < 0 ? 0 : d.count) * gs_type_size(d.type);
        q->offset = gs_place(f->entry ? &f->param_bytes : &f->frame_bytes, q->size, d.align);
        gs_symbol_add(p, GS_SYMBOL_PARAM, d.name)->base = q->offset + (f->entry ? 0 : GS_PARAM_FRAME);
        if (!gs_accept(p, ",")) {
            break;
        }
    }
    gs_expect(p, ")");
    return param;
}

static void parse_threads(gs_parser *p) {
    for (int d = 0; d < 3; d++) {
        p->function->max_threads[d] = 1;
    }
    int d = 0;
    do {
        p->function->max_threads[d++] = (int)gs_take_integer(p);
    } while (d < 3 && gs_accept(p, ","));
}

static void parse_function_directives(gs_parser *p) {
    for (;;) {
        if (gs_accept(p, ".maxntid")) {
            parse_threads(p);
        } else if (gs_accept(p, ".reqntid")) {
            parse_threads(p);
            p->function->required_threads = true;
        } else if (gs_accept(p, ".minnctapersm") || gs_accept(p, ".maxnctapersm") || gs_accept(p, ".maxnreg")) {
            gs_take_integer(p); /* advice for the register allocation */
        } else if (gs_accept(p, ".pragma")) {
            gs_next(p);
            gs_expect(p, ";");
        } else if (!gs_accept(p, ".noreturn")) {
            return;
        }
    }
}

/* A function that was declared before keeps its place, because calls name it by its index. */
static gs_function *function_named(gs_parser *p, const char *name) {
    gs_module *m = p->module;
    for (int i = 0; i < m->n_functions; i++) {
        if (m->function[i].name == name) {
            if (!m->function[i].declared_only) {
                gs_parse_fatal(p, "function %s is defined twice", name);
            }
            return &m->function[i];
        }
    }
    return &m->function[m->n_functions++];
}

static void parse_function(gs_parser *p, bool entry) {
    static const char *const nameless = "(result)";
    gs_function scratch = {.name = nameless, .module = p->module, .entry = entry};
    p->depth = 1;
    p->function = &scratch;
    p->instr_room = p->list_room = p->constant_room = 0;
    p->n_labels = p->n_branches = 0;
    p->source_file = -1;
    p->source_line = 0;
    if (!entry && gs_at(p, "(")) {
        scratch.result = parse_params(p, &scratch.n_results);
    }
    scratch.name = gs_take_word(p, "a function's name");
    if (gs_at(p, "(")) {
        scratch.param = parse_params(p, &scratch.n_params);
    }
    parse_function_directives(p);
    gs_function *f = function_named(p, scratch.name);
    *f = scratch;
    p->function = f;
    if (gs_accept(p, ";")) {
        f->declared_only = true;
        while (p->n_symbols > 0 && p->symbol[p->n_symbols - 1].depth == 1) {
            p->n_symbols--;
        }
    } else {
        gs_parse_body(p);
    }
    f->register_bytes = (f->register_bytes + 127) / 128 * 128;
    p->function = NULL;
    p->depth = 0;
}

/* ---- directives ---------------------------------------------------------------------------------------------- */

static void skip_braces(gs_parser *p) {
    while (p->token.kind != GS_TOKEN_END && !gs_accept(p, "}")) {
        gs_next(p);
    }
}

static void parse_target(gs_parser *p) {
    const char *target = gs_take_word(p, "a target");
    p->module->target = strncmp(target, "sm_", 3) == 0 ? atoi(target + 3) : 0;
    while (gs_accept(p, ",")) {
        gs_next(p);
    }
}

static void parse_directive(gs_parser *p) {
    bool external = false;
    while (gs_at(p, ".visible") || gs_at(p, ".weak") || gs_at(p, ".extern") || gs_at(p, ".common")) {
        external = external || gs_at(p, ".extern");
        gs_next(p);
    }
    if (gs_accept(p, ".version")) {
        gs_next(p);
    } else if (gs_accept(p, ".target")) {
        parse_target(p);
    } else if (gs_accept(p, ".address_size")) {
        if (gs_take_integer(p) != 64) {
            gs_parse_fatal(p, "only 64-bit addresses are known");
        }
    } else if (gs_accept(p, ".file")) {
        gs_next(p);
        gs_next(p);
        while (gs_accept(p, ",")) { /* time stamp and size */
            gs_next(p);
        }
    } else if (gs_accept(p, ".section")) {
        skip_braces(p);
    } else if (gs_accept(p, ".pragma")) {
        gs_next(p);
        gs_expect(p, ";");
    } else if (gs_accept(p, ".global")) {
        gs_parse_variable(p, GS_GLOBAL, external);
    } else if (gs_accept(p, ".const")) {
        gs_parse_variable(p, GS_CONST, external);
    } else if (gs_accept(p, ".shared")) {
        gs_parse_variable(p, GS_SHARED, external);
    } else if (gs_accept(p, ".entry")) {
        parse_function(p, true);
    } else if (gs_accept(p, ".func")) {
        parse_function(p, false);
    } else {
        gs_parse_fatal(p, "unknown directive");
    }
}

gs_module *gs_module_parse(const char *name, const char *text) {
    gs_module *m = calloc(1, sizeof *m);
    if (m == NULL) {
        gs_fatal("out of memory for a PTX module");
    }
    m->name = name;
    text = gs_replacement(text);
    gs_parser parser = {.module = m, .cursor = text, .line = 1};
    const int functions = look_ahead(&parser);
    m->function = calloc((size_t)functions + 1, sizeof *m->function);
    if (m->function == NULL) {
        gs_fatal("out of memory for a PTX module");
    }
    gs_next(&parser);
    while (parser.token.kind != GS_TOKEN_END) {
        parse_directive(&parser);
    }
    gs_link_module(&parser);
    free(parser.symbol);
    free(parser.label);
    free(parser.branch);
    free(parser.fixup);
    free(parser.owner);
    return m;
}

gs_function *gs_module_find(gs_module *module, const char *name) {
    for (int i = 0; i < module->n_functions; i++) {
        if (strcmp(module->function[i].name, name) == 0) {
            return &module->function[i];
        }
    }
    return NULL;
}

const gs_variable *gs_module_variable(const gs_module *module, const char *name) {
    for (int i = 0; i < module->n_variables; i++) {
        const gs_variable *v = &module->variable[i];
        if ((v->space == GS_GLOBAL || v->space == GS_CONST) && strcmp(v->name, name) == 0) {
            return v;
        }
    }
    return NULL;
}

bool gs_has_part(const gs_instr *instr, const char *text) {
    for (int i = 1; i < instr->n_parts; i++) {
        if (strcmp(instr->part[i], text) == 0) {
            return true;
        }
    }
    return false;
}
