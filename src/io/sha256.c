#include "sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "handsoff/store.h"

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

/* FIPS 180-4, 6.2.2; s is the working state a..h, kept in place by rotating the index. */
static void add_block(uint32_t state[8], const uint8_t *block) {
    uint32_t word[64], s[8];
    for (int t = 0; t < 16; t++) {
        word[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 |
                  block[4 * t + 3];
    }
    for (int t = 16; t < 64; t++) {
        const uint32_t a = word[t - 15], b = word[t - 2];
        word[t] = word[t - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + word[t - 7] +
                  (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int t = 0; t < 64; t++) {
        const uint32_t a = s[0], e = s[4];
        const uint32_t choose = (e & s[5]) ^ (~e & s[6]);
        const uint32_t majority = (a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]);
        const uint32_t t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + choose + ROUND[t] + word[t];
        const uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority;
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += s[i];
    }
}

void ho_sha256_start(ho_sha256 *sum) {
    *sum = (ho_sha256){
        {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}, 0, {0}};
}

void ho_sha256_add(ho_sha256 *sum, const void *bytes, size_t n) {
    const uint8_t *from = bytes;
    while (n > 0) {
        const size_t used = sum->n_bytes % 64;
        const size_t part = n < 64 - used ? n : 64 - used;
        memcpy(sum->block + used, from, part);
        sum->n_bytes += part;
        from += part;
        n -= part;
        if (used + part == 64) {
            add_block(sum->state, sum->block);
        }
    }
}

void ho_sha256_end(ho_sha256 *sum, char hex[65]) {
    const uint64_t n_bits = 8 * sum->n_bytes;
    static const uint8_t PAD[64] = {0x80};
    /* A one bit, zeros, and the length in the last 8 bytes of a block. */
    ho_sha256_add(sum, PAD, 1 + (119 - sum->n_bytes % 64) % 64);
    uint8_t length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(n_bits >> (56 - 8 * i));
    }
    ho_sha256_add(sum, length, sizeof length);
    for (int i = 0; i < 8; i++) {
        snprintf(hex + 8 * (size_t)i, 9, "%08x", sum->state[i]);
    }
}

ho_status ho_file_sha256(const char *path, char hex[65]) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        HO_FAIL(HO_EIO, "cannot open %s: %s", path, strerror(errno));
    }
    ho_sha256 sum;
    ho_sha256_start(&sum);
    uint8_t buffer[1 << 16];
    ssize_t n;
    while ((n = read(file, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) {
            ho_sha256_add(&sum, buffer, (size_t)n);
        }
    }
    const int failed = n < 0 ? errno : 0;
    close(file);
    if (failed != 0) {
        HO_FAIL(HO_EIO, "cannot read %s: %s", path, strerror(failed));
    }
    ho_sha256_end(&sum, hex);
    return HO_OK;
}
