/* Cases with more than 2^31 elements: is every index computed in 64 bits? Whole operations would take hours there and
 * tens of gigabytes of values, so these call the kernels' launchers on arrays that are allocated and hardly touched:
 * the simulator runs only the first and the last block of a launch (edge_blocks=1), and memory that nobody uses costs
 * nothing. A case defines what those blocks read, each element a function of its index, and compares what they write
 * with the formula at that index. Elsewhere memory stays undefined, so that a wrong index shows twice: as a wrong
 * number and as a read of memory that nothing wrote.
 *
 * Where those blocks come in an array of n elements is the same everywhere: around the multiples of a step (all threads
 * or all blocks of the grid together) the last block has what lies before and the first block what lies behind. */
#ifndef HANDSOFF_OPTABLE_HUGE_H
#define HANDSOFF_OPTABLE_HUGE_H

#include "table.h"

enum { OT_HUGE_ARRAYS = 12 };
enum { OT_THREADS = 4096 * 256, OT_BLOCKS = 65535 }; /* of a full grid: ho_grid, ho_grid_blocks of kernel.h */

typedef struct {
    int64_t n, step, half; /* elements [k step - half, k step + half) that are in [0, n), k = 0, 1, ... */
} ot_places;

typedef struct {
    ho_device *device;
    ho_stream stream;
    void *memory[OT_HUGE_ARRAYS];
    int n_arrays;
    const void *about; /* for the truths: what the case says of itself */
    int64_t compared;
    double worst, tolerance;
    char message[256];
} ot_huge;

typedef struct {
    const char *name, *kernels;
    ho_status (*run)(ot_huge *h);
    double tolerance; /* 0: 1e-5 */
} ot_huge_case;
extern const ot_huge_case ot_huge_rows[], ot_huge_sums[], ot_huge_images[], ot_huge_head[], ot_huge_fused[];

/* Threads over n elements; blocks over units of `unit` elements, with `more` units on both sides; the first and last
 * `half` of n elements. */
ot_places ot_loop(int64_t n);
ot_places ot_units(int64_t n, int64_t unit, int64_t more);
ot_places ot_ends(int64_t n, int64_t half);

/* Element i of array `id`, in [-1, 1). */
double ot_huge_value(int id, int64_t i);
/* An array of `count` elements, undefined; freed after the case. */
ho_status ot_huge_new(ot_huge *h, int64_t count, ho_real **array);
/* The same for n elements of `size` bytes. */
ho_status ot_huge_bytes(ot_huge *h, int64_t n, size_t size, void *array);
/* Defines elements of array `id`, or makes them 0. */
ho_status ot_huge_define(ot_huge *h, int id, ho_real *array, ot_places places);
/* The same where the array is a part that begins at element `from` of array `id`. */
ho_status ot_huge_define_from(ot_huge *h, int id, int64_t from, ho_real *array, ot_places places);
ho_status ot_huge_zero(ot_huge *h, ho_real *array, ot_places places);
/* Both: a new array with places.n elements, these of them defined. */
ho_status ot_huge_input(ot_huge *h, int id, ot_places places, ho_real **array);
/* Compares with truth(h->about, i). */
typedef double (*ot_huge_truth)(const void *about, int64_t i);
ho_status ot_huge_check(ot_huge *h, const char *what, const ho_real *array, ot_places places, ot_huge_truth truth);

#endif
