/* ld, st, cvta, rows of matrices: the bytes themselves, their marks, races. access.c checks the addresses before. */
#include "engine.h"
#include <string.h>

/* ---- registers
 * ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    const gs_operand *element; /* `n` of them                                                                      */
    int n;
    unsigned size; /* bytes of an element in memory                                                               */
} elements;

static elements elements_of(const gs_instr *i, const gs_operand *o) {
    elements e = {o, 1, (unsigned)gs_type_size((gs_type)i->type)};
    if (o->kind == GS_VECTOR) {
        e.element = &i->function->list[o->first];
        e.n = o->n;
    }
    return e;
}

/* A loaded element as the register holds it. */
static inline uint64_t extend(uint64_t value, gs_type type, unsigned width) {
    int64_t wide;
    switch (type) {
    case GS_S8:
        wide = (int64_t)(int8_t)(uint8_t)value;
        break;
    case GS_S16:
        wide = (int16_t)value;
        break;
    case GS_S32:
        wide = (int32_t)value;
        break;
    default:
        return value;
    }
    return width >= 64 ? (uint64_t)wide : (uint64_t)wide & ((UINT64_C(1) << width) - 1);
}

static inline uint64_t read_bytes(const uint8_t *from, unsigned size) {
    uint64_t v = 0;
    switch (size) {
    case 1:
        return *from;
    case 2:
        memcpy(&v, from, 2);
        return v;
    case 4:
        memcpy(&v, from, 4);
        return v;
    default:
        memcpy(&v, from, 8);
        return v;
    }
}

static inline void set_register(gs_warp *w, const gs_operand *o, int lane, uint64_t value) {
    if (o->kind == GS_SINK) {
        return;
    }
    if (o->size == 8) {
        gs_u64(w, o)[lane] = value;
    } else {
        gs_u32(w, o)[lane] = (uint32_t)value;
    }
}

static inline uint64_t get_register(const gs_warp *w, const gs_operand *o, int lane) {
    return o->size == 8 ? gs_u64(w, o)[lane] : gs_u32(w, o)[lane];
}

/* Undefined lanes of an element of a load, and none in the others. */
static void mark(gs_warp *w, const gs_instr *i, const gs_operand *o, uint32_t lanes, uint32_t undefined,
                 uint64_t address) {
    if (undefined != 0) {
        w->schedule->undefined_load = i;
        w->schedule->undefined_address = address;
        w->block->any_undefined = true;
    }
    if ((undefined | w->any_undefined) != 0 && o->kind == GS_REG) {
        gs_mark_undefined(w, o, lanes, undefined);
    }
}

/* ---- ld
 * -------------------------------------------------------------------------------------------------------------------
 */

/* True when the lanes are all there and their addresses follow each other. */
static bool consecutive(const uint64_t address[GS_LANES], uint32_t lanes, unsigned bytes) {
    uint64_t other = 0;
    for (uint64_t l = 0; l < GS_LANES; l++) {
        other |= address[l] ^ (address[0] + l * bytes);
    }
    return lanes == UINT32_MAX && other == 0;
}

typedef uint32_t __attribute__((may_alias)) word;

static void load_words(gs_warp *w, const gs_region *r, const uint64_t address[GS_LANES], uint32_t lanes,
                       const gs_operand *o, uint64_t plus) {
    uint32_t *to = gs_u32(w, o);
    const uint8_t *from = r->data + plus;
    if (lanes == UINT32_MAX) {
        for (int l = 0; l < GS_LANES; l++) {
            to[l] = *(const word *)(const void *)(from + address[l]);
        }
        return;
    }
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        to[l] = *(const word *)(const void *)(from + address[l]);
    }
}

static uint32_t undefined_lanes(const gs_region *r, const uint64_t address[GS_LANES], uint32_t lanes, uint64_t plus,
                                unsigned size) {
    uint32_t undefined = 0;
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        undefined |= gs_is_defined(r, address[l] + plus, size) ? 0 : UINT32_C(1) << l;
    }
    return undefined;
}

enum { NEAR = 1024 };

static void load_lanes(gs_warp *w, const gs_instr *i, const gs_region *r, const uint64_t address[GS_LANES],
                       uint32_t lanes) {
    const elements e = elements_of(i, &i->operand[0]);
    if (r->granule != NULL && i->space != GS_CONST) {
        const gs_who who = gs_who_is(w, i, r->base == 0, (i->detail[GS_D_FLAGS] & GS_F_ATOMIC) != 0);
        gs_race_read(&who, lanes, address, r, e.size * (unsigned)e.n);
    }
    if (e.size == 4 && e.n == 1 && e.element->kind == GS_REG && e.element->size == 4 &&
        consecutive(address, lanes, 4) && gs_defined_all(r->defined, address[0] - r->base, 4 * GS_LANES)) {
        memcpy(gs_u32(w, e.element), r->data + (address[0] - r->base), sizeof(uint32_t) * GS_LANES);
        mark(w, i, e.element, lanes, 0, 0);
        return;
    }
    /* When the lanes are near each other all bytes between them are looked at, at once. */
    const uint64_t extent = r->high - r->low + e.size * (unsigned)e.n;
    const bool defined = extent <= NEAR && gs_defined_all(r->defined, r->low - r->base, extent);
    for (int k = 0; k < e.n; k++) {
        const gs_operand *o = &e.element[k];
        const uint64_t plus = (uint64_t)k * e.size - r->base;
        const uint32_t undefined = defined ? 0 : undefined_lanes(r, address, lanes, plus, e.size);
        if (e.size == 4 && o->kind == GS_REG && o->size == 4) {
            load_words(w, r, address, lanes, o, plus);
        } else {
            for (uint32_t left = lanes; left != 0; left &= left - 1) {
                const int l = __builtin_ctz(left);
                set_register(w, o, l,
                             extend(read_bytes(r->data + address[l] + plus, e.size), (gs_type)i->type, o->width));
            }
        }
        mark(w, i, o, lanes, undefined, undefined != 0 ? address[__builtin_ctz(undefined)] : 0);
    }
}

/* Where a parameter address lies: the launch's bank, or the running function's frame, a lane. */
static uint8_t *param_place(gs_warp *w, const gs_instr *i, uint64_t address, int lane, unsigned bytes) {
    if (address >= GS_PARAM_FRAME) {
        const gs_frame *f = gs_warp_frame(w);
        const uint64_t at = address - GS_PARAM_FRAME;
        if (at + bytes <= (uint64_t)f->function->frame_bytes) {
            return f->memory + (uint64_t)lane * (uint64_t)f->function->frame_bytes + at;
        }
    } else if (address + bytes <= (uint64_t)w->launch->function->param_bytes) {
        return w->params + address;
    }
    gs_report(GS_OUT_OF_BOUNDS, w, i, lane, "%u bytes at offset %llu of the parameters", bytes,
              (unsigned long long)(address & (GS_PARAM_FRAME - 1)));
    return NULL;
}

static void load_param(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    uint64_t address[GS_LANES];
    gs_addresses(w, i, &i->operand[1], lanes, address);
    const elements e = elements_of(i, &i->operand[0]);
    for (int k = 0; k < e.n; k++) {
        for (uint32_t left = lanes; left != 0; left &= left - 1) {
            const int l = __builtin_ctz(left);
            const uint8_t *from = param_place(w, i, address[l] + (uint64_t)k * e.size, l, e.size);
            if (from != NULL) {
                set_register(w, &e.element[k], l,
                             extend(read_bytes(from, e.size), (gs_type)i->type, e.element[k].width));
            }
        }
        mark(w, i, &e.element[k], lanes, 0, 0);
    }
}

/* The lanes of one space. */
static void load_space(gs_warp *w, const gs_instr *i, gs_space space, const uint64_t address[GS_LANES],
                       uint32_t lanes) {
    const elements e = elements_of(i, &i->operand[0]);
    const unsigned bytes = e.size * (unsigned)e.n;
    gs_region region;
    const uint32_t good = gs_check_access(w, i, space, address, lanes, bytes, false, &region);
    for (uint32_t bad = lanes & ~good; bad != 0; bad &= bad - 1) {
        for (int k = 0; k < e.n; k++) {
            set_register(w, &e.element[k], __builtin_ctz(bad), 0);
        }
    }
    if (space == GS_LOCAL) {
        for (uint32_t left = good; left != 0; left &= left - 1) {
            gs_region own = gs_local_region(w, __builtin_ctz(left));
            own.low = own.high = address[__builtin_ctz(left)];
            load_lanes(w, i, &own, address, left & -left);
        }
    } else if (good != 0) {
        if (space == GS_SHARED && w->block->n_in_flight > 0) {
            for (uint32_t left = good; left != 0; left &= left - 1) {
                gs_in_flight_check(w, i, __builtin_ctz(left), address[__builtin_ctz(left)], bytes, false);
            }
        }
        load_lanes(w, i, &region, address, good);
    }
    if ((i->detail[GS_D_FLAGS] & (GS_F_ATOMIC | GS_F_ACQUIRE)) != 0 && space == GS_GLOBAL) {
        for (uint32_t left = good; left != 0; left &= left - 1) {
            gs_race_acquire(w, address[__builtin_ctz(left)]);
        }
    }
}

void gs_load(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    if (i->space == GS_PARAM) {
        load_param(w, i, lanes);
        return;
    }
    uint64_t address[GS_LANES];
    gs_addresses(w, i, &i->operand[1], lanes, address);
    if (i->space != GS_GENERIC) {
        load_space(w, i, (gs_space)i->space, address, lanes);
        return;
    }
    while (lanes != 0) {
        gs_space space;
        const uint32_t now = gs_resolve(w, address, lanes, &space);
        load_space(w, i, space, address, now);
        lanes &= ~now;
    }
}

/* ---- st
 * -------------------------------------------------------------------------------------------------------------------
 */

/* Lanes in the order in which their bytes arrive. */
static int next_lane(uint32_t left, bool descending) {
    return descending ? 31 - __builtin_clz(left) : __builtin_ctz(left);
}

static void store_lanes(gs_warp *w, const gs_instr *i, const gs_region *r, const uint64_t address[GS_LANES],
                        uint32_t lanes, bool descending) {
    const elements e = elements_of(i, &i->operand[1]);
    const unsigned bytes = e.size * (unsigned)e.n;
    const bool atomic = (i->detail[GS_D_FLAGS] & GS_F_ATOMIC) != 0;
    gs_who who;
    if (r->granule != NULL) {
        who = gs_who_is(w, i, r->base == 0, atomic);
    }
    for (uint32_t left = lanes; left != 0;) {
        const int l = next_lane(left, descending);
        left &= ~(UINT32_C(1) << l);
        const uint64_t offset = address[l] - r->base;
        uint8_t value[8 * GS_MAX_VECTOR];
        for (int k = 0; k < e.n; k++) {
            const uint64_t v = get_register(w, &e.element[k], l);
            memcpy(value + (unsigned)k * e.size, &v, e.size);
        }
        if (r->granule != NULL) {
            gs_race_write(&who, l, r, offset, bytes, atomic ? NULL : value);
        }
        switch (bytes) {
        case 4:
            memcpy(r->data + offset, value, 4);
            break;
        default:
            memcpy(r->data + offset, value, bytes);
        }
        gs_set_defined(r, offset, bytes);
    }
}

static void store_space(gs_warp *w, const gs_instr *i, gs_space space, const uint64_t address[GS_LANES],
                        uint32_t lanes) {
    const elements e = elements_of(i, &i->operand[1]);
    const unsigned bytes = e.size * (unsigned)e.n;
    gs_region region;
    const uint32_t good = gs_check_access(w, i, space, address, lanes, bytes, true, &region);
    for (int k = 0; k < e.n && w->any_undefined != 0; k++) {
        gs_use_undefined(w, i, &e.element[k], lanes, "stored");
    }
    const gs_order order = gs_get_options()->order;
    const bool descending = order == GS_REVERSE || (order == GS_RANDOM && (gs_random(w->block) & 1) != 0);
    if (space == GS_LOCAL) {
        for (uint32_t left = good; left != 0; left &= left - 1) {
            const gs_region own = gs_local_region(w, __builtin_ctz(left));
            store_lanes(w, i, &own, address, left & -left, false);
        }
        return;
    }
    if (good == 0) {
        return;
    }
    for (uint32_t left = good; left != 0 && space == GS_SHARED && w->block->n_in_flight > 0; left &= left - 1) {
        gs_in_flight_check(w, i, __builtin_ctz(left), address[__builtin_ctz(left)], bytes, true);
    }
    for (uint32_t left = good; left != 0 && (i->detail[GS_D_FLAGS] & GS_F_ATOMIC) != 0 && space != GS_SHARED;
         left &= left - 1) {
        gs_race_release(w, __builtin_ctz(left), address[__builtin_ctz(left)],
                        (i->detail[GS_D_FLAGS] & GS_F_RELEASE) != 0);
    }
    store_lanes(w, i, &region, address, good, descending);
}

static void store_param(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    uint64_t address[GS_LANES];
    gs_addresses(w, i, &i->operand[0], lanes, address);
    const elements e = elements_of(i, &i->operand[1]);
    for (int k = 0; k < e.n; k++) {
        if (w->any_undefined != 0) {
            gs_use_undefined(w, i, &e.element[k], lanes, "passed to a function");
        }
        for (uint32_t left = lanes; left != 0; left &= left - 1) {
            const int l = __builtin_ctz(left);
            uint8_t *to = param_place(w, i, address[l] + (uint64_t)k * e.size, l, e.size);
            const uint64_t v = get_register(w, &e.element[k], l);
            if (to != NULL) {
                memcpy(to, &v, e.size);
            }
        }
    }
}

void gs_store(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    if (i->space == GS_PARAM) {
        store_param(w, i, lanes);
        return;
    }
    uint64_t address[GS_LANES];
    gs_addresses(w, i, &i->operand[0], lanes, address);
    if (i->space != GS_GENERIC) {
        store_space(w, i, (gs_space)i->space, address, lanes);
        return;
    }
    while (lanes != 0) {
        gs_space space;
        const uint32_t now = gs_resolve(w, address, lanes, &space);
        store_space(w, i, space, address, now);
        lanes &= ~now;
    }
}
