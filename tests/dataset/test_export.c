/* A store exported as CSV parses back to what was written; endpoints show what the user allowed.
 * ctest: timeout=60 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include "dataset/csv.h"
#include "flows.h"

static ws_comm world;
static char folder[64], path[128], csv_path[128];

static void ok(ws_err error)
{
    if (error != WS_OK)
        fail_msg("%s (%s)\n%s", ws_error_message(), ws_error_hint(), ws_error_trace());
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/wiresweep_export_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/store.h5", folder);
    snprintf(csv_path, sizeof csv_path, "%s/flows.csv", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ok(ws_directory_remove(folder));
    return 0;
}

typedef struct table {
    ws_csv *csv;
    char names[64][64];
    const char *const *fields;
    size_t columns;
} table;

static void open_table(table *t, const made_store *written)
{
    char hash[65];
    ws_store store;
    bool more;
    ok(write_store(&world, written, hash));
    ok(ws_store_open(&store, path));
    ok(ws_store_export_csv(&store, NULL, false, csv_path));
    ws_store_close(&store);
    ok(ws_csv_open(&t->csv, csv_path));
    ok(ws_csv_next(t->csv, &t->fields, &t->columns, &more));
    assert_true(more);
    for (size_t c = 0; c < t->columns; c++)
        snprintf(t->names[c], sizeof t->names[c], "%s", t->fields[c]);
}

static bool next_row(table *t)
{
    bool more;
    size_t count;
    ok(ws_csv_next(t->csv, &t->fields, &count, &more));
    if (more)
        assert_int_equal(count, t->columns);
    return more;
}

static const char *field(const table *t, const char *name)
{
    for (size_t c = 0; c < t->columns; c++)
        if (strcmp(t->names[c], name) == 0)
            return t->fields[c];
    fail_msg("no column %s", name);
    return NULL;
}

static void test_parses_back(void **state)
{
    (void)state;
    enum { ROWS = 9000 }; /* more than one block of the export */
    table t;
    const made_store written = {.path = path, .seed = 6, .count = ROWS, .batch = 4000, .max_packets = 2};
    open_table(&t, &written);
    made_flows made = make_flows(6, 0, ROWS, ROWS, 2);
    for (uint64_t i = 0; i < ROWS; i++) {
        char text[64];
        const ws_flow *flow = &made.flows[i];
        assert_true(next_row(&t));
        snprintf(text, sizeof text, "%" PRId64, flow->first_ns);
        assert_string_equal(field(&t, "first_ns"), text);
        snprintf(text, sizeof text, "%" PRIu64, flow->bytes[1]);
        assert_string_equal(field(&t, "bytes_backward"), text);
        assert_string_equal(field(&t, "input"), made_input_names[flow->input]);
        int32_t colour = made.labels[i];
        assert_string_equal(field(&t, "label_colour"), colour < 0 ? "" : made_colours[colour]);
        assert_string_equal(field(&t, "label_size"), made_sizes[made.labels[ROWS + i]]);
        for (int c = 0; c < WS_FLOW20_COLUMNS; c++)
            assert_true(strtof(field(&t, ws_flow20_names[c]), NULL) == flow->features[c]);
    }
    assert_false(next_row(&t));
    ws_csv_close(&t.csv);
    free_flows(&made);
}

static uint8_t source_address[16] = {[10] = 0xFF, [11] = 0xFF, [12] = 192, [13] = 0, [14] = 2, [15] = 77};
static uint8_t destination_address[16] = {0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, [15] = 9};

static void known_endpoints(made_flows *made, uint64_t first)
{
    (void)first;
    ws_packet packet;
    bool source_is_low;
    for (uint64_t i = 0; i < made->count; i++) {
        memset(&packet, 0, sizeof packet);
        packet.protocol = 6;
        packet.source_port = 4242;
        packet.destination_port = 443;
        memcpy(packet.source, source_address, 16);
        memcpy(packet.destination, destination_address, 16);
        ws_flow_key_of(&packet, &made->flows[i].key, &source_is_low);
        made->flows[i].forward_is_low = source_is_low;
    }
}

static void check_endpoints(const char *mode, const char *key_file, const char *source, const char *destination)
{
    table t;
    const made_store written = {.path = path,
                                .seed = 7,
                                .count = 3,
                                .batch = 3,
                                .max_packets = 2,
                                .endpoints = mode,
                                .key_file = key_file,
                                .change = known_endpoints};
    open_table(&t, &written);
    assert_true(next_row(&t));
    assert_string_equal(field(&t, "source"), source);
    assert_string_equal(field(&t, "destination"), destination);
    ws_csv_close(&t.csv);
}

static void test_endpoints(void **state)
{
    (void)state;
    check_endpoints("plain", NULL, "192.0.2.77:4242", "[2001:db8:1234:5600::9]:443");
    char key_file[128], source[64], destination[64], hex[33];
    const char key[] = "0123456789abcdef0123456789abcdef";
    snprintf(key_file, sizeof key_file, "%s/key", folder);
    ok(ws_file_write(key_file, key, 32));
    static const uint8_t addresses[2][16] = {{[10] = 0xFF, [11] = 0xFF, [12] = 192, [13] = 0, [14] = 2, [15] = 77},
                                             {0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, [15] = 9}};
    for (int e = 0; e < 2; e++) {
        uint8_t code[EVP_MAX_MD_SIZE];
        HMAC(EVP_sha256(), key, 32, addresses[e], 16, code, NULL);
        for (int i = 0; i < 16; i++)
            snprintf(hex + 2 * i, 3, "%02x", code[i]);
        snprintf(e == 0 ? source : destination, 64, "%s:%d", hex, e == 0 ? 4242 : 443);
    }
    check_endpoints("keyed", key_file, source, destination);
    /* prefix: the key and two of the pairs that test_crypto_pan.c has from others */
    static const uint8_t published[32] = {21,  34,  23,  141, 51,  164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
                                          216, 152, 143, 131, 121, 121, 101, 39,  98, 87, 76, 45, 42, 132, 34,  2};
    ok(ws_file_write(key_file, published, sizeof published));
    memcpy(source_address + 12, (const uint8_t[]){24, 0, 250, 221}, 4);
    memset(destination_address + 4, 0, 12);
    destination_address[15] = 1;
    check_endpoints("prefix", key_file, "100.15.198.226:4242", "[4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e]:443");
    char hash[65];
    made_store refused = {.path = path, .seed = 7, .count = 3, .batch = 3, .max_packets = 2, .endpoints = "prefix"};
    assert_int_equal(write_store(&world, &refused, hash), WS_E_ARGUMENT); /* no key */
    ok(ws_file_write(key_file, published, 31));
    refused.key_file = key_file;
    assert_int_equal(write_store(&world, &refused, hash), WS_E_ARGUMENT);
    table t;
    const made_store dropped = {.path = path, .seed = 7, .count = 3, .batch = 3, .max_packets = 2, .endpoints = "drop"};
    open_table(&t, &dropped);
    for (size_t c = 0; c < t.columns; c++)
        assert_true(strcmp(t.names[c], "source") != 0 && strcmp(t.names[c], "destination") != 0);
    ws_csv_close(&t.csv);
}

static void test_unwritable_output(void **state)
{
    (void)state;
    char hash[65];
    ws_store store;
    const made_store written = {.path = path, .seed = 8, .count = 3, .batch = 3, .max_packets = 2};
    ok(write_store(&world, &written, hash));
    ok(ws_store_open(&store, path));
    assert_int_equal(ws_store_export_csv(&store, NULL, false, "/nowhere/flows.csv"), WS_E_IO);
    assert_non_null(strstr(ws_error_message(), "/nowhere/flows.csv"));
    ws_store_close(&store);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses_back),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_unwritable_output),
    };
    if (ws_cluster_start(&argc, &argv, true, &world) != WS_OK)
        return 1;
    ws_h5_setup();
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    ws_cluster_stop();
    return failed != 0;
}
