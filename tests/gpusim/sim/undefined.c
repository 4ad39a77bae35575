/* Values that come from memory that nothing wrote: a word of lanes a register, handed on from sources to destinations.
 * Copying such a value is no mistake; the executing parts say so where one reaches an address, a branch or a store. */
#include "exec.h"

static bool is_register(const gs_operand *o) {
    return (o->kind == GS_REG || (o->kind == GS_ADDR && o->has_base)) && o->bank == GS_BANK_WARP;
}

uint32_t gs_operand_undefined(const gs_warp *w, const gs_operand *o, uint32_t lanes) {
    return is_register(o) ? w->undefined[o->offset / 4] & lanes : 0;
}

static void mark(gs_warp *w, int32_t offset, uint32_t lanes, uint32_t undefined) {
    uint32_t *word = &w->undefined[offset / 4];
    const uint32_t before = *word;
    *word = (before & ~lanes) | (undefined & lanes);
    if (before == 0 && *word != 0) {
        w->any_undefined++;
    } else if (before != 0 && *word == 0) {
        w->any_undefined--;
    }
}

void gs_mark_undefined(gs_warp *w, const gs_operand *destination, uint32_t lanes, uint32_t undefined) {
    if (destination->kind == GS_REG && destination->bank == GS_BANK_WARP) {
        mark(w, destination->offset, lanes, undefined);
    }
    if (destination->pair >= 0) {
        mark(w, destination->pair, lanes, undefined);
    }
}

static uint32_t operand_undefined(const gs_warp *w, const gs_instr *i, const gs_operand *o, uint32_t lanes) {
    if (o->kind != GS_VECTOR) {
        return gs_operand_undefined(w, o, lanes);
    }
    uint32_t undefined = 0;
    for (int k = 0; k < o->n; k++) {
        undefined |= gs_operand_undefined(w, &i->function->list[o->first + k], lanes);
    }
    return undefined;
}

/* The chosen side or the predicate. */
static uint32_t selected(const gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const uint32_t p = gs_pred(w, &i->operand[3]);
    return (gs_operand_undefined(w, &i->operand[1], lanes) & p) |
           (gs_operand_undefined(w, &i->operand[2], lanes) & ~p) | gs_operand_undefined(w, &i->operand[3], lanes);
}

/* The value of the lane that is read, or the own lane's operands. */
static uint32_t shuffled(const gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const uint32_t value = gs_operand_undefined(w, &i->operand[1], UINT32_MAX);
    const uint32_t *b = gs_u32(w, &i->operand[2]), *c = gs_u32(w, &i->operand[3]);
    uint32_t undefined =
        gs_operand_undefined(w, &i->operand[2], lanes) | gs_operand_undefined(w, &i->operand[3], lanes);
    for (int l = 0; l < GS_LANES; l++) {
        bool inside;
        undefined |= (value >> gs_shuffle_source(i, l, b[l], c[l], &inside) & 1) << l;
    }
    return undefined & lanes;
}

/* A destination that was also the predicate or the lane number has been overwritten when this is called: those of selp
 * and shfl are registers of another kind, or (shfl d, a, d, ...) so rare that the own lane's bits must do. */
void gs_propagate_undefined(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    uint32_t undefined = 0;
    const int n = gs_destinations(i);
    if (n == 0) {
        return;
    }
    if (strcmp(i->part[0], "selp") == 0) {
        undefined = selected(w, i, lanes);
    } else if (strcmp(i->part[0], "shfl") == 0) {
        undefined = shuffled(w, i, lanes);
    } else {
        for (int k = n; k < i->n_operands; k++) {
            undefined |= operand_undefined(w, i, &i->operand[k], lanes);
        }
        if (i->control == GS_COLLECTIVE && undefined != 0) {
            undefined = lanes; /* votes, sums and products of matrices: everybody's result */
        }
    }
    for (int k = 0; k < n; k++) {
        const gs_operand *o = &i->operand[k];
        if (o->kind == GS_VECTOR) {
            for (int e = 0; e < o->n; e++) {
                gs_mark_undefined(w, &i->function->list[o->first + e], lanes, undefined);
            }
        } else {
            gs_mark_undefined(w, o, lanes, undefined);
        }
    }
}
