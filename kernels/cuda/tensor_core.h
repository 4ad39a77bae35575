/* The instructions of tensor-core kernels (sm_80 and up) as functions: asynchronous copies to shared memory, rounding
 * of operands, the matrix product of one warp.
 *
 * A product takes 16 values of k at a time. Their order is free as long as both operands agree, so the lane that holds
 * column t = lane % 4 of a fragment takes k = 4t .. 4t+3, four neighbours in memory: one load of 16 bytes (TF32) or 8
 * bytes (bf16) feeds a whole row of the fragment, and the same code serves both types:
 *   TF32, two m16n8k8:  step 0 has k = 4t, 4t+1 in the places t, t+4;  step 1 has k = 4t+2, 4t+3.
 *   bf16, one m16n8k16: word 0 has k = 4t, 4t+1 in the places 2t, 2t+1; word 1 has k = 4t+2, 4t+3 in 2t+8, 2t+9. */
#ifndef HANDSOFF_KERNELS_CUDA_TENSOR_CORE_H
#define HANDSOFF_KERNELS_CUDA_TENSOR_CORE_H

#include <stdint.h>

#include "handsoff/kernel.h"

HO_DEVICE uint32_t ho_shared_address(const void *p) {
    return (uint32_t)__cvta_generic_to_shared(p);
}

/* 16 bytes, or zeros when !inside (`from` must be a valid address all the same). */
HO_DEVICE void ho_copy16(float *to, const float *from, bool inside) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(ho_shared_address(to)), "l"(from),
                 "r"(inside ? 16 : 0)
                 : "memory");
}
HO_DEVICE void ho_copy4(float *to, const float *from, bool inside) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(ho_shared_address(to)), "l"(from),
                 "r"(inside ? 4 : 0)
                 : "memory");
}
/* Four floats of which the first `count` (any number, also below 1) exist; `safe` is an address that can be read. */
HO_DEVICE void ho_copy_quad(float *to, const float *from, int count, bool vector, const float *safe) {
    if (vector) { /* count is then a multiple of 4 */
        ho_copy16(to, count > 0 ? from : safe, count > 0);
        return;
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) {
        ho_copy4(to + e, e < count ? from + e : safe, e < count);
    }
}
HO_DEVICE void ho_copies_wait(void) {
    asm volatile("cp.async.commit_group;\n\tcp.async.wait_group 0;" ::: "memory");
}

HO_DEVICE uint32_t ho_round_tf32(float v) {
    uint32_t word;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(v));
    return word;
}
HO_DEVICE uint32_t ho_round_bf16(float low, float high) {
    uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}

/* One product of fragments: c (16 x 8) += a b. */
HO_DEVICE void ho_mma_tf32(float c[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
HO_DEVICE void ho_mma_bf16(float c[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/* The two operand types. quad: four neighbouring k of one row as they lie in shared memory. PER_WORD: values a word. */
struct ho_tf32 {
    typedef uint4 quad;
    enum { PER_WORD = 1 };
    static __device__ __forceinline__ quad round(float4 v) {
        return make_uint4(ho_round_tf32(v.x), ho_round_tf32(v.y), ho_round_tf32(v.z), ho_round_tf32(v.w));
    }
    /* Rows g and g + 8 of a with column g of b, 16 values of k. */
    static __device__ __forceinline__ void multiply(float c[4], const quad &low, const quad &high, const quad &b) {
        ho_mma_tf32(c, low.x, high.x, low.y, high.y, b.x, b.y);
        ho_mma_tf32(c, low.z, high.z, low.w, high.w, b.z, b.w);
    }
    static __device__ __forceinline__ void multiply_words(float c[4], const uint32_t a[4], uint32_t b0, uint32_t b1) {
        ho_mma_tf32(c, a[0], a[1], a[2], a[3], b0, b1);
    }
};
struct ho_bf16 {
    typedef uint2 quad;
    enum { PER_WORD = 2 };
    static __device__ __forceinline__ quad round(float4 v) {
        return make_uint2(ho_round_bf16(v.x, v.y), ho_round_bf16(v.z, v.w));
    }
    static __device__ __forceinline__ void multiply(float c[4], const quad &low, const quad &high, const quad &b) {
        ho_mma_bf16(c, low.x, high.x, low.y, high.y, b.x, b.y);
    }
    static __device__ __forceinline__ void multiply_words(float c[4], const uint32_t a[4], uint32_t b0, uint32_t b1) {
        ho_mma_bf16(c, a[0], a[1], a[2], a[3], b0, b1);
    }
};

#endif
