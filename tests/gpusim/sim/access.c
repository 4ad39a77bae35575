/* Before every access: what kind it is, its addresses a lane, the checks of bounds, alignment and undefined addresses.
 */
#include "engine.h"
#include <stdio.h>
#include <string.h>

/* ---- before a module runs -----------------------------------------------------------------------------------------
 */

enum { MAX_FUNCTIONS = 4096 };
static const gs_function *functions[MAX_FUNCTIONS];
static int n_functions;

const gs_instr *gs_code_instr(uint32_t code) {
    const gs_function *f = functions[code >> 20];
    const int32_t index = (int32_t)(code & 0xfffff);
    return f != NULL && index < f->n_instrs ? &f->instr[index] : NULL;
}

static void prepare_instr(gs_instr *i) {
    if (i->run == gs_load || i->run == gs_store) {
        uint8_t flags = 0;
        if (gs_has_part(i, "volatile") || gs_has_part(i, "relaxed") || gs_has_part(i, "mmio")) {
            flags |= GS_F_ATOMIC;
        }
        if (gs_has_part(i, "acquire")) {
            flags |= GS_F_ATOMIC | GS_F_ACQUIRE;
        }
        if (gs_has_part(i, "release")) {
            flags |= GS_F_ATOMIC | GS_F_RELEASE;
        }
        if (gs_has_part(i, "nc")) {
            flags |= GS_F_NC;
        }
        i->detail[GS_D_FLAGS] = flags;
    } else if (i->run == gs_atomic) {
        gs_atomic_prepare(i);
    } else if (i->run == gs_cp_async) {
        gs_cp_async_prepare(i);
    }
}

void gs_memory_prepare(gs_module *module) {
    if (module->prepared) {
        return;
    }
    module->prepared = true;
    for (int n = 0; n < module->n_functions; n++) {
        gs_function *f = &module->function[n];
        if (n_functions == MAX_FUNCTIONS || f->n_instrs >= 1 << 20) {
            gs_fatal("more than %d functions, or a function of more than a million instructions", MAX_FUNCTIONS);
        }
        f->number = n_functions;
        functions[n_functions++] = f;
        for (int k = 0; k < f->n_instrs; k++) {
            prepare_instr(&f->instr[k]);
        }
    }
}

/* ---- undefined values ---------------------------------------------------------------------------------------------
 */

void gs_use_undefined(gs_warp *w, const gs_instr *i, const gs_operand *o, uint32_t lanes, const char *use) {
    if (w->any_undefined == 0) {
        return;
    }
    const uint32_t bad = gs_operand_undefined(w, o, lanes);
    if (bad == 0) {
        return;
    }
    char place[512] = "?";
    const gs_schedule *s = w->schedule;
    if (s->undefined_load != NULL) {
        gs_where(s->undefined_load, place);
    }
    gs_report(GS_UNINITIALISED, w, i, __builtin_ctz(bad), "the value loaded at %s from memory that nothing wrote is %s",
              place, use);
    if (o->kind != GS_ADDR) {
        gs_mark_undefined(w, o, bad, 0);
    } else {
        gs_operand base = *o;
        base.kind = GS_REG;
        gs_mark_undefined(w, &base, bad, 0);
    }
}

/* ---- addresses ------------------------------------------------------------------------------------------------------
 */

void gs_addresses(gs_warp *w, const gs_instr *i, const gs_operand *o, uint32_t lanes, uint64_t address[GS_LANES]) {
    const uint64_t plus = (uint64_t)o->displacement;
    if (!o->has_base) {
        for (int l = 0; l < GS_LANES; l++) {
            address[l] = plus;
        }
        return;
    }
    if (w->any_undefined != 0) {
        gs_use_undefined(w, i, o, lanes, "used as an address");
    }
    if (o->size == 8) {
        const uint64_t *base = gs_u64(w, o);
        for (int l = 0; l < GS_LANES; l++) {
            address[l] = base[l] + plus;
        }
    } else {
        const uint32_t *base = gs_u32(w, o);
        for (int l = 0; l < GS_LANES; l++) {
            address[l] = (uint32_t)(base[l] + (uint32_t)plus);
        }
    }
}

static gs_space window_of(uint64_t address) {
    if (address - GS_SHARED_WINDOW < GS_WINDOW_BYTES) {
        return GS_SHARED;
    }
    return address - GS_LOCAL_WINDOW < GS_WINDOW_BYTES ? GS_LOCAL : GS_GLOBAL;
}

uint32_t gs_resolve(const gs_warp *w, uint64_t address[GS_LANES], uint32_t lanes, gs_space *space) {
    (void)w;
    const gs_space first = window_of(address[__builtin_ctz(lanes)]);
    const uint64_t window = first == GS_SHARED ? GS_SHARED_WINDOW : first == GS_LOCAL ? GS_LOCAL_WINDOW : 0;
    uint32_t in = 0;
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        if (window_of(address[l]) == first) {
            in |= UINT32_C(1) << l;
            address[l] -= window;
        }
    }
    *space = first;
    return in;
}

/* ---- checks
 * ----------------------------------------------------------------------------------------------------------- */

/* Reports the lanes whose address is no multiple of `bytes`; returns the others. */
static uint32_t check_alignment(gs_warp *w, const gs_instr *i, const uint64_t address[GS_LANES], uint32_t lanes,
                                unsigned bytes) {
    uint32_t bad = 0;
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        bad |= (address[l] & (bytes - 1)) != 0 ? UINT32_C(1) << l : 0;
    }
    if (bad != 0) {
        const int l = __builtin_ctz(bad);
        gs_report(GS_MISALIGNED, w, i, l, "%u bytes at address 0x%llx, which is no multiple of %u", bytes,
                  (unsigned long long)address[l], bytes);
    }
    return lanes & ~bad;
}

static uint32_t outside_window(gs_warp *w, const gs_instr *i, const char *space, const uint64_t address[GS_LANES],
                               uint32_t lanes, unsigned bytes, uint64_t size, bool write) {
    uint32_t good = 0;
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        if (address[l] <= size && size - address[l] >= bytes) {
            good |= UINT32_C(1) << l;
        }
    }
    if (good != lanes) {
        const int l = __builtin_ctz(lanes & ~good);
        gs_report(GS_OUT_OF_BOUNDS, w, i, l, "%s of %u bytes at offset %lld of %llu bytes of %s memory",
                  write ? "write" : "read", bytes, (long long)address[l], (unsigned long long)size, space);
    }
    return good;
}

static uint32_t outside_allocations(gs_warp *w, const gs_instr *i, const uint64_t address[GS_LANES], uint32_t lanes,
                                    unsigned bytes, bool write) {
    uint64_t *hit = &w->schedule->last_hit[i->index & 63];
    uint32_t good = 0;
    const gs_allocation *a = *hit != 0 ? (const gs_allocation *)(uintptr_t)*hit : NULL;
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        if (a == NULL || address[l] - a->begin >= a->bytes) {
            a = gs_heap_find(address[l]);
            *hit = (uint64_t)(uintptr_t)a;
        }
        if (a != NULL && a->live && address[l] - a->begin < a->bytes && a->bytes - (address[l] - a->begin) >= bytes) {
            good |= UINT32_C(1) << l;
            continue;
        }
        char text[256];
        gs_check check;
        gs_heap_describe(address[l], bytes, text, &check);
        gs_report(check, w, i, l, "%s of %s", write ? "write" : "read", text);
    }
    return good;
}

/* The lowest and highest address, and the bits that are set in any. */
static inline void extent(const uint64_t address[GS_LANES], uint32_t lanes, uint64_t *low, uint64_t *high,
                          uint64_t *all) {
    const uint64_t first = address[__builtin_ctz(lanes)];
    uint64_t least = first, most = first, bits = 0;
    for (int l = 0; l < GS_LANES; l++) {
        const uint64_t a = (lanes >> l & 1) != 0 ? address[l] : first;
        least = a < least ? a : least;
        most = a > most ? a : most;
        bits |= a;
    }
    *low = least;
    *high = most;
    *all = bits;
}

uint32_t gs_check_access(gs_warp *w, const gs_instr *i, gs_space space, const uint64_t address[GS_LANES],
                         uint32_t lanes, unsigned bytes, bool write, gs_region *region) {
    uint64_t low, high, all;
    extent(address, lanes, &low, &high, &all);
    if ((all & (bytes - 1)) != 0) {
        lanes = check_alignment(w, i, address, lanes, bytes);
        if (lanes == 0) {
            return 0;
        }
    }
    if (space == GS_SHARED || space == GS_LOCAL) {
        *region = space == GS_SHARED ? w->block->shared : gs_local_region(w, 0);
        region->low = low;
        region->high = high;
        const bool inside = high <= region->size && region->size - high >= bytes;
        return inside ? lanes
                      : outside_window(w, i, space == GS_SHARED ? "shared" : "local", address, lanes, bytes,
                                       region->size, write);
    }
    *region = gs_heap;
    region->low = low;
    region->high = high;
    const gs_allocation *a = (const gs_allocation *)(uintptr_t)w->schedule->last_hit[i->index & 63];
    if (a != NULL && a->live && low >= a->begin && high - a->begin < a->bytes &&
        a->bytes - (high - a->begin) >= bytes) {
        return lanes;
    }
    return outside_allocations(w, i, address, lanes, bytes, write);
}
