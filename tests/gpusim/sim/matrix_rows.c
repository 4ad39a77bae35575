/* Rows of ldmatrix and stmatrix, fences, cvta. */
#include "engine.h"
#include <string.h>

static bool check_row(gs_warp *w, const gs_instr *i, int lane, uint64_t address, bool write, gs_region *region) {
    uint64_t all[GS_LANES];
    all[lane] = address - GS_SHARED_WINDOW < GS_WINDOW_BYTES ? address - GS_SHARED_WINDOW : address;
    const uint32_t bit = UINT32_C(1) << lane;
    if (gs_check_access(w, i, GS_SHARED, all, bit, 16, write, region) == 0) {
        return false;
    }
    if (w->block->n_in_flight > 0) {
        gs_in_flight_check(w, i, lane, all[lane], 16, write);
    }
    const gs_who who = gs_who_is(w, i, true, false);
    if (write) {
        gs_race_write(&who, lane, region, all[lane], 16, NULL);
    } else {
        gs_race_read(&who, bit, all, region, 16);
    }
    return true;
}

void gs_matrix_row_load(gs_warp *w, const gs_instr *i, int lane, uint64_t address, uint8_t row[16]) {
    gs_region r;
    if (!check_row(w, i, lane, address, false, &r)) {
        memset(row, 0, 16);
        return;
    }
    address &= GS_WINDOW_BYTES - 1;
    if (!gs_is_defined(&r, address, 16)) {
        gs_report(GS_UNINITIALISED, w, i, lane, "a row of a matrix at offset %llu of shared memory that nothing wrote",
                  (unsigned long long)address);
        gs_set_defined(&r, address, 16);
    }
    memcpy(row, r.data + address, 16);
}

void gs_matrix_row_store(gs_warp *w, const gs_instr *i, int lane, uint64_t address, const uint8_t row[16]) {
    gs_region r;
    if (check_row(w, i, lane, address, true, &r)) {
        address &= GS_WINDOW_BYTES - 1;
        memcpy(r.data + address, row, 16);
        gs_set_defined(&r, address, 16);
    }
}

void gs_fence(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    if (!gs_has_part(i, "cta")) {
        gs_race_fence(w, lanes);
    }
}

/* cvta.space: adds the window's begin; cvta.to.space takes it away. Global and const addresses stay. */
void gs_cvta(gs_warp *w, const gs_instr *i, uint32_t lanes) {
    const bool to = gs_has_part(i, "to");
    uint64_t window = 0;
    if (i->space == GS_SHARED) {
        window = GS_SHARED_WINDOW;
    } else if (i->space == GS_LOCAL) {
        window = GS_LOCAL_WINDOW;
    } else if (i->space != GS_GLOBAL && i->space != GS_CONST) {
        gs_fatal("%s: no conversion of addresses of this space", i->text);
    }
    const gs_operand *o = &i->operand[0], *from = &i->operand[1];
    if (o->size != 8 || from->kind != GS_REG) {
        gs_fatal("%s: only 64-bit addresses are converted", i->text);
    }
    for (uint32_t left = lanes; left != 0; left &= left - 1) {
        const int l = __builtin_ctz(left);
        const uint64_t a = from->size == 8 ? gs_u64(w, from)[l] : gs_u32(w, from)[l];
        gs_u64(w, o)[l] = to ? a - window : a + window;
    }
}
