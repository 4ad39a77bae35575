/* Runs a block: which warp, which of its splits, how far.
 *
 * forward: warps ascending, the split at the lowest instruction first, each as far as it can go. reverse: warps
 * descending, highest instruction first. random: any warp, any split, and with preemption any part of a split, which is
 * left after a random number of instructions. */
#include "engine.h"
#include <string.h>

/* How long a split, a warp may run while others wait: loops that wait for another thread must not wait for ever. */
enum { SPLIT_TURN = 1 << 16, WARP_TURN = 1 << 18 };
#define ENDLESS (UINT64_C(1) << 34)

uint32_t gs_random(gs_block *b) {
    b->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = b->random;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ x >> 31) >> 32);
}

/* ---- instructions that change where lanes go
 * ----------------------------------------------------------------------------- */

/* What becomes of the split that runs. */
typedef enum { GO_ON, SWITCH } outcome;

static outcome end_lanes(gs_warp *w, int split, const gs_instr *i, uint32_t lanes) {
    gs_schedule *s = w->schedule;
    if (s->n_copies > 0) {
        gs_copies_exit(w, i, lanes);
    }
    w->exited |= lanes;
    w->block->living -= (uint32_t)__builtin_popcount(lanes);
    gs_split *p = &s->split[split];
    p->lanes &= ~lanes;
    p->pc++;
    if (p->lanes == 0) {
        gs_split_remove(w, split);
    }
    if (s->n_splits > 0) {
        gs_collective_try(w, false);
    }
    gs_barrier_exit(w);
    return SWITCH;
}

static outcome branch(gs_warp *w, int split, const gs_instr *i, uint32_t lanes) {
    gs_schedule *s = w->schedule;
    const int32_t target = i->operand[i->n_operands - 1].target;
    if (lanes == s->split[split].lanes) {
        s->split[split].pc = target;
        return GO_ON;
    }
    if (lanes != 0) {
        s->split[gs_split_off(w, split, lanes)].pc = target;
    }
    s->split[split].pc++;
    return lanes == 0 ? GO_ON : SWITCH;
}

/* Lanes that the guard leaves out go on behind the instruction; returns the split of the others. */
static int part_lanes(gs_warp *w, int split, uint32_t lanes) {
    gs_schedule *s = w->schedule;
    if (lanes == s->split[split].lanes) {
        return split;
    }
    const int n = gs_split_off(w, split, lanes);
    s->split[split].pc++;
    return n;
}

static outcome call(gs_warp *w, int split, const gs_instr *i, uint32_t lanes) {
    gs_schedule *s = w->schedule;
    const gs_function *f = &i->function->module->function[i->operand[1].target];
    if (f->declared_only) {
        if (strcmp(f->name, "__assertfail") != 0) {
            char place[512];
            gs_fatal("call of %s at %s, which the PTX does not contain", f->name, gs_where(i, place));
        }
        gs_report(GS_DEVICE_TRAP, w, i, __builtin_ctz(lanes), "an assertion has failed");
        w->block->abandoned = true;
        return SWITCH;
    }
    gs_split *p = &s->split[part_lanes(w, split, lanes)];
    gs_frame *callee = gs_frame_enter(w, p->frame, f, p->pc + 1);
    gs_frame_pass(i, p->frame, callee, lanes, false);
    p->frame = callee;
    p->pc = 0;
    return SWITCH;
}

static outcome give_back(gs_warp *w, int split, uint32_t lanes) {
    gs_split *p = &w->schedule->split[part_lanes(w, split, lanes)];
    gs_frame *callee = p->frame;
    const gs_instr *call_instr = &callee->parent->function->instr[callee->return_pc - 1];
    gs_frame_pass(call_instr, callee->parent, callee, lanes, true);
    p->frame = callee->parent;
    p->pc = callee->return_pc;
    return SWITCH;
}

/* A collective for which all living lanes are here already needs no waiting. */
static outcome collective(gs_warp *w, int split, uint32_t lanes) {
    gs_schedule *s = w->schedule;
    const bool all = s->n_splits == 1 && lanes == s->split[split].lanes;
    const int n = part_lanes(w, split, lanes);
    s->split[n].state = GS_AT_COLLECTIVE;
    return gs_collective_try(w, false) && all && s->n_splits == 1 ? GO_ON : SWITCH;
}

static outcome control(gs_warp *w, int split, const gs_instr *i, uint32_t lanes) {
    if (i->control == GS_BRANCH) {
        return branch(w, split, i, lanes);
    }
    if (lanes == 0) {
        w->schedule->split[split].pc++;
        return GO_ON;
    }
    switch (i->control) {
    case GS_CALL:
        return call(w, split, i, lanes);
    case GS_RETURN:
        return w->schedule->split[split].frame->parent == NULL ? end_lanes(w, split, i, lanes)
                                                               : give_back(w, split, lanes);
    case GS_EXIT:
        return end_lanes(w, split, i, lanes);
    case GS_BARRIER:
        gs_barrier_arrive(w, part_lanes(w, split, lanes));
        return SWITCH;
    case GS_COLLECTIVE:
        return collective(w, split, lanes);
    default:
        gs_report(GS_DEVICE_TRAP, w, i, __builtin_ctz(lanes), "trap");
        w->block->abandoned = true;
        return SWITCH;
    }
}

/* ---- a split
 * ------------------------------------------------------------------------------------------------------------ */

static void check_guard(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const gs_operand guard = {
        .kind = GS_REG, .bank = GS_BANK_WARP, .size = 0, .width = 1, .offset = i->guard, .pair = -1};
    gs_use_undefined(w, i, &guard, lanes,
                     i->control == GS_BRANCH ? "what a branch depends on" : "the guard of an instruction");
}

/* The nearest instructions before and behind at which another split of the frame is ready. */
static void neighbours(const gs_schedule *s, int split, int32_t *low, int32_t *high) {
    const gs_split *p = &s->split[split];
    *low = -1;
    *high = INT32_MAX;
    for (int n = 0; n < s->n_splits; n++) {
        const gs_split *o = &s->split[n];
        if (n == split || o->state != GS_READY || o->frame != p->frame) {
            continue;
        }
        if (o->pc < p->pc) {
            *low = o->pc > *low ? o->pc : *low;
        } else {
            *high = o->pc < *high ? o->pc : *high;
        }
    }
}

/* Runs the split until it blocks, ends, changes, comes to another split (`meet`) or has executed `budget`
 * instructions. */
static void run_split(gs_warp *w, int split, int64_t budget, bool meet) {
    gs_schedule *s = w->schedule;
    const gs_split *p = &s->split[split];
    gs_frame_select(w, p->frame);
    const gs_instr *code = p->frame->function->instr;
    int32_t pc = p->pc, low = -1, high = INT32_MAX;
    uint32_t lanes = p->lanes;
    if (meet && s->n_splits > 1) {
        neighbours(s, split, &low, &high);
    }
    uint64_t executed = 0;
    const uint64_t width = (uint64_t)__builtin_popcount(lanes);
    for (; budget > 0 && pc > low && pc < high; budget--) {
        const gs_instr *i = &code[pc];
        uint32_t active = lanes;
        executed += width;
        if (i->guarded) {
            if (w->any_undefined != 0) {
                check_guard(w, i, lanes);
            }
            uint32_t guard;
            memcpy(&guard, w->bank[GS_BANK_WARP] + i->guard, sizeof guard);
            active &= i->guard_negated ? ~guard : guard;
        }
        if (i->control == GS_PLAIN) {
            if (active != 0) {
                i->run(w, i, active);
                if (w->any_undefined != 0 && i->run != gs_load && i->run != gs_atomic) {
                    gs_propagate_undefined(w, i, active);
                }
            }
            pc++;
            continue;
        }
        s->split[split].pc = pc;
        if (control(w, split, i, active) == SWITCH) {
            w->instructions += executed;
            return;
        }
        pc = s->split[split].pc;
    }
    s->split[split].pc = pc;
    w->instructions += executed;
}

/* ---- a warp
 * --------------------------------------------------------------------------------------------------------------- */

/* The split to run next; -1: none is ready. */
static int choose_split(gs_warp *w, gs_order order) {
    const gs_schedule *s = w->schedule;
    int best = -1, ready = 0;
    for (int n = 0; n < s->n_splits; n++) {
        const gs_split *p = &s->split[n];
        if (p->state != GS_READY) {
            continue;
        }
        ready++;
        if (best < 0) {
            best = n;
        } else if (order == GS_RANDOM) {
            best = gs_random(w->block) % (uint32_t)ready == 0 ? n : best;
        } else if (p->frame->depth != s->split[best].frame->depth) {
            best = p->frame->depth > s->split[best].frame->depth ? n : best;
        } else if (order == GS_FORWARD ? p->pc < s->split[best].pc : p->pc > s->split[best].pc) {
            best = n;
        }
    }
    return best;
}

static void run_warp(gs_warp *w, gs_order order) {
    const uint64_t begin = w->instructions;
    bool spun = false;
    while (!w->block->abandoned && w->instructions - begin < (uint64_t)WARP_TURN * GS_LANES) {
        /* A split that has used up its turn may be waiting for one that the order would never choose. */
        int n = choose_split(w, spun ? GS_RANDOM : order);
        if (n < 0) {
            break;
        }
        n = gs_split_merge(w, n);
        const uint64_t before = w->instructions;
        run_split(w, n, SPLIT_TURN, true);
        spun = w->instructions - before >= SPLIT_TURN;
    }
}

/* A subset of at least one and not all. */
static uint32_t random_part(gs_block *b, uint32_t lanes) {
    const uint32_t part = lanes & gs_random(b);
    return part == 0 || part == lanes ? lanes & -lanes : part;
}

static void run_warp_random(gs_warp *w) {
    const gs_options *o = gs_get_options();
    gs_block *b = w->block;
    int n = choose_split(w, GS_RANDOM);
    if (!o->preempt) {
        run_split(w, gs_split_merge(w, n), SPLIT_TURN, true);
        return;
    }
    const uint32_t dice = gs_random(b);
    if ((dice & 3) != 0) {
        n = gs_split_merge(w, n);
    }
    gs_schedule *s = w->schedule;
    const uint32_t lanes = s->split[n].lanes;
    if ((dice & 12) == 0 && (lanes & (lanes - 1)) != 0) {
        n = gs_split_off(w, n, random_part(b, lanes));
    }
    /* 1 .. 2 * slice - 1, all alike */
    const int64_t budget = 1 + (int64_t)(gs_random(b) % (uint64_t)(2 * o->slice - 1));
    run_split(w, n, budget, (dice & 16) != 0);
}

/* ---- a block
 * -------------------------------------------------------------------------------------------------------------- */

static void set_clock(gs_warp *w) {
    uint8_t *special = w->bank[GS_BANK_SPECIAL];
    uint32_t *clock = (uint32_t *)(void *)(special + GS_CLOCK * GS_SPECIAL_SLOT);
    uint64_t *clock64 = (uint64_t *)(void *)(special + GS_CLOCK64 * GS_SPECIAL_SLOT);
    uint64_t *timer = (uint64_t *)(void *)(special + GS_GLOBALTIMER * GS_SPECIAL_SLOT);
    for (int l = 0; l < GS_LANES; l++) {
        clock[l] = (uint32_t)w->block->run;
        clock64[l] = timer[l] = w->block->run;
    }
}

static bool is_ready(const gs_warp *w) {
    return gs_split_any(w, GS_READY);
}

/* Gives the warp its turn. */
static void turn(gs_warp *w, gs_order order) {
    const uint64_t before = w->instructions;
    if (order == GS_RANDOM) {
        run_warp_random(w);
    } else {
        run_warp(w, order);
    }
    w->block->run += w->instructions - before;
    if (w->schedule->n_splits > 0 && !w->block->abandoned) {
        gs_barrier_warp_blocked(w);
    }
}

static bool random_turn(gs_block *b) {
    uint32_t k = gs_random(b) % b->n_warps;
    for (uint32_t n = 0; n < b->n_warps; n++, k = (k + 1) % b->n_warps) {
        if (is_ready(&b->warp[k])) {
            turn(&b->warp[k], GS_RANDOM);
            return true;
        }
    }
    return false;
}

static bool turn_of_all(gs_block *b, gs_order order) {
    bool any = false;
    for (uint32_t n = 0; n < b->n_warps && !b->abandoned; n++) {
        gs_warp *w = &b->warp[order == GS_REVERSE ? b->n_warps - 1 - n : n];
        if (is_ready(w)) {
            set_clock(w);
            turn(w, order);
            any = true;
        }
    }
    return any;
}

void gs_block_run(gs_block *b) {
    const gs_order order = gs_get_options()->order;
    while (b->living > 0 && !b->abandoned) {
        const bool any = order == GS_RANDOM ? random_turn(b) : turn_of_all(b, order);
        if (!any && b->living > 0 && !b->abandoned) {
            gs_barrier_stuck(b);
        }
        if (b->run > ENDLESS) {
            gs_warp *w = &b->warp[0];
            gs_report(GS_STUCK_BARRIER, w, &w->launch->function->instr[0], -1,
                      "the block has not ended after %llu instructions", (unsigned long long)b->run);
            b->abandoned = true;
        }
    }
}
