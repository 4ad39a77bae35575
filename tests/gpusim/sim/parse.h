/* What the parts of the parser share: tokens, symbols, the function that is being read. */
#ifndef GPUSIM_PARSE_H
#define GPUSIM_PARSE_H

#include "core.h"

typedef enum { GS_TOKEN_END, GS_TOKEN_WORD, GS_TOKEN_NUMBER, GS_TOKEN_STRING, GS_TOKEN_PUNCT } gs_token_kind;

/* A word takes its dots along: "ld.global.f32", ".reg", "%tid.x"; also "::" ("shared::cta"). */
typedef struct {
    gs_token_kind kind;
    const char *begin;
    int length, line;
} gs_token;

typedef enum { GS_SYMBOL_REGISTERS, GS_SYMBOL_PARAM, GS_SYMBOL_VARIABLE } gs_symbol_kind;

typedef struct {
    gs_symbol_kind kind;
    const char *name; /* of registers: the prefix of a range                                              */
    int length, depth;
    int count;    /* registers: 0 .. count - 1, or -1: one register of just this name                    */
    int width;    /* bits of a register                                                                  */
    int32_t base; /* registers: offset of the first; param: address in the param space; variable: index  */
} gs_symbol;

/* A branch whose label has not been seen, and a label of an open scope. */
typedef struct {
    const char *name;
    int depth, instr;
} gs_label;

/* An address of a shared or local variable, which is known when the whole module has been read. */
typedef struct {
    int function, variable;
    int constant; /* offset in the constant bank, or -1: the displacement of this operand:              */
    int instr, operand;
    int64_t plus;
} gs_fixup;

typedef struct {
    gs_module *module;
    const char *cursor;
    int line;
    gs_token token;

    gs_symbol *symbol;
    int n_symbols, symbol_room;
    gs_label *label, *branch;
    int n_labels, label_room, n_branches, branch_room;
    gs_fixup *fixup;
    int n_fixups, fixup_room;
    int variable_room, file_room;
    int *owner; /* a variable: function whose own it is, -1: the module's */
    int owner_room;

    gs_function *function; /* being read */
    int depth, instr_room, list_room, constant_room;
    int32_t source_file, source_line;
    gs_instr *instr; /* being read */
    int operand;     /* index of the operand being read; fixups want to know */
} gs_parser;

/* lex.c */
void *gs_grow(void *array, int *room, int wanted,
              size_t size); /* array with room for `wanted` elements, new ones zero */
const char *gs_intern(const char *begin, int length);
void gs_next(gs_parser *p);
bool gs_at(const gs_parser *p, const char *text); /* the token is this word or punctuation */
bool gs_accept(gs_parser *p, const char *text);
void gs_expect(gs_parser *p, const char *text);
const char *gs_take_word(gs_parser *p, const char *what); /* interned */
int64_t gs_take_integer(gs_parser *p);
__attribute__((format(printf, 2, 3), noreturn)) void gs_parse_fatal(const gs_parser *p, const char *what, ...);
/* A number token (a minus sign before it is taken too) as the bits of a value of `type`. */
uint64_t gs_take_number(gs_parser *p, gs_type type);
gs_type gs_type_named(const char *begin, int length); /* GS_NO_TYPE: not a type */

/* parse_operand.c */
void gs_parse_operands(gs_parser *p);
gs_symbol *gs_symbol_find(gs_parser *p, const char *name, int length);
gs_symbol *gs_symbol_add(gs_parser *p, gs_symbol_kind kind, const char *name);

/* parse_function.c: what stands in the braces; and a space for a parameter in the frame or parameter bank */
void gs_parse_body(gs_parser *p);
int32_t gs_place(int32_t *bytes, int64_t size, int align);

/* parse_variable.c: [.v2] .type name[n] = ... of .global, .const, .shared, .local, behind the space */
void gs_parse_variable(gs_parser *p, gs_space space, bool external);
typedef struct {
    const char *name;
    gs_type type;
    int align;
    int64_t count; /* elements; -1: name[] */
} gs_declaration;
gs_declaration gs_parse_declaration(gs_parser *p);

/* parse_link.c: offsets of shared and local variables, fixups, loads that guard an atom.cas, initial values */
void gs_link_module(gs_parser *p);

/* replace.c: the text to parse instead of a module's, with the option ptx=FILE; else the same. */
const char *gs_replacement(const char *text);

#endif
