/* What can be said when the whole module has been read: where shared and local variables lie, which loads guard an
 * atom.cas, and the initial values of global variables. */
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "sim.h"

/* Bytes of shared [0] or local [1] memory, and the places of the variables that are placed already. */
typedef struct {
    int64_t bytes[2];
    int64_t *place; /* a variable: its offset, or -1 */
} gs_layout;

static bool in_windows(const gs_variable *v) {
    return v->space == GS_SHARED || v->space == GS_LOCAL;
}

static void place_variable(gs_parser *p, gs_layout *layout, int variable) {
    gs_variable *v = &p->module->variable[variable];
    if (!in_windows(v) || v->external || layout->place[variable] >= 0) {
        return;
    }
    int64_t *bytes = &layout->bytes[v->space == GS_LOCAL];
    layout->place[variable] = (*bytes + v->align - 1) / v->align * v->align;
    *bytes = layout->place[variable] + v->size;
    v->offset = layout->place[variable];
}

/* Variables that the function names or owns, in the order of their declaration. */
static void place_variables(gs_parser *p, gs_layout *layout, int function) {
    for (int i = 0; i < p->module->n_variables; i++) {
        bool wanted = p->owner[i] == function;
        for (int k = 0; k < p->n_fixups && !wanted; k++) {
            wanted = p->fixup[k].function == function && p->fixup[k].variable == i;
        }
        if (wanted) {
            place_variable(p, layout, i);
        }
    }
}

static int64_t dynamic_begin(gs_parser *p, int64_t bytes, int function) {
    int64_t align = 16;
    for (int k = 0; k < p->n_fixups; k++) {
        const gs_variable *v = &p->module->variable[p->fixup[k].variable];
        if (v->external && p->fixup[k].function == function && v->align > align) {
            align = v->align;
        }
    }
    return (bytes + align - 1) / align * align;
}

static void apply_fixups(gs_parser *p, const gs_layout *layout, int function) {
    gs_function *f = &p->module->function[function];
    for (int k = 0; k < p->n_fixups; k++) {
        const gs_fixup *x = &p->fixup[k];
        if (x->function != function) {
            continue;
        }
        const gs_variable *v = &p->module->variable[x->variable];
        const int64_t address = (v->external ? f->dynamic_offset : layout->place[x->variable]) + x->plus;
        if (x->constant < 0) {
            f->instr[x->instr].operand[x->operand].displacement = address;
            continue;
        }
        uint64_t *wide = (uint64_t *)(void *)(f->constants + x->constant);
        uint32_t *narrow = (uint32_t *)(void *)(f->constants + x->constant + 256);
        for (int l = 0; l < GS_LANES; l++) {
            wide[l] = (uint64_t)address;
            narrow[l] = (uint32_t)address;
        }
    }
}

/* ---- recursion ------------------------------------------------------------------------------------------------ */

static bool reaches(const gs_module *m, int from, int to, bool *visited) {
    const gs_function *f = &m->function[from];
    for (int i = 0; i < f->n_instrs; i++) {
        const int callee = f->instr[i].control == GS_CALL ? f->instr[i].operand[1].target : -1;
        if (callee == to) {
            return true;
        }
        if (callee >= 0 && !visited[callee]) {
            visited[callee] = true;
            if (reaches(m, callee, to, visited)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_recursive(const gs_module *m, int function) {
    bool *visited = calloc((size_t)m->n_functions + 1, sizeof *visited);
    if (visited == NULL) {
        gs_fatal("out of memory for the functions of a PTX module");
    }
    const bool result = reaches(m, function, function, visited);
    free(visited);
    return result;
}

static void refuse_recursive_locals(gs_parser *p) {
    for (int i = 0; i < p->module->n_variables; i++) {
        const int owner = p->owner[i];
        if (p->module->variable[i].space == GS_LOCAL && owner >= 0 && is_recursive(p->module, owner)) {
            gs_fatal("%s: function %s calls itself and has local variables: not supported", p->module->name,
                     p->module->function[owner].name);
        }
    }
}

static void link_windows(gs_parser *p) {
    gs_module *m = p->module;
    gs_layout common = {{0, 0}, malloc(((size_t)m->n_variables + 1) * sizeof(int64_t))};
    gs_layout own = {{0, 0}, malloc(((size_t)m->n_variables + 1) * sizeof(int64_t))};
    if (common.place == NULL || own.place == NULL) {
        gs_fatal("out of memory for the variables of a PTX module");
    }
    for (int i = 0; i < m->n_variables; i++) {
        common.place[i] = -1;
    }
    bool callee_dynamic = false;
    for (int i = 0; i < m->n_functions; i++) {
        if (!m->function[i].entry) {
            place_variables(p, &common, i);
            for (int k = 0; k < p->n_fixups; k++) {
                callee_dynamic =
                    callee_dynamic || (p->fixup[k].function == i && m->variable[p->fixup[k].variable].external);
            }
        }
    }
    int64_t last = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < m->n_functions; i++) {
            gs_function *f = &m->function[i];
            memcpy(own.place, common.place, (size_t)m->n_variables * sizeof(int64_t));
            own.bytes[0] = f->calls || !f->entry ? common.bytes[0] : 0;
            own.bytes[1] = f->calls || !f->entry ? common.bytes[1] : 0;
            for (int k = 0; k < m->n_variables && own.bytes[0] + own.bytes[1] == 0; k++) {
                own.place[k] = -1;
            }
            place_variables(p, &own, i);
            f->shared_bytes = own.bytes[0];
            f->local_bytes = own.bytes[1];
            f->dynamic_offset = dynamic_begin(p, f->shared_bytes, i);
            last = f->dynamic_offset > last ? f->dynamic_offset : last;
            if (pass == 1) {
                f->dynamic_offset = callee_dynamic ? last : f->dynamic_offset;
                apply_fixups(p, &own, i);
            }
        }
    }
    free(common.place);
    free(own.place);
}

/* ---- loads that guard an atom.cas ----------------------------------------------------------------------------------
 */

/* The register that an address came from through cvta. */
static int32_t origin(const gs_function *f, int32_t base) {
    for (int i = 0; i < f->n_instrs; i++) {
        const gs_instr *c = &f->instr[i];
        if (strcmp(c->part[0], "cvta") == 0 && c->operand[0].offset == base && c->operand[1].kind == GS_REG &&
            c->operand[1].bank == GS_BANK_WARP) {
            return c->operand[1].offset;
        }
    }
    return base;
}

static bool same_address(const gs_function *f, const gs_operand *a, const gs_operand *b) {
    return a->has_base == b->has_base && a->displacement == b->displacement &&
           (!a->has_base || origin(f, a->offset) == origin(f, b->offset));
}

static void mark_guarding_loads(gs_function *f) {
    for (int a = 0; a < f->n_instrs; a++) {
        if (strcmp(f->instr[a].part[0], "atom") != 0 || !gs_has_part(&f->instr[a], "cas")) {
            continue;
        }
        for (int l = 0; l < f->n_instrs; l++) {
            gs_instr *i = &f->instr[l];
            if (strcmp(i->part[0], "ld") == 0 && same_address(f, &i->operand[1], &f->instr[a].operand[1])) {
                i->guards_cas = true;
            }
        }
    }
}

/* ---- initial values ---------------------------------------------------------------------------------------------- */

static void write_initial_values(const gs_module *m) {
    for (int i = 0; i < m->n_variables; i++) {
        const gs_variable *v = &m->variable[i];
        const size_t bytes = (size_t)(v->size > 0 ? v->size : 1);
        if (v->memory == NULL || !gs_memory_begin(v->memory, bytes, true, false, "the module's variables")) {
            continue;
        }
        if (v->initial != NULL) {
            memcpy(v->memory, v->initial, (size_t)v->size);
        } else {
            memset(v->memory, 0, bytes);
        }
        gs_memory_end(v->memory, bytes);
    }
}

void gs_link_module(gs_parser *p) {
    refuse_recursive_locals(p);
    link_windows(p);
    for (int i = 0; i < p->module->n_functions; i++) {
        mark_guarding_loads(&p->module->function[i]);
    }
    write_initial_values(p->module);
}
