/* store_row: what a row of the store says of its flow: names that last (row_hash), duplicates (input_hash), identities,
 * and endpoints as far as the user keeps them. Pure; knows nothing of ranks or HDF5.
 *
 * Hashed texts, so that other programs can make them too (integers big endian, addresses 16 bytes, IPv4 as
 * ::ffff:a.b.c.d): key:   "wiresweep key\n", the key file's content, low address, low port, high address, high port,
 * protocol host:  "wiresweep host\n", the key file's content, address of the forward sender input: "wiresweep input\n",
 * the row's features (flow20, or the store's own table) as IEEE float bits, then of each stored packet the columns of /packets row:   "wiresweep row\n", the
 * input's name and a NUL, first_ordinal, key_hash
 */
#include "dataset/store_layout.h"

#include <arpa/inet.h>
#include <endian.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

ws_err ws_endpoint_mode_find(const char *name, ws_endpoint_mode *out)
{
    static const char *const names[] = {"drop", "keyed", "prefix", "plain"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (ws_endpoint_mode)i;
            return WS_OK;
        }
    WS_FAIL(ARGUMENT, "endpoints \"%s\" is none of drop, keyed, prefix, plain", name);
}

ws_err ws_row_maker_create(ws_row_maker *out, const char *endpoints, const char *key_file)
{
    memset(out, 0, sizeof *out);
    WS_TRY(ws_endpoint_mode_find(endpoints == NULL ? "drop" : endpoints, &out->endpoints));
    WS_TRY(ws_sha256_create(&out->hash));
    if (key_file != NULL) {
        WS_TRY(ws_file_read(key_file, &out->key, &out->key_bytes));
        WS_CHECK(out->key_bytes >= 16, ARGUMENT, "%s: a key file holds at least 16 bytes, this one %zu", key_file,
                 out->key_bytes);
    }
    if ((out->endpoints == WS_ENDPOINTS_KEYED || out->endpoints == WS_ENDPOINTS_PREFIX) && key_file == NULL) {
        ws_err error = WS_ERROR(ARGUMENT, "endpoints \"%s\" need a key file", endpoints);
        WS_HINT("make one with `head -c 32 /dev/urandom > KEY` and give --key KEY");
        return error;
    }
    if (out->endpoints == WS_ENDPOINTS_PREFIX) {
        WS_CHECK(out->key_bytes >= WS_CRYPTO_PAN_KEY, ARGUMENT,
                 "%s: prefix-preserving pseudonyms take a key of %d bytes, this file has %zu", key_file,
                 WS_CRYPTO_PAN_KEY, out->key_bytes);
        WS_TRY(ws_crypto_pan_create(&out->pan, (const uint8_t *)out->key));
    }
    return WS_OK;
}

void ws_row_maker_destroy(ws_row_maker *maker)
{
    ws_sha256_destroy(&maker->hash);
    ws_crypto_pan_destroy(&maker->pan);
    if (maker->key != NULL)
        explicit_bzero(maker->key, maker->key_bytes);
    free(maker->key);
    memset(maker, 0, sizeof *maker);
}

static uint8_t *put16(uint8_t *out, uint16_t value)
{
    value = htobe16(value);
    memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

static uint8_t *put32(uint8_t *out, uint32_t value)
{
    value = htobe32(value);
    memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

static uint8_t *put64(uint8_t *out, uint64_t value)
{
    value = htobe64(value);
    memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

static uint64_t first_u64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

static ws_identity identity_of(const ws_digest *digest)
{
    return (ws_identity){first_u64(digest->bytes), first_u64(digest->bytes + 8)};
}

static ws_digest hash_key(ws_row_maker *maker, const ws_flow_key *key)
{
    uint8_t bytes[2 * 18 + 1], *at = bytes;
    memcpy(at, key->low_address, 16);
    at = put16(at + 16, key->low_port);
    memcpy(at, key->high_address, 16);
    at = put16(at + 16, key->high_port);
    *at = key->protocol;
    ws_sha256_update(maker->hash, "wiresweep key\n", 14);
    if (maker->key != NULL)
        ws_sha256_update(maker->hash, maker->key, maker->key_bytes);
    ws_sha256_update(maker->hash, bytes, sizeof bytes);
    return ws_sha256_finish(maker->hash);
}

static ws_digest hash_host(ws_row_maker *maker, const uint8_t address[16])
{
    ws_sha256_update(maker->hash, "wiresweep host\n", 15);
    if (maker->key != NULL)
        ws_sha256_update(maker->hash, maker->key, maker->key_bytes);
    ws_sha256_update(maker->hash, address, 16);
    return ws_sha256_finish(maker->hash);
}

static ws_digest hash_input(ws_row_maker *maker, const ws_flow *flow, const ws_flow_packet *packets,
                            const float *values, size_t columns)
{
    enum { PACKET_BYTES = 26, BATCH = 64 };
    uint8_t bytes[PACKET_BYTES * BATCH], *at = bytes;
    ws_sha256_update(maker->hash, "wiresweep input\n", 16);
    for (size_t i = 0; i < columns; i++) {
        uint32_t bits;
        if (at + 4 > bytes + sizeof bytes) {
            ws_sha256_update(maker->hash, bytes, (size_t)(at - bytes));
            at = bytes;
        }
        memcpy(&bits, &values[i], 4);
        at = put32(at, bits);
    }
    for (uint32_t k = 0; k < flow->packet_count; k++) {
        if (at + PACKET_BYTES > bytes + sizeof bytes) {
            ws_sha256_update(maker->hash, bytes, (size_t)(at - bytes));
            at = bytes;
        }
        at = put64(at, (uint64_t)packets[k].offset_ns);
        at = put32(at, packets[k].wire_length);
        at = put32(at, packets[k].ip_length);
        at = put32(at, packets[k].payload_length);
        at = put16(at, packets[k].header_length);
        at = put16(at, packets[k].window);
        *at++ = packets[k].tcp_flags;
        *at++ = (uint8_t)packets[k].direction;
    }
    ws_sha256_update(maker->hash, bytes, (size_t)(at - bytes));
    return ws_sha256_finish(maker->hash);
}

static ws_digest hash_row(ws_row_maker *maker, const char *input_name, uint64_t first_ordinal, uint64_t key_hash)
{
    uint8_t bytes[16];
    put64(put64(bytes, first_ordinal), key_hash);
    ws_sha256_update(maker->hash, "wiresweep row\n", 14);
    ws_sha256_update(maker->hash, input_name, strlen(input_name) + 1);
    ws_sha256_update(maker->hash, bytes, sizeof bytes);
    return ws_sha256_finish(maker->hash);
}

static bool is_ipv4(const uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    return memcmp(address, mapped, 12) == 0;
}

/* "192.0.2.1:80", "[2001:db8::1]:80"; keyed: 32 hex digits and the port; prefix: pseudonyms. Ports name services, not people, and stay. */
static void write_endpoint(const ws_row_maker *maker, const uint8_t address[16], uint16_t port,
                           char out[WS_ENDPOINT_TEXT])
{
    char text[INET6_ADDRSTRLEN + 20];
    memset(out, 0, WS_ENDPOINT_TEXT);
    if (maker->endpoints == WS_ENDPOINTS_KEYED) {
        uint8_t code[EVP_MAX_MD_SIZE];
        unsigned int bytes = 0;
        HMAC(EVP_sha256(), maker->key, (int)maker->key_bytes, address, 16, code, &bytes);
        for (int i = 0; i < 16; i++)
            snprintf(text + 2 * i, 3, "%02x", code[i]);
        snprintf(out, WS_ENDPOINT_TEXT, "%.32s:%u", text, port);
        return;
    }
    bool four = is_ipv4(address);
    const uint8_t *shown = four ? address + 12 : address;
    uint8_t pseudonym[16];
    if (maker->endpoints == WS_ENDPOINTS_PREFIX) {
        if (!ws_crypto_pan_address(maker->pan, shown, four ? 4 : 16, pseudonym))
            return; /* an empty text rather than an address */
        shown = pseudonym;
    }
    inet_ntop(four ? AF_INET : AF_INET6, shown, text, sizeof text);
    snprintf(out, WS_ENDPOINT_TEXT, four ? "%.45s:%u" : "[%.45s]:%u", text, port);
}

void ws_row_make(ws_row_maker *maker, const ws_flow *flow, const ws_flow_packet *packets, const float *values,
                 size_t columns, const char *input_name, ws_store_row *row)
{
    memset(row, 0, sizeof *row);
    row->first_ns = flow->first_ns;
    row->last_ns = flow->last_ns;
    for (int d = 0; d < 2; d++) {
        row->packets[d] = flow->packets[d];
        row->bytes[d] = flow->bytes[d];
        row->payload[d] = flow->payload_bytes[d];
    }
    row->first_ordinal = flow->first_ordinal;
    row->input_id = flow->input;
    row->protocol = flow->key.protocol;
    row->end = flow->end;
    memcpy(row->features, flow->features, sizeof row->features);
    const uint8_t *forward = flow->forward_is_low ? flow->key.low_address : flow->key.high_address;
    const uint8_t *backward = flow->forward_is_low ? flow->key.high_address : flow->key.low_address;
    ws_digest digest = hash_key(maker, &flow->key);
    row->key_hash = ws_digest_u64(&digest);
    row->session = identity_of(&digest);
    digest = hash_host(maker, forward);
    row->host = identity_of(&digest);
    digest = hash_input(maker, flow, packets, values, columns);
    row->input_hash = ws_digest_u64(&digest);
    digest = hash_row(maker, input_name, flow->first_ordinal, row->key_hash);
    row->row_hash = ws_digest_u64(&digest);
    if (maker->endpoints != WS_ENDPOINTS_DROP) {
        write_endpoint(maker, forward, flow->forward_is_low ? flow->key.low_port : flow->key.high_port, row->source);
        write_endpoint(maker, backward, flow->forward_is_low ? flow->key.high_port : flow->key.low_port,
                       row->destination);
    }
}
