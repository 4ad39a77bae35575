/* Splits: lanes of a warp that stand at the same instruction. */
#include "engine.h"

int gs_split_off(gs_warp *w, int split, uint32_t lanes) {
    gs_schedule *s = w->schedule;
    const int n = s->n_splits++;
    s->split[n] = s->split[split];
    s->split[n].lanes = lanes;
    s->split[split].lanes &= ~lanes;
    return n;
}

void gs_split_remove(gs_warp *w, int split) {
    gs_schedule *s = w->schedule;
    s->split[split] = s->split[--s->n_splits];
}

int gs_split_merge(gs_warp *w, int split) {
    gs_schedule *s = w->schedule;
    for (int n = 0; n < s->n_splits; n++) {
        gs_split *a = &s->split[split], *b = &s->split[n];
        if (n != split && a->pc == b->pc && a->frame == b->frame && a->state == b->state) {
            a->lanes |= b->lanes;
            gs_split_remove(w, n);
            if (split == s->n_splits) {
                split = n;
            }
            n--;
        }
    }
    return split;
}

bool gs_split_any(const gs_warp *w, gs_state state) {
    for (int n = 0; n < w->schedule->n_splits; n++) {
        if (w->schedule->split[n].state == state) {
            return true;
        }
    }
    return false;
}
