/* Hashes: SHA-256 (FIPS 180-4, by libcrypto) for identities and content, and a fast 64-bit mix for tables. */
#ifndef WS_CORE_HASH_H
#define WS_CORE_HASH_H

#include <stdint.h>
#include "error.h"

typedef struct ws_sha256 ws_sha256;
typedef struct ws_digest {
    uint8_t bytes[32];
} ws_digest;
WS_MUST ws_err ws_sha256_create(ws_sha256 **out);
void ws_sha256_destroy(ws_sha256 **hash);
void ws_sha256_update(ws_sha256 *hash, const void *data, size_t bytes);
/* Two updates, taken side by side where the CPU can (sha256_many.c). */
void ws_sha256_update_two(ws_sha256 *one, const void *first, size_t first_bytes, ws_sha256 *two, const void *second,
                          size_t second_bytes);
ws_digest ws_sha256_finish(ws_sha256 *hash); /* and starts anew */
/* An unfinished hash on its way to another process of this program on the same kind of machine. */
enum { WS_SHA256_STATE_BYTES = 112 };
void ws_sha256_save(const ws_sha256 *hash, uint8_t state[WS_SHA256_STATE_BYTES]);
void ws_sha256_restore(ws_sha256 *hash, const uint8_t state[WS_SHA256_STATE_BYTES]);
/* More bytes of unfinished hashes, no two parts of the same, some side by side as above; brings the parts into another order. */
typedef struct ws_hash_part {
    uint8_t *state; /* WS_SHA256_STATE_BYTES */
    const uint8_t *bytes;
    size_t count;
} ws_hash_part;
void ws_sha256_parts(ws_hash_part *parts, size_t count);
ws_digest ws_sha256_of(const void *data, size_t bytes);
/* out[i]: of texts[i]. Faster than one by one where the CPU takes some side by side (sha256_many.c): two with the SHA extensions,
 * sixteen with AVX-512. */
typedef struct ws_hash_text {
    const uint8_t *bytes;
    size_t count;
} ws_hash_text;
void ws_sha256_many(const ws_hash_text *texts, size_t count, ws_digest *out);
/* Inside the room: `blocks` of 64 bytes at `at` into a state of eight words, then those at `then`. */
typedef struct ws_sha256_chain {
    uint32_t *state;
    const uint8_t *at;
    size_t blocks;
    const uint8_t *then;
    size_t then_blocks;
} ws_sha256_chain;
/* All of them, some side by side, best with the longest first; false, and nothing done, where the CPU cannot. */
bool ws_sha256_chains(ws_sha256_chain *chains, size_t count);
WS_MUST ws_err ws_sha256_file(const char *path, ws_digest *out);
void ws_digest_hex(const ws_digest *digest, char out[65]);
uint64_t ws_digest_u64(const ws_digest *digest); /* first 8 bytes, big endian */

/* Well-mixed 64-bit hash for hash tables and routing; the same on every machine, not for identities. */
uint64_t ws_hash64(const void *data, size_t bytes, uint64_t seed);
/* Finaliser of splitmix64. */
static inline uint64_t ws_mix64(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

#endif
