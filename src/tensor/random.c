/* Random numbers on the host; the same functions that kernels/fill.cu evaluates on the device. */
#include "handsoff/random.h"

#include "fill.h"
#include "philox.h"

void ho_philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]) {
    const ho_philox_block block = ho_philox_at(seed, stream, index);
    for (int i = 0; i < 4; ++i) {
        out[i] = block.word[i];
    }
}

uint64_t ho_stream_id(const char *name) {
    uint64_t hash = 14695981039346656037ULL;
    for (const unsigned char *c = (const unsigned char *)name; *c != 0; ++c) {
        hash = (hash ^ *c) * 1099511628211ULL;
    }
    return hash;
}

double ho_uniform(uint64_t seed, uint64_t stream, uint64_t index) {
    const ho_philox_block block = ho_philox_at(seed, stream, index);
    return ho_philox_unit(block.word[0], block.word[1]);
}

double ho_normal(uint64_t seed, uint64_t stream, uint64_t index) {
    double even, odd;
    ho_philox_normal_pair(seed, stream, index / 2, &even, &odd);
    return index % 2 == 0 ? even : odd;
}

int64_t ho_uniform_int(uint64_t seed, uint64_t stream, uint64_t index, int64_t n) {
    return (int64_t)(ho_uniform(seed, stream, index) * (double)n);
}

void ho_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *order) {
    for (int64_t i = 0; i < n; ++i) {
        order[i] = i;
    }
    for (int64_t i = n - 1; i > 0; --i) {
        const int64_t j = ho_uniform_int(seed, stream, (uint64_t)i, i + 1);
        const int64_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}

ho_status ho_fill_normal(ho_context *context, ho_tensor *tensor, uint64_t seed, uint64_t stream, uint64_t first,
                         double mean, double std) {
    return ho_k_fill_normal(tensor->data, ho_tensor_count(tensor), seed, stream, first, mean, std,
                            ho_context_stream(context));
}
