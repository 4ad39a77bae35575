/* Lanes of a warp among themselves: shfl, vote, match, redux, elect, activemask, bar.warp.sync. `lanes` are those that
 * have come together. PTX ISA 9.0, "Parallel Synchronization and Communication Instructions" and "shfl.sync". */
#include "exec.h"

/* What a lane that did not come gives: a NaN that is easy to find. */
enum { GS_NOBODY = 0x7FC0DEAD };
enum { SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_BUTTERFLY, SHUFFLE_INDEX };

static void put_pair(const gs_warp *w, const gs_operand *o, uint32_t value, uint32_t lanes) {
    if (o->pair >= 0) {
        uint32_t *p = (uint32_t *)(void *)(w->bank[GS_BANK_WARP] + o->pair);
        *p = (*p & ~lanes) | (value & lanes);
    }
}

/* The lane that lane l reads from with the operands b and c; itself, and *inside false, where that is out of range. */
static inline int source(int mode, int l, uint32_t b, uint32_t c, bool *inside) {
    const int amount = (int)(b & 31), clamp = (int)(c & 31), segment = (int)(c >> 8 & 31);
    const int least = l & segment, most = least | (clamp & ~segment & 31);
    const int from = mode == SHUFFLE_UP          ? l - amount
                     : mode == SHUFFLE_DOWN      ? l + amount
                     : mode == SHUFFLE_BUTTERFLY ? l ^ amount
                                                 : least | (amount & ~segment & 31);
    *inside = mode == SHUFFLE_UP ? from >= most : from <= most;
    return *inside ? from : l;
}
int gs_shuffle_source(const gs_instr *i, int l, uint32_t b, uint32_t c, bool *inside) {
    return source(i->detail[0], l, b, c, inside);
}

/* All lanes' sources; returns those in range. A loop a mode, which vectorises. */
static uint32_t sources(int mode, const uint32_t *b, const uint32_t *c, int from[GS_LANES]) {
    uint32_t in_range = 0;
#define SOURCES(constant)                                                                                              \
    case constant:                                                                                                     \
        for (int l = 0; l < GS_LANES; l++) {                                                                           \
            bool inside;                                                                                               \
            from[l] = source(constant, l, b[l], c[l], &inside);                                                        \
            in_range |= (uint32_t)inside << l;                                                                         \
        }                                                                                                              \
        break;
    switch (mode) {
        SOURCES(SHUFFLE_UP)
        SOURCES(SHUFFLE_DOWN)
        SOURCES(SHUFFLE_BUTTERFLY)
        SOURCES(SHUFFLE_INDEX)
    default:
        break;
    }
    return in_range;
}

static void shuffle(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const gs_operand *o = &i->operand[0];
    const uint32_t *a = gs_u32(w, &i->operand[1]);
    int from[GS_LANES] = {0};
    const uint32_t in_range = sources(i->detail[0], gs_u32(w, &i->operand[2]), gs_u32(w, &i->operand[3]), from);
    uint32_t r[GS_LANES];
    for (int l = 0; l < GS_LANES; l++) {
        r[l] = a[from[l]];
    }
    for (int l = 0; l < GS_LANES && lanes != UINT32_MAX; l++) {
        if ((lanes >> from[l] & 1) == 0) {
            r[l] = (uint32_t)GS_NOBODY;
            if ((lanes >> l & 1) != 0) {
                gs_report(GS_BAD_LANE, w, i, l, "reads from lane %d, which does not take part", from[l]);
            }
        }
    }
    if (o->kind == GS_REG) {
        uint32_t *d = gs_u32(w, o);
        for (int l = 0; l < GS_LANES; l++) {
            d[l] = (lanes >> l & 1) != 0 ? r[l] : d[l];
        }
    }
    put_pair(w, o, in_range, lanes);
}

/* ---- vote, match, redux ------------------------------------------------------------------------------------- */

static void put_word(const gs_warp *w, const gs_operand *o, uint32_t value, uint32_t lanes) {
    uint32_t *d = gs_u32(w, o);
    for (int l = 0; l < GS_LANES; l++) {
        d[l] = (lanes >> l & 1) != 0 ? value : d[l];
    }
}

static void vote(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const uint32_t yes = gs_pred(w, &i->operand[1]) & lanes;
    const bool results[] = {yes == lanes, yes != 0, yes == lanes || yes == 0}; /* all any uni */
    uint32_t *d = gs_u32(w, &i->operand[0]);
    *d = (*d & ~lanes) | (results[i->detail[0]] ? lanes : 0);
}
static void ballot(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    put_word(w, &i->operand[0], gs_pred(w, &i->operand[1]) & lanes, lanes);
}
static void activemask(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    put_word(w, &i->operand[0], lanes, lanes);
}

static uint64_t value_at(const gs_warp *w, const gs_operand *o, int lane) {
    return o->size == 8 ? gs_u64(w, o)[lane] : gs_u32(w, o)[lane];
}
static void match_any(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    uint32_t r[GS_LANES] = {0};
    for (int l = 0; l < GS_LANES; l++) {
        for (int k = 0; k < GS_LANES; k++) {
            const bool same = value_at(w, &i->operand[1], l) == value_at(w, &i->operand[1], k);
            r[l] |= (uint32_t)same << k & lanes;
        }
    }
    uint32_t *d = gs_u32(w, &i->operand[0]);
    for (int l = 0; l < GS_LANES; l++) {
        d[l] = (lanes >> l & 1) != 0 ? r[l] : d[l];
    }
}
static void match_all(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const int first = __builtin_ctz(lanes);
    bool same = true;
    for (int l = 0; l < GS_LANES; l++) {
        same = same && ((lanes >> l & 1) == 0 || value_at(w, &i->operand[1], l) == value_at(w, &i->operand[1], first));
    }
    if (i->operand[0].kind == GS_REG) {
        put_word(w, &i->operand[0], same ? lanes : 0, lanes);
    }
    put_pair(w, &i->operand[0], same ? UINT32_MAX : 0, lanes);
}

enum { REDUX_ADD, REDUX_MIN, REDUX_MAX, REDUX_AND, REDUX_OR, REDUX_XOR };
static uint32_t reduced(uint32_t r, uint32_t x, int op, bool is_signed) {
    const bool less = is_signed ? (int32_t)x < (int32_t)r : x < r;
    switch (op) {
    case REDUX_ADD:
        return r + x;
    case REDUX_MIN:
        return less ? x : r;
    case REDUX_MAX:
        return less ? r : x;
    case REDUX_AND:
        return r & x;
    case REDUX_OR:
        return r | x;
    default:
        return r ^ x;
    }
}
static void redux(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const uint32_t *a = gs_u32(w, &i->operand[1]);
    const int first = __builtin_ctz(lanes);
    uint32_t r = a[first];
    for (int l = first + 1; l < GS_LANES; l++) {
        r = (lanes >> l & 1) != 0 ? reduced(r, a[l], i->detail[0], i->type == GS_S32) : r;
    }
    put_word(w, &i->operand[0], r, lanes);
}

/* One lane is chosen: the lowest. */
static void elect(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    if (i->operand[0].kind == GS_REG) {
        put_word(w, &i->operand[0], (uint32_t)__builtin_ctz(lanes), lanes);
    }
    put_pair(w, &i->operand[0], lanes & (0U - lanes), lanes);
}
static void nothing(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    (void)w;
    (void)i;
    (void)lanes;
}

const gs_pattern gs_collective_patterns[] = {
    {"shfl", "sync <up down bfly idx> b32", "s444m", 1, GS_COLLECTIVE, GS_RUNS(shuffle)},
    {"vote", "sync <all any uni> pred", "ppm", 1, GS_COLLECTIVE, GS_RUNS(vote)},
    {"vote", "sync ballot b32", "4pm", 1, GS_COLLECTIVE, GS_RUNS(ballot)},
    {"match", "any sync b32", "44m", 1, GS_COLLECTIVE, GS_RUNS(match_any)},
    {"match", "any sync b64", "48m", 1, GS_COLLECTIVE, GS_RUNS(match_any)},
    {"match", "all sync b32", "s4m", 1, GS_COLLECTIVE, GS_RUNS(match_all)},
    {"match", "all sync b64", "s8m", 1, GS_COLLECTIVE, GS_RUNS(match_all)},
    {"redux", "sync <add min max> <u32 s32>", "44m", 1, GS_COLLECTIVE, GS_RUNS(redux)},
    {"redux", "sync <add min max and or xor> b32", "44m", 1, GS_COLLECTIVE, GS_RUNS(redux)},
    {"elect", "sync", "sm", 1, GS_COLLECTIVE, GS_RUNS(elect)},
    {"bar", "warp sync", "m", 0, GS_COLLECTIVE, GS_RUNS(nothing)},
    {"activemask", "b32", "4", 1, GS_PLAIN, GS_RUNS(activemask)},
    {0},
};
