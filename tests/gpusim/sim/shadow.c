/* Marks of defined bytes, a bit a byte: ranges. Single accesses are inline in engine.h. */
#include "engine.h"

/* Calls for each word of the range; the bits of it that are meant. */
#define FOR_WORDS(offset, bytes, word, bits)                                                                           \
    for (uint64_t at_ = (offset), end_ = (offset) + (bytes), word, bits, n_;                                           \
         at_ < end_ && (n_ = 64 - (at_ & 63), n_ = n_ < end_ - at_ ? n_ : end_ - at_, word = at_ >> 6,                 \
                       bits = gs_bits(at_, (unsigned)n_), true);                                                       \
         at_ += n_)

void gs_defined_set(_Atomic uint64_t *defined, uint64_t offset, uint64_t bytes) {
    FOR_WORDS(offset, bytes, word, bits) {
        if ((atomic_load_explicit(&defined[word], memory_order_relaxed) & bits) != bits) {
            atomic_fetch_or_explicit(&defined[word], bits, memory_order_relaxed);
        }
    }
}

void gs_defined_clear(_Atomic uint64_t *defined, uint64_t offset, uint64_t bytes) {
    FOR_WORDS(offset, bytes, word, bits) {
        /* Reading first keeps pages that nothing wrote untouched. */
        if ((atomic_load_explicit(&defined[word], memory_order_relaxed) & bits) != 0) {
            atomic_fetch_and_explicit(&defined[word], ~bits, memory_order_relaxed);
        }
    }
}

bool gs_defined_all(const _Atomic uint64_t *defined, uint64_t offset, uint64_t bytes) {
    FOR_WORDS(offset, bytes, word, bits) {
        if ((atomic_load_explicit(&defined[word], memory_order_relaxed) & bits) != bits) {
            return false;
        }
    }
    return true;
}

void gs_defined_copy(_Atomic uint64_t *to, uint64_t to_offset, const _Atomic uint64_t *from, uint64_t from_offset,
                     uint64_t bytes) {
    if (gs_defined_all(from, from_offset, bytes)) {
        gs_defined_set(to, to_offset, bytes);
        return;
    }
    for (uint64_t n = 0; n < bytes; n++) {
        if (gs_defined_all(from, from_offset + n, 1)) {
            gs_defined_set(to, to_offset + n, 1);
        } else {
            gs_defined_clear(to, to_offset + n, 1);
        }
    }
}
