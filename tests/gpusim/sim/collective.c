/* Instructions that several lanes of a warp execute together: shuffles, votes, matrix products, bar.warp.sync. A lane
 * waits until all living lanes that its member mask names stand at the same instruction. */
#include "engine.h"
#include <string.h>

static uint32_t mask_of(const gs_warp *w, const gs_instr *i, int lane) {
    if (i->member_mask < 0) {
        return UINT32_MAX;
    }
    const gs_operand *o = &i->operand[i->member_mask];
    return o->size == 8 ? (uint32_t)gs_u64(w, o)[lane] : gs_u32(w, o)[lane];
}

static bool is_warp_sync(const gs_instr *i) {
    return strcmp(i->part[0], "bar") == 0;
}

/* Says what is wrong with the lanes that meet. */
static void check_group(gs_warp *w, const gs_instr *i, uint32_t group, uint32_t mask) {
    for (uint32_t left = group; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        const uint32_t own = mask_of(w, i, l);
        if ((own >> l & 1) == 0) {
            gs_report(GS_BAD_LANE, w, i, l, "lane %d is not in its own member mask 0x%08x", l, own);
        } else if (own != mask) {
            gs_report(GS_BAD_LANE, w, i, l, "lane %d has member mask 0x%08x, lane %d 0x%08x", l, own,
                      __builtin_ctz(group), mask);
        }
    }
    const uint32_t gone = mask & w->members & w->exited;
    if (gone != 0 && !is_warp_sync(i)) {
        gs_report(GS_BAD_LANE, w, i, __builtin_ctz(group), "lanes 0x%08x of the member mask 0x%08x have ended", gone,
                  mask);
    }
}

static void run_group(gs_warp *w, int split, uint32_t group) {
    gs_schedule *s = w->schedule;
    const int n = group == s->split[split].lanes ? split : gs_split_off(w, split, group);
    gs_split *p = &s->split[n];
    const gs_instr *i = &p->frame->function->instr[p->pc];
    gs_frame_select(w, p->frame);
    i->run(w, i, group);
    if (w->any_undefined != 0) {
        gs_propagate_undefined(w, i, group);
    }
    if (is_warp_sync(i)) {
        gs_order_lanes(w, group);
    }
    p->pc++;
    p->state = GS_READY;
}

/* The lanes that meet with the lowest one of `lanes`, all of which stand at the instruction; 0: some are missing. */
static uint32_t meeting(gs_warp *w, const gs_instr *i, uint32_t lanes, uint32_t all_waiting, bool force) {
    const int first = __builtin_ctz(lanes);
    const uint32_t mask = mask_of(w, i, first) | UINT32_C(1) << first, wanted = mask & gs_living(w);
    const uint32_t missing = wanted & ~all_waiting;
    if (missing != 0) {
        if (!force) {
            return 0;
        }
        gs_report(GS_BAD_LANE, w, i, first, "lanes 0x%08x of the member mask 0x%08x do not come: they wait elsewhere",
                  missing, mask);
    }
    const uint32_t group = wanted & all_waiting;
    check_group(w, i, group, mask_of(w, i, first));
    return group;
}

bool gs_collective_try(gs_warp *w, bool force) {
    gs_schedule *s = w->schedule;
    bool ran = false;
    for (int n = 0; n < s->n_splits; n++) {
        if (s->split[n].state != GS_AT_COLLECTIVE) {
            continue;
        }
        n = gs_split_merge(w, n);
        gs_frame_select(w, s->split[n].frame);
        const gs_instr *i = &s->split[n].frame->function->instr[s->split[n].pc];
        const uint32_t waiting = s->split[n].lanes;
        uint32_t left = waiting;
        while (left != 0) {
            const int first = __builtin_ctz(left);
            const uint32_t group = meeting(w, i, left, s->split[n].lanes, force);
            left &= ~(group | UINT32_C(1) << first);
            if (group != 0) {
                const bool all = group == s->split[n].lanes;
                run_group(w, n, group);
                ran = true;
                if (all) {
                    break;
                }
            }
        }
        if (ran && force) {
            return true;
        }
    }
    return ran;
}
