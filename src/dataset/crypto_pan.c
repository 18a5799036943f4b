/* crypto_pan: bit i of the pseudonym is bit i of the address, turned over where the first bit of AES(the first i bits of
 * the address, then padding) says so. The blocks of one address are encrypted in one call. */
#include "dataset/crypto_pan.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { BLOCK = 16, MOST_BITS = 128 };

struct ws_crypto_pan {
    EVP_CIPHER_CTX *cipher;
    uint8_t padding[BLOCK];
};

static bool encrypt(const ws_crypto_pan *pan, const uint8_t *in, int bytes, uint8_t *out)
{
    int written = 0;
    return EVP_EncryptUpdate(pan->cipher, out, &written, in, bytes) == 1 && written == bytes;
}

ws_err ws_crypto_pan_create(ws_crypto_pan **out, const uint8_t key[WS_CRYPTO_PAN_KEY])
{
    ws_crypto_pan *pan;
    WS_TRY(WS_NEW(pan));
    *out = pan;
    pan->cipher = EVP_CIPHER_CTX_new();
    WS_CHECK(pan->cipher != NULL, MEMORY, "no memory for a cipher");
    WS_CHECK(EVP_EncryptInit_ex(pan->cipher, EVP_aes_128_ecb(), NULL, key, NULL) == 1 &&
                 EVP_CIPHER_CTX_set_padding(pan->cipher, 0) == 1 && encrypt(pan, key + BLOCK, BLOCK, pan->padding),
             UNSUPPORTED, "libcrypto has no AES-128");
    return WS_OK;
}

void ws_crypto_pan_destroy(ws_crypto_pan **pan)
{
    if (*pan == NULL)
        return;
    EVP_CIPHER_CTX_free((*pan)->cipher);
    explicit_bzero((*pan)->padding, BLOCK);
    free(*pan);
    *pan = NULL;
}

bool ws_crypto_pan_address(ws_crypto_pan *pan, const uint8_t *address, size_t bytes, uint8_t *out)
{
    uint8_t blocks[MOST_BITS * BLOCK], codes[MOST_BITS * BLOCK];
    const size_t bits = 8 * bytes;
    for (size_t i = 0; i < bits; i++) {
        uint8_t *block = blocks + i * BLOCK;
        const size_t whole = i / 8;
        const uint8_t mask = (uint8_t)(0xFF00u >> (i % 8)); /* the first i % 8 bits */
        memcpy(block, address, whole);
        memcpy(block + whole, pan->padding + whole, BLOCK - whole);
        block[whole] = (uint8_t)((address[whole] & mask) | (pan->padding[whole] & ~mask));
    }
    if (!encrypt(pan, blocks, (int)(bits * BLOCK), codes))
        return false;
    for (size_t k = 0; k < bytes; k++) {
        uint8_t turned = 0;
        for (size_t i = 0; i < 8; i++)
            turned = (uint8_t)(turned << 1 | codes[(8 * k + i) * BLOCK] >> 7);
        out[k] = address[k] ^ turned;
    }
    return true;
}
