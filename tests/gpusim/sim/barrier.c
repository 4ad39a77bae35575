/* The barriers of a block. An aligned one counts a warp when all its living lanes stand at the same instruction. */
#include "engine.h"
#include <stdio.h>
#include <string.h>

static const gs_instr *split_instr(const gs_split *p) {
    return &p->frame->function->instr[p->pc];
}

static bool is_aligned(const gs_instr *i) {
    return strcmp(i->part[0], "bar") == 0 || gs_has_part(i, "aligned");
}

static bool is_reduction(const gs_instr *i) {
    return i->detail[0] >= GS_BAR_POPC;
}

static uint32_t operand_value(gs_warp *w, const gs_operand *o, int lane) {
    return o->size == 8 ? (uint32_t)gs_u64(w, o)[lane] : gs_u32(w, o)[lane];
}

/* ---- the end of a generation
 * ------------------------------------------------------------------------------------------- */

static void set_lanes(uint32_t *to, uint32_t lanes, uint32_t value) {
    for (; lanes != 0; lanes &= lanes - 1) {
        to[__builtin_ctz(lanes)] = value;
    }
}

static void deliver_reduction(gs_warp *w, const gs_split *p, const gs_instr *i, const gs_barrier *b) {
    const gs_operand *to = &i->operand[0];
    gs_frame_select(w, p->frame);
    if (to->kind != GS_REG) {
        return;
    }
    if (i->detail[0] == GS_BAR_POPC) {
        set_lanes(gs_u32(w, to), p->lanes, b->reduced_count);
        return;
    }
    const bool value = i->detail[0] == GS_BAR_AND ? b->reduced_and != 0 : b->reduced_or != 0;
    uint32_t *predicate = gs_u32(w, to);
    *predicate = value ? *predicate | p->lanes : *predicate & ~p->lanes;
}

/* The warp knows of all that came before the barrier. */
static void join_clock(gs_warp *w, const gs_barrier *b, uint32_t lanes) {
    gs_schedule *s = w->schedule;
    for (uint32_t k = 0; k < w->block->n_warps; k++) {
        if ((int)k != w->index && b->clock[k] > s->known[k]) {
            s->known[k] = b->clock[k];
        }
    }
    if (lanes == gs_living(w)) {
        s->known[w->index] = s->time;
    } else {
        gs_order_lanes(w, lanes);
    }
}

static void release(gs_block *b, int id) {
    gs_barrier *barrier = &b->barrier[id];
    for (uint32_t k = 0; k < b->n_warps; k++) {
        gs_warp *w = &b->warp[k];
        for (int n = 0; n < w->schedule->n_splits; n++) {
            gs_split *p = &w->schedule->split[n];
            if (p->state != GS_IN_BARRIER || p->barrier != id) {
                continue;
            }
            const gs_instr *i = split_instr(p);
            join_clock(w, barrier, p->lanes);
            if (is_reduction(i)) {
                deliver_reduction(w, p, i, barrier);
            }
            p->state = GS_READY;
            p->pc++;
        }
    }
    *barrier = (gs_barrier){0};
}

static gs_warp *waiting_warp(gs_block *b, int id) {
    for (uint32_t k = 0; k < b->n_warps; k++) {
        for (int n = 0; n < b->warp[k].schedule->n_splits; n++) {
            const gs_split *p = &b->warp[k].schedule->split[n];
            if (p->state == GS_IN_BARRIER && p->barrier == id) {
                return &b->warp[k];
            }
        }
    }
    return NULL;
}

static void release_if_complete(gs_block *b, int id) {
    gs_barrier *barrier = &b->barrier[id];
    if (barrier->arrived == 0 || barrier->arrived < (barrier->counted ? barrier->expected : b->living)) {
        return;
    }
    gs_warp *w = waiting_warp(b, id);
    if (!barrier->counted && b->living < b->threads && w != NULL) {
        gs_report(GS_DIVERGENT_BARRIER, w, barrier->first, -1,
                  "%u of the block's %u threads have ended without coming to this barrier", b->threads - b->living,
                  b->threads);
    }
    release(b, id);
}

/* ---- arrival
 * ------------------------------------------------------------------------------------------------------------- */

static void reduce(gs_warp *w, const gs_instr *i, gs_barrier *barrier, uint32_t lanes) {
    const uint32_t p = gs_pred(w, &i->operand[i->n_operands - 1]) & lanes;
    if (barrier->arrived == 0) {
        barrier->reduced_and = 1;
    }
    barrier->reduced_count += (uint32_t)__builtin_popcount(p);
    barrier->reduced_and &= p == lanes;
    barrier->reduced_or |= p != 0;
}

static void count(gs_warp *w, int split) {
    gs_split *p = &w->schedule->split[split];
    gs_schedule *s = w->schedule;
    gs_block *b = w->block;
    const gs_instr *i = split_instr(p);
    gs_frame_select(w, p->frame);
    const int lane = __builtin_ctz(p->lanes), at = is_reduction(i) ? 1 : 0;
    const uint32_t id = operand_value(w, &i->operand[at], lane);
    const bool counted = i->n_operands > (is_reduction(i) ? 3 : 1);
    if (id >= GS_BARRIERS) {
        gs_report(GS_STUCK_BARRIER, w, i, lane, "there is no barrier %u", id);
        p->state = GS_READY;
        p->pc++;
        return;
    }
    gs_barrier *barrier = &b->barrier[id];
    if (is_reduction(i)) {
        reduce(w, i, barrier, p->lanes);
    }
    if (barrier->arrived == 0) {
        barrier->first = i;
        barrier->counted = counted;
        barrier->expected = counted ? operand_value(w, &i->operand[at + 1], lane) : 0;
        if (counted && (barrier->expected % GS_LANES != 0 || barrier->expected == 0)) {
            gs_report(GS_STUCK_BARRIER, w, i, lane, "a barrier of %u threads: no multiple of 32", barrier->expected);
        }
    }
    s->time++;
    for (uint32_t k = 0; k < b->n_warps; k++) {
        const uint32_t known = (int)k == w->index ? s->time : s->known[k];
        barrier->clock[k] = known > barrier->clock[k] ? known : barrier->clock[k];
    }
    /* With a count whole warps are counted, also a last one of fewer lanes. */
    barrier->arrived += counted && is_aligned(i) ? GS_LANES : (uint32_t)__builtin_popcount(p->lanes);
    if (i->detail[0] == GS_BAR_ARRIVE) {
        p->state = GS_READY;
        p->pc++;
    } else {
        p->state = GS_IN_BARRIER;
        p->barrier = (uint8_t)id;
    }
    release_if_complete(b, (int)id);
}

void gs_barrier_arrive(gs_warp *w, int split) {
    gs_schedule *s = w->schedule;
    s->split[split].state = GS_AT_BARRIER;
    split = gs_split_merge(w, split);
    if (!is_aligned(split_instr(&s->split[split])) || s->split[split].lanes == gs_living(w)) {
        count(w, split);
    }
}

void gs_barrier_exit(gs_warp *w) {
    gs_schedule *s = w->schedule;
    for (int n = 0; n < s->n_splits; n++) {
        if (s->split[n].state == GS_AT_BARRIER && s->split[n].lanes == gs_living(w)) {
            count(w, n);
            break;
        }
    }
    for (int id = 0; id < GS_BARRIERS && w->block->living > 0; id++) {
        release_if_complete(w->block, id);
    }
}

/* ---- lanes that will not come
 * ---------------------------------------------------------------------------------------------- */

/* Counts the parts of a warp as if each were a warp, said. */
static bool count_parts(gs_warp *w) {
    gs_schedule *s = w->schedule;
    bool any = false;
    for (int n = 0; n < s->n_splits; n++) {
        if (s->split[n].state == GS_AT_BARRIER) {
            const gs_split *p = &s->split[n];
            gs_report(GS_DIVERGENT_BARRIER, w, split_instr(p), __builtin_ctz(p->lanes),
                      "lanes 0x%08x of the warp stand at this barrier, its other lanes 0x%08x do not come to it",
                      p->lanes, gs_living(w) & ~p->lanes);
            count(w, n);
            any = true;
        }
    }
    return any;
}

void gs_barrier_warp_blocked(gs_warp *w) {
    if (gs_split_any(w, GS_READY) || gs_split_any(w, GS_IN_BARRIER)) {
        return;
    }
    if (!count_parts(w)) {
        gs_collective_try(w, true);
    }
}

static void say_stuck(gs_block *b) {
    char text[700] = "";
    size_t n = 0;
    gs_warp *w = NULL;
    const gs_instr *first = NULL;
    for (uint32_t k = 0; k < b->n_warps; k++) {
        for (int m = 0; m < b->warp[k].schedule->n_splits; m++) {
            const gs_split *p = &b->warp[k].schedule->split[m];
            char place[512];
            if (first == NULL) {
                first = split_instr(p);
                w = &b->warp[k];
            }
            if (n < 400) {
                n += (size_t)snprintf(text + n, 120, "%swarp %u lanes 0x%08x at barrier %d, %.70s", n > 0 ? "; " : "",
                                      k, p->lanes, p->barrier, gs_where(split_instr(p), place));
                n = n < strlen(text) ? n : strlen(text);
            }
        }
    }
    gs_report(GS_STUCK_BARRIER, w, first, -1, "no thread of the block can go on: %s", text);
}

void gs_barrier_stuck(gs_block *b) {
    bool went_on = false;
    for (uint32_t k = 0; k < b->n_warps; k++) {
        went_on |= count_parts(&b->warp[k]);
    }
    for (uint32_t k = 0; k < b->n_warps && !went_on; k++) {
        went_on = gs_collective_try(&b->warp[k], true);
    }
    if (went_on) {
        return;
    }
    say_stuck(b);
    if (++b->forced > 100) {
        b->abandoned = true;
        return;
    }
    for (int id = 0; id < GS_BARRIERS; id++) {
        release(b, id);
    }
}
