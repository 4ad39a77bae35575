/* Frames: the registers and .param variables of a function that runs. All lanes of a warp that came by the same way
 * share one, each with its own part of it, so that lanes which were apart meet again. Frames are kept for the next
 * block. */
#include "engine.h"
#include <stdlib.h>
#include <string.h>

static void *zeroed(size_t bytes) {
    const size_t room = (bytes + 64 + 63) / 64 * 64;
    void *p = aligned_alloc(64, room);
    if (p == NULL) {
        gs_fatal("out of memory for the registers of a warp");
    }
    return memset(p, 0, room);
}

gs_frame *gs_frame_enter(gs_warp *w, gs_frame *parent, const gs_function *function, int32_t return_pc) {
    gs_schedule *s = w->schedule;
    for (gs_frame *f = s->frames; f != NULL; f = f->next) {
        if (f->parent == parent && f->function == function && f->return_pc == return_pc) {
            return f;
        }
    }
    gs_frame *f = zeroed(sizeof *f);
    f->parent = parent;
    f->function = function;
    f->return_pc = return_pc;
    f->depth = parent == NULL ? 0 : parent->depth + 1;
    if (f->depth > 1000) {
        gs_fatal("%s: calls more than 1000 deep", function->name);
    }
    f->registers = zeroed((size_t)function->register_bytes);
    f->undefined = zeroed((size_t)function->register_bytes);
    f->memory = zeroed((size_t)function->frame_bytes * GS_LANES);
    f->next = s->frames;
    s->frames = f;
    return f;
}

void gs_frame_select(gs_warp *w, gs_frame *frame) {
    w->schedule->selected = frame;
    w->bank[GS_BANK_WARP] = frame->registers;
    w->bank[GS_BANK_CONST] = frame->function->constants;
    w->undefined = frame->undefined;
}

void gs_frame_free_all(gs_warp *w) {
    for (gs_frame *f = w->schedule->frames, *next; f != NULL; f = next) {
        next = f->next;
        free(f->registers);
        free(f->undefined);
        free(f->memory);
        free(f);
    }
    w->schedule->frames = w->schedule->root = w->schedule->selected = NULL;
}

void gs_frame_clear(gs_warp *w) {
    for (gs_frame *f = w->schedule->frames; f != NULL; f = f->next) {
        memset(f->undefined, 0, (size_t)f->function->register_bytes);
    }
    w->any_undefined = 0;
}

void gs_frame_pass(const gs_instr *call, gs_frame *caller, gs_frame *callee, uint32_t lanes, bool results) {
    const gs_operand *o = &call->operand[results ? 0 : 2];
    const gs_param *p = results ? callee->function->result : callee->function->param;
    const size_t out = (size_t)caller->function->frame_bytes, in = (size_t)callee->function->frame_bytes;
    for (int k = 0; k < o->n; k++) {
        const gs_operand *e = &call->function->list[o->first + k];
        const size_t at = (size_t)(e->displacement - GS_PARAM_FRAME), to = (size_t)p[k].offset;
        for (uint32_t left = lanes; left != 0; left &= left - 1) {
            const size_t l = (size_t)__builtin_ctz(left);
            uint8_t *outer = caller->memory + l * out + at, *inner = callee->memory + l * in + to;
            memcpy(results ? outer : inner, results ? inner : outer, (size_t)p[k].size);
        }
    }
}

gs_region gs_local_region(const gs_warp *w, int lane) {
    const gs_schedule *s = w->schedule;
    return (gs_region){.size = s->local_size,
                       .data = s->local + (uint64_t)lane * s->local_room,
                       .defined = s->local_defined + (uint64_t)lane * (s->local_room / 64)};
}
