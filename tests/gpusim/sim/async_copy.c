/* cp.async: the bytes arrive when the thread waits for them, as late as a GPU may deliver them. Until then the
 * destination is `in flight`: whoever reads or writes it is reported. */
#include "engine.h"
#include <stdlib.h>
#include <string.h>

typedef enum { COPY, COMMIT, WAIT_GROUP, WAIT_ALL } operation;

void gs_cp_async_prepare(gs_instr *i) {
    char place[512];
    operation op = COPY;
    if (gs_has_part(i, "commit_group")) {
        op = COMMIT;
    } else if (gs_has_part(i, "wait_group")) {
        op = WAIT_GROUP;
    } else if (gs_has_part(i, "wait_all")) {
        op = WAIT_ALL;
    }
    const bool copy = op == COPY && (gs_has_part(i, "ca") || gs_has_part(i, "cg"));
    if ((op == COPY && !copy) || gs_has_part(i, "bulk") || gs_has_part(i, "mbarrier")) {
        gs_fatal("%s at %s: this form of cp is not supported", i->text, gs_where(i, place));
    }
    i->detail[GS_D_OPERATION] = (uint8_t)op;
}

/* The value of an immediate or register operand. */
static uint64_t lane_value(const gs_warp *w, const gs_operand *o, int lane) {
    return o->size == 8 ? gs_u64(w, o)[lane] : gs_u32(w, o)[lane];
}

/* ---- copies under way
 * ------------------------------------------------------------------------------------------------ */

static void begin_copy(gs_warp *w, const gs_instr *i, gs_copy copy) {
    gs_schedule *s = w->schedule;
    gs_block *b = w->block;
    gs_in_flight_check(w, i, (int)copy.lane, copy.to, copy.bytes, true);
    const gs_who who = gs_who_is(w, i, true, false);
    gs_race_write(&who, (int)copy.lane, &b->shared, copy.to, copy.bytes, NULL);
    gs_defined_set(b->in_flight, copy.to, copy.bytes);
    b->n_in_flight++;
    if (s->n_copies == s->copy_room) {
        s->copy_room = s->copy_room == 0 ? 64 : 2 * s->copy_room;
        s->copy = realloc(s->copy, (size_t)s->copy_room * sizeof *s->copy);
    }
    s->copy[s->n_copies++] = copy;
}

static void finish_copy(gs_warp *w, const gs_copy *c) {
    gs_block *b = w->block;
    const gs_region *r = &b->shared;
    if (c->source_bytes > 0) {
        const uint64_t from = c->from - gs_heap.base;
        memcpy(r->data + c->to, gs_heap.data + from, c->source_bytes);
        gs_defined_copy(r->defined, c->to, gs_heap.defined, from, c->source_bytes);
    }
    if (c->source_bytes < c->bytes) {
        memset(r->data + c->to + c->source_bytes, 0, (size_t)(c->bytes - c->source_bytes));
        gs_defined_set(r->defined, c->to + c->source_bytes, (uint64_t)(c->bytes - c->source_bytes));
    }
    gs_defined_clear(b->in_flight, c->to, c->bytes);
    b->n_in_flight--;
    const gs_who who = gs_who_is(w, c->instr, true, false);
    gs_race_write(&who, (int)c->lane, r, c->to, c->bytes, NULL);
}

/* Finishes the lanes' copies of groups before `before[lane]`, in the order in which they were begun. */
static void finish_copies(gs_warp *w, uint32_t lanes, const uint32_t before[GS_LANES]) {
    gs_schedule *s = w->schedule;
    int kept = 0;
    for (int n = 0; n < s->n_copies; n++) {
        const gs_copy c = s->copy[n];
        if ((lanes >> c.lane & 1) != 0 && (int32_t)(c.group - before[c.lane]) < 0) {
            finish_copy(w, &c);
        } else {
            s->copy[kept++] = c;
        }
    }
    s->n_copies = kept;
}

void gs_in_flight_check(gs_warp *w, const gs_instr *i, int lane, uint64_t offset, unsigned bytes, bool write) {
    const gs_block *b = w->block;
    if ((atomic_load_explicit(&b->in_flight[offset >> 6], memory_order_relaxed) & gs_bits(offset, bytes)) == 0) {
        return;
    }
    char place[512] = "?";
    for (uint32_t k = 0; k < b->n_warps; k++) {
        const gs_schedule *s = b->warp[k].schedule;
        for (int n = 0; n < s->n_copies; n++) {
            if (s->copy[n].to < offset + bytes && offset < s->copy[n].to + s->copy[n].bytes) {
                gs_where(s->copy[n].instr, place);
            }
        }
    }
    gs_report(GS_ASYNC_COPY, w, i, lane,
              "%s of %u bytes at offset %llu of shared memory before the wait for the cp.async at %s that writes them",
              write ? "write" : "read", bytes, (unsigned long long)offset, place);
}

void gs_copies_exit(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    (void)i;
    gs_schedule *s = w->schedule;
    uint32_t all[GS_LANES];
    for (int n = 0; n < s->n_copies; n++) {
        const gs_copy *c = &s->copy[n];
        if ((lanes >> c->lane & 1) != 0) {
            gs_report(GS_ASYNC_COPY, w, c->instr, (int)c->lane, "the thread ends without a wait for this copy");
        }
    }
    for (int l = 0; l < GS_LANES; l++) {
        all[l] = s->copy_group[l] + 1;
    }
    finish_copies(w, lanes, all);
}

/* ---- the instructions
 * -------------------------------------------------------------------------------------------------- */

/* cp.async.ca.shared.global [to], [from], bytes{, source bytes} */
static void copy(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    uint64_t to[GS_LANES], from[GS_LANES];
    gs_addresses(w, i, &i->operand[0], lanes, to);
    gs_addresses(w, i, &i->operand[1], lanes, from);
    const unsigned bytes = (unsigned)lane_value(w, &i->operand[2], 0);
    const bool partial = i->n_operands > 3 && i->operand[3].kind == GS_REG && i->operand[3].size == 4;
    if ((bytes != 4 && bytes != 8 && bytes != 16) || (bytes != 16 && gs_has_part(i, "cg"))) {
        gs_fatal("%s: cp.async of %u bytes", i->text, bytes);
    }
    if (partial && w->any_undefined != 0) {
        gs_use_undefined(w, i, &i->operand[3], lanes, "the size of a copy");
    }
    gs_region shared, global;
    uint32_t good = gs_check_access(w, i, GS_SHARED, to, lanes, bytes, true, &shared);
    for (; good != 0; good &= good - 1) {
        const int l = __builtin_ctz(good);
        const uint64_t wanted = partial ? lane_value(w, &i->operand[3], l) : bytes;
        gs_copy c = {.to = to[l],
                     .from = from[l],
                     .lane = (uint32_t)l,
                     .group = w->schedule->copy_group[l],
                     .bytes = (uint8_t)bytes,
                     .source_bytes = (uint8_t)(wanted < bytes ? wanted : bytes),
                     .instr = i};
        if (wanted > bytes) {
            gs_report(GS_ASYNC_COPY, w, i, l, "source size %llu of a copy of %u bytes", (unsigned long long)wanted,
                      bytes);
        }
        if ((from[l] & (bytes - 1)) != 0) {
            gs_report(GS_MISALIGNED, w, i, l, "source of %u bytes at address 0x%llx", bytes,
                      (unsigned long long)from[l]);
            c.source_bytes = 0;
        }
        /* Only the bytes that are read must exist; the bounds are checked byte-wise as their number is any. */
        for (unsigned n = 0; n < c.source_bytes; n += 4) {
            uint64_t piece[GS_LANES];
            piece[l] = from[l] + n;
            const unsigned rest = c.source_bytes - n;
            const unsigned size = rest >= 4 ? 4 : rest >= 2 ? 2 : 1;
            if (gs_check_access(w, i, GS_GLOBAL, piece, UINT32_C(1) << l, size, false, &global) == 0) {
                c.source_bytes = 0;
                break;
            }
            const gs_who who = gs_who_is(w, i, false, false);
            gs_race_read(&who, UINT32_C(1) << l, piece, &global, size);
        }
        begin_copy(w, i, c);
    }
}

void gs_cp_async(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    gs_schedule *s = w->schedule;
    uint32_t before[GS_LANES];
    switch (i->detail[GS_D_OPERATION]) {
    case COPY:
        copy(w, i, lanes);
        return;
    case COMMIT:
        for (uint32_t left = lanes; left != 0; left &= left - 1) {
            s->copy_group[__builtin_ctz(left)]++;
        }
        return;
    default:
        for (uint32_t left = lanes; left != 0; left &= left - 1) {
            const int l = __builtin_ctz(left);
            /* wait_all: also what has not been committed */
            before[l] = i->detail[GS_D_OPERATION] == WAIT_ALL
                            ? s->copy_group[l] + 1
                            : s->copy_group[l] - (uint32_t)lane_value(w, &i->operand[0], l);
        }
        finish_copies(w, lanes, before);
    }
}
