/* Finds the row of the tables that an instruction matches, part by part; whatever matches none is fatal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec.h"
#include "rounding.h"

static const gs_pattern *const tables[] = {
    gs_int_patterns,     gs_bit_patterns,        gs_carry_patterns,   gs_float_patterns,
    gs_half_patterns,    gs_approx_patterns,     gs_convert_patterns, gs_convert_half_patterns,
    gs_compare_patterns, gs_collective_patterns, gs_matrix_patterns,  gs_memory_patterns,
};
enum { N_TABLES = sizeof tables / sizeof tables[0] };

/* ---- modifiers ---------------------------------------------------------------------------------------------- */

/* How far the parts of an instruction follow a row. */
typedef struct {
    int part; /* the next one                        */
    int index;
    int groups;
    uint8_t detail[6];
    int rounding;
} gs_match;

static bool same_word(const char *word, size_t length, const char *part) {
    return part != NULL && strlen(part) == length && strncmp(word, part, length) == 0;
}

/* One group "[a b]", "<a b>", "{rn rz}" or "word"; returns behind it, NULL: the instruction has something else here. */
static const char *match_group(const char *rest, const gs_instr *i, gs_match *m) {
    const char *part = m->part < i->n_parts ? i->part[m->part] : NULL;
    const char open = *rest;
    const bool many = open == '[' || open == '<' || open == '{';
    const char close = open == '[' ? ']' : open == '<' ? '>' : '}';
    int found = 0, n = 0;
    rest += many;
    while (*rest != 0 && *rest != close && (many || n == 0)) {
        const size_t length = strcspn(rest, " ]>}");
        n++;
        if (found == 0 && same_word(rest, length, part)) {
            found = n;
        }
        rest += length;
        while (many && *rest == ' ') {
            rest++;
        }
    }
    rest += many;
    m->part += found != 0;
    if (found == 0 && open != '[' && open != '{') {
        return NULL;
    }
    if (open == '{') {
        m->rounding = found;
    } else if (many) {
        const int digit = open == '<' ? found - 1 : found;
        m->index = m->index * (open == '<' ? n : n + 1) + digit;
        if (m->groups < 6) {
            m->detail[m->groups++] = (uint8_t)digit;
        }
    }
    while (*rest == ' ') {
        rest++;
    }
    return rest;
}

static bool match_parts(const gs_pattern *row, const gs_instr *i, gs_match *m) {
    *m = (gs_match){.part = 1};
    const char *rest = row->rest;
    while (rest != NULL && *rest != 0) {
        rest = match_group(rest, i, m);
    }
    return rest != NULL && m->part == i->n_parts;
}

/* ---- operands --------------------------------------------------------------------------------------------------- */

static bool fits_register(gs_operand *o, int size) {
    if (o->kind != GS_REG || o->negated) {
        return false;
    }
    if (o->bank == GS_BANK_CONST && o->size != 0) {
        if (size == 4 && o->size == 8) {
            o->offset += 256; /* the constant as 32-bit lanes */
        }
        o->size = (uint8_t)size;
        return true;
    }
    return o->size == size;
}

static bool fits_predicate(const gs_operand *o) {
    return o->kind == GS_REG && o->size == 0;
}

/* A value that is loaded or stored: a register at least as wide as the type, or a vector of them. */
static bool fits_memory(const gs_instr *i, gs_operand *o) {
    const int size = gs_type_size((gs_type)i->type) == 8 ? 8 : 4;
    gs_operand *element = o->kind == GS_VECTOR ? i->function->list + o->first : o;
    const int n = o->kind == GS_VECTOR ? o->n : 1;
    for (int k = 0; k < n; k++) {
        if (element[k].kind == GS_REG && element[k].bank == GS_BANK_CONST) {
            fits_register(&element[k], size);
        } else if (element[k].kind == GS_REG && (element[k].size < size || element[k].negated)) {
            return false;
        }
    }
    return true;
}

static bool fits(const gs_instr *i, gs_operand *o, char letter) {
    switch (letter) {
    case '4':
        return fits_register(o, 4) && o->pair < 0;
    case '8':
        return fits_register(o, 8) && o->pair < 0;
    case 'p':
        return fits_predicate(o) && o->pair < 0;
    case 'P':
        return fits_predicate(o) || o->kind == GS_SINK;
    case 'm':
        return fits_register(o, 4);
    case 's':
        return fits_register(o, 4) || (o->kind == GS_SINK && o->pair >= 0);
    case 'a':
        return o->kind == GS_ADDR;
    case 'l':
        return o->kind == GS_LABEL;
    case 'v':
    case 'w': {
        gs_operand *element = i->function->list + o->first;
        for (int k = 0; o->kind == GS_VECTOR && k < o->n; k++) {
            if (!(element[k].kind == GS_SINK || fits_register(&element[k], letter == 'v' ? 4 : 8))) {
                return false;
            }
        }
        return o->kind == GS_VECTOR;
    }
    case '.':
        /* of memory: registers of any size that hold the type; immediates get the type's */
        return fits_memory(i, o);
    default:
        return true;
    }
}

/* Only looks first, so that another row can still take the instruction. */
static bool operands_fit(const gs_pattern *row, gs_instr *i) {
    gs_operand kept[GS_MAX_OPERANDS];
    memcpy(kept, i->operand, sizeof kept);
    const char *letter = row->operands;
    bool optional = false, ok = true;
    int n = 0;
    for (; *letter != 0 && ok; letter++) {
        if (*letter == '?') {
            optional = true;
        } else if (n < i->n_operands) {
            ok = fits(i, &i->operand[n++], *letter);
        } else {
            ok = optional;
        }
    }
    ok = ok && n == i->n_operands;
    if (!ok) {
        memcpy(i->operand, kept, sizeof kept);
    }
    return ok;
}

/* ---- registers that are wider than the type --------------------------------------------------------------------- */

static int natural_size(gs_type type) {
    return gs_type_size(type) == 8 ? 8 : 4;
}

/* cvt may name registers wider than its types: the function works on a copy with the lanes as it expects them, and the
 * result is extended to the register. */
static void convert_mixed(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    _Alignas(64) uint8_t bank[512];
    gs_warp warp = {.bank = {bank, bank, bank}};
    gs_instr instr = *i;
    const gs_operand *d = &i->operand[0], *s = &i->operand[1];
    instr.operand[0] = (gs_operand){.kind = GS_REG, .bank = GS_BANK_WARP, .offset = 256, .pair = -1};
    instr.operand[1] = (gs_operand){.kind = GS_REG, .bank = GS_BANK_WARP, .offset = 0, .pair = -1};
    const int from = natural_size((gs_type)i->type), to = natural_size((gs_type)i->type2);
    for (int l = 0; l < GS_LANES; l++) {
        const uint64_t x = s->size == 8 ? gs_u64(w, s)[l] : gs_u32(w, s)[l];
        if (from == 8) {
            ((uint64_t *)(void *)bank)[l] = x;
        } else {
            ((uint32_t *)(void *)bank)[l] = (uint32_t)x;
        }
    }
    i->inner(&warp, &instr, UINT32_MAX);
    const bool is_signed = i->type2 >= GS_S8 && i->type2 <= GS_S64;
    const int shift = 64 - 8 * gs_type_size((gs_type)i->type2);
    for (int l = 0; l < GS_LANES; l++) {
        uint64_t x = to == 8 ? ((uint64_t *)(void *)(bank + 256))[l] : ((uint32_t *)(void *)(bank + 256))[l];
        x = is_signed ? (uint64_t)((int64_t)(x << shift) >> shift) : x;
        if ((lanes >> l & 1) == 0) {
            continue;
        }
        if (d->size == 8) {
            gs_u64(w, d)[l] = x;
        } else {
            gs_u32(w, d)[l] = (uint32_t)(d->width < 32 ? x & ((UINT64_C(1) << d->width) - 1) : x);
        }
    }
}

static bool choose_convert(gs_instr *i) {
    gs_operand *d = &i->operand[0], *s = &i->operand[1];
    const int from = natural_size((gs_type)i->type), to = natural_size((gs_type)i->type2);
    if (d->kind != GS_REG || s->kind != GS_REG || d->size == 0 || s->size == 0 || d->bank != GS_BANK_WARP) {
        return false;
    }
    if (s->bank == GS_BANK_CONST) {
        fits_register(s, from);
    }
    const bool is_signed = i->type2 >= GS_S8 && i->type2 <= GS_S64;
    const bool extends = is_signed && 8 * gs_type_size((gs_type)i->type2) < d->width;
    if (s->size != from || d->size != to || extends) {
        if (s->size < from || d->size < to || i->inner != NULL) {
            return false; /* a register narrower than the type; or a rounding mode besides */
        }
        i->inner = i->run;
        i->run = convert_mixed;
    }
    return true;
}

/* ---- the instruction ------------------------------------------------------------------------------------------------
 */

static void note_space(gs_instr *i) {
    static const struct {
        const char *part;
        gs_space space;
    } spaces[] = {{"global", GS_GLOBAL}, {"shared", GS_SHARED}, {"shared::cta", GS_SHARED}, {"local", GS_LOCAL},
                  {"const", GS_CONST},   {"param", GS_PARAM},   {"param::func", GS_PARAM},  {"param::entry", GS_PARAM}};
    for (size_t k = 0; k < sizeof spaces / sizeof spaces[0]; k++) {
        if (gs_has_part(i, spaces[k].part)) {
            i->space = (uint8_t)spaces[k].space;
            break;
        }
    }
    i->vector = gs_has_part(i, "v2") ? 2 : gs_has_part(i, "v4") ? 4 : gs_has_part(i, "v8") ? 8 : 1;
}

/* detail[0] of a barrier is its kind */
static void note_barrier(gs_instr *i) {
    i->detail[0] = gs_has_part(i, "arrive") ? GS_BAR_ARRIVE
                   : gs_has_part(i, "popc") ? GS_BAR_POPC
                   : gs_has_part(i, "and")  ? GS_BAR_AND
                   : gs_has_part(i, "or")   ? GS_BAR_OR
                                            : GS_BAR_SYNC;
}

static void apply(const gs_pattern *row, const gs_match *m, gs_instr *i) {
    static const gs_run rounded[] = {NULL, NULL, gs_run_rz, gs_run_rm, gs_run_rp};
    i->control = (uint8_t)row->control;
    i->destinations = (uint8_t)row->destinations;
    memcpy(i->detail, m->detail, sizeof i->detail);
    i->run = row->runs == NULL ? NULL : row->n_runs == 1 ? row->runs[0] : row->runs[m->index];
    if (m->rounding > 1) {
        i->inner = i->run;
        i->run = rounded[m->rounding];
    }
    note_space(i);
    if (row->control == GS_COLLECTIVE) {
        /* a member mask is the last operand */
        i->member_mask_all = strchr(row->operands, 'm') == NULL;
        i->member_mask = i->member_mask_all ? -1 : (int16_t)(i->n_operands - 1);
    }
    if (row->control == GS_BARRIER) {
        note_barrier(i);
    }
    if (strcmp(i->part[0], "ret") == 0 && i->function->entry) {
        i->control = GS_EXIT;
    }
}

static void __attribute__((noreturn)) refuse(const gs_instr *i, const char *why) {
    char where[512];
    gs_fatal("%s: %s: '%s' (PTX line %d, function %s)", gs_where(i, where), why, i->text, i->ptx_line,
             i->function->name);
}

/* Says which part no row of the opcode knows. */
static void __attribute__((noreturn)) refuse_parts(const gs_instr *i, bool opcode_known) {
    char why[256];
    if (!opcode_known) {
        snprintf(why, sizeof why, "unknown opcode '%s'", i->part[0]);
        refuse(i, why);
    }
    for (int p = 1; p < i->n_parts; p++) {
        bool known = false;
        for (int t = 0; t < N_TABLES && !known; t++) {
            for (const gs_pattern *row = tables[t]; row->opcode != NULL && !known; row++) {
                const size_t length = strlen(i->part[p]);
                const char *at = strcmp(row->opcode, i->part[0]) == 0 ? row->rest : "";
                while ((at = strstr(at, i->part[p])) != NULL && !known) {
                    known = (at == row->rest || strchr(" [<{", at[-1]) != NULL) && strchr(" ]>}", at[length]) != NULL;
                    at += length;
                }
            }
        }
        if (!known) {
            snprintf(why, sizeof why, "'%s' has no modifier or type '.%s' here", i->part[0], i->part[p]);
            refuse(i, why);
        }
    }
    refuse(i, "this combination of modifiers and types is not known");
}

void gs_decode(gs_instr *i) {
    bool opcode_known = false, parts_match = false;
    for (int t = 0; t < N_TABLES; t++) {
        for (const gs_pattern *row = tables[t]; row->opcode != NULL; row++) {
            gs_match m;
            if (strcmp(row->opcode, i->part[0]) != 0) {
                continue;
            }
            opcode_known = true;
            if (!match_parts(row, i, &m)) {
                continue;
            }
            parts_match = true;
            if (!operands_fit(row, i)) {
                continue;
            }
            apply(row, &m, i);
            if (strcmp(row->opcode, "cvt") == 0 && row->operands[0] == 'c' && !choose_convert(i)) {
                refuse(i, "registers that do not fit the types");
            }
            return;
        }
    }
    if (parts_match) {
        refuse(i, "operands that do not fit the instruction");
    }
    refuse_parts(i, opcode_known);
}

int gs_destinations(const gs_instr *i) {
    return i->destinations;
}
