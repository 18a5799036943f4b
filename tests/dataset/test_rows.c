/* Rows of a store: their hashes are those of the texts that store_row.c describes, made here byte by byte, for flows with few
 * packets and with so many that their text goes through a stream. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset/store_layout.h"

enum { FLOWS = 150, LONG = 6000, INPUTS = 2, KEY_BYTES = 3000 };

typedef struct text {
    uint8_t bytes[400000];
    size_t count;
} text;

static void put(text *t, const void *data, size_t bytes)
{
    if (bytes > 0) /* a key that is not there has no address either */
        memcpy(t->bytes + t->count, data, bytes);
    t->count += bytes;
}

static void put_number(text *t, uint64_t value, int bytes)
{
    while (bytes-- > 0)
        t->bytes[t->count++] = (uint8_t)(value >> 8 * bytes);
}

static uint64_t hash_of(const text *t)
{
    ws_digest digest = ws_sha256_of(t->bytes, t->count);
    return ws_digest_u64(&digest);
}

static uint32_t packets_of(size_t flow)
{
    return flow == 7 || flow == 100 ? LONG : (uint32_t)(flow % 5);
}

static void make_flow(size_t i, ws_flow *flow, ws_flow_packet *packets)
{
    *flow = (ws_flow){.input = (uint32_t)(i % INPUTS), .first_ordinal = 1000 + i, .packet_count = packets_of(i)};
    for (int b = 0; b < 16; b++) {
        flow->key.low_address[b] = (uint8_t)(i + (size_t)b);
        flow->key.high_address[b] = (uint8_t)(i * 3 + (size_t)b);
    }
    flow->key.low_port = (uint16_t)(i + 1);
    flow->key.high_port = 443;
    flow->key.protocol = 6;
    flow->forward_is_low = i % 3 == 0;
    for (int c = 0; c < WS_FLOW20_COLUMNS; c++)
        flow->features[c] = (float)(i + 1) / (float)(c + 1);
    for (uint32_t k = 0; k < flow->packet_count; k++)
        packets[k] = (ws_flow_packet){.offset_ns = (int64_t)k * 1000 - 500,
                                      .wire_length = (uint32_t)(i + k),
                                      .ip_length = 40 + k,
                                      .payload_length = k,
                                      .header_length = 40,
                                      .window = (uint16_t)(k * 7),
                                      .tcp_flags = (uint8_t)k,
                                      .direction = k % 2 ? -1 : 1};
}

static uint64_t key_hash_of(const ws_flow *flow, const uint8_t *secret, size_t secret_bytes, text *t)
{
    t->count = 0;
    put(t, "wiresweep key\n", 14);
    put(t, secret, secret_bytes);
    put(t, flow->key.low_address, 16);
    put_number(t, flow->key.low_port, 2);
    put(t, flow->key.high_address, 16);
    put_number(t, flow->key.high_port, 2);
    put_number(t, flow->key.protocol, 1);
    return hash_of(t);
}

static uint64_t host_hash_of(const ws_flow *flow, const uint8_t *secret, size_t secret_bytes, text *t)
{
    t->count = 0;
    put(t, "wiresweep host\n", 15);
    put(t, secret, secret_bytes);
    put(t, flow->forward_is_low ? flow->key.low_address : flow->key.high_address, 16);
    return hash_of(t);
}

static uint64_t input_hash_of(const ws_flow *flow, const ws_flow_packet *packets, const float *values, int columns,
                              text *t)
{
    t->count = 0;
    put(t, "wiresweep input\n", 16);
    for (int c = 0; c < columns; c++) {
        uint32_t bits;
        memcpy(&bits, &values[c], sizeof bits);
        put_number(t, bits, 4);
    }
    for (uint32_t k = 0; k < flow->packet_count; k++) {
        put_number(t, (uint64_t)packets[k].offset_ns, 8);
        put_number(t, packets[k].wire_length, 4);
        put_number(t, packets[k].ip_length, 4);
        put_number(t, packets[k].payload_length, 4);
        put_number(t, packets[k].header_length, 2);
        put_number(t, packets[k].window, 2);
        put_number(t, packets[k].tcp_flags, 1);
        put_number(t, (uint8_t)packets[k].direction, 1);
    }
    return hash_of(t);
}

static uint64_t row_hash_of(const ws_flow *flow, const char *input, uint64_t key_hash, text *t)
{
    t->count = 0;
    put(t, "wiresweep row\n", 14);
    put(t, input, strlen(input) + 1);
    put_number(t, flow->first_ordinal, 8);
    put_number(t, key_hash, 8);
    return hash_of(t);
}

/* All rows in one call, with the flows' own features or those of another table. */
static void check(const char *key_file, const uint8_t *secret, size_t secret_bytes, size_t columns)
{
    static ws_flow flows[FLOWS];
    static ws_flow_packet packets[2 * LONG + 5 * FLOWS];
    static ws_store_row rows[FLOWS];
    static text t;
    static const char *const names[INPUTS] = {"a.pcap", "folder/with a longer name.pcap"};
    const ws_string_list inputs = {names, INPUTS};
    float *values = calloc(FLOWS, columns * sizeof *values + 1);
    assert_non_null(values);
    for (size_t v = 0; v < FLOWS * columns; v++)
        values[v] = (float)v * 0.25f;
    size_t count = 0;
    for (size_t i = 0; i < FLOWS; i++) {
        make_flow(i, &flows[i], packets + count);
        count += flows[i].packet_count;
    }
    ws_row_maker maker;
    assert_int_equal(ws_row_maker_create(&maker, NULL, key_file), WS_OK);
    ws_row_source sources[FLOWS];
    ws_row_sources_list(flows, FLOWS, packets, NULL, sources);
    ws_rows_make(&maker, sources, FLOWS, columns > 0 ? values : NULL, columns, &inputs, rows);
    count = 0;
    for (size_t i = 0; i < FLOWS; i++) {
        const ws_flow *flow = &flows[i];
        const uint64_t key_hash = key_hash_of(flow, secret, secret_bytes, &t);
        assert_true(rows[i].key_hash == key_hash && rows[i].session.high == key_hash);
        assert_true(rows[i].host.high == host_hash_of(flow, secret, secret_bytes, &t));
        const float *own = columns > 0 ? values + i * columns : flow->features;
        assert_true(rows[i].input_hash ==
                    input_hash_of(flow, packets + count, own, columns > 0 ? (int)columns : WS_FLOW20_COLUMNS, &t));
        assert_true(rows[i].row_hash == row_hash_of(flow, names[flow->input], key_hash, &t));
        count += flow->packet_count;
    }
    ws_row_maker_destroy(&maker);
    free(values);
}

static void hashes_are_of_the_texts_described(void **state)
{
    (void)state;
    check(NULL, NULL, 0, 0);
}

static void hashes_of_another_feature_table(void **state)
{
    (void)state;
    check(NULL, NULL, 0, 83);
}

static void hashes_with_a_key_file(void **state)
{
    (void)state;
    uint8_t secret[KEY_BYTES];
    char path[] = "/tmp/wiresweep-test-XXXXXX";
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 31 + 7);
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, secret, sizeof secret), sizeof secret);
    close(file);
    check(path, secret, sizeof secret, 0);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_of_the_texts_described),
        cmocka_unit_test(hashes_of_another_feature_table),
        cmocka_unit_test(hashes_with_a_key_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
