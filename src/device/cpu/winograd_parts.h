/* Vectors and tile transforms that the Winograd files share. */
#ifndef HANDSOFF_WINOGRAD_PARTS_H
#define HANDSOFF_WINOGRAD_PARTS_H

#include <stdint.h>

enum { LANES = 16, TILE = 6, OUT = 4, POSITIONS = TILE * TILE };

typedef float vec __attribute__((vector_size(64)));
typedef float vec_unaligned __attribute__((vector_size(64), aligned(4)));

static inline vec vec_load(const float *from) {
    return *(const vec_unaligned *)from;
}

static inline void vec_store(float *to, vec v) {
    *(vec_unaligned *)to = v;
}

/* out = B^T in, for six vectors with the given strides. */
static inline void transform_input(const vec *in, int in_step, vec *out, int out_step) {
    const vec d0 = in[0], d1 = in[in_step], d2 = in[2 * in_step], d3 = in[3 * in_step], d4 = in[4 * in_step];
    const vec d5 = in[5 * in_step];
    const vec even = d4 - 4.0F * d2, odd = d3 - 4.0F * d1;
    const vec half = d4 - d2, twice = 2.0F * (d3 - d1);
    out[0] = 4.0F * d0 - 5.0F * d2 + d4;
    out[out_step] = even + odd;
    out[2 * out_step] = even - odd;
    out[3 * out_step] = half + twice;
    out[4 * out_step] = half - twice;
    out[5 * out_step] = 4.0F * d1 - 5.0F * d3 + d5;
}

/* out = A^T in: six vectors to four. */
static inline void transform_output(const vec *in, int in_step, vec *out, int out_step) {
    const vec m1 = in[in_step], m2 = in[2 * in_step], m3 = in[3 * in_step], m4 = in[4 * in_step];
    const vec sum12 = m1 + m2, dif12 = m1 - m2, sum34 = m3 + m4, dif34 = m3 - m4;
    out[0] = in[0] + sum12 + sum34;
    out[out_step] = dif12 + 2.0F * dif34;
    out[2 * out_step] = sum12 + 4.0F * sum34;
    out[3 * out_step] = dif12 + 8.0F * dif34 + in[5 * in_step];
}

/* out = A in: four vectors to six, the adjoint of transform_output. */
static inline void transform_output_adjoint(const vec *in, int in_step, vec *out, int out_step) {
    const vec y0 = in[0], y1 = in[in_step], y2 = in[2 * in_step], y3 = in[3 * in_step];
    const vec even1 = y0 + y2, odd1 = y1 + y3, even2 = y0 + 4.0F * y2, odd2 = 2.0F * y1 + 8.0F * y3;
    out[0] = y0;
    out[out_step] = even1 + odd1;
    out[2 * out_step] = even1 - odd1;
    out[3 * out_step] = even2 + odd2;
    out[4 * out_step] = even2 - odd2;
    out[5 * out_step] = y3;
}

/* Numbers from one of the 36 matrices of n numbers to the next: a cache line more than n, because strides that are
 * multiples of 4 KiB would put all 36 into the same cache set. */
static inline int64_t position_step(int64_t n) {
    return n + LANES;
}

#endif
