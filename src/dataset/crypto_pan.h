/* crypto_pan: prefix-preserving pseudonyms of addresses. Two addresses share their first k bits, and no more, exactly if
 * their pseudonyms do; so subnets stay together while nobody without the key can name them.
 *
 * Crypto-PAn: Xu, Fan, Ammar and Moon, "Prefix-preserving IP address anonymization", ICNP 2002; AES-128. IPv6 addresses the
 * same way over all 128 bits.
 */
#ifndef WS_DATASET_CRYPTO_PAN_H
#define WS_DATASET_CRYPTO_PAN_H

#include "core/core.h"

enum { WS_CRYPTO_PAN_KEY = 32 }; /* bytes: the AES key, then what the padding is made of */

typedef struct ws_crypto_pan ws_crypto_pan;
WS_MUST ws_err ws_crypto_pan_create(ws_crypto_pan **out, const uint8_t key[WS_CRYPTO_PAN_KEY]);
void ws_crypto_pan_destroy(ws_crypto_pan **pan);
/* bytes: 4 or 16. False when libcrypto fails; then out is not to be used. */
bool ws_crypto_pan_address(ws_crypto_pan *pan, const uint8_t *address, size_t bytes, uint8_t *out);

#endif
