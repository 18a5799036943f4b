/* store_row: what a row of the store says of its flow: names that last (row_hash), duplicates (input_hash), identities,
 * and endpoints as far as the user keeps them. Pure; knows nothing of ranks or HDF5.
 *
 * Hashed texts, so that other programs can make them too (integers big endian, addresses 16 bytes, IPv4 as
 * ::ffff:a.b.c.d):
 *   key:   "wiresweep key\n", the key file's content, low address, low port, high address, high port, protocol
 *   host:  "wiresweep host\n", the key file's content, address of the forward sender
 *   input: "wiresweep input\n", the row's features (flow20, or the store's own table) as IEEE float bits, then of each
 *          stored packet the columns of /packets
 *   row:   "wiresweep row\n", the input's name and a NUL, first_ordinal, key_hash
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

/* ---------------------------------------------------------------- texts to be hashed */
/* Short texts lie one behind the other and are hashed together (ws_sha256_many); one that is longer than the room that is left
 * goes through a stream of its own. */
enum { TEXT_BYTES = 64 << 10, TEXT_ROOM = 512, TEXTS = 192 };

struct ws_row_texts {
    ws_sha256 *stream;
    uint8_t *begin, *at; /* of the text being made */
    bool streaming;
    size_t count;
    ws_hash_text texts[TEXTS];
    ws_digest digests[TEXTS], *where[TEXTS];
    uint8_t bytes[TEXT_BYTES];
};

static ws_err texts_create(ws_row_texts **out)
{
    WS_TRY(WS_NEW(*out));
    (*out)->begin = (*out)->at = (*out)->bytes;
    WS_TRY(ws_sha256_create(&(*out)->stream));
    return WS_OK;
}

static void texts_destroy(ws_row_texts **texts)
{
    if (*texts != NULL)
        ws_sha256_destroy(&(*texts)->stream);
    free(*texts);
    *texts = NULL;
}

/* Room for at most TEXT_ROOM bytes at texts->at. */
static void make_room(ws_row_texts *texts, size_t bytes)
{
    if (bytes <= (size_t)(texts->bytes + TEXT_BYTES - texts->at))
        return;
    ws_sha256_update(texts->stream, texts->begin, (size_t)(texts->at - texts->begin));
    texts->streaming = true;
    texts->at = texts->begin;
}

static void add(ws_row_texts *texts, const void *data, size_t bytes)
{
    const uint8_t *from = data;
    while (bytes > 0) {
        size_t here = bytes < TEXT_ROOM ? bytes : TEXT_ROOM;
        make_room(texts, here);
        memcpy(texts->at, from, here);
        texts->at += here;
        from += here;
        bytes -= here;
    }
}

static void hash_texts(ws_row_texts *texts)
{
    ws_sha256_many(texts->texts, texts->count, texts->digests);
    for (size_t i = 0; i < texts->count; i++)
        *texts->where[i] = texts->digests[i];
    texts->count = 0;
    texts->begin = texts->at = texts->bytes;
}

/* Its digest is in *out once the texts have been hashed. */
static void end_text(ws_row_texts *texts, ws_digest *out)
{
    const size_t bytes = (size_t)(texts->at - texts->begin);
    if (texts->streaming) {
        ws_sha256_update(texts->stream, texts->begin, bytes);
        *out = ws_sha256_finish(texts->stream);
        texts->streaming = false;
        texts->at = texts->begin;
        return;
    }
    texts->texts[texts->count] = (ws_hash_text){texts->begin, bytes};
    texts->where[texts->count++] = out;
    texts->begin = texts->at;
    if (texts->count == TEXTS || texts->bytes + TEXT_BYTES - texts->at < TEXT_ROOM)
        hash_texts(texts);
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

static void add_key(const ws_row_maker *maker, const ws_flow_key *key, ws_digest *out)
{
    uint8_t bytes[2 * 18 + 1], *at = bytes;
    memcpy(at, key->low_address, 16);
    at = put16(at + 16, key->low_port);
    memcpy(at, key->high_address, 16);
    at = put16(at + 16, key->high_port);
    *at = key->protocol;
    add(maker->texts, "wiresweep key\n", 14);
    add(maker->texts, maker->key, maker->key_bytes);
    add(maker->texts, bytes, sizeof bytes);
    end_text(maker->texts, out);
}

static void add_host(const ws_row_maker *maker, const uint8_t address[16], ws_digest *out)
{
    add(maker->texts, "wiresweep host\n", 15);
    add(maker->texts, maker->key, maker->key_bytes);
    add(maker->texts, address, 16);
    end_text(maker->texts, out);
}

static void add_input(ws_row_texts *texts, const ws_flow *flow, const ws_flow_packet *packets, const float *values,
                      size_t columns, ws_digest *out)
{
    enum { PACKET_BYTES = 26 };
    add(texts, "wiresweep input\n", 16);
    for (size_t i = 0; i < columns; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        make_room(texts, sizeof bits);
        texts->at = put32(texts->at, bits);
    }
    for (uint32_t k = 0; k < flow->packet_count; k++) {
        make_room(texts, PACKET_BYTES);
        uint8_t *at = texts->at;
        at = put64(at, (uint64_t)packets[k].offset_ns);
        at = put32(at, packets[k].wire_length);
        at = put32(at, packets[k].ip_length);
        at = put32(at, packets[k].payload_length);
        at = put16(at, packets[k].header_length);
        at = put16(at, packets[k].window);
        *at++ = packets[k].tcp_flags;
        *at++ = (uint8_t)packets[k].direction;
        texts->at = at;
    }
    end_text(texts, out);
}

static void add_row(ws_row_texts *texts, const char *input_name, const ws_store_row *row, ws_digest *out)
{
    uint8_t bytes[16];
    put64(put64(bytes, row->first_ordinal), row->key_hash);
    add(texts, "wiresweep row\n", 14);
    add(texts, input_name, strlen(input_name) + 1);
    add(texts, bytes, sizeof bytes);
    end_text(texts, out);
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

/* ---------------------------------------------------------------- endpoints */
/* "192.0.2.1:80", "[2001:db8::1]:80"; keyed: 32 hex digits and the port; prefix: pseudonyms. Ports name services, not
 * people, and stay. */
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
    bool four = ws_address_is_ipv4(address);
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

static const uint8_t *forward_address(const ws_flow *flow)
{
    return flow->forward_is_low ? flow->key.low_address : flow->key.high_address;
}

static void write_endpoints(const ws_row_maker *maker, const ws_flow *flow, ws_store_row *row)
{
    const ws_flow_key *key = &flow->key;
    const uint8_t *backward = flow->forward_is_low ? key->high_address : key->low_address;
    write_endpoint(maker, forward_address(flow), flow->forward_is_low ? key->low_port : key->high_port, row->source);
    write_endpoint(maker, backward, flow->forward_is_low ? key->high_port : key->low_port, row->destination);
}

ws_err ws_row_maker_create(ws_row_maker *out, const char *endpoints, const char *key_file)
{
    memset(out, 0, sizeof *out);
    WS_TRY(ws_endpoint_mode_find(endpoints == NULL ? "drop" : endpoints, &out->endpoints));
    WS_TRY(texts_create(&out->texts));
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

void ws_row_maker_key_check(const ws_row_maker *maker, char out[65])
{
    static const char domain[] = "wiresweep key check\n";
    uint8_t code[EVP_MAX_MD_SIZE] = {0};
    unsigned int bytes = 0;
    ws_digest digest;
    out[0] = '\0';
    if (maker->key == NULL)
        return;
    HMAC(EVP_sha256(), maker->key, (int)maker->key_bytes, (const uint8_t *)domain, sizeof domain - 1, code, &bytes);
    memcpy(digest.bytes, code, sizeof digest.bytes);
    ws_digest_hex(&digest, out);
}

void ws_row_maker_destroy(ws_row_maker *maker)
{
    texts_destroy(&maker->texts);
    ws_crypto_pan_destroy(&maker->pan);
    if (maker->key != NULL)
        explicit_bzero(maker->key, maker->key_bytes);
    free(maker->key);
    memset(maker, 0, sizeof *maker);
}

/* ---------------------------------------------------------------- rows */
static void copy_flow(const ws_flow *flow, ws_store_row *row)
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
}

enum { BATCH_ROWS = 64 };

static void make_batch(ws_row_maker *maker, const ws_row_source *sources, size_t count, const float *values,
                       size_t columns, const ws_string_list *inputs, ws_store_row *rows)
{
    ws_digest key[BATCH_ROWS], host[BATCH_ROWS], input[BATCH_ROWS], row[BATCH_ROWS];
    for (size_t i = 0; i < count; i++) {
        const ws_flow *flow = sources[i].flow;
        copy_flow(flow, &rows[i]);
        add_key(maker, &flow->key, &key[i]);
        add_host(maker, forward_address(flow), &host[i]);
        if (values == NULL)
            add_input(maker->texts, flow, sources[i].packets, flow->features, WS_FLOW20_COLUMNS, &input[i]);
        else
            add_input(maker->texts, flow, sources[i].packets, values + i * columns, columns, &input[i]);
        if (maker->endpoints != WS_ENDPOINTS_DROP)
            write_endpoints(maker, flow, &rows[i]);
    }
    hash_texts(maker->texts);
    for (size_t i = 0; i < count; i++) {
        rows[i].key_hash = ws_digest_u64(&key[i]);
        rows[i].session = identity_of(&key[i]);
        rows[i].host = identity_of(&host[i]);
        rows[i].input_hash = ws_digest_u64(&input[i]);
        add_row(maker->texts, inputs->items[sources[i].flow->input], &rows[i], &row[i]);
    }
    hash_texts(maker->texts);
    for (size_t i = 0; i < count; i++)
        rows[i].row_hash = ws_digest_u64(&row[i]);
}

void ws_rows_make(ws_row_maker *maker, const ws_row_source *sources, size_t count, const float *values, size_t columns,
                  const ws_string_list *inputs, ws_store_row *rows)
{
    for (size_t begin = 0; begin < count; begin += BATCH_ROWS) {
        const size_t here = count - begin < BATCH_ROWS ? count - begin : BATCH_ROWS;
        make_batch(maker, sources + begin, here, values == NULL ? NULL : values + begin * columns, columns, inputs,
                   rows + begin);
    }
}
