/* Random numbers that are a function of (seed, stream, index) alone, so that results do not depend on threads, devices
 * or restarts: Philox4x32-10 (Salmon et al., SC 2011). And the legacy NumPy stream, for official StyleGAN2 seeds. */
#ifndef HANDSOFF_RANDOM_H
#define HANDSOFF_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "handsoff/status.h"
#include "handsoff/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One block of four 32-bit words: key = seed, counter = (index, stream). */
void ho_philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]);

/* A stream number from a name, so that purposes never share a stream: ho_stream_id("train-gan/z"). FNV-1a, 64 bits. */
uint64_t ho_stream_id(const char *name);

/* Draw number `index` of the stream: uniform in [0, 1) with 53 bits; standard normal (Box-Muller); integer in [0, n).
 * Normals come from the words that the stream's uniforms and integers come from: who draws both takes two streams. */
double ho_uniform(uint64_t seed, uint64_t stream, uint64_t index);
double ho_normal(uint64_t seed, uint64_t stream, uint64_t index);
int64_t ho_uniform_int(uint64_t seed, uint64_t stream, uint64_t index, int64_t n);
/* A permutation of 0..n-1 (Fisher-Yates) that is a function of (seed, stream). */
void ho_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *order);

/* Device fill: element i of tensor = mean + std * ho_normal(seed, stream, first + i), equal on every target to 1e-6. */
ho_status ho_fill_normal(ho_context *context, ho_tensor *tensor, uint64_t seed, uint64_t stream, uint64_t first,
                         double mean, double std);

/* numpy.random.RandomState(seed).randn: MT19937 (Matsumoto & Nishimura 1998) and
 * Marsaglia's polar method, as NumPy's legacy-distributions.c. */
typedef struct {
    uint32_t state[624];
    int position;
    int has_spare;
    double spare;
} ho_numpy_random;
void ho_numpy_seed(ho_numpy_random *random, uint32_t seed);
double ho_numpy_randn(ho_numpy_random *random);

#ifdef __cplusplus
}
#endif
#endif
