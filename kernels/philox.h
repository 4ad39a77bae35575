/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011) for host and
 * device.
 *
 *   key = (seed low, seed high); counter = (index low, index high, stream low, stream high); ten rounds of
 *   c0' = hi(M1 c2) ^ c1 ^ k0,  c1' = lo(M1 c2),  c2' = hi(M0 c0) ^ c3 ^ k1,  c3' = lo(M0 c0);  k += Weyl constants.
 *
 * uniform(i): 53 bits of words 0 and 1 of block i. normal(i): Box-Muller on block i / 2, whose four words make two
 * uniforms u, v: sqrt(-2 ln(1 - u)) times cos(2 pi v) for even i, sin(2 pi v) for odd i. */
#ifndef HANDSOFF_PHILOX_H
#define HANDSOFF_PHILOX_H

#include "handsoff/kernel.h"

typedef struct {
    uint32_t word[4];
} ho_philox_block;

HO_DEVICE ho_philox_block ho_philox_at(uint64_t seed, uint64_t stream, uint64_t index) {
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = (uint64_t)0xD2511F53U * c0, p1 = (uint64_t)0xCD9E8D57U * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    ho_philox_block block;
    block.word[0] = c0;
    block.word[1] = c1;
    block.word[2] = c2;
    block.word[3] = c3;
    return block;
}

/* Two words as a number in [0, 1) with 53 bits. */
HO_DEVICE double ho_philox_unit(uint32_t high, uint32_t low) {
    return ((double)(high >> 5) * 67108864.0 + (double)(low >> 6)) / 9007199254740992.0;
}

/* cos and sin of 2 pi u. On a GPU in turns: the reduction of large angles, which cos has, needs local memory. */
HO_DEVICE void ho_philox_turn(double u, double *cosine, double *sine) {
#ifdef __CUDA_ARCH__
    sincospi(2.0 * u, sine, cosine);
#else
    const double angle = 6.283185307179586 * u;
    *cosine = cos(angle);
    *sine = sin(angle);
#endif
}

/* The pair of normals with numbers 2 * pair and 2 * pair + 1. */
HO_DEVICE void ho_philox_normal_pair(uint64_t seed, uint64_t stream, uint64_t pair, double *even, double *odd) {
    const ho_philox_block b = ho_philox_at(seed, stream, pair);
    const double radius = sqrt(-2.0 * log(1.0 - ho_philox_unit(b.word[0], b.word[1])));
    ho_philox_turn(ho_philox_unit(b.word[2], b.word[3]), even, odd);
    *even *= radius;
    *odd *= radius;
}

#endif
