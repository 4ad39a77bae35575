/* How the kernels of this folder split long sums: n items into a fixed number of segments that follows from n alone, so
 * that a result does not depend on the number of threads or blocks, and float sums stay short. */
#ifndef HANDSOFF_KERNELS_SEGMENTS_H
#define HANDSOFF_KERNELS_SEGMENTS_H

#include <stdint.h>

enum { HO_MOST_SEGMENTS = 1024 };

/* Segments for n items when one should hold at least `least` of them; between 1 and HO_MOST_SEGMENTS. */
static inline int64_t ho_segments(int64_t n, int64_t least) {
    const int64_t segments = n / least;
    return segments < 1 ? 1 : segments > HO_MOST_SEGMENTS ? (int64_t)HO_MOST_SEGMENTS : segments;
}

/* Block width for a loop over C contiguous items: whole warps, at most 256 threads. */
static inline int64_t ho_row_width(int64_t C) {
    return C >= 256 ? 256 : C < 32 ? 32 : (C + 31) / 32 * 32;
}

#endif
