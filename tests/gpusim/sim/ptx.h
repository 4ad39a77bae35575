/* A PTX module as the simulator executes it: text -> gs_module (parse_*.c), then every instruction gets the function
 * that executes it (decode.c). Whatever the parser or the decoder does not know is fatal, with the instruction's text
 * and source line.
 *
 * Registers. A warp keeps each register for its 32 lanes side by side, so that one instruction is one loop over lanes:
 * 8-, 16- and 32-bit registers as uint32_t[32] (upper bits zero), 64-bit ones as uint64_t[32], predicates as one
 * uint32_t, bit l being lane l. An operand is a bank and a byte offset into it; immediates and addresses of variables
 * lie splatted in the function's constant bank, special registers (%tid.x ...) in the warp's special bank, so that
 * reading an operand never asks what kind it is. */
#ifndef GPUSIM_PTX_H
#define GPUSIM_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses of a space, as they stand in registers and in GS_ADDR operands (base + displacement):
 *   shared, local  the offset from the window's begin, 0 the first byte; the window is added by cvta only
 *   global, const  the device address itself: cvta changes nothing
 *   param          0 .. param_bytes - 1: the launch's parameter bank; GS_PARAM_FRAME + n: byte n of the frame of the
 *                  function that runs (its own .param variables; a callee's parameters and results)
 * Shared and local variables get offsets a function, see gs_function.shared_bytes: gs_variable.offset of a shared one
 * is that of the last function that named it. Local variables of .func functions have offsets of their own for the
 * whole module, so that no frame lies over another; a .func with .local variables must not be recursive (fatal).
 *
 * A call. operand[0] GS_VECTOR of the results, operand[1] GS_CALLEE, operand[2] GS_VECTOR of the arguments (n 0: none).
 * The elements are GS_ADDR operands in the caller's frame (space GS_PARAM, displacement GS_PARAM_FRAME + offset).
 * Before the callee begins, for each k, callee->param[k].size bytes are copied from the caller's frame at the k-th
 * argument's offset to the callee's frame at callee->param[k].offset; at its ret callee->result[k].size bytes from the
 * callee's frame at callee->result[k].offset to the k-th result's offset. (`offset` of a .func's parameters has no
 * GS_PARAM_FRAME in it, displacements have.)
 *
 * GS_BARRIER. detail[0]: gs_barrier_kind. sync, arrive: operand[0] the barrier, operand[1] the number of threads if
 * n_operands is 2. red: operand[0] the result, [1] the barrier, ([2] the threads,) the last one the predicate.
 * GS_COLLECTIVE bar.warp.sync: operand[0] the mask. */
typedef enum { GS_BAR_SYNC, GS_BAR_ARRIVE, GS_BAR_POPC, GS_BAR_AND, GS_BAR_OR } gs_barrier_kind;
enum { GS_PARAM_FRAME = 0x100000 };
enum { GS_LANES = 32, GS_MAX_PARTS = 12, GS_MAX_OPERANDS = 5, GS_MAX_VECTOR = 8 };

typedef enum {
    GS_NO_TYPE,
    GS_PRED,
    GS_B8,
    GS_B16,
    GS_B32,
    GS_B64,
    GS_U8,
    GS_U16,
    GS_U32,
    GS_U64,
    GS_S8,
    GS_S16,
    GS_S32,
    GS_S64,
    GS_F16,
    GS_F16X2,
    GS_BF16,
    GS_BF16X2,
    GS_TF32,
    GS_F32,
    GS_F64
} gs_type;
int gs_type_size(gs_type type); /* bytes in memory; GS_PRED and GS_NO_TYPE: 0 */

typedef enum { GS_GENERIC, GS_GLOBAL, GS_SHARED, GS_LOCAL, GS_CONST, GS_PARAM } gs_space;

/* Where an operand's 32 lanes lie. */
typedef enum { GS_BANK_WARP, GS_BANK_CONST, GS_BANK_SPECIAL, GS_N_BANKS } gs_bank;

/* Special registers, in the order of the special bank: each uint32_t[32], but GS_CLOCK64, GS_GLOBALTIMER: uint64_t[32].
 */
typedef enum {
    GS_TID_X,
    GS_TID_Y,
    GS_TID_Z,
    GS_NTID_X,
    GS_NTID_Y,
    GS_NTID_Z,
    GS_CTAID_X,
    GS_CTAID_Y,
    GS_CTAID_Z,
    GS_NCTAID_X,
    GS_NCTAID_Y,
    GS_NCTAID_Z,
    GS_LANEID,
    GS_WARPID,
    GS_LANEMASK_EQ,
    GS_LANEMASK_LT,
    GS_LANEMASK_LE,
    GS_LANEMASK_GT,
    GS_LANEMASK_GE,
    GS_SMID,
    GS_CLOCK,
    GS_DYNAMIC_SMEM_SIZE,
    GS_CLOCK64,
    GS_GLOBALTIMER,
    GS_N_SPECIALS
} gs_special;
/* Every special register has a slot of 256 bytes. */
enum { GS_SPECIAL_SLOT = 256 };

typedef enum {
    GS_NONE,
    GS_REG,    /* a register, an immediate or a special register: bank + offset                       */
    GS_SINK,   /* _                                                                                   */
    GS_ADDR,   /* [base + displacement]: bank + offset of the 64- or 32-bit base, or none (base -1)   */
    GS_VECTOR, /* {a, b, ...}: operands first .. first + n - 1 of the function's list                 */
    GS_LABEL,  /* target: index of an instruction                                                     */
    GS_CALLEE  /* target: index of a function of the module                                           */
} gs_operand_kind;

typedef struct {
    uint8_t kind, bank;
    uint8_t size;   /* bytes a lane of the register: 4 or 8; 0 a predicate                                  */
    uint8_t width;  /* bits of the register as declared: 1, 8, 16, 32, 64 (ld.s8 extends to this width); immediates:
                       the width they are used with                                                          */
    bool negated;   /* !%p                                                                                   */
    bool has_base;  /* GS_ADDR: there is a base register                                                     */
    uint8_t space;  /* GS_ADDR on a variable: the space it lies in                                           */
    int32_t offset; /* bytes into the bank; of the second register of a pair a|b, see `pair`                 */
    int32_t pair;   /* offset of the predicate after '|' (setp p|q, shfl r|p), -1 none                       */
    int32_t first, n;
    int32_t target;
    int64_t displacement;
} gs_operand;

typedef struct gs_warp gs_warp;
typedef struct gs_instr gs_instr;
typedef struct gs_function gs_function;
typedef struct gs_module gs_module;

/* Executes one instruction for the lanes of `lanes` (never 0; guards are applied). */
typedef void (*gs_run)(gs_warp *warp, const gs_instr *instr, uint32_t lanes);

/* What the scheduler does itself; everything else is GS_PLAIN: its `run` is called and the lanes go on. */
typedef enum {
    GS_PLAIN,
    GS_BRANCH,     /* bra, bra.uni                                                                              */
    GS_CALL,       /* call: arguments were stored to .param variables before                                    */
    GS_RETURN,     /* ret                                                                                       */
    GS_EXIT,       /* exit; and ret of an entry                                                                 */
    GS_BARRIER,    /* bar.sync, barrier.sync, bar.red, bar.arrive: the block's barrier                          */
    GS_COLLECTIVE, /* shfl.sync, vote.sync, match, redux, bar.warp.sync, mma, wmma, ldmatrix, stmatrix: `run` is called
                      once for all lanes that the member mask names, when all of them have come                 */
    GS_TRAP
} gs_control;

struct gs_instr {
    gs_run run;
    gs_run inner;        /* what `run` calls with another rounding mode of the processor           */
    uint8_t control;     /* gs_control                                                            */
    uint8_t type, type2; /* the last and the last but one type suffix: cvt.f32.s64 has F32, S64    */
    uint8_t space;       /* gs_space of ld, st, atom, red, cvta, cp                                */
    uint8_t vector;      /* 1, 2, 4, 8: elements of ld.v2 ...                                      */
    uint8_t n_operands, n_parts;
    uint8_t destinations; /* see gs_destinations                                                   */
    uint8_t detail[6];    /* the decoder's: comparison, rounding, boolean operator, width ...       */
    bool guarded, guard_negated;
    bool member_mask_all; /* collective without a mask operand: all lanes of the warp (mma ...)     */
    int16_t member_mask;  /* index of the operand that holds the member mask, -1 none               */
    int32_t guard;        /* offset of the predicate in the warp's bank                             */
    int32_t line, file;   /* source position (.loc); file -1 unknown                                */
    int32_t ptx_line;     /* line of the PTX text                                                   */
    int32_t index;        /* in the function                                                        */
    bool guards_cas;      /* a load from the address that an atom.cas of this function uses         */
    gs_operand operand[GS_MAX_OPERANDS];
    const char *part[GS_MAX_PARTS]; /* "ld", "global", "nc", "f32": interned, so that == compares            */
    const char *text;               /* as it stands in the PTX, blanks folded                                 */
    const gs_function *function;
};

/* A parameter, or a .param variable of a call sequence: where it lies in the frame. */
typedef struct {
    const char *name;
    int32_t offset, size, align;
} gs_param;

typedef struct {
    const char *name;
    uint8_t space; /* GS_SHARED, GS_LOCAL, GS_GLOBAL, GS_CONST                                                    */
    bool external; /* .extern .shared: begins where the static shared memory ends                                */
    int64_t size;
    int32_t align;
    int64_t offset;   /* shared, local: bytes from the window's begin                                        */
    void *memory;     /* global, const: device address, from gs_memory_alloc when the module is loaded       */
    uint8_t *initial; /* `size` bytes, or NULL: zero                                                          */
} gs_variable;

struct gs_function {
    const char *name;
    gs_module *module;
    bool entry;
    bool declared_only; /* a forward declaration or .extern .func without a body: a call of it cannot be executed */
    gs_param *param;    /* of an entry: offsets into the parameter bank that a launch fills               */
    int n_params, param_bytes;
    gs_param *result;
    int n_results;
    int32_t frame_bytes; /* .param variables and a callee's parameters and results: per lane               */
    gs_instr *instr;
    int n_instrs;
    gs_operand *list; /* elements of vector operands                                                     */
    int n_list;
    int32_t register_bytes; /* of the warp bank                                                                */
    uint8_t *constants;     /* the constant bank                                                               */
    int32_t constant_bytes;
    int64_t local_bytes;    /* .local variables: per lane                                                      */
    int64_t shared_bytes;   /* static shared memory of this function and of the module's variables it names   */
    int64_t dynamic_offset; /* where dynamic shared memory begins: shared_bytes, aligned as .extern .shared asks  */
    bool calls;             /* has a call                                                                     */
    int32_t max_threads[3]; /* .maxntid / .reqntid; 0 none                                                     */
    bool required_threads;  /* .reqntid                                                                         */
    int32_t number;         /* of all modules' functions; the launcher's own: gs_memory_prepare                 */
};

struct gs_module {
    const char *name; /* for messages: the fat binary's first entry                                        */
    gs_function *function;
    int n_functions;
    gs_variable *variable;
    int n_variables;
    const char **file; /* .file table: index -> path                                                        */
    int n_files;
    int target;    /* 80 of sm_80                                                                        */
    bool prepared; /* the launcher's own                                                              */
};

/* Parses and decodes. The text must end with a zero byte. Never returns NULL: what it cannot read ends the process with
 * a message (gs_fatal). Global variables get memory from gs_memory_alloc. The module lives until the process ends. */
gs_module *gs_module_parse(const char *name, const char *text);
/* NULL when there is none of this name. */
gs_function *gs_module_find(gs_module *module, const char *name);
const gs_variable *gs_module_variable(const gs_module *module, const char *name);
/* True when the instruction has the part `text` ("sync", "wide"). */
bool gs_has_part(const gs_instr *instr, const char *text);

/* How many of the leading operands are written: 1 for most, 0 for st, red, bra ..., also for cp.async and fences. A
 * destination may be a vector (elements in the list) or have a second predicate (`pair`). */
int gs_destinations(const gs_instr *instr);

/* Chooses instr->run, control, detail. Called by the parser for every instruction after its operands stand. */
void gs_decode(gs_instr *instr);

#endif
