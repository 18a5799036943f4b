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

/* More bytes of some hashes, at most MOST_PARTS, side by side as far as they are whole blocks. */
enum { MOST_PARTS = 64 };
static void update_parts(SHA256_CTX **states, const ws_hash_part *parts, size_t count)
{
    ws_sha256_chain chains[MOST_PARTS];
    size_t begun[MOST_PARTS], whole[MOST_PARTS], chained = 0;
    for (size_t i = 0; i < count; i++) {
        begun[i] = fill_block(states[i], parts[i].bytes, parts[i].count);
        whole[i] = (parts[i].count - begun[i]) / SHA256_CBLOCK;
        chains[i] = (ws_sha256_chain){states[i]->h, parts[i].bytes + begun[i], whole[i], NULL, 0};
        chained += whole[i] > 0;
    }
    const bool done = chained > 1 && ws_sha256_chains(chains, count); /* libcrypto is faster with one */
    for (size_t i = 0; i < count; i++) {
        const size_t bytes = done ? whole[i] * SHA256_CBLOCK : 0;
        count_bytes(states[i], bytes);
        SHA256_Update(states[i], parts[i].bytes + begun[i] + bytes, parts[i].count - begun[i] - bytes);
    }
}

void ws_sha256_update_two(ws_sha256 *one, const void *first, size_t first_bytes, ws_sha256 *two, const void *second,
                          size_t second_bytes)
{
    const ws_hash_part parts[2] = {{NULL, first, first_bytes}, {NULL, second, second_bytes}};
    SHA256_CTX *states[2] = {&one->state, &two->state};
    update_parts(states, parts, 2);
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

void ws_sha256_parts(ws_hash_part *parts, size_t count)
{
    SHA256_CTX hashes[MOST_PARTS], *states[MOST_PARTS];
    qsort(parts, count, sizeof *parts, longest_first); /* the last ones are hashed with idle lanes beside them */
    for (size_t begin = 0; begin < count; begin += MOST_PARTS) {
        const size_t here = count - begin < MOST_PARTS ? count - begin : MOST_PARTS;
        for (size_t i = 0; i < here; i++) {
            states[i] = &hashes[i];
            memcpy(states[i], parts[begin + i].state, WS_SHA256_STATE_BYTES);
        }
        update_parts(states, parts + begin, here);
        for (size_t i = 0; i < here; i++)
            memcpy(parts[begin + i].state, states[i], WS_SHA256_STATE_BYTES);
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
