/* The body of a function: declarations, labels, instructions. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

int32_t gs_place(int32_t *bytes, int64_t size, int align) {
    const int32_t at = (*bytes + align - 1) / align * align;
    *bytes = at + (int32_t)size;
    return at;
}

/* ---- declarations ----------------------------------------------------------------------------------------- */

/* .reg .f32 %f<5>, a; */
static void parse_registers(gs_parser *p) {
    gs_type type = GS_NO_TYPE;
    if (p->token.kind == GS_TOKEN_WORD && p->token.begin[0] == '.') {
        type = gs_type_named(p->token.begin + 1, p->token.length - 1);
    }
    if (type == GS_NO_TYPE) {
        gs_parse_fatal(p, "a type of a register expected");
    }
    gs_next(p);
    const int width = type == GS_PRED ? 1 : 8 * gs_type_size(type);
    const int bytes = width == 1 ? 4 : width == 64 ? 256 : 128;
    do {
        gs_symbol *s = gs_symbol_add(p, GS_SYMBOL_REGISTERS, gs_take_word(p, "a register's name"));
        s->width = width;
        if (gs_accept(p, "<")) {
            s->count = (int)gs_take_integer(p);
            gs_expect(p, ">");
        }
        const int number = s->count < 0 ? 1 : s->count;
        s->base = gs_place(&p->function->register_bytes, (int64_t)number * bytes, width == 1 ? 4 : 128);
    } while (gs_accept(p, ","));
    gs_expect(p, ";");
}

static void parse_param_variable(gs_parser *p) {
    const gs_declaration d = gs_parse_declaration(p);
    const int64_t size = (d.count < 0 ? 0 : d.count) * gs_type_size(d.type);
    gs_symbol_add(p, GS_SYMBOL_PARAM, d.name)->base =
        GS_PARAM_FRAME + gs_place(&p->function->frame_bytes, size, d.align);
    gs_expect(p, ";");
}

/* True for CUDA's own headers: a message should name the line that called them. */
static bool is_cuda_header(const gs_parser *p, int64_t file) {
    const char *path = file >= 0 && file < p->module->n_files ? p->module->file[file] : NULL;
    return path != NULL && (strstr(path, "/targets/") != NULL || strstr(path, "/cuda") != NULL);
}

/* .loc file line column[, function_name label[+n], inlined_at file line column] */
static void parse_location(gs_parser *p) {
    int64_t file = gs_take_integer(p);
    int64_t line = gs_take_integer(p);
    gs_take_integer(p);
    while (gs_accept(p, ",")) {
        if (gs_accept(p, "function_name")) {
            gs_take_word(p, "a label");
            if (gs_accept(p, "+")) {
                gs_take_integer(p);
            }
            continue;
        }
        gs_expect(p, "inlined_at");
        const bool inner = !is_cuda_header(p, file);
        const int64_t outer_file = gs_take_integer(p);
        const int64_t outer_line = gs_take_integer(p);
        gs_take_integer(p);
        file = inner ? file : outer_file;
        line = inner ? line : outer_line;
    }
    p->source_file = (int32_t)file;
    p->source_line = (int32_t)line;
}

/* ---- instructions ------------------------------------------------------------------------------------------------ */

static void split_opcode(gs_parser *p, const char *begin, int length) {
    gs_instr *i = p->instr;
    int at = 0;
    while (at <= length) {
        int end = at;
        while (end < length && begin[end] != '.') {
            end++;
        }
        if (i->n_parts == GS_MAX_PARTS || end == at) {
            gs_parse_fatal(p, "an opcode of more than %d parts, or an empty part", GS_MAX_PARTS);
        }
        i->part[i->n_parts++] = gs_intern(begin + at, end - at);
        const gs_type type = i->n_parts > 1 ? gs_type_named(begin + at, end - at) : GS_NO_TYPE;
        if (type != GS_NO_TYPE) {
            i->type2 = i->type;
            i->type = (uint8_t)type;
        }
        at = end + 1;
    }
}

static const char *folded(const char *begin, const char *end) {
    char *text = malloc((size_t)(end - begin) + 1);
    if (text == NULL) {
        gs_fatal("out of memory for the text of an instruction");
    }
    int n = 0;
    for (const char *s = begin; s < end; s++) {
        if (!isspace((unsigned char)*s)) {
            text[n++] = *s;
        } else if (n > 0 && text[n - 1] != ' ') {
            text[n++] = ' ';
        }
    }
    text[n] = 0;
    return text;
}

static gs_instr *new_instr(gs_parser *p) {
    gs_function *f = p->function;
    f->instr = gs_grow(f->instr, &p->instr_room, f->n_instrs + 1, sizeof *f->instr);
    gs_instr *i = &f->instr[f->n_instrs];
    *i = (gs_instr){.file = p->source_file,
                    .line = p->source_line,
                    .ptx_line = p->token.line,
                    .index = f->n_instrs,
                    .function = f,
                    .vector = 1,
                    .member_mask = -1,
                    .guard = -1};
    p->instr = i;
    return i;
}

static void parse_guard(gs_parser *p) {
    if (!gs_accept(p, "@")) {
        return;
    }
    p->instr->guarded = true;
    p->instr->guard_negated = gs_accept(p, "!");
    const gs_symbol *s = gs_symbol_find(p, p->token.begin, p->token.length);
    if (s == NULL || s->kind != GS_SYMBOL_REGISTERS || s->width != 1) {
        gs_parse_fatal(p, "a predicate expected after '@'");
    }
    p->instr->guard = s->base + (s->count < 0 ? 0 : 4 * atoi(p->token.begin + s->length));
    gs_next(p);
}

static void parse_instruction(gs_parser *p) {
    const char *begin = p->token.begin;
    gs_instr *i = new_instr(p);
    parse_guard(p);
    if (p->token.kind != GS_TOKEN_WORD || p->token.begin[0] == '.') {
        gs_parse_fatal(p, "an instruction expected");
    }
    split_opcode(p, p->token.begin, p->token.length);
    gs_next(p);
    gs_parse_operands(p);
    i->text = folded(begin, p->token.begin);
    if (!gs_at(p, ";")) {
        gs_parse_fatal(p, "cannot read the operands of '%s'", i->text);
    }
    gs_next(p);
    p->function->n_instrs++;
    gs_decode(i);
}

/* ---- labels, scopes ---------------------------------------------------------------------------------------------- */

static void add_label(gs_parser *p, const char *begin, int length) {
    p->label = gs_grow(p->label, &p->label_room, p->n_labels + 1, sizeof *p->label);
    p->label[p->n_labels++] =
        (gs_label){.name = gs_intern(begin, length), .depth = p->depth, .instr = p->function->n_instrs};
}

/* Branches of the scope that ends find their labels here, or in a scope around it. */
static void close_scope(gs_parser *p) {
    int left = 0;
    for (int b = 0; b < p->n_branches; b++) {
        gs_label branch = p->branch[b];
        bool found = false;
        for (int l = 0; branch.depth == p->depth && l < p->n_labels && !found; l++) {
            if (p->label[l].depth == p->depth && p->label[l].name == branch.name) {
                p->function->instr[branch.instr].operand[0].target = p->label[l].instr;
                found = true;
            }
        }
        if (found) {
            continue;
        }
        if (branch.depth == p->depth && --branch.depth == 0) {
            gs_parse_fatal(p, "no label %s for '%s'", branch.name, p->function->instr[branch.instr].text);
        }
        p->branch[left++] = branch;
    }
    p->n_branches = left;
    while (p->n_symbols > 0 && p->symbol[p->n_symbols - 1].depth == p->depth) {
        p->n_symbols--;
    }
    while (p->n_labels > 0 && p->label[p->n_labels - 1].depth == p->depth) {
        p->n_labels--;
    }
    p->depth--;
}

/* Whoever jumps behind the last instruction returns. */
static void add_final_return(gs_parser *p) {
    gs_instr *i = new_instr(p);
    i->part[i->n_parts++] = gs_intern("ret", 3);
    i->text = "ret (end of the function)";
    p->function->n_instrs++;
    gs_decode(i);
}

static void parse_statement(gs_parser *p) {
    if (gs_accept(p, ".reg")) {
        parse_registers(p);
    } else if (gs_accept(p, ".local")) {
        gs_parse_variable(p, GS_LOCAL, false);
    } else if (gs_accept(p, ".shared")) {
        gs_parse_variable(p, GS_SHARED, false);
    } else if (gs_accept(p, ".param")) {
        parse_param_variable(p);
    } else if (gs_accept(p, ".loc")) {
        parse_location(p);
    } else if (gs_accept(p, ".pragma")) {
        gs_next(p); /* advice for the compiler: "nounroll" */
        gs_expect(p, ";");
    } else if (p->token.kind == GS_TOKEN_WORD && p->token.begin[0] != '.' && *p->cursor == ':') {
        add_label(p, p->token.begin, p->token.length);
        gs_next(p);
        gs_next(p);
    } else {
        parse_instruction(p);
    }
}

void gs_parse_body(gs_parser *p) {
    gs_expect(p, "{");
    const int outer = p->depth - 1; /* the parameters have the depth of the body */
    while (p->depth > outer) {
        if (p->token.kind == GS_TOKEN_END) {
            gs_parse_fatal(p, "the text ends inside a function");
        } else if (gs_accept(p, "{")) {
            p->depth++;
        } else if (gs_at(p, "}")) {
            if (p->depth == outer + 1) {
                add_final_return(p);
            }
            close_scope(p);
            gs_next(p);
        } else {
            parse_statement(p);
        }
    }
}
