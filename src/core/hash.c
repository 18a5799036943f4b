/* SHA-256 by libcrypto, and the table hash. */
#include "hash.h"

/* The plain functions, not EVP: a store takes four digests of a few dozen bytes a flow, and EVP's bookkeeping costs more than
 * such a digest. Both run the same code behind. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "memory.h"
#include "text.h"

struct ws_sha256 {
    SHA256_CTX state;
};

ws_err ws_sha256_create(ws_sha256 **out)
{
    WS_TRY(WS_NEW(*out));
    SHA256_Init(&(*out)->state);
    return WS_OK;
}

void ws_sha256_destroy(ws_sha256 **hash)
{
    free(*hash);
    *hash = NULL;
}

void ws_sha256_update(ws_sha256 *hash, const void *data, size_t bytes)
{
    SHA256_Update(&hash->state, data, bytes);
}

/* As many bytes as fill the block that was begun. */
static size_t fill_block(SHA256_CTX *state, const uint8_t *data, size_t bytes)
{
    const size_t wanted = (SHA256_CBLOCK - state->num) % SHA256_CBLOCK, here = wanted < bytes ? wanted : bytes;
    SHA256_Update(state, data, here);
    return here;
}

static void count_bytes(SHA256_CTX *state, uint64_t bytes)
{
    const uint64_t bits = ((uint64_t)state->Nh << 32 | state->Nl) + bytes * 8;
    state->Nl = (SHA_LONG)bits;
    state->Nh = (SHA_LONG)(bits >> 32);
}

void ws_sha256_update_two(ws_sha256 *one, const void *first, size_t first_bytes, ws_sha256 *two, const void *second,
                          size_t second_bytes)
{
    const uint8_t *a = first, *b = second;
    const size_t a_begun = fill_block(&one->state, a, first_bytes), b_begun = fill_block(&two->state, b, second_bytes);
    const size_t a_left = first_bytes - a_begun, b_left = second_bytes - b_begun;
    const size_t blocks = (a_left < b_left ? a_left : b_left) / SHA256_CBLOCK;
    size_t both = 0;
    if (blocks > 0 && ws_sha256_blocks_two(one->state.h, a + a_begun, two->state.h, b + b_begun, blocks)) {
        both = blocks * SHA256_CBLOCK;
        count_bytes(&one->state, both);
        count_bytes(&two->state, both);
    }
    SHA256_Update(&one->state, a + a_begun + both, a_left - both);
    SHA256_Update(&two->state, b + b_begun + both, b_left - both);
}

ws_digest ws_sha256_finish(ws_sha256 *hash)
{
    ws_digest digest;
    SHA256_Final(digest.bytes, &hash->state);
    SHA256_Init(&hash->state);
    return digest;
}

_Static_assert(sizeof(SHA256_CTX) == WS_SHA256_STATE_BYTES, "the state of an unfinished hash");

void ws_sha256_save(const ws_sha256 *hash, uint8_t state[WS_SHA256_STATE_BYTES])
{
    memcpy(state, &hash->state, WS_SHA256_STATE_BYTES);
}

void ws_sha256_restore(ws_sha256 *hash, const uint8_t state[WS_SHA256_STATE_BYTES])
{
    memcpy(&hash->state, state, WS_SHA256_STATE_BYTES);
}

static int longest_first(const void *a, const void *b)
{
    const ws_hash_part *x = a, *y = b;
    return (x->count < y->count) - (x->count > y->count);
}

typedef struct part_lane {
    ws_sha256 hash;
    ws_hash_part *part;
    size_t at;
} part_lane;

/* Gives the lane bytes to go on with; 0 where no part is left. */
static size_t lane_left(part_lane *lane, ws_hash_part **next, const ws_hash_part *end)
{
    while (lane->part == NULL || lane->at == lane->part->count) {
        if (lane->part != NULL)
            ws_sha256_save(&lane->hash, lane->part->state);
        lane->part = *next < end ? (*next)++ : NULL;
        lane->at = 0;
        if (lane->part == NULL)
            return 0;
        ws_sha256_restore(&lane->hash, lane->part->state);
    }
    return lane->part->count - lane->at;
}

void ws_sha256_parts(ws_hash_part *parts, size_t count)
{
    part_lane lanes[2] = {{.part = NULL}, {.part = NULL}};
    ws_hash_part *next = parts;
    qsort(parts, count, sizeof *parts, longest_first); /* the last one is hashed alone */
    for (;;) {
        const size_t first = lane_left(&lanes[0], &next, parts + count),
                     second = lane_left(&lanes[1], &next, parts + count);
        if (first == 0 && second == 0)
            return;
        part_lane *one = &lanes[first > 0 ? 0 : 1], *two = &lanes[1];
        const size_t both = first == 0 || second == 0 ? first + second : first < second ? first : second;
        if (first > 0 && second > 0) {
            ws_sha256_update_two(&one->hash, one->part->bytes + one->at, both, &two->hash, two->part->bytes + two->at,
                                 both);
            two->at += both;
        } else {
            ws_sha256_update(&one->hash, one->part->bytes + one->at, both);
        }
        one->at += both;
    }
}

ws_digest ws_sha256_of(const void *data, size_t bytes)
{
    ws_digest digest;
    SHA256(data, bytes, digest.bytes);
    return digest;
}

ws_err ws_sha256_file(const char *path, ws_digest *out)
{
    ws_err error = WS_OK;
    ws_sha256 *hash = NULL;
    char *buffer = NULL;
    const char *why;
    FILE *file = ws_open_regular(path, &why);
    WS_CHECK(file, IO, "%s: %s", path, why);
    WS_TRY_GOTO(done, ws_sha256_create(&hash));
    enum { PIECE = 1 << 20 };
    WS_TRY_GOTO(done, WS_NEW_ARRAY(buffer, PIECE));
    for (size_t got; (got = fread(buffer, 1, PIECE, file)) > 0;)
        ws_sha256_update(hash, buffer, got);
    WS_CHECK_GOTO(done, !ferror(file), IO, "%s: cannot be read: %s", path, strerror(errno));
    *out = ws_sha256_finish(hash);
done:
    free(buffer);
    ws_sha256_destroy(&hash);
    fclose(file);
    return error;
}

void ws_digest_hex(const ws_digest *digest, char out[65])
{
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest->bytes[i]);
}

uint64_t ws_digest_u64(const ws_digest *digest)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | digest->bytes[i];
    return value;
}
