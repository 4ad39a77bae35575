/* SHA-256 (FIPS 180-4) of a stream of bytes. */
#ifndef HANDSOFF_SHA256_H
#define HANDSOFF_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t state[8];
    uint64_t n_bytes;
    uint8_t block[64]; /* the n_bytes % 64 bytes that do not fill a block yet */
} ho_sha256;

void ho_sha256_start(ho_sha256 *sum);
void ho_sha256_add(ho_sha256 *sum, const void *bytes, size_t n);
void ho_sha256_end(ho_sha256 *sum, char hex[65]); /* lower-case hexadecimal digits; the sum cannot be continued */

#endif
