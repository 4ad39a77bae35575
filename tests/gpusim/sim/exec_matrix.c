/* mma, ldmatrix, stmatrix: a warp's matrices. PTX ISA 9.0, "Warp Level Matrix Instructions", whose figures give where a
 * lane's registers lie in the matrices: with g = lane / 4, t = lane % 4 and e elements a register
 *   A  register r, element j: row g + 8 (r % 2), column e t + j + 4 e (r / 2)
 *   B  register r, element j: row e t + j + 4 e r, column g
 *   C  f32, s32 register r: row g + 8 (r / 2), column 2 t + r % 2; f16: register r, half h: row g + 8 r, column 2 t + h
 * Products are exact; they are added in f32, k ascending, each sum rounded to nearest, beginning with C. (The ISA
 * promises single precision at least and no order; a program must not depend on more.) tf32 operands: the lower 13
 * bits do not count, as in the hardware. */
#include "exec.h"

enum { MAX_M = 16, MAX_N = 8, MAX_K = 32 };
typedef struct {
    double a[MAX_M][MAX_K], b[MAX_K][MAX_N];
    float c[MAX_M][MAX_N];
    int64_t whole[MAX_M][MAX_N];
} matrices;

static const gs_operand *element(const gs_instr *i, const gs_operand *vector, int r) {
    return &i->function->list[vector->first + r];
}

static int per_register(gs_type type) {
    return type == GS_TF32 ? 1 : type == GS_U8 || type == GS_S8 ? 4 : 2;
}

static double part_of(uint32_t bits, int j, gs_type type) {
    switch (type) {
    case GS_TF32:
        return gs_bits_float(bits & 0xFFFFE000U);
    case GS_F16:
        return gs_half_to_float((uint16_t)(bits >> (16 * j)));
    case GS_BF16:
        return gs_bfloat_to_float((uint16_t)(bits >> (16 * j)));
    case GS_S8:
        return (int8_t)(uint8_t)(bits >> (8 * j));
    default:
        return (uint8_t)(bits >> (8 * j));
    }
}

/* detail[0] the shape's k, as its index in the row; A and B types from the parts */
static void read_factors(const gs_warp *w, const gs_instr *i, gs_type ta, gs_type tb, matrices *m) {
    const gs_operand *va = &i->operand[1], *vb = &i->operand[2];
    const int e = per_register(ta);
    for (int l = 0; l < GS_LANES; l++) {
        const int g = l / 4, t = l % 4;
        for (int r = 0; r < va->n; r++) {
            for (int j = 0; j < e; j++) {
                m->a[g + 8 * (r % 2)][e * t + j + 4 * e * (r / 2)] = part_of(gs_u32(w, element(i, va, r))[l], j, ta);
            }
        }
        for (int r = 0; r < vb->n; r++) {
            for (int j = 0; j < e; j++) {
                m->b[e * t + j + 4 * e * r][g] = part_of(gs_u32(w, element(i, vb, r))[l], j, tb);
            }
        }
    }
}

/* Registers of A and B must be as many as the shape asks for. */
static int depth_of(const gs_instr *i, int e) {
    const int k = i->operand[2].n * 4 * e;
    char shape[16] = "m16n8k";
    shape[6] = (char)(k < 10 ? '0' + k : '0' + k / 10);
    shape[7] = (char)(k < 10 ? 0 : '0' + k % 10);
    if (i->operand[1].n != 2 * i->operand[2].n || !gs_has_part(i, shape)) {
        gs_fatal("'%s': the number of registers does not belong to the shape", i->text);
    }
    return k;
}

static void mma_float(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    static _Thread_local matrices m;
    const gs_type factor = (gs_type)i->type2;
    const bool half = i->type == GS_F16;
    const int k = depth_of(i, per_register(factor));
    (void)lanes;
    read_factors(w, i, factor, factor, &m);
    for (int l = 0; l < GS_LANES; l++) {
        for (int r = 0; r < 4; r++) {
            const int row = l / 4 + 8 * (r / 2), column = 2 * (l % 4) + r % 2;
            const uint32_t bits = gs_u32(w, element(i, &i->operand[3], half ? r / 2 : r))[l];
            float sum = half ? gs_half_to_float((uint16_t)(bits >> (16 * (r % 2)))) : gs_bits_float(bits);
            for (int n = 0; n < k; n++) {
                sum = (float)fmaf((float)m.a[row][n], (float)m.b[n][column], sum);
            }
            m.c[row][column] = gs_canonical(sum);
        }
    }
    for (int l = 0; l < GS_LANES; l++) {
        const int row = l / 4, column = 2 * (l % 4);
        for (int r = 0; r < (half ? 2 : 4); r++) {
            uint32_t *d = gs_u32(w, element(i, &i->operand[0], r));
            d[l] = half ? (uint32_t)gs_float_to_half(m.c[row + 8 * r][column]) |
                              (uint32_t)gs_float_to_half(m.c[row + 8 * r][column + 1]) << 16
                        : gs_float_bits(m.c[row + 8 * (r / 2)][column + r % 2]);
        }
    }
}

/* detail: [0] k, [1] satfinite, [2] A signed, [3] B signed */
static void mma_integer(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    static _Thread_local matrices m;
    const int k = depth_of(i, 4);
    (void)lanes;
    read_factors(w, i, i->detail[2] != 0 ? GS_S8 : GS_U8, i->detail[3] != 0 ? GS_S8 : GS_U8, &m);
    for (int l = 0; l < GS_LANES; l++) {
        for (int r = 0; r < 4; r++) {
            const int row = l / 4 + 8 * (r / 2), column = 2 * (l % 4) + r % 2;
            int64_t sum = (int32_t)gs_u32(w, element(i, &i->operand[3], r))[l];
            for (int n = 0; n < k; n++) {
                sum += (int64_t)(m.a[row][n] * m.b[n][column]);
            }
            const int64_t low = sum < INT32_MIN ? INT32_MIN : sum;
            m.whole[row][column] = i->detail[1] != 0 ? (low > INT32_MAX ? INT32_MAX : low) : sum;
        }
    }
    for (int l = 0; l < GS_LANES; l++) {
        for (int r = 0; r < 4; r++) {
            gs_u32(w, element(i, &i->operand[0], r))[l] = (uint32_t)m.whole[l / 4 + 8 * (r / 2)][2 * (l % 4) + r % 2];
        }
    }
}

/* m8n8k4.f64: A row g column t, B row t column g, C row g columns 2 t, 2 t + 1 */
static void mma_double(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const uint64_t *a = gs_u64(w, element(i, &i->operand[1], 0)), *b = gs_u64(w, element(i, &i->operand[2], 0));
    double d[2][GS_LANES];
    (void)lanes;
    for (int l = 0; l < GS_LANES; l++) {
        for (int r = 0; r < 2; r++) {
            double sum = gs_bits_double(gs_u64(w, element(i, &i->operand[3], r))[l]);
            for (int k = 0; k < 4; k++) {
                sum = fma(gs_bits_double(a[l / 4 * 4 + k]), gs_bits_double(b[(2 * (l % 4) + r) * 4 + k]), sum);
            }
            d[r][l] = sum;
        }
    }
    for (int r = 0; r < 2; r++) {
        memcpy(gs_u64(w, element(i, &i->operand[0], r)), d[r], sizeof d[r]);
    }
}

/* ---- ldmatrix, stmatrix: lane 8 m + r gives the address of row r of matrix m --------------------------------------
 */

static uint64_t address_of(const gs_warp *w, const gs_operand *o, int lane) {
    uint64_t base = 0;
    if (o->has_base) {
        base = o->size == 8 ? gs_u64(w, o)[lane] : gs_u32(w, o)[lane];
    }
    return base + (uint64_t)o->displacement;
}

static int matrices_of(const gs_instr *i, const gs_operand *vector) {
    const int n = i->detail[0] == 0 ? 1 : i->detail[0] == 1 ? 2 : 4;
    if (vector->n != n) {
        gs_fatal("'%s': the number of registers does not belong to the shape", i->text);
    }
    return n;
}

/* Lane l has elements (l / 4, 2 (l % 4) + h), transposed (2 (l % 4) + h, l / 4), h the half of the register. */
static void ldmatrix(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const gs_operand *v = &i->operand[0];
    const int n = matrices_of(i, v);
    const bool transposed = i->detail[1] != 0;
    uint16_t row[4][8][8];
    (void)lanes;
    for (int r = 0; r < 8 * n; r++) {
        gs_matrix_row_load(w, i, r, address_of(w, &i->operand[1], r), (uint8_t *)row[r / 8][r % 8]);
    }
    for (int k = 0; k < n; k++) {
        uint32_t *d = gs_u32(w, element(i, v, k));
        for (int l = 0; l < GS_LANES; l++) {
            const int p = l / 4, q = 2 * (l % 4);
            d[l] = transposed ? (uint32_t)row[k][q][p] | (uint32_t)row[k][q + 1][p] << 16
                              : (uint32_t)row[k][p][q] | (uint32_t)row[k][p][q + 1] << 16;
        }
    }
}

static void stmatrix(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const gs_operand *v = &i->operand[1];
    const int n = matrices_of(i, v);
    const bool transposed = i->detail[1] != 0;
    uint16_t row[4][8][8];
    (void)lanes;
    for (int k = 0; k < n; k++) {
        const uint32_t *s = gs_u32(w, element(i, v, k));
        for (int l = 0; l < GS_LANES; l++) {
            const int p = l / 4, q = 2 * (l % 4);
            *(transposed ? &row[k][q][p] : &row[k][p][q]) = (uint16_t)s[l];
            *(transposed ? &row[k][q + 1][p] : &row[k][p][q + 1]) = (uint16_t)(s[l] >> 16);
        }
    }
    for (int r = 0; r < 8 * n; r++) {
        gs_matrix_row_store(w, i, r, address_of(w, &i->operand[0], r), (const uint8_t *)row[r / 8][r % 8]);
    }
}

#define MMA "sync aligned "

const gs_pattern gs_matrix_patterns[] = {
    {"mma", MMA "<m16n8k4 m16n8k8> row col f32 tf32 tf32 f32", "vvvv", 1, GS_COLLECTIVE, GS_RUNS(mma_float)},
    {"mma", MMA "<m16n8k8 m16n8k16> row col f32 f16 f16 f32", "vvvv", 1, GS_COLLECTIVE, GS_RUNS(mma_float)},
    {"mma", MMA "<m16n8k8 m16n8k16> row col f16 f16 f16 f16", "vvvv", 1, GS_COLLECTIVE, GS_RUNS(mma_float)},
    {"mma", MMA "<m16n8k8 m16n8k16> row col f32 bf16 bf16 f32", "vvvv", 1, GS_COLLECTIVE, GS_RUNS(mma_float)},
    {"mma", MMA "<m16n8k16 m16n8k32> row col [satfinite] s32 <u8 s8> <u8 s8> s32", "vvvv", 1, GS_COLLECTIVE,
     GS_RUNS(mma_integer)},
    {"mma", MMA "m8n8k4 row col f64 f64 f64 f64", "wwww", 1, GS_COLLECTIVE, GS_RUNS(mma_double)},
    {"ldmatrix", "sync aligned m8n8 <x1 x2 x4> [trans] [shared shared::cta] b16", "va", 1, GS_COLLECTIVE,
     GS_RUNS(ldmatrix)},
    {"stmatrix", "sync aligned m8n8 <x1 x2 x4> [trans] [shared shared::cta] b16", "av", 0, GS_COLLECTIVE,
     GS_RUNS(stmatrix)},
    {0},
};
