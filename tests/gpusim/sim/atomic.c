/* atom, red: atomic for the host too, as two host threads may run blocks of one launch. */
#include "engine.h"
#include "half.h"
#include <string.h>

typedef enum { ADD, MIN, MAX, AND, OR, XOR, INC, DEC, EXCH, CAS, N_OPERATIONS } operation;
static const char *const names[N_OPERATIONS] = {"add", "min", "max", "and", "or", "xor", "inc", "dec", "exch", "cas"};

/* The types for which PTX has the operation. */
static bool has_type(operation op, gs_type type) {
    const bool b = type == GS_B32 || type == GS_B64, u = type == GS_U32 || type == GS_U64,
               s = type == GS_S32 || type == GS_S64,
               f = type == GS_F32 || type == GS_F64 || type == GS_F16 || type == GS_F16X2 || type == GS_BF16 ||
                   type == GS_BF16X2;
    switch (op) {
    case ADD:
        return u || s || f;
    case MIN:
    case MAX:
        return u || s;
    case AND:
    case OR:
    case XOR:
        return b;
    case INC:
    case DEC:
        return type == GS_U32;
    case EXCH:
        return b;
    default:
        return b || type == GS_B16;
    }
}

void gs_atomic_prepare(gs_instr *i) {
    char place[512];
    int op = -1;
    for (int n = 0; n < N_OPERATIONS; n++) {
        op = gs_has_part(i, names[n]) ? n : op;
    }
    const bool other = gs_has_part(i, "v2") || gs_has_part(i, "v4") || gs_has_part(i, "v8") ||
                       gs_has_part(i, "cluster") || gs_has_part(i, "async");
    if (op < 0 || other || !has_type((operation)op, (gs_type)i->type)) {
        gs_fatal("%s at %s: this form of atom or red is not supported", i->text, gs_where(i, place));
    }
    i->detail[GS_D_OPERATION] = (uint8_t)op;
    i->detail[GS_D_FLAGS] = GS_F_ATOMIC;
    if (gs_has_part(i, "release") || gs_has_part(i, "acq_rel")) {
        i->detail[GS_D_FLAGS] |= GS_F_RELEASE;
    }
}

/* ---- arithmetic -----------------------------------------------------------------------------------------------------
 */

static uint64_t add_f32(uint64_t a, uint64_t b, bool flush) {
    uint32_t x = (uint32_t)a, y = (uint32_t)b;
    if (flush) { /* global memory: subnormals are zero, before and after                                          */
        x = (x & 0x7f800000) == 0 ? x & 0x80000000 : x;
        y = (y & 0x7f800000) == 0 ? y & 0x80000000 : y;
    }
    float p, q;
    memcpy(&p, &x, 4);
    memcpy(&q, &y, 4);
    p += q;
    memcpy(&x, &p, 4);
    return flush && (x & 0x7f800000) == 0 ? x & 0x80000000 : x;
}

static uint64_t add_f64(uint64_t a, uint64_t b) {
    double p, q;
    memcpy(&p, &a, 8);
    memcpy(&q, &b, 8);
    p += q;
    memcpy(&a, &p, 8);
    return a;
}

/* The sum of two halves is exact in double. */
static uint16_t add_f16(uint16_t a, uint16_t b) {
    return gs_pack_half((double)gs_half_to_float(a) + (double)gs_half_to_float(b), false);
}

static uint16_t add_bf16(uint16_t a, uint16_t b) {
    uint32_t x = (uint32_t)a << 16, y = (uint32_t)b << 16;
    float p, q;
    memcpy(&p, &x, 4);
    memcpy(&q, &y, 4);
    const double exact = (double)p + (double)q;
    p = (float)exact;
    memcpy(&x, &p, 4);
    if ((x & 0x7fffffff) > 0x7f800000) {
        return 0x7fff;
    }
    /* Rounding twice could go wrong only at a tie that the float made: then the exact sum says which way. */
    const bool tie = (x & 0xffff) == 0x8000 && (double)p != exact;
    if (tie) {
        const bool grow = (exact > (double)p) == (p > 0);
        return (uint16_t)((x >> 16) + (grow ? 1 : 0));
    }
    return (uint16_t)((x + 0x7fff + ((x >> 16) & 1)) >> 16);
}

static uint64_t add(gs_type type, uint64_t a, uint64_t b, bool flush) {
    switch (type) {
    case GS_F32:
        return add_f32(a, b, flush);
    case GS_F64:
        return add_f64(a, b);
    case GS_F16:
        return add_f16((uint16_t)a, (uint16_t)b);
    case GS_BF16:
        return add_bf16((uint16_t)a, (uint16_t)b);
    case GS_F16X2:
        return add_f16((uint16_t)a, (uint16_t)b) | (uint64_t)add_f16((uint16_t)(a >> 16), (uint16_t)(b >> 16)) << 16;
    case GS_BF16X2:
        return add_bf16((uint16_t)a, (uint16_t)b) | (uint64_t)add_bf16((uint16_t)(a >> 16), (uint16_t)(b >> 16)) << 16;
    default:
        return a + b;
    }
}

static bool less(gs_type type, uint64_t a, uint64_t b) {
    switch (type) {
    case GS_S32:
        return (int32_t)a < (int32_t)b;
    case GS_S64:
        return (int64_t)a < (int64_t)b;
    case GS_U32:
        return (uint32_t)a < (uint32_t)b;
    default:
        return a < b;
    }
}

static uint64_t apply(const gs_instr *i, uint64_t old, uint64_t b, uint64_t c, bool flush) {
    const gs_type type = (gs_type)i->type;
    switch (i->detail[GS_D_OPERATION]) {
    case ADD:
        return add(type, old, b, flush);
    case MIN:
        return less(type, b, old) ? b : old;
    case MAX:
        return less(type, old, b) ? b : old;
    case AND:
        return old & b;
    case OR:
        return old | b;
    case XOR:
        return old ^ b;
    case INC:
        return (uint32_t)old >= (uint32_t)b ? 0 : old + 1;
    case DEC:
        return old == 0 || (uint32_t)old > (uint32_t)b ? b : old - 1;
    case EXCH:
        return b;
    default:
        return old == b ? c : old; /* cas                                                                         */
    }
}

/* ---- the instruction
 * -------------------------------------------------------------------------------------------------- */

#define UPDATE(type)                                                                                                   \
    do {                                                                                                               \
        _Atomic type *p = (_Atomic type *)(void *)place;                                                               \
        type old = atomic_load(p), wanted;                                                                             \
        do {                                                                                                           \
            wanted = (type)apply(i, old, b, c, flush);                                                                 \
        } while (!atomic_compare_exchange_weak(p, &old, wanted));                                                      \
        return old;                                                                                                    \
    } while (0)

static uint64_t update(const gs_instr *i, uint8_t *place, unsigned bytes, uint64_t b, uint64_t c, bool flush) {
    switch (bytes) {
    case 2:
        UPDATE(uint16_t);
    case 4:
        UPDATE(uint32_t);
    default:
        UPDATE(uint64_t);
    }
}

static uint64_t value(const gs_warp *w, const gs_operand *o, int lane, unsigned bytes) {
    const uint64_t v = o->size == 8 ? gs_u64(w, o)[lane] : gs_u32(w, o)[lane];
    return bytes == 8 ? v : v & ((UINT64_C(1) << (8 * bytes)) - 1);
}

typedef struct {
    const gs_operand *result, *b, *c; /* result NULL: red                                                         */
} operands;

static void one_lane(gs_warp *w, const gs_instr *i, gs_space space, const gs_region *r, uint64_t address, int lane,
                     const operands *o) {
    const unsigned bytes = (unsigned)gs_type_size((gs_type)i->type);
    const uint64_t offset = address - r->base;
    if (r->granule != NULL) {
        if (space == GS_SHARED && w->block->n_in_flight > 0) {
            gs_in_flight_check(w, i, lane, address, bytes, true);
        }
        const gs_who who = gs_who_is(w, i, space == GS_SHARED, true);
        gs_race_write(&who, lane, r, offset, bytes, NULL);
    }
    if (!gs_is_defined(r, offset, bytes) && i->detail[GS_D_OPERATION] != EXCH) {
        gs_report(GS_UNINITIALISED, w, i, lane, "atomic operation on %s memory that nothing wrote",
                  space == GS_SHARED ? "shared" : "global");
    }
    gs_set_defined(r, offset, bytes);
    const uint64_t c = o->c != NULL ? value(w, o->c, lane, bytes) : 0;
    if (space == GS_GLOBAL) {
        gs_race_release(w, lane, address, (i->detail[GS_D_FLAGS] & GS_F_RELEASE) != 0);
    }
    const uint64_t old = update(i, r->data + offset, bytes, value(w, o->b, lane, bytes), c, space == GS_GLOBAL);
    if (o->result != NULL && o->result->kind == GS_REG) {
        if (o->result->size == 8) {
            gs_u64(w, o->result)[lane] = old;
        } else {
            gs_u32(w, o->result)[lane] = (uint32_t)old;
        }
    }
    if (space == GS_GLOBAL) {
        gs_race_acquire(w, address);
    }
}

static void atomic_space(gs_warp *w, const gs_instr *i, gs_space space, const uint64_t address[GS_LANES],
                         uint32_t lanes, const operands *o) {
    if (space == GS_LOCAL) {
        gs_report(GS_OUT_OF_BOUNDS, w, i, __builtin_ctz(lanes), "atomic operation on local memory");
        return;
    }
    gs_region region;
    uint32_t left =
        gs_check_access(w, i, space, address, lanes, (unsigned)gs_type_size((gs_type)i->type), true, &region);
    const bool descending = gs_get_options()->order == GS_REVERSE;
    while (left != 0) {
        const int l = descending ? 31 - __builtin_clz(left) : __builtin_ctz(left);
        left &= ~(UINT32_C(1) << l);
        one_lane(w, i, space, &region, address[l], l, o);
    }
}

void gs_atomic(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const bool red = strcmp(i->part[0], "red") == 0;
    const gs_operand *place = &i->operand[red ? 0 : 1];
    const operands o = {red ? NULL : &i->operand[0], place + 1, i->detail[GS_D_OPERATION] == CAS ? place + 2 : NULL};
    uint64_t address[GS_LANES];
    gs_addresses(w, i, place, lanes, address);
    if (w->any_undefined != 0) {
        gs_use_undefined(w, i, o.b, lanes, "the operand of an atomic operation");
        if (o.c != NULL) {
            gs_use_undefined(w, i, o.c, lanes, "the operand of an atomic operation");
        }
        if (o.result != NULL && o.result->kind == GS_REG) {
            gs_mark_undefined(w, o.result, lanes, 0);
        }
    }
    while (lanes != 0) {
        gs_space space = (gs_space)i->space;
        const uint32_t now = space == GS_GENERIC ? gs_resolve(w, address, lanes, &space) : lanes;
        atomic_space(w, i, space, address, now, &o);
        lanes &= ~now;
    }
}
