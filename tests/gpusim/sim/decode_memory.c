/* Rows of what others execute: memory (memory.c), control (the scheduler); and of instructions that do nothing here. */
#include "exec.h"

static void nothing(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    (void)w;
    (void)i;
    (void)lanes;
}

/* isspacep: of a generic address */
static void is_space(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const uint64_t *a = gs_u64(w, &i->operand[1]);
    uint32_t r = 0;
    for (int l = 0; l < GS_LANES; l++) {
        const bool shared = a[l] - GS_SHARED_WINDOW < GS_WINDOW_BYTES, local = a[l] - GS_LOCAL_WINDOW < GS_WINDOW_BYTES;
        const bool yes = i->space == GS_SHARED ? shared : i->space == GS_LOCAL ? local : !shared && !local;
        r |= (uint32_t)(yes && i->space != GS_CONST && i->space != GS_PARAM) << l;
    }
    uint32_t *d = gs_u32(w, &i->operand[0]);
    *d = (*d & ~lanes) | (r & lanes);
}

#define ORDER "[weak relaxed acquire release acq_rel volatile mmio] "
#define SCOPE "[cta cluster gpu sys] "
#define CACHE "[ca cg cs lu cv wb wt] "
#define HINTS                                                                                                          \
    "[L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate] [L2::64B L2::128B "         \
    "L2::256B] "
#define SPACE   "[global shared shared::cta local const param param::func param::entry] "
#define VECTOR  "[v2 v4 v8] "
#define TYPES   "<b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 f32 f64 f16 f16x2 bf16 bf16x2>"
#define NUMBERS "<b32 b64 u32 u64 s32 s64 f32 f64>"
#define HALVES  "<b16 f16 f16x2 bf16 bf16x2>"
#define BITOPS  "<and or xor exch min max add inc dec cas> "
#define PLACE   "[global shared shared::cta] "
/* nvcc writes the space before the scope, the ISA behind it */
#define ATOMIC "[relaxed acquire release acq_rel] " PLACE SCOPE PLACE

const gs_pattern gs_memory_patterns[] = {
    {"ld", ORDER SCOPE SPACE CACHE "[nc] " HINTS VECTOR TYPES, ".a", 1, GS_PLAIN, GS_RUNS(gs_load)},
    {"ldu", "[global] " VECTOR TYPES, ".a", 1, GS_PLAIN, GS_RUNS(gs_load)},
    {"st", ORDER SCOPE SPACE CACHE HINTS VECTOR TYPES, "a.", 0, GS_PLAIN, GS_RUNS(gs_store)},
    {"atom", ATOMIC BITOPS "[noftz] " NUMBERS, ".a.?.", 1, GS_PLAIN, GS_RUNS(gs_atomic)},
    {"atom", ATOMIC "<add min max cas exch> [noftz] " HALVES, ".a.?.", 1, GS_PLAIN, GS_RUNS(gs_atomic)},
    {"atom", ATOMIC "add " VECTOR "f32", ".a.", 1, GS_PLAIN, GS_RUNS(gs_atomic)},
    {"red", ATOMIC BITOPS "[noftz] " NUMBERS, "a.", 0, GS_PLAIN, GS_RUNS(gs_atomic)},
    {"red", ATOMIC "<add min max> [noftz] " HALVES, "a.", 0, GS_PLAIN, GS_RUNS(gs_atomic)},
    {"red", ATOMIC "add " VECTOR "f32", "a.", 0, GS_PLAIN, GS_RUNS(gs_atomic)},
    {"cp", "async <ca cg> <shared shared::cta> global [L2::64B L2::128B L2::256B]", "aa4?4", 0, GS_PLAIN,
     GS_RUNS(gs_cp_async)},
    {"cp", "async <ca cg> <shared shared::cta> global [L2::64B L2::128B L2::256B]", "aa4p", 0, GS_PLAIN,
     GS_RUNS(gs_cp_async)},
    {"cp", "async commit_group", "", 0, GS_PLAIN, GS_RUNS(gs_cp_async)},
    {"cp", "async wait_group", "4", 0, GS_PLAIN, GS_RUNS(gs_cp_async)},
    {"cp", "async wait_all", "", 0, GS_PLAIN, GS_RUNS(gs_cp_async)},
    {"membar", "<cta gl sys>", "", 0, GS_PLAIN, GS_RUNS(gs_fence)},
    {"fence", "[sc acq_rel] <cta cluster gpu sys>", "", 0, GS_PLAIN, GS_RUNS(gs_fence)},
    {"cvta", "<global shared shared::cta local const param> u64", "88", 1, GS_PLAIN, GS_RUNS(gs_cvta)},
    {"cvta", "to <global shared shared::cta local const param> u64", "88", 1, GS_PLAIN, GS_RUNS(gs_cvta)},
    {"isspacep", "<global shared shared::cta local const param>", "p8", 1, GS_PLAIN, GS_RUNS(is_space)},
    {"prefetch", "[global local] <L1 L2>", "a", 0, GS_PLAIN, GS_RUNS(nothing)},
    {"prefetchu", "L1", "a", 0, GS_PLAIN, GS_RUNS(nothing)},
    {"nanosleep", "u32", "4", 0, GS_PLAIN, GS_RUNS(nothing)},
    {"pmevent", "", "4", 0, GS_PLAIN, GS_RUNS(nothing)},

    {"bra", "[uni]", "l", 0, GS_BRANCH, NULL, 0},
    {"call", "[uni]", "xxx", 0, GS_CALL, NULL, 0},
    {"ret", "[uni]", "", 0, GS_RETURN, NULL, 0},
    {"exit", "", "", 0, GS_EXIT, NULL, 0},
    {"trap", "", "", 0, GS_TRAP, NULL, 0},
    {"brkpt", "", "", 0, GS_TRAP, NULL, 0},
    {"bar", "[cta] <sync arrive> [aligned]", "4?4", 0, GS_BARRIER, NULL, 0},
    {"barrier", "[cta] <sync arrive> [aligned]", "4?4", 0, GS_BARRIER, NULL, 0},
    {"bar", "[cta] red popc [aligned] u32", "44p", 1, GS_BARRIER, NULL, 0},
    {"bar", "[cta] red popc [aligned] u32", "444p", 1, GS_BARRIER, NULL, 0},
    {"barrier", "[cta] red popc [aligned] u32", "44p", 1, GS_BARRIER, NULL, 0},
    {"barrier", "[cta] red popc [aligned] u32", "444p", 1, GS_BARRIER, NULL, 0},
    {"bar", "[cta] red <and or> [aligned] pred", "p4p", 1, GS_BARRIER, NULL, 0},
    {"bar", "[cta] red <and or> [aligned] pred", "p44p", 1, GS_BARRIER, NULL, 0},
    {"barrier", "[cta] red <and or> [aligned] pred", "p4p", 1, GS_BARRIER, NULL, 0},
    {"barrier", "[cta] red <and or> [aligned] pred", "p44p", 1, GS_BARRIER, NULL, 0},
    {0},
};
